"""Where the registry files a signature: Kazakhstan's regions and abroad, as dated data."""

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

from charter.domain.languages import LANGUAGES, Texts, texts

#: The code of a signature from outside the country (a user-assigned element of ISO 3166).
ABROAD: Final = "ZZ"

#: The map's grid of tiles. On a narrow page its last two columns lie in one another, so a row has one of them only.
COLUMNS: Final = 7
ROWS: Final = 5
#: What stands behind /registry/ in an address of its own, or behind the desk's /staff/regions/.
RESERVED: Final = frozenset({"affiliations", "entries", "numbers", "new"})
ABBR_MAX_CHARS: Final = 11

_CODE = re.compile(r"KZ-[0-9A-Z]{1,3}")
_SLUG = re.compile(r"[a-z]+(?:-[a-z]+)*")


class RegionError(ValueError):
    """A list of regions that cannot be used."""


@dataclass(frozen=True, slots=True)
class Region:
    """code: ISO 3166-2, or ZZ for abroad; abbr: at most 11 characters, for the tile; col, row: from 0;
    sort: place in each language's order; valid_from: first day, None if older than the Charter.
    """

    code: str
    slug: str
    name: Texts
    short: Texts
    abbr: Texts
    col: int
    row: int
    sort: dict[str, int]
    valid_from: date | None


def parse_regions(data: bytes) -> tuple[Region, ...]:
    """The regions of a JSON list, in the order given. Raises RegionError."""
    try:
        regions = tuple(_region(entry) for entry in json.loads(data)["regions"])
    except (ValueError, KeyError, TypeError) as error:
        raise RegionError(f"the list of regions has not the expected shape: {error}") from error
    _require_distinct("code", [region.code for region in regions])
    _require_distinct("slug", [region.slug for region in regions])
    _require_distinct("tile", [(region.col, region.row) for region in regions])
    for language in LANGUAGES:
        _require_distinct(f"sort {language}", [region.sort[language] for region in regions])
    if ABROAD not in {region.code for region in regions}:
        raise RegionError("the list of regions lacks abroad")
    return regions


def is_code(code: str) -> bool:
    """Whether a new region may have this code: one of ISO 3166-2:KZ, or one of our own in its shape."""
    return _CODE.fullmatch(code) is not None


def is_slug(slug: str) -> bool:
    """Whether it can be a region's name in addresses: Latin letters and single hyphens."""
    return _SLUG.fullmatch(slug) is not None and slug not in RESERVED and len(slug) <= 40


def free_tiles(taken: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """Every (column, row) of the map, from 0, on which a further region can be seen beside these."""
    shown = {_narrow(tile) for tile in taken}
    return [(col, row) for row in range(ROWS) for col in range(COLUMNS) if _narrow((col, row)) not in shown]


def _narrow(tile: tuple[int, int]) -> tuple[int, int]:
    return min(tile[0], COLUMNS - 2), tile[1]


def place_among(key: str, listed: Sequence[tuple[str, str]]) -> str:
    """The place of a region in one language's list, as text that is compared. key: by which its name is ordered there.

    listed: (key of the name, place) of the others, by place; abroad, which stays the last, among them.
    """
    at = next((index for index, (other, _place) in enumerate(listed[:-1]) if key < other), len(listed) - 1)
    # A hyphen stands before all figures. Nothing that is there has to move.
    place = (listed[at - 1][1] if at else "-") + "5"
    while place >= listed[at][1]:
        place = place[:-1] + "05"
    return place


def _region(entry: dict[str, Any]) -> Region:
    code, slug, tile, sort = entry["code"], entry["slug"], entry["tile"], entry["sort"]
    if code != ABROAD and not _CODE.fullmatch(code):
        raise ValueError(f"{code!r} is not a code of ISO 3166-2:KZ")
    if not _SLUG.fullmatch(slug):
        raise ValueError(f"{slug!r} cannot stand in an address")
    numbers = [tile["col"], tile["row"], *(sort[language] for language in LANGUAGES)]
    if not all(type(number) is int and number >= 0 for number in numbers):
        raise ValueError(f"{code}: a place is a whole number from 0")
    return Region(
        code=code,
        slug=slug,
        name=texts(entry["name"]),
        short=texts(entry["short"]),
        abbr=texts(entry["abbr"]),
        col=tile["col"],
        row=tile["row"],
        sort={language: sort[language] for language in LANGUAGES},
        valid_from=None if entry["valid_from"] is None else date.fromisoformat(entry["valid_from"]),
    )


def _require_distinct(what: str, values: list[Any]) -> None:
    if len(set(values)) != len(values):
        raise RegionError(f"two regions have the same {what}")
