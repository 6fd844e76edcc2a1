"""The Centre's verbs: approve, decline, ask, undo, release what was set aside."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import select

from charter.domain.duties import Right
from charter.domain.errors import (
    DecidedMeanwhileError,
    MoveRefusedError,
    NotFoundError,
    TooLateError,
)
from charter.domain.moments import LONGEST_UNDO, has_come
from charter.domain.signature import PENDING, State
from charter.models.base import db
from charter.models.decision import Decision
from charter.models.log import LogEvent
from charter.models.outbox import Message
from charter.models.signature import Signature
from charter.models.staff import StaffAccount
from charter.operations.deciding import decided_of, moved_on, reason_of, record_decisions
from charter.operations.desk_figures import count_decisions
from charter.operations.duties import require
from charter.operations.holding import let_through
from charter.operations.steps import add_audit, take_back
from charter.operations.unit import operation


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
    chosen = reason_of(action, reason)
    (decision,) = record_decisions(
        [signature],
        action=action,
        reason=chosen,
        note=note,
        staff_id=staff_id,
        effective_at=now + timedelta(seconds=undo_seconds),
        now=now,
    )
    return decision.id


@operation
def undo(decision_id: int, *, staff_id: int, now: datetime) -> int:
    """Takes one's own decision back before it takes effect; returns the signature's id.

    Raises TooLateError once the seconds have passed or the signatory acted, NotFoundError for another's decision.
    """
    seen = db.session.get(Decision, decision_id)
    if seen is None or seen.staff_id != staff_id:
        raise NotFoundError
    # The signature before the decision, as a whole selection is taken back.
    signature = db.session.get_one(Signature, seen.signature_id, with_for_update=True)
    decision = db.session.get_one(Decision, decision_id, with_for_update=True, populate_existing=True)
    require(staff_id, Right.REVIEW, region=signature.region_code)
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
    if decision.action == "ask" and moved_on([signature.id]):
        raise TooLateError
    before = signature.state
    try:
        take_back(signature, decision, now=now, staff_id=staff_id)
    except MoveRefusedError:
        raise TooLateError from None
    add_audit(
        "undo",
        staff_id=staff_id,
        subject="signature",
        subject_id=signature.id,
        now=now,
        before={"state": before},
        after={"state": signature.state},
    )
    count_decisions([decided_of(signature, decision)], by=-1)
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


def _who_decided(signature_id: int) -> str | None:
    return db.session.scalars(
        select(StaffAccount.name)
        .join(Decision, Decision.staff_id == StaffAccount.id)
        .where(Decision.signature_id == signature_id, Decision.undone_at.is_(None))
        .order_by(Decision.id.desc())
        .limit(1)
    ).first()
