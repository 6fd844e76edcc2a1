"""The team's pages, and the second factor once more before what could hurt."""

from __future__ import annotations

import re
import sqlite3
import time

import pytest
from flask import Flask
from sqlalchemy import select
from sqlalchemy.exc import OperationalError
from time_machine import Traveller as Clock

from charter.domain.duties import Role
from charter.models.base import db, writing
from charter.models.decision import Audit
from charter.models.signature import Signature
from charter.models.staff import StaffAccount
from charter.web.staff import factors
from tests.operations.test_publication import published
from tests.operations.test_signing import get
from tests.pages import Browser
from tests.people import Desk, Observer, link_in, mails, work

#: Pages are the same on both engines; what differs between them is asked of the operations.
pytestmark = pytest.mark.parametrize("engine_name", ["sqlite"], indirect=True)

PASSWORD = "төрт сөз бір кілт"
INVITED = {"name": "Хлоя Ким", "email": "Chloe@example.org", "language": "ru", "role": "reviewer"}


@pytest.fixture
def dana(app: Flask, desk: Desk) -> Desk:
    """A second administrator."""
    return Desk(app, "Dana", "dana@example.org")


def invite(desk: Desk, **answers: str) -> str:
    page = desk.browser.get("/staff/team/").submit("invitation-form", **{**INVITED, **answers})
    assert re.fullmatch(r"/staff/team/\d+/", page.url), page.main
    return page.url


def give_app(desk: Desk) -> str:
    """An authenticator app for a desk that was signed in without one; returns what its codes are made of."""
    with desk.app.app_context(), writing():
        secret = factors.security().totp_factory.generate_totp_secret()
        db.session.get_one(StaffAccount, desk.id).tf_totp_secret = secret
        db.session.commit()
    return str(secret)


def code(desk: Desk, secret: str) -> str:
    with desk.app.app_context():
        totp = factors.security().totp_factory._totp.from_source(secret)
    return str(totp.generate(time=int(time.time())).token)


def test_the_page_says_that_one_administrator_is_alone_and_for_how_long(app: Flask, desk: Desk) -> None:
    page = desk.browser.get("/staff/team/")
    assert "There is one administrator" in page.main
    assert "Nobody changes their own role" in desk.browser.get(f"/staff/team/{desk.id}/").main
    Desk(app, "Dana", "dana@example.org")
    page = desk.browser.get("/staff/team/")
    assert "There is one administrator" not in page.main
    assert "Dana" in page.main and "dana@example.org" in page.main


def test_an_invited_reviewer_joins_by_the_link_in_the_mail(app: Flask, desk: Desk, dana: Desk) -> None:
    where = invite(desk)
    work(app)
    mail = mails(app)[-1]
    assert (mail["To"], mail["Content-Language"]) == ("chloe@example.org", "ru")
    browser = Browser(app)
    page = browser.get(link_in(mail, "invitation/"))
    assert "Хлоя Ким" in page.main
    assert page.submit("account-form", new_password=PASSWORD, again=PASSWORD).url == "/staff/sign-in"
    assert browser.get(link_in(mail, "invitation/")).status == 404
    assert "in the team" in desk.browser.get(where).main


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": ""},
        {"email": "no address"},
        {"role": "king"},
        {"language": "tlh"},
        {"role": "editor", "regions": "KZ-19"},
        {"regions": "KZ-00"},
        {"email": "bruno@example.org"},
    ],
)
def test_what_is_wrong_in_an_invitation_is_said_and_nothing_typed_is_lost(
    app: Flask, desk: Desk, wrong: dict[str, str]
) -> None:
    page = desk.browser.get("/staff/team/").submit("invitation-form", **{**INVITED, "reason": "Kept words.", **wrong})
    assert page.status == 422
    assert page.tree.query(".error-summary a")
    kept = page.fields("invitation-form")[1]
    assert kept["reason"] == "Kept words."
    assert kept["email"].casefold() == {**INVITED, **wrong}["email"].casefold()
    with app.app_context():
        assert len(db.session.scalars(select(StaffAccount)).all()) == 1


def test_a_role_is_proposed_on_the_page_and_approved_by_the_other(app: Flask, desk: Desk, dana: Desk) -> None:
    erlan = Desk(app, "Erlan", "erlan@example.org", role="reviewer")
    page = desk.browser.get(f"/staff/team/{erlan.id}/").submit("role-form", role="editor", reason="Keeps the lists.")
    assert re.fullmatch(r"/staff/proposals/\d+/", page.url), page.main
    assert "Erlan" in page.main and "Editor" in page.main
    assert "A change of role waits" in desk.browser.get(f"/staff/team/{erlan.id}/").main
    found = dana.browser.get(page.url)
    found.submit(at="/approv")
    assert "Editor" in desk.browser.get(f"/staff/team/{erlan.id}/").main
    # What the reviewer could do before is refused from the next request on, in words.
    refused = erlan.browser.get("/staff/letters/")
    assert refused.status == 403
    assert "Editor" in refused.main and "Dana" in refused.main


def test_a_stale_second_factor_is_asked_for_again_and_no_typed_word_is_lost(
    app: Flask, desk: Desk, clock: Clock
) -> None:
    secret = give_app(desk)
    page = desk.browser.get("/staff/team/")
    clock.shift(26 * 60)
    asked = page.submit("invitation-form", **INVITED)
    assert asked.status == 403
    assert asked.tree.query("#again-form")
    wrong = asked.submit("again-form", code="000000")
    assert wrong.status == 422
    given = wrong.submit("again-form", code=code(desk, secret))
    assert given.status == 200, given.main
    done = given.submit("resend-form")
    assert re.fullmatch(r"/staff/team/\d+/", done.url), done.main
    assert "Хлоя Ким" in done.main
    with app.app_context():
        actions = db.session.scalars(select(Audit.action).order_by(Audit.id)).all()
    assert actions[-2:] == ["staff-verify", "staff-invite"]
    # Fresh again: nothing is asked.
    assert desk.browser.get("/staff/team/").url == "/staff/team/"


def test_a_page_that_hurts_is_led_to_the_code_and_back_and_a_code_works_once(
    app: Flask, desk: Desk, clock: Clock
) -> None:
    secret = give_app(desk)
    clock.shift(16 * 60)
    assert desk.browser.get("/staff/").url == "/staff/", "reading goes on"
    asked = desk.browser.get("/staff/team/?after=0")
    assert asked.url.startswith("/staff/second-factor/again?next=")
    first = code(desk, secret)
    assert asked.submit("again-form", code=first).url == "/staff/team/?after=0"
    clock.shift(16 * 60)
    asked = desk.browser.get("/staff/team/")
    assert asked.submit("again-form", code=first).status == 422
    clock.shift(16 * 60)


def test_a_form_opened_while_it_was_fresh_may_be_sent_a_little_later(app: Flask, desk: Desk, clock: Clock) -> None:
    clock.shift(14 * 60)
    page = desk.browser.get("/staff/team/")
    clock.shift(9 * 60)
    # What comes after it is a page, and asks.
    assert page.submit("invitation-form", **INVITED).url.startswith("/staff/second-factor/again?next=/staff/team/")
    with app.app_context():
        assert db.session.scalars(select(Audit.action).order_by(Audit.id.desc())).first() == "staff-invite"


@pytest.mark.parametrize("token", ["", "stale"])
def test_what_another_site_sends_is_not_offered_to_be_sent_again(
    app: Flask, desk: Desk, clock: Clock, token: str
) -> None:
    clock.shift(26 * 60)
    page = desk.browser.post("/staff/team/", {**INVITED, "csrf_token": token})
    assert page.url.startswith("/staff/second-factor/again")
    assert not page.fields("again-form")[1]["kept"]


def test_what_was_typed_outlives_a_database_that_cannot_store_just_then(
    app: Flask, desk: Desk, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = give_app(desk)
    page = desk.browser.get("/staff/team/")
    clock.shift(26 * 60)
    asked = page.submit("invitation-form", **INVITED)

    def locked(*_some: object, **_more: object) -> None:
        raise OperationalError("UPDATE", {}, sqlite3.OperationalError("database is locked"))

    with monkeypatch.context() as patch:
        patch.setattr("charter.operations.staff.verify_session", locked)
        down = asked.submit("again-form", code=code(desk, secret))
    assert down.status == 503
    assert code(desk, secret) not in down.text
    given = down.submit().submit("again-form", code=code(desk, secret))
    assert "Хлоя Ким" in given.submit("resend-form").main


def test_a_kept_form_is_worth_nothing_in_another_session(app: Flask, desk: Desk, dana: Desk, clock: Clock) -> None:
    clock.shift(26 * 60)
    with desk.browser.client.session_transaction():
        pass
    token = desk.browser.get("/staff/account").tree.query("input[name=csrf_token]")[0].attrs["value"]
    kept = desk.browser.post("/staff/team/", {**INVITED, "csrf_token": token}).fields("again-form")[1]["kept"]
    secret = give_app(dana)
    other = dana.browser.get("/staff/second-factor/again")
    page = other.submit("again-form", kept=kept, code=code(dana, secret))
    assert page.url == "/staff/"


def test_a_reviewer_of_one_region_meets_nobody_elsewhere(app: Flask, desk: Desk, observer: Observer) -> None:
    observer.sign_and_confirm(region="KZ-75")
    office = [
        Observer(app, full_name=f"Кеңсе {name}", email="office@example.org") for name in ("Бір", "Екі", "Үш", "Төрт")
    ]
    for one in office:
        one.sign()
    near = Desk(app, "Near", "near@example.org", role=Role.REVIEWER, regions=["KZ-75"])
    far = Desk(app, "Far", "far@example.org", role=Role.REVIEWER, regions=["KZ-19"])
    with app.app_context():
        signature_id = db.session.scalars(select(Signature.id).order_by(Signature.id)).first()
    for path in ("/staff/", "/staff/held/?by=reason&key=people", f"/staff/review/{signature_id}/", "/staff/mail/"):
        for name in ("Әмина", "Кеңсе", "amina@example.org"):
            assert name not in far.browser.get(path).main, path
    assert "Әмина" in near.browser.get("/staff/").main
    assert "Кеңсе" in near.browser.get("/staff/held/?by=reason&key=people").main
    refused = far.browser.get(f"/staff/review/{signature_id}/letter/")
    assert refused.status == 403
    assert "another region" in refused.main


def test_a_reviewer_of_one_region_reads_of_no_proposal_elsewhere(
    app: Flask, desk: Desk, dana: Desk, clock: Clock
) -> None:
    signature_id = published(app, desk, clock)
    page = desk.browser.get(f"/staff/review/{signature_id}/revoke/")
    removal = page.submit("revoke-form", reason="duplicate", words="He wrote to us.").url
    page = desk.browser.get("/staff/exports/")
    export = page.submit("export-form", purpose="For the commission.", states=["published"]).url
    near = Desk(app, "Near", "near@example.org", role=Role.REVIEWER, regions=[get(app, signature_id).region_code])
    far = Desk(app, "Far", "far@example.org", role=Role.REVIEWER, regions=["KZ-19"])
    assert "Number 1" in near.browser.get("/staff/proposals/").main
    for path in ("/staff/proposals/", removal):
        assert "Number 1" not in far.browser.get(path).text, path
    assert "How many people" in dana.browser.get(export).main
    for words in ("How many people", "For the commission."):
        assert words not in far.browser.get(export).main
    dana.browser.get(removal).submit("reject-form", words="He is another Amina.")
    assert "another Amina" in near.browser.get(removal).main
    assert "another Amina" not in far.browser.get(removal).main


def test_a_region_that_is_ticked_twice_is_one(app: Flask, desk: Desk, dana: Desk) -> None:
    erlan = Desk(app, "Erlan", "erlan@example.org", role=Role.REVIEWER, regions=["KZ-19"])
    page = desk.browser.get(f"/staff/team/{erlan.id}/")
    again = page.submit("role-form", role="reviewer", regions=["KZ-19", "KZ-19"], reason="As it is.")
    assert again.status == 422
    assert "This is what it is already" in again.main
