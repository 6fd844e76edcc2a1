"""Figures of the desk: what waits, what was decided and how fast, and how the mail is. Numbers only, each bounded."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from sqlalchemy import func, select

from charter.domain.calendar import local_date
from charter.domain.mail import WAY_OUT, hour_of
from charter.models.affiliation import Region
from charter.models.base import db
from charter.models.desk import DeskCount, WeeklySummary
from charter.models.importing import ImportJob
from charter.models.limits import MailboxTally, MailHour
from charter.models.outbox import Message
from charter.models.signature import Signature
from charter.models.sweeping import Invalidation
from charter.queries import holding, outbox
from charter.queries.queue import ANSWERS
from charter.queries.statistics import days_of

#: Of what waits so many are looked at, those due first; a page says "more than" beyond.
MOST_WAITING = 20_000
#: Of everything else that is counted here.
MOST_COUNTED = 1000
DAYS = 60
#: The queue's pace is that of so many whole days.
PACE_DAYS = 7
HOURS = 24
HOUR = timedelta(hours=1)
ACTIONS = ("approve", "decline", "ask", "sweep")
_UNDER_WAY = ("reading", "mapping", "checking", "checked", "running")
_SWEEPING = ("proposed", "running", "undoing")


@dataclass(frozen=True)
class RegionWaiting:
    """What waits in one region. name: in the page's language. oldest_at: of the confirmations; overdue: by then."""

    code: str
    name: str
    confirmed: int
    clarification: int
    overdue: int
    oldest_at: datetime | None

    @property
    def waiting(self) -> int:
        """Both states."""
        return self.confirmed + self.clarification


@dataclass(frozen=True)
class WaitingNow:
    """Regions with something, most first. is_more: more than MOST_WAITING wait, and these are the ones due first."""

    regions: list[RegionWaiting]
    is_more: bool

    @property
    def total(self) -> int:
        """All that were looked at."""
        return sum(one.waiting for one in self.regions)

    @property
    def overdue(self) -> int:
        """Due before today."""
        return sum(one.overdue for one in self.regions)

    @property
    def oldest_at(self) -> datetime | None:
        """The confirmation that waits longest."""
        return min((one.oldest_at for one in self.regions if one.oldest_at is not None), default=None)


@dataclass(frozen=True)
class RegionPace:
    """How long answers took in one region within DAYS. median_days, most_days: half, and 95 of 100, took no longer."""

    code: str
    name: str
    answered: int
    median_days: int
    most_days: int


@dataclass(frozen=True)
class Decided:
    """days: of the last DAYS, oldest first → what was decided, by action. pace: answers a day; regions: most first."""

    days: list[tuple[date, dict[str, int]]]
    regions: list[RegionPace]
    median_days: int | None
    most_days: int | None

    def total(self, action: str) -> int:
        """Within DAYS."""
        return sum(by_action.get(action, 0) for _day, by_action in self.days)

    @property
    def answered(self) -> int:
        """Approved and declined."""
        return sum(self.total(action) for action in ANSWERS)

    @property
    def pace(self) -> float:
        """Answers a day, of the last PACE_DAYS whole days."""
        whole = self.days[-PACE_DAYS - 1 : -1]
        return sum(by_action.get(action, 0) for _day, by_action in whole for action in ANSWERS) / PACE_DAYS


@dataclass(frozen=True)
class MailFigures:
    """sent: (beginning of the hour, mails), oldest first. failed: (code, mails) of those given up, of the newest
    MOST_COUNTED, and how many of these within the last week; bounced: mailboxes that no mail reaches, and within the
    last week; both at most MOST_COUNTED + 1.
    """

    sent: list[tuple[datetime, int]]
    failed: list[tuple[str, int]]
    failed_lately: int
    bounced: int
    bounced_lately: int


@dataclass(frozen=True)
class UnderWay:
    """One import or sweep that is not over. of: how many there are to do, 0 while nobody knows."""

    id: int
    state: str
    done: int
    of: int
    since: datetime


def waiting(language: str, *, today: date, regions: frozenset[str] | None = None) -> WaitingNow:
    """What waits now, by region and state: one statement over the queue's own index. regions: codes, None for all."""
    first = select(Signature.region_code, Signature.state, Signature.confirmed_at, Signature.due_on).where(
        Signature.state.in_(("confirmed", "clarification"))
    )
    if regions is not None:
        first = first.where(Signature.region_code.in_(regions))
    some = first.order_by(Signature.due_on, Signature.id).limit(MOST_WAITING + 1).subquery()
    grouped = (
        select(
            some.c.region_code,
            some.c.state,
            func.count().label("number"),
            func.min(some.c.confirmed_at).label("oldest_at"),
            func.count().filter(some.c.due_on < today).label("overdue"),
        )
        .group_by(some.c.region_code, some.c.state)
        .subquery()
    )
    found: dict[str, RegionWaiting] = {}
    seen = 0
    for row in db.session.execute(select(grouped, Region.short).join(Region, Region.code == grouped.c.region_code)):
        seen += row.number
        before = found.get(row.region_code)
        oldest = [one for one in (row.oldest_at, before.oldest_at if before else None) if one is not None]
        found[row.region_code] = RegionWaiting(
            code=row.region_code,
            name=row.short[language],
            confirmed=(before.confirmed if before else 0) + (row.number if row.state == "confirmed" else 0),
            clarification=(before.clarification if before else 0) + (row.number if row.state == "clarification" else 0),
            overdue=(before.overdue if before else 0) + row.overdue,
            oldest_at=min(oldest, default=None),
        )
    return WaitingNow(sorted(found.values(), key=lambda one: (-one.waiting, one.name)), seen > MOST_WAITING)


def decided(language: str, *, today: date, days: int = DAYS, regions: frozenset[str] | None = None) -> Decided:
    """What was decided in the last days, today included, from the counters: two statements."""
    first_on = today - timedelta(days=days - 1)
    recent = [DeskCount.day >= first_on, DeskCount.day <= today]
    if regions is not None:
        recent.append(DeskCount.region_code.in_(regions))
    by_day: dict[date, dict[str, int]] = defaultdict(dict)
    count = func.sum(DeskCount.count)
    for day, action, number in db.session.execute(
        select(DeskCount.day, DeskCount.action, count).where(*recent).group_by(DeskCount.day, DeskCount.action)
    ):
        by_day[day][action] = int(number)
    grouped = (
        select(DeskCount.region_code, DeskCount.waited_days, count.label("number"))
        .where(*recent, DeskCount.action.in_(ANSWERS))
        .group_by(DeskCount.region_code, DeskCount.waited_days)
        .subquery()
    )
    names: dict[str, str] = {}
    waited: dict[str, list[tuple[int, int]]] = defaultdict(list)
    for row in db.session.execute(select(grouped, Region.short).join(Region, Region.code == grouped.c.region_code)):
        names[row.region_code] = row.short[language]
        waited[row.region_code].append((row.waited_days, int(row.number)))
    everything = [one for some in waited.values() for one in some]
    return Decided(
        days=[(day, by_day.get(day, {})) for day in (first_on + timedelta(days=place) for place in range(days))],
        regions=_paces(names, waited),
        median_days=days_of(50, everything),
        most_days=days_of(95, everything),
    )


def _paces(names: dict[str, str], waited: dict[str, list[tuple[int, int]]]) -> list[RegionPace]:
    found = []
    for code, some in waited.items():
        median, most = days_of(50, some), days_of(95, some)
        if median is not None and most is not None:
            found.append(RegionPace(code, names[code], sum(number for _days, number in some), median, most))
    return sorted(found, key=lambda one: (-one.answered, one.name))


def expected_on(waiting_now: WaitingNow, decided_lately: Decided, *, now: datetime) -> date | None:
    """The day on which what waits now is answered if the pace stays; None while there is no pace, or too much waits."""
    if waiting_now.is_more or decided_lately.pace <= 0 or not waiting_now.total:
        return None
    days = -(-waiting_now.total // decided_lately.pace)
    return local_date(now) + timedelta(days=int(min(days, 3650)))


def mail_figures(*, now: datetime) -> MailFigures:
    """Four statements by indexes, each over a bounded number of rows."""
    since = hour_of(now) - timedelta(hours=HOURS - 1)
    rows = db.session.execute(select(MailHour.hour_at, MailHour.sent_count).where(MailHour.hour_at >= since)).all()
    sent = {row.hour_at: row.sent_count for row in rows}
    hours = [since + timedelta(hours=place) for place in range(HOURS)]
    a_week_ago = now - timedelta(days=7)
    some = (
        select(Message.last_error, Message.failed_at)
        .where(Message.failed_at.is_not(None))
        .order_by(Message.id.desc())
        .limit(MOST_COUNTED)
        .subquery()
    )
    failed = db.session.execute(
        select(
            func.coalesce(some.c.last_error, "other"),
            func.count(),
            func.count().filter(some.c.failed_at >= a_week_ago),
        ).group_by(some.c.last_error)
    ).all()
    return MailFigures(
        sent=[(hour, sent.get(hour, 0)) for hour in hours],
        failed=sorted(((code, number) for code, number, _lately in failed), key=lambda one: (-one[1], one[0])),
        failed_lately=sum(lately for _code, _number, lately in failed),
        bounced=_bounced(None),
        bounced_lately=_bounced(a_week_ago),
    )


def _bounced(since: datetime | None) -> int:
    query = select(MailboxTally.digest).where(MailboxTally.bounced_at.is_not(None), MailboxTally.digest != WAY_OUT)
    if since is not None:
        query = query.where(MailboxTally.bounced_at >= since)
    return db.session.scalar(select(func.count()).select_from(query.limit(MOST_COUNTED + 1).subquery())) or 0


def imports_under_way(*, of: int | None = None) -> list[UnderWay]:
    """The newest imports that are not over. of: who began them, None for anybody."""
    query = select(ImportJob).where(ImportJob.state.in_(_UNDER_WAY))
    if of is not None:
        query = query.where(ImportJob.staff_id == of)
    rows = db.session.scalars(query.order_by(ImportJob.id.desc()).limit(10))
    return [UnderWay(row.id, row.state, row.done, row.rows, row.created_at) for row in rows]


def sweeps_under_way(*, of: int | None = None) -> list[UnderWay]:
    """The newest invalidations that are not over. of: who began them, None for anybody."""
    query = select(Invalidation).where(Invalidation.state.in_(_SWEEPING))
    if of is not None:
        query = query.where(Invalidation.staff_id == of)
    rows = db.session.scalars(query.order_by(Invalidation.id.desc()).limit(10))
    return [
        UnderWay(row.id, row.state, row.undone if row.state == "undoing" else row.done, row.found, row.created_at)
        for row in rows
    ]


def is_week_told(week_on: date) -> bool:
    """Whether the summary of this week was queued."""
    return db.session.get(WeeklySummary, week_on) is not None


def week_figures(*, today: date, now: datetime) -> dict[str, int]:
    """The seven days before `today`, and how things stand now, as numbers for a mail; unknown ones are -1."""
    lately = decided("en", today=today - timedelta(days=1), days=7)
    standing = waiting("en", today=local_date(now))
    health, mail = outbox.mail_health(now=now), mail_figures(now=now)
    oldest = standing.oldest_at
    return {
        **{action: lately.total(action) for action in ACTIONS},
        "median_days": -1 if lately.median_days is None else lately.median_days,
        "most_days": -1 if lately.most_days is None else lately.most_days,
        "waiting": standing.total,
        "overdue": standing.overdue,
        "oldest_days": -1 if oldest is None else (local_date(now) - local_date(oldest)).days,
        "held": holding.groups("reason").count,
        "mail_waiting": health.waiting,
        "mail_late_hours": -1 if health.oldest_due_at is None else int((now - health.oldest_due_at) / HOUR),
        "mail_failed": mail.failed_lately,
        "bounced": mail.bounced_lately,
    }
