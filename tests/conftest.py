"""What the tests stand on: one application per engine on a real database, the same suite on both, and a still clock."""

from __future__ import annotations

import functools
import gc
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import time_machine
from flask import Flask
from flask.testing import FlaskClient
from jinja2.bccache import Bucket, BytecodeCache
from sqlalchemy.util import LRUCache
from werkzeug.routing import Rule

from charter import assembly, cli, create_app, settings, worker
from charter.models.base import db
from tests.people import Desk, Observer
from tests.postgres import drop_database, fresh_database, postgres_database, postgres_url

__all__ = ["postgres_database", "postgres_url"]

#: When the instances of the tests were set up, and the day most stories happen on.
MONDAY = "2026-11-16T04:00:00Z"
FRIDAY = "2026-11-20T09:00:00Z"

MakeApp = Callable[..., Flask]


class Compiled(BytecodeCache):
    """Templates as compiled by an earlier application: each test has its own, and all have the same templates."""

    def __init__(self) -> None:
        self._kept: dict[str, bytes] = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        """From memory, if its source is still the same."""
        if bucket.key in self._kept:
            bucket.bytecode_from_string(self._kept[bucket.key])

    def dump_bytecode(self, bucket: Bucket) -> None:
        """Into memory."""
        self._kept[bucket.key] = bucket.bytecode_to_string()


# What each of some thousand applications would make anew: half of the time of most tests.
Flask.jinja_options = {"bytecode_cache": Compiled()}
assembly._build_digest = functools.cache(assembly._build_digest)
_compile = Rule._compile_builder
_builders: dict[tuple[object, ...], Any] = {}


def _compiled_once(rule: Rule, append_unknown: bool = True) -> Any:
    key = (rule.rule, rule.subdomain, tuple(rule._trace), repr(rule.defaults), tuple(rule._converters), append_unknown)
    if key not in _builders:
        _builders[key] = _compile(rule, append_unknown)
    return _builders[key]


Rule._compile_builder = _compiled_once  # type: ignore[method-assign,assignment]


class Statements(LRUCache[Any, Any]):
    """SQL as compiled for an earlier application with the same kind of database."""

    def get(self, key: Any, default: Any = None) -> Any:
        """By the name of the dialect in place of the dialect, which each engine has anew."""
        return super().get((key[0].name, *key[1:]), default)

    def __setitem__(self, key: Any, value: Any) -> None:
        super().__setitem__((key[0].name, *key[1:]), value)


_statements = Statements(5000)


def pytest_collection_finish(session: pytest.Session) -> None:
    """What is there before the first test stays to the end: nobody looks for garbage in it again and again."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)


def make_settings(instance: Path, **environ: str) -> settings.Settings:
    """Settings as an operator would give them, from nothing but these; what a batch published is seen at once."""
    environ.setdefault("public_recheck_ms", "0")
    # Who is tested here types faster than people.
    environ.setdefault("signing_least_seconds", "0")
    return settings.load(instance, {f"CHARTER_{name.upper()}": value for name, value in environ.items()})


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated and loaded instance, to be copied: migrating takes longer than most tests."""
    instance = tmp_path_factory.mktemp("template")
    app = create_app(make_settings(instance))
    with time_machine.travel(MONDAY, tick=True):
        cli.prepare(app)
        worker.run_once(app)
    with app.app_context():
        db.engine.dispose()
    return instance


@pytest.fixture(scope="session")
def postgres_instance(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the next one: its log has the key of the other one, and a guard of its own."""
    instance = tmp_path_factory.mktemp("template")
    shutil.copy(sqlite_template / "log.key", instance)
    return instance


@pytest.fixture(scope="session")
def postgres_template(postgres_url: str, postgres_instance: Path) -> Iterator[str]:
    """The same on PostgreSQL, as a database to copy."""
    url = fresh_database(postgres_url)
    app = create_app(make_settings(postgres_instance, database_url=url))
    with time_machine.travel(MONDAY, tick=True):
        cli.prepare(app)
        worker.run_once(app)
    with app.app_context():
        db.engine.dispose()
    yield url
    drop_database(url)


def change_log(instance: Path, other: Path) -> None:
    """Lets a copied folder know the log of `other`, whose database it will have, and no longer its own."""
    shutil.rmtree(instance / "backups")
    shutil.copy(other / "log.guard", instance)


@pytest.fixture(params=["sqlite", "postgresql"])
def engine_name(request: pytest.FixtureRequest) -> str:
    """Both engines, one after the other."""
    name: str = request.param
    return name


@pytest.fixture
def make_app(engine_name: str, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[MakeApp]:
    """Builds the application on a fresh, loaded database of this engine; keywords are settings."""
    instance = tmp_path / "instance"
    shutil.copytree(request.getfixturevalue("sqlite_template"), instance)
    url = ""
    if engine_name == "postgresql":
        (instance / "charter.db").unlink()
        template = request.getfixturevalue("postgres_template").rpartition("/")[2].partition("?")[0]
        change_log(instance, request.getfixturevalue("postgres_instance"))
        url = fresh_database(request.getfixturevalue("postgres_url"), template=template)
    apps: list[Flask] = []

    def make(**given: str) -> Flask:
        if url:
            given["database_url"] = url
        app = create_app(make_settings(instance, **given))
        app.testing = False
        with app.app_context():
            for engine in db.engines.values():
                engine._compiled_cache = _statements
        apps.append(app)
        return app

    yield make
    for app in apps:
        with app.app_context():
            db.session.remove()
            db.engine.dispose()
    if url:
        drop_database(url)


@pytest.fixture
def app(make_app: MakeApp) -> Flask:
    """The application with nothing set but its instance."""
    return make_app()


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    """A browser without script and without cookies yet."""
    return app.test_client()


@pytest.fixture
def clock() -> Iterator[time_machine.Traveller]:
    """Friday the 20th of November 2026, 14:00 in Astana, and ticking on from there."""
    with time_machine.travel(FRIDAY, tick=True) as travelled:
        yield travelled


@pytest.fixture
def observer(app: Flask, clock: time_machine.Traveller) -> Observer:
    """Amina, who signs."""
    return Observer(app)


@pytest.fixture
def desk(app: Flask, clock: time_machine.Traveller) -> Desk:
    """Bruno, who reviews."""
    return Desk(app, "Bruno", "bruno@example.org")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """All journeys on one worker, to share a browser."""
    for item in items:
        if "journeys" in item.path.parts:
            item.add_marker(pytest.mark.xdist_group("browser"))


@pytest.hookimpl(optionalhook=True)
def pytest_handlecrashitem(crashitem: str, sched: Any) -> None:
    """A test that hung until its process was ended has failed: no other process tries it once more."""
    for scope, tests in list(sched.workqueue.items()):
        tests.pop(crashitem, None)
        # Nor waits for what was done already, which comes back with it.
        if all(tests.values()):
            del sched.workqueue[scope]
    for node in list(sched.assigned_work):
        sched._reschedule(node)


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """With CI=true nothing may be skipped: a skipped test there is a failed run."""
    if os.environ.get("CI") != "true" or hasattr(session.config, "workerinput"):
        return
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if reporter is not None and reporter.stats.get("skipped"):
        session.exitstatus = 1


# Last: these build their world with what stands above.
from tests.house.sockets import only_here  # noqa: E402
from tests.house.told import told_postgresql, told_sqlite, world  # noqa: E402

__all__ += ["only_here", "told_postgresql", "told_sqlite", "world"]
