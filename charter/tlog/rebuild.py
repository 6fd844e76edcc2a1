"""The tree built anew from its leaves, tile by tile: some kilobytes whatever its size (RFC 6962, C2SP tlog-tiles)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from hashlib import sha256

from charter.tlog import tree
from charter.tlog.tiles import WIDTH, Tile


class Rebuilt:
    """A tree that grows. Of each level of tiles only the last, unfinished one is held."""

    def __init__(self) -> None:
        self.size = 0
        self._rows: list[list[bytes]] = []  # hashes of the unfinished tile of each level
        self._done: list[int] = []  # finished tiles of each level

    def add(self, hashes: Sequence[bytes]) -> list[tuple[Tile, bytes]]:
        """Leaves with these hashes follow, at most up to the end of their tile; returns the tiles that they finish."""
        if self.size % WIDTH + len(hashes) > WIDTH:
            raise ValueError("beyond the end of a tile")
        self.size += len(hashes)
        finished: list[tuple[Tile, bytes]] = []
        level, new = 0, list(hashes)
        while new:
            if level == len(self._rows):
                self._rows.append([])
                self._done.append(0)
            row = self._rows[level]
            row += new
            if len(row) < WIDTH:
                break
            finished.append((Tile(level, self._done[level]), b"".join(row)))
            self._done[level] += 1
            self._rows[level] = []
            new = [_join(row)]
            level += 1
        return finished

    def unfinished(self) -> Iterator[tuple[Tile, bytes]]:
        """The partial tiles that a tree of this size ends in."""
        for level, row in enumerate(self._rows):
            if row:
                yield Tile(level, self._done[level], len(row)), b"".join(row)

    def root(self) -> bytes:
        """Of the tree as it is now."""
        peaks: list[bytes] = []
        for row in reversed(self._rows):
            first = 0
            for bit in reversed(range(WIDTH.bit_length())):
                if len(row) & 1 << bit:
                    peaks.append(_join(row[first : first + (1 << bit)]))
                    first += 1 << bit
        if not peaks:
            return tree.EMPTY_ROOT
        found = peaks.pop()
        while peaks:
            found = tree.hash_node(peaks.pop(), found)
        return found


def hash_leaves(leaves: Sequence[bytes]) -> list[bytes]:
    """`tree.hash_leaf` of each."""
    return [sha256(b"\x00" + leaf).digest() for leaf in leaves]


def _join(row: list[bytes]) -> bytes:
    """The root of a whole subtree."""
    while len(row) > 1:
        pairs = iter(row)
        row = [sha256(b"\x01" + left + right).digest() for left, right in zip(pairs, pairs, strict=True)]
    return row[0]
