"""What waits for publication, and what was published: batches and the bytes of their leaves."""

from __future__ import annotations

import json
from collections.abc import Collection
from datetime import datetime

from sqlalchemy import Connection, func, or_, select

from charter.domain.moments import LONGEST_UNDO
from charter.models import nodes, places
from charter.models.base import db
from charter.models.log import LogBatch, LogCheckpoint, LogEvent, LogLeaf, has_tree
from charter.models.moments import has_come
from charter.models.registry import PublicEntry
from charter.tlog.leaves_text import Closing

#: Leaf kinds that take something away from the public: these never wait for a long publication interval (LOG §3).
URGENT = ("withdraw", "erase", "revoke", "correct")

_BATCHES = select(LogBatch.revision, LogBatch.tree_size, LogBatch.at)


def has_urgent(*, now: datetime) -> bool:
    """Whether somebody waits to leave the registry."""
    is_due = has_come(LogEvent.effective_at, now=now, longest=LONGEST_UNDO)
    # Who shuts out search engines does not wait either.
    is_urgent = or_(LogEvent.kind.in_(URGENT), (LogEvent.kind == "refresh") & LogEvent.signature_id.is_(None))
    query = select(LogEvent.id).where(is_urgent, is_due).limit(1)
    return db.session.scalar(query) is not None


def newest_batch(connection: Connection) -> Closing | None:
    """The last publication, None before the first."""
    row = connection.execute(_BATCHES.order_by(LogBatch.revision.desc()).limit(1)).first()
    return None if row is None else Closing(*row)


def find_batch(connection: Connection, revision: int) -> Closing | None:
    """One publication by its number."""
    row = connection.execute(_BATCHES.where(LogBatch.revision == revision)).first()
    return None if row is None else Closing(*row)


def batches_after(connection: Connection, revision: int, *, limit: int) -> list[Closing]:
    """Publications after this one, oldest first."""
    query = _BATCHES.where(LogBatch.revision > revision).order_by(LogBatch.revision).limit(limit)
    return [Closing(*row) for row in connection.execute(query)]


def moments_of(revisions: Collection[int]) -> dict[int, datetime]:
    """When these publications were, by their numbers; unknown ones are left out."""
    query = select(LogBatch.revision, LogBatch.at).where(LogBatch.revision.in_(revisions))
    return {row.revision: row.at for row in db.session.execute(query)}


def leaves(connection: Connection, first: int, end: int) -> list[bytes]:
    """The bytes of the leaves with an index from `first` up to and without `end`."""
    query = select(LogLeaf.data).where(LogLeaf.index >= first, LogLeaf.index < end).order_by(LogLeaf.index)
    return [bytes(data) for data in connection.scalars(query)]


def lacks_nodes() -> bool:
    """Whether leaves stand in the log that the tree does not cover yet: from before an upgrade, or a restore."""
    connection = db.session.connection()
    return has_tree(connection) and _size(connection) - nodes.built_to(connection) > 1


def lacks_places() -> bool:
    """Whether leaves stand in the log whose places are not noted: of a batch after which the worker was stopped."""
    connection = db.session.connection()
    if not has_tree(connection):
        return False
    placed = places.placed_to(connection)
    return placed is not None and placed < _size(connection)


def is_unsigned() -> bool:
    """Whether the tree covers every leaf and no checkpoint of it is signed."""
    connection = db.session.connection()
    size = _size(connection)
    if not size or not has_tree(connection) or size - nodes.built_to(connection) > 1:
        return False
    return connection.scalar(select(LogCheckpoint.size).where(LogCheckpoint.size == size)) is None


def _size(connection: Connection) -> int:
    newest = newest_batch(connection)
    return 0 if newest is None else newest.tree_size


def find_removal_reason(entry: str) -> str | None:
    """Why the Centre removed this entry, as the leaf says it (LOG §1): looked for in the one batch that ended it.

    None where the entry stands, was withdrawn, or ended in a release that did not note in which batch.
    """
    ended = (
        select(PublicEntry.changed_revision)
        .where(PublicEntry.entry == entry, PublicEntry.ended_by == "centre")
        .scalar_subquery()
    )
    before = select(func.max(LogBatch.tree_size)).where(LogBatch.revision < ended).scalar_subquery()
    end = select(LogBatch.tree_size).where(LogBatch.revision == ended).scalar_subquery()
    # At most as many as a batch holds.
    rows = select(LogLeaf.data).where(LogLeaf.index >= before, LogLeaf.index < end).order_by(LogLeaf.index)
    named = f'"entry":"{entry}","kind":"revoke"'.encode()
    found = next((bytes(data) for data in db.session.scalars(rows) if named in bytes(data)), None)
    return None if found is None else str(json.loads(found)["reason"])
