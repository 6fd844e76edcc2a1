"""By which words an affiliation is found: its own names follow it, others are added by staff, none belongs to two."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import select

from charter.domain.affiliation import alias_fold
from charter.domain.errors import FieldRefusedError
from charter.models.affiliation import Affiliation, AffiliationAlias
from charter.models.base import db

OWN, ALIAS = "own", "alias"


class NameTakenError(FieldRefusedError):
    """The same words, in whatever alphabet, already mean another one. affiliation_id: which."""

    def __init__(self, field: str, affiliation_id: int) -> None:
        super().__init__(field, "taken")
        self.affiliation_id = affiliation_id


def names_of(row: Affiliation) -> dict[str, str]:
    """Its names as they are and were, and its abbreviations: folded → as written."""
    former: list[dict[str, Any]] = row.former_names or []
    found: dict[str, str] = {}
    for texts in (row.name, row.abbr or {}, *(one["name"] for one in former)):
        for name in texts.values():
            found.setdefault(alias_fold(name), name)
    found.pop("", None)
    return found


def note_names(rows: Sequence[Affiliation], *, now: datetime, staff_id: int | None = None) -> list[int]:
    """A step: lets the kept words follow the names of these; returns the ids of new ones.

    Words that mean another one already, such as an abbreviation that two share, stay with whoever had them.
    """
    ids = [row.id for row in rows]
    kept: dict[int, list[AffiliationAlias]] = {}
    for alias in db.session.scalars(
        select(AffiliationAlias).where(AffiliationAlias.affiliation_id.in_(ids)).order_by(AffiliationAlias.id)
    ):
        kept.setdefault(alias.affiliation_id, []).append(alias)
    wanted = {row.id: names_of(row) for row in rows}
    for row_id, aliases in kept.items():
        for alias in aliases:
            if alias.name_fold in wanted[row_id]:
                alias.name = wanted[row_id][alias.name_fold] if alias.origin == OWN else alias.name
            elif alias.origin == OWN:
                db.session.delete(alias)
    db.session.flush()
    folds = {folded for names in wanted.values() for folded in names}
    taken = set(db.session.scalars(select(AffiliationAlias.name_fold).where(AffiliationAlias.name_fold.in_(folds))))
    new = []
    for row in rows:
        for folded, name in wanted[row.id].items():
            if folded not in taken:
                taken.add(folded)
                new.append(_alias(row.id, name, folded, OWN, now=now, staff_id=staff_id))
    db.session.add_all(new)
    db.session.flush()
    return [alias.id for alias in new]


def add_alias(affiliation_id: int, name: str, *, now: datetime, staff_id: int) -> AffiliationAlias:
    """A step: further words for one; words that it has already are given back as they are.

    Raises FieldRefusedError where nothing of them can be compared, NameTakenError where they mean another one.
    """
    folded = alias_fold(name)
    if not folded:
        raise FieldRefusedError("name", "unknown")
    alias = find_alias(folded)
    if alias is None:
        alias = _alias(affiliation_id, name, folded, ALIAS, now=now, staff_id=staff_id)
        db.session.add(alias)
        db.session.flush()
    elif alias.affiliation_id != affiliation_id:
        raise NameTakenError("name", alias.affiliation_id)
    return alias


def find_alias(folded: str) -> AffiliationAlias | None:
    """Whose words these are."""
    return db.session.scalars(
        select(AffiliationAlias).where(AffiliationAlias.name_fold == folded).with_for_update()
    ).first()


def _alias(
    affiliation_id: int, name: str, folded: str, origin: str, *, now: datetime, staff_id: int | None
) -> AffiliationAlias:
    return AffiliationAlias(
        affiliation_id=affiliation_id,
        name=name[:200],
        name_fold=folded,
        origin=origin,
        staff_id=staff_id,
        added_at=now,
    )
