"""Figures of the log: what is kept equals what its leaves say, whoever appended them and however often it is tried."""

from __future__ import annotations

import random
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from flask_migrate import upgrade
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select
from time_machine import Traveller as Clock

from charter import cli, migrating, worker
from charter.domain import periods
from charter.domain.calendar import local_date
from charter.domain.reasons import CATALOGUE
from charter.models.base import db, writing
from charter.models.figures import LogTotal
from charter.models.log import LogBatch, LogEvent, LogLeaf
from charter.models.registry import DayCount
from charter.operations import figures, public_side
from charter.queries import statistics
from charter.queries.statistics import LogFigures
from charter.tlog import leaf
from tests.house.world import dump
from tests.log_figures import Recount, check_figures, nearest_rank, recount
from tests.migrations.conftest import empty_app
from tests.migrations.released import load
from tests.operations.test_publication import batches
from tests.operations.test_signing import confirmed, decide, get, now, withdraw
from tests.pages import Browser
from tests.people import Desk, work

__all__ = ["empty_app"]

REASONS = [reason.code for reason in CATALOGUE if reason.action == "decline"]
REGIONS = ("KZ-75", "KZ-71", "KZ-10", "ZZ")
COMPUTING = "being computed"


def kept(app: Flask) -> LogFigures | None:
    with app.app_context():
        return statistics.find_log_figures()


def get_kept(app: Flask) -> LogFigures:
    found = kept(app)
    assert found is not None
    return found


def counted(app: Flask) -> Recount:
    with app.app_context():
        return recount(bytes(data) for data in db.session.scalars(select(LogLeaf.data).order_by(LogLeaf.index)))


def publish(app: Flask) -> None:
    with app.app_context():
        worker.publish()


def assert_equal(app: Flask) -> None:
    """All that pages show against the leaves."""
    check_figures(dump(app))
    shown, told = get_kept(app), counted(app)
    for answers, kinds in (
        (shown.answers, ("publish", "refuse")),
        (shown.published, ("publish",)),
        (shown.refused, ("refuse",)),
    ):
        days = told.days(*kinds)
        assert (answers.answered, answers.late) == (len(days), told.late(*kinds))
        assert (answers.median_days, answers.most_days) == (nearest_rank(50, days), nearest_rank(95, days))
    assert dict(shown.reasons) == told.reasons()
    assert [count for _, count in shown.reasons] == sorted(told.reasons().values(), reverse=True)
    assert shown.applications == shown.answers.answered + shown.withdrawn_waiting + shown.waiting
    assert shown.counted_on == local_date(batches(app)[-1].at)


# ── a long history ───────────────────────────────────────────────────────────────────────────────────────────────────


class History:
    """Chance decides what happens next."""

    def __init__(self, app: Flask, desk: Desk, clock: Clock, chance: random.Random) -> None:
        self.app, self.desk, self.clock, self.chance = app, desk, clock, chance
        self.waiting: list[int] = []
        self.live: list[int] = []
        self.signed = 0

    def sign(self) -> None:
        self.signed = place = self.signed + 1
        chosen = {"kind": "independent", "region_code": self.chance.choice(REGIONS)}
        self.waiting.append(confirmed(self.app, f"Адам {chr(0x410 + place % 32)}", f"p{place}@example.org", **chosen))

    def decide(self) -> None:
        one = self.waiting.pop(self.chance.randrange(len(self.waiting)))
        if self.chance.random() < 0.6:
            decide(self.app, one, self.desk.id)
            self.live.append(one)
        else:
            decide(self.app, one, self.desk.id, "decline", self.chance.choice(REASONS))

    def leave(self) -> None:
        group = self.chance.choice([group for group in (self.waiting, self.live) if group])
        withdraw(self.app, group.pop(self.chance.randrange(len(group))))

    def go_on(self) -> None:
        """One event, and some time that passes before it."""
        self.clock.shift(self.chance.choice((5, 60, 3600, 9 * 3600, 2 * 24 * 3600)))
        dice = self.chance.random()
        if dice < 0.5 or not self.waiting:
            self.sign()
        elif dice < 0.85:
            self.decide()
        else:
            self.leave()
        if self.chance.random() < 0.4:
            publish(self.app)


@pytest.mark.parametrize(("engine_name", "events"), [("sqlite", 200), ("postgresql", 60)], indirect=["engine_name"])
def test_after_a_random_history_every_figure_is_what_the_leaves_say(
    app: Flask, desk: Desk, clock: Clock, events: int
) -> None:
    history = History(app, desk, clock, random.Random(20201220))
    for _ in range(events):
        history.go_on()
    publish(app)
    assert_equal(app)
    clock.shift(24 * 3600)
    publish(app)
    assert_equal(app)
    shown = get_kept(app)
    assert shown.answers.late > 2 < shown.answers.in_time and shown.overdue > 1, "chance made nothing of interest"
    assert shown.withdrawn_waiting and shown.withdrawn_published and len(shown.reasons) > 2
    _assert_days_add_up(app)


def _assert_days_add_up(app: Flask) -> None:
    """The weeks of the plots, of all and of each region, against the entries."""
    entries = dump(app)["registry_entry"]
    today = local_date(now())
    for region in (None, *REGIONS):
        with app.app_context():
            days, months = statistics.signatures_by_day(region), statistics.signatures_by_month(region)
        mine = [row for row in entries if region in {None, row["region_code"]}]
        whole = periods.whole(months, today=today)
        assert (whole.total() if whole else 0) == len(mine)
        for period in periods.weeks(days, today=today).periods:
            assert period.total == sum(period.first_on <= row["signed_on"] <= period.last_on for row in mine)


# ── leaves that no batch has counted ─────────────────────────────────────────────────────────────────────────────────


def test_what_an_older_release_appends_is_counted_afterwards(
    app: Flask, desk: Desk, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    history = History(app, desk, clock, random.Random(7))
    for _ in range(8):
        history.go_on()
    publish(app)
    with monkeypatch.context() as older:
        older.setattr(public_side.figures, "count_batch", lambda *_args, **_more: None)
        history.sign()
        publish(app)
    assert kept(app) is None, "one leaf is not counted yet"
    assert COMPUTING in Browser(app).get("/en/transparency/").main
    history.sign()
    publish(app)
    assert kept(app) is None, "and neither is what came after it"
    with app.app_context():
        assert not worker.count_past(), "both in one step"
        assert not statistics.has_uncounted_leaves()
    assert kept(app) is None, "nobody has looked at the day yet"
    publish(app)
    assert_equal(app)
    assert COMPUTING not in Browser(app).get("/en/transparency/").main


def test_the_past_is_counted_in_bounded_steps_each_leaf_once(empty_app: Flask, clock: Clock) -> None:
    app = empty_app
    load(app, "0001")
    with app.app_context():
        upgrade(revision="0003")
        assert COMPUTING in Browser(app).get("/en/transparency/").main, "without the tables too"
        upgrade(revision=migrating.known()[-1])
        db.session.rollback()
    assert COMPUTING in Browser(app).get("/en/transparency/").main
    leaf_count = counted(app).leaf_count
    assert leaf_count > 5
    steps = 0
    with app.app_context():
        while figures.count_past(most=2):
            steps += 1
            assert dump(app)["log_total"][0]["leaf_count"] == 2 * steps
    assert steps == (leaf_count - 1) // 2
    check_figures(dump(app))
    work(app)
    assert_equal(app)
    assert COMPUTING not in Browser(app).get("/en/transparency/").main


def test_without_the_tables_publication_goes_on_and_nothing_is_left_out(
    empty_app: Flask, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = empty_app
    with app.app_context():
        upgrade()
        cli.load(app.config["CHARTER"])
    browser = Browser(app)
    # They are not seen, as if they were still to come.
    with monkeypatch.context() as older:
        older.setattr(LogTotal, "__tablename__", "log_total_to_come")
        confirmed(app, address="before@example.org")
        clock.shift(3 * 24 * 3600)
        publish(app)
        assert COMPUTING in browser.get("/en/transparency/").main
        assert "Signatures per week" in browser.get("/en/statistics/").main
    confirmed(app, address="after@example.org")
    publish(app)
    assert COMPUTING in browser.get("/en/transparency/").main, "what was before is not counted"
    work(app)
    assert_equal(app)
    assert get_kept(app).applications == 2


def test_months_begin_with_the_days_that_are_there(empty_app: Flask) -> None:
    app = empty_app
    load(app, "0001")
    with app.app_context():
        upgrade(revision="0003")
        with writing():
            for day in ("2025-12-31", "2026-01-01", "2026-01-31"):
                for region in ("KZ-75", "KZ-71"):
                    values = {"signed_on": date.fromisoformat(day), "region_code": region, "kind": "party", "signed": 2}
                    db.session.add(DayCount(**values))
            db.session.commit()
        assert statistics.signatures_by_month() == {}
        db.session.rollback()
        upgrade()
        december, january = date(2025, 12, 1), date(2026, 1, 1)
        assert statistics.signatures_by_month("KZ-75") == {december: {"party": 2}, january: {"party": 4}}
        assert statistics.signatures_by_month() == {december: {"party": 4}, january: {"party": 8}}


def test_a_batch_that_fails_counts_nothing(app: Flask, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    confirmed(app)

    def fail(_changes: object) -> None:
        raise ZeroDivisionError

    before = dump(app)["log_total"]
    with monkeypatch.context() as broken:
        broken.setattr("charter.operations.publication.move_counters", fail)
        with pytest.raises(ZeroDivisionError):
            publish(app)
    assert [row for row in dump(app)["log_total"] if row["applications"]] == []
    assert [row["leaf_count"] for row in dump(app)["log_total"]] == [row["leaf_count"] for row in before]
    publish(app)
    assert_equal(app)


def test_every_kind_of_leaf_is_counted_or_known_to_say_nothing() -> None:
    assert set(leaf.KINDS) <= set(figures.COUNTED)


# ── the clock ────────────────────────────────────────────────────────────────────────────────────────────────────────


def revisions(app: Flask) -> int:
    with app.app_context():
        return len(db.session.scalars(select(LogBatch.revision)).all())


def test_an_application_becomes_overdue_by_a_batch_of_the_day_after(app: Flask, clock: Clock) -> None:
    application = confirmed(app)
    publish(app)
    due_on = get(app, application).due_on
    assert due_on is not None
    first = revisions(app)
    publish(app)
    assert revisions(app) == first, "the day has been looked at"
    # The last moments of the day it is due, in Kazakhstan; then the first ones of the next.
    midnight = datetime(due_on.year, due_on.month, due_on.day, 19, tzinfo=UTC)
    clock.move_to(midnight - timedelta(seconds=30))
    publish(app)
    assert (get_kept(app).waiting, get_kept(app).overdue) == (1, 0)
    clock.move_to(midnight + timedelta(seconds=30))
    publish(app)
    assert (get_kept(app).waiting, get_kept(app).overdue) == (1, 1)
    assert revisions(app) == first + 2
    assert "1 application" in Browser(app).get("/en/transparency/").main
    # The clock goes back: no day begins twice.
    clock.move_to(midnight - timedelta(days=2))
    publish(app)
    assert revisions(app) == first + 2
    withdraw(app, application)
    publish(app)
    assert (get_kept(app).waiting, get_kept(app).overdue) == (0, 0)
    assert_equal(app)


def test_two_workers_begin_a_day_once(app: Flask, clock: Clock) -> None:
    publish(app)
    clock.shift(24 * 3600)
    with app.app_context():
        assert statistics.is_new_day(now=now())
        figures.begin_day(now=now())
        figures.begin_day(now=now())
        assert len(db.session.scalars(select(LogEvent.id)).all()) == 1


# ── percentiles ──────────────────────────────────────────────────────────────────────────────────────────────────────


@given(st.lists(st.integers(0, 400), max_size=60), st.sampled_from([1, 50, 95, 99, 100]))
def test_percentiles_are_those_of_the_textbook(days: list[int], percent: int) -> None:
    told: list[tuple[int, int]] = [(one, 1) for one in days]
    assert statistics.days_of(percent, told) == nearest_rank(percent, sorted(days))


@pytest.mark.parametrize(
    ("days", "half", "most"),
    [
        ([], None, None),
        ([(3, 1)], 3, 3),
        ([(0, 1), (9, 1)], 0, 9),
        ([(1, 95), (30, 5)], 1, 1),
        ([(1, 94), (30, 6)], 1, 30),
    ],
)
def test_half_and_ninety_five_of_a_hundred(days: list[tuple[int, int]], half: Any, most: Any) -> None:
    assert (statistics.days_of(50, days), statistics.days_of(95, days)) == (half, most)
