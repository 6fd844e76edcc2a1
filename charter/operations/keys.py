"""The log's keys as leaves: one is added before it signs, and retired when it signs no longer (LOG §3)."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import select

from charter.models import nodes
from charter.models.base import db
from charter.models.log import LogBatch, LogEvent, LogPlace, has_tree, key_place
from charter.operations.unit import lock, operation


@operation
def announce(vkey: str, *, now: datetime) -> bool:
    """Queues the `add` of a key unless it stands in the log or waits already; returns whether it did.

    Nothing before the first batch, which names its key itself, nor while it cannot be known what stands in the log.
    """
    return _queue("add", vkey, now=now)


@operation
def retire(vkey: str, *, now: datetime) -> bool:
    """Queues the `retire` of a key in the same way."""
    return _queue("retire", vkey, now=now)


def _queue(action: str, vkey: str, *, now: datetime) -> bool:
    lock("publisher", "one")
    connection = db.session.connection()
    size = db.session.scalar(select(LogBatch.tree_size).order_by(LogBatch.revision.desc()).limit(1))
    if size is None or not has_tree(connection) or size - nodes.built_to(connection) > 1:
        return False
    place = db.session.get(LogPlace, key_place(vkey))
    if place is not None and (place.confirm_index if action == "add" else place.record_index) is not None:
        return False
    values = {"action": action, "vkey": vkey}
    if any(event.values == values for event in db.session.scalars(select(LogEvent).where(LogEvent.kind == "key"))):
        return False
    db.session.add(LogEvent(kind="key", values=values, effective_at=now))
    return True
