"""The receipt that a certificate brings: one that stays the same while the log grows."""

from __future__ import annotations

from dataclasses import replace

from sqlalchemy import func, select

from charter.models import nodes
from charter.models.base import db
from charter.models.log import LogCheckpoint, LogCosignature, LogPlace, key_place
from charter.queries.receipts import Receipt, receipt_of
from charter.queries.standing import checkpoint_of_size
from charter.tlog import proof, tree


def lasting_receipt_of(entry: str, *, vkey: str) -> Receipt | None:
    """The receipt of an entry's present line under the first checkpoint that covers it, in a constant number of
    statements; None where `receipt_of` has none.

    The first one that witnesses have cosigned, if any is; and none from before `vkey`, the log's present key, was
    named: whoever checks the certificate knows this key and perhaps no former one. A checkpoint that was overtaken gets
    no further cosignature, so the same bytes are given as long as the line stands.
    """
    found = receipt_of(entry)
    if found is None:
        return None
    connection = db.session.connection()
    named = connection.execute(select(LogPlace.confirm_index).where(LogPlace.entry == key_place(vkey))).scalar()
    least = max(found.index, -1 if named is None else int(named)) + 1
    row = connection.execute(
        select(
            select(func.min(LogCosignature.size))
            .where(LogCosignature.size.between(least, found.size))
            .scalar_subquery()
            .label("witnessed"),
            select(func.min(LogCheckpoint.size))
            .where(LogCheckpoint.size.between(least, found.size))
            .scalar_subquery()
            .label("first"),
        )
    ).one()
    size = row.witnessed or row.first
    checkpoint = None if size is None else checkpoint_of_size(int(size))
    if checkpoint is None:
        return found
    parts = proof.read(found.proof_text)
    path = nodes.computed(connection, lambda fetch: tree.inclusion_proof(found.index, checkpoint.size, fetch))
    text = proof.write(proof.Proof(parts.extra, found.index, path, checkpoint.text))
    return replace(found, proof_text=text, size=checkpoint.size)
