"""What waits for a second person, whose turn it is, and what became of what waited."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, func, not_, or_, select
from sqlalchemy.orm import aliased

from charter.domain.duties import APPROVING, Role, Second, may_approve
from charter.models.base import db
from charter.models.decision import Audit
from charter.models.desk import Proposal
from charter.models.signature import Signature
from charter.models.staff import StaffAccount

PAGE_SIZE = 50
#: Of what is open, so many are shown, those that lapse first; and counted for the way through the desk.
MOST_OPEN = 200
MOST_COUNTED = 99


@dataclass(frozen=True)
class ProposalView:
    """One proposal.

    state: open | approved | rejected | cancelled | expired. number, region_code: of the registry entry that it is
    about, if it is about one. colleague: the name of the account that it is about, if it is about one.
    rejected_because: words to the proposer. used_at: of what is done once after the approval.
    """

    proposal_id: int
    kind: str
    state: str
    subject: str
    subject_id: int
    payload: dict[str, Any]
    reason: str
    proposed_by: int
    proposer: str
    proposed_at: datetime
    expires_at: datetime
    decided_by: int | None
    decider: str | None
    decided_at: datetime | None
    used_at: datetime | None
    number: int | None = None
    region_code: str | None = None
    colleague: str | None = None
    rejected_because: str | None = None

    @property
    def is_open(self) -> bool:
        """Whether somebody has still to answer."""
        return self.state == "open"

    def turn_of(self, staff_id: int, role: str) -> str:
        """Whose turn it is, for whoever looks: yours (to wait or cancel) | for-you (to decide) | others."""
        if self.proposed_by == staff_id:
            return "yours"
        is_about_them = self.subject == "staff" and self.subject_id == staff_id
        return "for-you" if may_approve(role, Second(self.kind)) and not is_about_them else "others"

    @property
    def roles(self) -> list[Role]:
        """Who may be the second person."""
        return [role for role in Role if role in APPROVING[Second(self.kind)]]


@dataclass(frozen=True)
class ProposalPage:
    """Newest first. next_before: the id to go on from, None at the end."""

    rows: list[ProposalView]
    next_before: int | None


_PROPOSER, _DECIDER, _COLLEAGUE = aliased(StaffAccount), aliased(StaffAccount), aliased(StaffAccount)
_VIEW: Select[*tuple[Any, ...]] = (
    select(Proposal, _PROPOSER.name, _DECIDER.name, Signature.number, Signature.region_code, _COLLEAGUE.name)
    .join(_PROPOSER, _PROPOSER.id == Proposal.proposed_by)
    .outerjoin(_DECIDER, _DECIDER.id == Proposal.decided_by)
    .outerjoin(Signature, and_(Proposal.subject == "signature", Signature.id == Proposal.subject_id))
    .outerjoin(_COLLEAGUE, and_(Proposal.subject == "staff", _COLLEAGUE.id == Proposal.subject_id))
)


def _is_open(now: datetime) -> ColumnElement[bool]:
    return and_(Proposal.state == "open", Proposal.expires_at > now)


def open_ones(*, now: datetime) -> list[ProposalView]:
    """What waits, in the order in which it lapses; at most MOST_OPEN."""
    query = _VIEW.where(_is_open(now)).order_by(Proposal.expires_at, Proposal.id).limit(MOST_OPEN)
    return [_view(row, now=now) for row in db.session.execute(query)]


def closed_ones(*, now: datetime, before: int | None = None) -> ProposalPage:
    """What was decided, taken back or has lapsed, newest first; by keyset on the id."""
    query = _VIEW.where(not_(_is_open(now))).order_by(Proposal.id.desc()).limit(PAGE_SIZE + 1)
    if before is not None:
        query = query.where(Proposal.id < before)
    rows = [_view(row, now=now) for row in db.session.execute(query)]
    shown = rows[:PAGE_SIZE]
    return ProposalPage(shown, shown[-1].proposal_id if len(rows) > PAGE_SIZE else None)


def find(proposal_id: int, *, now: datetime) -> ProposalView | None:
    """One of them, with the words of a rejection."""
    row = db.session.execute(_VIEW.where(Proposal.id == proposal_id)).first()
    if row is None:
        return None
    because = None
    if row[0].state == "rejected":
        because = db.session.scalars(
            select(Audit.reason)
            .where(Audit.subject == "proposal", Audit.subject_id == proposal_id, Audit.action == "proposal-rejected")
            .order_by(Audit.id.desc())
            .limit(1)
        ).first()
    return _view(row, now=now, because=because)


def find_open(kind: Second, subject: str, subject_id: int, *, now: datetime) -> ProposalView | None:
    """The one that waits for this very thing, if any."""
    query = _VIEW.where(
        _is_open(now), Proposal.kind == kind, Proposal.subject == subject, Proposal.subject_id == subject_id
    )
    row = db.session.execute(query).first()
    return None if row is None else _view(row, now=now)


def of_subject(kind: Second, subject: str, subject_id: int, *, now: datetime, most: int = 20) -> list[ProposalView]:
    """All about one thing, newest first."""
    query = (
        _VIEW.where(Proposal.kind == kind, Proposal.subject == subject, Proposal.subject_id == subject_id)
        .order_by(Proposal.id.desc())
        .limit(most)
    )
    return [_view(row, now=now) for row in db.session.execute(query)]


def made_by(staff_id: int, kind: Second, *, now: datetime, most: int = 20) -> list[ProposalView]:
    """What this person proposed of a kind, newest first."""
    query = (
        _VIEW.where(Proposal.proposed_by == staff_id, Proposal.kind == kind).order_by(Proposal.id.desc()).limit(most)
    )
    return [_view(row, now=now) for row in db.session.execute(query)]


def count_for(staff_id: int, role: str, *, now: datetime) -> int:
    """How many wait for this very person, up to MOST_COUNTED + 1: a few rows of a partial index."""
    kinds = [kind.value for kind in Second if may_approve(role, kind)]
    if not kinds:
        return 0
    waiting = (
        select(Proposal.id)
        .where(
            _is_open(now),
            Proposal.kind.in_(kinds),
            Proposal.proposed_by != staff_id,
            or_(Proposal.subject != "staff", Proposal.subject_id != staff_id),
        )
        .limit(MOST_COUNTED + 1)
        .subquery()
    )
    return db.session.scalar(select(func.count()).select_from(waiting)) or 0


def others_who_may(kind: Second, *, proposed_by: int, about: int | None = None) -> int:
    """How many of the Centre's people could be the second one, up to two. about: an account that is none of them."""
    theirs = [proposed_by] if about is None else [proposed_by, about]
    found = (
        select(StaffAccount.id)
        .where(
            StaffAccount.active,
            StaffAccount.role.in_([role.value for role in APPROVING[kind]]),
            StaffAccount.id.not_in(theirs),
            StaffAccount.password.is_not(None),
        )
        .limit(2)
        .subquery()
    )
    return db.session.scalar(select(func.count()).select_from(found)) or 0


def _view(row: Any, *, now: datetime, because: str | None = None) -> ProposalView:
    proposal: Proposal = row[0]
    return ProposalView(
        proposal_id=proposal.id,
        kind=proposal.kind,
        state="expired" if proposal.state == "open" and proposal.expires_at <= now else proposal.state,
        subject=proposal.subject,
        subject_id=proposal.subject_id,
        payload=dict(proposal.payload),
        reason=proposal.reason,
        proposed_by=proposal.proposed_by,
        proposer=row[1],
        proposed_at=proposal.proposed_at,
        expires_at=proposal.expires_at,
        decided_by=proposal.decided_by,
        decider=row[2],
        decided_at=proposal.decided_at,
        used_at=proposal.used_at,
        number=row[3],
        region_code=row[4],
        colleague=row[5],
        rejected_because=because,
    )
