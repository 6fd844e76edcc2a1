"""Rights, checked where they are used: inside the transaction of the act, whatever page it came from."""

from __future__ import annotations

from charter.domain import duties
from charter.domain.duties import Right
from charter.domain.errors import DutyRefusedError
from charter.models.base import db
from charter.models.staff import StaffAccount


def require(staff_id: int, right: Right, *, region: str | None = None) -> StaffAccount:
    """The active account, if its role includes the right and its regions include `region`; else DutyRefusedError.

    A step of every operation that staff begin. region: a code, where the act is about a place.
    """
    account = db.session.get(StaffAccount, staff_id)
    if account is None or not account.active or not duties.may(account.role, right):
        raise DutyRefusedError
    if region is not None and account.regions is not None and region not in account.regions:
        raise DutyRefusedError
    return account
