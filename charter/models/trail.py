"""Which tables a transaction has written to, seen at the statements themselves: no way of writing goes unnoticed."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Engine, event

#: `FOR UPDATE` locks, `DO UPDATE` belongs to the INSERT before it.
_WRITES = re.compile(
    r"(?:INSERT\s+(?:OR\s+\w+\s+)?INTO|(?<!FOR\s)(?<!KEY\s)(?<!DO\s)UPDATE(?:\s+OR\s+\w+)?|DELETE\s+FROM|REPLACE\s+INTO"
    r'|MERGE\s+INTO|TRUNCATE(?:\s+TABLE)?|COPY)\s+(?:ONLY\s+)?"?(\w+)"?',
    re.IGNORECASE,
)
_AUDIT = "audit"


@dataclass
class Written:
    """What a transaction has done. tables: written to. staff_ids: in whose name lines of the audit were added."""

    tables: set[str] = field(default_factory=set)
    staff_ids: set[int | None] = field(default_factory=set)

    def is_recorded(self, staff_id: int) -> bool:
        """Whether nothing was written, or the audit says that this person did it."""
        return not self.tables or staff_id in self.staff_ids


_seen: ContextVar[Written | None] = ContextVar("written", default=None)


@contextmanager
def written() -> Iterator[Written]:
    """Gathers what statements inside write, however they were made."""
    found = Written()
    token = _seen.set(found)
    try:
        yield found
    finally:
        _seen.reset(token)


def _look(connection: Any, cursor: Any, statement: str, _parameters: Any, context: Any, _many: bool) -> None:
    seen = _seen.get()
    # A statement may begin with WITH and write further on.
    if seen is None or statement.startswith("SELECT"):
        return
    tables = set(_WRITES.findall(statement))
    # One that found no row has changed nothing. How many it returned SQLite's driver says only once they are fetched.
    is_known = cursor.description is None or connection.dialect.name != "sqlite"
    if not tables or (is_known and cursor.rowcount == 0):
        return
    seen.tables |= tables
    if _AUDIT in tables:
        # A line that SQL itself puts together names nobody that we could see here, and so does not count.
        for values in getattr(context, "compiled_parameters", None) or ():
            seen.staff_ids |= {value for name, value in values.items() if re.fullmatch(r"staff_id(_m\d+)?", name)}


def watch(engine: Engine) -> None:
    """Looks at every statement of an engine; costs one look into a variable where nobody gathers."""
    event.listen(engine, "after_cursor_execute", _look)
