"""Tiles: the tree's hashes and the leaves in files of 256, which never change once full (C2SP tlog-tiles)."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

WIDTH = 256
HEIGHT = 8
_MOST_LEAF_BYTES = 65535
_INDEX = re.compile(r"(?:x[0-9]{3}/)*[0-9]{3}")
_LEVEL = re.compile(r"0|[1-9]|[1-5][0-9]|6[0-3]")
_PARTIAL = re.compile(r"(?P<index>.*)\.p/(?P<width>[1-9][0-9]{0,2})")


class TileError(ValueError):
    """An address or content that no tile has."""


@dataclass(frozen=True)
class Tile:
    """level: of tiles, each eight of the tree; None for the leaves themselves. width: 1 … 256, less in the last one."""

    level: int | None
    index: int
    width: int = WIDTH

    @property
    def path(self) -> str:
        """Its address below /log/: `tile/0/x001/234.p/17`."""
        parts = []
        number = self.index
        while True:
            parts.append(f"{number % 1000:03d}")
            number //= 1000
            if not number:
                break
        place = "/".join([*(f"x{part}" for part in parts[:0:-1]), parts[0]])
        level = "entries" if self.level is None else str(self.level)
        return f"tile/{level}/{place}" + ("" if self.width == WIDTH else f".p/{self.width}")


def parse_path(level: str, rest: str) -> Tile:
    """The tile of an address' parts. Raises TileError for every other way to write it, so that one tile has one."""
    width = WIDTH
    partial = _PARTIAL.fullmatch(rest)
    if partial is not None:
        rest, width = partial["index"], int(partial["width"])
    if not _INDEX.fullmatch(rest) or not width <= WIDTH or (partial is not None and width == WIDTH):
        raise TileError("address")
    if level != "entries" and not _LEVEL.fullmatch(level):
        raise TileError("address")
    tile = Tile(None if level == "entries" else int(level), int(re.sub("[x/]", "", rest)), width)
    if tile.path != f"tile/{level}/{rest}" + ("" if partial is None else f".p/{width}"):
        raise TileError("address")
    return tile


def width_of(tile: Tile, size: int) -> int:
    """How many hashes, or leaves, the tile at this place has in a log of `size` leaves; 0 … 256."""
    count = size if tile.level is None else size >> (HEIGHT * tile.level)
    return max(0, min(WIDTH, count - tile.index * WIDTH))


def new_tiles(old: int, size: int) -> Iterator[Tile]:
    """Every tile that a log of `size` leaves has and one of `old` had not, or not so wide."""
    levels: list[int | None] = [None, *range(64 // HEIGHT)]
    for level in levels:
        shift = 0 if level is None else HEIGHT * level
        before, after = old >> shift, size >> shift
        if before == after:
            continue
        for index in range(before // WIDTH, (after + WIDTH - 1) // WIDTH):
            yield Tile(level, index, min(WIDTH, after - index * WIDTH))


def bundle(leaves: Sequence[bytes]) -> bytes:
    """Up to 256 leaves, each behind its length as u16, big-endian."""
    if len(leaves) > WIDTH or any(len(leaf) > _MOST_LEAF_BYTES for leaf in leaves):
        raise TileError("bundle")
    return b"".join(struct.pack(">H", len(leaf)) + leaf for leaf in leaves)


def unbundle(data: bytes) -> list[bytes]:
    """The leaves of a bundle. Raises TileError if it was cut."""
    leaves, place = [], 0
    while place < len(data):
        if place + 2 > len(data):
            raise TileError("bundle")
        (length,) = struct.unpack_from(">H", data, place)
        leaf = data[place + 2 : place + 2 + length]
        if len(leaf) != length:
            raise TileError("bundle")
        leaves.append(leaf)
        place += 2 + length
    return leaves
