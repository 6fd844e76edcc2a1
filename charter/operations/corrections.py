"""Correcting a published entry: its signatory asks, the Centre decides, a batch makes it so; the entry stays."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from datetime import date, datetime, timedelta
from enum import StrEnum

from sqlalchemy import func, select

from charter.domain.calendar import due_on
from charter.domain.duties import Right
from charter.domain.errors import (
    DecidedMeanwhileError,
    FieldRefusedError,
    MoveRefusedError,
    NotFoundError,
    TooLateError,
    TooOftenError,
)
from charter.domain.moments import LONGEST_UNDO, has_come
from charter.domain.reasons import find_keeping
from charter.domain.signature import Actor, Move, State, may
from charter.models import moments
from charter.models.base import db
from charter.models.log import LogEvent
from charter.models.outbox import Message
from charter.models.rights import Correction
from charter.models.signature import Link, Signature, SignatureEvent
from charter.models.staff import StaffAccount
from charter.operations.duties import require
from charter.operations.proving import get_signature
from charter.operations.steps import (
    Details,
    Resolved,
    add_audit,
    add_event,
    apply_details,
    is_same,
    personal_link,
    queue_message,
    resolve_details,
)
from charter.operations.unit import operation

#: Changes of one entry within a day: each is a leaf that stays for ever, or work for a reviewer. Showing less is never
#: refused, and cannot be repeated without showing more in between.
CHANGES_A_DAY = 10
_COUNTED = (Move.PROPOSE, Move.SHOW)
#: What the leaf-to-be of an approved correction names it by.
_ID = "correction"
DECLINED_MAIL = "correction-declined"


class Asked(StrEnum):
    """What became of a wish for other details."""

    WAITS = "waits"
    SAME = "same"
    RECALLED = "recalled"


# ── the signatory ────────────────────────────────────────────────────────────────────────────────────────────────────


@operation
def ask(
    signature_id: int, details: Details, *, answer_due_working_days: int, holidays: Collection[date], now: datetime
) -> Asked:
    """Lets the Centre decide on other details of a published entry, which stays as it is until then. See `propose`.

    Raises MoveRefusedError unless published, FieldRefusedError as `sign` does, TooOftenError.
    """
    signature = get_signature(signature_id)
    due = due_on(now, working_days=answer_due_working_days, holidays=holidays)
    return propose(signature, details, due_on=due, now=now)


def propose(
    signature: Signature,
    details: Details,
    *,
    due_on: date,
    now: datetime,
    staff_id: int | None = None,
    reason: str | None = None,
) -> Asked:
    """The step behind `ask`. staff_id, reason: of whoever records what the signatory asked for in writing.

    A newer wish takes the place of one that waits; the day an answer is due stays. One that says what is published
    takes it back. How the name is shown is no part of it (`showing.show`): it must not show what was hidden meanwhile.
    Saving what stands or waits already changes nothing, so that a robot that presses the button leaves no trace.
    Raises MoveRefusedError unless published, FieldRefusedError as `sign` does, TooOftenError.
    """
    if not may(State(signature.state), Move.PROPOSE):
        raise MoveRefusedError(signature.state, Move.PROPOSE)
    details = replace(details, display=signature.display)
    waiting = find_pending(signature.id)
    resolved = resolve_details(details, now=now, kept=signature)
    if is_same(signature, details, resolved):
        return Asked.SAME if waiting is None else _recall(signature, waiting, now=now)
    if waiting is not None and _holds(waiting, details, resolved):
        return Asked.SAME
    if staff_id is None:
        refuse_too_often(signature.id, now=now)
    if waiting is None:
        waiting = Correction(signature_id=signature.id, state="pending", version=0, created_at=now, due_on=due_on)
        db.session.add(waiting)
    waiting.version += 1
    waiting.kind, waiting.region_code = details.kind, details.region_code
    waiting.full_name, waiting.short_name, waiting.display = details.full_name, details.short_name, details.display
    waiting.affiliation_id = resolved.affiliation_id
    waiting.affiliation_text = details.affiliation_text if resolved.affiliation_id is None else None
    before = signature.move(Move.PROPOSE)
    add_event(signature, Move.PROPOSE, before=before, actor=Actor.SIGNATORY, now=now, staff_id=staff_id, reason=reason)
    return Asked.WAITS


@operation
def recall(signature_id: int, *, now: datetime) -> bool:
    """Takes back what waits; whether there was anything."""
    signature = get_signature(signature_id)
    waiting = find_pending(signature_id)
    if waiting is None:
        return False
    _recall(signature, waiting, now=now)
    return True


def _holds(waiting: Correction, details: Details, resolved: Resolved) -> bool:
    text = details.affiliation_text if resolved.affiliation_id is None else None
    return (
        *(details.kind, details.full_name, details.short_name, details.region_code),
        *(resolved.affiliation_id, text),
    ) == (
        *(waiting.kind, waiting.full_name, waiting.short_name, waiting.region_code),
        *(waiting.affiliation_id, waiting.affiliation_text),
    )


def _recall(signature: Signature, waiting: Correction, *, now: datetime) -> Asked:
    waiting.state = "cancelled"
    waiting.version += 1
    before = signature.move(Move.RECALL)
    add_event(signature, Move.RECALL, before=before, actor=Actor.SIGNATORY, now=now)
    return Asked.RECALLED


# ── the Centre ───────────────────────────────────────────────────────────────────────────────────────────────────────


@operation
def decide(
    correction_id: int,
    *,
    action: str,
    expected_version: int,
    reason: str | None,
    note: str | None,
    staff_id: int,
    undo_seconds: int,
    now: datetime,
) -> None:
    """Approves or declines a correction; the entry and the mail follow when it can no longer be undone.

    action: approve | decline; the latter needs a reason of `domain.reasons.CORRECTIONS`. expected_version: of the
    correction as the reviewer saw it. Raises DecidedMeanwhileError when it changed since, NotFoundError,
    FieldRefusedError.
    """
    signature, correction = _take(correction_id)
    require(staff_id, Right.REVIEW, region=signature.region_code)
    if correction.version != expected_version or correction.state != "pending" or signature.state != State.PUBLISHED:
        raise DecidedMeanwhileError(state=correction.state, by_staff_name=_who_decided(correction))
    chosen = find_keeping(reason) if reason else None
    if action != "approve" and chosen is None:
        raise FieldRefusedError("reason", "required")
    effective_at = now + timedelta(seconds=undo_seconds)
    correction.decided_at, correction.effective_at, correction.staff_id = now, effective_at, staff_id
    if action == "approve":
        grant(correction, signature, effective_at=effective_at)
    else:
        assert chosen is not None
        correction.state = "declined"
        correction.version += 1
        correction.reason, correction.note = chosen.code, note or None
        values = {_ID: correction.id, "reason": chosen.code, "note": correction.note}
        link = personal_link(signature.id)
        queue_message(DECLINED_MAIL, signature, link=link, now=now, due_at=effective_at, values=values)
    move = Move.AMEND if action == "approve" else Move.KEEP
    before = signature.move(move)
    add_event(signature, move, before=before, actor=Actor.CENTRE, now=now, staff_id=staff_id, reason=correction.reason)
    _add_audit(f"correction-{action}", correction, was="pending", staff_id=staff_id, now=now)


def grant(correction: Correction, signature: Signature, *, effective_at: datetime) -> None:
    """The batch that comes after `effective_at` changes signature and entry, and mails `correction-approved`."""
    correction.state = "approved"
    correction.version += 1
    db.session.add(
        LogEvent(kind="correct", signature_id=signature.id, values={_ID: correction.id}, effective_at=effective_at)
    )


@operation
def undo(correction_id: int, *, staff_id: int, now: datetime) -> int:
    """Takes one's own decision back before it takes effect; returns the signature's id.

    Raises TooLateError once the seconds have passed or the signatory acted, NotFoundError for another's decision.
    """
    signature, correction = _take(correction_id)
    require(staff_id, Right.REVIEW)
    if correction.staff_id not in {staff_id, None}:
        raise NotFoundError
    effective_at = correction.effective_at
    if (
        effective_at is None
        or correction.state not in {"approved", "declined"}
        or has_come(effective_at, now=now, longest=LONGEST_UNDO)
        or signature.state != State.PUBLISHED
        or find_pending(signature.id) is not None
    ):
        raise TooLateError
    queued: LogEvent | Message | None = (
        queued_event(correction) if correction.state == "approved" else _unsent_mail_of(correction)
    )
    if queued is None:
        # A worker whose clock runs ahead of ours has published or mailed it already.
        raise TooLateError
    db.session.delete(queued)
    was = correction.state
    correction.state = "pending"
    correction.version += 1
    correction.decided_at = correction.effective_at = correction.staff_id = None
    correction.reason = correction.note = None
    signature.version += 1
    before = State(signature.state)
    add_event(signature, Move.UNDO, before=before, actor=Actor.CENTRE, now=now, staff_id=staff_id)
    _add_audit("correction-undo", correction, was=was, staff_id=staff_id, now=now)
    return signature.id


def _add_audit(action: str, correction: Correction, *, was: str, staff_id: int, now: datetime) -> None:
    add_audit(
        action,
        staff_id=staff_id,
        subject="correction",
        subject_id=correction.id,
        now=now,
        detail={"reason": correction.reason, "signature": correction.signature_id},
        reason=correction.reason,
        before={"state": was},
        after={"state": correction.state},
    )


# ── steps of others ──────────────────────────────────────────────────────────────────────────────────────────────────


def refuse_too_often(signature_id: int, *, now: datetime) -> None:
    """Raises TooOftenError."""
    made = db.session.scalar(
        select(func.count())
        .select_from(SignatureEvent)
        .where(
            SignatureEvent.signature_id == signature_id,
            SignatureEvent.move.in_(_COUNTED),
            moments.is_recent(SignatureEvent.at, now=now, within=timedelta(days=1)),
        )
    )
    if (made or 0) >= CHANGES_A_DAY:
        raise TooOftenError


def find_pending(signature_id: int) -> Correction | None:
    """What waits for the Centre; whoever asks holds the signature's lock, as everybody who changes it."""
    return db.session.scalars(
        select(Correction).where(Correction.signature_id == signature_id, Correction.state == "pending")
    ).first()


def take_effect(
    signature: Signature, values: dict[str, object], link: Link | None, *, now: datetime
) -> dict[str, object]:
    """Within a batch: what an approved correction says becomes what the signature says, and its mail is queued.

    values: of the event; returns those that belong into the leaf. How the name is shown stays as it is.
    """
    more = {name: value for name, value in values.items() if name != _ID}
    correction = db.session.get(Correction, values[_ID]) if _ID in values else None
    # Emptied: the person is forgotten meanwhile.
    if correction is None or correction.state != "approved" or not correction.full_name:
        return more
    details = Details(
        kind=correction.kind,
        full_name=correction.full_name,
        short_name=correction.short_name,
        display=signature.display,
        affiliation_slug=None,
        affiliation_text=correction.affiliation_text,
        region_code=correction.region_code,
    )
    apply_details(signature, details, Resolved(correction.affiliation_id))
    signature.version += 1
    if signature.number is not None:
        told = {"number": signature.number, "entry": signature.entry}
        queue_message("correction-approved", signature, link=link, now=now, values=told)
    return more


def _take(correction_id: int) -> tuple[Signature, Correction]:
    """Signature and correction, in this order, as everybody locks them. Raises NotFoundError."""
    signature_id = db.session.scalars(select(Correction.signature_id).where(Correction.id == correction_id)).first()
    if signature_id is None:
        raise NotFoundError
    signature = get_signature(signature_id)
    return signature, db.session.get_one(Correction, correction_id, with_for_update=True)


def queued_event(correction: Correction) -> LogEvent | None:
    events = db.session.scalars(
        select(LogEvent).where(LogEvent.signature_id == correction.signature_id, LogEvent.kind == "correct")
    )
    return next((event for event in events if event.values.get(_ID) == correction.id), None)


def _unsent_mail_of(correction: Correction) -> Message | None:
    """The mail about a declined one, unless it has left or is on its way; locked, so that no worker takes it up now."""
    mails = db.session.scalars(
        select(Message)
        .where(
            Message.signature_id == correction.signature_id,
            Message.kind == DECLINED_MAIL,
            Message.done_at.is_(None),
            Message.leased_until.is_(None),
        )
        .with_for_update()
    )
    return next((mail for mail in mails if mail.values.get(_ID) == correction.id), None)


def _who_decided(correction: Correction) -> str | None:
    if correction.staff_id is None:
        return None
    return db.session.scalars(select(StaffAccount.name).where(StaffAccount.id == correction.staff_id)).first()
