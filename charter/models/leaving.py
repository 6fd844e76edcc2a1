"""Who has left and is not forgotten yet, as conditions on the queue of the log."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ColumnElement, and_, exists, or_

from charter.domain.moments import LONGEST_FAREWELL
from charter.models.log import LogEvent
from charter.models.moments import has_come
from charter.models.outbox import Message

#: An older release takes such an event for a public change without a leaf, and loses it; the worker's walk at its start
#: finds the person again.
KIND = "refresh"


def is_leaving() -> ColumnElement[bool]:
    """The event says that a person is to be forgotten, and is nothing for a batch of the log."""
    return and_(LogEvent.kind == KIND, LogEvent.signature_id.is_not(None))


def may_be_forgotten(*, now: datetime) -> ColumnElement[bool]:
    """No mail to this person waits any more, or it has waited long enough."""
    waits = exists().where(Message.signature_id == LogEvent.signature_id, Message.done_at.is_(None))
    return and_(is_leaving(), or_(has_come(LogEvent.effective_at, now=now, longest=LONGEST_FAREWELL), ~waits))
