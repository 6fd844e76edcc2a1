"""The Centre's people: the first account, invitations, sessions, codes that are taken once, and counted attempts.

Flask-Security commits by itself; the plain functions here join the transaction that `web/staff/auth.py` opened for it.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, cast

from sqlalchemy import ColumnElement, CursorResult, case, delete, or_, select, update
from sqlalchemy.dialects.postgresql import insert as insert_postgresql
from sqlalchemy.dialects.sqlite import insert as insert_sqlite

from charter.domain.duties import ADMINISTRATORS, Role
from charter.domain.errors import CharterError, NotFoundError
from charter.models import administrators
from charter.models.base import db
from charter.models.desk import Claim, Proposal
from charter.models.moments import has_come
from charter.models.passkey import StaffPasskey
from charter.models.staff import RateLimit, StaffAccount, StaffDevice, StaffSession
from charter.operations import staff_mail
from charter.operations.steps import add_audit
from charter.operations.unit import insert_if_absent, lock, operation, unrecorded

#: Ended sessions are of no use but for looking into a recent incident.
SESSION_KEPT_DAYS = 7
#: A browser that has not signed in for so long is a stranger again.
DEVICE_KEPT_DAYS = 400


class AlreadyStaffError(CharterError):
    """An active account has this address."""


class LastStaffError(CharterError):
    """Without this account there would be no administrator who can sign in."""


class EnoughAdministratorsError(CharterError):
    """There are as many administrators as the command line may make."""


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
    account.invite_uid = account.invite_digest = account.invite_expires_at = None
    account.password = password_hash
    account.role, account.regions = Role.ADMINISTRATOR, None
    db.session.flush()
    _audit(account.id, "staff-first", account.id, now)
    return account.id


@operation
def invite(
    name: str,
    *,
    email: str,
    language: str,
    digest: bytes,
    expires_at: datetime,
    now: datetime,
    role: Role = Role.REVIEWER,
) -> int:
    """Makes an account without a password and returns its id, asking nobody: for worlds that are made up.

    The command line has `invite_administrator`, the desk `roles.invite`. Raises AlreadyStaffError.
    """
    lock("staff", "accounts")
    account = open_account(name, email=email, language=language, now=now)
    account.role = role
    account.invite_digest, account.invite_expires_at = digest, expires_at
    _audit(None, "staff-invite", account.id, now)
    return account.id


@operation
def invite_administrator(
    name: str, *, email: str, language: str, digest: bytes, expires_at: datetime, now: datetime
) -> int:
    """What the command line may: an administrator, while fewer than two are active or invited; returns the id.

    digest: SHA-256 of the link's token. Whoever is an administrator already gets a mail that says so.
    Raises EnoughAdministratorsError, AlreadyStaffError.
    """
    lock("staff", "accounts")
    there = db.session.scalars(
        select(StaffAccount).where(
            StaffAccount.active, StaffAccount.role == Role.ADMINISTRATOR, StaffAccount.email != email
        )
    ).all()
    if len(there) >= ADMINISTRATORS:
        raise EnoughAdministratorsError
    account = open_account(name, email=email, language=language, now=now)
    account.role = Role.ADMINISTRATOR
    account.invite_digest, account.invite_expires_at = digest, expires_at
    add_audit(
        "staff-invite", staff_id=None, subject="staff", subject_id=account.id, now=now, after={"role": account.role}
    )
    for one in there:
        if administrators.is_able(one):
            staff_mail.tell(one, staff_mail.CHANGED, now=now, what="administrator")
    return account.id


def open_account(name: str, *, email: str, language: str, now: datetime) -> StaffAccount:
    """A step: a new account, or a deactivated or unused one anew, as a reviewer who has not joined yet.

    email: in its form for comparison. An account that is opened anew keeps nothing but its id. The caller holds the
    lock of accounts. Raises AlreadyStaffError.
    """
    account = db.session.scalars(select(StaffAccount).filter_by(email=email).with_for_update()).first()
    if account is None:
        account = _new_account(name, email=email, language=language, now=now)
        db.session.flush()
    elif account.active and account.password is not None:
        raise AlreadyStaffError
    else:
        close_account(account, now=now, staff_id=None)
    account.name, account.language = name, language
    account.active, account.deactivated_at = True, None
    account.role, account.regions = Role.REVIEWER, None
    forget_factors(account)
    db.session.flush()
    return account


def forget_factors(account: StaffAccount) -> None:
    """A step: no password, app, recovery code, passkey, known browser or session is left."""
    account.password = None
    account.tf_primary_method = account.tf_totp_secret = account.totp_last_counter = None
    account.mf_recovery_codes = account.recovery_kept_at = None
    account.fs_uniquifier = _uniquifier()
    _forget_passkeys(account.id)
    _forget_devices(account.id)


@operation
def accept_invitation(digest: bytes, *, password_hash: str, language: str, now: datetime) -> int:
    """Sets the password of the invited account and uses the link up. Raises NotFoundError for a used or old link."""
    account = db.session.scalars(select(StaffAccount).filter_by(invite_digest=digest).with_for_update()).first()
    if account is None or not account.active or account.invite_expires_at is None or account.invite_expires_at <= now:
        raise NotFoundError
    account.password = password_hash
    account.language = language
    account.invite_uid = account.invite_digest = account.invite_expires_at = None
    _audit(account.id, "staff-join", account.id, now)
    return account.id


@operation
def deactivate(staff_id: int, *, now: datetime) -> None:
    """What the command line may: closes an account at once. Raises NotFoundError, LastStaffError."""
    lock("staff", "accounts")
    account = db.session.get(StaffAccount, staff_id, with_for_update=True)
    if account is None:
        raise NotFoundError
    if account.active:
        deactivate_account(account, staff_id=None, now=now)


def deactivate_account(account: StaffAccount, *, staff_id: int | None, now: datetime) -> None:
    """A step: closes an active account and records it. staff_id: who does; None: the command line.

    The caller holds the lock of accounts, so that of two administrators who close each other's one stays.
    Raises LastStaffError.
    """
    is_able = administrators.is_able(account)
    if is_able:
        insist_on_another(account.id)
    before = {"role": account.role, "regions": account.regions, "able": is_able}
    close_account(account, now=now, staff_id=staff_id)
    account.active, account.deactivated_at = False, now
    account.fs_uniquifier = _uniquifier()
    add_audit(
        "staff-deactivate", staff_id=staff_id, subject="staff", subject_id=account.id, now=now, before=before, after={}
    )


def insist_on_another(staff_id: int) -> None:
    """A step: LastStaffError unless another administrator can sign in."""
    if db.session.scalars(administrators.able().where(StaffAccount.id != staff_id).limit(1)).first() is None:
        raise LastStaffError


def close_account(account: StaffAccount, *, staff_id: int | None, now: datetime) -> None:
    """A step: nothing of this account is alive: sessions, passkeys, invitation, proposals, what it is at work on."""
    account.invite_uid = account.invite_digest = account.invite_expires_at = None
    _forget_passkeys(account.id)
    _forget_devices(account.id)
    end_sessions(account.id, now=now)
    db.session.execute(delete(Claim).where(Claim.staff_id == account.id))
    lapse_proposals(
        (Proposal.proposed_by == account.id) | ((Proposal.subject == "staff") & (Proposal.subject_id == account.id)),
        staff_id=staff_id,
        now=now,
    )


def lapse_proposals(which: ColumnElement[bool], *, staff_id: int | None, now: datetime) -> None:
    """A step: open proposals that nobody may decide on any more. staff_id: whose act ended them."""
    found = select(Proposal).where(Proposal.state == "open", which).order_by(Proposal.id).with_for_update()
    for proposal in db.session.scalars(found):
        proposal.state = "expired"
        add_audit(
            "proposal-lapse",
            staff_id=staff_id,
            subject="proposal",
            subject_id=proposal.id,
            now=now,
            detail={"kind": proposal.kind, "proposed_by": proposal.proposed_by},
        )


@operation
def change_password(
    staff_id: int, *, password_hash: str, keep_digest: bytes, now: datetime, keep_device: bytes | None = None
) -> str:
    """Stores a new password and ends every session but the one of `keep_digest`. Returns the new session mark.

    keep_device: the browser at hand; all others are strangers again. A mail tells the owner.
    """
    account = db.session.get_one(StaffAccount, staff_id, with_for_update=True)
    account.password = password_hash
    account.fs_uniquifier = _uniquifier()
    end_sessions(staff_id, now=now, but=keep_digest)
    _forget_devices(staff_id, but=keep_device)
    staff_mail.tell(account, staff_mail.CHANGED, now=now, what="password")
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


@dataclass(frozen=True)
class Device:
    """The browser that signs in.

    digest: SHA-256 of its long-lived cookie. name: its family, such as "Firefox, Windows"; never an address.
    """

    digest: bytes
    name: str


def add_session(
    staff_id: int,
    *,
    digest: bytes,
    now: datetime,
    device: Device | None = None,
    detail: dict[str, Any] | None = None,
) -> None:
    """The same within the sign-in's transaction; sessions that ended long ago are forgotten. detail: for the audit.

    device: one that this account does not know yet is told of by mail.
    """
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
    if device is not None:
        _meet_device(staff_id, device, now=now)
    add_audit("staff-sign-in", staff_id=staff_id, subject="staff", subject_id=staff_id, now=now, detail=detail)


def _meet_device(staff_id: int, device: Device, *, now: datetime) -> None:
    db.session.execute(delete(StaffDevice).where(StaffDevice.last_seen_at < now - timedelta(days=DEVICE_KEPT_DAYS)))
    row = {"staff_id": staff_id, "digest": device.digest, "first_seen_at": now, "last_seen_at": now}
    if insert_if_absent(StaffDevice, [row]):
        account = db.session.get_one(StaffAccount, staff_id)
        staff_mail.tell(account, staff_mail.NEW_DEVICE, now=now, browser=device.name, signed_in_at=now.isoformat())
    else:
        db.session.execute(
            update(StaffDevice)
            .where(StaffDevice.staff_id == staff_id, StaffDevice.digest == device.digest)
            .values(last_seen_at=now)
        )


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


@operation
def end_other_sessions(staff_id: int, *, keep_digest: bytes, now: datetime) -> None:
    """Signs every other browser of one's own account out: one was lost, or left open somewhere."""
    end_sessions(staff_id, now=now, but=keep_digest)
    _audit(staff_id, "staff-sign-out-others", staff_id, now)


@operation
def verify_session(
    digest: bytes,
    *,
    staff_id: int,
    totp_counter: int | None = None,
    recovery_digest: str | None = None,
    now: datetime,
) -> bool:
    """The second factor was given once more in a session: by a code of the app, or by a recovery code.

    totp_counter: the 30-second step of a right code. recovery_digest: of one of the codes that are left.
    Returns False, and changes nothing, where the code was used before.
    """
    account = db.session.get_one(StaffAccount, staff_id, with_for_update=True)
    if recovery_digest is not None:
        if recovery_digest not in (account.mf_recovery_codes or ()):
            return False
        account.mf_recovery_codes = [one for one in account.mf_recovery_codes or () if one != recovery_digest]
        audit_recovery_code_used(staff_id, left=len(account.mf_recovery_codes), now=now)
    elif totp_counter is None or not take_totp_counter(staff_id, totp_counter, is_new_secret=False):
        return False
    note_verified(digest, staff_id=staff_id, now=now)
    return True


def note_verified(digest: bytes, *, staff_id: int, now: datetime, detail: dict[str, Any] | None = None) -> None:
    """A step: from now on this session counts as fresh. detail: for the audit."""
    db.session.execute(
        update(StaffSession)
        .where(StaffSession.digest == digest, StaffSession.staff_id == staff_id, StaffSession.ended_at.is_(None))
        .values(verified_at=now)
    )
    add_audit("staff-verify", staff_id=staff_id, subject="staff", subject_id=staff_id, now=now, detail=detail)


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
    """Joins a transaction: an authenticator app was set up; its owner gets a mail."""
    _audit(staff_id, "staff-second-factor", staff_id, now)
    staff_mail.tell(db.session.get_one(StaffAccount, staff_id), staff_mail.CHANGED, now=now, what="app")


def audit_recovery_codes(staff_id: int, *, now: datetime) -> None:
    """Joins a transaction: new recovery codes replaced the old ones; their owner gets a mail."""
    _audit(staff_id, "staff-recovery-codes", staff_id, now)
    staff_mail.tell(db.session.get_one(StaffAccount, staff_id), staff_mail.CHANGED, now=now, what="codes")


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
    db.session.execute(delete(StaffPasskey).where(StaffPasskey.staff_id == staff_id))


def _forget_devices(staff_id: int, *, but: bytes | None = None) -> None:
    statement = delete(StaffDevice).where(StaffDevice.staff_id == staff_id)
    db.session.execute(statement if but is None else statement.where(StaffDevice.digest != but))


def end_sessions(staff_id: int, *, now: datetime, but: bytes | None = None) -> None:
    """A step: every browser of this account is signed out. but: the digest of the session that goes on."""
    statement = update(StaffSession).where(StaffSession.staff_id == staff_id, StaffSession.ended_at.is_(None))
    if but is not None:
        statement = statement.where(StaffSession.digest != but)
    db.session.execute(statement.values(ended_at=now))


def _audit(staff_id: int | None, action: str, subject_id: int, now: datetime) -> None:
    add_audit(action, staff_id=staff_id, subject="staff", subject_id=subject_id, now=now)
