"""The Centre's people: their accounts, their sessions, and the counters that slow down guessing."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import JSON, BigInteger, CheckConstraint, ForeignKey, LargeBinary, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from charter.models.base import Base, BigId


class StaffAccount(Base):
    """One member of staff. For that person and the Centre only; never deleted, because decisions name it.

    The attributes and methods without a comment of their own are named as Flask-Security asks for them.
    """

    __tablename__ = "staff"
    __table_args__ = (
        CheckConstraint("language IN ('kk', 'ru', 'en')", name="language"),
        CheckConstraint("(invite_digest IS NULL) = (invite_expires_at IS NULL)", name="invite"),
        CheckConstraint("(tf_totp_secret IS NULL) = (tf_primary_method IS NULL)", name="second_factor"),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    name: Mapped[str] = mapped_column(String(120))  # colleagues see it beside decisions
    email: Mapped[str] = mapped_column(String(320), unique=True)  # in its form for comparison; who signs in
    language: Mapped[str] = mapped_column(String(2))  # of the desk, until changed there
    active: Mapped[bool] = mapped_column("is_active")
    password: Mapped[str | None] = mapped_column("password_hash", String(255))  # argon2; None until chosen
    # Part of every session: a new value ends them all.
    fs_uniquifier: Mapped[str] = mapped_column(String(64), unique=True)
    tf_primary_method: Mapped[str | None] = mapped_column(String(16))
    tf_totp_secret: Mapped[str | None] = mapped_column(Text)  # encrypted with a key that is not in the database
    totp_last_counter: Mapped[int | None] = mapped_column(BigInteger)  # of the last code taken: none is taken twice
    mf_recovery_codes: Mapped[list[str] | None] = mapped_column(JSON)  # keyed digests of the codes still unused
    recovery_kept_at: Mapped[datetime | None]  # when the person said that the codes are kept; no desk before
    role: Mapped[str] = mapped_column(
        String(16), default="reviewer", server_default="reviewer"
    )  # what the account may do: charter.domain.duties
    # Codes a reviewer is limited to; None: all.
    regions: Mapped[list[str] | None] = mapped_column(JSON(none_as_null=True))
    invite_uid: Mapped[bytes | None] = mapped_column(LargeBinary(16))  # of which a mailed link is computed
    invite_digest: Mapped[bytes | None] = mapped_column(LargeBinary(32), unique=True)  # SHA-256 of the one-time link
    invite_expires_at: Mapped[datetime | None]
    created_at: Mapped[datetime]
    last_seen_at: Mapped[datetime | None]
    deactivated_at: Mapped[datetime | None]

    @property
    def has_second_factor(self) -> bool:
        """Whether the person has set up an authenticator app."""
        return self.tf_totp_secret is not None

    is_authenticated = True
    is_anonymous = False

    @property
    def is_active(self) -> bool:
        return self.active

    def get_id(self) -> str:
        return self.fs_uniquifier

    def calc_username(self) -> str:
        return self.email

    def check_tf_required(
        self, tf_setup_methods: list[tuple[str, str]], tf_fresh: bool
    ) -> tuple[bool, list[tuple[str, str]]]:
        return True, tf_setup_methods  # of everybody, every time

    def check_tf_required_setup(self) -> bool:
        return True

    def track_failed_authn(self, auth_type: str, tfa: bool = False) -> None:
        """Failures are counted at the door, by network and account."""


class StaffSession(Base):
    """One signed-in browser: what makes an old copy of a cookie worthless. For nobody's eyes; kept for a week."""

    __tablename__ = "staff_session"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    digest: Mapped[bytes] = mapped_column(LargeBinary(32), unique=True)  # SHA-256 of the random id in the cookie
    staff_id: Mapped[int] = mapped_column(ForeignKey("staff.id"), index=True)
    began_at: Mapped[datetime]
    last_seen_at: Mapped[datetime]
    verified_at: Mapped[datetime | None]  # when the second factor was given once more; None: only at the beginning
    ended_at: Mapped[datetime | None]


class StaffDevice(Base):
    """A browser that has signed in to an account before: no mail is sent when it comes again. For nobody's eyes."""

    __tablename__ = "staff_device"

    staff_id: Mapped[int] = mapped_column(ForeignKey("staff.id"), primary_key=True)
    digest: Mapped[bytes] = mapped_column(LargeBinary(32), primary_key=True)  # SHA-256 of its long-lived cookie
    first_seen_at: Mapped[datetime]
    last_seen_at: Mapped[datetime]


class RateLimit(Base):
    """Attempts within one window. The key is a keyed digest: it names neither an address nor a person."""

    __tablename__ = "rate_limit"

    key: Mapped[str] = mapped_column(String(64), primary_key=True)
    count: Mapped[int]
    expires_at: Mapped[datetime] = mapped_column(index=True)
