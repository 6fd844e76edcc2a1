"""The plain file of the log's leaves: follows each publication, and shows when a database is too old for it.

A restore re-applies from it what happened after the backup. The database is the truth: a disk that refuses the file
delays nothing, and the file catches up later. Only a file that knows more than its database stops publication, because
then an old copy of the database stands where a newer one was.
"""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import BinaryIO

import structlog
from sqlalchemy import Connection

from charter.queries import log, schema
from charter.settings import Settings
from charter.tlog.leaves_text import Closing, End, LeavesTextError, encode_batch, find_end

logger = structlog.get_logger()

NAME = "leaves.log"
#: Publications looked up and leaves written at once: what catching up holds in memory.
BATCHES_AT_ONCE = 500
#: Leaves written in one round at most, so that mail does not wait behind a million.
LEAVES_A_ROUND = 50_000


class State(StrEnum):
    """How file and database stand to each other; the value is what `/readyz` says."""

    FOLLOWS = "ok"
    BEHIND = "the leaves file is behind"
    UNUSABLE = "the leaves file cannot be used"
    AHEAD = "older than its leaves file"
    DIFFERS = "not the log of its leaves file"
    RESTORING = "being restored"


#: In these the database is not what it was: publishing from it would give the same numbers to other content.
STOPPED = frozenset({State.AHEAD, State.DIFFERS, State.RESTORING})

_LINES = {
    State.AHEAD: "the database is older than its leaves file: restore it, nothing is published until then",
    State.DIFFERS: "the leaves file is of another log: restore, or move the file away; nothing is published until then",
    State.RESTORING: "the database is being restored, nothing is published until that has ended",
}


@dataclass(frozen=True)
class Standing:
    """behind: how many leaves the database has and the file has not."""

    state: State
    behind: int = 0

    @property
    def may_publish(self) -> bool:
        """Whether publication may go on."""
        return self.state not in STOPPED


def path_of(settings: Settings) -> Path:
    """Where the file is."""
    return settings.backup_path / NAME


def standing(settings: Settings) -> Standing:
    """Looks without changing anything; costs the same whatever the size. Without a file everything is behind.

    Needs an application context. Raises SQLAlchemyError when the database cannot be asked.
    """
    end: End | None = None
    is_usable = True
    try:
        with path_of(settings).open("rb") as file:
            # First the file, then the database: what was published in between is only behind.
            end = find_end(file)
    except FileNotFoundError:
        pass
    except (OSError, LeavesTextError):
        is_usable = False
    with schema.connection() as connection:
        found = _compare(connection, end)
    return found if is_usable or not found.may_publish else Standing(State.UNUSABLE, found.behind)


def follow(settings: Settings) -> Standing:
    """Appends what the database has published since, at most LEAVES_A_ROUND leaves, and says how both stand then.

    A batch without its closing line, torn off by a crash, is cut away first. While another process of this machine
    writes, nothing is done. A disk that refuses is written to the log and changes nothing else.
    Needs an application context. Raises SQLAlchemyError when the database cannot be asked.
    """
    try:
        with _locked(path_of(settings)) as file:
            found = _catch_up(file) if file is not None else standing(settings)
    except (OSError, LeavesTextError) as error:
        code = errno.errorcode.get(error.errno or 0, "?") if isinstance(error, OSError) else "unreadable"
        with schema.connection() as connection:
            found = _compare(connection, None)
        found = Standing(State.UNUSABLE, found.behind) if found.may_publish else found
        _say(settings, found, code=code)
    else:
        _say(settings, found)
    return found


_said: dict[Path, tuple[State, str | None]] = {}


def _say(settings: Settings, found: Standing, code: str | None = None) -> None:
    """One line when it changes: this is looked at every few seconds."""
    path = path_of(settings)
    if _said.get(path, (State.FOLLOWS, None)) == (found.state, code):
        return
    _said[path] = (found.state, code)
    if found.state in STOPPED:
        logger.error("publication stopped", reason=_LINES[found.state])
    elif found.state is State.UNUSABLE:
        logger.error("leaves file", problem=code, behind=found.behind)
    else:
        logger.info("leaves file", state=found.state.value, behind=found.behind)


@contextmanager
def _locked(path: Path) -> Iterator[BinaryIO | None]:
    """The file for one writer, made when missing; None while another process has it."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    is_new = not path.exists()
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    # Unbuffered: what a full disk refused must not be tried again when the file is closed.
    with os.fdopen(descriptor, "r+b", buffering=0) as file:
        if is_new:
            _sync_folder(path.parent)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield None
        else:
            yield file


def _catch_up(file: BinaryIO) -> Standing:
    end = find_end(file)
    with schema.connection() as connection:
        found = _compare(connection, end)
        if not found.may_publish:
            return found
        position = end.position if end is not None else 0
        is_torn = file.seek(0, os.SEEK_END) > position
        if is_torn:
            file.truncate(position)
            file.seek(position)
        written = 0
        try:
            for data, count in _missing(connection, end.closing if end is not None else None):
                _write_all(file, data)
                position += len(data)
                written += count
                if written >= LEAVES_A_ROUND:
                    break
        except BaseException:
            # What did not fit goes, so that whoever copies the file meets whole batches only.
            file.truncate(position)
            raise
        if is_torn or end is None or position != end.position:
            os.fsync(file.fileno())
        behind = found.behind - written
    return Standing(State.BEHIND if behind else State.FOLLOWS, behind)


def _missing(connection: Connection, last: Closing | None) -> Iterator[tuple[bytes, int]]:
    """Each batch that the file has not: its text, and how many leaves are in it."""
    revision, tree_size = (last.revision, last.tree_size) if last is not None else (0, 0)
    while closings := log.batches_after(connection, revision, limit=BATCHES_AT_ONCE):
        for closing in closings:
            leaves = log.leaves(connection, tree_size, closing.tree_size)
            yield encode_batch(closing, leaves), len(leaves)
            revision, tree_size = closing.revision, closing.tree_size


def _compare(connection: Connection, end: End | None) -> Standing:
    """The last batch of the file against the same one of the database, with the last leaf."""
    if schema.is_being_restored(connection):
        return Standing(State.RESTORING)
    newest = log.newest_batch(connection)
    tree_size = newest.tree_size if newest is not None else 0
    if end is None:
        return Standing(State.BEHIND if newest is not None else State.FOLLOWS, tree_size)
    if newest is None or newest.revision < end.closing.revision:
        return Standing(State.AHEAD)
    size = end.closing.tree_size
    last = log.leaves(connection, size - 1, size) if size else []
    if log.find_batch(connection, end.closing.revision) != end.closing or (last[-1] if last else None) != end.last_leaf:
        return Standing(State.DIFFERS)
    is_same = newest.revision == end.closing.revision
    return Standing(State.FOLLOWS if is_same else State.BEHIND, tree_size - size)


def _write_all(file: BinaryIO, data: bytes) -> None:
    """A raw file may take a part only."""
    view = memoryview(data)
    while view:
        view = view[file.write(view) :]


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
