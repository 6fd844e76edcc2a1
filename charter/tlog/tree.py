"""The Merkle tree of RFC 6962 as pure functions over stored nodes: appending, roots, and proofs of both kinds.

A node is named by (level, index): level 0 holds the hashes of leaves, a node of level L covers 2^L of them. Only whole
subtrees are stored; whatever a tree of some size needs beside them is computed from at most one of each level.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence

HASH_BYTES = 32
#: The root of a tree without leaves (RFC 6962 §2.1).
EMPTY_ROOT = hashlib.sha256(b"").digest()

#: Reads the hash of the whole subtree (level, index).
Fetch = Callable[[int, int], bytes]


class ProofError(ValueError):
    """A proof that proves nothing: wrong length, wrong hash, or a size or index that cannot be."""


def hash_leaf(data: bytes) -> bytes:
    """SHA-256(0x00 ‖ data) (RFC 6962 §2.1)."""
    return hashlib.sha256(b"\x00" + data).digest()


def hash_node(left: bytes, right: bytes) -> bytes:
    """SHA-256(0x01 ‖ left ‖ right) (RFC 6962 §2.1)."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def subtrees(first: int, end: int) -> Iterator[tuple[int, int]]:
    """The fewest whole subtrees, from left to right, that cover the leaves first … end − 1."""
    while first < end:
        level = (first & -first).bit_length() - 1 if first else end.bit_length() - 1
        while first + (1 << level) > end:
            level -= 1
        yield level, first >> level
        first += 1 << level


def append(size: int, hashes: Sequence[bytes], fetch: Fetch) -> Iterator[tuple[int, int, bytes]]:
    """Every whole subtree that becomes complete when leaves with these hashes follow on `size` others.

    Yields (level, index, hash), leaves first, each level in order. Reads at most one stored node of each level.
    """
    row, first, level = list(hashes), size, 0
    while row:
        yield from ((level, first + place, one) for place, one in enumerate(row))
        if first % 2:
            row.insert(0, fetch(level, first - 1))
            first -= 1
        row = [hash_node(row[place], row[place + 1]) for place in range(0, len(row) - 1, 2)]
        first, level = first // 2, level + 1


def root(size: int, fetch: Fetch) -> bytes:
    """The root of the tree of the first `size` leaves: at most one stored node of each level."""
    return _fold(fetch(level, index) for level, index in subtrees(0, size)) if size else EMPTY_ROOT


def _fold(parts: Iterable[bytes]) -> bytes:
    """Subtrees from left to right, joined from the right: the smaller ones stand at the end."""
    found = list(parts)
    result = found.pop()
    while found:
        result = hash_node(found.pop(), result)
    return result


def _cover(first: int, end: int, fetch: Fetch) -> bytes:
    return _fold(fetch(level, index) for level, index in subtrees(first, end))


# ── proofs ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def inclusion_proof(index: int, size: int, fetch: Fetch) -> list[bytes]:
    """The audit path of leaf `index` in the tree of `size` leaves, nearest first (RFC 6962 §2.1.1)."""
    if not 0 <= index < size:
        raise ProofError("index")
    first, end, path = 0, size, []
    while end - first > 1:
        middle = first + _split(end - first)
        if index < middle:
            path.append(_cover(middle, end, fetch))
            end = middle
        else:
            path.append(_cover(first, middle, fetch))
            first = middle
    return path[::-1]


def consistency_proof(old: int, size: int, fetch: Fetch) -> list[bytes]:
    """What shows that the tree of `size` leaves extends that of `old` (RFC 6962 §2.1.2). Empty for 0 and for equals."""
    if not 0 <= old <= size:
        raise ProofError("size")
    if old in {0, size}:
        return []
    first, end, path, is_whole = 0, size, [], True
    while old != end:
        middle = first + _split(end - first)
        if old <= middle:
            path.append(_cover(middle, end, fetch))
            end = middle
        else:
            path.append(_cover(first, middle, fetch))
            first, is_whole = middle, False
    if not is_whole:
        path.append(_cover(first, end, fetch))
    return path[::-1]


def _split(count: int) -> int:
    """The largest power of two smaller than `count`."""
    return 1 << (count - 1).bit_length() - 1


def check_inclusion(leaf_hash: bytes, index: int, size: int, path: Sequence[bytes], root_hash: bytes) -> None:
    """Raises ProofError unless `path` leads from the leaf to the root (RFC 9162 §2.1.3.2)."""
    if not 0 <= index < size:
        raise ProofError("index")
    place, last, found = index, size - 1, leaf_hash
    for one in path:
        if last == 0:
            raise ProofError("too long")
        if place % 2 or place == last:
            found = hash_node(one, found)
            while place and not place % 2:
                place, last = place // 2, last // 2
        else:
            found = hash_node(found, one)
        place, last = place // 2, last // 2
    if last or found != root_hash:
        raise ProofError("root")


def check_consistency(old: int, size: int, path: Sequence[bytes], old_root: bytes, root_hash: bytes) -> None:
    """Raises ProofError unless `path` shows that the tree of `size` extends that of `old` (RFC 9162 §2.1.4.2)."""
    if not 0 <= old <= size:
        raise ProofError("size")
    if old in {0, size}:
        if path or (old == size and old_root != root_hash) or (old == 0 and old_root != EMPTY_ROOT):
            raise ProofError("root")
        return
    rest = list(path) if old & (old - 1) else [old_root, *path]
    if not rest:
        raise ProofError("too short")
    place, last = old - 1, size - 1
    while place % 2:
        place, last = place // 2, last // 2
    before = after = rest[0]
    for one in rest[1:]:
        if last == 0:
            raise ProofError("too long")
        if place % 2 or place == last:
            before, after = hash_node(one, before), hash_node(one, after)
            while place and not place % 2:
                place, last = place // 2, last // 2
        else:
            after = hash_node(after, one)
        place, last = place // 2, last // 2
    if last or before != old_root or after != root_hash:
        raise ProofError("root")
