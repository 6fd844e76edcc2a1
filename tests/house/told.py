"""A world for every test that needs people in it: told once for each engine, then copied."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import pytest
import time_machine
from flask import Flask

from charter import create_app
from charter.models.base import db
from tests.conftest import FRIDAY, change_log, make_settings
from tests.house.world import Memory, World
from tests.postgres import drop_database, fresh_database


@dataclass(frozen=True)
class Told:
    """A world that was told: its folder, its database on PostgreSQL, and what its people remember."""

    instance: Path
    database_url: str
    memory: Memory
    at: datetime


def _copied(url: str, server: str) -> str:
    return fresh_database(server, template=url.rpartition("/")[2].partition("?")[0]) if url else ""


def _app(instance: Path, url: str) -> Flask:
    app = create_app(make_settings(instance, **({"database_url": url} if url else {})))
    app.testing = False
    return app


def _let_go(app: Flask) -> None:
    with app.app_context():
        db.session.remove()
        db.engine.dispose()


def _tell(engine: str, request: pytest.FixtureRequest, folder: Path) -> Told:
    instance, url = folder / "instance", ""
    shutil.copytree(request.getfixturevalue("sqlite_template"), instance)
    if engine == "postgresql":
        (instance / "charter.db").unlink()
        url = _copied(request.getfixturevalue("postgres_template"), request.getfixturevalue("postgres_url"))
        change_log(instance, request.getfixturevalue("postgres_instance"))
    app = _app(instance, url)
    with time_machine.travel(FRIDAY, tick=True) as clock:
        world = World(app, clock)
        world.tell()
        told = Told(instance, url, world.memory(), datetime.now().astimezone())
    _let_go(app)
    return told


@pytest.fixture(scope="session")
def told_sqlite(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Told:
    """Told on SQLite."""
    return _tell("sqlite", request, tmp_path_factory.mktemp("world"))


@pytest.fixture(scope="session")
def told_postgresql(
    request: pytest.FixtureRequest, postgres_template: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Told]:
    """Told on PostgreSQL."""
    told = _tell("postgresql", request, tmp_path_factory.mktemp("world"))
    yield told
    drop_database(told.database_url)


@pytest.fixture
def world(engine_name: str, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    """Somebody in every state, in a database of its own."""
    told: Told = request.getfixturevalue(f"told_{engine_name}")
    instance = tmp_path / "instance"
    shutil.copytree(told.instance, instance)
    url = _copied(told.database_url, request.getfixturevalue("postgres_url")) if told.database_url else ""
    app = _app(instance, url)
    with time_machine.travel(told.at, tick=True) as clock:
        yield World(app, clock, told.memory)
    _let_go(app)
    if url:
        drop_database(url)
