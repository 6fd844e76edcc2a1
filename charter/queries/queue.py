"""What waits for the Centre: the queue by its filters, what was set aside, and how long the queue is for who waits."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from sqlalchemy import ColumnElement, Select, func, select, union_all

from charter.domain.queue import QueueFilter
from charter.domain.signature import State
from charter.models.affiliation import Affiliation, Region
from charter.models.base import db
from charter.models.desk import Claim, DeskCount, QueueMark, SavedView
from charter.models.queueing import allowed, is_before, is_free, lasts, waits
from charter.models.signature import PENDING, Clarification, Signature
from charter.models.staff import StaffAccount
from charter.queries.names import affiliation_name

PAGE_SIZE = 50
#: A page on which all are chosen at once: as many as are decided together.
LARGE_PAGE = 200
MOST_COUNTED = 1000
#: What ends waiting at the word of somebody who read it; a question only interrupts it.
ANSWERS = ("approve", "decline")
#: By which every claim has run out.
_NO_MOMENT = datetime.max.replace(tzinfo=UTC) - timedelta(days=1)


@dataclass(frozen=True)
class QueueRow:
    """One application that waits. is_late: the day an answer is due has passed. was_answered: a question came back.

    claimed_by: the name of who is at work on it, "" for oneself, None for nobody.
    """

    signature_id: int
    version: int
    full_name: str
    kind: str
    region: str
    affiliation_name: str | None
    confirmed_at: datetime
    due_on: date
    is_late: bool
    state: str
    was_answered: bool
    mail_domain: str
    claimed_by: str | None


@dataclass(frozen=True)
class QueuePage:
    """Rows oldest due first. next_after: (due_on, id) to go on from, None at the end."""

    rows: list[QueueRow]
    next_after: tuple[date, int] | None


@dataclass(frozen=True)
class HeldRow:
    """A signature set aside before confirmation."""

    signature_id: int
    full_name: str
    kind: str
    region: str
    submitted_at: datetime


@dataclass(frozen=True)
class ViewLine:
    """A kept choice of filters. query: the query part of the queue's address."""

    view_id: int
    name: str
    query: str


def _ids(
    wanted: QueueFilter,
    *more: ColumnElement[bool],
    staff_id: int,
    today: date,
    now: datetime,
    after: tuple[date, int] | None = None,
    limit: int,
) -> Select[int]:
    """The first so many, each region through its own index and then put in one order."""

    def part(region: str | None) -> Select[int, date | None]:
        query = select(Signature.id.label("id"), Signature.due_on.label("due_on")).where(
            *waits(wanted, staff_id=staff_id, today=today, now=now, is_beside_region=True), *more
        )
        if region is not None:
            query = query.where(Signature.region_code == region)
        if after is not None:
            # The first half again, so that the index begins where the page does.
            query = query.where(Signature.due_on >= after[0], is_before(*after))
        return query.order_by(Signature.due_on, Signature.id).limit(limit)

    parts = [part(region).subquery() for region in wanted.regions] or [part(None).subquery()]
    every = union_all(*(select(one.c.id, one.c.due_on) for one in parts)).subquery()
    return select(every.c.id).order_by(every.c.due_on, every.c.id).limit(limit)


def queue(
    language: str,
    *,
    today: date,
    wanted: QueueFilter = QueueFilter(),  # noqa: B008 - frozen
    regions: Collection[str] | None = None,
    staff_id: int = 0,
    now: datetime | None = None,
    after: tuple[date, int] | None = None,
    size: int = PAGE_SIZE,
) -> QueuePage:
    """Applications that wait for the Centre, oldest due first; one query by keyset on (due_on, id).

    regions: codes that the reader is responsible for; None: all. now: by which claims have run out.
    """
    within = allowed(wanted, regions)
    if within is None:
        return QueuePage([], None)
    # Without a moment no claim is looked at.
    moment = now or _NO_MOMENT
    ids = _ids(within, staff_id=staff_id, today=today, now=moment, after=after, limit=size + 1).subquery()
    answered = (
        select(Clarification.id)
        .where(Clarification.signature_id == Signature.id, Clarification.answered_at.is_not(None))
        .exists()
    )
    rows = db.session.execute(
        select(Signature, Region, Affiliation, answered.label("was_answered"), Claim.staff_id, StaffAccount.name)
        .join(ids, ids.c.id == Signature.id)
        .join(Region, Region.code == Signature.region_code)
        .outerjoin(Affiliation, Affiliation.id == Signature.affiliation_id)
        .outerjoin(Claim, (Claim.signature_id == Signature.id) & lasts(moment))
        .outerjoin(StaffAccount, StaffAccount.id == Claim.staff_id)
        .order_by(Signature.due_on, Signature.id)
    ).all()
    shown = [
        QueueRow(
            signature_id=signature.id,
            version=signature.version,
            full_name=signature.full_name,
            kind=signature.kind,
            region=region.short[language],
            affiliation_name=affiliation_name(signature, affiliation, language),
            confirmed_at=signature.confirmed_at,
            due_on=signature.due_on,
            is_late=signature.due_on < today,
            state=signature.state,
            was_answered=was_answered,
            mail_domain=signature.email.rpartition("@")[2],
            claimed_by="" if claimed_by == staff_id else name,
        )
        for signature, region, affiliation, was_answered, claimed_by, name in rows[:size]
        if signature.confirmed_at is not None and signature.due_on is not None
    ]
    more = len(rows) > size
    return QueuePage(shown, (shown[-1].due_on, shown[-1].signature_id) if more else None)


def count_waiting(state: str, *, regions: Collection[str] | None = None) -> int:
    """How many wait in this state, counted up to MOST_COUNTED + 1 rows of a partial index."""
    # The condition of the partial indexes, letter by letter, so that they are used.
    query = select(Signature.id).where(PENDING, Signature.state == state)
    if regions is not None:
        query = query.where(Signature.region_code.in_(sorted(regions)))
    limited = query.limit(MOST_COUNTED + 1).subquery()
    return db.session.scalar(select(func.count()).select_from(limited)) or 0


def next_in_queue(
    *,
    skip: int | None = None,
    wanted: QueueFilter = QueueFilter(),  # noqa: B008 - frozen
    regions: Collection[str] | None = None,
    staff_id: int = 0,
    today: date | None = None,
    now: datetime | None = None,
) -> int | None:
    """The id of the application that is due first and that nobody else is at work on, other than `skip`."""
    within = allowed(wanted, regions)
    if within is None:
        return None
    moment = now or _NO_MOMENT
    others = () if skip is None else (Signature.id != skip,)
    free = is_free(staff_id=staff_id, now=moment)
    return db.session.scalars(
        _ids(within, free, *others, staff_id=staff_id, today=today or date.min, now=moment, limit=1)
    ).first()


def held(language: str, *, regions: Collection[str] | None = None) -> list[HeldRow]:
    """Signatures set aside, oldest first, at most PAGE_SIZE."""
    query = (
        select(Signature, Region)
        .join(Region, Region.code == Signature.region_code)
        .where(Signature.held, Signature.state == State.SUBMITTED)
    )
    if regions is not None:
        query = query.where(Signature.region_code.in_(sorted(regions)))
    rows = db.session.execute(query.order_by(Signature.id).limit(PAGE_SIZE))
    return [
        HeldRow(signature.id, signature.full_name, signature.kind, region.short[language], signature.submitted_at)
        for signature, region in rows
    ]


@dataclass(frozen=True)
class Choices:
    """What the queue can be filtered by. regions: (code, short name); affiliations: (slug, name); both by name."""

    regions: list[tuple[str, str]]
    affiliations: list[tuple[str, str]]


def choices(language: str, *, regions: Collection[str] | None = None) -> Choices:
    """In the page's language, also what can no longer be chosen by observers: two queries.

    regions: codes that the reader is responsible for; None: all.
    """
    places = db.session.execute(select(Region.code, Region.short))
    parties = db.session.execute(select(Affiliation.slug, Affiliation.name))
    return Choices(
        sorted(
            ((row.code, row.short[language]) for row in places if regions is None or row.code in regions),
            key=lambda pair: pair[1].casefold(),
        ),
        sorted(((row.slug, row.name[language]) for row in parties), key=lambda pair: pair[1].strip('«»“”"').casefold()),
    )


def saved_views(staff_id: int) -> list[ViewLine]:
    """One's own, by name."""
    rows = db.session.scalars(select(SavedView).where(SavedView.staff_id == staff_id).order_by(SavedView.name))
    return [ViewLine(row.id, row.name, row.query) for row in rows]


# ── for who waits ────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Length:
    """How many wait before a place, from marks that are written each minute, and how many were answered in a week."""

    before: int
    week: int


def find_length(place: tuple[date, int] | None, *, today: date) -> Length | None:
    """What stands before (due_on, id), or before somebody new; None while the queue is not long. Two small queries."""
    query = select(func.max(QueueMark.place))
    if place is not None:
        due_on, signature_id = place
        query = query.where(
            (QueueMark.due_on < due_on) | ((QueueMark.due_on == due_on) & (QueueMark.signature_id <= signature_id))
        )
    before = db.session.scalar(query)
    if before is None:
        return None
    week = db.session.scalar(
        select(func.sum(DeskCount.count)).where(
            DeskCount.day >= today - timedelta(days=7), DeskCount.day < today, DeskCount.action.in_(ANSWERS)
        )
    )
    return Length(before, int(week or 0))


#: Every so many of the queue have a mark.
MARK_EVERY = 100


def find_marks() -> list[tuple[int, date, int]]:
    """(how many are due before, due_on, id) of each MARK_EVERY-th that waits: one walk through one index."""
    numbered = (
        select(
            (func.row_number().over(order_by=(Signature.due_on, Signature.id)) - 1).label("place"),
            Signature.due_on,
            Signature.id,
        )
        .where(PENDING, Signature.state == State.CONFIRMED)
        .subquery()
    )
    rows = db.session.execute(
        select(numbered.c.place, numbered.c.due_on, numbered.c.id).where(numbered.c.place % MARK_EVERY == 0)
    )
    return [(row.place, row.due_on, row.id) for row in rows]
