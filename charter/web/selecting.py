"""A selection and its address: every list, file, feed and answer of the registry takes the same parameters."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import date
from typing import Any, Final

from flask import abort, request, url_for

from charter.domain.selection import BY_NAME, MOST_CHARS, NEWEST, ORDERS, Place, Selection
from charter.queries.registry import KINDS, RegionView
from charter.web import lists

#: What a selection is made of. region is a slug, from and to are days as YYYY-MM-DD.
PARAMETERS: Final = ("q", "region", "kind", "affiliation", "edition", "from", "to", "order")
#: Where a page stands: a registry number, behind or before which it begins in its order.
PLACES: Final = {NEWEST: ("older", "newer"), BY_NAME: ("after", "before")}
EVERY_PLACE: Final = tuple(name for names in PLACES.values() for name in names)

#: Numbers beyond this are mistyped, and would not fit the database's integers.
MOST_NUMBER = 10**15
MOST_DIGITS = 16
_DAY = re.compile("[0-9]{4}-[0-9]{2}-[0-9]{2}")


def read_selection(views: Sequence[RegionView], *, only: Collection[str] = PARAMETERS) -> Selection:
    """What the address selects; 404 for a value that is malformed or unknown. Other parameters are not looked at.

    views: the regions, in any language. only: the parameters that this page knows. A long `q` is cut, see `is_cut`.
    """

    def given(name: str) -> str | None:
        return (request.args.get(name) or None) if name in only else None

    region = given("region")
    codes = {view.slug: view.code for view in views}
    return Selection(
        asked=" ".join((given("q") or "").split())[:MOST_CHARS].strip(),
        region=None if region is None else codes.get(region) or abort(404),
        kind=_one_of(KINDS, given("kind")),
        affiliation=_one_of(lists.affiliations, given("affiliation")),
        edition=_one_of(lists.editions, given("edition")),
        signed_from=_day(given("from")),
        signed_to=_day(given("to")),
        order=_one_of(ORDERS, given("order")) or NEWEST,
    )


def is_cut() -> bool:
    """Whether more was asked for in `q` than is looked at."""
    return len(" ".join(request.args.get("q", "").split())) > MOST_CHARS


def read_place(selection: Selection) -> Place | None:
    """Where in the selection's order the page stands; None for the first. 404 for what is no number of ours."""
    on, back = PLACES[selection.order]
    number = _number(back)
    if number is not None:
        return Place(number, is_back=True)
    number = _number(on)
    return None if number is None else Place(number)


def parameters_of(selection: Selection) -> dict[str, str]:
    """The parameters that `read_selection` reads as this selection; what is not given is left out."""
    region = lists.regions().by_code.get(selection.region or "")
    found = {
        "q": selection.asked,
        "region": region.slug if region else None,
        "kind": selection.kind,
        "affiliation": selection.affiliation,
        "edition": selection.edition,
        "from": selection.signed_from and selection.signed_from.isoformat(),
        "to": selection.signed_to and selection.signed_to.isoformat(),
        "order": None if selection.order == NEWEST else selection.order,
    }
    return {name: value for name, value in found.items() if value}


def address_of(endpoint: str, selection: Selection, *, place: Place | None = None, **more: Any) -> str:
    """The path and query of `endpoint` for this selection, and for one page of it. more: further parameters."""
    if place is not None:
        on, back = PLACES[selection.order]
        more[back if place.is_back else on] = place.number
    return url_for(endpoint, **(parameters_of(selection) | more))


def without(selection: Selection, *names: str) -> Selection:
    """The selection as if nothing had been said of these fields."""
    empty = Selection()
    return replace(selection, **{name: getattr(empty, name) for name in names})


def _one_of(known: Any, value: str | None) -> str | None:
    """known: a collection, or what makes it: it is looked at only if there is a value."""
    if value is not None and value not in (known() if callable(known) else known):
        abort(404)
    return value


def _day(value: str | None) -> date | None:
    if value is None:
        return None
    if not _DAY.fullmatch(value):
        abort(404)
    try:
        return date.fromisoformat(value)
    except ValueError:
        abort(404)


def _number(name: str) -> int | None:
    raw = request.args.get(name)
    if raw is None:
        return None
    # The length first: int() itself refuses thousands of digits.
    if not (raw.isascii() and raw.isdigit()) or len(raw) > MOST_DIGITS or int(raw) > MOST_NUMBER:
        abort(404)
    return int(raw)
