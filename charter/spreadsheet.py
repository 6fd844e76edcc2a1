"""A selection of the registry as an XLSX workbook, written row by row in bounded memory."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date
from pathlib import Path
from typing import Any

from charter.domain.calendar import TIME_ZONE
from charter.domain.languages import LANGUAGES, Texts
from charter.i18n import _, format_datetime, format_number, speaking
from charter.queries.registry import AsOf
from charter.queries.search import EntryRow
from charter.queries.takeaway import Reading
from charter.queries.takeaway_lines import COLUMNS

MEDIA_TYPE = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
#: Excel reads 1,048,576 rows of a sheet; what is more goes on in a further sheet.
ROWS_OF_A_SHEET = 1_000_000
#: Excel counts days from here (ECMA-376 part 1, §18.17.4.1, with its day that never was).
_DAY_ZERO = date(1899, 12, 30).toordinal()
_WIDTHS = (10, 35, 5, 14, 10, 44, 9, 20, 44, 14, 12, 12, 11, 10)
assert len(_WIDTHS) == len(COLUMNS)


@dataclass(frozen=True)
class About:
    """What the workbook says about itself. selected: the parameters of the selection, as in an address."""

    page_urls: Texts  # language → where the columns are explained
    selected: str = ""
    licence: str = ""


class TooManyRowsError(Exception):
    """The selection is larger than was allowed."""


class LeftOffError(Exception):
    """Whoever wanted the workbook does not want it any more."""


def write(
    path: Path,
    reading: Reading,
    about: About,
    regions: list[tuple[str, Texts]],
    *,
    most_rows: int | None = None,
    is_wanted: Callable[[], bool] = lambda: True,
) -> None:
    """Writes the workbook to `path`. Needs an application context, for its words.

    path: in a folder of its own, where parts lie meanwhile and stay when it comes to nothing: remove it afterwards.
    regions: code and names. Raises TooManyRowsError, LeftOffError, BrokenOffError, OSError.
    """
    # Only here: half a second and some megabytes that most processes never need.
    from xlsxwriter import Workbook  # type: ignore[import-untyped]

    workbook = Workbook(str(path), {"constant_memory": True, "tmpdir": str(path.parent), "strings_to_urls": False})
    workbook.use_zip64()
    workbook.set_properties({"title": "Charter registry", "comments": about.page_urls["en"]})
    entries = _Entries(workbook)
    for rows in reading.rows():
        if most_rows is not None and reading.count > most_rows:
            raise TooManyRowsError
        if not is_wanted():
            raise LeftOffError
        entries.add(rows)
    entries.finish()
    _add_regions(workbook, regions)
    _add_about(workbook, about, reading)
    workbook.close()


class _Entries:
    """The sheets of entries: as many as it takes."""

    def __init__(self, workbook: Any) -> None:
        self._workbook = workbook
        self._day = workbook.add_format({"num_format": "yyyy-mm-dd"})
        self._head = workbook.add_format({"bold": True, "bottom": 1})
        self._sheets = 0
        self._begin()

    def add(self, rows: list[EntryRow]) -> None:
        for row in rows:
            if self._row > ROWS_OF_A_SHEET:
                self.finish()
                self._begin()
            self._write(row)
            self._row += 1

    def finish(self) -> None:
        """The last row of this sheet is written."""
        self._sheet.autofilter(0, 0, self._row - 1, len(COLUMNS) - 1)

    def _begin(self) -> None:
        self._sheets += 1
        self._sheet = self._workbook.add_worksheet("Registry" if self._sheets == 1 else f"Registry {self._sheets}")
        for place, (name, width) in enumerate(zip(COLUMNS, _WIDTHS, strict=True)):
            self._sheet.set_column(place, place, width)
            self._sheet.write_string(0, place, name, self._head)
        self._sheet.freeze_panes(1, 0)
        self._row = 1

    def _write(self, row: EntryRow) -> None:
        text, number, at = self._sheet.write_string, self._sheet.write_number, self._row
        number(at, 0, row.number)
        text(at, 1, row.entry)
        if row.ended_on is None:
            number(at, 2, row.rev)
            text(at, 3, row.kind)
            text(at, 4, row.display)
            # Written as a text, a cell is never a formula, whatever it begins with.
            if row.name is not None:
                text(at, 5, row.name)
            text(at, 6, row.region)
            if row.affiliation is not None:
                text(at, 7, row.affiliation)
            if row.affiliation_name is not None:
                text(at, 8, row.affiliation_name)
            text(at, 9, row.edition)
        number(at, 10, row.signed_on.toordinal() - _DAY_ZERO, self._day)
        if row.ended_on is not None:
            number(at, 11, row.ended_on.toordinal() - _DAY_ZERO, self._day)
            text(at, 12, row.ended_by or "")
        number(at, 13, row.revision)


def _add_regions(workbook: Any, regions: list[tuple[str, Texts]]) -> None:
    sheet = workbook.add_worksheet("Regions")
    head = workbook.add_format({"bold": True, "bottom": 1})
    sheet.set_column(1, len(LANGUAGES), 34)
    for place, name in enumerate(("region", *LANGUAGES)):
        sheet.write_string(0, place, name, head)
    for at, (code, names) in enumerate(regions, start=1):
        for place, value in enumerate((code, *(names[language] for language in LANGUAGES))):
            sheet.write_string(at, place, value)


def _add_about(workbook: Any, about: About, reading: Reading) -> None:
    sheet = workbook.add_worksheet("About")
    title = workbook.add_format({"bold": True, "font_size": 14})
    wrapped = workbook.add_format({"text_wrap": True, "valign": "top"})
    sheet.set_column(0, 0, 26)
    sheet.set_column(1, 1, 90)
    at = 0
    # For programs: the same in every language.
    for name, value in _facts(reading, about):
        sheet.write_string(at, 0, name)
        sheet.write_string(at, 1, value)
        at += 1
    for language in LANGUAGES:
        with speaking(language):
            at += 1
            sheet.write_string(at, 0, _("Registry of signatories of the Charter"), title)
            for sentence in _sentences(reading, about, language):
                at += 1
                sheet.write_string(at, 1, sentence, wrapped)
            at += 1


def _facts(reading: Reading, about: About) -> list[tuple[str, str]]:
    as_of = reading.as_of
    return [
        ("public_revision", str(as_of.revision if as_of else 0)),
        ("as_of (UTC)", as_of.at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if as_of else ""),
        ("as_of (Asia/Almaty)", as_of.at.astimezone(TIME_ZONE).isoformat() if as_of else ""),
        ("entries", str(reading.count)),
        ("selection", about.selected or "everything"),
        ("licence", about.licence),
    ]


def _sentences(reading: Reading, about: About, language: str) -> list[str]:
    count = format_number(reading.count)
    found = [as_of_words(reading.as_of), _("Entries in this file: %(count)s", count=count)]
    if about.selected:
        found.append(_("This is a selection, not the whole registry: %(selection)s", selection=about.selected))
    found.append(_("An entry that has ended keeps its line: number and dates, no name, region or affiliation."))
    found.append(_("What the columns mean: %(url)s", url=about.page_urls[language]))
    return found


def as_of_words(as_of: AsOf | None) -> str:
    """When this was true, and by which publication."""
    if as_of is None:
        return str(_("Nothing has been published yet."))
    moment, revision = format_datetime(as_of.at), format_number(as_of.revision)
    return str(_("As of %(moment)s, publication no. %(revision)s", moment=moment, revision=revision))
