"""What a mirror remembers of itself from run to run: which files it wrote, from which content, as of which batch."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

#: For the files that stay however often the registry changes; entries and blocks of numbers are looked at by change.
LISTED = "listed"
ENTRY = "entry"
BLOCK_PAGE = "block"
#: Of the log: tiles that stay for ever, and all else.
TILE = "tile"
LOG = "log"

_TABLES = """
CREATE TABLE IF NOT EXISTS file (
    place TEXT PRIMARY KEY, kind TEXT NOT NULL, digest BLOB NOT NULL, revision INTEGER NOT NULL, design TEXT NOT NULL,
    run INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS fact (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
"""


@dataclass(frozen=True)
class Known:
    """One file. digest: of its content without the words that tell when. revision: that it was looked at last.

    design: what else it was made from; see `making.design_of`.
    """

    place: str
    kind: str
    digest: bytes
    revision: int
    design: str


class State:
    """A small database beside the files. Nothing of it is on the disk before `keep`."""

    def __init__(self, path: Path) -> None:
        self._db = sqlite3.connect(path, isolation_level=None)
        # A digest of a page with a name must not outlive that page.
        self._db.execute("PRAGMA secure_delete = ON")
        self._db.execute("PRAGMA cache_size = -16000")
        self._db.executescript(_TABLES)
        self._db.execute("BEGIN IMMEDIATE")

    def __enter__(self) -> State:
        return self

    def __exit__(
        self, _type: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self._db.close()

    def fact(self, name: str) -> str | None:
        """What was kept under this name."""
        row = self._db.execute("SELECT value FROM fact WHERE name = ?", (name,)).fetchone()
        return None if row is None else str(row[0])

    def set_facts(self, facts: Mapping[str, object]) -> None:
        """Keeps these, as text."""
        self._db.executemany(
            "INSERT OR REPLACE INTO fact VALUES (?, ?)", [(name, str(value)) for name, value in facts.items()]
        )

    def find(self, places: Iterable[str]) -> dict[str, Known]:
        """What is known of these files, by their places."""
        found = {}
        for place in places:
            row = self._db.execute(
                "SELECT place, kind, digest, revision, design FROM file WHERE place = ?", (place,)
            ).fetchone()
            if row is not None:
                found[place] = Known(*row)
        return found

    def put(self, files: Iterable[Known], *, run: int) -> None:
        """Remembers files that this run has written or found as they should be."""
        self._db.executemany(
            "INSERT OR REPLACE INTO file VALUES (?, ?, ?, ?, ?, ?)",
            [(one.place, one.kind, one.digest, one.revision, one.design, run) for one in files],
        )

    def seen(self, places: Iterable[str], *, run: int) -> None:
        """These need no look in this run, but they belong to it."""
        self._db.executemany("UPDATE file SET run = ? WHERE place = ?", [(run, place) for place in places])

    def forget(self, places: Iterable[str]) -> None:
        """These files are gone."""
        self._db.executemany("DELETE FROM file WHERE place = ?", [(place,) for place in places])

    def not_of(self, run: int, *kinds: str) -> list[str]:
        """Files of these kinds that no longer belong to the mirror."""
        marks = ", ".join("?" * len(kinds))
        rows = self._db.execute(
            f"SELECT place FROM file WHERE run <> ? AND kind IN ({marks}) ORDER BY place",  # noqa: S608 - marks only
            (run, *kinds),
        )
        return [str(row[0]) for row in rows]

    def has(self, place: str) -> bool:
        """Whether this file belongs to the mirror."""
        return self._db.execute("SELECT 1 FROM file WHERE place = ?", (place,)).fetchone() is not None

    def places(self, kind: str) -> list[str]:
        """All files of one kind."""
        rows = self._db.execute("SELECT place FROM file WHERE kind = ? ORDER BY place", (kind,))
        return [str(row[0]) for row in rows]

    def count(self) -> int:
        """How many files there are."""
        return int(self._db.execute("SELECT count(*) FROM file").fetchone()[0])

    def keep(self) -> None:
        """Puts all of it on the disk, in one piece."""
        self._db.execute("COMMIT")
        self._db.execute("BEGIN IMMEDIATE")
