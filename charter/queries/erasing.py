"""Who has left and is still to be forgotten, and what there is to erase."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import func, select

from charter.domain.calendar import local_date
from charter.domain.signature import State
from charter.models.base import db
from charter.models.leaving import may_be_forgotten
from charter.models.log import LogEvent
from charter.models.registry import PublicEntry
from charter.models.signature import Signature

#: Signatures that one look of `find_left_behind` passes: some milliseconds.
WINDOW = 5000


def has_leavers(*, now: datetime) -> bool:
    """Whether somebody can be forgotten now: as many rows are read as people wait for their last mail."""
    return db.session.scalar(select(LogEvent.id).where(may_be_forgotten(now=now)).limit(1)) is not None


def find_left_behind(after: int) -> tuple[list[int], int | None]:
    """Of a window of signatures from `after` on, those who withdrew and are still known by their address.

    The second value is where to go on, None at the end. Such are those who left under an older release.
    """
    window = (
        select(Signature.id, Signature.state, Signature.email)
        .where(Signature.id > after)
        .order_by(Signature.id)
        .limit(WINDOW)
        .subquery()
    )
    last = db.session.scalar(select(func.max(window.c.id)))
    if last is None:
        return [], None
    left = select(window.c.id).where(window.c.state == State.WITHDRAWN, window.c.email != "").order_by(window.c.id)
    return list(db.session.scalars(left)), int(last)


@dataclass(frozen=True)
class Erasable:
    """What an operator is asked about before it is erased. full_name: empty where nothing is kept any more."""

    entry: str
    number: int | None
    state: str
    full_name: str
    submitted_on: date


def find_erasable(*, entry: str | None = None, number: int | None = None) -> Erasable | None:
    """One signature in any state, by its entry or by its registry number; or an entry whose signature is lost."""
    query = select(Signature).where(Signature.entry == entry if number is None else Signature.number == number)
    row = db.session.scalars(query).first()
    if row is None:
        is_it = PublicEntry.entry == entry if number is None else PublicEntry.number == number
        left = db.session.scalars(select(PublicEntry).where(is_it, PublicEntry.ended_on.is_(None))).first()
        if left is None:
            return None
        return Erasable(left.entry, left.number, "published", left.name or "", left.signed_on)
    return Erasable(row.entry, row.number, row.state, row.full_name, local_date(row.submitted_at))
