"""What an observer sees: the lists to choose from, what a link would confirm, and one's own signature."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import select

from charter.domain import token as tokens
from charter.domain.email import display_address
from charter.domain.moments import LONGEST_UNDO
from charter.domain.signature import Move, State, may
from charter.domain.validity import is_valid_on
from charter.models.affiliation import Affiliation, Region, faces
from charter.models.base import db
from charter.models.decision import Decision
from charter.models.moments import has_come
from charter.models.registry import PublicEntry
from charter.models.signature import Clarification, Link, Signature, SignatureEvent
from charter.queries.names import affiliation_name, shown_name


@dataclass(frozen=True)
class AffiliationChoice:
    """One that can be chosen. type: party | organisation | mission. name: in the page's language.

    spellings: every name and abbreviation in every language, by which typed text is matched.
    """

    slug: str
    type: str
    name: str
    spellings: tuple[str, ...]


@dataclass(frozen=True)
class ConfirmView:
    """What a mailed link would confirm; personal, shown only to whoever holds the link.

    status: waiting | already | expired. is_signing_browser: whether a code can be spared.
    """

    status: str
    full_name: str = ""
    shown_name: str | None = None
    kind: str = ""
    region: str = ""
    affiliation_name: str | None = None
    is_signing_browser: bool = False
    tries: int = 0
    expires_at: datetime | None = None


@dataclass(frozen=True)
class HistoryLine:
    """One thing that happened. actor: signatory | centre | service, never a name."""

    at: datetime
    move: str
    actor: str
    reason: str | None


@dataclass(frozen=True)
class Question:
    """The Centre's open question."""

    reason: str
    note: str | None
    asked_at: datetime


@dataclass(frozen=True)
class MySignature:
    """One's own signature, for the holder of the personal link."""

    signature_id: int
    entry: str
    state: str
    kind: str
    full_name: str
    short_name: str
    display: str
    email: str
    language: str
    region_code: str
    region: str
    affiliation_slug: str | None
    affiliation_text: str | None
    affiliation_name: str | None
    edition: str
    submitted_at: datetime
    confirmed_at: datetime | None
    due_on: date | None
    number: int | None
    is_public: bool
    question: Question | None
    decline_reason: str | None
    decline_note: str | None
    history: list[HistoryLine]

    @property
    def can_correct(self) -> bool:
        """Before the decision."""
        return may(State(self.state), Move.CORRECT)

    @property
    def can_withdraw(self) -> bool:
        """While it has not ended."""
        return may(State(self.state), Move.WITHDRAW)

    @property
    def is_forgotten(self) -> bool:
        """What was written is destroyed: kind, region, dates and number are left."""
        return not self.full_name

    def is_signing_browser(self, browser_digest: bytes | None) -> bool:
        """Set by `find_mine`; see there."""
        return browser_digest is not None and browser_digest == self._browser_digest

    _browser_digest: bytes = b""


def affiliation_choices(language: str, *, on: date) -> list[AffiliationChoice]:
    """Everything that can be chosen on this day, by name: one query."""
    rows = faces(db.session.scalars(select(Affiliation)))
    choices = [
        AffiliationChoice(
            row.slug, row.type, row.name[language], tuple({*row.name.values(), *(row.abbr or {}).values()})
        )
        for row in rows
        if row.is_selectable and is_valid_on(on, valid_from=row.valid_from, valid_to=row.valid_to)
    ]
    return sorted(choices, key=lambda choice: choice.name.strip('«»“”"').casefold())


def find_confirmation(token: str, *, browser_digest: bytes | None, language: str, now: datetime) -> ConfirmView | None:
    """What stands behind a confirmation link; None for an unknown or malformed one, or one that is set aside."""
    row = db.session.execute(
        select(Link, Signature, Region, Affiliation)
        .join(Signature, Signature.id == Link.signature_id)
        .join(Region, Region.code == Signature.region_code)
        .outerjoin(Affiliation, Affiliation.id == Signature.affiliation_id)
        .where(Link.token_digest == tokens.token_digest(token), Link.purpose == "confirm")
    ).first()
    if row is None:
        return None
    link, signature, region, affiliation = row
    if signature.held and signature.state == State.SUBMITTED:
        return None
    if signature.state == State.EXPIRED:
        return ConfirmView("expired")
    if signature.state != State.SUBMITTED:
        return ConfirmView("already")
    if link.expires_at is not None and link.expires_at <= now:
        return ConfirmView("expired")
    return ConfirmView(
        status="waiting",
        full_name=signature.full_name,
        shown_name=shown_name(signature),
        kind=signature.kind,
        region=region.name[language],
        affiliation_name=affiliation_name(signature, affiliation, signature.signed_language),
        is_signing_browser=browser_digest is not None and browser_digest == signature.browser_digest,
        tries=link.tries,
        expires_at=link.expires_at,
    )


def find_signature_id(personal_token: str) -> int | None:
    """The signature that a personal link belongs to: one indexed row."""
    return db.session.scalars(
        select(Link.signature_id).where(
            Link.token_digest == tokens.token_digest(personal_token), Link.purpose == "personal"
        )
    ).first()


def find_mine(personal_token: str, *, language: str, now: datetime) -> MySignature | None:
    """One's own signature by the personal link's token; None when the link is unknown."""
    signature_id = find_signature_id(personal_token)
    if signature_id is None:
        return None
    row = db.session.execute(
        select(Signature, Region, Affiliation, PublicEntry)
        .join(Region, Region.code == Signature.region_code)
        .outerjoin(Affiliation, Affiliation.id == Signature.affiliation_id)
        .outerjoin(PublicEntry, PublicEntry.entry == Signature.entry)
        .where(Signature.id == signature_id)
    ).one()
    signature, region, affiliation, public = row
    events = db.session.scalars(
        select(SignatureEvent).where(SignatureEvent.signature_id == signature_id).order_by(SignatureEvent.id)
    ).all()
    decision = _last_decision(signature_id, now=now)
    question = None
    if decision is not None and decision.action == "ask" and signature.state == State.CLARIFICATION:
        question = Question(decision.reason or "", decision.note, decision.decided_at)
    is_declined = signature.state == State.DECLINED
    declined = decision if decision is not None and decision.action == "decline" and is_declined else None
    # A restore knows that it was declined, and what the log says why, but no longer the decision itself.
    told = next((event.reason for event in reversed(events) if event.move == _TELLING.get(signature.state)), None)
    return MySignature(
        signature_id=signature.id,
        entry=signature.entry,
        state=signature.state,
        kind=signature.kind,
        full_name=signature.full_name,
        short_name=signature.short_name,
        display=signature.display,
        email=display_address(signature.email),
        language=signature.language,
        region_code=signature.region_code,
        region=region.name[language],
        affiliation_slug=_slug(affiliation),
        affiliation_text=signature.affiliation_text,
        affiliation_name=affiliation_name(signature, affiliation, language),
        edition=signature.edition_slug,
        submitted_at=signature.submitted_at,
        confirmed_at=signature.confirmed_at,
        due_on=signature.due_on,
        number=signature.number,
        is_public=_is_live(public),
        question=question,
        decline_reason=declined.reason if declined else told,
        decline_note=declined.note if declined else None,
        history=[HistoryLine(event.at, event.move, event.actor, event.reason) for event in events],
        _browser_digest=signature.browser_digest,
    )


#: Of an end that the Centre made: the move that says why.
_TELLING: dict[str, Move] = {State.DECLINED: Move.DECLINE, State.REVOKED: Move.REVOKE}


def _last_decision(signature_id: int, *, now: datetime) -> Decision | None:
    return db.session.scalars(
        select(Decision)
        .where(
            Decision.signature_id == signature_id,
            Decision.undone_at.is_(None),
            has_come(Decision.effective_at, now=now, longest=LONGEST_UNDO),
        )
        .order_by(Decision.id.desc())
        .limit(1)
    ).first()


# An outer join may find nothing, which the types of a row do not say: these two do.
def _slug(affiliation: Affiliation | None) -> str | None:
    return None if affiliation is None else affiliation.slug


def _is_live(public: PublicEntry | None) -> bool:
    return public is not None and public.ended_on is None


def clarification_answers(signature_id: int) -> list[tuple[datetime, str]]:
    """The answers given so far, oldest first, for their author and the Centre."""
    rows = db.session.execute(
        select(Clarification.answered_at, Clarification.answer)
        .where(Clarification.signature_id == signature_id, Clarification.answered_at.is_not(None))
        .order_by(Clarification.id)
    )
    return [(at, text) for at, text in rows if at is not None and text is not None]
