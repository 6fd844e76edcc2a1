"""The database: how a session begins, who may write, and the column types every table shares."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, date, datetime
from typing import Any

from flask_sqlalchemy import SQLAlchemy
from flask_sqlalchemy.session import Session
from sqlalchemy import BigInteger, Connection, Date, DateTime, Dialect, Engine, Integer, MetaData, String, event
from sqlalchemy.exc import DisconnectionError, InvalidatePoolError, SQLAlchemyError
from sqlalchemy.orm import DeclarativeBase, registry
from sqlalchemy.types import JSON, TypeDecorator

from charter.models import breakdown, trail

NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}

#: Tables of the search index begin so: each engine has its own, made by a migration and kept by triggers, no model.
SEARCH_TABLES = "registry_search"

#: SQLite counts only an INTEGER PRIMARY KEY upwards by itself.
BigId = BigInteger().with_variant(Integer(), "sqlite")


class Instant(TypeDecorator[datetime]):
    """An aware UTC instant. A naive one is refused: it would silently mean another moment on another machine."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Refuses a naive datetime and brings every other to UTC."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("naive datetime")
        return value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """SQLite returns no zone; what was stored is UTC."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class Base(DeclarativeBase):
    """Every table descends from here."""

    registry = registry(
        metadata=MetaData(naming_convention=NAMING),
        type_annotation_map={
            dict[str, str] | None: JSON(),
            datetime: Instant(),
            date: Date(),
            str: String(),
            dict[str, str]: JSON(),
            dict[str, Any]: JSON(),
        },
    )


#: The bind key of the streaming replica, where one is set.
REPLICA = "replica"

_writing: ContextVar[bool] = ContextVar("writing", default=False)
_from_replica: ContextVar[bool] = ContextVar("from_replica", default=False)


class RoutingSession(Session):
    """Reads from the replica inside `from_replica`, and from the primary everywhere else: a room cannot forget."""

    def get_bind(
        self, mapper: Any | None = None, clause: Any | None = None, bind: Any | None = None, **more: Any
    ) -> Engine | Connection:
        """The engine of the next statement; inside `writing` always the primary."""
        if bind is None and _from_replica.get() and not _writing.get():
            replica: Engine = self._db.engines[REPLICA]
            return replica
        return super().get_bind(mapper=mapper, clause=clause, bind=bind, **more)


_TABLES = {
    "sqlite": "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?",
    "postgresql": "SELECT 1 WHERE to_regclass(%s) IS NOT NULL",
}


def has_table(connection: Connection, name: str) -> bool:
    """Whether a table is there: while processes are replaced one by one, the code may be ahead of the database."""
    # Asked in every batch and for many a page: once it is there, this connection need not ask again.
    known: set[str] = connection.info.setdefault("tables", set())
    if name not in known and connection.exec_driver_sql(_TABLES[connection.dialect.name], (name,)).first():
        known.add(name)
    return name in known


db = SQLAlchemy(model_class=Base, disable_autonaming=True, session_options={"class_": RoutingSession})


@contextmanager
def writing() -> Iterator[None]:
    """Lets transactions that begin inside write; everywhere else the database itself refuses.

    Only `@operation`, migrations and the staff sign-in (CONTRIBUTING, known exceptions) enter here. So that a GET
    changes nothing is held by the database, not by discipline alone.
    """
    token = _writing.set(True)
    try:
        yield
    finally:
        _writing.reset(token)


@contextmanager
def from_replica() -> Iterator[None]:
    """Sends what the session reads inside to the replica, which must be there. `queries/replica.py` alone enters."""
    token = _from_replica.set(True)
    try:
        yield
    finally:
        _from_replica.reset(token)


#: Execution option of an engine: how long a write waits for others, in all.
WAIT_MS = "charter_wait_ms"
#: Execution option of a connection: each statement stands for itself, without a transaction around it. Only
#: `registry.glance_as_of` may: PostgreSQL would not refuse to write there.
ALONE = "charter_alone"
#: For so long a connection to PostgreSQL that has just been used is taken to be there still.
TRUSTED_SECONDS = 1.0
_USED = "used"
_BUSY_MS = "busy_ms"
_BUSY_STEP_MS = 500
_MAY_WRITE = "may_write"
_FILE = "file"


def _connect_sqlite(busy_timeout_ms: int, path: str) -> Any:
    def connect(connection: Any, record: Any) -> None:
        # The driver's own BEGIN comes too late and is always deferred: a read that later writes can then never get
        # the lock while another process holds it. Transactions begin in `_begin` instead.
        connection.isolation_level = None
        cursor = connection.cursor()
        for pragma in (
            f"busy_timeout = {int(busy_timeout_ms)}",
            "journal_mode = WAL",
            "synchronous = FULL",
            "foreign_keys = ON",
            "secure_delete = ON",
            # Else INSERT OR REPLACE deletes an append-only row without asking its trigger.
            "recursive_triggers = ON",
        ):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()
        record.info[_BUSY_MS] = int(busy_timeout_ms)
        record.info[_FILE] = breakdown.file_identity(path)

    return connect


def _check_out_sqlite(path: str) -> Any:
    def check_out(_connection: Any, record: Any, _proxy: Any) -> None:
        # SQLite goes on writing into a file that was moved, replaced or deleted: what it stores there is lost.
        if breakdown.file_identity(path) != record.info.get(_FILE):
            raise DisconnectionError("the database is another file now")

    return check_out


def _begin_sqlite(busy_timeout_ms: int) -> Any:
    def begin(connection: Connection) -> None:
        is_alone = bool(connection.get_execution_options().get(ALONE))
        is_writing = _writing.get() and not is_alone
        wait_ms = breakdown.wait_ms(busy_timeout_ms, is_writing=is_writing)
        # Each of these statements costs as much as an insert: only where the connection is in another state.
        known = connection.info
        if not wait_ms <= known.get(_BUSY_MS, 0) < wait_ms + _BUSY_STEP_MS:
            connection.exec_driver_sql(f"PRAGMA busy_timeout = {wait_ms}")
            known[_BUSY_MS] = wait_ms
        if known.get(_MAY_WRITE) is not is_writing:
            connection.exec_driver_sql(f"PRAGMA query_only = {'OFF' if is_writing else 'ON'}")
            known[_MAY_WRITE] = is_writing
        if not is_alone:
            connection.exec_driver_sql("BEGIN IMMEDIATE" if is_writing else "BEGIN")

    return begin


def _begin_postgresql(lock_timeout_ms: int) -> Any:
    def begin(connection: Connection) -> None:
        raw: Any = connection.connection.driver_connection
        if raw is not None and not raw.autocommit:
            # The driver would send a BEGIN of its own first: this way all is one way to the server and back.
            raw.autocommit = True
        options = connection.get_execution_options()
        if options.get(ALONE) or options.get("isolation_level") == "AUTOCOMMIT":
            return
        is_writing = _writing.get()
        # One snapshot for the whole page, and the server refuses any write.
        statements = ["BEGIN" if is_writing else "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"]
        # Of this transaction only: PgBouncer may give the next one to another session. Batches of the worker and
        # migrations take the time that they need.
        if breakdown.is_request():
            wait_ms = breakdown.wait_ms(lock_timeout_ms, is_writing=is_writing)
            work_ms = breakdown.WORK_MS + (wait_ms if is_writing else 0)
            statements += [f"SET LOCAL statement_timeout = {work_ms}", f"SET LOCAL lock_timeout = {wait_ms}"]
            if raw is not None:
                raw.silence_seconds = (work_ms + breakdown.SILENCE_MS) / 1000
        if not is_writing:
            # A statement that was made ready once is still planned for the values at hand: a region with a tenth of
            # all entries is not looked for like one with ten.
            statements.append("SET LOCAL plan_cache_mode = force_custom_plan")
        if raw is not None:
            raw.is_reading = not is_writing
        connection.exec_driver_sql("; ".join(statements))

    return begin


def _connect_postgresql(_connection: Any, record: Any) -> None:
    record.info[_USED] = time.monotonic()


def _check_out_postgresql(dialect: Dialect) -> Any:
    def check_out(connection: Any, record: Any, _proxy: Any) -> None:
        # What answered a moment ago need not be asked whether it is there: that is a way to the server and back for
        # every page. After a restart the first statement finds out, and no connection from before is used again.
        if time.monotonic() - record.info.get(_USED, 0.0) < TRUSTED_SECONDS:
            return
        try:
            dialect.do_ping(connection)
        except dialect.loaded_dbapi.Error as error:
            raise InvalidatePoolError("the server has ended this connection") from error

    return check_out


def _check_in_postgresql(connection: Any, record: Any) -> None:
    # None where the connection has been given up already.
    if connection is not None:
        connection.silence_seconds = breakdown.SILENCE_MS / 1000
        record.info[_USED] = time.monotonic()


def configure(engine: Engine, *, busy_timeout_ms: int) -> None:
    """Attaches the rules above to one engine. SQLite: WAL, full durability, overwritten deletions.

    busy_timeout_ms: how long a write waits for others, in all.
    """
    engine.update_execution_options(**{WAIT_MS: busy_timeout_ms})
    event.listen(engine, "handle_error", breakdown.drop_misled)
    trail.watch(engine)
    breaker = breakdown.Breaker()
    if engine.dialect.name == "sqlite":
        path = str(engine.url.database)
        event.listen(engine, "do_connect", breakdown.connecting(breaker))
        event.listen(engine, "connect", _connect_sqlite(busy_timeout_ms, path))
        event.listen(engine, "checkout", _check_out_sqlite(path))
        event.listen(engine, "begin", _begin_sqlite(busy_timeout_ms))
    else:
        from charter.models.patience import PatientConnection

        event.listen(engine, "do_connect", breakdown.connecting(breaker, PatientConnection))
        event.listen(engine, "connect", _connect_postgresql)
        event.listen(engine, "checkout", _check_out_postgresql(engine.dialect))
        event.listen(engine, "checkin", _check_in_postgresql)
        event.listen(engine, "begin", _begin_postgresql(busy_timeout_ms))


def let_go() -> None:
    """Ends this context's session for good, also one whose connection is broken: the next one starts afresh."""
    if not db.session.registry.has():
        return
    try:
        db.session.close()
    except SQLAlchemyError:
        # A rollback that failed would leave its mark on whoever gets this session next.
        db.session().invalidate()


def undo() -> None:
    """Rolls back whatever this context's session has begun, also over a broken connection."""
    try:
        db.session.rollback()
    except SQLAlchemyError:
        db.session().invalidate()
