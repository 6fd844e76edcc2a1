"""The tree as the signer's guard sees it: what was signed last, the root at a size, and which keys the log names."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, select

from charter.models import nodes
from charter.models.log import KEY_PLACES, LogBatch, LogCheckpoint, LogEvent, LogLeaf, LogPlace, has_tree
from charter.tlog import tree
from charter.tlog.leaf import parse_time

__all__ = ["LoggedKey", "Signed", "has_tree", "keys", "keys_to_come", "newest", "root_at", "size"]


@dataclass(frozen=True)
class Signed:
    """A checkpoint as it is in the database. root: 32 bytes. note: with our own signatures."""

    size: int
    root: bytes
    at: datetime
    note: str

    @property
    def origin(self) -> str:
        """The name of the log."""
        return self.note.partition("\n")[0]


@dataclass(frozen=True)
class LoggedKey:
    """A key that the log names. Each time is that of its leaf; retired_at: None while it signs."""

    vkey: str
    added_at: datetime
    retired_at: datetime | None


def size(connection: Connection) -> int:
    """How many leaves there are."""
    return connection.scalar(select(LogBatch.tree_size).order_by(LogBatch.revision.desc()).limit(1)) or 0


def newest(connection: Connection) -> Signed | None:
    """What was signed last; None before the first time."""
    table = LogCheckpoint
    query = select(table.size, table.root, table.at, table.note).order_by(table.size.desc()).limit(1)
    row = connection.execute(query).first()
    return None if row is None else Signed(row.size, bytes(row.root), row.at, row.note)


def root_at(connection: Connection, leaf_count: int) -> bytes | None:
    """The root of the first leaves, out of stored nodes: at most one of each level. None while nodes are missing."""
    try:
        return nodes.computed(connection, lambda fetch: tree.root(leaf_count, fetch))
    except KeyError:
        return None


def keys(connection: Connection) -> list[LoggedKey]:
    """The keys that the log names, in the order they were added: as many rows as there ever were."""
    place = LogPlace
    added, retired = LogLeaf.__table__.alias(), LogLeaf.__table__.alias()
    rows = connection.execute(
        select(added.c.data.label("added"), retired.c.data.label("retired"))
        .select_from(place)
        .join(added, added.c.index == place.confirm_index)
        .outerjoin(retired, retired.c.index == place.record_index)
        .where(place.entry >= KEY_PLACES)
        .order_by(place.confirm_index)
    )
    found = []
    for row in rows:
        leaf = json.loads(row.added)
        gone = None if row.retired is None else parse_time(json.loads(row.retired)["t"])
        found.append(LoggedKey(leaf["vkey"], parse_time(leaf["t"]), gone))
    return found


def keys_to_come(connection: Connection) -> list[tuple[str, str]]:
    """(action, vkey) of the `key` leaves that wait for a batch."""
    rows = connection.scalars(select(LogEvent.values).where(LogEvent.kind == "key").order_by(LogEvent.id))
    return [(str(values["action"]), str(values["vkey"])) for values in rows]
