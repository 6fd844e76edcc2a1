"""The weekly summary: queued once a week for who answers for the desk, whichever worker comes first."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime

from sqlalchemy import select

from charter.domain.duties import Role
from charter.models.base import db
from charter.models.desk import WeeklySummary
from charter.models.staff import StaffAccount
from charter.operations.staff_mail import tell
from charter.operations.unit import insert_if_absent, operation

WEEKLY = "staff-weekly"
#: Who answers for the desk, and who looks whether they do.
RECIPIENTS = (Role.ADMINISTRATOR, Role.AUDITOR)


@operation
def queue(week_on: date, *, figures: Mapping[str, int], arrived_before: datetime, now: datetime) -> int:
    """Queues the summary of the week before `week_on`, a Monday, and returns to how many people; 0 the second time.

    figures: numbers only (queries/desk_figures.py). arrived_before: whoever has an account since later is not sent a
    week that they have not seen. Effects: one mail `staff-weekly` each.
    """
    if not insert_if_absent(WeeklySummary, [{"week_on": week_on, "queued_at": now}]):
        return 0
    accounts = db.session.scalars(
        select(StaffAccount)
        .where(
            StaffAccount.active,
            StaffAccount.password.is_not(None),
            StaffAccount.role.in_(RECIPIENTS),
            StaffAccount.created_at < arrived_before,
        )
        .order_by(StaffAccount.id)
    ).all()
    for account in accounts:
        tell(account, WEEKLY, now=now, week_on=week_on.isoformat(), **figures)
    return len(accounts)
