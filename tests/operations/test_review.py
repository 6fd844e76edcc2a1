"""The Centre's verbs: deciding, taking back within ten seconds, being told, and letting through what was set aside."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask
from sqlalchemy import func, select
from time_machine import Traveller as Clock

from charter.domain.errors import (
    DecidedMeanwhileError,
    FieldRefusedError,
    MoveRefusedError,
    NotFoundError,
    TooLateError,
)
from charter.domain.reasons import CATALOGUE
from charter.models.base import db
from charter.models.decision import Audit, Decision
from charter.models.desk import DeskCount
from charter.models.log import LogEvent
from charter.models.outbox import Message
from charter.models.registry import PublicEntry
from charter.models.signature import Clarification, Signature
from charter.operations import review, signing
from charter.queries import queue as queue_queries
from tests.operations.test_signing import (
    confirmed,
    correct,
    decide,
    get,
    leaves,
    moves,
    now,
    sign,
    subjects,
    withdraw,
)
from tests.people import Desk, work

ACTIONS = [
    ("approve", None, "approved"),
    ("decline", "duplicate", "declined"),
    ("ask", "name-unclear", "clarification"),
]
RECEIVED = "Ваша заявка получена"


def undo(app: Flask, decision_id: int, staff_id: int) -> int:
    with app.app_context():
        return review.undo(decision_id, staff_id=staff_id, now=now())


def count(app: Flask, table: type[Any], *conditions: Any) -> int:
    with app.app_context():
        return db.session.scalar(select(func.count()).select_from(table).where(*conditions)) or 0


def audited(app: Flask, signature_id: int) -> list[tuple[str, int | None]]:
    """What the audit tells was done to one signature: (action, who)."""
    with app.app_context():
        rows = db.session.scalars(
            select(Audit).where(Audit.subject == "signature", Audit.subject_id == signature_id).order_by(Audit.id)
        )
        return [(row.action, row.staff_id) for row in rows if not row.action.startswith("read-")]


# ── taking back ──────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("action", "reason", "state"), ACTIONS)
def test_a_decision_taken_back_within_ten_seconds_never_happened_outside(
    app: Flask, desk: Desk, clock: Clock, action: str, reason: str | None, state: str
) -> None:
    signature_id = confirmed(app)
    work(app)
    before = get(app, signature_id)
    decision_id = decide(app, signature_id, desk.id, action, reason)
    assert get(app, signature_id).state == state
    clock.shift(9)
    work(app)
    assert undo(app, decision_id, desk.id) == signature_id
    clock.shift(60)
    work(app)
    row = get(app, signature_id)
    assert (row.state, row.ended_at, row.due_on) == ("confirmed", None, before.due_on)
    assert row.version == before.version + 2, "a page opened before or between is told"
    assert [leaf["kind"] for leaf in leaves(app, row.entry)] == ["confirm"]
    assert subjects(app) == [RECEIVED]
    assert count(app, LogEvent) == count(app, Clarification) == 0
    assert moves(app, signature_id) == ["sign", "confirm", action, "undo"]
    assert audited(app, signature_id) == [(action, desk.id), ("undo", desk.id)]
    # It can be decided again, and that decision holds.
    decide(app, signature_id, desk.id)
    clock.shift(11)
    work(app)
    assert get(app, signature_id).state == "published"


@pytest.mark.parametrize(("action", "reason", "state"), ACTIONS)
def test_after_ten_seconds_it_is_too_late(
    app: Flask, desk: Desk, clock: Clock, action: str, reason: str | None, state: str
) -> None:
    signature_id = confirmed(app)
    decision_id = decide(app, signature_id, desk.id, action, reason)
    clock.shift(10)
    with pytest.raises(TooLateError):
        undo(app, decision_id, desk.id)
    assert get(app, signature_id).state == state
    assert moves(app, signature_id)[-1] == action
    work(app)
    assert len(subjects(app)) == 2
    with pytest.raises(TooLateError):
        undo(app, decision_id, desk.id)


def test_a_decision_is_taken_back_once(app: Flask, desk: Desk, clock: Clock) -> None:
    signature_id = confirmed(app)
    decision_id = decide(app, signature_id, desk.id)
    undo(app, decision_id, desk.id)
    again = decide(app, signature_id, desk.id, "decline", "duplicate")
    with pytest.raises(TooLateError):
        undo(app, decision_id, desk.id)
    assert get(app, signature_id).state == "declined"
    assert again != decision_id


def test_only_ones_own_decision_can_be_taken_back(app: Flask, desk: Desk, clock: Clock) -> None:
    dana = Desk(app, "Dana", "dana@example.org")
    signature_id = confirmed(app)
    decision_id = decide(app, signature_id, desk.id)
    with pytest.raises(NotFoundError):
        undo(app, decision_id, dana.id)
    with pytest.raises(NotFoundError):
        undo(app, decision_id + 1, desk.id)
    assert get(app, signature_id).state == "approved"
    assert "Take" not in dana.queue().main


def test_the_page_offers_to_take_back_and_does_it(app: Flask, desk: Desk, clock: Clock) -> None:
    signature_id = confirmed(app)
    after = desk.decide(desk.open_first(), "approve")
    assert after.url == "/staff/"
    back = after.submit(at="/undo")
    assert back.url == f"/staff/review/{signature_id}/"
    assert "The decision is taken back." in back.text
    assert get(app, signature_id).state == "confirmed"
    after = desk.decide(back, "approve")
    clock.shift(11)
    late = after.submit(at="/undo")
    assert "It is too late to take this decision back." in late.text
    assert get(app, signature_id).state == "approved"


def test_nothing_can_be_taken_back_once_the_signatory_has_left(app: Flask, desk: Desk, clock: Clock) -> None:
    signature_id = confirmed(app)
    decision_id = decide(app, signature_id, desk.id)
    withdraw(app, signature_id)
    with pytest.raises(TooLateError):
        undo(app, decision_id, desk.id)
    row = get(app, signature_id)
    assert row.state == "withdrawn"
    assert row.ended_at is not None


def test_taking_back_from_clarification_returns_to_clarification(app: Flask, desk: Desk, clock: Clock) -> None:
    signature_id = confirmed(app)
    decide(app, signature_id, desk.id, "ask", "name-unclear")
    clock.shift(11)
    decision_id = decide(app, signature_id, desk.id)
    undo(app, decision_id, desk.id)
    assert get(app, signature_id).state == "clarification"
    assert count(app, Clarification) == 1, "the question stays"


def test_a_question_stays_asked_once_what_it_was_asked_of_was_corrected(app: Flask, desk: Desk, clock: Clock) -> None:
    signature_id = confirmed(app)
    decision_id = decide(app, signature_id, desk.id, "ask", "name-unclear")
    correct(app, signature_id, region_code="KZ-71")
    with pytest.raises(TooLateError):
        undo(app, decision_id, desk.id)
    assert get(app, signature_id).state == "clarification"
    with app.app_context():
        counted = db.session.execute(select(DeskCount.region_code, DeskCount.count)).all()
    assert [tuple(row) for row in counted] == [("KZ-75", 1)], "in the region where it was asked"


# ── being told ───────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_slower_of_two_reviewers_is_told_who_won_and_what_stands_now(app: Flask, desk: Desk, clock: Clock) -> None:
    dana = Desk(app, "Dana", "dana@example.org")
    signature_id = confirmed(app)
    page = dana.open_first()
    desk.decide(desk.open_first(), "approve")
    told = dana.decide(page, "decline", decline_reason="duplicate")
    assert told.status == 409
    assert "Bruno has decided meanwhile. State now: Approved" in told.main
    assert "There is nothing to decide in this state." in told.main
    assert audited(app, signature_id) == [("approve", desk.id)]
    assert count(app, Decision) == 1


def test_a_reviewer_is_told_when_the_signatory_corrected_meanwhile_and_can_decide_then(
    app: Flask, desk: Desk, clock: Clock
) -> None:
    signature_id = confirmed(app)
    page = desk.open_first()
    correct(app, signature_id, full_name="Әмина Серікқызы Оспанова")
    told = desk.decide(page, "approve")
    assert told.status == 409
    assert "The application changed while you looked at it. State now: Under review" in told.main
    assert "Әмина Серікқызы Оспанова" in told.main
    assert get(app, signature_id).state == "confirmed"
    desk.decide(told, "approve")
    assert get(app, signature_id).state == "approved"


def test_a_reviewer_is_told_when_the_signatory_left_meanwhile(app: Flask, desk: Desk, clock: Clock) -> None:
    signature_id = confirmed(app)
    page = desk.open_first()
    withdraw(app, signature_id)
    told = desk.decide(page, "approve")
    assert told.status == 409
    assert "State now: Withdrawn" in told.main
    assert count(app, Decision) == 0


def test_a_stale_version_decides_nothing(app: Flask, desk: Desk, clock: Clock) -> None:
    signature_id = confirmed(app)
    version = get(app, signature_id).version
    for stale in (version - 1, version + 1, 0, -1):
        with app.app_context(), pytest.raises(DecidedMeanwhileError) as told:
            review.decide(
                signature_id,
                action="approve",
                expected_version=stale,
                reason=None,
                note=None,
                staff_id=desk.id,
                undo_seconds=10,
                now=now(),
            )
        assert (told.value.state, told.value.by_staff_name) == ("confirmed", None)
    assert get(app, signature_id).version == version


# ── deciding ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_an_application_can_be_approved_while_its_question_is_open(app: Flask, desk: Desk, clock: Clock) -> None:
    signature_id = confirmed(app)
    decide(app, signature_id, desk.id, "ask", "affiliation-unclear")
    clock.shift(11)
    work(app)
    page = desk.browser.get("/staff/?state=clarification")
    desk.decide(desk.browser.get(page.href("/staff/review/")), "approve")
    with app.app_context(), pytest.raises(MoveRefusedError):
        signing.answer(signature_id, "Слишком поздно.", now=now())
    clock.shift(11)
    work(app)
    assert get(app, signature_id).state == "published"
    assert moves(app, signature_id) == ["sign", "confirm", "ask", "approve", "publish"]


def test_declining_and_asking_need_a_reason_of_their_own_catalogue(app: Flask, desk: Desk, clock: Clock) -> None:
    signature_id = confirmed(app)
    for action, reason in (
        ("decline", None),
        ("decline", "name-unclear"),
        ("decline", "no-such-reason"),
        ("ask", None),
        ("ask", "duplicate"),
    ):
        with pytest.raises(FieldRefusedError):
            decide(app, signature_id, desk.id, action, reason)
    page = desk.open_first()
    for action in ("decline", "ask"):
        refused = desk.decide(page, action)
        assert refused.status == 422
        assert "Choose a reason" in refused.main
    assert desk.decide(page, "burn").status == 422
    assert get(app, signature_id).state == "confirmed"
    assert count(app, Decision) == 0
    assert audited(app, signature_id) == []


def test_reasons_that_say_nothing_alone_need_a_note(app: Flask, desk: Desk, clock: Clock) -> None:
    confirmed(app)
    page = desk.open_first()
    for answers in (
        {"action": "decline", "decline_reason": "other"},
        {"action": "ask", "ask_reason": "something-else"},
    ):
        for note in ("", "  \n "):
            refused = page.submit(at="/staff/review/", note=note, **answers)
            assert refused.status == 422
            assert "Write a note" in refused.main
    assert count(app, Decision) == 0
    assert page.submit(at="/staff/review/", action="ask", ask_reason="something-else", note="Кто вы?").status == 200
    assert count(app, Decision, Decision.note == "Кто вы?") == 1


def test_the_note_is_not_lost_when_the_other_one_was_quicker(app: Flask, desk: Desk, clock: Clock) -> None:
    signature_id = confirmed(app)
    page = desk.open_first()
    correct(app, signature_id, region_code="KZ-71")
    told = desk.decide(page, "ask", ask_reason="something-else", note="Почему Астана?")
    assert told.status == 409
    assert "Почему Астана?" in told.main


def test_every_reason_of_the_catalogue_can_be_given_and_reaches_the_log_as_its_public_reason(
    app: Flask, desk: Desk, clock: Clock
) -> None:
    given = {}
    for place, reason in enumerate(CATALOGUE):
        signature_id = confirmed(app, address=f"p{place}@example.org")
        decide(app, signature_id, desk.id, reason.action, reason.code)
        given[get(app, signature_id).entry] = reason
    clock.shift(11)
    work(app)
    refused = {leaf["entry"]: leaf["reason"] for leaf in leaves(app) if leaf["kind"] == "refuse"}
    assert refused == {entry: reason.log for entry, reason in given.items() if reason.action == "decline"}


@pytest.mark.parametrize(("action", "reason", "state"), ACTIONS)
def test_each_decision_records_who_when_and_why(
    app: Flask, desk: Desk, clock: Clock, action: str, reason: str | None, state: str
) -> None:
    signature_id = confirmed(app)
    began = now()
    decide(app, signature_id, desk.id, action, reason)
    with app.app_context():
        decision = db.session.scalars(select(Decision)).one()
        assert (decision.action, decision.reason, decision.staff_id) == (action, reason, desk.id)
        assert (decision.effective_at - decision.decided_at).total_seconds() == 10
        audit = db.session.scalars(select(Audit).filter_by(subject_id=signature_id, subject="signature")).one()
        assert (audit.action, audit.staff_id, audit.detail) == (action, desk.id, {"reason": reason})
        assert began <= audit.at <= now()
        assert db.session.get_one(Signature, signature_id).state == state


def test_the_mail_of_a_decision_waits_as_long_as_it_can_be_taken_back(app: Flask, desk: Desk, clock: Clock) -> None:
    signature_id = confirmed(app)
    work(app)
    decide(app, signature_id, desk.id, "decline", "duplicate")
    clock.shift(9)
    work(app)
    assert subjects(app) == [RECEIVED]
    assert [leaf["kind"] for leaf in leaves(app, get(app, signature_id).entry)] == ["confirm"]
    clock.shift(2)
    work(app)
    assert subjects(app) == [RECEIVED, "Ваша заявка отклонена"]
    assert count(app, PublicEntry) == 0


# ── the queue and what was set aside ─────────────────────────────────────────────────────────────────────────────────


def test_after_a_decision_the_next_one_is_the_one_due_first(app: Flask, desk: Desk, clock: Clock) -> None:
    ids = [confirmed(app, address=f"p{place}@example.org") for place in range(3)]
    clock.shift(3 * 86_400)
    desk = Desk(app, "Dana", "dana@example.org")
    young = confirmed(app, address="young@example.org")
    with app.app_context():
        rows = queue_queries.queue("en", today=now().date()).rows
    assert [row.signature_id for row in rows] == [*ids, young]
    page = desk.open_first()
    shown = [page.url]
    for _ in range(3):
        page = desk.decide(page, "approve")
        shown.append(page.url)
    assert shown == [f"/staff/review/{one}/" for one in [*ids, young]]
    assert desk.decide(page, "approve").url == "/staff/"


def test_an_answer_that_comes_late_goes_before_younger_ones(app: Flask, desk: Desk, clock: Clock) -> None:
    asked = confirmed(app, address="asked@example.org")
    decide(app, asked, desk.id, "ask", "name-unclear")
    clock.shift(3 * 86_400)
    young = confirmed(app, address="young@example.org")
    with app.app_context():
        assert queue_queries.next_in_queue() == young
        signing.answer(asked, "Да.", now=now())
        assert queue_queries.next_in_queue() == asked
        assert queue_queries.next_in_queue(skip=asked) == young


def test_the_day_after_it_was_due_an_application_is_shown_as_overdue(app: Flask, clock: Clock) -> None:
    confirmed(app)  # Friday the 20th: due on Friday the 27th
    clock.shift(7 * 86_400 + 9 * 3600)  # 23:00 in Astana on the 27th
    assert 'bad">overdue' not in Desk(app, "Bruno", "bruno@example.org").queue().text
    clock.shift(2 * 3600)
    assert 'bad">overdue' in Desk(app, "Dana", "dana@example.org").queue().text


def test_letting_through_is_recorded_and_possible_once(app: Flask, desk: Desk, clock: Clock) -> None:
    for name in ("Бірінші Адам", "Екінші Адам", "Үшінші Адам"):
        assert not get(app, sign(app, name, "office@example.org")).held
    held = sign(app, "Төртінші Адам", "office@example.org")
    free = sign(app, address="free@example.org")
    assert count(app, Message, Message.on_hold) == 1

    def release(signature_id: int) -> None:
        with app.app_context():
            review.release(signature_id, staff_id=desk.id, confirm_link_days=7, now=now())

    for other in (free, held + 100):
        with pytest.raises(NotFoundError):
            release(other)
    release(held)
    with pytest.raises(NotFoundError):
        release(held)
    assert audited(app, held) == [("release", desk.id)]
    assert moves(app, held) == ["sign", "release"]
    assert count(app, Message, Message.on_hold) == 0
    assert not get(app, held).held
