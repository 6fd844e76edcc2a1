"""When the search index is cleaned of those who left: a step in each round of the worker, a round at most hourly."""

from __future__ import annotations

import time

from charter.operations import indexing

#: Cleaning rewrites the whole index of a large registry: often enough for a promise, seldom enough for a disk.
EVERY_SECONDS = 3600.0


class Forgetting:
    """What one worker knows: whether somebody left since the last round. At its start it does not know, so it looks."""

    def __init__(self) -> None:
        self._is_due = True
        self._is_under_way = False
        self._not_before = 0.0

    def somebody_left(self) -> None:
        """A batch took words out of the index."""
        self._is_due = True

    def step(self, *, at_once: bool = False) -> bool:
        """Does a little, if it is time; returns whether there is more to do now."""
        if not self._is_under_way:
            now = time.monotonic()
            if not self._is_due or (now < self._not_before and not at_once):
                return False
            self._is_due, self._not_before = False, now + EVERY_SECONDS
            self._is_under_way = indexing.forget_step(is_first=True)
        else:
            self._is_under_way = indexing.forget_step(is_first=False)
        return self._is_under_way
