"""What staff see of a mailbox, and whoever got a mail that they never asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import func, select

from charter.domain import token as tokens
from charter.domain.mailbox import mailbox_digest
from charter.domain.moments import has_come
from charter.domain.signature import State
from charter.models.base import db
from charter.models.limits import MailboxTally
from charter.models.outbox import Message
from charter.models.rights import AddressChange
from charter.models.signature import Link, Signature

#: Beyond this a page says "more than".
MOST_COUNTED = 100
MOST_SIGNATURES = 20


@dataclass(frozen=True)
class StoppableView:
    """A mail that can be answered with "this was not me". status: waiting | already. It holds nothing personal.

    is_change: it asked whether somebody's mail shall come to this address.
    """

    status: str
    is_signing_browser: bool = False
    tries: int = 0
    is_change: bool = False


@dataclass(frozen=True)
class SignatureLine:
    """One that was signed with the mailbox."""

    signature_id: int
    full_name: str
    state: str


@dataclass(frozen=True)
class MailboxView:
    """What is known of a mailbox, for staff. sent_count: since it last confirmed something.

    stopped_until: its owner said "this was not me". waiting: mails that wait for staff or a confirmation.
    """

    sent_count: int = 0
    last_mail_at: datetime | None = None
    confirmed_at: datetime | None = None
    bounced_at: datetime | None = None
    bounce_count: int = 0
    stopped_at: datetime | None = None
    stopped_until: datetime | None = None
    waiting: int = 0
    signatures: tuple[SignatureLine, ...] = ()

    @property
    def is_troubled(self) -> bool:
        """Whether there is anything that a reviewer should know."""
        return bool(self.bounced_at or self.bounce_count or self.stopped_until or self.waiting)


def find_stoppable(token: str, *, browser_digest: bytes | None) -> StoppableView | None:
    """What stands behind the link of a first mail; None for an unknown one, or one that is set aside."""
    row = db.session.execute(
        select(Link.tries, Signature.state, Signature.held, Signature.mailbox, Signature.browser_digest)
        .join(Signature, Signature.id == Link.signature_id)
        .where(Link.token_digest == tokens.token_digest(token), Link.purpose == "confirm")
    ).first()
    if row is None:
        return _find_refusable(token)
    if not row.mailbox or (row.held and row.state == State.SUBMITTED):
        return None
    if row.state not in {State.SUBMITTED, State.EXPIRED}:
        return StoppableView("already")
    is_here = browser_digest is not None and browser_digest == row.browser_digest
    return StoppableView("waiting", is_signing_browser=is_here, tries=row.tries)


def _find_refusable(token: str) -> StoppableView | None:
    row = db.session.execute(
        select(AddressChange.new_tries, AddressChange.new_confirmed_at).where(
            AddressChange.new_digest == tokens.token_digest(token), AddressChange.ended_at.is_(None)
        )
    ).first()
    if row is None:
        return None
    status = "waiting" if row.new_confirmed_at is None else "already"
    return StoppableView(status, tries=row.new_tries, is_change=True)


def find_mailbox(
    mailbox: str,
    *,
    key: bytes,
    waiting_codes: Sequence[str],
    longest_stop: timedelta,
    now: datetime,
    regions: frozenset[str] | None = None,
) -> MailboxView:
    """What is known of this mailbox: three indexed questions. mailbox: the comparison form.

    regions: codes; names of signatories elsewhere are not told. None: everywhere.
    """
    within = [] if regions is None else [Signature.region_code.in_(regions)]
    row = db.session.get(MailboxTally, mailbox_digest(mailbox, key=key))
    own = select(Signature.id).where(Signature.mailbox == mailbox)
    waits = (
        select(Message.last_error)
        .where(
            Message.signature_id.in_(own),
            Message.on_hold,
            Message.done_at.is_(None),
            Message.last_error.in_(waiting_codes),
        )
        .limit(MOST_COUNTED + 1)
        .subquery()
    )
    waiting = db.session.scalar(select(func.count()).select_from(waits)) or 0
    signatures = db.session.execute(
        select(Signature.id, Signature.full_name, Signature.state)
        .where(Signature.mailbox == mailbox, *within)
        .order_by(Signature.id.desc())
        .limit(MOST_SIGNATURES)
    ).all()
    lines = tuple(SignatureLine(one.id, one.full_name, one.state) for one in signatures)
    if row is None:
        return MailboxView(waiting=waiting, signatures=lines)
    is_stopped = row.stopped_until is not None and not has_come(row.stopped_until, now=now, longest=longest_stop)
    return MailboxView(
        sent_count=row.unconfirmed_count,
        last_mail_at=row.last_mail_at,
        confirmed_at=row.confirmed_at,
        bounced_at=row.bounced_at,
        bounce_count=row.bounce_count,
        stopped_at=row.stopped_at if is_stopped else None,
        stopped_until=row.stopped_until if is_stopped else None,
        waiting=waiting,
        signatures=lines,
    )
