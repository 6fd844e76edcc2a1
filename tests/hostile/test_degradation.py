"""The database goes away under a running application, in every way we know, and comes back without a restart."""

from __future__ import annotations

import shutil
import signal
import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest
import time_machine
from flask import Flask
from sqlalchemy import func, select, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import SQLAlchemyError
from time_machine import Traveller as Clock
from werkzeug.test import TestResponse

from charter import cli, create_app, worker
from charter.models import breakdown
from charter.models.base import db
from charter.models.signature import Signature
from charter.operations.unit import operation
from charter.queries import schema
from tests.conftest import MONDAY, MakeApp, make_settings
from tests.hostile import broken
from tests.hostile.test_breakdown import take_database_away
from tests.pages import Browser, Page
from tests.people import ANSWERS, Desk, Observer, work
from tests.postgres import drop_database, fresh_database

pytestmark = pytest.mark.xdist_group("degradation")

LANGUAGES = ("kk", "ru", "en")
PUBLIC = ("", "charter/", "about/", "privacy/", "accessibility/", "help/", "registry/", "registry/almaty/")


def signatures(app: Flask) -> int:
    with app.app_context():
        return db.session.scalar(select(func.count()).select_from(Signature)) or 0


def filled(app: Flask, lang: str = "ru", **more: str) -> tuple[Browser, dict[str, str]]:
    """A browser with the form open, and what it would send."""
    browser = Browser(app)
    _, fields = browser.get(f"/{lang}/sign/").fields("sign-form")
    return browser, {**fields, **ANSWERS, **more}


def send(browser: Browser, fields: dict[str, str], lang: str = "ru") -> TestResponse:
    return browser.client.post(f"/{lang}/sign/", data=fields)


def told(answer: TestResponse) -> str:
    """The page, with all that holds for every 503 of ours."""
    assert answer.status_code == 503, answer.status_code
    assert int(answer.headers["Retry-After"]) > 0
    assert answer.headers["Cache-Control"] == "no-store"
    return answer.text


def every(app: Flask) -> dict[str, TestResponse]:
    client = app.test_client()
    return {path: client.get(path) for path in (f"/{lang}/{part}" for lang in LANGUAGES for part in PUBLIC)}


# ── SQLite, broken and mended ────────────────────────────────────────────────────────────────────────────────────────

WAYS = {"moved away": broken.moved_away, "garbage": broken.garbage, "damaged": broken.damaged}


@pytest.fixture
def sqlite_app(tmp_path: Path, sqlite_template: Path, clock: Clock) -> Flask:
    instance = tmp_path / "instance"
    shutil.copytree(sqlite_template, instance)
    app = create_app(make_settings(instance, database_busy_timeout_ms="400"))
    app.testing = False
    return app


@pytest.mark.parametrize("way", WAYS)
def test_a_broken_file_shows_pages_from_memory_takes_nothing_and_is_mended_without_a_restart(
    sqlite_app: Flask, way: str, capsys: pytest.CaptureFixture[str]
) -> None:
    app = sqlite_app
    before = every(app)
    browser, fields = filled(app)
    how: AbstractContextManager[object] = WAYS[way](broken.sqlite_path(app))
    capsys.readouterr()
    with how:
        for path, answer in every(app).items():
            assert answer.status_code == 200, (path, answer.status_code)
            assert answer.text == before[path].text
            assert int(answer.headers["Age"]) >= 0
            assert answer.headers["Cache-Control"] == "public, max-age=5"
            assert answer.headers["Warning"].startswith("111 ")
            for name in ("ETag", "Content-Type", "X-Robots-Tag", "Content-Security-Policy"):
                assert answer.headers.get(name) == before[path].headers.get(name), (path, name)
            tag = {"If-None-Match": answer.headers["ETag"]}
            again = app.test_client().get(path, headers=tag)
            assert (again.status_code, again.data) == (304, b"")
            head = app.test_client().head(path)
            assert (head.status_code, head.data) == (200, b"")
            assert head.headers["Content-Length"] == before[path].headers["Content-Length"]
        for path in ("/ru/registry/karaganda-region/", "/ru/registry/?kind=party", "/ru/sign/", "/ru/my/x"):
            told(app.test_client().get(path))
        assert "Оспанова" in told(send(browser, fields))
        with app.app_context(), pytest.raises(SQLAlchemyError) as error:
            worker.publish()
        assert schema.is_breakdown(error.value)
    lines = capsys.readouterr()
    assert "Оспанова" not in lines.err + lines.out
    broken.wait_for(lambda: send(browser, fields).status_code == 303)
    assert signatures(app) == 1
    broken.wait_for(lambda: "Age" not in app.test_client().get("/ru/").headers)
    for path, answer in every(app).items():
        assert answer.status_code == 200
        assert "Age" not in answer.headers, path
    assert work(app)[1] == 1


def test_a_file_that_was_taken_away_is_not_made_anew_and_nothing_is_written_into_the_old_one(
    sqlite_app: Flask,
) -> None:
    path = broken.sqlite_path(sqlite_app)
    browser, fields = filled(sqlite_app)
    with broken.moved_away(path) as elsewhere:
        size = elsewhere.stat().st_size, elsewhere.with_name(f"{path.name}-wal").stat().st_size
        assert send(browser, fields).status_code == 503
        with sqlite_app.app_context(), schema.serving(), pytest.raises(Exception, match="unable to open"):
            worker.publish()
        assert not path.exists(), "an empty database would be served, and be in the way when the real one comes back"
        assert (elsewhere.stat().st_size, elsewhere.with_name(f"{path.name}-wal").stat().st_size) == size
    assert send(browser, fields).status_code == 303


def test_a_file_that_was_replaced_is_opened_anew(sqlite_app: Flask, tmp_path: Path) -> None:
    browser, fields = filled(sqlite_app)
    path = broken.sqlite_path(sqlite_app)
    copy = tmp_path / "copy.db"
    with sqlite3.connect(path) as source, sqlite3.connect(copy) as target:
        source.backup(target)
    target.close()
    source.close()
    for name in (path.name, f"{path.name}-wal", f"{path.name}-shm"):
        path.with_name(name).unlink(missing_ok=True)
    copy.rename(path)
    assert send(browser, fields).status_code == 303
    with sqlite3.connect(path) as seen:
        assert seen.execute("SELECT count(*) FROM signature").fetchone() == (1,), "in the file that lies there now"
    seen.close()


def test_a_locked_file_is_waited_for_once_and_readers_notice_nothing(sqlite_app: Flask) -> None:
    browser, fields = filled(sqlite_app)
    with broken.locked(broken.sqlite_path(sqlite_app)):
        begun = time.monotonic()
        page = told(send(browser, fields))
        # Six attempts of 0.4 seconds were 2.4.
        assert 0.3 < time.monotonic() - begun < 1.8
        assert "Оспанова" in page
        for answer in every(sqlite_app).values():
            assert answer.status_code == 200
            assert "Age" not in answer.headers
    assert send(browser, fields).status_code == 303
    assert signatures(sqlite_app) == 1


# ── what was typed ───────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("lang", LANGUAGES)
def test_the_form_comes_back_with_every_word_and_can_be_sent_as_it_is(sqlite_app: Flask, lang: str) -> None:
    browser, fields = filled(sqlite_app, lang, organisation="Бақылаушылар одағы", short_name="Әмина О.")
    sign = f"/{lang}/sign/"
    with broken.moved_away(broken.sqlite_path(sqlite_app)):
        page = Page(browser, send(browser, fields, lang), sign)
        assert page.status == 503
        _, again = page.fields("sign-form")
        assert {name: again[name] for name in ANSWERS} == {name: fields[name] for name in ANSWERS if name in fields}
        assert again["organisation"] == "Бақылаушылар одағы"
        switched = Page(browser, browser.client.post(sign, data={**again, "switch": "en"}), sign)
        assert switched.status == 503
        assert "Оспанова" in switched.text
    assert send(browser, again, lang).status_code == 303
    assert signatures(sqlite_app) == 1


def test_without_the_lists_the_page_carries_what_was_typed_and_sends_it_again(
    sqlite_app: Flask, sqlite_template: Path, tmp_path: Path
) -> None:
    browser, fields = filled(sqlite_app)
    other = create_app(sqlite_app.config["CHARTER"])  # a process that has just begun
    cookie = browser.client.get_cookie("charter")
    assert cookie is not None
    fresh = Browser(other)
    fresh.client.set_cookie("charter", cookie.value)
    with broken.moved_away(broken.sqlite_path(sqlite_app)):
        page = Page(fresh, send(fresh, fields), "/ru/sign/")
        assert page.status == 503
        _, again = page.fields()
        assert {name: again.get(name) for name in ANSWERS} == ANSWERS
    assert send(fresh, again).status_code == 303
    assert signatures(other) == 1


def test_an_answer_to_the_centre_is_kept_too_but_never_a_password(
    sqlite_app: Flask, clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    amina = Observer(sqlite_app)
    amina.sign()
    amina.confirm()
    _, fields = amina.browser.get("/ru/my/withdraw/").fields("withdraw-form")
    stranger = Browser(sqlite_app)
    _, sign_in = stranger.get("/staff/sign-in").fields(at="sign-in")
    with broken.moved_away(broken.sqlite_path(sqlite_app)):
        capsys.readouterr()
        posted = amina.browser.client.post("/ru/my/answer/", data={**fields, "answer": "Я была там <сама>"})
        assert 'value="Я была там &lt;сама&gt;"' in told(posted)
        refused = stranger.client.post(
            "/staff/sign-in", data={**sign_in, "email": "bruno@example.org", "password": "correct horse battery"}
        )
        assert "correct horse" not in told(refused)
        assert "bruno" not in refused.text
        assert "была там" not in capsys.readouterr().err


# ── what is remembered ───────────────────────────────────────────────────────────────────────────────────────────────


def test_who_has_left_does_not_come_back_from_memory(make_app: MakeApp, clock: Clock, engine_name: str) -> None:
    app = make_app(database_busy_timeout_ms="400")
    amina = Observer(app)
    amina.sign()
    amina.confirm()
    desk = Desk(app, "Bruno", "bruno@example.org")
    desk.decide(desk.open_first(), "approve")
    clock.shift(11)
    work(app)
    client = app.test_client()
    pages = ["/ru/registry/", "/kk/", "/ru/registry/?kind=independent"]
    for path in pages:
        assert "Оспанова" in client.get(path).text
    page = amina.browser.get("/ru/my/withdraw/")
    page.submit("withdraw-form")
    work(app)
    # This process learns of the new revision by any public page, also one without names.
    assert client.get("/ru/about/").status_code == 200
    take_database_away(app)
    for path in pages:
        answer = client.get(path)
        assert answer.status_code == 503
        assert "Оспанова" not in answer.text
    assert client.get("/ru/about/").status_code == 200


# ── PostgreSQL, stopped, frozen, full of locks ───────────────────────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def server() -> Iterator[broken.Server]:
    """One for all tests here, which leave it running."""
    with broken.own_server() as started:
        yield started


@pytest.fixture(scope="module")
def template(server: broken.Server, tmp_path_factory: pytest.TempPathFactory) -> str:
    url = fresh_database(server.url)
    app = create_app(make_settings(tmp_path_factory.mktemp("template"), database_url=url))
    with time_machine.travel(MONDAY, tick=True):
        cli.prepare(app)
        worker.run_once(app)
    let_go(app)
    return url.rpartition("/")[2]


@pytest.fixture
def postgres_app(server: broken.Server, template: str, tmp_path: Path, clock: Clock) -> Iterator[Flask]:
    url = fresh_database(server.url, template=template)
    app = create_app(make_settings(tmp_path, database_url=url, database_busy_timeout_ms="400"))
    app.testing = False
    yield app
    let_go(app)
    drop_database(url)


def let_go(app: Flask) -> None:
    with app.app_context():
        db.session.remove()
        db.engine.dispose()


@pytest.mark.parametrize("how", ["fast", "immediate"])
def test_a_stopped_server_shows_pages_from_memory_and_is_used_again_once_it_runs(
    postgres_app: Flask, server: broken.Server, how: str
) -> None:
    app = postgres_app
    before = every(app)
    browser, fields = filled(app)
    server.stop(how)
    try:
        begun = time.monotonic()
        for path, answer in every(app).items():
            assert (answer.status_code, answer.text) == (200, before[path].text), path
            assert "Age" in answer.headers
        assert time.monotonic() - begun < 10
        assert "Оспанова" in told(send(browser, fields))
        told(app.test_client().get("/ru/registry/karaganda-region/"))
        assert app.test_client().get("/healthz").status_code == 200
    finally:
        server.start()
    broken.wait_for(lambda: send(browser, fields).status_code == 303)
    assert signatures(app) == 1
    broken.wait_for(lambda: "Age" not in app.test_client().get("/ru/").headers)
    assert work(app)[1] == 1


def test_a_server_that_stands_still_is_given_up_and_pages_come_from_memory_at_once(
    postgres_app: Flask, server: broken.Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = postgres_app
    monkeypatch.setattr(breakdown, "SILENCE_MS", 300)
    monkeypatch.setattr(breakdown, "WORK_MS", 300)
    before = every(app)
    browser, fields = filled(app)
    let_go(app)
    every(app)  # connections that know of the shorter patience
    server.signal(signal.SIGSTOP)
    try:
        first = app.test_client().get("/ru/")
        assert (first.status_code, first.text) == (200, before["/ru/"].text)
        begun = time.monotonic()
        answers = every(app)
        assert time.monotonic() - begun < 10
        assert {answer.status_code for answer in answers.values()} == {200}
        told(send(browser, fields))
    finally:
        server.signal(signal.SIGCONT)
    broken.wait_for(lambda: send(browser, fields).status_code == 303)
    assert signatures(app) == 1


def test_a_black_hole_costs_one_wait_and_not_one_for_each_request(
    postgres_app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    with broken.BlackHole() as hole:
        config = postgres_app.config["CHARTER"]
        url = make_url(config.database_url).set(port=hole.port)
        app = create_app(replace(config, database_url=url.render_as_string(hide_password=False)))
        app.testing = False
        begun = time.monotonic()
        told(app.test_client().get("/ru/"))
        waited = time.monotonic() - begun
        assert 2 < waited < 6
        begun = time.monotonic()
        for _ in range(20):
            told(app.test_client().get("/ru/"))
        assert time.monotonic() - begun < 6, "twenty times three seconds, one after another, were sixty"
        assert hole.count <= 2


def test_a_lock_on_postgresql_is_waited_for_no_longer_than_on_sqlite(postgres_app: Flask) -> None:
    app = postgres_app
    browser, fields = filled(app)
    address = make_url(app.config["CHARTER"].database_url).set(drivername="postgresql")
    with psycopg.connect(address.render_as_string(hide_password=False)) as other:
        other.execute("LOCK TABLE signature")
        begun = time.monotonic()
        assert "Оспанова" in told(send(browser, fields))
        assert 0.3 < time.monotonic() - begun < 5
    assert send(browser, fields).status_code == 303


def test_only_requests_are_limited_and_only_for_their_transaction(postgres_app: Flask) -> None:
    app = postgres_app
    seen = {}
    question = text(
        "SELECT setting::int FROM pg_settings WHERE name IN ('lock_timeout', 'statement_timeout') ORDER BY 1"
    )

    @operation
    def limits() -> list[int]:
        return list(db.session.scalars(question))

    @app.route("/probe")
    def probe() -> str:
        seen["reading"] = list(db.session.scalars(question))
        seen["writing"] = limits()
        return "ok"

    assert app.test_client().get("/probe").status_code == 200
    assert seen["reading"] == [400, 5000]
    lock_ms, work_ms = seen["writing"]
    assert 0 < lock_ms <= 400
    assert work_ms == lock_ms + 5000
    with app.app_context():
        assert limits() == [0, 0], "what the worker does may take its time, also on a connection a request had"


def test_a_server_that_became_a_standby_is_a_503_and_its_connections_are_given_up(
    postgres_app: Flask, server: broken.Server
) -> None:
    app = postgres_app
    browser, fields = filled(app)
    name = make_url(app.config["CHARTER"].database_url).database
    broken._ask(server.url, f'ALTER DATABASE "{name}" SET default_transaction_read_only = on')
    let_go(app)
    told(send(browser, fields))
    broken._ask(server.url, f'ALTER DATABASE "{name}" RESET default_transaction_read_only')
    # The connection of before would still be read-only.
    assert send(browser, fields).status_code == 303


# ── twenty at once ───────────────────────────────────────────────────────────────────────────────────────────────────


def hammer(app: Flask, stop: threading.Event, found: Counter[str], acknowledged: list[str], who: int) -> None:
    """Reads and signs until told to stop; whatever is neither an answer nor a 503 is kept in `found`."""
    lang = LANGUAGES[who % 3]
    place = 0
    fields: dict[str, str] = {}
    browser = Browser(app)
    while not stop.is_set():
        place += 1
        part = PUBLIC[(who + place) % len(PUBLIC)]
        answer = browser.client.get(f"/{lang}/{part}")
        found[f"GET {answer.status_code}"] += 1
        if answer.status_code == 200:
            found["wrong page"] += f'<html lang="{lang}">' not in answer.text
            found["cookie"] += "Set-Cookie" in answer.headers or "csrf_token" in answer.text
        if not fields:
            form = browser.client.get(f"/{lang}/sign/")
            if form.status_code == 200:
                _, fields = Page(browser, form, f"/{lang}/sign/").fields("sign-form")
            continue
        address = f"w{who}n{place}@example.org"
        sent = browser.client.post(f"/{lang}/sign/", data={**fields, **ANSWERS, "email": address})
        found[f"POST {sent.status_code}"] += 1
        if sent.status_code == 303:
            acknowledged.append(address)


def hammered(app: Flask, breaking: Callable[[], AbstractContextManager[object]]) -> None:
    """Twenty threads at work while the database goes away and comes back."""
    every(app)
    stop, found, acknowledged = threading.Event(), Counter[str](), list[str]()
    threads = [threading.Thread(target=hammer, args=(app, stop, found, acknowledged, who)) for who in range(20)]
    for thread in threads:
        thread.start()
    try:
        broken.wait_for(lambda: len(acknowledged) > 10)
        with breaking():
            broken.wait_for(lambda: found["POST 503"] > 20)
            begun = len(acknowledged)
        broken.wait_for(lambda: len(acknowledged) > begun + 10)
    finally:
        stop.set()
        for thread in threads:
            thread.join(30)
    with app.app_context():
        stored = set(db.session.scalars(select(Signature.email)))
    assert set(acknowledged) <= stored
    assert set(found) <= {"GET 200", "GET 503", "POST 303", "POST 503", "wrong page", "cookie"}, found
    assert found["wrong page"] == found["cookie"] == 0
    assert found["GET 503"] == 0, "all of these were in memory"


@pytest.mark.usefixtures("clock")
def test_twenty_at_once_meet_no_bug_while_the_file_goes_and_comes(
    sqlite_app: Flask, capsys: pytest.CaptureFixture[str]
) -> None:
    path = broken.sqlite_path(sqlite_app)
    hammered(sqlite_app, lambda: broken.moved_away(path))
    lines = capsys.readouterr().err
    assert "example.org" not in lines
    assert "Оспанова" not in lines
    assert '"bug"' not in lines


def test_twenty_at_once_meet_no_bug_while_the_server_goes_and_comes(
    postgres_app: Flask, server: broken.Server, capsys: pytest.CaptureFixture[str]
) -> None:
    @contextmanager
    def stopped() -> Iterator[None]:
        server.stop("immediate")
        try:
            yield
        finally:
            server.start()

    hammered(postgres_app, stopped)
    lines = capsys.readouterr().err
    assert "example.org" not in lines
    assert "Оспанова" not in lines
    assert '"bug"' not in lines
