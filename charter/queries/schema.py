"""The database itself: whether it can be reached, and at which migration it stands."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection

from charter.models.base import db


@contextmanager
def connection() -> Iterator[Connection]:
    """A connection in a read-only transaction."""
    with db.engine.connect() as opened:
        yield opened
