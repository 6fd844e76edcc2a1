"""The streaming replica: public pages read there, and from the primary whenever the replica cannot be relied upon."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TypeVar
from weakref import WeakKeyDictionary

import structlog
from sqlalchemy import Engine, func, select
from sqlalchemy.exc import DBAPIError, SQLAlchemyError, TimeoutError

from charter import meters
from charter.models.base import REPLICA, db, from_replica
from charter.models.log import LogBatch

T = TypeVar("T")
logger = structlog.get_logger()

#: How long the primary answers for a replica that failed, before one request tries it again.
REST_SECONDS = 5.0
#: A replica must hold by now what the primary held at the look before. A stream that was cut would else go on showing
#: the names of those who withdrew; the age of the last replayed transaction cannot tell it from a quiet primary.
LOOK_SECONDS = 5.0
#: serialization_failure: replay cancelled this one query ("conflict with recovery"); the replica itself is well.
_CANCELLED = "40001"


class _Behind(Exception):
    """The replica lacks a batch that the primary had some seconds ago."""


class _Watch:
    """What this process knows of one replica, shared by its threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._rests_until = self._looks_at = 0.0
        self._is_well = True
        self._wanted: int | None = None

    def turn(self) -> tuple[bool, bool]:
        """(whether this request may use the replica, whether it is the one that has to look at it)."""
        now = time.monotonic()
        with self._lock:
            if now < self._rests_until:
                return False, False
            if now < self._looks_at:
                return True, False
            self._looks_at = now + LOOK_SECONDS
            if not self._is_well:
                # One request finds out; the others do not wait for it.
                self._rests_until = now + REST_SECONDS
            return True, True

    def look(self) -> None:
        """Compares the replica with the primary. Raises _Behind, or what the replica's driver raises."""
        newest = select(func.coalesce(func.max(LogBatch.revision), 0))
        has = db.session.scalars(newest).one()
        try:
            with db.engine.connect() as connection:
                primary = connection.execute(newest).scalar_one()
        except SQLAlchemyError:
            # Without a primary nothing is published either: the replica is all that is left.
            primary = self._wanted or 0
        with self._lock:
            wanted, self._wanted = primary if self._wanted is None else self._wanted, primary
            if has < wanted:
                raise _Behind
            self._is_well, self._rests_until = True, 0.0
            meters.replica_is_well(True)

    def rest(self, why: str) -> None:
        """Leaves the replica alone for some seconds."""
        with self._lock:
            if self._is_well:
                logger.warning("replica rests", why=why)
            self._is_well, self._looks_at = False, 0.0
            meters.replica_is_well(False)
            self._rests_until = time.monotonic() + REST_SECONDS

    @property
    def is_well(self) -> bool:
        with self._lock:
            return self._is_well


_watches: WeakKeyDictionary[Engine, _Watch] = WeakKeyDictionary()
_watches_lock = threading.Lock()


def read_public(read: Callable[[], T]) -> T:
    """What `read` returns, from the replica if there is one and it is well, else from the primary.

    read: asks the database through its session and changes nothing; it is run a second time, on the primary, when the
    replica is gone, is still starting, lacks a table or cancels a query. Raises what `read` raises on the primary.
    """
    engine = db.engines.get(REPLICA)
    if engine is None:
        return read()
    watch = _watch_of(engine)
    may_use, must_look = watch.turn()
    if not may_use:
        return read()
    try:
        with from_replica():
            if must_look:
                watch.look()
            return read()
    except _Behind:
        watch.rest("behind")
    except DBAPIError as error:
        state = getattr(error.orig, "sqlstate", None)
        if state != _CANCELLED:
            watch.rest(state or type(error.orig).__name__)
    except TimeoutError:
        watch.rest("no connection free")
    db.session.rollback()
    return read()


def is_well() -> bool | None:
    """Whether this process reads from the replica just now; None where none is set."""
    engine = db.engines.get(REPLICA)
    return None if engine is None else _watch_of(engine).is_well


def _watch_of(engine: Engine) -> _Watch:
    with _watches_lock:
        return _watches.setdefault(engine, _Watch())
