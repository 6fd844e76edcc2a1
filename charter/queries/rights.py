"""Letters that staff recorded, and why people withdrew: for the Centre; the first also for whoever wrote one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from sqlalchemy import func, select

from charter.domain.moments import is_recent
from charter.domain.signature import Move
from charter.models.affiliation import Affiliation, Region
from charter.models.base import db
from charter.models.rights import WrittenRequest
from charter.models.signature import Signature, SignatureEvent
from charter.models.staff import StaffAccount
from charter.queries.corrections import EntryDetails
from charter.queries.names import affiliation_name

#: Letters on one page.
PAGE_SIZE = 50
#: So many of the newest lines of all histories are looked through for figures: some tens of milliseconds.
MOST_EVENTS = 100_000
FIGURES_SPAN = timedelta(days=365)
#: After a letter was recorded its data can be handed over for so long; then it is recorded anew.
HAND_OVER = timedelta(hours=1)


@dataclass(frozen=True)
class MyLetter:
    """One's own request in writing, as it was recorded."""

    kind: str
    reference: str
    received_on: date
    recorded_at: datetime


@dataclass(frozen=True)
class LetterRow:
    """The same for the Centre. full_name: empty once forgotten."""

    request_id: int
    signature_id: int
    kind: str
    reference: str
    received_on: date
    recorded_at: datetime
    staff_name: str
    full_name: str


_LETTERS = (
    select(WrittenRequest, StaffAccount.name, Signature.full_name)
    .join(StaffAccount, StaffAccount.id == WrittenRequest.staff_id)
    .join(Signature, Signature.id == WrittenRequest.signature_id)
)


def my_letters(signature_id: int) -> list[MyLetter]:
    """One's own, oldest first."""
    query = select(
        WrittenRequest.kind, WrittenRequest.reference, WrittenRequest.received_on, WrittenRequest.recorded_at
    )
    rows = db.session.execute(query.where(WrittenRequest.signature_id == signature_id).order_by(WrittenRequest.id))
    return [MyLetter(*row) for row in rows]


def letters_of(signature_id: int) -> list[LetterRow]:
    """Of one signature, oldest first."""
    query = _LETTERS.where(WrittenRequest.signature_id == signature_id).order_by(WrittenRequest.id)
    return [_letter(*row) for row in db.session.execute(query)]


def letters(*, before: int | None = None, regions: frozenset[str] | None = None) -> tuple[list[LetterRow], int | None]:
    """The newest first, by keyset on the id; and where to go on, None at the end. regions: codes; None: everywhere."""
    query = _LETTERS.order_by(WrittenRequest.id.desc()).limit(PAGE_SIZE + 1)
    if regions is not None:
        query = query.where(Signature.region_code.in_(regions))
    if before is not None:
        query = query.where(WrittenRequest.id < before)
    found = [_letter(*row) for row in db.session.execute(query)]
    return found[:PAGE_SIZE], found[PAGE_SIZE - 1].request_id if len(found) > PAGE_SIZE else None


def _letter(row: WrittenRequest, staff_name: str, full_name: str) -> LetterRow:
    return LetterRow(
        row.id, row.signature_id, row.kind, row.reference, row.received_on, row.recorded_at, staff_name, full_name
    )


def find_hand_over(request_id: int, *, staff_id: int, now: datetime) -> int | None:
    """The signature whose data this member of staff may hand over now, because they just recorded a letter."""
    row = db.session.get(WrittenRequest, request_id)
    if row is None or row.kind != "data" or row.staff_id != staff_id:
        return None
    return row.signature_id if is_recent(row.recorded_at, now=now, within=HAND_OVER) else None


def find_details(signature_id: int, language: str) -> EntryDetails | None:
    """What a signature says, to be corrected by a letter; None for an unknown one."""
    row = db.session.execute(
        select(Signature, Region, Affiliation)
        .join(Region, Region.code == Signature.region_code)
        .outerjoin(Affiliation, Affiliation.id == Signature.affiliation_id)
        .where(Signature.id == signature_id)
    ).first()
    if row is None:
        return None
    signature, region = row[0], row[1]
    affiliation: Affiliation | None = row[2]
    return EntryDetails(
        kind=signature.kind,
        full_name=signature.full_name,
        short_name=signature.short_name,
        region_code=signature.region_code,
        region=region.name[language],
        affiliation_slug=None if affiliation is None else affiliation.slug,
        affiliation_name=affiliation_name(signature, affiliation, language),
    )


def withdrawal_figures(*, now: datetime) -> Mapping[str | None, int]:
    """How many withdrew within a year for which reason (None: not said), among the newest lines of all histories."""
    newest = (
        select(SignatureEvent.move, SignatureEvent.reason, SignatureEvent.at)
        .order_by(SignatureEvent.id.desc())
        .limit(MOST_EVENTS)
        .subquery()
    )
    query = (
        select(newest.c.reason, func.count())
        .where(newest.c.move == Move.WITHDRAW, newest.c.at > now - FIGURES_SPAN)
        .group_by(newest.c.reason)
    )
    return {row[0]: row[1] for row in db.session.execute(query)}
