"""PgBouncer in transaction mode between two applications and PostgreSQL: nothing may outlive a transaction."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest
from flask import Flask
from sqlalchemy import Connection, func, select, text
from sqlalchemy.exc import DBAPIError
from time_machine import Traveller as Clock

from charter import create_app
from charter.mail import RECEIPT_PAUSE
from charter.models.base import db
from charter.models.log import LogLeaf
from charter.models.outbox import Message
from charter.models.signature import Signature
from tests.conftest import make_settings
from tests.pages import Browser
from tests.people import Desk, Observer, work
from tests.postgres import drop_database, fresh_database
from tests.scaled import pgbouncer

#: Fewer than there are people at once, so that everybody is given somebody else's connection.
CONNECTIONS = 2
PEOPLE = 8


@pytest.fixture
def pooled_url(postgres_url: str, postgres_template: str) -> Iterator[str]:
    """A loaded database, reached through PgBouncer."""
    template = postgres_template.rpartition("/")[2].partition("?")[0]
    url = fresh_database(postgres_url, template=template)
    with pgbouncer(postgres_url, connections=CONNECTIONS) as pooled:
        yield pooled(url)
    drop_database(url)


@pytest.fixture
def apps(pooled_url: str, postgres_instance: Path, tmp_path: Path) -> Iterator[list[Flask]]:
    """Two applications that know nothing of each other but the database and the keys."""
    shutil.copytree(postgres_instance, tmp_path / "instance")
    made = [
        create_app(make_settings(tmp_path / "instance", database_url=pooled_url, database_pooler="transaction"))
        for _ in range(2)
    ]
    yield made
    for app in made:
        let_go(app)


def let_go(app: Flask) -> None:
    with app.app_context():
        db.session.remove()
        db.engine.dispose()


def test_whole_stories_at_once_through_a_pooler_in_transaction_mode(
    apps: list[Flask], pooled_url: str, clock: Clock
) -> None:
    def name(number: int) -> str:
        return f"Әсел {'АБВГДЕЖЗИКЛМ'[number]}ахметова"

    def tell(number: int) -> None:
        app = apps[number % 2]
        person = Observer(app, email=f"person{number}@example.org", full_name=name(number))
        for path in ("/kk/", "/ru/registry/", "/en/charter/"):
            for _ in range(3):  # the driver would prepare from the fifth call on
                assert Browser(app).get(path).status == 200
        assert person.sign().status == 200
        people.append(person)

    people: list[Observer] = []
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(tell, range(PEOPLE)))
        assert len(people) == PEOPLE
        list(pool.map(work, apps * 2))  # four workers at once
        for mine in pool.map(Observer.confirm, people):
            assert "/my/" in mine.url
    desk = Desk(apps[0], "Bruno", "bruno@example.org")
    for _ in range(PEOPLE):
        desk.decide(desk.open_first(), "approve")
    clock.shift(11)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, apps * 2))
    # A mail with a receipt waits until the checkpoint is shown, which another worker may be about to do.
    clock.shift(RECEIPT_PAUSE)
    work(apps[0])
    page = Browser(apps[1]).get("/ru/registry/").main
    assert all(name(number) in page for number in range(PEOPLE))

    with apps[0].app_context():
        assert db.session.scalar(select(func.count()).select_from(Signature)) == PEOPLE
        # One for the key, one for the edition; confirmed and published once each.
        assert db.session.scalar(select(func.count()).select_from(LogLeaf)) == 2 + 2 * PEOPLE
        assert db.session.scalar(select(func.count()).select_from(Message).where(Message.sent_at.is_(None))) == 0
    left_behind(pooled_url)


def left_behind(pooled_url: str) -> None:
    """Nothing of a session is left on any server connection: settings, prepared statements, locks, temporary tables."""
    address = pooled_url.replace("+psycopg", "", 1)
    held = [psycopg.connect(address, prepare_threshold=None) for _ in range(CONNECTIONS)]
    try:
        processes = set()
        for connection in held:  # each in a transaction of its own, so on every server connection there is
            processes.add(connection.execute("SELECT pg_backend_pid()").fetchone())
            for statement in (
                "SELECT name FROM pg_prepared_statements",
                "SELECT mode FROM pg_locks WHERE locktype = 'advisory'",
                "SELECT relname FROM pg_class WHERE relpersistence = 't'",
                "SELECT name FROM pg_settings WHERE source = 'session' AND name NOT IN"
                " ('application_name', 'client_encoding', 'DateStyle', 'TimeZone', 'standard_conforming_strings')",
            ):
                assert connection.execute(statement).fetchall() == [], statement  # type: ignore[arg-type]
        assert len(processes) == CONNECTIONS
    finally:
        for connection in held:
            connection.close()


def test_without_the_setting_prepared_statements_collide(pooled_url: str, tmp_path: Path) -> None:
    """What the setting is for, and that these tests would notice its absence."""
    app = create_app(make_settings(tmp_path / "instance", database_url=pooled_url))
    with app.app_context():
        held = [db.engine.connect() for _ in range(CONNECTIONS + 1)]
        with pytest.raises(DBAPIError, match="prepared statement"):
            ask_again_and_again(held)
        for connection in held:
            connection.invalidate()
            connection.close()
    let_go(app)


def ask_again_and_again(held: list[Connection]) -> None:
    """More often than the driver waits until it prepares a statement."""
    for _ in range(10):
        for connection in held:
            connection.execute(text("SELECT 1 WHERE :n = 1"), {"n": 1})
            connection.commit()  # after a rollback the driver forgets what it prepared
