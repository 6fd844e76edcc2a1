"""The log against a restored database: is it of the same log, and what happened after the backup.

It comes from the leaves file, which knows batches, from a mirror, which knows leaves only, or from both.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from itertools import chain, groupby, islice
from pathlib import Path

from sqlalchemy import Connection

from charter.backup.errors import BackupError
from charter.backup.mirrored import MirroredLog
from charter.operations import recovery
from charter.queries import log, schema
from charter.queries.recovery import Survey
from charter.tlog import leaf
from charter.tlog.leaves_text import Batch, Closing, End, LeavesTextError, find_end, read_batches

_OTHER_LOG = "The leaves file is of another log than the backup: put the right one in its place, or move it away."
_OTHER_MIRROR = "The mirror is of another log than the backup: nothing is restored from it."
_FORK = (
    "The leaves file and the mirror are two different logs. Find out which of them the lost machine published, and"
    " leave the other one away: nothing was restored."
)
_LEAVES_AT_ONCE = 2000
#: Leaves of a mirror in one batch at most, as in a publication.
_LEAVES_A_BATCH = 1000


@dataclass(frozen=True)
class Leaves:
    """A log that fits. The backup ended with the batch `revision` and `tree_size` leaves.

    last: the last batch of the leaves file, None without one; end: bytes up to it. numbers: registry numbers given by
    the backup's own leaves. to_come: leaves after the backup. mirrored: of these, what only the mirror has.
    """

    revision: int
    tree_size: int
    path: Path
    last: Closing | None
    end: int
    mirror: MirroredLog | None
    numbers: int = 0
    to_come: int = 0
    mirrored: int = 0

    @property
    def file_size(self) -> int:
        """Leaves in the leaves file."""
        return 0 if self.last is None else self.last.tree_size

    def batches(self) -> Iterator[Batch]:
        """Those of the leaves file, in order."""
        if self.last is not None:
            with self.path.open("rb") as file:
                yield from read_batches(file, end=self.end)

    def batches_to_come(self) -> Iterator[Batch]:
        """Those of the leaves file after the backup."""
        return (batch for batch in self.batches() if batch.closing.revision > self.revision)

    def leaves_to_come(self) -> Iterator[Sequence[bytes]]:
        """The bytes of all leaves after the backup, some at once."""
        size = max(self.tree_size, self.file_size)
        for batch in self.batches_to_come():
            yield batch.leaves
        if self.mirror is not None:
            rest = self.mirror.leaves(size)
            while data := list(islice(rest, _LEAVES_A_BATCH)):
                yield data

    def mirrored_batches(self, last: Closing | None, *, now: datetime) -> Iterator[Batch]:
        """What the mirror has beyond the batch `last`; the leaves of a moment are one batch, as they were.

        The lost machine's revisions are not in the log: these are ones that it cannot have used.
        """
        if self.mirror is None:
            return
        revision, size = (0, 0) if last is None else (last.revision, last.tree_size)
        revision += recovery.possible_revisions(since=now if last is None else last.at, now=now)
        latest = None if last is None else last.at
        for at, found in groupby(self.mirror.leaves(size), key=_time_of):
            latest = at if latest is None else max(at, latest)
            while data := tuple(islice(found, _LEAVES_A_BATCH)):
                size, revision = size + len(data), revision + 1
                yield Batch(Closing(revision, size, latest), data)


def examine(path: Path, *, revision: int, tree_size: int, mirror: MirroredLog | None = None) -> Leaves | None:
    """Compares leaves file and mirror with the log of the database up to where the backup ended, and with each other.

    Every leaf is compared byte for byte, and every later one has to be of a kind that can be re-applied. Of the two the
    longer one counts, and it has to extend the other. Needs an application context. None where there is neither.
    Raises BackupError, before anything is changed.
    """
    with _sentences():
        end = _end_of(path)
        if end is None and mirror is None:
            return None
        last, position = (None, 0) if end is None else (end.closing, end.position)
        found = Leaves(revision, tree_size, path, last, position, mirror)
        with schema.connection() as connection:
            if last is not None:
                _examine_file(found, connection)
            if mirror is not None:
                _examine_mirror(found, connection)
            numbers = sum(b'"kind":"publish"' in data for data in _leaves_of(connection, tree_size))
        size = max(found.file_size, mirror.size if mirror is not None else 0)
        to_come, mirrored = max(0, size - tree_size), max(0, size - max(tree_size, found.file_size))
        return Leaves(revision, tree_size, path, last, position, mirror, numbers, to_come, mirrored)


def _end_of(path: Path) -> End | None:
    try:
        with path.open("rb") as file:
            return find_end(file)
    except FileNotFoundError:
        return None


def _examine_file(found: Leaves, connection: Connection) -> None:
    assert found.last is not None
    ours = _leaves_of(connection, found.tree_size)
    for batch in found.batches():
        closing = batch.closing
        if closing.revision > found.revision:
            if batch.first_index < found.tree_size:
                raise BackupError(_OTHER_LOG)
            _check_kinds(batch.leaves, "leaves file")
            continue
        for data in batch.leaves:
            if next(ours, None) != data:
                raise BackupError(_OTHER_LOG)
        if closing.revision == found.revision and log.find_batch(connection, found.revision) != closing:
            raise BackupError(_OTHER_LOG)
    if found.last.revision > found.revision and next(ours, None) is not None:
        raise BackupError(_OTHER_LOG)


def _examine_mirror(found: Leaves, connection: Connection) -> None:
    """With all that the database has by now: a restore that was broken off has re-applied some of it already."""
    assert found.mirror is not None
    newest = log.newest_batch(connection)
    ours = _leaves_of(connection, newest.tree_size if newest is not None else 0)
    if any(one != other for one, other in zip(ours, found.mirror.leaves(), strict=False)):
        raise BackupError(_OTHER_MIRROR)
    of_file = (data for batch in found.batches() for data in batch.leaves)
    if any(one != other for one, other in zip(of_file, found.mirror.leaves(), strict=False)):
        raise BackupError(_FORK)
    _check_kinds(found.mirror.leaves(found.tree_size), "mirror")


def apply(leaves: Leaves, *, key: bytes, now: datetime) -> Survey:
    """Re-applies everything after the backup, batch by batch, and looks up what became of it.

    May be repeated after it was broken off: what is there already is left alone. Needs an application context.
    Raises BackupError if a leaf does not fit.
    """
    mirror = leaves.mirror
    with _sentences():
        if mirror is not None:
            mirror.keep_lines(chain.from_iterable(leaves.leaves_to_come()))

        def replay(batch: Batch) -> None:
            lines = {} if mirror is None else mirror.lines_of(batch.leaves)
            recovery.replay(batch, key=key, now=now, lines=lines)

        for batch in leaves.batches_to_come():
            replay(batch)
        with schema.connection() as connection:
            last = log.newest_batch(connection)
        for batch in leaves.mirrored_batches(last, now=now):
            replay(batch)
        survey = Survey(number=leaves.numbers)
        for data in leaves.leaves_to_come():
            survey.add(data)
    return survey


def _time_of(data: bytes) -> datetime:
    return leaf.parse_time(str(json.loads(data)["t"]))


def _leaves_of(connection: Connection, tree_size: int) -> Iterator[bytes]:
    for first in range(0, tree_size, _LEAVES_AT_ONCE):
        yield from log.leaves(connection, first, min(tree_size, first + _LEAVES_AT_ONCE))


def _check_kinds(found: Iterator[bytes] | Sequence[bytes], where: str) -> None:
    for data in found:
        kind, _ = leaf.decode(data)
        if kind not in recovery.RULES:
            raise BackupError(f"The {where} holds a leaf of kind {kind}, which this release cannot re-apply.")


@contextmanager
def _sentences() -> Iterator[None]:
    try:
        yield
    except (LeavesTextError, leaf.LeafError) as error:
        raise BackupError(f"The leaves file is damaged, or of a newer release: {error}.") from None
    except recovery.RecoveryError as error:
        raise BackupError(f"The log does not fit the backup: {error}.") from None
