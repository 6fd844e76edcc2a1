"""Finished pages that a process sends again: the same answer in every header, for everybody, and never for long."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask, Response, make_response, request
from time_machine import Traveller as Clock
from werkzeug.test import TestResponse

from charter import meters
from charter.web import hot, memory
from charter.web.headers import public_page
from charter.web.mirrored import FLAG
from tests.conftest import MakeApp
from tests.hostile.test_breakdown import take_database_away
from tests.pages import Browser
from tests.people import Desk, Observer, work
from tests.statements import statements
from tests.web.test_memory import Steady

LANGUAGES = ("kk", "ru", "en")
PAGES = ("/", "/charter/", "/about/", "/registry/", "/registry/almaty/", "/registry/?kind=party")
NAME = "Тестова"


@pytest.fixture
def steady() -> Steady:
    """The time by which pages are held."""
    return Steady()


@pytest.fixture
def hot_app(make_app: MakeApp, steady: Steady, clock: Clock) -> Flask:
    """The application as it is by default: a finished page is sent for half a second without asking."""
    app = make_app(public_recheck_ms="500")
    known(app).steady = steady
    return app


def known(app: Flask) -> memory.Memory:
    found: memory.Memory = app.extensions[memory.__name__]
    return found


def headers_of(answer: TestResponse) -> list[tuple[str, str]]:
    return sorted((name, value) for name, value in answer.headers if name != "X-Request-Id")


@pytest.mark.parametrize("lang", LANGUAGES)
def test_a_page_sent_again_is_the_same_answer_and_asks_nothing(hot_app: Flask, lang: str) -> None:
    client = hot_app.test_client()
    for page in PAGES:
        path = f"/{lang}{page}"
        first = client.get(path)
        tag = first.headers["ETag"]
        not_modified, head = (
            # Past the memory of finished pages: as the application answers by itself.
            client.open(path, method=method, headers=given, environ_overrides={"SCRIPT_NAME": ""})
            for method, given in (("GET", {"If-None-Match": tag}), ("HEAD", {}))
        )
        with statements(hot_app) as seen:
            again = client.get(path)
            again_304 = client.get(path, headers={"If-None-Match": f'"x", W/{tag}'})
            again_head = client.head(path)
            other = client.get(path, headers={"If-None-Match": '"0-kk-000000000000"'})
        assert not seen, (path, seen)
        assert (again.status, again.data) == (first.status, first.data) == (other.status, other.data)
        assert headers_of(again) == headers_of(first) == headers_of(other)
        assert (again_304.status, again_304.data, headers_of(again_304)) == (
            not_modified.status,
            b"",
            headers_of(not_modified),
        )
        assert (again_head.status, again_head.data, headers_of(again_head)) == (head.status, b"", headers_of(head))
        assert len({one.headers["X-Request-Id"] for one in (first, again, again_304, again_head)}) == 4


def test_who_has_the_newest_page_is_told_so_without_asking_although_it_is_not_kept(
    hot_app: Flask, steady: Steady
) -> None:
    client = hot_app.test_client()
    tag = client.get("/ru/registry/").headers["ETag"]
    paths = [f"/ru/registry/{slug}/?older={number}" for slug in ("almaty", "astana") for number in range(5, 25)]
    with statements(hot_app) as seen:
        for path in paths:
            answer = client.get(path, headers={"If-None-Match": tag})
            assert (answer.status_code, answer.data) == (304, b""), path
            assert answer.headers["ETag"] == tag
            assert "Set-Cookie" not in answer.headers
        assert client.get("/ru/registry/nowhere/", headers={"If-None-Match": '"0-ru-x"'}).status_code == 404
    assert len(seen) < len(paths)
    # Half a second later one of them asks, and the others need not.
    steady.seconds += 0.5
    with statements(hot_app) as seen:
        for path in paths:
            assert client.get(path, headers={"If-None-Match": tag}).status_code == 304
    assert len(seen) == 1, seen


def test_what_was_published_meanwhile_is_told_at_once_to_who_asks_after_anybody_saw_it(
    hot_app: Flask, clock: Clock, steady: Steady
) -> None:
    client = hot_app.test_client()
    tag = client.get("/ru/registry/").headers["ETag"]
    desk, amina = Desk(hot_app, "Bruno", "bruno@example.org"), Observer(hot_app)
    amina.sign_and_confirm()
    desk.decide(desk.open_first(), "approve")
    clock.shift(11)
    work(hot_app)
    steady.seconds += 0.5
    assert client.get("/kk/").status_code == 200
    assert client.get("/ru/registry/almaty/?older=9", headers={"If-None-Match": tag}).status_code == 200


def test_what_the_application_says_itself_is_what_the_finished_page_says(hot_app: Flask, steady: Steady) -> None:
    """The answers of `recheck` 0 beside those of half a second, one kind after the other."""
    client = hot_app.test_client()
    tag = client.get("/ru/registry/").headers["ETag"]
    for method, given in (("GET", {}), ("HEAD", {}), ("GET", {"If-None-Match": tag}), ("HEAD", {"If-None-Match": tag})):
        steady.seconds += 10
        with statements(hot_app) as seen:
            whole_way = client.open("/ru/registry/", method=method, headers=given)
        assert len([one for one in seen if one.lstrip().upper().startswith("SELECT")]) == 1, seen
        with statements(hot_app) as seen:
            sent_again = client.open("/ru/registry/", method=method, headers=given)
        assert not seen
        assert (whole_way.status, whole_way.data) == (sent_again.status, sent_again.data)
        assert headers_of(whole_way) == headers_of(sent_again)


def test_a_withdrawn_name_is_gone_half_a_second_after_its_batch(hot_app: Flask, clock: Clock, steady: Steady) -> None:
    desk, amina = Desk(hot_app, "Bruno", "bruno@example.org"), Observer(hot_app)
    mine = amina.sign_and_confirm()
    desk.decide(desk.open_first(), "approve")
    clock.shift(11)
    work(hot_app)
    steady.seconds += 1
    browser = Browser(hot_app)
    page = browser.get("/ru/registry/")
    name = page.tree.query("td.who")[0].to_text().strip()
    assert name in browser.get("/ru/registry/").main
    asked = amina.browser.get(mine.href("/withdraw"))
    asked.submit(at="/withdraw")
    work(hot_app)
    steady.seconds += 0.499
    browser.get("/ru/registry/")
    steady.seconds += 0.001
    assert name not in browser.get("/ru/registry/").main
    assert name not in browser.get("/ru/registry/").main


def test_any_page_that_asks_keeps_all_others_fresh_and_a_batch_ends_all_at_once(hot_app: Flask, steady: Steady) -> None:
    client = hot_app.test_client()
    for page in PAGES:
        client.get(f"/ru{page}")
    for _ in range(5):
        steady.seconds += 0.4
        client.get("/kk/about/", headers={"If-None-Match": '"nothing"'})
        client.get(f"/ru/registry/?older={10_000 + int(steady.seconds * 10)}")
    with statements(hot_app) as seen:
        for page in PAGES:
            assert client.get(f"/ru{page}").status_code == 200
    assert not seen


def test_nothing_personal_is_ever_among_them(hot_app: Flask) -> None:
    observer = Observer(hot_app)
    observer.sign_and_confirm()
    desk = Desk(hot_app, "Bruno", "bruno@example.org")
    for client, path in (
        (observer.browser.client, "/ru/my/"),
        (observer.browser.client, "/ru/sign/"),
        (desk.browser.client, "/staff/"),
    ):
        for _ in range(3):
            assert client.get(path).headers["Cache-Control"] == "no-store"
    assert not [key for key in kept_keys(hot_app) if key[0].split("/")[2:3] in (["my"], ["sign"]) or "staff" in key[0]]
    # Somebody with every cookie reads a public page first: what is kept of it holds nothing of theirs.
    first = observer.browser.client.get("/en/about/")
    assert "Set-Cookie" not in first.headers
    assert hot_app.test_client().get("/en/about/").data == first.data


def kept_keys(app: Flask) -> Iterator[memory.Key]:
    found = known(app)
    yield from [*found._bare.pages, *found._many.pages]


def test_names_of_hosts_are_checked_as_if_there_were_no_memory(make_app: MakeApp) -> None:
    app = make_app(public_url="https://charter.example", trusted_hosts="charter.example", public_recheck_ms="1000")
    client = app.test_client()
    for _ in range(3):
        assert client.get("/ru/about/", headers={"Host": "charter.example"}).status_code == 200
        assert client.get("/ru/about/", headers={"Host": "evil.example"}).status_code == 400
        assert client.get("/ru/about/", headers={"Host": ""}).status_code == 400


def test_invented_hosts_are_forgotten(make_app: MakeApp) -> None:
    app = make_app(trusted_hosts=".example", public_recheck_ms="1000")
    client = app.test_client()
    for place in range(hot.MOST_HOSTS + 5):
        assert client.get("/ru/about/", headers={"Host": f"h{place}.example"}).status_code == 200
    assert len(app.wsgi_app._hot._hosts) <= hot.MOST_HOSTS  # type: ignore[attr-defined]


@pytest.mark.parametrize(("hops", "is_taken"), [("0", False), ("1", True)])
def test_the_id_of_a_proxy_is_taken_over_as_ever(make_app: MakeApp, hops: str, is_taken: bool) -> None:
    app = make_app(trusted_proxy_count=hops, public_recheck_ms="1000")
    client = app.test_client()
    given = "0123456789abcdef0123456789abcdef"
    answers = [client.get("/ru/about/", headers={"X-Request-Id": given}) for _ in range(2)]
    assert [one.headers["X-Request-Id"] == given for one in answers] == [is_taken, is_taken]
    bad = client.get("/ru/about/", headers={"X-Request-Id": "amina@example.org"})
    assert "amina" not in bad.headers["X-Request-Id"]


def test_each_has_its_line_and_is_counted(
    make_app: MakeApp, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    app = make_app(public_recheck_ms="1000", log_level="info")
    folder = tmp_path / "metrics"
    folder.mkdir()
    meters.switch_on(folder, "one")
    try:
        client = app.test_client()
        capsys.readouterr()
        ids = [client.get("/ru/registry/almaty/").headers["X-Request-Id"] for _ in range(3)]
        client.head("/ru/registry/almaty/")
        lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
        assert meters._meters is not None
        counted = meters._meters.by_labels["registry.region", "GET", "2xx"]._sum.get()
        assert counted > 0
        in_progress = meters._meters.in_progress._value.get()
    finally:
        meters.switch_off()
    assert [one["request_id"] for one in lines[:3]] == ids
    assert in_progress == 0
    first, *others = lines
    assert len(others) == 3
    for one in others:
        assert set(one) == set(first)
        assert (one["event"], one["endpoint"], one["status"]) == ("request", "registry.region", 200)
        assert "almaty" not in json.dumps(one)
    assert others[-1]["method"] == "HEAD"


def test_without_a_database_a_page_says_how_old_it_is(hot_app: Flask, steady: Steady) -> None:
    client = hot_app.test_client()
    client.get("/ru/registry/")
    take_database_away(hot_app)
    assert "Warning" not in client.get("/ru/registry/").headers, "nobody has asked since"
    steady.seconds += 3
    for _ in range(2):
        aged = client.get("/ru/registry/")
        assert (aged.status_code, aged.headers["Age"]) == (200, "3")
        assert aged.headers["Warning"].startswith("111")
        assert aged.headers["Cache-Control"] == "public, max-age=5"


def add_views(app: Flask) -> None:
    @app.route("/streamed/<lang:lang>")
    @public_page()
    def streamed() -> Response:
        return Response((part for part in (b"a", b"b")), content_type="text/plain")

    @app.route("/asks-the-browser")
    @public_page()
    def asks_the_browser() -> Response:
        return make_response(f"in {request.accept_languages.best}")

    @app.route("/alike")
    @public_page(spoken="alike", keep_seconds=300)
    def alike() -> Response:
        from charter.i18n import current_language

        response = make_response(current_language())
        response.headers["Cross-Origin-Resource-Policy"] = "cross-origin"
        return response


def test_what_differs_from_one_visitor_to_the_next_is_not_kept(hot_app: Flask) -> None:
    add_views(hot_app)
    client = hot_app.test_client()
    for _ in range(2):
        assert client.get("/streamed/ru").data == b"ab"
        for language in ("ru", "en"):
            answer = client.get("/asks-the-browser", headers={"Accept-Language": language})
            assert answer.text == f"in {language}"
            assert answer.headers["Vary"] == "Accept-Language"
    assert not {"/streamed/ru", "/asks-the-browser"} & {path for path, _ in kept_keys(hot_app)}


def test_what_is_alike_in_all_languages_is_kept_once_and_keeps_its_own_headers(hot_app: Flask) -> None:
    add_views(hot_app)
    client = hot_app.test_client()
    first = client.get("/alike", headers={"Accept-Language": "en"})
    with statements(hot_app) as seen:
        second = client.get("/alike", headers={"Accept-Language": "ru"})
    assert not seen
    assert first.text == second.text == "kk"
    for answer in (first, second):
        assert "-alike-" in answer.headers["ETag"]
        assert answer.headers["Cache-Control"] == "public, max-age=300, stale-if-error=86400"
        assert answer.headers.getlist("Cross-Origin-Resource-Policy") == ["cross-origin"]
        assert "Vary" not in answer.headers


def test_pages_made_for_the_mirror_are_neither_kept_nor_sent_from_memory(hot_app: Flask) -> None:
    client = hot_app.test_client()

    def mirrored(path: str) -> Any:
        return client.get(path, environ_overrides={FLAG: True})

    mirrored("/ru/about/")
    assert ("/ru/about/", b"") not in set(kept_keys(hot_app))
    client.get("/ru/about/")
    with statements(hot_app) as seen:
        mirrored("/ru/about/")
    assert seen
