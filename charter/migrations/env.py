"""Runs migrations with the application's own engine, so that every rule of `models/base.py` holds here too."""

from __future__ import annotations

from typing import Any, Literal

from alembic import context

from charter import models
from charter.models.base import Base, Instant, db, writing

__all__ = ["models"]

#: One migrator at a time; the number is arbitrary and ours.
_LOCK = 4_201_220


def render_item(kind: str, item: Any, _context: Any) -> str | Literal[False]:
    """Our own types are written as what they are in the database: migrations must not change when code does."""
    if kind == "type" and isinstance(item, Instant):
        return "sa.DateTime(timezone=True)"
    return False


def run() -> None:
    """Migrates online; there is no offline mode, because triggers differ between the engines."""
    with writing(), db.engine.connect() as connection:
        # SQLite can change tables only by copying them, which foreign keys would forbid or, worse, cascade.
        is_sqlite = connection.dialect.name == "sqlite"
        if is_sqlite:
            connection.exec_driver_sql("ROLLBACK")
            connection.exec_driver_sql("PRAGMA foreign_keys = OFF")
            connection.exec_driver_sql("BEGIN IMMEDIATE")
        else:
            connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_LOCK})")
        context.configure(
            connection=connection,
            target_metadata=Base.metadata,
            render_as_batch=True,
            render_item=render_item,
            compare_type=True,
            transactional_ddl=True,
        )
        with context.begin_transaction():
            context.run_migrations()
        if is_sqlite:
            broken = connection.exec_driver_sql("PRAGMA foreign_key_check").fetchall()
            if broken:
                raise RuntimeError(f"migration leaves {len(broken)} broken references")
        connection.commit()
        if is_sqlite:
            connection.rollback()
            connection.connection.driver_connection.execute("PRAGMA foreign_keys = ON")  # type: ignore[union-attr]


run()
