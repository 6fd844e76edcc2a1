"""A clock that jumps a day either way: the log's time never goes back, nobody is put off, nothing ends by itself."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import select
from time_machine import Traveller as Clock

from charter import clock as our_clock
from charter import worker
from charter.domain.errors import TooLateError
from charter.models.base import db
from charter.models.log import LogBatch, LogEvent, LogLeaf
from charter.models.signature import Signature
from charter.operations import review, staff
from charter.queries import review as review_queries
from charter.queries import staff as staff_queries
from tests.operations.test_outbox import Server, claimed, deliver, messages
from tests.operations.test_signing import confirmed, decide, get, now, request_code, sign, withdraw
from tests.people import Desk, Observer, mails, work

DAY = 86_400


def batches(app: Flask) -> list[LogBatch]:
    with app.app_context():
        rows = list(db.session.scalars(select(LogBatch).order_by(LogBatch.revision)))
        db.session.expunge_all()
        return rows


def leaf_times(app: Flask) -> list[str]:
    with app.app_context():
        return [json.loads(one)["t"] for one in db.session.scalars(select(LogLeaf.data).order_by(LogLeaf.index))]


def states(app: Flask) -> list[str]:
    with app.app_context():
        return list(db.session.scalars(select(Signature.state).order_by(Signature.id)))


def waiting_events(app: Flask) -> int:
    with app.app_context():
        return len(list(db.session.scalars(select(LogEvent.id))))


def test_the_time_of_the_log_never_goes_back_and_publication_goes_on(app: Flask, desk: Desk, clock: Clock) -> None:
    for place, jump in enumerate((0, DAY, -DAY, -DAY, 2 * DAY)):
        clock.shift(jump)
        decide(app, confirmed(app, f"Айша Тест {chr(0x410 + place)}", f"p{place}@example.org"), desk.id)
        before = len(batches(app))
        clock.shift(11)
        work(app)
        assert len(batches(app)) == before + 1
        assert waiting_events(app) == 0
    times = [batch.at for batch in batches(app)]
    assert times == sorted(times)
    assert leaf_times(app) == sorted(leaf_times(app))
    assert set(states(app)) == {"published"}


@pytest.mark.parametrize("action", ["approve", "decline"])
def test_a_decision_takes_effect_although_the_clock_went_back(
    app: Flask, desk: Desk, clock: Clock, action: str
) -> None:
    signature_id = confirmed(app)
    work(app)
    decide(app, signature_id, desk.id, action, None if action == "approve" else "duplicate")
    clock.shift(-DAY)
    leaves, _ = work(app)
    assert leaves == 1
    assert waiting_events(app) == 0
    assert [row.kind for row in messages(app) if row.done_at is None] == []
    with app.app_context():
        decision_id = db.session.scalars(select(review.Decision.id)).one()
        # It has happened: taking it back now would leave the log and the desk at odds.
        assert review_queries.find_undo_offer(decision_id, staff_id=desk.id, now=now()) is None
        with pytest.raises(TooLateError):
            review.undo(decision_id, staff_id=desk.id, now=now())


def test_a_few_seconds_back_do_not_cut_the_time_to_think(app: Flask, desk: Desk, clock: Clock) -> None:
    signature_id = confirmed(app)
    work(app)
    decide(app, signature_id, desk.id)
    clock.shift(-30)
    assert work(app) == (0, 0)
    clock.shift(41)
    assert work(app)[0] == 1


def test_a_withdrawal_leaves_the_registry_at_once_although_the_clock_went_back(
    app: Flask, desk: Desk, clock: Clock
) -> None:
    signature_id = confirmed(app)
    decide(app, signature_id, desk.id)
    clock.shift(11)
    work(app)
    assert "Оспанова" in desk.browser.get("/ru/registry/").text
    withdraw(app, signature_id)
    clock.shift(-DAY)
    with app.app_context():
        assert worker.log.has_urgent(now=now())
    assert work(app)[0] == 1
    assert "Оспанова" not in desk.browser.get("/ru/registry/").text


def test_mail_that_was_put_off_or_taken_up_does_not_wait_for_the_clock_to_come_round_again(
    app: Flask, clock: Clock
) -> None:
    sign(app)
    assert deliver(app, Server("smtp-451")) == 1
    clock.shift(-DAY)
    assert deliver(app, Server("smtp-451")) == 1
    clock.shift(301)
    with app.app_context():
        assert len(claimed(app)) == 1
        assert claimed(app) == []
    clock.shift(-DAY)
    assert deliver(app, Server(None)) == 1
    assert messages(app)[0].sent_at is not None


def test_workers_whose_clocks_differ_a_little_do_not_take_each_others_mail(app: Flask, clock: Clock) -> None:
    sign(app)
    with app.app_context():
        assert len(claimed(app)) == 1
        for seconds in (-240, -60, 60, 240):
            assert claimed(app, at=now() + timedelta(seconds=seconds)) == []


@pytest.mark.parametrize("jump", [DAY, -DAY, 3 * DAY, -3 * DAY])
def test_no_jump_makes_mail_that_failed_once_be_given_up(app: Flask, clock: Clock, jump: int) -> None:
    for place in range(3):
        sign(app, address=f"p{place}@example.org")
    failing = Server("smtp-451")
    deliver(app, failing)
    clock.shift(jump)
    for _ in range(5):
        clock.shift(3601)
        deliver(app, failing)
    rows = messages(app)
    assert {row.failed_at for row in rows} == {None}
    # After ten failures in a row only one mail at a time is tried.
    assert min(row.attempts for row in rows) >= 4
    clock.shift(3601)
    assert deliver(app, Server(None)) == 1
    assert deliver(app, Server(None)) == 2


def test_a_day_forward_and_back_ends_no_signature_and_no_link(app: Flask, clock: Clock) -> None:
    people = [
        Observer(app, email=f"p{place}@example.org", full_name=f"Айша Тест {chr(0x410 + place)}") for place in range(3)
    ]
    for person in people:
        person.sign()
    clock.shift(DAY)
    work(app)
    people[0].confirm()
    assert states(app) == ["confirmed", "submitted", "submitted"]
    clock.shift(-DAY)
    people[1].confirm()
    clock.shift(-DAY)
    people[2].confirm()
    assert states(app) == ["confirmed"] * 3
    work(app)
    assert all(row.done_at is not None and row.failed_at is None for row in messages(app))
    assert len(mails(app)) == 6


def test_a_code_is_sent_although_an_earlier_one_seems_to_come_from_tomorrow(app: Flask, clock: Clock) -> None:
    signature_id = confirmed(app)
    assert request_code(app, signature_id)
    clock.shift(-DAY)
    before = len(messages(app))
    for _ in range(5):
        assert request_code(app, signature_id)
        clock.shift(61)
    assert len(messages(app)) == before + 5
    assert not request_code(app, signature_id), "five a day, as ever"
    assert get(app, signature_id).state == "confirmed"


def test_attempts_are_not_refused_for_a_day(app: Flask, clock: Clock) -> None:
    key = "k" * 64
    with app.app_context():
        for _ in range(8):
            staff.count_attempt(key, window_seconds=900, amount=1, now=now())
        clock.shift(-DAY)
        assert staff_queries.find_attempts(key, now=now()) is None
        assert staff.count_attempt(key, window_seconds=900, amount=1, now=now()) == 1
        assert staff.count_attempt(key, window_seconds=900, amount=1, now=now()) == 2


@pytest.mark.parametrize("jump", [DAY, -DAY])
def test_staff_sign_in_anew_after_a_jump_and_no_session_lives_on_by_it(
    app: Flask, desk: Desk, clock: Clock, jump: int
) -> None:
    assert desk.queue().status == 200
    clock.shift(jump)
    page = desk.browser.get("/staff/")
    assert page.url.startswith("/staff/sign-in")


def test_what_was_declined_is_told_although_the_clock_went_back(app: Flask, desk: Desk, clock: Clock) -> None:
    amina = Observer(app)
    amina.sign_and_confirm()
    with app.app_context():
        signature_id = db.session.scalars(select(Signature.id)).one()
    decide(app, signature_id, desk.id, "decline", "duplicate")
    clock.shift(11)
    told = amina.browser.get("/en/my/").main
    assert "The Centre has declined the application." in told
    clock.shift(-DAY)
    assert amina.browser.get("/en/my/").main == told, "with the reason"


def test_a_jump_is_noticed_once_and_steering_is_not() -> None:
    wall, steady = [1000.0], [50.0]
    watch = our_clock.Watch(lambda: wall[0], lambda: steady[0])
    assert watch.look() == 0
    wall[0] += 40
    steady[0] += 10
    assert watch.look() == 0
    wall[0] -= 30
    wall[0] += DAY
    assert watch.look() == DAY
    assert watch.look() == 0
    wall[0] -= DAY
    assert watch.look() == -DAY
    steady[0] += 5
    wall[0] += 5
    assert watch.look() == 0
