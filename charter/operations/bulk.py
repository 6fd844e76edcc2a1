"""Many rows into some tables at once, past the session, which would cost several times as much."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from typing import Any, Literal, NamedTuple, cast

from sqlalchemy import LargeBinary, Table

from charter.models.base import Base, db

#: What happens to a row whose key is there already: nothing, the new values take the place of the old ones, are added
#: to them, or the higher of each two stays, where None is less than any.
Merge = Literal["keep", "replace", "add", "highest"]

#: How a column reaches PostgreSQL: as a list of values, as one value for all rows, as the first of a run of whole
#: numbers, or, where all values are as long as a hash, as one after the other. Lists cost the most.
_Form = Literal["list", "same", "run", "hashes"]
_HASH_BYTES = 32


class Same(NamedTuple):
    """One value for all rows; of nothing but such there is one row."""

    value: Any


class _Insertion(NamedTuple):
    table: Table
    names: tuple[str, ...]
    forms: tuple[_Form, ...]
    merge: Merge | None


class _Deletion(NamedTuple):
    table: Table
    name: str


Column = Sequence[Any] | Same


class Writes:
    """Changes to rows of several tables, gathered to be written together.

    On PostgreSQL all of them are one statement, each part of which sees the tables as they were before: so no row may
    be changed twice. On SQLite they are a statement each, in their order. Values are plain: whole numbers, bytes,
    text, dates, instants.
    """

    def __init__(self) -> None:
        self._parts: list[_Insertion | _Deletion] = []
        self._columns: list[list[Column]] = []

    def insert(self, model: type[Base], columns: Mapping[str, Column], *, merge: Merge | None = None) -> None:
        """As many rows as each column has values; of several rows one column at least is neither a range nor hashes.

        merge: None where the keys are new for certain.
        """
        if next(iter(columns.values()), ()):
            table = cast("Table", model.__table__)
            if all(len(column) == 1 for column in columns.values()):
                columns = {name: Same(*column) for name, column in columns.items()}
            forms = tuple(_form(table, name, column) for name, column in columns.items())
            self._parts.append(_Insertion(table, tuple(columns), forms, merge))
            self._columns.append(list(columns.values()))

    def delete(self, model: type[Base], column: str, values: Sequence[Any]) -> None:
        """The rows that have one of these values in a column."""
        if values:
            self._parts.append(_Deletion(cast("Table", model.__table__), column))
            self._columns.append([values])

    def write(self) -> None:
        """Now; afterwards nothing is gathered."""
        parts, columns = tuple(self._parts), self._columns
        self._parts, self._columns = [], []
        if not parts:
            return
        connection = db.session.connection()
        if connection.dialect.name == "postgresql":
            # Lists, not rows: those would be a message each.
            values = [value for part, given in zip(parts, columns, strict=True) for value in _values(part, given)]
            connection.exec_driver_sql(_together(parts), tuple(values))
            return
        for part, given in zip(parts, columns, strict=True):
            statement, processors = _alone(part)
            connection.exec_driver_sql(statement, _rows(given, processors))


def _form(table: Table, name: str, column: Column) -> _Form:
    if isinstance(column, Same):
        return "same"
    if isinstance(column, range):
        return "run"
    kind = table.c[name].type
    return "hashes" if isinstance(kind, LargeBinary) and kind.length == _HASH_BYTES else "list"


# ── PostgreSQL ───────────────────────────────────────────────────────────────────────────────────────────────────────


@cache
def _together(parts: tuple[_Insertion | _Deletion, ...]) -> str:
    *before, last = (_removal(part) if isinstance(part, _Deletion) else _addition(part) for part in parts)
    steps = ", ".join(f"step_{place} AS ({one})" for place, one in enumerate(before))
    return f"WITH {steps} {last}" if steps else last


def _removal(part: _Deletion) -> str:
    return f'DELETE FROM "{part.table.name}" WHERE "{part.name}" = ANY (%b::{_type(part.table, part.name)}[])'  # noqa: S608


def _addition(part: _Insertion) -> str:
    # Binary everywhere: as text each value of a list would be escaped by itself.
    shown = {
        "list": '"{name}"',
        "same": "%b::{type}",
        "run": "%b::bigint + place - 1",
        "hashes": f"substring(%b::bytea FROM ({_HASH_BYTES} * (place - 1) + 1)::int FOR {_HASH_BYTES})",
    }
    typed = [(name, form, _type(part.table, name)) for name, form in zip(part.names, part.forms, strict=True)]
    values = ", ".join(shown[form].format(name=name, type=kind) for name, form, kind in typed)
    lists = [(name, kind) for name, form, kind in typed if form == "list"]
    given = ", ".join(f"%b::{kind}[]" for _, kind in lists)
    names = ", ".join(f'"{name}"' for name, _ in lists)
    source = f" FROM unnest({given}) WITH ORDINALITY AS given ({names}, place)" if lists else " WHERE true"
    return f"{_into(part)} SELECT {values}{source}{_merging(part, 'greatest({0}, {1})')}"


def _values(part: _Insertion | _Deletion, columns: Sequence[Column]) -> Iterable[Any]:
    """In the order of the statement: lists stand at its end."""
    if isinstance(part, _Deletion):
        return map(list, columns)
    first: list[Any] = []
    lists: list[Any] = []
    for form, column in zip(part.forms, columns, strict=True):
        if isinstance(column, Same):
            first.append(column.value)
        elif form == "run":
            first.append(column[0])
        elif form == "hashes":
            first.append(b"".join(column))
        else:
            lists.append(list(column))
    return first + lists


def _type(table: Table, name: str) -> str:
    # Here, because a process on SQLite has no use for it.
    from sqlalchemy.dialects import postgresql

    return str(table.c[name].type.compile(postgresql.dialect()))  # type: ignore[no-untyped-call]


# ── SQLite ───────────────────────────────────────────────────────────────────────────────────────────────────────────


@cache
def _alone(part: _Insertion | _Deletion) -> tuple[str, list[Callable[[Any], Any] | None]]:
    """The statement for one row, and what makes of each value one that the driver knows."""
    if isinstance(part, _Deletion):
        return f'DELETE FROM "{part.table.name}" WHERE "{part.name}" = ?', [_processor(part.table, part.name)]  # noqa: S608
    row = ", ".join("?" * len(part.names))
    statement = f"{_into(part)} VALUES ({row}){_merging(part, 'coalesce(max({0}, {1}), {0}, {1})')}"
    return statement, [_processor(part.table, name) for name in part.names]


def _processor(table: Table, name: str) -> Callable[[Any], Any] | None:
    from sqlalchemy.dialects import sqlite

    dialect: Any = sqlite.dialect()
    kind = table.c[name].type
    # Bytes are the driver's own.
    return None if isinstance(kind, LargeBinary) else kind.dialect_impl(dialect).bind_processor(dialect)


def _rows(columns: Sequence[Column], processors: Sequence[Callable[[Any], Any] | None]) -> list[tuple[Any, ...]]:
    count = next((len(column) for column in columns if not isinstance(column, Same)), 1)
    found: list[Iterable[Any]] = []
    for column, process in zip(columns, processors, strict=True):
        if isinstance(column, Same):
            found.append([column.value if process is None else process(column.value)] * count)
        elif process is None:
            found.append(column)
        else:
            # Of days and times a batch has but a few.
            known = {value: process(value) for value in set(column)}
            found.append(map(known.__getitem__, column))
    return list(zip(*found, strict=True))


# ── both ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def _into(part: _Insertion) -> str:
    quoted = ", ".join(f'"{name}"' for name in part.names)
    return f'INSERT INTO "{part.table.name}" ({quoted})'


def _merging(part: _Insertion, highest: str) -> str:
    if part.merge is None:
        return ""
    keys = [column.name for column in part.table.primary_key]
    target = ", ".join(f'"{key}"' for key in keys)
    if part.merge == "keep":
        return f" ON CONFLICT ({target}) DO NOTHING"
    form = {"replace": "{1}", "add": "{0} + {1}", "highest": highest}[part.merge]
    others = [name for name in part.names if name not in keys]
    pairs = [(f'"{part.table.name}"."{name}"', f'excluded."{name}"') for name in others]
    moves = ", ".join(f'"{name}" = {form.format(*pair)}' for name, pair in zip(others, pairs, strict=True))
    return f" ON CONFLICT ({target}) DO UPDATE SET {moves}"
