"""Erasure: what is kept of a person is destroyed; number, dates and the log stay (LOG §5)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import delete, null, select, update

from charter.domain.errors import NotFoundError
from charter.domain.moments import LONGEST_FAREWELL
from charter.domain.signature import STANDING, Actor, Move, State, may
from charter.models.base import db
from charter.models.decision import Decision
from charter.models.importing import ImportRow
from charter.models.leaving import KIND, is_leaving, may_be_forgotten
from charter.models.limits import SigningTrace
from charter.models.log import LogEvent
from charter.models.outbox import Message
from charter.models.registry import PublicEntry
from charter.models.rights import AddressChange, Correction, Objection
from charter.models.signature import Clarification, Link, Signature, SignatureEvent
from charter.operations.steps import add_audit, add_event, end_by_signatory, queue_message
from charter.operations.unit import operation

#: People in one transaction.
MOST_AT_ONCE = 200


# ── steps of whoever ends a signature ────────────────────────────────────────────────────────────────────────────────


def leave(signature: Signature, *, now: datetime) -> None:
    """Says to the worker that this person can be forgotten, once the last mail to them has left or will never leave."""
    db.session.add(LogEvent(kind=KIND, signature_id=signature.id, values={}, effective_at=now + LONGEST_FAREWELL))


def destroy(signatures: Sequence[Signature], *, keeps_door: bool) -> None:
    """Destroys all that names these people or was written by or to them: columns, free texts, mail, links.

    Kind, region, edition, languages and dates stay: the totals are made of them. keeps_door: the personal link goes on
    leading to what is left.
    """
    ids = [signature.id for signature in signatures]
    if not ids:
        return
    for signature in signatures:
        signature.full_name = signature.short_name = signature.name_key = ""
        signature.email = signature.mailbox = ""
        # No browser has this digest, which is never compared with an empty one.
        signature.browser_digest = b""
        signature.affiliation_id = signature.affiliation_text = signature.application_line = None
        signature.held, signature.held_because, signature.name_fold = False, None, None
        signature.version += 1
    db.session.execute(delete(Message).where(Message.signature_id.in_(ids)))
    links = delete(Link).where(Link.signature_id.in_(ids))
    db.session.execute(links.where(Link.purpose != "personal") if keeps_door else links)
    db.session.execute(update(Decision).where(Decision.signature_id.in_(ids)).values(note=None))
    for trace in (SigningTrace, AddressChange):
        db.session.execute(delete(trace).where(trace.signature_id.in_(ids)))
    db.session.execute(
        update(Correction)
        .where(Correction.signature_id.in_(ids))
        .values(full_name="", short_name="", affiliation_id=None, affiliation_text=None, note=None)
    )
    db.session.execute(
        update(Correction)
        .where(Correction.signature_id.in_(ids), Correction.state == "pending")
        .values(state="cancelled")
    )
    db.session.execute(update(Objection).where(Objection.signature_id.in_(ids)).values(words=None, answer=None))
    db.session.execute(
        update(Objection).where(Objection.signature_id.in_(ids), Objection.state == "pending").values(state="cancelled")
    )
    db.session.execute(update(Clarification).where(Clarification.signature_id.in_(ids)).values(answer=None))
    db.session.execute(
        update(ImportRow)
        .where(ImportRow.signature_id.in_(ids))
        .values(signature_id=None, identity=None, code=None, cells=null())
    )


def move_to_erased(
    signature: Signature,
    *,
    now: datetime,
    staff_id: int | None = None,
    actor: Actor = Actor.CENTRE,
    reason: str | None = None,
) -> None:
    """The last move, and everything destroyed. Raises MoveRefusedError for one that stands or is erased already."""
    before = signature.move(Move.ERASE)
    signature.ended_at = signature.ended_at or now
    add_event(signature, Move.ERASE, before=before, actor=actor, now=now, staff_id=staff_id, reason=reason)
    destroy([signature], keeps_door=False)


def end_for_good(
    signature: Signature,
    *,
    now: datetime,
    staff_id: int | None = None,
    actor: Actor = Actor.CENTRE,
    reason: str | None = None,
) -> None:
    """Withdraws what stands, destroys everything, and queues the leaves of whom the log knows.

    What waits for its seconds of undo can no longer be taken back. Raises MoveRefusedError if erased before.
    """
    values = {"entry": signature.entry}
    if State(signature.state) in STANDING:
        end_by_signatory(signature, now=now, staff_id=staff_id, reason=reason)
        db.session.add(LogEvent(kind="withdraw", signature_id=signature.id, values=values, effective_at=now))
    move_to_erased(signature, now=now, staff_id=staff_id, actor=actor, reason=reason)
    _bring_forward(signature, now=now)
    if signature.confirmed_at is not None:
        db.session.add(LogEvent(kind="erase", signature_id=signature.id, values=values, effective_at=now))
    # Whoever cleans the file hears of it.
    leave(signature, now=now)


def _bring_forward(signature: Signature, *, now: datetime) -> None:
    """What was decided, and waits for its seconds of undo, comes before the end."""
    db.session.execute(
        update(LogEvent)
        .where(LogEvent.signature_id == signature.id, LogEvent.effective_at > now, ~is_leaving())
        .values(effective_at=now)
    )


def withdraw_at_once(
    signature: Signature, *, now: datetime, staff_id: int | None = None, reason: str | None = None
) -> None:
    """Ends it at the signatory's word: leaf if the log knows it, last mail, and what is kept goes once that has left.

    Raises MoveRefusedError where it cannot be withdrawn.
    """
    before = end_by_signatory(signature, now=now, staff_id=staff_id, reason=reason)
    if before is not State.SUBMITTED:
        _bring_forward(signature, now=now)
        db.session.add(
            LogEvent(kind="withdraw", signature_id=signature.id, values={"entry": signature.entry}, effective_at=now)
        )
    queue_message("withdrawn", signature, link=None, now=now)
    leave(signature, now=now)
    end_earlier(signature, now=now)


def find_earlier(signature: Signature) -> Signature | None:
    """The declined application that this one took up again after an objection; it holds the same name and address."""
    taken_up = select(SignatureEvent.id).where(
        SignatureEvent.signature_id == signature.id, SignatureEvent.move == Move.REOPEN
    )
    # Asked first: it has an index, and hardly anybody was ever taken up again.
    if db.session.scalars(taken_up.limit(1)).first() is None:
        return None
    return db.session.scalars(
        select(Signature)
        .join(Objection, Objection.signature_id == Signature.id)
        .where(Objection.new_signature_id == signature.id)
        .with_for_update(of=Signature)
    ).first()


def end_earlier(signature: Signature, *, now: datetime, actor: Actor = Actor.SIGNATORY) -> None:
    """Whoever leaves is not to be kept in the application that was declined before: it is erased as well."""
    earlier = find_earlier(signature)
    while earlier is not None:
        if may(State(earlier.state), Move.ERASE):
            end_for_good(earlier, now=now, actor=actor)
        earlier = find_earlier(earlier)


def end_later(signature: Signature, *, mailbox: str, now: datetime, actor: Actor = Actor.SIGNATORY) -> None:
    """Whoever has a declined application erased is not to be kept in what took it up again: that is erased as well.

    mailbox: of the signature before it was emptied. What was moved to another mailbox since is left alone: whoever has
    the former one must not end it.
    """
    later = _find_later(signature)
    while later is not None:
        state = State(later.state)
        if later.mailbox == mailbox and (state in STANDING or may(state, Move.ERASE)):
            end_for_good(later, now=now, actor=actor)
        later = _find_later(later)


def _find_later(signature: Signature) -> Signature | None:
    return db.session.scalars(
        select(Signature)
        .join(Objection, Objection.new_signature_id == Signature.id)
        .where(Objection.signature_id == signature.id)
        .with_for_update(of=Signature)
    ).first()


# ── verbs ────────────────────────────────────────────────────────────────────────────────────────────────────────────


@operation
def erase(entry: str, *, now: datetime, staff_id: int | None = None) -> None:
    """Erases a person, whatever became of their signature; one that stands is withdrawn first.

    Effects when done: nothing personal left in any row but the public one, which the next batch empties; `withdraw` (if
    it stood) and `erase` leaves queued if it was ever confirmed; nobody is written to any more. An answer that waited
    for its seconds of undo can no longer be taken back.
    staff_id: None for the command line. Raises NotFoundError, and MoveRefusedError when it was erased before.
    """
    signature = db.session.scalars(select(Signature).where(Signature.entry == entry).with_for_update()).first()
    if signature is None:
        _erase_unsigned(entry, now=now, staff_id=staff_id)
        return
    mailbox = signature.mailbox
    end_for_good(signature, now=now, staff_id=staff_id)
    end_earlier(signature, now=now, actor=Actor.CENTRE)
    end_later(signature, mailbox=mailbox, now=now, actor=Actor.CENTRE)
    add_audit("erase", staff_id=staff_id, subject="signature", subject_id=signature.id, now=now)


def _erase_unsigned(entry: str, *, now: datetime, staff_id: int | None) -> None:
    """An entry that a restore brought back from a mirror: its signature is lost, all that is left is public."""
    row = db.session.scalars(
        select(PublicEntry).where(PublicEntry.entry == entry, PublicEntry.ended_on.is_(None)).with_for_update()
    ).first()
    waiting = db.session.scalars(select(LogEvent).where(LogEvent.kind == "erase", LogEvent.signature_id.is_(None)))
    if row is None or any(event.values.get("entry") == entry for event in waiting):
        raise NotFoundError
    for kind in ("withdraw", "erase"):
        db.session.add(LogEvent(kind=kind, signature_id=None, values={"entry": entry}, effective_at=now))
    add_audit("erase", staff_id=staff_id, subject="entry", subject_id=row.number, now=now)


@operation
def forget(*, now: datetime, most: int = MOST_AT_ONCE) -> int:
    """Destroys what is left of people who left and whose last mail waits no more; returns how many it were.

    Of who was erased that is the last mail alone, which keeps the address if it could not be delivered.
    """
    due = db.session.execute(
        select(LogEvent.id, LogEvent.signature_id).where(may_be_forgotten(now=now)).order_by(LogEvent.id).limit(most)
    ).all()
    signatures = db.session.scalars(
        select(Signature)
        .where(Signature.id.in_([row.signature_id for row in due]))
        .order_by(Signature.id)
        .with_for_update()
    ).all()
    destroy([signature for signature in signatures if signature.state == State.WITHDRAWN], keeps_door=True)
    destroy([signature for signature in signatures if signature.state == State.ERASED], keeps_door=False)
    db.session.execute(delete(LogEvent).where(LogEvent.id.in_([row.id for row in due])))
    return len(due)


@operation
def take_up(signature_ids: Sequence[int], *, now: datetime) -> int:
    """Queues people who withdrew long ago and are still known; returns how many nobody had queued."""
    queued = set(
        db.session.scalars(select(LogEvent.signature_id).where(LogEvent.signature_id.in_(signature_ids), is_leaving()))
    )
    signatures = db.session.scalars(
        select(Signature).where(Signature.id.in_(set(signature_ids) - queued), Signature.state == State.WITHDRAWN)
    ).all()
    for signature in signatures:
        leave(signature, now=now)
    return len(signatures)
