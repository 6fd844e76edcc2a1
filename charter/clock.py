"""The only place that asks what time it is, and that notices when the answer jumps."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime

#: Clocks are steered by less than this all the time.
JUMP_SECONDS = 60.0


def now() -> datetime:
    """The present instant, aware, in UTC."""
    return datetime.now(UTC)


class Watch:
    """Compares the wall clock, which anybody may set, with the monotonic one, which nobody can."""

    def __init__(self, wall: Callable[[], float] = time.time, steady: Callable[[], float] = time.monotonic) -> None:
        self._wall = wall
        self._steady = steady
        self._offset = wall() - steady()

    def look(self) -> float:
        """Seconds by which the wall clock jumped since the last look, negative if back; 0 for less than a minute."""
        offset = self._wall() - self._steady()
        jump_seconds = offset - self._offset
        if abs(jump_seconds) <= JUMP_SECONDS:
            return 0.0
        self._offset = offset
        return jump_seconds
