"""What is seen of passkeys: one's own list, and what signing in compares an answer with."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select

from charter.models.base import db
from charter.models.passkey import StaffPasskey
from charter.models.staff import StaffAccount


@dataclass(frozen=True)
class PasskeyLine:
    """One of one's own passkeys."""

    id: int
    name: str
    created_at: datetime
    last_used_at: datetime | None


@dataclass(frozen=True)
class OwnKeys:
    """What a device is told about an account. user_handle: None before the first passkey."""

    credential_ids: tuple[bytes, ...]
    user_handle: bytes | None


@dataclass(frozen=True)
class KnownPasskey:
    """A passkey of an account that may sign in. public_key: COSE."""

    id: int
    staff_id: int
    user_handle: bytes
    public_key: bytes


def passkey_lines(staff_id: int) -> list[PasskeyLine]:
    """One's own, oldest first."""
    rows = db.session.scalars(select(StaffPasskey).filter_by(staff_id=staff_id).order_by(StaffPasskey.id))
    return [PasskeyLine(row.id, row.name, row.created_at, row.last_used_at) for row in rows]


def own_keys(staff_id: int) -> OwnKeys:
    """For the device that shall make another, or use one."""
    query = select(StaffPasskey.credential_id, StaffPasskey.user_handle).filter_by(staff_id=staff_id)
    rows = db.session.execute(query.order_by(StaffPasskey.id)).all()
    return OwnKeys(tuple(row.credential_id for row in rows), rows[0].user_handle if rows else None)


def find_known(credential_id: bytes) -> KnownPasskey | None:
    """The passkey with this id, if its account is open and fully set up."""
    row = db.session.execute(
        select(StaffPasskey.id, StaffPasskey.staff_id, StaffPasskey.user_handle, StaffPasskey.public_key)
        .join(StaffAccount, StaffAccount.id == StaffPasskey.staff_id)
        .where(
            StaffPasskey.credential_id == credential_id,
            StaffAccount.active,
            StaffAccount.password.is_not(None),
            StaffAccount.tf_totp_secret.is_not(None),
        )
    ).first()
    return None if row is None else KnownPasskey(row.id, row.staff_id, row.user_handle, row.public_key)


def find_owing_second_factor(uniquifier: str) -> int | None:
    """The id of whoever gave this account's password and has an app set up, so that a passkey may stand in for it."""
    wanted = select(StaffAccount.id).filter_by(fs_uniquifier=uniquifier, active=True)
    return db.session.scalar(wanted.where(StaffAccount.tf_totp_secret.is_not(None)))
