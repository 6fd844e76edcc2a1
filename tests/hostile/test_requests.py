"""Requests that no browser would send: sizes, types, methods, hosts, headers and cookies."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from flask import Flask
from time_machine import Traveller as Clock

from tests.hostile.values import ALL, body_of
from tests.house.world import World, changed_tables, dump, rules
from tests.pages import Browser, Page
from tests.people import ANSWERS

SIGN = "/ru/sign/"


def checked(app: Flask, answer: Any, url: str) -> Page:
    """The page, with everything that holds for every page of ours."""
    return Page(Browser(app), answer, url)


def signing(browser: Browser) -> dict[str, Any]:
    """What a whole and true signature would send."""
    _, fields = browser.get(SIGN).fields("sign-form")
    return {"party": "", "party_other": "", "mission": "", "short_name": "", **fields, **ANSWERS}


# ── sizes ────────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("path", [SIGN, "/staff/sign-in", "/ru/confirm/" + "A" * 43, "/ru/registry/", "/nowhere"])
def test_ten_megabytes_are_too_much(world: World, path: str) -> None:
    before = dump(world.app)
    browser = world.stranger()
    for content_type in ("application/x-www-form-urlencoded", "application/json", "text/plain", "application/xml"):
        body = b"full_name=" + b"A" * 10_000_000
        answer = browser.client.post(path, data=body, content_type=content_type)
        assert answer.status_code in {413, 404, 405, 400, 415, 422}, content_type
        if content_type.endswith("urlencoded") and path in {SIGN, "/staff/sign-in"}:
            assert answer.status_code == 413
            page = checked(world.app, answer, path)
            assert "<h1>" in page.text
    assert dump(world.app) == before


def test_a_body_without_a_length_is_not_read_for_ever(world: World) -> None:
    class Endless(io.RawIOBase):
        """As many bytes as anybody asks for."""

        read_bytes = 0

        def tell(self) -> int:
            return 0

        def seek(self, *_where: int) -> int:
            return 0

        def readinto(self, buffer: Any) -> int:
            buffer[:] = b"A" * len(buffer)
            self.read_bytes += len(buffer)
            return len(buffer)

        def readable(self) -> bool:
            return True

    endless = Endless()
    answer = world.stranger().client.post(
        SIGN,
        input_stream=endless,
        content_type="application/x-www-form-urlencoded",
        environ_overrides={"wsgi.input_terminated": True},
        headers={"Transfer-Encoding": "chunked"},
    )
    assert answer.status_code in {413, 422}
    assert endless.read_bytes < 2_000_000


def test_ten_thousand_fields_are_too_many(world: World) -> None:
    before = dump(world.app)
    for fields in ({f"f{place}": "x" for place in range(10_000)}, {"full_name": ["x"] * 10_000}):
        answer = world.stranger().client.post(
            SIGN, data=body_of(fields), content_type="application/x-www-form-urlencoded"
        )
        assert answer.status_code == 413
        assert checked(world.app, answer, SIGN).text.count("<h1>") == 1
    answer = world.stranger().client.post(
        SIGN, data={f"f{place}": "x" for place in range(10_000)}, content_type="multipart/form-data"
    )
    assert answer.status_code == 413
    assert dump(world.app) == before


def test_a_hundred_fields_are_still_a_form(world: World) -> None:
    answer = world.stranger().client.post(SIGN, data={f"f{place}": "x" for place in range(100)})
    assert answer.status_code == 422


def test_too_much_is_said_in_three_languages(app: Flask) -> None:
    said = set()
    for lang in ("kk", "ru", "en"):
        answer = app.test_client().post(
            f"/{lang}/sign/", data=b"A" * 400_000, content_type="application/x-www-form-urlencoded"
        )
        assert answer.status_code == 413
        page = checked(app, answer, f"/{lang}/sign/")
        assert page.tree.query("html")[0].attrs["lang"] == lang
        said.add(page.main)
    assert len(said) == 3


# ── types ────────────────────────────────────────────────────────────────────────────────────────────────────────────

JSON_BODIES = [
    b"",
    b"null",
    b"1",
    b'"text"',
    b"[]",
    b"[1, 2, 3]",
    b'[["full_name", "x"]]',
    b"{}",
    b'{"full_name": {"a": 1}, "email": {"$ne": null}, "kind": ["party"]}',
    b'{"full_name": ["a", "b"], "email": 7, "region": true, "language": null, "code": 123456}',
    b'{"__proto__": {"isAdmin": true}}',
    b'{"full_name": "' + b"A" * 1000,
    b"\xff\xfe",
    b"[" * 5000 + b"]" * 5000,
    b'{"a": 1e400}',
]


@pytest.mark.parametrize(
    "path",
    [SIGN, "/ru/confirm/", "/ru/my/edit/", "/ru/my/answer/", "/ru/my/withdraw/", "/ru/my/code/", "/ru/my/close/"],
)
def test_json_is_no_form_and_signs_nothing(world: World, path: str) -> None:
    if path == "/ru/confirm/":
        path = world.confirm_path
    browser = world.people["saule" if "answer" in path else "waiting"].browser
    before = dump(world.app)
    whole = json.dumps(signing(world.stranger())).encode()
    for body in [*JSON_BODIES, whole]:
        answer = browser.client.post(path, data=body, content_type="application/json")
        assert answer.status_code < 500, body[:60]
    assert dump(world.app) == before


def test_json_is_no_form_at_the_desk_either(world: World) -> None:
    before = dump(world.app)
    for rule in rules(world.app, "POST"):
        if not rule.rule.startswith("/staff") or rule.endpoint == "staff_auth.invitation":
            continue
        path = world.address(rule)
        for body in JSON_BODIES:
            answer = world.colleague().client.post(path, data=body, content_type="application/json")
            assert answer.status_code < 500, (path, body[:60])
    after = dump(world.app)
    assert changed_tables(before, after) <= {"rate_limit", "audit"}
    # A form that is shown again shows the application beside it, and that is a read.
    assert all(line["action"].startswith("read-") for line in after["audit"][len(before["audit"]) :])


OPTIONAL = {
    "party",
    "party_other",
    "organisation",
    "mission",
    "short_name",
    "display",
    "language",
    "code",
    "answer",
    "password",
    "start",
    "website",
    # Without them it is a form of the release before.
    "edition",
    "consents_read",
}


@pytest.mark.parametrize("path", [SIGN, "/ru/confirm/", "/ru/my/edit/", "/ru/my/answer/", "/staff/sign-in"])
def test_files_in_place_of_words_are_refused(world: World, path: str) -> None:
    if path == "/ru/confirm/":
        path = world.confirm_path
    who = {"/ru/my/edit/": "waiting", "/ru/my/answer/": "saule"}.get(path)
    browser = world.stranger() if who is None else world.people[who].browser
    before = dump(world.app)
    token = browser.get(path).tree.query("input[name=csrf_token]")[0].attrs["value"]
    fields = signing(browser) | {"code": "", "answer": "", "password": "", "csrf_token": token}
    for name in fields:
        if name == "csrf_token":
            continue
        file = (io.BytesIO(b"\x89PNG\x00\xff"), "../../etc/passwd", "image/png")
        whole = {key: value for key, value in fields.items() if key != name} | {name: file}
        if path.endswith("/edit/"):
            whole["csrf_token"] = "stale"
        answer = browser.client.post(path, data=whole, content_type="multipart/form-data")
        assert answer.status_code < 500, name
        if path == SIGN and name not in OPTIONAL:
            assert answer.status_code == 422, f"a file for {name}"
        elif path == SIGN:
            # As if the field had been left out.
            assert answer.status_code == 303, name
            before = dump(world.app)
    after = dump(world.app)
    after["rate_limit"] = before["rate_limit"]
    assert changed_tables(before, after) == set()


def test_a_multipart_form_without_files_signs_as_any_other(world: World) -> None:
    browser = world.stranger()
    fields = signing(browser) | {"full_name": "Мультипарт Формович"}
    answer = browser.client.post(SIGN, data=fields, content_type="multipart/form-data")
    assert answer.status_code == 303


@pytest.mark.parametrize(
    "content_type",
    [
        "",
        "text/plain",
        "application/xml",
        "multipart/form-data",
        "multipart/form-data; boundary=",
        "multipart/form-data; boundary=" + "x" * 5000,
        "application/x-www-form-urlencoded; charset=utf-16",
        "application/x-www-form-urlencoded; charset=\xff",
        "application/json; charset=latin-1",
        "\x00",
        "a" * 20_000,
    ],
)
def test_a_wrong_content_type_signs_nothing(app: Flask, clock: Clock, content_type: str) -> None:
    browser = Browser(app)
    fields = signing(browser)
    before = dump(app)
    for body in (
        body_of({**fields, "consent_processing": ""}),
        b"--\r\n\r\n--",
        b"--x\r\nContent-Disposition: form-data\r\n\r\n",
    ):
        answer = browser.client.post(SIGN, data=body, content_type=content_type or None)
        assert answer.status_code < 500
        assert answer.status_code >= 400
    assert dump(app) == before


# ── methods ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_other_methods_are_refused_and_told_what_is_allowed(world: World) -> None:
    before = dump(world.app)
    browser = world.people["amina"].browser
    for rule in {rule.rule: rule for rule in rules(world.app, "GET") + rules(world.app, "POST")}.values():
        if rule.endpoint == "staff_auth.invitation":
            continue
        path = world.address(rule)
        for method in ("PUT", "DELETE", "PATCH", "TRACE", "CONNECT", "PROPFIND", "QUERY"):
            answer = browser.client.open(path, method=method, data=b"x=1")
            # Mail on one's own machine is a closed door here and says no more than that.
            assert answer.status_code in {405, 404}, (method, path)
            if answer.status_code == 405:
                allowed = {one.strip() for one in answer.headers["Allow"].split(",")}
                assert allowed & {"GET", "POST"}, path
                assert method not in allowed
            assert b"x=1" not in answer.data
    assert dump(world.app) == before


def test_a_wrong_method_gets_a_page_in_three_languages(app: Flask) -> None:
    said = set()
    for lang in ("kk", "ru", "en"):
        answer = app.test_client().post(f"/{lang}/registry/")
        assert answer.status_code == 405
        assert set(answer.headers["Allow"].replace(" ", "").split(",")) == {"GET", "HEAD", "OPTIONS"}
        said.add(checked(app, answer, f"/{lang}/registry/").main)
    assert len(said) == 3


def test_options_tells_methods_and_nothing_else(world: World) -> None:
    answer = world.stranger().client.open(world.confirm_path, method="OPTIONS")
    assert answer.status_code == 200
    assert answer.data == b""


# ── hosts ────────────────────────────────────────────────────────────────────────────────────────────────────────────

HOSTS = [
    "evil.example",
    "127.0.0.1.evil.example",
    "localhost.evil.example",
    "localhost@evil.example",
    "evil.example:80",
    "localhost:80/evil",
    "localhost evil.example",
    "[::1]",
    "",
    "x" * 5000,
    "лocalhost",
    "localhost\t",
    "127.0.0.1:99999999",
    "{{7*7}}",
]


@pytest.mark.parametrize("host", HOSTS)
def test_a_foreign_host_gets_nothing(app: Flask, host: str) -> None:
    for path in ("/", "/ru/", "/ru/sign/", "/staff/", "/healthz", "/charter/specimen-1/ru.txt"):
        answer = app.test_client().open(path, environ_overrides={"HTTP_HOST": host.encode().decode("latin-1")})
        assert answer.status_code == 400 or (host.startswith("127.0.0.1:") and answer.status_code < 400), (host, path)
        assert b"evil" not in answer.data
        assert "evil" not in str(answer.headers)


def test_forwarding_headers_mean_nothing_without_a_proxy(app: Flask) -> None:
    headers = {
        "X-Forwarded-Host": "evil.example",
        "X-Forwarded-Proto": "https",
        "X-Forwarded-For": "203.0.113.7",
        "X-Forwarded-Prefix": "/evil",
        "X-Original-URL": "/staff/",
        "X-Rewrite-URL": "/staff/",
        "X-HTTP-Method-Override": "DELETE",
        "Forwarded": "host=evil.example",
    }
    answer = app.test_client().get("/", headers=headers)
    assert answer.status_code == 302
    assert answer.headers["Location"] == "/kk/"
    page = app.test_client().get("/ru/registry/", headers=headers)
    assert page.status_code == 200
    assert b"evil" not in page.data
    assert "Strict-Transport-Security" not in page.headers


# ── headers and cookies ──────────────────────────────────────────────────────────────────────────────────────────────

NAMES = ("charter", "signer", "my", "__Host-charter", "session", "remember_token")


def test_any_cookie_is_at_worst_unknown(world: World) -> None:
    before = dump(world.app)
    garbage = {
        **ALL,
        "signed by nobody": b"eyJzdGFmZl9zZXNzaW9uIjoieCJ9.aaaaaa.bbbbbbbbbbbbbbbbbbbbbbbbbbb",
        "dots": b"....",
    }
    for kind, value in garbage.items():
        cookie = "; ".join(f"{name}={value[:6000].decode('latin-1')}" for name in NAMES)
        for path in ("/ru/", "/ru/sign/", "/ru/my/", "/ru/my/withdraw/", "/staff/", world.confirm_path):
            answer = world.app.test_client().open(path, environ_overrides={"HTTP_COOKIE": cookie})
            assert answer.status_code in {200, 303, 403}, (kind, path)
        answer = world.app.test_client().post(
            "/ru/my/answer/", data={"answer": "x"}, environ_overrides={"HTTP_COOKIE": cookie}
        )
        assert answer.status_code == 403, kind
    assert dump(world.app) == before


def test_a_very_large_and_a_very_long_row_of_cookies_are_read_calmly(app: Flask) -> None:
    for cookie in (
        "my=" + "A" * 100_000,
        "; ".join(f"c{place}=1" for place in range(5_000)),
        ";" * 10_000,
        "=" * 10_000,
    ):
        answer = app.test_client().open("/ru/my/", environ_overrides={"HTTP_COOKIE": cookie})
        assert answer.status_code == 403
        assert app.test_client().open("/ru/", environ_overrides={"HTTP_COOKIE": cookie}).status_code == 200


HEADERS = (
    "Accept-Language",
    "User-Agent",
    "Referer",
    "If-None-Match",
    "If-Modified-Since",
    "Range",
    "Accept",
    "Origin",
)


@pytest.mark.parametrize("engine_name", ["sqlite"], indirect=True)
def test_any_header_is_at_worst_ignored(app: Flask) -> None:
    for name in HEADERS:
        for kind, value in {
            **ALL,
            "star": b"*",
            "many": b"ru," * 5000,
            "weights": b"ru;q=nan, kk;q=-1, en;q=1e99",
        }.items():
            value = value.replace(b"\r", b"").replace(b"\n", b"")[:20_000].decode("latin-1")
            environ = {"HTTP_" + name.upper().replace("-", "_"): value}
            for path in ("/", "/ru/", "/ru/sign/"):
                answer = app.test_client().open(path, environ_overrides=environ)
                assert answer.status_code < 500, (name, kind, path)
