"""The mark of an unfinished restore in a PostgreSQL database: nobody serves or publishes from it, and it can go on."""

from __future__ import annotations

from sqlalchemy import text

from charter.models.base import db
from charter.models.log import RESTORE_MARK
from charter.operations.unit import operation


@operation
def set_mark(*, sha256: str) -> None:
    """Notes in an empty database which backup is coming into it; while the note stands nobody serves or publishes."""
    db.session.execute(text(f"CREATE TABLE {RESTORE_MARK} (sha256 text NOT NULL, revision bigint, tree_size bigint)"))
    db.session.execute(text(f"INSERT INTO {RESTORE_MARK} (sha256) VALUES (:sha256)"), {"sha256": sha256})  # noqa: S608


@operation
def note_backup(*, revision: int, tree_size: int) -> None:
    """Adds where the backup ended, before anything is re-applied."""
    db.session.execute(
        text(f"UPDATE {RESTORE_MARK} SET revision = :revision, tree_size = :tree_size"),  # noqa: S608
        {"revision": revision, "tree_size": tree_size},
    )


@operation
def clear_mark() -> None:
    """The restore has ended. Counts the rows anew too, so that the first pages are as fast as the rest."""
    db.session.execute(text(f"DROP TABLE {RESTORE_MARK}"))
    db.session.execute(text("ANALYZE"))
