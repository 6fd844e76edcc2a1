"""What reaches the database while a test looks."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from flask import Flask
from sqlalchemy import event

from charter.models.base import db


@contextmanager
def statements(app: Flask) -> Iterator[list[str]]:
    """Every statement that reaches the database meanwhile.

    But for how long SQLite may wait: that is said again when some of the time is gone, which a slow machine decides.
    """
    seen: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_more: object) -> None:
        if not statement.startswith("PRAGMA busy_timeout"):
            seen.append(statement)

    with app.app_context():
        engine = db.engine
    event.listen(engine, "before_cursor_execute", note)
    try:
        yield seen
    finally:
        event.remove(engine, "before_cursor_execute", note)


#: SQLAlchemy writes an offset of nought for SQLite, with every limit.
_NOUGHT = re.compile(r"limit (\?|1) offset \?")


def skips_rows(statement: str) -> bool:
    """Whether it counts rows off before those that it returns."""
    return " offset " in _NOUGHT.sub("", " ".join(statement.lower().split()))
