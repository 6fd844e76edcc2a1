"""How many administrators there are, and ever were: whether one person is enough to change a role."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Select, select

from charter.domain.duties import ADMINISTRATORS, Role
from charter.models.base import db
from charter.models.decision import Audit
from charter.models.staff import StaffAccount

#: What an account is before it is closed or begins anew stands in the audit under these.
CLOSINGS = ("staff-deactivate", "staff-anew")


def able() -> Select[Any]:
    """Ids of administrators who can sign in: active, with a password and a second factor."""
    return select(StaffAccount.id).where(
        StaffAccount.active,
        StaffAccount.role == Role.ADMINISTRATOR,
        StaffAccount.password.is_not(None),
        StaffAccount.tf_totp_secret.is_not(None),
    )


def is_able(account: StaffAccount) -> bool:
    """The same of one row."""
    return (
        account.active
        and account.role == Role.ADMINISTRATOR
        and account.password is not None
        and account.has_second_factor
    )


def is_one_enough() -> bool:
    """Whether a single administrator may change roles: only as long as there have never been two.

    Otherwise one of two could close the other's account, or let it begin anew, and then be alone.
    """
    ever = set(db.session.scalars(able()))
    closings = select(Audit.subject_id, Audit.before).where(Audit.action.in_(CLOSINGS))
    for subject_id, before in db.session.execute(closings):
        if before and before.get("able") and before.get("role") == Role.ADMINISTRATOR:
            ever.add(subject_id)
    return len(ever) < ADMINISTRATORS
