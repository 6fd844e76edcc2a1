"""Objections: somebody else than who decided looks again, and what has ended comes back under a new entry only."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import delete, func, select, update
from time_machine import Traveller as Clock

from charter import shipped
from charter.domain.errors import (
    DecidedMeanwhileError,
    FieldRefusedError,
    MoveRefusedError,
    NotFoundError,
    SameReviewerError,
    TooLateError,
)
from charter.models.base import db, writing
from charter.models.decision import Decision
from charter.models.log import LogEvent
from charter.models.outbox import Message
from charter.models.rights import Correction, Objection
from charter.models.signature import Link, Signature, SignatureConsent
from charter.operations import erasing, objections
from charter.operations.proving import Outcome
from charter.queries import objections as queries
from charter.queries import queue
from tests.operations import test_corrections as wishes
from tests.operations.test_publication import entry_row, published
from tests.operations.test_races import at_once
from tests.operations.test_rights import erase, events
from tests.operations.test_signing import confirmed, decide, get, key_of, leaves, moves, now, sign, subjects, withdraw
from tests.pages import Browser
from tests.people import Desk, link_in, mails, text_of, work

#: The rule is the same on both engines; what differs between them is asked of both.
ONE_ENGINE = pytest.mark.parametrize("engine_name", ["sqlite"], indirect=True)
WORDS = "Бұл шешім дұрыс емес: мен байқаушымын."


@pytest.fixture
def dana(app: Flask, clock: Clock) -> Desk:
    """Who did not decide first."""
    return Desk(app, "Dana", "dana@example.org")


def declined(app: Flask, desk: Desk, clock: Clock, **more: Any) -> int:
    """A declined application whose mail has left."""
    signature_id = confirmed(app, **more)
    decide(app, signature_id, desk.id, "decline", "duplicate")
    clock.shift(11)
    work(app)
    return signature_id


def object_to(app: Flask, signature_id: int, words: str = WORDS) -> int:
    with app.app_context():
        objections.object_to(signature_id, words, answer_due_working_days=5, holidays=shipped.holidays(), now=now())
        return db.session.scalars(select(func.max(Objection.id))).one()


def answering(
    app: Flask, objection_id: int, staff_id: int, *, is_upheld: bool = True, answer: str | None = None, version: int = 1
) -> Callable[[], None]:
    return lambda: objections.decide(
        objection_id,
        is_upheld=is_upheld,
        answer=answer,
        expected_version=version,
        staff_id=staff_id,
        answer_due_working_days=5,
        holidays=shipped.holidays(),
        key=key_of(app),
        undo_seconds=10,
        now=now(),
    )


def answer(app: Flask, objection_id: int, staff_id: int, **more: Any) -> None:
    more.setdefault("version", the_one(app, objection_id).version)
    with app.app_context():
        answering(app, objection_id, staff_id, **more)()


def undo(app: Flask, objection_id: int, staff_id: int) -> int:
    with app.app_context():
        return objections.undo(objection_id, staff_id=staff_id, now=now())


def the_one(app: Flask, objection_id: int) -> Objection:
    with app.app_context():
        row = db.session.get_one(Objection, objection_id)
        db.session.expunge(row)
        db.session.rollback()
        return row


def taken_up(app: Flask, objection_id: int) -> int:
    new_id = the_one(app, objection_id).new_signature_id
    assert new_id is not None
    return new_id


# ── objecting ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_an_objection_waits_with_a_day_and_is_told_of_by_mail(app: Flask, desk: Desk, clock: Clock) -> None:
    signature_id = declined(app, desk, clock)
    objection_id = object_to(app, signature_id)
    row = the_one(app, objection_id)
    assert (row.state, row.words, row.due_on, row.first_staff_id) == ("pending", WORDS, date(2026, 11, 27), desk.id)
    assert events(app, signature_id)[-1] == ("object", "signatory", None, None)
    work(app)
    mail = mails(app)[-1]
    assert mail["Subject"] == "Ваше возражение получено"
    assert "27\N{NO-BREAK SPACE}ноября 2026" in text_of(mail)
    assert WORDS not in text_of(mail)
    assert "Ваше возражение" in Browser(app).get(link_in(mail, "/my/")).main
    with pytest.raises(MoveRefusedError):
        object_to(app, signature_id)


@ONE_ENGINE
@pytest.mark.parametrize("state", ["confirmed", "approved", "published", "withdrawn", "declining"])
def test_where_nothing_was_declined_for_good_there_is_nothing_to_object_to(
    app: Flask, desk: Desk, clock: Clock, state: str
) -> None:
    signature_id = confirmed(app)
    if state in {"approved", "published"}:
        decide(app, signature_id, desk.id)
    if state == "published":
        clock.shift(11)
        work(app)
    if state == "withdrawn":
        withdraw(app, signature_id)
    if state == "declining":
        decide(app, signature_id, desk.id, "decline", "duplicate")
    with pytest.raises(MoveRefusedError):
        object_to(app, signature_id)
    with app.app_context():
        assert db.session.scalars(select(Objection)).all() == []


@ONE_ENGINE
def test_what_a_restore_knows_only_as_declined_can_be_objected_to_once(
    app: Flask, desk: Desk, dana: Desk, clock: Clock
) -> None:
    signature_id = declined(app, desk, clock)
    with app.app_context(), writing():
        db.session.execute(update(Message).values(decision_id=None))
        db.session.execute(delete(Decision))
        db.session.commit()
    objection_id = object_to(app, signature_id)
    with pytest.raises(MoveRefusedError):
        object_to(app, signature_id)
    # Nobody knows who decided, so anybody may answer.
    answer(app, objection_id, desk.id)
    assert get(app, taken_up(app, objection_id)).state == "confirmed"


# ── answering ────────────────────────────────────────────────────────────────────────────────────────────────────────


@ONE_ENGINE
def test_whoever_decided_does_not_answer(app: Flask, desk: Desk, clock: Clock) -> None:
    objection_id = object_to(app, declined(app, desk, clock))
    for is_upheld in (True, False):
        with pytest.raises(SameReviewerError):
            answer(app, objection_id, desk.id, is_upheld=is_upheld, answer="Жоқ")
    assert the_one(app, objection_id).state == "pending"
    with app.app_context():
        row = queries.queue(staff_id=desk.id, today=date(2026, 11, 20)).rows[0]
        assert (row.is_yours, row.is_late, row.about) == (True, False, "application")
        assert queries.queue(staff_id=desk.id, today=date(2026, 11, 28)).rows[0].is_late


def test_a_rejection_needs_words_and_brings_them(app: Flask, desk: Desk, dana: Desk, clock: Clock) -> None:
    signature_id = declined(app, desk, clock)
    objection_id = object_to(app, signature_id)
    with pytest.raises(FieldRefusedError):
        answer(app, objection_id, dana.id, is_upheld=False)
    answer(app, objection_id, dana.id, is_upheld=False, answer="Куәлік жоқ.")
    work(app)
    assert subjects(app)[-1] == "Ваше возражение получено"
    with app.app_context():
        assert [one.state for one in queries.mine(signature_id, now=now())] == ["pending"]
    clock.shift(11)
    work(app)
    assert subjects(app)[-1] == "Ваше возражение отклонено"
    assert "Куәлік жоқ." in text_of(mails(app)[-1])
    assert get(app, signature_id).state == "declined"
    assert events(app, signature_id)[-1] == ("reject", "centre", None, dana.id)
    with app.app_context():
        mine = queries.mine(signature_id, now=now())
        assert [(one.state, one.answer) for one in mine] == [("rejected", "Куәлік жоқ.")]
    with pytest.raises(MoveRefusedError):
        object_to(app, signature_id)


def test_an_upheld_one_takes_the_application_up_again_under_a_new_entry(
    app: Flask, desk: Desk, dana: Desk, clock: Clock
) -> None:
    old_id = declined(app, desk, clock)
    objection_id = object_to(app, old_id)
    clock.shift(timedelta(days=3))
    answer(app, objection_id, dana.id, answer="Қателестік.")
    new_id = taken_up(app, objection_id)
    old, new = get(app, old_id), get(app, new_id)
    work(app)
    assert leaves(app, new.entry) == [], "it can still be taken back"
    assert subjects(app)[-1] == "Ваше возражение получено"
    clock.shift(11)
    work(app)
    leaf = leaves(app, new.entry)[0]
    assert (leaf["kind"], leaf["due"]) == ("confirm", "2026-11-30")
    assert [one["kind"] for one in leaves(app, old.entry)] == ["confirm", "refuse"]
    assert (old.state, new.state, new.due_on) == ("declined", "confirmed", date(2026, 11, 30))
    same = ("full_name", "email", "mailbox", "name_key", "name_fold", "region_code", "display", "browser_digest")
    assert [getattr(old, name) for name in same] == [getattr(new, name) for name in same]
    assert old.entry != new.entry
    with app.app_context():
        consents = [
            db.session.execute(
                select(SignatureConsent.kind, SignatureConsent.text_sha256, SignatureConsent.given_at)
                .filter_by(signature_id=one)
                .order_by(SignatureConsent.kind)
            ).all()
            for one in (old_id, new_id)
        ]
    assert consents[0] == consents[1]
    # Desks get mail of their own.
    mail = next(one for one in reversed(mails(app)) if one["To"] == new.email)
    assert mail["Subject"] == "Ваше возражение удовлетворено"
    assert "Қателестік." in text_of(mail)
    mine = Browser(app).get(link_in(mail, "/my/"))
    assert "30\N{NO-BREAK SPACE}ноября 2026" in mine.main
    assert "после возражения" in mine.main.replace("\N{NO-BREAK SPACE}", " ")
    assert (moves(app, new_id), moves(app, old_id)[-1]) == (["reopen"], "uphold")
    with app.app_context():
        assert [row.signature_id for row in queue.queue("ru", today=date(2026, 11, 23)).rows] == [new_id]
    decide(app, new_id, dana.id)
    clock.shift(11)
    work(app)
    assert entry_row(app, new_id).name == new.full_name
    assert [one["kind"] for one in leaves(app, new.entry)] == ["confirm", "publish"]


@ONE_ENGINE
def test_a_second_decline_can_be_objected_to_anew(app: Flask, desk: Desk, dana: Desk, clock: Clock) -> None:
    first = object_to(app, declined(app, desk, clock))
    answer(app, first, dana.id)
    clock.shift(11)
    work(app)
    new_id = taken_up(app, first)
    decide(app, new_id, dana.id, "decline", "not-an-observer")
    clock.shift(11)
    work(app)
    second = object_to(app, new_id)
    with pytest.raises(SameReviewerError):
        answer(app, second, dana.id)
    answer(app, second, desk.id)
    assert get(app, taken_up(app, second)).state == "confirmed"


@ONE_ENGINE
def test_nothing_is_taken_up_again_for_somebody_who_stands_already(
    app: Flask, desk: Desk, dana: Desk, clock: Clock
) -> None:
    objection_id = object_to(app, declined(app, desk, clock))
    confirmed(app)
    with pytest.raises(MoveRefusedError):
        answer(app, objection_id, dana.id)
    assert the_one(app, objection_id).state == "pending"
    answer(app, objection_id, dana.id, is_upheld=False, answer="Қайта қол қойдыңыз.")


@ONE_ENGINE
def test_whoever_signs_again_after_an_upheld_objection_gets_the_link_of_what_stands(
    app: Flask, desk: Desk, dana: Desk, clock: Clock
) -> None:
    objection_id = object_to(app, declined(app, desk, clock))
    answer(app, objection_id, dana.id)
    clock.shift(11)
    work(app)
    clock.shift(timedelta(minutes=30))
    sign(app)
    work(app)
    assert subjects(app)[-1] == "Вы уже подписали Хартию"


# ── taking back ──────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("is_upheld", [True, False])
def test_an_answer_taken_back_within_ten_seconds_never_happened_outside(
    app: Flask, desk: Desk, dana: Desk, clock: Clock, is_upheld: bool
) -> None:
    signature_id = declined(app, desk, clock)
    objection_id = object_to(app, signature_id)
    work(app)
    before, told = leaves(app), subjects(app)
    answer(app, objection_id, dana.id, is_upheld=is_upheld, answer="Жауап")
    new_id = the_one(app, objection_id).new_signature_id
    clock.shift(9)
    work(app)
    with pytest.raises(NotFoundError):
        undo(app, objection_id, desk.id)
    assert undo(app, objection_id, dana.id) == objection_id
    clock.shift(60)
    work(app)
    row = the_one(app, objection_id)
    assert (row.state, row.answer, row.staff_id, row.effective_at, row.new_signature_id) == (
        *("pending", None, None, None),
        None,
    )
    assert (leaves(app), subjects(app)) == (before, told)
    if new_id is not None:
        stub = get(app, new_id)
        assert (stub.state, stub.full_name, stub.email, stub.application_line) == ("expired", "", "", None)
        assert moves(app, new_id) == ["reopen", "undo"]
        with app.app_context():
            for table in (Link, Message, LogEvent):
                assert db.session.scalars(select(table).where(table.signature_id == new_id)).all() == []
    assert moves(app, signature_id)[-2:] == ["uphold" if is_upheld else "reject", "undo"]
    with pytest.raises(NotFoundError):
        undo(app, objection_id, dana.id)
    # It can be answered again, and that answer holds.
    answer(app, objection_id, dana.id)
    clock.shift(11)
    work(app)
    assert subjects(app)[-1] == "Ваше возражение удовлетворено"


@ONE_ENGINE
@pytest.mark.parametrize("seconds", [10, -700])
def test_after_ten_seconds_or_a_jump_of_the_clock_it_is_too_late(
    app: Flask, desk: Desk, dana: Desk, clock: Clock, seconds: int
) -> None:
    objection_id = object_to(app, declined(app, desk, clock))
    answer(app, objection_id, dana.id)
    clock.shift(seconds - 300 if seconds < 0 else seconds)
    with pytest.raises(TooLateError):
        undo(app, objection_id, dana.id)
    assert get(app, taken_up(app, objection_id)).state == "confirmed"


@ONE_ENGINE
def test_what_a_colleague_has_decided_on_meanwhile_is_not_taken_back(
    app: Flask, desk: Desk, dana: Desk, clock: Clock
) -> None:
    objection_id = object_to(app, declined(app, desk, clock))
    answer(app, objection_id, dana.id)
    decide(app, taken_up(app, objection_id), desk.id)
    with pytest.raises(TooLateError):
        undo(app, objection_id, dana.id)
    clock.shift(21)
    work(app)
    new = get(app, taken_up(app, objection_id))
    assert new.state == "published"
    assert [one["kind"] for one in leaves(app, new.entry)] == ["confirm", "publish"]


@ONE_ENGINE
def test_mail_that_is_on_its_way_by_a_clock_that_runs_ahead_is_not_taken_back(
    app: Flask, desk: Desk, dana: Desk, clock: Clock
) -> None:
    objection_id = object_to(app, declined(app, desk, clock))
    work(app)
    answer(app, objection_id, dana.id, is_upheld=False, answer="Жоқ")
    clock.shift(11)
    work(app)
    clock.shift(-11)
    with pytest.raises(TooLateError):
        undo(app, objection_id, dana.id)


# ── at once ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_two_reviewers_at_once_give_one_answer(app: Flask, desk: Desk, dana: Desk, clock: Clock) -> None:
    carol = Desk(app, "Carol", "carol@example.org")
    objection_id = object_to(app, declined(app, desk, clock))
    results = at_once(
        app,
        answering(app, objection_id, dana.id),
        answering(app, objection_id, carol.id),
        answering(app, objection_id, carol.id, is_upheld=False, answer="Жоқ"),
    )
    assert sum(result is None for result in results) == 1, results
    assert sum(isinstance(result, DecidedMeanwhileError) for result in results) == 2, results
    with app.app_context():
        assert db.session.scalar(select(func.count()).select_from(Signature)) in {1, 2}


def test_objecting_twice_at_once_is_one_objection(app: Flask, desk: Desk, clock: Clock) -> None:
    signature_id = declined(app, desk, clock)

    def once() -> None:
        objections.object_to(signature_id, WORDS, answer_due_working_days=5, holidays=shipped.holidays(), now=now())

    results = at_once(app, once, once, once)
    assert sum(result is None for result in results) == 1, results
    assert sum(isinstance(result, MoveRefusedError) for result in results) == 2, results


# ── leaving ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_whoever_leaves_is_not_kept_in_the_declined_application_either(
    app: Flask, desk: Desk, dana: Desk, clock: Clock
) -> None:
    old_id = declined(app, desk, clock)
    objection_id = object_to(app, old_id)
    answer(app, objection_id, dana.id)
    clock.shift(11)
    work(app)
    withdraw(app, taken_up(app, objection_id))
    work(app)
    assert [(get(app, one).state, get(app, one).full_name) for one in (taken_up(app, objection_id), old_id)] == [
        ("withdrawn", ""),
        ("erased", ""),
    ]
    row = the_one(app, objection_id)
    assert (row.words, row.answer) == (None, None)
    assert [one["kind"] for one in leaves(app, get(app, old_id).entry)] == ["confirm", "refuse", "erase"]


@ONE_ENGINE
def test_erasing_the_declined_one_cancels_the_objection(app: Flask, desk: Desk, dana: Desk, clock: Clock) -> None:
    signature_id = declined(app, desk, clock)
    objection_id = object_to(app, signature_id)
    assert erase(app, signature_id) is Outcome.DONE
    row = the_one(app, objection_id)
    assert (row.state, row.words) == ("cancelled", None)
    with pytest.raises(DecidedMeanwhileError):
        answer(app, objection_id, dana.id)


def test_erasing_within_the_ten_seconds_takes_nothing_up_again(
    app: Flask, desk: Desk, dana: Desk, clock: Clock
) -> None:
    signature_id = declined(app, desk, clock)
    objection_id = object_to(app, signature_id)
    work(app)
    answer(app, objection_id, dana.id)
    new_id = taken_up(app, objection_id)
    assert erase(app, signature_id) is Outcome.DONE
    assert (get(app, new_id).state, get(app, new_id).full_name) == ("expired", "")
    clock.shift(61)
    work(app)
    assert subjects(app)[-1] == "Все ваши данные удалены"
    assert leaves(app, get(app, new_id).entry) == []
    with pytest.raises(TooLateError):
        undo(app, objection_id, dana.id)


@ONE_ENGINE
def test_the_command_erases_both(app: Flask, desk: Desk, dana: Desk, clock: Clock) -> None:
    old_id = declined(app, desk, clock)
    objection_id = object_to(app, old_id)
    answer(app, objection_id, dana.id)
    clock.shift(11)
    work(app)
    new = get(app, taken_up(app, objection_id))
    with app.app_context():
        erasing.erase(new.entry, now=now())
    assert get(app, old_id).state == get(app, new.id).state == "erased"


# ── a declined correction ────────────────────────────────────────────────────────────────────────────────────────────


def declined_wish(app: Flask, desk: Desk, clock: Clock) -> tuple[int, int]:
    """A published entry whose correction was declined; and the objection to that."""
    signature_id = published(app, desk, clock)
    wishes.ask(app, signature_id)
    wishes.decide(app, wishes.the_one(app, signature_id).id, desk.id, "decline", reason="name-not-shown")
    with pytest.raises(MoveRefusedError):
        object_to(app, signature_id)
    clock.shift(11)
    work(app)
    return signature_id, object_to(app, signature_id)


def test_an_upheld_objection_to_a_declined_correction_changes_the_entry(
    app: Flask, desk: Desk, dana: Desk, clock: Clock
) -> None:
    signature_id, objection_id = declined_wish(app, desk, clock)
    with pytest.raises(SameReviewerError):
        answer(app, objection_id, desk.id)
    answer(app, objection_id, dana.id)
    work(app)
    before = entry_row(app, signature_id).name
    clock.shift(11)
    work(app)
    assert before != entry_row(app, signature_id).name == get(app, signature_id).full_name
    assert wishes.the_one(app, signature_id).state == "approved"
    with app.app_context():
        told = db.session.scalars(select(Message.kind).filter_by(signature_id=signature_id).order_by(Message.id)).all()
    assert told[-2:] == ["objection-received", "correction-approved"], "one event, one mail"


def test_an_upheld_correction_can_be_taken_back(app: Flask, desk: Desk, dana: Desk, clock: Clock) -> None:
    signature_id, objection_id = declined_wish(app, desk, clock)
    name = entry_row(app, signature_id).name
    answer(app, objection_id, dana.id)
    undo(app, objection_id, dana.id)
    clock.shift(60)
    work(app)
    assert entry_row(app, signature_id).name == name
    assert wishes.the_one(app, signature_id).state == "declined"
    answer(app, objection_id, dana.id)
    clock.shift(11)
    work(app)
    assert entry_row(app, signature_id).name != name


@ONE_ENGINE
def test_a_newer_wish_and_a_withdrawal_make_an_upheld_objection_impossible(
    app: Flask, desk: Desk, dana: Desk, clock: Clock
) -> None:
    signature_id, objection_id = declined_wish(app, desk, clock)
    wishes.ask(app, signature_id)
    with pytest.raises(MoveRefusedError):
        answer(app, objection_id, dana.id)
    withdraw(app, signature_id)
    assert the_one(app, objection_id).state == "cancelled"
    with pytest.raises(DecidedMeanwhileError):
        answer(app, objection_id, dana.id)
    with app.app_context():
        assert queries.queue(staff_id=dana.id, today=date(2026, 11, 20)).rows == []
        assert {row.state for row in db.session.scalars(select(Correction))} == {"declined", "cancelled"}
