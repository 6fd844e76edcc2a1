"""Affiliations as the Centre's staff see them: the list, one with its words and mergers, what a merger would do."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import func, or_, select
from sqlalchemy.orm import aliased

from charter.domain.affiliation import alias_fold
from charter.domain.languages import Texts
from charter.domain.validity import is_valid_on
from charter.models.affiliation import Affiliation, AffiliationAlias, AffiliationMerge
from charter.models.base import db
from charter.models.registry import AffiliationCount
from charter.models.rights import Correction
from charter.models.signature import PENDING, Signature
from charter.models.staff import StaffAccount

PAGE_SIZE = 50
#: Counted no further.
MOST_COUNTED = 1000
#: Words of what is asked for that are looked at.
_MOST_WORDS = 8


@dataclass(frozen=True)
class Line:
    """One of the list. listed: published entries that name it. state: open | future | ended | closed | merged."""

    affiliation_id: int
    slug: str
    type: str
    name: Texts
    abbr: Texts
    state: str
    valid_from: date | None
    valid_to: date | None
    listed: int
    merged_into: str | None


@dataclass(frozen=True)
class Page:
    """One page of the list by its names in addresses. next_after: the slug behind which the next one begins."""

    lines: Sequence[Line]
    next_after: str | None


@dataclass(frozen=True)
class Alias:
    """Words that mean it. is_own: they follow its names. is_looking: the worker still looks who waits with them."""

    alias_id: int
    name: str
    is_own: bool
    is_looking: bool


@dataclass(frozen=True)
class Merge:
    """state: moving | done | undoing | undone. moved: who went along and is not given back."""

    merge_id: int
    from_id: int
    from_name: Texts
    into_id: int
    into_name: Texts
    state: str
    moved: int
    staff_name: str
    created_at: datetime

    @property
    def can_undo(self) -> bool:
        """Once, also while it is still moving."""
        return self.state in {"moving", "done"}


@dataclass(frozen=True)
class View:
    """One of them. waiting: applications that name it, of regions that may be read, at most MOST_COUNTED + 1.

    former: (names, until).
    """

    line: Line
    version: int
    is_selectable: bool
    former: Sequence[tuple[Texts, str]]
    aliases: Sequence[Alias]
    merges: Sequence[Merge]
    joined: Sequence[Line]
    waiting: int


@dataclass(frozen=True)
class Preview:
    """What a merger would do. waiting, corrections: at most MOST_COUNTED + 1. words: that mean the other one then.

    obstacle: why it cannot be done: self | type | merged | busy.
    """

    row: Line
    version: int
    into: Line
    waiting: int
    corrections: int
    words: Sequence[str]
    obstacle: str | None


def find_page(*, type: str | None, asked: str, after: str | None, today: date, size: int = PAGE_SIZE) -> Page:
    """One page by keyset. asked: every word is looked for in names, abbreviations and aliases, in any alphabet."""
    query = select(Affiliation)
    if type is not None:
        query = query.where(Affiliation.type == type)
    for word in alias_fold(asked[:200]).split()[:_MOST_WORDS]:
        # Folded words are letters and figures: nothing in them means anything to LIKE.
        named = select(AffiliationAlias.affiliation_id).where(AffiliationAlias.name_fold.like(f"%{word}%"))
        query = query.where(Affiliation.id.in_(named))
    if after is not None:
        query = query.where(Affiliation.slug > after)
    rows = db.session.scalars(query.order_by(Affiliation.slug).limit(size + 1)).all()
    lines = _lines(rows[:size], today)
    return Page(lines, lines[-1].slug if len(rows) > size else None)


def find(affiliation_id: int, *, today: date, regions: frozenset[str] | None = None) -> View | None:
    """One of them with everything around it: a constant number of queries. regions: codes of one's own, or all."""
    row = db.session.get(Affiliation, affiliation_id)
    if row is None:
        return None
    joined = db.session.scalars(
        select(Affiliation).where(Affiliation.merged_into == row.slug).order_by(Affiliation.slug)
    ).all()
    lines = _lines([row, *joined], today)
    return View(
        line=lines[0],
        version=row.version,
        is_selectable=row.is_selectable,
        former=[(one["name"], one["until"]) for one in row.former_names or ()],
        aliases=[
            Alias(one.id, one.name, one.origin == "own", one.cursor is not None)
            for one in db.session.scalars(
                select(AffiliationAlias)
                .where(AffiliationAlias.affiliation_id == row.id)
                .order_by(AffiliationAlias.origin, AffiliationAlias.name)
            )
        ],
        merges=_merges(row.id),
        joined=lines[1:],
        waiting=_count_waiting(row.id, regions),
    )


def find_name(affiliation_id: int) -> Texts | None:
    """What it is called."""
    return db.session.scalar(select(Affiliation.name).where(Affiliation.id == affiliation_id))


def choices(type: str, language: str, *, but: int | None = None) -> list[tuple[str, str]]:
    """(id, name) of every one of a type that was not merged away, by its name in addresses: to be chosen by staff."""
    rows = db.session.execute(
        select(Affiliation.id, Affiliation.name)
        .where(Affiliation.type == type, Affiliation.merged_into.is_(None), Affiliation.id != (but or 0))
        .order_by(Affiliation.slug)
    )
    return [(str(row.id), row.name[language]) for row in rows]


def preview(affiliation_id: int, into_id: int, *, today: date) -> Preview | None:
    """What merging one into the other would do now; None where one of them is not there."""
    rows = {
        row.id: row
        for row in db.session.scalars(select(Affiliation).where(Affiliation.id.in_((affiliation_id, into_id))))
    }
    if affiliation_id not in rows or into_id not in rows:
        return None
    row, into = rows[affiliation_id], rows[into_id]
    line, target = _lines([row, into], today)
    is_busy = db.session.scalars(
        select(AffiliationMerge.id)
        .where(
            or_(AffiliationMerge.from_id.in_(rows), AffiliationMerge.into_id.in_(rows)),
            AffiliationMerge.state == "undoing",
        )
        .limit(1)
    ).first()
    obstacles = {
        "self": row is into,
        "type": row.type != into.type,
        "merged": row.merged_into is not None or into.merged_into is not None,
        "busy": is_busy is not None,
    }
    wishes = (
        select(Correction.id)
        .join(Signature, Signature.id == Correction.signature_id)
        .where(
            Correction.state == "pending",
            Correction.affiliation_id == row.id,
            or_(Signature.affiliation_id.is_(None), Signature.affiliation_id != row.id),
        )
        .limit(MOST_COUNTED + 1)
    )
    return Preview(
        row=line,
        version=row.version,
        into=target,
        waiting=_count_waiting(row.id),
        corrections=db.session.scalar(select(func.count()).select_from(wishes.subquery())) or 0,
        words=db.session.scalars(
            select(AffiliationAlias.name)
            .where(AffiliationAlias.affiliation_id == row.id)
            .order_by(AffiliationAlias.name)
        ).all(),
        obstacle=next((code for code, is_there in obstacles.items() if is_there), None),
    )


def find_work() -> tuple[int | None, int | None]:
    """What the worker has to carry on: the oldest merger under way, and the oldest words; None for nothing."""
    merge_id = db.session.scalar(
        select(AffiliationMerge.id)
        .where(AffiliationMerge.state.in_(("moving", "undoing")))
        .order_by(AffiliationMerge.id)
        .limit(1)
    )
    alias_id = db.session.scalar(
        select(AffiliationAlias.id).where(AffiliationAlias.cursor.is_not(None)).order_by(AffiliationAlias.id).limit(1)
    )
    return merge_id, alias_id


def _merges(affiliation_id: int) -> list[Merge]:
    source, target = aliased(Affiliation), aliased(Affiliation)
    rows = db.session.execute(
        select(AffiliationMerge, source.name, target.name, StaffAccount.name)
        .join(source, source.id == AffiliationMerge.from_id)
        .join(target, target.id == AffiliationMerge.into_id)
        .join(StaffAccount, StaffAccount.id == AffiliationMerge.staff_id)
        .where(or_(AffiliationMerge.from_id == affiliation_id, AffiliationMerge.into_id == affiliation_id))
        .order_by(AffiliationMerge.id.desc())
        .limit(PAGE_SIZE)
    )
    return [
        Merge(one.id, one.from_id, name, one.into_id, into_name, one.state, one.moved, staff_name, one.created_at)
        for one, name, into_name, staff_name in rows
    ]


def _count_waiting(affiliation_id: int, regions: frozenset[str] | None = None) -> int:
    """By the index of the queue, no further than a little beyond MOST_COUNTED."""
    found = select(Signature.id).where(PENDING, Signature.affiliation_id == affiliation_id)
    if regions is not None:
        found = found.where(Signature.region_code.in_(regions))
    found = found.limit(MOST_COUNTED + 1)
    return db.session.scalar(select(func.count()).select_from(found.subquery())) or 0


def _lines(rows: Iterable[Affiliation], today: date) -> list[Line]:
    rows = list(rows)
    slugs = [row.slug for row in rows]
    listed: Mapping[str, int] = {
        slug: int(count)
        for slug, count in db.session.execute(
            select(AffiliationCount.affiliation_slug, func.sum(AffiliationCount.listed))
            .where(AffiliationCount.affiliation_slug.in_(slugs))
            .group_by(AffiliationCount.affiliation_slug)
        )
    }
    return [
        Line(
            affiliation_id=row.id,
            slug=row.slug,
            type=row.type,
            name=row.name,
            abbr=row.abbr or {},
            state=_state(row, today),
            valid_from=row.valid_from,
            valid_to=row.valid_to,
            listed=listed.get(row.slug, 0),
            merged_into=row.merged_into,
        )
        for row in rows
    ]


def _state(row: Affiliation, today: date) -> str:
    if row.merged_into is not None:
        return "merged"
    if not row.is_selectable:
        return "closed"
    if is_valid_on(today, valid_from=row.valid_from, valid_to=row.valid_to):
        return "open"
    return "future" if row.valid_from is not None and row.valid_from > today else "ended"
