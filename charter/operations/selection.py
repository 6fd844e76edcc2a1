"""Decisions over a selection: everything chosen is looked at once more under lock, and decided in one transaction."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import select

from charter.domain.duties import Right
from charter.domain.errors import DutyRefusedError, FieldRefusedError, NotFoundError, TooLateError
from charter.domain.moments import LONGEST_UNDO, has_come
from charter.domain.signature import PENDING, State
from charter.models.base import db
from charter.models.decision import Decision
from charter.models.signature import Signature
from charter.operations.deciding import reason_of, record_decisions, take_back_decisions
from charter.operations.duties import require
from charter.operations.steps import add_audit
from charter.operations.unit import operation

#: As many are decided together; more than anybody can look at is a sweep, which has rules of its own.
MOST_AT_ONCE = 200
#: So long a whole selection can be taken back: it takes longer to see that it was wrong than for a single one.
UNDO_SECONDS = 60
CHANGED, ELSEWHERE = "changed", "elsewhere"


@dataclass(frozen=True)
class Outcome:
    """What became of a selection. mark: by which it is found again, None where nothing was decided.

    skipped: id → CHANGED (decided or changed meanwhile, or gone) or ELSEWHERE (outside one's regions).
    """

    mark: str | None
    decided: int
    skipped: Mapping[int, str]


@operation
def decide_all(
    versions: Mapping[int, int],
    *,
    action: str,
    reason: str | None,
    note: str | None,
    staff_id: int,
    undo_seconds: int,
    now: datetime,
) -> Outcome:
    """Decides on the applications that still are as they were seen; whatever changed meanwhile is left alone.

    versions: id → version of each as the reviewer saw it, at most MOST_AT_ONCE. undo_seconds: of a single decision.
    Raises FieldRefusedError, DutyRefusedError.
    """
    account = require(staff_id, Right.BULK)
    require(staff_id, Right.REVIEW)
    if not 0 < len(versions) <= MOST_AT_ONCE:
        raise FieldRefusedError("picked", "too-many")
    chosen = reason_of(action, reason)
    found = db.session.scalars(
        select(Signature).where(Signature.id.in_(list(versions))).order_by(Signature.id).with_for_update()
    ).all()
    skipped = dict.fromkeys(sorted(versions), CHANGED)
    ready = []
    for signature in found:
        if account.regions is not None and signature.region_code not in account.regions:
            skipped[signature.id] = ELSEWHERE
        elif signature.version == versions[signature.id] and State(signature.state) in _FROM[action]:
            del skipped[signature.id]
            ready.append(signature)
    if not ready:
        return Outcome(None, 0, skipped)
    mark = secrets.token_hex(16)
    decisions = record_decisions(
        ready,
        action=action,
        reason=chosen,
        note=note,
        staff_id=staff_id,
        effective_at=now + timedelta(seconds=max(undo_seconds, UNDO_SECONDS)),
        now=now,
        bulk=mark,
    )
    add_audit(
        "bulk",
        staff_id=staff_id,
        subject="selection",
        subject_id=decisions[0].id,
        now=now,
        detail={
            "bulk": mark,
            "action": action,
            "decided": len(ready),
            "skipped": [[signature_id, why] for signature_id, why in skipped.items()],
        },
        reason=None if chosen is None else chosen.code,
    )
    return Outcome(mark, len(ready), skipped)


#: A question is not asked twice.
_FROM: Mapping[str, frozenset[State]] = {
    "approve": frozenset(PENDING),
    "decline": frozenset(PENDING),
    "ask": frozenset({State.CONFIRMED}),
}


@operation
def undo_all(mark: str, *, staff_id: int, now: datetime) -> tuple[int, list[int]]:
    """Takes a whole selection of one's own back: (how many, ids of those that could no longer be).

    Raises NotFoundError for a colleague's, TooLateError once the seconds have passed or nothing is left to take back.
    """
    account = require(staff_id, Right.BULK)
    rows = db.session.scalars(
        select(Decision)
        .where(Decision.bulk == mark, Decision.staff_id == staff_id, Decision.undone_at.is_(None))
        .order_by(Decision.signature_id)
    ).all()
    if not rows:
        _refuse(mark, staff_id=staff_id)
    if has_come(rows[0].effective_at, now=now, longest=LONGEST_UNDO):
        raise TooLateError
    # Signatures before decisions, as a single decision is made.
    signatures = {
        signature.id: signature
        for signature in db.session.scalars(
            select(Signature)
            .where(Signature.id.in_([row.signature_id for row in rows]))
            .order_by(Signature.id)
            .with_for_update()
        )
    }
    if account.regions is not None and any(one.region_code not in account.regions for one in signatures.values()):
        raise DutyRefusedError
    fresh = db.session.scalars(
        select(Decision)
        .where(Decision.id.in_([row.id for row in rows]))
        .order_by(Decision.id)
        .with_for_update()
        .execution_options(populate_existing=True)
    ).all()
    pairs = [(signatures[decision.signature_id], decision) for decision in fresh]
    back, late = take_back_decisions(pairs, staff_id=staff_id, now=now)
    if not back:
        raise TooLateError
    add_audit(
        "bulk-undo",
        staff_id=staff_id,
        subject="selection",
        subject_id=min(row.id for row in rows),
        now=now,
        detail={"bulk": mark, "undone": len(back), "late": late},
    )
    return len(back), late


def _refuse(mark: str, *, staff_id: int) -> None:
    own = select(Decision.id).where(Decision.bulk == mark, Decision.staff_id == staff_id).limit(1)
    raise TooLateError if db.session.scalars(own).first() is not None else NotFoundError
