"""What signatories may ask for after signing: another wording, another address, another look at a decision."""

from __future__ import annotations

from datetime import date, datetime

from sqlalchemy import CheckConstraint, ForeignKey, Index, LargeBinary, String, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from charter.models.base import Base, BigId

_PENDING = text("state = 'pending'")


class Correction(Base):
    """A published entry as its signatory wants it: a row of its own while the Centre reviews it; the entry stays.

    For the signatory and the Centre. Emptied when the person is forgotten.
    """

    __tablename__ = "correction"
    __table_args__ = (
        CheckConstraint("state IN ('pending', 'approved', 'declined', 'cancelled')", name="state"),
        Index("ix_correction_pending", "due_on", "id", postgresql_where=_PENDING, sqlite_where=_PENDING),
        # One at a time: the newer one takes the place of the one that waits.
        Index(
            "uq_correction_one_pending", "signature_id", unique=True, postgresql_where=_PENDING, sqlite_where=_PENDING
        ),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    signature_id: Mapped[int] = mapped_column(ForeignKey("signature.id"), index=True)
    state: Mapped[str] = mapped_column(String(16))
    version: Mapped[int] = mapped_column(default=1)  # rises with every change; a page that saw another one is told
    kind: Mapped[str] = mapped_column(String(16))
    full_name: Mapped[str] = mapped_column(String(120))
    short_name: Mapped[str] = mapped_column(String(120))
    display: Mapped[str] = mapped_column(String(8))
    affiliation_id: Mapped[int | None] = mapped_column(ForeignKey("affiliation.id"))
    affiliation_text: Mapped[str | None] = mapped_column(String(200))
    region_code: Mapped[str] = mapped_column(ForeignKey("region.code"))
    created_at: Mapped[datetime]
    due_on: Mapped[date]  # the day an answer is due; never moved later
    decided_at: Mapped[datetime | None]
    effective_at: Mapped[datetime | None]  # decisions can be undone until then
    staff_id: Mapped[int | None] = mapped_column(ForeignKey("staff.id"))
    reason: Mapped[str | None] = mapped_column(String(40))  # a code of the catalogue
    note: Mapped[str | None] = mapped_column(Text)  # the reviewer's words; gone when the person is forgotten


class AddressChange(Base):
    """Another mail address, once both the old and the new one have confirmed it. Secrets as digests only.

    For the signatory; emptied when done, ended, or when the person is forgotten.
    """

    __tablename__ = "address_change"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    signature_id: Mapped[int] = mapped_column(ForeignKey("signature.id"), index=True)
    email: Mapped[str] = mapped_column(String(320))  # the new address
    mailbox: Mapped[str] = mapped_column(String(320))
    old_uid: Mapped[bytes] = mapped_column(LargeBinary(16))  # random; worthless without the key in `instance/`
    old_digest: Mapped[bytes] = mapped_column(LargeBinary(32), unique=True)  # SHA-256 of the token mailed to the old
    old_tries: Mapped[int] = mapped_column(default=0)
    old_confirmed_at: Mapped[datetime | None]
    new_uid: Mapped[bytes] = mapped_column(LargeBinary(16))
    new_digest: Mapped[bytes] = mapped_column(LargeBinary(32), unique=True)  # of the token mailed to the new address
    new_tries: Mapped[int] = mapped_column(default=0)
    new_confirmed_at: Mapped[datetime | None]
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]  # done, replaced by another one, or given up


class Objection(Base):
    """A signatory asks that somebody else looks at a decision again. For the two sides only.

    The texts go when the person is forgotten.
    """

    __tablename__ = "objection"
    __table_args__ = (
        CheckConstraint("state IN ('pending', 'upheld', 'rejected', 'cancelled')", name="state"),
        CheckConstraint("decision_id IS NULL OR correction_id IS NULL", name="one_decision"),
        Index("ix_objection_pending", "due_on", "id", postgresql_where=_PENDING, sqlite_where=_PENDING),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    signature_id: Mapped[int] = mapped_column(ForeignKey("signature.id"), index=True)
    decision_id: Mapped[int | None] = mapped_column(ForeignKey("decision.id"), unique=True)
    correction_id: Mapped[int | None] = mapped_column(ForeignKey("correction.id"), unique=True)
    state: Mapped[str] = mapped_column(String(16))
    version: Mapped[int] = mapped_column(default=1)
    words: Mapped[str | None] = mapped_column(Text)  # the signatory's
    made_at: Mapped[datetime]
    due_on: Mapped[date]  # the day an answer is due; never moved later
    first_staff_id: Mapped[int | None] = mapped_column(ForeignKey("staff.id"))  # who decided; may not decide again
    staff_id: Mapped[int | None] = mapped_column(ForeignKey("staff.id"))  # who answered
    answer: Mapped[str | None] = mapped_column(Text)  # the Centre's words
    decided_at: Mapped[datetime | None]
    effective_at: Mapped[datetime | None]
    new_signature_id: Mapped[int | None] = mapped_column(ForeignKey("signature.id"))  # what has ended never returns


class WrittenRequest(Base):
    """A request that reached the Centre on paper or by letter, as staff recorded it. Holds no words of the person."""

    __tablename__ = "written_request"
    __table_args__ = (CheckConstraint("kind IN ('data', 'correct', 'withdraw', 'erase', 'object')", name="kind"),)

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    signature_id: Mapped[int] = mapped_column(ForeignKey("signature.id"), index=True)
    kind: Mapped[str] = mapped_column(String(16))
    reference: Mapped[str] = mapped_column(String(80))  # of the Centre's own register of letters
    received_on: Mapped[date]
    staff_id: Mapped[int] = mapped_column(ForeignKey("staff.id"))
    recorded_at: Mapped[datetime]
