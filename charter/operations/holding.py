"""Letting through what was set aside: one signature, or a whole group of them at once."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select, update

from charter.domain.duties import Right
from charter.domain.signature import Actor, Move
from charter.models.base import db
from charter.models.holding import is_held, is_in_group
from charter.models.limits import SigningTrace
from charter.models.outbox import Message
from charter.models.signature import Link, Signature
from charter.operations.duties import require
from charter.operations.steps import add_audit, add_event
from charter.operations.unit import operation

#: Signatures in one go: as many mails will leave.
MOST_AT_ONCE = 200


@operation
def release_group(by: str, key: str, *, up_to: int, staff_id: int, confirm_link_days: int, now: datetime) -> int:
    """Lets the oldest MOST_AT_ONCE of a group go on to their confirmation; returns how many these were.

    by: one of GROUPINGS. up_to: id of the newest that was seen; whatever came later has to be looked at first.
    """
    regions = require(staff_id, Right.REVIEW).regions
    ids = (
        select(Signature.id)
        .outerjoin(SigningTrace, SigningTrace.signature_id == Signature.id)
        .where(is_held(), is_in_group(by, key), Signature.id <= up_to)
        .order_by(Signature.id)
        .limit(MOST_AT_ONCE)
    )
    if regions is not None:
        ids = ids.where(Signature.region_code.in_(regions))
    # Locked in the order of ids and looked at once more: a colleague may have been faster.
    found = db.session.scalars(
        select(Signature)
        .where(Signature.id.in_(db.session.scalars(ids).all()), is_held())
        .order_by(Signature.id)
        .with_for_update()
    ).all()
    let_through(
        found, staff_id=staff_id, confirm_link_days=confirm_link_days, now=now, detail={"by": by, "count": len(found)}
    )
    return len(found)


def let_through(
    signatures: Sequence[Signature],
    *,
    staff_id: int,
    confirm_link_days: int,
    now: datetime,
    detail: dict[str, Any] | None = None,
) -> None:
    """A step: their mail leaves now, and their links count from now. One line of history and of the audit for each."""
    if not signatures:
        return
    ids = [signature.id for signature in signatures]
    for signature in signatures:
        before = signature.move(Move.RELEASE)
        signature.held = False
        add_event(signature, Move.RELEASE, before=before, actor=Actor.CENTRE, now=now, staff_id=staff_id)
        add_audit(
            "release",
            staff_id=staff_id,
            subject="signature",
            subject_id=signature.id,
            now=now,
            detail=detail,
            before={"held": True},
            after={"held": False},
        )
    db.session.execute(
        update(Message)
        .where(Message.signature_id.in_(ids), Message.on_hold)
        .values(on_hold=False, created_at=now, due_at=now)
    )
    db.session.execute(
        update(Link)
        .where(Link.signature_id.in_(ids), Link.purpose == "confirm")
        .values(expires_at=now + timedelta(days=confirm_link_days))
    )
