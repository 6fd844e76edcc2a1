"""The outbox's verbs: take up what is due, and record what became of it. Nothing is sent inside a transaction."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, cast

from sqlalchemy import Table, bindparam, or_, select, update

from charter.domain.errors import NotFoundError
from charter.domain.mail import Delivery
from charter.domain.moments import CLOCK_SLACK
from charter.domain.signature import STANDING, State
from charter.models.base import db
from charter.models.moments import has_come
from charter.models.outbox import Message
from charter.models.signature import Link, Signature
from charter.operations.steps import add_audit, personal_link
from charter.operations.unit import operation

#: Minutes until the next attempt; after these, hourly until GIVE_UP_AFTER.
RETRY_MINUTES = (1, 5, 15, 60)
GIVE_UP_AFTER = timedelta(hours=48)
#: No message is ever planned further ahead than this.
LONGEST_WAIT = timedelta(minutes=max(RETRY_MINUTES))
#: By the clock alone one jump of it would give up everything that waits; so many attempts take hours whatever it says.
LEAST_ATTEMPTS = 10


@operation
def claim(*, limit: int, lease_seconds: int, now: datetime) -> list[Delivery]:
    """Takes up to `limit` messages that are due; nobody else gets them until the lease ends.

    A message that waits, or is leased, for longer than we ever plan is due now: the clock has gone back.
    A `signing` message becomes `already-signed` when the person stands in the registry or its queue, else
    `confirm-signature`; one that is no longer needed is closed without a mail.
    """
    db.session.execute(
        update(Message)
        .where(Message.done_at.is_(None), ~Message.on_hold, Message.due_at > now + LONGEST_WAIT + CLOCK_SLACK)
        .values(due_at=now),
        execution_options={"synchronize_session": False},
    )
    lease = timedelta(seconds=lease_seconds)
    due = (
        select(Message.id)
        .where(
            Message.done_at.is_(None),
            ~Message.on_hold,
            Message.due_at <= now,
            or_(Message.leased_until.is_(None), has_come(Message.leased_until, now=now, longest=lease)),
        )
        .order_by(Message.due_at)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    taken = db.session.scalars(
        update(Message).where(Message.id.in_(due.scalar_subquery())).values(leased_until=now + lease).returning(Message)
    ).all()
    # Both lists are held, so that `_resolve` finds each row in the session instead of asking for it.
    links = db.session.scalars(select(Link).where(Link.id.in_([one.link_id for one in taken]))).all()
    signatures = db.session.scalars(
        select(Signature).where(Signature.id.in_([one.signature_id for one in taken]))
    ).all()
    deliveries = []
    for message in sorted(taken, key=lambda one: one.id):
        delivery = _resolve(message, now=now)
        if delivery is None:
            _close(message, now=now)
        else:
            deliveries.append(delivery)
    del links, signatures
    return deliveries


#: Somebody of this name and mailbox who stands in the registry or its queue.
_STANDING = (
    select(Signature.id)
    .where(
        Signature.mailbox == bindparam("mailbox"),
        Signature.name_key == bindparam("name_key"),
        Signature.state.in_(STANDING),
    )
    .limit(1)
)


def _resolve(message: Message, *, now: datetime) -> Delivery | None:
    link = None if message.link_id is None else db.session.get(Link, message.link_id)
    kind = message.kind
    if kind == "signing":
        signature = db.session.get_one(Signature, message.signature_id)
        if signature.state != State.SUBMITTED:
            return None
        standing = db.session.connection().scalar(
            _STANDING, {"mailbox": signature.mailbox, "name_key": signature.name_key}
        )
        kind = "confirm-signature" if standing is None else "already-signed"
        if standing is not None:
            link = personal_link(standing)
    if message.recipient is None:
        return None
    if link is not None and link.expires_at is not None and link.expires_at <= now:
        # It would bring a link that no longer works.
        return None
    return Delivery(
        message_id=message.id,
        uid=message.uid,
        kind=kind,
        language=message.language,
        recipient=message.recipient,
        values=dict(message.values),
        link_purpose=None if link is None else link.purpose,
        link_uid=None if link is None else link.uid,
        link_expires_at=None if link is None else link.expires_at,
        created_at=message.created_at,
    )


def _close(message: Message, *, now: datetime) -> None:
    message.done_at = now
    message.leased_until = None
    message.recipient = None
    message.values = {}


@operation
def mark_sent(message_ids: Sequence[int], *, now: datetime) -> None:
    """The mail server has taken them: addresses and values are wiped."""
    db.session.connection().execute(_SENT, {"message_ids": list(message_ids), "moment": now, "nothing": {}})


_TABLE = cast("Table", Message.__table__)
#: Sending waits for this: one statement, put together once.
_SENT = (
    _TABLE.update()
    .where(_TABLE.c.id.in_(bindparam("message_ids", expanding=True)), _TABLE.c.done_at.is_(None))
    .values(
        done_at=bindparam("moment"),
        sent_at=bindparam("moment"),
        leased_until=None,
        recipient=None,
        values=bindparam("nothing"),
        attempts=_TABLE.c.attempts + 1,
        last_error=None,
    )
)


@operation
def mark_failed(message_id: int, *, code: str, is_permanent: bool, now: datetime) -> None:
    """Plans the next attempt, or gives up after 48 hours or a permanent refusal: then staff see it.

    code: such as "smtp-550" or "timeout"; never the server's words, which may quote the address.
    """
    message = db.session.get(Message, message_id, with_for_update=True)
    if message is None or message.done_at is not None:
        return
    message.attempts += 1
    message.last_error = code
    message.leased_until = None
    # After a standstill of days the first failures are not yet a reason to give up.
    if is_permanent or (message.attempts >= LEAST_ATTEMPTS and now - message.created_at >= GIVE_UP_AFTER):
        message.failed_at = message.done_at = now
        return
    place = min(message.attempts, len(RETRY_MINUTES)) - 1
    message.due_at = now + timedelta(minutes=RETRY_MINUTES[place])


@operation
def put_back(message_ids: Sequence[int], *, leased_until: datetime, code: str | None) -> None:
    """Ends the lease of messages that were taken up and never offered to anybody: due as before, no attempt counted.

    leased_until: of that lease; what another worker has taken up since stays with it. code: why, as in `mark_failed`.
    """
    values: dict[str, Any] = {"leased_until": None}
    if code is not None:
        values["last_error"] = code
    db.session.execute(
        update(Message)
        .where(Message.id.in_(message_ids), Message.leased_until == leased_until, Message.done_at.is_(None))
        .values(**values),
        execution_options={"synchronize_session": False},
    )


@operation
def put_off(message_id: int, *, until: datetime) -> None:
    """Ends the lease of a message that nobody was offered: due at `until`, no attempt counted."""
    db.session.execute(
        update(Message)
        .where(Message.id == message_id, Message.done_at.is_(None))
        .values(leased_until=None, due_at=until),
        execution_options={"synchronize_session": False},
    )


@operation
def retry(message_id: int, *, staff_id: int, now: datetime) -> None:
    """Puts a message that failed for good back into the queue. Raises NotFoundError if it did not fail."""
    message = db.session.get(Message, message_id, with_for_update=True)
    if message is None or message.failed_at is None or message.recipient is None:
        raise NotFoundError
    message.failed_at = message.done_at = message.last_error = None
    message.attempts = 0
    message.created_at = message.due_at = now
    add_audit("retry-mail", staff_id=staff_id, subject="message", subject_id=message_id, now=now)
