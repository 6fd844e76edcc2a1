"""The team as an administrator sees it: who is there, in which role, signed in where, and what waits about whom."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import func, select

from charter.domain.duties import Role, Second
from charter.models import administrators
from charter.models.base import db
from charter.models.desk import Proposal
from charter.models.moments import is_recent
from charter.models.passkey import StaffPasskey
from charter.models.staff import StaffAccount, StaffSession

PAGE_SIZE = 100
#: Sessions of one account that are shown.
MOST_SESSIONS = 50


@dataclass(frozen=True)
class Waiting:
    """A change of role that waits for a second administrator."""

    proposal_id: int
    role: str
    regions: tuple[str, ...]
    proposed_by: str
    expires_at: datetime


@dataclass(frozen=True)
class Colleague:
    """One account. regions: codes a reviewer is limited to; empty: all. invited_until: of a link not used yet.

    state: joined · invited · late (the link has ended) · closed.
    """

    id: int
    name: str
    email: str
    language: str
    role: str
    regions: tuple[str, ...]
    state: str
    has_app: bool
    passkeys: int
    created_at: datetime
    last_seen_at: datetime | None
    invited_until: datetime | None
    closed_at: datetime | None
    waiting: Waiting | None

    @property
    def is_administrator(self) -> bool:
        """Whether the role is that of an administrator, joined or not."""
        return self.role == Role.ADMINISTRATOR


@dataclass(frozen=True)
class TeamPage:
    """Colleagues in order of arrival. next_after: id to go on from, None at the end."""

    colleagues: list[Colleague]
    next_after: int | None


@dataclass(frozen=True)
class SessionLine:
    """One browser that is signed in now. is_this: the one that asks."""

    id: int
    began_at: datetime
    last_seen_at: datetime
    is_this: bool


@dataclass(frozen=True)
class Strength:
    """administrators: how many can sign in. is_one_enough: whether one of them may change roles alone."""

    administrators: int
    is_one_enough: bool


def strength() -> Strength:
    """How many administrators there are, and what that means."""
    count = db.session.scalar(select(func.count()).select_from(administrators.able().subquery())) or 0
    return Strength(count, administrators.is_one_enough())


def team(*, now: datetime, after: int | None = None) -> TeamPage:
    """Everybody, by keyset on the id: three queries."""
    query = select(StaffAccount).order_by(StaffAccount.id).limit(PAGE_SIZE + 1)
    if after is not None:
        query = query.where(StaffAccount.id > after)
    rows = db.session.scalars(query).all()
    shown = _colleagues(rows[:PAGE_SIZE], now=now)
    return TeamPage(shown, shown[-1].id if len(rows) > PAGE_SIZE else None)


def find_colleague(staff_id: int, *, now: datetime) -> Colleague | None:
    """One account."""
    account = db.session.get(StaffAccount, staff_id)
    return None if account is None else _colleagues([account], now=now)[0]


def live_sessions(
    staff_id: int, *, own_digest: bytes, now: datetime, idle: timedelta, longest: timedelta
) -> list[SessionLine]:
    """Browsers signed in now, the last seen first."""
    rows = db.session.scalars(
        select(StaffSession)
        .where(
            StaffSession.staff_id == staff_id,
            StaffSession.ended_at.is_(None),
            is_recent(StaffSession.last_seen_at, now=now, within=idle),
            is_recent(StaffSession.began_at, now=now, within=longest),
        )
        .order_by(StaffSession.last_seen_at.desc(), StaffSession.id.desc())
        .limit(MOST_SESSIONS)
    )
    return [SessionLine(row.id, row.began_at, row.last_seen_at, row.digest == own_digest) for row in rows]


def _colleagues(accounts: Sequence[StaffAccount], *, now: datetime) -> list[Colleague]:
    ids = [account.id for account in accounts]
    owner = StaffPasskey.staff_id
    keys = db.session.execute(select(owner, func.count()).where(owner.in_(ids)).group_by(owner))
    passkeys = {row[0]: row[1] for row in keys}
    open_ones = db.session.execute(
        select(Proposal, StaffAccount.name)
        .join(StaffAccount, StaffAccount.id == Proposal.proposed_by)
        .where(
            Proposal.state == "open",
            Proposal.kind == Second.ROLE,
            Proposal.subject == "staff",
            Proposal.subject_id.in_(ids),
            Proposal.expires_at > now,
        )
    )
    waiting = {
        proposal.subject_id: Waiting(
            proposal.id,
            proposal.payload["role"],
            tuple(proposal.payload["regions"] or ()),
            name,
            proposal.expires_at,
        )
        for proposal, name in open_ones
    }
    return [
        Colleague(
            id=account.id,
            name=account.name,
            email=account.email,
            language=account.language,
            role=account.role,
            regions=tuple(account.regions or ()),
            state=_state(account, now=now),
            has_app=account.has_second_factor,
            passkeys=passkeys.get(account.id, 0),
            created_at=account.created_at,
            last_seen_at=account.last_seen_at,
            invited_until=account.invite_expires_at,
            closed_at=account.deactivated_at,
            waiting=waiting.get(account.id),
        )
        for account in accounts
    ]


def _state(account: StaffAccount, *, now: datetime) -> str:
    if not account.active:
        return "closed"
    if account.password is not None:
        return "joined"
    return "late" if account.invite_expires_at is None or account.invite_expires_at <= now else "invited"
