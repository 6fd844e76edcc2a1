"""Parties, organisations and missions as the public sees them: who observes for them, where, and under which names."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from sqlalchemy import func, select

from charter.models.affiliation import Affiliation, faces
from charter.models.base import db
from charter.models.registry import AffiliationCount


@dataclass(frozen=True)
class AffiliationShort:
    """An affiliation in a list. type: party | organisation | mission. total: entries that show it now."""

    slug: str
    type: str
    name: str
    abbr: str | None
    total: int
    merged_into: str | None


@dataclass(frozen=True)
class FormerName:
    """until: YYYY-MM-DD, or YYYY-MM where the day is not known."""

    name: str
    until: str


@dataclass(frozen=True)
class AffiliationView:
    """One affiliation in one language. by_region: (ISO 3166-2 or ZZ, kind of observer, entries that show it now)."""

    slug: str
    type: str
    name: str
    abbr: str | None
    total: int
    former_names: Sequence[FormerName]
    merged_into: AffiliationShort | None
    merged_from: Sequence[AffiliationShort]
    by_region: Sequence[tuple[str, str, int]]


def affiliations(language: str, *, on: date) -> list[AffiliationShort]:
    """Every affiliation that can be chosen on this day, or that somebody shows, or that took part in a merger.

    Two queries.
    """
    totals = _totals()
    rows = faces(db.session.scalars(select(Affiliation)))
    joined = {row.merged_into for row in rows}
    found = [_short(row, language, totals) for row in rows]
    return [
        one
        for one, row in zip(found, rows, strict=True)
        if one.total
        or (row.slug in joined)
        or (_has_begun(row, on) and (one.merged_into or (row.is_selectable and _is_going_on(row, on))))
    ]


def _has_begun(row: Affiliation, on: date) -> bool:
    return row.valid_from is None or row.valid_from <= on


def _is_going_on(row: Affiliation, on: date) -> bool:
    return row.valid_to is None or on <= row.valid_to


def find_affiliation(slug: str, language: str, *, on: date) -> AffiliationView | None:
    """One affiliation, with those that merged into it; None before its time. A constant number of queries."""
    rows = {row.slug: row for row in faces(db.session.scalars(select(Affiliation)))}
    row = rows.get(slug)
    if row is None:
        return None
    totals = _totals()
    if not _has_begun(row, on) and not totals.get(slug):
        return None
    counts = db.session.execute(
        select(AffiliationCount.region_code, AffiliationCount.kind, AffiliationCount.listed)
        .where(AffiliationCount.affiliation_slug == slug, AffiliationCount.listed > 0)
        .order_by(AffiliationCount.region_code, AffiliationCount.kind)
    ).all()
    into = rows.get(row.merged_into) if row.merged_into else None
    return AffiliationView(
        slug=row.slug,
        type=row.type,
        name=row.name[language],
        abbr=row.abbr[language] if row.abbr else None,
        total=totals.get(slug, 0),
        former_names=[FormerName(one["name"][language], one["until"]) for one in row.former_names or ()],
        merged_into=None if into is None else _short(into, language, totals),
        merged_from=[_short(one, language, totals) for one in rows.values() if one.merged_into == slug],
        by_region=[(one.region_code, one.kind, one.listed) for one in counts],
    )


def of_region(region_code: str) -> dict[str, int]:
    """How many entries of a region show which affiliation, by slug."""
    query = (
        select(AffiliationCount.affiliation_slug, func.sum(AffiliationCount.listed))
        .where(AffiliationCount.region_code == region_code, AffiliationCount.listed > 0)
        .group_by(AffiliationCount.affiliation_slug)
    )
    return {slug: int(listed) for slug, listed in db.session.execute(query)}


def _totals() -> dict[str, int]:
    query = select(AffiliationCount.affiliation_slug, func.sum(AffiliationCount.listed)).group_by(
        AffiliationCount.affiliation_slug
    )
    return {slug: int(listed) for slug, listed in db.session.execute(query)}


def _short(row: Affiliation, language: str, totals: dict[str, int]) -> AffiliationShort:
    return AffiliationShort(
        slug=row.slug,
        type=row.type,
        name=row.name[language],
        abbr=row.abbr[language] if row.abbr else None,
        total=totals.get(row.slug, 0),
        merged_into=row.merged_into,
    )
