"""The Centre's verbs: approve, decline, ask, undo, release what was set aside."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import select

from charter.domain.duties import Right
from charter.domain.errors import (
    DecidedMeanwhileError,
    FieldRefusedError,
    MoveRefusedError,
    NotFoundError,
    TooLateError,
)
from charter.domain.moments import LONGEST_UNDO, has_come
from charter.domain.reasons import find_reason
from charter.domain.signature import PENDING, Actor, Move, State
from charter.models.base import db
from charter.models.decision import Decision
from charter.models.log import LogEvent
from charter.models.outbox import Message
from charter.models.signature import Clarification, Signature
from charter.models.staff import StaffAccount
from charter.operations.duties import require
from charter.operations.holding import let_through
from charter.operations.steps import add_audit, add_event, personal_link, queue_message, take_back
from charter.operations.unit import operation

_MOVES = {"approve": Move.APPROVE, "decline": Move.DECLINE, "ask": Move.ASK}
_MAILS = {"decline": "declined", "ask": "clarification"}


@operation
def decide(
    signature_id: int,
    *,
    action: str,
    expected_version: int,
    reason: str | None,
    note: str | None,
    staff_id: int,
    undo_seconds: int,
    now: datetime,
) -> int:
    """Records a decision and returns its id; log event and mail wait until it can no longer be undone.

    action: approve | decline | ask; the latter two need a reason of the catalogue. expected_version: of the application
    as the reviewer saw it. Raises DecidedMeanwhileError when it changed since, NotFoundError, FieldRefusedError,
    DutyRefusedError.
    """
    signature = db.session.get(Signature, signature_id, with_for_update=True)
    if signature is None:
        raise NotFoundError
    require(staff_id, Right.REVIEW, region=signature.region_code)
    if signature.version != expected_version or State(signature.state) not in PENDING:
        raise DecidedMeanwhileError(state=signature.state, by_staff_name=_who_decided(signature_id))
    chosen = find_reason(action, reason) if reason else None
    if action != "approve" and chosen is None:
        raise FieldRefusedError("reason", "required")
    effective_at = now + timedelta(seconds=undo_seconds)
    before = signature.move(_MOVES[action])
    decision = Decision(
        signature_id=signature_id,
        staff_id=staff_id,
        action=action,
        reason=chosen.code if chosen else None,
        note=note or None,
        state_before=before,
        decided_at=now,
        effective_at=effective_at,
    )
    db.session.add(decision)
    db.session.flush()
    add_event(
        signature, _MOVES[action], before=before, actor=Actor.CENTRE, now=now, staff_id=staff_id, reason=decision.reason
    )
    add_audit(
        action, staff_id=staff_id, subject="signature", subject_id=signature_id, now=now, detail={"reason": reason}
    )
    if action == "approve":
        _queue_log("publish", signature, decision, {"entry": signature.entry})
    elif action == "decline" and chosen is not None:
        signature.ended_at = effective_at
        _queue_log("refuse", signature, decision, {"entry": signature.entry, "reason": chosen.log})
    else:
        db.session.add(Clarification(signature_id=signature_id, decision_id=decision.id))
    if action in _MAILS:
        queue_message(
            _MAILS[action],
            signature,
            link=personal_link(signature_id),
            now=now,
            due_at=effective_at,
            values={"reason": decision.reason, "note": decision.note},
            decision_id=decision.id,
        )
    return decision.id


@operation
def undo(decision_id: int, *, staff_id: int, now: datetime) -> int:
    """Takes one's own decision back before it takes effect; returns the signature's id.

    Raises TooLateError once the seconds have passed or the signatory acted, NotFoundError for another's decision.
    """
    decision = db.session.get(Decision, decision_id, with_for_update=True)
    if decision is None or decision.staff_id != staff_id:
        raise NotFoundError
    signature = db.session.get_one(Signature, decision.signature_id, with_for_update=True)
    require(staff_id, Right.REVIEW)
    if decision.undone_at is not None or has_come(decision.effective_at, now=now, longest=LONGEST_UNDO):
        raise TooLateError
    is_queued = db.session.scalars(select(LogEvent.id).where(LogEvent.decision_id == decision_id).limit(1)).first()
    if decision.action != "ask" and is_queued is None:
        # A worker whose clock runs ahead of ours has published it already.
        raise TooLateError
    # The worker's clock may run ahead of ours: mail that is on its way cannot be taken back. Locked, it stays here.
    mails = db.session.scalars(select(Message).where(Message.decision_id == decision_id).with_for_update()).all()
    if any(mail.done_at is not None or mail.leased_until is not None for mail in mails):
        raise TooLateError
    try:
        take_back(signature, decision, now=now, staff_id=staff_id)
    except MoveRefusedError:
        raise TooLateError from None
    add_audit("undo", staff_id=staff_id, subject="signature", subject_id=signature.id, now=now)
    return signature.id


@operation
def release(signature_id: int, *, staff_id: int, confirm_link_days: int, now: datetime) -> None:
    """Lets a signature that was set aside go on: its mail leaves now, and its link counts from now.

    Raises NotFoundError if it is not set aside.
    """
    signature = db.session.get(Signature, signature_id, with_for_update=True)
    if signature is None or not signature.held or signature.state != State.SUBMITTED:
        raise NotFoundError
    require(staff_id, Right.REVIEW, region=signature.region_code)
    let_through([signature], staff_id=staff_id, confirm_link_days=confirm_link_days, now=now)


def _queue_log(kind: str, signature: Signature, decision: Decision, values: dict[str, object]) -> None:
    db.session.add(
        LogEvent(
            kind=kind,
            signature_id=signature.id,
            decision_id=decision.id,
            values=values,
            effective_at=decision.effective_at,
        )
    )


def _who_decided(signature_id: int) -> str | None:
    return db.session.scalars(
        select(StaffAccount.name)
        .join(Decision, Decision.staff_id == StaffAccount.id)
        .where(Decision.signature_id == signature_id, Decision.undone_at.is_(None))
        .order_by(Decision.id.desc())
        .limit(1)
    ).first()
