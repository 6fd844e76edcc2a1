"""The tree over the leaves: nodes are added with each batch, roots are read from them, checkpoints are signed."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import select

from charter.models import nodes
from charter.models.base import db
from charter.models.log import LogBatch, LogCheckpoint, LogLeaf, LogNode, LogPlace, has_tree
from charter.operations.bulk import insert_columns, upsert_columns
from charter.operations.unit import lock, operation
from charter.tlog import tree
from charter.tlog.signer import Signer

#: Leaves of the past whose nodes are made in one transaction: a fraction of a second.
LEAVES_AT_ONCE = 5000


def append_nodes(first_index: int, hashes: Sequence[bytes], leaves: Sequence[Mapping[str, Any]]) -> bytes | None:
    """The nodes that leaves with these hashes complete, and the places of the leaves, which are given as objects.

    Returns the root of the tree that they end.

    A step of whoever appends the leaves. While nodes of earlier leaves are missing it does nothing and returns None:
    `build_past` will come to these. Reads one node of each level at most, so the size of the log costs nothing.
    """
    connection = db.session.connection()
    if not hashes or not has_tree(connection):
        return None
    # Of a last single leaf no node shows that it is there.
    if first_index - nodes.built_to(connection) > 1:
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
    _note_places(first_index, leaves)
    return tree.root(first_index + len(hashes), nodes.fetch_from(found))


#: kind of leaf → the column that says where it stands.
_PLACES = {"confirm": "confirm_index", "publish": "record_index", "correct": "record_index"}


def _note_places(first_index: int, leaves: Sequence[Mapping[str, Any]]) -> None:
    for column in ("confirm_index", "record_index"):
        found = {
            leaf["entry"]: first_index + place
            for place, leaf in enumerate(leaves)
            if _PLACES.get(leaf["kind"]) == column
        }
        upsert_columns(LogPlace, "entry", {"entry": list(found), column: list(found.values())})


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
    if end - built > 1:
        rows = db.session.execute(
            select(LogLeaf.hash, LogLeaf.data)
            .where(LogLeaf.index >= built, LogLeaf.index < end)
            .order_by(LogLeaf.index)
        ).all()
        append_nodes(built, [bytes(row.hash) for row in rows], [json.loads(row.data) for row in rows])
    return end < size


def add_checkpoint(size: int, root: bytes, signer: Signer, *, at: datetime) -> None:
    """Signs the tree of `size` leaves, which has this root. A step."""
    if size and db.session.get(LogCheckpoint, size) is None:
        db.session.add(LogCheckpoint(size=size, root=root, at=at, note=signer.sign(size, root)))


@operation
def sign_newest(signer: Signer, *, now: datetime) -> bool:
    """Signs the newest tree if no batch has: after an upgrade or a restore. Returns whether it is signed now."""
    lock("publisher", "one")
    connection = db.session.connection()
    size = _size()
    if not has_tree(connection) or size - nodes.built_to(connection) > 1:
        return False
    if size and db.session.get(LogCheckpoint, size) is None:
        add_checkpoint(size, nodes.computed(connection, lambda fetch: tree.root(size, fetch)), signer, at=now)
    return True


def _size() -> int:
    return db.session.scalar(select(LogBatch.tree_size).order_by(LogBatch.revision.desc()).limit(1)) or 0
