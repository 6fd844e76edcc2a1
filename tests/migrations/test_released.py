"""Every released schema, with everything in it that its release could write, goes up, down, and up again."""

from __future__ import annotations

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from flask import Flask
from flask_migrate import downgrade, upgrade
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from time_machine import Traveller as Clock

from charter import migrating
from charter.domain.signature import State
from charter.models.base import Base, db
from charter.queries import schema
from tests.house.test_migrations import is_described
from tests.migrations.released import APPEND_ONLY, FOLDER, RELEASES, content, kept, load, writable
from tests.pages import Browser, Page
from tests.people import Desk, Observer, work


def assert_append_only(app: Flask) -> None:
    """Copying a table, which is how SQLite changes one, loses its triggers."""
    for table in APPEND_ONLY:
        # The first: those that came later are not there yet.
        column = next(iter(Base.metadata.tables[table].columns)).name
        for attempt in (f"DELETE FROM {table}", f'UPDATE {table} SET "{column}" = "{column}"'):
            with writable(app) as connection, pytest.raises(DBAPIError, match="append-only"):
                connection.execute(text(attempt))


def test_every_release_was_recorded_with_its_data_and_its_statements(empty_app: Flask) -> None:
    with empty_app.app_context():
        known = migrating.known()
    assert RELEASES and set(RELEASES) <= set(known)
    for release in RELEASES:
        for engine in ("sqlite", "postgresql"):
            assert (FOLDER / f"{release}_statements_{engine}.txt").stat().st_size > 10_000


@pytest.mark.parametrize("release", RELEASES)
def test_a_release_with_data_goes_up_down_and_up_again_and_lives_on(
    empty_app: Flask, release: str, clock: Clock
) -> None:
    app = empty_app
    load(app, release)
    before = content(app)
    assert all(before.values()), "an empty table would prove nothing"
    assert {row["state"] for row in before["signature"]} == {state.value for state in State}
    assert_append_only(app)
    with app.app_context():
        steps = migrating.pending()
    for direction in ("up", "down", "up"):
        for place, step in enumerate(steps if direction == "up" else reversed(steps)):
            with app.app_context():
                if direction == "up":
                    upgrade(revision=step)
                else:
                    downgrade(revision="-1")
                db.session.remove()
            assert kept(content(app), before) == before, (direction, step, place)
            assert_append_only(app)
        if direction == "down":
            assert content(app) == before
    with app.app_context(), db.engine.connect() as connection:
        opts = {"compare_type": True, "compare_server_default": True, "include_name": is_described}
        context = MigrationContext.configure(connection, opts=opts)
        assert compare_metadata(context, Base.metadata) == []
        assert migrating.standing() == schema.OK
    _one_more_signature(app, clock)


def _one_more_signature(app: Flask, clock: Clock) -> None:
    """Today's code goes on with what a release left behind: its names stay, and a new one joins them."""
    registry = Browser(app).get("/ru/registry/").main
    assert "Ерлан" not in registry and "Әмина Серікқызы Оспанова" in registry
    observer = Observer(app, full_name="Жаңа Адам", email="new@example.org")
    assert "/my/" in observer.sign_and_confirm().url
    desk = Desk(app, "Chloe", "chloe@example.org")
    page = desk.queue()
    dossier = desk.browser.get(next(link for link in _dossiers(page) if "Жаңа Адам" in desk.browser.get(link).main))
    desk.decide(dossier, "approve")
    clock.shift(11)
    work(app)
    registry = Browser(app).get("/ru/registry/").main
    assert "Жаңа Адам" in registry and "Әмина Серікқызы Оспанова" in registry
    assert Browser(app).get("/readyz").response.json["schema"] == "ok"


def _dossiers(page: Page) -> list[str]:
    links = page.tree.query("a[href]")
    return [link.attrs["href"] for link in links if "/staff/review/" in link.attrs["href"]]
