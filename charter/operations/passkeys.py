"""The passkeys of the Centre's people: added, removed, and used to sign in."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import Enum

from sqlalchemy import func, select

from charter.domain.errors import CharterError, NotFoundError
from charter.domain.passkey import NewPasskey, is_counting_on
from charter.models.base import db
from charter.models.passkey import StaffPasskey
from charter.models.staff import StaffAccount
from charter.operations import staff_mail
from charter.operations.staff import Device, add_session, note_verified
from charter.operations.steps import add_audit
from charter.operations.unit import lock, operation

#: More devices than one person has in use.
PASSKEYS_PER_ACCOUNT = 10


class AlreadyAddedError(CharterError):
    """This passkey is kept already, for this account or another."""


class TooManyPasskeysError(CharterError):
    """The account has as many passkeys as it may."""


class Refusal(Enum):
    """Why a right answer signs nobody in."""

    GONE = "gone"  # the passkey or the account, since it was looked up
    COUNTER = "counter"  # the counter did not go on: there may be a copy of the key


@dataclass(frozen=True)
class SignedIn:
    """Whose session began. uniquifier: part of the cookie; language: of the desk."""

    staff_id: int
    uniquifier: str
    language: str


@operation
def add(staff_id: int, *, passkey: NewPasskey, user_handle: bytes, name: str, now: datetime) -> int:
    """Keeps a passkey that answered rightly, and returns its id. Raises AlreadyAddedError, TooManyPasskeysError."""
    lock("staff", "passkeys")
    if db.session.scalar(select(StaffPasskey.id).filter_by(credential_id=passkey.credential_id)) is not None:
        raise AlreadyAddedError
    count = db.session.scalar(select(func.count()).select_from(StaffPasskey).filter_by(staff_id=staff_id)) or 0
    if count >= PASSKEYS_PER_ACCOUNT:
        raise TooManyPasskeysError
    row = StaffPasskey(
        staff_id=staff_id,
        name=name,
        user_handle=user_handle,
        credential_id=passkey.credential_id,
        public_key=passkey.public_key,
        sign_count=passkey.sign_count,
        created_at=now,
    )
    db.session.add(row)
    db.session.flush()
    _audit("staff-passkey-add", row, now)
    _tell(staff_id, "passkey", now=now)
    return row.id


@operation
def remove(passkey_id: int, *, staff_id: int, now: datetime) -> None:
    """Forgets one of this person's passkeys. Raises NotFoundError, for another's too."""
    row = db.session.scalars(select(StaffPasskey).filter_by(id=passkey_id, staff_id=staff_id).with_for_update()).first()
    if row is None:
        raise NotFoundError
    _audit("staff-passkey-remove", row, now)
    db.session.delete(row)
    _tell(staff_id, "passkey-gone", now=now)


@operation
def sign_in(
    passkey_id: int,
    *,
    staff_id: int,
    sign_count: int,
    session_digest: bytes,
    now: datetime,
    device: Device | None = None,
) -> SignedIn | Refusal:
    """Begins a session for whoever's passkey answered rightly; the account must be open and fully set up.

    sign_count: what the device counted. session_digest: SHA-256 of the random id in the cookie. device: the browser.
    """
    used = _use(passkey_id, staff_id=staff_id, sign_count=sign_count, now=now)
    if isinstance(used, Refusal):
        return used
    add_session(staff_id, digest=session_digest, now=now, device=device, detail={"passkey": passkey_id})
    return SignedIn(staff_id, used.fs_uniquifier, used.language)


@operation
def verify_session(
    passkey_id: int, *, staff_id: int, sign_count: int, session_digest: bytes, now: datetime
) -> Refusal | None:
    """The second factor once more, in a session: None where it counts as fresh from now on."""
    used = _use(passkey_id, staff_id=staff_id, sign_count=sign_count, now=now)
    if isinstance(used, Refusal):
        return used
    note_verified(session_digest, staff_id=staff_id, now=now, detail={"passkey": passkey_id})
    return None


def _use(passkey_id: int, *, staff_id: int, sign_count: int, now: datetime) -> StaffAccount | Refusal:
    """Notes what the device counted; a counter that does not go on is recorded and refused."""
    account = db.session.scalars(select(StaffAccount).filter_by(id=staff_id, active=True).with_for_update()).first()
    row = db.session.scalars(select(StaffPasskey).filter_by(id=passkey_id, staff_id=staff_id).with_for_update()).first()
    if account is None or row is None or account.password is None or not account.has_second_factor:
        return Refusal.GONE
    if not is_counting_on(last=row.sign_count, now=sign_count):
        _audit("staff-passkey-counter", row, now)
        return Refusal.COUNTER
    row.sign_count = sign_count
    row.last_used_at = now
    return account


def _tell(staff_id: int, what: str, *, now: datetime) -> None:
    staff_mail.tell(db.session.get_one(StaffAccount, staff_id), staff_mail.CHANGED, now=now, what=what)


def _audit(action: str, row: StaffPasskey, now: datetime) -> None:
    add_audit(
        action, staff_id=row.staff_id, subject="staff", subject_id=row.staff_id, now=now, detail={"passkey": row.id}
    )
