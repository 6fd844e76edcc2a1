"""What programs read beside the entries: regions, affiliations and editions, each in all languages at once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from sqlalchemy import Select, func, select

from charter.domain.languages import LANGUAGES, Texts
from charter.domain.validity import is_valid_on
from charter.models.affiliation import Affiliation, Region, faces
from charter.models.base import db
from charter.models.edition import Edition, EditionText
from charter.models.registry import AffiliationCount, RegionCount
from charter.queries.editions import counts as edition_counts
from charter.queries.registry import KINDS, Totals
from charter.queries.statistics import signatures_by_day

_NO_TEXTS: Mapping[str, str] = {}


@dataclass(frozen=True)
class RegionFigures:
    """A region with its totals. code: ISO 3166-2 or ZZ. totals.by_kind: what is shown now."""

    code: str
    slug: str
    name: Texts
    totals: Totals


@dataclass(frozen=True)
class FormerName:
    """A name that an affiliation bore. until: "YYYY-MM-DD", or "YYYY-MM" where the day is not known."""

    name: Texts
    until: str


@dataclass(frozen=True)
class AffiliationFigures:
    """An affiliation. type: party | organisation | mission. listed: entries that show it now."""

    slug: str
    type: str
    name: Texts
    abbr: Texts
    merged_into: str | None
    former_names: tuple[FormerName, ...]
    listed: int


@dataclass(frozen=True)
class AffiliationPlace:
    """How many entries of one kind show an affiliation in one region. region: ISO 3166-2 or ZZ."""

    region: str
    kind: str
    listed: int


@dataclass(frozen=True)
class Week:
    """How many signatures bear a date of one week, whatever became of them. first_on: its Monday."""

    first_on: date
    by_kind: Mapping[str, int]


@dataclass(frozen=True)
class EditionTextFile:
    """One language of an edition. sha256: hex of the exact bytes."""

    language: str
    sha256: str
    bytes_count: int


@dataclass(frozen=True)
class EditionFigures:
    """An edition of the Charter with the digests of its texts."""

    slug: str
    is_current: bool
    is_specimen: bool
    published_on: date
    texts: tuple[EditionTextFile, ...]
    is_material: bool | None = None
    follows: str | None = None
    shown: int = 0


def regions(*, on: date | None = None) -> tuple[RegionFigures, ...]:
    """Every region, by its code; on: those that are valid on this day or have entries. Two queries."""
    counts: dict[str, list[RegionCount]] = {}
    for count in db.session.scalars(select(RegionCount)):
        counts.setdefault(count.region_code, []).append(count)
    return tuple(
        RegionFigures(row.code, row.slug, row.name, _totals(counts.get(row.code, [])))
        for row in faces(db.session.scalars(select(Region).order_by(Region.code)))
        if on is None or row.code in counts or is_valid_on(on, valid_from=row.valid_from, valid_to=row.valid_to)
    )


def sum_of(figures: tuple[RegionFigures, ...]) -> Totals:
    """The totals of the whole registry."""
    by_kind = {kind: sum((one.totals.by_kind or {}).get(kind, 0) for one in figures) for kind in KINDS}
    return Totals(
        listed=sum(one.totals.listed for one in figures),
        unlisted=sum(one.totals.unlisted for one in figures),
        withdrawn=sum(one.totals.withdrawn for one in figures),
        revoked=sum(one.totals.revoked for one in figures),
        by_kind=by_kind,
    )


def affiliations(*, on: date) -> tuple[AffiliationFigures, ...]:
    """Every affiliation but those whose time has not come on this day, by its slug: two queries."""
    shown = (
        select(AffiliationCount.affiliation_slug, func.sum(AffiliationCount.listed).label("listed"))
        .group_by(AffiliationCount.affiliation_slug)
        .subquery()
    )
    query: Select[Any] = (
        select(Affiliation, shown.c.listed)
        .outerjoin(shown, shown.c.affiliation_slug == Affiliation.slug)
        .order_by(Affiliation.slug)
    )
    return tuple(
        _affiliation(face, int(listed or 0))
        for row, listed in db.session.execute(query)
        for face in faces([row])
        if listed or face.valid_from is None or face.valid_from <= on
    )


def places_of(slug: str) -> list[AffiliationPlace]:
    """Where an affiliation is shown, by region and kind; nothing where it is not: one query."""
    query = (
        select(AffiliationCount.region_code, AffiliationCount.kind, AffiliationCount.listed)
        .where(AffiliationCount.affiliation_slug == slug, AffiliationCount.listed > 0)
        .order_by(AffiliationCount.region_code, AffiliationCount.kind)
    )
    return [AffiliationPlace(row.region_code, row.kind, row.listed) for row in db.session.execute(query)]


def weeks() -> tuple[Week, ...]:
    """Every week from the first signature to the newest, those without any too: one query."""
    found: dict[date, dict[str, int]] = {}
    for day, by_kind in signatures_by_day().items():
        week = found.setdefault(day - timedelta(days=day.weekday()), dict.fromkeys(KINDS, 0))
        for kind, signed in by_kind.items():
            week[kind] += signed
    if not found:
        return ()
    first, last = min(found), max(found)
    mondays = [first + timedelta(weeks=place) for place in range((last - first).days // 7 + 1)]
    return tuple(Week(monday, found.get(monday, dict.fromkeys(KINDS, 0))) for monday in mondays)


def editions() -> tuple[EditionFigures, ...]:
    """Every edition, the newest first, without its texts' bytes, and how many entries name it: five queries."""
    shown = edition_counts()
    files: dict[str, list[EditionTextFile]] = {}
    for row in db.session.execute(
        select(
            EditionText.edition_slug,
            EditionText.language,
            EditionText.sha256,
            func.length(EditionText.body).label("bytes_count"),
        )
    ):
        files.setdefault(row.edition_slug, []).append(EditionTextFile(row.language, row.sha256, row.bytes_count))
    order = {language: place for place, language in enumerate(LANGUAGES)}
    return tuple(
        EditionFigures(
            slug=row.slug,
            is_current=row.is_current,
            is_specimen=row.is_specimen,
            published_on=row.published_on,
            texts=tuple(sorted(files.get(row.slug, []), key=lambda one: order[one.language])),
            is_material=row.is_material,
            follows=row.follows,
            shown=shown.get(row.slug, 0),
        )
        for row in db.session.scalars(select(Edition).order_by(Edition.published_on.desc(), Edition.slug))
    )


def _totals(counts: list[RegionCount]) -> Totals:
    by_kind = dict.fromkeys(KINDS, 0)
    for count in counts:
        by_kind[count.kind] += count.listed + count.unlisted
    return Totals(
        listed=sum(count.listed for count in counts),
        unlisted=sum(count.unlisted for count in counts),
        withdrawn=sum(count.withdrawn for count in counts),
        revoked=sum(count.revoked for count in counts),
        by_kind=by_kind,
    )


def _affiliation(row: Affiliation, listed: int) -> AffiliationFigures:
    return AffiliationFigures(
        slug=row.slug,
        type=row.type,
        name=row.name,
        abbr=row.abbr or _NO_TEXTS,
        merged_into=row.merged_into,
        former_names=tuple(FormerName(one["name"], one["until"]) for one in row.former_names or ()),
        listed=listed,
    )
