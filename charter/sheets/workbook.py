"""Lists as workbooks (ECMA-376): the values of one sheet as a stream; formulas, links and macros are never followed.

Libraries build the whole sheet in memory, as large as its outermost cell says; a reader of our own stays small.
"""

from __future__ import annotations

import posixpath
import zipfile
import zlib
from collections import deque
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import BinaryIO
from xml.parsers import expat

from charter.sheets.limits import MOST_CELL_CHARS, MOST_EMPTY_ROWS, MOST_ROWS, SheetError

_BLOCK = 1 << 16
#: Unpacked: fifty thousand rows of twenty cells are some 60 MB.
_MOST_SHEET_BYTES = 150_000_000
_MOST_STRING_BYTES = 60_000_000
_MOST_STRINGS = 1_500_000
_MOST_PART_BYTES = 4_000_000
_MOST_CELLS = 4_000_000
_MOST_MEMBERS = 5_000
#: How parts may be packed (ECMA-376 part 2, annex C): unpacking anything else may take as much memory as the part says.
_PACKED = frozenset({zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED})
_DAY_ZERO = datetime(1899, 12, 30)  # noqa: DTZ001 - a cell's date has no zone
#: Built-in formats that show a number as a date or a time (ECMA-376 part 1, §18.8.30).
_DATE_FORMATS = frozenset({*range(14, 23), *range(27, 37), 45, 46, 47, *range(50, 59)})


def _local(name: str) -> str:
    return name.rpartition(" ")[2]


class _Parser:
    """Feeds one part of the archive through expat, by blocks and within a limit."""

    def __init__(self, stream: BinaryIO, most_bytes: int) -> None:
        self._stream, self._left = stream, most_bytes
        self.expat = expat.ParserCreate(namespace_separator=" ")
        self.expat.buffer_text = True
        # What a workbook never has, and what bombs are made of.
        self.expat.StartDoctypeDeclHandler = self._refuse

    def _refuse(self, *_args: object) -> None:
        raise SheetError("damaged")

    def blocks(self) -> Iterator[None]:
        """Goes on after each block."""
        try:
            while True:
                block = self._stream.read(_BLOCK)
                self._left -= len(block)
                if self._left < 0:
                    raise SheetError("too-large")
                self.expat.Parse(block, not block)
                yield
                if not block:
                    return
        except (expat.ExpatError, zipfile.BadZipFile, zlib.error, EOFError, OSError, UnicodeError):
            raise SheetError("damaged") from None


class Workbook:
    """An open workbook. names: of its sheets that are not hidden, in their order."""

    def __init__(self, file: BinaryIO) -> None:
        try:
            self._zip = zipfile.ZipFile(file)
        except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError):
            raise SheetError("damaged") from None
        if len(self._zip.infolist()) > _MOST_MEMBERS:
            raise SheetError("too-large")
        self._sheets = self._find_sheets()
        self.names = tuple(self._sheets)
        if not self._sheets:
            raise SheetError("unknown" if "xl/workbook.xml" not in self._zip.namelist() else "empty")

    def choose(self, wanted: str) -> str:
        """The sheet of that name, else the first. Raises SheetError."""
        wanted = wanted.strip()
        if not wanted:
            return self.names[0]
        for name in self.names:
            if name.casefold() == wanted.casefold():
                return name
        raise SheetError("no-such-sheet")

    def _open(self, member: str) -> BinaryIO:
        try:
            if self._zip.getinfo(member).compress_type not in _PACKED:
                raise SheetError("damaged")
            return self._zip.open(member)  # type: ignore[return-value]
        except (KeyError, zipfile.BadZipFile, RuntimeError, NotImplementedError, OSError):
            # RuntimeError: the part is encrypted.
            raise SheetError("damaged") from None

    def _read(self, member: str, start: Callable[[str, dict[str, str]], None]) -> None:
        """Calls `start` with each element of a small part."""
        with self._open(member) as stream:
            parser = _Parser(stream, _MOST_PART_BYTES)
            parser.expat.StartElementHandler = start
            for _ in parser.blocks():
                pass

    def _find_sheets(self) -> dict[str, str]:
        targets: dict[str, str] = {}
        sheets: list[tuple[str, str]] = []

        def relation(name: str, attributes: dict[str, str]) -> None:
            if _local(name) == "Relationship" and attributes.get("TargetMode") != "External":
                target = attributes.get("Target", "")
                path = target.lstrip("/") if target.startswith("/") else posixpath.normpath(f"xl/{target}")
                targets[attributes.get("Id", "")] = path

        def sheet(name: str, attributes: dict[str, str]) -> None:
            if _local(name) == "sheet" and attributes.get("state", "visible") == "visible":
                identity = next((value for key, value in attributes.items() if _local(key) == "id"), "")
                sheets.append((attributes.get("name", "")[:120], identity))

        if "xl/workbook.xml" not in self._zip.namelist():
            return {}
        self._read("xl/_rels/workbook.xml.rels", relation)
        self._read("xl/workbook.xml", sheet)
        present = set(self._zip.namelist())
        return {name: targets[identity] for name, identity in sheets if targets.get(identity) in present}

    def rows(self, name: str) -> Iterator[tuple[int, list[str]]]:
        """Every row of a sheet with its number; a formula gives what it was computed to last."""
        strings, dates = self._strings(), self._dates()
        with self._open(self._sheets[name]) as stream:
            parser = _Parser(stream, _MOST_SHEET_BYTES)
            reading = _Rows(strings, dates)
            parser.expat.StartElementHandler = reading.start
            parser.expat.EndElementHandler = reading.end
            parser.expat.CharacterDataHandler = reading.text
            for _ in parser.blocks():
                while reading.ready:
                    yield reading.ready.popleft()

    def _strings(self) -> list[str]:
        found: list[str] = []
        if "xl/sharedStrings.xml" not in self._zip.namelist():
            return found
        parts: list[str] = []
        inside = {"t": False, "rPh": False}

        def start(name: str, _attributes: dict[str, str]) -> None:
            local = _local(name)
            if local == "si":
                parts.clear()
            elif local in inside:
                inside[local] = True

        def end(name: str) -> None:
            local = _local(name)
            if local == "si":
                if len(found) >= _MOST_STRINGS:
                    raise SheetError("too-large")
                found.append("".join(parts)[: MOST_CELL_CHARS + 1])
            elif local in inside:
                inside[local] = False

        def text(data: str) -> None:
            # What is written above a line as its pronunciation is no part of it.
            if inside["t"] and not inside["rPh"]:
                parts.append(data)

        with self._open("xl/sharedStrings.xml") as stream:
            parser = _Parser(stream, _MOST_STRING_BYTES)
            parser.expat.StartElementHandler, parser.expat.EndElementHandler = start, end
            parser.expat.CharacterDataHandler = text
            for _ in parser.blocks():
                pass
        return found

    def _dates(self) -> frozenset[int]:
        """The styles that show a number as a date."""
        if "xl/styles.xml" not in self._zip.namelist():
            return frozenset()
        formats: set[str] = {str(number) for number in _DATE_FORMATS}
        styles: list[str] = []
        inside = [False]

        def start(name: str, attributes: dict[str, str]) -> None:
            local = _local(name)
            if local == "numFmt":
                code = attributes.get("formatCode", "").partition(";")[0].lower().replace("red", "")
                if any(letter in code for letter in "yd") or "mm" in code or "h:" in code:
                    formats.add(attributes.get("numFmtId", ""))
            elif local in ("cellXfs", "cellStyleXfs", "dxfs"):
                inside[0] = local == "cellXfs"
            elif local == "xf" and inside[0]:
                styles.append(attributes.get("numFmtId", "0"))

        self._read("xl/styles.xml", start)
        return frozenset(place for place, number in enumerate(styles) if number in formats)


class _Rows:
    """Gathers cells to rows while expat tells of elements."""

    def __init__(self, strings: list[str], dates: frozenset[int]) -> None:
        self.ready: deque[tuple[int, list[str]]] = deque()
        self._strings, self._dates = strings, dates
        self._number = self._empty = self._count = self._column = 0
        self._cells: dict[int, str] = {}
        self._kind, self._style = "n", -1
        self._parts: list[str] = []
        self._length = 0
        self._listens = False

    def start(self, name: str, attributes: dict[str, str]) -> None:
        local = _local(name)
        if local == "row":
            given = attributes.get("r", "")
            number = int(given) if given.isascii() and given.isdigit() and len(given) < 8 else 0
            self._number = max(number, self._number + 1)
            self._cells, self._column = {}, -1
        elif local == "c":
            self._count += 1
            if self._count > _MOST_CELLS:
                raise SheetError("too-large")
            self._column = _column(attributes.get("r", ""), self._column + 1)
            self._kind = attributes.get("t", "n")
            style = attributes.get("s", "")
            self._style = int(style) if style.isascii() and style.isdigit() and len(style) < 6 else -1
            self._parts, self._length = [], 0
        elif local in ("v", "t"):
            self._listens = True

    def text(self, data: str) -> None:
        if self._listens:
            self._length += len(data)
            if self._length > MOST_CELL_CHARS:
                raise SheetError("cell-too-long", row=self._number)
            self._parts.append(data)

    def end(self, name: str) -> None:
        local = _local(name)
        if local in ("v", "t"):
            self._listens = False
        elif local == "c" and self._parts:
            value = self._value("".join(self._parts))
            if len(value) > MOST_CELL_CHARS:
                raise SheetError("cell-too-long", row=self._number)
            if value.strip():
                if "\0" in value:
                    raise SheetError("nul", row=self._number)
                if self._column >= _MOST_PLACES:
                    raise SheetError("too-many-columns", row=self._number)
                self._cells[self._column] = value
            self._parts = []
        elif local == "row":
            self._end_row()

    def _end_row(self) -> None:
        if not self._cells:
            self._empty += 1
            if self._empty > MOST_EMPTY_ROWS:
                raise SheetError("too-large", row=self._number)
            return
        if len(self.ready) > MOST_ROWS:
            raise SheetError("too-many-rows", row=self._number)
        cells = [""] * (max(self._cells) + 1)
        for place, value in self._cells.items():
            cells[place] = value
        self.ready.append((self._number, cells))

    def _value(self, raw: str) -> str:
        if self._kind == "s":
            place = int(raw) if raw.isascii() and raw.isdigit() and len(raw) < 9 else -1
            if not 0 <= place < len(self._strings):
                raise SheetError("damaged", row=self._number)
            return self._strings[place]
        if self._kind in ("str", "inlineStr", "d"):
            return raw
        if self._kind == "b":
            return "1" if raw.strip() == "1" else "0"
        if self._kind == "e":
            return ""
        return self._figure(raw.strip())

    def _figure(self, raw: str) -> str:
        try:
            value = float(raw)
            if self._style in self._dates:
                moment = _DAY_ZERO + timedelta(days=value)
                return moment.strftime("%Y-%m-%d" if value == int(value) else "%Y-%m-%d %H:%M")
            # 7.0 is what some programs write for 7.
            return str(int(value)) if value == int(value) and abs(value) < 1e15 else raw
        except (ValueError, OverflowError):
            return raw


#: Beyond this no column is looked at: a cell far out on the right is an accident or an attack.
_MOST_PLACES = 200


def _column(reference: str, otherwise: int) -> int:
    place = 0
    for letter in reference[:4]:
        if not "A" <= letter <= "Z":
            break
        place = place * 26 + ord(letter) - 64
    return place - 1 if place else otherwise
