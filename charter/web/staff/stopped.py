"""What the Centre's pages say while nothing is published: the decisions of the staff are kept, and seen by nobody."""

from __future__ import annotations

import time

from flask import Flask, current_app
from sqlalchemy.exc import SQLAlchemyError

from charter import clock, leaves_file, publishing
from charter.queries import health
from charter.settings import Settings
from charter.web.system import publication_late_after

#: An answer holds for so long: it takes ten small questions, and stops last longer than that.
KEPT_SECONDS = 60.0


class _Look:
    """One process's knowledge of it."""

    def __init__(self) -> None:
        self._until = 0.0
        self._is_stopped = False

    def __call__(self) -> bool:
        """Whether publication has stopped."""
        if time.monotonic() >= self._until:
            try:
                self._is_stopped = _is_stopped()
            except SQLAlchemyError:
                # The page itself will say it.
                return False
            self._until = time.monotonic() + KEPT_SECONDS
        return self._is_stopped


def _is_stopped() -> bool:
    """Whether a file of the log says so, or something has been due for too long: the worker may be on another disk."""
    settings: Settings = current_app.config["CHARTER"]
    now = clock.now()
    due_at = health.oldest_due_event_at(now=now)
    if due_at is not None and now - due_at > publication_late_after(settings):
        return True
    if leaves_file.path_of(settings).is_file() and not leaves_file.standing(settings).may_publish:
        return True
    return publishing.look(settings) not in {publishing.OK, publishing.UNKNOWN}


def init_app(app: Flask) -> None:
    """Lets the pages of the desk ask."""
    app.jinja_env.globals["is_publication_stopped"] = _Look()
