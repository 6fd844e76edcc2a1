"""What a mailbox may be sent: limits, "this was not me", the hour's budget, and a way out that refuses everything."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import event, func, select, update
from time_machine import Traveller as Clock

from charter import worker
from charter.domain import token as tokens
from charter.domain.mailbox import mailbox_digest
from charter.models.base import db, writing
from charter.models.decision import Audit
from charter.models.limits import MailboxTally, MailHour
from charter.models.outbox import Message
from charter.models.signature import Link, Signature
from charter.operations import mailboxes, outbox, proving
from charter.operations.mailboxes import Lifting
from charter.operations.proving import Outcome, Proof
from charter.queries.outbox import mail_flow
from tests.operations.test_outbox import Server, claimed, deliver, messages
from tests.operations.test_races import at_once
from tests.operations.test_signing import ELSEWHERE, HERE, confirm, confirmed, get, key_of, now, sign
from tests.people import Desk, mails, work

MINUTE = 60
DAY = 86_400


def sent(app: Flask) -> list[str]:
    """Subjects do not matter here: the kinds as they left, oldest first."""
    with app.app_context():
        rows = db.session.execute(
            select(Message.kind, Message.sent_at).where(Message.sent_at.is_not(None)).order_by(Message.id)
        ).all()
    return [row.kind for row in rows]


def sign_as(app: Flask, place: int, address: str = "amina@example.org") -> int:
    return sign(app, "Адам " + chr(ord("А") + place), address)


def tally(app: Flask, mailbox: str = "amina@example.org") -> MailboxTally | None:
    with app.app_context():
        row = db.session.get(MailboxTally, mailbox_digest(mailbox, key=key_of(app)))
        db.session.expunge_all()
        return row


def free(app: Flask) -> None:
    """Signatures as if nobody had set them aside: whoever passes that limit meets the mailbox's."""
    with app.app_context(), writing():
        db.session.execute(update(Signature).values(held=False, held_because=None))
        db.session.execute(update(Message).where(Message.last_error.is_(None)).values(on_hold=False))
        db.session.commit()


# ── before anything is confirmed ─────────────────────────────────────────────────────────────────────────────────────


def test_one_name_at_a_mailbox_gets_one_mail_in_15_minutes_and_five_in_all_and_none_is_lost(
    app: Flask, clock: Clock
) -> None:
    for _ in range(7):
        sign(app)
    free(app)
    server = Server(None)
    counts = [deliver(app, server)]
    for _ in range(6):
        clock.shift(14 * MINUTE)
        counts.append(deliver(app, server))
        clock.shift(MINUTE + 5)
        counts.append(deliver(app, server))
    assert counts == [1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 0, 0, 0]
    waiting = [row for row in messages(app) if row.done_at is None]
    assert [(row.on_hold, row.last_error, row.attempts) for row in waiting] == [(True, mailboxes.LIMITED, 0)] * 2
    assert all(row.recipient for row in waiting)


def test_a_mailbox_gets_ten_mails_ever_whatever_names_are_typed(app: Flask, clock: Clock) -> None:
    for place in range(12):
        sign_as(app, place)
    free(app)
    work(app)
    clock.shift(3 * DAY)
    work(app)
    assert len(mails(app)) == 10
    assert len([row for row in messages(app) if row.on_hold]) == 2


@pytest.mark.parametrize("engine_name", ["sqlite"])
def test_aliases_of_one_mailbox_share_its_limits(app: Flask, clock: Clock) -> None:
    for place in range(12):
        sign_as(app, place, f"amina.ospanova+{place}@{'gmail' if place % 2 else 'googlemail'}.com")
    free(app)
    work(app)
    assert len(mails(app)) == 10
    found = tally(app, "aminaospanova@gmail.com")
    assert found is not None
    assert found.unconfirmed_count == 10


def test_what_waited_leaves_once_the_mailbox_has_confirmed(app: Flask, clock: Clock) -> None:
    first = sign_as(app, 0)
    for place in range(1, 12):
        sign_as(app, place)
    free(app)
    work(app)
    assert confirm(app, first).outcome is Outcome.DONE
    work(app)
    assert sent(app).count("signing") == 12
    assert sent(app).count("confirmed") == 1


def test_a_mailbox_that_has_confirmed_gets_no_more_than_five_at_once_and_then_one_a_day(
    app: Flask, clock: Clock
) -> None:
    confirmed(app)
    for _ in range(8):
        sign(app)
    free(app)
    for _ in range(12):
        deliver(app, Server(None))
        clock.shift(16 * MINUTE)
    assert sent(app).count("signing") == 5
    for _ in range(25):
        clock.shift(3600)
        deliver(app, Server(None))
    assert sent(app).count("signing") == 6


@pytest.mark.parametrize("engine_name", ["sqlite"])
def test_a_mail_that_failed_is_tried_again_in_time_and_counted_once(app: Flask, clock: Clock) -> None:
    sign(app)
    assert deliver(app, Server("smtp-451")) == 1
    clock.shift(61)
    assert deliver(app, Server("smtp-451")) == 1
    clock.shift(301)
    assert deliver(app, Server(None)) == 1
    found = tally(app)
    assert found is not None
    assert found.unconfirmed_count == 1


def test_workers_at_once_never_pass_a_limit(app: Flask, clock: Clock) -> None:
    for place in range(14):
        sign_as(app, place)
    free(app)
    at = now()
    results = at_once(app, *[lambda: claimed(app, limit=5, at=at)] * 4)
    assert sum(len(result) for result in results) <= 10
    found = tally(app)
    assert found is not None
    assert found.unconfirmed_count == sum(len(result) for result in results)
    rest = claimed_in(app, 50)
    assert sum(len(result) for result in results) + rest == 10


def claimed_in(app: Flask, limit: int) -> int:
    with app.app_context():
        return len(claimed(app, limit=limit))


@pytest.mark.parametrize("engine_name", ["sqlite"])
@pytest.mark.parametrize("jump", [-400 * DAY, -DAY, 400 * DAY])
def test_no_jump_of_the_clock_keeps_a_mail_for_good_or_passes_the_five(app: Flask, clock: Clock, jump: int) -> None:
    for _ in range(3):
        sign(app)
    work(app)
    assert len(mails(app)) == 1
    with app.app_context(), writing():
        # Their links would have ended: what is told here is about the mail.
        db.session.execute(update(Link).values(expires_at=now() + timedelta(days=900)))
        db.session.commit()
    clock.shift(jump)
    work(app)
    clock.shift(16 * MINUTE)
    work(app)
    clock.shift(16 * MINUTE)
    work(app)
    assert len(mails(app)) == 3


def test_staff_let_go_what_waits_beyond_the_limits(app: Flask, desk: Desk, clock: Clock) -> None:
    for place in range(12):
        sign_as(app, place)
    free(app)
    work(app)
    assert lift(app, desk, Lifting.LIMIT)
    work(app)
    assert sent(app).count("signing") == 12
    with app.app_context():
        line = db.session.scalars(select(Audit).filter_by(action="lift-mail-limit")).one()
        assert (line.staff_id, line.subject, line.detail) == (desk.id, "mailbox", {})


def lift(app: Flask, desk: Desk, what: Lifting, mailbox: str = "amina@example.org") -> bool:
    with app.app_context():
        return mailboxes.lift(mailbox, what, key=key_of(app), staff_id=desk.id, now=now())


@pytest.mark.parametrize("engine_name", ["sqlite"])
def test_a_release_by_staff_does_not_let_go_what_was_set_aside_for_another_reason(
    app: Flask, desk: Desk, clock: Clock
) -> None:
    for place in range(5):
        sign_as(app, place)
    work(app)
    assert len([row for row in messages(app) if row.on_hold]) == 2
    assert lift(app, desk, Lifting.LIMIT)
    assert len([row for row in messages(app) if row.on_hold]) == 2


# ── this was not me ──────────────────────────────────────────────────────────────────────────────────────────────────


def token_of(app: Flask, signature_id: int) -> tuple[str, str]:
    """The token and the code of the mail that asks for a confirmation."""
    with app.app_context():
        uid = db.session.scalars(select(Link.uid).filter_by(signature_id=signature_id, purpose="confirm")).one()
    return tokens.token(key_of(app), "confirm", uid), tokens.code(key_of(app), "confirm", uid)


def stop(app: Flask, token: str, *, browser: bytes | None = None, code: str | None = None) -> Outcome:
    with app.app_context():
        return mailboxes.stop(
            token, proof=Proof(browser, code), key=key_of(app), code_tries=5, stop_days=365, now=now()
        ).outcome


def test_not_me_ends_what_is_unconfirmed_and_stops_mail_for_twelve_months(app: Flask, clock: Clock) -> None:
    first, second = sign_as(app, 0), sign_as(app, 1)
    other = sign(app, address="other@example.org")
    work(app)
    token, code = token_of(app, first)
    assert stop(app, token, browser=ELSEWHERE, code=code) is Outcome.DONE
    assert [get(app, one).state for one in (first, second, other)] == ["expired", "expired", "submitted"]
    before = len(mails(app))
    again = sign_as(app, 2)
    work(app)
    assert len(mails(app)) == before
    row = messages(app)[-1]
    assert (row.signature_id, row.sent_at, row.recipient) == (again, None, None)
    assert get(app, again).state == "submitted"
    clock.shift(364 * DAY)
    sign_as(app, 3)
    work(app)
    assert len(mails(app)) == before
    clock.shift(2 * DAY)
    sign_as(app, 4)
    work(app)
    assert len(mails(app)) == before + 1


@pytest.mark.parametrize("engine_name", ["sqlite"])
@pytest.mark.parametrize("code", [None, "", "  ", "000000"])
def test_who_has_only_the_link_stops_nothing(app: Flask, clock: Clock, code: str | None) -> None:
    signature_id = sign(app)
    work(app)
    token, right = token_of(app, signature_id)
    assert right != code
    assert stop(app, token, code=code) in {Outcome.CODE_NEEDED, Outcome.CODE_WRONG}
    assert get(app, signature_id).state == "submitted"
    assert confirm(app, signature_id).outcome is Outcome.DONE


@pytest.mark.parametrize("engine_name", ["sqlite"])
def test_wrong_codes_at_either_door_are_counted_together(app: Flask, clock: Clock) -> None:
    signature_id = sign(app)
    token, code = token_of(app, signature_id)
    wrong = "000000" if code != "000000" else "111111"
    for _ in range(5):
        stop(app, token, code=wrong)
    assert stop(app, token, code=code) is Outcome.TRIES_USED_UP
    assert confirm(app, signature_id, browser=None, code=code).outcome is Outcome.TRIES_USED_UP
    assert stop(app, token, browser=HERE) is Outcome.DONE


@pytest.mark.parametrize("engine_name", ["sqlite"])
def test_not_me_after_a_confirmation_points_to_the_page_of_the_signature(app: Flask, clock: Clock) -> None:
    signature_id = sign(app)
    token, code = token_of(app, signature_id)
    confirm(app, signature_id)
    assert stop(app, token, code=code) is Outcome.ALREADY
    assert get(app, signature_id).state == "confirmed"


@pytest.mark.parametrize("engine_name", ["sqlite"])
def test_not_me_keeps_answers_about_what_the_mailbox_has_confirmed(app: Flask, clock: Clock) -> None:
    mine = confirmed(app, "Әмина Оспанова")
    foreign = sign(app, "Ерлан Бекенов")
    work(app)
    token, code = token_of(app, foreign)
    assert stop(app, token, code=code) is Outcome.DONE
    before = len(mails(app))
    with app.app_context():
        assert proving.request_code(mine, key=key_of(app), code_minutes=30, now=now())
    work(app)
    assert len(mails(app)) == before + 1
    assert get(app, mine).state == "confirmed"


@pytest.mark.parametrize("engine_name", ["sqlite"])
def test_an_unknown_link_and_one_of_another_purpose_stop_nothing(app: Flask, clock: Clock) -> None:
    signature_id = confirmed(app)
    with app.app_context():
        uid = db.session.scalars(select(Link.uid).filter_by(signature_id=signature_id, purpose="personal")).one()
    for token in ("A" * 43, "", "\ud800", tokens.token(key_of(app), "personal", uid)):
        assert stop(app, token, browser=HERE) is Outcome.UNKNOWN


@pytest.mark.parametrize("engine_name", ["sqlite"])
def test_one_that_was_set_aside_looks_unknown(app: Flask, clock: Clock) -> None:
    ids = [sign_as(app, place) for place in range(4)]
    assert get(app, ids[3]).held
    token, code = token_of(app, ids[3])
    assert stop(app, token, code=code) is Outcome.UNKNOWN


def test_confirming_against_not_me_at_once_leaves_one_of_the_two(app: Flask, clock: Clock) -> None:
    for place in range(3):
        address = f"p{place}@example.org"
        signature_id = sign(app, address=address)
        token, code = token_of(app, signature_id)
        results = at_once(
            app,
            lambda token=token, code=code: stop(app, token, code=code),
            lambda signature_id=signature_id: confirm(app, signature_id).outcome,
        )
        state = get(app, signature_id).state
        assert (results, state) in (
            ([Outcome.DONE, Outcome.EXPIRED], "expired"),
            ([Outcome.ALREADY, Outcome.DONE], "confirmed"),
        )


def test_staff_lift_a_stop_and_signing_works_again(app: Flask, desk: Desk, clock: Clock) -> None:
    token, code = token_of(app, sign(app))
    stop(app, token, code=code)
    assert lift(app, desk, Lifting.STOP)
    assert not lift(app, desk, Lifting.STOP)
    sign(app)
    work(app)
    assert len(mails(app)) == 1


@pytest.mark.parametrize("engine_name", ["sqlite"])
@pytest.mark.parametrize("jump", [-30 * DAY, -4000 * DAY])
def test_a_clock_that_goes_back_stops_nobody_for_longer_than_ever_planned(app: Flask, clock: Clock, jump: int) -> None:
    token, code = token_of(app, sign(app))
    stop(app, token, code=code)
    clock.shift(jump)
    sign(app)
    work(app)
    assert len(mails(app)) == (1 if jump < -3650 * DAY else 0)


# ── the hour ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def claim_with(app: Flask, budget: int, *, limit: int = 50) -> list[str]:
    with app.app_context():
        batch = outbox.claim(limit=limit, lease_seconds=300, key=key_of(app), hourly_budget=budget, now=now())
    return [one.kind for one in batch.deliveries]


def test_first_mails_get_four_fifths_of_the_hour_and_answers_all_of_it(app: Flask, clock: Clock) -> None:
    clock.move_to("2026-11-20T09:05:00Z")
    people = [sign(app, address=f"p{place}@example.org") for place in range(12)]
    assert len(claim_with(app, 10)) == 8
    assert claim_with(app, 10) == []
    for signature_id in people[:3]:
        confirm(app, signature_id)
    assert claim_with(app, 10) == ["confirmed", "confirmed"]
    assert claim_with(app, 10) == []
    with app.app_context():
        assert mail_flow(budget=10, now=now()).sent == 10
    with app.app_context(), writing():
        db.session.execute(update(Message).where(Message.leased_until.is_not(None)).values(done_at=now()))
        db.session.commit()
    clock.shift(3600)
    assert sorted(claim_with(app, 20)) == ["confirm-signature"] * 4 + ["confirmed"]


@pytest.mark.parametrize("engine_name", ["sqlite"])
def test_answers_leave_before_first_mails_that_have_waited_longer(app: Flask, clock: Clock) -> None:
    answered = sign(app, address="first@example.org")
    for place in range(5):
        sign(app, address=f"p{place}@example.org")
    clock.shift(5)
    confirm(app, answered)
    assert claim_with(app, 0, limit=1) == ["confirmed"]
    assert claim_with(app, 0) == ["confirm-signature"] * 5


def test_workers_at_once_never_pass_the_budget(app: Flask, clock: Clock) -> None:
    for place in range(16):
        sign(app, address=f"p{place}@example.org")
    results = at_once(app, *[lambda: claim_with(app, 10, limit=4)] * 4)
    assert sum(len(result) for result in results) == 8


@pytest.mark.parametrize("engine_name", ["sqlite"])
def test_what_goes_back_unoffered_is_not_counted(app: Flask, clock: Clock) -> None:
    sign(app)
    hand = worker.Hand()
    config = app.config["CHARTER"]
    with app.app_context():
        batch = outbox.claim(limit=5, lease_seconds=300, key=key_of(app), hourly_budget=5, now=now())
        hand.fill(batch, leased_until=messages(app)[0].leased_until or now())
        hand.put_back()
        assert db.session.scalar(select(func.sum(MailHour.sent_count))) == 0
        assert config.mail_hourly_budget == 20_000


# ── the way out refuses ──────────────────────────────────────────────────────────────────────────────────────────────


def people_sign(app: Flask, count: int) -> None:
    for place in range(count):
        sign(app, address=f"p{place}@example.org")


def test_ten_failures_in_a_row_stop_the_rest_and_one_mail_is_tried_after_each_pause(app: Flask, clock: Clock) -> None:
    people_sign(app, 20)
    assert deliver(app, Server("smtp-451")) == 10
    assert deliver(app, Server(None)) == 0
    with app.app_context():
        assert mail_flow(budget=0, now=now()).rests_since is not None
    clock.shift(61)
    assert deliver(app, Server("smtp-451")) == 1
    clock.shift(61)
    assert deliver(app, Server("smtp-451")) == 0, "each pause is longer"
    clock.shift(61)
    assert deliver(app, Server(None)) == 1
    with app.app_context():
        assert mail_flow(budget=0, now=now()).rests_since is None
    clock.shift(3600)
    assert deliver(app, Server(None)) == 19
    assert {row.sent_at is None for row in messages(app)} == {False}


@pytest.mark.parametrize("engine_name", ["sqlite"])
def test_addresses_that_do_not_exist_do_not_stop_the_others(app: Flask, clock: Clock) -> None:
    people_sign(app, 29)
    assert deliver(app, Server("smtp-550", is_permanent=True)) == 29
    sign(app, address="good@example.org")
    assert deliver(app, Server(None)) == 1
    people_sign(app, 29)
    clock.shift(16 * MINUTE)
    assert deliver(app, Server("smtp-550", is_permanent=True)) == 29


def test_while_one_mail_is_tried_no_other_worker_tries(app: Flask, clock: Clock) -> None:
    people_sign(app, 12)
    deliver(app, Server("smtp-451"))
    clock.shift(120)
    results = at_once(app, *[lambda: claim_with(app, 0)] * 4)
    assert sorted(len(result) for result in results) == [0, 0, 0, 1]


@pytest.mark.parametrize("engine_name", ["sqlite"])
@pytest.mark.parametrize("jump", [-DAY, DAY])
def test_a_pause_outlasts_no_jump_of_the_clock(app: Flask, clock: Clock, jump: int) -> None:
    people_sign(app, 12)
    deliver(app, Server("smtp-451"))
    clock.shift(jump)
    assert deliver(app, Server(None)) == 1
    assert deliver(app, Server(None)) >= 1


@pytest.mark.parametrize("engine_name", ["sqlite"])
def test_a_pause_with_nothing_to_try_keeps_nobody_waiting(app: Flask, clock: Clock) -> None:
    people_sign(app, 10)
    deliver(app, Server("smtp-550"))
    clock.shift(61)
    with app.app_context(), writing():
        db.session.execute(update(Message).values(done_at=now()))
        db.session.commit()
    assert deliver(app, Server(None)) == 0
    sign(app, address="late@example.org")
    assert deliver(app, Server(None)) == 1


# ── cost ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_full_batch_costs_as_many_statements_as_a_small_one(app: Flask, clock: Clock) -> None:
    counts = []
    claim_with(app, 9999)
    for people in (2, 20):
        for place in range(people):
            mine = f"n{people}p{place}@example.org"
            confirmed(app, address=mine)
            sign(app, address=mine)
            sign(app, "Басқа Адам", mine)
        with app.app_context():
            told: list[str] = []

            def note(_c: Any, _cursor: Any, statement: str, *_rest: Any, told: list[str] = told) -> None:
                told.append(statement)

            engine = db.engine
            event.listen(engine, "before_cursor_execute", note)
            try:
                found = outbox.claim(limit=150, lease_seconds=300, key=key_of(app), hourly_budget=9999, now=now())
            finally:
                event.remove(engine, "before_cursor_execute", note)
        assert len(found.deliveries) >= people * 2
        counts.append(len(told))
    assert counts[0] == counts[1], counts
    assert counts[1] <= 16
