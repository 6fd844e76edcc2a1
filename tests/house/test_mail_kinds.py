"""Every kind of mail in three languages, word for word: `WRITE_SNAPSHOTS=1` renews the files after a wanted change."""

from __future__ import annotations

import os
import re
from datetime import UTC, datetime
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

import build_assets
from charter.domain.mail import Delivery
from charter.mail import render
from charter.queries.receipts import Receipt
from charter.settings import Settings
from charter.web.labels import MAIL_KINDS
from tests.conftest import make_settings

#: Nothing here asks the database.
pytestmark = pytest.mark.parametrize("engine_name", ["sqlite"], indirect=True)

SNAPSHOTS = Path(__file__).resolve().parents[1] / "snapshots" / "mail"
LANGUAGES = ("kk", "ru", "en")
KINDS = sorted(set(MAIL_KINDS) - {"signing"})
KEY = b"a key for snapshots and nothing else"
EXPIRES_AT = datetime(2026, 11, 27, 9, 0, tzinfo=UTC)
#: Purposes of links that come with a code and do not work for ever.
WITH_CODE = {"confirm", "act", "address-old", "address-new"}

#: What somebody may get who never asked for it: it brings the way to end that, which asks for a code.
FIRST_MAILS = {"already-signed", "confirm-signature", "imported", "reminder"}
#: Most mails of this kind bring one.
RECEIPT = Receipt(record=b'{"name":"\xd3\x98"}', proof_text="c2sp.org/tlog-proof@v1\n", index=0, size=1)
WEEK: dict[str, Any] = {
    "week_on": "2026-11-23",
    "approve": 1234,
    "decline": 21,
    "ask": 3,
    "sweep": 42,
    "median_days": 2,
    "most_days": 5,
    "waiting": 89,
    "overdue": 1,
    "oldest_days": 6,
    "held": 4,
    "mail_waiting": 12,
    "mail_late_hours": 2,
    "mail_failed": 3,
    "bounced": 7,
}
#: kind → the values of its message, and the purpose of its link.
TOLD: dict[str, tuple[dict[str, Any], str | None]] = {
    "address-changed": ({}, None),
    "address-new": ({"change": 1}, "address-new"),
    "address-old": ({"change": 1}, "address-old"),
    "affirm": ({"charter": "charter-2027"}, "personal"),
    "already-signed": ({}, "personal"),
    "clarification": ({"reason": "region-unclear", "note": "Алматы или область?\n\nСпасибо."}, "personal"),
    "code": ({"minutes": 30}, "act"),
    "confirm-signature": ({}, "confirm"),
    "confirmed": ({"due_on": "2026-11-27"}, "personal"),
    "correction-approved": ({"number": 1234, "entry": "0123456789abcdef" * 2}, "personal"),
    "correction-declined": ({"reason": "name-not-shown", "note": "Пришлите копию удостоверения."}, "personal"),
    "declined": ({"reason": "other", "note": "Позвоните нам, пожалуйста."}, "personal"),
    "imported": ({"source": "Таразда 12 қарашада өткен оқу"}, "confirm"),
    "link-renewed": ({}, "personal"),
    "personal-link": ({}, "personal"),
    "erased": ({}, None),
    "objection-received": ({"due_on": "2026-11-27"}, "personal"),
    "objection-rejected": ({"answer": "Мы посмотрели ещё раз.\n\nСведений о наблюдении нет."}, "personal"),
    "objection-upheld": ({"due_on": "2026-11-27", "answer": "Просим прощения."}, "personal"),
    "published": ({"number": 1234, "entry": "0123456789abcdef" * 2}, "personal"),
    "reminder": ({}, "confirm"),
    "taken-up-again": ({"due_on": "2026-11-27"}, "personal"),
    "revoked": ({"reason": "impersonation", "number": 1234}, "personal"),
    "staff-weekly": (WEEK, None),
    "staff-proposal": ({"kind": "revoke", "days": 7}, None),
    "staff-changed": ({"what": "password"}, None),
    "staff-invite": ({"staff": 1, "hours": 72}, "staff-invite"),
    "staff-new-device": ({"browser": "Firefox, Windows", "signed_in_at": "2026-11-20T09:00:00+00:00"}, None),
    "withdrawn": ({}, None),
}


@pytest.fixture(scope="module", autouse=True)
def compiled() -> None:
    """The catalogues as they stand in their sources."""
    folder = Path(build_assets.__file__).parent / "charter" / "translations"
    for _ in build_assets.build_translations(folder):
        pass


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return make_settings(
        tmp_path,
        public_url="https://charter.example",
        secret_key=KEY.decode(),
        centre_name="Орталық",
        centre_contact="data@charter.example",
    )


def rendered(app: Flask, settings: Settings, kind: str, language: str) -> EmailMessage:
    values, purpose = TOLD[kind]
    mail = Delivery(
        message_id=1,
        uid="0" * 31 + "1",
        kind=kind,
        language=language,
        recipient="amina@example.org",
        values=values,
        link_purpose=purpose,
        link_uid=None if purpose is None else b"link uid 16 byte",
        link_expires_at=EXPIRES_AT if purpose in WITH_CODE else None,
        created_at=datetime(2026, 11, 20, 9, 0, tzinfo=UTC),
        first_uid=b"link uid 16 byte" if kind in FIRST_MAILS else None,
    )
    # The words at the foot come from the application's own settings.
    app.jinja_env.globals["settings"] = settings
    with app.app_context():
        return render(mail, key=KEY, settings=settings, receipt=RECEIPT if kind == "published" else None)


def part(message: EmailMessage, kind: str) -> str:
    body = message.get_body((kind,))
    assert body is not None
    return str(body.get_content())


def told(message: EmailMessage) -> str:
    """The mail as one text: headers but the boundary, words, HTML."""
    headers = [f"{name}: {value}" for name, value in message.items() if name not in {"Content-Type", "MIME-Version"}]
    return "\n".join([*headers, "", part(message, "plain").rstrip("\n"), "", "· · ·", "", part(message, "html")])


@pytest.mark.usefixtures("engine_name")
def test_every_kind_is_told_here() -> None:
    assert sorted(TOLD) == KINDS


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("kind", KINDS)
def test_a_mail_reads_as_it_was_approved(app: Flask, settings: Settings, kind: str, language: str) -> None:
    path = SNAPSHOTS / f"{kind}.{language}.txt"
    text = told(rendered(app, settings, kind, language))
    if os.environ.get("WRITE_SNAPSHOTS"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    assert path.exists(), "no snapshot yet: run once with WRITE_SNAPSHOTS=1 and read what it wrote"
    assert text == path.read_text(encoding="utf-8")


@pytest.mark.usefixtures("engine_name")
def test_no_snapshot_is_left_over() -> None:
    wanted = {f"{kind}.{language}.txt" for kind in KINDS for language in LANGUAGES}
    assert {path.name for path in SNAPSHOTS.iterdir()} == wanted


@pytest.mark.parametrize("kind", KINDS)
def test_the_three_languages_of_a_mail_differ_and_bring_the_same_links(
    app: Flask, settings: Settings, kind: str
) -> None:
    texts = {language: part(rendered(app, settings, kind, language), "plain") for language in LANGUAGES}
    subjects = {language: str(rendered(app, settings, kind, language)["Subject"]) for language in LANGUAGES}
    assert len(set(texts.values())) == len(set(subjects.values())) == 3
    links = {
        language: [link.replace(f"/{language}/", "/…/") for link in re.findall(r"https?://\S+", text)]
        for language, text in texts.items()
    }
    assert links["kk"] == links["ru"] == links["en"]
    assert all(link.startswith("https://charter.example/") for link in links["en"])
    codes = {tuple(re.findall(r"^\d{6}$", text, re.MULTILINE)) for text in texts.values()}
    assert len(codes) == 1
    assert len(codes.pop()) == (TOLD[kind][1] in WITH_CODE or kind in FIRST_MAILS)


#: Words that stay as they are in every language.
KEPT_WORDS = {"Firefox", "Windows", "data@charter.example", "Message-ID", "SHA-256"}


@pytest.mark.parametrize("language", ["kk", "ru"])
@pytest.mark.parametrize("kind", KINDS)
def test_no_english_is_left_in_a_mail_in_another_language(
    app: Flask, settings: Settings, kind: str, language: str
) -> None:
    message = rendered(app, settings, kind, language)
    text = f"{message['Subject']}\n{part(message, 'plain')}"
    for words in (*KEPT_WORDS, *re.findall(r"https?://\S+", text)):
        text = text.replace(words, "")
    latin = set(re.findall(r"[A-Za-z]{2,}", text)) - {"UTC"}
    assert latin == set()
    if language == "kk" and kind not in {"code"}:
        assert re.search(r"[әғқңөұүһі]", text)


@pytest.mark.parametrize("kind", KINDS)
def test_every_mail_is_whole(app: Flask, settings: Settings, kind: str) -> None:
    for language in LANGUAGES:
        message = rendered(app, settings, kind, language)
        assert message["To"] == "amina@example.org"
        assert message["From"] == "Орталық <charter@charter.example>"
        assert message["Auto-Submitted"] == "auto-generated"
        assert message["Message-ID"] == f"<{'0' * 31}1@charter.example>"
        assert message["Content-Language"] == language
        assert "List-Unsubscribe" not in message
        text, html = part(message, "plain"), part(message, "html")
        assert max(len(line) for line in text.splitlines()) < 998
        assert "None" not in text
        assert "{" not in text
        assert "%(" not in text
        assert "\n\n\n" not in text
        assert f'lang="{language}"' in html
        assert "<script" not in html
        assert "<img" not in html, "a picture would tell when a mail is read"
        words = [line.strip() for line in text.splitlines() if line.strip() and line.strip() != "--"]
        plain = re.sub(r"<[^>]+>", "", html.partition("<body")[2]).replace("&#39;", "'").replace("&#34;", '"')
        for line in words:
            assert line in plain.replace("&amp;", "&"), (kind, language, line)


@pytest.mark.parametrize("kind", ["clarification", "correction-declined", "declined"])
def test_a_note_cannot_put_anything_into_the_html_of_a_mail(app: Flask, settings: Settings, kind: str) -> None:
    values, _ = TOLD[kind]
    note = 'Смотрите <a href="https://evil.example">сюда</a> <img src=x> {{ 7*7 }}'
    kept, values["note"] = values["note"], note
    try:
        message = rendered(app, settings, kind, "ru")
    finally:
        values["note"] = kept
    assert note in part(message, "plain")
    html = part(message, "html")
    assert "<img" not in html
    assert 'href="https://evil.example"' not in html
