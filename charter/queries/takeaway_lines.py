"""An entry as one line of a file, made by the database itself, which is quicker than rows that Python puts together.

Both engines make the same bytes. What stands in a line is what `COLUMNS` names and nothing else; of an ended entry only
`ENDED`. Codes, slugs, numbers and dates hold nothing that would need quoting; names and affiliations are always quoted.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby

#: Columns of tables, keys of JSON lines: as in the record line (LOG §1), with what a registry adds to it.
COLUMNS = (
    "number",
    "entry",
    "rev",
    "kind",
    "display",
    "name",
    "region",
    "affiliation",
    "affiliation_name",
    "charter",
    "signed",
    "ended",
    "ended_by",
    "revision",
)
#: What is left of an entry that has ended.
ENDED = ("number", "entry", "signed", "ended", "ended_by", "revision")

#: Where each column comes from, in both engines' words.
STORED = {
    "region": "region_code",
    "affiliation": "affiliation_slug",
    "charter": "edition_slug",
    "signed": "signed_on",
    "ended": "ended_on",
    "revision": "coalesce(changed_revision, 0)",
}
#: = + - @, tab and carriage return, and the wide forms of the first four: a spreadsheet may take what begins so for a
#: formula. None of them gets into a name (`domain/text.py`); this is the second wall.
FORMULA_STARTS = (61, 43, 45, 64, 9, 13, 0xFF1D, 0xFF0B, 0xFF0D, 0xFF20)
#: What a cell begins with that would else be taken for a formula.
GUARD = "'"


@dataclass(frozen=True)
class Form:
    """live, ended: SQL of one line, without its end. Each engine has its own way to put texts together quickly."""

    live: str
    ended: str

    @property
    def line(self) -> str:
        """SQL of the line of any entry."""
        return f"CASE WHEN ended_on IS NULL THEN {self.live} ELSE {self.ended} END"


def csv_header() -> bytes:
    """The first line of RFC 4180 files."""
    return ",".join(COLUMNS).encode() + b"\r\n"


def csv_form(dialect: str) -> Form:
    """A line of RFC 4180 without its CR LF. dialect: SQLAlchemy's name of the engine."""
    is_sqlite = dialect == "sqlite"
    cells = {name: STORED.get(name, name) for name in COLUMNS}
    cells |= {name: _quoted(name, is_sqlite=is_sqlite) for name in ("name", "affiliation_name")}
    cells["affiliation"] = "coalesce(affiliation_slug, '')"
    live = [cells[name] if name not in ("ended", "ended_by") else "''" for name in COLUMNS]
    ended = [cells[name] if name in ENDED else "''" for name in COLUMNS]
    return Form(_csv(live, is_sqlite=is_sqlite), _csv(ended, is_sqlite=is_sqlite))


def _csv(cells: list[str], *, is_sqlite: bool) -> str:
    if is_sqlite:
        return f"printf('{','.join(['%s'] * len(cells))}', {', '.join(cells)})"
    # Neighbouring empty cells are one value of commas: each value costs a call.
    joined: list[str] = []
    for cell, alike in groupby(cells):
        run = list(alike)
        joined += [f"'{',' * (len(run) - 1)}'"] if cell == "''" else run
    return f"concat_ws(',', {', '.join(joined)})"


def _quoted(column: str, *, is_sqlite: bool) -> str:
    first = f"{'unicode' if is_sqlite else 'ascii'}({column})"
    starts = ", ".join(map(str, FORMULA_STARTS))
    opening = f"""CASE WHEN {first} IN ({starts}) THEN '"{GUARD * 2}' ELSE '"' END"""
    return f"""coalesce({opening} || replace({column}, '"', '""') || '"', '')"""


def json_form(dialect: str) -> Form:
    """A JSON object without its line feed; what an entry has not is absent, as in the record line."""
    is_sqlite = dialect == "sqlite"
    live = [
        '{"number":', "number",
        ',"entry":"', "entry",
        '","rev":', "rev",
        ',"kind":"', "kind",
        '","display":"', "display",
        '"', _optional("name", is_sqlite=is_sqlite),
        ',"region":"', "region_code",
        '"', _optional("affiliation", is_sqlite=is_sqlite),
        "", _optional("affiliation_name", is_sqlite=is_sqlite),
        ',"charter":"', "edition_slug",
        '","signed":"', "signed_on",
        '","revision":', STORED["revision"],
    ]  # fmt: skip
    ended = [
        '{"number":', "number",
        ',"entry":"', "entry",
        '","signed":"', "signed_on",
        '","ended":"', "ended_on",
        '","ended_by":"', "ended_by",
        '","revision":', STORED["revision"],
    ]  # fmt: skip
    return Form(_json(live, is_sqlite=is_sqlite), _json(ended, is_sqlite=is_sqlite))


def _json(parts: list[str], *, is_sqlite: bool) -> str:
    """parts: words of the line and SQL of what follows them, in turns."""
    words, values = parts[::2], parts[1::2]
    if is_sqlite:
        return f"printf('{''.join(f'{word}%s' for word in words)}}}', {', '.join(values)})"
    together = ", ".join(f"'{word}', {value}" for word, value in zip(words, values, strict=True))
    return f"concat({together}, '}}')"


def _optional(key: str, *, is_sqlite: bool) -> str:
    column = STORED.get(key, key)
    value = f"json_quote({column})" if is_sqlite else f"to_json({column})::text"
    # json_quote makes the word null of what is absent.
    return f"""CASE WHEN {column} IS NULL THEN '' ELSE ',"{key}":' || {value} END"""
