"""What is seen of the Centre's people: who is signed in, one's own account, the list for operators, attempts."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import select

from charter.domain.duties import Right, Role, may
from charter.domain.moments import has_come
from charter.models import administrators
from charter.models.base import db
from charter.models.moments import is_recent
from charter.models.staff import RateLimit, StaffAccount, StaffDevice, StaffSession

#: No limit counts for longer than this.
LONGEST_WINDOW = timedelta(hours=1)
MOST_NAMED = 5


@dataclass(frozen=True)
class StaffMember:
    """The person at the desk: what views and templates may know."""

    id: int
    name: str
    email: str
    language: str
    role: str = Role.REVIEWER
    regions: frozenset[str] | None = None

    def may(self, right: Right) -> bool:
        """Whether the role includes it; templates offer only what will work."""
        return may(self.role, right)

    def covers(self, region_code: str) -> bool:
        """Whether the person is responsible for this region; None of `regions` is all of them."""
        return self.regions is None or region_code in self.regions

    @property
    def pseudonym(self) -> str:
        """Who it was, for records that must not name anybody: "s12"."""
        return f"s{self.id}"


@dataclass(frozen=True)
class Presence:
    """A member of staff in one signed-in browser."""

    member: StaffMember
    last_seen_at: datetime
    has_kept_recovery_codes: bool
    verified_at: datetime  # when the second factor was given last


@dataclass(frozen=True)
class AccountView:
    """One's own account. has_second_factor: an authenticator app is set up."""

    name: str
    email: str
    has_second_factor: bool
    recovery_codes_left: int
    created_at: datetime


@dataclass(frozen=True)
class Invitation:
    """Whom an invitation link is for."""

    name: str
    email: str


@dataclass(frozen=True)
class StaffLine:
    """One line of `flask staff list`. has_joined: a password was chosen. regions: codes; None: all of them."""

    id: int
    name: str
    email: str
    is_active: bool
    has_joined: bool
    has_second_factor: bool
    role: str
    regions: tuple[str, ...] | None


@dataclass(frozen=True)
class Attempts:
    """What was counted in a window that is not over."""

    count: int
    expires_at: datetime


def has_any() -> bool:
    """Whether anybody has ever chosen a password: a name that only decisions refer to does not count."""
    query = select(StaffAccount.id).where(StaffAccount.password.is_not(None)).limit(1)
    return db.session.scalar(query) is not None


def find_presence(
    session_digest: bytes, *, uniquifier: str, now: datetime, idle: timedelta, longest: timedelta
) -> Presence | None:
    """Who sits at this browser; None if the session ended, stood idle, is too old, or the account is closed."""
    found = db.session.execute(
        select(StaffAccount, StaffSession.last_seen_at, StaffSession.began_at, StaffSession.verified_at)
        .join(StaffSession, StaffSession.staff_id == StaffAccount.id)
        .where(
            StaffSession.digest == session_digest,
            StaffSession.ended_at.is_(None),
            # One that was begun or used in the future is not kept alive by a clock that went back.
            is_recent(StaffSession.last_seen_at, now=now, within=idle),
            is_recent(StaffSession.began_at, now=now, within=longest),
            StaffAccount.active,
            StaffAccount.fs_uniquifier == uniquifier,
            StaffAccount.tf_totp_secret.is_not(None),
        )
    ).first()
    if found is None:
        return None
    account, last_seen_at, began_at, verified_at = found
    member = StaffMember(
        account.id,
        account.name,
        account.email,
        account.language,
        account.role,
        None if account.regions is None else frozenset(account.regions),
    )
    return Presence(member, last_seen_at, account.recovery_kept_at is not None, verified_at or began_at)


def get_account(staff_id: int) -> AccountView:
    """One's own account."""
    account = db.session.get_one(StaffAccount, staff_id)
    return AccountView(
        name=account.name,
        email=account.email,
        has_second_factor=account.has_second_factor,
        recovery_codes_left=len(account.mf_recovery_codes or ()),
        created_at=account.created_at,
    )


def find_invitation(digest: bytes, *, now: datetime) -> Invitation | None:
    """Whom the link is for; None for a used, replaced or old one."""
    account = db.session.scalars(select(StaffAccount).filter_by(invite_digest=digest, active=True)).first()
    if account is None or account.invite_expires_at is None or account.invite_expires_at <= now:
        return None
    return Invitation(account.name, account.email)


def staff_lines() -> list[StaffLine]:
    """Everybody, in order of arrival."""
    return [_line(account) for account in db.session.scalars(select(StaffAccount).order_by(StaffAccount.id))]


def find_staff_line(*, staff_id: int | None = None, email: str | None = None) -> StaffLine | None:
    """One account by its id or its address in the form for comparison."""
    wanted = StaffAccount.id == staff_id if staff_id is not None else StaffAccount.email == email
    account = db.session.scalars(select(StaffAccount).where(wanted)).first()
    return None if account is None else _line(account)


def administrator_names(*, but: int | None = None) -> list[str]:
    """Whom to ask: at most five administrators who can sign in, other than `but`, in order of arrival."""
    names = select(StaffAccount.name).where(StaffAccount.id.in_(administrators.able()), StaffAccount.id != (but or 0))
    return list(db.session.scalars(names.order_by(StaffAccount.id).limit(MOST_NAMED)))


def knows_device(digest: bytes, *, email: str | None = None, uniquifier: str | None = None) -> bool:
    """Whether this browser has signed in to the account before. email: in its form for comparison."""
    wanted = StaffAccount.email == email if uniquifier is None else StaffAccount.fs_uniquifier == uniquifier
    query = (
        select(StaffDevice.staff_id)
        .join(StaffAccount, StaffAccount.id == StaffDevice.staff_id)
        .where(StaffDevice.digest == digest, StaffAccount.active, wanted)
    )
    return db.session.scalar(query) is not None


def find_attempts(key: str, *, now: datetime) -> Attempts | None:
    """The counter of a window that is not over."""
    row = db.session.get(RateLimit, key)
    if row is None or has_come(row.expires_at, now=now, longest=LONGEST_WINDOW):
        return None
    return Attempts(row.count, row.expires_at)


def _line(account: StaffAccount) -> StaffLine:
    return StaffLine(
        id=account.id,
        name=account.name,
        email=account.email,
        is_active=account.active,
        has_joined=account.password is not None,
        has_second_factor=account.has_second_factor,
        role=account.role,
        regions=None if account.regions is None else tuple(account.regions),
    )
