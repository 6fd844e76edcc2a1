"""What machines ask the database: true, through indexes, and as cheap for a million as for one."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta

import pytest
from flask import Flask
from sqlalchemy import text, update
from time_machine import Traveller as Clock

from charter.models.base import db, writing
from charter.models.outbox import Message
from charter.models.signature import Signature
from charter.queries import health
from charter.queries.health import Health
from tests.house.test_cost import crowd
from tests.house.world import World
from tests.statements import statements

#: These grow; the one that does not is `log_batch`, which is read by its key.
BIG = ("message", "signature", "log_event", "log_leaf", "registry_entry", "signature_event")


def ask(app: Flask, *, today: date = date(2026, 11, 20)) -> Health:
    with app.app_context():
        found = health.health(now=datetime.now(UTC), today=today)
        db.session.rollback()
        return found


def test_a_fresh_installation_waits_for_nothing(app: Flask, clock: Clock) -> None:
    found = ask(app)
    assert found.readiness.has_published
    assert (found.readiness.oldest_due_mail_at, found.readiness.oldest_due_event_at) == (None, None)
    counts = (found.mail_waiting, found.dead_letters, found.review_waiting, found.clarification_waiting)
    assert counts == (0, 0, 0, 0)
    assert (found.overdue, found.held, found.oldest_mail_at, found.oldest_unanswered_at) == (0, 0, None, None)
    # The key of the log, and the Charter.
    assert (found.revision, found.tree_size) == (1, 2)
    assert clock is not None


def test_what_waits_is_told_as_it_is(world: World) -> None:
    app, now = world.app, datetime.now(UTC)
    found = ask(app)
    assert (found.review_waiting, found.clarification_waiting, found.overdue) == (1, 1, 0)
    assert found.oldest_unanswered_at is not None
    assert timedelta(0) <= now - found.oldest_unanswered_at < timedelta(minutes=5)
    assert found.held == 1
    assert found.dead_letters == 1
    assert found.mail_waiting >= 1
    assert found.oldest_mail_at is not None
    # One selection is still within its minute, so its event is not due; one second after it it is.
    assert found.readiness.oldest_due_event_at is None
    world.clock.shift(61)
    late = ask(app).readiness.oldest_due_event_at
    assert late is not None
    assert timedelta(0) <= datetime.now(UTC) - late < timedelta(seconds=61)
    # Days after, the one that waits for the Centre is overdue; the one that waits for its signatory is not.
    assert ask(app, today=date(2026, 11, 28)).overdue == 1
    assert found.revision >= 3
    assert found.tree_size >= 4


def test_a_mail_that_fails_again_and_again_grows_old_though_it_is_never_overdue(world: World) -> None:
    with world.app.app_context(), writing():
        now = datetime.now(UTC)
        db.session.execute(
            update(Message)
            .where(Message.done_at.is_(None), ~Message.on_hold)
            .values(created_at=now - timedelta(hours=7), due_at=now + timedelta(minutes=50))
        )
        db.session.commit()
    found = ask(world.app)
    assert found.readiness.oldest_due_mail_at is None
    assert found.oldest_mail_at is not None
    assert datetime.now(UTC) - found.oldest_mail_at >= timedelta(hours=7)


def test_no_question_reads_a_whole_table(app: Flask) -> None:
    with app.app_context():
        is_postgres = db.engine.dialect.name == "postgresql"
        if is_postgres:
            # A table of three rows is read whole in any case: what counts is whether an index could be used.
            db.session.execute(text("SET LOCAL enable_seqscan = off"))
        for question in health.questions(today=date(2026, 11, 20)):
            asked = str(question.compile(db.engine, compile_kwargs={"literal_binds": True}))
            command = "EXPLAIN" if is_postgres else "EXPLAIN QUERY PLAN"
            plan = [str(row[-1]) for row in db.session.connection().exec_driver_sql(f"{command} {asked}")]
            assert plan
            for line in plan:
                assert "TEMP B-TREE" not in line, (line, asked)
                for table in BIG:
                    assert not re.search(rf"Seq Scan on {table}\b", line), (line, asked)
                    assert not re.search(rf"SCAN {table}$", line), (line, asked)
        db.session.rollback()


def test_the_questions_looked_at_are_the_questions_asked(app: Flask, clock: Clock) -> None:
    with statements(app) as seen:
        ask(app)
    asked = [one for one in seen if " FROM " in one.replace("\n", " ") and "sqlite_master" not in one]
    # The seven; whether anything was ever published, the newest checkpoint, the way out of mail: a row each by its key.
    assert len(asked) == len(health.questions(today=date(2026, 11, 20))) + 3, asked
    assert clock is not None


@pytest.mark.usefixtures("clock")
def test_counting_ends_somewhere(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "MOST_COUNTED", 7)
    crowd(app, 20, state="confirmed")
    found = ask(app)
    assert found.review_waiting == 7
    with app.app_context(), writing():
        db.session.execute(update(Signature).values(state="submitted", held=True))
        db.session.commit()
    assert ask(app).held == 7
