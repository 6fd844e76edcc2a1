"""The thread of a worker that asks witnesses, in one worker alone: whoever holds the lock on a file.

The kernel takes that lock back however a process ends. Should two ask after all, on two machines, nothing is lost.
What speaks to them is loaded only where somebody is to be asked.
"""

from __future__ import annotations

import fcntl
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from flask import Flask

from charter.queries import schema
from charter.settings import Settings

#: How often it is looked whether there is something to ask or to show.
LOOK_SECONDS = 0.5
_LOCK = "witnesses.lock"


def ask_once(settings: Settings) -> None:
    """Asks all for the newest checkpoint and waits for their answers, each so long as one may take.

    For whoever works one round only. Needs an application context. Raises SQLAlchemyError.
    """
    if not settings.witnesses:
        return
    from charter.witnessing.asking import ANSWER_SECONDS, MOST_RESENDS, Asking

    asking = Asking(settings)
    until = time.monotonic() + ANSWER_SECONDS * (1 + MOST_RESENDS) + 1
    with _alone(settings) as is_ours:
        if not is_ours:
            return
        asking.step()
        while asking.is_waiting and time.monotonic() < until:
            asking.step(wait_seconds=LOOK_SECONDS)


@contextmanager
def _alone(settings: Settings) -> Iterator[bool]:
    """Whether we are the one who asks, as long as the context lasts."""
    settings.instance_path.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(settings.instance_path / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True
    finally:
        os.close(descriptor)


class Asker:
    """Asks in a thread of its own, for which nothing else waits."""

    def __init__(self, app: Flask, stop: threading.Event, guarded: Callable[..., object]) -> None:
        """guarded: calls what it is given and lets no error out; its second argument is `stop`."""
        self._app, self._stop, self._guarded = app, stop, guarded
        self._settings: Settings = app.config["CHARTER"]
        # A daemon: a witness that hangs must not keep the process from ending.
        self._thread = threading.Thread(target=self._run, name="witnesses", daemon=True)

    def start(self) -> None:
        """Begins, if there is anybody to ask."""
        if self._settings.witnesses:
            self._thread.start()

    def _run(self) -> None:
        with schema.serving():
            while not self._stop.is_set():
                self._guarded(self._work, self._stop)
                self._stop.wait(LOOK_SECONDS)

    def _work(self) -> None:
        """As long as the lock is ours; whatever goes wrong lets it go, and begins anew."""
        with _alone(self._settings) as is_ours:
            if not is_ours:
                return
            from charter.witnessing.asking import Asking

            asking = Asking(self._settings)
            while not self._stop.is_set():
                # A context for each look gives its database session back.
                with self._app.app_context():
                    asking.step(wait_seconds=LOOK_SECONDS)
