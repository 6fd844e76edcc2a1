"""Entry bundles and tiles as somebody serves them, compared with a tree that was built anew (C2SP tlog-tiles)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from charter.tlog import tiles
from charter.tlog.findings import Findings
from charter.tlog.source import Source, SourceError
from charter.tlog.tiles import WIDTH, Tile
from charter.tlog.tree import HASH_BYTES

MOST_BUNDLE_BYTES = WIDTH * (2 + 65535)


class StoppedError(Exception):
    """The check cannot go on. code and text: the finding that stopped it; "" if it was told already."""

    def __init__(self, code: str = "", text: str = "") -> None:
        super().__init__(text)
        self.code, self.text = code, text


class Stored:
    """The tiles of a log of `size` leaves. missing: is told of every tile that is not there.

    with_hashes: whether the tiles of hashes are looked at, beside the leaves.
    """

    def __init__(
        self, source: Source, size: int, *, findings: Findings, missing: Callable[[str], None], with_hashes: bool
    ) -> None:
        self._source, self._size = source, size
        self._findings, self._missing = findings, missing
        self._with_hashes = with_hashes
        self.faults = 0

    def bundle(self, index: int) -> tuple[list[bytes], bytes | None]:
        """The leaves of one bundle, and what the tile of their hashes holds; changes nothing, so threads may call it.

        Raises SourceError if there is none, and StoppedError if it was cut.
        """
        tile = Tile(None, index, tiles.width_of(Tile(None, index), self._size))
        data, width = self._read(tile)
        if data is None:
            raise SourceError(f"there is no log/{tile.path}")
        try:
            leaves = tiles.unbundle(data)
        except tiles.TileError:
            leaves = []
        if len(leaves) != width:
            raise StoppedError("bundle", f"log/{tile.path} was cut or added to: it does not hold {width} leaves.")
        hashes = self._read(Tile(0, index, tile.width))[0] if self._with_hashes else None
        return leaves[: tile.width], hashes

    def compare_hashes(self, first: int, hashes: Sequence[bytes], there: bytes | None) -> None:
        """Those of the leaves first … with what their tile (of `bundle`) holds: tells which leaf was changed."""
        if not self._with_hashes:
            return
        tile = Tile(0, first // WIDTH, tiles.width_of(Tile(0, first // WIDTH), self._size))
        if there is None:
            self._missing(f"log/{tile.path}")
            return
        if len(there) not in {HASH_BYTES * tile.width, HASH_BYTES * WIDTH}:
            self._wrong(tile)
            return
        begin = first % WIDTH * HASH_BYTES
        if there[begin : begin + HASH_BYTES * len(hashes)] == b"".join(hashes):
            return
        for place, one in enumerate(hashes):
            begin = (first % WIDTH + place) * HASH_BYTES
            if there[begin : begin + HASH_BYTES] != one:
                self.faults += 1
                self._findings.add("tile", f"it is not the one whose hash log/{tile.path} holds.", first + place)

    def compare_tile(self, tile: Tile, data: bytes) -> None:
        """A tile above the lowest level with that of the new tree."""
        if not self._with_hashes or not tile.level:
            return
        there, width = self._read(tile)
        if there is None:
            self._missing(f"log/{tile.path}")
        elif len(there) != HASH_BYTES * width or there[: len(data)] != data:
            self._wrong(tile)

    def _wrong(self, tile: Tile) -> None:
        self.faults += 1
        self._findings.add("tile", f"log/{tile.path} does not hold the hashes of the tree.")

    def _read(self, tile: Tile) -> tuple[bytes | None, int]:
        """As wide as asked for, or else the whole one: whoever keeps files may drop partial ones once it is there."""
        most = MOST_BUNDLE_BYTES if tile.level is None else HASH_BYTES * WIDTH
        data = self._source.read(f"log/{tile.path}", most)
        if data is None and tile.width < WIDTH:
            return self._source.read(f"log/{Tile(tile.level, tile.index).path}", most), WIDTH
        return data, tile.width
