"""How far the log may be shown: only ever further, and never beyond what the guard knows."""

from __future__ import annotations

from flask import Flask
from sqlalchemy import delete, select, text
from time_machine import Traveller as Clock

from charter.models.base import db, writing
from charter.models.log import LogCheckpoint, LogCosignature, LogStanding
from charter.operations import standing
from charter.queries import standing as shown
from tests.operations.test_publication import published
from tests.operations.test_signing import now
from tests.people import Desk


def reset(app: Flask) -> None:
    with app.app_context(), writing():
        db.session.execute(delete(LogStanding))
        db.session.commit()


def sizes(app: Flask) -> tuple[int, int] | None:
    with app.app_context():
        row = db.session.execute(select(LogStanding.guarded_size, LogStanding.served_size)).first()
        return None if row is None else (row.guarded_size, row.served_size)


def signed(app: Flask) -> list[int]:
    with app.app_context():
        return list(db.session.scalars(select(LogCheckpoint.size).order_by(LogCheckpoint.size)))


def test_what_may_be_shown_only_ever_grows(app: Flask, desk: Desk, clock: Clock) -> None:
    published(app, desk, clock)
    reset(app)
    first, *_, last = signed(app)
    assert first < last
    with app.app_context():
        assert shown.served_checkpoint() is None
        assert shown.guarded_checkpoint() is None
        newest = shown.newest_checkpoint()
        assert newest is not None and newest.size == last
        standing.note_guarded(first)
        assert sizes(app) == (first, 0)
        standing.note_served(last)
        assert sizes(app) == (first, 0)  # not guarded
        standing.note_guarded(last)
        standing.note_served(first)
        standing.note_guarded(first)
        assert sizes(app) == (last, first)
        served = shown.served_checkpoint()
        assert served is not None and served.size == first
        assert shown.guarded_checkpoint() == newest
        standing.note_served(last)
        standing.note_served(first)
        standing.note_guarded(last + 1)  # nobody has signed that one
        assert sizes(app) == (last, last)


def test_without_a_quorum_one_transaction_guards_and_shows(app: Flask, clock: Clock) -> None:
    reset(app)
    (size,) = signed(app)
    with app.app_context():
        standing.note_guarded(size, is_served=True)
    assert sizes(app) == (size, size)


def test_a_shown_checkpoint_bears_what_witnesses_added_under_our_own_signature(app: Flask, clock: Clock) -> None:
    with app.app_context():
        before = shown.newest_checkpoint()
    assert before is not None
    with app.app_context(), writing():
        for name in ("b.example", "a.example"):
            db.session.add(LogCosignature(size=before.size, witness=name, at=now(), line=f"— {name} AAAA\n"))
        db.session.commit()
    with app.app_context():
        after = shown.newest_checkpoint()
    assert after is not None
    assert after.text == before.text + "— a.example AAAA\n— b.example AAAA\n"
    assert (after.size, after.root, after.at) == (before.size, before.root, before.at)


def test_one_schema_behind_there_is_nothing_to_show_and_nothing_to_write(app: Flask) -> None:
    with app.app_context(), writing():
        for table in ("log_standing", "log_cosignature", "log_checkpoint", "log_place", "log_node"):
            db.session.execute(text(f"DROP TABLE {table}"))
        db.session.commit()
    with app.app_context():
        standing.note_guarded(1, is_served=True)
        standing.note_served(1)
        assert shown.served_checkpoint() is None
        assert shown.newest_checkpoint() is None
