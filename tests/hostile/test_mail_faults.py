"""A mail server that fails in every way at every step: nothing is lost, and one event is never told in two ways."""

from __future__ import annotations

import re
import socketserver
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import ClassVar

from flask import Flask
from sqlalchemy import select
from time_machine import Traveller as Clock

from charter import worker
from charter.models.base import db
from charter.models.outbox import Message
from tests.conftest import MakeApp
from tests.hostile.test_mail_gone import messages, one_round, with_mail_to
from tests.operations.test_signing import confirm, confirmed, sign

#: Where in the talk it fails.
STEPS = ("connect", "EHLO", "MAIL", "RCPT", "DATA", "end")
#: How: refuses for now, refuses for good, hangs up, says nothing, or takes the mail and is never heard saying so.
FAULTS = ("4xx", "5xx", "drop", "slow", "lost 250")


class Talk(socketserver.StreamRequestHandler):
    """Fails as told, as often as told; afterwards it takes everything."""

    step: ClassVar[str]
    fault: ClassVar[str]
    left: ClassVar[list[int]]
    taken: ClassVar[list[tuple[str, bytes]]]
    ended: ClassVar[threading.Event]

    def say(self, words: str) -> None:
        self.wfile.write(words.encode() + b"\r\n")

    def fails(self, step: str) -> bool:
        """Whether the talk ends here."""
        if step != self.step or not self.left[0]:
            return False
        self.left[0] -= 1
        if self.fault == "4xx":
            self.say("421 too busy for amina@example.org" if step == "connect" else "451 later")
        elif self.fault == "5xx":
            self.say("554 no" if step == "connect" else "550 never")
        elif self.fault == "slow":
            self.ended.wait(5)
        return self.fault in {"drop", "slow", "lost 250"} or step == "connect"

    def handle(self) -> None:
        if self.fails("connect"):
            return
        self.say("220 ready")
        while line := self.rfile.readline():
            verb = line[:4].strip().decode().upper()
            has_failed = self.left[0]
            if verb == "QUIT":
                self.say("221 bye")
                return
            if self.fails(verb):
                return
            if has_failed != self.left[0]:
                continue
            if verb == "DATA":
                self.say("354 go on")
                body = b"".join(iter(self.rfile.readline, b".\r\n"))
                if self.fault == "lost 250" and self.left[0]:
                    self.take(body)
                if self.fails("end"):
                    return
                if has_failed != self.left[0]:
                    continue
                self.take(body)
            self.say("250 OK")

    def take(self, body: bytes) -> None:
        found = re.search(rb"Message-ID: <(\S+)@", body)
        assert found
        self.taken.append((found[1].decode(), body))


@contextmanager
def failing(step: str, fault: str, *, times: int) -> Iterator[tuple[int, list[tuple[str, bytes]]]]:
    taken: list[tuple[str, bytes]] = []
    ended = threading.Event()
    talk = type("T", (Talk,), {"step": step, "fault": fault, "left": [times], "taken": taken, "ended": ended})
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), talk) as listening:
        listening.daemon_threads = True
        thread = threading.Thread(target=listening.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield listening.server_address[1], taken
        finally:
            ended.set()
            listening.shutdown()
            thread.join()


MATRIX = [
    (step, fault)
    for step in STEPS
    for fault in FAULTS
    # A server that says nothing costs a second each; where it does so makes no difference but at these two.
    if (fault != "slow" or step in {"RCPT", "end"}) and (fault != "lost 250" or step == "end")
]


def test_nothing_is_lost_and_nobody_gets_two_different_mails_for_one_event(make_app: MakeApp, clock: Clock) -> None:
    app: Flask | None = None
    place = 0
    for step, fault in MATRIX:
        with failing(step, fault, times=2 if fault == "lost 250" else 1) as (port, taken):
            app = with_mail_to(make_app, port, smtp_timeout_seconds="1")
            place += 1
            sign(app, address=f"first{place}@example.org")
            confirmed(app, address=f"second{place}@example.org")
            uids = {row.uid: row for row in messages(app) if row.done_at is None}
            assert len(uids) == 3
            for _ in range(8):
                one_round(app)
                if all(row.done_at is not None for row in messages(app) if row.uid in uids):
                    break
                clock.shift(16 * 60)
            rows = {row.uid: row for row in messages(app) if row.uid in uids}
            counts = Counter(uid for uid, _ in taken)
            for uid, row in rows.items():
                if row.kind == "signing" and row.signature_id != min(one.signature_id or 0 for one in rows.values()):
                    assert (row.sent_at, counts[uid]) == (None, 0), "confirmed meanwhile: needed no longer"
                elif row.failed_at is not None:
                    # Refused for good: staff see it, and can send it again.
                    assert fault == "5xx", (step, fault, row.last_error)
                    assert row.recipient
                    assert counts[uid] == 0
                else:
                    assert row.sent_at is not None, (step, fault, row.last_error, row.attempts)
                    assert counts[uid] == 1 or (fault == "lost 250" and 1 < counts[uid] <= 3), (step, fault, counts)
            for uid in counts:
                assert len({body for one, body in taken if one == uid}) == 1, (step, fault)


def test_a_mail_whose_answer_was_lost_is_the_same_mail_when_it_is_sent_again(make_app: MakeApp, clock: Clock) -> None:
    """Between the two the person has confirmed another form, which would now make it "already signed"."""
    with failing("end", "lost 250", times=1) as (port, taken):
        app = with_mail_to(make_app, port)
        first = sign(app)
        one_round(app)
        assert len(taken) == 1
        # As if the other form had been confirmed without ending this one.
        other = sign(app, address="other@example.org")
        confirm(app, other)
        with app.app_context():
            from charter.models.base import writing
            from charter.models.signature import Signature

            with writing():
                db.session.get_one(Signature, other).mailbox = "amina@example.org"
                db.session.commit()
        clock.shift(61)
        one_round(app)
        again = [body for uid, body in taken if uid == taken[0][0]]
        assert len(again) == 2
        assert again[0] == again[1]
        with app.app_context():
            row = db.session.scalars(select(Message).filter_by(signature_id=first)).one()
            assert row.sent_at is not None
    assert worker.MESSAGES_AT_ONCE
