"""The audit as auditors search it: newest first, by person, act, subject and time, never by scanning all of it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, and_, func, or_, select

from charter.models.base import db
from charter.models.decision import Audit
from charter.models.desk import Proposal
from charter.models.outbox import Message
from charter.models.registry import PublicEntry
from charter.models.rights import Correction, Objection
from charter.models.signature import Signature
from charter.models.staff import StaffAccount

PAGE_SIZE = 50
#: Lines of one window of an export: some milliseconds of the database.
WINDOW = 1000
#: Processes write side by side, so a line may have a smaller id than one that is a little older.
OUT_OF_ORDER = 1000
SIGNATURE = "signature"
#: Who acts without an account.
CONSOLE = 0


@dataclass(frozen=True)
class Wanted:
    """What is searched; None for anything. staff_id: CONSOLE for the command line. action: a code.

    subject_id: only with subject. since, until: instants, the latter excluded.
    """

    staff_id: int | None = None
    action: str | None = None
    subject: str | None = None
    subject_id: int | None = None
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True)
class AuditLine:
    """One line. staff_name: None for the command line. detail, before, after: codes and ids."""

    id: int
    at: datetime
    staff_id: int | None
    staff_name: str | None
    action: str
    subject: str
    subject_id: int | None
    detail: dict[str, Any]
    reason: str | None
    before: dict[str, Any] | None
    after: dict[str, Any] | None

    @property
    def changes(self) -> list[tuple[str, Any, Any]]:
        """(what, as it was, as it is) of every value that changed."""
        before, after = self.before or {}, self.after or {}
        return [
            (name, before.get(name), after.get(name))
            for name in dict.fromkeys([*before, *after])
            if before.get(name) != after.get(name)
        ]


@dataclass(frozen=True)
class AuditPage:
    """Lines, newest first. next_before: the id that the following page begins under; None on the last."""

    lines: list[AuditLine]
    next_before: int | None


def page(wanted: Wanted, *, before: int | None = None, size: int = PAGE_SIZE) -> AuditPage:
    """Lines with an id smaller than `before`, newest first: one statement, found by an index whatever is wanted."""
    query = select(Audit, StaffAccount.name).outerjoin(StaffAccount, StaffAccount.id == Audit.staff_id)
    query = query.where(*_conditions(wanted))
    if before is not None:
        query = query.where(Audit.id < before)
    rows = db.session.execute(query.order_by(Audit.id.desc()).limit(size + 1)).all()
    lines = [_line(row, name) for row, name in rows[:size]]
    return AuditPage(lines, lines[-1].id if len(rows) > size else None)


def newest() -> int | None:
    """The id of the newest line."""
    return db.session.scalar(select(func.max(Audit.id)))


def people() -> list[tuple[int, str]]:
    """Everybody who ever had an account, by name: (id, name)."""
    rows = db.session.execute(select(StaffAccount.id, StaffAccount.name).order_by(StaffAccount.name, StaffAccount.id))
    return [(row.id, row.name) for row in rows]


def find_signature_by_number(number: int) -> int | None:
    """The signature behind a number of the registry."""
    return db.session.scalar(
        select(Signature.id).join(PublicEntry, PublicEntry.entry == Signature.entry).where(PublicEntry.number == number)
    )


def _conditions(wanted: Wanted) -> list[ColumnElement[bool]]:
    found: list[ColumnElement[bool]] = []
    if wanted.staff_id is not None:
        is_console = wanted.staff_id == CONSOLE
        # Few lines are about one thing and many by one person: this is not to be found by the person then.
        staff_id = Audit.staff_id if wanted.subject_id is None else Audit.staff_id + 0
        found.append(staff_id.is_(None) if is_console else staff_id == wanted.staff_id)
    if wanted.action is not None:
        found.append(Audit.action == wanted.action)
    if wanted.subject == SIGNATURE and wanted.subject_id is not None:
        found.append(_about(wanted.subject_id))
    elif wanted.subject is not None:
        found.append(Audit.subject == wanted.subject)
        if wanted.subject_id is not None:
            found.append(Audit.subject_id == wanted.subject_id)
    return found + _within(wanted)


def _about(signature_id: int) -> ColumnElement[bool]:
    """What was done to a signature, also by way of its corrections, objections, mails and proposals."""
    ways = {
        "correction": select(Correction.id).where(Correction.signature_id == signature_id),
        "objection": select(Objection.id).where(Objection.signature_id == signature_id),
        "message": select(Message.id).where(Message.signature_id == signature_id),
        "proposal": select(Proposal.id).where(Proposal.subject == SIGNATURE, Proposal.subject_id == signature_id),
    }
    return or_(
        and_(Audit.subject == SIGNATURE, Audit.subject_id == signature_id),
        and_(Audit.subject == "mailbox", Audit.subject_id == signature_id),
        *(and_(Audit.subject == subject, Audit.subject_id.in_(ids)) for subject, ids in ways.items()),
    )


def _within(wanted: Wanted) -> list[ColumnElement[bool]]:
    """The time, and the ids that it spans: a page of last year must not walk through everything since."""
    found: list[ColumnElement[bool]] = []
    if wanted.since is not None:
        first = select(Audit.id).where(Audit.at >= wanted.since).order_by(Audit.at, Audit.id).limit(1)
        found += [Audit.at >= wanted.since, Audit.id >= (db.session.scalar(first) or 0) - OUT_OF_ORDER]
    if wanted.until is not None:
        last = select(Audit.id).where(Audit.at < wanted.until).order_by(Audit.at.desc(), Audit.id.desc()).limit(1)
        found += [Audit.at < wanted.until, Audit.id <= (db.session.scalar(last) or 0) + OUT_OF_ORDER]
    return found


def _line(row: Audit, staff_name: str | None) -> AuditLine:
    return AuditLine(
        id=row.id,
        at=row.at,
        staff_id=row.staff_id,
        staff_name=staff_name,
        action=row.action,
        subject=row.subject,
        subject_id=row.subject_id,
        detail=dict(row.detail or {}),
        reason=row.reason,
        before=row.before,
        after=row.after,
    )
