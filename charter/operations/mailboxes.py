"""What a mailbox may be sent, and whether it wants or takes mail at all: counted by keyed digests."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, cast

from sqlalchemy import ColumnElement, Table, bindparam, func, select, union, update

from charter.domain.duties import Right
from charter.domain.email import mailbox_of
from charter.domain.mailbox import (
    LONG_PAUSE,
    MOST_FOR_MAILBOX,
    MOST_FOR_NAME,
    PAUSE,
    application_digest,
    mailbox_digest,
)
from charter.domain.moments import has_come, is_recent
from charter.domain.signature import State
from charter.models.base import db
from charter.models.limits import MailboxTally
from charter.models.outbox import Message
from charter.models.rights import AddressChange
from charter.models.signature import Signature
from charter.operations.duties import require
from charter.operations.proving import Outcome, Proof, Result, check_proof, get_signature
from charter.operations.steps import add_audit, cancel_messages, expire, find_link
from charter.operations.unit import insert_if_absent, insert_on, lock, operation

#: Why a mail waits for somebody, as its `last_error`: beyond what a mailbox may get that has confirmed nothing, or its
#: server says that it does not exist.
LIMITED = "mailbox-limit"
BOUNCED = "mailbox-bounced"
WAITING = (LIMITED, BOUNCED)
#: The greatest value of the setting `mail_stop_days`.
LONGEST_STOP = timedelta(days=3650)
#: Unconfirmed signatures ended in one transaction; what a crowd left beyond gets no mail and ends by its term.
MOST_ENDED = 200

_TALLY = cast("Table", MailboxTally.__table__)


class Verdict(StrEnum):
    """What becomes of a mail that is due."""

    GO = "go"
    LATER = "later"
    WAIT = "wait"
    NEVER = "never"


@dataclass(frozen=True)
class Asked:
    """One mail that is due. name_key: of its signature. is_first: it counts against a mailbox that has confirmed
    nothing; was_counted: and has been, at an earlier attempt. is_request: nobody asked for it, and whose mailbox is
    stopped does not get it.
    """

    recipient: str
    name_key: str
    is_first: bool
    was_counted: bool
    is_request: bool = False


@dataclass(frozen=True)
class Answer:
    """until: for LATER, when it is due again. reason: for WAIT, one of WAITING."""

    verdict: Verdict
    until: datetime | None = None
    reason: str | None = None


_GO = Answer(Verdict.GO)


def admit(asked: Sequence[Asked], *, key: bytes, longest_wait: timedelta, now: datetime) -> list[Answer]:
    """Decides on mails that are due, in their order, and counts those that go: three statements for all of them.

    longest_wait: nothing is planned further ahead.
    """
    boxes = [mailbox_digest(mailbox_of(one.recipient), key=key) for one in asked]
    names = [application_digest(mailbox_of(one.recipient), one.name_key, key=key) for one in asked]
    counted = [place for place, one in enumerate(asked) if one.is_first and not one.was_counted]
    # In one order, so that two workers never wait for each other.
    needed = sorted({digest for place in counted for digest in (boxes[place], names[place])})
    insert_if_absent(MailboxTally, [{"digest": digest, **_NOTHING} for digest in needed])
    rows = _ROWS.where(_TALLY.c.digest.in_({*boxes, *needed})).order_by(_TALLY.c.digest)
    connection = db.session.connection()
    tallies = {row.digest: _Tally(*row) for row in connection.execute(rows.with_for_update() if needed else rows).all()}
    answers = [
        _answer(one, tallies.get(boxes[place]), tallies.get(names[place]), longest_wait=longest_wait, now=now)
        for place, one in enumerate(asked)
    ]
    added = [{"which": row.digest, "added": row.added, "moment": now} for row in tallies.values() if row.added]
    if added:
        connection.execute(_COUNT, added)
    return answers


_NOTHING = {"unconfirmed_count": 0, "bounce_count": 0}
# Columns and not rows of the session, which would take as long again as all the rest: mail waits for this.
_ROWS = select(
    *(_TALLY.c.digest, _TALLY.c.unconfirmed_count, _TALLY.c.last_mail_at, _TALLY.c.confirmed_at),
    *(_TALLY.c.bounced_at, _TALLY.c.stopped_until),
)
_COUNT = (
    _TALLY.update()
    .where(_TALLY.c.digest == bindparam("which"))
    .values(
        unconfirmed_count=_TALLY.c.unconfirmed_count + bindparam("added"),
        last_mail_at=bindparam("moment"),
    )
)


@dataclass
class _Tally:
    """What counts of a row of MailboxTally; added: mails that go now."""

    digest: bytes
    unconfirmed_count: int
    last_mail_at: datetime | None
    confirmed_at: datetime | None
    bounced_at: datetime | None
    stopped_until: datetime | None
    added: int = 0


def _answer(one: Asked, box: _Tally | None, name: _Tally | None, *, longest_wait: timedelta, now: datetime) -> Answer:
    if box is not None and box.bounced_at is not None:
        return Answer(Verdict.WAIT, reason=BOUNCED)
    if (one.is_first or one.is_request) and box is not None and _is_stopped(box, now=now):
        return Answer(Verdict.NEVER)
    if not one.is_first:
        return _GO
    if one.was_counted or box is None or name is None:
        # Another attempt at what was counted before.
        return _GO
    # Whoever has confirmed and signs again has lost the link, and waits for it: the number of mails is limit enough.
    if box.confirmed_at is None and _is_soon(name.last_mail_at, PAUSE, now=now):
        return Answer(Verdict.LATER, until=min((name.last_mail_at or now) + PAUSE, now + longest_wait))
    for row, most in ((name, MOST_FOR_NAME), (box, MOST_FOR_MAILBOX)):
        if row.unconfirmed_count < most:
            continue
        if box.confirmed_at is None:
            return Answer(Verdict.WAIT, reason=LIMITED)
        if _is_soon(row.last_mail_at, LONG_PAUSE, now=now):
            return Answer(Verdict.LATER, until=min((row.last_mail_at or now) + LONG_PAUSE, now + longest_wait))
    for row in (name, box):
        row.unconfirmed_count += 1
        row.added += 1
        row.last_mail_at = now
    return _GO


def _is_soon(at: datetime | None, pause: timedelta, *, now: datetime) -> bool:
    return at is not None and is_recent(at, now=now, within=pause)


def _is_stopped(box: _Tally, *, now: datetime) -> bool:
    return box.stopped_until is not None and not has_come(box.stopped_until, now=now, longest=LONGEST_STOP)


# ── steps of whoever knows more of a mailbox ─────────────────────────────────────────────────────────────────────────


def note_confirmed(mailbox: str, name_key: str, *, key: bytes, now: datetime) -> None:
    """Somebody has confirmed through this mailbox: it is counted anew, and what waited for it leaves."""
    _upsert(mailbox_digest(mailbox, key=key), now=now, confirmed_at=now, unconfirmed_count=0)
    db.session.execute(
        update(MailboxTally)
        .where(MailboxTally.digest == application_digest(mailbox, name_key, key=key))
        .values(unconfirmed_count=0)
    )
    _let_go(_of(mailbox, with_coming=False), LIMITED, now=now)


def _upsert(digest: bytes, *, now: datetime, **values: Any) -> None:
    engine = db.session.get_bind().dialect.name
    # From this moment its term is counted.
    added = insert_on(engine, _TALLY).values(digest=digest, last_mail_at=now, **values)
    db.session.execute(added.on_conflict_do_update(index_elements=["digest"], set_=values))


def _let_go(theirs: ColumnElement[bool], reason: str, *, now: datetime) -> None:
    """What waits for this reason is due, and has its 48 hours before it; its link counts as before."""
    db.session.execute(
        update(Message)
        .where(theirs, Message.on_hold, Message.done_at.is_(None), Message.last_error == reason)
        .values(on_hold=False, last_error=None, due_at=now, created_at=now),
        execution_options={"synchronize_session": False},
    )


def _of(mailbox: str, *, with_coming: bool = True) -> ColumnElement[bool]:
    own = select(Signature.id).where(Signature.mailbox == mailbox)
    if not with_coming:
        return Message.signature_id.in_(own)
    coming = select(AddressChange.signature_id).where(
        AddressChange.mailbox == mailbox, AddressChange.ended_at.is_(None)
    )
    # Not two conditions with OR, for which PostgreSQL would read every message there is.
    return Message.signature_id.in_(union(own, coming))


# ── verbs ────────────────────────────────────────────────────────────────────────────────────────────────────────────


@operation
def stop(token: str, *, proof: Proof, key: bytes, code_tries: int, stop_days: int, now: datetime) -> Result:
    """ "This was not me": no first mail goes to this mailbox for so long, and what it has not confirmed ends.

    Asks for the signing browser or the code of the mail, as a confirmation does; a wrong code is counted. Mail about
    what was confirmed through the mailbox still comes. ALREADY for a signature that was confirmed: it is withdrawn on
    its own page.
    """
    link = find_link(token, "confirm")
    if link is None:
        return Result(Outcome.UNKNOWN)
    mailbox = db.session.scalars(select(Signature.mailbox).where(Signature.id == link.signature_id)).one()
    lock("mailbox", mailbox)
    signature = get_signature(link.signature_id)
    if not signature.mailbox or (signature.held and signature.state == State.SUBMITTED):
        return Result(Outcome.UNKNOWN)
    if signature.state not in {State.SUBMITTED, State.EXPIRED}:
        return Result(Outcome.ALREADY)
    refused = check_proof(signature, link, proof, key=key, code_tries=code_tries)
    if refused is not None:
        return refused
    link.used_at = link.used_at or now
    stop_writing(mailbox, key=key, stop_days=stop_days, now=now)
    return Result(Outcome.DONE)


def stop_writing(mailbox: str, *, key: bytes, stop_days: int, now: datetime) -> None:
    """Whoever reads this mailbox wants no first mail, and what it has not confirmed ends; the mailbox is locked."""
    unconfirmed = db.session.scalars(
        select(Signature)
        .where(Signature.mailbox == mailbox, Signature.state == State.SUBMITTED)
        .order_by(Signature.id)
        .limit(MOST_ENDED)
        .with_for_update()
    ).all()
    for one in unconfirmed:
        expire(one, now=now)
        cancel_messages(one, now=now)
    _upsert(mailbox_digest(mailbox, key=key), now=now, stopped_at=now, stopped_until=now + timedelta(days=stop_days))


class Lifting(StrEnum):
    """What staff can lift from a mailbox."""

    STOP = "stop"
    BOUNCE = "bounce"
    LIMIT = "limit"


@operation
def lift(mailbox: str, what: Lifting, *, key: bytes, staff_id: int, now: datetime) -> bool:
    """Lifts one thing from a mailbox, lets go what waited for it, and records that; False where there was nothing."""
    require(staff_id, Right.REVIEW)
    digest = mailbox_digest(mailbox, key=key)
    row = db.session.get(MailboxTally, digest, with_for_update=True)
    before = None if row is None else _lifted(row, what)
    if what is Lifting.LIMIT:
        waiting = db.session.scalars(
            select(Message.id)
            .where(_of(mailbox), Message.on_hold, Message.done_at.is_(None), Message.last_error == LIMITED)
            .limit(1)
        ).first()
        if waiting is None and (row is None or not row.unconfirmed_count):
            return False
        _count_anew(mailbox, key=key)
        _let_go(_of(mailbox), LIMITED, now=now)
    elif row is None:
        return False
    elif what is Lifting.STOP:
        if row.stopped_until is None:
            return False
        row.stopped_at = row.stopped_until = None
    else:
        if not row.bounce_count and row.bounced_at is None:
            return False
        row.bounced_at, row.bounce_count = None, 0
        _let_go(_of(mailbox), BOUNCED, now=now)
    # A mailbox has no number of its own; who signed with it last has one.
    newest = db.session.scalar(select(func.max(Signature.id)).where(Signature.mailbox == mailbox))
    add_audit(
        f"lift-mail-{what}",
        staff_id=staff_id,
        subject="mailbox",
        subject_id=newest,
        now=now,
        before=before,
        after=None if before is None else dict.fromkeys(before),
    )
    return True


def _lifted(row: MailboxTally, what: Lifting) -> dict[str, Any]:
    """What will be gone, as the audit keeps it."""
    if what is Lifting.LIMIT:
        return {"unconfirmed": row.unconfirmed_count}
    if what is Lifting.STOP:
        return {"stopped_until": row.stopped_until.isoformat() if row.stopped_until else None}
    return {"bounced_at": row.bounced_at.isoformat() if row.bounced_at else None, "bounces": row.bounce_count}


def _count_anew(mailbox: str, *, key: bytes) -> None:
    names = db.session.scalars(select(Signature.name_key).where(Signature.mailbox == mailbox).distinct().limit(1000))
    digests = [mailbox_digest(mailbox, key=key), *(application_digest(mailbox, name, key=key) for name in names)]
    db.session.execute(
        update(MailboxTally).where(MailboxTally.digest.in_(digests)).values(unconfirmed_count=0),
        execution_options={"synchronize_session": False},
    )
