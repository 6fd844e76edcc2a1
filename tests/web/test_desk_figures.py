"""Figures of the desk: what they say, at which cost, and the week that goes by mail."""

from __future__ import annotations

import threading
from datetime import UTC, date, datetime, timedelta

import pytest
from flask import Flask
from sqlalchemy import insert, select, update
from time_machine import Traveller as Clock

from charter.chores import summaries
from charter.models.base import db, writing
from charter.models.desk import DeskCount
from charter.models.limits import MailboxTally
from charter.models.outbox import Message
from charter.models.signature import Signature
from charter.models.staff import StaffAccount
from charter.operations import summaries as operations
from charter.queries import desk_figures as queries
from tests.house.test_cost import crowd
from tests.house.world import World, dump
from tests.people import Desk, Observer, mails, text_of, work
from tests.statements import statements

TODAY = date(2026, 11, 20)
NOW = datetime(2026, 11, 20, 9, tzinfo=UTC)
#: What happens before and after the database.
ON_SQLITE = pytest.mark.parametrize("engine_name", ["sqlite"], indirect=True)
#: 09:00 in Kazakhstan.
MONDAY_MORNING = datetime(2026, 11, 23, 4, tzinfo=UTC)


def count(app: Flask, *rows: tuple[date, str, str, int, int]) -> None:
    """(day, region, action, days waited, how many)."""
    names = ("day", "region_code", "action", "waited_days", "count")
    with app.app_context(), writing():
        db.session.execute(insert(DeskCount), [dict(zip(names, row, strict=True)) for row in rows])
        db.session.commit()


def test_half_and_nineteen_of_twenty_are_told_by_region(app: Flask) -> None:
    count(
        app,
        *((TODAY - timedelta(days=place), "KZ-75", "approve", place, 1) for place in range(19)),
        (TODAY, "KZ-75", "decline", 50, 1),
        (TODAY, "KZ-71", "decline", 3, 7),
        (TODAY, "KZ-71", "ask", 90, 1000),
        (TODAY - timedelta(days=60), "KZ-71", "approve", 99, 1000),
    )
    with app.app_context():
        found = queries.decided("en", today=TODAY)
        assert [(one.code, one.answered, one.median_days, one.most_days) for one in found.regions] == [
            ("KZ-75", 20, 9, 18),
            ("KZ-71", 7, 3, 3),
        ]
        assert (len(found.days), found.total("approve"), found.total("ask"), found.answered) == (60, 19, 1000, 27)
        assert found.days[-1] == (TODAY, {"approve": 1, "decline": 8, "ask": 1000})
        assert found.pace == 1, "of the seven days before today"
        own = queries.decided("en", today=TODAY, regions=frozenset({"KZ-71"}))
        assert [one.code for one in own.regions] == ["KZ-71"]
        nothing = queries.decided("en", today=date(2020, 1, 1))
        assert (nothing.regions, nothing.median_days, nothing.pace) == ([], None, 0)


def test_what_waits_is_told_by_region_and_state_and_by_when_it_is_answered(world: World) -> None:
    with world.app.app_context():
        found = queries.waiting("en", today=TODAY)
        assert [(one.name, one.confirmed, one.clarification) for one in found.regions] == [("Almaty", 1, 1)]
        assert (found.total, found.overdue, found.is_more) == (2, 0, False)
        assert queries.waiting("en", today=date(2027, 1, 1)).overdue == 2
        assert queries.waiting("en", today=TODAY, regions=frozenset({"KZ-71"})).total == 0
        assert queries.expected_on(found, queries.decided("en", today=TODAY), now=NOW) is None, "no pace yet"
        tomorrow = NOW + timedelta(days=1)
        decided = queries.decided("en", today=TODAY + timedelta(days=1))
        assert queries.expected_on(found, decided, now=tomorrow) == date(2026, 11, 24), "five answers in seven days"


@ON_SQLITE
def test_the_page_says_it_in_words_and_with_a_table_for_each_drawing(world: World) -> None:
    page = world.colleague().get("/staff/figures/")
    assert "Almaty" in page.main
    assert page.tree.query("svg[role=img]")
    assert len(page.tree.query("details table")) == len(page.tree.query("svg[role=img]"))
    names = {row["full_name"] for row in dump(world.app)["signature"]} - {""}
    assert not [name for name in names if name in page.main]


@ON_SQLITE
def test_an_empty_desk_has_figures_too(desk: Desk) -> None:
    page = desk.browser.get("/staff/figures/")
    assert page.status == 200
    assert "Nothing waits." in page.main
    assert not page.tree.query("svg[role=img]")


@ON_SQLITE
def test_a_reviewer_of_some_regions_sees_the_figures_of_these(world: World) -> None:
    desk = Desk(world.app, "Дана", "dana@example.org", role="reviewer", regions=["KZ-71"])
    with world.app.app_context(), writing():
        # Somebody else's, elsewhere.
        db.session.execute(update(Signature).values(held=True, held_because="network", region_code="KZ-75"))
        db.session.commit()
    assert "Nothing is set aside." not in world.desk.browser.get("/staff/figures/").main
    page = desk.browser.get("/staff/figures/")
    assert "Nothing waits." in page.main
    assert "Nothing is set aside." in page.main
    assert "No import and no invalidation is under way." in page.main
    assert "Almaty" not in page.main


def test_the_page_costs_as_much_with_many_as_with_few(app: Flask, desk: Desk) -> None:
    def cost() -> int:
        with statements(app) as said:
            assert desk.browser.get("/staff/figures/").status == 200
        return len([one for one in said if one.startswith("SELECT")])

    desk.browser.get("/staff/figures/")
    few = cost()
    crowd(app, 60, state="confirmed")
    count(app, *((TODAY, region, "approve", days, 5) for region in ("KZ-75", "KZ-71") for days in range(20)))
    assert cost() == few


def test_mailboxes_that_take_no_mail_are_counted_without_the_way_out(app: Flask) -> None:
    with app.app_context(), writing():
        days = (1, 3, 30)
        rows = [{"digest": bytes([place]) * 32, "bounced_at": NOW - timedelta(days=place)} for place in days]
        db.session.execute(insert(MailboxTally), [*rows, {"digest": queries.WAY_OUT, "bounced_at": NOW}])
        db.session.commit()
    with app.app_context():
        found = queries.mail_figures(now=NOW)
        assert (found.bounced, found.bounced_lately) == (3, 2)
        assert len(found.sent) == 24


def test_mails_given_up_long_ago_are_not_those_of_the_week(app: Flask, clock: Clock) -> None:
    for place in range(2):
        Observer(app, full_name=f"Әмина {'аб'[place] * 3}", email=f"p{place}@example.org").sign()
    with app.app_context(), writing():
        waiting = db.session.scalars(select(Message.id).where(Message.done_at.is_(None)).order_by(Message.id)).all()
        for message_id, days in zip(waiting, (1, 30), strict=True):
            failed = {"failed_at": NOW - timedelta(days=days), "last_error": "smtp-550"}
            db.session.execute(update(Message).where(Message.id == message_id).values(failed))
        db.session.commit()
    with app.app_context():
        found = queries.mail_figures(now=NOW)
        assert (found.failed, found.failed_lately) == ([("smtp-550", 2)], 1)
        assert queries.week_figures(today=TODAY, now=NOW)["mail_failed"] == 1


# ── the week by mail ─────────────────────────────────────────────────────────────────────────────────────────────────


def weekly(app: Flask) -> list[str]:
    """Who was sent one."""
    return [str(one["To"]) for one in mails(app) if "/staff/figures/" in text_of(one)]


@ON_SQLITE
def test_on_monday_morning_the_week_goes_to_who_answers_for_the_desk(world: World) -> None:
    app, clock = world.app, world.clock
    Desk(app, "Дана", "dana@example.org", role="auditor")
    Desk(app, "Ерке", "yerke@example.org", role="editor")
    left = Desk(app, "Хлоя", "chloe@example.org", role="administrator").id
    with app.app_context(), writing():
        db.session.execute(update(StaffAccount).where(StaffAccount.id == left).values(active=False))
        db.session.commit()
    clock.move_to(MONDAY_MORNING - timedelta(minutes=1))
    work(app)
    assert weekly(app) == []
    clock.move_to(MONDAY_MORNING)
    Desk(app, "Новая", "new@example.org", role="auditor")
    for _ in range(3):
        work(app)
    assert sorted(weekly(app)) == ["bruno@example.org", "dana@example.org"]
    words = text_of(mails(app)[-1])
    assert "4" in words
    personal = [row for row in dump(app)["signature"] if row["full_name"]]
    assert not [row for row in personal if row["full_name"] in words or row["email"] in words]
    clock.move_to(MONDAY_MORNING + timedelta(days=1))
    work(app)
    assert len(weekly(app)) == 2


@ON_SQLITE
def test_a_worker_that_was_away_sends_it_on_tuesday_and_not_later(world: World) -> None:
    world.clock.move_to(MONDAY_MORNING + timedelta(days=2))
    world.work()
    assert weekly(world.app) == []
    world.clock.move_to(MONDAY_MORNING + timedelta(days=8))
    world.work()
    world.work()
    assert weekly(world.app) == ["bruno@example.org"]


def test_two_workers_send_one(world: World) -> None:
    app = world.app
    world.clock.move_to(MONDAY_MORNING)
    sent: list[int] = []

    def queue() -> None:
        with app.app_context():
            figures = queries.week_figures(today=MONDAY_MORNING.date(), now=MONDAY_MORNING)
            more = {"arrived_before": MONDAY_MORNING, "now": MONDAY_MORNING}
            sent.append(operations.queue(MONDAY_MORNING.date(), figures=figures, **more))

    workers = [threading.Thread(target=queue) for _ in range(4)]
    for one in workers:
        one.start()
    for one in workers:
        one.join()
    assert sorted(sent) == [0, 0, 0, 1]
    with app.app_context():
        assert len(db.session.scalars(select(Message).where(Message.kind == "staff-weekly")).all()) == 1


@ON_SQLITE
def test_a_failure_in_the_middle_sends_nothing_and_it_is_made_up_for(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_some: object, **_more: object) -> None:
        raise RuntimeError("killed")

    app = world.app
    world.clock.move_to(MONDAY_MORNING)
    monkeypatch.setattr(operations, "tell", fail)
    with app.app_context(), pytest.raises(RuntimeError):
        summaries.step(app.config["CHARTER"])
    assert not [row for row in dump(app)["weekly_summary"] if row["week_on"] == MONDAY_MORNING.date()]
    monkeypatch.undo()
    world.work()
    world.work()
    assert weekly(app) == ["bruno@example.org"]


@ON_SQLITE
def test_an_hour_of_rounds_asks_for_one_row_each(app: Flask, clock: Clock) -> None:
    clock.move_to(MONDAY_MORNING)
    work(app)
    with app.app_context(), statements(app) as said:
        assert summaries.step(app.config["CHARTER"]) is False
    assert len([one for one in said if "weekly_summary" in one]) == 1
    assert len([one for one in said if one.startswith("SELECT")]) == 1
