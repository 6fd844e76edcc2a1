"""The tree over the leaves: nodes are added with each batch, roots are read from them, checkpoints are signed."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import bindparam, select

from charter.models import nodes
from charter.models.base import db
from charter.models.log import LogBatch, LogCheckpoint, LogLeaf, LogNode, LogPlace, has_tree, key_place
from charter.operations.bulk import insert_columns, upsert_columns
from charter.operations.unit import insert_if_absent, lock, operation
from charter.tlog import tree
from charter.tlog.note import Checkpoint
from charter.tlog.signer import Signer

#: Leaves of the past whose nodes are made in one transaction: a fraction of a second.
LEAVES_AT_ONCE = 5000


class ForkError(Exception):
    """The tree does not extend what was signed last: signing it would show two histories under one name (LOG §3)."""


def append_nodes(first_index: int, hashes: Sequence[bytes], leaves: Sequence[Mapping[str, Any]]) -> bytes | None:
    """The nodes that leaves with these hashes complete, and the places of the leaves, which are given as objects.

    Returns the root of the tree that they end.

    A step of whoever appends the leaves. While nodes of earlier leaves are missing it does nothing and returns None:
    `build_past` will come to these. Reads one node of each level at most, so the size of the log costs nothing.
    """
    connection = db.session.connection()
    if not hashes or not has_tree(connection):
        return None
    built = nodes.built_to(connection)
    # Of a last single leaf no node shows that it is there.
    if first_index - built > 1:
        return None
    found = nodes.read(connection, tree.subtrees(0, first_index))
    new = list(tree.append(first_index, hashes, nodes.fetch_from(found)))
    found |= {(level, index): one for level, index, one in new}
    stored = [one for one in new if one[0] > 0]
    insert_columns(
        LogNode,
        {
            "level": [level for level, _, _ in stored],
            "index": [index for _, index, _ in stored],
            "hash": [one for _, _, one in stored],
        },
    )
    lone: Sequence[Mapping[str, Any]] = ()
    if built < first_index:
        # An older release may have appended it, which notes no place.
        lone = (json.loads(connection.execute(_LEAF, {"index": built}).scalar_one()),)
    _note_places(first_index - len(lone), [*lone, *leaves])
    return tree.root(first_index + len(hashes), nodes.fetch_from(found))


_LEAF = select(LogLeaf.data).where(LogLeaf.index == bindparam("index"))
#: kind of leaf → the column that says where it stands.
_PLACES = {"confirm": "confirm_index", "publish": "record_index", "correct": "record_index"}
#: The same for what a `key` leaf does.
_KEY_PLACES = {"add": "confirm_index", "retire": "record_index"}


def _note_places(first_index: int, leaves: Sequence[Mapping[str, Any]]) -> None:
    found: dict[str, dict[str, int]] = {}
    for index, leaf in enumerate(leaves, start=first_index):
        if leaf["kind"] == "key":
            found.setdefault(key_place(leaf["vkey"]), {})[_KEY_PLACES[leaf["action"]]] = index
        elif leaf["kind"] in _PLACES:
            found.setdefault(leaf["entry"], {})[_PLACES[leaf["kind"]]] = index
    # In one order: on SQLite neighbours stand on one page. Of a column that a leaf says nothing of the value stays.
    entries = sorted(found)
    places = {name: [found[entry].get(name) for entry in entries] for name in ("confirm_index", "record_index")}
    upsert_columns(LogPlace, "entry", {"entry": entries, **places})


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
        append_nodes(built, [bytes(row.hash) for row in rows], [json.loads(row.data) for row in rows])
    return end < size


def add_checkpoint(
    size: int, root: bytes, signer: Signer, *, at: datetime, after: Checkpoint | None, without: Collection[str] = ()
) -> None:
    """Signs the tree of `size` leaves, which has this root. A step.

    after: what was signed last, as the guard knows it. without: vkeys that this very tree retires. Raises ForkError.
    """
    if after is not None:
        _check_extends(after, size)
    keys = [one for one in signer.keys if one[0].text not in without]
    if size and keys:
        text = replace(signer, keys=keys).sign(size, root)
        insert_if_absent(LogCheckpoint, [{"size": size, "root": root, "at": at, "note": text}])


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
