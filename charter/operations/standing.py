"""How far the log may be shown: written after the signer's guard has a checkpoint on its disk, and after witnesses.

Each of these only ever raises what stands there, so that a late or repeated call does nothing (LOG §3).
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import literal, select, update

from charter.models.base import db
from charter.models.log import THE_STANDING, LogCheckpoint, LogCosignature, LogStanding, has_tree
from charter.operations.unit import insert_if_absent, operation


@operation
def note_guarded(size: int, *, is_served: bool = False) -> None:
    """The signer's guard has the checkpoint of `size` leaves on its disk: from now on it may be given away.

    is_served: it is shown at once, because no witness has to see it first; in the same transaction, so that who
    withdraws does not wait for another.
    """
    if _is_there(size):
        _raise("guarded_size", size)
        if is_served:
            _serve(size)


@operation
def note_served(size: int) -> None:
    """`/log/checkpoint` shows the checkpoint of `size` leaves from now on. One that is not guarded is never shown."""
    if _is_there(size):
        _serve(size)


@operation
def note_cosignature(size: int, witness: str, *, at: datetime, line: str) -> None:
    """Keeps what a witness has signed, verified already; one that is newer takes the place of an older one.

    at: the witness's own time, UTC. line: the signature line with its newline.
    """
    if not _is_there(size):
        return
    insert_if_absent(LogCosignature, [{"size": size, "witness": witness, "at": at, "line": line}])
    db.session.execute(
        update(LogCosignature)
        .where(LogCosignature.size == size, LogCosignature.witness == witness, LogCosignature.at < at)
        .values(at=at, line=line)
        .execution_options(synchronize_session=False)
    )


def _serve(size: int) -> None:
    _raise("served_size", size, LogStanding.guarded_size >= size)


def _is_there(size: int) -> bool:
    """Whether this size is signed; makes the row when it is missing."""
    if not has_tree(db.session.connection()):
        return False
    insert_if_absent(LogStanding, [{"id": THE_STANDING, "guarded_size": 0, "served_size": 0}])
    return db.session.scalar(select(literal(1)).where(LogCheckpoint.size == size)) is not None


def _raise(column: str, size: int, *conditions: Any) -> None:
    found = getattr(LogStanding, column)
    statement = update(LogStanding).where(LogStanding.id == THE_STANDING, found < size, *conditions)
    db.session.execute(statement.values({column: size}).execution_options(synchronize_session=False))
