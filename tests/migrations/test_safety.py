"""A migration happens once, whole or not at all, and never in anybody's way for long."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import sqlalchemy as sa
from flask import Flask
from sqlalchemy import text

from charter import cli, migrating
from charter.models.base import db
from tests.migrations.released import RELEASES, content, load, tables, writable
from tests.service import ROOT, clean_environment

#: Starts as many processes as asked; all of them prepare at the same moment.
TOGETHER = """
import os, sys
from charter import cli, create_app
count = int(sys.argv[1])
reading, writing = os.pipe()
children = []
for _ in range(count):
    child = os.fork()
    if not child:
        os.close(writing)
        os.read(reading, 1)
        try:
            cli.prepare(create_app())
        except BaseException as error:
            print(repr(error), file=sys.stderr, flush=True)
            os._exit(1)
        os._exit(0)
    children.append(child)
os.close(writing)
sys.exit(sum(os.waitpid(child, 0)[1] != 0 for child in children))
"""

STEP = """
import sqlalchemy as sa
from alembic import op

revision = "9999"
down_revision = "{before}"


def upgrade():
    {steps}


def downgrade():
    raise NotImplementedError
"""


@pytest.mark.parametrize(("count", "release"), [(5, None), (2, RELEASES[0])])
def test_any_number_of_starts_at_once_migrate_once(empty_app: Flask, count: int, release: str | None) -> None:
    settings = empty_app.config["CHARTER"]
    if release:
        load(empty_app, release)
    environ = clean_environment(settings.instance_path) | {"CHARTER_DATABASE_URL": settings.database_url}
    done = subprocess.run(
        [sys.executable, "-c", TOGETHER, str(count)],
        cwd=ROOT,
        env=environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    with empty_app.app_context():
        assert migrating.pending() == []
    found = content(empty_app)
    assert len(found["region"]) == 21
    assert len(found["edition"]) == 1


def with_step(app: Flask, folder: Path, *steps: str) -> None:
    """The migrations of this code, and one more, as they would be deployed."""
    copy = folder / "migrations"
    shutil.copytree(app.extensions["migrate"].directory, copy)
    env = copy / "env.py"
    env.write_text(re.sub(r"(_LOCK_TIMEOUT_MS = )[\d_]+", r"\g<1>200", env.read_text()))
    with app.app_context():
        before = migrating.known()[-1]
    lines = "\n    ".join(steps)
    (copy / "versions" / "9999_next.py").write_text(STEP.format(before=before, steps=lines))
    app.extensions["migrate"].directory = str(copy)


def looks(app: Flask) -> object:
    """Schema, triggers, indexes and rows."""
    with writable(app) as connection:
        if connection.dialect.name == "sqlite":
            made = connection.execute(text("SELECT type, name, sql FROM sqlite_master ORDER BY type, name")).all()
        else:
            made = connection.execute(text("SELECT tgname FROM pg_trigger ORDER BY tgname")).all()
        columns = {name: [str(column.type) for column in table.columns] for name, table in tables(connection).items()}
        version = connection.execute(text("SELECT version_num FROM alembic_version")).all()
    return made, columns, version, content(app)


ADDS_A_COLUMN = 'op.add_column("message", sa.Column("note", sa.String(9), nullable=True))'
COPIES_A_TABLE = (
    'with op.batch_alter_table("audit", recreate="always") as batch:\n'
    '        batch.add_column(sa.Column("note", sa.String(9), nullable=True))'
)


@pytest.mark.parametrize("release", RELEASES)
def test_a_migration_that_fails_half_way_leaves_everything_as_it_was(
    empty_app: Flask, release: str, tmp_path: Path
) -> None:
    app = empty_app
    load(app, release)
    before = looks(app)
    with_step(
        app,
        tmp_path,
        ADDS_A_COLUMN,
        'op.create_table("half", sa.Column("id", sa.Integer, primary_key=True))',
        "op.execute(\"UPDATE message SET language = 'kk'\")",
        'with op.batch_alter_table("staff_session", recreate="always") as batch:',
        '    batch.add_column(sa.Column("note", sa.String(9), nullable=True))',
        'op.execute("INSERT INTO nowhere VALUES (1)")',
    )
    with pytest.raises(sa.exc.DBAPIError, match="nowhere"):
        migrating.migrate(app)
    # Also the steps before it: all that was pending is one transaction.
    assert looks(app) == before
    # And the connection that it used is as any other.
    with writable(app) as connection, pytest.raises(sa.exc.IntegrityError):
        connection.execute(text("INSERT INTO staff_session VALUES (99, 'x', 99, '2026-01-01', '2026-01-01', NULL)"))
    with app.app_context():
        db.engine.dispose()


@pytest.mark.parametrize("engine_name", ["sqlite"], indirect=True)
def test_a_migration_that_would_lose_a_trigger_is_refused(empty_app: Flask, tmp_path: Path) -> None:
    cli.prepare(empty_app)
    before = looks(empty_app)
    with_step(empty_app, tmp_path, COPIES_A_TABLE)
    with pytest.raises(migrating.MigrationError, match="nothing was changed"):
        migrating.migrate(empty_app)
    assert looks(empty_app) == before


@pytest.mark.parametrize("engine_name", ["postgresql"], indirect=True)
def test_a_migration_gives_way_to_a_long_reader_and_comes_again(
    empty_app: Flask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cli.prepare(empty_app)
    with_step(empty_app, tmp_path, ADDS_A_COLUMN)
    monkeypatch.setattr(migrating, "PAUSE_SECONDS", 0.1)
    monkeypatch.setattr(migrating, "ATTEMPTS", 2)
    with empty_app.app_context():
        reader = db.engine.connect()
    reader.execute(text("SELECT count(*) FROM message"))
    with pytest.raises(migrating.MigrationError, match="others hold what has to be changed"):
        migrating.migrate(empty_app)
    with empty_app.app_context():
        assert migrating.pending() == ["9999"]
    monkeypatch.setattr(migrating, "ATTEMPTS", 20)
    leaving = threading.Timer(0.5, reader.close)
    leaving.start()
    migrating.migrate(empty_app)
    leaving.join()
    with empty_app.app_context():
        assert migrating.pending() == []


def test_a_deploy_script_can_ask_what_is_pending(empty_app: Flask) -> None:
    runner = empty_app.test_cli_runner()
    asked = runner.invoke(args=["prepare", "--check"])
    assert asked.exit_code == 1
    assert asked.output.startswith(f"Pending: {RELEASES[0]}")
    with empty_app.app_context():
        assert migrating.standing() == "not migrated"
    assert runner.invoke(args=["prepare"]).exit_code == 0
    asked = runner.invoke(args=["prepare", "--check"])
    assert (asked.exit_code, asked.output) == (0, "Nothing is pending (schema: ok).\n")
