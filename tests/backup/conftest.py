"""A machine that is backed up, and empty ones to restore it on."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from flask import Flask

from charter import create_app, leaves_file
from charter.backup import making, postgres, restoring, sealing
from charter.backup.errors import BackupError
from charter.models.base import db
from charter.settings import Settings
from tests.conftest import make_settings
from tests.postgres import drop_database, fresh_database

NewMachine = Callable[..., Settings]


@pytest.fixture(autouse=True)
def postgres_programs(request: pytest.FixtureRequest) -> None:
    """Backups of PostgreSQL need its programs: without them a test is skipped, and fails with CI=true."""
    if "engine_name" not in request.fixturenames or request.getfixturevalue("engine_name") != "postgresql":
        return
    try:
        for name in ("pg_dump", "pg_restore"):
            postgres.find_program(name)
    except BackupError as missing:
        if os.environ.get("CI") == "true":
            pytest.fail(f"needed with CI=true: {missing}", pytrace=False)
        pytest.skip(f"NO POSTGRESQL PROGRAMS: {missing}")


@pytest.fixture(scope="session")
def key_pair(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The file with the secret key, and the public one."""
    secret, public = sealing.make_identity()
    path = tmp_path_factory.mktemp("keys") / "key.txt"
    path.write_text(f"# of the tests\n\n{secret}\n")
    return path, public


@pytest.fixture
def new_machine(engine_name: str, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[NewMachine]:
    """Makes an empty instance with the keys and the leaves file of another one, as an operator would."""
    urls: list[str] = []

    def make(lost: Settings, *, with_leaves: bool = True) -> Settings:
        instance = tmp_path / f"new{len(list(tmp_path.glob('new*')))}"
        instance.mkdir()
        shutil.copy(lost.instance_path / "secret_key", instance)
        shutil.copy(lost.instance_path / "log.key", instance)
        given = {}
        if engine_name == "postgresql":
            urls.append(fresh_database(request.getfixturevalue("postgres_url")))
            given["database_url"] = urls[-1]
        found = make_settings(instance, **given)
        found.backup_path.mkdir(mode=0o700)
        if with_leaves:
            shutil.copy(leaves_file.path_of(lost), found.backup_path)
        return found

    yield make
    for url in urls:
        drop_database(url)


def settings_of(app: Flask) -> Settings:
    """The settings an application was made with."""
    found: Settings = app.config["CHARTER"]
    return found


def now() -> datetime:
    """As the code under test is told it."""
    return datetime.now(UTC)


def back_up(app: Flask, **given: object) -> Path:
    """The path of a new backup; keywords replace settings."""
    with app.app_context():
        return making.make(replace(settings_of(app), **given), now=now()).path  # type: ignore[arg-type]


def restore(backup: Path, settings: Settings, identity: Path | None = None, *, is_key_new: bool = False) -> str:
    """Restores into an instance and returns the report."""
    said: list[str] = []
    done = restoring.restore(
        backup,
        identity=identity,
        settings=settings,
        make_app=create_app,
        is_key_new=is_key_new,
        now=now(),
        say=said.append,
    )
    assert said
    assert done.path.read_text() == done.text
    return done.text


@pytest.fixture
def open_machine() -> Iterator[Callable[[Settings], Flask]]:
    """Assembles the application of an instance, and lets its database go afterwards."""
    apps: list[Flask] = []

    def make(settings: Settings) -> Flask:
        apps.append(create_app(settings))
        apps[-1].testing = False
        return apps[-1]

    yield make
    for app in apps:
        with app.app_context():
            db.session.remove()
            db.engine.dispose()


@pytest.fixture(autouse=True)
def _process_as_before() -> Iterator[None]:
    """The commands set the umask and the signals of their process, which here is that of all tests."""
    umask = os.umask(0)
    os.umask(umask)
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP)}
    yield
    os.umask(umask)
    for number, handler in handlers.items():
        signal.signal(number, handler)
