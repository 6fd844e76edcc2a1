"""A sweep on its way, forwards and back: some signatures in each transaction, every one looked at once more."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import date, datetime, timedelta

from sqlalchemy import select, update

from charter.domain.calendar import due_on
from charter.domain.errors import DutyRefusedError, MoveRefusedError
from charter.domain.reasons import find_reason
from charter.domain.signature import PENDING, Actor, Move, State
from charter.domain.sweep import Conditions
from charter.models.base import db
from charter.models.decision import Decision
from charter.models.outbox import Message
from charter.models.rights import Objection
from charter.models.signature import Link, Signature
from charter.models.sweeping import Invalidation, InvalidationItem, meant_by
from charter.operations.deciding import SWEPT, record_decisions, take_back_decisions
from charter.operations.reopening import take_up_again
from charter.operations.revoking import end_by_centre
from charter.operations.steps import add_audit, add_event, new_link, queue_message
from charter.operations.sweeping import SUBJECT, end, may_still
from charter.operations.unit import lock, operation

#: Signatures in one transaction. Giving back makes a new application of each, which takes longer.
AT_ONCE, BACK_AT_ONCE = 50, 15
#: What the mail to somebody whose application is taken up again is called.
MAIL = "taken-up-again"


@operation
def go_on(invalidation_id: int, *, staff_id: int, undo_seconds: int, now: datetime) -> bool:
    """Ends the next AT_ONCE signatures of a sweep that runs; whether there are more.

    staff_id: of whoever wanted it, in whose name it is done. Where they may no longer, the sweep stops. False as well
    while another worker is at it.
    """
    sweep = _claim(invalidation_id, "running")
    if sweep is None:
        return False
    try:
        may_still(sweep, staff_id=staff_id)
    except DutyRefusedError:
        end(sweep, "cancelled", staff_id=staff_id, now=now)
        return False
    conditions = Conditions.from_json(sweep.conditions)
    ids = db.session.scalars(
        meant_by(conditions, Signature.id)
        .where(Signature.id > sweep.cursor, Signature.id <= sweep.limit_id)
        .order_by(Signature.id)
        .limit(AT_ONCE)
    ).all()
    locked = _lock_all(ids)
    # Once more, now that nobody can change them: whoever confirmed, withdrew or was decided on meanwhile is seen.
    still = set(db.session.scalars(meant_by(conditions, Signature.id).where(Signature.id.in_(ids))))
    meant = [signature for signature in locked if signature.id in still]
    befores = {signature.id: State(signature.state) for signature in locked}
    ended = _end_all(sweep, meant, undo_seconds=undo_seconds, now=now)
    for signature in locked:
        db.session.add(
            InvalidationItem(
                invalidation_id=sweep.id,
                signature_id=signature.id,
                state_before=befores[signature.id],
                decision_id=ended.get(signature.id),
                outcome="done" if signature.id in ended else "skipped",
                at=now,
            )
        )
    sweep.done += len(ended)
    sweep.skipped += len(locked) - len(ended)
    _note("invalidation-step", sweep, ids, staff_id=staff_id, now=now)
    sweep.cursor = ids[-1] if ids else sweep.limit_id
    if len(ids) < AT_ONCE:
        end(sweep, "done", staff_id=staff_id, now=now)
    return sweep.state == "running"


def _claim(invalidation_id: int, state: str) -> Invalidation | None:
    """The sweep, unless another worker has it just now."""
    return db.session.scalars(
        select(Invalidation)
        .where(Invalidation.id == invalidation_id, Invalidation.state == state)
        .with_for_update(skip_locked=True)
        .execution_options(populate_existing=True)
    ).first()


def _lock_all(ids: Collection[int]) -> Sequence[Signature]:
    return db.session.scalars(
        select(Signature)
        .where(Signature.id.in_(ids))
        .order_by(Signature.id)
        .with_for_update()
        .execution_options(populate_existing=True)
    ).all()


def _end_all(
    sweep: Invalidation, meant: Sequence[Signature], *, undo_seconds: int, now: datetime
) -> dict[int, int | None]:
    """Signature id → decision id, of those that were ended."""
    ended: dict[int, int | None] = {}
    by_state: dict[State, list[Signature]] = {}
    for signature in meant:
        by_state.setdefault(State(signature.state), []).append(signature)
    ended |= dict.fromkeys(_expire_all(sweep, by_state.get(State.SUBMITTED, []), now=now))
    pending = [signature for state in PENDING for signature in by_state.get(state, [])]
    pending += _reopened(by_state.get(State.APPROVED, []), staff_id=sweep.staff_id, now=now)
    if pending:
        decisions = record_decisions(
            sorted(pending, key=lambda one: one.id),
            action="decline",
            reason=find_reason("decline", sweep.reason),
            note=None,
            staff_id=sweep.staff_id,
            effective_at=now + timedelta(seconds=undo_seconds),
            now=now,
            bulk=f"{SWEPT}{sweep.id}",
        )
        ended |= {decision.signature_id: decision.id for decision in decisions}
    ended |= dict.fromkeys(_revoke_all(sweep, by_state.get(State.PUBLISHED, []), now=now))
    return ended


def _expire_all(sweep: Invalidation, signatures: Sequence[Signature], *, now: datetime) -> list[int]:
    """Silently: the address may be that of somebody who knows nothing of this."""
    ids = [signature.id for signature in signatures]
    if not ids:
        return ids
    for signature in signatures:
        before = signature.move(Move.EXPIRE)
        signature.ended_at = now
        add_event(
            signature,
            Move.EXPIRE,
            before=before,
            actor=Actor.CENTRE,
            now=now,
            staff_id=sweep.staff_id,
            reason=sweep.reason,
        )
        _note_one("invalidate", signature, before, sweep, staff_id=sweep.staff_id, now=now)
    db.session.execute(
        update(Message)
        .where(Message.signature_id.in_(ids), Message.done_at.is_(None))
        .values(done_at=now, recipient=None, values={})
        .execution_options(synchronize_session=False)
    )
    return ids


def _reopened(signatures: Sequence[Signature], *, staff_id: int, now: datetime) -> list[Signature]:
    """Of what is approved and not published yet, what its decision was taken back of."""
    if not signatures:
        return []
    decisions = _decisions(
        select(Decision)
        .where(
            Decision.signature_id.in_([signature.id for signature in signatures]),
            Decision.action == "approve",
            Decision.undone_at.is_(None),
        )
        .order_by(Decision.id)
    )
    newest = {decision.signature_id: decision for decision in decisions}
    pairs = [(signature, newest[signature.id]) for signature in signatures if signature.id in newest]
    back, _late = take_back_decisions(pairs, staff_id=staff_id, now=now)
    return [signature for signature, _decision in pairs if signature.id in back]


def _decisions(query: object) -> Sequence[Decision]:
    return db.session.scalars(query).all()  # type: ignore[call-overload, no-any-return]


def _revoke_all(sweep: Invalidation, signatures: Sequence[Signature], *, now: datetime) -> list[int]:
    """Only at the word of two."""
    if sweep.approved_by is None:
        return []
    done = []
    for signature in signatures:
        before = State(signature.state)
        try:
            end_by_centre(
                signature,
                reason=sweep.reason,
                approvals=[f"s{sweep.staff_id}", f"s{sweep.approved_by}"],
                staff_id=sweep.approved_by,
                now=now,
            )
        except MoveRefusedError:
            continue
        _note_one("revoke", signature, before, sweep, staff_id=sweep.approved_by, now=now)
        done.append(signature.id)
    return done


# ── and back ─────────────────────────────────────────────────────────────────────────────────────────────────────────


@operation
def go_back(
    invalidation_id: int,
    *,
    staff_id: int,
    key: bytes,
    confirm_link_days: int,
    answer_due_working_days: int,
    holidays: Collection[date],
    undo_seconds: int,
    now: datetime,
) -> bool:
    """Gives back the next BACK_AT_ONCE of what a sweep ended; whether there are more.

    Never confirmed: waits for it again. Declined a moment ago: the decision is taken back. What the log knows as ended
    never returns (LOG §1), so it is taken up again as a new application. What cannot be given back stays: the person
    left, signed again, or was forgotten.
    """
    sweep = _claim(invalidation_id, "undoing")
    if sweep is None:
        return False
    items = db.session.scalars(
        select(InvalidationItem)
        .where(
            InvalidationItem.invalidation_id == sweep.id,
            InvalidationItem.outcome == "done",
            InvalidationItem.signature_id > sweep.cursor,
        )
        .order_by(InvalidationItem.signature_id)
        .limit(BACK_AT_ONCE)
    ).all()
    ids = [item.signature_id for item in items]
    mailboxes = db.session.scalars(select(Signature.mailbox).where(Signature.id.in_(ids)))
    for mailbox in sorted({mailbox for mailbox in mailboxes if mailbox}):
        lock("mailbox", mailbox)
    locked = {signature.id: signature for signature in _lock_all(ids)}
    back = _back_to_pending(items, locked, staff_id=staff_id, now=now)
    due = due_on(now, working_days=answer_due_working_days, holidays=holidays)
    for item in items:
        signature = locked[item.signature_id]
        is_back = (
            item.signature_id in back
            or _waits_again(signature, item, sweep, staff_id=staff_id, days=confirm_link_days, now=now)
            or _taken_up(
                signature,
                sweep,
                due=due,
                effective_at=now + timedelta(seconds=undo_seconds),
                key=key,
                staff_id=staff_id,
                now=now,
            )
        )
        item.outcome = "undone" if is_back else "kept"
        item.at = now
        sweep.undone += is_back
    _note("invalidation-undo-step", sweep, ids, staff_id=staff_id, now=now)
    sweep.cursor = ids[-1] if ids else sweep.cursor
    if len(items) < BACK_AT_ONCE:
        end(sweep, "undone", staff_id=staff_id, now=now)
    return sweep.state == "undoing"


def _back_to_pending(
    items: Sequence[InvalidationItem], locked: Mapping[int, Signature], *, staff_id: int, now: datetime
) -> set[int]:
    made = [item.decision_id for item in items if item.decision_id is not None]
    if not made:
        return set()
    found = _decisions(select(Decision).where(Decision.id.in_(made)).order_by(Decision.id).with_for_update())
    back, _late = take_back_decisions(
        [(locked[decision.signature_id], decision) for decision in found], staff_id=staff_id, now=now
    )
    return set(back)


def _waits_again(
    signature: Signature, item: InvalidationItem, sweep: Invalidation, *, staff_id: int, days: int, now: datetime
) -> bool:
    if item.state_before != State.SUBMITTED or signature.state != State.EXPIRED or not signature.email:
        return False
    link = db.session.scalars(
        select(Link)
        .where(Link.signature_id == signature.id, Link.purpose == "confirm")
        .order_by(Link.id.desc())
        .limit(1)
    ).first()
    if link is None:
        return False
    before = signature.move(Move.UNDO, back_to=State.SUBMITTED)
    signature.ended_at = None
    link.expires_at = now + timedelta(days=days)
    add_event(signature, Move.UNDO, before=before, actor=Actor.CENTRE, now=now, staff_id=staff_id)
    _note_one("invalidate-undo", signature, before, sweep, staff_id=staff_id, now=now)
    unsent = select(Message.id).where(
        Message.signature_id == signature.id, Message.kind == "signing", Message.done_at == item.at
    )
    # The one mail that asks for confirmation: not twice, and not at all where it had left already.
    if db.session.scalars(unsent.limit(1)).first() is not None:
        queue_message("signing", signature, link=link, now=now, on_hold=signature.held)
    return True


def _taken_up(
    signature: Signature,
    sweep: Invalidation,
    *,
    due: date,
    effective_at: datetime,
    key: bytes,
    staff_id: int,
    now: datetime,
) -> bool:
    before = State(signature.state)
    try:
        new = take_up_again(signature, due=due, effective_at=effective_at, staff_id=staff_id, now=now)
    except MoveRefusedError:
        return False
    db.session.execute(
        update(Objection)
        .where(Objection.signature_id == signature.id, Objection.state == "pending")
        .values(state="cancelled", version=Objection.version + 1)
    )
    link = new_link(new, "personal", key=key, now=now, lifetime=None)
    queue_message(MAIL, new, link=link, now=now, due_at=effective_at, values={"due_on": due.isoformat()})
    _note_one("invalidate-undo", signature, before, sweep, staff_id=staff_id, now=now)
    return True


# ── the audit ────────────────────────────────────────────────────────────────────────────────────────────────────────


def _note_one(
    action: str, signature: Signature, before: State, sweep: Invalidation, *, staff_id: int, now: datetime
) -> None:
    add_audit(
        action,
        staff_id=staff_id,
        subject="signature",
        subject_id=signature.id,
        now=now,
        reason=sweep.reason,
        detail={SUBJECT: sweep.id},
        before={"state": before.value},
        after={"state": signature.state},
    )


def _note(action: str, sweep: Invalidation, ids: Sequence[int], *, staff_id: int, now: datetime) -> None:
    add_audit(
        action,
        staff_id=staff_id,
        subject=SUBJECT,
        subject_id=sweep.id,
        now=now,
        detail={"count": len(ids), "done": sweep.done, "skipped": sweep.skipped, "undone": sweep.undone},
    )
