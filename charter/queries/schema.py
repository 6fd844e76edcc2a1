"""The database itself: whether it can be reached, and how its migration stands to the code that asks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from sqlalchemy import Connection, inspect, text

from charter.models.base import db, let_go
from charter.models.breakdown import Breaker, begin_request, code_of, end_request, is_breakdown, serving
from charter.models.log import RESTORE_MARK

__all__ = [
    "Breaker",
    "begin_request",
    "code_of",
    "connection",
    "end_request",
    "is_breakdown",
    "let_go",
    "serving",
]

#: What `standing` may say; with the first three this code can do its work.
OK = "ok"
ONE_BEHIND = "one step behind: migrate"
NEWER = "newer than this code"
NOT_MIGRATED = "not migrated"

CAN_WORK = frozenset({OK, ONE_BEHIND, NEWER})


@contextmanager
def connection() -> Iterator[Connection]:
    """A connection in a read-only transaction."""
    with db.engine.connect() as opened:
        yield opened


def dispose() -> None:
    """Closes every connection of this application, so that a file can take another's place."""
    let_go()
    db.engine.dispose()


def is_being_restored(opened: Connection) -> bool:
    """Whether a restore of this database has begun and not ended. One on SQLite ends before anybody sees its file."""
    if opened.dialect.name != "postgresql":
        return False
    return opened.scalar(text("SELECT to_regclass(:name)"), {"name": RESTORE_MARK}) is not None


def revision(opened: Connection) -> str | None:
    """The migration that the database stands at; None before the first."""
    if not inspect(opened).has_table("alembic_version"):
        return None
    found: str | None = opened.scalar(text("SELECT version_num FROM alembic_version"))
    return found


def standing(revision: str | None, *, known: Sequence[str]) -> str:
    """Whether this code can work on a database at `revision`.

    known: the revisions of this code, oldest first; numbers of four digits, so that later ones sort later.
    Processes are replaced one by one, so that for a while new ones stand beside a schema one step older, and old ones
    beside one that they do not know yet: migrations only add (CONTRIBUTING, Migrations).
    """
    if revision is None:
        return NOT_MIGRATED
    if revision not in known:
        return NEWER if revision > known[-1] else NOT_MIGRATED
    behind = len(known) - 1 - known.index(revision)
    return (OK, ONE_BEHIND)[behind] if behind < 2 else NOT_MIGRATED
