"""Regions and affiliations: dated data that the registry files signatures under."""

from __future__ import annotations

from datetime import date
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
