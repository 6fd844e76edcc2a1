"""Deciding on one application or on many, as steps: what a decision leaves behind, and how it is taken back."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import delete, func, insert, select
from sqlalchemy.orm import aliased

from charter.domain.errors import FieldRefusedError
from charter.domain.reasons import Reason, find_reason
from charter.domain.signature import Actor, Move, State, after
from charter.models.base import Base, db
from charter.models.decision import Audit, Decision
from charter.models.desk import Claim
from charter.models.log import LogEvent
from charter.models.outbox import Message
from charter.models.signature import Clarification, Link, Signature, SignatureEvent
from charter.operations.desk_figures import Decided, count_decisions
from charter.operations.steps import add_audit, add_event, event_of, message_to

_MOVES = {"approve": Move.APPROVE, "decline": Move.DECLINE, "ask": Move.ASK}
#: How the mark of what a sweep decided together begins.
SWEPT = "invalidation-"
_MAILS = {"decline": "declined", "ask": "clarification"}


def reason_of(action: str, code: str | None) -> Reason | None:
    """The reason of the catalogue; FieldRefusedError where one is needed and this is none."""
    chosen = find_reason(action, code) if code else None
    if action != "approve" and chosen is None:
        raise FieldRefusedError("reason", "required")
    return chosen


def record_decisions(
    signatures: Sequence[Signature],
    *,
    action: str,
    reason: Reason | None,
    note: str | None,
    staff_id: int,
    effective_at: datetime,
    now: datetime,
    bulk: str | None = None,
) -> list[Decision]:
    """Decides on applications that the caller has locked and looked at: as many statements for 200 as for one.

    Moves, events, audit, what the log and the mail wait with, claims and figures. bulk: one mark for what is decided
    together. Raises MoveRefusedError before anything is written.
    """
    move = _MOVES[action]
    befores = [signature.move(move) for signature in signatures]
    decisions = [
        Decision(
            signature_id=signature.id,
            staff_id=staff_id,
            action=action,
            reason=None if reason is None else reason.code,
            note=note or None,
            state_before=before,
            decided_at=now,
            effective_at=effective_at,
            bulk=bulk,
        )
        for signature, before in zip(signatures, befores, strict=True)
    ]
    if action == "decline":
        for signature in signatures:
            signature.ended_at = effective_at
    db.session.add_all(decisions)
    db.session.flush()
    links = personal_links([signature.id for signature in signatures]) if action in _MAILS else {}
    rows: list[Base] = []
    for signature, decision in zip(signatures, decisions, strict=True):
        before = State(decision.state_before)
        event = event_of(signature, move, before=before, actor=Actor.CENTRE, now=now)
        event.staff_id, event.reason = staff_id, decision.reason
        rows += [event, _audit_of(signature, decision, now=now), _what_waits(signature, decision, reason)]
        if action in _MAILS:
            message = message_to(_MAILS[action], signature, link=links.get(signature.id), now=now)
            message.decision_id, message.due_at = decision.id, effective_at
            message.values = {"reason": decision.reason, "note": decision.note}
            rows.append(message)
    _insert(rows)
    db.session.execute(delete(Claim).where(Claim.signature_id.in_([signature.id for signature in signatures])))
    count_decisions(
        [decided_of(signature, decision) for signature, decision in zip(signatures, decisions, strict=True)]
    )
    return decisions


def _insert(rows: Sequence[Base]) -> None:
    """New rows that nothing refers to, one statement for each table: past the session, which writes them one by one."""
    tables: dict[type[Base], list[dict[str, Any]]] = {}
    for row in rows:
        values = {name: value for name, value in vars(row).items() if name != "_sa_instance_state"}
        tables.setdefault(type(row), []).append(values)
    for table, found in tables.items():
        # What was set nowhere is left to the default of its column.
        used = {name for values in found for name, value in values.items() if value is not None}
        db.session.connection().execute(
            insert(table), [{name: values.get(name) for name in sorted(used)} for values in found]
        )


def _audit_of(signature: Signature, decision: Decision, *, now: datetime) -> Audit:
    detail = {"reason": decision.reason}
    return Audit(
        at=now,
        staff_id=decision.staff_id,
        action=decision.action,
        subject="signature",
        subject_id=signature.id,
        detail=detail if decision.bulk is None else {**detail, "bulk": decision.bulk},
        reason=decision.reason,
        before={"state": decision.state_before},
        after={"state": signature.state},
    )


def _what_waits(signature: Signature, decision: Decision, reason: Reason | None) -> LogEvent | Clarification:
    """What comes of the decision once it can no longer be taken back: a leaf, or a question."""
    if decision.action == "ask":
        return Clarification(signature_id=signature.id, decision_id=decision.id)
    values: dict[str, object] = {"entry": signature.entry}
    if decision.action == "decline" and reason is not None:
        values["reason"] = reason.log
    return LogEvent(
        kind="publish" if decision.action == "approve" else "refuse",
        signature_id=signature.id,
        decision_id=decision.id,
        values=values,
        effective_at=decision.effective_at,
    )


def decided_of(signature: Signature, decision: Decision) -> Decided:
    """What the figures count of it: what a sweep ended says nothing of how fast people are answered."""
    is_swept = (decision.bulk or "").startswith(SWEPT)
    return Decided(
        signature.region_code, "sweep" if is_swept else decision.action, signature.confirmed_at, decision.decided_at
    )


def moved_on(signature_ids: Sequence[int]) -> set[int]:
    """Of these, who corrected what they signed after the newest question: it was asked of other words."""
    asked = aliased(SignatureEvent)
    newest = (
        select(func.max(asked.id))
        .where(asked.signature_id == SignatureEvent.signature_id, asked.move == Move.ASK)
        .scalar_subquery()
    )
    return set(
        db.session.scalars(
            select(SignatureEvent.signature_id).where(
                SignatureEvent.signature_id.in_(signature_ids),
                SignatureEvent.move == Move.CORRECT,
                SignatureEvent.id > newest,
            )
        )
    )


def personal_links(signature_ids: Sequence[int]) -> dict[int, Link]:
    """The newest link to *my signature* of each: one statement."""
    rows = db.session.scalars(
        select(Link).where(Link.signature_id.in_(signature_ids), Link.purpose == "personal").order_by(Link.id)
    )
    return {row.signature_id: row for row in rows}


def take_back_decisions(
    pairs: Sequence[tuple[Signature, Decision]], *, staff_id: int, now: datetime
) -> tuple[list[int], list[int]]:
    """Takes back what can be of decisions that the caller has locked; ids of the signatures: (taken back, too late).

    Too late is what was published, whose mail is on its way, or that the signatory has moved on. As many statements
    for 200 as for one.
    """
    ids = [decision.id for _signature, decision in pairs]
    queued = set(db.session.scalars(select(LogEvent.decision_id).where(LogEvent.decision_id.in_(ids))))
    mails = db.session.scalars(select(Message).where(Message.decision_id.in_(ids)).with_for_update()).all()
    sent = {mail.decision_id for mail in mails if mail.done_at is not None or mail.leased_until is not None}
    moved = moved_on([signature.id for signature, decision in pairs if decision.action == "ask"])
    back, late = [], []
    for signature, decision in pairs:
        is_there = decision.undone_at is None and (decision.action == "ask" or decision.id in queued)
        is_moved = signature.id in moved or not _is_as_left(signature, decision)
        if not is_there or decision.id in sent or is_moved:
            late.append(signature.id)
            continue
        before = signature.move(Move.UNDO, back_to=State(decision.state_before))
        decision.undone_at = now
        signature.ended_at = None
        add_event(signature, Move.UNDO, before=before, actor=Actor.CENTRE, now=now, staff_id=staff_id)
        add_audit(
            "undo",
            staff_id=staff_id,
            subject="signature",
            subject_id=signature.id,
            now=now,
            before={"state": before.value},
            after={"state": signature.state},
        )
        back.append((signature, decision))
    undone = [decision.id for _signature, decision in back]
    for table in (LogEvent, Message, Clarification):
        db.session.execute(delete(table).where(table.decision_id.in_(undone)))
    count_decisions([decided_of(signature, decision) for signature, decision in back], by=-1)
    return [signature.id for signature, _decision in back], late


def _is_as_left(signature: Signature, decision: Decision) -> bool:
    return signature.state == after(State(decision.state_before), _MOVES[decision.action])
