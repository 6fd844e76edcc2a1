"""What was declined or removed is taken up again: as a new one, for what has ended never returns (LOG §1)."""

from __future__ import annotations

import secrets
from datetime import date, datetime

from sqlalchemy import delete, select

from charter.domain.errors import MoveRefusedError
from charter.domain.signature import STANDING, Actor, Move, State
from charter.models.base import db
from charter.models.log import LogEvent
from charter.models.signature import Signature, SignatureConsent
from charter.operations.erasing import destroy
from charter.operations.signing import application_line
from charter.operations.steps import add_event
from charter.tlog.record import commitment


def take_up_again(old: Signature, *, due: date, effective_at: datetime, staff_id: int, now: datetime) -> Signature:
    """A step: a new application with the details and consents of the old one, under a new entry.

    Its `confirm` leaf waits until `effective_at`. The mailbox is locked. Raises MoveRefusedError when the person has
    signed again meanwhile, or left.
    """
    lives_again = select(Signature.id).where(
        Signature.mailbox == old.mailbox, Signature.name_key == old.name_key, Signature.state.in_(STANDING)
    )
    has_ended = old.state in {State.DECLINED, State.REVOKED} and bool(old.email)
    if not has_ended or db.session.scalars(lives_again.limit(1)).first() is not None:
        raise MoveRefusedError(old.state, Move.UPHOLD)
    new = Signature(
        entry=secrets.token_hex(16),
        state=State.CONFIRMED,
        version=1,
        held=False,
        submitted_at=now,
        confirmed_at=now,
        due_on=due,
        **{name: getattr(old, name) for name in _COPIED},
    )
    new.application_line = application_line(new, now=now)
    db.session.add(new)
    db.session.flush()
    for consent in db.session.scalars(select(SignatureConsent).where(SignatureConsent.signature_id == old.id)):
        db.session.add(
            SignatureConsent(
                signature_id=new.id,
                kind=consent.kind,
                text_sha256=consent.text_sha256,
                language=consent.language,
                given_at=consent.given_at,
            )
        )
    add_event(new, Move.REOPEN, before=None, actor=Actor.CENTRE, now=now, staff_id=staff_id)
    values = {"commit": commitment(new.application_line), "due": due.isoformat(), "entry": new.entry}
    db.session.add(LogEvent(kind="confirm", signature_id=new.id, values=values, effective_at=effective_at))
    return new


_COPIED = (
    *("kind", "full_name", "short_name", "display", "name_key", "name_fold", "affiliation_id", "affiliation_text"),
    *("region_code", "email", "mailbox", "language", "signed_language", "edition_slug", "browser_digest"),
    "is_indexable",
)


def is_untouched(new: Signature) -> bool:
    """Whether nobody has decided on it or changed it, and its leaf still waits."""
    queued = select(LogEvent.id).where(LogEvent.signature_id == new.id, LogEvent.kind == "confirm").limit(1)
    return new.state == State.CONFIRMED and new.version == 1 and db.session.scalars(queued).first() is not None


def close_again(new: Signature, *, now: datetime, staff_id: int | None) -> None:
    """What was taken up again ends as if never confirmed: no leaf knows it, and the declined one has all it held."""
    before = new.move(Move.UNDO, back_to=State.EXPIRED)
    new.ended_at, new.confirmed_at, new.due_on = now, None, None
    db.session.execute(delete(LogEvent).where(LogEvent.signature_id == new.id))
    add_event(new, Move.UNDO, before=before, actor=Actor.CENTRE, now=now, staff_id=staff_id)
    destroy([new], keeps_door=False)
