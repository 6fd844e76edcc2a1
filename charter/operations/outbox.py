"""The outbox's verbs: take up what is due, and record what became of it. Nothing is sent inside a transaction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, cast

from sqlalchemy import Table, TextClause, bindparam, or_, select, text, update

from charter.domain.duties import Right
from charter.domain.errors import NotFoundError
from charter.domain.mail import Batch, Delivery
from charter.domain.moments import CLOCK_SLACK
from charter.domain.signature import STANDING, State
from charter.models.base import db
from charter.models.moments import has_come
from charter.models.outbox import Message
from charter.models.signature import Link, Signature
from charter.operations import addresses, links, mailboxes, pacing, staff_mail
from charter.operations.addresses import Secret
from charter.operations.duties import require
from charter.operations.mailboxes import Answer, Asked, Verdict
from charter.operations.steps import add_audit
from charter.operations.unit import operation

#: Minutes until the next attempt; after these, hourly until GIVE_UP_AFTER.
RETRY_MINUTES = (1, 5, 15, 60)
GIVE_UP_AFTER = timedelta(hours=48)
#: No message is ever planned further ahead than this.
LONGEST_WAIT = timedelta(minutes=max(RETRY_MINUTES))
#: The code of a mail that we could not even write.
BUG = "bug"
#: By the clock alone one jump of it would give up everything that waits; so many attempts take hours whatever it says.
LEAST_ATTEMPTS = 10


#: Mail that somebody may get who never asked for it: it counts against a mailbox, and leaves after every other.
FIRST = ("signing", "reminder", "address-new")
#: Mail by which we ask something of people who stand: not of those who said "this was not me".
REQUESTS = ("affirm",)
# As the partial index is declared: SQLite recognises it only by the same words, never through parameters.
_FIRST_NAMES = ", ".join(f"'{kind}'" for kind in FIRST)
_IS_ANSWER = text(f"done_at IS NULL AND NOT on_hold AND kind NOT IN ({_FIRST_NAMES})")
_IS_FIRST = text(f"done_at IS NULL AND NOT on_hold AND kind IN ({_FIRST_NAMES})")
#: In the values of a first mail: it was counted, and as which kind it was offered. No template sees it.
OFFERED = "offered"
#: In the values of a `signing` or `reminder` mail: the list from which the Centre entered the person.
SOURCE = "source"


@operation
def claim(*, limit: int, lease_seconds: int, key: bytes, hourly_budget: int, now: datetime) -> Batch:
    """Takes up to `limit` messages that are due; nobody else gets them until the lease ends.

    Answers come before first mails, which no crowd of these may hold up. A message that waits, or is leased, for longer
    than we ever plan is due now: the clock has gone back. A `signing` message becomes `already-signed` when the person
    stands in the registry or its queue, else `confirm-signature` or, from a list, `imported`; one that is no longer
    needed is closed without a mail. What a mailbox should not get yet waits (`mailboxes.admit`). The number of
    statements does not depend on how many messages there are, save for links that somebody asked for.
    hourly_budget: mails that leave in an hour, 0 for as many as there are.
    """
    lease = timedelta(seconds=lease_seconds)
    turn = pacing.take_turn(limit=limit, hourly_budget=hourly_budget, lease=lease, now=now)
    if not turn.most:
        return Batch([], is_failing=turn.is_failing, is_paused=turn.is_paused)
    db.session.execute(
        update(Message)
        .where(Message.done_at.is_(None), ~Message.on_hold, Message.due_at > now + LONGEST_WAIT + CLOCK_SLACK)
        .values(due_at=now),
        execution_options={"synchronize_session": False},
    )
    taken = _take(_IS_ANSWER, turn.most, lease=lease, now=now)
    most_first = min(turn.most - len(taken), turn.most_first)
    if most_first > 0:
        taken += _take(_IS_FIRST, most_first, lease=lease, now=now)
    if not taken:
        return Batch([], is_failing=turn.is_failing)
    is_full = len(taken) >= turn.most
    for request in [one for one in taken if links.is_request(one)]:
        taken.remove(request)
        taken += links.answer(request, leased_until=now + lease, now=now)
    deliveries = _admitted(_resolved(taken, now=now), key=key, now=now)
    if deliveries:
        pacing.count_taken(len(deliveries), now=now)
        if turn.is_probe:
            pacing.note_probe(lease=lease, now=now)
    return Batch(deliveries, is_full=is_full, is_failing=turn.is_failing)


def _take(which: TextClause, limit: int, *, lease: timedelta, now: datetime) -> list[Message]:
    due = (
        select(Message.id)
        .where(
            which,
            Message.due_at <= now,
            or_(Message.leased_until.is_(None), has_come(Message.leased_until, now=now, longest=lease)),
        )
        .order_by(Message.due_at)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    taken = db.session.scalars(
        update(Message).where(Message.id.in_(due.scalar_subquery())).values(leased_until=now + lease).returning(Message)
    )
    return sorted(taken, key=lambda one: one.id)


@dataclass(frozen=True)
class _Due:
    """A message that is due, what it becomes now, and the name behind it."""

    message: Message
    delivery: Delivery
    name_key: str


def _resolved(taken: list[Message], *, now: datetime) -> list[_Due]:
    """What each message becomes now; those that are needed no longer are closed."""
    # Both lists are held, so that `_resolve` finds each row in the session instead of asking for it.
    held = db.session.scalars(select(Link).where(Link.id.in_([one.link_id for one in taken]))).all()
    signatures = db.session.scalars(
        select(Signature).where(Signature.id.in_([one.signature_id for one in taken]))
    ).all()
    standing = _standing([one for one in signatures if one.state == State.SUBMITTED])
    names = {one.id: one.name_key for one in signatures}
    due = []
    for message in taken:
        delivery = _resolve(message, standing, now=now)
        if delivery is None:
            _close(message, now=now)
        else:
            due.append(_Due(message, delivery, names.get(message.signature_id or 0, "")))
    del held
    return due


#: (mailbox, name) of people who stand in the registry or its queue → their personal link.
Standing = dict[tuple[str, str], Link]


def _standing(waiting: list[Signature]) -> Standing:
    """Who among these has signed before: one statement for all of them."""
    if not waiting:
        return {}
    found = db.session.execute(
        select(Signature.mailbox, Signature.name_key, Link)
        .join(Link, (Link.signature_id == Signature.id) & (Link.purpose == "personal"))
        .where(Signature.mailbox.in_({one.mailbox for one in waiting}), Signature.state.in_(STANDING))
        .order_by(Link.id)
    )
    return {(mailbox, name_key): link for mailbox, name_key, link in found}


def _resolve(message: Message, standing: Standing, *, now: datetime) -> Delivery | None:
    link: Link | Secret | None = None if message.link_id is None else db.session.get(Link, message.link_id)
    first_uid = None if link is None or message.kind not in FIRST else link.uid
    kind = message.kind
    if kind == "signing":
        signature = db.session.get_one(Signature, message.signature_id)
        if signature.state != State.SUBMITTED:
            return None
        personal = standing.get((signature.mailbox, signature.name_key))
        # What was offered before may have arrived though nobody told us: a repeat must be the same mail.
        first = "imported" if SOURCE in message.values else "confirm-signature"
        if personal is None or message.values.get(OFFERED) == first:
            kind = first
        else:
            kind, link = "already-signed", personal
    elif kind == "reminder" and db.session.get_one(Signature, message.signature_id).state != State.SUBMITTED:
        # Confirmed meanwhile: nothing is left to remind of.
        return None
    elif kind in {addresses.OLD, addresses.NEW}:
        link = addresses.secret_of(message, now=now)
        if link is None:
            return None
    elif kind == staff_mail.INVITE:
        link = staff_mail.secret_of(message, now=now)
        if link is None:
            return None
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
        values={name: value for name, value in message.values.items() if name != OFFERED},
        link_purpose=None if link is None else link.purpose,
        link_uid=None if link is None else link.uid,
        link_expires_at=None if link is None else link.expires_at,
        created_at=message.created_at,
        first_uid=first_uid,
    )


def _admitted(due: list[_Due], *, key: bytes, now: datetime) -> list[Delivery]:
    """Those that their mailboxes may get now; the others wait, or are closed."""
    asked = [
        Asked(
            recipient=one.delivery.recipient,
            name_key=one.name_key,
            is_first=one.message.kind in FIRST,
            was_counted=OFFERED in one.message.values,
            is_request=one.message.kind in REQUESTS,
        )
        for one in due
    ]
    answers = mailboxes.admit(asked, key=key, longest_wait=LONGEST_WAIT, now=now)
    for one, answer in zip(due, answers, strict=True):
        _follow(one, answer, now=now)
    going = [one for one, answer in zip(due, answers, strict=True) if answer.verdict is Verdict.GO]
    offered = [
        {"message_id": one.message.id, "kept": {**one.message.values, OFFERED: one.delivery.kind}}
        for one in going
        if one.message.kind in FIRST and one.message.values.get(OFFERED) != one.delivery.kind
    ]
    if offered:
        db.session.connection().execute(_OFFERED, offered)
    return [one.delivery for one in going]


def _follow(one: _Due, answer: Answer, *, now: datetime) -> None:
    message = one.message
    if answer.verdict is Verdict.GO:
        return
    if answer.verdict is Verdict.NEVER:
        _close(message, now=now)
    else:
        message.leased_until = None
        message.due_at = answer.until or message.due_at
        if answer.reason is not None:
            message.on_hold, message.last_error = True, answer.reason


def _close(message: Message, *, now: datetime) -> None:
    message.done_at = now
    message.leased_until = None
    message.recipient = None
    message.values = {}


@operation
def mark_sent(message_ids: Sequence[int], *, now: datetime, is_recovery: bool = False) -> None:
    """The mail server has taken them: addresses and values are wiped.

    is_recovery: the attempt before these failed, which counts no longer.
    """
    if is_recovery:
        pacing.note_success()
    db.session.connection().execute(_SENT, {"message_ids": list(message_ids), "moment": now, "nothing": {}})


_TABLE = cast("Table", Message.__table__)
_OFFERED = _TABLE.update().where(_TABLE.c.id == bindparam("message_id")).values(values=bindparam("kept"))
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
def mark_failed(message_id: int, *, code: str, is_permanent: bool, now: datetime) -> bool:
    """Plans the next attempt, or gives up after 48 hours or a permanent refusal: then staff see it.

    code: such as "smtp-550" or "timeout"; never the server's words, which may quote the address.
    Returns whether so much has failed in a row that nothing is tried for a while.
    """
    weight = pacing.LIGHT if is_permanent else pacing.HEAVY
    # What we could not write ourselves says nothing of the way out.
    is_paused = code != BUG and pacing.note_failure(weight, now=now)
    message = db.session.get(Message, message_id, with_for_update=True)
    if message is None or message.done_at is not None:
        return is_paused
    message.attempts += 1
    message.last_error = code
    message.leased_until = None
    # After a standstill of days the first failures are not yet a reason to give up.
    if is_permanent or (message.attempts >= LEAST_ATTEMPTS and now - message.created_at >= GIVE_UP_AFTER):
        message.failed_at = message.done_at = now
        return is_paused
    place = min(message.attempts, len(RETRY_MINUTES)) - 1
    message.due_at = now + timedelta(minutes=RETRY_MINUTES[place])
    return is_paused


@operation
def put_back(
    message_ids: Sequence[int], *, leased_until: datetime, code: str | None, now: datetime, is_failure: bool = False
) -> None:
    """Ends the lease of messages that were taken up and never offered to anybody: due as before, no attempt counted.

    leased_until: of that lease; what another worker has taken up since stays with it. code: why, as in `mark_failed`.
    is_failure: the way out did not let us near it, which counts as one failure.
    """
    if is_failure:
        pacing.note_failure(pacing.HEAVY, now=now)
    pacing.count_returned(len(message_ids), now=now)
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
def put_off(message_id: int, *, until: datetime, now: datetime) -> None:
    """Ends the lease of a message that nobody was offered: due at `until`, no attempt counted."""
    pacing.count_returned(1, now=now)
    db.session.execute(
        update(Message)
        .where(Message.id == message_id, Message.done_at.is_(None))
        .values(leased_until=None, due_at=until),
        execution_options={"synchronize_session": False},
    )


@operation
def note_value(message_id: int, name: str) -> None:
    """Keeps with a message that waits that something was decided while it was written."""
    message = db.session.get(Message, message_id, with_for_update=True)
    if message is not None and message.done_at is None:
        message.values = {**message.values, name: True}


@operation
def retry(message_id: int, *, staff_id: int, now: datetime) -> None:
    """Puts a message that failed for good back into the queue. Raises NotFoundError if it did not fail."""
    require(staff_id, Right.REVIEW)
    message = db.session.get(Message, message_id, with_for_update=True)
    if message is None or message.failed_at is None or message.recipient is None:
        raise NotFoundError
    if message.signature_id is not None:
        require(staff_id, Right.REVIEW, region=db.session.get_one(Signature, message.signature_id).region_code)
    before = {"error": message.last_error, "attempts": message.attempts}
    message.failed_at = message.done_at = message.last_error = None
    message.attempts = 0
    message.created_at = message.due_at = now
    add_audit(
        "retry-mail",
        staff_id=staff_id,
        subject="message",
        subject_id=message_id,
        now=now,
        before=before,
        after={"error": None, "attempts": 0},
    )
