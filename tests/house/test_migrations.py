"""Migrations and models say the same, in both directions, on both engines; what is append-only stays so."""

from __future__ import annotations

import importlib
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from flask import Flask
from flask_migrate import downgrade, upgrade
from sqlalchemy import CheckConstraint, inspect, text
from sqlalchemy.exc import DBAPIError

from charter import create_app, migrating
from charter.models.base import SEARCH_TABLES, Base, db, writing
from tests.conftest import make_settings
from tests.house.world import World, dump

APPEND_ONLY: tuple[str, ...] = sum(
    (
        importlib.import_module(f"charter.migrations.versions.{name}").APPEND_ONLY
        for name in ("0001_first_release", "0005_log_tree")
    ),
    (),
)


@pytest.fixture
def empty_app(engine_name: str, request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    """An application on a database without any table."""
    given = {}
    if engine_name == "postgresql":
        given["database_url"] = request.getfixturevalue("postgres_database")
    app = create_app(make_settings(tmp_path / "empty", **given))
    yield app
    with app.app_context():
        db.session.remove()
        db.engine.dispose()


def is_described(name: str | None, _kind: str, _parents: Any) -> bool:
    """The search index has no model: each engine has its own."""
    return SEARCH_TABLES not in (name or "")


def differences(app: Flask) -> list[Any]:
    with app.app_context(), db.engine.connect() as connection:
        opts = {"compare_type": True, "compare_server_default": True, "include_name": is_described}
        context = MigrationContext.configure(connection, opts=opts)
        return list(compare_metadata(context, Base.metadata))


def checks(app: Flask) -> dict[str, set[str]]:
    """Names of the CHECK constraints of each table, which the comparison does not look at."""
    with app.app_context():
        found = inspect(db.engine)
        return {name: {str(one["name"]) for one in found.get_check_constraints(name)} for name in Base.metadata.tables}


def declared_checks() -> dict[str, set[str]]:
    return {
        name: {str(one.name) for one in table.constraints if isinstance(one, CheckConstraint)}
        for name, table in Base.metadata.tables.items()
    }


def tables(app: Flask) -> set[str]:
    with app.app_context():
        return {name for name in inspect(db.engine).get_table_names() if is_described(name, "table", None)}


def test_up_gives_what_the_models_say_down_leaves_nothing_and_up_again_works(empty_app: Flask) -> None:
    for _ in range(2):
        with empty_app.app_context():
            upgrade()
        assert differences(empty_app) == []
        assert checks(empty_app) == declared_checks()
        assert tables(empty_app) == {*Base.metadata.tables, "alembic_version"}
        with empty_app.app_context():
            downgrade(revision="base")
            assert set(inspect(db.engine).get_table_names()) <= {"alembic_version"}
    assert len(declared_checks()["signature"]) >= 5


def test_the_revisions_are_known_without_alembic_which_web_server_and_worker_do_without(tmp_path: Path) -> None:
    app = create_app(make_settings(tmp_path / "any"))
    scripts = ScriptDirectory(app.extensions["migrate"].directory)
    with app.app_context():
        assert list(migrating.known()) == [one.revision for one in scripts.walk_revisions()][::-1]
    assert all(re.fullmatch(r"\d{4}", one) for one in migrating.revisions(scripts.dir))
    look = "import sys, charter; charter.create_app(); print(*{'alembic', 'flask_migrate', 'mako'} & set(sys.modules))"
    environ = {name: value for name, value in os.environ.items() if not name.startswith("CHARTER_")}
    environ |= {"CHARTER_INSTANCE_PATH": str(tmp_path / "other")}
    done = subprocess.run([sys.executable, "-c", look], env=environ, capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def test_developers_have_the_commands_of_alembic(empty_app: Flask) -> None:
    runner = empty_app.test_cli_runner()
    assert "revision" in runner.invoke(args=["db", "--help"]).output
    assert runner.invoke(args=["db", "upgrade"]).exit_code == 0
    with empty_app.app_context():
        assert migrating.pending() == []
    assert runner.invoke(args=["db", "check"]).exit_code == 0


@pytest.mark.parametrize(
    "befores", [("None", "None"), ('"0003"', '"0001"'), ("None", '"0009"')], ids=["two first", "circle", "gap"]
)
def test_migrations_that_are_not_one_chain_are_refused(tmp_path: Path, befores: tuple[str, str]) -> None:
    (tmp_path / "versions").mkdir()
    for number, before in enumerate(befores, 1):
        step = f'revision = "000{number}"\ndown_revision = {before}\n'
        (tmp_path / "versions" / f"000{number}.py").write_text(step)
    with pytest.raises(ValueError, match=r"chain|follow"):
        migrating.revisions(str(tmp_path))


def test_a_second_migration_of_a_present_database_changes_nothing(world: World) -> None:
    before = dump(world.app)
    with world.app.app_context():
        upgrade()
    assert dump(world.app) == before
    assert differences(world.app) == []


def test_every_table_that_promises_to_be_append_only_is_guarded() -> None:
    promised = {
        mapper.local_table.name  # type: ignore[attr-defined]
        for mapper in Base.registry.mappers
        if "append-only" in (mapper.class_.__doc__ or "").lower()
    }
    assert promised <= set(APPEND_ONLY)
    assert {"log_leaf", "log_batch", "audit", "signature_event", "signature_consent"} <= promised


@pytest.mark.parametrize("table", APPEND_ONLY)
def test_nothing_that_was_recorded_can_be_changed_or_removed(world: World, table: str) -> None:
    before = dump(world.app)
    assert before[table], "an empty table would let everything pass"
    column = next(iter(before[table][0]))
    last = list(before[table][0])[-1]
    attempts = [
        f'UPDATE {table} SET "{last}" = "{last}"',
        f'UPDATE {table} SET "{column}" = "{column}" WHERE "{column}" = (SELECT max("{column}") FROM {table})',
        f"DELETE FROM {table}",
    ]
    columns = ", ".join(f'"{name}"' for name in before[table][0])
    if world.app.config["CHARTER"].database_url.startswith("sqlite"):
        # REPLACE deletes the old row without firing its trigger, unless triggers are told to be recursive.
        attempts += [
            f"INSERT OR REPLACE INTO {table} ({columns}) SELECT {columns} FROM {table}",
            f"REPLACE INTO {table} ({columns}) SELECT {columns} FROM {table} LIMIT 1",
            f'UPDATE OR IGNORE {table} SET "{last}" = "{last}"',
            f'UPDATE OR REPLACE {table} SET "{last}" = "{last}"',
        ]
    else:
        attempts += [
            f"TRUNCATE {table}",
            f"TRUNCATE {table} CASCADE",
            f"TRUNCATE ONLY {table} RESTART IDENTITY CASCADE",
        ]
    key = ", ".join(f'"{one.name}"' for one in Base.metadata.tables[table].primary_key.columns)
    attempts.append(
        f"INSERT INTO {table} ({columns}) SELECT {columns} FROM {table} WHERE true"
        f' ON CONFLICT ({key}) DO UPDATE SET "{last}" = excluded."{last}"'
    )
    with world.app.app_context():
        for attempt in attempts:
            with writing(), pytest.raises(DBAPIError, match=r"append-only|cannot truncate"):
                db.session.execute(text(attempt))
            db.session.rollback()
    assert dump(world.app) == before


def test_a_parent_of_recorded_rows_cannot_be_emptied_over_their_heads(world: World) -> None:
    before = dump(world.app)
    verbs = ["DELETE FROM signature", "DELETE FROM edition"]
    if not world.app.config["CHARTER"].database_url.startswith("sqlite"):
        verbs += ["TRUNCATE signature CASCADE", "TRUNCATE edition CASCADE", "TRUNCATE staff CASCADE"]
    with world.app.app_context():
        for verb in verbs:
            with writing(), pytest.raises(DBAPIError):
                db.session.execute(text(verb))
            db.session.rollback()
    assert dump(world.app) == before


def test_outside_operations_the_database_itself_refuses_to_write(world: World) -> None:
    with world.app.app_context():
        for statement in (
            "UPDATE signature SET state = 'published'",
            "DELETE FROM message",
            "INSERT INTO rate_limit (key, count, expires_at) VALUES ('x', 1, '2026-01-01')",
            "CREATE TABLE planted (id INTEGER)",
        ):
            with pytest.raises(DBAPIError, match=r"(?i)read-?only"):
                db.session.execute(text(statement))
            db.session.rollback()
