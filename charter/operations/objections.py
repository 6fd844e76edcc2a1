"""Objections: a signatory asks that somebody else looks at a decision again, and somebody else does."""

from __future__ import annotations

from collections.abc import Collection
from datetime import date, datetime, timedelta

from sqlalchemy import select

from charter.domain.calendar import due_on
from charter.domain.duties import Right
from charter.domain.errors import (
    DecidedMeanwhileError,
    FieldRefusedError,
    MoveRefusedError,
    NotFoundError,
    SameReviewerError,
    TooLateError,
)
from charter.domain.moments import LONGEST_UNDO, has_come
from charter.domain.signature import Actor, Move, State
from charter.models.base import db
from charter.models.objecting import find_target, removed_by
from charter.models.outbox import Message
from charter.models.rights import Correction, Objection
from charter.models.signature import Signature
from charter.models.staff import StaffAccount
from charter.operations import corrections
from charter.operations.duties import require
from charter.operations.proving import get_signature
from charter.operations.reopening import close_again, is_untouched, take_up_again
from charter.operations.steps import add_audit, add_event, new_link, personal_link, queue_message
from charter.operations.unit import lock, operation

_MAILS = ("objection-upheld", "objection-rejected")
#: What a mail names its objection by, so that it can be taken back with it.
_ID = "objection"


# ── the signatory ────────────────────────────────────────────────────────────────────────────────────────────────────


@operation
def object_to(
    signature_id: int, words: str, *, answer_due_working_days: int, holidays: Collection[date], now: datetime
) -> None:
    """Puts an objection to the newest decision against the signatory into the queue, and mails that it has come.

    words: clean and not empty. Raises MoveRefusedError where there is nothing to object to, or not any more.
    """
    place(
        get_signature(signature_id),
        words,
        due_on=due_on(now, working_days=answer_due_working_days, holidays=holidays),
        now=now,
    )


def place(
    signature: Signature,
    words: str,
    *,
    due_on: date,
    now: datetime,
    staff_id: int | None = None,
    reason: str | None = None,
) -> None:
    """A step: the objection, its event and its mail. staff_id, reason: of a letter that staff recorded."""
    target = find_target(signature.id, signature.state, now=now)
    if target is None or not signature.email:
        raise MoveRefusedError(signature.state, Move.OBJECT)
    db.session.add(
        Objection(
            signature_id=signature.id,
            decision_id=target.decision_id,
            correction_id=target.correction_id,
            state="pending",
            version=1,
            words=words,
            made_at=now,
            due_on=due_on,
            first_staff_id=target.staff_id,
        )
    )
    add_event(
        signature,
        Move.OBJECT,
        before=State(signature.state),
        actor=Actor.SIGNATORY,
        now=now,
        staff_id=staff_id,
        reason=reason,
    )
    queue_message(
        "objection-received",
        signature,
        link=personal_link(signature.id),
        now=now,
        values={"due_on": due_on.isoformat()},
    )


# ── the Centre ───────────────────────────────────────────────────────────────────────────────────────────────────────


@operation
def decide(
    objection_id: int,
    *,
    is_upheld: bool,
    answer: str | None,
    expected_version: int,
    staff_id: int,
    answer_due_working_days: int,
    holidays: Collection[date],
    key: bytes,
    undo_seconds: int,
    now: datetime,
) -> None:
    """Answers an objection; leaf and mail wait until it can no longer be undone.

    Upheld: what was declined or removed is taken up again as a new application (what has ended never returns, LOG §1),
    which waits for its review; a declined correction is approved. answer: the Centre's words, required for a rejection.
    Raises NotFoundError; DecidedMeanwhileError when it changed since; SameReviewerError for whoever decided before;
    FieldRefusedError; MoveRefusedError when what was declined cannot be upheld any more: the person has signed again,
    asked for another correction, or left.
    """
    signature, objection = _take(objection_id)
    require(staff_id, Right.REVIEW, region=signature.region_code)
    if objection.version != expected_version or objection.state != "pending":
        raise DecidedMeanwhileError(state=objection.state, by_staff_name=_name_of(objection.staff_id))
    if objection.first_staff_id == staff_id or staff_id in _removed_by(signature, objection):
        raise SameReviewerError
    if not is_upheld and not answer:
        raise FieldRefusedError("answer", "required")
    effective_at = now + timedelta(seconds=undo_seconds)
    about_application = objection.correction_id is None
    if not is_upheld:
        queue_message(
            "objection-rejected",
            signature,
            link=personal_link(signature.id),
            now=now,
            due_at=effective_at,
            values={"answer": answer, _ID: objection.id},
        )
    elif about_application:
        due = due_on(now, working_days=answer_due_working_days, holidays=holidays)
        new = take_up_again(signature, due=due, effective_at=effective_at, staff_id=staff_id, now=now)
        objection.new_signature_id = new.id
        queue_message(
            "objection-upheld",
            new,
            link=new_link(new, "personal", key=key, now=now, lifetime=None),
            now=now,
            due_at=effective_at,
            values={"due_on": due.isoformat(), "answer": answer or None, _ID: objection.id},
        )
    else:
        _grant(objection, signature, effective_at=effective_at)
    objection.state = "upheld" if is_upheld else "rejected"
    objection.version += 1
    objection.staff_id, objection.answer = staff_id, answer or None
    objection.decided_at, objection.effective_at = now, effective_at
    move = Move.UPHOLD if is_upheld else Move.REJECT
    add_event(signature, move, before=State(signature.state), actor=Actor.CENTRE, now=now, staff_id=staff_id)
    _add_audit(f"objection-{objection.state}", objection, was="pending", staff_id=staff_id, now=now)


def _removed_by(signature: Signature, objection: Objection) -> list[int]:
    """Both who removed the entry, where it is that which is objected to."""
    is_removal = signature.state == State.REVOKED and objection.correction_id is None
    return removed_by(signature.id) if is_removal else []


def _grant(objection: Objection, signature: Signature, *, effective_at: datetime) -> None:
    """The declined correction is approved; its own mail tells of it once the entry has changed."""
    correction = db.session.get_one(Correction, objection.correction_id, with_for_update=True)
    is_newest = db.session.scalars(
        select(Correction.id).where(Correction.signature_id == signature.id).order_by(Correction.id.desc()).limit(1)
    ).first()
    # The newer wish of the signatory wins, whatever became of it.
    if signature.state != State.PUBLISHED or correction.state != "declined" or is_newest != correction.id:
        raise MoveRefusedError(signature.state, Move.UPHOLD)
    corrections.grant(correction, signature, effective_at=effective_at)


@operation
def undo(objection_id: int, *, staff_id: int, now: datetime) -> int:
    """Takes one's own answer back before it takes effect; returns the objection's id.

    Raises TooLateError once the seconds have passed, its mail or leaf is on its way, or what it took up again has
    moved on; NotFoundError for another's answer.
    """
    signature, objection = _take(objection_id)
    require(staff_id, Right.REVIEW)
    if objection.staff_id != staff_id or objection.effective_at is None:
        raise NotFoundError
    if objection.state not in {"upheld", "rejected"}:
        raise TooLateError
    if has_come(objection.effective_at, now=now, longest=LONGEST_UNDO):
        raise TooLateError
    if objection.new_signature_id is not None:
        new = get_signature(objection.new_signature_id)
        _delete_mail(objection, new.id)
        if not is_untouched(new):
            raise TooLateError
        close_again(new, now=now, staff_id=staff_id)
    elif objection.correction_id is not None and objection.state == "upheld":
        _take_back_grant(objection)
    else:
        _delete_mail(objection, signature.id)
    was = objection.state
    objection.state = "pending"
    objection.version += 1
    objection.staff_id = objection.answer = objection.new_signature_id = None
    objection.decided_at = objection.effective_at = None
    add_event(signature, Move.UNDO, before=State(signature.state), actor=Actor.CENTRE, now=now, staff_id=staff_id)
    _add_audit("objection-undo", objection, was=was, staff_id=staff_id, now=now)
    return objection.id


def _delete_mail(objection: Objection, signature_id: int) -> None:
    waiting = db.session.scalars(
        select(Message).where(Message.signature_id == signature_id, Message.kind.in_(_MAILS)).with_for_update()
    )
    mail = next((one for one in waiting if one.values.get(_ID) == objection.id), None)
    # The worker's clock may run ahead of ours: mail that is on its way cannot be taken back.
    if mail is None or mail.done_at is not None or mail.leased_until is not None:
        raise TooLateError
    db.session.delete(mail)
    db.session.flush()


def give_up(signature: Signature, *, now: datetime) -> None:
    """A step of whoever erases a declined application: what took it up again and was not told of yet ends with it."""
    objections = db.session.scalars(
        select(Objection).where(Objection.signature_id == signature.id, Objection.state == "upheld").with_for_update()
    )
    for objection in objections:
        is_open = objection.effective_at is not None and not has_come(
            objection.effective_at, now=now, longest=LONGEST_UNDO
        )
        if is_open and objection.new_signature_id is not None:
            new = get_signature(objection.new_signature_id)
            if is_untouched(new):
                close_again(new, now=now, staff_id=None)
                objection.state, objection.new_signature_id = "cancelled", None


def _take_back_grant(objection: Objection) -> None:
    correction = db.session.get_one(Correction, objection.correction_id, with_for_update=True)
    event = corrections.queued_event(correction)
    if event is None or correction.state != "approved":
        # A worker whose clock runs ahead of ours has published it already.
        raise TooLateError
    db.session.delete(event)
    correction.state = "declined"
    correction.version += 1


def _take(objection_id: int) -> tuple[Signature, Objection]:
    """Mailbox, signature and objection, in this order, as everybody locks them. Raises NotFoundError."""
    row = db.session.execute(
        select(Signature.id, Signature.mailbox)
        .join(Objection, Objection.signature_id == Signature.id)
        .where(Objection.id == objection_id)
    ).first()
    if row is None:
        raise NotFoundError
    lock("mailbox", row.mailbox)
    signature = get_signature(row.id)
    return signature, db.session.get_one(Objection, objection_id, with_for_update=True)


def _name_of(staff_id: int | None) -> str | None:
    return None if staff_id is None else db.session.scalar(select(StaffAccount.name).where(StaffAccount.id == staff_id))


def _add_audit(action: str, objection: Objection, *, was: str, staff_id: int, now: datetime) -> None:
    # Why stands in the answer to the signatory, which is erased with them.
    add_audit(
        action,
        staff_id=staff_id,
        subject="signature",
        subject_id=objection.signature_id,
        now=now,
        detail={"objection": objection.id},
        before={"objection": was},
        after={"objection": objection.state},
    )
