"""The outbox: when a mail is tried again, when it is given up, and that nothing personal stays once it has left."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from datetime import datetime, timedelta
from email.message import EmailMessage
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select
from time_machine import Traveller as Clock

from charter import mail, worker
from charter.mail import DeliveryError
from charter.models.base import Base, db
from charter.models.decision import Audit
from charter.models.outbox import Message
from charter.operations import outbox, review
from charter.operations.outbox import Delivery
from tests.operations.test_signing import confirmed, decide, get, key_of, now, request_code, sign, withdraw
from tests.people import Desk, mails, work

LEASE_SECONDS = 300


class Server:
    """A way out that fails as told and remembers what it was given."""

    def __init__(self, code: str | None = "smtp-451", *, is_permanent: bool = False) -> None:
        self.code = code
        self.is_permanent = is_permanent
        self.taken: list[EmailMessage] = []

    def send(self, message: EmailMessage, *, uid: str, sender: str | None = None) -> None:
        self.taken.append(message)
        if self.code is not None:
            raise DeliveryError(self.code, is_permanent=self.is_permanent)

    def close(self) -> None:
        pass


def deliver(app: Flask, server: Server) -> int:
    """One round; how many mails the server was offered."""
    before = len(server.taken)
    with app.app_context():
        worker.deliver(app.config["CHARTER"], server)
    return len(server.taken) - before


def claimed(app: Flask, *, limit: int = 5, at: datetime | None = None) -> list[Delivery]:
    """As `claim`, inside somebody's context."""
    key, at = key_of(app), at or now()
    return outbox.claim(limit=limit, lease_seconds=LEASE_SECONDS, key=key, hourly_budget=0, now=at).deliveries


def claim(app: Flask, *, limit: int = 50) -> list[Delivery]:
    with app.app_context():
        return claimed(app, limit=limit)


def messages(app: Flask) -> list[Message]:
    with app.app_context():
        rows = list(db.session.scalars(select(Message).order_by(Message.id)))
        db.session.expunge_all()
        return rows


# ── trying again ─────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_mail_is_tried_after_1_5_15_and_60_minutes_then_hourly_and_given_up_after_48_hours(
    app: Flask, clock: Clock
) -> None:
    clock.move_to("2026-11-20T09:00:00Z", tick=False)
    sign(app)
    began = now()
    server = Server()
    tried = []
    # Looking in the second before and in the second itself: no sooner and no later.
    for _ in range(60):
        waiting = messages(app)[0]
        if waiting.done_at is not None:
            break
        if tried:
            clock.move_to(waiting.due_at - timedelta(seconds=1), tick=False)
            assert deliver(app, server) == 0
        clock.move_to(waiting.due_at, tick=False)
        assert deliver(app, server) == 1
        tried.append(round((now() - began).total_seconds() / 60))
    steps = [later - earlier for earlier, later in itertools.pairwise(tried)]
    assert steps[:4] == [1, 5, 15, 60]
    assert set(steps[4:]) == {60}
    assert 48 * 60 <= tried[-1] < 49 * 60
    given_up = messages(app)[0]
    assert given_up.failed_at == given_up.done_at == now()
    assert given_up.attempts == len(tried)
    assert given_up.last_error == "smtp-451"
    assert len({message["Message-ID"] for message in server.taken}) == 1


def test_a_mail_that_was_given_up_is_seen_by_staff_and_can_be_tried_again(app: Flask, clock: Clock) -> None:
    signature_id = sign(app)
    deliver(app, Server("smtp-550", is_permanent=True))
    clock.shift(86_400)
    desk = Desk(app, "Bruno", "bruno@example.org")
    page = desk.browser.get("/staff/mail/")
    assert "smtp-550" in page.main
    assert "amina@example.org" in page.main
    after = page.submit(at="/retry")
    assert "The mail is tried again." in after.text
    assert "smtp-550" not in after.main
    assert "1 mail waits." in after.main
    with app.app_context():
        audit = db.session.scalars(select(Audit).filter_by(action="retry-mail")).one()
        assert (audit.staff_id, audit.subject, audit.subject_id) == (desk.id, "message", messages(app)[0].id)
    # It has its own 48 hours again.
    assert deliver(app, Server("smtp-451")) == 1
    assert messages(app)[0].failed_at is None
    clock.shift(60)
    work(app)
    assert [message["To"] for message in mails(app)] == ["amina@example.org"]
    assert get(app, signature_id).state == "submitted"
    again = page.submit(at="/retry")
    assert "This mail is no longer among the failed ones." in again.text
    assert len(mails(app)) == 1


def test_a_permanent_refusal_is_not_tried_again(app: Flask, clock: Clock) -> None:
    sign(app)
    server = Server("smtp-550", is_permanent=True)
    assert deliver(app, server) == 1
    for _ in range(3):
        clock.shift(3600)
        assert deliver(app, server) == 0
    row = messages(app)[0]
    assert (row.attempts, row.last_error) == (1, "smtp-550")
    assert row.failed_at is not None


def test_a_mail_let_through_days_later_has_its_own_48_hours(app: Flask, clock: Clock) -> None:
    for name in ("Бірінші Адам", "Екінші Адам", "Үшінші Адам"):
        sign(app, name, "office@example.org")
    held = sign(app, "Төртінші Адам", "office@example.org")
    work(app)
    clock.shift(3 * 86_400)
    desk = Desk(app, "Bruno", "bruno@example.org")
    with app.app_context():
        review.release(held, staff_id=desk.id, confirm_link_days=7, now=now())
    server = Server("smtp-451")
    assert deliver(app, server) == 1
    row = messages(app)[-1]
    assert row.failed_at is None
    assert timedelta(0) < row.due_at - now() <= timedelta(minutes=1)


# ── leases ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_what_a_dead_worker_took_up_is_sent_with_the_same_message_id_when_its_lease_ends(
    app: Flask, clock: Clock
) -> None:
    sign(app)
    died = Server(code=None)
    with app.app_context():
        config = app.config["CHARTER"]
        taken = claimed(app)
        # Sent, but it dies before it can write that down.
        first = mail.render(taken[0], key=config.secret_key.encode(), settings=config)
        died.send(first, uid=taken[0].uid)
    clock.shift(LEASE_SECONDS - 60)
    living = Server(code=None)
    assert deliver(app, living) == 0
    clock.shift(61)
    assert deliver(app, living) == 1
    second = living.taken[0]
    assert first["Message-ID"] == second["Message-ID"]
    assert first["Date"] == second["Date"]
    parts = [[part.get_content() for part in one.iter_parts()] for one in (first, second)]
    assert parts[0] == parts[1], "not a word of it differs, link and code included"
    assert messages(app)[0].sent_at is not None


def test_a_mail_that_was_closed_meanwhile_stays_closed(app: Flask, clock: Clock) -> None:
    signature_id = confirmed(app)
    taken = claim(app)
    withdraw(app, signature_id)
    before = [(one.done_at, one.sent_at, one.attempts) for one in messages(app)]
    with app.app_context():
        for delivery in taken:
            outbox.mark_failed(delivery.message_id, code="timeout", is_permanent=False, now=now())
            outbox.mark_sent([delivery.message_id], now=now())
            outbox.mark_sent([10**6], now=now())
    assert [(one.done_at, one.sent_at, one.attempts) for one in messages(app)] == before


def test_the_oldest_due_leave_first_and_no_more_than_asked_for(app: Flask, clock: Clock) -> None:
    for place in range(4):
        sign(app, address=f"p{place}@example.org")
        clock.shift(1)
    first = claim(app, limit=3)
    assert [one.recipient for one in first] == ["p0@example.org", "p1@example.org", "p2@example.org"]
    assert [one.recipient for one in claim(app, limit=3)] == ["p3@example.org"]
    assert claim(app) == []


# ── what stays ───────────────────────────────────────────────────────────────────────────────────────────────────────


def test_address_and_values_are_wiped_from_every_row_once_sent(app: Flask, desk: Desk, clock: Clock) -> None:
    approved, declined = confirmed(app), confirmed(app, "Ерлан Бекенов", "erlan@example.org")
    decide(app, approved, desk.id)
    decide(app, declined, desk.id, "decline", "duplicate")
    request_code(app, approved)
    clock.shift(11)
    work(app)
    rows = messages(app)
    # The two that asked for a confirmation were no longer needed.
    assert [row.kind for row in rows if row.sent_at is None] == ["signing", "signing"]
    assert {row.kind for row in rows if row.sent_at is not None} == {
        "confirmed",
        "declined",
        "code",
        "published",
    }
    for row in rows:
        assert row.done_at is not None
        assert (row.recipient, row.values, row.last_error) == (None, {}, None)
    # Of whoever has left not even the rows stay.
    withdraw(app, approved)
    work(app)
    assert {row.signature_id for row in messages(app)} == {declined}


def test_no_row_of_any_table_keeps_a_token_or_a_code(app: Flask, desk: Desk, clock: Clock) -> None:
    approved = confirmed(app)
    sign(app, "Ерлан Бекенов", "erlan@example.org")
    request_code(app, approved)
    secrets: set[str] = set()
    for delivery in claim(app):
        config = app.config["CHARTER"]
        links = mail.links_for(delivery, key=config.secret_key.encode(), settings=config)
        secrets |= {value.rpartition("/")[2] for name, value in links.items() if name in {"confirm_url", "my_url"}}
        secrets |= {value for name, value in links.items() if name == "code"}
    assert len(secrets) == 4
    with app.app_context():
        for table in Base.metadata.sorted_tables:
            for row in db.session.execute(select(table)).mappings():
                text = json.dumps([value if isinstance(value, dict) else str(value) for value in row.values()])
                for secret in secrets:
                    assert f'"{secret}"' not in text
                    assert len(secret) == 6 or secret not in text


@pytest.mark.parametrize(
    ("begin", "seconds"), [(sign, 7 * 86_400), (confirmed, 30 * 60)], ids=["the link of a signature", "a code"]
)
def test_a_mail_whose_link_works_no_longer_is_closed_unsent(
    app: Flask, clock: Clock, begin: Callable[[Flask], int], seconds: int
) -> None:
    signature_id = begin(app)
    if begin is confirmed:
        work(app)
        request_code(app, signature_id)
    sent = len(mails(app))
    clock.shift(seconds)
    work(app)
    assert len(mails(app)) == sent
    row = messages(app)[-1]
    assert (row.recipient, row.values, row.sent_at, row.failed_at) == (None, {}, None, None)
    assert row.done_at is not None


def test_one_event_makes_one_mail_that_never_changes(app: Flask, desk: Desk, clock: Clock) -> None:
    signature_id = confirmed(app)
    decide(app, signature_id, desk.id)
    clock.shift(11)
    server = Server()
    told: dict[Any, set[str]] = {}
    work_before = len(mails(app))
    with app.app_context():
        worker.publish()
    for _ in range(4):
        deliver(app, server)
        clock.shift(3600)
    for message in server.taken:
        # The boundary between the parts is drawn anew each time; nothing that is read is.
        parts = [str(part.get_content()) for part in message.walk() if not part.is_multipart()]
        read = json.dumps([*parts, message["Subject"], message["To"], message["Date"], message["From"]])
        told.setdefault(message["Message-ID"], set()).add(read)
    assert len(told) == 2
    assert all(len(words) == 1 for words in told.values())
    assert len(server.taken) == 8
    assert len(mails(app)) == work_before
    assert len({row.uid for row in messages(app)}) == len(messages(app)) == 3
