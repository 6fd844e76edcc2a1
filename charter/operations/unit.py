"""One operation is one transaction: it commits when it returns and leaves nothing behind when it raises."""

from __future__ import annotations

import functools
import random
import time
from collections.abc import Callable, Mapping, Sequence
from contextvars import ContextVar
from typing import Any, ParamSpec, TypeVar

from sqlalchemy import text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DBAPIError

from charter.models.base import Base, db, writing

P = ParamSpec("P")
R = TypeVar("R")

_running: ContextVar[str | None] = ContextVar("operation", default=None)

ATTEMPTS = 6
#: serialization_failure, deadlock_detected
_RETRIED_STATES = frozenset({"40001", "40P01"})


class NestedOperationError(RuntimeError):
    """An operation called another: the inner commit would make half of the outer one permanent."""


def _can_retry(error: DBAPIError) -> bool:
    if getattr(error.orig, "sqlstate", None) in _RETRIED_STATES:
        return True
    return "database is locked" in str(error.orig)


def operation(verb: Callable[P, R]) -> Callable[P, R]:
    """Makes `verb` one transaction.

    Any open read transaction ends first. The write lock is taken at once (`BEGIN IMMEDIATE` on SQLite), so that what
    the verb reads cannot be changed by another process before it writes. Serialization failures and deadlocks are
    tried again from the start, so a verb must not act outside the database.
    Returns what the verb returns, after the commit. Raises NestedOperationError inside another operation.
    """

    @functools.wraps(verb)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        if _running.get() is not None:
            raise NestedOperationError(f"{verb.__name__} inside {_running.get()}")
        session = db.session
        session.rollback()
        token = _running.set(verb.__name__)
        try:
            with writing():
                for attempt in range(1, ATTEMPTS + 1):
                    try:
                        session.connection()
                        result = verb(*args, **kwargs)
                        session.commit()
                    except DBAPIError as error:
                        session.rollback()
                        if attempt == ATTEMPTS or not _can_retry(error):
                            raise
                        time.sleep(random.uniform(0, 0.02 * 2**attempt))  # noqa: S311 - spreads retries, hides nothing
                    except BaseException:
                        session.rollback()
                        raise
                    else:
                        return result
            raise AssertionError("unreachable")
        finally:
            _running.reset(token)

    return run


def lock(room: str, key: str) -> None:
    """Makes operations that name the same room and key wait for each other until the end of this one.

    SQLite has a single writer already; PostgreSQL takes a transaction-level advisory lock.
    """
    session = db.session
    if session.get_bind().dialect.name == "postgresql":
        session.execute(text("SELECT pg_advisory_xact_lock(hashtextextended(:name, 0))"), {"name": f"{room}:{key}"})


def insert_if_absent(table: type[Base], rows: Sequence[Mapping[str, Any]]) -> None:
    """Inserts rows whose key is not there yet, without failing when another process adds the same one meanwhile."""
    if not rows:
        return
    session = db.session
    dialect = postgresql if session.get_bind().dialect.name == "postgresql" else sqlite
    # The rows as parameters, not as VALUES: the statement is then compiled once and not for every call.
    session.execute(dialect.insert(table).on_conflict_do_nothing(), [dict(row) for row in rows])
