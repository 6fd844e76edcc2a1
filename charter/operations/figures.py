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
from functools import cache, lru_cache
from typing import Any, cast

from sqlalchemy import Integer, Table, select, true
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
from charter.models.leaving import is_leaving
from charter.models.log import LogBatch, LogEvent, LogLeaf
from charter.operations.bulk import Writes
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
#: After these nobody waits any more.
_ENDING = frozenset(kind for kind, is_counted in COUNTED.items() if is_counted) - {"confirm", "revoke"}


@dataclass
class Moves:
    """What some leaves change. come: applications that wait after them and did not before, by entry."""

    sums: Counter[str] = field(default_factory=Counter)  # by column of `log_total`
    due: Counter[date] = field(default_factory=Counter)
    answers: Counter[tuple[str, str, int]] = field(default_factory=Counter)  # (outcome, reason, days)
    late: Counter[tuple[str, str, int]] = field(default_factory=Counter)
    come: dict[str, tuple[date, date]] = field(default_factory=dict)  # entry → (confirmed_on, due_on)


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
        on = _day_of(leaf["t"])
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
            moves.come.pop(entry, None)
            if kind in _ANSWERS:
                place = (kind, leaf.get("reason", ""), (on - confirmed_on).days)
                moves.answers[place] += 1
                moves.late[place] += on > due_on
        # Who is erased while standing has withdrawn first (LOG §5): here it may only end a wait.
        if kind == "withdraw" or (kind == "erase" and found is not None):
            moves.sums["withdrawn_published" if found is None else "withdrawn_waiting"] += 1
    return moves


@lru_cache(maxsize=16)
def _day_of(t: str) -> date:
    # All leaves of a batch have the same time.
    return local_date(parse_time(t))


def count_batch(leaves: Sequence[Mapping[str, Any]], writes: Writes, *, first_index: int, at: datetime) -> None:
    """Counts the leaves, as objects, of a batch that is being appended from `first_index` on, and looks at the day.

    A step of whoever appends; what changes is gathered. While earlier leaves are not counted it does nothing:
    `count_past` will come to these.
    """
    if not is_migrated(db.session.connection()):
        return
    total, due = _total()
    if total["leaf_count"] != first_index:
        return
    _count(leaves, total, due, writes)
    today = total["counted_on"] = local_date(at)
    total["waiting"] = sum(due.values())
    total["overdue"] = sum(waiting for due_on, waiting in due.items() if due_on < today)
    _write_total(total, writes)


@operation
def begin_day(*, now: datetime) -> None:
    """Queues a batch without leaves, which looks at the day: what depends on the clock may have changed (LOG §3)."""
    lock("publisher", "one")
    if db.session.scalar(select(LogEvent.id).where(LogEvent.kind == "refresh", ~is_leaving()).limit(1)) is None:
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
    total, due = _total()
    first = total["leaf_count"]
    if first >= end:
        return False
    data = db.session.scalars(
        select(LogLeaf.data)
        .where(LogLeaf.index >= first, LogLeaf.index < min(end, first + most))
        .order_by(LogLeaf.index)
    ).all()
    # They are our own bytes, checked when they were written.
    writes = Writes()
    _count([json.loads(one) for one in data], total, due, writes)
    total["counted_on"] = None
    _write_total(total, writes)
    writes.write()
    return bool(total["leaf_count"] < end)


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


_TOTAL = cast("Table", LogTotal.__table__)
#: The one row, as often as there are days on which something is due.
_READ_TOTAL = (
    select(_TOTAL, DueCount.due_on, DueCount.waiting.label("due_waiting"))
    .select_from(_TOTAL)
    .outerjoin(DueCount, true())
    .where(_TOTAL.c.id == THE_TOTAL)
)
_ASK = """\
SELECT entry, confirmed_on, due_on FROM waiting_application WHERE entry IN (SELECT value FROM json_each(?))"""
_TAKE = "DELETE FROM waiting_application WHERE entry IN (SELECT value FROM json_each(?))"
_TAKE_AND_ASK = """\
WITH gone AS (DELETE FROM waiting_application WHERE entry = ANY (%b::varchar[]) RETURNING entry, confirmed_on, due_on)
SELECT entry, confirmed_on, due_on FROM gone
UNION SELECT entry, confirmed_on, due_on FROM waiting_application WHERE entry = ANY (%b::varchar[])"""


def _total() -> tuple[dict[str, Any], dict[date, int]]:
    """The one row by column, and what is due by day; whoever changes them writes them back."""
    found = db.session.connection().execute(_READ_TOTAL).all()
    if not found:
        zeros = {column.name: 0 for column in _TOTAL.c if isinstance(column.type, Integer)}
        return {**zeros, "id": THE_TOTAL, "counted_on": None}, {}
    total = dict(zip(_TOTAL.c.keys(), found[0], strict=False))
    return total, {row.due_on: row.due_waiting for row in found if row.due_on is not None}


def _write_total(total: Mapping[str, Any], writes: Writes) -> None:
    writes.insert(LogTotal, {name: [value] for name, value in total.items()}, merge="replace")


def _count(leaves: Sequence[Mapping[str, Any]], total: dict[str, Any], due: dict[date, int], writes: Writes) -> None:
    moves = follow(leaves, _take_waiting(leaves))
    come = moves.come
    writes.insert(
        WaitingApplication,
        {
            "entry": list(come),
            "confirmed_on": [on for on, _ in come.values()],
            "due_on": [on for _, on in come.values()],
        },
    )
    _move_due(moves.due, due, writes)
    answers = sorted(moves.answers.items())
    writes.insert(
        AnswerCount,
        {
            "outcome": [outcome for (outcome, _, _), _ in answers],
            "reason": [reason for (_, reason, _), _ in answers],
            "days": [days for (_, _, days), _ in answers],
            "answered": [count for _, count in answers],
            "late": [moves.late[place] for place, _ in answers],
        },
        merge="add",
    )
    for column, change in moves.sums.items():
        total[column] += change
    total["leaf_count"] += len(leaves)


def _move_due(moves: Mapping[date, int], due: dict[date, int], writes: Writes) -> None:
    """Of a day on which nothing is due any more no row is left."""
    moved = sorted(day for day, change in moves.items() if change)
    for day in moved:
        due[day] = due.get(day, 0) + moves[day]
    left = [day for day in moved if due[day]]
    writes.insert(DueCount, {"due_on": left, "waiting": [due[day] for day in left]}, merge="replace")
    writes.delete(DueCount, "due_on", [day for day in moved if not due[day]])


def _take_waiting(leaves: Iterable[Mapping[str, Any]]) -> dict[str, tuple[date, date]]:
    """Entry → (confirmed_on, due_on) of those that wait for an answer. Whom a leaf ends waits no more."""
    ending: dict[str, None] = {}
    asking: dict[str, None] = {}
    for leaf in leaves:
        kind = leaf["kind"]
        if kind == "confirm":
            asking[leaf["entry"]] = None
        elif kind in _ENDING:
            ending[leaf["entry"]] = None
    if not ending and not asking:
        return {}
    connection = db.session.connection()
    # All of them as one parameter: so many of their own cost more than the rows.
    if connection.dialect.name == "postgresql":
        rows = connection.exec_driver_sql(_TAKE_AND_ASK, (list(ending), list(asking))).all()
    else:
        rows = connection.exec_driver_sql(_ASK, (json.dumps([*ending, *asking]),)).all()
        if taken := [entry for entry, *_ in rows if entry in ending]:
            connection.exec_driver_sql(_TAKE, (json.dumps(taken),))
    return {entry: (_date(confirmed_on), _date(due_on)) for entry, confirmed_on, due_on in rows}


@lru_cache(maxsize=256)
def _date(value: Any) -> date:
    """SQLite's driver knows no dates."""
    return value if isinstance(value, date) else date.fromisoformat(value)


def _add(model: type[Base], rows: Sequence[Mapping[str, Any]]) -> None:
    """Adds to counters, and makes those that are not there yet."""
    if rows:
        connection = db.session.connection()
        connection.execute(_addition(model, connection.dialect.name), [dict(row) for row in rows])


@cache
def _addition(model: type[Base], engine: str) -> Any:
    table = cast("Table", model.__table__)
    dialect: Any = postgresql if engine == "postgresql" else sqlite
    statement = dialect.insert(table)
    return statement.on_conflict_do_update(
        index_elements=list(table.primary_key.columns),
        set_={
            column.name: column + statement.excluded[column.name] for column in table.columns if not column.primary_key
        },
    )
