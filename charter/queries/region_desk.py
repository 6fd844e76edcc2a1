"""Regions as the Centre's staff see them: also those that have ended and those that are to come."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from sqlalchemy import func, select

from charter.domain.languages import Texts
from charter.domain.region import free_tiles
from charter.models.affiliation import Region
from charter.models.base import db
from charter.models.registry import RegionCount


@dataclass(frozen=True)
class RegionRow:
    """state: open | future | ended. shown: entries of the registry there. tile: column and row of the map, from 0."""

    code: str
    slug: str
    name: Texts
    short: Texts
    abbr: Texts
    tile: tuple[int, int]
    valid_from: date | None
    valid_to: date | None
    version: int
    shown: int
    state: str


def regions(language: str, *, today: date) -> list[RegionRow]:
    """Every one, in the order of the language's alphabet: two queries."""
    shown = {
        code: int(listed)
        for code, listed in db.session.execute(
            select(RegionCount.region_code, func.sum(RegionCount.listed + RegionCount.unlisted)).group_by(
                RegionCount.region_code
            )
        )
    }
    rows = sorted(db.session.scalars(select(Region)), key=lambda row: row.order[language])
    return [
        RegionRow(
            code=row.code,
            slug=row.slug,
            name=row.name,
            short=row.short,
            abbr=row.abbr,
            tile=(row.tile_col, row.tile_row),
            valid_from=row.valid_from,
            valid_to=row.valid_to,
            version=row.version,
            shown=shown.get(row.code, 0),
            state=_state(row, today),
        )
        for row in rows
    ]


def tiles(rows: Sequence[RegionRow], *, but: str | None = None) -> list[tuple[int, int]]:
    """Where on the map there is room. but: the slug of the region that is to stand there, if it stands already."""
    return free_tiles(row.tile for row in rows if row.slug != but)


def _state(row: Region, today: date) -> str:
    if row.valid_from is not None and row.valid_from > today:
        return "future"
    return "ended" if row.valid_to is not None and row.valid_to < today else "open"
