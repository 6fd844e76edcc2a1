"""What a signatory can object to now: the newest decision against them, once it can no longer be undone."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select

from charter.domain.moments import LONGEST_UNDO
from charter.domain.signature import State
from charter.models.base import db
from charter.models.decision import Decision
from charter.models.moments import has_come
from charter.models.rights import Correction, Objection


@dataclass(frozen=True)
class Target:
    """A declined application (decision_id; None where a restore knows only that it was declined) or correction.

    staff_id: who decided, as far as it is known.
    """

    decision_id: int | None
    correction_id: int | None
    staff_id: int | None


def find_target(signature_id: int, state: str, *, now: datetime) -> Target | None:
    """None when nothing was declined, or it was objected to before."""
    target = None
    if state == State.DECLINED:
        target = _declined_application(signature_id, now=now)
    elif state == State.PUBLISHED:
        target = _declined_correction(signature_id, now=now)
    if target is None:
        return None
    before = select(Objection.id).where(
        Objection.signature_id == signature_id,
        Objection.decision_id.is_not_distinct_from(target.decision_id),
        Objection.correction_id.is_not_distinct_from(target.correction_id),
    )
    return target if db.session.scalars(before.limit(1)).first() is None else None


def _declined_application(signature_id: int, *, now: datetime) -> Target | None:
    row = db.session.execute(
        select(
            Decision.id,
            Decision.staff_id,
            has_come(Decision.effective_at, now=now, longest=LONGEST_UNDO).label("is_effective"),
        )
        .where(
            Decision.signature_id == signature_id,
            Decision.action == "decline",
            Decision.undone_at.is_(None),
        )
        .order_by(Decision.id.desc())
        .limit(1)
    ).first()
    if row is None:
        return Target(None, None, None)
    return Target(row.id, None, row.staff_id) if row.is_effective else None


def _declined_correction(signature_id: int, *, now: datetime) -> Target | None:
    """The newest one, and only while the signatory has not asked for anything newer and its words are kept."""
    row = db.session.execute(
        select(
            Correction.id,
            Correction.staff_id,
            Correction.state,
            Correction.full_name,
            has_come(Correction.effective_at, now=now, longest=LONGEST_UNDO).label("is_effective"),
        )
        .where(Correction.signature_id == signature_id)
        .order_by(Correction.id.desc())
        .limit(1)
    ).first()
    if row is None or row.state != "declined" or not row.is_effective or not row.full_name:
        return None
    return Target(None, row.id, row.staff_id)
