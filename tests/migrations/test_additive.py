"""Between a release and today's schema nothing was taken away that the release needs."""

from __future__ import annotations

import pytest
from flask import Flask
from flask_migrate import upgrade
from sqlalchemy import text

from charter import migrating
from charter.models.base import db, writing
from tests.migrations.released import RELEASES
from tests.migrations.rule import breaches, shape

#: Expand, then contract, over two releases: what a release no longer uses may go in the next. By (the newest release
#: that must still run beside it, the breach), with the reason.
ALLOWED: dict[tuple[str, str], str] = {}


@pytest.mark.parametrize("release", RELEASES)
def test_nothing_that_a_release_needs_was_taken_away(empty_app: Flask, release: str) -> None:
    with empty_app.app_context():
        upgrade(revision=release)
    before = shape(empty_app)
    with empty_app.app_context():
        upgrade()
    found = breaches(before, shape(empty_app))
    assert {one for one in found if (release, one) not in ALLOWED} == set()


def test_the_list_of_exceptions_names_releases_that_there_are(empty_app: Flask) -> None:
    with empty_app.app_context():
        assert {release for release, _ in ALLOWED} <= set(migrating.known())
    assert all(ALLOWED.values())


@pytest.mark.parametrize(
    ("statement", "wanted"),
    [
        ("ALTER TABLE message DROP COLUMN last_error", "message.last_error is gone"),
        ("ALTER TABLE message RENAME COLUMN last_error TO code", "message.last_error is gone"),
        ("DROP TABLE rate_limit", "rate_limit is gone"),
        ("ALTER TABLE rate_limit ADD COLUMN note INTEGER", None),
        ("ALTER TABLE rate_limit ADD COLUMN note INTEGER NOT NULL DEFAULT 0", None),
        ("CREATE UNIQUE INDEX one ON message (recipient)", "message: new constraint: unique index recipient"),
        ("CREATE INDEX one ON message (recipient)", None),
        ("CREATE TABLE another (id INTEGER PRIMARY KEY, word TEXT NOT NULL)", None),
    ],
)
def test_the_rule_sees_what_would_break_a_release(empty_app: Flask, statement: str, wanted: str | None) -> None:
    assert changed(empty_app, statement) == ({wanted} if wanted else set())


@pytest.mark.parametrize("engine_name", ["postgresql"], indirect=True)
@pytest.mark.parametrize(
    ("statement", "wanted"),
    [
        ("ALTER TABLE message ALTER COLUMN attempts TYPE bigint", "message.attempts is BIGINT, was INTEGER"),
        ("ALTER TABLE message ALTER COLUMN sent_at SET NOT NULL", "message.sent_at may no longer be NULL"),
        ("ALTER TABLE message ALTER COLUMN attempts DROP NOT NULL", "message.attempts may now be NULL"),
        ("ALTER TABLE rate_limit ADD COLUMN a INT NOT NULL", "rate_limit.a is new, NOT NULL and has no default"),
        ("ALTER TABLE message ADD CHECK (attempts < 5)", "message: new constraint: check attempts < 5"),
        (
            "ALTER TABLE message ADD FOREIGN KEY (uid) REFERENCES rate_limit (key)",
            "message: new constraint: uid references rate_limit",
        ),
    ],
)
def test_the_rule_sees_what_only_postgresql_can_change_in_place(empty_app: Flask, statement: str, wanted: str) -> None:
    assert changed(empty_app, statement) == {wanted}


def changed(app: Flask, statement: str) -> set[str]:
    """The breaches of one statement on the newest schema."""
    with app.app_context():
        upgrade()
    before = shape(app)
    with app.app_context(), writing(), db.engine.connect() as connection:
        connection.execute(text(statement))
        connection.commit()
    return breaches(before, shape(app))
