"""Files as people and programs save them, and as those do who wish us ill: read alike, or refused by a code."""

from __future__ import annotations

import io
import tracemalloc
import zipfile
from datetime import datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from python_calamine import CalamineWorkbook
from xlsxwriter import Workbook

from charter.sheets import open_sheet
from charter.sheets import workbook as reader
from charter.sheets.limits import CODES, MOST_ROWS, SheetError

TEXT = "Аты-жөні;Пошта\r\nҚайрат Әбенов;a@example.org\r\nСауле;b@example.org\r\n"
ROWS = [["Аты-жөні", "Пошта"], ["Қайрат Әбенов", "a@example.org"], ["Сауле", "b@example.org"]]


def read(data: bytes, **more: Any) -> list[list[str]]:
    return [cells for _number, cells in open_sheet(io.BytesIO(data), **more).rows]


def refused(data: bytes, **more: Any) -> str:
    with pytest.raises(SheetError) as caught:
        read(data, **more)
    assert caught.value.code in CODES
    return caught.value.code


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "kz1048"])
def test_letters_are_recognised_however_they_were_saved(encoding: str) -> None:
    assert read(TEXT.encode(encoding)) == ROWS


def test_russian_in_windows_1251_needs_no_mark() -> None:
    data = "ФИО;Почта\nЁлкина Анна;a@example.org\n".encode("cp1251")
    sheet = open_sheet(io.BytesIO(data))
    assert sheet.encoding == "cp1251"
    assert [cells for _number, cells in sheet.rows] == [["ФИО", "Почта"], ["Ёлкина Анна", "a@example.org"]]


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"])
def test_separators_and_ends_of_lines_are_found(separator: str, ending: str) -> None:
    lines = [separator.join(cells) for cells in ROWS]
    assert read(ending.join(lines).encode()) == ROWS
    mixed = f"{lines[0]}\r\n{lines[1]}\n\n{lines[2]}\r"
    assert read(mixed.encode()) == ROWS


def test_a_cell_may_hold_quotes_separators_and_line_breaks_and_rows_count_as_in_the_file() -> None:
    data = b'name;mail\n"A ""B""; C\nD";x@example.org\n;;\nE;y@example.org\n'
    assert list(open_sheet(io.BytesIO(data)).rows) == [
        (1, ["name", "mail"]),
        (2, ['A "B"; C\nD', "x@example.org"]),
        (4, ["E", "y@example.org"]),
    ]


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "empty"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1", "older"),
        (b"%PDF-1.4\n\x01\x02\x03", "unknown"),
        (b"a;b\n\0;c\n", "nul"),
        (b"\xff\xfea", "damaged"),
        (b"a\nb\n", "one-column"),
        (b"a;b\n" + b"1;2\n" * (MOST_ROWS + 1), "too-many-rows"),
        (b"a;" + b";" * 100, "one-column"),
        (b"a;b" * 100, "too-many-columns"),
        (b'a;b\n"' + b"x;y\n" * 100_000, "cell-too-long"),
        (b"a;b\n1;" + b"x" * 3_000, "cell-too-long"),
        (b"x" * 12_000_000, "cell-too-long"),
        (b"a;b\n1;2\n" + b"\n" * 200_000, "too-many-rows"),
    ],
    ids=range(13),
)
def test_what_cannot_be_read_is_refused_by_a_code(data: bytes, code: str) -> None:
    assert refused(data) == code


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=400) | st.binary(max_size=200).map(lambda tail: b"PK\x03\x04" + tail))
def test_no_bytes_bring_anything_but_rows_or_a_code(data: bytes) -> None:
    try:
        rows = read(data)
    except SheetError:
        rows = []
    assert all(cells for cells in rows)


def workbook(rows: list[list[Any]], *, sheets: tuple[str, ...] = ("Тізім",)) -> bytes:
    out = io.BytesIO()
    book = Workbook(out, {"in_memory": True})
    day = book.add_format({"num_format": "dd.mm.yyyy"})
    for name in sheets:
        sheet = book.add_worksheet(name)
        for place, row in enumerate(rows):
            for column, value in enumerate(row):
                if isinstance(value, datetime):
                    sheet.write_datetime(place, column, value, day)
                else:
                    sheet.write(place, column, value)
    book.close()
    return out.getvalue()


def test_a_workbook_gives_what_another_reader_finds_in_it() -> None:
    rows = [*ROWS, ["Ә & <б>", " c@example.org ", "", "x"]]
    data = workbook(rows)
    others = CalamineWorkbook.from_filelike(io.BytesIO(data)).get_sheet_by_index(0).to_python()
    assert [[str(cell).strip() for cell in row] for row in others] == [
        [*row, *[""] * (4 - len(row))] for row in read(data)
    ]


def test_figures_dates_and_formulas_become_what_they_show() -> None:
    data = workbook([["a", "b", "c", "d"], [7, 7.5, datetime(2026, 11, 12), "=1+1"]])
    assert read(data)[1] == ["7", "7.5", "2026-11-12", "0"]


def test_the_sheet_that_was_asked_for_is_read() -> None:
    data = workbook(ROWS, sheets=("Бірінші", "Екінші"))
    assert open_sheet(io.BytesIO(data)).sheet == "Бірінші"
    assert open_sheet(io.BytesIO(data), wanted="екінші ").sheet == "Екінші"
    assert refused(data, wanted="Үшінші") == "no-such-sheet"


def rebuilt(change: dict[str, bytes | None]) -> bytes:
    """A workbook with some parts replaced, or left out."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(workbook(ROWS))) as old, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            data = change.get(name, old.read(name))
            if data is not None:
                new.writestr(name, data)
    return out.getvalue()


SHEET = "xl/worksheets/sheet1.xml"
XMLNS = b'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'


def sheet(body: bytes) -> bytes:
    return rebuilt({SHEET: b"<worksheet " + XMLNS + b"><sheetData>" + body + b"</sheetData></worksheet>"})


LAUGHS = b'<!DOCTYPE l [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>'


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (rebuilt({SHEET: LAUGHS + b"<worksheet " + XMLNS + b">&b;</worksheet>"}), "damaged"),
        (rebuilt({SHEET: b"<worksheet><sheetData>"}), "damaged"),
        (rebuilt({SHEET: None}), "empty"),
        (rebuilt({"xl/workbook.xml": None}), "unknown"),
        (rebuilt({"xl/sharedStrings.xml": None}), "damaged"),
        (sheet(b'<row r="1"><c r="A1" t="s"><v>99</v></c></row>'), "damaged"),
        (sheet(b'<row r="1"><c r="XFD1" t="str"><v>a</v></c></row>'), "too-many-columns"),
        (sheet(b'<row r="1"><c t="str"><v>' + b"a" * 5_000_000 + b"</v></c></row>"), "cell-too-long"),
        (sheet(b'<row r="1"/>' * 150_000), "too-large"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_workbook_made_to_harm_is_refused(data: bytes, code: str) -> None:
    assert refused(data) == code


@pytest.mark.parametrize("method", [zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2])
def test_a_workbook_packed_as_no_workbook_is_refused_before_it_is_unpacked(method: int) -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(workbook(ROWS))) as old, zipfile.ZipFile(out, "w") as new:
        for name in old.namelist():
            new.writestr(name, old.read(name), compress_type=method if name == SHEET else zipfile.ZIP_DEFLATED)
    data = bytearray(out.getvalue())
    # Behind the local header: damaged, such a part raises what no other does.
    start = data.find(SHEET.encode()) + len(SHEET)
    data[start + 4 : start + 40] = bytes(36)
    assert refused(bytes(data)) == "damaged"
    assert refused(out.getvalue()) == "damaged"


def test_a_sheet_of_more_cells_than_any_list_has_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader, "_MOST_CELLS", 1_000)
    assert refused(sheet(b'<row r="1">' + b"<c/>" * 1_001 + b"</row>")) == "too-large"


def test_a_cell_at_the_far_end_of_a_sheet_costs_no_memory() -> None:
    body = (
        b'<row r="1"><c r="A1" t="str"><v>a</v></c><c r="B1" t="str"><v>b</v></c></row>'
        b'<row r="1048576"><c r="B1048576" t="str"><v>z</v></c></row>'
    )
    tracemalloc.start()
    rows = list(open_sheet(io.BytesIO(sheet(body))).rows)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert rows == [(1, ["a", "b"]), (1_048_576, ["", "z"])]
    assert peak < 5_000_000


def test_what_unpacks_to_more_than_any_list_is_not_unpacked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader, "_MOST_SHEET_BYTES", 5_000_000)
    data = sheet(b'<row r="2">' + b" " * 50_000_000 + b"</row>")
    assert len(data) < 200_000
    tracemalloc.start()
    assert refused(data) == "too-large"
    assert tracemalloc.get_traced_memory()[1] < 2_000_000
    tracemalloc.stop()
