"""Secrets: links and codes stand in the mail and nowhere else; what was sent is forgotten; log lines know nobody."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import logging
import re
import sys
from collections.abc import Iterator
from datetime import date, datetime
from typing import Any

import pytest
from flask import Flask
from time_machine import Traveller as Clock

from tests.conftest import MakeApp
from tests.hostile.test_breakdown import take_database_away
from tests.house.world import PASSWORD, World, dump, rules
from tests.people import Desk, Observer, code_in, link_in, mails, text_of, work

TOKEN = re.compile(r"/(?:confirm|my|my/address)/([A-Za-z0-9_-]{20,})")
CODE = re.compile(r"^(\d{6})$", re.MULTILINE)


def mailed_secrets(app: Flask) -> tuple[set[str], set[str]]:
    """Every token and every code that any mail brought."""
    texts = [text_of(mail) for mail in mails(app)]
    return {one for text in texts for one in TOKEN.findall(text)}, {one for text in texts for one in CODE.findall(text)}


def spellings(value: Any) -> Iterator[str]:
    """How a value could be read by somebody with a copy of the database."""
    if isinstance(value, bytes):
        yield value.decode("latin-1")
        yield value.hex()
        yield base64.urlsafe_b64encode(value).decode()
    elif isinstance(value, dict | list):
        yield json.dumps(value, ensure_ascii=False)
    elif not isinstance(value, datetime | date) and value is not None:
        yield str(value)


def test_no_table_holds_a_link_or_a_code_in_clear(world: World) -> None:
    # A fresh code for a dangerous act, asked for in another browser, and one more confirmation.
    other = world.stranger()
    other.get(world.my_path)
    other.get("/ru/my/withdraw/").submit("code-form")
    invitation = world.invitation()
    world.work()
    tokens, codes = mailed_secrets(world.app)
    assert len(tokens) >= 10
    assert len(codes) >= 7
    tokens |= {invitation, PASSWORD}
    for browser in (world.desk.browser, *(one.browser for one in world.people.values())):
        with browser.client.session_transaction() as session:
            tokens |= {str(session["staff_session"])} if "staff_session" in session else set()
        tokens |= {
            cookie.value for cookie in (browser.client._cookies or {}).values() if cookie.key in {"my", "signer"}
        }
    assert len(tokens) > 20
    for table, rows in dump(world.app).items():
        for row in rows:
            for column, value in row.items():
                for text in spellings(value):
                    found = [one for one in tokens if one in text]
                    assert not found, (table, column)
                    if not isinstance(value, bytes):
                        alone = {one for one in codes if re.search(rf"(?<![0-9a-f]){one}(?![0-9a-f])", text)}
                        assert not alone, (table, column)


def test_no_message_keeps_an_address_or_words_once_it_is_done(world: World) -> None:
    sent = [row for row in dump(world.app)["message"] if row["done_at"] is not None and row["failed_at"] is None]
    assert len(sent) >= 12
    for row in sent:
        assert row["recipient"] is None
        assert row["values"] == {}
    for row in dump(world.app)["message"]:
        text = str({key: value for key, value in row.items() if key != "recipient"})
        assert "@" not in text
        assert "token" not in text


def test_a_message_that_waits_holds_no_link_either(app: Flask, observer: Observer, desk: Desk) -> None:
    observer.sign()
    (row,) = dump(app)["message"]
    assert row["recipient"] == "amina@example.org"
    assert row["values"] == {}
    work(app)
    token = link_in(observer.mail(), "/confirm/").rpartition("/")[2]
    assert token not in str(dump(app))
    assert code_in(observer.mail())


def test_the_same_link_is_computed_again_for_a_mail_that_is_sent_again(world: World) -> None:
    # Of Maria, who has left, the personal link alone still works.
    left = world.people["maria"].answers["email"]
    stay = [mail for mail in mails(world.app) if mail["To"] != left]
    tokens = {one for mail in stay for one in TOKEN.findall(text_of(mail))}
    assert len(tokens) >= 10
    found = dump(world.app)
    digests = {row["token_digest"] for row in found["link"]}
    digests |= {row[side] for row in found["address_change"] for side in ("old_digest", "new_digest")}
    assert {hashlib.sha256(token.encode()).digest() for token in tokens} <= digests


# ── lines of the log ─────────────────────────────────────────────────────────────────────────────────────────────────


class Lines:
    """Everything that was written to standard error or through Python's own logging."""

    def __init__(self) -> None:
        self.stream = io.StringIO()
        self.handler = logging.StreamHandler(self.stream)

    def begin(self, patch: pytest.MonkeyPatch) -> None:
        """In the test itself: between a test's phases pytest puts its own streams back."""
        patch.setattr(sys, "stderr", self.stream)
        patch.setattr(sys, "stdout", self.stream)

    def text(self) -> str:
        return self.stream.getvalue()


@pytest.fixture
def lines() -> Iterator[Lines]:
    """Collects from before the application is made."""
    found = Lines()
    root = logging.getLogger()
    root.addHandler(found.handler)
    level = root.level
    root.setLevel(logging.INFO)
    yield found
    root.removeHandler(found.handler)
    root.setLevel(level)


def test_lines_of_the_log_name_nobody_and_carry_no_secret(
    lines: Lines, make_app: MakeApp, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines.begin(monkeypatch)
    app = make_app(log_level="debug")

    @app.route("/<lang:lang>/broken/<name>")
    def broken(name: str) -> str:
        raise RuntimeError

    world = World(app, clock)
    world.tell()
    for rule in rules(app, "GET"):
        if rule.endpoint != "broken":
            world.stranger().client.get(world.address(rule))
            world.people["amina"].browser.client.get(world.address(rule))
    stranger = world.stranger()
    for path in ("/ru/broken/Оспанова", "/ru/my/" + "Q" * 43, "/staff/first/" + "Q" * 43, "/ru/confirm/" + "Q" * 43):
        stranger.client.get(path)
    stranger.client.get("/ru/registry/?region=Оспанова", headers={"User-Agent": "Оспанова", "Referer": "Оспанова"})
    stranger.client.post("/ru/confirm/" + "Q" * 43, data={"code": "918273"})
    page = stranger.get("/staff/sign-in")
    for _ in range(10):
        page.submit("sign-in-form", email="secret@example.org", password="Оспанова-пароль")
    # A database that has gone, while a person is signing.
    _, fields = stranger.get("/ru/sign/").fields("sign-form")
    answers = {**fields, **world.people["amina"].answers}
    take_database_away(app)
    assert stranger.client.post("/ru/sign/", data=answers).status_code == 503

    text = lines.text()
    assert text.count('"endpoint": "registry.index"') >= 2
    assert '"event": "bug"' in text
    assert '"event": "database"' in text
    tokens, codes = mailed_secrets(app)
    assert len(tokens) > 8
    names = {one.answers["full_name"] for one in world.people.values()}
    words = {word for name in names for word in name.split() if len(word) > 3}
    for secret in tokens | names | words | {"Оспанова", "Бруно", "QQQQ", "918273", "пароль"}:
        assert secret not in text, secret
    for code in codes:
        assert not re.search(rf"(?<![0-9a-f.]){code}(?![0-9a-f])", text), code
    assert not re.search(r"[\w.+-]+@[\w-]+\.\w+", text)
    for path in ("/ru/", "/staff/", "/confirm/", "/my/"):
        assert path not in text, path


@pytest.mark.usefixtures("clock")
def test_every_line_is_one_json_object(lines: Lines, make_app: MakeApp, monkeypatch: pytest.MonkeyPatch) -> None:
    lines.begin(monkeypatch)
    app = make_app()
    observer = Observer(app)
    observer.sign_and_confirm()
    written = [line for line in lines.text().splitlines() if line.strip()]
    assert len(written) >= 5
    for line in written:
        entry = json.loads(line)
        assert {"event", "level", "timestamp"} <= set(entry)
        if entry["event"] == "request":
            assert set(entry) == {
                "event",
                "level",
                "timestamp",
                "endpoint",
                "method",
                "status",
                "milliseconds",
                "request_id",
            }
