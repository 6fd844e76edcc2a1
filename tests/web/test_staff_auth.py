"""The way in to the Centre: two factors, no shortcut, no second use, no stranger's session, and no end of guessing."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from flask import Flask
from passlib.totp import TOTP
from sqlalchemy import select, text
from werkzeug.test import TestResponse

from charter import create_app
from charter.models.base import db
from charter.models.decision import Audit
from charter.models.staff import StaffAccount
from charter.operations import staff as operations
from charter.web import gates
from charter.web.staff import factors
from charter.web.staff.auth import first_staff_path
from tests.pages import Browser, Page
from tests.people import Desk, mails, text_of, work

PASSWORD = "төрт сөз бір кілт"
OTHER_PASSWORD = "жеті рет өлшеп бір рет кес"
EMAIL = "bruno@example.org"
START = datetime(2026, 11, 23, 4, 0, tzinfo=UTC)


@pytest.fixture(autouse=True)
def quick_hash(monkeypatch: pytest.MonkeyPatch) -> None:
    """Passwords that hash fast: what they cost is asked in one test of its own."""
    monkeypatch.setattr(factors, "ARGON2", {"memory_cost": 64, "time_cost": 1, "parallelism": 1})


@pytest.fixture
def clock() -> Iterator[time_machine.Traveller]:
    """A Monday morning that stands still until it is moved."""
    with time_machine.travel(START, tick=False) as coordinates:
        yield coordinates


@pytest.fixture
def bruno(app: Flask, clock: time_machine.Traveller) -> Person:
    """The first member of staff, with everything set up, and signed out."""
    person = Person(app, clock)
    person.make_first_account()
    person.set_up()
    person.sign_out()
    return person


class Person:
    """Somebody with an authenticator app and a sheet of recovery codes."""

    def __init__(self, app: Flask, clock: time_machine.Traveller, email: str = EMAIL) -> None:
        self.app = app
        self.clock = clock
        self.email = email
        self.password = PASSWORD
        self.browser = Browser(app)
        self.key = ""
        self.recovery_codes: list[str] = []

    def make_first_account(self) -> Page:
        """Follows the link that the start prints."""
        path = first_staff_path(self.app)
        assert path is not None
        page = self.browser.get(path)
        return page.submit(
            "account-form", name="Бруно Сейітов", email=self.email, new_password=self.password, again=self.password
        )

    def type_password(self, **more: Any) -> Page:
        """First step."""
        page = self.browser.get("/staff/sign-in")
        return page.submit("sign-in-form", email=self.email, password=self.password, **more)

    def next_code(self) -> str:
        """What the app shows half a minute later: one that was not used yet."""
        self.clock.shift(30)
        return self.code()

    def code(self) -> str:
        """What the app shows now."""
        return str(TOTP(key=self.key).generate(time=self.clock_seconds()).token)

    def clock_seconds(self) -> int:
        """Now, in seconds."""
        return int(datetime.now(UTC).timestamp())

    def scan(self, page: Page) -> None:
        """Takes the key from the page into the app."""
        found = re.search(r"<code[^>]*>([A-Z2-7-]+)</code>", page.text)
        assert found, page.main
        self.key = found[1].replace("-", "")

    def set_up(self) -> Page:
        """The first sign-in: password, app, recovery codes."""
        page = self.type_password().submit("set-up-form")
        self.scan(page)
        page = self.send_code(page, self.code())
        page = page.submit("make-codes-form", generate_new_codes="1")
        self.recovery_codes = re.findall(r"<code[^>]*>([0-9a-f]{4}(?:-[0-9a-f]{4}){2})</code>", page.text)
        return page.submit("kept-form")

    def send_code(self, page: Page, code: str) -> Page:
        """Types a code of the app."""
        return page.submit("code-form", code=code)

    def sign_in(self) -> Page:
        """Both steps."""
        return self.send_code(self.type_password(), self.next_code())

    def sign_out(self) -> Page:
        """By the button."""
        return self.browser.get("/staff/account").submit(at="/sign-out")


def is_signed_in(browser: Browser) -> bool:
    """Whether the desk opens."""
    return browser.get("/staff/account").url == "/staff/account"


def raw(browser: Browser, path: str, **options: Any) -> TestResponse:
    """One answer, without following it."""
    return browser.client.get(path, **options)


def without_tokens(page: Page) -> str:
    """The page as two visitors would compare it."""
    return re.sub(r'value="[\w.-]{60,}"', "", page.text)


def cookie_of(browser: Browser) -> str:
    """The value of the session cookie."""
    cookie = browser.client.get_cookie("charter")
    assert cookie is not None
    return cookie.value


def audits(app: Flask) -> list[str]:
    """What was recorded, oldest first."""
    with app.app_context():
        return list(db.session.scalars(select(Audit.action).where(Audit.subject == "staff").order_by(Audit.id)))


# ── the way in ───────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_first_member_of_staff_comes_in_by_password_app_and_recovery_codes(
    app: Flask, clock: time_machine.Traveller
) -> None:
    person = Person(app, clock)
    page = person.make_first_account()
    assert page.url == "/staff/sign-in"
    page = person.set_up()
    assert page.url == "/staff/"
    assert len(set(person.recovery_codes)) == 10
    assert audits(app) == [
        "staff-first",
        "staff-sign-in",
        "staff-second-factor",
        "staff-recovery-codes",
        "staff-codes-kept",
    ]


def test_later_the_way_in_is_password_and_code(bruno: Person) -> None:
    page = bruno.type_password()
    assert page.url == "/staff/second-factor"
    assert 'autocomplete="one-time-code"' in page.text
    assert 'inputmode="numeric"' in page.text
    code = bruno.next_code()
    assert bruno.send_code(page, f" {code[:3]} {code[3:]}").url == "/staff/"


def test_a_password_alone_opens_nothing(bruno: Person) -> None:
    bruno.type_password()
    for path in ("/staff/", "/staff/mail/", "/staff/account", "/staff/account/password", "/staff/recovery-codes"):
        assert bruno.browser.get(path).url.startswith("/staff/sign-in")


def test_the_desk_stays_closed_until_the_recovery_codes_are_kept(app: Flask, clock: time_machine.Traveller) -> None:
    person = Person(app, clock)
    person.make_first_account()
    page = person.type_password().submit("set-up-form")
    person.scan(page)
    page = person.send_code(page, person.code())
    assert page.url == "/staff/recovery-codes"
    assert person.browser.get("/staff/").url == "/staff/recovery-codes"
    assert page.browser.post("/staff/recovery-codes/kept", page.fields("make-codes-form")[1]).url == (
        "/staff/recovery-codes"
    )
    page = person.browser.get("/staff/").submit("make-codes-form", generate_new_codes="1")
    assert person.browser.get("/staff/").url == "/staff/recovery-codes"
    assert page.submit("kept-form").url == "/staff/"


def test_the_key_to_scan_stays_the_same_while_the_page_is_loaded_again(
    app: Flask, clock: time_machine.Traveller
) -> None:
    person = Person(app, clock)
    person.make_first_account()
    page = person.type_password().submit("set-up-form")
    person.scan(page)
    key = person.key
    assert page.text.count("data:image/svg+xml;base64,") == 1
    person.scan(person.send_code(page, "000000"))
    assert person.key == key
    person.scan(page.submit(at="/staff/language", lang="ru"))
    assert person.key == key


def test_spaces_capitals_and_another_spelling_of_the_same_address_do_not_matter(bruno: Person) -> None:
    bruno.email = " BRUNO@Example.ORG "
    assert bruno.sign_in().url == "/staff/"


# ── what is refused ──────────────────────────────────────────────────────────────────────────────────────────────────


def test_an_unknown_address_and_a_wrong_password_look_the_same(bruno: Person) -> None:
    page = Browser(bruno.app).get("/staff/sign-in")
    wrong = page.submit("sign-in-form", email=EMAIL, password="not this one at all")
    page = Browser(bruno.app).get("/staff/sign-in")
    unknown = page.submit("sign-in-form", email="nobody@example.org", password="not this one at all")
    assert wrong.status == unknown.status == 422
    assert without_tokens(wrong).replace(EMAIL, "…") == without_tokens(unknown).replace("nobody@example.org", "…")


def test_an_unknown_address_costs_as_much_work_as_a_wrong_password(
    bruno: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    compared: list[str] = []
    is_right = factors.is_right
    monkeypatch.setattr(factors, "is_right", lambda typed, kept: compared.append(kept) or is_right(typed, kept))
    for email in (EMAIL, "nobody@example.org", "not an address"):
        Browser(bruno.app).get("/staff/sign-in").submit("sign-in-form", email=email, password="wrong one")
    assert len(compared) == 3
    assert all(kept.startswith("$argon2id$") for kept in compared)
    assert len({kept.rsplit("$", 2)[0] for kept in compared}) == 1  # the same parameters


def test_a_hash_with_weaker_parameters_is_renewed_at_the_next_sign_in(
    bruno: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    def kept() -> str:
        with bruno.app.app_context():
            return str(db.session.scalars(select(StaffAccount.password)).one())

    assert "m=64,t=1,p=1" in kept()
    monkeypatch.undo()
    assert factors.ARGON2 == {"memory_cost": 46 * 1024, "time_cost": 2, "parallelism": 1}
    stronger = create_app(bruno.app.config["CHARTER"])
    elsewhere = Person(stronger, bruno.clock)
    elsewhere.key = bruno.key
    assert elsewhere.sign_in().url == "/staff/"
    assert "m=47104,t=2,p=1" in kept()
    assert bruno.sign_in().url == "/staff/"


def test_no_code_is_taken_twice(bruno: Person) -> None:
    code = bruno.next_code()
    assert bruno.send_code(bruno.type_password(), code).url == "/staff/"
    bruno.sign_out()
    page = bruno.send_code(bruno.type_password(), code)
    assert page.status == 422
    assert not is_signed_in(bruno.browser)
    assert bruno.sign_in().url == "/staff/"


def test_of_two_browsers_with_the_same_code_one_comes_in(bruno: Person) -> None:
    browsers = [Browser(bruno.app), Browser(bruno.app)]
    forms = []
    for browser in browsers:
        page = browser.get("/staff/sign-in").submit("sign-in-form", email=EMAIL, password=PASSWORD)
        forms.append(page.fields("code-form")[1])
    code = bruno.next_code()
    together = threading.Barrier(2, timeout=60)
    statuses: list[int] = []

    def send(browser: Browser, form: dict[str, Any]) -> None:
        together.wait()
        statuses.append(browser.client.post("/staff/second-factor", data=form | {"code": code}).status_code)

    threads = [threading.Thread(target=send, args=pair) for pair in zip(browsers, forms, strict=True)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(statuses) == [303, 422]


def test_a_recovery_code_works_once(bruno: Person) -> None:
    code = bruno.recovery_codes[3]
    bruno.type_password()
    page = bruno.browser.get("/staff/recovery-code").submit("recovery-form", code=f" {code.replace('-', ' ').upper()} ")
    assert page.url == "/staff/"
    assert "9" in page.main
    bruno.sign_out()
    bruno.type_password()
    page = bruno.browser.get("/staff/recovery-code").submit("recovery-form", code=code)
    assert page.status == 422
    page = page.submit("recovery-form", code=bruno.recovery_codes[4])
    assert page.url == "/staff/"
    assert audits(bruno.app).count("staff-recovery-code") == 2


def test_the_second_step_needs_the_first_and_does_not_wait_for_ever(
    bruno: Person, clock: time_machine.Traveller
) -> None:
    for path in ("/staff/second-factor", "/staff/recovery-code", "/staff/second-factor/set-up"):
        assert Browser(bruno.app).get(path).url == "/staff/sign-in"
    page = bruno.type_password()
    clock.shift(timedelta(minutes=16))
    assert bruno.send_code(page, bruno.next_code()).url == "/staff/sign-in"
    assert not is_signed_in(bruno.browser)


def test_a_cookie_from_before_the_app_was_set_up_sets_up_no_other(app: Flask, clock: time_machine.Traveller) -> None:
    thief = Person(app, clock)
    thief.make_first_account()
    page = thief.type_password().submit("set-up-form")
    thief.scan(page)
    old_form = page.fields("code-form")[1]
    owner = Person(app, clock)
    owner.set_up()
    response = thief.browser.post("/staff/second-factor", old_form | {"code": thief.next_code()})
    assert response.url == "/staff/sign-in"
    assert not is_signed_in(thief.browser)
    owner.sign_out()
    assert owner.sign_in().url == "/staff/"


@pytest.mark.parametrize("sent", ["12345", "1234567", "abcdef", "１２３４５６", "٣٤٥٦٧٨", "1\u0000 23456", "' OR 1=1"])
def test_what_is_no_code_is_refused_calmly(bruno: Person, sent: str) -> None:
    assert bruno.send_code(bruno.type_password(), sent).status == 422


def test_forms_are_forms(bruno: Person) -> None:
    client = bruno.browser.client
    token = bruno.browser.get("/staff/sign-in").fields("sign-in-form")[1]["csrf_token"]
    response = client.post("/staff/sign-in", json={"email": EMAIL}, headers={"X-CSRFToken": token})
    assert response.status_code == 415


def test_without_a_token_nothing_is_done_and_the_address_stays(bruno: Person) -> None:
    page = bruno.browser.get("/staff/sign-in").submit("sign-in-form", email=EMAIL, password=PASSWORD, csrf_token="old")
    assert page.status == 422
    assert f'value="{EMAIL}"' in page.text
    assert PASSWORD not in page.text
    bruno.sign_in()
    page = bruno.browser.post("/staff/sign-out", {})
    assert (page.status, page.url) == (200, "/staff/account")
    assert is_signed_in(bruno.browser)


# ── guessing ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def guess(app: Flask, address: str, email: str = EMAIL, password: str = "a wrong password") -> Page:
    browser = Browser(app, environ_base={"REMOTE_ADDR": address})
    return browser.get("/staff/sign-in").submit("sign-in-form", email=email, password=password)


def test_guessing_passwords_ends_soon_and_leaves_the_owner_alone(bruno: Person, clock: time_machine.Traveller) -> None:
    statuses = [guess(bruno.app, "203.0.113.9").status for _ in range(10)]
    assert statuses == [422] * 8 + [429] * 2
    page = guess(bruno.app, "203.0.113.9", password=PASSWORD)
    assert page.status == 429
    assert 0 < int(page.response.headers["Retry-After"]) <= 15 * 60
    assert page.response.headers["Cache-Control"] == "no-store"
    # The owner, elsewhere, notices nothing; neither does a colleague in the same office.
    assert bruno.sign_in().url == "/staff/"
    assert guess(bruno.app, "203.0.113.9", email="dana@example.org").status == 422
    clock.shift(timedelta(minutes=15, seconds=1))
    assert guess(bruno.app, "203.0.113.9", password=PASSWORD).url == "/staff/second-factor"


def test_one_network_cannot_try_many_accounts(bruno: Person) -> None:
    pages = [guess(bruno.app, f"2001:db8::{number:x}", email=f"p{number}@example.org") for number in range(1, 43)]
    assert [page.status for page in pages] == [422] * 40 + [429] * 2
    assert guess(bruno.app, "2001:db8:0:1::1").status == 422


def test_guessing_codes_ends_although_it_comes_from_everywhere(bruno: Person, clock: time_machine.Traveller) -> None:
    clock.shift(timedelta(hours=1))
    statuses = []
    for number in range(32):
        browser = Browser(bruno.app, environ_base={"REMOTE_ADDR": f"198.51.100.{number}"})
        page = browser.get("/staff/sign-in").submit("sign-in-form", email=EMAIL, password=PASSWORD)
        statuses.append(page.submit("code-form", code="000000").status)
    assert statuses == [422] * 30 + [429] * 2
    browser = Browser(bruno.app, environ_base={"REMOTE_ADDR": "198.51.100.99"})
    browser.get("/staff/sign-in").submit("sign-in-form", email=EMAIL, password=PASSWORD)
    page = browser.get("/staff/recovery-code").submit("recovery-form", code=bruno.recovery_codes[0])
    assert page.status == 429


def test_a_thousand_wrong_passwords_from_elsewhere_do_not_keep_the_owner_out(
    bruno: Person, clock: time_machine.Traveller
) -> None:
    thousand = 100 if bruno.app.config["SQLALCHEMY_DATABASE_URI"].startswith("postgresql") else 1000
    statuses: list[int] = []
    browsers = [Browser(bruno.app) for _ in range(4)]
    forms = [browser.get("/staff/sign-in").fields("sign-in-form")[1] for browser in browsers]
    for number in range(thousand):
        # From two hundred networks, among them the owner's own.
        address = "127.0.0.1" if number % 50 == 0 else f"198.51.{number % 2}.{number % 100}"
        answer = browsers[number % 4].client.post(
            "/staff/sign-in",
            data=forms[number % 4] | {"email": EMAIL, "password": f"wrong {number}"},
            environ_base={"REMOTE_ADDR": address},
        )
        statuses.append(answer.status_code)
    # So many were looked at within the hour, one for the owner's own first time, and no more.
    assert (statuses.count(422), statuses.count(429)) == (59, thousand - 59)
    assert guess(bruno.app, "203.0.113.77", password=PASSWORD).status == 429, "a browser nobody knows waits"
    assert bruno.sign_in().url == "/staff/"
    # Nobody else's account is any slower.
    assert guess(bruno.app, "203.0.113.77", email="dana@example.org").status == 422
    clock.shift(timedelta(hours=1, seconds=1))
    assert guess(bruno.app, "203.0.113.77", password=PASSWORD).url == "/staff/second-factor"


def test_one_network_alone_does_not_slow_the_account_for_others(bruno: Person) -> None:
    assert [guess(bruno.app, "203.0.113.9").status for _ in range(70)].count(422) == 8
    assert guess(bruno.app, "203.0.113.10", password=PASSWORD).url == "/staff/second-factor"


def test_guessing_in_a_known_browser_ends_as_soon_and_codes_from_elsewhere_do_not_shut_it(
    bruno: Person, clock: time_machine.Traveller
) -> None:
    for number in range(40):
        browser = Browser(bruno.app, environ_base={"REMOTE_ADDR": f"198.51.100.{number}"})
        page = browser.get("/staff/sign-in").submit("sign-in-form", email=EMAIL, password=PASSWORD)
        page.submit("code-form", code="000000")
    assert page.browser.get("/staff/second-factor").submit("code-form", code="000000").status == 429
    assert bruno.sign_in().url == "/staff/"
    bruno.sign_out()
    clock.shift(timedelta(hours=1))
    bruno.password = "not the one"
    assert [bruno.type_password().status for _ in range(10)] == [422] * 8 + [429] * 2
    # The cookie of one account is a stranger's for every other.
    page = bruno.browser.get("/staff/sign-in").submit("sign-in-form", email="dana@example.org", password="x")
    assert page.status == 422


def test_a_new_browser_is_told_of_by_mail_once_and_a_change_of_the_secrets_too(
    bruno: Person, clock: time_machine.Traveller
) -> None:
    work(bruno.app)
    told = [(mail["To"], mail["Subject"]) for mail in mails(bruno.app)]
    assert {to for to, _ in told} == {EMAIL}
    assert len(told) == 3  # the browser, the app, the recovery codes
    bruno.sign_in()
    bruno.sign_out()
    work(bruno.app)
    assert len(mails(bruno.app)) == 3
    agent = "Mozilla/5.0 (Windows NT 10.0; rv:140.0) Gecko/20100101 Firefox/140.0 <b>"
    bruno.browser = Browser(bruno.app, environ_base={"REMOTE_ADDR": "203.0.113.5", "HTTP_USER_AGENT": agent})
    bruno.sign_in()
    work(bruno.app)
    words = text_of(mails(bruno.app)[-1])
    assert "Firefox, Windows" in words
    assert "203.0.113.5" not in words and "rv:140" not in words
    assert "/staff/account" in words
    page = bruno.browser.get("/staff/account/password")
    page.submit("password-form", password=PASSWORD, new_password=OTHER_PASSWORD, again=OTHER_PASSWORD)
    work(bruno.app)
    assert len(mails(bruno.app)) == 5
    cookie = bruno.browser.client.get_cookie("staff_device")
    assert cookie is not None and cookie.http_only and cookie.same_site == "Lax"


def test_counters_name_neither_networks_nor_people_and_are_forgotten(
    bruno: Person, clock: time_machine.Traveller
) -> None:
    guess(bruno.app, "203.0.113.9")
    with bruno.app.app_context():
        kept = str(db.session.execute(text("SELECT * FROM rate_limit")).all())
    assert "203" not in re.sub(r"[0-9a-f]{64}|\d{4}-\d\d-\d\d.*?[,)]|datetime.*?\)", "", kept)
    assert "bruno" not in kept
    clock.shift(timedelta(hours=2))
    guess(bruno.app, "203.0.113.10")
    with bruno.app.app_context():
        assert db.session.execute(text("SELECT count(*) FROM rate_limit")).scalar_one() == 3


# ── sessions ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_session_ends_when_it_stands_idle(bruno: Person, clock: time_machine.Traveller) -> None:
    bruno.sign_in()
    for _ in range(3):
        clock.shift(timedelta(minutes=29))
        assert is_signed_in(bruno.browser)
    clock.shift(timedelta(minutes=31))
    assert not is_signed_in(bruno.browser)


def test_somebody_signs_their_other_browsers_out(bruno: Person, app: Flask) -> None:
    bruno.sign_in()
    assert "/account/sessions" not in bruno.browser.get("/staff/account").text, "there is no other"
    here, bruno.browser = bruno.browser, Browser(app)
    bruno.sign_in()
    page = here.get("/staff/account")
    assert len(page.tree.query("[id^=session-]")) == 2
    assert len(page.tree.query("[id^=session-] .tag")) == 1, "this one"
    page = page.submit(at="/account/sessions")
    assert page.url == "/staff/account"
    assert len(page.tree.query("[id^=session-]")) == 1
    assert not is_signed_in(bruno.browser)
    assert is_signed_in(here)


def test_a_session_ends_after_twelve_hours_in_any_case(bruno: Person, clock: time_machine.Traveller) -> None:
    bruno.sign_in()
    for _ in range(28):
        clock.shift(timedelta(minutes=25))
        assert is_signed_in(bruno.browser)
    clock.shift(timedelta(minutes=25))
    assert not is_signed_in(bruno.browser)


def test_whoever_is_deactivated_is_out_with_the_next_request(bruno: Person) -> None:
    bruno.sign_in()
    Desk(bruno.app, "Дана", "dana@example.org")
    with bruno.app.app_context():
        now = datetime.now(UTC)
        operations.deactivate(db.session.scalars(select(StaffAccount.id).filter_by(email=EMAIL)).one(), now=now)
    assert not is_signed_in(bruno.browser)
    assert bruno.type_password().status == 422


def test_signing_out_is_a_post_and_ends_every_copy_of_the_cookie(bruno: Person) -> None:
    bruno.sign_in()
    copy = cookie_of(bruno.browser)
    assert raw(bruno.browser, "/staff/sign-out").status_code == 405
    assert is_signed_in(bruno.browser)
    page = bruno.sign_out()
    assert page.url == "/staff/sign-in"
    thief = Browser(bruno.app)
    thief.client.set_cookie("charter", copy)
    assert not is_signed_in(thief)


def test_a_session_begins_anew_at_sign_in(bruno: Person) -> None:
    with bruno.browser.client.session_transaction() as session:
        session["planted"] = "by somebody else"
    page = bruno.type_password()
    before = page.fields("code-form")[1]["csrf_token"]
    bruno.send_code(page, bruno.next_code())
    with bruno.browser.client.session_transaction() as session:
        first = session["staff_session"]
        assert set(session) <= {
            "_user_id",
            "_fresh",
            "_id",
            "fs_paa",
            "fs_cc",
            "staff_language",
            "staff_session",
            "csrf_token",
        }
    response = bruno.browser.client.post("/staff/sign-out", data={"csrf_token": before})
    assert is_signed_in(bruno.browser)
    assert response.status_code == 303
    bruno.sign_out()
    bruno.sign_in()
    with bruno.browser.client.session_transaction() as session:
        assert session["staff_session"] != first


def test_a_post_of_a_stranger_saves_nothing_and_says_so(bruno: Person) -> None:
    token = bruno.browser.get("/staff/sign-in").fields("sign-in-form")[1]["csrf_token"]
    page = bruno.browser.post("/staff/account/password", {"csrf_token": token, "password": PASSWORD})
    assert page.url.startswith("/staff/sign-in")
    assert 'class="notice bad"' in page.text


def test_public_pages_know_nothing_of_sessions(bruno: Person) -> None:
    bruno.sign_in()
    response = raw(bruno.browser, "/kk/about/")
    assert response.status_code == 200
    assert "Cookie" not in response.headers.get("Vary", "")
    assert "Set-Cookie" not in response.headers


# ── where one goes afterwards ────────────────────────────────────────────────────────────────────────────────────────


def test_after_signing_in_one_sees_the_page_one_asked_for(bruno: Person) -> None:
    page = bruno.browser.get("/staff/mail/?after=1")
    assert page.url == "/staff/sign-in?next=/staff/mail/?after%3D1"
    page = page.submit("sign-in-form", email=EMAIL, password=PASSWORD)
    assert bruno.send_code(page, bruno.next_code()).url == "/staff/mail/?after=1"


@pytest.mark.parametrize(
    "target",
    [
        "https://evil.example/",
        "//evil.example/staff/",
        "/\\evil.example",
        "/staff/\\..//evil.example",
        "/staff//evil.example",
        "\t//evil.example",
        "javascript:alert(1)",
        "staff.mail",
        "/staff/sign-out",
        "/staff/sign-in",
        "/staff/nothing-here",
        "/kk/",
        "/staff/mail/\r\nSet-Cookie: a=b",
    ],
)
def test_no_address_leads_elsewhere(bruno: Person, target: str) -> None:
    page = bruno.type_password(next=target)
    assert page.url == "/staff/second-factor"
    client = bruno.browser.client
    form = page.fields("code-form")[1]
    response = client.post(
        "/staff/second-factor", query_string={"next": target}, data=form | {"code": bruno.next_code(), "next": target}
    )
    assert (response.status_code, response.headers["Location"]) == (303, "/staff/")


@pytest.mark.parametrize("path", ["/staff/account/passkeys", "/staff/second-factor/set-up", "/staff/recovery-codes"])
def test_a_password_alone_adds_no_factor_to_a_session_that_was_left_open(
    bruno: Person, clock: time_machine.Traveller, path: str
) -> None:
    bruno.sign_in()
    clock.shift(16 * 60)
    asked = bruno.browser.get(path)
    assert asked.url == "/staff/second-factor/again?next=/staff/account"
    assert asked.submit("again-form", code=bruno.next_code()).url == "/staff/account"
    assert "/staff/second-factor/again" not in bruno.browser.get(path).url


def test_somebody_signed_in_is_not_asked_again(bruno: Person) -> None:
    bruno.sign_in()
    assert bruno.browser.get("/staff/sign-in?next=//evil.example").url == "/staff/"
    for path in ("/staff/second-factor", "/staff/recovery-code"):
        assert bruno.browser.get(path).url == "/staff/account"


# ── the first account and invitations ────────────────────────────────────────────────────────────────────────────────


def test_the_first_link_works_once(app: Flask, clock: time_machine.Traveller) -> None:
    path = first_staff_path(app)
    assert path is not None
    page, rival = Browser(app).get(path), Browser(app).get(path)
    assert Browser(app).get(path[:-1] + "x").status == 404
    assert Browser(app).get("/staff/first/ә").status == 404
    answers = {"name": "Бруно", "email": EMAIL, "new_password": PASSWORD, "again": PASSWORD}
    assert page.submit("account-form", **answers).url == "/staff/sign-in"
    assert rival.submit("account-form", **answers | {"email": "rival@example.org"}).status == 404
    assert Browser(app).get(path).status == 404
    assert first_staff_path(app) is None
    assert audits(app) == ["staff-first"]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", ""),
        ("name", "=cmd()"),
        ("email", "no address"),
        ("new_password", "short"),
        ("new_password", "password1234!"),
        ("new_password", "bruno@example.org"),
        ("again", "something else"),
    ],
)
def test_a_first_account_is_checked(app: Flask, field: str, value: str) -> None:
    path = first_staff_path(app)
    assert path is not None
    answers = {"name": "Бруно", "email": EMAIL, "new_password": PASSWORD, "again": PASSWORD, field: value}
    if field == "new_password":
        answers["again"] = value
    page = Browser(app).get(path).submit("account-form", **answers)
    assert page.status == 422
    assert page.tree.query(".error-summary a")
    assert first_staff_path(app) == path


def test_the_command_line_invites_lists_and_deactivates(bruno: Person, clock: time_machine.Traveller) -> None:
    runner = bruno.app.test_cli_runner()
    result = runner.invoke(args=["staff", "deactivate", EMAIL])
    assert result.exit_code != 0
    assert "last administrator" in result.output
    result = runner.invoke(args=["staff", "add", "Дана Ахметова", "Dana@Example.org", "--language", "ru"])
    assert result.exit_code == 0, result.output
    found = re.search(r"http://127\.0\.0\.1:8000(/staff/invitation/\S+)", result.output)
    assert found
    result = runner.invoke(args=["staff", "list"])
    assert re.search(r"Дана Ахметова +dana@example.org +administrator +invited +not set", result.output)
    refused = runner.invoke(args=["staff", "add", "Хлоя", "chloe@example.org"])
    assert refused.exit_code != 0
    assert "/staff/team/" in refused.output
    dana = Person(bruno.app, clock, "dana@example.org")
    page = dana.browser.get(found[1])
    assert "Дана Ахметова" in page.main
    assert page.submit("account-form", new_password=PASSWORD, again=PASSWORD).url == "/staff/sign-in"
    assert dana.browser.get(found[1]).status == 404
    assert dana.set_up().url == "/staff/"
    assert "exists" not in runner.invoke(args=["staff", "list"]).output
    assert runner.invoke(args=["staff", "add", "Дана", "dana@example.org"]).exit_code != 0
    assert runner.invoke(args=["staff", "deactivate", "1"]).exit_code == 0
    assert runner.invoke(args=["staff", "deactivate", "nobody@example.org"]).exit_code != 0
    assert not is_signed_in(bruno.browser)
    assert is_signed_in(dana.browser)
    # Whoever lost everything comes back by a new invitation, and sets up everything anew.
    result = runner.invoke(args=["staff", "add", "Бруно", EMAIL])
    found = re.search(r"(/staff/invitation/\S+)", result.output)
    assert found
    assert bruno.type_password().status == 422
    clock.shift(timedelta(hours=73))
    assert bruno.browser.get(found[1]).status == 404
    result = runner.invoke(args=["staff", "add", "Бруно", EMAIL])
    found = re.search(r"(/staff/invitation/\S+)", result.output)
    assert found
    bruno.browser.get(found[1]).submit("account-form", new_password=PASSWORD, again=PASSWORD)
    assert bruno.set_up().url == "/staff/"
    assert {"staff-invite", "staff-join", "staff-deactivate"} <= set(audits(bruno.app))


# ── one's own account ────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_new_password_signs_out_every_other_browser(bruno: Person) -> None:
    bruno.sign_in()
    elsewhere = Person(bruno.app, bruno.clock)
    elsewhere.key = bruno.key
    assert elsewhere.sign_in().url == "/staff/"
    page = bruno.browser.get("/staff/account/password")
    answers = {"new_password": OTHER_PASSWORD, "again": OTHER_PASSWORD}
    assert page.submit("password-form", **answers, password="not the present one").status == 422
    assert page.submit("password-form", **answers, password=PASSWORD).url == "/staff/account"
    assert is_signed_in(bruno.browser)
    assert not is_signed_in(elsewhere.browser)
    bruno.sign_out()
    assert bruno.type_password().status == 422
    bruno.password = OTHER_PASSWORD
    assert bruno.sign_in().url == "/staff/"


def test_changing_the_app_asks_for_the_password_after_a_while(bruno: Person, clock: time_machine.Traveller) -> None:
    bruno.sign_in()
    clock.shift(timedelta(minutes=20))
    assert bruno.browser.get("/staff/second-factor/set-up").submit("again-form", code=bruno.next_code()).status == 200
    page = bruno.browser.get("/staff/second-factor/set-up")
    assert page.url == "/staff/password-check"
    assert page.submit("password-form", password="wrong").status == 422
    page = page.submit("password-form", password=PASSWORD)
    assert page.url == "/staff/second-factor/set-up"
    old_key = bruno.key
    page = page.submit("set-up-form")
    bruno.scan(page)
    assert bruno.key != old_key
    assert bruno.send_code(page, "000000").status == 422
    assert bruno.send_code(page, bruno.next_code()).url == "/staff/account"
    bruno.sign_out()
    new_key, bruno.key = bruno.key, old_key
    assert bruno.send_code(bruno.type_password(), bruno.next_code()).status == 422
    bruno.key = new_key
    assert bruno.sign_in().url == "/staff/"


def test_new_recovery_codes_replace_the_old_ones(bruno: Person, clock: time_machine.Traveller) -> None:
    bruno.sign_in()
    clock.shift(timedelta(minutes=20))
    assert bruno.browser.get("/staff/recovery-codes").submit("again-form", code=bruno.next_code()).status == 200
    assert bruno.browser.get("/staff/recovery-codes").url == "/staff/password-check"
    page = bruno.browser.get("/staff/password-check").submit("password-form", password=PASSWORD)
    assert page.url == "/staff/recovery-codes"
    assert not re.search(r"[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}", page.main)
    page = page.submit("make-codes-form", generate_new_codes="1")
    page.submit("kept-form")
    bruno.sign_out()
    bruno.type_password()
    page = bruno.browser.get("/staff/recovery-code").submit("recovery-form", code=bruno.recovery_codes[0])
    assert page.status == 422


def test_the_language_that_was_chosen_stays(bruno: Person) -> None:
    page = bruno.browser.get("/staff/sign-in").submit(at="/staff/language", lang="ru")
    assert page.tree.query("html")[0].attrs["lang"] == "ru"
    assert bruno.sign_in().tree.query("html")[0].attrs["lang"] == "ru"
    assert bruno.sign_out().tree.query("html")[0].attrs["lang"] == "ru"


# ── what a thief of the database gets, and what a forgetful colleague cannot do ─────────────────────────────────────


def test_a_stolen_database_opens_no_account(bruno: Person) -> None:
    with bruno.app.app_context():
        kept = str(db.session.execute(text("SELECT * FROM staff")).all())
        kept += str(db.session.execute(text("SELECT * FROM staff_session")).all())
        row = db.session.scalars(select(StaffAccount)).one()
        assert (row.password or "").startswith("$argon2id$")
        assert '"enckey"' in (row.tf_totp_secret or "")
    assert bruno.key not in kept
    assert not [code for code in bruno.recovery_codes if code in kept or code.replace("-", "") in kept]
    bruno.sign_in()
    with bruno.browser.client.session_transaction() as session:
        token = session["staff_session"]
    with bruno.app.app_context():
        assert token not in str(db.session.execute(text("SELECT * FROM staff_session")).all())


def test_every_view_of_the_centre_names_its_gate_and_one_without_is_refused(app: Flask) -> None:
    assert gates.ungated(app) == []
    app.add_url_rule("/staff/forgotten", "forgotten", lambda: "secret")
    assert gates.ungated(app) == ["forgotten"]
    assert app.test_client().get("/staff/forgotten").status_code == 403


def test_nothing_under_staff_is_kept_by_caches_or_found_by_search_engines(bruno: Person) -> None:
    bruno.sign_in()
    for path in ("/staff/", "/staff", "/staff/account", "/staff/nothing", "/staff/sign-out", "/staff/sign-in"):
        response = raw(bruno.browser, path)
        assert response.headers["Cache-Control"] == "no-store", path
        assert response.headers["X-Robots-Tag"] == "noindex", path


def test_no_token_in_an_address_signs_in(bruno: Person) -> None:
    with bruno.app.app_context():
        uniquifier = db.session.scalars(select(StaffAccount.fs_uniquifier)).one()
    for options in ({"query_string": {"auth_token": uniquifier}}, {"headers": {"Authentication-Token": uniquifier}}):
        response = Browser(bruno.app).client.get("/staff/account", **options)
        assert response.status_code == 303
