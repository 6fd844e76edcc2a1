"""What staff see of the mail: how much waits, and what was given up."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import case, func, or_, select

from charter.domain.mail import MOST_FAILURES, WAY_OUT, hour_of
from charter.models.base import db
from charter.models.limits import MailboxTally, MailHour
from charter.models.outbox import Message
from charter.models.signature import Signature

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
    """waiting: how many mails wait. oldest_due_at: since when the oldest of those that should have left waits, however
    often it was tried since; None when there is none. last_error: the code of a failure among them, if any failed.
    """

    waiting: int
    oldest_due_at: datetime | None
    last_error: str | None = None


@dataclass(frozen=True)
class MailFlow:
    """sent: mails handed over since the hour began; budget: as many as may be, 0 for any number.

    rests_since: too much failed in a row, so only one mail is tried from time to time.
    """

    sent: int
    budget: int
    rests_since: datetime | None


def failed_mail(regions: frozenset[str] | None = None) -> list[FailedMail]:
    """Mails given up, newest first, at most PAGE_SIZE. regions: codes; None: everywhere."""
    query = select(Message).where(Message.failed_at.is_not(None)).order_by(Message.id.desc()).limit(PAGE_SIZE)
    if regions is not None:
        query = query.join(Signature, Signature.id == Message.signature_id).where(Signature.region_code.in_(regions))
    rows = db.session.scalars(query)
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
    """The state of the outbox: rows read through the partial index of what waits, up to MOST_COUNTED."""
    waiting = (
        select(Message.due_at, Message.created_at, Message.last_error)
        .where(Message.done_at.is_(None), ~Message.on_hold)
        .order_by(Message.due_at)
        .limit(MOST_COUNTED + 1)
        .subquery()
    )
    # A failed attempt moves `due_at` on; that it should have left long ago is told by when it was written.
    is_late = or_(waiting.c.due_at <= now, waiting.c.last_error.is_not(None))
    count, oldest, last_error = db.session.execute(
        select(
            func.count(),
            func.min(case((is_late, waiting.c.created_at))),
            func.max(waiting.c.last_error),
        )
    ).one()
    return MailHealth(count, oldest, last_error)


def mail_flow(*, budget: int, now: datetime) -> MailFlow:
    """Two rows by their keys."""
    sent = db.session.scalar(select(MailHour.sent_count).where(MailHour.hour_at == hour_of(now)))
    rests_since = db.session.scalar(
        select(MailboxTally.bounced_at).where(
            MailboxTally.digest == WAY_OUT, MailboxTally.bounce_count >= MOST_FAILURES
        )
    )
    return MailFlow(sent or 0, budget, rests_since)
