"""The outbox: mail that waits, committed together with what it tells of."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, String, text
from sqlalchemy.orm import Mapped, mapped_column

from charter.models.base import Base, BigId

_WAITING = text("done_at IS NULL AND NOT on_hold")
_ANSWERS = text("done_at IS NULL AND NOT on_hold AND kind NOT IN ('signing', 'reminder', 'address-new')")


class Message(Base):
    """One mail. Never holds a token: links are computed at delivery. Address and values are wiped once it is done."""

    __tablename__ = "message"
    __table_args__ = (
        Index("ix_message_waiting", "due_at", postgresql_where=_WAITING, sqlite_where=_WAITING),
        # Answers leave before first mails, however many of those wait.
        Index("ix_message_answers", "due_at", postgresql_where=_ANSWERS, sqlite_where=_ANSWERS),
        Index(
            "ix_message_failed",
            "id",
            postgresql_where=text("failed_at IS NOT NULL"),
            sqlite_where=text("failed_at IS NOT NULL"),
        ),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    uid: Mapped[str] = mapped_column(String(32), unique=True)  # left part of the Message-ID, the same on a repeat
    kind: Mapped[str] = mapped_column(String(32))  # the name of its folder; `signing` becomes one of two at delivery
    language: Mapped[str] = mapped_column(String(2))
    recipient: Mapped[str | None] = mapped_column(String(320))  # None once done
    signature_id: Mapped[int | None] = mapped_column(ForeignKey("signature.id"), index=True)
    link_id: Mapped[int | None] = mapped_column(ForeignKey("link.id"))
    decision_id: Mapped[int | None] = mapped_column(ForeignKey("decision.id"))  # undone with it
    values: Mapped[dict[str, Any]]  # what the template needs besides links; emptied once done
    on_hold: Mapped[bool] = mapped_column(default=False)  # its signature is set aside for a human
    created_at: Mapped[datetime]
    due_at: Mapped[datetime]
    leased_until: Mapped[datetime | None]
    attempts: Mapped[int] = mapped_column(default=0)
    last_error: Mapped[str | None] = mapped_column(
        String(80)
    )  # a code, never a server's text: it may quote the address
    done_at: Mapped[datetime | None]  # sent, failed for good, or no longer needed
    sent_at: Mapped[datetime | None]
    failed_at: Mapped[datetime | None]
