"""What SQLite leaves behind of deleted rows, overwritten: a program of its own that is given the database's path.

`secure_delete` overwrites what is deleted where it stands. But when rows move to another page of a table or an index,
because theirs was full, their old bytes stay behind in the unused gap between the list of a page's rows and the rows
(https://sqlite.org/fileformat2.html, 1.6), and deleting the row there overwrites nothing here. SQLite never reads that
gap, so it may be overwritten whenever nobody else writes into the file: while we hold the write lock and the
write-ahead log is empty, so that no checkpoint has anything to bring over either.

A process of its own: whoever closes a file takes all locks of its process on it away, also those of SQLite.
It imports nothing of ours, so that it starts in a moment. Exit code 75: others are in the way, try again later.
"""

from __future__ import annotations

import os
import sqlite3
import struct
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

BUSY = 75
#: How long everybody else may have to wait for us to get the locks that we need.
PATIENCE_MS = 250
_AT_ONCE = 256
_HEADER = 100
#: Kinds of pages that are parts of a tree → bytes of their head.
_HEADS = {2: 12, 5: 12, 10: 8, 13: 8}
_HEAD = struct.Struct(">BHHH")
#: Overflow and free pages begin with a page number: with more pages than that it might look like a kind.
_MOST_PAGES = 1 << 24


class _File:
    """The database file. size: of a page, in bytes."""

    def __init__(self, path: Path) -> None:
        self.descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        head = os.pread(self.descriptor, _HEADER, 0)
        (size,) = struct.unpack_from(">H", head, 16)
        self.size = 65536 if size == 1 else size
        reserved, (is_vacuuming,) = head[20], struct.unpack_from(">I", head, 52)
        # Only files as ours are laid out; any other is left as it is.
        self.is_known = head.startswith(b"SQLite format 3\x00") and reserved == 0 and is_vacuuming == 0
        self.is_known = self.is_known and os.fstat(self.descriptor).st_size // self.size < _MOST_PAGES

    def pages(self) -> Iterator[tuple[int, bytes]]:
        """Offset and bytes of several pages at once."""
        at = 0
        while data := os.pread(self.descriptor, _AT_ONCE * self.size, at):
            yield at, data
            at += len(data)

    def gap(self, data: bytes, place: int, at: int) -> tuple[int, int] | None:
        """Where the gap of the page at `place` begins and ends, if anything is in it. at: where `data` begins."""
        head = place + (_HEADER if at + place == 0 else 0)
        if len(data) < place + self.size:
            return None
        kind, _free, rows, start = _HEAD.unpack_from(data, head)
        if kind not in _HEADS:
            return None
        begin, end = head + _HEADS[kind] + 2 * rows, place + (start or 65536)
        if not begin <= end <= place + self.size or data.count(0, begin, end) == end - begin:
            return None
        return begin, end

    def unclean(self) -> list[int]:
        """Offsets of the pages with something in their gap."""
        return [
            at + place
            for at, data in self.pages()
            for place in range(0, len(data), self.size)
            if self.gap(data, place, at) is not None
        ]

    def clean(self, offsets: Iterable[int]) -> None:
        """Overwrites the gaps of these pages. Nobody may write into the file meanwhile."""
        for at in offsets:
            found = self.gap(os.pread(self.descriptor, self.size, at), 0, at)
            if found is not None:
                begin, end = found
                os.pwrite(self.descriptor, bytes(end - begin), at + begin)
        os.fsync(self.descriptor)


def clean(path: Path) -> bool:
    """Empties the write-ahead log and overwrites the gaps; False if others are in the way just now."""
    # Never closed: see above.
    file = _File(path)
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute(f"PRAGMA busy_timeout = {PATIENCE_MS}")
    if connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]:
        return False
    if not file.is_known:
        return True
    # Looked for while others write; what they write now holds nothing of whoever left before.
    offsets = file.unclean()
    if not offsets:
        return True
    try:
        if connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]:
            return False
        connection.execute("BEGIN IMMEDIATE")
    except sqlite3.OperationalError:
        return False
    log = path.with_name(path.name + "-wal")
    if log.exists() and log.stat().st_size:
        # Somebody wrote between the two.
        connection.execute("ROLLBACK")
        return False
    file.clean(offsets)
    # A change for which everybody drops the pages they remember, with gaps as they were.
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    connection.execute(f"PRAGMA user_version = {int(version)}")
    connection.execute("COMMIT")
    connection.close()
    return True


if __name__ == "__main__":
    sys.exit(0 if clean(Path(sys.argv[1])) else BUSY)
