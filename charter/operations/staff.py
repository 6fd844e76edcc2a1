"""The Centre's people: the first account, invitations, sessions, codes that are taken once, and counted attempts.

Flask-Security commits by itself; the plain functions here join the transaction that `web/staff/auth.py` opened for it.
"""

from __future__ import annotations

import secrets
from datetime import datetime, timedelta
from typing import Any, cast

from sqlalchemy import CursorResult, case, delete, func, or_, select, update
from sqlalchemy.dialects.postgresql import insert as insert_postgresql
from sqlalchemy.dialects.sqlite import insert as insert_sqlite

from charter.domain.duties import Role
from charter.domain.errors import CharterError, NotFoundError
from charter.models.base import db
from charter.models.moments import has_come
from charter.models.passkey import StaffPasskey, is_migrated
from charter.models.staff import RateLimit, StaffAccount, StaffSession
from charter.operations.steps import add_audit
from charter.operations.unit import lock, operation, unrecorded

#: Ended sessions are of no use but for looking into a recent incident.
SESSION_KEPT_DAYS = 7


class AlreadyStaffError(CharterError):
    """An active account has this address."""


class LastStaffError(CharterError):
    """Without this account nobody could sign in any more."""


# ── accounts ─────────────────────────────────────────────────────────────────────────────────────────────────────────


@operation
def create_first(name: str, *, email: str, password_hash: str, language: str, now: datetime) -> int:
    """Makes the first account and returns its id; raises NotFoundError once anybody can sign in.

    email: in its form for comparison.
    """
    lock("staff", "accounts")
    if db.session.scalars(select(StaffAccount.id).where(StaffAccount.password.is_not(None)).limit(1)).first():
        raise NotFoundError
    # Somebody may have been invited meanwhile who has not come yet, perhaps this very person.
    account = db.session.scalars(select(StaffAccount).filter_by(email=email)).first()
    if account is None:
        account = _new_account(name, email=email, language=language, now=now)
    account.name, account.language = name, language
    account.invite_digest = account.invite_expires_at = None
    account.password = password_hash
    account.role, account.regions = Role.ADMINISTRATOR, None
    db.session.flush()
    _audit(account.id, "staff-first", account.id, now)
    return account.id


@operation
def invite(name: str, *, email: str, language: str, digest: bytes, expires_at: datetime, now: datetime) -> int:
    """Makes an account without a password, or opens a deactivated or unused one anew, and returns its id.

    An account that is opened anew loses password, second factor and passkeys: this is also the way back for somebody
    who lost them. digest: SHA-256 of the link's token. Raises AlreadyStaffError.
    """
    lock("staff", "accounts")
    account = db.session.scalars(select(StaffAccount).filter_by(email=email).with_for_update()).first()
    if account is None:
        account = _new_account(name, email=email, language=language, now=now)
    elif account.active and account.password is not None:
        raise AlreadyStaffError
    account.name = name
    account.active = True
    account.deactivated_at = None
    account.password = None
    account.tf_primary_method = account.tf_totp_secret = account.totp_last_counter = None
    account.mf_recovery_codes = account.recovery_kept_at = None
    account.fs_uniquifier = _uniquifier()
    account.invite_digest = digest
    account.invite_expires_at = expires_at
    db.session.flush()
    _forget_passkeys(account.id)
    _audit(None, "staff-invite", account.id, now)
    return account.id


@operation
def accept_invitation(digest: bytes, *, password_hash: str, language: str, now: datetime) -> int:
    """Sets the password of the invited account and uses the link up. Raises NotFoundError for a used or old link."""
    account = db.session.scalars(select(StaffAccount).filter_by(invite_digest=digest).with_for_update()).first()
    if account is None or not account.active or account.invite_expires_at is None or account.invite_expires_at <= now:
        raise NotFoundError
    account.password = password_hash
    account.language = language
    account.invite_digest = account.invite_expires_at = None
    _audit(account.id, "staff-join", account.id, now)
    return account.id


@operation
def deactivate(staff_id: int, *, now: datetime, by_staff_id: int | None = None) -> None:
    """Closes an account, its sessions and its passkeys at once. Raises NotFoundError, LastStaffError."""
    lock("staff", "accounts")
    account = db.session.get(StaffAccount, staff_id, with_for_update=True)
    if account is None:
        raise NotFoundError
    if not account.active:
        return
    others = (
        select(func.count())
        .select_from(StaffAccount)
        .where(StaffAccount.active, StaffAccount.password.is_not(None), StaffAccount.id != staff_id)
    )
    if account.password is not None and not db.session.scalar(others):
        raise LastStaffError
    account.active = False
    account.deactivated_at = now
    account.fs_uniquifier = _uniquifier()
    _forget_passkeys(staff_id)
    account.invite_digest = account.invite_expires_at = None
    _end_sessions(staff_id, now=now)
    _audit(by_staff_id, "staff-deactivate", staff_id, now)


@operation
def change_password(staff_id: int, *, password_hash: str, keep_digest: bytes, now: datetime) -> str:
    """Stores a new password and ends every session but the one of `keep_digest`. Returns the new session mark."""
    account = db.session.get_one(StaffAccount, staff_id, with_for_update=True)
    account.password = password_hash
    account.fs_uniquifier = _uniquifier()
    _end_sessions(staff_id, now=now, but=keep_digest)
    _audit(staff_id, "staff-password", staff_id, now)
    return account.fs_uniquifier


@operation
@unrecorded
def replace_hash(staff_id: int, *, old_hash: str, new_hash: str) -> None:
    """The same password under newer parameters of the hash; nothing if it was changed meanwhile."""
    db.session.execute(
        update(StaffAccount)
        .where(StaffAccount.id == staff_id, StaffAccount.password == old_hash)
        .values(password=new_hash)
    )


@operation
def keep_recovery_codes(staff_id: int, *, now: datetime) -> None:
    """Notes that the person has the codes in a safe place. Raises NotFoundError if none were made."""
    account = db.session.get_one(StaffAccount, staff_id, with_for_update=True)
    if not account.mf_recovery_codes:
        raise NotFoundError
    account.recovery_kept_at = now
    _audit(staff_id, "staff-codes-kept", staff_id, now)


# ── sessions ─────────────────────────────────────────────────────────────────────────────────────────────────────────


@operation
def begin_session(staff_id: int, *, digest: bytes, now: datetime) -> None:
    """A new signed-in browser. digest: SHA-256 of the random id in its cookie."""
    add_session(staff_id, digest=digest, now=now)


def add_session(staff_id: int, *, digest: bytes, now: datetime, detail: dict[str, Any] | None = None) -> None:
    """The same within the sign-in's transaction; sessions that ended long ago are forgotten. detail: for the audit."""
    long_ago = now - timedelta(days=SESSION_KEPT_DAYS)
    db.session.execute(
        delete(StaffSession).where(StaffSession.last_seen_at < long_ago),
        execution_options={"synchronize_session": False},
    )
    db.session.add(StaffSession(digest=digest, staff_id=staff_id, began_at=now, last_seen_at=now))
    db.session.execute(
        update(StaffAccount).where(StaffAccount.id == staff_id).values(last_seen_at=now),
        execution_options={"synchronize_session": False},
    )
    add_audit("staff-sign-in", staff_id=staff_id, subject="staff", subject_id=staff_id, now=now, detail=detail)


@operation
@unrecorded
def touch_session(digest: bytes, *, now: datetime) -> None:
    """Notes that the person was just here; the one thing a GET of the desk may write for its session."""
    session = db.session.scalars(select(StaffSession).filter_by(digest=digest, ended_at=None)).first()
    if session is not None and session.last_seen_at < now:
        session.last_seen_at = now
        db.session.execute(update(StaffAccount).where(StaffAccount.id == session.staff_id).values(last_seen_at=now))


@operation
def end_session(digest: bytes, *, now: datetime) -> None:
    """Signs a browser out for good: a copy of its cookie opens nothing."""
    session = db.session.scalars(select(StaffSession).filter_by(digest=digest, ended_at=None)).first()
    if session is not None:
        session.ended_at = now
        _audit(session.staff_id, "staff-sign-out", session.staff_id, now)


# ── second factor: inside the sign-in's transaction ──────────────────────────────────────────────────────────────────


def take_totp_counter(staff_id: int, counter: int, *, is_new_secret: bool) -> bool:
    """Whether this code is taken for the first time (RFC 6238 §5.2); of two that come at once only one is.

    counter: the 30-second step of the code. The condition is part of the UPDATE: PostgreSQL looks again after waiting
    for the other transaction's row lock.
    """
    unused = or_(StaffAccount.totp_last_counter.is_(None), StaffAccount.totp_last_counter < counter)
    statement = update(StaffAccount).where(StaffAccount.id == staff_id).values(totp_last_counter=counter)
    if not is_new_secret:
        statement = statement.where(unused)
    done = cast("CursorResult[Any]", db.session.execute(statement, execution_options={"synchronize_session": False}))
    return done.rowcount == 1


def audit_second_factor(staff_id: int, *, now: datetime) -> None:
    """Joins a transaction: an authenticator app was set up."""
    _audit(staff_id, "staff-second-factor", staff_id, now)


def audit_recovery_codes(staff_id: int, *, now: datetime) -> None:
    """Joins a transaction: new recovery codes replaced the old ones."""
    _audit(staff_id, "staff-recovery-codes", staff_id, now)


def audit_recovery_code_used(staff_id: int, *, left: int, now: datetime) -> None:
    """Joins a transaction: a recovery code stood in for the app. left: codes that remain."""
    add_audit(
        "staff-recovery-code", staff_id=staff_id, subject="staff", subject_id=staff_id, now=now, detail={"left": left}
    )


# ── counted attempts ─────────────────────────────────────────────────────────────────────────────────────────────────


@operation
@unrecorded
def count_attempt(key: str, *, window_seconds: int, amount: int, now: datetime) -> int:
    """Adds to the counter of a window, which begins with its first attempt, and returns the sum.

    One statement, so that attempts that come at once are each counted. Windows that are over leave the table here.
    """
    window = timedelta(seconds=window_seconds)
    over = has_come(RateLimit.expires_at, now=now, longest=window)
    expires_at = now + window
    is_postgresql = db.session.get_bind().dialect.name == "postgresql"
    insert = insert_postgresql if is_postgresql else insert_sqlite
    statement = (
        insert(RateLimit)
        .values(key=key, count=amount, expires_at=expires_at)
        .on_conflict_do_update(
            index_elements=[RateLimit.key],
            set_={
                "count": case((over, amount), else_=RateLimit.count + amount),
                "expires_at": case((over, expires_at), else_=RateLimit.expires_at),
            },
        )
        .returning(RateLimit.count)
    )
    count = db.session.scalars(statement).one()
    if count == amount:
        db.session.execute(delete(RateLimit).where(RateLimit.expires_at <= now))
    return count


@operation
@unrecorded
def forget_attempts(key: str | None = None) -> int:
    """Removes one counter, or all of them. Returns how many there were."""
    statement = delete(RateLimit)
    if key is not None:
        statement = statement.where(RateLimit.key == key)
    return cast("CursorResult[Any]", db.session.execute(statement)).rowcount


# ── steps ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def _new_account(name: str, *, email: str, language: str, now: datetime) -> StaffAccount:
    account = StaffAccount(
        name=name, email=email, language=language, active=True, fs_uniquifier=_uniquifier(), created_at=now
    )
    db.session.add(account)
    return account


def _uniquifier() -> str:
    return secrets.token_hex(32)


def _forget_passkeys(staff_id: int) -> None:
    """An account that is closed, or opened anew, keeps no way in from before."""
    if is_migrated(db.session.connection()):
        db.session.execute(delete(StaffPasskey).where(StaffPasskey.staff_id == staff_id))


def _end_sessions(staff_id: int, *, now: datetime, but: bytes | None = None) -> None:
    statement = update(StaffSession).where(StaffSession.staff_id == staff_id, StaffSession.ended_at.is_(None))
    if but is not None:
        statement = statement.where(StaffSession.digest != but)
    db.session.execute(statement.values(ended_at=now))


def _audit(staff_id: int | None, action: str, subject_id: int, now: datetime) -> None:
    add_audit(action, staff_id=staff_id, subject="staff", subject_id=subject_id, now=now)
