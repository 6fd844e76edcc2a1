"""The desk's own things: who is at work on what, views that are kept, proposals for a second person, settings."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

from sqlalchemy import JSON, CheckConstraint, ForeignKey, Index, String, text
from sqlalchemy.orm import Mapped, mapped_column

from charter.models.base import Base, BigId

_OPEN = text("state = 'open'")


class Claim(Base):
    """A reviewer is at work on an application until then; afterwards anybody may take it. For staff."""

    __tablename__ = "claim"

    signature_id: Mapped[int] = mapped_column(ForeignKey("signature.id"), primary_key=True, autoincrement=False)
    staff_id: Mapped[int] = mapped_column(ForeignKey("staff.id"), index=True)
    until: Mapped[datetime]


class QueueMark(Base):
    """Every hundredth of those that wait, written anew each minute while the queue is long: what places are told by.

    For applicants as a number; the row leads to nobody but by its key.
    """

    __tablename__ = "queue_mark"

    place: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)  # how many are due before
    due_on: Mapped[date]
    signature_id: Mapped[int] = mapped_column(BigId)


class SavedView(Base):
    """A choice of filters of the queue under a name. For the person who keeps it."""

    __tablename__ = "saved_view"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    staff_id: Mapped[int] = mapped_column(ForeignKey("staff.id"), index=True)
    name: Mapped[str] = mapped_column(String(80))
    query: Mapped[str] = mapped_column(String(1000))  # the query part of the queue's address, in its own order
    created_at: Mapped[datetime]


class Proposal(Base):
    """What one person may not do alone: proposed by one, approved or rejected by another. For staff; never deleted."""

    __tablename__ = "proposal"
    __table_args__ = (
        CheckConstraint("state IN ('open', 'approved', 'rejected', 'cancelled', 'expired')", name="state"),
        CheckConstraint("state NOT IN ('approved', 'rejected') OR decided_by <> proposed_by", name="two_people"),
        Index("ix_proposal_open", "expires_at", "id", postgresql_where=_OPEN, sqlite_where=_OPEN),
        Index("ix_proposal_subject", "subject", "subject_id", "id"),
        # One at a time for the same thing.
        Index(
            "uq_proposal_one_open",
            "kind",
            "subject",
            "subject_id",
            unique=True,
            postgresql_where=_OPEN,
            sqlite_where=_OPEN,
        ),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    kind: Mapped[str] = mapped_column(String(16))  # charter.domain.duties.Second
    subject: Mapped[str] = mapped_column(String(40))  # such as signature, staff, edition-draft, invalidation
    subject_id: Mapped[int] = mapped_column(BigId)
    payload: Mapped[dict[str, Any]]  # codes and ids of what will be done; never a name or address
    reason: Mapped[str] = mapped_column(String(400))  # a code, or the proposer's words to the colleague
    state: Mapped[str] = mapped_column(String(16))
    proposed_by: Mapped[int] = mapped_column(ForeignKey("staff.id"))
    proposed_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    decided_by: Mapped[int | None] = mapped_column(ForeignKey("staff.id"))
    decided_at: Mapped[datetime | None]
    used_at: Mapped[datetime | None]  # of what is done once after the approval, such as an export


class CentreSetting(Base):
    """What the Centre sets by itself: its name, contact, opening and closing, holidays. Public where pages show it."""

    __tablename__ = "centre_setting"

    key: Mapped[str] = mapped_column(String(40), primary_key=True)
    value: Mapped[dict[str, Any] | None] = mapped_column(JSON)
    version: Mapped[int] = mapped_column(default=1)
    staff_id: Mapped[int | None] = mapped_column(ForeignKey("staff.id"))
    set_at: Mapped[datetime]


class DeskCount(Base):
    """How many applications were answered on a day, by region, answer and days waited: what figures are made of."""

    __tablename__ = "desk_count"

    day: Mapped[date] = mapped_column(primary_key=True)  # in Kazakhstan
    region_code: Mapped[str] = mapped_column(ForeignKey("region.code"), primary_key=True)
    action: Mapped[str] = mapped_column(String(16), primary_key=True)  # approve | decline | ask | sweep
    waited_days: Mapped[int] = mapped_column(primary_key=True)  # from confirmation to decision
    count: Mapped[int] = mapped_column(default=0)


class WeeklySummary(Base):
    """A week whose summary was queued: two workers send one."""

    __tablename__ = "weekly_summary"

    week_on: Mapped[date] = mapped_column(primary_key=True)  # its Monday
    queued_at: Mapped[datetime]
