"""Rows of a list become applications that wait: the worker tries them, enters them, and the person takes it from there.

A sheet of paper gives no consent. Until the person confirms, and gives both consents on that page, the application
has none, cannot be confirmed without, and is erased by the term of what was never confirmed.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, cast

from sqlalchemy import Table, bindparam, null, select

from charter.domain.duties import Right
from charter.domain.errors import DutyRefusedError, FieldRefusedError
from charter.domain.hints import name_fold
from charter.domain.mailbox import application_digest, mailbox_digest
from charter.domain.moments import has_come
from charter.domain.name import default_short_form, same_name_key
from charter.domain.sheet import SIMILAR, Person, Wrong
from charter.domain.signature import LIVE, STANDING, Actor, Display, Move, State
from charter.models.affiliation import Affiliation
from charter.models.base import db
from charter.models.importing import ImportJob, ImportRow
from charter.models.limits import MailboxTally
from charter.models.signature import Signature, SignatureEvent, write_all_words
from charter.operations.duties import require
from charter.operations.importing import fail, finish
from charter.operations.mailboxes import LONGEST_STOP
from charter.operations.steps import Details, Resolved, apply_details, event_of, link_to, message_to, resolve_details
from charter.operations.unit import insert_all, lock_each, operation

_ROWS = cast("Table", ImportRow.__table__)


@dataclass(frozen=True)
class Tried:
    """A row as it was read. row: its number in the file."""

    row: int
    found: Person | Wrong


@dataclass(frozen=True)
class Outcome:
    """What becomes of a row. code: why, or a hint; identity: of the person in hexadecimal, for good rows."""

    row: int
    state: str
    code: str | None = None
    identity: str | None = None
    signature_id: int | None = None


def details_of(person: Person) -> Details:
    """As a form would bring them; how the name is shown the person chooses when confirming."""
    return Details(
        kind=person.kind,
        full_name=person.full_name,
        short_name=default_short_form(person.full_name),
        display=Display.FULL,
        affiliation_slug=person.affiliation_slug,
        affiliation_text=person.affiliation_text,
        region_code=person.region,
    )


# ── verbs of the worker ──────────────────────────────────────────────────────────────────────────────────────────────


@operation
def note_tried(
    job_id: int, tried: Sequence[Tried], *, version: int, cursor: int, is_last: bool, key: bytes, now: datetime
) -> bool:
    """Notes what is wrong with rows and who of them is there already; nobody is entered.

    version, cursor: of the job when the rows were read; False where another worker was faster or it was called off.
    """
    job = _job_at(job_id, "checking", version=version, cursor=cursor)
    if job is None:
        return False
    outcomes = _tried(job, tried, key=key, now=now)
    _write(job, outcomes)
    job.good += sum(1 for one in outcomes if one.state == "waiting")
    job.wrong += sum(1 for one in outcomes if one.state == "wrong")
    job.duplicates += sum(1 for one in outcomes if one.state == "duplicate")
    if tried:
        job.cursor = tried[-1].row
    if is_last:
        job.state, job.version, job.cursor = "checked", job.version + 1, 0
    return True


@operation
def enter(
    job_id: int,
    tried: Sequence[Tried],
    *,
    version: int,
    cursor: int,
    is_last: bool,
    edition_slug: str,
    confirm_link_days: int,
    key: bytes,
    now: datetime,
) -> bool:
    """Enters people: application, history, link and one message each, together with what their rows say of it.

    So whoever dies in the middle has entered nobody, and whoever comes after goes on behind the cursor. Who stands or
    waits already, or wants no mail, is passed over. False as for `note_tried`.
    """
    job = _job_at(job_id, "running", version=version, cursor=cursor)
    if job is None:
        return False
    try:
        require(job.staff_id, Right.IMPORT)
    except DutyRefusedError:
        fail(job, "no-right", now=now)
        return False
    people = [(one.row, one.found) for one in tried if isinstance(one.found, Person)]
    # In one order, so that two workers never wait for each other; the mailbox before the row, as everywhere.
    lock_each("mailbox", {person.email.mailbox for _row, person in people})
    outcomes = [Outcome(one.row, "wrong", " ".join(one.found.codes)) for one in tried if isinstance(one.found, Wrong)]
    entered: list[tuple[int, Signature]] = []
    passed = _Known(people, key=key, now=now)
    resolved: dict[tuple[str | None, ...], Resolved | str] = {}
    for row, person in people:
        code = passed.reason(row, person)
        if code is not None:
            outcomes.append(Outcome(row, "duplicate" if code.startswith("row:") else "skipped", code))
            continue
        details = details_of(person)
        place = (details.kind, details.affiliation_slug, details.affiliation_text, details.region_code)
        if place not in resolved:
            resolved[place] = _resolve(details, now=now)
        found = resolved[place]
        if isinstance(found, str):
            outcomes.append(Outcome(row, "wrong", found))
            continue
        entered.append((row, _application(person, details, found, edition_slug=edition_slug, now=now)))
        passed.add(row, person)
    outcomes += _enter(job, entered, confirm_link_days=confirm_link_days, key=key, now=now)
    _write(job, outcomes, is_run=True)
    job.done += len(entered)
    job.duplicates += sum(1 for one in outcomes if one.state == "duplicate")
    job.wrong += sum(1 for one in outcomes if one.state in {"wrong", "skipped"})
    job.good -= sum(1 for one in outcomes if one.state != "done")
    if tried:
        job.cursor = tried[-1].row
    if is_last:
        finish(job, now=now)
    return True


# ── steps ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def _job_at(job_id: int, state: str, *, version: int, cursor: int) -> ImportJob | None:
    job = db.session.get(ImportJob, job_id, with_for_update=True, populate_existing=True)
    if job is None or job.state != state or job.version != version or job.cursor != cursor:
        return None
    return job


class _Known:
    """Who of some people is there already, or must not be written to: three statements for all of them."""

    def __init__(self, people: Sequence[tuple[int, Person]], *, key: bytes, now: datetime) -> None:
        self._key = key
        mailboxes = {person.email.mailbox for _row, person in people}
        rows = db.session.execute(
            select(Signature.mailbox, Signature.name_key, Signature.state).where(
                Signature.mailbox.in_(mailboxes), Signature.state.in_(LIVE), ~Signature.held
            )
        )
        self._live: dict[tuple[str, str], str] = {}
        for row in rows:
            person = row.mailbox, row.name_key
            if self._live.get(person) not in STANDING:
                self._live[person] = row.state
        digests = {mailbox_digest(mailbox, key=key): mailbox for mailbox in mailboxes}
        self._unwanted: dict[str, str] = {}
        for tally in db.session.execute(
            select(MailboxTally.digest, MailboxTally.stopped_until, MailboxTally.bounced_at).where(
                MailboxTally.digest.in_(digests)
            )
        ):
            mailbox = digests[tally.digest]
            if tally.stopped_until is not None and not has_come(tally.stopped_until, now=now, longest=LONGEST_STOP):
                self._unwanted[mailbox] = "email:stopped"
            elif tally.bounced_at is not None:
                self._unwanted[mailbox] = "email:bounced"
        self._rows: dict[str, int] = {}

    def identity(self, person: Person) -> str:
        """Of one person at one mailbox, whatever the spelling of the address; 64 hex digits."""
        return application_digest(person.email.mailbox, same_name_key(person.full_name), key=self._key).hex()

    def add(self, row: int, person: Person) -> None:
        """From here on this person is known, by their row."""
        self._rows[self.identity(person)] = row

    def add_rows(self, rows: dict[str, int]) -> None:
        """The same for rows of earlier steps."""
        self._rows.update(rows)

    def reason(self, row: int, person: Person) -> str | None:
        """Why this person is not entered; None if nothing stands against it."""
        first = self._rows.get(self.identity(person))
        if first is not None and first != row:
            return f"row:same:{first}"
        state = self._live.get((person.email.mailbox, same_name_key(person.full_name)))
        if state is not None:
            return "row:waits" if state == State.SUBMITTED else "row:stands"
        return self._unwanted.get(person.email.mailbox)


def _tried(job: ImportJob, tried: Sequence[Tried], *, key: bytes, now: datetime) -> list[Outcome]:
    people = [(one.row, one.found) for one in tried if isinstance(one.found, Person)]
    known = _Known(people, key=key, now=now)
    identities = {row: known.identity(person) for row, person in people}
    known.add_rows(_earlier_rows(job, list(identities.values())))
    similar = _similar(people)
    outcomes = []
    for one in tried:
        if isinstance(one.found, Wrong):
            outcomes.append(Outcome(one.row, "wrong", " ".join(one.found.codes)[:200]))
            continue
        code = known.reason(one.row, one.found)
        if code is None:
            known.add(one.row, one.found)
            outcomes.append(Outcome(one.row, "waiting", similar.get(one.row), identities[one.row]))
        else:
            outcomes.append(Outcome(one.row, "duplicate" if code.startswith("row:") else "wrong", code))
    return outcomes


def _earlier_rows(job: ImportJob, identities: Sequence[str]) -> dict[str, int]:
    rows = db.session.execute(
        select(ImportRow.identity, ImportRow.row).where(
            ImportRow.identity.in_(identities),
            ImportRow.job_id == job.id,
            ImportRow.row <= job.cursor,
            ImportRow.state == "waiting",
        )
    )
    return {identity: row for identity, row in rows if identity is not None}


def _similar(people: Sequence[tuple[int, Person]]) -> dict[int, str]:
    """Rows that look like somebody who stands already: the same name in any alphabet, for the same affiliation."""
    folds = {row: name_fold(person.full_name) for row, person in people}
    found: dict[tuple[str, str | None], int] = {}
    for name, slug, text, signature_id in db.session.execute(
        select(Signature.name_fold, Affiliation.slug, Signature.affiliation_text, Signature.id)
        .outerjoin(Affiliation, Affiliation.id == Signature.affiliation_id)
        .where(Signature.name_fold.in_(set(folds.values())), Signature.state.in_(STANDING))
    ):
        found[name or "", slug or text] = signature_id
    similar = {}
    for row, person in people:
        other = found.get((folds[row], person.affiliation_slug or person.affiliation_text))
        if other is not None:
            similar[row] = f"{SIMILAR}:{other}"
    return similar


def _resolve(details: Details, *, now: datetime) -> Resolved | str:
    try:
        return resolve_details(details, now=now)
    except FieldRefusedError as error:
        return f"{error.field}:{'gone' if error.code == 'unknown' else 'empty'}"


def _application(
    person: Person, details: Details, resolved: Resolved, *, edition_slug: str, now: datetime
) -> Signature:
    signature = Signature(
        entry=secrets.token_hex(16),
        state=State.SUBMITTED,
        version=1,
        held=False,
        email=person.email.address,
        mailbox=person.email.mailbox,
        language=person.language,
        # Both change to what the person reads when confirming.
        signed_language=person.language,
        edition_slug=edition_slug,
        # Of no browser: whoever confirms brings the code of the mail.
        browser_digest=secrets.token_bytes(32),
        submitted_at=now,
    )
    apply_details(signature, details, resolved)
    return signature


def _enter(
    job: ImportJob, entered: Sequence[tuple[int, Signature]], *, confirm_link_days: int, key: bytes, now: datetime
) -> list[Outcome]:
    signatures = [signature for _row, signature in entered]
    insert_all(signatures, known_by="entry")
    write_all_words(db.session.connection(), [(signature.id, signature.name_fold) for signature in signatures])
    events: list[SignatureEvent] = []
    for signature in signatures:
        event = event_of(signature, Move.ENTER, before=None, actor=Actor.CENTRE, now=now)
        event.staff_id = job.staff_id
        events.append(event)
    lifetime = timedelta(days=confirm_link_days)
    links = [link_to(signature, "confirm", key=key, now=now, lifetime=lifetime) for signature in signatures]
    insert_all(events)
    insert_all(links, known_by="uid")
    messages = [
        message_to("signing", signature, link=link, now=now) for signature, link in zip(signatures, links, strict=True)
    ]
    for message in messages:
        message.values = {"source": job.source}
    insert_all(messages)
    return [Outcome(row, "done", signature_id=signature.id) for row, signature in entered]


def _write(job: ImportJob, outcomes: Sequence[Outcome], *, is_run: bool = False) -> None:
    if not outcomes:
        return
    values: dict[str, Any] = {"state": bindparam("new_state"), "code": bindparam("new_code")}
    if is_run:
        # Who was entered is known by the application from now on; what was written is not needed again.
        values |= {"signature_id": bindparam("new_signature"), "identity": None, "cells": null()}
    else:
        values |= {"identity": bindparam("new_identity")}
    statement = (
        _ROWS.update().where(_ROWS.c.job_id == bindparam("which"), _ROWS.c.row == bindparam("number")).values(values)
    )
    db.session.connection().execute(
        statement,
        [
            {
                "which": job.id,
                "number": one.row,
                "new_state": one.state,
                "new_code": one.code,
                **({"new_signature": one.signature_id} if is_run else {"new_identity": one.identity}),
            }
            for one in outcomes
        ],
    )
