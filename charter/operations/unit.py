"""One operation is one transaction: it commits when it returns and leaves nothing behind when it raises."""

from __future__ import annotations

import functools
import random
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from typing import Any, ParamSpec, TypeVar, cast

from sqlalchemy import Connection, Insert, Table, inspect, text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm.attributes import set_committed_value
from sqlalchemy.sql.dml import ReturningInsert

from charter.models import trail, turns
from charter.models.base import WAIT_MS, Base, db, undo, writing
from charter.models.breakdown import gives_up_at, giving_up_at, is_locked, wait_ms

P = ParamSpec("P")
R = TypeVar("R")

_running: ContextVar[str | None] = ContextVar("operation", default=None)
#: That of the running operation. Asking the session for it each time costs a fifth of a small statement.
_connection: ContextVar[Connection | None] = ContextVar("connection", default=None)

ATTEMPTS = 6
#: serialization_failure, deadlock_detected
_RETRIED_STATES = frozenset({"40001", "40P01"})


#: Who of the staff is at work in this context; what is written then has to be recorded in the audit with it.
_acting: ContextVar[int | None] = ContextVar("acting", default=None)
_UNRECORDED = "__charter_unrecorded__"


class UnrecordedError(RuntimeError):
    """A member of staff changed something, and the audit of the same transaction does not say that it was they."""


def act_as(staff_id: int) -> None:
    """From here on everything that is written in this context is an act of this member of staff."""
    _acting.set(staff_id)


def act_as_nobody() -> None:
    """The end of that."""
    _acting.set(None)


@contextmanager
def acting(staff_id: int) -> Iterator[None]:
    """The same for a step of the worker that carries out what somebody began."""
    token = _acting.set(staff_id)
    try:
        yield
    finally:
        _acting.reset(token)


def unrecorded(verb: Callable[P, R]) -> Callable[P, R]:
    """Marks a verb that changes nothing anybody answers for, such as when somebody was last seen."""
    setattr(verb, _UNRECORDED, True)
    return verb


class NestedOperationError(RuntimeError):
    """An operation called another: the inner commit would make half of the outer one permanent."""


def _can_retry(error: DBAPIError) -> bool:
    return getattr(error.orig, "sqlstate", None) in _RETRIED_STATES or is_locked(error)


def operation(verb: Callable[P, R]) -> Callable[P, R]:
    """Makes `verb` one transaction.

    Any open read transaction ends first. The write lock is taken at once (`BEGIN IMMEDIATE` on SQLite), so that what
    the verb reads cannot be changed by another process before it writes. Serialization failures and deadlocks are
    tried again from the start, so a verb must not act outside the database. All attempts together wait for others no
    longer than the engine's `database_busy_timeout_ms`.
    Returns what the verb returns, after the commit. Raises NestedOperationError inside another operation, and
    UnrecordedError where staff are at work and something was written without a line in the audit.
    """

    is_recorded = not hasattr(verb, _UNRECORDED)

    @functools.wraps(verb)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        if _running.get() is not None:
            raise NestedOperationError(f"{verb.__name__} inside {_running.get()}")
        session = db.session
        undo()
        token = _running.set(verb.__name__)
        try:
            with (
                writing(),
                giving_up_at(_deadline()) as left_seconds,
                turns.taken(session.get_bind(), seconds=left_seconds()),
            ):
                for attempt in range(1, ATTEMPTS + 1):
                    try:
                        _connection.set(session.connection())
                        staff_id = _acting.get()
                        if is_recorded and staff_id is not None:
                            result = _recorded(staff_id, verb, *args, **kwargs)
                        else:
                            result = verb(*args, **kwargs)
                        session.commit()
                    except DBAPIError as error:
                        undo()
                        pause_seconds = random.uniform(0, 0.02 * 2**attempt)  # noqa: S311 - spreads retries
                        if attempt == ATTEMPTS or left_seconds() <= pause_seconds or not _can_retry(error):
                            raise
                        time.sleep(pause_seconds)
                    except BaseException:
                        undo()
                        raise
                    else:
                        return result
            raise AssertionError("unreachable")
        finally:
            _running.reset(token)
            _connection.set(None)

    return run


def _recorded(staff_id: int, verb: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R:
    with trail.written() as done:
        result = verb(*args, **kwargs)
        db.session.flush()
    if not done.is_recorded(staff_id):
        raise UnrecordedError(f"{getattr(verb, '__name__', verb)} wrote to {', '.join(sorted(done.tables))}")
    return result


def begin_waiting(verb: str) -> None:
    """Before a verb stands in line for an operation that somebody else may carry out: what was read here is let go.

    Raises NestedOperationError inside an operation, which would wait for itself.
    """
    if _running.get() is not None:
        raise NestedOperationError(f"{verb} inside {_running.get()}")
    if db.session.registry.has():
        undo()


def wait_seconds() -> float:
    """How long a write waits for others, in all."""
    return float(db.engine.get_execution_options().get(WAIT_MS, 0)) / 1000


def _deadline() -> float:
    """That of whoever stood in line already, else a new one."""
    given = gives_up_at()
    own = time.monotonic() + wait_seconds()
    return own if given is None else min(given, own)


def lock(room: str, key: str) -> None:
    """Makes operations that name the same room and key wait for each other until the end of this one.

    SQLite has a single writer already; PostgreSQL takes a transaction-level advisory lock.
    """
    session = db.session
    if session.get_bind().dialect.name == "postgresql":
        session.execute(text("SELECT pg_advisory_xact_lock(hashtextextended(:name, 0))"), {"name": f"{room}:{key}"})


def lock_each(room: str, keys: Collection[str]) -> None:
    """The same for several keys, in one statement and always in the same order, so that two never wait in a circle."""
    session = db.session
    if keys and session.get_bind().dialect.name == "postgresql":
        session.execute(
            text(
                "SELECT pg_advisory_xact_lock(hashtextextended(name, 0))"
                " FROM unnest(CAST(:names AS text[])) WITH ORDINALITY AS given (name, place) ORDER BY place"
            ),
            {"names": [f"{room}:{key}" for key in sorted(set(keys))]},
        )


def lock_free(room: str, keys: Collection[str]) -> frozenset[str]:
    """Locks those of several keys that nobody holds, and returns the others, which somebody does.

    For an operation of several people, of whom none should wait long for what only another of them needs: from here on
    it waits for any other lock a quarter of the time it has, and then fails with the server's `lock_not_available`.
    """
    session = db.session
    if not keys or session.get_bind().dialect.name != "postgresql":
        return frozenset()
    patience_ms = wait_ms(int(wait_seconds() * 1000), is_writing=True) // 4
    rows = session.execute(
        text(
            "SELECT set_config('lock_timeout', :patience, true), key,"
            " pg_try_advisory_xact_lock(hashtextextended(:room || ':' || key, 0))"
            " FROM unnest(CAST(:keys AS text[])) AS given (key)"
        ),
        {"room": room, "keys": sorted(set(keys)), "patience": f"{max(1, patience_ms)}ms"},
    )
    return frozenset(key for _, key, is_locked_now in rows if not is_locked_now)


def insert_if_absent(table: type[Base], rows: Sequence[Mapping[str, Any]]) -> int:
    """Inserts rows whose key is not there yet, without failing when another process adds the same one meanwhile.

    Returns how many were inserted.
    """
    if not rows:
        return 0
    connection = db.session.connection()
    # The rows as parameters, not as VALUES: the statement is then compiled once and not for every call.
    insertion = _insertion_if_absent(table, connection.dialect.name)
    # Of an INSERT the count is forgotten unless it is asked for.
    options = {"preserve_rowcount": True}
    return connection.execute(insertion, [dict(row) for row in rows], execution_options=options).rowcount


@cache
def _insertion_if_absent(table: type[Base], engine: str) -> Any:
    return insert_on(engine, table).on_conflict_do_nothing()


def insert_on(engine: str, table: type[Base] | Table) -> Any:
    """An INSERT that can say what happens ON CONFLICT, which each dialect has for itself. engine: its name."""
    dialect: Any = postgresql if engine == "postgresql" else sqlite
    return dialect.insert(table)


@cache
def _insertion(table: type[Base]) -> Insert:
    return cast("Table", table.__table__).insert()


@cache
def _insertion_with_ids(table: type[Base], known_by: str) -> ReturningInsert[Any]:
    (key,) = inspect(table).primary_key
    return _insertion(table).returning(cast("Table", table.__table__).c[known_by], key)


def insert_now(row: Base) -> None:
    """Writes one new row at once, past the session's unit of work, which costs several times the statement.

    Afterwards `row.id` is there, but the session does not know the row: what is changed in it later stays unwritten.
    What it refers to must be in the database already.
    """
    table = type(row)
    # Left out: what was not set. A null that is given would hide the column's default.
    values = {name: value for name, value in vars(row).items() if value is not None and name != "_sa_instance_state"}
    result = (_connection.get() or db.session.connection()).execute(_insertion(table), values)
    for column, value in zip(inspect(table).primary_key, result.inserted_primary_key or (), strict=True):
        set_committed_value(row, str(column.key), value)


def insert_all(rows: Sequence[Base], *, known_by: str | None = None) -> None:
    """The same for many new rows of one table, in one statement; what is null in all of them is left to its column.

    known_by: a column that is another in every row, where `row.id` is wanted afterwards: the database returns the ids
    in any order, and SQLite would insert row by row to return them in ours.
    """
    if len(rows) < 2:
        for row in rows:
            insert_now(row)
        return
    table = type(rows[0])
    given = [vars(row) for row in rows]
    names = {name for values in given for name, value in values.items() if value is not None} - {"_sa_instance_state"}
    connection = _connection.get() or db.session.connection()
    written = [{name: values.get(name) for name in sorted(names)} for values in given]
    if known_by is None:
        connection.execute(_insertion(table), written)
        return
    made = connection.execute(_insertion_with_ids(table, known_by), written)
    ids: dict[Any, Any] = dict(made.all())
    (key,) = inspect(table).primary_key
    for row, values in zip(rows, written, strict=True):
        set_committed_value(row, str(key.key), ids[values[known_by]])
