"""Which checkpoint of the log is shown, with what witnesses have added to it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, ScalarSelect, func, select

from charter.models.base import db
from charter.models.log import THE_STANDING, LogCheckpoint, LogCosignature, LogStanding, has_tree


@dataclass(frozen=True)
class Served:
    """A checkpoint as it is given away. root: 32 bytes. at: when we signed it. text: the whole note, with
    the newest cosignature of each witness under our own signatures."""

    size: int
    root: bytes
    at: datetime
    text: str


def served_checkpoint(connection: Connection | None = None) -> Served | None:
    """The one at `/log/checkpoint`; None while none may be shown. One statement; default: the session's connection."""
    return _checkpoint(_standing("served_size"), connection)


def guarded_checkpoint(connection: Connection | None = None) -> Served | None:
    """The newest one that may be given away at all, whatever witnesses have said of it (LOG §3)."""
    return _checkpoint(_standing("guarded_size"), connection)


def newest_checkpoint(connection: Connection | None = None) -> Served | None:
    """The newest one that is signed: what the public side of this snapshot stands on. Perhaps not guarded yet."""
    return _checkpoint(select(func.max(LogCheckpoint.size)).scalar_subquery(), connection)


def checkpoint_of_size(size: int) -> Served | None:
    """A former one, which may have been given away since. One statement."""
    return _checkpoint(select(LogCheckpoint.size).where(LogCheckpoint.size == size).scalar_subquery(), None)


def _standing(column: str) -> ScalarSelect[int]:
    return select(getattr(LogStanding, column)).where(LogStanding.id == THE_STANDING).scalar_subquery()


def _checkpoint(size: ScalarSelect[int], connection: Connection | None) -> Served | None:
    connection = db.session.connection() if connection is None else connection
    if not has_tree(connection):
        return None
    rows = connection.execute(
        select(LogCheckpoint.size, LogCheckpoint.root, LogCheckpoint.at, LogCheckpoint.note, LogCosignature.line)
        .outerjoin(LogCosignature, LogCosignature.size == LogCheckpoint.size)
        .where(LogCheckpoint.size == size)
        .order_by(LogCosignature.witness)
    ).all()
    if not rows:
        return None
    first = rows[0]
    return Served(first.size, bytes(first.root), first.at, first.note + "".join(row.line or "" for row in rows))
