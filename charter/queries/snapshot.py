"""One publication for as long as somebody takes to fetch it: a connection with a read-only transaction of its own.

A page's session ends when its answer begins to leave; what is streamed is read afterwards, in windows.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Self, cast

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from charter.models import breakdown
from charter.models.base import db, let_go
from charter.queries import log
from charter.queries.registry import AsOf

#: `:name`, but not the second colon of a cast.
_NAMED = re.compile(r"(?<!:):([a-z_]+)")


class BrokenOffError(Exception):
    """The database could not be read to the end: what was read is right, but not all. Its text: a code for the log."""


class Snapshot:
    """What is read from it stands at one publication. Close it: it holds a connection until then.

    as_of: the batch that it stands at, None before the first. count: how many entries were read so far.
    """

    def __init__(self) -> None:
        """Begins it. Needs an application context, of which nothing is kept. Raises SQLAlchemyError."""
        self.count = 0
        self._lock = threading.Lock()
        self._is_open = True
        self._is_request = breakdown.is_request()
        engine = cast(Engine, db.session.get_bind())
        # The page's own session has told what it was asked for: two connections for one answer would be one too many
        # where a pooler has few.
        let_go()
        self._connection = engine.connect()
        try:
            self._begin()
            self._prepare()
        except BaseException:
            self.close()
            raise

    def _begin(self) -> None:
        closing = log.newest_batch(self._connection)
        self.as_of = None if closing is None else AsOf(closing.revision, closing.at)
        self.tree_size = 0 if closing is None else closing.tree_size
        if not self._is_sqlite:
            self._connection.exec_driver_sql("SET LOCAL DateStyle TO ISO")

    def _prepare(self) -> None:
        """What a kind of reading asks before it begins."""

    @property
    def dialect(self) -> str:
        """SQLAlchemy's name of the engine."""
        return self._connection.dialect.name

    @property
    def _is_sqlite(self) -> bool:
        return self.dialect == "sqlite"

    def close(self) -> None:
        """Gives the connection back, from whichever thread; what is being read just now is finished first."""
        with self._lock:
            if not self._is_open:
                return
            self._is_open = False
            try:
                self._connection.close()
            except SQLAlchemyError:
                # Lost on the way: it must not go back to the others.
                with suppress(SQLAlchemyError):
                    self._connection.invalidate()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _fetch(self, sql: str, values: Mapping[str, Any]) -> list[Any]:
        """One window. Where somebody waits for it, the limits of a request hold also after its view has returned."""
        with self._lock:
            if not self._is_open:
                raise BrokenOffError("closed")
            is_left = self._is_request and not breakdown.is_request()
            if is_left:
                breakdown.begin_request()
            try:
                return self._rows(sql, values)
            except SQLAlchemyError as error:
                code = breakdown.code_of(error)
            except self._connection.dialect.loaded_dbapi.Error as error:
                code = str(getattr(error, "sqlstate", None) or type(error).__name__)
            finally:
                if is_left:
                    breakdown.end_request()
            # Nobody knows what this connection would answer next.
            self._connection.invalidate()
            raise BrokenOffError(code)

    def _rows(self, sql: str, values: Mapping[str, Any]) -> list[Any]:
        if self._is_sqlite:
            return list(self._connection.exec_driver_sql(sql, dict(values)).all())
        driver: Any = self._connection.connection.driver_connection
        # Bytes as they are, and never a plan that was made for other values.
        with driver.cursor(binary=True) as cursor:
            return list(cursor.execute(_NAMED.sub(r"%(\1)s", sql), values, prepare=False).fetchall())
