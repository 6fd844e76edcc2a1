"""Steps that several operations share: plain functions inside somebody else's transaction."""

from __future__ import annotations

import secrets
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy import bindparam, delete, or_, select, update

from charter.domain import token as tokens
from charter.domain.affiliation import TYPE_OF, alias_fold, may_stand_alone
from charter.domain.calendar import local_date
from charter.domain.errors import FieldRefusedError
from charter.domain.hints import name_fold
from charter.domain.name import same_name_key
from charter.domain.signature import Actor, Move, State
from charter.domain.validity import is_valid_on
from charter.models.affiliation import Affiliation, AffiliationAlias, Region
from charter.models.base import db
from charter.models.decision import Audit, Decision
from charter.models.log import LogEvent
from charter.models.outbox import Message
from charter.models.rights import Correction, Objection
from charter.models.signature import Clarification, Link, Signature, SignatureEvent
from charter.operations.unit import insert_now


@dataclass(frozen=True)
class Details:
    """What an observer says of themselves and may correct.

    affiliation_slug: one of the list; affiliation_text: another, in the observer's words (200 characters); both None
    on one's own, which only an independent observer may be.
    """

    kind: str
    full_name: str
    short_name: str
    display: str
    affiliation_slug: str | None
    affiliation_text: str | None
    region_code: str


@dataclass(frozen=True)
class Resolved:
    """What the details point to. affiliation_id: None where the observer's own words stand, or on one's own."""

    affiliation_id: int | None


#: By column, not by row: a region brings its names in three languages along.
#: With the lock that the row of the signature takes anyway, in one order: whoever changes several waits for us, or we
#: for them, and never both.
_REGIONS = (
    select(Region.code, Region.valid_from, Region.valid_to)
    .where(Region.code.in_(bindparam("codes", expanding=True)))
    .order_by(Region.code)
    .with_for_update(read=True, key_share=True, of=Region)
)
#: The same: whoever merges it away waits for us, or we for them.
_AFFILIATION = select(
    Affiliation.id,
    Affiliation.slug,
    Affiliation.type,
    Affiliation.is_selectable,
    Affiliation.merged_into,
    Affiliation.valid_from,
    Affiliation.valid_to,
).with_for_update(read=True, key_share=True, of=Affiliation)
#: In one order, so that two who look for several never wait in a circle.
_BY_SLUGS = _AFFILIATION.where(Affiliation.slug.in_(bindparam("slugs", expanding=True))).order_by(Affiliation.id)
_BY_WORDS = (
    _AFFILIATION.add_columns(AffiliationAlias.name_fold)
    .join(AffiliationAlias, AffiliationAlias.affiliation_id == Affiliation.id)
    .where(AffiliationAlias.name_fold.in_(bindparam("words", expanding=True)))
    .order_by(Affiliation.id)
)
#: Where both are asked for they are locked first, in one order.
_OF_BOTH = (
    select(Affiliation.id)
    .where(
        or_(
            Affiliation.slug.in_(bindparam("slugs", expanding=True)),
            Affiliation.id.in_(
                select(AffiliationAlias.affiliation_id).where(
                    AffiliationAlias.name_fold.in_(bindparam("words", expanding=True))
                )
            ),
        )
    )
    .order_by(Affiliation.id)
    .with_for_update(read=True, key_share=True, of=Affiliation)
)
#: One that was merged may be merged on; a longer way is a mistake.
_MOST_MERGERS = 10


@dataclass(frozen=True)
class Choices:
    """What some people's answers name, as far as it is in the lists; each by what it is named with."""

    regions: Mapping[str, Any]
    by_slug: Mapping[str, Any]
    by_words: Mapping[str, Any]


def find_choices(details: Collection[Details]) -> Choices:
    """Looks up the regions and affiliations that these name, all at once."""
    connection = db.session.connection()
    codes = {one.region_code for one in details}
    slugs = {one.affiliation_slug for one in details if one.affiliation_slug is not None}
    words = {_folded(one) for one in details if one.affiliation_slug is None} - {""}
    if slugs and words and connection.dialect.name == "postgresql":
        connection.execute(_OF_BOTH, {"slugs": sorted(slugs), "words": sorted(words)})
    by_slug = connection.execute(_BY_SLUGS, {"slugs": sorted(slugs)}) if slugs else ()
    by_words = connection.execute(_BY_WORDS, {"words": sorted(words)}) if words else ()
    return Choices(
        regions={row.code: row for row in connection.execute(_REGIONS, {"codes": sorted(codes)})},
        by_slug={row.slug: row for row in by_slug},
        by_words={row.name_fold: row for row in by_words},
    )


def resolve_details(
    details: Details, *, now: datetime, kept: Signature | None = None, choices: Choices | None = None
) -> Resolved:
    """Looks up region and affiliation; FieldRefusedError where one cannot be chosen, or is required and missing.

    What can be chosen is what is valid on the day of `now` in Asia/Almaty. kept: what it holds already may stay,
    although nobody could choose it any more. Own words that are a name of one that can be chosen mean that one.
    choices: where they have been looked up already.
    """
    today = local_date(now)
    found = find_choices([details]) if choices is None else choices
    _check_region(found, details.region_code, today, kept=kept)
    if details.affiliation_slug is None:
        # A party in one's own words is allowed: a new one may be registered any day.
        if not may_stand_alone(details.kind) and details.affiliation_text is None:
            raise FieldRefusedError("affiliation", "required")
        return Resolved(_match(found.by_words.get(_folded(details)), details.kind, today))
    row = found.by_slug.get(details.affiliation_slug)
    if row is None or row.type != TYPE_OF[details.kind]:
        raise FieldRefusedError("affiliation", "unknown")
    if not _can_choose(row, today) and (kept is None or kept.affiliation_id != row.id):
        raise FieldRefusedError("affiliation", "unknown")
    return Resolved(row.id)


def _folded(details: Details) -> str:
    return alias_fold(details.affiliation_text or "")


def _check_region(found: Choices, code: str, today: date, *, kept: Signature | None) -> None:
    region = found.regions.get(code)
    if region is None:
        raise FieldRefusedError("region", "unknown")
    is_valid = is_valid_on(today, valid_from=region.valid_from, valid_to=region.valid_to)
    if not is_valid and (kept is None or kept.region_code != code):
        raise FieldRefusedError("region", "unknown")


def _can_choose(row: Any, today: date) -> bool:
    return bool(row.is_selectable) and is_valid_on(today, valid_from=row.valid_from, valid_to=row.valid_to)


def _match(row: Any, kind: str, today: date) -> int | None:
    """The affiliation that goes by somebody's own words, if it suits this kind of observer and can be chosen.

    row: whose name the words are, None where they are nobody's.
    """
    for _ in range(_MOST_MERGERS):
        if row is None or row.type != TYPE_OF[kind]:
            return None
        if row.merged_into is None:
            return int(row.id) if _can_choose(row, today) else None
        row = db.session.connection().execute(_BY_SLUGS, {"slugs": [row.merged_into]}).first()
    return None


def apply_details(signature: Signature, details: Details, resolved: Resolved) -> None:
    """Writes the details into the row."""
    signature.kind = details.kind
    signature.full_name = details.full_name
    signature.short_name = details.short_name
    signature.display = details.display
    signature.name_key = same_name_key(details.full_name)
    signature.name_fold = name_fold(details.full_name)
    signature.affiliation_id = resolved.affiliation_id
    signature.affiliation_text = details.affiliation_text if resolved.affiliation_id is None else None
    signature.region_code = details.region_code


def is_same(signature: Signature, details: Details, resolved: Resolved) -> bool:
    """Whether the details say what the row holds already."""
    text = details.affiliation_text if resolved.affiliation_id is None else None
    return (
        details.kind,
        details.full_name,
        details.short_name,
        details.display,
        details.region_code,
        resolved.affiliation_id,
        text,
    ) == (
        signature.kind,
        signature.full_name,
        signature.short_name,
        signature.display,
        signature.region_code,
        signature.affiliation_id,
        signature.affiliation_text,
    )


def get_affiliation(signature: Signature) -> tuple[str | None, str | None]:
    """Slug (None when not matched) and name as it stands now, in the language of signing (LOG §1).

    One that was merged away while the signature waited is published as the one it went into.
    """
    if signature.affiliation_id is None:
        return None, signature.affiliation_text
    row = db.session.get_one(Affiliation, signature.affiliation_id)
    if signature.number is None:
        row = _end_of_mergers(row)
    return row.slug, row.name[signature.signed_language]


def follow_mergers(signature: Signature) -> None:
    """Whoever is published as of another affiliation is of that one from here on, in every later revision too."""
    if signature.affiliation_id is not None:
        signature.affiliation_id = _end_of_mergers(db.session.get_one(Affiliation, signature.affiliation_id)).id


def _end_of_mergers(row: Affiliation) -> Affiliation:
    for _ in range(_MOST_MERGERS):
        if row.merged_into is None:
            break
        row = db.session.scalars(select(Affiliation).where(Affiliation.slug == row.merged_into)).one()
    return row


def add_event(
    signature: Signature,
    move: Move,
    *,
    before: State | None,
    actor: Actor,
    now: datetime,
    staff_id: int | None = None,
    reason: str | None = None,
) -> None:
    """Appends one line to the history of a signature."""
    event = event_of(signature, move, before=before, actor=actor, now=now)
    event.staff_id = staff_id
    event.reason = reason
    db.session.add(event)


def event_of(signature: Signature, move: Move, *, before: State | None, actor: Actor, now: datetime) -> SignatureEvent:
    """A line of the history, not yet written."""
    return SignatureEvent(
        signature_id=signature.id,
        at=now,
        move=move,
        state_before=before,
        state_after=signature.state,
        actor=actor,
    )


def expire(signature: Signature, *, now: datetime) -> None:
    """Ends a signature that was never confirmed, or whose signer has confirmed another one."""
    before = signature.move(Move.EXPIRE)
    signature.ended_at = now
    add_event(signature, Move.EXPIRE, before=before, actor=Actor.SERVICE, now=now)


def end_by_signatory(
    signature: Signature, *, now: datetime, staff_id: int | None = None, reason: str | None = None
) -> State:
    """Withdraws it: queued publication and unsent mail cancelled, the application line with its salt destroyed.

    staff_id: who recorded a letter that asks for it. reason: a code.
    Returns the state before. Raises MoveRefusedError where it cannot be withdrawn.
    """
    before = signature.move(Move.WITHDRAW)
    signature.ended_at = now
    signature.application_line = None
    cancel_log_events(signature, "publish", "correct")
    cancel_correction(signature, now=now)
    cancel_messages(signature, now=now)
    db.session.execute(
        update(Objection)
        .where(Objection.signature_id == signature.id, Objection.state == "pending")
        .values(state="cancelled", version=Objection.version + 1)
    )
    add_event(signature, Move.WITHDRAW, before=before, actor=Actor.SIGNATORY, now=now, staff_id=staff_id, reason=reason)
    return before


def cancel_log_events(signature: Signature, *kinds: str) -> None:
    """Leaves of these kinds that wait for a batch will not be written."""
    for event in db.session.scalars(
        select(LogEvent).where(LogEvent.signature_id == signature.id, LogEvent.kind.in_(kinds))
    ):
        db.session.delete(event)


def cancel_correction(signature: Signature, *, now: datetime) -> None:
    """What was asked for of an entry that ends is of no use any more: neither what waits nor what was just decided."""
    db.session.execute(
        update(Correction)
        .where(
            Correction.signature_id == signature.id,
            (Correction.state == "pending") | (Correction.effective_at > now),
        )
        .values(state="cancelled", version=Correction.version + 1),
        execution_options={"synchronize_session": False},
    )


def cancel_messages(signature: Signature, *, now: datetime) -> None:
    """Closes and empties what waits in the outbox for this signature."""
    for message in db.session.scalars(
        select(Message).where(Message.signature_id == signature.id, Message.done_at.is_(None))
    ):
        message.done_at = now
        message.recipient = None
        message.values = {}


def take_back(signature: Signature, decision: Decision, *, now: datetime, staff_id: int | None) -> None:
    """Undoes a decision with its queued leaf, its unsent mail and its question.

    staff_id: None where it is not known who did. Raises MoveRefusedError once the signature has moved on.
    """
    before = signature.move(Move.UNDO, back_to=State(decision.state_before))
    decision.undone_at = now
    signature.ended_at = None
    for event in db.session.scalars(select(LogEvent).where(LogEvent.decision_id == decision.id)):
        db.session.delete(event)
    db.session.execute(delete(Message).where(Message.decision_id == decision.id))
    db.session.execute(delete(Clarification).where(Clarification.decision_id == decision.id))
    add_event(signature, Move.UNDO, before=before, actor=Actor.CENTRE, now=now, staff_id=staff_id)


def new_link(signature: Signature, purpose: str, *, key: bytes, now: datetime, lifetime: timedelta | None) -> Link:
    """A link whose token nobody holds yet: the row keeps its digest, delivery computes it from the key."""
    link = link_to(signature, purpose, key=key, now=now, lifetime=lifetime)
    insert_now(link)
    return link


def link_to(signature: Signature, purpose: str, *, key: bytes, now: datetime, lifetime: timedelta | None) -> Link:
    """The same, not yet written."""
    uid = secrets.token_bytes(16)
    return Link(
        uid=uid,
        purpose=purpose,
        signature_id=signature.id,
        token_digest=tokens.token_digest(tokens.token(key, purpose, uid)),
        tries=0,
        created_at=now,
        expires_at=None if lifetime is None else now + lifetime,
    )


def find_link(token: str, purpose: str) -> Link | None:
    """The link behind a token, locked for this operation; None for an unknown or malformed one."""
    return db.session.scalars(
        select(Link).where(Link.token_digest == tokens.token_digest(token), Link.purpose == purpose).with_for_update()
    ).first()


def queue_message(
    kind: str,
    signature: Signature,
    *,
    link: Link | None,
    now: datetime,
    due_at: datetime | None = None,
    on_hold: bool = False,
    values: dict[str, Any] | None = None,
    decision_id: int | None = None,
) -> None:
    """Puts one mail to the signatory into the outbox of this transaction."""
    message = message_to(kind, signature, link=link, now=now)
    message.decision_id = decision_id
    message.on_hold = on_hold
    if due_at is not None:
        message.due_at = due_at
    if values is not None:
        message.values = values
    db.session.add(message)


def message_to(kind: str, signature: Signature, *, link: Link | None, now: datetime) -> Message:
    """A mail to the signatory, due at once, not yet written."""
    return Message(
        uid=secrets.token_hex(16),
        kind=kind,
        language=signature.language,
        recipient=signature.email,
        signature_id=signature.id,
        link_id=None if link is None else link.id,
        values={},
        on_hold=False,
        created_at=now,
        due_at=now,
        attempts=0,
    )


def personal_link(signature_id: int) -> Link | None:
    """The link to *my signature*; there is one from the confirmation on."""
    return db.session.scalars(
        select(Link)
        .where(Link.signature_id == signature_id, Link.purpose == "personal")
        .order_by(Link.id.desc())
        .limit(1)
    ).first()


def add_audit(
    action: str,
    *,
    staff_id: int | None,
    subject: str,
    subject_id: int | None,
    now: datetime,
    detail: dict[str, Any] | None = None,
    reason: str | None = None,
    before: dict[str, Any] | None = None,
    after: dict[str, Any] | None = None,
) -> None:
    """Records what a member of staff changed, in the transaction of the change.

    detail, before, after: codes and ids only, never a signatory's name or address. reason: why; a code of a catalogue
    or staff's own words on their act, at most 400 characters.
    """
    db.session.add(
        Audit(
            at=now,
            staff_id=staff_id,
            action=action,
            subject=subject,
            subject_id=subject_id,
            detail=detail or {},
            reason=reason,
            before=before,
            after=after,
        )
    )
