"""What the public sees: entries, regions and totals as the last batch left them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import cast

from sqlalchemy import Engine, func, literal_column, select

from charter.domain.blocks import Span
from charter.domain.scale import step_of
from charter.domain.selection import Place
from charter.domain.signature import Display
from charter.domain.validity import is_valid_on
from charter.models.affiliation import Region, faces
from charter.models.base import ALONE, db
from charter.models.edition import Edition, EditionText
from charter.models.log import LogBatch
from charter.models.registry import PublicEntry, RegionCount

KINDS = ("party", "independent", "international")
PAGE_SIZE = 50


@dataclass(frozen=True)
class AsOf:
    """The batch that the public side stands at. revision: `public_revision`. at: its instant, UTC."""

    revision: int
    at: datetime


@dataclass(frozen=True)
class Totals:
    """How many entries, by what became of them: signed = listed + unlisted + withdrawn + revoked."""

    listed: int = 0
    unlisted: int = 0
    withdrawn: int = 0
    revoked: int = 0
    by_kind: Mapping[str, int] | None = None

    @property
    def signed(self) -> int:
        """Ever published."""
        return self.listed + self.unlisted + self.withdrawn + self.revoked

    @property
    def shown(self) -> int:
        """In the registry now."""
        return self.listed + self.unlisted


@dataclass(frozen=True)
class RegionView:
    """A region in one language, with how many entries it has now. level: 0…4, the step of the map's scale."""

    code: str
    slug: str
    name: str
    short: str
    abbr: str
    col: int
    row: int
    listed: int = 0
    unlisted: int = 0
    level: int = 0

    @property
    def shown(self) -> int:
        """In the registry now."""
        return self.listed + self.unlisted


@dataclass(frozen=True)
class RegistryEntry:
    """One line of the registry: exactly the fields that the privacy notice lists as public."""

    entry: str
    number: int
    kind: str
    display: str
    name: str | None
    region: RegionView
    affiliation_name: str | None
    signed_on: date
    edition: str
    ended_on: date | None
    ended_by: str | None
    affiliation: str | None = None


@dataclass(frozen=True)
class RegistryPage:
    """Entries of one page and where its neighbours begin; None at that end.

    older_than, newer_than: the same as numbers, for lists that are newest first.
    """

    lines: list[RegistryEntry]
    older_than: int | None
    newer_than: int | None
    next: Place | None = None
    previous: Place | None = None


@dataclass(frozen=True)
class EditionFile:
    """One language of an edition. sha256: hex of the exact bytes."""

    language: str
    sha256: str
    bytes_count: int


@dataclass(frozen=True)
class EditionName:
    """What an edition is called, and since when it is there. is_current: the one that is being signed.

    follows, is_material: the edition before it, and whether it changed what signatories commit to; None for the first.
    """

    slug: str
    is_specimen: bool
    is_current: bool
    published_on: date
    follows: str | None = None
    is_material: bool | None = None


@dataclass(frozen=True)
class EditionView:
    """An edition with the body in one language and the digests of all."""

    slug: str
    is_specimen: bool
    published_on: date
    body: bytes
    files: list[EditionFile]
    is_current: bool


@dataclass(frozen=True)
class EntryPage:
    """What the page of one entry shows. is_indexable: whether search engines may keep it, as its signatory chose."""

    line: RegistryEntry
    is_indexable: bool


# Every public page asks this first: of the table, not of the model, and put together once. Without any parameter, or
# PostgreSQL makes a new plan each time.
_BATCH = LogBatch.__table__.c
_NEWEST = select(_BATCH.revision, _BATCH.at).order_by(_BATCH.revision.desc()).limit(literal_column("1"))


def find_as_of() -> AsOf | None:
    """The newest batch by one indexed row; None before the first."""
    row = db.session.execute(_NEWEST).first()
    return None if row is None else AsOf(row[0], row[1])


def glance_as_of() -> AsOf | None:
    """As `find_as_of`, in a statement of its own without a transaction around it: for whoever may need nothing else."""
    engine = cast("Engine", db.session.get_bind())
    with engine.connect() as connection:
        row = connection.execution_options(**{ALONE: True}).execute(_NEWEST).first()
    return None if row is None else AsOf(row[0], row[1])


def regions(language: str, *, on: date | None = None) -> list[RegionView]:
    """Every region in the order of the language's alphabet, without figures (for forms).

    on: only those that are valid on this day, as the public sees them; else every one as staff have it now.
    """
    rows = list(db.session.scalars(select(Region)))
    if on is not None:
        rows = [row for row in faces(rows) if is_valid_on(on, valid_from=row.valid_from, valid_to=row.valid_to)]
    return [_view(row, language) for row in sorted(rows, key=lambda row: row.order[language])]


def regions_with_totals(language: str, *, on: date) -> tuple[list[RegionView], dict[str, Totals], Totals]:
    """Regions with figures, totals by region code, and the totals of all: two queries, whatever the size.

    Those that are valid on this day, and those that have ended and have entries: they stay where they were signed.
    """
    counts: dict[str, list[RegionCount]] = {}
    for count in db.session.scalars(select(RegionCount)):
        counts.setdefault(count.region_code, []).append(count)
    rows = sorted(faces(db.session.scalars(select(Region))), key=lambda row: row.order[language])
    rows = [
        row for row in rows if row.code in counts or is_valid_on(on, valid_from=row.valid_from, valid_to=row.valid_to)
    ]
    by_region = {row.code: _add(counts.get(row.code, [])) for row in rows}
    most = max((totals.shown for totals in by_region.values()), default=0)
    views = [_view(row, language, by_region[row.code], most) for row in rows]
    return views, by_region, _add([count for group in counts.values() for count in group])


def page(
    views: Sequence[RegionView],
    *,
    region_code: str | None = None,
    kind: str | None = None,
    older_than: int | None = None,
    newer_than: int | None = None,
    size: int = PAGE_SIZE,
) -> RegistryPage:
    """One page by keyset on the number: one query that reads `size` + 1 indexed rows, however far back.

    views: the regions in the page's language (from `regions` or `regions_with_totals`).
    """
    query = select(PublicEntry)
    if region_code is not None:
        query = query.where(PublicEntry.region_code == region_code)
    if kind is not None:
        query = query.where(PublicEntry.kind == kind)
    if newer_than is not None:
        query = query.where(PublicEntry.number > newer_than).order_by(PublicEntry.number)
    else:
        if older_than is not None:
            query = query.where(PublicEntry.number < older_than)
        query = query.order_by(PublicEntry.number.desc())
    rows = list(db.session.scalars(query.limit(size + 1)))
    has_more = len(rows) > size
    rows = rows[:size]
    if newer_than is not None:
        rows.reverse()
        has_older, has_newer = bool(rows), has_more
    else:
        has_older, has_newer = has_more, older_than is not None and bool(rows)
    by_code = {view.code: view for view in views}
    return RegistryPage(
        lines=[_line(row, by_code[row.region_code]) for row in rows],
        older_than=rows[-1].number if rows and has_older else None,
        newer_than=rows[0].number if rows and has_newer else None,
    )


def find_entry(entry: str, language: str) -> EntryPage | None:
    """One entry by its permanent address: one query."""
    row = db.session.execute(
        select(PublicEntry, Region)
        .join(Region, Region.code == PublicEntry.region_code)
        .where(PublicEntry.entry == entry)
    ).first()
    if row is None:
        return None
    is_indexable = bool(row[0].is_indexable) and row[0].ended_on is None and row[0].display != Display.UNLISTED
    shown = next(iter(faces([row[1]])), row[1])
    return EntryPage(_line(row[0], _view(shown, language)), is_indexable)


def indexable(numbers: Span) -> list[str]:
    """The entries among these numbers whose pages search engines may keep: one range of the primary key."""
    return list(
        db.session.scalars(
            select(PublicEntry.entry)
            .where(
                PublicEntry.number.between(numbers.first, numbers.last),
                PublicEntry.is_indexable.is_(True),
                PublicEntry.ended_on.is_(None),
                PublicEntry.display != Display.UNLISTED,
            )
            .order_by(PublicEntry.number)
        )
    )


def highest_number() -> int:
    """The newest entry's number by one indexed row; 0 before the first."""
    return db.session.scalar(select(func.max(PublicEntry.number))) or 0


def find_edition(slug: str | None, language: str) -> EditionView | None:
    """An edition by its name, or the current one for None."""
    wanted = Edition.is_current if slug is None else Edition.slug == slug
    rows = db.session.execute(
        select(Edition, EditionText).join(EditionText, EditionText.edition_slug == Edition.slug).where(wanted)
    ).all()
    bodies = {text.language: text for _, text in rows}
    if language not in bodies:
        return None
    edition = rows[0][0]
    return EditionView(
        slug=edition.slug,
        is_specimen=edition.is_specimen,
        published_on=edition.published_on,
        body=bodies[language].body,
        files=[EditionFile(code, text.sha256, len(text.body)) for code, text in sorted(bodies.items())],
        is_current=edition.is_current,
    )


def editions() -> list[EditionName]:
    """Every edition that was ever published, newest first."""
    rows = db.session.scalars(
        select(Edition).order_by(Edition.is_current.desc(), Edition.published_on.desc(), Edition.slug.desc())
    )
    return [
        EditionName(row.slug, row.is_specimen, row.is_current, row.published_on, row.follows, row.is_material)
        for row in rows
    ]


def _view(row: Region, language: str, totals: Totals | None = None, most: int = 0) -> RegionView:
    totals = totals or Totals()
    return RegionView(
        code=row.code,
        slug=row.slug,
        name=row.name[language],
        short=row.short[language],
        abbr=row.abbr[language],
        col=row.tile_col,
        row=row.tile_row,
        listed=totals.listed,
        unlisted=totals.unlisted,
        level=step_of(totals.shown, most),
    )


def _line(row: PublicEntry, region: RegionView) -> RegistryEntry:
    return RegistryEntry(
        entry=row.entry,
        number=row.number,
        kind=row.kind,
        display=row.display,
        name=row.name,
        region=region,
        affiliation_name=row.affiliation_name,
        signed_on=row.signed_on,
        edition=row.edition_slug,
        ended_on=row.ended_on,
        ended_by=row.ended_by,
        affiliation=row.affiliation_slug,
    )


def _add(counts: Sequence[RegionCount]) -> Totals:
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
