"""The observer's verbs: sign, confirm, correct, answer, withdraw."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from weakref import WeakKeyDictionary

from sqlalchemy import Engine, select
from sqlalchemy.exc import IntegrityError

from charter.domain import token as tokens
from charter.domain.calendar import due_on, local_date
from charter.domain.consent import CONSENT_KINDS
from charter.domain.errors import MoveRefusedError
from charter.domain.signature import LIVE, STANDING, Actor, Move, State, may
from charter.models.base import db
from charter.models.breakdown import giving_up_at
from charter.models.edition import Affirmation, changed_since
from charter.models.log import LogEvent
from charter.models.signature import Clarification, Signature, SignatureConsent
from charter.operations.erasing import withdraw_at_once
from charter.operations.limits import Limits, Origin
from charter.operations.mailboxes import note_confirmed
from charter.operations.proving import Outcome, Proof, Result, check_proof, get_signature, prove_act
from charter.operations.sign_steps import (
    GivenConsent,
    NewSignature,
    Order,
    Terms,
    forget_texts,
    is_apart,
    keep_texts,
    store,
    write_consents,
)
from charter.operations.steps import (
    Details,
    add_event,
    apply_details,
    expire,
    find_link,
    get_affiliation,
    is_same,
    new_link,
    queue_message,
    resolve_details,
)
from charter.operations.together import Alone, Together
from charter.operations.unit import begin_waiting, insert_if_absent, lock, operation, wait_seconds
from charter.tlog.record import SALT_BYTES, commitment, encode_record


@dataclass(frozen=True)
class Taken:
    """What a person says whom the Centre entered from a list: corrected details, and the consents that it lacked.

    language: in which the consents were read; mail_language: of the mails from now on.
    """

    details: Details
    edition_slug: str
    language: str
    mail_language: str
    consents: tuple[GivenConsent, ...]


_NOWHERE = Origin()
_UNLIMITED = Limits()
#: Signings in one transaction: more than threads of a process at most times, and few enough to be done in an instant.
MOST_TOGETHER = 16


@operation
def _sign_all(close: Callable[[], Sequence[Order]]) -> list[bool | Exception | Alone]:
    return store(close())


_lines: WeakKeyDictionary[Engine, Together[Order, bool]] = WeakKeyDictionary()
_lines_mutex = threading.Lock()


def _line() -> Together[Order, bool]:
    engine = db.engine
    with _lines_mutex:
        line = _lines.get(engine)
        if line is None:
            line = _lines[engine] = Together(_sign_all, is_apart=is_apart, most=MOST_TOGETHER)
        return line


def sign(
    new: NewSignature,
    *,
    key: bytes,
    edition_slug: str,
    browser_digest: bytes,
    confirm_link_days: int,
    people_per_mailbox: int,
    now: datetime,
    origin: Origin = _NOWHERE,
    limits: Limits = _UNLIMITED,
) -> bool:
    """Stores a signature that waits for its confirmation: event, consents, trace and one message of kind `signing`.

    The same statements run and the same kinds of rows appear whether or not the person signed before; the worker
    decides at delivery which mail the message becomes, so that no answer and no timing tells who is in the registry.
    Beyond `people_per_mailbox` people, beyond a limit, or where the form was not filled in as people do it, the
    signature is held for a human, with the same outcome for the caller.
    Those who sign while others are being stored are stored in one transaction after it.
    False: so many sign that the form has to come back with a proof of work; nothing is stored.
    Raises FieldRefusedError for a region or affiliation that cannot be chosen.
    """
    order = Order(
        new=new,
        edition_slug=edition_slug,
        browser_digest=browser_digest,
        now=now,
        origin=origin,
        terms=Terms(key, confirm_link_days, people_per_mailbox, limits),
    )
    begin_waiting("sign")
    with giving_up_at(time.monotonic() + wait_seconds()) as left_seconds:
        try:
            return _line().join(order, seconds=left_seconds())
        except IntegrityError:
            # The texts that were known to be kept may be those of a database that was here before.
            if not forget_texts():
                raise
            return _line().join(order, seconds=left_seconds())


@operation
def confirm(
    token: str,
    *,
    proof: Proof,
    key: bytes,
    code_tries: int,
    answer_due_working_days: int,
    holidays: frozenset[date],
    now: datetime,
    taken: Taken | None = None,
) -> Result:
    """Confirms the signature behind a mailed link, if the signing browser or the code from the mail's text is there.

    taken: what is needed besides of whom the Centre entered; NOT_POSSIBLE without, for there is no consent yet, and of
    no use to others. Raises FieldRefusedError for a region or affiliation in it that cannot be chosen.

    Effects when done: state, event, `confirm` leaf queued, other unconfirmed ones of the same person expired,
    a personal link, message `confirmed` with the day an answer is due. A wrong code is counted.
    """
    link = find_link(token, "confirm")
    if link is None:
        return Result(Outcome.UNKNOWN)
    # The mailbox before the row, as everywhere: two links of one person would else wait for each other for ever.
    lock("mailbox", db.session.scalars(select(Signature.mailbox).where(Signature.id == link.signature_id)).one())
    signature = get_signature(link.signature_id)
    if signature.held and signature.state == State.SUBMITTED:
        return Result(Outcome.UNKNOWN)
    if signature.state == State.EXPIRED or (
        signature.state == State.SUBMITTED and link.expires_at is not None and link.expires_at <= now
    ):
        return Result(Outcome.EXPIRED)
    if signature.state != State.SUBMITTED:
        return Result(Outcome.ALREADY)
    lacks_consents = _lacks_consents(signature)
    if lacks_consents and taken is None:
        return Result(Outcome.NOT_POSSIBLE)
    refused = check_proof(signature, link, proof, key=key, code_tries=code_tries)
    if refused is not None:
        return refused
    if lacks_consents and taken is not None:
        _take(signature, taken, now=now)
    others = db.session.scalars(
        select(Signature).where(
            Signature.mailbox == signature.mailbox,
            Signature.name_key == signature.name_key,
            Signature.id != signature.id,
            Signature.state.in_(LIVE),
        )
    ).all()
    if any(other.state in STANDING for other in others):
        expire(signature, now=now)
        return Result(Outcome.ALREADY)
    for other in others:
        expire(other, now=now)
    link.used_at = now
    before = signature.move(Move.CONFIRM)
    signature.confirmed_at = now
    signature.due_on = due_on(now, working_days=answer_due_working_days, holidays=holidays)
    signature.application_line = application_line(signature, now=now)
    add_event(signature, Move.CONFIRM, before=before, actor=Actor.SIGNATORY, now=now)
    db.session.add(
        LogEvent(
            kind="confirm",
            signature_id=signature.id,
            values={
                "commit": commitment(signature.application_line),
                "due": signature.due_on.isoformat(),
                "entry": signature.entry,
            },
            effective_at=now,
        )
    )
    personal = new_link(signature, "personal", key=key, now=now, lifetime=None)
    values = {"due_on": signature.due_on.isoformat()}
    newer = changed_since(signature.edition_slug)
    if newer is not None:
        # Whoever asked everybody has passed those by who had not confirmed; asked here, they are not asked once more.
        values["charter"] = newer.slug
        insert_if_absent(Affirmation, [{"signature_id": signature.id, "edition_slug": newer.slug, "asked_at": now}])
    queue_message("confirmed", signature, link=personal, now=now, values=values)
    note_confirmed(signature.mailbox, signature.name_key, key=key, now=now)
    return Result(Outcome.DONE, personal_token=tokens.token(key, "personal", personal.uid))


def _lacks_consents(signature: Signature) -> bool:
    query = select(SignatureConsent.kind).where(SignatureConsent.signature_id == signature.id)
    return set(CONSENT_KINDS) > set(db.session.scalars(query))


def _take(signature: Signature, taken: Taken, *, now: datetime) -> None:
    """The person makes what a list said of them their own."""
    apply_details(signature, taken.details, resolve_details(taken.details, now=now, kept=signature))
    signature.signed_language, signature.edition_slug = taken.language, taken.edition_slug
    signature.language = taken.mail_language
    keep_texts([(taken.language, now, taken.consents)])
    write_consents([(signature.id, taken.language, now, taken.consents)])


@operation
def correct(signature_id: int, details: Details, *, now: datetime) -> None:
    """Changes what the observer wrote while it waits for a decision; the day an answer is due stays.

    The `confirm` leaf keeps the original, the `publish` leaf commits to what is decided (LOG §1).
    Saving what stands already changes nothing, so that a robot that presses the button leaves no trace.
    Raises MoveRefusedError once decided, FieldRefusedError as `sign` does.
    """
    signature = get_signature(signature_id)
    resolved = resolve_details(details, now=now, kept=signature)
    if is_same(signature, details, resolved):
        return
    before = signature.move(Move.CORRECT)
    apply_details(signature, details, resolved)
    add_event(signature, Move.CORRECT, before=before, actor=Actor.SIGNATORY, now=now)


@operation
def answer(signature_id: int, text: str, *, now: datetime) -> None:
    """Stores the answer to the Centre's question and returns the application to the queue.

    Raises MoveRefusedError when no question is open.
    """
    signature = get_signature(signature_id)
    question = db.session.scalars(
        select(Clarification)
        .where(Clarification.signature_id == signature_id, Clarification.answered_at.is_(None))
        .order_by(Clarification.id.desc())
        .limit(1)
    ).first()
    if question is None:
        raise MoveRefusedError(signature.state, Move.ANSWER)
    before = signature.move(Move.ANSWER)
    question.answer = text
    question.answered_at = now
    add_event(signature, Move.ANSWER, before=before, actor=Actor.SIGNATORY, now=now)


@operation
def withdraw(
    signature_id: int, *, proof: Proof, key: bytes, code_tries: int, now: datetime, reason: str | None = None
) -> Result:
    """Ends a signature at the signatory's word; the registry follows with the next batch.

    reason: why, by a code of domain/reasons.WITHDRAWALS, if they care to say; for the Centre's figures only.

    Effects when done: queued publication and unsent decisions cancelled, the application line and its salt destroyed,
    a `withdraw` leaf queued (only if a `confirm` leaf exists or is queued), message `withdrawn`; once that has left,
    the rest of what is kept about the person is destroyed (LOG §5).
    """
    signature = get_signature(signature_id)
    if not may(State(signature.state), Move.WITHDRAW):
        return Result(Outcome.NOT_POSSIBLE)
    refused = prove_act(signature, proof, key=key, code_tries=code_tries, now=now)
    if refused is not None:
        return refused
    withdraw_at_once(signature, now=now, reason=reason)
    return Result(Outcome.DONE)


def application_line(signature: Signature, *, now: datetime) -> bytes:
    """The record line of an application (rev 0, LOG §1) with a fresh salt, for the applicant alone."""
    slug, name = get_affiliation(signature)
    return encode_record(
        entry=signature.entry,
        salt=secrets.token_bytes(SALT_BYTES),
        rev=0,
        number=None,
        kind=signature.kind,
        display=signature.display,
        name=signature.short_name if signature.display == "short" else signature.full_name,
        region=signature.region_code,
        affiliation=slug,
        affiliation_name=name,
        charter=signature.edition_slug,
        signed_on=local_date(now),
    )
