"""SQLite: one snapshot without remains of erased rows, its checks, and the file that takes the database's place."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.parse import quote

from sqlalchemy import Connection, create_engine
from sqlalchemy.pool import NullPool

from charter.backup.errors import BackupError
from charter.backup.folder import sync_folder

HEAD = b"SQLite format 3\x00"
#: Endings of the files that SQLite, and our own queue of writers, keep beside a database.
BESIDE = ("-wal", "-shm", "-journal", "-turns")


def snapshot(database: Path, copy: Path, *, busy_timeout_ms: int) -> None:
    """Writes the database as of one moment into a new file, while others go on writing. Raises BackupError."""
    if not database.is_file():
        raise BackupError("There is no database yet: nothing to back up.")
    # VACUUM INTO takes an empty file, and this one is nobody else's to read.
    os.close(os.open(copy, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    try:
        with closing(sqlite3.connect(_uri(database, "mode=rw"), uri=True)) as connection:
            connection.execute(f"PRAGMA busy_timeout = {int(busy_timeout_ms)}")
            connection.execute("VACUUM INTO ?", (str(copy),))
    except sqlite3.Error as error:
        raise BackupError(f"The database cannot be copied: {error}.") from None


def check(copy: Path) -> None:
    """Reads all of a database that nobody writes to. Raises BackupError unless every page and reference is whole."""
    try:
        with closing(sqlite3.connect(_uri(copy, "immutable=1"), uri=True)) as connection:
            found = connection.execute("PRAGMA integrity_check(1)").fetchall()
            broken = connection.execute("SELECT count(*) FROM pragma_foreign_key_check").fetchone()[0]
    except sqlite3.Error:
        raise BackupError("The database in the backup is damaged: it cannot be read.") from None
    if found != [("ok",)]:
        raise BackupError("The database in the backup is damaged: its integrity check fails.")
    if broken:
        raise BackupError(f"The database in the backup is damaged: {broken} references lead nowhere.")


@contextmanager
def reading(copy: Path) -> Iterator[Connection]:
    """A connection to a database that nobody writes to."""
    engine = create_engine(
        "sqlite://", creator=lambda: sqlite3.connect(_uri(copy, "immutable=1"), uri=True), poolclass=NullPool
    )
    try:
        with engine.connect() as connection:
            yield connection
    finally:
        engine.dispose()


def is_empty(database: Path) -> bool:
    """Whether nothing is there: no file, or one without a table."""
    if not database.exists() or (database.stat().st_size == 0 and not beside(database, "-wal").exists()):
        return True
    try:
        with closing(sqlite3.connect(_uri(database, "mode=rw"), uri=True)) as connection:
            count: int = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
    except sqlite3.Error:
        return False
    return count == 0


def beside(database: Path, ending: str) -> Path:
    """One of the files that are kept beside a database."""
    return database.with_name(database.name + ending)


def remove(database: Path) -> None:
    """The file with what lies beside it."""
    for path in (database, *(beside(database, ending) for ending in BESIDE)):
        path.unlink(missing_ok=True)


def take_place(built: Path, database: Path) -> None:
    """Puts a finished database, which nobody has open, where an empty one or none was: all of it or nothing."""
    with closing(sqlite3.connect(_uri(built, "mode=rw"), uri=True)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        connection.execute("PRAGMA journal_mode = DELETE")
    with built.open("rb") as file:
        os.fsync(file.fileno())
    # A journal of the empty one would be taken for the new one's.
    remove(database)
    os.replace(built, database)
    sync_folder(database.parent)
    remove(built)


def _uri(path: Path, options: str) -> str:
    return f"file:{quote(str(path))}?{options}"
