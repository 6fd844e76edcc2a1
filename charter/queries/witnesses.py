"""What witnesses have said of the log's checkpoints, and what one of them has to be told next."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Select, func, select

from charter.models import nodes
from charter.models.base import db
from charter.models.log import THE_STANDING, LogCheckpoint, LogCosignature, LogStanding, has_tree
from charter.tlog import tree


@dataclass(frozen=True)
class Standing:
    """How far the log is guarded and shown, in leaves.

    unshown_at: when the first guarded checkpoint after the shown one was signed; None if there is none.
    cosigned: the witnesses that have cosigned the shown one. newest_at: when any of them last cosigned anything.
    """

    guarded_size: int
    served_size: int
    unshown_at: datetime | None
    cosigned: frozenset[str]
    newest_at: datetime | None


@dataclass(frozen=True)
class Candidate:
    """A checkpoint for witnesses. note: with our own signatures only. cosigned: witness → its own time."""

    size: int
    note: str
    cosigned: dict[str, datetime]


def has_log() -> bool:
    """Whether there are checkpoints at all: the code may be one schema ahead."""
    return has_tree(db.session.connection())


def find_standing() -> Standing | None:
    """None before anything is guarded, and one schema behind. Four rows by their keys."""
    if not has_log():
        return None
    row = db.session.execute(_row()).first()
    if row is None or not row.guarded_size:
        return None
    return Standing(
        guarded_size=row.guarded_size,
        served_size=row.served_size,
        unshown_at=first_after(row.served_size),
        cosigned=frozenset(db.session.scalars(_cosigners(row.served_size))),
        newest_at=db.session.scalar(_newest()),
    )


def sizes() -> tuple[int, int]:
    """(guarded, served) in leaves; zeros before anything is."""
    row = db.session.execute(_row()).first()
    return (0, 0) if row is None else (row.guarded_size, row.served_size)


def first_after(size: int) -> datetime | None:
    """When the first checkpoint beyond this size was signed, among those that are guarded."""
    found: datetime | None = db.session.scalar(_first_after(size))
    return found


def find_candidate(size: int) -> Candidate | None:
    """The checkpoint of exactly this size."""
    text = db.session.scalar(select(LogCheckpoint.note).where(LogCheckpoint.size == size))
    if text is None:
        return None
    rows = db.session.execute(select(LogCosignature.witness, LogCosignature.at).where(LogCosignature.size == size))
    return Candidate(size, text, {row.witness: row.at for row in rows})


def last_sizes(names: Collection[str]) -> dict[str, int]:
    """witness → the newest size it has cosigned. Asked once by whoever asks witnesses: it may read many rows."""
    found = {}
    for name in names:
        query = select(LogCosignature.size).where(LogCosignature.witness == name)
        found[name] = db.session.scalar(query.order_by(LogCosignature.size.desc()).limit(1)) or 0
    return found


def witnessed_size(names: Collection[str], *, quorum: int, above: int = 0) -> int:
    """The newest size beyond `above` that so many of these have cosigned; `above` itself if there is none."""
    query = (
        select(LogCosignature.size)
        .where(LogCosignature.witness.in_(names), LogCosignature.size > above)
        .group_by(LogCosignature.size)
        .having(func.count() >= quorum)
        .order_by(LogCosignature.size.desc())
        .limit(1)
    )
    return db.session.scalar(query) or above


class BrokenTreeError(Exception):
    """The stored tree does not extend a checkpoint that we have signed, or is not what the newest one says."""


def proof_between(old: int, size: int) -> list[bytes]:
    """That the tree of `size` leaves extends that of `old`, from stored nodes. Raises BrokenTreeError.

    Checked before it is given away, against the roots that were signed: where it fails, the fault is in our database.
    """
    connection = db.session.connection()
    rows = connection.execute(
        select(LogCheckpoint.size, LogCheckpoint.root).where(LogCheckpoint.size.in_((old, size)))
    ).all()
    roots = {row.size: bytes(row.root) for row in rows} | ({} if old else {0: tree.EMPTY_ROOT})
    try:
        proof = nodes.computed(connection, lambda fetch: tree.consistency_proof(old, size, fetch))
        if old in roots:
            tree.check_consistency(old, size, proof, roots[old], roots[size])
    except (KeyError, tree.ProofError):
        raise BrokenTreeError from None
    return proof


def _row() -> Select[int, int]:
    return select(LogStanding.guarded_size, LogStanding.served_size).where(LogStanding.id == THE_STANDING)


def _first_after(size: int) -> Select[Any]:
    guarded = select(LogStanding.guarded_size).where(LogStanding.id == THE_STANDING).scalar_subquery()
    query = select(LogCheckpoint.at).where(LogCheckpoint.size > size, LogCheckpoint.size <= guarded)
    return query.order_by(LogCheckpoint.size).limit(1)


def _cosigners(size: int) -> Select[Any]:
    return select(LogCosignature.witness).where(LogCosignature.size == size)


def _newest() -> Select[Any]:
    return select(LogCosignature.at).order_by(LogCosignature.size.desc(), LogCosignature.at.desc()).limit(1)
