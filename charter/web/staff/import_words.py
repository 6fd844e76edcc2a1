"""Words for lists of people: why a file cannot be read, what is wrong with a row, how a job stands."""

from __future__ import annotations

from collections.abc import Callable

from charter.domain.name import NAME_MAX_CHARS
from charter.domain.sheet import AFFILIATION_MAX_CHARS
from charter.domain.text import TextError, TextFault
from charter.i18n import _, format_number
from charter.i18n import lazy_gettext as _l
from charter.sheets.limits import MOST_CELL_CHARS, MOST_COLUMNS, MOST_ROWS
from charter.web.forms.base import fault_words
from charter.web.forms.importing import COLUMNS

STATES = {
    "reading": _l("Being read"),
    "mapping": _l("Waits for its columns"),
    "checking": _l("Being tried"),
    "checked": _l("Tried, not started"),
    "running": _l("Being imported"),
    "cancelled": _l("Called off"),
    "done": _l("Imported"),
    "failed": _l("Broken off"),
}
_FILES: dict[str, Callable[[], str]] = {
    "empty": lambda: _("There is nothing in this file but, perhaps, headings."),
    "older": lambda: _("This is an old or a protected workbook. Save it as XLSX without a password, or as CSV."),
    "unknown": lambda: _("This is no list that can be read here. Save it as XLSX or CSV."),
    "nul": lambda: _("This is no text, or it is damaged. Save the list once more as XLSX or CSV."),
    "damaged": lambda: _("The file is damaged. Save the list once more as XLSX or CSV."),
    "cell-too-long": lambda: _(
        "A cell is longer than %(count)s characters; perhaps a quotation mark is missing.",
        count=format_number(MOST_CELL_CHARS),
    ),
    "one-column": lambda: _("Only one column was found. Separate the columns by semicolons, commas or tabs."),
    "too-many-rows": lambda: _(
        "There are more than %(count)s rows. Divide the list into several files.", count=format_number(MOST_ROWS)
    ),
    "too-many-columns": lambda: _("There are more than %(count)s columns.", count=format_number(MOST_COLUMNS)),
    "too-large": lambda: _("The workbook is too large. Save the list alone, or as CSV."),
    "no-such-sheet": lambda: _("The workbook has no sheet of this name."),
}
_ERRORS: dict[str, Callable[[], str]] = {
    "lapsed": lambda: _("Nobody went on with it for a week, so what it held was erased."),
    "no-right": lambda: _("Whoever brought the list may no longer import."),
}
_MAPPING: dict[str, Callable[[], str]] = {
    "name": lambda: _("Choose the column of the full name, or those of surname and given name"),
    "email": lambda: _("Choose the column of the email"),
    "region": lambda: _("Choose the column of the region, or one region for every row"),
    "kind": lambda: _("Choose the column of the kind of observer or of the affiliation, or one for every row"),
    "twice": lambda: _("Every column can be chosen once; the full name stands in one column or in its parts"),
}
_ROWS: dict[str, Callable[[], str]] = {
    "email:empty": lambda: _("Email: %(fault)s", fault=_("Fill in this field")),
    "email:local_not_ascii": lambda: _("Email: %(fault)s", fault=_("Only addresses in Latin letters can be used")),
    "email:stopped": lambda: _("Whoever reads this mailbox has asked us not to write"),
    "email:bounced": lambda: _("Mail to this address came back: there is no such mailbox"),
    "region:empty": lambda: _("Region: %(fault)s", fault=_("Fill in this field")),
    "region:unknown": lambda: _("Region: no region, or more than one, is called so"),
    "region:not-yours": lambda: _("Region: you may import into your own regions only"),
    "region:gone": lambda: _("Region: it can no longer be chosen"),
    "kind:empty": lambda: _("Kind of observer: %(fault)s", fault=_("Fill in this field")),
    "kind:unknown": lambda: _("Kind of observer: write party, independent or international"),
    "affiliation:empty": lambda: _("Affiliation: %(fault)s", fault=_("Fill in this field")),
    "affiliation:gone": lambda: _("Affiliation: it can no longer be chosen"),
    "language:unknown": lambda: _("Language of messages: write kk, ru or en"),
    "row:stands": lambda: _("This person has signed already"),
    "row:waits": lambda: _("This person was written to already and has not confirmed yet"),
    "row:called-off": lambda: _("Not entered: the import was called off"),
    "row:not-done": lambda: _("Not entered: the import was broken off"),
}
_LONGEST = {"name": NAME_MAX_CHARS, "affiliation": AFFILIATION_MAX_CHARS}


def file_words(code: str, row: int | None) -> str:
    """Why a file cannot be used, and where."""
    words = _FILES.get(code, _FILES["damaged"])()
    return words if row is None else _("Row %(row)s: %(words)s", row=format_number(row), words=words)


def job_error_words(code: str) -> str:
    """Why a job was broken off."""
    return _ERRORS[code]() if code in _ERRORS else file_words(code, None)


def mapping_words(code: str) -> str:
    """What is missing in the choice of columns."""
    return _MAPPING[code]()


def row_words(code: str) -> str:
    """What is said of a row, in one sentence."""
    if code in _ROWS:
        return _ROWS[code]()
    field, _colon, rest = code.partition(":")
    if field == "row" and rest.startswith("same:"):
        return str(_("The same person as in row %(row)s", row=rest.removeprefix("same:")))
    if field == "name" and rest.startswith("similar:"):
        return str(_("Looks like application %(number)s, which stands already", number=rest.removeprefix("similar:")))
    if field == "email":
        return str(_("Email: %(fault)s", fault=_("This email address is not valid")))
    label = COLUMNS["full_name" if field == "name" else "affiliation"]
    if rest not in set(TextFault):
        return f"{label}: {rest}"
    fault = TextError(TextFault(rest), max_chars=_LONGEST.get(field, 0))
    return f"{label}: {fault_words(fault)}"
