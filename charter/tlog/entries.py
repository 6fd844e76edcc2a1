"""What an audit remembers of each entry, in columns of bytes: some 70 bytes an entry, so that millions fit."""

from __future__ import annotations

from array import array
from collections.abc import Iterator

ENTRY_BYTES, COMMIT_BYTES = 16, 32
#: Phases of an entry; from REFUSED on it has ended.
PENDING, LIVE, REFUSED, WITHDRAWN, REVOKED, ERASED = range(1, 7)
PHASES = {
    PENDING: "pending",
    LIVE: "live",
    REFUSED: "refused",
    WITHDRAWN: "withdrawn",
    REVOKED: "revoked",
    ERASED: "erased",
}

#: Whatever a hostile log says, it fits into a column.
_MOST = 2**32 - 1


class Entries:
    """A table of entries by their 16 bytes, found by hashing into a column of places.

    Python's hash of bytes is another one in each process: nobody can choose entries that make this slow.
    """

    def __init__(self) -> None:
        self._places = array("I", bytes(4 * 1024))  # row + 1; 0: free
        self._mask = 1023
        self._entries = bytearray()
        self._commits = bytearray()
        self.phases = bytearray()
        self.due = array("I")  # ordinal of the day
        self.revs = array("I")  # 0 before publication
        self.numbers = array("I")  # 1, 2 … in order of first publication; 0 before

    def __len__(self) -> int:
        return len(self.phases)

    def find(self, entry: bytes) -> int:
        """Its row; -1 if it was never seen."""
        places, mask, entries = self._places, self._mask, self._entries
        place = hash(entry) & mask
        while row := places[place]:
            if entries[16 * row - 16 : 16 * row] == entry:
                return row - 1
            place = (place + 1) & mask
        return -1

    def add(self, entry: bytes, *, due: int, phase: int) -> int:
        """A new row; the caller knows that there is none yet."""
        if 3 * (len(self.phases) + 1) > 2 * len(self._places):
            self._widen()
        self._entries += entry
        self._commits += bytes(COMMIT_BYTES)
        self.phases.append(phase)
        self.due.append(due)
        self.revs.append(0)
        self.numbers.append(0)
        self._put(entry, len(self.phases))
        return len(self.phases) - 1

    def commit(self, row: int) -> bytes:
        """Of its newest revision."""
        return bytes(self._commits[COMMIT_BYTES * row : COMMIT_BYTES * (row + 1)])

    def revise(self, row: int, *, commit: bytes, rev: int) -> None:
        """It has a new revision."""
        self._commits[COMMIT_BYTES * row : COMMIT_BYTES * (row + 1)] = commit
        self.revs[row] = min(rev, _MOST)

    def entry(self, row: int) -> bytes:
        """Its 16 bytes."""
        return bytes(self._entries[ENTRY_BYTES * row : ENTRY_BYTES * (row + 1)])

    def rows(self, phase: int) -> Iterator[int]:
        """Those in a phase, in order of their confirmation."""
        row = self.phases.find(phase)
        while row >= 0:
            yield row
            row = self.phases.find(phase, row + 1)

    def _put(self, entry: bytes, row: int) -> None:
        place = hash(entry) & self._mask
        while self._places[place]:
            place = (place + 1) & self._mask
        self._places[place] = row

    def _widen(self) -> None:
        self._places = array("I", bytes(8 * len(self._places)))
        self._mask = len(self._places) - 1
        for row in range(len(self.phases)):
            self._put(self.entry(row), row + 1)
