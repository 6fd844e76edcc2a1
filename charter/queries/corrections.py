"""Corrections of published entries: what their signatory sees of them, and what the Centre has to decide."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import ColumnElement, func, or_, select
from sqlalchemy.orm import aliased

from charter.domain.moments import LONGEST_UNDO
from charter.domain.moments import has_come as has_come_by
from charter.domain.signature import State
from charter.models.affiliation import Affiliation, Region
from charter.models.base import db
from charter.models.log import LogEvent
from charter.models.moments import has_come
from charter.models.registry import PublicEntry
from charter.models.rights import Correction
from charter.models.signature import Signature
from charter.models.staff import StaffAccount

PAGE_SIZE = 50
MOST_COUNTED = 1000
#: Of one person, shown in a dossier.
MOST_PAST = 20


@dataclass(frozen=True)
class EntryDetails:
    """What an entry says, or is to say. region, affiliation: as words in the language asked for.

    affiliation_slug: None where the affiliation is in the observer's own words, or on one's own.
    """

    kind: str
    full_name: str
    short_name: str
    region_code: str
    region: str
    affiliation_slug: str | None
    affiliation_name: str | None


#: The fields of `EntryDetails` that are compared and shown, in the order of the form.
FIELDS = ("kind", "affiliation_name", "full_name", "short_name", "region")


@dataclass(frozen=True)
class Case:
    """One correction with what stands now, for both sides. staff_name: for the Centre only.

    state: pending · approved · declined · cancelled. changed: names of `FIELDS`.
    """

    correction_id: int
    signature_id: int
    version: int
    state: str
    before: EntryDetails
    after: EntryDetails
    changed: tuple[str, ...]
    created_at: datetime
    due_on: date
    number: int | None
    staff_id: int | None
    staff_name: str | None
    reason: str | None
    note: str | None
    decided_at: datetime | None
    effective_at: datetime | None
    display: str
    language: str
    is_standing: bool

    @property
    def is_pending(self) -> bool:
        """Whether the Centre has to decide."""
        return self.state == "pending" and self.is_standing


@dataclass(frozen=True)
class EntryNow:
    """A published entry as its signatory may change it.

    display, name, is_indexable: as the public sees it now; wanted_…: as the signatory has chosen it.
    waiting: a correction that waits, or was decided a moment ago and can still be taken back. declined: the last one,
    if the Centre said no. is_coming: something decided or chosen waits for the next publication.
    """

    display: str
    name: str | None
    is_indexable: bool
    wanted_display: str
    wanted_indexable: bool
    waiting: Case | None
    declined: Case | None
    is_coming: bool


_AFTER = aliased(Affiliation)
_AFTER_REGION = aliased(Region)


def find_case(correction_id: int, language: str) -> Case | None:
    """One correction: one query."""
    return next(iter(_cases(language, Correction.id == correction_id)), None)


def past_of(signature_id: int, language: str) -> list[Case]:
    """What one person asked for, the newest first, at most MOST_PAST: one query."""
    return _cases(
        language,
        Correction.signature_id == signature_id,
        order=Correction.id.desc(),
        limit=MOST_PAST,
    )


def _cases(language: str, *where: ColumnElement[bool], order: object = None, limit: int | None = None) -> list[Case]:
    query = (
        select(Correction, Signature, Region, Affiliation, _AFTER_REGION, _AFTER, StaffAccount.name)
        .join(Signature, Signature.id == Correction.signature_id)
        .join(Region, Region.code == Signature.region_code)
        .join(_AFTER_REGION, _AFTER_REGION.code == Correction.region_code)
        .outerjoin(Affiliation, Affiliation.id == Signature.affiliation_id)
        .outerjoin(_AFTER, _AFTER.id == Correction.affiliation_id)
        .outerjoin(StaffAccount, StaffAccount.id == Correction.staff_id)
        .where(*where)
        .limit(limit)
    )
    if order is not None:
        query = query.order_by(order)  # type: ignore[arg-type]
    return [_case(row, language) for row in db.session.execute(query)]


def _case(row: Sequence[object], language: str) -> Case:
    correction, signature, region, affiliation, new_region, new_affiliation, staff_name = row
    assert isinstance(correction, Correction)
    assert isinstance(signature, Signature)
    before = _details(signature, region, affiliation, language)
    after = _details(correction, new_region, new_affiliation, language)
    return Case(
        correction_id=correction.id,
        signature_id=signature.id,
        version=correction.version,
        state=correction.state,
        before=before,
        after=after,
        changed=tuple(name for name in FIELDS if _said(before, name) != _said(after, name)),
        created_at=correction.created_at,
        due_on=correction.due_on,
        number=signature.number,
        staff_id=correction.staff_id,
        staff_name=staff_name if isinstance(staff_name, str) else None,
        reason=correction.reason,
        note=correction.note,
        decided_at=correction.decided_at,
        effective_at=correction.effective_at,
        display=signature.display,
        language=signature.language,
        is_standing=signature.state == State.PUBLISHED,
    )


def _said(details: EntryDetails, name: str) -> object:
    # One of the list and the same words typed by hand are not the same.
    said: object = getattr(details, name)
    return (said, details.affiliation_slug) if name == "affiliation_name" else said


def _details(row: Signature | Correction, region: object, affiliation: object, language: str) -> EntryDetails:
    assert isinstance(region, Region)
    matched = affiliation if isinstance(affiliation, Affiliation) else None
    return EntryDetails(
        kind=row.kind,
        full_name=row.full_name,
        short_name=row.short_name,
        region_code=row.region_code,
        region=region.name[language],
        affiliation_slug=None if matched is None else matched.slug,
        affiliation_name=row.affiliation_text if matched is None else matched.name[language],
    )


# ── the signatory ────────────────────────────────────────────────────────────────────────────────────────────────────


def find_entry_now(signature_id: int, language: str, *, now: datetime) -> EntryNow | None:
    """A published entry as its signatory sees it; None unless it stands in the registry."""
    row = db.session.execute(
        select(
            PublicEntry.display,
            PublicEntry.name,
            PublicEntry.is_indexable,
            Signature.display.label("wanted_display"),
            Signature.is_indexable.label("wanted_indexable"),
        )
        .join(Signature, Signature.entry == PublicEntry.entry)
        .where(Signature.id == signature_id, Signature.state == State.PUBLISHED, PublicEntry.ended_on.is_(None))
    ).first()
    if row is None:
        return None
    newest = next(
        iter(
            _cases(
                language,
                Correction.signature_id == signature_id,
                Correction.state != "cancelled",
                order=Correction.id.desc(),
                limit=1,
            )
        ),
        None,
    )
    # What can still be taken back has not happened yet.
    is_open = newest is not None and (
        newest.state == "pending"
        or newest.effective_at is None
        or not has_come_by(newest.effective_at, now=now, longest=LONGEST_UNDO)
    )
    queued = db.session.scalars(
        select(LogEvent.id)
        .where(
            LogEvent.signature_id == signature_id,
            LogEvent.kind == "correct",
            has_come(LogEvent.effective_at, now=now, longest=LONGEST_UNDO),
        )
        .limit(1)
    ).first()
    is_indexable, wanted_indexable = bool(row.is_indexable), bool(row.wanted_indexable)
    return EntryNow(
        display=row.display,
        name=row.name,
        is_indexable=is_indexable,
        wanted_display=row.wanted_display,
        wanted_indexable=wanted_indexable,
        waiting=newest if is_open else None,
        declined=newest if newest is not None and newest.state == "declined" and not is_open else None,
        is_coming=queued is not None or row.display != row.wanted_display or is_indexable != wanted_indexable,
    )


# ── the Centre ───────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class CaseRow:
    """One correction that waits. is_late: the day an answer is due has passed."""

    correction_id: int
    full_name: str
    new_name: str
    number: int | None
    region: str
    created_at: datetime
    due_on: date
    is_late: bool


@dataclass(frozen=True)
class CasePage:
    """Rows oldest due first. next_after: (due_on, id) to go on from, None at the end."""

    rows: list[CaseRow]
    next_after: tuple[date, int] | None


def queue(
    language: str, *, today: date, after: tuple[date, int] | None = None, regions: frozenset[str] | None = None
) -> CasePage:
    """Corrections that wait, oldest due first; one query by keyset on (due_on, id). regions: codes; None: all."""
    query = (
        select(Correction, Signature.full_name, Signature.number, Region)
        .join(Signature, Signature.id == Correction.signature_id)
        .join(Region, Region.code == Signature.region_code)
        .where(Correction.state == "pending", *_within(regions))
        .order_by(Correction.due_on, Correction.id)
        .limit(PAGE_SIZE + 1)
    )
    if after is not None:
        due, last = after
        query = query.where(or_(Correction.due_on > due, (Correction.due_on == due) & (Correction.id > last)))
    rows = db.session.execute(query).all()
    shown = [
        CaseRow(
            correction_id=correction.id,
            full_name=full_name,
            new_name=correction.full_name,
            number=number,
            region=region.short[language],
            created_at=correction.created_at,
            due_on=correction.due_on,
            is_late=correction.due_on < today,
        )
        for correction, full_name, number, region in rows[:PAGE_SIZE]
    ]
    more = len(rows) > PAGE_SIZE
    return CasePage(shown, (shown[-1].due_on, shown[-1].correction_id) if more else None)


def _within(regions: frozenset[str] | None) -> list[ColumnElement[bool]]:
    # Of the entry as it stands: where it would move to, nobody has agreed yet.
    return [] if regions is None else [Signature.region_code.in_(regions)]


def count_waiting(regions: frozenset[str] | None = None) -> int:
    """How many wait, counted up to MOST_COUNTED + 1 rows of a partial index."""
    waiting = select(Correction.id).where(Correction.state == "pending")
    if regions is not None:
        waiting = waiting.join(Signature, Signature.id == Correction.signature_id).where(*_within(regions))
    return db.session.scalar(select(func.count()).select_from(waiting.limit(MOST_COUNTED + 1).subquery())) or 0


def next_waiting(*, skip: int, regions: frozenset[str] | None = None) -> int | None:
    """The correction that is due first, other than `skip`."""
    return db.session.scalars(
        select(Correction.id)
        .join(Signature, Signature.id == Correction.signature_id)
        .where(Correction.state == "pending", Correction.id != skip, *_within(regions))
        .order_by(Correction.due_on, Correction.id)
        .limit(1)
    ).first()


def find_undo_offer(correction_id: int, *, staff_id: int, language: str, now: datetime) -> Case | None:
    """One's own decision just made, while its seconds last."""
    case = find_case(correction_id, language)
    if (
        case is None
        or case.staff_id != staff_id
        or case.state not in {"approved", "declined"}
        or case.effective_at is None
        or has_come_by(case.effective_at, now=now, longest=LONGEST_UNDO)
        or not case.is_standing
    ):
        return None
    return case
