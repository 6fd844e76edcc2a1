"""The personal link: asked for again without telling anybody anything, renewed so that the old one leads nowhere."""

from __future__ import annotations

import re
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import func, select
from time_machine import Traveller as Clock

from charter.domain.email import clean_email
from charter.domain.mailbox import mailbox_digest
from charter.models.base import db, writing
from charter.models.limits import MailboxTally
from charter.models.outbox import Message
from charter.operations import links
from charter.operations.proving import Outcome, Proof, Result
from charter.operations.staff import forget_attempts
from tests.house.world import changed_tables, dump
from tests.operations.test_races import at_once
from tests.operations.test_signing import (
    ELSEWHERE,
    HERE,
    confirm,
    confirmed,
    decide,
    key_of,
    moves,
    now,
    request_code,
    sign,
    withdraw,
)
from tests.pages import Browser
from tests.people import Desk, Observer, code_in, link_in, mails, text_of, work
from tests.statements import statements

#: For what no engine can do in a way of its own: each test takes its time twice otherwise.
sqlite_only = pytest.mark.parametrize("engine_name", ["sqlite"], indirect=True)

ASK = "/ru/my-link/"


def ask(app: Flask, address: str = "amina@example.org") -> None:
    with app.app_context():
        links.ask(clean_email(address), language="ru", key=key_of(app), now=now())


def renew(app: Flask, signature_id: int, *, browser: bytes | None = HERE, code: str | None = None) -> Result:
    with app.app_context():
        return links.renew(signature_id, proof=Proof(browser, code), key=key_of(app), code_tries=5, now=now())


def waiting(app: Flask) -> int:
    """Rows of the outbox that are not done."""
    with app.app_context():
        return db.session.scalars(select(func.count()).select_from(Message).where(Message.done_at.is_(None))).one()


def sent(app: Flask, subject: str = "Ваша личная ссылка", to: str | None = None) -> list[Any]:
    return [mail for mail in mails(app) if mail["Subject"] == subject and to in {None, mail["To"]}]


# ── asking ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_whoever_asks_is_mailed_the_link_that_there_is(app: Flask, clock: Clock) -> None:
    confirmed(app)
    work(app)
    before = link_in(mails(app)[-1], "/my/")
    ask(app, "AMINA@Example.ORG")
    assert work(app) == (0, 1)
    (mail,) = sent(app)
    assert mail["To"] == "amina@example.org", "the address of the signature, not the one that was typed"
    assert link_in(mail, "/my/") == before
    assert waiting(app) == 0


def test_everybody_behind_a_mailbox_gets_a_link_of_their_own(app: Flask, desk: Desk, clock: Clock) -> None:
    people = ["Бірінші Адам", "Екінші Адам", "Үшінші Адам"]
    first, second, third = (confirmed(app, name, "office@example.org") for name in people)
    sign(app, "Төртінші Адам", "other@example.org")
    decide(app, second, desk.id, "decline", "other")
    withdraw(app, third)
    clock.shift(11)
    work(app)
    ask(app, "office@example.org")
    assert work(app)[1] == 2, "of the three one has left"
    found = {link_in(mail, "/my/") for mail in sent(app, to="office@example.org")}
    assert {Browser(app).get(link).main.count("Адам") > 0 for link in found} == {True}
    with app.app_context():
        told = set(db.session.scalars(select(Message.signature_id).where(Message.kind == "personal-link")))
    assert told == {first, second}


@sqlite_only
@pytest.mark.parametrize("state", ["nobody", "submitted", "expired", "withdrawn", "erased"])
def test_nothing_is_sent_where_there_is_no_page_to_open(app: Flask, clock: Clock, state: str) -> None:
    if state in {"submitted", "expired"}:
        signature_id = sign(app)
        if state == "expired":
            confirm(app, sign(app))
            withdraw(app, signature_id + 1)
    elif state != "nobody":
        withdraw(app, confirmed(app))
    for _ in range(2):
        work(app)
    before = len(mails(app))
    ask(app)
    work(app)
    assert len(mails(app)) == before
    with app.app_context():
        kept = db.session.scalars(select(Message).where(Message.kind == "personal-link")).all()
    assert kept == [], "what a stranger typed is not kept"


def test_the_link_is_mailed_at_most_once_in_a_quarter_of_an_hour(app: Flask, clock: Clock) -> None:
    confirmed(app)
    for _ in range(3):
        ask(app)
        ask(app)
        work(app)
        clock.shift(60)
    assert len(sent(app)) == 1
    clock.shift(15 * 60)
    ask(app)
    work(app)
    assert len(sent(app)) == 2


def test_nobody_fills_a_mailbox_by_asking_all_day(app: Flask, clock: Clock) -> None:
    confirmed(app)
    for _ in range(links.MAILS_A_DAY + 3):
        ask(app)
        work(app)
        clock.shift(15 * 60 + 1)
    assert len(sent(app)) == links.MAILS_A_DAY
    clock.shift(86_400)
    ask(app)
    work(app)
    assert len(sent(app)) == links.MAILS_A_DAY + 1


@sqlite_only
def test_for_a_mailbox_that_takes_no_mail_one_waits_however_long_it_is_asked_for(app: Flask, clock: Clock) -> None:
    confirmed(app)
    work(app)
    with app.app_context(), writing():
        db.session.merge(MailboxTally(digest=mailbox_digest("amina@example.org", key=key_of(app)), bounced_at=now()))
        db.session.commit()
    for _ in range(3):
        ask(app)
        work(app)
        clock.shift(2 * 86_400)
    assert waiting(app) == 1
    assert sent(app) == []


@sqlite_only
@pytest.mark.parametrize("jump", [-400 * 86_400, 400 * 86_400])
def test_a_clock_that_jumps_does_not_keep_the_link_from_anybody(app: Flask, clock: Clock, jump: int) -> None:
    confirmed(app)
    ask(app)
    work(app)
    clock.shift(jump)
    ask(app)
    work(app)
    assert len(sent(app)) == 2


def test_a_mailbox_waits_with_one_request_however_many_ask(app: Flask, clock: Clock) -> None:
    confirmed(app)
    work(app)
    results = at_once(app, *[lambda: ask(app)] * 8)
    assert results == [None] * 8
    assert waiting(app) == 1
    # And while workers answer.
    results = at_once(app, *[lambda: ask(app)] * 4, *[lambda: work(app)] * 2)
    assert not [one for one in results if isinstance(one, Exception)], results
    work(app)
    assert len(sent(app)) == 1
    assert waiting(app) == 0


#: Headers that differ between any two answers.
UNLIKE = {"X-Request-Id": "", "Set-Cookie": "a session"}


def whole_answer(app: Flask, address: str) -> tuple[list[Any], list[str]]:
    """Both answers with status, headers and body, and the statements that they took."""
    with app.app_context():
        # Else the counter of attempts would now and then begin a new window.
        forget_attempts()
    browser = Browser(app)
    url, values = browser.get(ASK).fields("ask-form")
    with statements(app) as seen:
        first = browser.client.post(url, data=values | {"email": address})
        second = browser.client.get(first.headers["Location"])
    told = []
    for answer in (first, second):
        headers = sorted((name, UNLIKE.get(name, value)) for name, value in answer.headers)
        told.append((answer.status, headers, re.sub(r'value="[^"]*"', "", answer.text)))
    return told, seen


def test_asking_looks_the_same_from_outside_whoever_the_address_belongs_to(
    app: Flask, desk: Desk, clock: Clock
) -> None:
    whole_answer(app, "warm.up@example.org")
    stranger = whole_answer(app, "kuat@example.org")
    assert stranger[0][0][0] == "303 SEE OTHER"
    signature_id = sign(app)
    for stage in ("submitted", "confirmed", "published", "declined", "withdrawn"):
        if stage == "confirmed":
            confirm(app, signature_id)
        elif stage == "published":
            decide(app, signature_id, desk.id)
        elif stage == "declined":
            decide(app, confirmed(app, "Екінші Адам"), desk.id, "decline", "other")
        elif stage == "withdrawn":
            withdraw(app, signature_id)
        clock.shift(11)
        work(app)
        for _ in range(2):  # the second time a request waits
            answers, said = whole_answer(app, "amina@example.org")
            assert answers == stranger[0], stage
            assert said == stranger[1], stage
        clock.shift(16 * 60)


@sqlite_only
@pytest.mark.parametrize("typed", ["", "amina", "әмина@example.org", "=1@example.org", "a@b\r\nBcc: x@example.org"])
def test_what_is_no_address_is_refused_beside_the_field_and_stored_nowhere(app: Flask, typed: str) -> None:
    before = dump(app)
    page = Browser(app).get(ASK).submit("ask-form", email=typed)
    assert page.status == 422
    assert page.title.startswith("Ошибка:")
    assert page.tree.query("#email-error")
    assert changed_tables(before, dump(app)) <= {"rate_limit"}


def test_one_network_asks_only_so_often_and_the_answer_says_nothing_about_the_address(app: Flask, clock: Clock) -> None:
    confirmed(app)
    before = waiting(app)
    page = Browser(app).get(ASK)
    url, values = page.fields("ask-form")
    for place in range(60):
        answer = page.browser.client.post(url, data=values | {"email": f"p{place}@example.org"})
        assert answer.status_code == 303
    for address in ("amina@example.org", "kuat@example.org"):
        assert page.submit("ask-form", email=address).status == 429
    clock.shift(15 * 60 + 1)
    assert page.submit("ask-form", email="amina@example.org").status == 200
    assert waiting(app) == before + 60 + 1, "what was refused asks for nothing"


@sqlite_only
def test_the_worker_asks_the_same_few_questions_however_many_use_a_mailbox(app: Flask, clock: Clock) -> None:
    counts = []
    for number in (1, 3):
        for place in range(number):
            confirmed(app, "Адам " + "А" * (place + 1), f"office{number}@example.org")
        work(app)
        ask(app, f"office{number}@example.org")
        with statements(app) as seen:
            work(app)
            counts.append(len([one for one in seen if one.lstrip().startswith("SELECT link.")]))
    assert counts[0] == counts[1]


# ── renewing ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_new_link_ends_the_old_one_at_once_and_this_browser_goes_on(app: Flask, observer: Observer) -> None:
    observer.sign_and_confirm()
    work(app)
    old = link_in(observer.mail(), "/my/")
    elsewhere = Browser(app)
    assert elsewhere.get(old).url == "/ru/my/"
    page = observer.browser.get(observer.browser.get("/ru/my/").href("/my/link/")).submit("renew-form")
    assert page.url == "/ru/my/?fresh=renewed"
    assert "новая личная ссылка" in page.main
    assert "Личная ссылка заменена" in page.main, "the history tells it"
    assert elsewhere.get("/ru/my/").status == 403
    assert Browser(app).get(old).status == 403
    work(app)
    (mail,) = sent(app, "Ваша новая личная ссылка")
    new = link_in(mail, "/my/")
    assert new != old
    assert Browser(app).get(new).url == "/ru/my/"


def test_mail_that_waits_brings_the_new_link(app: Flask, desk: Desk, clock: Clock) -> None:
    signature_id = confirmed(app)
    decide(app, signature_id, desk.id)
    clock.shift(11)
    assert renew(app, signature_id).outcome is Outcome.DONE
    work(app)
    found = {link_in(mail, "/my/") for mail in mails(app) if "/my/" in text_of(mail)}
    assert len(found) == 1
    assert Browser(app).get(found.pop()).url == "/ru/my/"


def test_without_the_signing_browser_a_fresh_code_is_needed_and_works_once(app: Flask, clock: Clock) -> None:
    signature_id = confirmed(app)
    work(app)
    old = link_in(mails(app)[-1], "/my/")
    for proof in ({}, {"code": ""}, {"code": "000000"}, {"browser": ELSEWHERE}):
        assert renew(app, signature_id, **{"browser": None, **proof}).outcome is Outcome.CODE_NEEDED, proof
    assert request_code(app, signature_id)
    work(app)
    code = code_in(mails(app)[-1])
    assert renew(app, signature_id, browser=None, code="000000").outcome is Outcome.CODE_WRONG
    assert Browser(app).get(old).url == "/ru/my/"
    assert renew(app, signature_id, browser=None, code=code).outcome is Outcome.DONE
    assert renew(app, signature_id, browser=None, code=code).outcome is Outcome.CODE_NEEDED
    assert moves(app, signature_id) == ["sign", "confirm", "renew"]


def test_two_renewals_at_once_leave_one_link_that_works(app: Flask, clock: Clock) -> None:
    signature_id = confirmed(app)
    results = at_once(app, *[lambda: renew(app, signature_id)] * 4)
    assert {result.outcome for result in results} == {Outcome.DONE}, results
    statuses = sorted(Browser(app).get(f"/ru/my/{result.personal_token}").status for result in results)
    assert statuses == [200, 403, 403, 403]
    work(app)
    assert {Browser(app).get(link_in(mail, "/my/")).status for mail in sent(app, "Ваша новая личная ссылка")} == {200}


@sqlite_only
def test_nobody_renews_a_signature_that_has_ended_or_without_end(app: Flask, clock: Clock) -> None:
    signature_id = confirmed(app)
    outcomes = [renew(app, signature_id).outcome for _ in range(links.RENEWALS_A_DAY + 1)]
    assert outcomes == [Outcome.DONE] * links.RENEWALS_A_DAY + [Outcome.NOT_POSSIBLE]
    clock.shift(86_401)
    assert renew(app, signature_id).outcome is Outcome.DONE
    withdraw(app, signature_id)
    assert renew(app, signature_id).outcome is Outcome.NOT_POSSIBLE
    assert renew(app, sign(app, "Куат Бөтен")).outcome is Outcome.NOT_POSSIBLE
