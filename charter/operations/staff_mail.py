"""Mail to the Centre's people: put into the outbox with what it tells of, and the link of an invitation."""

from __future__ import annotations

import secrets
from datetime import datetime
from typing import Any

from charter.models.base import db
from charter.models.outbox import Message
from charter.models.staff import StaffAccount
from charter.operations.addresses import Secret

INVITE = "staff-invite"
NEW_DEVICE = "staff-new-device"
CHANGED = "staff-changed"


def tell(account: StaffAccount, kind: str, *, now: datetime, **values: Any) -> None:
    """A step: one mail to a member of staff. values: what the template needs; never anything of a signatory."""
    db.session.add(
        Message(
            uid=secrets.token_hex(16),
            kind=kind,
            language=account.language,
            recipient=account.email,
            signature_id=None,
            link_id=None,
            values=values,
            on_hold=False,
            created_at=now,
            due_at=now,
            attempts=0,
        )
    )


def secret_of(message: Message, *, now: datetime) -> Secret | None:
    """The link of an invitation, computed at delivery; None for one that was used, withdrawn or has ended."""
    account = db.session.get(StaffAccount, message.values.get("staff", 0))
    if account is None or not account.active or account.invite_uid is None or account.invite_expires_at is None:
        return None
    if account.invite_expires_at <= now:
        return None
    return Secret(INVITE, account.invite_uid, account.invite_expires_at)
