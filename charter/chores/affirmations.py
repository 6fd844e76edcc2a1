"""After a material change of the Charter: asks the signatories of earlier editions to affirm the new one."""

from __future__ import annotations

from charter import clock
from charter.operations import affirming
from charter.queries import affirming as queries
from charter.settings import Settings


def step(_settings: Settings) -> bool:
    """Some of them, each once, as far as the outbox has room; whether there is more to do now."""
    return queries.is_asking() and affirming.ask_some(now=clock.now())
