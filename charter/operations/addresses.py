"""Where and in which language a signatory is written to; another address counts once the old and the new one agree."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import or_, select, update

from charter.domain import token as tokens
from charter.domain.email import EmailAddress
from charter.domain.signature import STANDING, Actor, Move, State
from charter.models import moments
from charter.models.base import db
from charter.models.outbox import Message
from charter.models.rights import AddressChange
from charter.models.signature import Link, Signature
from charter.operations.links import WITH_PAGE, give_new_link
from charter.operations.mailboxes import BOUNCED, note_confirmed, stop_writing
from charter.operations.proving import Outcome, Proof, Result, check_proof, get_signature, prove_act
from charter.operations.steps import add_event, message_to
from charter.operations.unit import lock, operation

#: Both the name of a mail and the purpose of the secret in it.
OLD, NEW = "address-old", "address-new"
#: The mail that tells the old address that nothing more will come.
CHANGED = "address-changed"
#: Changes begun for one signature within a day: each writes to an address that may be a stranger's.
CHANGES_A_DAY = 3


@operation
def begin(
    signature_id: int,
    email: EmailAddress,
    *,
    proof: Proof,
    key: bytes,
    code_tries: int,
    confirm_link_days: int,
    now: datetime,
) -> Result:
    """Writes to both addresses and asks each to confirm; a change that was begun before ends.

    Who else uses the new address is not looked at: only whoever reads its mail may learn that.
    ALREADY for the address there is. NOT_POSSIBLE for a signature that is closed, or where it was tried often today.
    """
    signature = get_signature(signature_id)
    if signature.state not in WITH_PAGE or _begun_today(signature_id, now=now) >= CHANGES_A_DAY:
        return Result(Outcome.NOT_POSSIBLE)
    if email.address == signature.email:
        return Result(Outcome.ALREADY)
    refused = prove_act(signature, proof, key=key, code_tries=code_tries, now=now)
    if refused is not None:
        return refused
    for change in db.session.scalars(_waiting(signature_id).with_for_update()):
        _end(change, now=now)
    change = AddressChange(
        signature_id=signature_id,
        email=email.address,
        mailbox=email.mailbox,
        **_secret("old", key=key),
        **_secret("new", key=key),
        created_at=now,
        expires_at=now + timedelta(days=confirm_link_days),
    )
    db.session.add(change)
    db.session.flush()
    for kind, recipient in ((OLD, signature.email), (NEW, email.address)):
        message = message_to(kind, signature, link=None, now=now)
        message.recipient = recipient
        message.values = {"change": change.id}
        db.session.add(message)
    return Result(Outcome.DONE)


def _waiting(signature_id: int) -> Any:
    return select(AddressChange).where(AddressChange.signature_id == signature_id, AddressChange.ended_at.is_(None))


def _begun_today(signature_id: int, *, now: datetime) -> int:
    begun = db.session.scalars(
        select(AddressChange.id)
        .where(
            AddressChange.signature_id == signature_id,
            moments.is_recent(AddressChange.created_at, now=now, within=timedelta(days=1)),
        )
        .limit(CHANGES_A_DAY)
    )
    return len(begun.all())


def _secret(side: str, *, key: bytes) -> dict[str, Any]:
    uid = secrets.token_bytes(16)
    digest = tokens.token_digest(tokens.token(key, f"address-{side}", uid))
    return {f"{side}_uid": uid, f"{side}_digest": digest, f"{side}_tries": 0}


def _end(change: AddressChange, *, now: datetime) -> None:
    """Done, replaced or given up: the new address is kept in the signature or nowhere, and its mail does not leave."""
    change.ended_at = now
    change.email = change.mailbox = ""
    db.session.execute(
        update(Message)
        .where(Message.signature_id == change.signature_id, Message.kind.in_((OLD, NEW)), Message.sent_at.is_(None))
        .values(done_at=now, failed_at=None, leased_until=None, recipient=None, values={}),
        execution_options={"synchronize_session": False},
    )


@dataclass(frozen=True)
class Secret:
    """What a mail of kind `address-old` or `address-new` brings. purpose, uid: what the token is computed from."""

    purpose: str
    uid: bytes
    expires_at: datetime


def secret_of(message: Message, *, now: datetime) -> Secret | None:
    """None where it is no longer needed: the change has ended, or this side has confirmed."""
    change = db.session.get(AddressChange, message.values.get("change", 0))
    if change is None or change.ended_at is not None or change.expires_at <= now:
        return None
    is_old = message.kind == OLD
    if (change.old_confirmed_at if is_old else change.new_confirmed_at) is not None:
        return None
    return Secret(message.kind, change.old_uid if is_old else change.new_uid, change.expires_at)


@operation
def confirm(token: str, *, proof: Proof, key: bytes, code_tries: int, people_per_mailbox: int, now: datetime) -> Result:
    """One of the two addresses agrees; with the second one the change is made.

    Then mail goes to the new address, what waits in the outbox included; the old one is told; the personal link is
    renewed, since the old mailbox is full of it, and codes that were sent there no longer work. Its token is returned.
    NOT_POSSIBLE where the new address is used by as many people as may, or by somebody of the same name: the change
    ends. A wrong code is counted.
    """
    digest = tokens.token_digest(token)
    is_it = or_(AddressChange.old_digest == digest, AddressChange.new_digest == digest)
    found = db.session.execute(
        select(AddressChange.signature_id, AddressChange.mailbox, Signature.mailbox)
        .join(Signature, Signature.id == AddressChange.signature_id)
        .where(is_it)
    ).first()
    if found is None:
        return Result(Outcome.UNKNOWN)
    # Mailboxes before rows, as everywhere, and in one order.
    for mailbox in sorted({found[1], found[2]}):
        lock("mailbox", mailbox)
    signature = get_signature(found[0])
    change = db.session.scalars(select(AddressChange).where(is_it).with_for_update()).one()
    is_old = change.old_digest == digest
    if change.ended_at is not None:
        is_done = change.old_confirmed_at is not None and change.new_confirmed_at is not None
        return Result(Outcome.ALREADY if is_done else Outcome.EXPIRED)
    if change.expires_at <= now or signature.state not in WITH_PAGE:
        return Result(Outcome.EXPIRED)
    if (change.old_confirmed_at if is_old else change.new_confirmed_at) is not None:
        return Result(Outcome.ALREADY)
    refused = _check(change, signature, proof, is_old=is_old, key=key, code_tries=code_tries)
    if refused is not None:
        return refused
    if is_old:
        change.old_confirmed_at = now
    else:
        change.new_confirmed_at = now
        note_confirmed(change.mailbox, signature.name_key, key=key, now=now)
    if change.new_confirmed_at is not None and not _has_room(signature, change.mailbox, people=people_per_mailbox):
        change.old_confirmed_at = None
        _end(change, now=now)
        return Result(Outcome.NOT_POSSIBLE)
    if change.old_confirmed_at is None or change.new_confirmed_at is None:
        return Result(Outcome.DONE)
    return Result(Outcome.DONE, personal_token=_apply(change, signature, key=key, now=now))


@operation
def refuse(token: str, *, proof: Proof, key: bytes, code_tries: int, stop_days: int, now: datetime) -> Result:
    """ "This was not me" from the new address: the change ends, and no first mail goes there for so long.

    Only the code of the mail counts: the signing browser is of whoever typed the address. A wrong one is counted.
    ALREADY where the address has agreed.
    """
    digest = tokens.token_digest(token)
    found = db.session.execute(
        select(AddressChange.signature_id, AddressChange.mailbox).where(AddressChange.new_digest == digest)
    ).first()
    if found is None:
        return Result(Outcome.UNKNOWN)
    lock("mailbox", found.mailbox)
    signature = get_signature(found.signature_id)
    change = db.session.scalars(select(AddressChange).where(AddressChange.new_digest == digest).with_for_update()).one()
    if change.ended_at is not None:
        return Result(Outcome.EXPIRED)
    if change.new_confirmed_at is not None:
        return Result(Outcome.ALREADY)
    by_code = Proof(None, proof.code)
    refused = _check(change, signature, by_code, is_old=False, key=key, code_tries=code_tries)
    if refused is not None:
        return refused
    mailbox = change.mailbox
    _end(change, now=now)
    stop_writing(mailbox, key=key, stop_days=stop_days, now=now)
    return Result(Outcome.DONE)


def _check(
    change: AddressChange, signature: Signature, proof: Proof, *, is_old: bool, key: bytes, code_tries: int
) -> Result | None:
    """As for any mailed link. One of a change stands in no row of its own: this one is never stored."""
    link = Link(
        purpose=OLD if is_old else NEW,
        uid=change.old_uid if is_old else change.new_uid,
        tries=change.old_tries if is_old else change.new_tries,
    )
    refused = check_proof(signature, link, proof, key=key, code_tries=code_tries)
    if is_old:
        change.old_tries = link.tries
    else:
        change.new_tries = link.tries
    return refused


def _has_room(signature: Signature, mailbox: str, *, people: int) -> bool:
    """Whether this person may join those who stand behind a mailbox.

    Who has not confirmed does not count, other than when signing: nobody can be set aside here, and a stranger who
    signs with an address must not keep its owner from it.
    """
    if signature.state not in STANDING or mailbox == signature.mailbox:
        return True
    others: Sequence[Any] = db.session.execute(
        select(Signature.name_key)
        .where(Signature.mailbox == mailbox, Signature.id != signature.id, Signature.state.in_(STANDING))
        .distinct()
    ).all()
    names = {other.name_key for other in others}
    return signature.name_key not in names and len(names) < people


def _apply(change: AddressChange, signature: Signature, *, key: bytes, now: datetime) -> str:
    old = signature.email
    signature.email, signature.mailbox = change.email, change.mailbox
    signature.version += 1
    _end(change, now=now)
    # What failed is kept with its address, to be tried again by hand.
    db.session.execute(
        update(Message)
        # What tells a former address that nothing more will come is for that address.
        .where(Message.signature_id == signature.id, Message.recipient.is_not(None), Message.kind != CHANGED)
        .values(recipient=signature.email),
        execution_options={"synchronize_session": False},
    )
    db.session.execute(
        update(Link)
        .where(Link.signature_id == signature.id, Link.purpose == "act", Link.used_at.is_(None))
        .values(used_at=now),
        execution_options={"synchronize_session": False},
    )
    # What waited because the old mailbox does not exist any more: the new one does.
    db.session.execute(
        update(Message)
        .where(Message.signature_id == signature.id, Message.on_hold, Message.last_error == BOUNCED)
        .values(on_hold=False, last_error=None, due_at=now, created_at=now),
        execution_options={"synchronize_session": False},
    )
    add_event(signature, Move.READDRESS, before=State(signature.state), actor=Actor.SIGNATORY, now=now)
    told = message_to(CHANGED, signature, link=None, now=now)
    told.recipient = old
    db.session.add(told)
    return give_new_link(signature, key=key, now=now)


@operation
def choose_language(signature_id: int, language: str, *, now: datetime) -> None:
    """Mails come in this language from now on, those that wait included. language: kk | ru | en.

    Choosing what is chosen already changes nothing. Nothing happens to a signature that is closed.
    """
    signature = get_signature(signature_id)
    if signature.state not in WITH_PAGE or signature.language == language:
        return
    signature.language = language
    db.session.execute(
        update(Message)
        .where(Message.signature_id == signature_id, Message.done_at.is_(None))
        .values(language=language),
        execution_options={"synchronize_session": False},
    )
