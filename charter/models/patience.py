"""A connection to PostgreSQL that does not wait for ever; apart, so that nobody on SQLite loads the driver."""

from __future__ import annotations

import time
from typing import Any

import psycopg
from psycopg.pq import TransactionStatus

from charter.models.breakdown import SILENCE_MS, is_request

#: How often psycopg looks up from waiting, its own value: else Ctrl-C would go unheard.
LOOK_SECONDS = 0.1


class PatientConnection(psycopg.Connection[Any]):
    """A connection that a web request gives up when the server says nothing any more, not even that it takes long.

    The server's own limits do not hold where the server itself stands still: a frozen machine, a disk that hangs.
    """

    #: Longest silence inside a request, set when a transaction begins; else that of the question "are you there?".
    silence_seconds: float = SILENCE_MS / 1000
    #: Whether the transaction that is open can change nothing; set when it begins.
    is_reading: bool = False

    def wait(self, gen: Any, interval: float = LOOK_SECONDS, timeout: float | None = None) -> Any:
        """As psycopg does, with a time limit inside a request."""
        if timeout is not None or not is_request():
            return super().wait(gen, interval, timeout)
        begun = time.monotonic()
        try:
            return super().wait(gen, interval, self.silence_seconds)
        except psycopg.OperationalError:
            if time.monotonic() - begun >= self.silence_seconds:
                # Nobody knows what this connection would answer next.
                self.pgconn.finish()
            raise

    def rollback(self) -> None:
        """As psycopg does, but for what can change nothing: that may as well be committed.

        After a rollback psycopg forgets every statement that it has made ready, and has the server forget them too.
        """
        if self.is_reading and self.pgconn.transaction_status == TransactionStatus.INTRANS:
            self.commit()
        else:
            super().rollback()
