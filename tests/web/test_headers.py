"""What every answer carries, by audience: caching, policies, cookies, and whom a request is believed to come from."""

from __future__ import annotations

import re
from typing import Any

import pytest
from flask import Flask, request
from sqlalchemy import select
from time_machine import Traveller as Clock
from werkzeug.test import TestResponse

from charter.models.base import db, writing
from charter.models.log import LogEvent
from charter.models.registry import PublicEntry
from tests.conftest import MakeApp
from tests.operations.test_signing import confirmed, decide, now
from tests.pages import Browser
from tests.people import ANSWERS, Desk, Observer, link_in, work
from tests.statements import statements

LANGUAGES = ("kk", "ru", "en")
PUBLIC = ("", "charter/", "about/", "privacy/", "accessibility/", "help/", "registry/", "registry/almaty/")
HTTPS = "https://charter.example"


def entered(app: Flask, desk: Desk, clock: Clock) -> str:
    """One published entry."""
    decide(app, confirmed(app), desk.id)
    clock.shift(11)
    work(app)
    with app.app_context():
        return db.session.scalars(select(PublicEntry.entry)).one()


def cookies(answer: TestResponse) -> dict[str, str]:
    """name → the whole line, without its value."""
    found = {}
    for line in answer.headers.getlist("Set-Cookie"):
        name, _, rest = line.partition("=")
        found[name] = rest.partition(";")[2]
    return found


# ── caching ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_public_pages_answer_not_modified_after_one_row_and_set_no_cookie(app: Flask, desk: Desk, clock: Clock) -> None:
    entry = entered(app, desk, clock)
    client = app.test_client()
    paths = [f"/{lang}/{path}" for lang in LANGUAGES for path in (*PUBLIC, f"registry/entries/{entry}")]
    paths += [f"/charter/specimen-1/{lang}.txt" for lang in LANGUAGES]
    for path in paths:
        first = client.get(path)
        assert first.status_code == 200, path
        tag = first.headers["ETag"]
        assert re.fullmatch(r'"\d+-(kk|ru|en)-[0-9a-f]+"', tag), path
        assert first.headers["Cache-Control"] == "public, max-age=5, stale-if-error=86400"
        with statements(app) as seen:
            again = client.get(path, headers={"If-None-Match": f'"other", W/{tag}'})
        assert again.status_code == 304, path
        assert again.data == b""
        assert again.headers["ETag"] == tag
        assert again.headers["Cache-Control"] == first.headers["Cache-Control"]
        assert len([one for one in seen if one.lstrip().upper().startswith("SELECT")]) == 1, seen
        for answer in (first, again):
            assert "Set-Cookie" not in answer.headers, path
            assert "Cookie" not in answer.headers.get("Vary", ""), path
        assert client.get(path, headers={"If-None-Match": '"0-kk-000000000000"'}).status_code == 200


def test_every_batch_changes_the_tag_and_nothing_else_does(app: Flask, clock: Clock) -> None:
    client = app.test_client()

    def tags() -> list[str]:
        return [client.get(f"/{lang}/registry/").headers["ETag"] for lang in LANGUAGES]

    # The batch that begins a day, so that figures by day stand right.
    work(app)
    first = tags()
    assert len(set(first)) == 3, "one for each language"
    Observer(app).sign()
    work(app)
    clock.shift(86_400)
    assert tags() == first
    with app.app_context(), writing():
        db.session.add(LogEvent(kind="refresh", values={}, effective_at=now()))
        db.session.commit()
    work(app)
    assert not set(tags()) & set(first)


def test_a_changed_setting_that_pages_show_changes_the_tag(make_app: MakeApp) -> None:
    tags = {
        make_app(**given).test_client().get("/kk/privacy/").headers["ETag"]
        for given in ({}, {"centre_contact": "privacy@centre.example"}, {"code_minutes": "20"})
    }
    assert len(tags) == 3


def test_pages_with_names_stay_out_of_search_engines(app: Flask, desk: Desk, clock: Clock) -> None:
    entry = entered(app, desk, clock)
    client = app.test_client()
    for path in ("", "registry/", "registry/almaty/", f"registry/entries/{entry}"):
        assert client.get(f"/ru/{path}").headers["X-Robots-Tag"] == "noindex", path
    for path in ("charter/", "about/", "privacy/", "help/"):
        assert "X-Robots-Tag" not in client.get(f"/ru/{path}").headers, path


def test_personal_pages_the_desk_and_errors_are_kept_by_nobody(app: Flask, observer: Observer, desk: Desk) -> None:
    client = observer.browser.client
    observer.sign()
    work(app)
    link = link_in(observer.mail(), "/confirm/")
    answers = [client.get("/ru/sign/"), client.get("/ru/sign/check-mail/"), client.get(link), client.get("/ru/my/")]
    answers.append(client.post("/ru/sign/", data={}))
    observer.confirm()
    work(app)
    answers += [client.get(f"/ru/my/{part}") for part in ("", "edit/", "withdraw/")]
    answers.append(client.get(link_in(observer.mail(), "/my/")))
    answers += [desk.browser.client.get(path) for path in ("/staff/", "/staff/mail/", desk.queue().href("/review/"))]
    answers += [client.get("/staff/"), client.get("/staff/sign-in")]
    answers += [client.get("/ru/nowhere/"), client.post("/ru/"), client.get("/ru/registry/?kind=none")]
    answers += [client.get("/healthz"), client.get("/readyz"), client.get("/dev/mail/")]
    for answer in answers:
        assert answer.headers["Cache-Control"] == "no-store", answer.request.path
        assert "ETag" not in answer.headers, answer.request.path
        if answer.status_code < 400:
            assert answer.headers["X-Robots-Tag"] == "noindex", answer.request.path


# ── policies ─────────────────────────────────────────────────────────────────────────────────────────────────────────

POLICIES = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:;"
    " font-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=(), interest-cohort=()",
    "Cross-Origin-Opener-Policy": "same-origin",
}


def every_kind_of_answer(app: Flask, base_url: str) -> dict[str, TestResponse]:
    client = app.test_client()

    def open_(path: str, method: str = "GET", **more: Any) -> TestResponse:
        return client.open(path, method=method, **{"base_url": base_url, **more})

    home = open_("/ru/")
    found = re.search(r"/static/[0-9a-f]+/", home.text)
    assert found
    static = found[0]
    return {
        "page": home,
        "HEAD": open_("/ru/", "HEAD"),
        "OPTIONS": open_("/ru/", "OPTIONS"),
        "304": open_("/ru/", headers={"If-None-Match": home.headers["ETag"]}),
        "302": open_("/"),
        "303": open_("/staff/"),
        "form": open_("/ru/sign/"),
        "422": open_("/ru/sign/", "POST", data={"kind": "party"}),
        "403": open_("/ru/my/"),
        "404": open_("/nowhere"),
        "405": open_("/ru/", "POST"),
        "413": open_("/ru/sign/", "POST", data={"full_name": "А" * 400_000}),
        "400": open_("/ru/", base_url="http://evil.example"),
        "text": open_("/charter/specimen-1/kk.txt"),
        "health": open_("/healthz"),
        "ready": open_("/readyz"),
        "css": open_(static + "site.css"),
        "script": open_(static + "site.js"),
        "picture": open_(static + "mark.svg"),
        "no such file": open_(static + "nothing.css"),
        "a file of another build": open_("/static/000000000000/site.css"),
    }


def test_every_kind_of_answer_carries_every_policy(make_app: MakeApp) -> None:
    for public_url, wanted in (
        (HTTPS, "max-age=63072000; includeSubDomains"),
        ("http://127.0.0.1:8000", None),
    ):
        answers = every_kind_of_answer(make_app(public_url=public_url), public_url)
        for kind, answer in answers.items():
            if kind.isdigit():
                assert answer.status_code == int(kind), kind
            for name, value in POLICIES.items():
                assert answer.headers.getlist(name) == [value], (kind, name)
            assert answer.headers.get("Strict-Transport-Security") == wanted, kind
            assert "Server" not in answer.headers
            assert "X-Powered-By" not in answer.headers
        for kind in ("css", "script", "picture"):
            assert answers[kind].status_code == 200
            assert "immutable" in answers[kind].headers["Cache-Control"]
            assert "Access-Control-Allow-Origin" not in answers[kind].headers
        assert answers["no such file"].status_code == answers["a file of another build"].status_code == 404


def test_each_answer_has_an_id_of_its_own(app: Flask) -> None:
    client = app.test_client()
    ids = [client.get("/kk/").headers["X-Request-Id"] for _ in range(3)]
    assert len(set(ids)) == 3
    assert all(re.fullmatch(r"[0-9a-f]{16}", one) for one in ids)


# ── cookies ──────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("public_url", [HTTPS, "http://127.0.0.1:8000"])
def test_cookies_are_for_this_host_alone_and_out_of_reach_of_scripts(
    make_app: MakeApp, clock: Clock, public_url: str
) -> None:
    app = make_app(public_url=public_url)
    client = app.test_client()

    def name(plain: str) -> str:
        return f"__Host-{plain}" if public_url == HTTPS else plain

    form = client.get("/ru/sign/", base_url=public_url)
    found = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', form.text)
    assert found
    signed = client.post("/ru/sign/", base_url=public_url, data=ANSWERS | {"csrf_token": found[1]})
    assert signed.status_code == 303
    work(app)
    browser = Browser(app, base_url=public_url)
    browser.client = client
    person = Observer(app)
    page = browser.get(link_in(person.mail(), "/confirm/"))
    url, values = page.fields("confirm-form")
    confirmed_ = client.post(url, data=values, base_url=public_url)
    assert confirmed_.status_code == 303
    assert set(cookies(form)) == {name("charter")}
    assert set(cookies(signed)) == {name("signer"), name("my")}
    assert set(cookies(confirmed_)) == {name("my")}
    for answer in (form, signed, confirmed_):
        for line in cookies(answer).values():
            flags = {part.strip() for part in line.split(";")}
            assert {"HttpOnly", "SameSite=Lax", "Path=/"} <= flags
            assert ("Secure" in flags) == (public_url == HTTPS)
            assert not any(flag.startswith("Domain") for flag in flags)
    assert "Max-Age=2592000" in cookies(signed)[name("signer")]
    assert "Max-Age=0" in cookies(signed)[name("my")], "the page of whoever signed here before is closed"
    assert "Max-Age=43200" in cookies(confirmed_)[name("my")]
    token = link_in(person.mail(), "/confirm/").rpartition("/")[2]
    assert token not in confirmed_.headers["Location"]


# ── whom to believe ──────────────────────────────────────────────────────────────────────────────────────────────────


def test_only_the_hosts_that_were_named_are_answered(make_app: MakeApp) -> None:
    client = make_app(public_url=HTTPS, trusted_hosts="Charter.Example, .mirror.example").test_client()
    for host, status in (
        ("charter.example", 200),
        ("kk.mirror.example", 200),
        ("charter.example:8443", 200),
        ("evil.example", 400),
        ("charter.example.evil.example", 400),
        ("notmirror.example", 400),
        ("charter.example@evil.example", 400),
        ("", 400),
    ):
        answer = client.get("/ru/about/", headers={"Host": host})
        assert answer.status_code == status, host
        assert "evil" not in answer.text


@pytest.mark.parametrize(
    ("hops", "address", "scheme", "host"),
    [
        ("0", "127.0.0.1", "http", "localhost"),
        ("1", "198.51.100.7", "https", "charter.example"),
        ("2", "203.0.113.9", "http", "outer.example"),
    ],
)
def test_exactly_so_many_proxies_are_believed(
    make_app: MakeApp, hops: str, address: str, scheme: str, host: str
) -> None:
    app = make_app(trusted_proxy_count=hops, trusted_hosts="localhost, charter.example, outer.example")
    app.add_url_rule("/probe", view_func=lambda: f"{request.remote_addr} {request.scheme} {request.host}")
    forwarded = {
        # The first is what a stranger invents; each proxy appends whom it heard.
        "X-Forwarded-For": "192.0.2.66, 203.0.113.9, 198.51.100.7",
        "X-Forwarded-Proto": "https, http, https",
        "X-Forwarded-Host": "evil.example, outer.example, charter.example",
        "Forwarded": "for=192.0.2.66",
        "X-Real-Ip": "192.0.2.66",
    }
    answer = app.test_client().get("/probe", headers=forwarded)
    assert answer.text == f"{address} {scheme} {host}"


def test_with_fewer_forwarders_than_proxies_nothing_is_believed(make_app: MakeApp) -> None:
    app = make_app(trusted_proxy_count="2")
    app.add_url_rule("/probe", view_func=lambda: str(request.remote_addr))
    assert app.test_client().get("/probe", headers={"X-Forwarded-For": "192.0.2.66"}).text == "127.0.0.1"
