"""Passkeys at the Centre: added after the password, good for both factors, for one try, one site and one person."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from flask import Flask
from sqlalchemy import select, text, update

from charter.models.base import db, writing
from charter.models.decision import Audit
from charter.models.passkey import StaffPasskey
from charter.models.staff import StaffAccount
from charter.operations import passkeys as keys
from charter.operations import staff as operations
from charter.queries import passkeys as queries
from charter.web.staff import challenges, factors
from charter.web.staff.challenges import Purpose
from tests.authenticator import Authenticator, decoded, encoded
from tests.conftest import MakeApp
from tests.pages import Browser, Page
from tests.people import Desk
from tests.web.test_staff_auth import PASSWORD, START, Person, audits, is_signed_in

#: What is decided before the database is asked.
ONE_ENGINE = pytest.mark.parametrize("engine_name", ["sqlite"], indirect=True)

SITE = "http://localhost:8000"
LIST = "/staff/account/passkeys"
SIGN_IN = "/staff/sign-in/passkey"
INSTEAD = "/staff/second-factor/passkey"


@pytest.fixture(autouse=True)
def quick_hash(monkeypatch: pytest.MonkeyPatch) -> None:
    """Passwords that hash fast."""
    monkeypatch.setattr(factors, "ARGON2", {"memory_cost": 64, "time_cost": 1, "parallelism": 1})


@pytest.fixture
def clock() -> Iterator[time_machine.Traveller]:
    """A Monday morning that stands still until it is moved."""
    with time_machine.travel(START, tick=False) as coordinates:
        yield coordinates


@pytest.fixture
def site(make_app: MakeApp) -> Flask:
    """An instance that has a host name."""
    return make_app(public_url=SITE)


def english(app: Flask, **options: Any) -> Browser:
    """A browser that asks for English."""
    return Browser(app, headers={"Accept-Language": "en"}, **options)


@pytest.fixture
def bruno(site: Flask, clock: time_machine.Traveller) -> Person:
    """Signed in a moment ago, with everything set up."""
    person = Person(site, clock)
    person.browser = english(site)
    person.make_first_account()
    person.set_up()
    return person


def dana(bruno: Person) -> Person:
    """A colleague, signed in at a browser of her own."""
    with bruno.app.app_context():
        now = datetime.now(UTC)
        digest = b"d" * 32
        operations.invite(
            "Дана", email="dana@example.org", language="kk", digest=digest, expires_at=now + timedelta(1), now=now
        )
        operations.accept_invitation(digest, password_hash=factors.hashed(PASSWORD), language="kk", now=now)
    person = Person(bruno.app, bruno.clock, "dana@example.org")
    person.set_up()
    return person


def question(browser: Browser, page: Page, path: str, **more: Any) -> dict[str, Any]:
    """What the server asks, as the script fetches it."""
    _, fields = page.fields("passkey-form")
    response = browser.client.post(path + "/challenge", data=fields | more)
    assert response.status_code == 200, response.text
    assert response.headers["Cache-Control"] == "no-store"
    asked: dict[str, Any] = response.get_json()
    return asked


def add(person: Person, device: Authenticator, name: str = "Office computer") -> Page:
    """Makes a passkey on this device."""
    page = person.browser.get(LIST)
    assert page.url == LIST
    asked = question(person.browser, page, LIST, name=name)
    return page.submit("passkey-form", name=name, credential=device.make(asked))


def come_in(browser: Browser, device: Authenticator, **more: Any) -> Page:
    """Signs in with nothing but this device."""
    page = browser.get("/staff/sign-in")
    return page.submit("passkey-form", credential=device.answer(question(browser, page, SIGN_IN)), **more)


def is_refused(page: Page) -> bool:
    """Back at the step one came from, with a word about it, and not signed in."""
    at_a_step = page.url.partition("?")[0] in {"/staff/sign-in", "/staff/second-factor"}
    return at_a_step and 'class="notice bad"' in page.text and not is_signed_in(page.browser)


@pytest.fixture
def laptop(bruno: Person) -> Authenticator:
    """Bruno's passkey; Bruno himself has signed out."""
    device = Authenticator()
    assert add(bruno, device).url == LIST
    bruno.sign_out()
    return device


# ── one's own ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_passkey_is_added_named_listed_used_and_removed(bruno: Person, clock: time_machine.Traveller) -> None:
    assert "0 passkeys" in bruno.browser.get("/staff/account").main
    page = add(bruno, Authenticator(), "  Жұмыс   ноутбугы ")
    assert 'class="notice good"' in page.text
    assert "Жұмыс ноутбугы" in page.main
    assert "23 November 2026" in page.main.replace("\u00a0", " ")
    assert "Not used yet" in page.main
    phone = Authenticator()
    add(bruno, phone, "Phone")
    assert "2 passkeys" in bruno.browser.get("/staff/account").main
    bruno.sign_out()
    clock.shift(timedelta(days=1))
    assert come_in(bruno.browser, phone).url == "/staff/"
    page = bruno.browser.get(LIST)
    assert page.url == "/staff/password-check", "a passkey alone changes nothing about the ways in"
    page = page.submit("password-form", password=PASSWORD)
    assert page.url == LIST
    assert "Last used on 24" in page.main.replace("\u00a0", " ")
    page = page.submit(at="/removal")
    assert "Жұмыс ноутбугы" not in page.main
    assert "Phone" in page.main
    assert [one for one in audits(bruno.app) if "passkey" in one] == [
        "staff-passkey-add",
        "staff-passkey-add",
        "staff-passkey-remove",
    ]
    bruno.sign_out()
    assert come_in(bruno.browser, phone).url == "/staff/"


@ONE_ENGINE
def test_the_audit_says_which_passkey_and_names_none(bruno: Person, laptop: Authenticator) -> None:
    come_in(bruno.browser, laptop)
    with bruno.app.app_context():
        key = db.session.scalars(select(StaffPasskey.id)).one()
        lines = db.session.execute(select(Audit.action, Audit.detail).order_by(Audit.id)).all()
    assert ("staff-passkey-add", {"passkey": key}) in [tuple(line) for line in lines]
    assert tuple(lines[-1]) == ("staff-sign-in", {"passkey": key})
    assert "Office computer" not in str(lines)


@ONE_ENGINE
def test_adding_and_removing_ask_for_the_password_after_a_while(bruno: Person, clock: time_machine.Traveller) -> None:
    device = Authenticator()
    page = bruno.browser.get(LIST)
    add(bruno, Authenticator())
    listed = bruno.browser.get(LIST)
    clock.shift(timedelta(minutes=16))
    _, fields = page.fields("passkey-form")
    assert bruno.browser.client.post(LIST + "/challenge", data=fields | {"name": "x"}).status_code == 403
    assert page.submit("passkey-form", name="x", credential=device.make(FOREIGN)).status == 422
    assert listed.submit(at="/removal").url == "/staff/password-check"
    assert "staff-passkey-remove" not in audits(bruno.app)
    assert bruno.browser.get(LIST).submit("again-form", code=bruno.next_code()).url == "/staff/account"
    page = bruno.browser.get(LIST)
    assert page.url == "/staff/password-check"
    assert page.submit("password-form", password="wrong").status == 422
    assert "Office computer" in page.submit("password-form", password=PASSWORD).main


#: A question that no server of ours put.
FOREIGN: dict[str, Any] = {
    "challenge": encoded(b"c" * 32),
    "rpId": "localhost",
    "rp": {"id": "localhost"},
    "user": {"id": encoded(b"u" * 32)},
}


@ONE_ENGINE
def test_the_device_is_asked_to_verify_its_owner_and_to_keep_the_key(bruno: Person) -> None:
    first = Authenticator()
    add(bruno, first)
    asked = question(bruno.browser, bruno.browser.get(LIST), LIST, name="x")
    chosen = asked["authenticatorSelection"]
    assert (chosen["residentKey"], chosen["userVerification"]) == ("required", "required")
    assert asked["attestation"] == "none"
    assert asked["rp"]["id"] == "localhost"
    assert [one["id"] for one in asked["excludeCredentials"]] == [encoded(first.credential_id)]
    assert decoded(asked["user"]["id"]) == first.user_handle, "one handle for an account"
    assert len(decoded(asked["user"]["id"])) == 32
    assert b"bruno" not in decoded(asked["user"]["id"])
    again = question(bruno.browser, bruno.browser.get(LIST), LIST, name="x")
    assert again["challenge"] != asked["challenge"]
    assert len(decoded(again["challenge"])) == 32


@ONE_ENGINE
def test_a_name_is_checked_before_the_device_is_asked(bruno: Person) -> None:
    page = bruno.browser.get(LIST)
    _, fields = page.fields("passkey-form")
    for name in ("", "   ", "x" * 61, "a\u202eb", "=cmd()"):
        response = bruno.browser.client.post(LIST + "/challenge", data=fields | {"name": name})
        assert response.status_code == 422, name
        refused = page.submit("passkey-form", name=name)
        assert refused.status == 422
        assert refused.tree.query(".error-summary a"), name
    assert "You have none yet" in bruno.browser.get(LIST).main


def test_the_same_passkey_is_not_kept_twice_nor_by_two_people(bruno: Person) -> None:
    device = Authenticator()
    add(bruno, device)
    page = add(bruno, device, "Again")
    assert page.status == 422
    assert "was added before" in page.main
    other = dana(bruno)
    thief = Authenticator(credential_id=device.credential_id)
    page = add(other, thief, "Mine now")
    assert page.status == 422
    assert audits(bruno.app).count("staff-passkey-add") == 1
    bruno.sign_out()
    assert come_in(bruno.browser, device).url == "/staff/"


@ONE_ENGINE
def test_ten_passkeys_are_enough(bruno: Person) -> None:
    pages = [add(bruno, Authenticator(), f"Nr {number}") for number in range(11)]
    assert [page.status for page in pages] == [200] * 10 + [422]
    assert audits(bruno.app).count("staff-passkey-add") == 10


def test_nobody_removes_a_colleagues_passkey(bruno: Person) -> None:
    add(bruno, Authenticator())
    other = dana(bruno)
    add(other, Authenticator(), "Dana's")
    with bruno.app.app_context():
        key = db.session.scalars(select(StaffPasskey.id).order_by(StaffPasskey.id)).first()
    _, fields = other.browser.get(LIST).fields(at="/removal")
    assert other.browser.client.post(f"{LIST}/{key}/removal", data=fields).status_code == 404
    assert other.browser.client.post(f"{LIST}/999/removal", data=fields).status_code == 404
    assert "Office computer" in bruno.browser.get(LIST).main


# ── the way in ───────────────────────────────────────────────────────────────────────────────────────────────────────


@ONE_ENGINE
def test_a_passkey_alone_opens_the_desk_and_a_session_of_its_own(bruno: Person, laptop: Authenticator) -> None:
    stranger = Browser(bruno.app)
    with stranger.client.session_transaction() as session:
        session["planted"] = "by somebody else"
        session["fs_paa"] = START.timestamp()
    assert come_in(stranger, laptop).url == "/staff/"
    with stranger.client.session_transaction() as session:
        assert set(session) <= {"_user_id", "staff_language", "staff_session", "csrf_token"}
    assert stranger.get("/staff/second-factor/set-up").url == "/staff/password-check"
    assert stranger.get("/staff/account").submit(at="/sign-out").url == "/staff/sign-in"
    assert not is_signed_in(stranger)


@ONE_ENGINE
def test_after_signing_in_one_sees_the_page_one_asked_for(bruno: Person, laptop: Authenticator) -> None:
    page = bruno.browser.get("/staff/mail/?after=1")
    asked = question(bruno.browser, page, SIGN_IN)
    assert page.submit("passkey-form", credential=laptop.answer(asked)).url == "/staff/mail/?after=1"
    bruno.sign_out()
    assert come_in(bruno.browser, laptop, next="https://evil.example/").url == "/staff/"


@ONE_ENGINE
def test_the_question_at_the_door_is_the_same_for_everybody(bruno: Person, laptop: Authenticator) -> None:
    asked = question(bruno.browser, bruno.browser.get("/staff/sign-in"), SIGN_IN)
    assert asked["allowCredentials"] == []
    assert asked["userVerification"] == "required"
    assert set(asked) == {"challenge", "timeout", "rpId", "allowCredentials", "userVerification"}


def test_in_place_of_the_code_a_passkey_of_the_same_account_will_do(bruno: Person, laptop: Authenticator) -> None:
    page = bruno.type_password()
    assert page.url == "/staff/second-factor"
    asked = question(bruno.browser, page, INSTEAD)
    assert [one["id"] for one in asked["allowCredentials"]] == [encoded(laptop.credential_id)]
    laptop.with_handle = False
    assert page.submit("passkey-form", credential=laptop.answer(asked)).url == "/staff/"
    # The password was given just now.
    assert bruno.browser.get(LIST).url == LIST


@ONE_ENGINE
def test_in_place_of_the_code_a_colleagues_passkey_will_not_do(bruno: Person, laptop: Authenticator) -> None:
    other = dana(bruno)
    theirs = Authenticator()
    add(other, theirs, "Dana's")
    page = bruno.type_password()
    assert is_refused(page.submit("passkey-form", credential=theirs.answer(question(bruno.browser, page, INSTEAD))))
    assert not is_signed_in(bruno.browser)


@ONE_ENGINE
def test_a_question_of_one_step_is_not_answered_at_another(bruno: Person, laptop: Authenticator) -> None:
    page = bruno.browser.get("/staff/sign-in")
    asked = question(bruno.browser, page, SIGN_IN)
    step = bruno.type_password()
    assert is_refused(step.submit("passkey-form", credential=laptop.answer(asked)))
    page = Browser(bruno.app).get("/staff/sign-in")
    other = page.submit("sign-in-form", email=bruno.email, password=bruno.password)
    asked = question(other.browser, other, INSTEAD)
    assert is_refused(page.submit("passkey-form", credential=laptop.answer(asked)))
    assert not is_signed_in(bruno.browser)


@ONE_ENGINE
def test_a_question_is_for_one_purpose_and_one_person(site: Flask, clock: time_machine.Traveller) -> None:
    with site.test_request_context("/staff/sign-in"):
        given = challenges.give(Purpose.SIGN_IN)
        assert challenges.take(Purpose.ADD) is None
        assert challenges.take(Purpose.SIGN_IN) is None, "a wrong try uses it up"
        challenges.give(Purpose.ADD, who="1")
        assert challenges.take(Purpose.ADD, who="2") is None
        given = challenges.give(Purpose.ADD, who="1", user_handle=b"h")
        assert challenges.take(Purpose.ADD, who="1") == given
        challenges.give(Purpose.SIGN_IN)
        clock.shift(-1)
        assert challenges.take(Purpose.SIGN_IN) is None, "one from the future is none of ours"


@ONE_ENGINE
def test_without_a_passkey_the_second_step_offers_none_and_needs_the_first(bruno: Person) -> None:
    bruno.sign_out()
    assert "passkey-form" not in bruno.type_password().text
    stranger = Browser(bruno.app)
    fields = {"csrf_token": stranger.get("/staff/sign-in").fields("sign-in-form")[1]["csrf_token"]}
    for path in (INSTEAD, INSTEAD + "/challenge"):
        assert stranger.post(path, fields).url == "/staff/sign-in"


# ── what is refused, and says no more than that ──────────────────────────────────────────────────────────────────────

Change = Callable[[Authenticator], None]


def set_to(**values: Any) -> Change:
    def change(device: Authenticator) -> None:
        for name, value in values.items():
            setattr(device, name, value)

    return change


def another_key(device: Authenticator) -> None:
    device.key = Authenticator().key


WRONG: dict[str, Change] = {
    "another origin": set_to(origin="https://evil.example"),
    "an origin with another port": set_to(origin="http://localhost:8001"),
    "an origin with more behind it": set_to(origin="http://localhost:8000.evil.example"),
    "https where there is none": set_to(origin="https://localhost:8000"),
    "another site": set_to(rp_id="evil.example"),
    "a page in a frame": set_to(client_data={"crossOrigin": True}),
    "no owner verified": set_to(flags=0x01),
    "nobody there": set_to(flags=0x04),
    "another sort of answer": set_to(type_of={"get": "webauthn.create"}),
    "another question": set_to(client_data={"challenge": encoded(b"c" * 32)}),
    "another key": another_key,
    "an unknown passkey": set_to(credential_id=b"i" * 32),
    "another's handle": set_to(user_handle=b"u" * 32),
    "no handle": set_to(with_handle=False),
    "a counter that runs back": set_to(sign_count=-1),
}


def words(page: Page) -> str:
    """The page as two visitors would compare it."""
    return re.sub(r'value="[\w.-]{60,}"', "", page.text)


@ONE_ENGINE
def test_every_wrong_answer_looks_the_same_and_opens_nothing(bruno: Person, laptop: Authenticator) -> None:
    assert come_in(bruno.browser, laptop).url == "/staff/"
    bruno.sign_out()
    seen = set()
    for name, change in WRONG.items():
        device = replace(laptop)
        device.key = laptop.key
        change(device)
        browser = english(bruno.app)
        page = come_in(browser, device)
        assert is_refused(page), name
        assert not is_signed_in(browser), name
        seen.add(words(page))
    assert len(seen) == 1
    laptop.sign_count += 1
    assert come_in(bruno.browser, laptop).url == "/staff/", "the right one still works"


def test_a_counter_that_stands_still_is_recorded(bruno: Person, laptop: Authenticator) -> None:
    come_in(bruno.browser, laptop)
    bruno.sign_out()
    copied = replace(laptop, sign_count=laptop.sign_count - 1)
    copied.key = laptop.key
    assert is_refused(come_in(bruno.browser, copied))
    assert audits(bruno.app)[-1] == "staff-passkey-counter"
    assert come_in(bruno.browser, laptop).url == "/staff/"


@ONE_ENGINE
def test_a_device_that_does_not_count_comes_in_every_time(bruno: Person) -> None:
    device = Authenticator(steps=0)
    add(bruno, device)
    for _ in range(3):
        bruno.sign_out()
        assert come_in(bruno.browser, device).url == "/staff/"


@ONE_ENGINE
@pytest.mark.parametrize("late", [False, True])
def test_a_question_is_good_for_some_minutes(
    bruno: Person, laptop: Authenticator, clock: time_machine.Traveller, late: bool
) -> None:
    page = bruno.browser.get("/staff/sign-in")
    asked = question(bruno.browser, page, SIGN_IN)
    clock.shift(timedelta(seconds=challenges.CHALLENGE_SECONDS + late))
    assert is_refused(page.submit("passkey-form", credential=laptop.answer(asked))) is late


def test_an_answer_is_taken_once_even_with_the_cookie_it_came_with(
    bruno: Person, laptop: Authenticator, clock: time_machine.Traveller
) -> None:
    laptop.steps = 0  # a copy of the answer must not be stopped by the counter alone
    with bruno.app.app_context(), writing():
        db.session.execute(update(StaffPasskey).values(sign_count=0))
        db.session.commit()
    laptop.sign_count = 0
    page = bruno.browser.get("/staff/sign-in")
    answer = laptop.answer(question(bruno.browser, page, SIGN_IN))
    cookie = bruno.browser.client.get_cookie("charter")
    assert cookie is not None
    _, fields = page.fields("passkey-form")
    assert page.submit("passkey-form", credential=answer).url == "/staff/"
    for seconds in (0, challenges.CHALLENGE_SECONDS, 600):
        clock.shift(seconds)
        thief = Browser(bruno.app)
        thief.client.set_cookie("charter", cookie.value)
        thief.client.post(SIGN_IN, data=fields | {"credential": answer})
        assert not is_signed_in(thief)


def test_of_two_that_send_the_same_answer_at_once_one_comes_in(bruno: Person, laptop: Authenticator) -> None:
    page = bruno.browser.get("/staff/sign-in")
    answer = laptop.answer(question(bruno.browser, page, SIGN_IN))
    cookie = bruno.browser.client.get_cookie("charter")
    assert cookie is not None
    _, fields = page.fields("passkey-form")
    together = threading.Barrier(2, timeout=60)
    targets: list[str] = []

    def send() -> None:
        browser = Browser(bruno.app)
        browser.client.set_cookie("charter", cookie.value)
        together.wait()
        response = browser.client.post(SIGN_IN, data=fields | {"credential": answer})
        targets.append(response.headers["Location"])

    threads = [threading.Thread(target=send) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(targets) == ["/staff/", "/staff/sign-in"]


#: More of these in tests/domain/test_passkey.py, without a server around them.
MALFORMED = [
    "",
    "null",
    "[" * 9000,
    '{"rawId": "AAAA", "response": {"clientDataJSON": "e30"}}',
    '{"rawId": "AAAA", "response": {"clientDataJSON": "e30", "userHandle": {"a": 1}}}',
    "\x00\ud800",
    "A" * 100_000,
]


@ONE_ENGINE
def test_what_no_browser_sends_is_refused_calmly(bruno: Person, laptop: Authenticator) -> None:
    page = bruno.browser.get("/staff/sign-in")
    for sent in MALFORMED:
        question(bruno.browser, page, SIGN_IN)
        assert is_refused(page.submit("passkey-form", credential=sent.encode("utf-8", "surrogatepass"))), sent[:80]
    fields = page.fields("passkey-form")[1]
    assert bruno.browser.client.post(SIGN_IN, data=fields | {"credential": "A" * 300_000}).status_code == 413


@ONE_ENGINE
def test_what_no_device_makes_is_not_kept(bruno: Person) -> None:
    page = bruno.browser.get(LIST)
    for sent in MALFORMED:
        question(bruno.browser, page, LIST, name="x")
        sent_bytes = sent.encode("utf-8", "surrogatepass")
        assert page.submit("passkey-form", name="x", credential=sent_bytes).status == 422, sent[:80]
    for name in ("another origin", "another site", "no owner verified", "another question"):
        device = Authenticator()
        WRONG[name](device)
        assert add(bruno, device).status == 422, name
    assert "staff-passkey-add" not in audits(bruno.app)


@ONE_ENGINE
def test_trying_passkeys_ends_soon_and_leaves_other_networks_alone(bruno: Person, laptop: Authenticator) -> None:
    browser = Browser(bruno.app, environ_base={"REMOTE_ADDR": "203.0.113.9"})
    page = browser.get("/staff/sign-in")
    statuses = [page.submit("passkey-form", credential="{}").status for _ in range(42)]
    assert statuses == [200] * 40 + [429] * 2
    assert come_in(bruno.browser, laptop).url == "/staff/"


@ONE_ENGINE
def test_in_place_of_a_code_it_counts_as_a_code(
    bruno: Person, laptop: Authenticator, clock: time_machine.Traveller
) -> None:
    clock.shift(timedelta(hours=1))
    page = bruno.type_password()
    statuses = [page.submit("passkey-form", credential="{}").status for _ in range(9)]
    assert statuses == [200] * 8 + [429]
    page = bruno.type_password()
    assert bruno.send_code(page, bruno.next_code()).status == 429


@ONE_ENGINE
def test_without_a_token_nothing_is_done_and_the_right_page_says_so(bruno: Person, laptop: Authenticator) -> None:
    page = bruno.browser.get("/staff/sign-in")
    answer = laptop.answer(question(bruno.browser, page, SIGN_IN))
    refused = page.submit("passkey-form", credential=answer, csrf_token="old")
    assert refused.url == "/staff/sign-in"
    assert 'class="notice bad"' in refused.text
    assert not is_signed_in(bruno.browser)


# ── accounts that are closed ─────────────────────────────────────────────────────────────────────────────────────────


def test_a_passkey_of_a_closed_account_opens_nothing_even_when_the_account_comes_back(
    bruno: Person, laptop: Authenticator
) -> None:
    page = bruno.browser.get("/staff/sign-in")
    early = laptop.answer(question(bruno.browser, page, SIGN_IN))
    Desk(bruno.app, "Дана", "dana@example.org")
    with bruno.app.app_context():
        now = datetime.now(UTC)
        staff_id = db.session.scalars(select(StaffAccount.id).filter_by(email=bruno.email)).one()
        operations.deactivate(staff_id, now=now)
    assert is_refused(page.submit("passkey-form", credential=early))
    assert is_refused(come_in(bruno.browser, laptop))
    with bruno.app.app_context():
        assert db.session.scalars(select(StaffPasskey)).all() == []
        digest = b"b" * 32
        expires_at = now + timedelta(1)
        operations.invite("Б", email=bruno.email, language="kk", digest=digest, expires_at=expires_at, now=now)
        operations.accept_invitation(digest, password_hash=factors.hashed(PASSWORD), language="kk", now=now)
    bruno.set_up()
    bruno.sign_out()
    assert is_refused(come_in(bruno.browser, laptop))


@ONE_ENGINE
@pytest.mark.parametrize("missing", [{"active": False}, {"password": None}, {"tf_totp_secret": None}])
def test_rows_that_an_older_release_left_behind_open_nothing(
    bruno: Person, laptop: Authenticator, missing: dict[str, Any]
) -> None:
    if "tf_totp_secret" in missing:
        missing = missing | {"tf_primary_method": None}
    with bruno.app.app_context(), writing():
        db.session.execute(update(StaffAccount).values(**missing))
        db.session.commit()
    assert is_refused(come_in(bruno.browser, laptop))
    assert not is_signed_in(bruno.browser)


@pytest.mark.parametrize("missing", [{"active": False}, {"password": None}])
def test_an_account_that_closes_while_the_answer_is_checked_stays_closed(
    bruno: Person, laptop: Authenticator, missing: dict[str, Any]
) -> None:
    with bruno.app.app_context():
        known = queries.find_known(laptop.credential_id)
        assert known is not None
        db.session.rollback()
        with writing():
            db.session.execute(update(StaffAccount).values(**missing))
            db.session.commit()
        assert queries.find_known(laptop.credential_id) is None
        outcome = keys.sign_in(
            known.id, staff_id=known.staff_id, sign_count=9, session_digest=b"s" * 32, now=datetime.now(UTC)
        )
    assert outcome is keys.Refusal.GONE
    assert audits(bruno.app)[-1] == "staff-sign-out"


@ONE_ENGINE
def test_a_new_password_leaves_the_passkeys(bruno: Person) -> None:
    device = Authenticator()
    add(bruno, device)
    page = bruno.browser.get("/staff/account/password")
    new = "жеті рет өлшеп бір рет кес"
    assert page.submit("password-form", password=PASSWORD, new_password=new, again=new).url == "/staff/account"
    bruno.sign_out()
    assert come_in(bruno.browser, device).url == "/staff/"


# ── where there are none ─────────────────────────────────────────────────────────────────────────────────────────────


@ONE_ENGINE
def test_at_an_ip_address_pages_say_why_there_are_none(app: Flask, clock: time_machine.Traveller) -> None:
    person = Person(app, clock)
    person.browser = english(app)
    person.make_first_account()
    person.set_up()
    page = person.browser.get(LIST)
    assert "http://127.0.0.1:8000" in page.main
    assert "passkey-form" not in page.text
    fields = {"csrf_token": page.tree.query("input[name=csrf_token]")[0].attrs["value"], "name": "x"}
    for path in (LIST, LIST + "/challenge"):
        assert person.browser.client.post(path, data=fields).status_code == 404
    person.sign_out()
    page = person.browser.get("/staff/sign-in")
    assert "http://127.0.0.1:8000" in page.main
    assert "passkey-form" not in page.text
    fields = page.fields("sign-in-form")[1]
    for path in (SIGN_IN, SIGN_IN + "/challenge", INSTEAD, INSTEAD + "/challenge"):
        assert person.browser.client.post(path, data=fields).status_code == 404
    assert person.sign_in().url == "/staff/"


@ONE_ENGINE
def test_a_stolen_database_and_a_stolen_cookie_hold_no_passkey(bruno: Person, laptop: Authenticator) -> None:
    private = laptop.key.private_numbers().private_value.to_bytes(32, "big")
    with bruno.app.app_context():
        kept = db.session.execute(text("SELECT * FROM staff_passkey")).all()
    assert private.hex() not in str([value.hex() for row in kept for value in row if isinstance(value, bytes)])
    assert bruno.email not in str(kept)
