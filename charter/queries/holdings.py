"""All that is held about one signatory, for themselves: rows of plain values, never other people's nor staff names.

A test asks of every column of every table that belongs to a signature that it is handed over, or why not.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import InstrumentedAttribute, aliased

from charter.domain.mailbox import application_digest, mailbox_digest
from charter.domain.moments import LONGEST_UNDO, has_come
from charter.domain.signature import Move
from charter.models.affiliation import Affiliation, AffiliationMove, Region
from charter.models.base import Base, db
from charter.models.decision import Decision
from charter.models.desk import Claim
from charter.models.edition import Affirmation, ConsentText
from charter.models.importing import ImportJob, ImportRow
from charter.models.limits import MailboxTally, SigningTrace
from charter.models.log import LogPlace
from charter.models.outbox import Message
from charter.models.registry import PublicEntry
from charter.models.rights import AddressChange, Correction, Objection, WrittenRequest
from charter.models.signature import (
    Clarification,
    Link,
    Signature,
    SignatureConsent,
    SignatureEvent,
    SignatureWord,
)
from charter.models.sweeping import InvalidationItem

#: One row: column or field → its value as Python has it (aware instants, dates, text, numbers, bytes, None).
Row = Mapping[str, Any]

#: What is handed over, by table. `registry_entry` is public; its line says the rest.
HANDED: dict[type[Base], tuple[str, ...]] = {
    Signature: (
        *("entry", "number", "state", "kind", "full_name", "short_name", "display", "affiliation_text", "region_code"),
        *("email", "language", "signed_language", "edition_slug", "is_indexable"),
        *("submitted_at", "reminded_at", "confirmed_at", "due_on", "ended_at", "held", "held_because"),
        *("name_key", "name_fold", "mailbox", "browser_digest", "application_line"),
    ),
    SignatureConsent: ("kind", "language", "given_at", "text_sha256"),
    SignatureEvent: ("at", "move", "actor", "state_before", "state_after", "reason"),
    Decision: ("action", "reason", "note", "decided_at", "effective_at", "undone_at"),
    Clarification: ("answer", "answered_at"),
    Affirmation: ("edition_slug", "asked_at", "affirmed_at", "language"),
    Correction: (
        *("state", "kind", "full_name", "short_name", "display", "affiliation_text", "region_code"),
        *("created_at", "due_on", "decided_at", "effective_at", "reason", "note"),
    ),
    AddressChange: (
        *("email", "mailbox", "created_at", "expires_at", "old_confirmed_at", "old_tries"),
        *("new_confirmed_at", "new_tries", "ended_at"),
    ),
    Objection: ("state", "words", "made_at", "due_on", "answer", "decided_at", "effective_at"),
    WrittenRequest: ("kind", "reference", "received_on", "recorded_at"),
    ImportRow: ("row",),
    Message: (
        *("kind", "language", "recipient", "created_at", "due_at", "sent_at", "failed_at", "done_at"),
        *("attempts", "last_error"),
    ),
    Link: ("purpose", "created_at", "expires_at", "used_at", "tries"),
    InvalidationItem: (),
    AffiliationMove: (),
    Claim: (),
    SignatureWord: (),
    SigningTrace: ("at", "network", "domain", "seconds", "proof"),
    MailboxTally: (
        *("unconfirmed_count", "last_mail_at", "confirmed_at", "bounced_at", "bounce_count", "stopped_at"),
        "stopped_until",
    ),
}
_ROW = "the number of a row, which says nothing by itself"
_MAILED = "kept to recognise a link that was mailed; the link itself stands in the mail"
_STAFF = "who of the staff it was"
#: What is not, and why: table → column → reason.
LEFT_OUT: dict[type[Base], dict[str, str]] = {
    Signature: {"id": _ROW, "version": "counts changes", "affiliation_id": "handed over as its name"},
    SignatureConsent: {"signature_id": _ROW},
    SignatureEvent: {"id": _ROW, "signature_id": _ROW, "staff_id": _STAFF},
    Decision: {
        "id": _ROW,
        "signature_id": _ROW,
        "staff_id": _STAFF,
        "state_before": "stands in the history",
        "bulk": _ROW,
    },
    Clarification: {"id": _ROW, "signature_id": _ROW, "decision_id": _ROW},
    Affirmation: {"signature_id": _ROW},
    Correction: {
        "id": _ROW,
        "signature_id": _ROW,
        "version": "counts changes",
        "affiliation_id": "handed over as its name",
        "staff_id": _STAFF,
    },
    AddressChange: {
        "id": _ROW,
        "signature_id": _ROW,
        "old_uid": _MAILED,
        "old_digest": _MAILED,
        "new_uid": _MAILED,
        "new_digest": _MAILED,
    },
    Objection: {
        "id": _ROW,
        "signature_id": _ROW,
        "decision_id": "handed over as what it is about",
        "correction_id": "handed over as what it is about",
        "version": "counts changes",
        "first_staff_id": _STAFF,
        "staff_id": _STAFF,
        "new_signature_id": "handed over as its entry",
    },
    WrittenRequest: {"id": _ROW, "signature_id": _ROW, "staff_id": _STAFF},
    ImportRow: {
        "job_id": _ROW,
        "signature_id": _ROW,
        "state": "says that the row was entered",
        "code": "empty for who was entered",
        "identity": "emptied when the row was entered",
        "cells": "emptied when the row was entered",
    },
    Message: {
        "id": _ROW,
        "uid": "the mail's own name, which stands in its head",
        "signature_id": _ROW,
        "link_id": _ROW,
        "decision_id": _ROW,
        "values": "what stands elsewhere here, until the mail has left",
        "on_hold": "stands in the application as held",
        "leased_until": "which worker is at it just now",
    },
    InvalidationItem: {
        "invalidation_id": _ROW,
        "signature_id": _ROW,
        "decision_id": _ROW,
        "state_before": "stands in the history, as whatever was done",
        "outcome": "what was done stands in the history and the decisions",
        "at": "stands in the history",
    },
    AffiliationMove: {
        "merge_id": _ROW,
        "signature_id": _ROW,
        "correction_id": "the correction and the affiliation are handed over as they are now",
    },
    Claim: {"signature_id": _ROW, "staff_id": _STAFF, "until": "until when somebody is at work on it just now"},
    SignatureWord: {"signature_id": _ROW, "word": "the words of `name_fold`, which is handed over"},
    Link: {"id": _ROW, "uid": _MAILED, "signature_id": _ROW, "token_digest": _MAILED},
    SigningTrace: {"signature_id": _ROW},
    MailboxTally: {"digest": "made of the address, which stands in the application"},
}


@dataclass(frozen=True)
class Holdings:
    """Everything of one application, each part oldest first.

    application: also `affiliation` (name) and `region` (name). entry: what is public of it now, with `record_line`;
    None if it is in no registry. places: where its leaves stand in the log, counted from 0. consents: also `body`, the
    words. lists: from which row of which list the Centre entered them. mailbox: what is counted of mail to the address,
    and of mail to this name at it. earlier: the declined application that this one took up again after an objection.
    """

    application: Row
    entry: Row | None
    places: Row
    consents: list[Row]
    history: list[Row]
    decisions: list[Row]
    answers: list[Row]
    affirmations: list[Row]
    corrections: list[Row]
    address_changes: list[Row]
    objections: list[Row]
    letters: list[Row]
    lists: list[Row]
    mails: list[Row]
    links: list[Row]
    traces: list[Row]
    mailbox: list[Row]
    earlier: Holdings | None


def holdings_of(signature_id: int, *, language: str, key: bytes, now: datetime) -> Holdings | None:
    """All of it; None for an unknown one, or where nothing is left. Decisions that can still be undone are not told.

    language: of the names of region and affiliation. key: what digests of mailboxes are made with.
    """
    row = db.session.execute(
        select(Signature, Region.name, Affiliation.name, PublicEntry)
        .join(Region, Region.code == Signature.region_code)
        .outerjoin(Affiliation, Affiliation.id == Signature.affiliation_id)
        .outerjoin(PublicEntry, PublicEntry.entry == Signature.entry)
        .where(Signature.id == signature_id)
    ).first()
    if row is None or not row[0].full_name:
        return None
    signature, region = row[0], row[1]
    # An outer join may find nothing, which the types of a row do not say.
    affiliation: dict[str, str] | None = row[2]
    public: PublicEntry | None = row[3]
    place = db.session.get(LogPlace, signature.entry)
    history = _rows(SignatureEvent, SignatureEvent.signature_id == signature_id, order=SignatureEvent.id)
    return Holdings(
        application={
            **{name: getattr(signature, name) for name in HANDED[Signature]},
            "region": region[language],
            "affiliation": signature.affiliation_text if affiliation is None else affiliation[language],
        },
        entry=None if public is None else _public(public),
        places={
            "confirm_index": None if place is None else place.confirm_index,
            "record_index": None if place is None else place.record_index,
        },
        consents=_consents(signature_id),
        history=history,
        decisions=_decisions(signature_id, now=now),
        answers=[
            row
            for row in _rows(Clarification, Clarification.signature_id == signature_id, order=Clarification.id)
            if row["answered_at"] is not None
        ],
        affirmations=_rows(Affirmation, Affirmation.signature_id == signature_id, order=Affirmation.edition_slug),
        corrections=_corrections(signature_id, language=language, now=now),
        address_changes=_rows(AddressChange, AddressChange.signature_id == signature_id, order=AddressChange.id),
        objections=_objections(signature_id, now=now),
        letters=_rows(WrittenRequest, WrittenRequest.signature_id == signature_id, order=WrittenRequest.id),
        lists=_lists(signature_id),
        mails=_mails(signature_id, now=now),
        links=_rows(Link, Link.signature_id == signature_id, order=Link.id),
        traces=_rows(SigningTrace, SigningTrace.signature_id == signature_id, order=SigningTrace.at),
        mailbox=_mailbox(signature, key=key),
        earlier=_earlier(signature_id, history, language=language, key=key, now=now),
    )


def _rows(table: type[Base], *conditions: ColumnElement[bool], order: InstrumentedAttribute[Any]) -> list[Row]:
    columns = [getattr(table, name) for name in HANDED[table]]
    return [dict(row) for row in db.session.execute(select(*columns).where(*conditions).order_by(order)).mappings()]


def _public(row: PublicEntry) -> Row:
    return {
        "number": row.number,
        "rev": row.rev,
        "signed_on": row.signed_on,
        "ended_on": row.ended_on,
        "ended_by": row.ended_by,
        "record_line": row.line,
    }


def _consents(signature_id: int) -> list[Row]:
    columns = [getattr(SignatureConsent, name) for name in HANDED[SignatureConsent]]
    query = (
        select(*columns, ConsentText.body)
        .join(ConsentText, ConsentText.sha256 == SignatureConsent.text_sha256)
        .where(SignatureConsent.signature_id == signature_id)
        .order_by(SignatureConsent.kind.desc())
    )
    return [dict(row) for row in db.session.execute(query).mappings()]


def _can_be_undone(row: Row, *, now: datetime) -> bool:
    return row["effective_at"] is not None and not has_come(row["effective_at"], now=now, longest=LONGEST_UNDO)


def _decisions(signature_id: int, *, now: datetime) -> list[Row]:
    rows = _rows(Decision, Decision.signature_id == signature_id, order=Decision.id)
    # What was taken back may have been written to somebody else.
    return [
        {**row, "note": None if row["undone_at"] else row["note"]} for row in rows if not _can_be_undone(row, now=now)
    ]


def _corrections(signature_id: int, *, language: str, now: datetime) -> list[Row]:
    columns = [getattr(Correction, name) for name in HANDED[Correction]]
    query = (
        select(*columns, Affiliation.name.label("affiliation"))
        .outerjoin(Affiliation, Affiliation.id == Correction.affiliation_id)
        .where(Correction.signature_id == signature_id)
        .order_by(Correction.id)
    )
    found: list[Row] = []
    for row in db.session.execute(query).mappings():
        name = row["affiliation_text"] if row["affiliation"] is None else row["affiliation"][language]
        shown = {**row, "affiliation": name}
        if _can_be_undone(shown, now=now):
            shown |= {"state": "pending", "decided_at": None, "effective_at": None, "reason": None, "note": None}
        found.append(shown)
    return found


_OBJECTING = aliased(Signature)


def _objections(signature_id: int, *, now: datetime) -> list[Row]:
    columns = [getattr(Objection, name) for name in HANDED[Objection]]
    query = (
        select(*columns, Objection.correction_id, _OBJECTING.number, Signature.entry.label("new_entry"))
        .join(_OBJECTING, _OBJECTING.id == Objection.signature_id)
        .outerjoin(Signature, Signature.id == Objection.new_signature_id)
        .where(Objection.signature_id == signature_id)
        .order_by(Objection.id)
    )
    found: list[Row] = []
    for row in db.session.execute(query).mappings():
        shown = dict(row)
        # Who was declined has no number.
        first = "application" if shown.pop("number") is None else "removal"
        shown["about"] = first if shown.pop("correction_id") is None else "correction"
        if _can_be_undone(shown, now=now):
            shown |= {"state": "pending", "answer": None, "decided_at": None, "effective_at": None, "new_entry": None}
        found.append(shown)
    return found


def _lists(signature_id: int) -> list[Row]:
    columns = [getattr(ImportRow, name) for name in HANDED[ImportRow]]
    query = (
        select(ImportJob.source, ImportJob.sheet, *columns)
        .join(ImportJob, ImportJob.id == ImportRow.job_id)
        .where(ImportRow.signature_id == signature_id)
    )
    return [dict(row) for row in db.session.execute(query).mappings()]


def _mails(signature_id: int, *, now: datetime) -> list[Row]:
    rows = _rows(Message, Message.signature_id == signature_id, order=Message.id)
    # One that waits for a decision's seconds of undo would tell of it.
    return [row for row in rows if row["done_at"] or row["attempts"] or row["due_at"] <= now]


def _mailbox(signature: Signature, *, key: bytes) -> list[Row]:
    digests = {
        "mailbox": mailbox_digest(signature.mailbox, key=key),
        "application": application_digest(signature.mailbox, signature.name_key, key=key),
    }
    found: list[Row] = []
    for what, digest in digests.items():
        rows = _rows(MailboxTally, MailboxTally.digest == digest, order=MailboxTally.digest)
        found += [{"counted_for": what, **row} for row in rows]
    return found


def _earlier(signature_id: int, history: list[Row], *, language: str, key: bytes, now: datetime) -> Holdings | None:
    if not any(line["move"] == Move.REOPEN for line in history):
        return None
    earlier = db.session.scalars(
        select(Objection.signature_id).where(Objection.new_signature_id == signature_id)
    ).first()
    return None if earlier is None else holdings_of(earlier, language=language, key=key, now=now)
