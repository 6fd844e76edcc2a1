"""Pages for everybody: languages, the Charter's bytes, the registry's lists, and the doors for machines."""

from __future__ import annotations

import hashlib
import re
from datetime import date
from pathlib import Path

import pytest
from flask import Flask
from sqlalchemy import func, select, text
from time_machine import Traveller as Clock

from charter import create_app, shipped
from charter.models.base import db, writing
from charter.models.registry import PublicEntry, RegionCount
from charter.models.signature import Signature
from tests.conftest import MakeApp, make_settings
from tests.operations.test_signing import leaves
from tests.pages import Browser, Page
from tests.people import ANSWERS, Observer, link_in, work
from tests.statements import statements

LANGUAGES = ("kk", "ru", "en")


# ── languages ────────────────────────────────────────────────────────────────────────────────────────────────────────


ASKED: list[tuple[str | None, str]] = [
    (None, "kk"),
    ("", "kk"),
    ("ru", "ru"),
    ("ru-RU,ru;q=0.9,en;q=0.8", "ru"),
    ("en-GB", "en"),
    ("kk-KZ", "kk"),
    ("KK", "kk"),
    ("de-DE,de;q=0.9", "kk"),
    ("de,en;q=0.1", "en"),
    ("en;q=0.4,ru;q=0.7", "ru"),
    ("ru;q=0,en;q=0.1", "en"),
    ("uz,*;q=0.1", "kk"),
    (";;;,,q=", "kk"),
    ("ru;q=abc", "kk"),
]


def test_the_front_door_leads_to_the_language_that_the_browser_asks_for(app: Flask) -> None:
    for header, lang in ASKED:
        answer = app.test_client().get("/", headers={} if header is None else {"Accept-Language": header})
        assert answer.status_code == 302
        assert answer.headers["Location"] == f"/{lang}/", header
        assert "Accept-Language" in answer.headers["Vary"]
        assert "Set-Cookie" not in answer.headers


def test_each_page_links_to_itself_in_the_other_languages(app: Flask) -> None:
    browser = Browser(app)
    paths = ("", "charter/", "about/", "privacy/", "accessibility/", "help/", "registry/almaty/")
    for path in (*paths, "registry/?region=almaty&kind=party"):
        for lang in LANGUAGES:
            page = browser.get(f"/{lang}/{path}")
            assert page.tree.query("html")[0].attrs["lang"] == lang
            switch = {link.attrs["hreflang"]: link.attrs["href"] for link in page.tree.query(".langs a")}
            assert switch == {code: f"/{code}/{path}" for code in LANGUAGES}


def test_other_languages_are_other_addresses(app: Flask) -> None:
    client = app.test_client()
    for path in ("/de/", "/KK/", "/kz/", "/kk", "/charter/specimen-1/de.txt", "/charter/specimen-2/kk.txt"):
        assert client.get(path).status_code in {404, 308}, path
    assert client.get("/kk").headers["Location"].endswith("/kk/")


def test_changing_the_language_of_the_form_keeps_what_was_typed_and_checks_nothing(app: Flask) -> None:
    browser = Browser(app)
    typed = {
        "kind": "international",
        "mission": "=сломано",
        "full_name": "7 <b>Имя</b>",
        "short_name": "И. \u200b",
        "region": "KZ-71",
        "display": "short",
        "email": "не адрес",
        "language": "en",
        "consent_publication": "y",
    }
    page = browser.get("/ru/sign/")
    before = typed
    for lang in ("kk", "en", "ru"):
        url = next(
            button.attrs["formaction"]
            for button in page.tree.query("button[name=switch]")
            if button.attrs["value"] == lang
        )
        assert url == f"/{lang}/sign/"
        values = page.fields("sign-form")[1] | before
        page = browser.post(url, values | {"switch": lang})
        assert page.status == 200
        assert page.url == f"/{lang}/sign/"
        assert page.tree.query("html")[0].attrs["lang"] == lang
        kept = page.fields("sign-form")[1]
        assert {name: kept.get(name) for name in typed} == typed
        assert "is_adult" not in kept
        assert "consent_processing" not in kept
        assert not page.tree.query(".bad, .msg, [aria-invalid]"), "nothing is checked yet"
        before = {}
    with app.app_context():
        assert db.session.scalar(select(func.count()).select_from(Signature)) == 0
    # Sent as it is, each wrong answer is told beside its field.
    refused = browser.post("/ru/sign/", page.fields("sign-form")[1])
    assert refused.status == 422
    assert len(refused.tree.query("[aria-invalid=true]")) >= 3


def test_changing_the_language_on_the_way_to_confirm_confirms_nothing(app: Flask, observer: Observer) -> None:
    observer.sign()
    work(app)
    path = link_in(observer.mail(), "/confirm/").removeprefix("/ru")
    page = observer.browser.get("/ru" + path)
    turned = observer.browser.post("/en" + path, page.fields("confirm-form")[1] | {"switch": "en"})
    assert turned.status == 200
    assert turned.tree.query("html")[0].attrs["lang"] == "en"
    with app.app_context():
        assert db.session.scalars(select(Signature.state)).one() == "submitted"


# ── the Charter ──────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_files_of_the_charter_hash_to_what_the_page_shows_and_the_log_holds(app: Flask) -> None:
    files = next(leaf for leaf in leaves(app) if leaf["kind"] == "charter")["files"]
    client = app.test_client()
    for shown_in in LANGUAGES:
        page = Browser(app).get(f"/{shown_in}/charter/")
        rows = page.tree.query("#files tbody tr")
        shown = {
            row.query("a")[0].attrs["hreflang"]: (row.query("a")[0].attrs["href"], row.query(".digest")[0].to_text())
            for row in rows
        }
        assert set(shown) == set(LANGUAGES)
        for lang, (href, digest) in shown.items():
            answer = client.get(href)
            assert href == f"/charter/specimen-1/{lang}.txt"
            assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"
            assert answer.headers["Content-Language"] == lang
            assert hashlib.sha256(answer.data).hexdigest() == digest == files[lang]
            assert answer.data == shipped.edition_texts("specimen-1")[lang]
            assert answer.headers["Content-Length"] == str(len(answer.data))


def test_the_specimen_is_called_one_and_each_commitment_has_an_anchor(app: Flask) -> None:
    words = {"kk": "Мәтін үлгісі", "ru": "Образец", "en": "Specimen"}
    for lang in LANGUAGES:
        page = Browser(app).get(f"/{lang}/charter/")
        assert re.search(words[lang], page.main, re.IGNORECASE)
        anchors = [link.attrs["href"] for link in page.tree.query(".toc a")]
        assert [f"#commitment-{number}" for number in range(1, 13)] == [one for one in anchors if "commitment" in one]
        for anchor in anchors:
            assert page.tree.query(anchor), anchor
        assert len(page.tree.query(".commitments > li details.rests")) == 12, "each rests on something"


# ── the registry ─────────────────────────────────────────────────────────────────────────────────────────────────────

REGIONS = {"almaty": "KZ-75", "astana": "KZ-71", "abroad": "ZZ"}
KINDS = ("party", "independent", "international")
MANY = 137


@pytest.fixture
def filled(app: Flask) -> list[PublicEntry]:
    """A registry of three pages; every seventh entry was withdrawn."""
    codes = list(REGIONS.values())
    rows = []
    for number in range(1, MANY + 1):
        ended = number % 7 == 0
        rows.append(
            PublicEntry(
                number=number,
                entry=f"{number:032x}",
                rev=1,
                line=None if ended else b"{}",
                kind=KINDS[number % 3],
                display="full",
                name=None if ended else f"Адам {chr(0x410 + number % 32)}",
                region_code=codes[number % 2 if number % 5 else 2],
                edition_slug="specimen-1",
                signed_on=date(2026, 11, 20),
                ended_on=date(2026, 11, 21) if ended else None,
                ended_by="signatory" if ended else None,
            )
        )
    with app.app_context(), writing():
        db.session.add_all(rows)
        db.session.add(RegionCount(region_code="KZ-75", kind="party", listed=MANY, unlisted=0, withdrawn=0, revoked=0))
        db.session.commit()
        for row in rows:
            db.session.refresh(row)
        db.session.expunge_all()
    return rows


def numbers(page: Page) -> list[int]:
    return [int(link.attrs["href"].rpartition("/")[2], 16) for link in page.tree.query("table.entries a")]


def walk(page: Page, rel: str) -> list[list[int]]:
    """The numbers of this page and of all that follow."""
    found = [numbers(page)]
    while links := page.tree.query(f"a[rel={rel}]"):
        page = page.browser.get(links[0].attrs["href"])
        found.append(numbers(page))
        assert len(found) < 10
    return found


LISTS: list[tuple[str, str | None, str | None]] = [
    ("registry/", None, None),
    ("registry/?kind=party", None, "party"),
    ("registry/?region=almaty", "almaty", None),
    ("registry/?region=almaty&kind=international", "almaty", "international"),
    ("registry/astana/", "astana", None),
    ("registry/abroad/?kind=independent", "abroad", "independent"),
    ("registry/turkistan/", "turkistan", None),
]


def test_paging_forwards_and_back_gives_every_entry_once(app: Flask, filled: list[PublicEntry]) -> None:
    browser = Browser(app)
    for path, region, kind in LISTS:
        code = None if region is None else REGIONS.get(region, "none")
        wanted = [
            row.number
            for row in reversed(filled)
            if (code is None or row.region_code == code)
            and (kind is None or row.kind == kind)
            and (code is kind is None or row.ended_on is None)
        ]
        last = first = browser.get(f"/ru/{path}")
        assert not first.tree.query("a[rel=prev]")
        pages = walk(first, "next")
        assert [number for page in pages for number in page] == wanted, path
        assert all(len(page) == 50 for page in pages[:-1])
        while links := last.tree.query("a[rel=next]"):
            last = browser.get(links[0].attrs["href"])
        back = walk(last, "prev")
        assert [number for page in reversed(back) for number in page] == wanted, path


def test_filters_that_mean_nothing_are_no_pages(app: Flask) -> None:
    client = app.test_client()
    for path in (
        "registry/?kind=nobody",
        "registry/?region=nowhere",
        "registry/nowhere/",
        "registry/almaty/?kind=x",
        "registry/?older=-1",
        "registry/?newer=one",
        f"registry/entries/{'0' * 31}g",
        f"registry/entries/{'0' * 32}",
    ):
        assert client.get(f"/ru/{path}").status_code == 404, path
    for path in ("registry/?kind=&region=", "registry/?older=1", "registry/?newer=999999"):
        assert client.get(f"/ru/{path}").status_code == 200, path


def test_the_number_of_queries_does_not_grow_with_the_registry(app: Flask, filled: list[PublicEntry]) -> None:
    client = app.test_client()
    lists = ("/ru/registry/", "/ru/registry/turkistan/", "/ru/registry/almaty/")
    for path in lists:
        client.get(f"{path}?older=1")  # what changes with a batch only is read once
    counts = []
    for path in (*lists, "/ru/registry/?older=90"):
        with statements(app) as seen:
            assert client.get(path).status_code == 200
        counts.append(len([one for one in seen if one.lstrip().upper().startswith("SELECT")]))
    # The whole registry asks its counter beside.
    assert counts == [3, 2, 2, 3]


# ── mail on one's own machine ────────────────────────────────────────────────────────────────────────────────────────


def test_mail_can_be_read_here_and_by_nobody_who_came_through_something(app: Flask, observer: Observer) -> None:
    observer.sign()
    work(app)
    client = app.test_client()
    listed = Browser(app).get("/dev/mail/")
    path = listed.href("/dev/mail/")
    assert client.get(path).status_code == 200
    for name in ("Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Real-IP", "Via"):
        for one in ("/dev/mail/", path):
            assert client.get(one, headers={name: "127.0.0.1"}).status_code == 404, name
    for address, status in (("127.0.0.1", 200), ("127.8.8.8", 200), ("::1", 200), ("192.0.2.1", 404), ("", 404)):
        for one in ("/dev/mail/", path):
            assert client.get(one, environ_overrides={"REMOTE_ADDR": address}).status_code == status, address
    assert client.get("/dev/mail/" + "0" * 32).status_code == 404
    assert client.get("/dev/mail/..%2fcharter.db").status_code == 404


PRODUCTION = {
    "environment": "production",
    "secret_key": "k" * 40,
    "public_url": "http://127.0.0.1:8000",
    "smtp_host": "127.0.0.1",
    "smtp_security": "none",
}


@pytest.mark.parametrize(
    "given",
    [
        {"bind_host": "0.0.0.0"},
        {"trusted_proxy_count": "1"},
        {"smtp_host": "127.0.0.1"},
        PRODUCTION,
    ],
    ids=["open to the network", "behind a proxy", "mail is sent", "production"],
)
def test_mail_is_read_nowhere_else(make_app: MakeApp, given: dict[str, str]) -> None:
    client = make_app(**given).test_client()
    host = {"Host": "127.0.0.1"}
    assert client.get("/ru/about/", headers=host).status_code == 200
    assert client.get("/dev/mail/", headers=host).status_code == 404


# ── for machines ─────────────────────────────────────────────────────────────────────────────────────────────────────


def test_health_asks_nothing_and_readiness_asks_everything(app: Flask) -> None:
    client = app.test_client()
    with statements(app) as seen:
        answer = client.get("/healthz")
    assert (answer.status_code, answer.text, seen) == (200, "ok\n", [])
    ready = client.get("/readyz")
    assert ready.status_code == 200
    assert ready.json is not None
    assert {ready.json[part] for part in ("database", "schema", "registry", "mail", "worker", "clock")} == {"ok"}


def test_a_database_that_was_not_migrated_is_not_ready(app: Flask) -> None:
    client = app.test_client()
    for statement in ("UPDATE alembic_version SET version_num = '0000'", "DROP TABLE alembic_version"):
        with app.app_context(), writing():
            db.session.execute(text(statement))
            db.session.commit()
        answer = client.get("/readyz")
        assert answer.status_code == 503
        assert answer.json is not None
        assert answer.json["schema"] == "not migrated"
        assert client.get("/healthz").status_code == 200


def test_a_database_that_cannot_be_reached_is_not_ready_and_pages_say_so(tmp_path: Path) -> None:
    urls = (f"sqlite:///{tmp_path}/no/such/folder/charter.db", "postgresql://charter@127.0.0.1:1/charter")
    for url in urls:
        client = create_app(make_settings(tmp_path, database_url=url)).test_client()
        answer = client.get("/readyz")
        assert answer.status_code == 503
        assert answer.json is not None
        assert answer.json["database"] == "unreachable"
        assert client.get("/healthz").status_code == 200
        page = client.get("/ru/registry/")
        assert page.status_code == 503
        assert page.headers["Retry-After"] == "30"
        assert 'lang="ru"' in page.text
        assert client.post("/ru/sign/", data=ANSWERS).status_code == 503


def test_before_anything_is_published_the_registry_says_so(app: Flask, clock: Clock) -> None:
    page = Browser(app).get("/en/registry/")
    assert page.status == 200
    assert not page.tree.query("table.entries")
    assert "As of 16\xa0November 2026" in Browser(app).get("/en/").main
