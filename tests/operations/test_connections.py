"""How reads and writes use a connection: what is sent, what is kept ready, and when a server that left is noticed."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import psycopg
import pytest
from flask import Flask
from sqlalchemy import literal, select, text
from sqlalchemy.exc import DBAPIError

from charter.models import base
from charter.models.affiliation import Region
from charter.models.base import db, writing
from charter.models.breakdown import is_breakdown
from charter.operations.unit import operation
from charter.queries import registry
from tests.statements import statements

POSTGRESQL = pytest.mark.parametrize("engine_name", ["postgresql"], indirect=True)


def driver() -> Any:
    """The driver's connection of this context's session."""
    return db.session.connection().connection.driver_connection


def address_of(app: Flask) -> str:
    """Of its database, for somebody else."""
    with app.app_context():
        return db.engine.url.render_as_string(hide_password=False).replace("+psycopg", "")


def make_ready() -> None:
    """Asks so often that the driver has the server keep the statement."""
    for _ in range(driver().prepare_threshold + 2):
        registry.find_as_of()
        db.session.rollback()


def test_only_the_glance_goes_without_a_transaction() -> None:
    package = Path(base.__file__).parents[1]
    users = {
        path.relative_to(package).as_posix()
        for path in package.rglob("*.py")
        if re.search(r"base import .*\bALONE\b", path.read_text())
    }
    assert users == {"queries/registry.py"}


@pytest.mark.parametrize("engine_name", ["sqlite"], indirect=True)
def test_what_goes_without_a_transaction_cannot_write_on_sqlite(app: Flask) -> None:
    with app.app_context():
        with writing():
            db.session.execute(select(literal(1)))
            db.session.rollback()
        db.session.remove()
        with db.engine.connect() as connection, pytest.raises(DBAPIError, match="readonly"):
            connection.execution_options(**{base.ALONE: True}).execute(text("DELETE FROM message"))


def test_a_glance_opens_no_transaction(app: Flask) -> None:
    with statements(app) as seen, app.app_context():
        glanced = registry.glance_as_of()
        assert [one for one in seen if not one.startswith("PRAGMA")] == [seen[-1]], seen
        assert not any(statement.startswith("BEGIN") for statement in seen)
        assert glanced == registry.find_as_of()
        # The look of a whole page begins one.
        assert any(statement.startswith("BEGIN") for statement in seen)


def test_a_glance_can_change_nothing_that_lasts_beyond_it(app: Flask) -> None:
    with app.app_context():
        registry.glance_as_of()
        # Whoever gets the connection next is in a transaction of their own, which may not write.
        with db.engine.connect() as connection, pytest.raises(Exception, match=r"read-only|readonly"):
            connection.execute(text("DELETE FROM message"))


def test_what_reads_costs_one_message_more_than_its_statements(app: Flask) -> None:
    with app.app_context():
        # What a connection is told once.
        registry.find_as_of()
        db.session.rollback()
        with statements(app) as seen:
            registry.find_as_of()
            db.session.rollback()
    assert len(seen) == 2, seen


@POSTGRESQL
def test_what_reads_keeps_its_statements_ready(app: Flask) -> None:
    with app.app_context():
        make_ready()
        names = [name for (name,) in db.session.execute(text("SELECT name FROM pg_prepared_statements"))]
        assert names


@POSTGRESQL
def test_a_glance_begins_no_transaction_of_the_drivers_either(app: Flask) -> None:
    with app.app_context():
        # The first that a connection is used for: nothing else has told the driver to leave that to us.
        db.engine.dispose()
        for _ in range(10):
            registry.glance_as_of()
        # With a transaction it would have ended in a ROLLBACK, after which the driver forgets what it has made ready.
        names = [name for (name,) in db.session.execute(text("SELECT name FROM pg_prepared_statements"))]
        assert names


def test_what_fails_is_rolled_back(app: Flask) -> None:
    with app.app_context():
        with pytest.raises(Exception, match="no_such_table"):
            db.session.execute(text("SELECT * FROM no_such_table"))
        db.session.rollback()
        assert db.session.scalar(select(literal(1))) == 1


@operation
def _write_and_fail() -> None:
    db.session.execute(text("DELETE FROM edition_draft"))
    db.session.execute(text("UPDATE region SET slug = slug || '-x'"))
    raise ZeroDivisionError


def test_a_write_that_fails_leaves_nothing(app: Flask) -> None:
    with app.app_context():
        registry.find_as_of()
        with pytest.raises(ZeroDivisionError):
            _write_and_fail()
        assert not db.session.scalars(select(Region.slug).where(Region.slug.endswith("-x"))).all()


@POSTGRESQL
def test_a_server_that_ended_the_connections_is_noticed_before_a_page_is_lost(
    app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    with app.app_context():
        pid = db.session.scalar(text("SELECT pg_backend_pid()"))
        db.session.remove()
        with psycopg.connect(address_of(app), autocommit=True) as other:
            other.execute("SELECT pg_terminate_backend(%s)", (pid,))
        # Some time later.
        monkeypatch.setattr(base, "TRUSTED_SECONDS", 0.0)
        assert db.session.scalar(text("SELECT pg_backend_pid()")) != pid


@POSTGRESQL
def test_a_connection_that_answered_a_moment_ago_is_not_asked_again(
    app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[object] = []
    with app.app_context():
        dialect = db.engine.dialect
        real = dialect.do_ping

        def ask(connection: Any) -> bool:
            asked.append(connection)
            return real(connection)

        monkeypatch.setattr(dialect, "do_ping", ask)
        for _ in range(3):
            registry.find_as_of()
            db.session.remove()
        assert not asked
        monkeypatch.setattr(base, "TRUSTED_SECONDS", 0.0)
        registry.find_as_of()
        assert len(asked) == 1


@POSTGRESQL
def test_statements_made_ready_before_a_migration_are_not_in_the_way_after_it(app: Flask) -> None:
    with app.app_context():
        make_ready()
        with psycopg.connect(address_of(app), autocommit=True) as other:
            other.execute("ALTER TABLE log_batch ALTER revision TYPE integer")
        with pytest.raises(DBAPIError) as caught:
            registry.find_as_of()
        assert is_breakdown(caught.value)
        db.session.remove()
        assert registry.find_as_of() is not None


@POSTGRESQL
def test_vacuum_and_its_like_run_without_a_transaction(app: Flask) -> None:
    with app.app_context(), writing():
        with db.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.exec_driver_sql("VACUUM message")
        db.session.remove()
        # And whoever gets that connection afterwards has one again.
        with db.engine.connect() as connection:
            connection.exec_driver_sql("SELECT 1")
            assert connection.connection.driver_connection.info.transaction_status.name == "INTRANS"  # type: ignore[union-attr]
