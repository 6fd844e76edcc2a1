"""Figures of the log: each leaf is counted once, by the batch that appends it or, for older ones, step by step after.

`log_total.leaf_count` says how far the leaves are counted, and moves in the transaction that counts them. So whoever
appends leaves – a batch, a restore, an older release that knows nothing of figures – none is left out or counted twice.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, cast

from sqlalchemy import Table, delete, func, insert, select
from sqlalchemy.dialects import postgresql, sqlite

from charter.domain.calendar import local_date
from charter.models.base import Base, db
from charter.models.figures import (
    THE_TOTAL,
    AnswerCount,
    DueCount,
    LogTotal,
    MonthCount,
    WaitingApplication,
    is_migrated,
)
from charter.models.log import LogBatch, LogEvent, LogLeaf
from charter.operations.unit import lock, operation
from charter.tlog.leaf import parse_time

#: Leaves of the past that are counted in one transaction: a fraction of a second.
LEAVES_AT_ONCE = 2000

#: Every kind of leaf → whether it says something about an application; a test asks for every kind of the log.
COUNTED = {
    "charter": False,
    "confirm": True,
    "publish": True,
    "correct": False,
    "refuse": True,
    "withdraw": True,
    "revoke": True,
    "erase": True,
    "key": False,
}
_ANSWERS = frozenset({"publish", "refuse"})


@dataclass
class Moves:
    """What some leaves change. come, gone: applications that begin and cease to wait, by entry."""

    sums: Counter[str] = field(default_factory=Counter)  # by column of `log_total`
    due: Counter[date] = field(default_factory=Counter)
    answers: Counter[tuple[str, str, int]] = field(default_factory=Counter)  # (outcome, reason, days)
    late: Counter[tuple[str, str, int]] = field(default_factory=Counter)
    come: dict[str, tuple[date, date]] = field(default_factory=dict)  # entry → (confirmed_on, due_on)
    gone: set[str] = field(default_factory=set)


def follow(leaves: Iterable[Mapping[str, Any]], waiting: Mapping[str, tuple[date, date]]) -> Moves:
    """What these leaves change, in their order.

    waiting: entry → (confirmed_on, due_on) of the applications among them that waited before. An answer to what never
    was an application counts nowhere, nor does a second `confirm`; LOG §1 allows neither.
    """
    moves = Moves()
    open_now = dict(waiting)
    for leaf in leaves:
        kind = leaf["kind"]
        if not COUNTED[kind]:
            continue
        entry = leaf["entry"]
        on = local_date(parse_time(leaf["t"]))
        if kind == "confirm":
            if entry in open_now:
                continue
            due_on = date.fromisoformat(leaf["due"])
            open_now[entry] = moves.come[entry] = (on, due_on)
            moves.sums["applications"] += 1
            moves.due[due_on] += 1
            continue
        if kind == "revoke":
            moves.sums["revoked"] += 1
            continue
        found = open_now.pop(entry, None)
        if found is not None:
            confirmed_on, due_on = found
            moves.due[due_on] -= 1
            if moves.come.pop(entry, None) is None:
                moves.gone.add(entry)
            if kind in _ANSWERS:
                place = (kind, leaf.get("reason", ""), (on - confirmed_on).days)
                moves.answers[place] += 1
                moves.late[place] += on > due_on
        # Who is erased while standing has withdrawn first (LOG §5): here it may only end a wait.
        if kind == "withdraw" or (kind == "erase" and found is not None):
            moves.sums["withdrawn_published" if found is None else "withdrawn_waiting"] += 1
    return moves


def count_batch(leaves: Sequence[Mapping[str, Any]], *, first_index: int, at: datetime) -> None:
    """Counts the leaves, as objects, of a batch that is being appended from `first_index` on, and looks at the day.

    A step of whoever appends. While earlier leaves are not counted it does nothing: `count_past` will come to these.
    """
    if not is_migrated(db.session.connection()):
        return
    total = _total()
    if total.leaf_count != first_index:
        return
    _count(leaves, total)
    total.counted_on = local_date(at)
    total.waiting, total.overdue = _waiting(total.counted_on)


@operation
def begin_day(*, now: datetime) -> None:
    """Queues a batch without leaves, which looks at the day: what depends on the clock may have changed (LOG §3)."""
    lock("publisher", "one")
    if db.session.scalar(select(LogEvent.id).where(LogEvent.kind == "refresh").limit(1)) is None:
        db.session.add(LogEvent(kind="refresh", values={}, effective_at=now))


@operation
def count_past(*, most: int = LEAVES_AT_ONCE) -> bool:
    """Counts at most so many leaves that no batch has counted; returns whether there are more.

    They are those from before these tables, those that an older release appended meanwhile, and those of a backup from
    before. After the last of them the next batch looks at the day, and pages show the figures.
    """
    lock("publisher", "one")
    if not is_migrated(db.session.connection()):
        return False
    end = db.session.scalar(select(LogBatch.tree_size).order_by(LogBatch.revision.desc()).limit(1)) or 0
    total = _total()
    if total.leaf_count >= end:
        return False
    first = total.leaf_count
    data = db.session.scalars(
        select(LogLeaf.data)
        .where(LogLeaf.index >= first, LogLeaf.index < min(end, first + most))
        .order_by(LogLeaf.index)
    ).all()
    # They are our own bytes, checked when they were written.
    _count([json.loads(one) for one in data], total)
    total.counted_on = None
    return total.leaf_count < end


def count_months(days: Mapping[tuple[date, str, str], int]) -> None:
    """Moves what a batch moves by day, (signed_on, region, kind) → difference, by month too. A step of its."""
    months: Counter[tuple[str, date, str]] = Counter()
    for (day, region_code, kind), change in days.items():
        months[region_code, day.replace(day=1), kind] += change
    moved = [
        {"region_code": region_code, "month_on": month_on, "kind": kind, "signed": change}
        for (region_code, month_on, kind), change in sorted(months.items())
        if change
    ]
    if moved and is_migrated(db.session.connection()):
        _add(MonthCount, moved)


def _total() -> LogTotal:
    total = db.session.get(LogTotal, THE_TOTAL)
    if total is None:
        total = LogTotal(id=THE_TOTAL, leaf_count=0, applications=0, withdrawn_waiting=0, withdrawn_published=0)
        total.revoked = total.waiting = total.overdue = 0
        db.session.add(total)
    return total


def _count(leaves: Sequence[Mapping[str, Any]], total: LogTotal) -> None:
    named = {leaf["entry"] for leaf in leaves if COUNTED[leaf["kind"]]}
    waiting: dict[str, tuple[date, date]] = {}
    if named:
        table = WaitingApplication
        rows = db.session.execute(select(table.entry, table.confirmed_on, table.due_on).where(table.entry.in_(named)))
        waiting = {row.entry: (row.confirmed_on, row.due_on) for row in rows}
    moves = follow(leaves, waiting)
    if moves.gone:
        db.session.execute(
            delete(WaitingApplication).where(WaitingApplication.entry.in_(moves.gone)),
            execution_options={"synchronize_session": False},
        )
    if moves.come:
        db.session.execute(
            insert(_table(WaitingApplication)),
            [
                {"entry": entry, "confirmed_on": confirmed_on, "due_on": due_on}
                for entry, (confirmed_on, due_on) in moves.come.items()
            ],
        )
    _add(DueCount, [{"due_on": due_on, "waiting": change} for due_on, change in sorted(moves.due.items()) if change])
    _add(
        AnswerCount,
        [
            {"outcome": outcome, "reason": reason, "days": days, "answered": count, "late": moves.late[place]}
            for place, count in sorted(moves.answers.items())
            for outcome, reason, days in [place]
        ],
    )
    for column, change in moves.sums.items():
        setattr(total, column, getattr(total, column) + change)
    total.leaf_count += len(leaves)


def _waiting(today: date) -> tuple[int, int]:
    """(all, overdue): two sums over as many rows as days on which something is due."""
    db.session.execute(delete(DueCount).where(DueCount.waiting == 0), execution_options={"synchronize_session": False})
    row = db.session.execute(
        select(
            func.coalesce(func.sum(DueCount.waiting), 0),
            func.coalesce(func.sum(DueCount.waiting).filter(DueCount.due_on < today), 0),
        )
    ).one()
    return int(row[0]), int(row[1])


def _table(model: type[Base]) -> Table:
    return cast("Table", model.__table__)


def _add(model: type[Base], rows: Sequence[Mapping[str, Any]]) -> None:
    """Adds to counters, and makes those that are not there yet."""
    if not rows:
        return
    table = _table(model)
    dialect: Any = postgresql if db.session.get_bind().dialect.name == "postgresql" else sqlite
    statement = dialect.insert(table)
    statement = statement.on_conflict_do_update(
        index_elements=list(table.primary_key.columns),
        set_={
            column.name: column + statement.excluded[column.name] for column in table.columns if not column.primary_key
        },
    )
    db.session.execute(statement, [dict(row) for row in rows])
