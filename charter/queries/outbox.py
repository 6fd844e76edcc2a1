"""What staff see of the mail: how much waits, and what was given up."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select

from charter.models.base import db
from charter.models.outbox import Message

PAGE_SIZE = 50
#: Beyond this a page says "more than".
MOST_COUNTED = 1000


@dataclass(frozen=True)
class FailedMail:
    """A mail given up. last_error: a code."""

    message_id: int
    kind: str
    signature_id: int | None
    recipient: str | None
    last_error: str | None
    attempts: int
    created_at: datetime
    failed_at: datetime


@dataclass(frozen=True)
class MailHealth:
    """waiting: how many mails wait; oldest_due_at: since when the oldest is due, None when none is."""

    waiting: int
    oldest_due_at: datetime | None


def failed_mail() -> list[FailedMail]:
    """Mails given up, newest first, at most PAGE_SIZE."""
    rows = db.session.scalars(
        select(Message).where(Message.failed_at.is_not(None)).order_by(Message.id.desc()).limit(PAGE_SIZE)
    )
    return [
        FailedMail(
            message_id=row.id,
            kind=row.kind,
            signature_id=row.signature_id,
            recipient=row.recipient,
            last_error=row.last_error,
            attempts=row.attempts,
            created_at=row.created_at,
            failed_at=row.failed_at,
        )
        for row in rows
        if row.failed_at is not None
    ]


def mail_health(*, now: datetime) -> MailHealth:
    """The state of the outbox: rows counted through the partial index of what waits, up to MOST_COUNTED."""
    waiting = (
        select(Message.due_at)
        .where(Message.done_at.is_(None), ~Message.on_hold)
        .order_by(Message.due_at)
        .limit(MOST_COUNTED + 1)
        .subquery()
    )
    count, oldest = db.session.execute(select(func.count(), func.min(waiting.c.due_at))).one()
    if oldest is not None and oldest > now:
        oldest = None
    return MailHealth(count, oldest)
