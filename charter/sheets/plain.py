"""Lists as plain text: which letters, which separator, and the rows."""

from __future__ import annotations

import codecs
import csv
import io
from collections.abc import Iterator
from typing import BinaryIO

from charter.sheets.limits import MOST_CELL_CHARS, MOST_EMPTY_ROWS, SheetError

_BLOCK = 1 << 16
_MARKS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))
_SEPARATORS = (";", "\t", ",")
_LOOKED_AT = 10
#: Bytes that mean a letter in Kazakh in KZ-1048, and in Windows-1251 one of Serbian or Macedonian: Ққ Әә Ңң Һ.
_KAZAKH = frozenset(b"\x8d\x9d\xa3\xbc\xbd\xbe\x8e")
#: What no text holds: a file with them is something else.
_NEVER = frozenset(range(0x20)) - frozenset(b"\t\n\r\x0b\x0c\x1a\x1c\x1d\x1e\x1f")


class Plain:
    """A file of separated values. encoding: as it was recognised."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.encoding = _encoding(file)
        self._separator = _separator(self._lines())

    def rows(self) -> Iterator[tuple[int, list[str]]]:
        """Every record with its number. A cell may hold line breaks; ends of lines may be mixed."""
        yield from _records(self._lines(), self._separator)

    def _lines(self) -> Iterator[str]:
        self._file.seek(0)
        decoder = codecs.getincrementaldecoder(self.encoding)()
        # Decoded by blocks and cut here: a file without one line break must not become one line of all there is.
        rest = ""
        while True:
            raw = self._file.read(_BLOCK)
            try:
                block = decoder.decode(raw, final=not raw)
            except UnicodeError:
                raise SheetError("damaged") from None
            if not raw and not block:
                break
            if "\0" in block:
                raise SheetError("nul")
            lines = io.StringIO(rest + block, newline="").readlines()
            # A return at the very end may be half of a line break.
            rest = lines.pop() if lines else ""
            yield from lines
            if len(rest) > _LONGEST_LINE:
                raise SheetError("cell-too-long")
        if rest:
            yield rest


#: Sixty cells of the greatest length would be less.
_LONGEST_LINE = 200_000


def _records(lines: Iterator[str], separator: str) -> Iterator[tuple[int, list[str]]]:
    empty = 0
    try:
        for number, cells in enumerate(csv.reader(lines, delimiter=separator), start=1):
            if any(len(cell) > MOST_CELL_CHARS for cell in cells):
                raise SheetError("cell-too-long", row=number)
            empty = 0 if any(cells) else empty + 1
            if empty > MOST_EMPTY_ROWS:
                raise SheetError("too-many-rows", row=number)
            yield number, cells
    except csv.Error:
        # A cell beyond the library's own limit: a quotation mark that nothing ends.
        raise SheetError("cell-too-long") from None


def _encoding(file: BinaryIO) -> str:
    file.seek(0)
    start = file.read(_BLOCK)
    for mark, name in _MARKS:
        if start.startswith(mark):
            return name
    if start.count(0) > len(start) // 8:
        # Letters of two bytes without a mark: Latin ones and separators have a zero in the one half.
        odd = sum(1 for byte in start[1::2] if not byte)
        return "utf-16-le" if odd * 2 > start.count(0) else "utf-16-be"
    if any(byte in _NEVER for byte in start):
        raise SheetError("nul" if 0 in start else "unknown")
    decoder = codecs.getincrementaldecoder("utf-8")()
    kazakh = False
    is_utf8 = True
    block = start
    while block:
        kazakh = kazakh or not _KAZAKH.isdisjoint(block)
        if is_utf8:
            try:
                decoder.decode(block)
            except UnicodeError:
                is_utf8 = False
        block = file.read(_BLOCK)
    try:
        decoder.decode(b"", final=True)
    except UnicodeError:
        is_utf8 = False
    if is_utf8:
        return "utf-8"
    return "kz1048" if kazakh else "cp1251"


def _separator(lines: Iterator[str]) -> str:
    """The one that cuts the first rows into most columns of the same number."""
    first = [line for _place, line in zip(range(_LOOKED_AT), lines, strict=False)]
    best, most = ",", 0
    for separator in _SEPARATORS:
        try:
            widths = [len(row) for row in csv.reader(first, delimiter=separator) if row]
        except csv.Error:
            continue
        alike = sum(1 for width in widths if width == widths[0])
        score = widths[0] * 10 + alike if widths and widths[0] > 1 else 0
        if score > most:
            best, most = separator, score
    return best
