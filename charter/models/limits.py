"""What keeps signing from being abused: traces that last two weeks, and what a mailbox was sent. Never public."""

from __future__ import annotations

from datetime import date, datetime

from sqlalchemy import ForeignKey, Index, LargeBinary, String, text
from sqlalchemy.orm import Mapped, mapped_column

from charter.models.base import Base, BigId


class SigningTrace(Base):
    """From where and how one signature came, for limits and hints. Erased after two weeks, and with the person."""

    __tablename__ = "signing_trace"
    __table_args__ = (
        Index("ix_signing_trace_network", "network", "at"),
        Index("ix_signing_trace_domain", "domain", "at"),
        Index("ix_signing_trace_at", "at"),
    )

    signature_id: Mapped[int] = mapped_column(ForeignKey("signature.id"), primary_key=True, autoincrement=False)
    at: Mapped[datetime]
    network: Mapped[bytes | None] = mapped_column(LargeBinary(32))  # keyed digest of the network, with the day's key
    domain: Mapped[str | None] = mapped_column(String(255))  # of the mail address, lower case
    seconds: Mapped[int | None]  # from the form's signed start to its sending; None where there was none
    proof: Mapped[str | None] = mapped_column(String(16))  # solved | missing | wrong; None where none was asked for


class DayKey(Base):
    """The random part of the key that networks were digested with on one day; destroyed after two weeks."""

    __tablename__ = "day_key"

    day: Mapped[date] = mapped_column(primary_key=True)  # UTC
    key: Mapped[bytes] = mapped_column(LargeBinary(32))


class SpentChallenge(Base):
    """A proof of work that was used: none counts twice."""

    __tablename__ = "spent_challenge"

    digest: Mapped[bytes] = mapped_column(LargeBinary(32), primary_key=True)
    expires_at: Mapped[datetime] = mapped_column(index=True)


class MailboxTally(Base):
    """What a mailbox was sent before it confirmed anything, and whether it wants or takes mail at all.

    Keyed by a digest: whoever steals the database without the key learns no address from it.
    """

    __tablename__ = "mailbox_tally"
    __table_args__ = (
        Index(
            "ix_mailbox_tally_bounced",
            "bounced_at",
            postgresql_where=text("bounced_at IS NOT NULL"),
            sqlite_where=text("bounced_at IS NOT NULL"),
        ),
    )

    digest: Mapped[bytes] = mapped_column(LargeBinary(32), primary_key=True)  # HMAC of the mailbox, key in `instance/`
    unconfirmed_count: Mapped[int] = mapped_column(default=0, server_default="0")  # mails sent before any confirmation
    last_mail_at: Mapped[datetime | None] = mapped_column(index=True)
    confirmed_at: Mapped[datetime | None]  # somebody has confirmed through it
    bounced_at: Mapped[datetime | None]  # its server said that it does not exist
    bounce_count: Mapped[int] = mapped_column(default=0, server_default="0")
    stopped_at: Mapped[datetime | None]  # its owner said: this was not me
    stopped_until: Mapped[datetime | None]


class MailHour(Base):
    """Mails handed over in one hour, by all workers together."""

    __tablename__ = "mail_hour"

    hour_at: Mapped[datetime] = mapped_column(primary_key=True)  # its beginning, UTC
    sent_count: Mapped[int] = mapped_column(default=0, server_default="0")


class NotableName(Base):
    """A name that somebody might borrow: a hint for review where one looks like it. Kept by staff, for staff."""

    __tablename__ = "notable_name"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    name: Mapped[str] = mapped_column(String(120))
    name_fold: Mapped[str] = mapped_column(String(400), unique=True)  # folded words in alphabetical order
    staff_id: Mapped[int | None] = mapped_column(ForeignKey("staff.id"))
    added_at: Mapped[datetime]


class RetentionPass(Base):
    """The first of two passes: what was found to be over at that moment. The second, later one erases only that."""

    __tablename__ = "retention_pass"

    rule: Mapped[str] = mapped_column(String(32), primary_key=True)
    cutoff_at: Mapped[datetime]  # what is older than this may go in the second pass
    noted_at: Mapped[datetime]
