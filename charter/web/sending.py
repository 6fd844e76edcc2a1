"""A file on its way: how many leave at once, and that each gives back what it holds, however it ends."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import structlog
from flask import Flask, current_app

from charter.queries.snapshot import BrokenOffError, Snapshot
from charter.settings import Settings

logger = structlog.get_logger()

#: A reader slower than this gets no further: an open snapshot keeps the database from tidying up behind it.
LONGEST_SECONDS = 900.0


class Place:
    """One of the places of this process, until it is given back."""

    def __init__(self, places: threading.Semaphore) -> None:
        self._places = places
        self._lock = threading.Lock()
        self._is_taken = True

    def give_back(self) -> None:
        """Lets the next one in; once only, whoever calls and how often."""
        with self._lock:
            if self._is_taken:
                self._is_taken = False
                self._places.release()


def find_place() -> Place | None:
    """A place, or None while all are taken."""
    places: threading.Semaphore = current_app.extensions[__name__]
    return Place(places) if places.acquire(blocking=False) else None


class Sending:
    """The pieces of a file for the server to send.

    When the last piece is gone, or the client, or the database, the connection and the place are given back. The
    server ends an answer that broke off like one that is whole (it closes the chunks of HTTP/1.1 in any case), so the
    file itself has to show it: `broken` is its last piece then.
    """

    def __init__(self, pieces: Iterator[bytes], reading: Snapshot, place: Place, *, broken: bytes = b"") -> None:
        self._pieces, self._reading, self._place, self._broken = pieces, reading, place, broken
        # While the server waits for a slow client nobody comes by here, so somebody else has to look at the clock.
        self._too_slow = threading.Timer(LONGEST_SECONDS, reading.close)
        self._too_slow.daemon = True
        self._too_slow.start()

    def __iter__(self) -> Sending:
        return self

    def __next__(self) -> bytes:
        try:
            return next(self._pieces)
        except BrokenOffError as error:
            logger.warning("file broken off", kind=str(error), entries=self._reading.count)
            self._pieces = iter(())
            self.close()
            if not self._broken:
                raise StopIteration from None
            return self._broken
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Called by the server at the end of the answer, also when the client has left."""
        self._too_slow.cancel()
        self._reading.close()
        self._place.give_back()

    def __del__(self) -> None:
        # An answer that was made and never sent.
        self.close()


def init_app(app: Flask) -> None:
    """So many places as the setting says."""
    settings: Settings = app.config["CHARTER"]
    app.extensions[__name__] = threading.Semaphore(settings.downloads_at_once)
