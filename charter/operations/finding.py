"""What staff find people by, and the marks of a long queue: written by the worker, beside what happens."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from sqlalchemy import delete, select

from charter.domain.queue import LONG
from charter.models.base import db
from charter.models.desk import QueueMark
from charter.models.signature import Signature, SignatureWord, words_of
from charter.operations.unit import insert_if_absent, lock, operation


@operation
def write_missing_words(signature_ids: Sequence[int]) -> int:
    """Gives signatures of an older release the words of their names; returns how many words were new."""
    rows = db.session.execute(
        select(Signature.id, Signature.name_fold)
        .where(Signature.id.in_(signature_ids), Signature.name_fold.is_not(None))
        .order_by(Signature.id)
        .with_for_update()
    )
    words = [{"signature_id": row.id, "word": word} for row in rows for word in words_of(row.name_fold)]
    return insert_if_absent(SignatureWord, words)


@operation
def mark_queue(marks: Sequence[tuple[int, date, int]], *, every: int) -> int:
    """Keeps which applications stand at each `every`-th place; none while the queue is short. Returns how many.

    marks: (how many are due before, due_on, id). They were looked for before: nobody waits for it to be written.
    """
    lock("queue", "marks")
    kept = set(marks) if len(marks) * every > LONG else set()
    there = db.session.execute(select(QueueMark.place, QueueMark.due_on, QueueMark.signature_id)).all()
    if {tuple(row) for row in there} == kept:
        return len(kept)
    db.session.execute(delete(QueueMark))
    names = ("place", "due_on", "signature_id")
    insert_if_absent(QueueMark, [dict(zip(names, mark, strict=True)) for mark in sorted(kept)])
    return len(kept)
