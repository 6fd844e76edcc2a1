"""The log: leaves and batches that nothing may change, and the queue of what the next batch will append."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, LargeBinary, String
from sqlalchemy.orm import Mapped, mapped_column

from charter.models.base import Base, BigId

#: A table that stands in a PostgreSQL database while `restore` works on it: nobody may serve or publish from it.
RESTORE_MARK = "restore_unfinished"


class LogLeaf(Base):
    """One leaf of the transparency log, byte for byte. Public, append-only by trigger."""

    __tablename__ = "log_leaf"

    index: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=False)  # from 0, without gaps
    data: Mapped[bytes] = mapped_column(LargeBinary)
    hash: Mapped[bytes] = mapped_column(LargeBinary(32))  # SHA-256(0x00 ‖ data), RFC 6962
    revision: Mapped[int] = mapped_column(ForeignKey("log_batch.revision"))


class LogBatch(Base):
    """One publication. Its number is the `public_revision` that pages, files and caches key on. Append-only."""

    __tablename__ = "log_batch"

    revision: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=False)  # 1, 2, 3 …
    at: Mapped[datetime]  # never decreasing, whatever the clock does
    tree_size: Mapped[int] = mapped_column(BigId)  # leaves after this batch


class LogEvent(Base):
    """A leaf to come: queued in the transaction that decided it, deleted by the batch that publishes it."""

    __tablename__ = "log_event"
    __table_args__ = (Index("ix_log_event_effective_at", "effective_at"),)

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    kind: Mapped[str] = mapped_column(String(16))  # a leaf kind, or `refresh` for a public change without a leaf
    signature_id: Mapped[int | None] = mapped_column(ForeignKey("signature.id"), index=True)
    decision_id: Mapped[int | None] = mapped_column(ForeignKey("decision.id"))
    values: Mapped[dict[str, Any]]  # the leaf's own values that are fixed already
    effective_at: Mapped[datetime]  # not before: decisions can be undone until then
