"""Regions and affiliations: dated data that the registry files signatures under."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime
from typing import Any, TypeVar

from sqlalchemy import JSON, CheckConstraint, ForeignKey, Index, String, text
from sqlalchemy.orm import Mapped, mapped_column

from charter.models.base import Base, BigId

T = TypeVar("T", "Region", "Affiliation")

#: Condition of a partial index: a query that is to use it says the same, letter by letter.
_OPEN = text("cursor IS NOT NULL")


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
    # What the public still sees of it until a batch brings out what staff have changed; {}: nothing; None: what stands.
    shown: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))


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
    # What the public still sees of it until a batch brings out what staff have changed; {}: nothing; None: what stands.
    shown: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))


#: What of each the public sees: a change by staff keeps it as it was until the batch.
_FACES: dict[type[Base], tuple[str, ...]] = {
    Region: ("name", "short", "abbr", "order", "tile_col", "tile_row", "valid_from", "valid_to"),
    Affiliation: ("name", "abbr", "is_selectable", "merged_into", "former_names", "valid_from", "valid_to"),
}


def keep_face(row: Region | Affiliation, *, is_new: bool = False) -> None:
    """Before a change by staff: the public goes on seeing the row as it is, or not at all, until `bring_out`."""
    if is_new:
        row.shown = {}
    elif row.shown is None:
        found = {name: getattr(row, name) for name in _FACES[type(row)]}
        row.shown = {key: value.isoformat() if isinstance(value, date) else value for key, value in found.items()}


def faces(rows: Iterable[T]) -> list[T]:
    """These as the public sees them at the newest batch, without those that are still to be shown; only to be read."""
    found = []
    for row in rows:
        if row.shown is None:
            found.append(row)
        elif row.shown:
            found.append(_face(row, row.shown))
    return found


def _face(row: T, shown: dict[str, Any]) -> T:
    values = {name: getattr(row, name) for name in row.__table__.columns.keys() if name != "shown"}  # noqa: SIM118
    days = {name: date.fromisoformat(shown[name]) for name in ("valid_from", "valid_to") if shown[name] is not None}
    # Of its own and in no session: nothing that is done with it can reach the database.
    return type(row)(**(values | shown | days))


class AffiliationAlias(Base):
    """A name under which people write an affiliation: its own ones too. For staff and for matching, not for the public.

    No two have the same folded words, so that what somebody types points to one affiliation or to none.
    """

    __tablename__ = "affiliation_alias"
    __table_args__ = (
        CheckConstraint("origin IN ('own', 'alias')", name="origin"),
        Index("ix_affiliation_alias_open", "id", postgresql_where=_OPEN, sqlite_where=_OPEN),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    affiliation_id: Mapped[int] = mapped_column(ForeignKey("affiliation.id"), index=True)
    name: Mapped[str] = mapped_column(String(200))
    name_fold: Mapped[str] = mapped_column(String(400), unique=True)  # folded words: the same over three alphabets
    origin: Mapped[str] = mapped_column(String(8))  # own: follows the affiliation's names; alias: added by staff
    # Signature id up to which waiting ones were looked at for these words; None once all were.
    cursor: Mapped[int | None] = mapped_column(BigId)
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
    was_selectable: Mapped[bool]  # the one that was taken in, before
    staff_id: Mapped[int] = mapped_column(ForeignKey("staff.id"))
    created_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]


class AffiliationMove(Base):
    """A waiting signature whose affiliation a merge has changed, or one whose waiting correction's it has."""

    __tablename__ = "affiliation_move"

    merge_id: Mapped[int] = mapped_column(ForeignKey("affiliation_merge.id"), primary_key=True)
    signature_id: Mapped[int] = mapped_column(ForeignKey("signature.id"), primary_key=True, index=True)
    correction_id: Mapped[int | None] = mapped_column(ForeignKey("correction.id"))  # None: the signature itself
