"""Runs migrations with the application's own engine, so that every rule of `models/base.py` holds here too."""

from __future__ import annotations

from typing import Any, Literal

from alembic import context
from sqlalchemy import Connection, inspect

from charter import models
from charter.models.base import SEARCH_TABLES, Base, Instant, db, writing

__all__ = ["models"]

#: One migrator at a time; the number is arbitrary and ours.
_LOCK = 4_201_220
#: On PostgreSQL a waiting ALTER TABLE lets nobody past: better to give up soon and to come again (`migrating.py`).
_LOCK_TIMEOUT_MS = 3_000


def render_item(kind: str, item: Any, _context: Any) -> str | Literal[False]:
    """Our own types are written as what they are in the database: migrations must not change when code does."""
    if kind == "type" and isinstance(item, Instant):
        return "sa.DateTime(timezone=True)"
    return False


def include_name(name: str | None, kind: str, _parents: Any) -> bool:
    """Whether a model should describe it."""
    return not (kind in {"table", "index"} and SEARCH_TABLES in (name or ""))


def run() -> None:
    """Migrates online, all steps in one transaction; there is no offline mode, because triggers differ by engine."""
    with writing(), db.engine.connect() as connection:
        if connection.dialect.name == "sqlite":
            _run_on_sqlite(connection)
        else:
            # Of the transaction, so that it ends with it and a pooler between does no harm. Waiting here is in nobody's
            # way; whoever comes second finds the work done, because the revision is read after this.
            connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_LOCK})")
            connection.exec_driver_sql(f"SET LOCAL lock_timeout = {_LOCK_TIMEOUT_MS}")
            _run_steps(connection)
            connection.commit()


def _run_on_sqlite(connection: Connection) -> None:
    # SQLite can change tables only by copying them, which foreign keys would forbid or, worse, cascade; the switch
    # works between transactions only.
    connection.exec_driver_sql("ROLLBACK")
    connection.exec_driver_sql("PRAGMA foreign_keys = OFF")
    try:
        connection.exec_driver_sql("BEGIN IMMEDIATE")
        triggers = _triggers(connection)
        _run_steps(connection)
        broken = connection.exec_driver_sql("PRAGMA foreign_key_check").fetchall()
        if broken:
            raise RuntimeError(f"migration leaves {len(broken)} broken references")
        _check_triggers(triggers, connection)
        connection.commit()
    finally:
        connection.rollback()
        connection.connection.driver_connection.execute("PRAGMA foreign_keys = ON")  # type: ignore[union-attr]


def _triggers(connection: Connection) -> dict[str, str]:
    """Name of each trigger → its table; those that keep the search index go with it, whatever table they hang on."""
    found = connection.exec_driver_sql("SELECT name, tbl_name, sql FROM sqlite_master WHERE type = 'trigger'")
    return {str(name): SEARCH_TABLES if SEARCH_TABLES in sql else str(table) for name, table, sql in found}


def _check_triggers(before: dict[str, str], connection: Connection) -> None:
    """A table that is copied loses its triggers without a word, and with them its being append-only."""
    after, tables = _triggers(connection), set(inspect(connection).get_table_names())
    lost = sorted(name for name, table in before.items() if table in tables and name not in after)
    if lost:
        raise RuntimeError(f"migration loses the triggers {', '.join(lost)}: make them anew after changing the table")


def _run_steps(connection: Connection) -> None:
    context.configure(
        connection=connection,
        target_metadata=Base.metadata,
        render_as_batch=True,
        render_item=render_item,
        include_name=include_name,
        compare_type=True,
        transactional_ddl=True,
    )
    with context.begin_transaction():
        context.run_migrations()


run()
