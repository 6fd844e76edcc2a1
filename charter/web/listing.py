"""A list of entries on a page: its lines and neighbours, and in words what was chosen, each part with a way back."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from flask import g, redirect
from werkzeug.wrappers import Response

from charter.domain.selection import BY_NAME, NEWEST, Selection
from charter.i18n import _, format_date
from charter.queries import search
from charter.queries.affiliations import AffiliationShort
from charter.queries.registry import KINDS
from charter.web import lists
from charter.web.labels import KINDS as KIND_NAMES
from charter.web.selecting import address_of, read_place, without

#: Types of affiliations in the order of pages.
TYPES = ("party", "organisation", "mission")


@dataclass(frozen=True)
class Choice:
    """A part of a selection in words, and the address of the list without it or with it."""

    words: str
    url: str
    is_current: bool = False


def list_page(
    selection: Selection,
    endpoint: str,
    *,
    region: str | None = None,
    affiliation: str | None = None,
    **fixed: Any,
) -> dict[str, Any] | Response:
    """What the template of a list needs, or a redirect to the first page where the place in the order is lost.

    region, affiliation: what the page itself stands for, beside what its address selects. fixed: parts of the path.
    """
    place = read_place(selection)
    whole = replace(selection, region=region or selection.region, affiliation=affiliation or selection.affiliation)
    try:
        page = search.find_page(whole, lists.regions().views, place=place)
    except search.PlaceLostError:
        # The entry that the page went on from has lost its name, and with it its place in the alphabet.
        return redirect(address_of(endpoint, selection, **fixed))
    is_by_name = selection.order == BY_NAME
    other = replace(selection, order=NEWEST if is_by_name else BY_NAME)
    return {
        "lines": page.lines,
        "next_url": page.next and address_of(endpoint, selection, place=page.next, **fixed),
        "previous_url": page.previous and address_of(endpoint, selection, place=page.previous, **fixed),
        "first_url": place and address_of(endpoint, selection, **fixed),
        "selection": selection,
        "whole": whole,
        "is_by_name": is_by_name,
        "other_order_url": address_of(endpoint, other, **fixed),
        "as_of": g.as_of,
    }


def kind_choices(selection: Selection, endpoint: str, **fixed: Any) -> list[Choice]:
    """All observers, or those of one kind."""
    choices = [
        Choice(_("All observers"), address_of(endpoint, without(selection, "kind"), **fixed), not selection.kind)
    ]
    for kind in KINDS:
        url = address_of(endpoint, replace(selection, kind=kind), **fixed)
        choices.append(Choice(str(KIND_NAMES[kind]), url, is_current=selection.kind == kind))
    return choices


def chosen(selection: Selection, endpoint: str) -> list[Choice]:
    """Every part of the selection but its order, each with the address of the list without it."""

    def choice(field: str, words: str) -> Choice:
        return Choice(words, address_of(endpoint, without(selection, field)))

    return [choice(field, words) for field, words in _words(selection)]


def by_type(*, also: str | None = None, every: bool = False) -> list[tuple[str, list[AffiliationShort]]]:
    """Affiliations that somebody in the registry observes for, by type. also: a slug to be there in any case."""
    found: dict[str, list[AffiliationShort]] = {}
    for one in lists.affiliations().values():
        if one.total or every or one.slug == also:
            found.setdefault(one.type, []).append(one)
    return [(name, found[name]) for name in TYPES if name in found]


def _words(selection: Selection) -> Iterator[tuple[str, str]]:
    if selection.asked:
        yield "asked", _("“%(words)s”", words=selection.asked)
    if selection.region:
        yield "region", lists.regions().by_code[selection.region].short
    if selection.kind:
        yield "kind", str(KIND_NAMES[selection.kind])
    if selection.affiliation:
        one = lists.affiliations()[selection.affiliation]
        yield "affiliation", one.abbr or one.name
    if selection.edition:
        yield "edition", _("Edition %(edition)s", edition=selection.edition)
    if selection.signed_from:
        yield "signed_from", _("signed from %(date)s", date=format_date(selection.signed_from))
    if selection.signed_to:
        yield "signed_to", _("signed up to %(date)s", date=format_date(selection.signed_to))
