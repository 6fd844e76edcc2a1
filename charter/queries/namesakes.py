"""Signatures by a folded name and those written nearly so: a few rows around it, however many there are."""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import Select, select, union_all

from charter.models.signature import Signature

#: A name that begins with other letters is another name.
_STEM = 4


def around(fold: str, *, states: Collection[str], same: int, beside: int) -> Select[int]:
    """Ids of signatures in these states: the newest `same` with this very fold, and the `beside` next to it on each
    side in the order of letters, of those that begin with the same ones.

    What differs by a letter or two stands near. Common names have many thousands that begin alike: a walk through all
    of them would take longer with every signatory.
    """
    stem, folded = fold[:_STEM], Signature.name_fold
    known = Signature.state.in_(states)
    looks = (
        select(Signature.id).where(folded == fold, known).order_by(Signature.id.desc()).limit(same),
        select(Signature.id)
        .where(folded > fold, folded < stem + "~", known)
        .order_by(folded, Signature.id)
        .limit(beside),
        select(Signature.id)
        .where(folded < fold, folded >= stem, known)
        .order_by(folded.desc(), Signature.id.desc())
        .limit(beside),
    )
    every = union_all(*(select(look.subquery().c.id) for look in looks)).subquery()
    return select(every.c.id)
