"""A selection of applications before it is decided on, and what became of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import func, not_, select

from charter.domain.moments import LONGEST_UNDO
from charter.domain.signature import PENDING
from charter.models.affiliation import Region
from charter.models.base import db
from charter.models.decision import Audit, Decision
from charter.models.desk import Claim
from charter.models.moments import has_come
from charter.models.queueing import lasts
from charter.models.signature import Signature
from charter.models.staff import StaffAccount


@dataclass(frozen=True)
class Chosen:
    """One of a selection. claimed_by: a colleague who is at work on it."""

    signature_id: int
    version: int
    full_name: str
    kind: str
    region: str
    language: str
    state: str
    is_late: bool
    mail_domain: str
    claimed_by: str | None


def chosen(
    versions: dict[int, int],
    language: str,
    *,
    regions: Collection[str] | None,
    staff_id: int,
    today: date,
    now: datetime,
) -> list[Chosen]:
    """Those that still wait and are as they were seen, in the order of the queue: one query.

    versions: id → version as seen. regions: codes that the reader is responsible for; None: all.
    """
    query = (
        select(Signature, Region.short, StaffAccount.name)
        .join(Region, Region.code == Signature.region_code)
        .outerjoin(Claim, (Claim.signature_id == Signature.id) & lasts(now) & (Claim.staff_id != staff_id))
        .outerjoin(StaffAccount, StaffAccount.id == Claim.staff_id)
        .where(Signature.id.in_(list(versions)), Signature.state.in_([state.value for state in PENDING]))
        .order_by(Signature.due_on, Signature.id)
    )
    if regions is not None:
        query = query.where(Signature.region_code.in_(sorted(regions)))
    return [
        Chosen(
            signature_id=row.id,
            version=row.version,
            full_name=row.full_name,
            kind=row.kind,
            region=short[language],
            language=row.language,
            state=row.state,
            is_late=row.due_on is not None and row.due_on < today,
            mail_domain=row.email.rpartition("@")[2],
            claimed_by=name,
        )
        for row, short, name in db.session.execute(query)
        if row.version == versions[row.id]
    ]


@dataclass(frozen=True)
class ReportLine:
    """One of a selection afterwards. name: "" outside the reader's regions, or where it is destroyed."""

    signature_id: int
    name: str
    state: str


@dataclass(frozen=True)
class Report:
    """What became of a selection. is_open: it can still be taken back by whoever made it.

    skipped: with why, `changed` or `elsewhere`. undone: how many were taken back.
    """

    mark: str
    action: str
    reason: str | None
    staff_name: str
    decided_at: datetime
    effective_at: datetime
    is_open: bool
    decided: list[ReportLine]
    skipped: list[tuple[ReportLine, str]]
    undone: int
    states: dict[str, int]


def find_report(mark: str, *, staff_id: int, regions: Collection[str] | None, now: datetime) -> Report | None:
    """By its mark: four queries, of at most two hundred rows."""
    rows = db.session.execute(
        select(Decision, StaffAccount.name)
        .join(StaffAccount, StaffAccount.id == Decision.staff_id)
        .where(Decision.bulk == mark)
        .order_by(Decision.id)
    ).all()
    if not rows:
        return None
    first: Decision = rows[0][0]
    audit = db.session.scalars(
        select(Audit).where(Audit.subject == "selection", Audit.subject_id == first.id, Audit.action == "bulk").limit(1)
    ).first()
    why = {} if audit is None else {int(one): str(code) for one, code in audit.detail.get("skipped", [])}
    lines = _lines([row[0].signature_id for row in rows] + list(why), regions)
    decided = [lines[row[0].signature_id] for row in rows if row[0].signature_id in lines]
    is_over = db.session.scalar(
        select(func.count())
        .select_from(Decision)
        .where(Decision.id == first.id, has_come(Decision.effective_at, now=now, longest=LONGEST_UNDO))
    )
    return Report(
        mark=mark,
        action=first.action,
        reason=first.reason,
        staff_name=rows[0][1],
        decided_at=first.decided_at,
        effective_at=first.effective_at,
        is_open=first.staff_id == staff_id and not is_over and any(row[0].undone_at is None for row in rows),
        decided=decided,
        skipped=[(lines[one], code) for one, code in why.items() if one in lines],
        undone=sum(row[0].undone_at is not None for row in rows),
        states=dict(Counter(line.state for line in decided)),
    )


def _lines(signature_ids: Sequence[int], regions: Collection[str] | None) -> dict[int, ReportLine]:
    rows = db.session.execute(
        select(Signature.id, Signature.full_name, Signature.state, Signature.region_code).where(
            Signature.id.in_(signature_ids)
        )
    )
    return {
        row.id: ReportLine(row.id, row.full_name if regions is None or row.region_code in regions else "", row.state)
        for row in rows
    }


def is_open(mark: str, *, staff_id: int, now: datetime) -> bool:
    """Whether one's own selection can still be taken back, for the notice on other pages."""
    query = (
        select(Decision.id)
        .where(
            Decision.bulk == mark,
            Decision.staff_id == staff_id,
            Decision.undone_at.is_(None),
            not_(has_come(Decision.effective_at, now=now, longest=LONGEST_UNDO)),
        )
        .limit(1)
    )
    return db.session.scalars(query).first() is not None
