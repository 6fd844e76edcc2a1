"""Editions: the immutable texts of the Charter and of the consents, as bytes with their digests."""

from __future__ import annotations

from datetime import date, datetime

from sqlalchemy import ForeignKey, LargeBinary, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from charter.models.base import Base


class Edition(Base):
    """One published text of the Charter in all its languages. Public."""

    __tablename__ = "edition"

    slug: Mapped[str] = mapped_column(String(64), primary_key=True)  # permanent name; in addresses and record lines
    is_specimen: Mapped[bool]  # shown as "specimen", never as the official text
    published_on: Mapped[date]  # the day it was loaded, Asia/Almaty
    is_current: Mapped[bool]  # the one that is being signed


class EditionText(Base):
    """One language of an edition, byte for byte as it is signed. Public."""

    __tablename__ = "edition_text"

    edition_slug: Mapped[str] = mapped_column(ForeignKey("edition.slug"), primary_key=True)
    language: Mapped[str] = mapped_column(String(2), primary_key=True)
    body: Mapped[bytes] = mapped_column(LargeBinary)  # UTF-8 Markdown
    sha256: Mapped[str] = mapped_column(String(64))  # hex of `body`


class ConsentText(Base):
    """The exact words of a consent that somebody gave. Public; kept as long as a consent points to it."""

    __tablename__ = "consent_text"

    sha256: Mapped[str] = mapped_column(String(64), primary_key=True)
    kind: Mapped[str] = mapped_column(String(16))  # processing | publication
    language: Mapped[str] = mapped_column(String(2))
    body: Mapped[str] = mapped_column(Text)
    first_used_at: Mapped[datetime]
