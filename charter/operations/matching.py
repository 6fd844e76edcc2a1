"""Own words that mean an affiliation: staff say which, and whoever waits with the same words is matched."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import func, select

from charter.domain.affiliation import TYPE_OF, alias_fold
from charter.domain.duties import Right
from charter.domain.errors import FieldRefusedError, NotFoundError
from charter.domain.signature import State
from charter.models.affiliation import Affiliation, AffiliationAlias
from charter.models.base import db
from charter.models.rights import Correction
from charter.models.signature import Signature
from charter.operations.affiliations import SUBJECT, lock_names
from charter.operations.duties import require
from charter.operations.merging import MOVES_AT_ONCE, WINDOW
from charter.operations.naming import add_alias
from charter.operations.steps import add_audit
from charter.operations.unit import operation

#: Those whose words may still become an affiliation.
WAITING = (State.SUBMITTED, State.CONFIRMED, State.CLARIFICATION, State.APPROVED)


@operation
def match(signature_id: int, affiliation_id: int, *, staff_id: int, now: datetime) -> None:
    """The own words of this application mean that affiliation, here and wherever else they wait, and from now on.

    The worker matches those who wait. Raises NotFoundError where the words or the affiliation are gone, and
    FieldRefusedError, NameTakenError: `type` for one that does not suit this kind of observer, `merged`.
    """
    require(staff_id, Right.AFFILIATIONS)
    lock_names()
    signature = db.session.get(Signature, signature_id)
    row = db.session.get(Affiliation, affiliation_id, with_for_update=True)
    if signature is None or row is None or not signature.affiliation_text:
        raise NotFoundError
    if row.type != TYPE_OF[signature.kind]:
        raise FieldRefusedError("into", "type")
    if row.merged_into is not None:
        raise FieldRefusedError("into", "merged")
    alias = add_alias(affiliation_id, signature.affiliation_text, now=now, staff_id=staff_id)
    # Again, if the words are known: somebody may have signed while the worker was looking.
    alias.cursor, alias.staff_id = 0, staff_id
    add_audit(
        "affiliation-match",
        staff_id=staff_id,
        subject=SUBJECT,
        subject_id=affiliation_id,
        now=now,
        detail={"signature": signature_id},
        # Its number: the words are a signatory's, and nothing here can be erased.
        before={"alias_id": None},
        after={"alias_id": alias.id},
    )


@operation
def go_on(alias_id: int, *, now: datetime) -> bool:
    """Matches some of those who wait with these words; returns whether there are more. Safe for two at once."""
    alias = db.session.get(AffiliationAlias, alias_id, with_for_update=True, populate_existing=True)
    if alias is None or alias.cursor is None:
        return False
    row = _end_of(db.session.get_one(Affiliation, alias.affiliation_id))
    first, last = alias.cursor, alias.cursor + WINDOW
    kinds = [kind for kind, type_ in TYPE_OF.items() if type_ == row.type]
    matched = []
    waiting = _with_words(alias.name_fold, kinds, first, last)
    if len(waiting) > MOVES_AT_ONCE:
        waiting = waiting[:MOVES_AT_ONCE]
        last = waiting[-1]
    for signature in db.session.scalars(
        select(Signature)
        .where(
            Signature.id.in_(waiting),
            Signature.affiliation_text.is_not(None),
            Signature.state.in_(WAITING),
        )
        .order_by(Signature.id)
        .with_for_update()
    ):
        if alias_fold(signature.affiliation_text or "") == alias.name_fold:
            signature.affiliation_id, signature.affiliation_text = row.id, None
            signature.version += 1
            matched.append(signature.id)
    matched += _match_wishes(alias, row.id, kinds, first, last)
    alias.cursor = last if last < (db.session.scalar(select(func.max(Signature.id))) or 0) else None
    if matched:
        add_audit(
            "affiliation-matched",
            staff_id=alias.staff_id,
            subject=SUBJECT,
            subject_id=row.id,
            now=now,
            detail={"alias_id": alias.id, "signatures": matched},
            before={"affiliation": None},
            after={"affiliation": row.slug},
        )
    return alias.cursor is not None


def _with_words(folded: str, kinds: list[str], first: int, last: int) -> list[int]:
    """Who waits with these words in a window of ids, in order: no row is locked for others' words."""
    rows = db.session.execute(
        select(Signature.id, Signature.affiliation_text)
        .where(
            Signature.id > first,
            Signature.id <= last,
            Signature.affiliation_text.is_not(None),
            Signature.kind.in_(kinds),
            Signature.state.in_(WAITING),
        )
        .order_by(Signature.id)
    )
    return [signature_id for signature_id, words in rows if alias_fold(words or "") == folded]


def _match_wishes(alias: AffiliationAlias, affiliation_id: int, kinds: list[str], first: int, last: int) -> list[int]:
    """The same for corrections that wait."""
    matched = []
    for wish in db.session.scalars(
        select(Correction)
        .where(
            Correction.signature_id > first,
            Correction.signature_id <= last,
            Correction.state == "pending",
            Correction.affiliation_text.is_not(None),
            Correction.kind.in_(kinds),
        )
        .order_by(Correction.signature_id)
        .with_for_update()
    ):
        if alias_fold(wish.affiliation_text or "") == alias.name_fold:
            wish.affiliation_id, wish.affiliation_text = affiliation_id, None
            wish.version += 1
            matched.append(wish.signature_id)
    return matched


def _end_of(row: Affiliation) -> Affiliation:
    """The one it was merged into, however often."""
    for _ in range(10):
        if row.merged_into is None:
            break
        row = db.session.scalars(select(Affiliation).where(Affiliation.slug == row.merged_into)).one()
    return row
