"""A log that grows, witnesses beside it, and somebody who asks them."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from typing import Any

from flask import Flask
from sqlalchemy import select

from charter import publishing
from charter.models.base import db
from charter.models.log import LogCheckpoint, LogCosignature, LogStanding
from charter.queries import standing
from charter.tlog import note
from charter.witnessing.asking import Asking
from tests.operations.test_signing import confirmed
from tests.witness.witness import Witness

#: Long enough for a thread on a very busy machine: only who hangs on purpose takes it.
ANSWER_SECONDS = 15.0

_places = itertools.count()


def setting(*witnesses: Witness) -> str:
    """All of them as an operator writes them."""
    return ", ".join(one.setting for one in witnesses)


def publish(app: Flask) -> None:
    """What is due, without asking any witness."""
    with app.app_context():
        publishing.publish()


def grow(app: Flask) -> int:
    """One more leaf, published and guarded; the size of the log."""
    confirmed(app, address=f"w{next(_places)}@example.org")
    publish(app)
    return shown(app)[0]


def shown(app: Flask) -> tuple[int, int]:
    """(guarded, served)."""
    with app.app_context():
        row = db.session.execute(select(LogStanding.guarded_size, LogStanding.served_size)).one()
        return row.guarded_size, row.served_size


def cosigners(app: Flask, size: int) -> set[str]:
    """Whose cosignatures are kept for this size."""
    with app.app_context():
        return set(db.session.scalars(select(LogCosignature.witness).where(LogCosignature.size == size)))


def checkpoint(app: Flask, size: int) -> note.Checkpoint:
    with app.app_context():
        return note.read(db.session.scalars(select(LogCheckpoint.note).where(LogCheckpoint.size == size)).one())[0]


def served_text(app: Flask) -> str:
    """What `/log/checkpoint` shows."""
    with app.app_context():
        found = standing.served_checkpoint()
        assert found is not None
        return found.text


def asking_of(app: Flask, **more: Any) -> Asking:
    """Somebody who has just begun to ask."""
    return Asking(app.config["CHARTER"], **({"answer_seconds": ANSWER_SECONDS} | more))


def step(app: Flask, asking: Asking, wait_seconds: float = 0.0) -> None:
    with app.app_context():
        asking.step(wait_seconds=wait_seconds)


def settle(app: Flask, asking: Asking, *, until: Callable[[], bool] | None = None) -> None:
    """Steps until nobody is waited for, or until something is so; not for ever."""
    end = time.monotonic() + 30
    step(app, asking)
    while asking.is_waiting if until is None else not until():
        assert time.monotonic() < end
        step(app, asking, 0.05)


def wake(asking: Asking) -> None:
    """The time for which those who failed are left alone is over."""
    for place in asking._places.values():
        place.rests_until = 0.0
