"""The personal link: asked for again by whoever has lost it, made anew by whoever fears that others know it."""

from __future__ import annotations

import hmac
import secrets
from datetime import datetime, timedelta

from sqlalchemy import or_, select

from charter.domain import token as tokens
from charter.domain.email import EmailAddress, mailbox_of
from charter.domain.moments import is_recent
from charter.domain.signature import STANDING, Actor, Move, State
from charter.models import moments
from charter.models.base import db
from charter.models.outbox import Message
from charter.models.signature import Link, Signature
from charter.operations.proving import Outcome, Proof, Result, get_signature, prove_act
from charter.operations.steps import add_event, message_to, new_link, queue_message
from charter.operations.unit import insert_if_absent, operation

#: The mail that brings the link. One without a signature asks for it, and is never sent itself.
KIND = "personal-link"
RENEWED = "link-renewed"
#: Whose page is there to be used: somebody is left to write to, and there is something to see or to object to.
WITH_PAGE = STANDING | {State.DECLINED, State.REVOKED}
#: Between two mails with the link, however often it is asked for.
ASK_PAUSE = timedelta(minutes=15)
#: Somebody who knows an address could else fill its mailbox, a mail every quarter of an hour.
MAILS_A_DAY = 10
RENEWALS_A_DAY = 10
#: Signatures of one mailbox that are written to; the greatest value of the setting `people_per_mailbox`.
MOST_SIGNATURES = 50

_LABEL = b"charter link asked for\0"


@operation
def ask(email: EmailAddress, *, language: str, key: bytes, now: datetime) -> None:
    """Asks for the links of everybody who signed with this address; whether there is anybody, the worker finds out.

    One statement, the same for every address. A mailbox has one such row at most, and none for longer than a worker
    needs to come by: so what strangers type is not kept.
    """
    insert_if_absent(
        Message,
        [
            {
                "uid": hmac.digest(key, _LABEL + email.mailbox.encode(), "sha256")[:16].hex(),
                "kind": KIND,
                "language": language,
                "recipient": email.address,
                "values": {},
                "on_hold": False,
                "created_at": now,
                "due_at": now,
                "attempts": 0,
            }
        ],
    )


def is_request(message: Message) -> bool:
    """Whether it only asks for links, see `ask`."""
    return message.kind == KIND and message.signature_id is None


def answer(request: Message, *, leased_until: datetime, now: datetime) -> list[Message]:
    """Takes the request away and returns the mails that came of it, written and leased to whoever took it up.

    Each goes to the address that stands in the signature, never to the one that was typed.
    """
    signatures = db.session.scalars(
        select(Signature)
        .where(Signature.mailbox == mailbox_of(request.recipient or ""), Signature.state.in_(WITH_PAGE))
        .order_by(Signature.id)
        .limit(MOST_SIGNATURES)
    ).all()
    ids = [signature.id for signature in signatures]
    sent = db.session.execute(
        select(Message.signature_id, Message.created_at, Message.done_at).where(
            Message.signature_id.in_(ids),
            Message.kind == KIND,
            or_(
                # A mailbox that takes no mail must not be asked for until hundreds wait for it.
                Message.done_at.is_(None),
                moments.is_recent(Message.created_at, now=now, within=timedelta(days=1)),
            ),
        )
    ).all()
    # The newest of each: later ones replace what is there.
    links = {
        link.signature_id: link
        for link in db.session.scalars(
            select(Link).where(Link.signature_id.in_(ids), Link.purpose == "personal").order_by(Link.id)
        )
    }
    messages = []
    for signature in signatures:
        theirs = [row for row in sent if row.signature_id == signature.id]
        is_enough = len(theirs) >= MAILS_A_DAY or any(
            row.done_at is None or is_recent(row.created_at, now=now, within=ASK_PAUSE) for row in theirs
        )
        if signature.id in links and not is_enough:
            message = message_to(KIND, signature, link=links[signature.id], now=now)
            message.leased_until = leased_until
            messages.append(message)
    db.session.add_all(messages)
    db.session.delete(request)
    db.session.flush()
    return messages


@operation
def renew(signature_id: int, *, proof: Proof, key: bytes, code_tries: int, now: datetime) -> Result:
    """Makes a new personal link; the one before leads nowhere from this moment on.

    Effects when done: the link's secret, an event, message `link-renewed`. Its token is returned, so that the browser
    in which this was done goes on. NOT_POSSIBLE for one that is closed, or was renewed very often today.
    """
    signature = get_signature(signature_id)
    if signature.state not in WITH_PAGE or _renewed_today(signature_id, now=now) >= RENEWALS_A_DAY:
        return Result(Outcome.NOT_POSSIBLE)
    refused = prove_act(signature, proof, key=key, code_tries=code_tries, now=now)
    if refused is not None:
        return refused
    token = give_new_link(signature, key=key, now=now)
    add_event(signature, Move.RENEW, before=State(signature.state), actor=Actor.SIGNATORY, now=now)
    return Result(Outcome.DONE, personal_token=token)


def _renewed_today(signature_id: int, *, now: datetime) -> int:
    found = db.session.scalars(
        select(Message.id)
        .where(
            Message.signature_id == signature_id,
            Message.kind == RENEWED,
            moments.is_recent(Message.created_at, now=now, within=timedelta(days=1)),
        )
        .limit(RENEWALS_A_DAY)
    )
    return len(found.all())


def give_new_link(signature: Signature, *, key: bytes, now: datetime) -> str:
    """Changes the secret of the personal link, queues the mail that brings it, and returns the token.

    The row stays, so that mail which waits brings the new link. A mail that a worker holds in its hand at this moment
    brings the old one, which leads to the page that tells how to ask again.
    """
    links = db.session.scalars(
        select(Link).where(Link.signature_id == signature.id, Link.purpose == "personal").order_by(Link.id)
    ).all()
    for link in links:
        link.uid = secrets.token_bytes(16)
        link.token_digest = tokens.token_digest(tokens.token(key, "personal", link.uid))
        link.created_at = now
    newest = links[-1] if links else new_link(signature, "personal", key=key, now=now, lifetime=None)
    queue_message(RENEWED, signature, link=newest, now=now)
    return tokens.token(key, "personal", newest.uid)
