"""Editions: the immutable texts of the Charter and of the consents, as bytes with their digests."""

from __future__ import annotations

from datetime import date, datetime

from sqlalchemy import CheckConstraint, ForeignKey, LargeBinary, String, Text, select
from sqlalchemy.orm import Mapped, mapped_column

from charter.models.base import Base, BigId, db


class Edition(Base):
    """One published text of the Charter in all its languages. Public."""

    __tablename__ = "edition"

    slug: Mapped[str] = mapped_column(String(64), primary_key=True)  # permanent name; in addresses and record lines
    is_specimen: Mapped[bool]  # shown as "specimen", never as the official text
    published_on: Mapped[date]  # the day it was loaded, Asia/Almaty
    is_current: Mapped[bool]  # the one that is being signed
    is_material: Mapped[bool | None]  # whether it changed what signatories commit to; None: the first one
    follows: Mapped[str | None] = mapped_column(String(64))  # slug of the edition before


def changed_since(signed: str) -> Edition | None:
    """The edition that is signed today, where what is promised changed since `signed`: one query over few rows."""
    editions = {row.slug: row for row in db.session.scalars(select(Edition))}
    current = place = next((row for row in editions.values() if row.is_current), None)
    for _ in range(len(editions)):
        if place is None or place.slug == signed:
            return None
        if place.is_material:
            return current
        place = editions.get(place.follows or "")
    return None


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


class EditionDraft(Base):
    """An edition that staff write, in three languages side by side. For staff; kept, once published, as it was."""

    __tablename__ = "edition_draft"
    __table_args__ = (CheckConstraint("state IN ('draft', 'proposed', 'published', 'dropped')", name="state"),)

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    slug: Mapped[str] = mapped_column(String(64))  # the permanent name it will have
    follows: Mapped[str | None] = mapped_column(ForeignKey("edition.slug"))  # with which it is compared
    state: Mapped[str] = mapped_column(String(16))
    is_material: Mapped[bool] = mapped_column(default=True)
    version: Mapped[int] = mapped_column(default=1)  # rises with every change
    staff_id: Mapped[int] = mapped_column(ForeignKey("staff.id"))  # who began it
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]


class EditionDraftText(Base):
    """One language of a draft."""

    __tablename__ = "edition_draft_text"

    draft_id: Mapped[int] = mapped_column(ForeignKey("edition_draft.id"), primary_key=True)
    language: Mapped[str] = mapped_column(String(2), primary_key=True)
    body: Mapped[str] = mapped_column(Text)  # Markdown


class Affirmation(Base):
    """A signatory was asked to affirm a new edition, and perhaps did. For the two of them; append and answer only."""

    __tablename__ = "affirmation"

    signature_id: Mapped[int] = mapped_column(ForeignKey("signature.id"), primary_key=True)
    edition_slug: Mapped[str] = mapped_column(ForeignKey("edition.slug"), primary_key=True)
    asked_at: Mapped[datetime | None]  # the mail was queued
    affirmed_at: Mapped[datetime | None]
    language: Mapped[str | None] = mapped_column(String(2))  # of the text that was read


class AffirmationRound(Base):
    """How far the worker has asked the signatories of earlier editions to affirm this one."""

    __tablename__ = "affirmation_round"

    edition_slug: Mapped[str] = mapped_column(ForeignKey("edition.slug"), primary_key=True)
    cursor: Mapped[int] = mapped_column(BigId, default=0)  # id of the signature up to which all were asked
    asked: Mapped[int] = mapped_column(default=0)
    began_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]
