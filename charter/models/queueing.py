"""What waits for the Centre and for whom, as conditions on columns."""

from __future__ import annotations

from collections.abc import Collection
from datetime import date, datetime

from sqlalchemy import ColumnElement, and_, not_, select

from charter.domain.queue import CLAIM, FREE, MINE, NO_AFFILIATION, OWN_WORDS, QueueFilter
from charter.domain.signature import State
from charter.models.affiliation import Affiliation
from charter.models.desk import Claim
from charter.models.moments import has_come
from charter.models.signature import PENDING, Clarification, Signature


def waits(
    wanted: QueueFilter, *, staff_id: int, today: date, now: datetime, is_beside_region: bool = False
) -> list[ColumnElement[bool]]:
    """What an application must be to stand in this part of the queue. is_beside_region: the region is left out.

    Says the condition of the partial indexes letter by letter, so that they are used.
    """
    state = State.CLARIFICATION if wanted.state == State.CLARIFICATION else State.CONFIRMED
    found: list[ColumnElement[bool]] = [PENDING, Signature.state == state]  # type: ignore[list-item]
    if wanted.regions and not is_beside_region:
        found.append(Signature.region_code.in_(wanted.regions))
    if wanted.kind is not None:
        found.append(Signature.kind == wanted.kind)
    if wanted.affiliation in {NO_AFFILIATION, OWN_WORDS}:
        found.append(Signature.affiliation_id.is_(None))
        is_own = wanted.affiliation == OWN_WORDS
        found.append(Signature.affiliation_text.is_not(None) if is_own else Signature.affiliation_text.is_(None))
    elif wanted.affiliation is not None:
        chosen = select(Affiliation.id).where(Affiliation.slug == wanted.affiliation).scalar_subquery()
        found.append(Signature.affiliation_id == chosen)
    if wanted.is_late:
        found.append(Signature.due_on < today)
    if wanted.was_answered:
        answered = select(Clarification.signature_id).where(Clarification.answered_at.is_not(None))
        found.append(Signature.id.in_(answered))
    if wanted.claimed == MINE:
        mine = select(Claim.signature_id).where(Claim.staff_id == staff_id, lasts(now))
        found.append(Signature.id.in_(mine))
    elif wanted.claimed == FREE:
        found.append(is_free(staff_id=staff_id, now=now))
    return found


def lasts(now: datetime) -> ColumnElement[bool]:
    """Whether a claim has not run out, also where the clock has gone back since it was made."""
    return not_(has_come(Claim.until, now=now, longest=CLAIM))


def is_free(*, staff_id: int, now: datetime) -> ColumnElement[bool]:
    """Nobody else is at work on it."""
    taken = select(Claim.signature_id).where(Claim.signature_id == Signature.id, Claim.staff_id != staff_id, lasts(now))
    return ~taken.exists()


def is_before(due_on: date, signature_id: int) -> ColumnElement[bool]:
    """Whether this one stands behind another in the order of the queue."""
    return (Signature.due_on > due_on) | and_(Signature.due_on == due_on, Signature.id > signature_id)


def allowed(wanted: QueueFilter, regions: Collection[str] | None) -> QueueFilter | None:
    """The filter within the regions somebody is responsible for; None of `regions` is all. None: nothing is left."""
    if regions is None:
        return wanted
    kept = [code for code in wanted.regions if code in regions] if wanted.regions else sorted(regions)
    if not kept:
        return None
    return QueueFilter(**{**wanted.__dict__, "regions": tuple(kept)})
