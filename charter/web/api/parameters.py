"""The parameters of an address: declared once, read and refused here, and written into the OpenAPI document."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from werkzeug.datastructures import MultiDict

from charter.domain.selection import MOST_CHARS, NEWEST, ORDERS
from charter.i18n import lazy_gettext as _l
from charter.queries.registry import KINDS, PAGE_SIZE
from charter.web.api.problems import INVALID, UNKNOWN, ProblemError
from charter.web.selecting import MOST_NUMBER

MOST_SIZE = 200
SLUG = r"^[a-z0-9]+(-[a-z0-9]+)*$"
_DAY = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$"

#: What was asked: each parameter that was given, by its name, as str, int or date.
Asked = Mapping[str, Any]


@dataclass(frozen=True)
class Parameter:
    """schema: JSON Schema of the value; what it refuses is refused. words: what it does. example: for the page."""

    name: str
    schema: Mapping[str, Any]
    words: Any
    example: str

    def read(self, raw: str) -> str | int | date:
        """The value. Raises ProblemError, which names this parameter."""
        if self.schema["type"] == "integer":
            return self._number(raw)
        if not raw.strip():
            raise self.refusal("It is empty: leave the parameter out.")
        if len(raw) > self.schema.get("maxLength", len(raw)):
            raise self.refusal(f"It has more than {self.schema['maxLength']} characters.")
        if "enum" in self.schema and raw not in self.schema["enum"]:
            raise self.refusal(f"It is one of: {', '.join(self.schema['enum'])}.")
        pattern = self.schema.get("pattern", "")
        if pattern.startswith("^") and not re.fullmatch(pattern, raw):
            raise self.refusal(f"It does not match {pattern}.")
        return self._day(raw) if self.schema.get("format") == "date" else raw

    def refusal(self, why: str) -> ProblemError:
        """What is raised for a value that cannot be used. why: a sentence without anything of the request."""
        return ProblemError(INVALID, f"{self.name}: {why}", parameter=self.name)

    def _number(self, raw: str) -> int:
        low, high = self.schema["minimum"], self.schema["maximum"]
        # The length first: int() itself refuses thousands of digits.
        if not (raw.isascii() and raw.isdigit()) or len(raw) > len(str(high)) or not low <= int(raw) <= high:
            raise self.refusal(f"It is a whole number from {low} to {high}.")
        return int(raw)

    def _day(self, raw: str) -> date:
        try:
            return date.fromisoformat(raw)
        except ValueError:
            raise self.refusal("There is no such day.") from None


def _text(pattern: str | None = None, *, most: int, **more: Any) -> dict[str, Any]:
    return {"type": "string", "minLength": 1, "maxLength": most, **({"pattern": pattern} if pattern else {}), **more}


Q = Parameter(
    "q",
    _text("\\S", most=MOST_CHARS),
    _l("Words of a name or affiliation, in any alphabet and order; the beginning of a word is enough."),
    "Оспанова",
)
REGION = Parameter(
    "region", _text(r"^[A-Za-z0-9]+(-[A-Za-z0-9]+)*$", most=40), _l("A region, by its code or short name."), "KZ-75"
)
KIND = Parameter("kind", {"type": "string", "enum": list(KINDS)}, _l("A kind of observer."), "independent")
AFFILIATION = Parameter("affiliation", _text(SLUG, most=64), _l("An affiliation, by its short name."), "amanat")
EDITION = Parameter("edition", _text(SLUG, most=64), _l("The edition of the Charter that was signed."), "specimen-1")
FROM = Parameter(
    "from", {"type": "string", "format": "date", "pattern": _DAY}, _l("Signed on this day or later."), "2026-11-01"
)
TO = Parameter(
    "to", {"type": "string", "format": "date", "pattern": _DAY}, _l("Signed on this day or earlier."), "2026-11-30"
)
ORDER = Parameter(
    "order",
    {"type": "string", "enum": list(ORDERS), "default": NEWEST},
    _l("The newest first, or by name in Kazakh alphabetical order."),
    "name",
)
SIZE = Parameter(
    "size",
    {"type": "integer", "minimum": 1, "maximum": MOST_SIZE, "default": PAGE_SIZE},
    _l("How many entries one answer holds at most."),
    "200",
)
CURSOR = Parameter(
    "cursor",
    _text(r"^[A-Za-z0-9_-]+$", most=120),
    _l("Where to go on: the value of next or previous in an answer, with all the other parameters as they were."),
    "Kzk1MS5iOTRkMjdiOQ",
)
SINCE = Parameter(
    "since",
    {"type": "integer", "minimum": 0, "maximum": MOST_NUMBER},
    _l("Only what changed after this public revision, in the order of change; goes with size and cursor alone."),
    "0",
)
FILTERS = (Q, REGION, KIND, AFFILIATION, EDITION, FROM, TO)
ENTRIES = (*FILTERS, ORDER, SIZE, CURSOR, SINCE)


def read(args: MultiDict[str, str], allowed: tuple[Parameter, ...] = ()) -> Asked:
    """The values of what was given. Raises ProblemError for an unknown parameter and for one that cannot be used."""
    known = {one.name: one for one in allowed}
    for name in args:
        if name not in known:
            allowed_names = ", ".join(known) or "none"
            # A name that nobody typed by mistake is not said back: it may be anything.
            shown = name if re.fullmatch(r"[a-z_]{1,20}", name) else None
            raise ProblemError(UNKNOWN, f"The parameters of this address are: {allowed_names}.", parameter=shown)
    asked: dict[str, Any] = {}
    for name, values in args.lists():
        if len(values) > 1:
            raise known[name].refusal("It stands in the address more than once.")
        asked[name] = known[name].read(values[0])
    if FROM.name in asked and TO.name in asked and asked[FROM.name] > asked[TO.name]:
        raise FROM.refusal("It is later than to.")
    if SINCE.name in asked:
        for parameter in (*FILTERS, ORDER):
            if parameter.name in asked:
                raise parameter.refusal("It does not go with since: what leaves a selection would never be told.")
    return asked
