"""The public side: entries and counters, changed by a publication batch and by nothing else."""

from __future__ import annotations

from datetime import date

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, LargeBinary, String, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from charter.models.base import Base, BigId

#: Ordered by bytes, whatever the locale of the database: SQLite does so anyway.
_BY_BYTES = String().with_variant(String(collation="C"), "postgresql")
#: What a batch has to make findable yet: written by an older release, or brought back by a restore.
UNINDEXED = "words IS NULL OR (ended_on IS NOT NULL AND words <> '')"


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
        Index("ix_registry_entry_affiliation", "affiliation_slug", "number"),
        Index("ix_registry_entry_edition", "edition_slug", "number"),
        Index("ix_registry_entry_sort", "sort_key", "number"),
        Index("ix_registry_entry_region_sort", "region_code", "sort_key", "number"),
        Index("ix_registry_entry_affiliation_sort", "affiliation_slug", "sort_key", "number"),
        Index("ix_registry_entry_changed", "changed_revision", "number"),
        Index(
            "ix_registry_entry_unindexed",
            "number",
            sqlite_where=text(UNINDEXED),
            postgresql_where=text(UNINDEXED),
        ),
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
    # What it is found by, folded from what is shown and from nothing else: words and, behind `_`, filters. Triggers of
    # the database keep its search index by this column. Empty once ended.
    words: Mapped[str | None] = mapped_column(Text)
    sort_key: Mapped[str | None] = mapped_column(
        _BY_BYTES
    )  # Kazakh alphabetical order of the name shown; NULL once ended
    is_indexable: Mapped[bool | None]  # whether search engines may keep its page; None: no
    changed_revision: Mapped[int | None] = mapped_column(BigInteger)  # the `public_revision` of its last change


class RegionCount(Base):
    """How many entries of one kind a region has, by what became of them: kept by the batch, never counted by a page."""

    __tablename__ = "region_count"

    region_code: Mapped[str] = mapped_column(ForeignKey("region.code"), primary_key=True)
    kind: Mapped[str] = mapped_column(String(16), primary_key=True)
    listed: Mapped[int] = mapped_column(default=0)  # shown by full or short name
    unlisted: Mapped[int] = mapped_column(default=0)
    withdrawn: Mapped[int] = mapped_column(default=0)
    revoked: Mapped[int] = mapped_column(default=0)


class AffiliationCount(Base):
    """How many entries show this affiliation now, by region and kind. Kept by the batch."""

    __tablename__ = "affiliation_count"

    affiliation_slug: Mapped[str] = mapped_column(String(64), primary_key=True)
    region_code: Mapped[str] = mapped_column(ForeignKey("region.code"), primary_key=True)
    kind: Mapped[str] = mapped_column(String(16), primary_key=True)
    listed: Mapped[int] = mapped_column(default=0)


class EditionCount(Base):
    """How many entries name this edition now. Kept by the batch.

    Of the first edition of all there is only the change since this is kept: it has what the others have not.
    """

    __tablename__ = "edition_count"

    edition_slug: Mapped[str] = mapped_column(ForeignKey("edition.slug"), primary_key=True)
    shown: Mapped[int] = mapped_column(default=0)


class DayCount(Base):
    """How many entries bear this date of signing, whatever became of them. Kept by the batch."""

    __tablename__ = "day_count"
    __table_args__ = (Index("ix_day_count_region", "region_code", "signed_on"),)

    signed_on: Mapped[date] = mapped_column(primary_key=True)
    region_code: Mapped[str] = mapped_column(ForeignKey("region.code"), primary_key=True)
    kind: Mapped[str] = mapped_column(String(16), primary_key=True)
    signed: Mapped[int] = mapped_column(default=0)


class DaySpan(Base):
    """The lowest and highest registry number that bears this date of signing: a filter by date reads no others."""

    __tablename__ = "day_span"

    signed_on: Mapped[date] = mapped_column(primary_key=True)
    first_number: Mapped[int] = mapped_column(BigInteger)
    last_number: Mapped[int] = mapped_column(BigInteger)


class RegistryWord(Base):
    """A folded word that entries are found by, as long as one of them is shown: for near spellings."""

    __tablename__ = "registry_word"

    word: Mapped[str] = mapped_column(_BY_BYTES, primary_key=True)
    skeleton: Mapped[str] = mapped_column(String, index=True)
    entries: Mapped[int] = mapped_column(default=0)
