""" "This was not me", from the mail to the button, and what staff see and lift."""

from __future__ import annotations

import re

import pytest
from flask import Flask
from sqlalchemy import select
from time_machine import Traveller as Clock

from charter.models.base import db
from charter.models.limits import MailboxTally
from charter.models.signature import Signature
from tests.house.world import changed_tables, dump
from tests.pages import Browser
from tests.people import Desk, Observer, code_in, link_in, mails, text_of, work


def state(app: Flask) -> str:
    with app.app_context():
        return db.session.scalars(select(Signature.state).order_by(Signature.id.desc())).first() or ""


@pytest.mark.parametrize("lang", ["kk", "ru", "en"])
@pytest.mark.parametrize("engine_name", ["sqlite"])
def test_whoever_was_signed_by_a_stranger_ends_it_with_the_code_of_the_mail(observer: Observer, lang: str) -> None:
    observer.sign(language=lang)
    work(observer.app)
    mail = observer.mail()
    stranger = Browser(observer.app)
    page = stranger.get(link_in(mail, "/not-me/"))
    assert page.tree.query("html")[0].attrs["lang"] == lang
    refused = page.submit("not-me-form")
    assert refused.status == 422
    assert state(observer.app) == "submitted"
    done = refused.submit("not-me-form", code=code_in(mail))
    assert done.status == 200
    assert state(observer.app) == "expired"
    # What one reads there names nobody: whoever opens the link may be the neighbour who typed the address.
    assert "Оспанова" not in page.main + done.main
    observer.sign()
    work(observer.app)
    assert len(mails(observer.app)) == 1


def test_the_first_mail_to_who_has_signed_already_brings_the_way_out_too(observer: Observer, clock: Clock) -> None:
    observer.sign_and_confirm()
    work(observer.app)
    clock.shift(16 * 60)
    observer.sign()
    work(observer.app)
    mail = observer.mail()
    assert "/my/" in text_of(mail)
    done = Browser(observer.app).get(link_in(mail, "/not-me/")).submit("not-me-form", code=code_in(mail))
    assert done.status == 200
    with observer.app.app_context():
        states = db.session.scalars(select(Signature.state).order_by(Signature.id)).all()
        assert states == ["confirmed", "expired"]
        assert db.session.scalars(
            select(MailboxTally.stopped_until).where(MailboxTally.stopped_until.is_not(None))
        ).one()


def test_robots_that_open_and_press_everything_stop_nothing(observer: Observer) -> None:
    observer.sign()
    work(observer.app)
    path = link_in(observer.mail(), "/not-me/")
    before = dump(observer.app)
    robot = Browser(observer.app)
    for method in ("GET", "HEAD", "GET"):
        assert robot.client.open(path, method=method, headers={"Sec-Purpose": "prefetch"}).status_code == 200
    page = robot.get(path)
    for _ in range(7):
        page = page.submit("not-me-form")
    assert page.status == 422
    for lang in ("kk", "en"):
        robot.get(path.replace("/ru/", f"/{lang}/")).submit("not-me-form")
    assert robot.client.post(path, data={"code": "123456"}).status_code in {400, 403, 422}
    assert changed_tables(before, dump(observer.app)) == set()
    assert observer.browser.get(link_in(observer.mail(), "/confirm/")).submit("confirm-form").url.endswith("confirmed")


@pytest.mark.parametrize("engine_name", ["sqlite"])
@pytest.mark.parametrize("token", ["A" * 43, "x", "%00", "..%2f", "A" * 5000, "%F0%9F%98%80"])
def test_any_token_may_be_tried(app: Flask, token: str) -> None:
    for method in ("GET", "POST"):
        assert app.test_client().open(f"/ru/not-me/{token}", method=method).status_code in {400, 404}


@pytest.mark.parametrize("engine_name", ["sqlite"])
def test_signing_from_a_stopped_mailbox_looks_the_same(observer: Observer) -> None:
    other = Observer(observer.app, email="other@example.org")

    def shown(page_text: str) -> str:
        return re.sub(r'value="[^"]*"', "", page_text)

    usual = other.sign()
    observer.sign()
    work(observer.app)
    observer.browser.get(link_in(observer.mail(), "/not-me/")).submit("not-me-form")
    assert state(observer.app) == "expired"
    stopped = Observer(observer.app).sign()
    assert (stopped.status, stopped.url, shown(stopped.text)) == (usual.status, usual.url, shown(usual.text))


def test_staff_see_and_lift_what_keeps_mail_from_somebody(observer: Observer, desk: Desk, clock: Clock) -> None:
    observer.sign()
    work(observer.app)
    observer.browser.get(link_in(observer.mail(), "/not-me/")).submit("not-me-form")
    page = desk.browser.get("/staff/mail/")
    assert "Sent within this hour: 1 of 20,000." in page.main.replace("\xa0", " ")
    empty = desk.browser.get(page.href("/staff/mailboxes/"))
    assert empty.submit(at="/staff/mailboxes/", email="nonsense").status == 422
    found = empty.submit(at="/staff/mailboxes/", email="Amina@Example.org")
    assert "this was not me" in found.main
    assert observer.answers["full_name"] in found.main
    lifted = found.submit(at="/staff/mailboxes/lift")
    assert "It is lifted." in lifted.main
    assert "Nothing keeps mail from this mailbox." in lifted.main
    again = found.submit(at="/staff/mailboxes/lift")
    assert "There was nothing to lift." in again.main
    clock.shift(16 * 60)
    Observer(observer.app).sign()
    work(observer.app)
    assert len(mails(observer.app)) == 2


@pytest.mark.parametrize("engine_name", ["sqlite"])
def test_the_desk_takes_no_other_thing_to_lift(desk: Desk) -> None:
    page = desk.browser.get("/staff/mailboxes/")
    token = page.fields(at="/staff/mailboxes/")[1]["csrf_token"]
    for what in ("", "everything", "stop\0", "STOP"):
        answer = desk.browser.client.post(
            "/staff/mailboxes/lift", data={"csrf_token": token, "email": "a@b.kz", "what": what}
        )
        assert answer.status_code == 422
