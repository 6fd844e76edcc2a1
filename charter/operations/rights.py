"""What signatories may ask for besides signing: their data, erasure; and what they ask for in a letter."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta

from charter.domain.calendar import TIME_ZONE, due_on, local_date
from charter.domain.duties import Right
from charter.domain.errors import DecidedMeanwhileError, FieldRefusedError, MoveRefusedError
from charter.domain.reasons import IN_WRITING
from charter.domain.signature import Actor, Move, State, may
from charter.models.base import db
from charter.models.rights import WrittenRequest
from charter.models.signature import Signature
from charter.operations import corrections, objections
from charter.operations.duties import require
from charter.operations.erasing import end_earlier, end_for_good, end_later, withdraw_at_once
from charter.operations.proving import Outcome, Proof, Result, get_signature, prove_act
from charter.operations.steps import Details, add_audit, add_event, apply_details, message_to, resolve_details
from charter.operations.unit import operation

#: A letter that lay longer than this is a mistyped date.
OLDEST_LETTER = timedelta(days=366)


@operation
def prove(signature_id: int, *, proof: Proof, key: bytes, code_tries: int, now: datetime) -> Result:
    """Whether all that is held may be shown to whoever asks; a code that was given is used up."""
    signature = get_signature(signature_id)
    return prove_act(signature, proof, key=key, code_tries=code_tries, now=now) or Result(Outcome.DONE)


@operation
def erase(signature_id: int, *, proof: Proof, key: bytes, code_tries: int, now: datetime) -> Result:
    """Erases a signature at the signatory's word, whatever became of it; what stands is withdrawn first.

    Effects when done: nothing personal left in any row but the public one, which the next batch empties, and the
    address of one last mail, which goes when that has left; `withdraw` (if it stood) and `erase` leaves queued; the
    personal link is dead. A wrong code is counted.
    """
    signature = get_signature(signature_id)
    if not _may_be_erased(signature):
        return Result(Outcome.NOT_POSSIBLE)
    refused = prove_act(signature, proof, key=key, code_tries=code_tries, now=now)
    if refused is not None:
        return refused
    _erase_at_once(signature, now=now)
    return Result(Outcome.DONE)


def _may_be_erased(signature: Signature) -> bool:
    state = State(signature.state)
    return may(state, Move.WITHDRAW) or may(state, Move.ERASE)


def _erase_at_once(
    signature: Signature, *, now: datetime, staff_id: int | None = None, reason: str | None = None
) -> None:
    """Everything goes but one last mail, which tells of it."""
    farewell = message_to("erased", signature, link=None, now=now) if signature.email else None
    mailbox = signature.mailbox
    objections.give_up(signature, now=now)
    end_for_good(signature, now=now, staff_id=staff_id, actor=Actor.SIGNATORY, reason=reason)
    end_earlier(signature, now=now)
    end_later(signature, mailbox=mailbox, now=now)
    if farewell is not None:
        db.session.add(farewell)


# ── in writing ───────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Letter:
    """A request that reached the Centre on paper. kind: data | correct | withdraw | erase | object.

    reference: of the Centre's register of letters, one line, clean. details: to correct. words: to object, clean.
    """

    kind: str
    reference: str
    received_on: date
    details: Details | None = None
    words: str | None = None


@operation
def record(
    signature_id: int,
    letter: Letter,
    *,
    expected_version: int,
    staff_id: int,
    answer_due_working_days: int,
    holidays: Collection[date],
    now: datetime,
) -> int:
    """Does what a letter asks for as if the signatory had done it, and records which letter; returns the record's id.

    Its move says `in-writing` in the history, by the signatory, with who recorded it. The answer to an objection or a
    correction is due counted from the day the letter came.
    Raises DecidedMeanwhileError when the signature changed since it was looked at, FieldRefusedError (`received_on` in
    the future or long ago, or as the act itself does), MoveRefusedError where it is not possible.
    """
    signature = get_signature(signature_id)
    require(staff_id, Right.REVIEW, region=signature.region_code)
    if signature.version != expected_version:
        raise DecidedMeanwhileError(state=signature.state, by_staff_name=None)
    today = local_date(now)
    if not today - OLDEST_LETTER <= letter.received_on <= today:
        raise FieldRefusedError("received_on", "unlikely")
    due = due_on(
        datetime.combine(letter.received_on, time(12), TIME_ZONE),
        working_days=answer_due_working_days,
        holidays=holidays,
    )
    request = WrittenRequest(
        signature_id=signature_id,
        kind=letter.kind,
        reference=letter.reference,
        received_on=letter.received_on,
        staff_id=staff_id,
        recorded_at=now,
    )
    db.session.add(request)
    db.session.flush()
    before = _codes(signature)
    _do(signature, letter, due=due, staff_id=staff_id, now=now)
    after = _codes(signature)
    changed = [name for name in before if before[name] != after[name]]
    add_audit(
        f"written-{letter.kind}",
        staff_id=staff_id,
        subject="signature",
        subject_id=signature_id,
        now=now,
        detail={"request": request.id},
        reason=IN_WRITING,
        before={name: before[name] for name in changed},
        after={name: after[name] for name in changed},
    )
    return request.id


def _codes(signature: Signature) -> dict[str, str]:
    """What the audit may keep of the details for ever: no name, and no words of the person's own."""
    return {
        "state": signature.state,
        "kind": signature.kind,
        "region": signature.region_code,
        "display": signature.display,
    }


def _do(signature: Signature, letter: Letter, *, due: date, staff_id: int, now: datetime) -> None:
    if letter.kind == "withdraw":
        withdraw_at_once(signature, now=now, staff_id=staff_id, reason=IN_WRITING)
    elif letter.kind == "erase":
        if not _may_be_erased(signature):
            raise MoveRefusedError(signature.state, Move.ERASE)
        _erase_at_once(signature, now=now, staff_id=staff_id, reason=IN_WRITING)
    elif letter.kind == "data":
        _hand_over(signature, staff_id=staff_id, now=now)
    elif letter.kind == "object":
        words = letter.words or ""
        if not words:
            raise FieldRefusedError("words", "required")
        objections.place(signature, words, due_on=due, now=now, staff_id=staff_id, reason=IN_WRITING)
    elif letter.details is not None:
        _correct(signature, letter.details, due=due, staff_id=staff_id, now=now)
    else:
        raise FieldRefusedError("details", "required")


def _hand_over(signature: Signature, *, staff_id: int, now: datetime) -> None:
    state = State(signature.state)
    if not signature.full_name:
        # Nothing is kept that could be handed over.
        raise MoveRefusedError(state, Move.HAND_OVER)
    add_event(
        signature,
        Move.HAND_OVER,
        before=state,
        actor=Actor.CENTRE,
        now=now,
        staff_id=staff_id,
        reason=IN_WRITING,
    )


def _correct(signature: Signature, details: Details, *, due: date, staff_id: int, now: datetime) -> None:
    """At once while it waits for its decision; what is published is reviewed, as if asked for on the page.

    How the name is shown stays: that is chosen by the person on their page, or by withdrawing.
    """
    if signature.state == State.PUBLISHED:
        corrections.propose(signature, details, due_on=due, now=now, staff_id=staff_id, reason=IN_WRITING)
        return
    details = replace(details, display=signature.display)
    resolved = resolve_details(details, now=now, kept=signature)
    before = signature.move(Move.CORRECT)
    apply_details(signature, details, resolved)
    add_event(
        signature,
        Move.CORRECT,
        before=before,
        actor=Actor.SIGNATORY,
        now=now,
        staff_id=staff_id,
        reason=IN_WRITING,
    )
