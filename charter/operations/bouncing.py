"""A mail came back: what its mailbox's server said is noted, once for each mail."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from sqlalchemy import select, update

from charter.domain.bounce import Mark, is_genuine
from charter.domain.email import mailbox_of
from charter.domain.mailbox import mailbox_digest
from charter.models.base import db
from charter.models.limits import MailboxTally
from charter.models.outbox import Message
from charter.models.rights import AddressChange
from charter.models.signature import Signature
from charter.operations.unit import insert_if_absent, operation

#: What is kept of it with the message: by this a report that comes again is known.
HARD = "bounce-hard"
SOFT = "bounce-soft"


class Noted(StrEnum):
    """What became of a report."""

    HARD = "hard"
    SOFT = "soft"
    AGAIN = "again"
    UNKNOWN = "unknown"


@operation
def note(mark: Mark, *, is_hard: bool, key: bytes, now: datetime) -> Noted:
    """Notes a report about the mail that the mark belongs to.

    A hard one marks the mailbox: no more mail until staff lift it. UNKNOWN, and nothing changes, for a mark that we did
    not make, for a mail that is gone, and for one that went to a former address. A report that came before changes
    nothing either: lifting a mark must last.
    """
    message = db.session.scalars(select(Message).where(Message.uid == mark.uid).with_for_update()).first()
    if message is None or message.signature_id is None:
        return Noted.UNKNOWN
    mailbox = next((one for one in _mailboxes(message) if is_genuine(mark, mailbox=one, key=key)), None)
    if mailbox is None:
        return Noted.UNKNOWN
    if message.last_error == HARD or (message.last_error == SOFT and not is_hard):
        return Noted.AGAIN
    # What waits says why, and is let go by that.
    if not message.on_hold:
        message.last_error = HARD if is_hard else SOFT
    digest = mailbox_digest(mailbox, key=key)
    insert_if_absent(MailboxTally, [{"digest": digest, "unconfirmed_count": 0, "bounce_count": 0, "last_mail_at": now}])
    values = {"bounce_count": MailboxTally.bounce_count + 1}
    db.session.execute(
        update(MailboxTally)
        .where(MailboxTally.digest == digest)
        .values(**values, **({"bounced_at": now} if is_hard else {})),
        execution_options={"synchronize_session": False},
    )
    return Noted.HARD if is_hard else Noted.SOFT


def _mailboxes(message: Message) -> list[str]:
    """Where the mail can have gone: the address of the signature, and the one that it may change to."""
    addresses = list(db.session.scalars(select(Signature.email).where(Signature.id == message.signature_id)))
    coming = db.session.scalars(
        select(AddressChange.email).where(
            AddressChange.signature_id == message.signature_id, AddressChange.ended_at.is_(None)
        )
    )
    return [mailbox_of(address) for address in [*addresses, *coming] if address]
