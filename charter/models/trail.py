"""Which tables a transaction has written to, seen at the statements themselves: no way of writing goes unnoticed."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from sqlalchemy import Engine, event

_WRITES = re.compile(
    r"(?:INSERT\s+(?:OR\s+\w+\s+)?INTO|UPDATE(?:\s+OR\s+\w+)?|DELETE\s+FROM|REPLACE\s+INTO|COPY)"
    r'\s+(?:ONLY\s+)?"?(\w+)"?',
    re.IGNORECASE,
)
_tables: ContextVar[set[str] | None] = ContextVar("written tables", default=None)


@contextmanager
def written() -> Iterator[set[str]]:
    """Gathers the names of the tables that statements inside write to, however they were made."""
    found: set[str] = set()
    token = _tables.set(found)
    try:
        yield found
    finally:
        _tables.reset(token)


def _look(_connection: Any, cursor: Any, statement: str, _parameters: Any, _context: Any, _many: bool) -> None:
    tables = _tables.get()
    # A statement may begin with WITH and write further on. One that found no row has changed nothing.
    if tables is not None and cursor.rowcount != 0 and not statement.startswith("SELECT"):
        tables.update(_WRITES.findall(statement))


def watch(engine: Engine) -> None:
    """Looks at every statement of an engine; costs one look into a variable where nobody gathers."""
    event.listen(engine, "after_cursor_execute", _look)
