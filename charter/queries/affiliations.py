"""Parties, organisations and missions as the public sees them: who observes for them, where, and under which names."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import func, select

from charter.models.affiliation import Affiliation
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


def affiliations(language: str) -> list[AffiliationShort]:
    """Every affiliation that can be chosen, or that somebody shows: two queries."""
    totals = _totals()
    rows = db.session.scalars(select(Affiliation)).all()
    found = [_short(row, language, totals) for row in rows]
    return [one for one, row in zip(found, rows, strict=True) if row.is_selectable or one.total or one.merged_into]


def find_affiliation(slug: str, language: str) -> AffiliationView | None:
    """One affiliation, with those that merged into it: a constant number of queries."""
    rows = {row.slug: row for row in db.session.scalars(select(Affiliation))}
    row = rows.get(slug)
    if row is None:
        return None
    totals = _totals()
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
