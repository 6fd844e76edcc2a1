"""`/readyz`: what is wrong in one word for each part, 503 only where requests should not come, and about nobody."""

from __future__ import annotations

import shutil
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import text
from time_machine import Traveller as Clock

from charter.models.base import db, writing
from charter.web import system
from tests.conftest import MakeApp
from tests.hostile.test_breakdown import take_database_away
from tests.house.test_cost import cost, crowd
from tests.house.world import World
from tests.pages import Browser
from tests.people import Observer, work

PARTS = {"database", "schema", "registry", "mail", "worker", "clock", "leaves", "log", "witnesses", "disk", "replica"}


def ready(app: Flask) -> tuple[int, dict[str, str]]:
    answer = app.test_client().get("/readyz")
    assert answer.json is not None
    assert set(answer.json) == PARTS
    return answer.status_code, answer.json


def wrong(parts: dict[str, str]) -> dict[str, str]:
    """Without what is well. The leaves file is looked at in its own place; and PostgreSQL does not travel in time."""
    return {
        name: word for name, word in parts.items() if word not in {"ok", "none"} and name not in {"leaves", "clock"}
    }


def test_when_all_is_well_every_part_says_so(app: Flask, clock: Clock) -> None:
    status, parts = ready(app)
    assert (status, wrong(parts)) == (200, {})
    assert clock is not None


def test_a_mail_that_nobody_tries_is_said_and_is_no_reason_to_send_people_away(app: Flask, clock: Clock) -> None:
    Observer(app).sign()
    clock.shift(system.MAIL_LATE_AFTER - timedelta(seconds=10))
    assert wrong(ready(app)[1]) == {}
    clock.shift(20)
    assert (ready(app)[0], wrong(ready(app)[1])) == (200, {"mail": "late"})
    work(app)
    assert wrong(ready(app)[1]) == {}


def test_a_batch_is_late_only_while_something_is_due(make_app: MakeApp, clock: Clock) -> None:
    app = make_app(publish_interval_seconds="60")
    clock.shift(timedelta(days=3))
    assert wrong(ready(app)[1]) == {}
    with app.app_context(), writing():
        insert = "INSERT INTO log_event (kind, \"values\", effective_at) VALUES ('refresh', '{}', :at)"
        db.session.execute(text(insert), {"at": "2026-11-23 09:00:30+00:00"})
        db.session.commit()
    clock.move_to("2026-11-23T09:03:20Z")
    assert wrong(ready(app)[1]) == {}
    clock.move_to("2026-11-23T09:03:40Z")
    assert (ready(app)[0], wrong(ready(app)[1])) == (200, {"worker": "late"})
    work(app)
    assert wrong(ready(app)[1]) == {}


def test_a_disk_that_runs_full_is_said(app: Flask, monkeypatch: pytest.MonkeyPatch, clock: Clock) -> None:
    looked: list[Any] = []

    def usage(folder: Any) -> SimpleNamespace:
        looked.append(folder)
        return SimpleNamespace(free=system.DISK_LOW_BYTES - 1)

    monkeypatch.setattr(shutil, "disk_usage", usage)
    assert (ready(app)[0], wrong(ready(app)[1])) == (200, {"disk": "low"})
    assert set(looked) == {app.config["CHARTER"].instance_path}
    assert clock is not None


@pytest.mark.parametrize("engine_name", ["postgresql"], indirect=True)
@pytest.mark.parametrize(("seconds", "word"), [(0, "ok"), (50, "ok"), (70, "off"), (-70, "off")])
def test_clocks_that_differ_are_said(app: Flask, monkeypatch: pytest.MonkeyPatch, seconds: int, word: str) -> None:
    # The database's clock cannot be turned here, so ours is; the rest of the service goes on with the true one.
    true = system.clock.now
    monkeypatch.setattr(system, "clock", SimpleNamespace(now=lambda: true() + timedelta(seconds=seconds)))
    status, parts = ready(app)
    assert (status, parts["clock"]) == (200, word)


def test_without_a_database_the_disk_is_still_looked_at(app: Flask) -> None:
    take_database_away(app)
    status, parts = ready(app)
    assert status == 503
    assert parts["database"] == "unreachable"
    assert parts["disk"] == "ok"
    assert parts["replica"] == "none"
    assert {parts[name] for name in PARTS - {"database", "disk", "replica"}} == {"unknown"}


def test_a_schema_that_does_not_fit_is_the_other_reason_to_refuse(app: Flask) -> None:
    with app.app_context(), writing():
        db.session.execute(text("DELETE FROM alembic_version"))
        db.session.commit()
    status, parts = ready(app)
    assert (status, parts["database"], parts["schema"]) == (503, "ok", "not migrated")
    assert parts["mail"] == "unknown"


@pytest.mark.usefixtures("clock")
def test_asking_costs_the_same_whatever_waits(app: Flask) -> None:
    few = cost(app, Browser(app), "/readyz")
    crowd(app, 60, state="confirmed")
    crowd(app, 60)
    assert len(cost(app, Browser(app), "/readyz")) == len(few) <= 16, few
    assert not [one for one in few if "count(" in one.lower()]


def test_it_says_words_and_nothing_that_leads_to_anybody(world: World) -> None:
    answer = world.app.test_client().get("/readyz")
    assert answer.json is not None
    assert all(len(word) < 40 and word.replace(" ", "").replace(":", "").isalpha() for word in answer.json.values())
    assert answer.headers["Cache-Control"] == "no-store"
    assert "Set-Cookie" not in answer.headers
