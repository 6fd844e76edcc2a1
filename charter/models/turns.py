"""Writers on one SQLite file take turns, first come, first served.

SQLite lets one transaction write, and lets the others ask again after ever longer pauses: whoever asks at the right
moment wins, so that under load somebody waits for seconds while hundreds pass by. Here the threads of a process stand
in one line, and processes let each other in by two locks of the kernel, which come free when a process is killed. This
orders the waiting and protects nothing: SQLite's own lock does that, and whoever has waited long enough goes on without
a turn and meets that lock.
"""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from sqlalchemy import Connection, Engine

try:
    import fcntl
except ImportError:  # pragma: no cover - not a POSIX system: the threads of one process still take turns
    fcntl = None  # type: ignore[assignment]

#: Beside the database; it stays empty.
SUFFIX = "-turns"
#: Bytes of that file that stand for: being at it, and being the next.
_INSIDE, _NEXT = 0, 1
#: How often a process looks whether its place is free. Short beside the turn itself, which takes some milliseconds.
LOOK_SECONDS = 0.0002
#: The same for the place of the next one: many may want it, and all of them looking as often would leave no processor
#: to the one who writes. Always as long, or newcomers would slip in before those who have waited.
NEXT_LOOK_SECONDS = 0.003


class _Line:
    """The threads of this process that want to write to one file."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._mutex = threading.Lock()
        self._waiting: deque[threading.Lock] = deque()
        self._is_taken = False
        self._descriptor: int | None = None
        self._is_inside = False

    def take(self, seconds: float) -> bool:
        """Waits for the turn, at most so long; whether it came."""
        with self._mutex:
            if not self._is_taken:
                self._is_taken = True
                return True
            # A lock that is taken, to be released by whoever goes before.
            place = threading.Lock()
            place.acquire()
            self._waiting.append(place)
        if place.acquire(timeout=max(0.0, seconds)):
            return True
        with self._mutex, suppress(ValueError):
            self._waiting.remove(place)
            return False
        # The turn came in the same moment: it must not be lost.
        return True

    def give_back(self) -> None:
        """The next in line goes on."""
        with self._mutex:
            if self._waiting:
                self._waiting.popleft().release()
            else:
                self._is_taken = False

    def enter(self, seconds: float) -> None:
        """Gets in before other processes, if that takes no longer. Only for whoever has the turn in this one."""
        if fcntl is None:
            return
        give_up = time.monotonic() + seconds
        try:
            if self._descriptor is None:
                self._descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            # Whoever waits holds the place of the next one, so that a process that has just been inside cannot slip
            # in again before it.
            if self._lock(_NEXT, give_up, look_seconds=NEXT_LOOK_SECONDS):
                self._is_inside = self._lock(_INSIDE, give_up, look_seconds=LOOK_SECONDS)
                self._unlock(_NEXT)
        except OSError:
            # A full disk or a folder that went away: SQLite will say what is wrong.
            return

    def leave(self) -> None:
        """Lets other processes in, each time: one that stayed inside would leave the others' processors idle."""
        if self._is_inside:
            self._is_inside = False
            with suppress(OSError):
                self._unlock(_INSIDE)

    def _lock(self, place: int, give_up: float, *, look_seconds: float) -> bool:
        assert self._descriptor is not None
        while True:
            try:
                fcntl.lockf(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, place)
            except BlockingIOError:
                # The kernel could wake us at once, but not after a time: one that was stopped inside would stop all.
                if time.monotonic() > give_up:
                    return False
                time.sleep(look_seconds)
            else:
                return True

    def _unlock(self, place: int) -> None:
        assert self._descriptor is not None
        fcntl.lockf(self._descriptor, fcntl.LOCK_UN, 1, place)


_lines: dict[tuple[int, str], _Line] = {}
_lines_mutex = threading.Lock()


def _line_of(database: str) -> _Line:
    # By process: after a fork the descriptor would be one and the same lock for both.
    key = (os.getpid(), database)
    with _lines_mutex:
        line = _lines.get(key)
        if line is None:
            line = _lines[key] = _Line(database + SUFFIX)
        return line


@contextmanager
def taken(bind: Engine | Connection, *, seconds: float) -> Iterator[None]:
    """One writer's turn on the SQLite file of `bind`; any other database orders its writers itself.

    seconds: how long to stand in line; whoever has waited so long goes on and is told by SQLite.
    """
    database = bind.engine.url.database
    if bind.dialect.name != "sqlite" or not database or not Path(database).is_absolute():
        yield
        return
    line = _line_of(database)
    give_up = time.monotonic() + seconds
    has_turn = line.take(seconds)
    try:
        if has_turn:
            line.enter(give_up - time.monotonic())
        yield
    finally:
        if has_turn:
            line.leave()
            line.give_back()
