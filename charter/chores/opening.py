"""When signing opens or closes at a moment that was set before: pages say so from then on."""

from __future__ import annotations

from charter import clock
from charter.operations import centre
from charter.queries import centre as queries
from charter.settings import Settings


def step(_settings: Settings) -> bool:
    """Queues the batch that says so; nothing is left to do after it."""
    now = clock.now()
    if queries.has_moment(now):
        centre.follow_clock(now=now)
    return False
