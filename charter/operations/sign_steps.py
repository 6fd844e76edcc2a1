"""The steps of signing: some people's forms become rows in one transaction, each as if it had come alone."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import cast
from weakref import WeakKeyDictionary

from sqlalchemy import Engine, Table, select

from charter.domain.email import EmailAddress
from charter.domain.errors import FieldRefusedError
from charter.domain.name import same_name_key
from charter.domain.signature import Actor, Move, State
from charter.models.base import db
from charter.models.edition import ConsentText
from charter.models.signature import Signature, SignatureConsent, write_all_words
from charter.operations.limits import (
    Limits,
    Origin,
    Seen,
    add_seen,
    needs_work,
    reason_to_hold,
    spend,
    trace_of,
)
from charter.operations.seen import Asking, look_back
from charter.operations.steps import (
    Details,
    Resolved,
    apply_details,
    event_of,
    find_choices,
    link_to,
    message_to,
    resolve_details,
)
from charter.operations.together import ALONE, Alone
from charter.operations.unit import insert_all, insert_if_absent, lock_each, lock_free


@dataclass(frozen=True)
class GivenConsent:
    """A consent as it was given. kind: processing | publication. body: the exact words, sha256: their hex digest."""

    kind: str
    sha256: str
    body: str


@dataclass(frozen=True)
class NewSignature:
    """What an observer sends, already clean in shape (the form did that)."""

    details: Details
    email: EmailAddress
    language: str
    signed_language: str
    consents: tuple[GivenConsent, ...]


@dataclass(frozen=True)
class Terms:
    """Under which one signs; the same for all who sign together."""

    key: bytes
    confirm_link_days: int
    people_per_mailbox: int
    limits: Limits


@dataclass(frozen=True)
class Order:
    """One signing: who signs what, when, in which browser and from where."""

    new: NewSignature
    edition_slug: str
    browser_digest: bytes
    now: datetime
    origin: Origin
    terms: Terms


def is_apart(one: Order, other: Order) -> bool:
    """Whether two are stored one after the other: of one mailbox the second has to see what the first one stored."""
    return one.new.email.mailbox == other.new.email.mailbox or one.terms != other.terms


def store(orders: Sequence[Order]) -> list[bool | Exception | Alone]:
    """Writes these signings, of which none `is_apart` from another, in a constant number of statements.

    For each: True; False where a proof of work is missing; FieldRefusedError; ALONE, of several only, where somebody
    holds its mailbox, for which no stranger should wait. Of the last three nothing is stored.
    """
    mailboxes = [order.new.email.mailbox for order in orders]
    held: frozenset[str] = frozenset()
    if len(orders) == 1:
        lock_each("mailbox", mailboxes)
    else:
        held = lock_free("mailbox", mailboxes)
    answers = iter(_store_free([order for order in orders if order.new.email.mailbox not in held]))
    return [ALONE if mailbox in held else next(answers) for mailbox in mailboxes]


def _store_free(orders: Sequence[Order]) -> list[bool | Exception]:
    if not orders:
        return []
    terms = orders[0].terms
    now = max(order.now for order in orders)
    choices = find_choices([order.new.details for order in orders])
    seen = look_back(
        [Asking(order.new.email.mailbox, same_name_key(order.new.details.full_name), order.origin) for order in orders],
        limits=terms.limits,
        waiting_since=now - timedelta(days=terms.confirm_link_days),
        now=now,
    )
    answers: list[bool | Exception] = []
    accepted: list[tuple[Order, Resolved, Seen]] = []
    for order, found in zip(orders, seen, strict=True):
        try:
            resolved = resolve_details(order.new.details, now=order.now, choices=choices)
        except FieldRefusedError as error:
            answers.append(error)
            continue
        # Those before it in this transaction are not in the database yet.
        before = [(before.origin, None) for before, _, _ in accepted]
        is_welcome = not needs_work(add_seen(found, order.origin, before=before), order.origin, terms.limits)
        if is_welcome:
            accepted.append((order, resolved, found))
        answers.append(is_welcome)
    works = spend([order.origin.work for order, _, _ in accepted])
    rows: list[tuple[Order, Signature, str | None]] = []
    for (order, resolved, found), work in zip(accepted, works, strict=True):
        known = add_seen(found, order.origin, before=[(before.origin, work) for before, _, work in rows])
        rows.append((order, _signature(order, resolved, seen=known, work=work), work))
    _write(rows)
    return answers


def _signature(order: Order, resolved: Resolved, *, seen: Seen, work: str | None) -> Signature:
    held_because = reason_to_hold(
        seen,
        origin=order.origin,
        work=work,
        limits=order.terms.limits,
        people_per_mailbox=order.terms.people_per_mailbox,
    )
    new = order.new
    signature = Signature(
        entry=secrets.token_hex(16),
        state=State.SUBMITTED,
        version=1,
        held=held_because is not None,
        held_because=held_because,
        email=new.email.address,
        mailbox=new.email.mailbox,
        language=new.language,
        signed_language=new.signed_language,
        edition_slug=order.edition_slug,
        browser_digest=order.browser_digest,
        submitted_at=order.now,
    )
    apply_details(signature, new.details, resolved)
    return signature


def _write(rows: Sequence[tuple[Order, Signature, str | None]]) -> None:
    if not rows:
        return
    signatures = [signature for _order, signature, _work in rows]
    keep_texts([(order.new.signed_language, order.now, order.new.consents) for order, _signature, _work in rows])
    insert_all(signatures, known_by="entry")
    write_all_words(db.session.connection(), [(signature.id, signature.name_fold) for signature in signatures])
    write_consents(
        [(signature.id, order.new.signed_language, order.now, order.new.consents) for order, signature, _work in rows]
    )
    insert_all(
        [
            event_of(signature, Move.SIGN, before=None, actor=Actor.SIGNATORY, now=order.now)
            for order, signature, _work in rows
        ]
    )
    links = [
        link_to(
            signature,
            "confirm",
            key=order.terms.key,
            now=order.now,
            lifetime=timedelta(days=order.terms.confirm_link_days),
        )
        for order, signature, _work in rows
    ]
    insert_all(links, known_by="uid")
    messages = [
        message_to("signing", signature, link=link, now=order.now)
        for (order, signature, _work), link in zip(rows, links, strict=True)
    ]
    for message, signature in zip(messages, signatures, strict=True):
        message.on_hold = signature.held
    insert_all(messages)
    insert_all([trace_of(signature.id, order.origin, work=work, now=order.now) for order, signature, work in rows])


_CONSENTS = cast("Table", SignatureConsent.__table__).insert()

#: Digests of the texts that each database is known to hold. Its rows are append-only: once there, always there.
_kept_texts: WeakKeyDictionary[Engine, set[str]] = WeakKeyDictionary()


def write_consents(given: Sequence[tuple[int, str, datetime, Sequence[GivenConsent]]]) -> None:
    """Writes what people consented to: (signature id, language, when, consents) of each."""
    db.session.connection().execute(
        _CONSENTS,
        [
            {
                "signature_id": signature_id,
                "kind": consent.kind,
                "text_sha256": consent.sha256,
                "language": language,
                "given_at": at,
            }
            for signature_id, language, at, consents in given
            for consent in consents
        ],
    )


def keep_texts(given: Sequence[tuple[str, datetime, Sequence[GivenConsent]]]) -> None:
    """Stores the words of the consents that nobody has given before: (language, when, consents) of each.

    Once in a transaction: what it has written itself is not known to be kept, since it may still be rolled back.
    """
    known = _kept_texts.setdefault(db.session.get_bind().engine, set())
    unknown = {
        consent.sha256: (language, at, consent)
        for language, at, consents in reversed(given)
        for consent in consents
        if consent.sha256 not in known
    }
    if not unknown:
        return
    known.update(db.session.scalars(select(ConsentText.sha256).where(ConsentText.sha256.in_(sorted(unknown)))))
    insert_if_absent(
        ConsentText,
        [
            {
                "sha256": sha256,
                "kind": consent.kind,
                "language": language,
                "body": consent.body,
                "first_used_at": at,
            }
            for sha256, (language, at, consent) in sorted(unknown.items())
            if sha256 not in known
        ],
    )


def forget_texts() -> bool:
    """Which texts are kept is asked anew; whether any was known. After a database was replaced under this process."""
    return bool(_kept_texts.pop(db.session.get_bind().engine, None))
