"""Figures of the log: each leaf is counted once, by the batch that appends it or, for older ones, step by step after.

`log_total.leaf_count` says how far the leaves are counted, and moves in the transaction that counts them. So whoever
appends leaves – a batch, a restore, an older release that knows nothing of figures – none is left out or counted twice.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from functools import cache, lru_cache
from typing import Any, cast

from sqlalchemy import Integer, Table, bindparam, func, select
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
from charter.operations.bulk import insert_columns
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


@lru_cache(maxsize=16)
def _day_of(t: str) -> date:
    # All leaves of a batch have the same time.
    return local_date(parse_time(t))


def count_batch(leaves: Sequence[Mapping[str, Any]], *, first_index: int, at: datetime) -> None:
    """Counts the leaves, as objects, of a batch that is being appended from `first_index` on, and looks at the day.

    A step of whoever appends. While earlier leaves are not counted it does nothing: `count_past` will come to these.
    """
    if not is_migrated(db.session.connection()):
        return
    total = _total()
    if total["leaf_count"] != first_index:
        return
    _count(leaves, total)
    today = total["counted_on"] = local_date(at)
    sums = db.session.connection().execute(_WAITING, {"today": today}).one()
    total["waiting"], total["overdue"] = map(int, sums)
    _write_total(total)


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
    total = _total()
    first = total["leaf_count"]
    if first >= end:
        return False
    data = db.session.scalars(
        select(LogLeaf.data)
        .where(LogLeaf.index >= first, LogLeaf.index < min(end, first + most))
        .order_by(LogLeaf.index)
    ).all()
    # They are our own bytes, checked when they were written.
    _count([json.loads(one) for one in data], total)
    total["counted_on"] = None
    _write_total(total)
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
_DUES = cast("Table", DueCount.__table__)
# Put together once: each batch says these.
_READ_TOTAL = select(_TOTAL).where(_TOTAL.c.id == THE_TOTAL)
_FIRST_TOTAL = _TOTAL.insert()
_NEXT_TOTAL = _TOTAL.update().where(_TOTAL.c.id == THE_TOTAL)
#: (all, overdue): over as many rows as days on which something is due.
_WAITING = select(
    func.coalesce(func.sum(_DUES.c.waiting), 0),
    func.coalesce(func.sum(_DUES.c.waiting).filter(_DUES.c.due_on < bindparam("today")), 0),
)
_ANSWERED_DAYS = _DUES.delete().where(_DUES.c.waiting == 0)
_ENTRIES = {
    "sqlite": "entry IN (SELECT value FROM json_each(?))",
    "postgresql": "entry = ANY (%s::varchar[])",
}


def _total() -> dict[str, Any]:
    """The one row by column; whoever changes it writes it back."""
    found = db.session.connection().execute(_READ_TOTAL).mappings().first()
    if found is not None:
        return dict(found)
    zeros = {column.name: 0 for column in _TOTAL.c if isinstance(column.type, Integer)}
    return {**zeros, "id": THE_TOTAL, "counted_on": None, "is_new": True}


def _write_total(total: dict[str, Any]) -> None:
    is_new = total.pop("is_new", False)
    db.session.connection().execute(_FIRST_TOTAL if is_new else _NEXT_TOTAL, total)


def _count(leaves: Sequence[Mapping[str, Any]], total: dict[str, Any]) -> None:
    moves = follow(leaves, _waited({leaf["entry"] for leaf in leaves if COUNTED[leaf["kind"]]}))
    if moves.gone:
        _of_entries("DELETE FROM waiting_application WHERE", moves.gone)
    insert_columns(
        WaitingApplication,
        {
            "entry": list(moves.come),
            "confirmed_on": [on.isoformat() for on, _ in moves.come.values()],
            "due_on": [on.isoformat() for _, on in moves.come.values()],
        },
    )
    _add(DueCount, [{"due_on": due_on, "waiting": change} for due_on, change in sorted(moves.due.items()) if change])
    if any(change < 0 for change in moves.due.values()):
        db.session.connection().execute(_ANSWERED_DAYS)
    _add(
        AnswerCount,
        [
            {"outcome": outcome, "reason": reason, "days": days, "answered": count, "late": moves.late[place]}
            for place, count in sorted(moves.answers.items())
            for outcome, reason, days in [place]
        ],
    )
    for column, change in moves.sums.items():
        total[column] += change
    total["leaf_count"] += len(leaves)


def _waited(entries: Collection[str]) -> dict[str, tuple[date, date]]:
    """Entry → (confirmed_on, due_on) of those that wait for an answer."""
    if not entries:
        return {}
    rows = _of_entries("SELECT entry, confirmed_on, due_on FROM waiting_application WHERE", entries)
    return {entry: (_date(confirmed_on), _date(due_on)) for entry, confirmed_on, due_on in rows}


def _of_entries(statement: str, entries: Collection[str]) -> Any:
    """With all of them as one parameter: so many of their own cost more than the rows."""
    connection = db.session.connection()
    name = connection.dialect.name
    values = list(entries) if name == "postgresql" else json.dumps(list(entries))
    return connection.exec_driver_sql(f"{statement} {_ENTRIES[name]}", (values,))


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
