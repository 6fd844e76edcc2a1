"""A change of address as its signatory sees it, and as whoever holds one of its two links does."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import or_, select

from charter.domain import token as tokens
from charter.domain.email import display_address
from charter.models.base import db
from charter.models.rights import AddressChange
from charter.models.signature import Signature


@dataclass(frozen=True)
class PendingChange:
    """What still waits, for the holder of the personal link."""

    email: str
    is_old_confirmed: bool
    is_new_confirmed: bool
    expires_at: datetime


@dataclass(frozen=True)
class ChangeView:
    """What stands behind the link in one of the two mails. Nothing in it says who signed: an address may be mistyped.

    status: waiting | half (this address has confirmed, the other not yet) | done | ended. side: old | new.
    ascii_email: the same address as mail servers read it, in which look-alike letters show themselves.
    """

    status: str
    side: str
    signature_id: int
    email: str = ""
    ascii_email: str = ""
    is_signing_browser: bool = False
    tries: int = 0
    expires_at: datetime | None = None


def find_pending(signature_id: int, *, now: datetime) -> PendingChange | None:
    """The change that waits for one or both addresses."""
    row = db.session.scalars(
        select(AddressChange)
        .where(
            AddressChange.signature_id == signature_id,
            AddressChange.ended_at.is_(None),
            AddressChange.expires_at > now,
        )
        .order_by(AddressChange.id.desc())
        .limit(1)
    ).first()
    if row is None:
        return None
    return PendingChange(
        display_address(row.email), row.old_confirmed_at is not None, row.new_confirmed_at is not None, row.expires_at
    )


def find_change(token: str, *, browser_digest: bytes | None, now: datetime) -> ChangeView | None:
    """What a mailed link would confirm; None for an unknown or malformed one."""
    digest = tokens.token_digest(token)
    found = db.session.execute(
        select(AddressChange, Signature.browser_digest)
        .join(Signature, Signature.id == AddressChange.signature_id)
        .where(or_(AddressChange.old_digest == digest, AddressChange.new_digest == digest))
    ).first()
    if found is None:
        return None
    change, signing_browser = found
    is_old = change.old_digest == digest
    side = "old" if is_old else "new"
    is_this, is_that = change.old_confirmed_at is not None, change.new_confirmed_at is not None
    if not is_old:
        is_this, is_that = is_that, is_this
    if change.ended_at is not None:
        return ChangeView("done" if is_this and is_that else "ended", side, change.signature_id)
    if change.expires_at <= now:
        return ChangeView("ended", side, change.signature_id)
    return ChangeView(
        status="half" if is_this else "waiting",
        side=side,
        signature_id=change.signature_id,
        email=display_address(change.email),
        ascii_email=change.email,
        is_signing_browser=bool(signing_browser) and browser_digest == signing_browser,
        tries=change.old_tries if is_old else change.new_tries,
        expires_at=change.expires_at,
    )
