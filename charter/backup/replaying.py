"""The leaves file against a restored database: is it of the same log, and what happened after the backup."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import BinaryIO

from sqlalchemy import Connection

from charter.backup.errors import BackupError
from charter.operations import recovery
from charter.queries import log, schema
from charter.queries.recovery import Survey
from charter.tlog import leaf
from charter.tlog.leaves_text import Batch, Closing, LeavesTextError, find_end, read_batches

_OTHER_LOG = "The leaves file is of another log than the backup: put the right one in its place, or move it away."
_LEAVES_AT_ONCE = 2000


@dataclass(frozen=True)
class Leaves:
    """A leaves file that fits. last: its last batch. numbers: registry numbers given by the backup's own leaves.

    to_come: leaves after the backup. revision: the backup's last batch.
    """

    path: Path
    last: Closing
    end: int
    numbers: int
    to_come: int
    revision: int

    def after(self) -> Iterator[Batch]:
        """The batches after the backup, in order."""
        with self.path.open("rb") as file:
            for batch in read_batches(file, end=self.end):
                if batch.closing.revision > self.revision:
                    yield batch


def examine(path: Path, *, revision: int, tree_size: int) -> Leaves | None:
    """Compares the file with the log of the database up to where the backup ended; None if there is no file.

    Every leaf is compared byte for byte, and every later one has to be of a kind that can be re-applied. Needs an
    application context. Raises BackupError, before anything is changed.
    """
    try:
        with path.open("rb") as file, _sentences():
            end = find_end(file)
            if end is None:
                return None
            with schema.connection() as connection:
                return _examine(path, file, end.position, end.closing, connection, revision, tree_size)
    except FileNotFoundError:
        return None


def _examine(
    path: Path, file: BinaryIO, end: int, last: Closing, connection: Connection, revision: int, tree_size: int
) -> Leaves:
    ours = _leaves_of(connection, tree_size)
    numbers = to_come = 0
    for batch in read_batches(file, end=end):
        closing = batch.closing
        if closing.revision > revision:
            if batch.first_index < tree_size:
                raise BackupError(_OTHER_LOG)
            _check_kinds(batch)
            to_come += len(batch.leaves)
            continue
        for data in batch.leaves:
            if next(ours, None) != data:
                raise BackupError(_OTHER_LOG)
            numbers += b'"kind":"publish"' in data
        if closing.revision == revision and log.find_batch(connection, revision) != closing:
            raise BackupError(_OTHER_LOG)
    if last.revision > revision and next(ours, None) is not None:
        raise BackupError(_OTHER_LOG)
    return Leaves(path, last, end, numbers, to_come, revision)


def apply(leaves: Leaves, *, key: bytes, now: datetime) -> Survey:
    """Re-applies everything after the backup, batch by batch, and commits afresh to what needs it.

    May be repeated after it was broken off: what is there already is left alone. Needs an application context.
    Raises BackupError if a leaf does not fit.
    """
    with _sentences():
        for batch in leaves.after():
            recovery.replay(batch, key=key, now=now)
        survey = Survey(number=leaves.numbers)
        for batch in leaves.after():
            survey.add(batch)
    return survey


def _leaves_of(connection: Connection, tree_size: int) -> Iterator[bytes]:
    for first in range(0, tree_size, _LEAVES_AT_ONCE):
        yield from log.leaves(connection, first, min(tree_size, first + _LEAVES_AT_ONCE))


def _check_kinds(batch: Batch) -> None:
    for data in batch.leaves:
        kind, _ = leaf.decode(data)
        if kind not in recovery.RULES:
            raise BackupError(f"The leaves file holds a leaf of kind {kind}, which this release cannot re-apply.")


@contextmanager
def _sentences() -> Iterator[None]:
    try:
        yield
    except (LeavesTextError, leaf.LeafError) as error:
        raise BackupError(f"The leaves file is damaged, or of a newer release: {error}.") from None
    except recovery.RecoveryError as error:
        raise BackupError(f"The leaves file does not fit the backup: {error}.") from None
