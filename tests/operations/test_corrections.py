"""What a signatory wants changed in a published entry: the Centre decides, the entry stays; less is shown at once."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import func, select, update
from time_machine import Traveller as Clock

from charter import shipped, worker
from charter.domain import token as tokens
from charter.domain.errors import (
    DecidedMeanwhileError,
    FieldRefusedError,
    MoveRefusedError,
    NotFoundError,
    TooLateError,
    TooOftenError,
)
from charter.domain.reasons import CORRECTIONS
from charter.domain.signature import is_larger
from charter.models.base import db, writing
from charter.models.decision import Audit
from charter.models.log import LogBatch, LogEvent
from charter.models.outbox import Message
from charter.models.rights import Correction
from charter.models.signature import Link, Signature
from charter.operations import corrections, erasing, recovery, showing
from charter.operations.corrections import CHANGES_A_DAY, Asked
from charter.operations.proving import Outcome, Proof, Result
from charter.operations.steps import Details
from tests.operations.test_publication import entry_row, published
from tests.operations.test_races import at_once
from tests.operations.test_signing import (
    DETAILS,
    ELSEWHERE,
    HERE,
    confirmed,
    get,
    key_of,
    leaves,
    moves,
    now,
    request_code,
    subjects,
    withdraw,
)
from tests.people import Desk, mails, text_of, work

#: Nothing here depends on the engine.
ONE_ENGINE = pytest.mark.parametrize("engine_name", ["sqlite"], indirect=True)
NAME = "Әмина Оспанова-Ким"
WISH = replace(DETAILS, full_name=NAME, short_name="Әмина О.-К.", region_code="KZ-71")


def ask(app: Flask, signature_id: int, details: Details = WISH, **more: Any) -> Asked:
    with app.app_context():
        return corrections.ask(
            signature_id,
            replace(details, **more),
            answer_due_working_days=5,
            holidays=shipped.holidays(),
            now=now(),
        )


def the_one(app: Flask, signature_id: int) -> Correction:
    """The newest correction of this signature."""
    with app.app_context():
        row = db.session.scalars(
            select(Correction).filter_by(signature_id=signature_id).order_by(Correction.id.desc()).limit(1)
        ).one()
        db.session.expunge(row)
        db.session.rollback()
        return row


def decide(app: Flask, signature_id: int, staff_id: int, action: str = "approve", **more: Any) -> int:
    row = the_one(app, signature_id)
    values = {"expected_version": row.version, "reason": None, "note": None, "undo_seconds": 10, **more}
    with app.app_context():
        corrections.decide(row.id, action=action, staff_id=staff_id, now=now(), **values)
    return row.id


def undo(app: Flask, correction_id: int, staff_id: int) -> int:
    with app.app_context():
        return corrections.undo(correction_id, staff_id=staff_id, now=now())


def show(
    app: Flask,
    signature_id: int,
    display: str,
    *,
    is_indexable: bool = False,
    browser: bytes | None = HERE,
    code: str | None = None,
) -> Result:
    with app.app_context():
        return showing.show(
            signature_id,
            display=display,
            is_indexable=is_indexable,
            proof=Proof(browser, code),
            key=key_of(app),
            code_tries=5,
            now=now(),
        )


def code_of(app: Flask, signature_id: int) -> str:
    """A fresh one, as its mail will say it."""
    assert request_code(app, signature_id)
    with app.app_context():
        uid = db.session.scalars(
            select(Link.uid).filter_by(signature_id=signature_id, purpose="act").order_by(Link.id.desc()).limit(1)
        ).one()
        return tokens.code(key_of(app), "act", uid)


def kinds(app: Flask, signature_id: int) -> list[str]:
    return [leaf["kind"] for leaf in leaves(app, get(app, signature_id).entry)]


def count(app: Flask, table: type[Any], *conditions: Any) -> int:
    with app.app_context():
        return db.session.scalar(select(func.count()).select_from(table).where(*conditions)) or 0


# ── approved ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_an_approved_correction_gives_the_entry_a_new_line_under_its_number(
    app: Flask, desk: Desk, clock: Clock
) -> None:
    signature_id = published(app, desk, clock)
    before = entry_row(app, signature_id)
    assert ask(app, signature_id) is Asked.WAITS
    row = the_one(app, signature_id)
    assert (row.state, row.due_on, row.full_name) == ("pending", date(2026, 11, 27), NAME)
    work(app)
    assert entry_row(app, signature_id).line == before.line, "the entry stays as it is while it is reviewed"
    decide(app, signature_id, desk.id)
    clock.shift(9)
    work(app)
    assert entry_row(app, signature_id).line == before.line, "it can still be taken back"
    clock.shift(2)
    work(app)
    entry = entry_row(app, signature_id)
    assert (entry.number, entry.rev, entry.name, entry.region_code) == (before.number, 2, NAME, "KZ-71")
    assert entry.signed_on == before.signed_on
    assert entry.line is not None
    last = leaves(app, entry.entry)[-1]
    assert set(last) == {"commit", "entry", "kind", "rev", "t", "v"}, "nothing but the commitment reaches the log"
    assert last["commit"] == hashlib.sha256(entry.line).hexdigest()
    signature = get(app, signature_id)
    assert (signature.full_name, signature.short_name, signature.name_key) == (NAME, "Әмина О.-К.", NAME.casefold())
    assert (signature.state, signature.display, signature.number) == ("published", "full", before.number)
    assert moves(app, signature_id)[-2:] == ["propose", "amend"]
    with app.app_context():
        audit = db.session.scalars(select(Audit).filter_by(subject="correction")).one()
        assert (audit.action, audit.staff_id) == ("correction-approve", desk.id)
        assert NAME not in str(audit.detail)
    told = mails(app)[-1]
    assert "/registry/entries/" in text_of(told)
    assert "/my/" in text_of(told)
    assert NAME not in text_of(told), "a mail repeats nothing that somebody typed"
    assert count(app, LogEvent) == 0


@ONE_ENGINE
def test_a_correction_decided_on_is_published_even_where_batches_are_far_apart(
    app: Flask, desk: Desk, clock: Clock
) -> None:
    signature_id = published(app, desk, clock)
    ask(app, signature_id)
    decide(app, signature_id, desk.id)
    settings = replace(app.config["CHARTER"], publish_interval_seconds=3600)
    with app.app_context():
        assert not worker.is_urgent(settings)
    clock.shift(11)
    with app.app_context():
        assert worker.is_urgent(settings)


# ── declined ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_declined_correction_leaves_the_entry_and_the_log_alone_and_is_mailed(
    app: Flask, desk: Desk, clock: Clock
) -> None:
    signature_id = published(app, desk, clock)
    before, told = entry_row(app, signature_id), kinds(app, signature_id)
    ask(app, signature_id)
    decide(app, signature_id, desk.id, "decline", reason="name-not-shown", note="Пришлите копию.")
    sent = len(mails(app))
    clock.shift(9)
    work(app)
    assert len(mails(app)) == sent
    clock.shift(2)
    work(app)
    assert entry_row(app, signature_id).line == before.line
    assert kinds(app, signature_id) == told
    assert "Пришлите копию." in text_of(mails(app)[-1])
    assert len(mails(app)) == sent + 1
    assert get(app, signature_id).full_name == "Әмина Оспанова"
    assert moves(app, signature_id)[-1] == "keep"
    # Another one may be asked for.
    assert ask(app, signature_id, region_code="KZ-75") is Asked.WAITS
    assert count(app, Correction) == 2


@ONE_ENGINE
def test_declining_needs_a_reason_for_corrections_and_no_other(app: Flask, desk: Desk, clock: Clock) -> None:
    signature_id = published(app, desk, clock)
    ask(app, signature_id)
    for reason in (None, "", "duplicate", "name-unclear", "none"):
        with pytest.raises(FieldRefusedError):
            decide(app, signature_id, desk.id, "decline", reason=reason)
    assert the_one(app, signature_id).state == "pending"
    assert len({reason.code for reason in CORRECTIONS}) == len(CORRECTIONS) >= 4
    assert all(reason.log is None for reason in CORRECTIONS)


# ── taken back ───────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("action", "reason"), [("approve", None), ("decline", "other")])
def test_an_answer_taken_back_within_ten_seconds_never_happened_outside(
    app: Flask, desk: Desk, clock: Clock, action: str, reason: str | None
) -> None:
    signature_id = published(app, desk, clock)
    ask(app, signature_id)
    row = the_one(app, signature_id)
    sent = len(mails(app))
    correction_id = decide(app, signature_id, desk.id, action, reason=reason, note="x" if reason else None)
    dana = Desk(app, "Dana", "dana@example.org")
    with pytest.raises(NotFoundError):
        undo(app, correction_id, dana.id)
    clock.shift(3)
    work(app)
    assert undo(app, correction_id, desk.id) == signature_id
    clock.shift(60)
    work(app)
    again = the_one(app, signature_id)
    assert (again.state, again.due_on, again.note, again.reason) == ("pending", row.due_on, None, None)
    assert again.version == row.version + 2, "a page opened before or between is told"
    assert (entry_row(app, signature_id).rev, len(mails(app))) == (1, sent)
    assert count(app, LogEvent) == 0
    with pytest.raises(TooLateError):
        undo(app, correction_id, desk.id)
    # It can be decided again, and that answer holds.
    decide(app, signature_id, desk.id)
    clock.shift(11)
    work(app)
    assert entry_row(app, signature_id).rev == 2
    with pytest.raises(TooLateError):
        undo(app, correction_id, desk.id)


@ONE_ENGINE
def test_what_is_published_or_on_its_way_by_mail_is_not_taken_back_by_a_clock_that_runs_behind(
    app: Flask, desk: Desk, clock: Clock
) -> None:
    signature_id = published(app, desk, clock)
    for name, action, reason in (("Әмина Ким", "approve", None), ("Әмина Ли", "decline", "other")):
        ask(app, signature_id, full_name=name)
        correction_id = decide(app, signature_id, desk.id, action, reason=reason)
        clock.shift(11)
        work(app)
        clock.shift(-11)
        with pytest.raises(TooLateError):
            undo(app, correction_id, desk.id)
        clock.shift(11)


@ONE_ENGINE
def test_a_wish_of_the_ten_seconds_is_a_new_one_and_keeps_the_answer_from_being_taken_back(
    app: Flask, desk: Desk, clock: Clock
) -> None:
    signature_id = published(app, desk, clock)
    ask(app, signature_id)
    correction_id = decide(app, signature_id, desk.id)
    assert ask(app, signature_id, full_name="Әмина Ким") is Asked.WAITS
    with pytest.raises(TooLateError):
        undo(app, correction_id, desk.id)
    clock.shift(11)
    work(app)
    assert entry_row(app, signature_id).name == NAME
    decide(app, signature_id, desk.id)
    clock.shift(11)
    work(app)
    assert (entry_row(app, signature_id).name, entry_row(app, signature_id).rev) == ("Әмина Ким", 3)


# ── one at a time ────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_newer_wish_takes_the_place_of_the_one_that_waits_and_the_day_stays(
    app: Flask, desk: Desk, clock: Clock
) -> None:
    signature_id = published(app, desk, clock)
    ask(app, signature_id)
    seen = the_one(app, signature_id)
    clock.shift(3 * 86_400)
    assert ask(app, signature_id, full_name="Әмина Ким") is Asked.WAITS
    row = the_one(app, signature_id)
    assert (row.id, row.due_on, row.full_name) == (seen.id, seen.due_on, "Әмина Ким")
    with pytest.raises(DecidedMeanwhileError):
        decide(app, signature_id, desk.id, expected_version=seen.version)
    assert count(app, Correction) == 1


@ONE_ENGINE
def test_saying_what_waits_or_stands_already_leaves_no_trace_or_takes_it_back(
    app: Flask, desk: Desk, clock: Clock
) -> None:
    signature_id = published(app, desk, clock)
    before = moves(app, signature_id)
    assert ask(app, signature_id, DETAILS) is Asked.SAME
    assert moves(app, signature_id) == before
    assert count(app, Correction) == 0
    ask(app, signature_id)
    version = the_one(app, signature_id).version
    assert ask(app, signature_id) is Asked.SAME
    assert the_one(app, signature_id).version == version
    assert ask(app, signature_id, DETAILS) is Asked.RECALLED
    assert the_one(app, signature_id).state == "cancelled"
    assert moves(app, signature_id)[len(before) :] == ["propose", "recall"]
    with pytest.raises(DecidedMeanwhileError) as told:
        decide(app, signature_id, desk.id)
    assert told.value.by_staff_name is None
    ask(app, signature_id)
    with app.app_context():
        assert corrections.recall(signature_id, now=now())
        assert not corrections.recall(signature_id, now=now())


@ONE_ENGINE
def test_only_what_is_published_is_corrected_so(app: Flask, desk: Desk, clock: Clock) -> None:
    waiting = confirmed(app)
    with pytest.raises(MoveRefusedError):
        ask(app, waiting)
    assert show(app, waiting, "unlisted").outcome is Outcome.NOT_POSSIBLE
    signature_id = published(app, desk, clock, place=1)
    with pytest.raises(FieldRefusedError):
        ask(app, signature_id, kind="party", affiliation_slug="no-such-party")
    with pytest.raises(FieldRefusedError):
        ask(app, signature_id, region_code="KZ-00")
    withdraw(app, signature_id)
    with pytest.raises(MoveRefusedError):
        ask(app, signature_id)
    assert count(app, Correction) == 0
    with pytest.raises(NotFoundError), app.app_context():
        corrections.decide(
            999, action="approve", expected_version=1, reason=None, note=None, staff_id=1, undo_seconds=10, now=now()
        )


# ── who leaves ───────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("moment", ["waiting", "approved", "declined"])
def test_a_withdrawal_cancels_the_correction(app: Flask, desk: Desk, clock: Clock, moment: str) -> None:
    signature_id = published(app, desk, clock)
    ask(app, signature_id)
    if moment != "waiting":
        decide(app, signature_id, desk.id, moment[:-1], reason="other" if moment == "declined" else None)
    assert withdraw(app, signature_id) is Outcome.DONE
    row = the_one(app, signature_id)
    assert row.state == "cancelled"
    with pytest.raises((TooLateError, NotFoundError)):
        undo(app, row.id, desk.id)
    with pytest.raises(DecidedMeanwhileError):
        decide(app, signature_id, desk.id)
    clock.shift(11)
    work(app)
    assert kinds(app, signature_id) == ["confirm", "publish", "withdraw"]
    assert not [subject for subject in subjects(app) if "справлен" in subject]
    row = the_one(app, signature_id)
    assert (row.full_name, row.short_name, row.note) == ("", "", None), "the person is forgotten"


def test_an_answer_cannot_bring_back_what_was_erased_meanwhile(app: Flask, desk: Desk, clock: Clock) -> None:
    signature_id = published(app, desk, clock)
    entry = entry_row(app, signature_id).entry
    ask(app, signature_id)
    decide(app, signature_id, desk.id)
    with app.app_context():
        erasing.erase(entry, now=now())
    # A batch of an older release, or of a restored queue, may still hold the event.
    with app.app_context(), writing():
        values = {"correction": the_one(app, signature_id).id}
        db.session.add(LogEvent(kind="correct", signature_id=signature_id, values=values, effective_at=now()))
        db.session.commit()
    clock.shift(11)
    work(app)
    assert kinds(app, signature_id)[-2:] == ["withdraw", "erase"]
    assert get(app, signature_id).full_name == ""


# ── how much is shown ────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_displays_stand_in_one_order() -> None:
    assert is_larger("full", "short")
    assert is_larger("short", "unlisted")
    assert not is_larger("short", "full")
    assert not is_larger("full", "full")


def test_less_is_shown_at_once_for_whoever_holds_the_link_and_never_waits(app: Flask, desk: Desk, clock: Clock) -> None:
    signature_id = published(app, desk, clock)
    before = entry_row(app, signature_id)
    for rev, display, name in ((2, "short", "Әмина О."), (3, "unlisted", None)):
        assert show(app, signature_id, display, browser=None).outcome is Outcome.DONE
        with app.app_context():
            assert worker.is_urgent(replace(app.config["CHARTER"], publish_interval_seconds=3600))
        work(app)
        row = entry_row(app, signature_id)
        assert (row.rev, row.display, row.name, row.number) == (rev, display, name, before.number)
    assert kinds(app, signature_id) == ["confirm", "publish", "correct", "correct"]
    assert moves(app, signature_id)[-2:] == ["show", "show"]
    # Saving it again is nothing.
    assert show(app, signature_id, "unlisted", browser=None).outcome is Outcome.DONE
    assert count(app, LogEvent) == 0
    assert len(moves(app, signature_id)) == 6


def test_more_is_shown_only_with_the_signing_browser_or_a_fresh_code(app: Flask, desk: Desk, clock: Clock) -> None:
    signature_id = published(app, desk, clock, display="unlisted")
    for browser in (None, ELSEWHERE):
        assert show(app, signature_id, "short", browser=browser).outcome is Outcome.CODE_NEEDED
    code = code_of(app, signature_id)
    wrong = show(app, signature_id, "full", browser=None, code="000000" if code != "000000" else "111111")
    assert (wrong.outcome, wrong.tries_left) == (Outcome.CODE_WRONG, 4)
    work(app)
    assert entry_row(app, signature_id).rev == 1
    assert show(app, signature_id, "short", browser=None, code=code).outcome is Outcome.DONE
    assert show(app, signature_id, "full", browser=None, code=code).outcome is Outcome.CODE_NEEDED, "used up"
    work(app)
    row = entry_row(app, signature_id)
    assert (row.rev, row.display, row.name) == (2, "short", "Әмина О.")
    assert show(app, signature_id, "full", browser=HERE).outcome is Outcome.DONE
    work(app)
    assert entry_row(app, signature_id).name == "Әмина Оспанова"


@ONE_ENGINE
def test_changes_before_one_batch_are_one_leaf(app: Flask, desk: Desk, clock: Clock) -> None:
    signature_id = published(app, desk, clock)
    for display in ("unlisted", "full", "short"):
        show(app, signature_id, display)
    work(app)
    row = entry_row(app, signature_id)
    assert (row.rev, row.display) == (2, "short")
    assert kinds(app, signature_id) == ["confirm", "publish", "correct"]


@ONE_ENGINE
def test_an_approval_does_not_show_what_was_hidden_meanwhile(app: Flask, desk: Desk, clock: Clock) -> None:
    signature_id = published(app, desk, clock)
    ask(app, signature_id, display="full")
    decide(app, signature_id, desk.id)
    show(app, signature_id, "unlisted")
    clock.shift(11)
    work(app)
    row = entry_row(app, signature_id)
    assert (row.display, row.name, row.region_code) == ("unlisted", None, "KZ-71")
    assert (get(app, signature_id).full_name, get(app, signature_id).display) == (NAME, "unlisted")


@ONE_ENGINE
def test_a_wish_cannot_show_more_by_itself(app: Flask, desk: Desk, clock: Clock) -> None:
    signature_id = published(app, desk, clock, display="unlisted")
    assert ask(app, signature_id, DETAILS, display="full") is Asked.SAME
    ask(app, signature_id, display="full")
    decide(app, signature_id, desk.id)
    clock.shift(11)
    work(app)
    assert entry_row(app, signature_id).display == "unlisted"


def test_changes_are_limited_a_day_but_showing_less_never_is(app: Flask, desk: Desk, clock: Clock) -> None:
    signature_id = published(app, desk, clock)
    for place in range(CHANGES_A_DAY // 2):
        show(app, signature_id, "short" if place % 2 else "unlisted")
        ask(app, signature_id, full_name=f"Әмина {'К' * (place + 1)}")
    assert get(app, signature_id).display == "unlisted"
    with pytest.raises(TooOftenError):
        ask(app, signature_id, full_name="Әмина Ким")
    with pytest.raises(TooOftenError):
        show(app, signature_id, "full")
    assert show(app, signature_id, "unlisted").outcome is Outcome.DONE
    # A clock that has gone back does not forbid it for as long as it jumped.
    clock.shift(-30 * 86_400)
    assert ask(app, signature_id, full_name="Әмина Ким") is Asked.WAITS
    clock.shift(31 * 86_400 + 60)
    assert show(app, signature_id, "short").outcome is Outcome.DONE
    assert show(app, signature_id, "unlisted", browser=None).outcome is Outcome.DONE


@ONE_ENGINE
def test_who_was_shown_less_too_often_is_shown_less_all_the_same(app: Flask, desk: Desk, clock: Clock) -> None:
    signature_id = published(app, desk, clock)
    for place in range(CHANGES_A_DAY):
        ask(app, signature_id, full_name=f"Әмина {'К' * (place + 1)}")
    for display in ("short", "unlisted"):
        assert show(app, signature_id, display, browser=None).outcome is Outcome.DONE


# ── search engines ───────────────────────────────────────────────────────────────────────────────────────────────────


def test_search_engines_are_let_in_by_proof_and_shut_out_by_anybody_without_a_leaf(
    app: Flask, desk: Desk, clock: Clock
) -> None:
    signature_id = published(app, desk, clock)
    assert entry_row(app, signature_id).is_indexable is False
    refused = show(app, signature_id, "full", is_indexable=True, browser=ELSEWHERE)
    assert refused.outcome is Outcome.CODE_NEEDED
    told = kinds(app, signature_id)
    with app.app_context():
        revision = db.session.scalar(select(func.max(LogBatch.revision)))
    for _ in range(2):
        assert show(app, signature_id, "full", is_indexable=True).outcome is Outcome.DONE
    assert count(app, LogEvent) == 1, "saving it again is nothing"
    with app.app_context():
        assert worker.is_urgent(replace(app.config["CHARTER"], publish_interval_seconds=3600))
    work(app)
    row = entry_row(app, signature_id)
    assert (row.is_indexable, row.rev) == (True, 1)
    assert row.changed_revision == (revision or 0) + 1, "pages and mirrors look at it again"
    assert kinds(app, signature_id) == told
    assert show(app, signature_id, "full", browser=None).outcome is Outcome.DONE
    work(app)
    assert entry_row(app, signature_id).is_indexable is False


def test_who_is_not_listed_by_name_or_has_left_is_not_for_search_engines(app: Flask, desk: Desk, clock: Clock) -> None:
    signature_id = published(app, desk, clock)
    show(app, signature_id, "full", is_indexable=True)
    work(app)
    # Not even by a form that says both.
    assert show(app, signature_id, "unlisted", is_indexable=True, browser=None).outcome is Outcome.DONE
    work(app)
    assert not entry_row(app, signature_id).is_indexable
    assert not get(app, signature_id).is_indexable
    # And who lists the name again is asked anew.
    show(app, signature_id, "full")
    work(app)
    assert not entry_row(app, signature_id).is_indexable
    show(app, signature_id, "full", is_indexable=True)
    withdraw(app, signature_id)
    work(app)
    row = entry_row(app, signature_id)
    assert (row.is_indexable, row.line) == (None, None)


@ONE_ENGINE
def test_a_correction_keeps_what_was_chosen_for_search_engines(app: Flask, desk: Desk, clock: Clock) -> None:
    signature_id = published(app, desk, clock)
    show(app, signature_id, "full", is_indexable=True)
    ask(app, signature_id)
    decide(app, signature_id, desk.id)
    clock.shift(11)
    work(app)
    row = entry_row(app, signature_id)
    assert (row.rev, row.is_indexable) == (2, True)


@ONE_ENGINE
def test_saving_once_more_mends_a_public_side_that_a_restore_brought_back(app: Flask, desk: Desk, clock: Clock) -> None:
    signature_id = published(app, desk, clock)
    with app.app_context(), writing():
        db.session.execute(update(Signature).where(Signature.id == signature_id).values(is_indexable=True))
        db.session.commit()
    assert show(app, signature_id, "full", is_indexable=True).outcome is Outcome.DONE
    work(app)
    assert entry_row(app, signature_id).is_indexable


# ── races, clocks, restores ──────────────────────────────────────────────────────────────────────────────────────────


def test_two_wishes_at_once_leave_one_and_two_answers_at_once_one(app: Flask, desk: Desk, clock: Clock) -> None:
    signature_id = published(app, desk, clock)
    details = [replace(WISH, full_name=f"Әмина {letter}") for letter in ("Ким", "Ли", "Цой")]
    holidays = shipped.holidays()

    def wish(one: Details) -> Any:
        return lambda: corrections.ask(signature_id, one, answer_due_working_days=5, holidays=holidays, now=now())

    assert at_once(app, *map(wish, details)) == [Asked.WAITS] * 3
    assert count(app, Correction) == 1
    row = the_one(app, signature_id)
    assert row.version == 3

    def answer(action: str) -> Any:
        return lambda: corrections.decide(
            row.id,
            action=action,
            expected_version=row.version,
            reason="other",
            note=None,
            staff_id=desk.id,
            undo_seconds=10,
            now=now(),
        )

    results = at_once(app, answer("approve"), answer("decline"))
    assert sum(result is None for result in results) == 1
    (told,) = [result for result in results if result is not None]
    assert isinstance(told, DecidedMeanwhileError)
    assert told.by_staff_name == "Bruno"


def test_withdrawing_against_publishing_a_correction_ends_with_the_withdrawal(
    app: Flask, desk: Desk, clock: Clock
) -> None:
    for place in range(3):
        signature_id = published(app, desk, clock, place=place)
        ask(app, signature_id)
        decide(app, signature_id, desk.id)
        clock.shift(11)
        results = at_once(app, lambda signature_id=signature_id: withdraw(app, signature_id), lambda: work(app))
        assert results[0] is Outcome.DONE, results
        work(app)
        found = kinds(app, signature_id)
        assert found[-1] == "withdraw"
        assert found[:-1] in (["confirm", "publish"], ["confirm", "publish", "correct"])
        assert entry_row(app, signature_id).line is None


@ONE_ENGINE
def test_a_clock_that_has_gone_back_does_not_keep_an_approved_correction_waiting(
    app: Flask, desk: Desk, clock: Clock
) -> None:
    signature_id = published(app, desk, clock)
    ask(app, signature_id)
    decide(app, signature_id, desk.id)
    clock.shift(-7 * 86_400)
    work(app)
    assert entry_row(app, signature_id).rev == 2


def test_what_waits_for_a_batch_does_not_stop_a_restore_and_comes_after_it(
    app: Flask, desk: Desk, clock: Clock
) -> None:
    signature_id = published(app, desk, clock)
    ask(app, signature_id)
    decide(app, signature_id, desk.id)
    show(app, signature_id, "short")
    with app.app_context():
        assert recovery.append_corrections(now=now() + timedelta(seconds=20)) == 0
    assert count(app, LogEvent) == 2
    clock.shift(11)
    work(app)
    row = entry_row(app, signature_id)
    assert (row.name, row.region_code) == ("Әмина О.-К.", "KZ-71")


@ONE_ENGINE
def test_mails_about_corrections_hold_no_token_once_sent(app: Flask, desk: Desk, clock: Clock) -> None:
    signature_id = published(app, desk, clock)
    ask(app, signature_id)
    decide(app, signature_id, desk.id, "decline", reason="other", note="Нет.")
    clock.shift(11)
    work(app)
    with app.app_context():
        message = db.session.scalars(select(Message).filter_by(kind="correction-declined")).one()
        assert (message.values, message.recipient) == ({}, None)
