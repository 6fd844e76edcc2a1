"""Processes are replaced one by one: new code beside the schema before, old code beside the schema after."""

from __future__ import annotations

import re
import sqlite3
from typing import Any

import psycopg
import pytest
import time_machine
from flask import Flask
from flask_migrate import upgrade
from sqlalchemy import text

from charter import cli, migrating
from charter.models.base import db, writing
from charter.queries import schema
from charter.web.staff import factors
from tests.conftest import FRIDAY
from tests.migrations.released import FOLDER, RELEASES, load
from tests.migrations.story import read_everything, tell

#: Doors to what only the newest schema can keep: until it is there they say so (503), and nothing else may.
ONLY_NEWEST: dict[str, int] = {}


def test_new_code_tells_its_whole_story_one_step_behind(empty_app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(factors, "ARGON2", {"memory_cost": 64, "time_cost": 1, "parallelism": 1})
    with empty_app.app_context():
        before = migrating.known()[-2]
        upgrade(revision=before)
        cli.load(empty_app.config["CHARTER"])
    with time_machine.travel(FRIDAY, tick=True) as clock:
        world = tell(empty_app, clock)
        registry = world.stranger().get("/ru/registry/").main
        assert "Әмина Серікқызы Оспанова" in registry and "Мария" not in registry
        worst = read_everything(world)
    assert {endpoint: status for endpoint, status in worst.items() if status >= 500} == ONLY_NEWEST
    ready = empty_app.test_client().get("/readyz")
    assert (ready.status_code, ready.json["schema"]) == (200, "one step behind: migrate")


@pytest.mark.parametrize("release", RELEASES)
def test_every_statement_of_a_release_is_understood_by_the_newest_schema(
    empty_app: Flask, engine_name: str, release: str
) -> None:
    with empty_app.app_context():
        upgrade()
    assert refused(empty_app, engine_name, release) == []


def test_a_statement_about_something_that_is_gone_is_found(empty_app: Flask, engine_name: str) -> None:
    with empty_app.app_context():
        upgrade()
        with writing(), db.engine.connect() as connection:
            connection.execute(text("ALTER TABLE message RENAME COLUMN last_error TO last_code"))
            connection.commit()
    found = refused(empty_app, engine_name, RELEASES[0])
    assert len(found) >= 3 and all("last_error" in one for one in found)


def refused(app: Flask, engine: str, release: str) -> list[str]:
    """Those statements of a release that the database no longer takes; none is carried out."""
    statements = (FOLDER / f"{release}_statements_{engine}.txt").read_text(encoding="utf-8").splitlines()
    assert len(statements) > 100
    found = []
    with app.app_context(), db.engine.connect() as connection:
        driver: Any = connection.connection.driver_connection
        for statement in statements:
            try:
                if engine == "sqlite":
                    driver.execute(f"EXPLAIN {statement}", [None] * statement.count("?"))
                else:
                    driver.execute(f"PREPARE one AS {numbered(statement)}")
                    driver.execute("DEALLOCATE one")
            except (sqlite3.Error, psycopg.Error) as error:
                found.append(f"{error}: {statement}")
                driver.rollback()
    return found


def numbered(statement: str) -> str:
    """`%(name)s` as `$1`, the same name as the same number."""
    names: list[str] = []

    def number(found: re.Match[str]) -> str:
        if found[0] == "%%":
            return "%"
        if found[1] not in names:
            names.append(found[1])
        return f"${names.index(found[1]) + 1}"

    return re.sub(r"%%|%\((\w+)\)s", number, statement)


@pytest.mark.parametrize(
    ("wanted_status", "wanted_word", "revision"),
    [
        (200, "ok", -1),
        (200, "one step behind: migrate", -2),
        (200, "newer than this code", "9999"),
        (503, "not migrated", None),
    ],
)
def test_readiness_knows_what_this_code_can_work_on(
    app: Flask, wanted_status: int, wanted_word: str, revision: int | str | None
) -> None:
    with app.app_context():
        stands = migrating.known()[revision] if isinstance(revision, int) else revision
        with writing(), db.engine.connect() as connection:
            connection.execute(text("DELETE FROM alembic_version"))
            if stands:
                connection.execute(text("INSERT INTO alembic_version VALUES (:it)"), {"it": stands})
            connection.commit()
    ready = app.test_client().get("/readyz")
    assert (ready.status_code, ready.json["schema"]) == (wanted_status, wanted_word)


def test_further_behind_is_not_ready() -> None:
    known = ("a", "b", "c")
    assert [schema.standing(one, known=known) for one in (*known, "d", None)] == [
        "not migrated",
        "one step behind: migrate",
        "ok",
        "newer than this code",
        "not migrated",
    ]


@pytest.mark.parametrize("release", RELEASES)
def test_old_code_that_is_told_to_prepare_leaves_a_newer_schema_alone(empty_app: Flask, release: str) -> None:
    load(empty_app, release)
    # A newer schema has all that this code knows, and more.
    with empty_app.app_context():
        upgrade()
    with empty_app.app_context(), writing(), db.engine.connect() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
        connection.commit()
    cli.prepare(empty_app)
    with empty_app.app_context():
        assert migrating.pending() == []
