"""What observers wrote instead of choosing an affiliation, by how many wait with the same words, for staff."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, func, select

from charter.domain.affiliation import TYPE_OF, alias_fold
from charter.models.base import db
from charter.models.signature import OWN_WORDS, Signature

#: Applications that are looked at; whoever waits beyond is seen once these are answered.
MOST_READ = 20_000
MOST_GROUPS = 200
#: Spellings of one group that are shown.
MOST_SPELLINGS = 5


@dataclass(frozen=True)
class Group:
    """Words that are the same over three alphabets. signature_id: one who waits with them, to name the group by."""

    signature_id: int
    type: str
    words: str
    spellings: Sequence[str]
    waiting: int


@dataclass(frozen=True)
class Found:
    """The groups, the largest first. is_cut: more wait, or there are more groups, than were looked at."""

    groups: Sequence[Group]
    is_cut: bool


@dataclass(frozen=True)
class Words:
    """The words of one application that waits. kind: of observer."""

    signature_id: int
    text: str
    kind: str
    type: str
    region_code: str


def groups(*, regions: frozenset[str] | None = None) -> Found:
    """Read from one small index, and folded here: no row of anybody is opened. regions: codes of one's own, or all."""
    inside = select(Signature.affiliation_text, Signature.kind, Signature.id).where(OWN_WORDS)
    inside = inside.where(*_within(regions)).limit(MOST_READ + 1)
    part = inside.subquery()
    rows = db.session.execute(
        select(
            part.c.affiliation_text, part.c.kind, func.min(part.c.id).label("first"), func.count().label("waiting")
        ).group_by(part.c.affiliation_text, part.c.kind)
    ).all()
    spellings: dict[tuple[str, str], Counter[str]] = {}
    first: dict[tuple[str, str], int] = {}
    for row in rows:
        key = (TYPE_OF[row.kind], alias_fold(row.affiliation_text) or row.affiliation_text)
        spellings.setdefault(key, Counter())[row.affiliation_text] += row.waiting
        first[key] = min(first.get(key, row.first), row.first)
    found = [
        Group(
            first[key],
            key[0],
            words.most_common(1)[0][0],
            [spelling for spelling, _count in words.most_common(MOST_SPELLINGS + 1)[1:]],
            words.total(),
        )
        for key, words in spellings.items()
    ]
    found.sort(key=lambda one: (-one.waiting, one.words.casefold()))
    is_cut = sum(row.waiting for row in rows) > MOST_READ or len(found) > MOST_GROUPS
    return Found(found[:MOST_GROUPS], is_cut)


def find(signature_id: int, *, regions: frozenset[str] | None = None) -> Words | None:
    """The own words of one application; None where there are none any more."""
    row = db.session.execute(
        select(Signature.affiliation_text, Signature.kind, Signature.region_code).where(
            Signature.id == signature_id, OWN_WORDS, *_within(regions)
        )
    ).first()
    if row is None or row.affiliation_text is None:
        return None
    return Words(signature_id, row.affiliation_text, row.kind, TYPE_OF[row.kind], row.region_code)


def _within(regions: frozenset[str] | None) -> list[ColumnElement[bool]]:
    return [] if regions is None else [Signature.region_code.in_(regions)]
