"""Log lines of real processes after a journey and every breakage: JSON, tied together by ids, and about nobody."""

from __future__ import annotations

import json
import logging
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from flask import Flask

from charter import logs
from charter.logs import described
from charter.models.base import db
from tests.conftest import MakeApp
from tests.metrics.reading import fetch, until, value, values_of
from tests.people import ANSWERS, Desk, code_in, link_in, text_of
from tests.service import Service, free_port
from tests.wire import WireBrowser

#: What would lead to a person, planted wherever words come in from outside.
NAME = "Оспанова"
SECRETS = (NAME, "amina", "boris", "refused", "Бруно", "bruno", "example.org", "@", "QQQQ", "918273", "пароль")
PATHS = (
    "/ru/",
    "/staff/",
    "/confirm",
    "/my/",
    "/registry",
    "/sign/",
    "?name",
    "next=",
    "csrf",
    "charter.db",
    "postgresql:",
)

#: Runs inside the service's processes, where no view of ours would break by itself.
BREAKAGES = """
import logging, threading, warnings
import flask
WORDS = "Оспанова amina@example.org /ru/my/QQQQ"
_dispatch, _wsgi = flask.Flask.dispatch_request, flask.Flask.wsgi_app

def dispatch(self):
    from sqlalchemy import text
    from charter.models.base import db, writing
    end = flask.request.path.rpartition("/")[2]
    if end == "bug":
        try:
            raise KeyError(WORDS)
        except KeyError as error:
            raise RuntimeError(WORDS) from error
    if end == "statement":
        db.session.execute(text("SELECT :words FROM nowhere"), {"words": WORDS})
    if end == "twice":
        insert = text("INSERT INTO rate_limit (key, count, expires_at) VALUES (:key, 1, '2026-11-20 00:00:00+00:00')")
        db.session.rollback()
        with writing():
            for _ in range(2):
                db.session.execute(insert, {"key": WORDS})
    if end == "thread":
        thread = threading.Thread(target=int, args=(WORDS,))
        thread.start()
        thread.join()
    if end == "library":
        logging.getLogger("some.library").error("about %s", WORDS)
        logging.getLogger("some.library").error(WORDS)
        logging.getLogger("some.library").error(WORDS, exc_info=ValueError(WORDS))
        warnings.warn(WORDS)
        flask.current_app.logger.error(WORDS)
    return _dispatch(self)

def wsgi(self, environ, start_response):
    if environ["PATH_INFO"].endswith("/outside"):
        raise RuntimeError(WORDS)
    return _wsgi(self, environ, start_response)

flask.Flask.dispatch_request, flask.Flask.wsgi_app = dispatch, wsgi
"""
ANNOUNCED = re.compile(r"The Charter is served|Mail |Staff sign in|First staff|   +\(|Ctrl-C stops|Stopped\.|Metrics ")


class Sink:
    """A mail server that refuses one recipient, in words that quote the address as real ones do."""

    def __init__(self) -> None:
        self.mails: list[EmailMessage] = []

    async def handle_RCPT(self, _server: Any, _session: Any, envelope: Any, address: str, _options: Any) -> str:
        if address.startswith("refused"):
            return f"550 5.1.1 <{address}>: {address} is unknown here"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:
        message = message_from_bytes(envelope.content, policy=policy.default)
        assert isinstance(message, EmailMessage)
        self.mails.append(message)
        return "250 OK"

    def to(self, person: str, part: str) -> EmailMessage | None:
        """The newest mail to somebody that brings a link with `part`."""
        for mail in reversed(self.mails):
            if person in str(mail["To"]) and part in text_of(mail):
                return mail
        return None


@contextmanager
def mail_server() -> Iterator[tuple[Sink, int]]:
    """On a port of its own."""
    sink, port = Sink(), free_port()
    controller = Controller(sink, hostname="127.0.0.1", port=port)
    controller.start()
    try:
        yield sink, port
    finally:
        controller.stop()


class Story:
    """People at a running service, and what its answers were called."""

    def __init__(self, service: Service, sink: Sink) -> None:
        self.service = service
        self.sink = sink
        self.request_ids: dict[str, str] = {}

    def browser(self) -> WireBrowser:
        return WireBrowser(self.service.port)

    def join(self, person: str) -> WireBrowser:
        """Signs, waits for the mail, confirms."""
        browser = self.browser()
        browser.get("/ru/sign/").submit("sign-form", **{**ANSWERS, "email": f"{person}@example.org"})
        until(lambda: self.sink.to(person, "/confirm/") is not None, f"a mail to {person}")
        mail = self.sink.to(person, "/confirm/")
        assert mail is not None
        assert "/my/" in browser.get(link_in(mail, "/confirm/")).submit("confirm-form").url
        return browser

    def visit(self, path: str, *, expect: int, method: str = "GET", **more: Any) -> None:
        """Looks at one address and remembers what the answer was called."""
        answer = self.browser().client.open(path, method=method, **more)
        assert answer.status_code == expect, path
        if "X-Request-Id" in answer.headers:
            self.request_ids[path] = answer.headers["X-Request-Id"]


def tell(story: Story, app: Flask, engine_name: str) -> None:
    """Everything that could write a line."""
    desk = Desk(app, "Бруно Сейітов", "bruno@example.org")
    desk.browser, signed_in = story.browser(), desk.browser
    desk.browser.client.cookies = {cookie.key: cookie.value for cookie in signed_in.client._cookies.values()}
    story.join("amina")
    desk.decide(desk.open_first(), "decline", decline_reason="other", note=f"Позвоните, {NAME}")
    boris = story.join("boris")
    desk.decide(desk.open_first(), "approve")
    until(lambda: story.sink.to("boris", "/registry/entries/") is not None, "boris is published")
    boris.get("/ru/my/withdraw/").submit("withdraw-form")
    story.browser().get("/ru/sign/").submit("sign-form", **{**ANSWERS, "email": "refused@example.org"})
    until(lambda: '"mail failed"' in story.service.output, "a mail fails")
    hostile = {
        "X-Request-Id": "amina@example.org",
        "X-Forwarded-For": "amina",
        "User-Agent": "amina@example.org",
        "Referer": "http://127.0.0.1/ru/my/QQQQ",
        "Cookie": "my=QQQQ; charter=amina; signer=QQQQ",
    }
    for path, status in (
        ("/ru/confirm/" + "Q" * 43, 404),
        ("/ru/my/" + "Q" * 43, 403),
        ("/ru/my/", 403),
        ("/ru/registry/?name=amina", 200),
        ("/ru/amina@example.org/", 404),
        ("/static/amina.js", 404),
    ):
        story.visit(path, expect=status, headers=hostile)
    story.visit("/ru/", expect=400, headers={"Host": "amina.example.org"})
    story.visit("/ru/", expect=405, method="DELETE")
    story.visit("/ru/confirm/" + "Q" * 43, expect=404, method="POST", data={"code": "918273"})
    sign_in = story.browser().get("/staff/sign-in?next=/staff/review/1/")
    sign_in.submit("sign-in-form", email="amina@example.org", password=f"{NAME}-пароль")
    for end, status in (("bug", 500), ("twice", 500), ("thread", 404), ("library", 404), ("outside", 500)):
        story.visit(f"/ru/{end}", expect=status)
    answer = story.browser().client.open("/ru/statement")
    assert answer.status_code in {500, 503}
    story.request_ids["/ru/statement"] = answer.headers["X-Request-Id"]
    assert engine_name


def test_lines_of_real_processes_are_json_and_about_nobody(make_app: MakeApp, engine_name: str, tmp_path: Path) -> None:
    app = make_app()
    with app.app_context():
        db.engine.dispose()
    (tmp_path / "inside").mkdir()
    (tmp_path / "inside" / "sitecustomize.py").write_text(BREAKAGES, encoding="utf-8")
    port = free_port()
    with mail_server() as (sink, smtp_port):
        environ = {
            "CHARTER_DATABASE_URL": str(app.config["SQLALCHEMY_DATABASE_URI"]),
            "CHARTER_SMTP_HOST": "127.0.0.1",
            "CHARTER_SMTP_PORT": str(smtp_port),
            "CHARTER_SMTP_SECURITY": "none",
            "CHARTER_LOG_LEVEL": "debug",
            "CHARTER_PUBLISH_INTERVAL_SECONDS": "1",
            "CHARTER_UNDO_SECONDS": "0",
            "CHARTER_METRICS_PORT": str(port),
            "PYTHONPATH": str(tmp_path / "inside"),
        }
        with Service(app.config["CHARTER"].instance_path, environ=environ) as service:
            story = Story(service, sink)
            tell(story, app, engine_name)
            scraped = values_of(fetch(port))
            assert service.stop()[0] == 0
            written = service.output.splitlines()
    entries = check_lines(written)
    text = "\n".join(json.dumps(one, ensure_ascii=False) for one in entries)
    for mail in sink.mails:
        for part in ("/confirm/", "/my/"):
            if part in text_of(mail):
                assert link_in(mail, part).rpartition("/")[2] not in text
        if re.search(r"^\d{6}$", text_of(mail), re.MULTILINE):
            assert not re.search(rf"(?<![0-9a-f.]){code_in(mail)}(?![0-9a-f])", text)
    check_ids(entries, story.request_ids)
    # Nothing was silenced to reach that: every breakage wrote its line.
    bugs = [one for one in entries if one["event"] == "bug"]
    kinds = {kind for one in bugs for kind in one["exception"]}
    assert {"RuntimeError", "KeyError"} <= kinds
    assert any(kind.startswith("IntegrityError") for kind in kinds), kinds
    assert all(re.fullmatch(r"[\w.]+:\d+ [\w<>.]+", place) for one in bugs for place in one["where"])
    assert {one["event"] for one in entries} >= {"request", "bug in a thread", "library", "mail sent", "mail failed"}
    assert "about %s" in {one.get("words") for one in entries}
    assert value(scraped, "mails_failed_total", code="smtp-5xx") >= 1
    errors = sum(1 for one in entries if one["level"] == "error")
    assert value(scraped, "log_errors_total") == errors >= 8


def check_lines(written: list[str]) -> list[dict[str, Any]]:
    """Each is one JSON object in which nobody is found; what `charter run` says to a person is no log line."""
    entries = []
    for line in written:
        if not line or ANNOUNCED.match(line):
            continue
        entry = json.loads(line)
        assert {"event", "level", "timestamp"} <= set(entry), line
        assert entry["level"] in {"debug", "info", "warning", "error", "critical"}
        entries.append(entry)
        for secret in (*SECRETS, *PATHS):
            assert secret not in line, (secret, line)
    assert len(entries) > 40
    return entries


def check_ids(entries: list[dict[str, Any]], answered: dict[str, str]) -> None:
    """A request's lines carry the id of its answer, the worker's the id of their round."""
    known = {one["request_id"] for one in entries if one["event"] == "request"}
    assert len(answered) >= 12
    assert set(answered.values()) <= known
    for path in ("/ru/bug", "/ru/twice", "/ru/library"):
        events = [one["event"] for one in entries if one.get("request_id") == answered[path]]
        assert len(events) >= 2, (path, events)
    for entry in entries:
        if entry["event"] in {"published", "mail sent", "mail failed"}:
            assert re.fullmatch(r"[0-9a-f]{8}", entry["round"]), entry
            assert "request_id" not in entry
        assert entry.get("request_id") is None or re.fullmatch(r"[0-9a-f]{16}", entry["request_id"])


# ── the parts ────────────────────────────────────────────────────────────────────────────────────────────────────────

one_engine = pytest.mark.parametrize("engine_name", ["sqlite"], indirect=True)


@one_engine
def test_only_a_trusted_proxy_may_name_a_request_and_only_by_an_id(make_app: MakeApp, engine_name: str) -> None:
    given = "4bf92f35-77b34da6a3ce929d0e0e4736"
    names = {given: True, "A" * 64: True, "a" * 65: False, "abc": False, f"{given} x": False, f"{given};a=1": False}
    names |= {"amina@example.org": False, "xyz-xyz-xyz": False, "": False}
    direct, behind = make_app(), make_app(trusted_proxy_count="1")
    for name, is_id in names.items():
        headers = {"X-Request-Id": name}
        assert direct.test_client().get("/healthz", headers=headers).headers["X-Request-Id"] != name
        answered = behind.test_client().get("/healthz", headers=headers).headers["X-Request-Id"]
        assert (answered == name) is is_id, name
        assert is_id or re.fullmatch(r"[0-9a-f]{16}", answered)
    assert engine_name == "sqlite"


def test_an_exception_is_told_by_its_types_and_places_and_a_long_chain_ends_somewhere() -> None:
    error: BaseException | None = None

    def fail(place: int) -> None:
        raise ValueError(f"amina {place}") from error

    for place in range(40):
        try:
            fail(place)
        except ValueError as raised:
            error = raised
    assert error is not None
    told = described(error)
    assert told["exception"] == ["ValueError"] * 5
    assert [place.rpartition(" ")[2] for place in told["where"]][-1] == "fail"
    assert "amina" not in str(told)


def test_a_record_of_a_library_keeps_its_pattern_and_loses_its_values() -> None:
    handler = logs.LibraryHandler()

    def line(*args: Any, name: str = "lib", **more: Any) -> dict[str, Any]:
        record = logging.getLogger(name).makeRecord(
            name, logging.ERROR, "/srv/x.py", 7, args[0], args[1:], None, **more
        )
        found: dict[str, Any] = json.loads(handler.format(record))
        return found

    assert line("cannot reach %s", "amina@example.org")["words"] == "cannot reach %s"
    assert "words" not in line("cannot reach amina@example.org")
    assert line("Unexpected exit from worker-1", name="_granian")["words"] == "Unexpected exit from worker-1"
    with warnings.catch_warnings(record=True):
        warned = line("%s", "/srv/x.py:3: UserWarning: amina\n  warn(amina)\n", name="py.warnings")
    assert warned["words"] == "UserWarning"
    assert "amina" not in str(warned)
