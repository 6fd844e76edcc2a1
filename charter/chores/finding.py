"""Gives names of an older release the words they are found by, and tells a long queue's places anew each minute."""

from __future__ import annotations

import time
from collections import defaultdict
from pathlib import Path

from charter.operations import finding as operations
from charter.queries import find, queue
from charter.settings import Settings

#: How often places in the queue are told anew, and how often everybody is looked through once more: a process of an
#: older release may have written names until it was replaced.
MARK_SECONDS, WALK_SECONDS = 60.0, 86_400.0


class _Round:
    """Where this worker stands. walked: the last signature looked at, None when all were."""

    def __init__(self) -> None:
        self.walked: int | None = 0
        self.next_walk = self.next_mark = 0.0


#: By installation: tests have several in one process.
_rounds: defaultdict[Path, _Round] = defaultdict(_Round)


def step(settings: Settings) -> bool:
    """Looks at a window of signatures; whether there are more."""
    mine, now = _rounds[settings.instance_path], time.monotonic()
    if mine.walked is None and now >= mine.next_walk:
        mine.walked = 0
    if mine.walked is None:
        return False
    found, mine.walked = find.find_wordless(mine.walked)
    if found:
        operations.write_missing_words([signature_id for signature_id, _fold in found])
    if mine.walked is None:
        mine.next_walk = now + WALK_SECONDS
    return mine.walked is not None


def mark(settings: Settings) -> bool:
    """Marks the queue, once a minute."""
    mine, now = _rounds[settings.instance_path], time.monotonic()
    if now >= mine.next_mark:
        mine.next_mark = now + MARK_SECONDS
        operations.mark_queue(queue.find_marks(), every=queue.MARK_EVERY)
    return False
