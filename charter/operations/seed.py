"""Loading what is shipped: regions, affiliations and the edition of the Charter, again and again without harm."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import func, select

from charter.domain import edition as edition_rules
from charter.domain.calendar import local_date
from charter.domain.languages import LANGUAGES
from charter.domain.region import Region as ShippedRegion
from charter.models.affiliation import Affiliation, Region
from charter.models.base import db
from charter.models.edition import Edition, EditionText
from charter.models.log import LogBatch, LogEvent
from charter.operations.logged import logged_digests
from charter.operations.naming import note_names
from charter.operations.unit import lock, operation

#: The version of a row that staff never changed. What they did change a release does not change back.
SHIPPED = 1


@dataclass(frozen=True)
class ShippedAffiliation:
    """A party, organisation or mission as it comes with the service.

    type: party | organisation | mission. name, abbr: language → words. merged_into: slug. former_names: the name by
    language, and until when it was borne: YYYY-MM-DD or less.
    """

    slug: str
    type: str
    name: Mapping[str, str]
    abbr: Mapping[str, str] | None
    is_selectable: bool
    merged_into: str | None
    former_names: Sequence[tuple[Mapping[str, str], str]] = ()


@operation
def load_shipped(
    *,
    regions: Sequence[ShippedRegion],
    affiliations: Sequence[ShippedAffiliation],
    edition_slug: str,
    edition_texts: Mapping[str, bytes],
    now: datetime,
) -> bool:
    """Adds what is missing, renames what changed, never touches entries, nor what staff have changed.

    Returns whether anything was new.

    edition_texts: language → bytes; immutable once loaded: other bytes under the same slug raise ValueError.
    Effects: a `charter` leaf is queued for a new edition; any other change becomes public with the next batch.
    """
    lock("seed", "shipped")
    changed = _load_regions(regions)
    changed = _load_affiliations(affiliations, now=now) or changed
    loaded = _load_edition(edition_slug, edition_texts, now=now)
    if loaded or (changed and db.session.scalar(select(func.count()).select_from(LogBatch))):
        if not loaded:
            db.session.add(LogEvent(kind="refresh", values={}, effective_at=now))
        changed = True
    return changed


def _load_regions(regions: Sequence[ShippedRegion]) -> bool:
    known = {region.code: region for region in db.session.scalars(select(Region))}
    slugs = {region.slug for region in known.values()}
    changed = False
    for shipped in regions:
        values = {
            "slug": shipped.slug,
            "name": dict(shipped.name),
            "short": dict(shipped.short),
            "abbr": dict(shipped.abbr),
            "order": {language: f"{place:04d}" for language, place in shipped.sort.items()},
            "tile_col": shipped.col,
            "tile_row": shipped.row,
            "valid_from": shipped.valid_from,
        }
        row = known.get(shipped.code)
        if row is not None and row.version > SHIPPED:
            continue
        if row is None and shipped.slug in slugs:
            continue
        if row is None:
            db.session.add(Region(code=shipped.code, valid_to=None, **values))
            changed = True
        elif any(getattr(row, key) != value for key, value in values.items()):
            for key, value in values.items():
                setattr(row, key, value)
            changed = True
    db.session.flush()
    return changed


def _load_affiliations(affiliations: Sequence[ShippedAffiliation], *, now: datetime) -> bool:
    known = {row.slug: row for row in db.session.scalars(select(Affiliation))}
    changed = False
    # A merged one points to another, which must be there first.
    for shipped in sorted(affiliations, key=lambda one: one.merged_into is not None):
        values = {
            "type": shipped.type,
            "name": dict(shipped.name),
            "abbr": dict(shipped.abbr) if shipped.abbr else None,
            "is_selectable": shipped.is_selectable,
            "merged_into": shipped.merged_into,
            "former_names": [{"name": dict(name), "until": until} for name, until in shipped.former_names],
        }
        row = known.get(shipped.slug)
        if row is not None and row.version > SHIPPED:
            continue
        if row is None:
            db.session.add(Affiliation(slug=shipped.slug, **values))
            db.session.flush()
            changed = True
        elif any(getattr(row, key) != value for key, value in values.items()):
            for key, value in values.items():
                setattr(row, key, value)
            changed = True
    db.session.flush()
    note_names(db.session.scalars(select(Affiliation).order_by(Affiliation.id)).all(), now=now)
    return changed


def _load_edition(slug: str, texts: Mapping[str, bytes], *, now: datetime) -> bool:
    digests = {language: edition_rules.digest(texts[language]) for language in LANGUAGES}
    edition_rules.check_same_shape({language: edition_rules.parse_edition(texts[language]) for language in LANGUAGES})
    if db.session.get(Edition, slug) is not None:
        kept = {
            row.language: row.sha256 for row in db.session.scalars(select(EditionText).filter_by(edition_slug=slug))
        }
        if kept != digests:
            raise ValueError(f"edition {slug} is published and cannot change; give the new text another name")
        return False
    logged = logged_digests(slug)
    if logged is not None and logged != digests:
        raise ValueError(f"edition {slug} is in the log with other texts; give the new text another name")
    published_on: date = local_date(now)
    for row in db.session.scalars(select(Edition).filter_by(is_current=True)):
        row.is_current = False
    db.session.add(
        Edition(slug=slug, is_specimen=slug.startswith("specimen"), published_on=published_on, is_current=True)
    )
    db.session.flush()
    for language in LANGUAGES:
        db.session.add(
            EditionText(edition_slug=slug, language=language, body=texts[language], sha256=digests[language])
        )
    if logged is None:
        db.session.add(LogEvent(kind="charter", values={"charter": slug, "files": digests}, effective_at=now))
    else:
        db.session.add(LogEvent(kind="refresh", values={}, effective_at=now))
    return True
