"""A name that has left is in no page of the database file any more."""

from __future__ import annotations

from pathlib import Path

import pytest
from flask import Flask
from sqlalchemy import select, text
from time_machine import Traveller as Clock

from charter import forgetting as forgetting_module
from charter.domain.fold import fold
from charter.forgetting import Forgetting
from charter.models.base import db, writing
from charter.models.registry import PublicEntry
from charter.operations import indexing
from tests.operations.test_publication import published
from tests.operations.test_signing import withdraw
from tests.people import Desk, work

NAME = "Ақжүніс Құлшымбай"


def bytes_of(app: Flask) -> bytes:
    """The database file with nothing left in its journal."""
    path = Path(app.config["CHARTER"].instance_path) / "charter.db"
    with app.app_context(), writing():
        db.session.execute(text("SELECT 1"))
        db.session.rollback()
        with db.engine.connect() as connection:
            connection.exec_driver_sql("ROLLBACK")
            assert connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)").one()[0] == 0
    return path.read_bytes()


@pytest.mark.parametrize("engine_name", ["sqlite"], indirect=True)
def test_withdrawn_words_leave_the_pages_of_the_search_index(
    app: Flask, desk: Desk, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    signature_id = published(app, desk, clock, name=NAME)
    for place in range(5):
        published(app, desk, clock, place + 1, name=f"Басқа Адам{'а' * place}")
    words = [word.encode() for word in fold(NAME)]
    assert all(word in bytes_of(app) for word in words)
    withdraw(app, signature_id)
    steps = []
    forget_step = indexing.forget_step
    monkeypatch.setattr(indexing, "forget_step", lambda **more: steps.append(more) or forget_step(**more))
    work(app)
    assert steps[0] == {"is_first": True}
    with app.app_context():
        assert db.session.scalars(select(PublicEntry.words).where(PublicEntry.ended_on.is_not(None))).all() == [""]
        db.session.execute(text("SELECT 1"))
    found = bytes_of(app)
    assert [word for word in words if word in found] == []


@pytest.mark.parametrize("engine_name", ["sqlite"], indirect=True)
def test_the_index_is_cleaned_once_and_again_when_somebody_left_but_not_all_the_time(
    app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    rounds: list[bool] = []
    seconds = [1000.0]
    monkeypatch.setattr(indexing, "forget_step", lambda *, is_first: rounds.append(is_first) or len(rounds) < 3)
    monkeypatch.setattr(forgetting_module.time, "monotonic", lambda: seconds[0])
    with app.app_context():
        forgetting = Forgetting(is_start=False)
        assert [forgetting.step() for _ in range(2)] == [True, True]
        seconds[0] += 10  # so long it took
        assert [forgetting.step() for _ in range(2)] == [False, False]
        assert rounds == [True, False, False]
        forgetting.somebody_left()
        seconds[0] += 10 * forgetting_module.SHARE - 1
        assert not forgetting.step()
        assert len(rounds) == 3, "a twentieth of the time at most"
        seconds[0] += 1
        assert not forgetting.step()
        assert rounds[3:] == [True]
        forgetting.somebody_left()
        assert not forgetting.step(at_once=True)
        assert rounds[4:] == [True], "at once, where nobody else has to wait"
