"""Chores: what the worker does in small steps for the desk, such as a sweep or an import, beside publishing and mail.

Each module here offers `step(settings) -> bool`: a little work in a transaction or two, safe to break off and to be
done by two workers at once; whether there is more to do now.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from charter.chores import affirmations, finding, imports, merges, opening, summaries, sweeps
from charter.queries import schema
from charter.settings import Settings

Step = Callable[[Settings], bool]

#: How often a worker looks whether somebody began something.
LOOK_SECONDS = 1.0
#: All chores together take so long of a round, so that publication keeps its interval.
ROUND_SECONDS = 0.4

#: In the order they are looked at. Each takes turns with the others.
STEPS: tuple[Step, ...] = (
    finding.step,
    finding.mark,
    sweeps.step,
    imports.step,
    merges.step,
    affirmations.step,
    opening.step,
    summaries.step,
)


class Chores:
    """What one worker does of them. Needs an application context in each round."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._next_look = 0.0
        self._busy: list[Step] = []

    def round(self, *, at_once: bool = False) -> bool:
        """Works for ROUND_SECONDS at most; returns whether there is more to do now. at_once: looks before its time."""
        if not self._busy:
            if time.monotonic() < self._next_look and not at_once:
                return False
            self._next_look = time.monotonic() + LOOK_SECONDS
            self._busy = list(STEPS)
        enough = time.monotonic() + ROUND_SECONDS
        while self._busy and time.monotonic() < enough:
            step = self._busy.pop(0)
            is_more = step(self._settings)
            # The read transaction of a step must not stand in the way of who cleans the files.
            schema.let_go()
            if is_more:
                self._busy.append(step)
        return bool(self._busy)
