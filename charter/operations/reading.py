"""Records that staff read what is private: a dossier, what was found, a file that leaves the service."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select

from charter.models.base import db
from charter.models.decision import Audit
from charter.operations.steps import add_audit
from charter.operations.unit import lock, operation

#: Whoever goes back and forth between the same pages reads them once.
SAME_READ = timedelta(minutes=10)
#: Among so many of the newest lines about the same.
MOST_COMPARED = 100


@operation
def record(
    what: str,
    *,
    subject: str,
    subject_id: int | None,
    staff_id: int,
    now: datetime,
    detail: dict[str, Any] | None = None,
    is_each: bool = False,
) -> bool:
    """Writes `read-…` to the audit before the page is shown; the one thing that a GET of the desk may add there.

    what: such as dossier. detail: codes and counts, as in `add_audit`. Of reads that are the same in all of it one is
    kept in SAME_READ, unless is_each, as of files that are taken away. Returns whether a line was written. Where it
    cannot be written nothing may be shown: the error is the page's error.
    """
    if not is_each:
        # Two windows that open the same dossier at once are one read too.
        lock("reading", f"{staff_id}:{what}:{subject}:{subject_id}")
        if is_recorded(what, subject=subject, subject_id=subject_id, staff_id=staff_id, now=now, detail=detail):
            return False
    add_audit(f"read-{what}", staff_id=staff_id, subject=subject, subject_id=subject_id, now=now, detail=detail)
    return True


def is_recorded(
    what: str,
    *,
    subject: str,
    subject_id: int | None,
    staff_id: int,
    now: datetime,
    detail: dict[str, Any] | None = None,
) -> bool:
    """Whether the same read stands in the audit already, by the index over subjects."""
    newest = db.session.execute(
        select(Audit.staff_id, Audit.action, Audit.at, Audit.detail)
        .where(
            Audit.subject == subject,
            Audit.subject_id == subject_id if subject_id is not None else Audit.subject_id.is_(None),
        )
        # Nothing more is asked of the database: by person or by time it would walk through all that somebody ever did.
        .order_by(Audit.id.desc())
        .limit(MOST_COMPARED)
    )
    wanted = (staff_id, f"read-{what}", detail or {})
    # A clock that went back must not silence the record for as long as it went.
    return any(now - SAME_READ < row.at <= now and (row.staff_id, row.action, row.detail) == wanted for row in newest)
