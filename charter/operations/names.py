"""Names that others might borrow: the list that staff keep for hints, and what older signatures are compared by."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import func, select

from charter.domain.duties import Right
from charter.domain.email import mailbox_of
from charter.domain.errors import FieldRefusedError, NotFoundError
from charter.domain.hints import name_fold
from charter.models.base import db
from charter.models.limits import NotableName
from charter.models.signature import Signature
from charter.operations.duties import require
from charter.operations.steps import add_audit
from charter.operations.unit import lock, operation

#: Compared with every name in the queue; kept by hand, so a longer list is a mistake.
MOST_NOTABLE = 2000


@operation
def add(name: str, *, staff_id: int, now: datetime) -> None:
    """Puts a name on the list; one that is there already, in any alphabet, stays as it is.

    name: clean (domain/name.py). Raises FieldRefusedError where nothing of it can be compared, or the list is full.
    """
    require(staff_id, Right.REVIEW)
    folded = name_fold(name)
    if len(folded.split()) < 2:
        raise FieldRefusedError("name", "unknown")
    lock("notable", "names")
    if db.session.scalars(select(NotableName.id).where(NotableName.name_fold == folded)).first() is not None:
        return
    if (db.session.scalar(select(func.count()).select_from(NotableName)) or 0) >= MOST_NOTABLE:
        raise FieldRefusedError("name", "full")
    row = NotableName(name=name, name_fold=folded, staff_id=staff_id, added_at=now)
    db.session.add(row)
    db.session.flush()
    add_audit(
        "add-notable",
        staff_id=staff_id,
        subject="notable-name",
        subject_id=row.id,
        now=now,
        before={"listed": False},
        after={"listed": True},
    )


@operation
def remove(name_id: int, *, staff_id: int, now: datetime) -> None:
    """Takes a name off the list. Raises NotFoundError."""
    require(staff_id, Right.REVIEW)
    row = db.session.get(NotableName, name_id, with_for_update=True)
    if row is None:
        raise NotFoundError
    db.session.delete(row)
    add_audit(
        "remove-notable",
        staff_id=staff_id,
        subject="notable-name",
        subject_id=name_id,
        now=now,
        before={"listed": True},
        after={"listed": False},
    )


@operation
def fold_names(signature_ids: Sequence[int]) -> int:
    """Gives signatures of an older release what they are compared by today: folded name, mailbox; returns how many."""
    rows = db.session.scalars(
        select(Signature)
        .where(Signature.id.in_(signature_ids), Signature.name_fold.is_(None), Signature.full_name != "")
        .order_by(Signature.id)
        .with_for_update()
    ).all()
    for signature in rows:
        signature.name_fold = name_fold(signature.full_name)
        signature.mailbox = mailbox_of(signature.email)
    return len(rows)
