"""Where the demonstration reaches past the operations: the day its edition was loaded, and the disk while it loads."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from sqlalchemy import event, update

from charter.domain.calendar import local_date
from charter.models.base import db
from charter.models.edition import Edition
from charter.models.log import LogEvent
from charter.operations.unit import operation


@operation
def date_edition(*, loaded_at: datetime) -> None:
    """The Charter was there before it was signed: day and leaf of the edition move to the opening.

    Only while nothing is published: afterwards its leaf is in the log, which nothing may change.
    """
    db.session.execute(update(Edition).values(published_on=local_date(loaded_at)))
    db.session.execute(update(LogEvent).where(LogEvent.kind == "charter").values(effective_at=loaded_at))


@contextmanager
def hasty_disk() -> Iterator[None]:
    """Commits on SQLite without waiting for the disk inside; all is on it at the end.

    A power failure meanwhile may break the file: the launcher makes an unfinished demonstration anew.
    """
    engine = db.engine
    if engine.dialect.name != "sqlite":
        yield
        return

    def connected(connection: Any, _record: Any) -> None:
        connection.execute("PRAGMA synchronous = OFF")

    db.session.remove()
    engine.dispose()
    event.listen(engine, "connect", connected)
    try:
        yield
    finally:
        db.session.remove()
        event.remove(engine, "connect", connected)
        engine.dispose()
    connection = engine.raw_connection()
    try:
        connection.cursor().execute("PRAGMA wal_checkpoint(TRUNCATE)")
    finally:
        connection.close()
