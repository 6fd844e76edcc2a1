"""Reads lists of people as others save them, CSV or XLSX, row by row in bounded memory, and trusts nothing in them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from charter.sheets import plain, workbook
from charter.sheets.limits import MOST_COLUMNS, MOST_ROWS, SheetError

#: What other programs begin their files with: an older or an encrypted workbook, and a workbook as it is.
_OLDER = b"\xd0\xcf\x11\xe0"
_ZIPPED = b"PK\x03\x04"


@dataclass(frozen=True)
class Sheet:
    """An open list. format: csv | xlsx. sheet: the name of the one that is read, sheets: of all that a workbook has.

    rows: (number as the file counts them, cells), without rows that hold nothing; the first is the header. Reading
    raises SheetError wherever the file turns out to be damaged or too large.
    """

    format: str
    encoding: str | None
    sheet: str | None
    sheets: tuple[str, ...]
    rows: Iterator[tuple[int, list[str]]]


def open_sheet(file: BinaryIO, *, wanted: str = "") -> Sheet:
    """A list from the beginning of a file that can be sought in. wanted: the name of a sheet; else the first one.

    Raises SheetError.
    """
    file.seek(0)
    start = file.read(4)
    if not start:
        raise SheetError("empty")
    if start == _OLDER:
        raise SheetError("older")
    if start == _ZIPPED:
        book = workbook.Workbook(file)
        name = book.choose(wanted)
        return Sheet("xlsx", None, name, book.names, _bounded(book.rows(name)))
    text = plain.Plain(file)
    return Sheet("csv", text.encoding, None, (), _bounded(text.rows()))


def _bounded(rows: Iterator[tuple[int, list[str]]]) -> Iterator[tuple[int, list[str]]]:
    count = 0
    for number, cells in rows:
        trimmed = [cell.strip() for cell in cells]
        while trimmed and not trimmed[-1]:
            trimmed.pop()
        if not trimmed:
            continue
        count += 1
        if count > MOST_ROWS + 1:
            raise SheetError("too-many-rows")
        if len(trimmed) > MOST_COLUMNS:
            raise SheetError("too-many-columns", row=number)
        if count == 1 and sum(1 for cell in trimmed if cell) < 2:
            raise SheetError("one-column", row=number)
        yield number, trimmed
