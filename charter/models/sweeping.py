"""Invalidation: many signatures that came the same way, set aside together as one object with conditions."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Select, String, select
from sqlalchemy.orm import Mapped, mapped_column

from charter.domain.sweep import Conditions
from charter.models.base import Base, BigId
from charter.models.limits import SigningTrace
from charter.models.signature import Signature, SignatureWord


class Invalidation(Base):
    """One sweep: its conditions, who wanted it and why, how far the worker is. For staff; never deleted."""

    __tablename__ = "invalidation"
    __table_args__ = (
        CheckConstraint(
            "state IN ('draft', 'proposed', 'running', 'cancelled', 'done', 'undoing', 'undone')", name="state"
        ),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    conditions: Mapped[dict[str, Any]]  # domain/sweep.Conditions; a name may be in it, so it is in no audit and log
    reason: Mapped[str] = mapped_column(String(40))  # a code of the catalogue
    note: Mapped[str | None] = mapped_column(String(400))  # for colleagues
    state: Mapped[str] = mapped_column(String(16))
    version: Mapped[int] = mapped_column(default=1)
    found: Mapped[int] = mapped_column(default=0)  # by the dry run
    done: Mapped[int] = mapped_column(default=0)
    skipped: Mapped[int] = mapped_column(default=0)  # no longer as they were found
    undone: Mapped[int] = mapped_column(default=0)
    cursor: Mapped[int] = mapped_column(BigId, default=0)  # signature id up to which the present direction is done
    limit_id: Mapped[int] = mapped_column(
        BigId, default=0
    )  # the newest signature of the dry run: later ones are not meant
    staff_id: Mapped[int] = mapped_column(ForeignKey("staff.id"))
    approved_by: Mapped[int | None] = mapped_column(ForeignKey("staff.id"))
    undone_by: Mapped[int | None] = mapped_column(ForeignKey("staff.id"))
    created_at: Mapped[datetime]
    began_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]


class InvalidationItem(Base):
    """One signature that a sweep has ended or set aside, with what it takes to undo it."""

    __tablename__ = "invalidation_item"

    invalidation_id: Mapped[int] = mapped_column(ForeignKey("invalidation.id"), primary_key=True)
    signature_id: Mapped[int] = mapped_column(ForeignKey("signature.id"), primary_key=True, index=True)
    state_before: Mapped[str] = mapped_column(String(16))
    decision_id: Mapped[int | None] = mapped_column(ForeignKey("decision.id"))
    outcome: Mapped[str] = mapped_column(String(16))  # done | skipped | undone | kept
    at: Mapped[datetime]


def meant_by(conditions: Conditions, *columns: Any) -> Select[Any]:
    """Of the signatures that conditions mean, these columns; the caller adds order and limit.

    A condition that asks the trace finds nothing once the trace is gone.
    """
    query = select(*columns).select_from(Signature).where(Signature.state.in_(conditions.states))
    if conditions.needs_trace:
        query = query.join(SigningTrace, SigningTrace.signature_id == Signature.id)
    if conditions.network is not None:
        query = query.where(SigningTrace.network == bytes.fromhex(conditions.network))
    if conditions.domain is not None:
        query = query.where(SigningTrace.domain == conditions.domain)
    if conditions.since is not None and conditions.until is not None:
        query = query.where(SigningTrace.at >= conditions.since, SigningTrace.at < conditions.until)
    if conditions.affiliation is not None:
        query = query.where(Signature.affiliation_id == conditions.affiliation)
    if conditions.words is not None:
        query = query.where(Signature.affiliation_text == conditions.words)
    for stem in conditions.stems:
        query = query.where(
            Signature.id.in_(
                select(SignatureWord.signature_id).where(SignatureWord.word >= stem, SignatureWord.word < stem + "~")
            )
        )
    if conditions.regions is not None:
        query = query.where(Signature.region_code.in_(conditions.regions))
    return query
