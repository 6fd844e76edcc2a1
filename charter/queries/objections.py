"""Objections as each side sees them: the signatory, the reviewers' queue, and who answers one."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import and_, not_, or_, select
from sqlalchemy.orm import aliased

from charter.domain.moments import LONGEST_UNDO
from charter.domain.moments import has_come as is_past
from charter.domain.signature import Move
from charter.models.base import db
from charter.models.decision import Decision
from charter.models.moments import has_come
from charter.models.objecting import find_target
from charter.models.rights import Correction, Objection
from charter.models.signature import Signature, SignatureEvent
from charter.models.staff import StaffAccount

PAGE_SIZE = 50


@dataclass(frozen=True)
class MyObjection:
    """One's own. about: application | correction | removal. state: pending | upheld | rejected | cancelled, once it has
    taken effect.
    """

    about: str
    state: str
    words: str | None
    made_at: datetime
    due_on: date
    answer: str | None
    decided_at: datetime | None


@dataclass(frozen=True)
class ObjectionRow:
    """One that waits. is_yours: whoever looks decided first, so a colleague has to answer."""

    objection_id: int
    full_name: str
    about: str
    made_at: datetime
    due_on: date
    is_late: bool
    is_yours: bool


@dataclass(frozen=True)
class ObjectionPage:
    """Rows oldest due first. next_after: (due_on, id) to go on from, None at the end."""

    rows: list[ObjectionRow]
    next_after: tuple[date, int] | None


@dataclass(frozen=True)
class ObjectionView:
    """One objection with the decision it is about, for whoever answers it.

    reason, note, decided_at, first_name: of that decision; None where a restore knows only that it was made.
    approved_by, approver: of a removal, the second of the two who decided on it.
    language: of the mail that the answer becomes.
    """

    objection_id: int
    version: int
    signature_id: int
    full_name: str
    region_code: str
    language: str
    about: str
    state: str
    words: str | None
    made_at: datetime
    due_on: date
    reason: str | None
    note: str | None
    decided_at: datetime | None
    first_staff_id: int | None
    first_name: str | None
    approved_by: int | None
    approver: str | None
    answer: str | None
    answered_at: datetime | None
    answered_by: str | None
    new_signature_id: int | None

    @property
    def is_pending(self) -> bool:
        """Whether it can be answered."""
        return self.state == "pending"


@dataclass(frozen=True)
class UndoOffer:
    """One's own answer that can still be taken back."""

    objection_id: int
    state: str
    full_name: str


def may_object(signature_id: int, state: str, *, now: datetime) -> str | None:
    """What can be objected to: application | correction | removal, or None."""
    target = find_target(signature_id, state, now=now)
    return None if target is None else target.about


def mine(signature_id: int, *, now: datetime) -> list[MyObjection]:
    """One's own, newest first; an answer that can still be taken back is not told."""
    found = []
    rows = (
        select(Objection, Signature.number)
        .join(Signature, Signature.id == Objection.signature_id)
        .where(Objection.signature_id == signature_id)
        .order_by(Objection.id.desc())
    )
    for row, number in db.session.execute(rows):
        is_told = row.effective_at is None or is_past(row.effective_at, now=now, longest=LONGEST_UNDO)
        found.append(
            MyObjection(
                about=_about(row, number),
                state=row.state if is_told else "pending",
                words=row.words,
                made_at=row.made_at,
                due_on=row.due_on,
                answer=row.answer if is_told else None,
                decided_at=row.decided_at if is_told else None,
            )
        )
    return found


#: The event of a removal, of an objection to it.
_REMOVAL = and_(
    SignatureEvent.signature_id == Objection.signature_id,
    SignatureEvent.move == Move.REVOKE,
    Objection.correction_id.is_(None),
    Objection.decision_id.is_(None),
)


def queue(
    *, staff_id: int, today: date, after: tuple[date, int] | None = None, regions: frozenset[str] | None = None
) -> ObjectionPage:
    """What waits for an answer, oldest due first; one query by keyset on (due_on, id). regions: codes; None: all."""
    query = (
        select(Objection, Signature.full_name, Signature.number, SignatureEvent.staff_id)
        .join(Signature, Signature.id == Objection.signature_id)
        .outerjoin(SignatureEvent, _REMOVAL)
        .where(Objection.state == "pending")
        .order_by(Objection.due_on, Objection.id)
        .limit(PAGE_SIZE + 1)
    )
    if regions is not None:
        query = query.where(Signature.region_code.in_(regions))
    if after is not None:
        due, last = after
        query = query.where(or_(Objection.due_on > due, (Objection.due_on == due) & (Objection.id > last)))
    rows = db.session.execute(query).all()
    shown = [
        ObjectionRow(
            objection_id=one.id,
            full_name=full_name,
            about=_about(one, number),
            made_at=one.made_at,
            due_on=one.due_on,
            is_late=one.due_on < today,
            is_yours=staff_id in {one.first_staff_id, approved_by},
        )
        for one, full_name, number, approved_by in rows[:PAGE_SIZE]
    ]
    more = len(rows) > PAGE_SIZE
    return ObjectionPage(shown, (shown[-1].due_on, shown[-1].objection_id) if more else None)


_FIRST, _SECOND, _APPROVER = aliased(StaffAccount), aliased(StaffAccount), aliased(StaffAccount)
_VIEW = (
    select(Objection, Signature, Decision, Correction, _FIRST.name, _SECOND.name, SignatureEvent, _APPROVER.name)
    .join(Signature, Signature.id == Objection.signature_id)
    .outerjoin(Decision, Decision.id == Objection.decision_id)
    .outerjoin(Correction, Correction.id == Objection.correction_id)
    .outerjoin(_FIRST, _FIRST.id == Objection.first_staff_id)
    .outerjoin(_SECOND, _SECOND.id == Objection.staff_id)
    .outerjoin(SignatureEvent, _REMOVAL)
    .outerjoin(_APPROVER, _APPROVER.id == SignatureEvent.staff_id)
)


def find(objection_id: int) -> ObjectionView | None:
    """One objection; one query."""
    found = _views(Objection.id == objection_id)
    return found[0] if found else None


def of_signature(signature_id: int) -> list[ObjectionView]:
    """All of one person's signature, oldest first."""
    return _views(Objection.signature_id == signature_id)


def find_origin(signature_id: int) -> ObjectionView | None:
    """The objection that this application was taken up again by. Asked only of one whose history says so."""
    found = _views(Objection.new_signature_id == signature_id)
    return found[0] if found else None


def _views(condition: object) -> list[ObjectionView]:
    views = []
    for row in db.session.execute(_VIEW.where(condition).order_by(Objection.id)):  # type: ignore[arg-type]
        one, signature, first_name, second_name = row[0], row[1], row[4], row[5]
        decided: Decision | Correction | None = row[2] if one.correction_id is None else row[3]
        removal: SignatureEvent | None = row[6]
        views.append(
            ObjectionView(
                objection_id=one.id,
                version=one.version,
                signature_id=signature.id,
                full_name=signature.full_name,
                region_code=signature.region_code,
                language=signature.language,
                about=_about(one, signature.number),
                state=one.state,
                words=one.words,
                made_at=one.made_at,
                due_on=one.due_on,
                reason=removal.reason if removal is not None else None if decided is None else decided.reason,
                note=None if decided is None else decided.note,
                decided_at=removal.at if removal is not None else None if decided is None else decided.decided_at,
                first_staff_id=one.first_staff_id,
                first_name=first_name,
                approved_by=None if removal is None else removal.staff_id,
                approver=row[7],
                answer=one.answer,
                answered_at=one.decided_at,
                answered_by=second_name,
                new_signature_id=one.new_signature_id,
            )
        )
    return views


def find_undo_offer(objection_id: int, *, staff_id: int, now: datetime) -> UndoOffer | None:
    """The answer just given, while its seconds last."""
    row = db.session.execute(
        select(Objection.id, Objection.state, Signature.full_name)
        .join(Signature, Signature.id == Objection.signature_id)
        .where(
            Objection.id == objection_id,
            Objection.staff_id == staff_id,
            Objection.state.in_(["upheld", "rejected"]),
            not_(has_come(Objection.effective_at, now=now, longest=LONGEST_UNDO)),
            Signature.full_name != "",
        )
    ).first()
    return None if row is None else UndoOffer(*row)


def _about(objection: Objection, number: int | None) -> str:
    if objection.correction_id is not None:
        return "correction"
    # Who was declined has no number.
    return "application" if number is None else "removal"
