"""Figures for everybody: signatures by day, and what the log says of answers; kept by the batch, never counted here."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import Select, func, select

from charter.domain.calendar import local_date
from charter.domain.periods import Days
from charter.models.base import db
from charter.models.figures import AnswerCount, LogTotal, MonthCount, is_migrated
from charter.models.log import LogBatch
from charter.models.registry import DayCount


@dataclass(frozen=True)
class Waiting:
    """How long answers took, in whole days from local day to local day; None without any. late: after the day due."""

    answered: int
    late: int
    median_days: int | None
    most_days: int | None  # the 95th percentile

    @property
    def in_time(self) -> int:
        """Not after the day they were due."""
        return self.answered - self.late


@dataclass(frozen=True)
class LogFigures:
    """What the leaves say up to the newest batch.

    applications = answered + withdrawn_waiting + waiting. overdue: of those that wait, due before `counted_on`.
    reasons: reason of the log → refusals, most first. days: after so many days → so many answers.
    """

    applications: int
    withdrawn_waiting: int
    withdrawn_published: int
    revoked: int
    waiting: int
    overdue: int
    counted_on: date
    answers: Waiting
    published: Waiting
    refused: Waiting
    reasons: tuple[tuple[str, int], ...]
    days: tuple[tuple[int, int], ...]


def signatures_by_day(region_code: str | None = None, *, since: date | None = None) -> Days:
    """Day of signing → kind → how many signatures bear it, whatever became of them; one query.

    As many rows as there are days, regions and kinds, however many signatures; of one region by an index.
    """
    query = select(DayCount.signed_on, DayCount.kind, func.sum(DayCount.signed))
    if region_code is not None:
        query = query.where(DayCount.region_code == region_code)
    if since is not None:
        query = query.where(DayCount.signed_on >= since)
    return _by_day(query.group_by(DayCount.signed_on, DayCount.kind))


def signatures_by_month(region_code: str | None = None) -> Days:
    """The same by month: its first day → kind → how many. Empty where the table is not there yet."""
    if not is_migrated(db.session.connection()):
        return {}
    query = select(MonthCount.month_on, MonthCount.kind, func.sum(MonthCount.signed))
    if region_code is not None:
        query = query.where(MonthCount.region_code == region_code)
    return _by_day(query.group_by(MonthCount.month_on, MonthCount.kind))


def _by_day(query: Select[date, str, int]) -> Days:
    found: dict[date, dict[str, int]] = defaultdict(dict)
    for day, kind, signed in db.session.execute(query):
        if signed:
            found[day][kind] = int(signed)
    return dict(found)


def find_log_figures() -> LogFigures | None:
    """What the log says in figures: three statements. None while not every leaf is counted yet."""
    if not is_migrated(db.session.connection()):
        return None
    tree_size = select(LogBatch.tree_size).order_by(LogBatch.revision.desc()).limit(1).scalar_subquery()
    found = db.session.execute(select(LogTotal, tree_size.label("tree_size"))).first()
    if found is None or found[0].counted_on is None or found[0].leaf_count != found.tree_size:
        return None
    total: LogTotal = found[0]
    rows = db.session.scalars(select(AnswerCount)).all()
    reasons: dict[str, int] = defaultdict(int)
    days: dict[int, int] = defaultdict(int)
    for row in rows:
        days[row.days] += row.answered
        if row.outcome == "refuse":
            reasons[row.reason] += row.answered
    return LogFigures(
        applications=total.applications,
        withdrawn_waiting=total.withdrawn_waiting,
        withdrawn_published=total.withdrawn_published,
        revoked=total.revoked,
        waiting=total.waiting,
        overdue=total.overdue,
        counted_on=found[0].counted_on,
        answers=_waiting(rows),
        published=_waiting([row for row in rows if row.outcome == "publish"]),
        refused=_waiting([row for row in rows if row.outcome == "refuse"]),
        reasons=tuple(sorted(reasons.items(), key=lambda one: (-one[1], one[0]))),
        days=tuple(sorted(days.items())),
    )


def has_uncounted_leaves() -> bool:
    """Whether leaves of the log wait to be counted outside a batch: after an upgrade, or after an older release."""
    if not is_migrated(db.session.connection()):
        return False
    tree_size = db.session.scalar(select(LogBatch.tree_size).order_by(LogBatch.revision.desc()).limit(1)) or 0
    return (db.session.scalar(select(LogTotal.leaf_count)) or 0) < tree_size


def is_new_day(*, now: datetime) -> bool:
    """Whether a day began since a batch looked at the clock, so that more may be overdue.

    False while leaves are uncounted: they come first. The day of a batch never goes back, whatever the clock does.
    """
    if not is_migrated(db.session.connection()):
        return False
    total = db.session.execute(select(LogTotal.leaf_count, LogTotal.counted_on)).first()
    last = db.session.execute(
        select(LogBatch.tree_size, LogBatch.at).order_by(LogBatch.revision.desc()).limit(1)
    ).first()
    if total is None or last is None or total.leaf_count != last.tree_size:
        return False
    return total.counted_on is None or total.counted_on < local_date(max(now, last.at))


def days_of(share_percent: int, days: Iterable[tuple[int, int]]) -> int | None:
    """The smallest number of days within which at least this share was answered (nearest rank); None for none.

    days: (after so many days, so many answers).
    """
    ordered = sorted(days)
    total = sum(count for _, count in ordered)
    so_far = 0
    for after, count in ordered:
        so_far += count
        if count and so_far * 100 >= share_percent * total:
            return after
    return None


def _waiting(rows: Sequence[AnswerCount]) -> Waiting:
    days = [(row.days, row.answered) for row in rows]
    return Waiting(
        answered=sum(row.answered for row in rows),
        late=sum(row.late for row in rows),
        median_days=days_of(50, days),
        most_days=days_of(95, days),
    )
