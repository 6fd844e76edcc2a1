"""Mail as its reader and as its server get it: real SMTP on this machine, headers, words in three languages."""

from __future__ import annotations

import email.policy
import ipaddress
import re
import socketserver
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from email import message_from_bytes
from email.header import decode_header, make_header
from email.message import EmailMessage
from email.parser import BytesParser
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from flask import Flask
from jinja2 import StrictUndefined
from justhtml import JustHTML
from time_machine import Traveller as Clock

from charter import create_app
from charter.domain.mail import Delivery
from charter.mail import DeliveryError, SmtpTransport, flat, render
from charter.models.base import db, writing
from charter.models.signature import Signature
from charter.queries.receipts import Receipt
from charter.settings import Settings
from charter.web.labels import MAIL_KINDS
from tests.conftest import make_settings
from tests.operations.test_signing import confirmed, decide, request_code, sign, withdraw
from tests.pages import Browser
from tests.people import Desk, mails, text_of, work
from tests.service import ROOT, free_port

LANGUAGES = ("kk", "ru", "en")
UID = "0123456789abcdef0123456789abcdef"
ENTRY = "ab" * 16
SENT_AT = datetime(2026, 11, 20, 9, 0, tzinfo=UTC)
NOTE = 'Позвоните <b>нам</b> & скажите "да".\nПосле обеда.'

#: kind → (values, purpose of the link)
KINDS: dict[str, tuple[dict[str, Any], str | None]] = {
    "confirm-signature": ({}, "confirm"),
    "already-signed": ({}, "personal"),
    "affirm": ({"charter": "charter-2027"}, "personal"),
    "confirmed": ({"due_on": "2026-11-27"}, "personal"),
    "clarification": ({"reason": "region-unclear", "note": NOTE}, "personal"),
    "published": ({"number": 1234, "entry": ENTRY}, "personal"),
    "declined": ({"reason": "other", "note": NOTE}, "personal"),
    "withdrawn": ({}, None),
    "code": ({"minutes": 30}, "act"),
    "reminder": ({}, "confirm"),
    "imported": ({"source": "Тараздағы оқу"}, "confirm"),
    "personal-link": ({}, "personal"),
    "link-renewed": ({}, "personal"),
    "address-old": ({"change": 1}, "address-old"),
    "address-new": ({"change": 1}, "address-new"),
    "address-changed": ({}, None),
    "correction-approved": ({"number": 1234, "entry": ENTRY}, "personal"),
    "correction-declined": ({"reason": "name-not-shown", "note": NOTE}, "personal"),
    "objection-received": ({"due_on": "2026-11-27"}, "personal"),
    "objection-upheld": ({"due_on": "2026-11-27", "answer": NOTE}, "personal"),
    "objection-rejected": ({"answer": NOTE}, "personal"),
    "erased": ({}, None),
}


# ── a mail server ────────────────────────────────────────────────────────────────────────────────────────────────────


class Taker:
    """What the server says, and what it was given."""

    def __init__(self, rcpt: str = "250 OK", data: str = "250 taken") -> None:
        self.rcpt = rcpt
        self.data = data
        self.mails: list[EmailMessage] = []
        self.envelopes: list[tuple[str | None, list[str]]] = []
        self.was_encrypted: list[bool] = []
        self.users: list[str] = []

    async def handle_RCPT(
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        if self.rcpt.startswith("250"):
            envelope.rcpt_tos.append(address)
        return self.rcpt

    async def handle_DATA(self, _server: SMTP, session: Session, envelope: Envelope) -> str:
        if self.data.startswith("250"):
            content = (envelope.original_content or b"").replace(b"\r\n", b"\n")
            message = message_from_bytes(content, policy=email.policy.default)
            assert isinstance(message, EmailMessage)
            self.mails.append(message)
            self.envelopes.append((envelope.mail_from, list(envelope.rcpt_tos)))
            self.was_encrypted.append(session.ssl is not None)
        return self.data

    def authenticate(
        self, _server: SMTP, _session: Session, _envelope: Envelope, _mechanism: str, given: Any
    ) -> AuthResult:
        is_right = isinstance(given, LoginPassword) and (given.login, given.password) == (b"charter", b"right")
        if is_right:
            self.users.append(given.login.decode())
        return AuthResult(success=is_right, handled=False)


@contextmanager
def serving(taker: Taker, **options: Any) -> Iterator[int]:
    controller = Controller(taker, hostname="127.0.0.1", port=free_port(), **options)
    controller.start()
    try:
        yield controller.port
    finally:
        controller.stop()


def settings_for(folder: Path, port: int, **more: str) -> Settings:
    given = {"smtp_host": "127.0.0.1", "smtp_port": str(port), "smtp_security": "none", "smtp_timeout_seconds": "5"}
    return make_settings(folder, **(given | more))


def letter(uid: str = UID, to: str = "amina@example.org") -> EmailMessage:
    message = EmailMessage()
    message["From"] = "charter@example.net"
    message["To"] = to
    message["Subject"] = "Хартия"
    message["Message-ID"] = f"<{uid}@example.net>"
    message.set_content("Сәлеметсіз бе!\n.\n.. точка в начале строки\n")
    return message


def send(config: Settings, *messages: EmailMessage) -> None:
    transport = SmtpTransport(config)
    try:
        for message in messages or (letter(),):
            transport.send(message, uid=UID)
    finally:
        transport.close()


def refusal(config: Settings) -> tuple[str, bool]:
    with pytest.raises(DeliveryError) as told:
        send(config)
    assert str(told.value) == told.value.code, "nothing but the code: a server's words may quote the address"
    assert told.value.__cause__ is None
    return told.value.code, told.value.is_permanent


# ── handing over ─────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_mail_arrives_whole_with_both_addresses_on_its_envelope(tmp_path: Path) -> None:
    taker = Taker()
    with serving(taker) as port:
        send(settings_for(tmp_path, port), letter(), letter("b" * 32, "erlan@example.org"))
    assert taker.envelopes == [
        ("charter@example.net", ["amina@example.org"]),
        ("charter@example.net", ["erlan@example.org"]),
    ]
    assert text_of(taker.mails[0]) == "Сәлеметсіз бе!\n.\n.. точка в начале строки\n"
    assert taker.mails[0]["Message-ID"] == f"<{UID}@example.net>"


@pytest.mark.filterwarnings("ignore:Requiring AUTH while not requiring TLS")
def test_name_and_password_are_given_where_they_are_asked_for(tmp_path: Path) -> None:
    taker = Taker()
    asking = {"authenticator": taker.authenticate, "auth_required": True, "auth_require_tls": False}
    with serving(taker, **asking) as port:
        send(settings_for(tmp_path, port, smtp_username="charter", smtp_password="right"))
        assert taker.users == ["charter"]
        wrong = settings_for(tmp_path, port, smtp_username="charter", smtp_password="wrong")
        assert refusal(wrong) == ("smtp-login-535", False)
        code, is_permanent = refusal(settings_for(tmp_path, port))
        assert (code, is_permanent) == ("smtp-530", False), "ours to mend: the mail is not given up for it"
    assert len(taker.mails) == 1


def certificate(folder: Path) -> tuple[Path, ssl.SSLContext]:
    """A certificate that signs itself, for 127.0.0.1: the file to trust, and the server's side of it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    names = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    signed = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(names, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = signed.public_bytes(serialization.Encoding.PEM)
    trusted, own = folder / "trusted.pem", folder / "own.pem"
    trusted.write_bytes(pem)
    form = serialization.PrivateFormat.PKCS8
    own.write_bytes(key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()) + pem)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(own)
    return trusted, context


def test_an_untrusted_certificate_stops_the_mail_and_a_trusted_one_lets_it_through(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trusted, context = certificate(tmp_path)
    taker = Taker()
    with serving(taker, tls_context=context, require_starttls=True) as port:
        config = settings_for(tmp_path, port, smtp_security="starttls")
        assert refusal(config) == ("smtp-SSLCertVerificationError", False)
        assert refusal(settings_for(tmp_path, port)) == ("smtp-530", False)
        assert taker.mails == []
        monkeypatch.setenv("SSL_CERT_FILE", str(trusted))
        send(config)
    assert taker.was_encrypted == [True]


def test_a_server_without_starttls_gets_no_mail_in_clear(tmp_path: Path) -> None:
    taker = Taker()
    with serving(taker) as port:
        code, is_permanent = refusal(settings_for(tmp_path, port, smtp_security="starttls"))
    assert (code, is_permanent) == ("smtp-SMTPNotSupportedError", False)
    assert taker.mails == []


@pytest.mark.parametrize(
    ("rcpt", "data", "told"),
    [
        ("450 later amina@example.org", "250 taken", ("smtp-450", False)),
        ("550 no such mailbox amina@example.org", "250 taken", ("smtp-550", True)),
        ("250 OK", "451 greylisted", ("smtp-451", False)),
        ("250 OK", "554 looks like spam", ("smtp-554", True)),
    ],
)
def test_what_the_server_refuses_is_told_by_its_code_alone(
    tmp_path: Path, rcpt: str, data: str, told: tuple[str, bool]
) -> None:
    taker = Taker(rcpt, data)
    with serving(taker) as port:
        assert refusal(settings_for(tmp_path, port)) == told


def test_after_a_refusal_the_next_mail_goes_out(tmp_path: Path) -> None:
    for rcpt, data in (("550 unknown", "250 taken"), ("250 OK", "451 later")):
        taker = Taker(rcpt, data)
        with serving(taker) as port:
            transport = SmtpTransport(settings_for(tmp_path, port))
            with pytest.raises(DeliveryError):
                transport.send(letter(), uid=UID)
            taker.rcpt, taker.data = "250 OK", "250 taken"
            transport.send(letter(), uid=UID)
            transport.close()
        assert len(taker.mails) == 1


def test_a_server_that_is_gone_is_worth_another_attempt(tmp_path: Path) -> None:
    code, is_permanent = refusal(settings_for(tmp_path, free_port()))
    assert (code, is_permanent) == ("smtp-ConnectionRefusedError", False)


class Rough(socketserver.ThreadingTCPServer):
    """A server that ends its connections as told, one word for each connection; the last word holds on."""

    allow_reuse_address = True
    daemon_threads = True

    def __init__(self, *plan: str) -> None:
        super().__init__(("127.0.0.1", 0), RoughConnection)
        self.plan = plan
        self.connections = 0
        self.ids: list[bytes] = []
        self.ended = threading.Semaphore(0)


class RoughConnection(socketserver.StreamRequestHandler):
    server: Rough

    def handle(self) -> None:
        place = min(self.server.connections, len(self.server.plan) - 1)
        self.server.connections += 1
        try:
            self._talk(self.server.plan[place])
        finally:
            self.server.ended.release()

    def _say(self, words: str) -> None:
        self.wfile.write(words.encode() + b"\r\n")

    def _talk(self, plan: str) -> None:
        self._say("220 ready")
        while line := self.rfile.readline():
            verb = line[:4].upper().strip()
            if verb == plan.encode():
                return
            if verb == b"QUIT":
                self._say("221 bye")
                return
            if verb == b"DATA":
                self._say("354 go on")
                body = b"".join(iter(self.rfile.readline, b".\r\n"))
                found = re.search(rb"Message-ID: (\S+)", body)
                assert found
                self.server.ids.append(found[1])
                if plan == "gone before the answer":
                    return
                self._say("250 taken")
                if plan == "gone when idle":
                    return
                if plan == "421 when idle":
                    self._say("421 4.4.2 timeout exceeded")
                    return
            else:
                self._say("250 OK")


@contextmanager
def rough(*plan: str) -> Iterator[Rough]:
    with Rough(*plan) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.parametrize("plan", ["gone when idle", "421 when idle"])
def test_a_connection_that_was_closed_in_a_quiet_time_costs_the_next_mail_nothing(tmp_path: Path, plan: str) -> None:
    with rough(plan, "fine") as server:
        transport = SmtpTransport(settings_for(tmp_path, server.server_address[1]))
        transport.send(letter("a" * 32), uid="a" * 32)
        assert server.ended.acquire(timeout=5)
        transport.send(letter("b" * 32), uid="b" * 32)
        transport.close()
    assert server.ids == [b"<" + b"a" * 32 + b"@example.net>", b"<" + b"b" * 32 + b"@example.net>"]
    assert server.connections == 2


@pytest.mark.parametrize("plan", ["EHLO", "MAIL", "RCPT", "DATA", "gone before the answer"])
def test_a_connection_lost_half_way_is_worth_another_attempt_with_the_same_message_id(
    tmp_path: Path, plan: str
) -> None:
    with rough(plan, "fine") as server:
        transport = SmtpTransport(settings_for(tmp_path, server.server_address[1]))
        with pytest.raises(DeliveryError) as told:
            transport.send(letter(), uid=UID)
        assert (told.value.code, told.value.is_permanent) == ("smtp-SMTPServerDisconnected", False)
        transport.send(letter(), uid=UID)
        transport.close()
    assert set(server.ids) == {f"<{UID}@example.net>".encode()}
    assert len(server.ids) == (2 if plan == "gone before the answer" else 1)


def test_a_server_that_says_nothing_is_left_after_the_set_time(tmp_path: Path) -> None:
    with socketserver.TCPServer(("127.0.0.1", 0), socketserver.BaseRequestHandler) as silent:
        config = settings_for(tmp_path, silent.server_address[1], smtp_timeout_seconds="1")
        code, is_permanent = refusal(config)
    assert (code, is_permanent) == ("smtp-SMTPServerDisconnected", False)


# ── the mail itself ──────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def renderer(tmp_path_factory: pytest.TempPathFactory) -> Flask:
    """An application that only renders: no table is looked at, and a name that no template knows is an error."""
    app = create_app(make_settings(tmp_path_factory.mktemp("mail"), public_url="https://charter.example"))
    app.jinja_env.undefined = StrictUndefined
    return app


def rendered(app: Flask, kind: str, language: str, **more: Any) -> EmailMessage:
    values, purpose = KINDS[kind]
    one = Delivery(
        message_id=1,
        uid=UID,
        kind=kind,
        language=language,
        recipient="amina@example.org",
        values=values,
        link_purpose=purpose,
        link_uid=None if purpose is None else b"u" * 16,
        link_expires_at=SENT_AT + timedelta(days=7) if purpose not in {"personal", None} else None,
        created_at=SENT_AT,
        first_uid=b"u" * 16 if kind in {"already-signed", "confirm-signature", "imported", "reminder"} else None,
    )
    with app.app_context():
        config = more.get("config", app.config["CHARTER"])
        key = app.config["CHARTER"].secret_key.encode()
        return render(one, key=key, settings=config, receipt=more.get("receipt"))


@pytest.mark.parametrize("language", ["kk", "ru", "en"])
@pytest.mark.parametrize("kind", sorted(KINDS))
def test_a_mail_crosses_the_wire_in_the_bytes_that_the_library_would_write(
    renderer: Flask, kind: str, language: str
) -> None:
    message = rendered(renderer, kind, language)
    if kind == "clarification":
        # Few letters that are not ASCII, in short lines: the library then sends them as they are.
        assert language != "en" or b"8bit" in message.as_bytes()
    message.replace_header("Subject", "Очень длинная тема " * 9)
    whole = message.as_bytes(policy=message.policy.clone(linesep="\r\n"))
    assert flat(message) == whole
    assert whole.count(b"\r\n") == whole.count(b"\n") > 40
    again = email.message_from_bytes(whole, policy=email.policy.default)
    assert text_of(again).replace("\r\n", "\n") == text_of(message)
    with pytest.raises(ValueError, match=r"linefeed|newline"):
        message["X-Other"] = "one\r\nBcc: everybody@example.org"


RECEIPT = Receipt(
    '{"name":"Әмина"}'.encode(), "c2sp.org/tlog-proof@v1\n" + "abcd" * 30 + "\n\n— x y\n", index=5, size=9
)


@pytest.mark.parametrize("language", LANGUAGES)
def test_attached_files_cross_the_wire_byte_for_byte(renderer: Flask, language: str) -> None:
    message = rendered(renderer, "published", language, receipt=RECEIPT)
    whole = message.as_bytes(policy=message.policy.clone(linesep="\r\n"))
    assert flat(message) == whole
    assert whole == rendered(renderer, "published", language, receipt=RECEIPT).as_bytes(
        policy=message.policy.clone(linesep="\r\n")
    ), "a repeat has the same bytes"
    again = email.message_from_bytes(whole, policy=email.policy.default)
    assert again.get_content_type() == "multipart/mixed"
    words, *files = again.iter_parts()
    assert [part.get_content_type() for part in words.iter_parts()] == ["text/plain", "text/html"]
    assert [(part.get_filename(), part.get_content_disposition()) for part in files] == [
        ("record.json", "attachment"),
        ("receipt.tlog-proof", "attachment"),
    ]
    assert [part.get_payload(decode=True) for part in files] == [RECEIPT.record, RECEIPT.proof_text.encode()]
    assert text_of(again).replace("\r\n", "\n") == text_of(message)
    assert text_of(message) != text_of(rendered(renderer, "published", language))
    assert again["Content-Language"] == language


def html_of(message: EmailMessage) -> JustHTML:
    body = message.get_body(("html",))
    assert body is not None
    return JustHTML(body.get_content(), sanitize=False)


def test_every_kind_of_mail_is_known_here() -> None:
    folders = {path.parent.name for path in (ROOT / "templates" / "mail").glob("*/body.txt")}
    # All of them are read word by word in house/test_mail_kinds.py; how they travel is the same for each.
    assert set(KINDS) <= folders
    # `signing` is decided at delivery and has no words of its own.
    assert set(MAIL_KINDS) - {"signing"} == folders


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("kind", KINDS)
def test_headers_say_who_writes_what_in_which_language_and_that_no_answer_is_awaited(
    renderer: Flask, kind: str, language: str
) -> None:
    message = rendered(renderer, kind, language)
    assert message["To"] == "amina@example.org"
    assert message["From"].addresses[0].addr_spec == "charter@charter.example"
    assert message["Message-ID"] == f"<{UID}@charter.example>"
    assert message["Date"].datetime == SENT_AT
    assert message["Auto-Submitted"] == "auto-generated"
    assert message["Content-Language"] == language
    assert message["Subject"]
    assert [part.get_content_type() for part in message.iter_parts()] == ["text/plain", "text/html"]
    for name in ("Reply-To", "Return-Path", "Bcc", "Cc", "X-Mailer"):
        assert message[name] is None
    assert max(len(line) for line in message.as_bytes().split(b"\n")) <= 998


def test_the_centre_is_named_as_the_sender(tmp_path: Path, renderer: Flask) -> None:
    named = make_settings(tmp_path, centre_name="Независимый центр «Дала», г. Алматы", mail_from="sign@dala.example")
    # As mail programs do it (RFC 2047 §6.2): between two encoded words white space does not count.
    raw = BytesParser(policy=email.policy.compat32).parsebytes(
        rendered(renderer, "code", "ru", config=named).as_bytes()
    )
    shown = str(make_header(decode_header(raw["From"].replace("\n", ""))))
    assert shown == "Независимый центр «Дала», г. Алматы <sign@dala.example>"
    own = make_settings(tmp_path, centre_name="Центр", mail_from_name="Хартия")
    assert rendered(renderer, "code", "ru", config=own)["From"].addresses[0].display_name == "Хартия"


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("kind", KINDS)
def test_text_and_html_say_the_same(renderer: Flask, kind: str, language: str) -> None:
    message = rendered(renderer, kind, language)
    tree = html_of(message)
    said = " ".join(re.sub(r"\n-- ?\n", "\n— \n", text_of(message)).split())
    assert " ".join(" ".join(part.to_text() for part in tree.query("p")).split()) == said
    assert tree.query("html")[0].attrs["lang"] == language
    assert tree.query("title")[0].to_text() == message["Subject"]
    for link in tree.query("a"):
        assert link.attrs["href"] == link.to_text()
        assert link.attrs["href"] in text_of(message)
    assert not tree.query("img, script, link, iframe, form"), "nothing that calls home"


@pytest.mark.parametrize(
    "kind", ["clarification", "declined", "correction-declined", "objection-upheld", "objection-rejected"]
)
def test_what_a_reviewer_types_is_text_in_the_html_too(renderer: Flask, kind: str) -> None:
    message = rendered(renderer, kind, "ru")
    tree = html_of(message)
    assert not tree.query("b")
    assert 'Позвоните <b>нам</b> & скажите "да".' in " ".join(part.to_text() for part in tree.query("p"))
    assert NOTE in text_of(message)


def test_addresses_stand_on_lines_of_their_own(renderer: Flask) -> None:
    for kind in KINDS:
        for line in text_of(rendered(renderer, kind, "en")).splitlines():
            if "://" in line:
                assert re.fullmatch(r"https://charter\.example/\S+", line), line


_ADDRESS = re.compile(r"\S+://\S+|\S+@\S+")


@pytest.mark.parametrize("language", ["kk", "ru"])
@pytest.mark.parametrize("kind", KINDS)
def test_no_line_of_english_is_left(renderer: Flask, kind: str, language: str) -> None:
    english, other = (rendered(renderer, kind, one) for one in ("en", language))
    lines = {line for line in text_of(english).splitlines() if re.search(r"[A-Za-z]", _ADDRESS.sub("", line))}
    lines -= set(NOTE.splitlines())
    assert len(lines) > 4
    assert not lines & set(text_of(other).splitlines())
    words = _ADDRESS.sub("", f"{other['Subject']}\n{text_of(other)}")
    left = set(re.findall(r"[A-Za-z]{2,}", words))
    assert left <= {"UTC"}, left
    assert english["Subject"] != other["Subject"]


def test_dates_and_numbers_read_as_in_each_language(renderer: Flask) -> None:
    assert "27 қараша 2026" in text_of(rendered(renderer, "confirmed", "kk")).replace("\xa0", " ")
    assert "27 ноября 2026 г." in text_of(rendered(renderer, "confirmed", "ru")).replace("\xa0", " ")
    assert "27 November 2026" in text_of(rendered(renderer, "confirmed", "en")).replace("\xa0", " ")
    shown = text_of(rendered(renderer, "confirm-signature", "en")).replace("\xa0", " ")
    assert "27 November 2026, 14:00 (UTC+5)" in shown


def test_mail_programs_can_tell_the_foot_from_the_mail(renderer: Flask) -> None:
    for kind in KINDS:
        assert text_of(rendered(renderer, kind, "en")).count("\n-- \n") == 1, "RFC 3676 §4.3: two hyphens and a space"


# ── in the whole ─────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_mail_that_asks_for_confirmation_repeats_nothing_that_a_stranger_typed(app: Flask, clock: Clock) -> None:
    name, own = "Выиграйте Приз Сегодня", "Звоните нам скорее"
    sign(app, name, kind="party", affiliation_text=own, short_name="Приз")
    work(app)
    whole = mails(app)[0].as_string() + text_of(mails(app)[0]) + html_of(mails(app)[0]).to_text()
    whole += " ".join(str(value) for value in mails(app)[0].values())
    for word in f"{name} {own}".split():
        assert word not in whole


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_address_in_every_mail_opens_and_no_subject_names_the_person(
    app: Flask, desk: Desk, clock: Clock, language: str
) -> None:
    def speak(signature_id: int) -> None:
        with app.app_context(), writing():
            db.session.get_one(Signature, signature_id).language = language
            db.session.commit()

    def outcome(address: str, action: str, reason: str | None) -> int:
        signature_id = confirmed(app, address=address)
        speak(signature_id)
        decide(app, signature_id, desk.id, action, reason)
        return signature_id

    published = outcome("published@example.org", "approve", None)
    outcome("declined@example.org", "decline", "duplicate")
    outcome("asked@example.org", "ask", "region-unclear")
    request_code(app, published)
    clock.shift(11)
    work(app)
    withdraw(app, published)
    sign(app, address="asked@example.org")
    sign(app, "Куат Жаңа", "new@example.org")
    work(app)
    assert len(mails(app)) == 10
    opened = set()
    for message in mails(app):
        assert not re.search("Әмина|Оспанова|Куат|Жаңа", str(message["Subject"]) + text_of(message))
        for url in re.findall(r"https?://\S+", text_of(message)):
            path = url.partition("://")[2].partition("/")[2]
            page = Browser(app).get("/" + path)
            assert page.status == 200, url
            opened.add(path.split("/")[1])
    assert opened >= {"", "confirm", "my", "registry", "sign"}
