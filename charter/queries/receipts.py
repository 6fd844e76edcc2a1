"""Receipts: a line with its salt, and the proof that the log commits to it, for whoever may see the line (LOG §4)."""

from __future__ import annotations

import json
from dataclasses import dataclass

from sqlalchemy import select

from charter.models import nodes, places
from charter.models.base import db
from charter.models.log import LogLeaf, LogPlace
from charter.models.registry import PublicEntry
from charter.models.signature import Signature
from charter.queries.standing import served_checkpoint
from charter.tlog import proof, tree
from charter.tlog.record import commitment


@dataclass(frozen=True)
class Receipt:
    """record: the line's exact bytes. proof_text: C2SP tlog-proof of the leaf that commits to it.

    index: of that leaf. size: of the tree it is proved in, the one whose checkpoint is served.
    """

    record: bytes
    proof_text: str
    index: int
    size: int


@dataclass(frozen=True)
class Papers:
    """What somebody can take away of an entry and of its application.

    Each is "ready"; "coming", when its leaf is in the tree that is served; or "none": there is no line, or no more, or
    no tree is served at all.
    """

    record: str
    application: str


_RECORD = (
    select(PublicEntry.line, LogPlace.record_index.label("place"), LogLeaf.data)
    .outerjoin(LogPlace, LogPlace.entry == PublicEntry.entry)
    .outerjoin(LogLeaf, LogLeaf.index == LogPlace.record_index)
)
_APPLICATION = (
    select(Signature.application_line.label("line"), LogPlace.confirm_index.label("place"), LogLeaf.data)
    .outerjoin(LogPlace, LogPlace.entry == Signature.entry)
    .outerjoin(LogLeaf, LogLeaf.index == LogPlace.confirm_index)
)
#: What the first leaf of each says.
_RECORD_KIND, _APPLICATION_KIND = "publish", "confirm"


def receipt_of(entry: str, *, is_application: bool = False) -> Receipt | None:
    """The receipt of an entry's present line, or of its application's, which the applicant alone may see.

    None while the leaf is not in the tree that is served, for an unknown entry, and once the line is destroyed. A
    constant number of statements.
    """
    served = served_checkpoint()
    if served is None:
        return None
    connection = db.session.connection()
    of_entry = Signature.entry == entry if is_application else PublicEntry.entry == entry
    row = connection.execute((_APPLICATION if is_application else _RECORD).where(of_entry)).first()
    if row is None or row.line is None:
        return None
    standing: places.Standing | None
    if row.place is None:
        kind = _APPLICATION_KIND if is_application else _RECORD_KIND
        standing = places.not_noted(connection, {entry}, kind=kind).get(entry)
    else:
        standing = places.Standing(row.place, bytes(row.data))
    if standing is None or standing.at >= served.size:
        return None
    line, (index, leaf) = bytes(row.line), standing
    if json.loads(leaf)["commit"] != commitment(line):
        # A restored database has a new line before the leaf that commits to it.
        return None
    path = nodes.computed(connection, lambda fetch: tree.inclusion_proof(index, served.size, fetch))
    return Receipt(line, proof.write(proof.Proof(leaf, index, path, served.text)), index, served.size)


def papers_of(entry: str) -> Papers:
    """Which receipts of an entry can be had, without making them. A constant number of statements."""
    served = served_checkpoint()
    if served is None:
        return Papers("none", "none")
    row = db.session.execute(
        select(
            Signature.application_line.is_not(None).label("applied"),
            PublicEntry.line.is_not(None).label("listed"),
            LogPlace.confirm_index,
            LogPlace.record_index,
        )
        .outerjoin(PublicEntry, PublicEntry.entry == Signature.entry)
        .outerjoin(LogPlace, LogPlace.entry == Signature.entry)
        .where(Signature.entry == entry)
    ).first()
    if row is None:
        return Papers("none", "none")

    def of(has_line: bool, place: int | None, kind: str) -> str:
        if not has_line:
            return "none"
        if place is None:
            standing = places.not_noted(db.session.connection(), {entry}, kind=kind).get(entry)
            place = None if standing is None else standing.at
        return "ready" if place is not None and place < served.size else "coming"

    return Papers(of(row.listed, row.record_index, _RECORD_KIND), of(row.applied, row.confirm_index, _APPLICATION_KIND))
