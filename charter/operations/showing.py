"""How much of a published entry is shown, and to whom: the signatory's own choice, which nobody reviews."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import select

from charter.domain.signature import Actor, Display, Move, State, is_larger, may
from charter.models.base import db
from charter.models.log import LogEvent
from charter.models.registry import PublicEntry
from charter.models.signature import Signature
from charter.operations.corrections import refuse_too_often
from charter.operations.proving import Outcome, Proof, Result, get_signature, prove_act
from charter.operations.steps import add_event
from charter.operations.unit import operation


@operation
def show(
    signature_id: int,
    *,
    display: str,
    is_indexable: bool,
    proof: Proof,
    key: bytes,
    code_tries: int,
    now: datetime,
) -> Result:
    """How a published entry shows the name, and whether search engines may keep its page; public with the next batch.

    The Centre has seen full name and short form, so neither is reviewed again. Whatever shows less is done at once, for
    whoever holds the personal link; whatever shows more is a dangerous act (`prove_act`): who has been seen cannot be
    unseen. Who is not listed by name is not for search engines either.
    Raises TooOftenError for showing more again and again. A wrong code is counted.
    """
    signature = get_signature(signature_id)
    if not may(State(signature.state), Move.SHOW):
        return Result(Outcome.NOT_POSSIBLE)
    is_indexable = is_indexable and display != Display.UNLISTED
    is_display_new = display != signature.display
    was_indexable = bool(signature.is_indexable)
    if is_larger(display, signature.display) or (is_indexable and not was_indexable):
        refuse_too_often(signature_id, now=now)
        refused = prove_act(signature, proof, key=key, code_tries=code_tries, now=now)
        if refused is not None:
            return refused
    if is_display_new or is_indexable != was_indexable:
        before = signature.move(Move.SHOW)
        add_event(signature, Move.SHOW, before=before, actor=Actor.SIGNATORY, now=now, reason=display)
        signature.display, signature.is_indexable = display, is_indexable
    if is_display_new:
        queue_once(signature, now=now)
    elif _is_found_otherwise(signature.entry, is_indexable) and not _is_refreshed(signature.entry):
        db.session.add(LogEvent(kind="refresh", signature_id=None, values={"entry": signature.entry}, effective_at=now))
    return Result(Outcome.DONE)


def queue_once(signature: Signature, *, now: datetime) -> None:
    """One leaf for whatever changed before the next batch: it is made of what the signature says then."""
    queued = db.session.scalars(
        select(LogEvent).where(
            LogEvent.signature_id == signature.id, LogEvent.kind == "correct", LogEvent.effective_at <= now
        )
    )
    if all(event.values for event in queued):
        db.session.add(LogEvent(kind="correct", signature_id=signature.id, values={}, effective_at=now))


def _is_refreshed(entry: str) -> bool:
    """Whether the next batch looks at what stands beside the line of this entry anyway."""
    queued = select(LogEvent.id).where(
        LogEvent.kind == "refresh", LogEvent.signature_id.is_(None), LogEvent.values["entry"].as_string() == entry
    )
    return db.session.scalars(queued.limit(1)).first() is not None


def _is_found_otherwise(entry: str, is_indexable: bool) -> bool:
    """Whether the public side has not heard of this yet: a restore, for one, knows nothing of it."""
    shown = db.session.execute(select(PublicEntry.is_indexable).where(PublicEntry.entry == entry)).first()
    return shown is not None and bool(shown.is_indexable) != is_indexable
