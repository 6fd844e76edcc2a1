"""The tree over the leaves: nodes are added with each batch, roots are read from them, checkpoints are signed."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import islice
from typing import Any

from sqlalchemy import bindparam, select, update

from charter.models import nodes
from charter.models.base import db
from charter.models.log import PLACED, LogBatch, LogCheckpoint, LogLeaf, LogNode, LogPlace, has_tree, key_place
from charter.models.places import placed_to
from charter.operations.bulk import Writes
from charter.operations.unit import lock, operation
from charter.tlog import tree
from charter.tlog.note import Checkpoint
from charter.tlog.signer import Signer

#: Leaves of the past whose nodes are made in one transaction: a fraction of a second.
LEAVES_AT_ONCE = 5000
#: Leaves whose places are noted in one transaction: as many as a few batches have.
PLACES_AT_ONCE = 5000


class ForkError(Exception):
    """The tree does not extend what was signed last: signing it would show two histories under one name (LOG §3)."""


@dataclass(frozen=True)
class Grown:
    """What a batch makes of the tree. first_index: its size before. before, root: its roots before and after."""

    first_index: int
    before: bytes
    root: bytes


def append_nodes(
    first_index: int, hashes: Sequence[bytes], leaves: Sequence[Mapping[str, Any]], writes: Writes
) -> Grown | None:
    """The nodes that leaves with these hashes complete, gathered; the leaves, which are new, are given as objects.

    A step of whoever appends the leaves. While nodes of earlier leaves are missing it does nothing and returns None:
    `build_past` will come to these. Reads one node of each level at most, so the size of the log costs nothing.
    Where the leaves of entries stand is left to `note_places`, except for the few that change it.
    """
    connection = db.session.connection()
    if not hashes or not has_tree(connection):
        return None
    grown = _grow(first_index, hashes, writes)
    if grown is not None:
        # What stands before was noted by whoever appended it. Of a last single leaf no node shows who that was.
        first = first_index - first_index % 2
        writes.insert(LogPlace, {"entry": [PLACED], "record_index": [first]}, merge="keep")
        changing = {"correct", "key"}
        _gather_places(
            [(index, one) for index, one in enumerate(leaves, start=first_index) if one["kind"] in changing], writes
        )
    return grown


def _grow(first_index: int, hashes: Sequence[bytes], writes: Writes) -> Grown | None:
    found = nodes.read(db.session.connection(), tree.subtrees(0, first_index))
    try:
        before = tree.root(first_index, nodes.fetch_from(found))
    except KeyError:
        return None
    end = first_index + len(hashes)
    # Leaves come first, and stand elsewhere.
    new = list(islice(tree.append(first_index, hashes, nodes.fetch_from(found)), len(hashes), None))
    if new:
        levels, indices, kept = zip(*new, strict=True)
        writes.insert(LogNode, {"level": levels, "index": indices, "hash": kept})
        found |= zip(zip(levels, indices, strict=True), kept, strict=True)
    found[0, end - 1] = hashes[-1]
    return Grown(first_index, before, tree.root(end, nodes.fetch_from(found)))


#: kind of leaf → the column that says where it stands.
_PLACES = {"confirm": "confirm_index", "publish": "record_index", "correct": "record_index"}
#: The same for what a `key` leaf does.
_KEY_PLACES = {"add": "confirm_index", "retire": "record_index"}


def _gather_places(leaves: Iterable[tuple[int, Mapping[str, Any]]], writes: Writes) -> None:
    found: dict[str, dict[str, int]] = {}
    for index, leaf in leaves:
        if leaf["kind"] == "key":
            found.setdefault(key_place(leaf["vkey"]), {})[_KEY_PLACES[leaf["action"]]] = index
        elif leaf["kind"] in _PLACES:
            found.setdefault(leaf["entry"], {})[_PLACES[leaf["kind"]]] = index
    # In one order: on SQLite neighbours stand on one page. Of a column that a leaf says nothing of the value stays.
    entries = sorted(found)
    places = {name: [found[entry].get(name) for entry in entries] for name in ("confirm_index", "record_index")}
    writes.insert(LogPlace, {"entry": entries, **places}, merge="highest")


@operation
def note_places(*, most: int = PLACES_AT_ONCE) -> bool:
    """Notes where the leaves of entries stand, of at most so many leaves; returns whether there are more.

    Not by the batch that appends them: each entry stands somewhere else in that table, and whoever waits for the batch
    would wait for as many pages. Until then `models/places.py` finds these few leaves by themselves.
    """
    lock("publisher", "one")
    connection = db.session.connection()
    if not has_tree(connection):
        return False
    first, size = placed_to(connection), _size()
    if first is None or first >= size:
        return False
    rows = connection.execute(_LEAVES, {"first": first, "end": first + most})
    writes = Writes()
    _gather_places([(index, json.loads(data)) for index, data in rows], writes)
    writes.write()
    end = min(size, first + most)
    connection.execute(_PLACED_TO, {"placed": end})
    return end < size


_LEAVES = (
    select(LogLeaf.index, LogLeaf.data)
    .where(LogLeaf.index >= bindparam("first"), LogLeaf.index < bindparam("end"))
    .order_by(LogLeaf.index)
)
_PLACED_TO = update(LogPlace).where(LogPlace.entry == PLACED).values(record_index=bindparam("placed"))


@operation
def build_past(*, most: int = LEAVES_AT_ONCE) -> bool:
    """Makes the nodes of at most so many leaves that have none; returns whether there are more.

    They are those from before these tables, and those that an older release appended meanwhile.
    """
    lock("publisher", "one")
    connection = db.session.connection()
    if not has_tree(connection):
        return False
    size = _size()
    built = nodes.built_to(connection)
    end = min(size, built + most)
    if size - end == 1:
        # A single leaf has no node above it, so nobody would come back for it.
        end = size
    if end - built > 1:
        rows = db.session.execute(
            select(LogLeaf.hash, LogLeaf.data)
            .where(LogLeaf.index >= built, LogLeaf.index < end)
            .order_by(LogLeaf.index)
        ).all()
        writes = Writes()
        _grow(built, [bytes(row.hash) for row in rows], writes)
        _gather_places(enumerate([json.loads(row.data) for row in rows], start=built), writes)
        writes.write()
    return end < size


def add_checkpoint(
    size: int,
    root: bytes,
    signer: Signer,
    *,
    at: datetime,
    after: Checkpoint | None,
    grown: Grown | None = None,
    writes: Writes | None = None,
    without: Collection[str] = (),
) -> None:
    """Signs the tree of `size` leaves, which has this root. A step.

    after: what was signed last, as the guard knows it. grown, writes: what the batch that signs makes of the tree, and
    what it has gathered, which is written with it. without: vkeys that this very tree retires. Raises ForkError.
    """
    writes = Writes() if writes is None else writes
    if after is not None and (grown is None or (grown.first_index, grown.before) != (after.size, after.root)):
        writes.write()
        _check_extends(after, size)
    keys = [one for one in signer.keys if one[0].text not in without]
    if size and keys:
        text = replace(signer, keys=keys).sign(size, root)
        writes.insert(LogCheckpoint, {"size": [size], "root": [root], "at": [at], "note": [text]}, merge="keep")
    writes.write()


def _check_extends(after: Checkpoint, size: int) -> None:
    """Within the transaction that signs: whoever looked before may have looked at another database."""
    connection = db.session.connection()
    if size < after.size or nodes.computed(connection, lambda fetch: tree.root(after.size, fetch)) != after.root:
        raise ForkError(f"the tree of {size} leaves does not extend the one of {after.size}")


@operation
def sign_newest(signer: Signer, *, now: datetime, after: Checkpoint | None = None) -> bool:
    """Signs the newest tree if no batch has: after an upgrade or a restore. Returns whether it is signed now.

    after: as for `add_checkpoint`.
    """
    lock("publisher", "one")
    connection = db.session.connection()
    size = _size()
    if not has_tree(connection) or size - nodes.built_to(connection) > 1:
        return False
    if size and db.session.get(LogCheckpoint, size) is None:
        root = nodes.computed(connection, lambda fetch: tree.root(size, fetch))
        add_checkpoint(size, root, signer, at=now, after=after)
    return True


def _size() -> int:
    return db.session.scalar(select(LogBatch.tree_size).order_by(LogBatch.revision.desc()).limit(1)) or 0
