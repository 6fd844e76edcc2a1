"""Released schemas with data in them, as `record.py` kept them, and how a database looks at any step."""

from __future__ import annotations

import importlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import date, datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from flask import Flask
from flask_migrate import upgrade
from sqlalchemy import Connection, MetaData, Table, text

from charter.models.base import db, writing

FOLDER = Path(__file__).parent / "released"
RELEASES = sorted(path.stem for path in FOLDER.glob("*.json"))
APPEND_ONLY: tuple[str, ...] = importlib.import_module("charter.migrations.versions.0001_first_release").APPEND_ONLY

Content = dict[str, list[dict[str, Any]]]


@contextmanager
def writable(app: Flask) -> Iterator[Connection]:
    """A connection that may write; what is not committed is undone."""
    with app.app_context():
        db.session.remove()
        with writing(), db.engine.connect() as connection:
            yield connection


def tables(connection: Connection) -> Mapping[str, Table]:
    """The schema as it is there, whatever the models say; parents first."""
    metadata = MetaData()
    metadata.reflect(connection)
    return {table.name: table for table in metadata.sorted_tables if table.name != "alembic_version"}


def content(app: Flask) -> Content:
    """Every row, by what is there."""
    with app.app_context(), db.engine.connect() as connection:
        found: Content = {}
        for name, table in tables(connection).items():
            rows = connection.execute(sa.select(table).order_by(*table.primary_key.columns)).mappings()
            found[name] = [dict(row) for row in rows]
        return found


def kept(later: Content, earlier: Content) -> Content:
    """Of `later` what `earlier` had too: its tables and columns, and as many rows."""
    return {
        name: [{column: row[column] for column in rows[0]} for row in later[name]] if rows else later[name]
        for name, rows in earlier.items()
        if name in later
    }


def load(app: Flask, revision: str) -> None:
    """Migrates an empty database to this release and fills it with its data."""
    with app.app_context():
        upgrade(revision=revision)
    rows = json.loads((FOLDER / f"{revision}.json").read_text(encoding="utf-8"))
    with writable(app) as connection:
        for name, table in tables(connection).items():
            if rows[name]:
                values = [{key: _value(table.c[key], value) for key, value in row.items()} for row in rows[name]]
                connection.execute(table.insert(), values)
            serial = "id" in table.c and connection.dialect.name == "postgresql"
            if serial and connection.scalar(text(f"SELECT pg_get_serial_sequence('{name}', 'id')")):
                newest = f"SELECT coalesce(max(id), 0) + 1 FROM {name}"
                connection.execute(text(f"SELECT setval(pg_get_serial_sequence('{name}', 'id'), ({newest}), false)"))
        connection.commit()


def _value(column: sa.Column[Any], value: Any) -> Any:
    if isinstance(value, dict) and set(value) == {"bytes"}:
        return bytes.fromhex(value["bytes"])
    if value is None and isinstance(column.type, sa.JSON):
        return sa.null()
    if isinstance(value, str) and isinstance(column.type, sa.DateTime):
        at = datetime.fromisoformat(value)
        return at if column.type.timezone else at.replace(tzinfo=None)
    if isinstance(value, str) and isinstance(column.type, sa.Date):
        return date.fromisoformat(value)
    return value
