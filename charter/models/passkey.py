"""The passkeys of the Centre's people."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import BigInteger, ForeignKey, LargeBinary, String
from sqlalchemy.orm import Mapped, mapped_column

from charter.models.base import Base, BigId


class StaffPasskey(Base):
    """A device, or a password manager, that signs one member of staff in. For that person only; goes when removed."""

    __tablename__ = "staff_passkey"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    staff_id: Mapped[int] = mapped_column(ForeignKey("staff.id"), index=True)
    name: Mapped[str] = mapped_column(String(60))  # as its owner calls it
    user_handle: Mapped[bytes] = mapped_column(LargeBinary(32))  # random; the same for all passkeys of an account
    credential_id: Mapped[bytes] = mapped_column(LargeBinary(1023), unique=True)  # by which a device finds its key
    public_key: Mapped[bytes] = mapped_column(LargeBinary)  # COSE; of no use to a thief
    sign_count: Mapped[int] = mapped_column(BigInteger)  # of the last use; one that does not go on tells of a copy
    created_at: Mapped[datetime]
    last_used_at: Mapped[datetime | None]
