"""When the world around the database breaks: which errors mean that, how long anybody waits, and when nobody tries."""

from __future__ import annotations

import math
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from sqlalchemy.exc import (
    DatabaseError,
    DBAPIError,
    InterfaceError,
    InvalidRequestError,
    OperationalError,
    SQLAlchemyError,
    TimeoutError,
)

#: Whoever waits for a page longer than this has left, and other pages wait behind it.
READ_WAIT_MS = 3000
#: How long one statement of a web request may work on PostgreSQL, beyond what it waits for locks.
WORK_MS = 5000
#: How much later than the server's own limits a web request gives a silent server up.
SILENCE_MS = 2000
#: After a failure that somebody had to wait for, nobody tries for so long at most; then one does, and the others go on
#: without. A failure that came at once may be asked for again almost at once: that costs nobody anything.
REST_SECONDS = 2.0

#: Primary result codes of SQLite (https://www.sqlite.org/rescode.html) that no statement of ours is to blame for.
_SQLITE_BREAKDOWNS = frozenset(
    {
        sqlite3.SQLITE_PERM,
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_NOMEM,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_INTERRUPT,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_CORRUPT,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_PROTOCOL,
        sqlite3.SQLITE_NOLFS,
        sqlite3.SQLITE_NOTADB,
    }
)
#: After these a connection may go on believing what it read amiss.
_SQLITE_MISREAD = frozenset(
    {
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_CORRUPT,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_PROTOCOL,
        sqlite3.SQLITE_NOTADB,
    }
)
#: read_only_sql_transaction: a standby, or a primary that was demoted under us.
_READ_ONLY = "25006"
#: feature_not_supported: among others that a statement was made ready before a migration changed what it returns.
_OUTDATED = "0A000"
#: Which function of the server says the latter; its words are in the server's language.
_REPLANNING = "RevalidateCachedQuery"
#: Class XX: data corrupted, index corrupted, internal error.
_CORRUPT = "XX"
#: lock_not_available, deadlock_detected, serialization_failure
_KEPT_WAITING = frozenset({"55P03", "40P01", "40001"})
#: SQLAlchemy's mark for "the connection was lost and this transaction has not been rolled back yet".
_LOST_CONNECTION = "8s2b"

_gives_up_at: ContextVar[float | None] = ContextVar("gives_up_at", default=None)
_serves: ContextVar[bool] = ContextVar("serves", default=False)
_is_request: ContextVar[bool] = ContextVar("is_request", default=False)


# ── which errors mean it ─────────────────────────────────────────────────────────────────────────────────────────────


def is_breakdown(error: BaseException) -> bool:
    """Whether the database is gone, locked, full, read-only or damaged, rather than wrongly asked: a 503, not a bug."""
    if isinstance(error, TimeoutError):
        return True
    if isinstance(error, InvalidRequestError):
        return error.code == _LOST_CONNECTION
    if not isinstance(error, DBAPIError):
        return False
    if error.connection_invalidated:
        return True
    code = getattr(error.orig, "sqlite_errorcode", None)
    if code is not None:
        # A database without our tables is another one than ours; every other SQL error is a bug of ours.
        return code & 0xFF in _SQLITE_BREAKDOWNS or "no such table" in str(error.orig)
    state = getattr(error.orig, "sqlstate", None)
    if state is not None and (state == _READ_ONLY or state.startswith(_CORRUPT)):
        return True
    # The bare class: the bytes that came from the server, or from the file, were not understood.
    return isinstance(error, (OperationalError, InterfaceError)) or type(error) is DatabaseError


def drop_misled(context: Any) -> None:
    """A listener (`handle_error`): gives up connections that would go on failing after everything has been mended.

    A page of the file that was read amiss stays in SQLite's cache; whoever is connected to a primary that became a
    standby stays with it, although the address leads elsewhere by now; a statement that was made ready stays so after a
    migration.
    """
    code = getattr(context.original_exception, "sqlite_errorcode", None)
    state = getattr(context.original_exception, "sqlstate", None)
    said_by = getattr(getattr(context.original_exception, "diag", None), "source_function", None)
    is_outdated = state == _OUTDATED and said_by == _REPLANNING
    if state == _READ_ONLY or is_outdated or (code is not None and code & 0xFF in _SQLITE_MISREAD):
        context.is_disconnect = True


def is_locked(error: DBAPIError) -> bool:
    """Whether somebody else holds the write lock of SQLite."""
    code = getattr(error.orig, "sqlite_errorcode", None)
    return code is not None and code & 0xFF in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}


def is_kept_waiting(error: BaseException) -> bool:
    """Whether PostgreSQL broke off because another transaction held what this one needed: a row, not the whole."""
    return isinstance(error, DBAPIError) and getattr(error.orig, "sqlstate", None) in _KEPT_WAITING


def code_of(error: SQLAlchemyError) -> str:
    """What to write into a log: the database's own code or the kind of error, never its words."""
    orig = getattr(error, "orig", None)
    for name in ("sqlstate", "sqlite_errorname"):
        found = getattr(orig, name, None)
        if found:
            return str(found)
    return type(orig if orig is not None else error).__name__


# ── how long anybody waits ───────────────────────────────────────────────────────────────────────────────────────────


def begin_request() -> None:
    """From here on somebody waits at a browser: statements get short limits, and no database file is made."""
    _is_request.set(True)


def end_request() -> None:
    """The answer is ready."""
    _is_request.set(False)


@contextmanager
def serving() -> Iterator[None]:
    """Around a loop that serves an installation: a database file that is missing is missed, not made anew empty."""
    token = _serves.set(True)
    try:
        yield
    finally:
        _serves.reset(token)


@contextmanager
def giving_up_at(moment: float) -> Iterator[Callable[[], float]]:
    """Inside, a write waits for others until `moment` of the monotonic clock at most; yields the seconds left."""
    token = _gives_up_at.set(moment)
    try:
        yield lambda: max(0.0, moment - time.monotonic())
    finally:
        _gives_up_at.reset(token)


def gives_up_at() -> float | None:
    """The moment of the `giving_up_at` we are inside of."""
    return _gives_up_at.get()


def wait_ms(patience_ms: int, *, is_writing: bool) -> int:
    """How long the transaction that begins now may wait for a lock."""
    if not is_writing:
        return min(patience_ms, READ_WAIT_MS) if _is_request.get() else patience_ms
    moment = _gives_up_at.get()
    if moment is None:
        return patience_ms
    return max(1, min(patience_ms, math.ceil((moment - time.monotonic()) * 1000)))


def is_request() -> bool:
    """Whether somebody waits at a browser."""
    return _is_request.get()


def may_make_file() -> bool:
    """Whether a missing SQLite file may be made: by commands and tests, never by what serves."""
    return not (_is_request.get() or _serves.get())


# ── when nobody tries ────────────────────────────────────────────────────────────────────────────────────────────────


class Breaker:
    """Remembers a failure for a moment, so that not everybody waits for the same thing one after another."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._is_broken = False
        self._rest_seconds = self._rests_until = 0.0

    def may_try(self) -> bool:
        """True while all is well. After a failure for one caller at a time, once the rest is over."""
        with self._lock:
            if not self._is_broken:
                return True
            now = time.monotonic()
            if now < self._rests_until:
                return False
            # Whoever asks now finds out for the others, who do not wait meanwhile; if it hangs, another one follows.
            self._rests_until = now + self._rest_seconds
            return True

    def failed(self, *, after_seconds: float) -> None:
        """It did not work, and took so long to say so."""
        with self._lock:
            self._is_broken = True
            self._rest_seconds = min(REST_SECONDS, after_seconds)
            self._rests_until = time.monotonic() + self._rest_seconds

    def succeeded(self) -> None:
        """It works."""
        if self._is_broken:
            with self._lock:
                self._is_broken = False


def connecting(breaker: Breaker, connection_class: Any = None) -> Callable[..., Any]:
    """A listener that opens connections for SQLAlchemy (`do_connect`), unless that failed a moment ago.

    connection_class: whose `connect` is called instead of the driver's own.
    """

    def connect(dialect: Any, _record: Any, arguments: Any, keywords: Any) -> Any:
        error = dialect.loaded_dbapi.OperationalError
        if not breaker.may_try():
            raise error("the database could not be reached a moment ago")
        begun = time.monotonic()
        try:
            if connection_class is not None:
                connection: Any = connection_class.connect(*arguments, **keywords)
            elif may_make_file() or os.path.exists(arguments[0]):
                connection = dialect.connect(*arguments, **keywords)
            else:
                raise error("unable to open database file")  # noqa: TRY301 - counts as a failure like the others
        except BaseException:
            breaker.failed(after_seconds=time.monotonic() - begun)
            raise
        breaker.succeeded()
        return connection

    return connect


def file_identity(path: str) -> tuple[int, int] | None:
    """What tells this file from another one of the same name; None if there is none."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino
