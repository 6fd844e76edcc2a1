"""The mail server refuses, hangs or breaks off: signing and publication go on, nothing is lost, the desk sees it."""

from __future__ import annotations

import os
import signal
import socketserver
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from email.message import EmailMessage
from typing import Any, ClassVar

import pytest
from flask import Flask
from sqlalchemy import select
from sqlalchemy.exc import OperationalError
from time_machine import Traveller as Clock

from charter import mail, worker
from charter.domain.mail import Delivery
from charter.models.base import db, writing
from charter.models.log import LogBatch, LogEvent
from charter.models.outbox import Message
from charter.operations import outbox
from charter.queries.outbox import mail_health
from charter.settings import Settings
from tests.conftest import MakeApp
from tests.hostile.broken import BlackHole, wait_for
from tests.operations.test_outbox import claimed
from tests.operations.test_signing import now, sign
from tests.people import Desk, Observer
from tests.service import ROOT, clean_environment, free_port

PEOPLE = 4


def with_mail_to(make_app: MakeApp, port: int, **more: str) -> Flask:
    return make_app(
        mail_transport="smtp",
        smtp_host="127.0.0.1",
        smtp_port=str(port),
        smtp_security="none",
        **{"smtp_timeout_seconds": "1", **more},
    )


def messages(app: Flask) -> list[Message]:
    with app.app_context():
        rows = list(db.session.scalars(select(Message).order_by(Message.id)))
        db.session.expunge_all()
        return rows


def one_round(app: Flask) -> worker.Round:
    config: Settings = app.config["CHARTER"]
    transport = mail.transport_for(config)
    try:
        with app.app_context():
            return worker.deliver(config, transport)
    finally:
        transport.close()


class Talk(socketserver.StreamRequestHandler):
    """A mail server that misbehaves at one verb as told: `refuse`, `hang up` or `hang`."""

    at: ClassVar[str] = ""
    how: ClassVar[str] = ""
    ended: ClassVar[threading.Event]

    def say(self, words: str) -> None:
        self.wfile.write(words.encode() + b"\r\n")

    def misbehave(self) -> bool:
        if self.how == "refuse":
            self.say("451 greylisted amina@example.org")
            return False
        if self.how == "hang":
            self.ended.wait(20)
        return True

    def handle(self) -> None:
        self.say("220 ready")
        while line := self.rfile.readline():
            verb = line[:4].strip().decode().upper()
            if verb == "DATA" and self.at != "DATA":
                self.say("354 go on")
                for _ in iter(self.rfile.readline, b".\r\n"):
                    pass
                verb = "."
            if verb == self.at:
                if self.misbehave():
                    return
            elif verb == "QUIT":
                self.say("221 bye")
                return
            else:
                self.say("250 OK")


@contextmanager
def server(at: str, how: str) -> Iterator[int]:
    ended = threading.Event()
    talk = type("ThisTalk", (Talk,), {"at": at, "how": how, "ended": ended})
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), talk) as listening:
        listening.daemon_threads = True
        thread = threading.Thread(target=listening.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield listening.server_address[1]
        finally:
            ended.set()
            listening.shutdown()
            thread.join()


def people_sign(app: Flask, *, start: int = 0) -> None:
    for place in range(start, start + PEOPLE):
        sign(app, address=f"p{place}@example.org")


def test_without_a_mail_server_nobody_is_tried_in_vain_and_no_attempt_is_counted(
    make_app: MakeApp, clock: Clock
) -> None:
    app = with_mail_to(make_app, free_port())
    people_sign(app)
    done = one_round(app)
    assert done == worker.Round(sent=0, is_broken=True)
    for row in messages(app):
        assert (row.attempts, row.leased_until, row.last_error) == (0, None, "smtp-ConnectionRefusedError")
        assert row.due_at <= now(), "the next worker may take it up at once"


@pytest.mark.parametrize("engine_name", ["sqlite"])
def test_a_server_that_says_nothing_costs_one_wait_and_not_one_for_each_mail(make_app: MakeApp, clock: Clock) -> None:
    with BlackHole() as hole:
        app = with_mail_to(make_app, hole.port)
        people_sign(app)
        begun = time.monotonic()
        assert one_round(app).is_broken
        assert time.monotonic() - begun < 3.5
        assert hole.count == 1
    assert {(row.attempts, row.leased_until) for row in messages(app)} == {(0, None)}


@pytest.mark.parametrize("engine_name", ["sqlite"])
@pytest.mark.parametrize(("at", "how"), [("DATA", "hang up"), (".", "hang")])
def test_a_server_that_breaks_off_costs_the_mail_it_saw_one_attempt_and_the_others_none(
    make_app: MakeApp, clock: Clock, at: str, how: str
) -> None:
    with server(at, how) as port:
        app = with_mail_to(make_app, port)
        people_sign(app)
        begun = time.monotonic()
        assert one_round(app).is_broken
        assert time.monotonic() - begun < 3.5
        rows = messages(app)
        assert [row.attempts for row in rows] == [1, 0, 0, 0]
        assert {row.leased_until for row in rows} == {None}
        # A mail that breaks the server must not stand in the way of the others for ever.
        assert one_round(app).is_broken
        assert [row.attempts for row in messages(app)] == [1, 1, 0, 0]


def test_a_greylisting_server_is_tried_with_every_mail_and_later_again(make_app: MakeApp, clock: Clock) -> None:
    with server("RCPT", "refuse") as port:
        app = with_mail_to(make_app, port)
        people_sign(app)
        assert one_round(app) == worker.Round(sent=0)
        assert {(row.attempts, row.last_error, row.leased_until) for row in messages(app)} == {(1, "smtp-451", None)}
        clock.shift(61)
    with server("never", "") as port:
        again = with_mail_to(make_app, port)
        assert one_round(again).sent == PEOPLE
    assert {row.last_error for row in messages(app)} == {None}


@pytest.mark.parametrize("how", ["refuse", "gone"])
def test_the_desk_sees_since_when_mail_waits_however_often_it_was_tried(
    make_app: MakeApp, clock: Clock, how: str
) -> None:
    with server("RCPT", "refuse") as port:
        app = with_mail_to(make_app, port if how == "refuse" else free_port())
        people_sign(app)
        began = now()
        for _ in range(3):
            one_round(app)
            clock.shift(1800)
        one_round(app)
    with app.app_context():
        health = mail_health(now=now())
    assert health.waiting == PEOPLE
    assert health.oldest_due_at is not None
    assert abs((health.oldest_due_at - began).total_seconds()) < 5
    assert health.last_error == ("smtp-451" if how == "refuse" else "smtp-ConnectionRefusedError")
    page = Desk(app, "Bruno", "bruno@example.org").browser.get("/staff/mail/").main
    assert "4 mails wait." in page
    assert "The oldest has been due since 20 November 2026, 14:00" in page.replace("\xa0", " ")
    assert health.last_error in page


def test_what_was_put_back_late_is_not_taken_from_who_has_it_now(app: Flask, clock: Clock) -> None:
    sign(app)
    with app.app_context():
        first = claimed(app)
        until = messages(app)[0].leased_until
        assert until is not None
        clock.shift(301)
        second = claimed(app)
        assert [one.message_id for one in first] == [one.message_id for one in second]
        outbox.put_back([first[0].message_id], leased_until=until, code="late", now=now())
        assert claimed(app) == []


@pytest.mark.parametrize("engine_name", ["sqlite"])
def test_a_mail_server_that_hangs_holds_up_neither_signing_nor_publication_nor_the_end(make_app: MakeApp) -> None:
    with BlackHole() as hole:
        more = {"smtp_timeout_seconds": "30", "publish_interval_seconds": "1"}
        app = with_mail_to(make_app, hole.port, **more)
        config: Settings = app.config["CHARTER"]
        people_sign(app)
        environ = clean_environment(config.instance_path) | {
            "CHARTER_DATABASE_URL": config.database_url,
            "CHARTER_SMTP_HOST": "127.0.0.1",
            "CHARTER_SMTP_PORT": str(hole.port),
            "CHARTER_SMTP_SECURITY": "none",
            "CHARTER_PUBLISH_INTERVAL_SECONDS": "1",
        }
        command = [sys.executable, "-m", "flask", "--app", "charter", "worker"]
        with subprocess.Popen(command, cwd=ROOT, env=environ, stderr=subprocess.PIPE) as process:
            try:
                wait_for(lambda: hole.count)
                for _ in range(2):
                    before = _revision(app)
                    with app.app_context(), writing():
                        db.session.add(LogEvent(kind="refresh", values={}, effective_at=now()))
                        db.session.commit()
                    begun = time.monotonic()
                    wait_for(lambda before=before: _revision(app) > before, seconds=10)
                    assert time.monotonic() - begun < 10
                    assert "/check-mail/" in Observer(app).sign().url
                assert hole.count == 1, "it hung through all of that"
                begun = time.monotonic()
                process.send_signal(signal.SIGTERM)
                assert process.wait(timeout=20) == 0
                assert time.monotonic() - begun < 9
            finally:
                process.kill()
    rows = messages(app)
    assert {row.attempts for row in rows} == {0}
    # Only the one whose fate nobody knows keeps its lease.
    assert len([row for row in rows if row.leased_until is not None]) == 1


def test_a_round_that_the_database_broke_off_costs_the_rest_no_lease(
    app: Flask, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    people_sign(app)
    hand = worker.Hand()
    config: Settings = app.config["CHARTER"]
    transport = mail.transport_for(config)

    def gone(*_args: object, **_more: object) -> None:
        raise OperationalError("", {}, Exception())

    with app.app_context():
        with monkeypatch.context() as patch:
            patch.setattr(outbox, "mark_sent", gone)
            with pytest.raises(OperationalError):
                worker.deliver(config, transport, hand=hand)
        # All have left, and the hand that knows it notes it as soon as it can: nobody gets a second one.
        assert [row.sent_at is None for row in messages(app)] == [True] * PEOPLE
        assert worker.deliver(config, transport, hand=hand).sent == 0
    assert [row.sent_at is None for row in messages(app)] == [False] * PEOPLE


def test_sent_mails_are_noted_in_groups_and_at_once_behind_a_slow_server(
    app: Flask, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    people_sign(app)
    groups: list[list[int]] = []
    mark_sent = outbox.mark_sent

    def noted(message_ids: Sequence[int], **more: Any) -> None:
        groups.append(list(message_ids))
        mark_sent(message_ids, **more)

    monkeypatch.setattr(outbox, "mark_sent", noted)
    monkeypatch.setattr(worker, "NOTED_AT_ONCE", 3)
    assert one_round(app).sent == PEOPLE
    assert [len(group) for group in groups] == [3, PEOPLE - 3]
    groups.clear()
    people_sign(app, start=PEOPLE)
    monkeypatch.setattr(worker, "NOTED_WITHIN_SECONDS", 0)
    assert one_round(app).sent == PEOPLE
    assert [len(group) for group in groups] == [1] * PEOPLE


@pytest.mark.parametrize("engine_name", ["sqlite"])
def test_a_mail_that_cannot_be_written_does_not_stand_in_the_way_of_the_others(
    app: Flask, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    people_sign(app)
    render = worker.render

    def with_a_bug(one: Delivery, **more: Any) -> EmailMessage:
        if one.recipient == "p1@example.org":
            raise ValueError("amina")
        return render(one, **more)

    monkeypatch.setattr(worker, "render", with_a_bug)
    with pytest.raises(ValueError, match="amina"):
        one_round(app)
    assert one_round(app).sent == PEOPLE - 2
    assert [(row.attempts, row.last_error) for row in messages(app) if row.done_at is None] == [(1, "bug")]


def _revision(app: Flask) -> int:
    with app.app_context():
        return db.session.scalar(select(LogBatch.revision).order_by(LogBatch.revision.desc()).limit(1)) or 0


def test_an_instance_folder_without_room_costs_no_mail(
    make_app: MakeApp, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = make_app()
    people_sign(app)

    def full(*_args: object) -> None:
        raise OSError(28, os.strerror(28))

    with monkeypatch.context() as patch:
        patch.setattr("pathlib.Path.write_bytes", full)
        assert one_round(app).is_broken
    assert {(row.attempts, row.leased_until, row.last_error) for row in messages(app)} == {(0, None, "file-28")}
    assert one_round(app).sent == PEOPLE
