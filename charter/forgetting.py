"""When what is left of people who are gone is destroyed: steps of the worker, one in each of its rounds.

First the rows (once their last mail has left), then the search index, then what the database keeps of deleted rows.
"""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import structlog
from flask import current_app
from sqlalchemy.engine import make_url

from charter import clock, gaps
from charter.operations import erasing, indexing
from charter.queries import erasing as queries
from charter.queries import schema
from charter.settings import Settings, environment_for

logger = structlog.get_logger()

#: How often the worker looks whether somebody's last mail has left, and whether whoever was in the way is gone.
LOOK_SECONDS = 5.0
#: Cleaning rewrites or reads a whole index or file: it may take a twentieth of the time, and comes hourly at least.
SHARE = 20
LONGEST_PAUSE_SECONDS = 3600.0
#: PostgreSQL's files are not searched for what is left in them: its rows are enough.
VACUUM_SECONDS = 60.0


class _Round:
    """Work in steps that is begun when it is due, and not too often."""

    def __init__(self, *, is_due: bool) -> None:
        self.is_due = is_due
        self.is_under_way = False
        self._began = 0.0
        self._not_before = 0.0

    def begin(self, *, at_once: bool) -> bool:
        """Whether it begins now."""
        now = time.monotonic()
        if not self.is_due or (now < self._not_before and not at_once):
            return False
        self.is_due, self.is_under_way, self._began = False, True, now
        return True

    def end(self, *, least_seconds: float = 0.0) -> None:
        """It is done, and not begun anew before so long."""
        now = time.monotonic()
        pause_seconds = min(max(SHARE * (now - self._began), least_seconds), LONGEST_PAUSE_SECONDS)
        self.is_under_way, self._not_before = False, now + pause_seconds

    def put_off(self, seconds: float) -> None:
        """It could not be done: once more after so long."""
        self.is_due, self.is_under_way, self._not_before = True, False, time.monotonic() + seconds


class Forgetting:
    """What one worker knows of people who left. Needs an application context in each step."""

    def __init__(self, *, is_start: bool = True) -> None:
        """is_start: of a worker that was away. It does not know who left meanwhile, so it looks."""
        self._walked: int | None = 0 if is_start else None
        self._next_look = 0.0
        self._index = _Round(is_due=True)
        self._has_lost_words = False
        self._rows = _Round(is_due=is_start)
        self._process: subprocess.Popen[bytes] | None = None
        self._tables: list[str] = []
        self._lost_at: int | None = None

    def somebody_left(self) -> None:
        """A batch took words out of the index."""
        self._index.is_due = self._rows.is_due = self._has_lost_words = True
        self._lost_at = None

    def step(self, *, at_once: bool = False) -> bool:
        """Does a little, if it is time; returns whether there is more to do now."""
        return self._walk() or self._destroy(at_once) or self._clean_index(at_once) or self._clean_rows(at_once)

    def _walk(self) -> bool:
        """Once: those who left under an older release, which kept what they wrote."""
        if self._walked is None:
            return False
        found, self._walked = queries.find_left_behind(self._walked)
        if found:
            erasing.take_up(found, now=clock.now())
        return True

    def _destroy(self, at_once: bool) -> bool:
        now = time.monotonic()
        if now < self._next_look and not at_once:
            return False
        self._next_look = now + LOOK_SECONDS
        count = erasing.forget(now=clock.now()) if queries.has_leavers(now=clock.now()) else 0
        if not count:
            return False
        logger.info("forgotten", count=count)
        self._rows.is_due, self._lost_at = True, None
        self._next_look = now
        return True

    def _clean_index(self, at_once: bool) -> bool:
        """The words of SQLite's search index."""
        is_first = not self._index.is_under_way
        if is_first and not self._index.begin(at_once=at_once):
            return False
        if indexing.forget_step(is_first=is_first):
            return True
        self._index.end()
        # What was merged is deleted now, and in the files still.
        self._rows.is_due |= self._has_lost_words
        self._has_lost_words = False
        return False

    def _clean_rows(self, at_once: bool) -> bool:
        """Deleted rows, in the files of the database."""
        settings: Settings = current_app.config["CHARTER"]
        if not self._rows.is_under_way and not self._rows.begin(at_once=at_once):
            return False
        # What we have read ourselves must not be in the way.
        schema.let_go()
        if settings.database_url.startswith("sqlite"):
            return self._clean_file(Path(str(make_url(settings.database_url).database)), at_once)
        return self._vacuum()

    def _clean_file(self, database: Path, at_once: bool) -> bool:
        if self._process is None:
            # It knows nothing of us: see there.
            command = [sys.executable, "-I", gaps.__file__, str(database)]
            self._process = subprocess.Popen(
                command, env=environment_for({}), stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL
            )
        code = self._process.wait() if at_once else self._process.poll()
        if code is None:
            return False
        self._process = None
        if code == 0:
            self._rows.end()
        elif code == gaps.BUSY:
            # Somebody still reads what was there before.
            self._rows.put_off(LOOK_SECONDS)
        else:
            logger.warning("deleted rows not overwritten", code=code)
            self._rows.put_off(LONGEST_PAUSE_SECONDS)
        return False

    def _vacuum(self) -> bool:
        if not self._tables:
            self._tables = list(indexing.PERSONAL)
            if self._lost_at is None:
                self._lost_at = indexing.transaction_now()
        indexing.vacuum(self._tables.pop())
        if self._tables:
            return True
        if self._lost_at is not None and indexing.is_seen_still(self._lost_at):
            self._rows.put_off(VACUUM_SECONDS)
        else:
            self._rows.end(least_seconds=VACUUM_SECONDS)
        return False


def forget_everything() -> None:
    """All of it at once, for a database that nobody else uses: one that is being restored, say."""
    forgetting = Forgetting()
    while forgetting.step(at_once=True):
        pass
