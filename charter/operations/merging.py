"""One affiliation taken into another, and given back: whoever waits goes along, who is published stays as signed."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import func, or_, select

from charter.domain.duties import Right
from charter.domain.errors import DecidedMeanwhileError, FieldRefusedError, NotFoundError
from charter.domain.signature import State
from charter.models.affiliation import Affiliation, AffiliationMerge, AffiliationMove, keep_face
from charter.models.base import db
from charter.models.decision import Audit
from charter.models.rights import Correction
from charter.models.signature import Signature
from charter.operations.affiliations import SUBJECT, lock_names, show_with_next_batch, who_changed
from charter.operations.duties import require
from charter.operations.steps import add_audit
from charter.operations.unit import operation

#: Ids that are walked at once: a range of the primary key, of which few rows are the affiliation's.
WINDOW = 4000
#: Signatures that are moved, or given back, at once.
MOVES_AT_ONCE = 300
#: Those who are not in the registry and may still come there: a declined one may be taken up again.
WAITING = (State.SUBMITTED, State.CONFIRMED, State.CLARIFICATION, State.APPROVED, State.DECLINED)


@operation
def merge(from_id: int, into_id: int, *, expected_version: int, staff_id: int, now: datetime) -> int:
    """Takes one into another of its type and returns the merge's id; at once nobody can choose it any more.

    Its words mean the other one from now on. The worker moves those who wait. expected_version: of the one taken in.
    Raises DecidedMeanwhileError when somebody changed it since, NotFoundError, DutyRefusedError, and FieldRefusedError:
    `self`, `type`, `merged` where one of the two was taken in already, `busy` while a merge of one is taken back.
    """
    require(staff_id, Right.AFFILIATIONS)
    lock_names()
    # In one order, so that no two mergers wait in a circle; against the lock of whoever signs with it (`steps`).
    rows = {
        row.id: row
        for row in db.session.scalars(
            select(Affiliation)
            .where(Affiliation.id.in_((from_id, into_id)))
            .order_by(Affiliation.id)
            .with_for_update()
            .execution_options(populate_existing=True)
        )
    }
    if from_id == into_id:
        raise FieldRefusedError("into", "self")
    if len(rows) != 2:
        raise NotFoundError
    row, into = rows[from_id], rows[into_id]
    if row.version != expected_version:
        raise DecidedMeanwhileError(state="changed", by_staff_name=who_changed(SUBJECT, row.id))
    if row.type != into.type:
        raise FieldRefusedError("into", "type")
    if row.merged_into is not None or into.merged_into is not None:
        raise FieldRefusedError("into", "merged")
    if _is_busy(from_id, into_id):
        raise FieldRefusedError("into", "busy")
    done = AffiliationMerge(
        from_id=from_id,
        into_id=into_id,
        state="moving",
        was_selectable=row.is_selectable,
        staff_id=staff_id,
        created_at=now,
    )
    db.session.add(done)
    keep_face(row)
    row.merged_into, row.is_selectable, row.version = into.slug, False, row.version + 1
    db.session.flush()
    add_audit(
        "affiliation-merge",
        staff_id=staff_id,
        subject=SUBJECT,
        subject_id=from_id,
        now=now,
        detail={"merge": done.id, "into": into.slug},
        before={"merged_into": None, "is_selectable": done.was_selectable},
        after={"merged_into": into.slug, "is_selectable": False},
    )
    show_with_next_batch(now=now)
    return done.id


@operation
def undo(merge_id: int, *, staff_id: int, now: datetime) -> int:
    """Gives back what a merge took, and returns whose it was: the names at once, those who still wait by the worker.

    Who was published meanwhile, or has chosen another affiliation since, stays.
    Raises NotFoundError for one that is undone already.
    """
    require(staff_id, Right.AFFILIATIONS)
    lock_names()
    found = db.session.get(AffiliationMerge, merge_id, with_for_update=True)
    if found is None or found.state not in {"moving", "done"}:
        raise NotFoundError
    row = db.session.get_one(Affiliation, found.from_id, with_for_update=True)
    before = {"merged_into": row.merged_into, "is_selectable": row.is_selectable}
    keep_face(row)
    row.merged_into, row.is_selectable, row.version = None, found.was_selectable, row.version + 1
    found.state, found.cursor, found.ended_at = "undoing", 0, None
    add_audit(
        "affiliation-merge-undo",
        staff_id=staff_id,
        subject=SUBJECT,
        subject_id=row.id,
        now=now,
        detail={"merge": merge_id},
        before=before,
        after={"merged_into": None, "is_selectable": row.is_selectable},
    )
    show_with_next_batch(now=now)
    return row.id


def _is_busy(*affiliation_ids: int) -> bool:
    """Whether one of these is being given back, or being filled."""
    query = select(AffiliationMerge.id).where(
        or_(AffiliationMerge.from_id.in_(affiliation_ids), AffiliationMerge.into_id.in_(affiliation_ids)),
        AffiliationMerge.state == "undoing",
    )
    return db.session.scalars(query.limit(1)).first() is not None


# ── the worker ───────────────────────────────────────────────────────────────────────────────────────────────────────


@operation
def go_on(merge_id: int, *, now: datetime) -> bool:
    """Moves or gives back some of those who wait; returns whether there are more. Safe to be done by two at once."""
    found = db.session.get(AffiliationMerge, merge_id, with_for_update=True, populate_existing=True)
    if found is None or found.state not in {"moving", "undoing"}:
        return False
    is_there = found.state == "moving"
    moved, is_more = _move(found) if is_there else _give_back(found)
    if not is_more:
        found.state = "done" if found.state == "moving" else "undone"
        found.ended_at = now
    if moved or not is_more:
        pair = [db.session.get_one(Affiliation, one).slug for one in (found.from_id, found.into_id)]
        # In the name of whoever began it; the ids say which dossiers have changed under whose eyes.
        add_audit(
            "affiliation-merged" if is_there else "affiliation-merge-undone",
            staff_id=found.staff_id if is_there else _undone_by(found),
            subject=SUBJECT,
            subject_id=found.from_id,
            now=now,
            detail={"merge": found.id, "signatures": list(moved), "is_done": not is_more},
            before={"affiliation": pair[0] if is_there else pair[1]},
            after={"affiliation": pair[1] if is_there else pair[0]},
        )
    return is_more


def _undone_by(found: AffiliationMerge) -> int | None:
    """Who takes it back: of one affiliation one merger at a time."""
    return db.session.scalars(
        select(Audit.staff_id)
        .where(Audit.subject == SUBJECT, Audit.subject_id == found.from_id, Audit.action == "affiliation-merge-undo")
        .order_by(Audit.id.desc())
        .limit(1)
    ).first()


def _move(found: AffiliationMerge) -> tuple[Sequence[int], bool]:
    """Each window of ids once, in parts where many of it are the affiliation's."""
    first, last = found.cursor, found.cursor + WINDOW
    signatures = db.session.scalars(
        select(Signature)
        .where(
            Signature.id > first,
            Signature.id <= last,
            Signature.affiliation_id == found.from_id,
            Signature.state.in_(WAITING),
        )
        .order_by(Signature.id)
        .limit(MOVES_AT_ONCE)
        .with_for_update()
    ).all()
    if len(signatures) == MOVES_AT_ONCE:
        last = signatures[-1].id
    for signature in signatures:
        signature.affiliation_id = found.into_id
        signature.version += 1
        db.session.add(AffiliationMove(merge_id=found.id, signature_id=signature.id))
    # A wish that only keeps the affiliation of a published entry is no choice of it: that entry stays as signed.
    wishes = db.session.execute(
        select(Correction, Signature.id)
        .join(Signature, Signature.id == Correction.signature_id)
        .where(
            Signature.id > first,
            Signature.id <= last,
            Correction.state == "pending",
            Correction.affiliation_id == found.from_id,
            or_(Signature.affiliation_id.is_(None), Signature.affiliation_id != found.from_id),
        )
        .order_by(Signature.id)
        .with_for_update(of=Correction)
    ).all()
    for wish, signature_id in wishes:
        wish.affiliation_id = found.into_id
        wish.version += 1
        db.session.add(AffiliationMove(merge_id=found.id, signature_id=signature_id, correction_id=wish.id))
    moved = [one.id for one in signatures] + [signature_id for _wish, signature_id in wishes]
    found.moved += len(moved)
    found.cursor = last
    return moved, last < (db.session.scalar(select(func.max(Signature.id))) or 0)


def _give_back(found: AffiliationMerge) -> tuple[Sequence[int], bool]:
    """Of those who moved, whoever still waits and still is where the merge put them."""
    moves = db.session.scalars(
        select(AffiliationMove)
        .where(AffiliationMove.merge_id == found.id, AffiliationMove.signature_id > found.cursor)
        .order_by(AffiliationMove.signature_id)
        .limit(MOVES_AT_ONCE)
    ).all()
    wishes = {one.signature_id: one.correction_id for one in moves if one.correction_id is not None}
    themselves = [one.signature_id for one in moves if one.correction_id is None]
    signatures = db.session.scalars(
        select(Signature)
        .where(Signature.id.in_(themselves), Signature.affiliation_id == found.into_id, Signature.state.in_(WAITING))
        .order_by(Signature.id)
        .with_for_update()
    ).all()
    for signature in signatures:
        signature.affiliation_id = found.from_id
        signature.version += 1
    given = [one.id for one in signatures]
    for wish in db.session.scalars(
        select(Correction)
        .where(
            Correction.id.in_(wishes.values()),
            Correction.affiliation_id == found.into_id,
            Correction.state == "pending",
        )
        .order_by(Correction.id)
        .with_for_update()
    ):
        wish.affiliation_id = found.from_id
        wish.version += 1
        given.append(wish.signature_id)
    if moves:
        found.cursor = moves[-1].signature_id
    found.moved -= len(given)
    return given, len(moves) == MOVES_AT_ONCE
