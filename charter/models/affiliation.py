"""Regions and affiliations: dated data that the registry files signatures under."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

from sqlalchemy import JSON, CheckConstraint, ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column

from charter.models.base import Base, BigId


class Region(Base):
    """Where an observer observes, by code. Public."""

    __tablename__ = "region"

    code: Mapped[str] = mapped_column(String(8), primary_key=True)  # ISO 3166-2, or ZZ for abroad
    slug: Mapped[str] = mapped_column(String(40), unique=True)
    name: Mapped[dict[str, str]]  # language → full name
    short: Mapped[dict[str, str]]  # language → name in lists
    abbr: Mapped[dict[str, str]]  # language → label of the tile, at most 11 characters
    order: Mapped[dict[str, str]]  # language → place in the list, zero-padded
    tile_col: Mapped[int]
    tile_row: Mapped[int]
    valid_from: Mapped[date | None]
    valid_to: Mapped[date | None]  # after this day it can no longer be chosen; entries keep it
    version: Mapped[int] = mapped_column(default=1, server_default="1")  # rises with every change by staff


class Affiliation(Base):
    """A party, organisation or mission to observe for. Public; published entries keep the name as signed."""

    __tablename__ = "affiliation"
    __table_args__ = (CheckConstraint("type IN ('party', 'organisation', 'mission')", name="type"),)

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    slug: Mapped[str] = mapped_column(String(64), unique=True)
    type: Mapped[str] = mapped_column(String(16), index=True)
    name: Mapped[dict[str, str]]  # language → full name
    abbr: Mapped[dict[str, str] | None]
    is_selectable: Mapped[bool]  # a merged party stays for old entries but cannot be chosen
    merged_into: Mapped[str | None] = mapped_column(ForeignKey("affiliation.slug"))
    former_names: Mapped[list[dict[str, Any]] | None] = mapped_column(JSON)  # [{"name": {language: …}, "until": date}]
    valid_from: Mapped[date | None]  # before this day it cannot be chosen
    valid_to: Mapped[date | None]  # after this day neither
    version: Mapped[int] = mapped_column(default=1, server_default="1")  # rises with every change by staff


class AffiliationAlias(Base):
    """Another name under which people write an affiliation. For staff and for matching; never shown to the public."""

    __tablename__ = "affiliation_alias"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    affiliation_id: Mapped[int] = mapped_column(ForeignKey("affiliation.id"), index=True)
    name: Mapped[str] = mapped_column(String(200))
    name_fold: Mapped[str] = mapped_column(String(400), unique=True)  # folded words: the same over three alphabets
    staff_id: Mapped[int | None] = mapped_column(ForeignKey("staff.id"))
    added_at: Mapped[datetime]


class AffiliationMerge(Base):
    """One affiliation taken into another by staff; what moved is kept, so that it can be undone. Staff only."""

    __tablename__ = "affiliation_merge"
    __table_args__ = (CheckConstraint("state IN ('moving', 'done', 'undoing', 'undone')", name="state"),)

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    from_id: Mapped[int] = mapped_column(ForeignKey("affiliation.id"), index=True)
    into_id: Mapped[int] = mapped_column(ForeignKey("affiliation.id"))
    state: Mapped[str] = mapped_column(String(8))
    moved: Mapped[int] = mapped_column(default=0)  # signatures so far
    cursor: Mapped[int] = mapped_column(BigId, default=0)  # signature id up to which the present direction is done
    staff_id: Mapped[int] = mapped_column(ForeignKey("staff.id"))
    created_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]


class AffiliationMove(Base):
    """A signature whose affiliation a merge has changed."""

    __tablename__ = "affiliation_move"

    merge_id: Mapped[int] = mapped_column(ForeignKey("affiliation_merge.id"), primary_key=True)
    signature_id: Mapped[int] = mapped_column(ForeignKey("signature.id"), primary_key=True, index=True)
