"""What a signatory can object to now: the newest decision against them that can no longer be undone, or a removal."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select

from charter.domain.duties import Second
from charter.domain.moments import LONGEST_UNDO
from charter.domain.signature import State
from charter.models.base import db
from charter.models.decision import Decision
from charter.models.desk import Proposal
from charter.models.moments import has_come
from charter.models.rights import Correction, Objection
from charter.models.sweeping import Invalidation, InvalidationItem


@dataclass(frozen=True)
class Target:
    """A declined application (decision_id; None where a restore knows only that it was declined) or correction, or the
    removal of the entry (neither id: an entry is removed once, and was never declined).

    staff_id: who decided, as far as it is known; of the two who removed an entry, the one who proposed it.
    """

    decision_id: int | None
    correction_id: int | None
    staff_id: int | None
    is_removal: bool = False

    @property
    def about(self) -> str:
        """application | correction | removal."""
        if self.is_removal:
            return "removal"
        return "application" if self.correction_id is None else "correction"


def find_target(signature_id: int, state: str, *, now: datetime) -> Target | None:
    """None when nothing was declined or removed, or it was objected to before."""
    target = None
    if state == State.DECLINED:
        target = _declined_application(signature_id, now=now)
    elif state == State.PUBLISHED:
        target = _declined_correction(signature_id, now=now)
    elif state == State.REVOKED:
        target = Target(None, None, next(iter(removed_by(signature_id)), None), is_removal=True)
    if target is None:
        return None
    before = select(Objection.id).where(
        Objection.signature_id == signature_id,
        Objection.decision_id.is_not_distinct_from(target.decision_id),
        Objection.correction_id.is_not_distinct_from(target.correction_id),
    )
    return target if db.session.scalars(before.limit(1)).first() is None else None


def removed_by(signature_id: int) -> list[int]:
    """Who of the staff removed this entry: who proposed it, then who approved it; after a restore nobody is known."""
    alone = select(Proposal.proposed_by, Proposal.decided_by).where(
        Proposal.subject == "signature",
        Proposal.subject_id == signature_id,
        Proposal.kind == Second.REVOKE.value,
        Proposal.state == "approved",
    )
    together = (
        select(Invalidation.staff_id, Invalidation.approved_by)
        .join(InvalidationItem, InvalidationItem.invalidation_id == Invalidation.id)
        .where(InvalidationItem.signature_id == signature_id, InvalidationItem.outcome == "done")
    )
    for query in (alone, together):
        row = db.session.execute(query.limit(1)).first()
        if row is not None:
            return [one for one in row if one is not None]
    return []


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
