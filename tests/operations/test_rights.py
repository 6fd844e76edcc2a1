"""Rights: erasing at one's own word, letters that staff record, and who may be shown all that is held."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select
from time_machine import Traveller as Clock

from charter import shipped
from charter.domain.errors import DecidedMeanwhileError, FieldRefusedError, MoveRefusedError
from charter.models.base import db
from charter.models.decision import Audit
from charter.models.outbox import Message
from charter.models.rights import Correction, Objection, WrittenRequest
from charter.models.signature import Link, Signature, SignatureEvent
from charter.operations import erasing, outbox, rights, signing
from charter.operations.proving import Outcome, Proof
from charter.operations.rights import Letter
from charter.queries import rights as queries
from tests.operations.test_erasing import ADDRESS, NAME, bring_to, everything, left, traces_of
from tests.operations.test_publication import entry_row, published
from tests.operations.test_signing import (
    DETAILS,
    ELSEWHERE,
    HERE,
    confirmed,
    decide,
    get,
    key_of,
    leaves,
    moves,
    now,
    request_code,
    withdraw,
)
from tests.people import Desk, code_in, mails, text_of, work

#: The rule is the same on both engines; what differs between them is asked of both.
ONE_ENGINE = pytest.mark.parametrize("engine_name", ["sqlite"], indirect=True)


def erase(app: Flask, signature_id: int, *, browser: bytes | None = HERE, code: str | None = None) -> Outcome:
    with app.app_context():
        return rights.erase(signature_id, proof=Proof(browser, code), key=key_of(app), code_tries=5, now=now()).outcome


def record(app: Flask, desk: Desk, signature_id: int, kind: str, *, on: date | None = None, **more: Any) -> int:
    letter = Letter(kind=kind, reference="12-А/2026", received_on=on or date(2026, 11, 20), **more)
    with app.app_context():
        return rights.record(
            signature_id,
            letter,
            expected_version=db.session.get_one(Signature, signature_id).version,
            staff_id=desk.id,
            answer_due_working_days=5,
            holidays=shipped.holidays(),
            now=now(),
        )


def events(app: Flask, signature_id: int) -> list[tuple[str, str, str | None, int | None]]:
    with app.app_context():
        rows = db.session.scalars(
            select(SignatureEvent).where(SignatureEvent.signature_id == signature_id).order_by(SignatureEvent.id)
        )
        return [(row.move, row.actor, row.reason, row.staff_id) for row in rows]


# ── erasing at one's own word ────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("state", ["confirmed", "clarification", "approved", "published", "declined", "declining"])
def test_erasing_leaves_nothing_but_one_last_mail_and_then_nothing(
    app: Flask, desk: Desk, clock: Clock, state: str
) -> None:
    signature_id = bring_to(app, desk, clock, state)
    entry = get(app, signature_id).entry
    assert erase(app, signature_id) is Outcome.DONE
    row = get(app, signature_id)
    assert (row.state, row.full_name, row.email, row.browser_digest) == ("erased", "", "", b"")
    with app.app_context():
        waiting = db.session.scalars(select(Message).where(Message.signature_id == signature_id)).all()
        assert [(one.kind, one.recipient) for one in waiting] == [("erased", ADDRESS)]
        assert db.session.scalars(select(Link).where(Link.signature_id == signature_id)).all() == []
    assert erase(app, signature_id) is Outcome.NOT_POSSIBLE
    clock.shift(61)
    work(app)
    work(app)
    assert mails(app)[-1]["Subject"] == "Все ваши данные удалены"
    assert mails(app)[-1]["To"] == ADDRESS
    with app.app_context():
        assert db.session.scalars(select(Message).where(Message.signature_id == signature_id)).all() == []
    assert [leaf["kind"] for leaf in leaves(app, entry)][-1] == "erase"
    assert {event[0] for event in events(app, signature_id)} >= {"erase"}
    assert events(app, signature_id)[-1] == ("erase", "signatory", None, None)


def test_whoever_erased_everything_is_in_no_byte_of_what_is_kept(app: Flask, desk: Desk, clock: Clock) -> None:
    signature_id = bring_to(app, desk, clock, "published")
    entry = get(app, signature_id).entry
    traces = traces_of(app, signature_id)
    assert erase(app, signature_id) is Outcome.DONE
    work(app)
    assert mails(app)[-1]["To"] == ADDRESS
    work(app)
    assert left(traces, everything(app, entry)) == {}
    row = entry_row(app, signature_id)
    assert (row.ended_by, row.line, row.number) == ("signatory", None, 1)


@ONE_ENGINE
def test_a_last_mail_that_cannot_be_delivered_keeps_the_address_no_longer_than_three_days(
    app: Flask, clock: Clock
) -> None:
    signature_id = confirmed(app, NAME, ADDRESS)
    work(app)
    assert erase(app, signature_id) is Outcome.DONE
    with app.app_context():
        message_id = db.session.scalars(select(Message.id).filter_by(kind="erased")).one()
        outbox.mark_failed(message_id, code="smtp-550", is_permanent=True, now=now())
        assert db.session.get_one(Message, message_id).recipient == ADDRESS
    work(app)
    with app.app_context():
        assert db.session.scalars(select(Message)).all() == []


@ONE_ENGINE
def test_a_clock_that_jumps_back_does_not_keep_the_address_either(
    app: Flask, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    signature_id = confirmed(app, NAME, ADDRESS)
    work(app)
    assert erase(app, signature_id) is Outcome.DONE
    clock.shift(timedelta(days=-3))
    with app.app_context():
        assert erasing.forget(now=now()) == 1
        assert db.session.scalars(select(Message)).all() == []


def test_erasing_asks_for_the_browser_or_a_code_and_counts_wrong_ones(app: Flask, clock: Clock) -> None:
    signature_id = confirmed(app)
    work(app)
    assert erase(app, signature_id, browser=None) is Outcome.CODE_NEEDED
    assert erase(app, signature_id, browser=ELSEWHERE, code="123456") is Outcome.CODE_NEEDED
    assert request_code(app, signature_id)
    work(app)
    code = code_in(mails(app)[-1])
    assert erase(app, signature_id, browser=ELSEWHERE, code=f"{(int(code) + 1) % 10**6:06}") is Outcome.CODE_WRONG
    assert erase(app, signature_id, browser=ELSEWHERE, code="") is Outcome.CODE_NEEDED
    assert get(app, signature_id).state == "confirmed"
    assert erase(app, signature_id, browser=ELSEWHERE, code=code) is Outcome.DONE


@ONE_ENGINE
def test_a_code_that_showed_the_data_erases_nothing_afterwards(app: Flask, clock: Clock) -> None:
    signature_id = confirmed(app)
    request_code(app, signature_id)
    work(app)
    code = code_in(mails(app)[-1])
    with app.app_context():
        proof = Proof(ELSEWHERE, code)
        shown = rights.prove(signature_id, proof=proof, key=key_of(app), code_tries=5, now=now())
    assert shown.outcome is Outcome.DONE
    assert erase(app, signature_id, browser=ELSEWHERE, code=code) is Outcome.CODE_NEEDED
    assert get(app, signature_id).state == "confirmed"


@ONE_ENGINE
def test_who_is_forgotten_cannot_be_erased_by_whoever_finds_the_link(app: Flask, clock: Clock) -> None:
    signature_id = confirmed(app)
    work(app)
    withdraw(app, signature_id)
    work(app)
    assert get(app, signature_id).full_name == ""
    for browser in (HERE, b"", None):
        assert erase(app, signature_id, browser=browser) in {Outcome.CODE_NEEDED, Outcome.NOT_POSSIBLE}
    assert get(app, signature_id).state == "withdrawn"


# ── letters ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_withdrawing_by_letter_is_the_signatorys_word_with_the_recorders_number(
    app: Flask, desk: Desk, clock: Clock
) -> None:
    signature_id = published(app, desk, clock)
    request_id = record(app, desk, signature_id, "withdraw")
    assert events(app, signature_id)[-1] == ("withdraw", "signatory", "in-writing", desk.id)
    work(app)
    row = entry_row(app, signature_id)
    assert (row.ended_by, row.name) == ("signatory", None)
    assert mails(app)[-1]["Subject"] == "Ваша подпись отозвана"
    with app.app_context():
        kept = db.session.get_one(WrittenRequest, request_id)
        assert (kept.kind, kept.reference, kept.received_on) == ("withdraw", "12-А/2026", date(2026, 11, 20))
        line = db.session.scalars(select(Audit).order_by(Audit.id.desc())).first()
        assert line is not None
        assert (line.action, line.staff_id, line.detail) == ("written-withdraw", desk.id, {"request": request_id})
    with pytest.raises(MoveRefusedError):
        record(app, desk, signature_id, "withdraw")


@pytest.mark.parametrize("state", ["submitted", "expired", "confirmed", "published", "declined"])
def test_erasing_by_letter_works_in_every_state(app: Flask, desk: Desk, clock: Clock, state: str) -> None:
    signature_id = bring_to(app, desk, clock, state)
    record(app, desk, signature_id, "erase")
    assert get(app, signature_id).state == "erased"
    assert events(app, signature_id)[-1] == ("erase", "signatory", "in-writing", desk.id)
    work(app)
    assert mails(app)[-1]["Subject"] == "Все ваши данные удалены"
    with pytest.raises(MoveRefusedError):
        record(app, desk, signature_id, "erase")


def test_data_are_handed_over_by_whoever_recorded_the_letter_for_an_hour(app: Flask, desk: Desk, clock: Clock) -> None:
    signature_id = confirmed(app)
    request_id = record(app, desk, signature_id, "data")
    assert events(app, signature_id)[-1] == ("hand-over", "centre", "in-writing", desk.id)
    dana = Desk(app, "Dana", "dana@example.org")
    with app.app_context():
        assert queries.find_hand_over(request_id, staff_id=desk.id, now=now()) == signature_id
        assert queries.find_hand_over(request_id, staff_id=dana.id, now=now()) is None
        assert queries.find_hand_over(request_id + 1, staff_id=desk.id, now=now()) is None
    for hours in (2, -4):
        clock.shift(timedelta(hours=hours))
        with app.app_context():
            assert queries.find_hand_over(request_id, staff_id=desk.id, now=now()) is None
    withdraw(app, signature_id)
    other = record(app, desk, confirmed(app, "Куат Бөтен"), "withdraw")
    with app.app_context():
        assert queries.find_hand_over(other, staff_id=desk.id, now=now()) is None


def test_a_correction_by_letter_is_done_before_the_decision_and_reviewed_after_it(
    app: Flask, desk: Desk, clock: Clock
) -> None:
    waiting = confirmed(app)
    details = DETAILS.__class__(**{**vars(DETAILS), "full_name": "Әмина Бекова", "display": "unlisted"})
    record(app, desk, waiting, "correct", details=details)
    row = get(app, waiting)
    assert (row.full_name, row.display, row.state) == ("Әмина Бекова", "full", "confirmed")
    assert events(app, waiting)[-1] == ("correct", "signatory", "in-writing", desk.id)
    decide(app, waiting, desk.id)
    clock.shift(11)
    work(app)
    letter = DETAILS.__class__(**{**vars(details), "full_name": "Әмина Серікова"})
    record(app, desk, waiting, "correct", details=letter, on=date(2026, 11, 18))
    assert get(app, waiting).full_name == "Әмина Бекова"
    with app.app_context():
        asked = db.session.scalars(select(Correction)).one()
        assert (asked.state, asked.full_name, asked.due_on) == ("pending", "Әмина Серікова", date(2026, 11, 25))


def test_an_objection_by_letter_is_due_from_the_day_the_letter_came(app: Flask, desk: Desk, clock: Clock) -> None:
    signature_id = bring_to(app, desk, clock, "declined")
    with pytest.raises(FieldRefusedError):
        record(app, desk, signature_id, "object")
    record(app, desk, signature_id, "object", words="Бұл мен емеспін бе?", on=date(2026, 11, 16))
    with app.app_context():
        made = db.session.scalars(select(Objection)).one()
        assert (made.words, made.due_on, made.first_staff_id) == ("Бұл мен емеспін бе?", date(2026, 11, 23), desk.id)
    assert events(app, signature_id)[-1] == ("object", "signatory", "in-writing", desk.id)
    with pytest.raises(MoveRefusedError):
        record(app, desk, signature_id, "object", words="Тағы да")


@ONE_ENGINE
@pytest.mark.parametrize("on", [date(2026, 11, 21), date(2025, 11, 18), date(1, 1, 1), date(9999, 12, 31)])
def test_a_day_in_the_future_or_long_ago_is_a_mistake(app: Flask, desk: Desk, clock: Clock, on: date) -> None:
    signature_id = confirmed(app)
    with pytest.raises(FieldRefusedError):
        record(app, desk, signature_id, "erase", on=on)
    assert get(app, signature_id).state == "confirmed"
    with app.app_context():
        assert db.session.scalars(select(WrittenRequest)).all() == []


@ONE_ENGINE
def test_a_letter_about_something_that_changed_meanwhile_does_nothing(app: Flask, desk: Desk, clock: Clock) -> None:
    signature_id = confirmed(app)
    seen = get(app, signature_id).version
    decide(app, signature_id, desk.id)
    with app.app_context(), pytest.raises(DecidedMeanwhileError):
        rights.record(
            signature_id,
            Letter("erase", "1", date(2026, 11, 20)),
            expected_version=seen,
            staff_id=desk.id,
            answer_due_working_days=5,
            holidays=shipped.holidays(),
            now=now(),
        )
    assert get(app, signature_id).state == "approved"


# ── why people withdraw ──────────────────────────────────────────────────────────────────────────────────────────────


def test_reasons_are_counted_beside_nobodys_name_and_mailed_to_nobody(app: Flask, desk: Desk, clock: Clock) -> None:
    for place, reason in enumerate(["mistake", "mistake", None]):
        signature_id = confirmed(app, address=f"p{place}@example.org")
        with app.app_context():
            signing.withdraw(
                signature_id, proof=Proof(HERE, None), key=key_of(app), code_tries=5, now=now(), reason=reason
            )
    record(app, desk, confirmed(app, address="letter@example.org"), "withdraw")
    with app.app_context():
        assert queries.withdrawal_figures(now=now()) == {"mistake": 2, None: 1, "in-writing": 1}
        assert queries.withdrawal_figures(now=now() + timedelta(days=366)) == {}
    work(app)
    assert not any("ошибк" in text_of(mail) for mail in mails(app))
    assert moves(app, signature_id)[-1] == "withdraw"
