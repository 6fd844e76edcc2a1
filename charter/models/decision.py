"""Decisions of the Centre and the audit of everything its staff changes."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, CheckConstraint, ForeignKey, Index, String, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from charter.models.base import Base, BigId


class Decision(Base):
    """Approve, decline or ask, with a reason; takes effect when the seconds for undoing have passed. Staff only."""

    __tablename__ = "decision"
    __table_args__ = (
        CheckConstraint("action IN ('approve', 'decline', 'ask')", name="action"),
        Index(
            "ix_decision_bulk",
            "bulk",
            "id",
            postgresql_where=text("bulk IS NOT NULL"),
            sqlite_where=text("bulk IS NOT NULL"),
        ),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    signature_id: Mapped[int] = mapped_column(ForeignKey("signature.id"), index=True)
    staff_id: Mapped[int] = mapped_column(ForeignKey("staff.id"))
    action: Mapped[str] = mapped_column(String(16))
    reason: Mapped[str | None] = mapped_column(String(40))  # a code of the catalogue
    note: Mapped[str | None] = mapped_column(
        Text
    )  # the reviewer's words to the signatory; gone when the person is erased
    state_before: Mapped[str] = mapped_column(String(16))
    decided_at: Mapped[datetime]
    effective_at: Mapped[datetime]
    undone_at: Mapped[datetime | None]
    bulk: Mapped[str | None] = mapped_column(String(32))  # the same for all that were decided together


class Audit(Base):
    """Who of the staff did what, when, to what, why. Append-only.

    `detail`, `before` and `after` hold codes and ids, never a signatory's name or address: nothing here can be erased.
    """

    __tablename__ = "audit"
    __table_args__ = (
        Index("ix_audit_subject", "subject", "subject_id", "id"),
        Index("ix_audit_action", "action", "id"),
        Index("ix_audit_staff", "staff_id", "id"),
        Index("ix_audit_at", "at", "id"),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    at: Mapped[datetime]
    staff_id: Mapped[int | None] = mapped_column(ForeignKey("staff.id"), index=True)  # None: the command line
    action: Mapped[str] = mapped_column(String(40))
    subject: Mapped[str] = mapped_column(String(40))  # such as signature or staff
    subject_id: Mapped[int | None] = mapped_column(BigId)
    detail: Mapped[dict[str, Any]]
    reason: Mapped[str | None] = mapped_column(String(400))  # a code of a catalogue, or staff's own words on their act
    before: Mapped[dict[str, Any] | None] = mapped_column(JSON)  # the values that changed, as they were
    after: Mapped[dict[str, Any] | None] = mapped_column(JSON)  # and as they are
