"""After a material change: signatories of earlier editions are asked to affirm the new one, and do so."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import func, select

from charter.domain.errors import NotFoundError
from charter.domain.signature import STANDING, Actor, Move, State, may
from charter.models.base import db
from charter.models.edition import Affirmation, AffirmationRound, Edition
from charter.models.outbox import Message
from charter.models.signature import Link, Signature
from charter.operations.proving import Outcome, Proof, Result, get_signature, prove_act
from charter.operations.showing import queue_once
from charter.operations.steps import add_event, message_to
from charter.operations.unit import lock, operation

MAIL = "affirm"
#: Signatures that one step looks at.
ASKED_AT_ONCE = 100
#: So many of these mails wait at most: every other answer leaves after a hundred of them, not after a million.
MOST_WAITING = 100


@operation
def ask_some(*, now: datetime) -> bool:
    """Mails some signatories of earlier editions, each of them once; returns whether there is more to do now.

    Also those whose application still waits: they signed the old text. How many leave in an hour is the outbox's
    affair, and whoever's mailbox takes none gets none (`mailboxes.admit`); their own page asks them all the same. A
    round ends where a later edition became current: nobody is asked about two.
    """
    lock("affirming", "rounds")
    asking = db.session.scalars(
        select(AffirmationRound)
        .where(AffirmationRound.ended_at.is_(None))
        .order_by(AffirmationRound.began_at)
        .limit(1)
        .with_for_update()
    ).first()
    if asking is None:
        return False
    since = _since(asking.edition_slug)
    if since is None:
        asking.ended_at = now
        return True
    room = MOST_WAITING - _waiting()
    if room <= 0:
        return False
    found = db.session.scalars(
        select(Signature)
        .where(Signature.id > asking.cursor)
        .order_by(Signature.id)
        .limit(min(room, ASKED_AT_ONCE))
        .with_for_update()
    ).all()
    if not found:
        asking.ended_at = now
        return True
    asking.cursor = found[-1].id
    wanted = [one for one in found if one.state in STANDING and one.edition_slug not in since and one.email]
    ids = [one.id for one in wanted]
    known = set(
        db.session.scalars(
            select(Affirmation.signature_id).where(
                Affirmation.signature_id.in_(ids), Affirmation.edition_slug == asking.edition_slug
            )
        )
    )
    links = {
        link.signature_id: link
        for link in db.session.scalars(
            select(Link).where(Link.signature_id.in_(ids), Link.purpose == "personal").order_by(Link.id)
        )
    }
    for signature in wanted:
        link = links.get(signature.id)
        if signature.id in known or link is None:
            continue
        message = message_to(MAIL, signature, link=link, now=now)
        message.values = {"charter": asking.edition_slug}
        db.session.add(message)
        db.session.add(Affirmation(signature_id=signature.id, edition_slug=asking.edition_slug, asked_at=now))
        asking.asked += 1
    return True


def _since(slug: str) -> frozenset[str] | None:
    """The editions from this one to the current: whoever signed one of them need not be asked.

    None where a later one was material too: its own round asks everybody.
    """
    editions = {row.slug: row for row in db.session.scalars(select(Edition))}
    place = next((row.slug for row in editions.values() if row.is_current), None)
    found: set[str] = set()
    while place is not None and place in editions and place not in found:
        found.add(place)
        if place == slug:
            return frozenset(found)
        if editions[place].is_material:
            return None
        place = editions[place].follows
    return None


def _waiting() -> int:
    waiting = (
        select(Message.id)
        .where(Message.done_at.is_(None), ~Message.on_hold, Message.kind == MAIL)
        .limit(MOST_WAITING)
        .subquery()
    )
    return db.session.scalar(select(func.count()).select_from(waiting)) or 0


@operation
def affirm(
    signature_id: int,
    *,
    edition_slug: str,
    language: str,
    proof: Proof,
    key: bytes,
    code_tries: int,
    now: datetime,
) -> Result:
    """The signatory stands by the edition that is signed today, as they read it in `language`.

    A published entry gets a new revision with the next batch, under its number and without review; an application that
    waits is published with the new edition. A dangerous act: from the signing browser or with a fresh code; a wrong one
    is counted. NOT_POSSIBLE where the edition is no longer the current one, or nothing is left to affirm.
    Raises NotFoundError.
    """
    signature = get_signature(signature_id)
    edition = db.session.get(Edition, edition_slug)
    if edition is None:
        raise NotFoundError
    if not edition.is_current or not may(State(signature.state), Move.AFFIRM):
        return Result(Outcome.NOT_POSSIBLE)
    if signature.edition_slug == edition_slug:
        return Result(Outcome.ALREADY)
    refused = prove_act(signature, proof, key=key, code_tries=code_tries, now=now)
    if refused is not None:
        return refused
    before = signature.move(Move.AFFIRM)
    signature.edition_slug = edition_slug
    add_event(signature, Move.AFFIRM, before=before, actor=Actor.SIGNATORY, now=now)
    kept = db.session.get(Affirmation, (signature_id, edition_slug))
    if kept is None:
        kept = Affirmation(signature_id=signature_id, edition_slug=edition_slug)
        db.session.add(kept)
    kept.affirmed_at, kept.language = now, language
    if signature.state == State.PUBLISHED:
        queue_once(signature, now=now)
    _close_mail(signature, now=now)
    return Result(Outcome.DONE)


def _close_mail(signature: Signature, *, now: datetime) -> None:
    """A mail that would ask for what was done a moment ago stays here."""
    waiting = select(Message).where(
        Message.signature_id == signature.id,
        Message.kind == MAIL,
        Message.done_at.is_(None),
        Message.leased_until.is_(None),
    )
    for message in db.session.scalars(waiting.with_for_update()):
        message.done_at = now
        message.recipient = None
        message.values = {}
