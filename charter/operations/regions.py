"""Regions as staff keep them: added, renamed, ended with their day. A code is never deleted and never used again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import select

from charter.domain.alphabet import sort_key
from charter.domain.duties import Right
from charter.domain.errors import DecidedMeanwhileError, FieldRefusedError, NotFoundError
from charter.domain.languages import LANGUAGES
from charter.domain.region import ABROAD, free_tiles, is_code, is_slug, place_among
from charter.models.affiliation import Region, keep_face
from charter.models.base import db
from charter.operations.affiliations import show_with_next_batch, who_changed
from charter.operations.duties import require
from charter.operations.steps import add_audit
from charter.operations.unit import lock, operation

SUBJECT = "region"


@dataclass(frozen=True)
class Wanted:
    """A region as staff want it. name, short, abbr: language → words, clean. tile: (column, row) of the map, from 0."""

    name: Mapping[str, str]
    short: Mapping[str, str]
    abbr: Mapping[str, str]
    tile: tuple[int, int]
    valid_from: date | None
    valid_to: date | None


@operation
def add(wanted: Wanted, *, code: str, slug: str, staff_id: int, now: datetime) -> None:
    """Adds one. code: of ISO 3166-2:KZ or of our own in its shape. slug: its name in addresses, for ever.

    Its place in each language's list is made from its name. Raises FieldRefusedError, DutyRefusedError.
    """
    require(staff_id, Right.AFFILIATIONS)
    rows = _lock_regions()
    if not is_code(code):
        raise FieldRefusedError("code", "unknown")
    if any(row.code == code for row in rows):
        raise FieldRefusedError("code", "taken")
    if not is_slug(slug):
        raise FieldRefusedError("slug", "unknown")
    if any(row.slug == slug for row in rows):
        raise FieldRefusedError("slug", "taken")
    _check(wanted, rows)
    # The first version is the one that a release ships, and a release changes nothing beyond it.
    row = Region(code=code, slug=slug, version=2, **_values(wanted), order=_order(wanted.short, rows))
    keep_face(row, is_new=True)
    db.session.add(row)
    db.session.flush()
    _audit("region-add", row, staff_id=staff_id, now=now, after={"slug": slug, **_told(row)})
    show_with_next_batch(now=now)


@operation
def edit(slug: str, wanted: Wanted, *, expected_version: int, staff_id: int, now: datetime) -> None:
    """Changes names, tile and days of one; entries keep it whatever happens.

    Raises DecidedMeanwhileError when somebody changed it since, NotFoundError, FieldRefusedError, DutyRefusedError.
    """
    require(staff_id, Right.AFFILIATIONS)
    rows = _lock_regions()
    row = next((one for one in rows if one.slug == slug), None)
    if row is None:
        raise NotFoundError
    if row.version != expected_version:
        raise DecidedMeanwhileError(state="changed", by_staff_name=who_changed(SUBJECT, number_of(row.code)))
    others = [one for one in rows if one is not row]
    if row.code == ABROAD and wanted.valid_to is not None:
        raise FieldRefusedError("valid_to", "abroad")
    _check(wanted, others)
    before = _told(row)
    keep_face(row)
    if dict(wanted.short) != row.short and row.code != ABROAD:
        row.order = _order(wanted.short, others)
    for key, value in _values(wanted).items():
        setattr(row, key, value)
    after = _told(row)
    changed = [key for key in after if after[key] != before[key]]
    if not changed:
        db.session.expire(row)
        return
    row.version += 1
    _audit(
        "region-edit",
        row,
        staff_id=staff_id,
        now=now,
        before={key: before[key] for key in changed},
        after={key: after[key] for key in changed},
    )
    show_with_next_batch(now=now)


def number_of(code: str) -> int:
    """What the audit knows a region by, whose key is no number: its code read to the base of 36."""
    return int(code.replace("-", ""), 36)


def _lock_regions() -> list[Region]:
    lock("regions", "all")
    return list(db.session.scalars(select(Region).order_by(Region.code).with_for_update()))


def _check(wanted: Wanted, others: list[Region]) -> None:
    if wanted.tile not in free_tiles((one.tile_col, one.tile_row) for one in others):
        raise FieldRefusedError("tile", "taken")
    for field in ("name", "short"):
        for language in LANGUAGES:
            words = getattr(wanted, field)[language].casefold()
            # What follows one that has ended may bear its name.
            if any(one.valid_to is None and getattr(one, field)[language].casefold() == words for one in others):
                raise FieldRefusedError(f"{field}_{language}", "taken")
    if wanted.valid_from and wanted.valid_to and wanted.valid_to < wanted.valid_from:
        raise FieldRefusedError("valid_to", "before")


def _order(short: Mapping[str, str], others: list[Region]) -> dict[str, str]:
    """Its place in each language's list."""
    return {
        language: place_among(
            sort_key(short[language]),
            sorted(((sort_key(one.short[language]), one.order[language]) for one in others), key=lambda pair: pair[1]),
        )
        for language in LANGUAGES
    }


def _values(wanted: Wanted) -> dict[str, Any]:
    return {
        "name": dict(wanted.name),
        "short": dict(wanted.short),
        "abbr": dict(wanted.abbr),
        "tile_col": wanted.tile[0],
        "tile_row": wanted.tile[1],
        "valid_from": wanted.valid_from,
        "valid_to": wanted.valid_to,
    }


def _told(row: Region) -> dict[str, Any]:
    """What the audit keeps of it."""
    return {
        "name": dict(row.name),
        "short": dict(row.short),
        "abbr": dict(row.abbr),
        "tile": [row.tile_col, row.tile_row],
        "valid_from": row.valid_from and row.valid_from.isoformat(),
        "valid_to": row.valid_to and row.valid_to.isoformat(),
    }


def _audit(action: str, row: Region, *, staff_id: int, now: datetime, **values: Any) -> None:
    add_audit(
        action,
        staff_id=staff_id,
        subject=SUBJECT,
        subject_id=number_of(row.code),
        now=now,
        detail={"region": row.code},
        **values,
    )
