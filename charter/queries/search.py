"""Finding people in the registry: a page, how many, and what was perhaps meant. Only what is public is found."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from functools import lru_cache
from typing import Any, cast

from sqlalchemy import ColumnElement, Select, bindparam, func, select, tuple_

from charter.domain.selection import BY_NAME, NEWEST, Place, Selection
from charter.models.base import db
from charter.models.registry import AffiliationCount, DaySpan, PublicEntry, RegionCount
from charter.queries import search_index
from charter.queries.registry import PAGE_SIZE, RegionView, RegistryEntry, RegistryPage

#: Beyond this nobody counts along.
MOST_COUNTED = 1000
#: So many found entries are put in order by name; more are met by walking through the order itself.
MOST_SORTED = 20_000


class PlaceLostError(LookupError):
    """The entry that a page by name goes on from has no name any more."""


@dataclass(frozen=True)
class Count:
    """How many entries are shown. is_exact: False for MOST_COUNTED or more, which were not counted further."""

    number: int
    is_exact: bool


@dataclass(frozen=True)
class EntryRow:
    """One entry as plain values, for files and the API: exactly what is public.

    region: ISO 3166-2 or ZZ. affiliation: slug. revision: the `public_revision` of its last change.
    """

    number: int
    entry: str
    rev: int
    kind: str
    display: str
    name: str | None
    region: str
    affiliation: str | None
    affiliation_name: str | None
    edition: str
    signed_on: date
    ended_on: date | None
    ended_by: str | None
    revision: int


# Columns of the table, not of the model: what is read is made into plain values at once, and the session's work for
# models would take as long as the database.
_ENTRY = PublicEntry.__table__.c
_COLUMNS = (
    _ENTRY.number,
    _ENTRY.entry,
    _ENTRY.rev,
    _ENTRY.kind,
    _ENTRY.display,
    _ENTRY.name,
    _ENTRY.region_code,
    _ENTRY.affiliation_slug,
    _ENTRY.affiliation_name,
    _ENTRY.edition_slug,
    _ENTRY.signed_on,
    _ENTRY.ended_on,
    _ENTRY.ended_by,
    func.coalesce(_ENTRY.changed_revision, 0),
)


def find_page(
    selection: Selection, views: Sequence[RegionView], *, place: Place | None = None, size: int = PAGE_SIZE
) -> RegistryPage:
    """One page by keyset, in the order of the selection, wherever it begins.

    views: the regions in the page's language. Raises PlaceLostError.
    """
    rows, has_before, has_behind = _find(selection, place=place, size=size)
    by_code = {view.code: view for view in views}
    lines = [_line(row, by_code) for row in rows]
    previous = Place(lines[0].number, is_back=True) if lines and has_before else None
    following = Place(lines[-1].number) if lines and has_behind else None
    is_by_name = selection.order == BY_NAME
    return RegistryPage(
        lines=lines,
        older_than=None if is_by_name or following is None else following.number,
        newer_than=None if is_by_name or previous is None else previous.number,
        next=following,
        previous=previous,
    )


def find_rows(
    selection: Selection, *, place: Place | None = None, size: int = PAGE_SIZE
) -> tuple[list[EntryRow], bool, bool]:
    """One page as plain rows, and whether there are entries before and behind it. Raises PlaceLostError."""
    rows, has_before, has_behind = _find(selection, place=place, size=size)
    return [_row(row) for row in rows], has_before, has_behind


def _find(selection: Selection, *, place: Place | None, size: int) -> tuple[Sequence[Any], bool, bool]:
    """The same as tuples of _COLUMNS."""
    if selection.is_empty:
        return [], False, False
    is_back = place is not None and place.is_back
    statement, values = _plain(selection, place, size + 1) or (_statement(selection, place, size + 1), {})
    rows = [] if statement is None else list(db.session.execute(statement, values).all())
    has_more = len(rows) > size
    rows = rows[:size]
    if is_back:
        rows.reverse()
        return rows, has_more, bool(rows)
    return rows, place is not None and bool(rows), has_more


def stream(selection: Selection, *, window: int = 5000) -> Iterator[list[EntryRow]]:
    """Every entry of the selection in its order, in windows by keyset; nothing of a window is kept."""
    place: Place | None = None
    while True:
        rows, _, has_more = find_rows(selection, place=place, size=window)
        if rows:
            yield rows
        if not has_more:
            return
        place = Place(rows[-1].number)


def find_changes(*, since: int, after: tuple[int, int] | None = None, size: int) -> list[EntryRow]:
    """Entries whose last change is later than the `public_revision` `since`, ended ones too, in the order of change.

    after: (revision, number) of the last entry that was seen: those behind it.
    """
    key = tuple_(_ENTRY.changed_revision, _ENTRY.number)
    query = select(*_COLUMNS).where(_ENTRY.changed_revision > since)
    if after is not None:
        query = query.where(key > tuple_(*after))
    query = query.order_by(_ENTRY.changed_revision, _ENTRY.number).limit(size)
    return [_row(row) for row in db.session.execute(query)]


def find_row(*, number: int | None = None, entry: str | None = None) -> EntryRow | None:
    """One entry by its number or its permanent id."""
    wanted = _ENTRY.number == number if number is not None else _ENTRY.entry == entry
    row = db.session.execute(select(*_COLUMNS).where(wanted)).first()
    return None if row is None else _row(row)


def count(selection: Selection) -> Count:
    """How many entries of the selection are shown: exact where a counter is kept, else up to MOST_COUNTED."""
    if selection.is_empty:
        return Count(0, is_exact=True)
    if not (selection.words or selection.has_dates or selection.edition):
        return Count(_counted(selection), is_exact=True)
    if selection.words and not (selection.kind or selection.edition or selection.has_dates):
        found = len(search_index.find_numbers(selection, search_index.Part(MOST_COUNTED + 1)))
    else:
        statement = _statement(replace(selection, order=NEWEST), None, MOST_COUNTED + 1)
        if statement is None:
            return Count(0, is_exact=True)
        query = statement.where(_ENTRY.ended_on.is_(None)).with_only_columns(_ENTRY.number)
        found = len(db.session.execute(query).all())
    return Count(min(found, MOST_COUNTED), is_exact=found <= MOST_COUNTED)


def _counted(selection: Selection) -> int:
    model: Any = RegionCount
    shown = func.sum(RegionCount.listed + RegionCount.unlisted)
    if selection.affiliation is not None:
        model = AffiliationCount
        shown = func.sum(AffiliationCount.listed)
    query = select(func.coalesce(shown, 0))
    if selection.affiliation is not None:
        query = query.where(AffiliationCount.affiliation_slug == selection.affiliation)
    if selection.region is not None:
        query = query.where(model.region_code == selection.region)
    if selection.kind is not None:
        query = query.where(model.kind == selection.kind)
    return int(db.session.execute(query).scalar_one())


# ── the statement ────────────────────────────────────────────────────────────────────────────────────────────────────


def _statement(selection: Selection, place: Place | None, limit: int) -> Select[Any] | None:
    """Rows of a page, or None if no entry can fit."""
    bounds = _dates(selection)
    if bounds is None:
        return None
    if selection.order == BY_NAME:
        return _by_name(selection, place, limit, bounds)
    is_descending = place is None or not place.is_back
    if place is not None:
        bounds = [*bounds, ("<" if is_descending else ">", place.number)]
    part = search_index.Part(limit, is_descending, bounds, _row_filters(selection, in_index=True))
    query = select(*_COLUMNS)
    if selection.words:
        query = query.where(search_index.among(search_index.find_numbers(selection, part)))
    else:
        query = query.where(*_row_filters(selection), *part.within(_ENTRY.number))
    query = query.order_by(_ENTRY.number.desc() if is_descending else _ENTRY.number).limit(limit)
    return cast("Select[Any]", query)


def _plain(selection: Selection, place: Place | None, limit: int) -> tuple[Select[Any], dict[str, Any]] | None:
    """What most pages ask, newest first by region, affiliation and kind at most: put together once for each sort.

    None for every other selection.
    """
    if selection.words or selection.has_dates or selection.edition or selection.order == BY_NAME:
        return None
    given = {"region_code": selection.region, "affiliation_slug": selection.affiliation, "kind": selection.kind}
    values: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    sign = None if place is None else ">" if place.is_back else "<"
    statement = _plain_statement(tuple(values), sign, limit)
    return statement, values if place is None else values | {"place": place.number}


@lru_cache(maxsize=64)
def _plain_statement(names: tuple[str, ...], sign: str | None, limit: int) -> Select[Any]:
    query = select(*_COLUMNS).where(*(_ENTRY[name] == bindparam(name) for name in names))
    if "region_code" in names or "kind" in names:
        # As in `_row_filters`.
        query = query.where(_ENTRY.ended_on.is_(None))
    if sign is not None:
        query = query.where(_ENTRY.number.op(sign, is_comparison=True)(bindparam("place")))
    return query.order_by(_ENTRY.number if sign == ">" else _ENTRY.number.desc()).limit(limit)


def _by_name(
    selection: Selection, place: Place | None, limit: int, bounds: list[tuple[str, int]]
) -> Select[Any] | None:
    is_back = place is not None and place.is_back
    query = select(*_COLUMNS).where(*_row_filters(selection), _ENTRY.sort_key.is_not(None))
    if selection.words:
        part = search_index.Part(MOST_SORTED + 1, bounds=bounds)
        numbers = search_index.find_numbers(selection, part)
        is_few = len(numbers) <= MOST_SORTED
        query = query.where(*([search_index.among(numbers)] if is_few else search_index.holds(selection)))
    if selection.has_dates:
        query = query.where(*(_ENTRY.number.op(sign, is_comparison=True)(value) for sign, value in bounds))
    if place is not None:
        key = _key_of(place.number)
        at = tuple_(_ENTRY.sort_key, _ENTRY.number)
        query = query.where(at < tuple_(key, place.number) if is_back else at > tuple_(key, place.number))
    columns = (_ENTRY.sort_key, _ENTRY.number)
    query = query.order_by(*(one.desc() if is_back else one for one in columns)).limit(limit)
    return cast("Select[Any]", query)


def _key_of(number: int) -> str:
    """Raises PlaceLostError where an order by name cannot go on from this entry."""
    row = db.session.execute(select(_ENTRY.sort_key, _ENTRY.ended_on).where(_ENTRY.number == number)).first()
    if row is None or row.sort_key is None or row.ended_on is not None:
        raise PlaceLostError
    return str(row.sort_key)


def _row_filters(selection: Selection, *, in_index: bool = False) -> list[ColumnElement[bool]]:
    """What each row has to fulfil. in_index: without the filters that the search index has taken care of."""
    found: list[ColumnElement[bool]] = []
    if not in_index:
        if selection.region or selection.kind or selection.edition:
            # Region, kind and edition of an ended entry have left the registry: no list may tell them.
            found.append(_ENTRY.ended_on.is_(None))
        if selection.region is not None:
            found.append(_ENTRY.region_code == selection.region)
        if selection.affiliation is not None:
            found.append(_ENTRY.affiliation_slug == selection.affiliation)
    if selection.kind is not None:
        found.append(_ENTRY.kind == selection.kind)
    if selection.edition is not None:
        found.append(_ENTRY.edition_slug == selection.edition)
    if selection.signed_from is not None:
        found.append(_ENTRY.signed_on >= selection.signed_from)
    if selection.signed_to is not None:
        found.append(_ENTRY.signed_on <= selection.signed_to)
    return found


def _dates(selection: Selection) -> list[tuple[str, int]] | None:
    """Between which numbers the dates lie: no page reads beyond them. None if nobody signed then."""
    if not selection.has_dates:
        return []
    query = select(func.min(DaySpan.first_number), func.max(DaySpan.last_number))
    if selection.signed_from is not None:
        query = query.where(DaySpan.signed_on >= selection.signed_from)
    if selection.signed_to is not None:
        query = query.where(DaySpan.signed_on <= selection.signed_to)
    found = db.session.execute(query).one()
    # Of no day at all the lowest is NULL, which the types do not know.
    first, last = cast("tuple[int | None, int]", tuple(found))
    return None if first is None else [(">=", first), ("<=", last)]


def _row(row: Any) -> EntryRow:
    return EntryRow(*row)


def _line(row: Any, regions: Mapping[str, RegionView]) -> RegistryEntry:
    number, entry, _rev, kind, display, name, region, slug, affiliation, edition, signed_on, ended_on, ended_by, _at = (
        row
    )
    return RegistryEntry(
        entry,
        number,
        kind,
        display,
        name,
        regions[region],
        affiliation,
        signed_on,
        edition,
        ended_on,
        ended_by,
        slug,
    )
