"""Mail that comes back: what is believed, what is not, and that nothing that is piped in breaks anything."""

from __future__ import annotations

import random
from email.message import EmailMessage

import pytest
from flask import Flask
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import select
from sqlalchemy.exc import OperationalError
from time_machine import Traveller as Clock

from charter import bounces
from charter.domain.bounce import envelope_sender, marks_in
from charter.domain.mailbox import mailbox_digest
from charter.models.base import db, writing
from charter.models.decision import Audit
from charter.models.limits import MailboxTally
from charter.models.outbox import Message
from charter.models.signature import Signature
from charter.operations import bouncing, mailboxes
from charter.operations.mailboxes import Lifting
from tests.conftest import MakeApp
from tests.operations.test_signing import confirmed, key_of, now, request_code, sign
from tests.people import Desk, mails, work

BOUNCE = "bounce@charter.example"


@pytest.fixture
def app(make_app: MakeApp, clock: Clock) -> Flask:
    return make_app(bounce_address=BOUNCE)


def report(
    to: str, *, action: str = "failed", status: str = "5.1.1", diagnosis: str = "smtp; 550 no such user"
) -> bytes:
    """As RFC 3464 wants it."""
    return f"""From: MAILER-DAEMON@mx.example.net
To: {to}
Subject: Undelivered Mail Returned to Sender
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status; boundary="B"

--B
Content-Type: text/plain

This is the mail system at host mx.example.net.

--B
Content-Type: message/delivery-status

Reporting-MTA: dns; mx.example.net

Final-Recipient: rfc822; amina@example.org
Action: {action}
Status: {status}
Diagnostic-Code: {diagnosis}

--B
Content-Type: message/rfc822

Subject: x

--B--
""".replace("\n", "\r\n").encode()


def pipe(app: Flask, raw: bytes, *arguments: str) -> int:
    """What the mail server does; the exit code."""
    result = app.test_cli_runner().invoke(args=["bounce", *arguments], input=raw)
    assert "amina" not in result.output
    assert "@" not in result.output
    return result.exit_code


def sender_of(message: EmailMessage) -> str:
    return str(message["X-Envelope-From"]).strip()


def tally(app: Flask, mailbox: str = "amina@example.org") -> tuple[bool, int]:
    """(marked as gone, how many came back)"""
    with app.app_context():
        row = db.session.get(MailboxTally, mailbox_digest(mailbox, key=key_of(app)))
        return (False, 0) if row is None else (row.bounced_at is not None, row.bounce_count)


# ── what is believed ─────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_hard_bounce_stops_mail_to_the_mailbox_until_staff_lift_it(app: Flask, desk: Desk) -> None:
    signature_id = confirmed(app)
    work(app)
    (mail,) = mails(app)
    assert sender_of(mail).startswith("bounce+")
    assert pipe(app, report(sender_of(mail))) == 0
    assert tally(app) == (True, 1)
    request_code(app, signature_id)
    sign(app, "Ерлан Бекенов")
    work(app)
    assert len(mails(app)) == 1
    with app.app_context():
        waiting = db.session.scalars(select(Message).where(Message.done_at.is_(None))).all()
        assert [(row.on_hold, row.last_error) for row in waiting] == [(True, mailboxes.BOUNCED)] * 2
    page = desk.browser.get(f"/staff/review/{signature_id}/")
    assert "its server says that it does not exist" in page.main
    found = page.submit(at="/staff/mailboxes/")
    assert "2 mails wait." in found.main
    lifted = found.submit(at="/staff/mailboxes/lift", what="bounce")
    assert "It is lifted." in lifted.main
    assert "Nothing keeps mail from this mailbox." in lifted.main
    work(app)
    assert len(mails(app)) == 3
    assert tally(app) == (False, 0)
    # The same report once more, by whoever kept it.
    assert pipe(app, report(sender_of(mail))) == 0
    assert tally(app) == (False, 0)
    with app.app_context():
        assert db.session.scalars(select(Audit.action).filter_by(subject="mailbox").order_by(Audit.id)).all() == [
            "read-mailbox",
            "lift-mail-bounce",
        ]


def test_a_full_mailbox_is_counted_and_gets_its_mail(app: Flask) -> None:
    sign(app)
    work(app)
    sender = sender_of(mails(app)[0])
    for _ in range(3):
        pipe(app, report(sender, status="5.2.2"))
        pipe(app, report(sender, action="delayed", status="4.4.1"))
    assert tally(app) == (False, 1)
    sign(app, "Ерлан Бекенов")
    work(app)
    assert len(mails(app)) == 2
    # A warning first, and the failure later: the failure counts.
    pipe(app, report(sender))
    assert tally(app) == (True, 2)


@pytest.mark.parametrize("engine_name", ["sqlite"])
def test_the_address_that_the_mail_server_names_is_enough(app: Flask) -> None:
    sign(app)
    work(app)
    sender = sender_of(mails(app)[0])
    assert pipe(app, report("postmaster@charter.example"), "--to", sender.upper()) == 0
    assert tally(app) == (True, 1)


# ── what is not ──────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_report_without_a_mark_of_ours_changes_nothing(app: Flask) -> None:
    sign(app)
    work(app)
    true = sender_of(mails(app)[0])
    with app.app_context():
        uid = db.session.scalars(select(Message.uid)).first() or ""
    forged = [
        BOUNCE,
        "amina@example.org",
        true[:-30] + ("0" if true[-30] != "0" else "1") + true[-29:],
        envelope_sender(BOUNCE, uid=uid, mailbox="amina@example.org", key=b"another key of somebody"),
        envelope_sender(BOUNCE, uid=uid, mailbox="erlan@example.org", key=key_of(app)),
        envelope_sender(BOUNCE, uid="f" * 32, mailbox="amina@example.org", key=key_of(app)),
    ]
    for to in forged:
        assert pipe(app, report(to)) == 0
    assert tally(app) == (False, 0)


@pytest.mark.parametrize("engine_name", ["sqlite"])
def test_an_answer_of_somebody_on_holiday_is_no_bounce(app: Flask) -> None:
    sign(app)
    work(app)
    sender = sender_of(mails(app)[0])
    holiday = f"To: {sender}\nAuto-Submitted: auto-replied\nSubject: Out of office\n\nI am back on Monday.\n"
    for raw in (holiday.encode(), report(sender, action="delivered", status="2.0.0"), report(sender, action="relayed")):
        assert pipe(app, raw) == 0
    assert tally(app) == (False, 0)


def test_a_mark_from_a_former_address_says_nothing_of_the_present_one(app: Flask) -> None:
    with app.app_context():
        (mark,) = marks_in(envelope_sender(BOUNCE, uid="a" * 32, mailbox="old@example.org", key=key_of(app)))
        assert bouncing.note(mark, is_hard=True, key=key_of(app), now=now()) is bouncing.Noted.UNKNOWN
    signature_id = sign(app)
    work(app)
    sender = sender_of(mails(app)[0])
    with app.app_context(), writing():
        row = db.session.get_one(Signature, signature_id)
        row.email, row.mailbox = "new@example.org", "new@example.org"
        db.session.commit()
    pipe(app, report(sender))
    assert tally(app) == tally(app, "new@example.org") == (False, 0)


@pytest.mark.parametrize("engine_name", ["sqlite"])
def test_with_the_database_gone_the_mail_server_is_asked_to_try_again(
    app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(*_args: object, **_more: object) -> None:
        raise OperationalError("", {}, Exception())

    monkeypatch.setattr(bouncing, "note", gone)
    sender = envelope_sender(BOUNCE, uid="a" * 32, mailbox="a@b.kz", key=key_of(app))
    assert pipe(app, report(sender)) == 75


@pytest.mark.parametrize("engine_name", ["sqlite"])
def test_lifting_what_is_not_there_is_told_and_not_recorded(app: Flask, desk: Desk) -> None:
    with app.app_context():
        for what in Lifting:
            assert not mailboxes.lift("nobody@example.org", what, key=key_of(app), staff_id=desk.id, now=now())
        assert db.session.scalars(select(Audit).filter_by(subject="mailbox")).all() == []


# ── how servers say it, and what strangers write ─────────────────────────────────────────────────────────────────────

QMAIL = b"""From: MAILER-DAEMON@example.net
To: x
Subject: failure notice

Hi. This is the qmail-send program at example.net.
I'm afraid I wasn't able to deliver your message to the following addresses.
This is a permanent error; I've given up. Sorry it didn't work out.

<amina@example.org>:
192.0.2.1 does not like recipient.
Remote host said: 550 5.1.1 unknown
Giving up on 192.0.2.1.

--- Below this line is a copy of the message.
"""


@pytest.mark.parametrize(
    ("raw", "is_hard"),
    [
        (report("x"), True),
        (report("x", status="5.2.1"), True),
        (report("x", status="5.1.10 (bad)"), True),
        (report("x", status="5.2.2"), False),
        (report("x", status="5.7.1"), False),
        (report("x", status="4.2.2"), False),
        (report("x", action="delayed", status="5.1.1"), False),
        (report("x", status="5.0.0"), True),
        (report("x", status="5.0.0", diagnosis="smtp; 550 5.7.26 not authenticated"), False),
        (report("x", status="5.0.0", diagnosis="smtp; 554 spam"), False),
        (report("x", status="", diagnosis=""), False),
        (report("x", action="delivered", status="2.0.0"), None),
        (QMAIL, True),
        (QMAIL.replace(b"5.1.1 unknown", b"5.2.2 full"), False),
        (b"", None),
        (b"\0" * 5000, None),
        (b"To: x\n\nhello", None),
    ],
)
def test_only_a_mailbox_that_is_gone_is_marked(raw: bytes, is_hard: bool | None) -> None:
    assert bounces.read(raw).is_hard is is_hard


@settings(max_examples=60, deadline=None)
@given(st.one_of(st.binary(max_size=400), st.integers(0, 2**32)))
def test_nothing_that_is_piped_in_breaks_the_reader(given_raw: bytes | int) -> None:
    if isinstance(given_raw, int):
        # A true report, hurt in some places.
        dice = random.Random(given_raw)
        raw = bytearray(report("bounce+" + "0" * 42 + "@charter.example"))
        for _ in range(dice.randrange(1, 30)):
            raw[dice.randrange(len(raw))] = dice.randrange(256)
        given_raw = bytes(raw)
    found = bounces.read(given_raw)
    assert found.is_hard in {True, False, None}


def test_a_report_made_to_exhaust_its_reader_is_left_aside() -> None:
    deep = b"".join(b'Content-Type: multipart/report; boundary="b%d"\n\n--b%d\n' % (at, at) for at in range(3000))
    wide = b'To: x\nContent-Type: multipart/report; boundary="b"\n\n' + b"--b\n\n" * 60_000
    nested = b"Content-Type: message/rfc822\n\n" * 8000
    long = b"To: " + b"+0123456789abcdefghijklmnop@" * 200_000
    many = b"Content-Type: message/delivery-status\n\n" + b"Action: failed\n\n" * 50_000
    for raw in (deep, wide, nested, long, many):
        assert len(bounces.read(raw).marks) <= 20
