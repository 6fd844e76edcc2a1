"""The signer's guard: what was signed last, in a file of its own, so that no fork is ever signed (LOG §3).

A database that is older than what we have signed, or is another one, looks whole to itself. Only something outside it
can tell. The file follows each commit and never runs ahead of one; it costs the same whatever the size of the log.
"""

from __future__ import annotations

import errno
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import structlog
from sqlalchemy import Connection

from charter import lasting
from charter.log_key import lock_of
from charter.queries import schema
from charter.queries import tree as queries
from charter.settings import Settings
from charter.tlog import note
from charter.tlog.note import Checkpoint

logger = structlog.get_logger()

NAME = "log.guard"
_MODE = 0o600
#: Three short lines; more is something else.
_MOST_BYTES = 1000
_END = "\n\n— x AAAAAAAA\n"


class State(StrEnum):
    """How database and guard stand to each other; the value is what `/readyz` says."""

    FOLLOWS = "ok"
    BEGINS = "no guard yet"
    BUILDING = "the tree is being built"
    AHEAD = "older than its guard"
    DIFFERS = "not the log of its guard"
    UNUSABLE = "the guard cannot be used"


#: In these nothing may be signed.
STOPPED = frozenset({State.BUILDING, State.AHEAD, State.DIFFERS, State.UNUSABLE})

LINES = {
    State.BUILDING: "the tree over the leaves is being built; publication goes on when it reaches what was signed",
    State.AHEAD: "the database is older than what was signed last (log.guard): restore it, nothing is published until"
    " then",
    State.DIFFERS: "the database does not continue what was signed last (log.guard): it is another log, or was changed;"
    " nothing is published until then",
    State.UNUSABLE: "log.guard cannot be read or written: nothing is published until it can",
}


@dataclass(frozen=True)
class Standing:
    """last: what the guard holds now, None where it has not begun. problem: a code of the disk, for the log."""

    state: State
    last: Checkpoint | None = None
    problem: str | None = None

    @property
    def may_sign(self) -> bool:
        """Whether signing may go on."""
        return self.state not in STOPPED


class GuardError(Exception):
    """The file is there and is no guard."""


def path_of(settings: Settings) -> Path:
    """Where the file is."""
    return settings.log_path / NAME


def read(settings: Settings) -> Checkpoint | None:
    """What was signed last, None before the first time. Raises GuardError and OSError."""
    try:
        with path_of(settings).open("rb") as file:
            data = file.read(_MOST_BYTES)
    except FileNotFoundError:
        return None
    try:
        text = data.decode()
        checkpoint = note.read(text.removesuffix("\n") + _END)[0]
    except ValueError:
        raise GuardError(NAME) from None
    if checkpoint.body != text:
        raise GuardError(NAME)
    return checkpoint


def standing(settings: Settings) -> Standing:
    """Looks without changing anything. Needs an application context. Raises SQLAlchemyError.

    First the file, then the database: what was signed in between is only ahead of the guard, as it should be.
    """
    try:
        last = read(settings)
    except (GuardError, OSError) as error:
        return Standing(State.UNUSABLE, problem=_code(error))
    with schema.connection() as connection:
        return _compare(connection, last)[0]


def advance(settings: Settings) -> Standing:
    """Moves the guard to the newest checkpoint in the database if that continues it, and says how both stand then.

    Where there is no guard it begins there: whoever calls has made sure that the log is that of our key. Of several
    workers one moves it, the others find it moved. Needs an application context. Raises SQLAlchemyError.
    """
    try:
        with lasting.alone(lock_of(settings)):
            last = read(settings)
            with schema.connection() as connection:
                found, newest = _compare(connection, last)
            if newest is None or not found.may_sign:
                return found
            lasting.replace(path_of(settings), newest.body.encode(), mode=_MODE)
            if last is None:
                logger.info("the guard begins", size=newest.size)
            return Standing(State.FOLLOWS, newest)
    except (GuardError, OSError) as error:
        return Standing(State.UNUSABLE, problem=_code(error))


def _compare(connection: Connection, last: Checkpoint | None) -> tuple[Standing, Checkpoint | None]:
    """Whether the tree in the database continues what was signed last, and the newest checkpoint if it is newer."""
    found = queries.newest(connection)
    newest = None if found is None else Checkpoint(found.origin, found.size, found.root)
    if last is None:
        state = State.BEGINS
    elif queries.size(connection) < last.size:
        return Standing(State.AHEAD, last), None
    else:
        state = _of_tree(connection, last)
    if state in STOPPED or newest is None or (last is not None and newest.size <= last.size):
        return Standing(state, last), None
    if last is not None and last.origin != newest.origin:
        return Standing(State.DIFFERS, last), None
    of_newest = _of_tree(connection, newest)
    return Standing(of_newest if of_newest in STOPPED else state, last), newest


def _of_tree(connection: Connection, checkpoint: Checkpoint) -> State:
    root = queries.root_at(connection, checkpoint.size)
    if root is None:
        return State.BUILDING
    return State.FOLLOWS if root == checkpoint.root else State.DIFFERS


def _code(error: Exception) -> str:
    return errno.errorcode.get(error.errno or 0, "?") if isinstance(error, OSError) else "unreadable"
