"""Who is at work on what: taken for some minutes, shown to colleagues, never in the way of a decision."""

from __future__ import annotations

from datetime import date, datetime

from sqlalchemy import delete, select

from charter.domain.duties import Right
from charter.domain.errors import NotFoundError
from charter.domain.queue import CLAIM, QueueFilter
from charter.domain.signature import PENDING, State
from charter.models.base import db
from charter.models.desk import Claim
from charter.models.queueing import allowed, is_free, lasts, waits
from charter.models.signature import Signature
from charter.operations.duties import require
from charter.operations.unit import insert_on, operation, unrecorded

#: So often a colleague may have been faster: more reviewers than that do not ask in the same moment.
_TRIED = 40


def _take(signature_id: int, *, staff_id: int, now: datetime, is_taken_over: bool) -> bool:
    """Whether it is this person's now; not if a colleague has it, unless it is taken over."""
    connection = db.session.connection()
    insertion = insert_on(connection.dialect.name, Claim).values(
        signature_id=signature_id, staff_id=staff_id, until=now + CLAIM
    )
    condition = None if is_taken_over else ~lasts(now) | (Claim.staff_id == staff_id)
    upsert = insertion.on_conflict_do_update(
        index_elements=["signature_id"],
        set_={"staff_id": insertion.excluded.staff_id, "until": insertion.excluded.until},
        where=condition,
    ).returning(Claim.signature_id)
    return connection.execute(upsert).first() is not None


@operation
@unrecorded
def take(signature_id: int, *, staff_id: int, now: datetime, is_taken_over: bool = False) -> bool:
    """Says that this person is at work on an application for CLAIM; False if a colleague has it meanwhile.

    is_taken_over: also from a colleague. Raises NotFoundError where nothing waits, DutyRefusedError.
    """
    signature = db.session.get(Signature, signature_id)
    if signature is None or State(signature.state) not in PENDING:
        raise NotFoundError
    require(staff_id, Right.REVIEW, region=signature.region_code)
    return _take(signature_id, staff_id=staff_id, now=now, is_taken_over=is_taken_over)


@operation
@unrecorded
def take_next(wanted: QueueFilter, *, staff_id: int, today: date, now: datetime, skip: int | None = None) -> int | None:
    """Takes the application that is due first and that nobody else is at work on; None when none is left.

    Two who ask at once get two different ones.
    """
    account = require(staff_id, Right.REVIEW)
    within = allowed(wanted, account.regions)
    if within is None:
        return None
    tried = set() if skip is None else {skip}
    for _attempt in range(_TRIED):
        # What a colleague takes or decides on in this very moment is passed over, not waited for.
        signature_id = db.session.scalars(
            select(Signature.id)
            .where(
                *waits(within, staff_id=staff_id, today=today, now=now),
                is_free(staff_id=staff_id, now=now),
                Signature.id.not_in(tried),
            )
            .order_by(Signature.due_on, Signature.id)
            .limit(1)
            .with_for_update(skip_locked=True, of=Signature)
        ).first()
        if signature_id is None:
            return None
        if _take(signature_id, staff_id=staff_id, now=now, is_taken_over=False):
            return signature_id
        tried.add(signature_id)
    return None


@operation
@unrecorded
def free(signature_id: int, *, staff_id: int) -> None:
    """This person is no longer at work on it."""
    require(staff_id, Right.REVIEW)
    db.session.execute(delete(Claim).where(Claim.signature_id == signature_id, Claim.staff_id == staff_id))
