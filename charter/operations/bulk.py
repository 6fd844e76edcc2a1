"""Many rows into one table by one statement, past the session, which would cost several times as much."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, cast

from sqlalchemy import Table
from sqlalchemy.dialects import postgresql

from charter.models.base import Base, db


def insert_columns(model: type[Base], columns: Mapping[str, Sequence[Any]]) -> None:
    """Adds as many rows as each column has values. Values are plain: whole numbers, bytes, text."""
    _execute(model, columns, "")


def upsert_columns(model: type[Base], key: str, columns: Mapping[str, Sequence[Any]]) -> None:
    """The same; where a row with this key is there already, it gets the other values, except None."""
    table = model.__tablename__
    others = ", ".join(f'"{name}" = coalesce(excluded."{name}", {table}."{name}")' for name in columns if name != key)
    _execute(model, columns, f' ON CONFLICT ("{key}") DO UPDATE SET {others}')


def _execute(model: type[Base], columns: Mapping[str, Sequence[Any]], end: str) -> None:
    if not next(iter(columns.values()), ()):
        return
    connection = db.session.connection()
    if connection.dialect.name == "postgresql":
        # One statement with a list for each column: rows one by one would be a message each.
        connection.exec_driver_sql(_by_lists(model, tuple(columns)) + end, tuple(map(list, columns.values())))
    else:
        connection.exec_driver_sql(_by_rows(model, tuple(columns)) + end, list(zip(*columns.values(), strict=True)))


@cache
def _by_rows(model: type[Base], names: tuple[str, ...]) -> str:
    quoted = ", ".join(f'"{name}"' for name in names)
    return f'INSERT INTO "{model.__tablename__}" ({quoted}) VALUES ({", ".join("?" * len(names))})'  # noqa: S608


@cache
def _by_lists(model: type[Base], names: tuple[str, ...]) -> str:
    table = cast("Table", model.__table__)
    quoted = ", ".join(f'"{name}"' for name in names)
    dialect = postgresql.dialect()  # type: ignore[no-untyped-call]
    # Binary: as text each value of a list would be escaped by itself.
    lists = ", ".join(f"%b::{table.c[name].type.compile(dialect)}[]" for name in names)
    return f'INSERT INTO "{model.__tablename__}" ({quoted}) SELECT * FROM unnest({lists})'  # noqa: S608
