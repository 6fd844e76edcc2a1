"""The public side: entries and counters, changed by a publication batch and by nothing else."""

from __future__ import annotations

from datetime import date

from sqlalchemy import CheckConstraint, ForeignKey, Index, LargeBinary, String
from sqlalchemy.orm import Mapped, mapped_column

from charter.models.base import Base, BigId


class PublicEntry(Base):
    """One line of the registry: only what the public sees. Once ended, `line`, name and affiliation are destroyed."""

    __tablename__ = "registry_entry"
    __table_args__ = (
        CheckConstraint("(ended_on IS NULL) = (line IS NOT NULL)", name="line_while_live"),
        CheckConstraint("ended_on IS NULL OR (name IS NULL AND affiliation_name IS NULL)", name="nameless_when_ended"),
        CheckConstraint("display <> 'unlisted' OR (name IS NULL AND affiliation_name IS NULL)", name="unlisted"),
        Index("ix_registry_entry_region", "region_code", "number"),
        Index("ix_registry_entry_kind", "kind", "number"),
        Index("ix_registry_entry_region_kind", "region_code", "kind", "number"),
    )

    number: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=False)
    entry: Mapped[str] = mapped_column(String(32), unique=True)
    rev: Mapped[int]
    line: Mapped[bytes | None] = mapped_column(LargeBinary)  # the record line with its salt, as bytes
    kind: Mapped[str] = mapped_column(String(16))
    display: Mapped[str] = mapped_column(String(8))
    name: Mapped[str | None] = mapped_column(String(120))
    region_code: Mapped[str] = mapped_column(ForeignKey("region.code"))  # kept when ended, for the totals
    affiliation_slug: Mapped[str | None] = mapped_column(String(64))
    affiliation_name: Mapped[str | None] = mapped_column(String(200))
    edition_slug: Mapped[str] = mapped_column(ForeignKey("edition.slug"))
    signed_on: Mapped[date]
    ended_on: Mapped[date | None]
    ended_by: Mapped[str | None] = mapped_column(String(16))  # signatory | centre


class RegionCount(Base):
    """How many entries of one kind a region has, by what became of them: kept by the batch, never counted by a page."""

    __tablename__ = "region_count"

    region_code: Mapped[str] = mapped_column(ForeignKey("region.code"), primary_key=True)
    kind: Mapped[str] = mapped_column(String(16), primary_key=True)
    listed: Mapped[int] = mapped_column(default=0)  # shown by full or short name
    unlisted: Mapped[int] = mapped_column(default=0)
    withdrawn: Mapped[int] = mapped_column(default=0)
    revoked: Mapped[int] = mapped_column(default=0)
