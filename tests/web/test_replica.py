"""A real primary and a real streaming replica: which reads go where, and what happens when the replica fails."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest
import time_machine
from flask import Flask
from sqlalchemy import event, text
from sqlalchemy.engine import make_url
from time_machine import Traveller as Clock

from charter import cli, create_app, worker
from charter.models.base import REPLICA, db, from_replica, writing
from charter.operations.unit import operation
from charter.queries import replica as routing
from tests.conftest import MONDAY, make_settings
from tests.pages import Browser
from tests.people import Desk, Observer, work
from tests.postgres import _free_port, drop_database, fresh_database
from tests.scaled import Replica, ask, replica

__all__ = ["replica"]

pytestmark = pytest.mark.xdist_group("scaled")

NAME = "Әмина Серікқызы Оспанова"
PUBLIC = ("/kk/", "/ru/charter/", "/en/about/", "/ru/registry/", "/kk/registry/almaty/", "/ru/privacy/")


class Seen(NamedTuple):
    """Statements by the server they went to."""

    primary: list[str]
    replica: list[str]


@pytest.fixture(scope="module")
def template(replica: Replica, sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The name of a migrated and loaded database on the primary; its log has the key of the other template."""
    url = fresh_database(replica.primary)
    instance = tmp_path_factory.mktemp("template")
    shutil.copy(sqlite_template / "log.key", instance)
    app = create_app(make_settings(instance, database_url=url))
    with time_machine.travel(MONDAY, tick=True):
        cli.prepare(app)
        worker.run_once(app)
    let_go(app)
    return str(make_url(url).database)


@pytest.fixture
def urls(replica: Replica, template: str) -> Iterator[tuple[str, str]]:
    """A loaded database of this test's own: its address on the primary, and on the replica, which has caught up."""
    url = fresh_database(replica.primary, template=template)
    replica.catch_up()
    yield url, replica.of(url)
    drop_database(url)


@pytest.fixture
def app(urls: tuple[str, str], sqlite_template: Path, tmp_path: Path) -> Iterator[Flask]:
    (tmp_path / "instance").mkdir()
    shutil.copy(sqlite_template / "log.key", tmp_path / "instance")
    app = create_app(make_settings(tmp_path / "instance", database_url=urls[0], database_replica_url=urls[1]))
    yield app
    let_go(app)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every request looks at the replica, and none lets it rest."""
    monkeypatch.setattr(routing, "LOOK_SECONDS", 0.0)
    monkeypatch.setattr(routing, "REST_SECONDS", 0.0)


def let_go(app: Flask) -> None:
    with app.app_context():
        db.session.remove()
        for engine in db.engines.values():
            engine.dispose()


@contextmanager
def seen(app: Flask) -> Iterator[Seen]:
    """What reaches each of the two servers meanwhile."""
    found = Seen([], [])
    with app.app_context():
        engines = dict(db.engines)
    # Not inside the application's context: requests would share it, and with it their session.
    with ExitStack() as stack:
        for key, kept in ((None, found.primary), (REPLICA, found.replica)):

            def note(
                _connection: object, _cursor: object, statement: str, *_more: object, to: list[str] = kept
            ) -> None:
                to.append(statement)

            event.listen(engines[key], "before_cursor_execute", note)
            stack.callback(event.remove, engines[key], "before_cursor_execute", note)
        yield found


def reads_at(app: Flask, path: str) -> tuple[int, int]:
    """How many SELECTs one page sends to the primary, and to the replica."""
    with seen(app) as found:
        assert app.test_client().get(path).status_code == 200, path
    count = [sum(one.lstrip().upper().startswith("SELECT") for one in side) for side in found]
    return count[0], count[1]


# ── which reads go where ─────────────────────────────────────────────────────────────────────────────────────────────


def test_public_pages_read_from_the_replica_alone(app: Flask, replica: Replica) -> None:
    with app.app_context(), db.engines[REPLICA].connect() as connection:
        assert connection.execute(text("SELECT pg_is_in_recovery()")).scalar_one()
    reads_at(app, "/ru/")  # the first looks whether the replica is behind, at both
    for path in PUBLIC:
        at_primary, at_replica = reads_at(app, path)
        assert at_primary == 0, path
        assert at_replica > 0, path


#: What depends on the build and the settings alone.
FROM_NO_DATABASE = {"api.openapi"}


def test_every_page_that_anybody_may_cache_is_one_that_reads_there(app: Flask) -> None:
    reads_at(app, "/ru/")
    for rule in app.url_map.iter_rules():
        if "GET" not in (rule.methods or ()) or rule.arguments - {"lang"} or rule.endpoint.startswith("dev_mail"):
            continue
        with seen(app) as found:
            answer = app.test_client().get(rule.rule.replace("<lang:lang>", "ru"))
        if rule.endpoint in FROM_NO_DATABASE:
            assert not found.replica, rule.rule
            assert not found.primary, rule.rule
            continue
        is_public = "public" in answer.headers.get("Cache-Control", "") and answer.status_code == 200
        assert bool(found.replica) == is_public, rule.rule
        if is_public:
            assert not found.primary, rule.rule


def test_signing_and_what_follows_reads_its_own_writes_at_the_primary(
    app: Flask, replica: Replica, clock: Clock
) -> None:
    desk = Desk(app, "Bruno", "bruno@example.org")
    amina = Observer(app)
    replica.catch_up()
    replica.pause()
    try:
        with seen(app) as found:
            mine = amina.sign_and_confirm()
            assert NAME in mine.main
            assert NAME in amina.browser.get(mine.url).main
            dossier = desk.open_first()
            assert NAME in dossier.main
            desk.decide(dossier, "approve")
            clock.shift(11)
            work(app)
        assert found.replica == []
        assert any("INSERT INTO signature" in one for one in found.primary)
    finally:
        replica.resume()
    replica.catch_up()
    assert NAME in Browser(app).get("/ru/registry/").main


def test_an_operation_goes_to_the_primary_even_from_inside_a_public_page(app: Flask) -> None:
    @operation
    def where() -> bool:
        return bool(db.session.execute(text("SELECT pg_is_in_recovery()")).scalar_one())

    with app.test_request_context(), from_replica():
        assert db.session.execute(text("SELECT pg_is_in_recovery()")).scalar_one()
        assert not where()
        with writing():
            assert db.session.get_bind() is db.engine


# ── a replica that cannot be relied upon ─────────────────────────────────────────────────────────────────────────────


def test_a_withdrawn_name_leaves_the_pages_when_it_is_replayed_or_the_replica_is_too_late(
    app: Flask, replica: Replica, clock: Clock, quick: None
) -> None:
    desk, amina = Desk(app, "Bruno", "bruno@example.org"), Observer(app)
    mine = amina.sign_and_confirm()
    desk.decide(desk.open_first(), "approve")
    clock.shift(11)
    work(app)
    replica.catch_up()
    assert NAME in Browser(app).get("/ru/registry/").main
    assert routing_is_well(app)
    replica.pause()
    try:
        asked = amina.browser.get(mine.href("/withdraw"))
        asked.submit(at="/withdraw")
        work(app)
        # The first page after the batch may still be the replica's: it holds what the primary held before.
        Browser(app).get("/ru/registry/")
        assert NAME not in Browser(app).get("/ru/registry/").main, "the primary answers for a replica that is behind"
        assert not routing_is_well(app)
    finally:
        replica.resume()
    replica.catch_up()
    with seen(app) as found:
        assert NAME not in Browser(app).get("/ru/registry/").main
    assert found.replica
    assert routing_is_well(app)


def test_without_its_replica_a_page_comes_from_the_primary_at_once_and_goes_back_later(
    app: Flask, replica: Replica, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads_at(app, "/ru/")
    replica.stop()
    try:
        begun = time.monotonic()
        for path in PUBLIC:
            at_primary, at_replica = reads_at(app, path)
            assert at_primary > 0, path
            assert at_replica == 0, path
        assert time.monotonic() - begun < 3
        with seen(app) as found:
            app.test_client().get("/ru/")
        assert not routing_is_well(app)
        assert found.primary
    finally:
        replica.start()
    monkeypatch.setattr(routing, "LOOK_SECONDS", 0.0)
    monkeypatch.setattr(routing.time, "monotonic", lambda: time.perf_counter() + 10**6)
    app.test_client().get("/ru/")
    assert routing_is_well(app)
    assert reads_at(app, "/ru/")[1] > 0


def test_a_query_that_replay_cancels_is_asked_again_at_the_primary(app: Flask, replica: Replica) -> None:
    """PostgreSQL, Hot Standby: a snapshot that still needs what VACUUM removed is cancelled, 40001."""
    with app.app_context():
        primary = db.engine.url.render_as_string(hide_password=False)
    ask(primary, "CREATE TABLE spare AS SELECT 1 AS n FROM generate_series(1, 1000)")
    replica.catch_up()
    answered = []

    def read() -> bool:
        db.session.execute(text("SELECT count(*) FROM spare")).scalar_one()
        answered.append(bool(db.session.execute(text("SELECT pg_is_in_recovery()")).scalar_one()))
        if len(answered) == 1:
            ask(primary, "DELETE FROM spare")
            ask(primary, "VACUUM spare")
            replica.catch_up()
        db.session.execute(text("SELECT count(*) FROM spare")).scalar_one()
        return answered[-1]

    with app.test_request_context():
        assert routing.read_public(read) is False
        assert answered == [True, False]
        assert routing.is_well(), "one cancelled query is no reason to leave the replica alone"


def test_without_its_primary_the_replica_still_shows_the_registry(urls: tuple[str, str], tmp_path: Path) -> None:
    gone = make_url(urls[0]).set(port=_free_port()).render_as_string(hide_password=False)
    app = create_app(make_settings(tmp_path / "instance", database_url=gone, database_replica_url=urls[1]))
    for path in PUBLIC:
        assert app.test_client().get(path).status_code == 200, path
    assert app.test_client().get("/ru/sign/").status_code == 503
    let_go(app)


def test_without_a_replica_nothing_is_routed(urls: tuple[str, str], tmp_path: Path) -> None:
    app = create_app(make_settings(tmp_path / "instance", database_url=urls[0]))
    with app.app_context():
        assert set(db.engines) == {None}
        assert routing.is_well() is None
    assert app.test_client().get("/ru/").status_code == 200
    let_go(app)


def routing_is_well(app: Flask) -> bool:
    with app.app_context():
        return routing.is_well() is True
