"""How large a list may be, and what is wrong with one that cannot be read."""

from __future__ import annotations

MOST_ROWS = 50_000
MOST_COLUMNS = 60
#: Longer than any name, address or affiliation: such a cell usually means that a quotation mark is missing.
MOST_CELL_CHARS = 2_000
#: Rows of nothing that a workbook may have between and after the others.
MOST_EMPTY_ROWS = 100_000

CODES = (
    *("empty", "older", "unknown", "nul", "damaged", "cell-too-long", "one-column"),
    *("too-many-rows", "too-many-columns", "too-large", "no-such-sheet"),
)


class SheetError(Exception):
    """A file that cannot be used. code: one of CODES. row: where, as the file counts, if it is known."""

    def __init__(self, code: str, *, row: int | None = None) -> None:
        super().__init__(code)
        self.code = code
        self.row = row
