"""All that is held about somebody, shown to them alone; and the pages around rights, for both sides."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select
from time_machine import Traveller as Clock

from charter.models.base import Base, db
from charter.models.limits import MailboxTally
from charter.models.signature import Signature, SignatureEvent
from charter.operations import review
from charter.queries.holdings import HANDED, LEFT_OUT, holdings_of
from tests.operations.test_signing import decide, get, key_of, now
from tests.pages import Browser
from tests.people import Desk, Observer, code_in, link_in, text_of, work

ONE_ENGINE = pytest.mark.parametrize("engine_name", ["sqlite"], indirect=True)
STRANGER = {"full_name": "Бөтен Адам", "email": "amina@example.org"}


def newest(app: Flask) -> int:
    with app.app_context():
        return db.session.scalars(select(Signature.id).order_by(Signature.id.desc()).limit(1)).one()


def saved(browser: Browser) -> dict[str, Any]:
    """The file, after it was proved who asks."""
    answer = browser.client.get("/ru/my/data/file/")
    assert answer.mimetype == "application/json", answer.headers
    assert answer.headers["Content-Disposition"] == "attachment; filename=charter-data.json"
    assert answer.headers["Cache-Control"] == "no-store"
    found: dict[str, Any] = json.loads(answer.data)
    return found


def keys_of(value: Any) -> set[str]:
    """Every name in a document."""
    if isinstance(value, dict):
        return set(value) | {name for one in value.values() for name in keys_of(one)}
    return {name for one in value for name in keys_of(one)} if isinstance(value, list) else set()


# ── everything, and nothing else ─────────────────────────────────────────────────────────────────────────────────────


def belonging() -> list[type[Base]]:
    """Tables with a row of their own for a signature."""
    tables = {mapper.class_.__table__: mapper.class_ for mapper in Base.registry.mappers}
    found = {
        model
        for table, model in tables.items()
        for column in table.columns
        if column.name == "signature_id" and any(key.column.table.name == "signature" for key in column.foreign_keys)
    }
    # What waits for the next batch of the log and is gone with it.
    return sorted({model for model in found if model.__tablename__ != "log_event"} | {Signature, MailboxTally}, key=str)


def test_every_column_about_a_person_is_handed_over_or_said_why_not() -> None:
    assert set(belonging()) == set(HANDED) == set(LEFT_OUT)
    for model in belonging():
        columns = {column.name for column in model.__table__.columns}
        assert set(HANDED[model]) | set(LEFT_OUT[model]) == columns, model
        assert set(HANDED[model]).isdisjoint(LEFT_OUT[model]), model
        for column in model.__table__.columns:
            is_staff = any(key.column.table.name == "staff" for key in column.foreign_keys)
            assert not (is_staff and column.name in HANDED[model]), (model, column)


def test_the_file_holds_all_of_one_person_and_nothing_of_anybody_else(app: Flask, desk: Desk, clock: Clock) -> None:
    amina = Observer(app, organisation="Әділ сайлау")
    amina.sign_and_confirm()
    signature_id = newest(app)
    # Somebody else with the same address and the same browser, and a reviewer with a name.
    Observer(app, **STRANGER).sign_and_confirm()
    with app.app_context():
        review.decide(
            signature_id,
            action="ask",
            expected_version=2,
            reason="name-unclear",
            note="Атыңызды нақтылаңыз",
            staff_id=desk.id,
            undo_seconds=10,
            now=now(),
        )
    clock.shift(11)
    work(app)
    amina.browser.get("/ru/my/").submit("answer-form", answer="Дұрыс жазылған")
    page = amina.browser.get("/ru/my/data/").submit("data-form")
    assert page.url == "/ru/my/data/"
    found = saved(amina.browser)
    whole = json.dumps(found, ensure_ascii=False)
    assert found["application"]["full_name"] == "Әмина Серікқызы Оспанова"
    assert found["application"]["email"] == "amina@example.org"
    assert {"ask"} == {one["action"] for one in found["decisions"]}
    assert found["answers"][0]["answer"] == "Дұрыс жазылған"
    assert {one["kind"] for one in found["consents"]} == {"processing", "publication"}
    assert all(len(one["body"]) > 200 for one in found["consents"])
    assert [one["kind"] for one in found["mails"]] == ["signing", "confirmed", "clarification"]
    assert [one["move"] for one in found["history"]] == ["sign", "confirm", "ask", "answer"]
    assert found["application"]["application_line"].startswith('{"affiliation_name":"Әділ сайлау"')
    for hidden in ("Bruno", "bruno@example.org", "Бөтен"):
        assert hidden not in whole
        assert hidden not in page.text
    for word in ("Әділ сайлау", "Атыңызды нақтылаңыз", "Дұрыс жазылған", "amina@example.org"):
        assert word in page.text
    names = keys_of({name: part for name, part in found.items() if name != "left_out"})
    assert names.isdisjoint({"token_digest", "uid", "staff_id", "old_digest", "password", "id"})
    # What the links in the mails hold is nowhere in it.
    assert link_in(amina.mail(), "/my/").rpartition("/")[2] not in whole


def test_what_can_still_be_taken_back_or_was_is_not_told(app: Flask, desk: Desk, clock: Clock) -> None:
    amina = Observer(app)
    amina.sign_and_confirm()
    signature_id = newest(app)
    work(app)

    def told() -> Any:
        with app.app_context():
            held = holdings_of(signature_id, language="ru", key=key_of(app), now=now())
            assert held is not None
            return held

    with app.app_context():
        decision_id = review.decide(
            signature_id,
            action="decline",
            expected_version=2,
            reason="other",
            note="Басқа адамға жазылған сөз",
            staff_id=desk.id,
            undo_seconds=10,
            now=now(),
        )
    assert (told().decisions, [mail["kind"] for mail in told().mails]) == ([], ["signing", "confirmed"])
    with app.app_context():
        review.undo(decision_id, staff_id=desk.id, now=now())
    clock.shift(11)
    assert [(one["action"], one["note"]) for one in told().decisions] == [("decline", None)]
    assert told().decisions[0]["undone_at"] is not None


def test_whoever_took_an_application_up_again_gets_the_declined_one_too(app: Flask, desk: Desk, clock: Clock) -> None:
    dana = Desk(app, "Dana", "dana@example.org")
    amina = Observer(app)
    amina.sign_and_confirm()
    old_id = newest(app)
    decide(app, old_id, desk.id, "decline", "not-an-observer")
    clock.shift(11)
    work(app)
    amina.browser.get("/ru/my/objection/").submit("objection-form", words="Мен байқаушымын")
    page = dana.browser.get(dana.browser.get("/staff/objections/").href("/staff/objections/1"))
    answered = page.submit("answer-form", verdict="upheld", answer="Дұрыс")
    assert "Take back" in answered.main
    clock.shift(11)
    work(app)
    new = Browser(app)
    new.client._cookies = dict(amina.browser.client._cookies or {})
    new.get(link_in(amina.mail(), "/my/"))
    assert new.get("/ru/my/data/").submit("data-form").status == 200
    found = saved(new)
    assert found["application"]["entry"] == get(app, newest(app)).entry
    assert found["earlier"]["application"]["entry"] == get(app, old_id).entry
    assert found["earlier"]["objections"][0]["words"] == "Мен байқаушымын"
    assert found["earlier"]["objections"][0]["new_entry"] == found["application"]["entry"]


# ── who may see it ───────────────────────────────────────────────────────────────────────────────────────────────────


@ONE_ENGINE
def test_the_link_alone_shows_nothing(app: Flask, desk: Desk, clock: Clock) -> None:
    amina = Observer(app)
    amina.sign_and_confirm()
    work(app)
    other = Browser(app)
    other.get(link_in(amina.mail(), "/my/"))
    for path in ("/ru/my/data/", "/ru/my/data/file/"):
        page = other.get(path)
        assert page.url == "/ru/my/data/"
        assert "consent" not in page.text.casefold()
    refused = other.get("/ru/my/data/").submit("data-form")
    assert refused.status == 422
    assert "Серікқызы" not in refused.text
    asked = other.get("/ru/my/data/").submit("code-form")
    assert asked.url.startswith("/ru/my/data/?fresh=code")
    work(app)
    code = code_in(amina.mail())
    assert other.get("/ru/my/data/").submit("data-form", code="000000").status == 422
    shown = other.get("/ru/my/data/").submit("data-form", code=code)
    assert "Серікқызы" in shown.text
    assert saved(other)["application"]["email"] == "amina@example.org"
    # Not for ever, and not for whoever opens another link in this browser.
    for minutes in (16, -40):
        clock.shift(timedelta(minutes=minutes))
        assert "Серікқызы" not in other.get("/ru/my/data/").text
        assert other.get("/ru/my/data/file/").url == "/ru/my/data/"
    clock.shift(timedelta(minutes=24))
    stranger = Observer(app, full_name="Бөтен Адам", email="boten@example.org")
    stranger.sign_and_confirm()
    work(app)
    assert amina.browser.get("/ru/my/data/").submit("data-form").status == 200
    amina.browser.get(link_in(stranger.mail(), "/my/"))
    assert "data-form" in amina.browser.get("/ru/my/data/").text
    assert amina.browser.get("/ru/my/data/file/").url == "/ru/my/data/"


@ONE_ENGINE
def test_a_forged_mark_shows_nothing(app: Flask, clock: Clock) -> None:
    amina = Observer(app)
    amina.sign_and_confirm()
    for mark in ("x", {"signature": 1}, {"signature": 1, "at": "yesterday"}, {"signature": 1, "at": 5}, [], None):
        with amina.browser.client.session_transaction() as session:
            session["data_shown"] = mark
        assert "data-form" in amina.browser.get("/ru/my/data/").text, mark


# ── leaving ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_erasing_ends_with_a_page_that_knows_nobody(app: Flask, clock: Clock) -> None:
    amina = Observer(app)
    amina.sign_and_confirm()
    work(app)
    link = link_in(amina.mail(), "/my/")
    page = amina.browser.get("/en/my/erase/")
    assert "What stays" in page.main
    done = page.submit("erase-form")
    assert done.url == "/en/my/erased/"
    assert "Everything is erased" in done.main
    assert amina.browser.get("/en/my/").status == 403
    assert Browser(app).get(link).status == 403
    assert Browser(app).get("/kk/my/erased/").status == 200
    work(app)
    assert not any("/my/" in line for line in text_of(amina.mail()).splitlines())


@ONE_ENGINE
@pytest.mark.parametrize(("sent", "kept"), [("mistake", "mistake"), ("", None), ("in-writing", None), ("<b>", None)])
def test_only_reasons_of_the_list_are_kept(app: Flask, clock: Clock, sent: str, kept: str | None) -> None:
    amina = Observer(app)
    amina.sign_and_confirm()
    amina.browser.get("/ru/my/withdraw/").submit("withdraw-form", reason=sent)
    with app.app_context():
        event = db.session.scalars(select(SignatureEvent).order_by(SignatureEvent.id.desc())).first()
        assert event is not None
        assert (event.move, event.reason) == ("withdraw", kept)


@ONE_ENGINE
def test_empty_and_hostile_words_are_no_objection(app: Flask, desk: Desk, clock: Clock) -> None:
    amina = Observer(app)
    amina.sign_and_confirm()
    signature_id = newest(app)
    assert amina.browser.get("/ru/my/objection/").url == "/ru/my/", "nothing was declined"
    decide(app, signature_id, desk.id, "decline", "duplicate")
    assert amina.browser.get("/ru/my/objection/").url == "/ru/my/", "it can still be taken back"
    clock.shift(11)
    work(app)
    for words in ("", "  \n ", "https://evil.example", "\u202eтерс", "а" * 2001):
        page = amina.browser.get("/ru/my/objection/").submit("objection-form", words=words)
        assert page.status == 422, words
    done = amina.browser.get("/ru/my/objection/").submit(
        "objection-form", words="<script>alert(1)</script>\r\n\r\n{{ 7*7 }}"
    )
    assert done.url == "/ru/my/?fresh=objected"
    assert "&lt;script&gt;" in done.text
    shown = desk.browser.get("/staff/objections/1/")
    assert "&lt;script&gt;" in shown.text
    assert "{{ 7*7 }}" in shown.text
    assert amina.browser.get("/ru/my/objection/").url == "/ru/my/"


# ── the desk ─────────────────────────────────────────────────────────────────────────────────────────────────────────


@ONE_ENGINE
def test_whoever_declined_sees_the_objection_and_cannot_answer_it(app: Flask, desk: Desk, clock: Clock) -> None:
    amina = Observer(app)
    amina.sign_and_confirm()
    decide(app, newest(app), desk.id, "decline", "duplicate")
    clock.shift(11)
    amina.browser.get("/ru/my/objection/").submit("objection-form", words="Мен емес")
    page = desk.browser.get("/staff/objections/1/")
    assert "a colleague has to answer" in page.main
    assert "answer-form" not in page.text
    assert "your decision: for a colleague" in desk.browser.get("/staff/objections/").main
    token = desk.browser.get("/staff/account").tree.query("input[name=csrf_token]")[0].attrs["value"]
    fields = {"csrf_token": token, "version": "1", "verdict": "rejected", "answer": "Жоқ"}
    assert desk.browser.post("/staff/objections/1/", fields).status == 403
    dana = Desk(app, "Dana", "dana@example.org")
    preview = dana.browser.get("/staff/objections/1/").submit(
        "answer-form", verdict="rejected", answer="Мұқият қарадық.", preview="1"
    )
    assert "Мұқият қарадық." in preview.tree.query("#mail-preview")[0].to_text()
    refused = dana.browser.get("/staff/objections/1/").submit("answer-form", verdict="rejected", answer="")
    assert refused.status == 422
    stale = dana.browser.get("/staff/objections/1/")
    done = stale.submit("answer-form", without=("preview",), verdict="rejected", answer="Мұқият қарадық.")
    assert done.url == "/staff/objections/"
    again = stale.submit("answer-form", without=("preview",), verdict="upheld")
    assert again.status == 409
    assert "Dana has decided meanwhile" in again.main
    assert dana.browser.get("/staff/objections/").submit(at="/undo").url == "/staff/objections/1/"


@ONE_ENGINE
def test_a_letter_leads_to_the_data_for_whoever_recorded_it_alone(app: Flask, desk: Desk, clock: Clock) -> None:
    amina = Observer(app)
    amina.sign_and_confirm()
    path = f"/staff/review/{newest(app)}/letter/"
    letter = {"kind": "data", "reference": "12-А/2026", "received_on": "2026-11-20", "is_checked": "y"}
    for missing in letter:
        assert desk.browser.get(path).submit("letter-form", without=(missing,), **letter).status == 422, missing
    for day in ("", "2026-11-21", "2024-01-01", "0000-00-00", "вчера", "99999-01-01"):
        page = desk.browser.get(path).submit("letter-form", **{**letter, "received_on": day})
        assert page.status == 422, day
        assert len(page.tree.query("#received_on-error")) == 1, day
        assert "Not a valid" not in page.text, "the words of a library"
    for kind in ("object", "correct", "revoke", ""):
        assert desk.browser.get(path).submit("letter-form", **{**letter, "kind": kind}).status == 422, kind
    shown = desk.browser.get(path).submit("letter-form", **letter)
    assert shown.url == "/staff/letters/1/data/"
    assert "Әмина Серікқызы Оспанова" in shown.main
    answer = desk.browser.client.get("/staff/letters/1/data/file/")
    assert json.loads(answer.data)["letters"][0]["reference"] == "12-А/2026"
    dana = Desk(app, "Dana", "dana@example.org")
    for page in ("/staff/letters/1/data/", "/staff/letters/1/data/file/"):
        assert dana.browser.get(page).status == 404
    assert "12-А/2026" in dana.browser.get("/staff/letters/").main
    assert "in writing" in dana.browser.get(f"/staff/review/{newest(app)}/").main
    mine = amina.browser.get("/en/my/")
    assert "letter 12-А/2026" in mine.main
    assert "Bruno" not in mine.text


@ONE_ENGINE
def test_letters_and_objections_of_nobody_are_not_found(app: Flask, desk: Desk, clock: Clock) -> None:
    for path in (
        "/staff/objections/7/",
        "/staff/letters/7/data/",
        "/staff/review/7/letter/",
        "/staff/review/7/letter/correction/",
        "/staff/letters/?before=x",
        "/staff/letters/?before=٣",
        "/staff/objections/?after=x",
    ):
        assert desk.browser.get(path).status == 404, path
    assert desk.browser.get("/staff/letters/?before=99999999999999").status == 200
