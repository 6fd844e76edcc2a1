"""The database: how a session begins, who may write, and the column types every table shares."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, date, datetime
from typing import Any

from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import BigInteger, Connection, Date, DateTime, Dialect, Engine, Integer, MetaData, String, event
from sqlalchemy.orm import DeclarativeBase, registry
from sqlalchemy.types import JSON, TypeDecorator

NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}

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


db = SQLAlchemy(model_class=Base, disable_autonaming=True)

_writing: ContextVar[bool] = ContextVar("writing", default=False)


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


def _connect_sqlite(busy_timeout_ms: int) -> Any:
    def connect(connection: Any, _record: Any) -> None:
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

    return connect


def _begin_sqlite(connection: Connection) -> None:
    if _writing.get():
        connection.exec_driver_sql("PRAGMA query_only = OFF")
        connection.exec_driver_sql("BEGIN IMMEDIATE")
    else:
        connection.exec_driver_sql("PRAGMA query_only = ON")
        connection.exec_driver_sql("BEGIN")


def _begin_postgresql(connection: Connection) -> None:
    if not _writing.get():
        # One snapshot for the whole page, and the server refuses any write.
        connection.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")


def configure(engine: Engine, *, busy_timeout_ms: int) -> None:
    """Attaches the rules above to one engine. SQLite: WAL, full durability, overwritten deletions."""
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _connect_sqlite(busy_timeout_ms))
        event.listen(engine, "begin", _begin_sqlite)
    else:
        event.listen(engine, "begin", _begin_postgresql)
