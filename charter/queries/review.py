"""What the Centre's reviewers see of one application: what was written, its history, decisions, who is at work."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import not_, select

from charter.domain.email import display_address
from charter.domain.moments import LONGEST_UNDO
from charter.domain.signature import PENDING, STANDING, State
from charter.models.affiliation import Affiliation, Region
from charter.models.base import db
from charter.models.decision import Decision
from charter.models.desk import Claim
from charter.models.moments import has_come
from charter.models.queueing import lasts
from charter.models.signature import Clarification, Signature, SignatureConsent, SignatureEvent
from charter.models.staff import StaffAccount
from charter.queries.names import affiliation_name, shown_name


@dataclass(frozen=True)
class DossierEvent:
    """One line of the history, with the reviewer's name for colleagues."""

    at: datetime
    move: str
    actor: str
    staff_name: str | None
    reason: str | None


@dataclass(frozen=True)
class DossierDecision:
    """A decision with its words and, for a question, the answer."""

    decision_id: int
    action: str
    reason: str | None
    note: str | None
    staff_id: int
    staff_name: str
    decided_at: datetime
    effective_at: datetime
    is_undone: bool
    answer: str | None
    answered_at: datetime | None


@dataclass(frozen=True)
class OtherSignature:
    """Another signature from the same mailbox; a hint, never a verdict. full_name: "" outside the reader's regions."""

    signature_id: int
    full_name: str
    state: str
    region: str


@dataclass(frozen=True)
class ClaimView:
    """Who is at work on an application, and until when that is shown."""

    staff_id: int
    staff_name: str
    until: datetime


@dataclass(frozen=True)
class Dossier:
    """Everything a reviewer needs to decide one application."""

    signature_id: int
    entry: str
    version: int
    state: str
    held: bool
    kind: str
    full_name: str
    short_name: str
    display: str
    shown_name: str | None
    email: str
    language: str
    signed_language: str
    region: str
    region_code: str
    affiliation_name: str | None
    is_affiliation_matched: bool
    edition: str
    submitted_at: datetime
    confirmed_at: datetime | None
    due_on: date | None
    number: int | None
    consents: list[tuple[str, str, datetime]]
    events: list[DossierEvent]
    decisions: list[DossierDecision]
    same_mailbox: list[OtherSignature]

    @property
    def is_forgotten(self) -> bool:
        """What was written is destroyed: kind, region, dates and number are left."""
        return not self.full_name

    @property
    def is_pending(self) -> bool:
        """Whether a decision is possible."""
        return self.state in PENDING


def find_dossier(signature_id: int, language: str, *, regions: frozenset[str] | None = None) -> Dossier | None:
    """One application with its history, decisions and neighbours in the same mailbox: five queries.

    regions: of whose people the reader may see the names; None: all.
    """
    row = db.session.execute(
        select(Signature, Region, Affiliation)
        .join(Region, Region.code == Signature.region_code)
        .outerjoin(Affiliation, Affiliation.id == Signature.affiliation_id)
        .where(Signature.id == signature_id)
    ).first()
    if row is None:
        return None
    signature, region, affiliation = row
    return Dossier(
        signature_id=signature.id,
        entry=signature.entry,
        version=signature.version,
        state=signature.state,
        held=signature.held,
        kind=signature.kind,
        full_name=signature.full_name,
        short_name=signature.short_name,
        display=signature.display,
        shown_name=shown_name(signature),
        email=display_address(signature.email),
        language=signature.language,
        signed_language=signature.signed_language,
        region=region.name[language],
        region_code=region.code,
        affiliation_name=affiliation_name(signature, affiliation, signature.signed_language),
        is_affiliation_matched=signature.affiliation_id is not None,
        edition=signature.edition_slug,
        submitted_at=signature.submitted_at,
        confirmed_at=signature.confirmed_at,
        due_on=signature.due_on,
        number=signature.number,
        consents=_consents(signature_id),
        events=_events(signature_id),
        decisions=_decisions(signature_id),
        same_mailbox=_same_mailbox(signature, language, regions),
    )


def _consents(signature_id: int) -> list[tuple[str, str, datetime]]:
    rows = db.session.scalars(
        select(SignatureConsent).filter_by(signature_id=signature_id).order_by(SignatureConsent.kind.desc())
    )
    return [(consent.kind, consent.text_sha256, consent.given_at) for consent in rows]


def _events(signature_id: int) -> list[DossierEvent]:
    rows = db.session.execute(
        select(SignatureEvent, StaffAccount.name)
        .outerjoin(StaffAccount, StaffAccount.id == SignatureEvent.staff_id)
        .where(SignatureEvent.signature_id == signature_id)
        .order_by(SignatureEvent.id)
    )
    return [DossierEvent(event.at, event.move, event.actor, name, event.reason) for event, name in rows]


def _decisions(signature_id: int) -> list[DossierDecision]:
    rows = db.session.execute(
        select(Decision, StaffAccount.name, Clarification.answer, Clarification.answered_at)
        .join(StaffAccount, StaffAccount.id == Decision.staff_id)
        .outerjoin(Clarification, Clarification.decision_id == Decision.id)
        .where(Decision.signature_id == signature_id)
        .order_by(Decision.id)
    )
    return [
        DossierDecision(
            decision_id=decision.id,
            action=decision.action,
            reason=decision.reason,
            note=decision.note,
            staff_id=decision.staff_id,
            staff_name=name,
            decided_at=decision.decided_at,
            effective_at=decision.effective_at,
            is_undone=decision.undone_at is not None,
            answer=answer,
            answered_at=answered_at,
        )
        for decision, name, answer, answered_at in rows
    ]


def _same_mailbox(signature: Signature, language: str, regions: frozenset[str] | None) -> list[OtherSignature]:
    if not signature.mailbox:
        # Of all who are forgotten.
        return []
    rows = db.session.execute(
        select(Signature.id, Signature.full_name, Signature.state, Signature.region_code, Region.short)
        .join(Region, Region.code == Signature.region_code)
        .where(
            Signature.mailbox == signature.mailbox,
            Signature.id != signature.id,
            Signature.state.in_([*STANDING, State.DECLINED, State.WITHDRAWN]),
        )
        .order_by(Signature.id)
        .limit(10)
    )
    return [
        OtherSignature(
            row.id,
            row.full_name if regions is None or row.region_code in regions else "",
            row.state,
            row.short[language],
        )
        for row in rows
    ]


def find_claim(signature_id: int, *, now: datetime) -> ClaimView | None:
    """Who is at work on it just now."""
    row = db.session.execute(
        select(Claim.staff_id, StaffAccount.name, Claim.until)
        .join(StaffAccount, StaffAccount.id == Claim.staff_id)
        .where(Claim.signature_id == signature_id, lasts(now))
    ).first()
    return None if row is None else ClaimView(row.staff_id, row.name, row.until)


@dataclass(frozen=True)
class UndoOffer:
    """One's own decision that can still be taken back."""

    decision_id: int
    action: str
    full_name: str
    effective_at: datetime


def find_undo_offer(decision_id: int, *, staff_id: int, now: datetime) -> UndoOffer | None:
    """The decision just made, while its seconds last."""
    row = db.session.execute(
        select(Decision, Signature.full_name)
        .join(Signature, Signature.id == Decision.signature_id)
        .where(
            Decision.id == decision_id,
            Decision.staff_id == staff_id,
            Decision.undone_at.is_(None),
            not_(has_come(Decision.effective_at, now=now, longest=LONGEST_UNDO)),
            # Who has withdrawn and is forgotten meanwhile has nothing to take back.
            Signature.full_name != "",
        )
    ).first()
    return None if row is None else UndoOffer(row[0].id, row[0].action, row[1], row[0].effective_at)
