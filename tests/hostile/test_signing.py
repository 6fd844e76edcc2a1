"""Machines that sign: what gives them away, that they learn nothing from it, and that people are let be."""

from __future__ import annotations

import re
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import func, select
from time_machine import Traveller as Clock

from charter.models.base import db
from charter.models.limits import DayKey, SigningTrace, SpentChallenge
from charter.models.signature import Signature
from tests.conftest import MakeApp
from tests.house.world import changed_tables, dump
from tests.pages import Browser, Page
from tests.people import ANSWERS, Observer, mails, work
from tests.web.test_proof_of_work import solved

PEOPLE = iter(range(10**6))


def somebody(**answers: Any) -> dict[str, Any]:
    place = next(PEOPLE)
    name = "".join("абвгдежзик"[int(digit)] for digit in str(place)).capitalize()
    return {**ANSWERS, "full_name": f"{name} Оспанова", "email": f"p{place}@example.org", **answers}


def reasons(app: Flask) -> list[str | None]:
    """Why each was set aside, oldest first."""
    with app.app_context():
        return list(db.session.scalars(select(Signature.held_because).order_by(Signature.id)))


def traces(app: Flask) -> list[SigningTrace]:
    with app.app_context():
        found = db.session.scalars(select(SigningTrace).order_by(SigningTrace.signature_id)).all()
        db.session.expunge_all()
        return list(found)


@pytest.fixture
def strict(make_app: MakeApp, clock: Clock) -> Flask:
    """As operators run it: people take three seconds."""
    return make_app(signing_least_seconds="3")


def whole(page: Page) -> tuple[int, str, str, list[tuple[str, str]]]:
    """Everything that an answer tells, but for what differs between any two."""
    headers = [(name, value) for name, value in page.response.headers if name not in {"X-Request-Id", "Date"}]
    return page.status, page.url, page.text, sorted(headers)


# ── what gives a machine away ────────────────────────────────────────────────────────────────────────────────────────


def test_a_person_takes_a_while_and_a_machine_is_set_aside_with_the_same_page(strict: Flask, clock: Clock) -> None:
    ends = []
    for seconds, more in ((4, {}), (1, {}), (4, {"website": "https://example.org"}), (4, {"start": "1.0"})):
        browser = Browser(strict)
        page = browser.get("/ru/sign/")
        clock.shift(seconds)
        ends.append(whole(page.submit("sign-form", **somebody(**more))))
    assert reasons(strict) == [None, "haste", "trap", "start"]
    assert ends[0][1] == "/ru/sign/check-mail/"
    assert ends[1:] == [ends[0]] * 3
    work(strict)
    assert len(mails(strict)) == 1


def test_a_form_that_was_open_for_days_or_corrected_at_once_is_a_persons(strict: Flask, clock: Clock) -> None:
    page = Browser(strict).get("/kk/sign/")
    clock.shift(8 * 86_400)
    old = page.submit("sign-form", **somebody())
    assert old.status == 422, "its token has ended; what was typed is there"
    assert old.submit("sign-form").url == "/kk/sign/check-mail/"
    page = Browser(strict).get("/kk/sign/")
    clock.shift(5)
    wrong = page.submit("sign-form", **somebody(email=""))
    assert wrong.status == 422
    assert wrong.submit("sign-form", email="late@example.org").url == "/kk/sign/check-mail/"
    page = Browser(strict).get("/kk/sign/")
    clock.shift(5)
    other = page.submit("sign-form", switch="ru", **somebody())
    assert other.submit("sign-form", without=("switch",)).url.endswith("/sign/check-mail/")
    page = Browser(strict).get("/kk/sign/")
    clock.shift(-86_400)
    ahead = page.submit("sign-form", **somebody())
    assert ahead.status == 422, "its token is from tomorrow"
    assert ahead.submit("sign-form").url == "/kk/sign/check-mail/"
    assert reasons(strict) == [None] * 4, "nor does a clock that goes back make a machine of anybody"


def test_what_a_form_says_of_its_beginning_is_kept_in_seconds(strict: Flask, clock: Clock) -> None:
    page = Browser(strict).get("/ru/sign/")
    clock.shift(75)
    page.submit("sign-form", **somebody())
    (trace,) = traces(strict)
    assert trace.seconds is not None
    assert 75 <= trace.seconds < 90, "the clock of the test ticks on"


def test_the_field_for_machines_is_out_of_everybodys_way(app: Flask) -> None:
    page = Browser(app).get("/en/sign/")
    field = page.tree.query("input[name=website]")[0]
    assert field.attrs["tabindex"] == "-1"
    assert field.attrs["autocomplete"] == "off"
    box = next(one for one in page.tree.query("[aria-hidden=true]") if one.query("input[name=website]"))
    assert "visually-hidden" in box.attrs["class"]
    assert box.query("label")[0].to_text() == "Leave this field empty", "for browsers without style sheets"


# ── networks ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_network_is_known_by_a_digest_of_the_day_only(make_app: MakeApp, clock: Clock) -> None:
    app = make_app(signings_per_network_hour="2")

    def sign_from(address: str) -> None:
        browser = Browser(app, environ_base={"REMOTE_ADDR": address})
        assert browser.get("/ru/sign/").submit("sign-form", **somebody()).url == "/ru/sign/check-mail/"

    for address in ("2001:db8::1", "2001:db8::2:1", "2001:db8::3", "2001:db8:0:1::1", "203.0.113.9"):
        sign_from(address)
    assert reasons(app) == [None, None, "network", None, None]
    digests = [trace.network for trace in traces(app)]
    assert digests[0] == digests[1] == digests[2]
    assert len(set(digests)) == 3
    everything = repr(dump(app))
    assert "2001:db8" not in everything
    assert "203.0.113" not in everything
    # Ten minutes to midnight (UTC), and ten past: another day, another digest, and yet one hour.
    clock.move_to("2026-11-22T23:50:00Z")
    sign_from("198.51.100.1")
    sign_from("198.51.100.1")
    clock.move_to("2026-11-23T00:10:00Z")
    sign_from("198.51.100.1")
    assert reasons(app)[-3:] == [None, None, "network"]
    *_, before, after = (trace.network for trace in traces(app))
    assert before != after
    with app.app_context():
        assert db.session.scalar(select(func.count()).select_from(DayKey)) == 3
        assert all(len(key) == 32 for key in db.session.scalars(select(DayKey.key)))


def test_only_so_many_proxies_are_believed_as_there_are(make_app: MakeApp, clock: Clock) -> None:
    """What a client writes into X-Forwarded-For itself changes nothing."""
    app = make_app(trusted_proxy_count="1", signings_per_network_hour="2")
    for place in range(3):
        browser = Browser(
            app,
            environ_base={"REMOTE_ADDR": "10.0.0.1"},
            headers={"X-Forwarded-For": f"198.51.100.{place}, 203.0.113.9"},
        )
        browser.get("/ru/sign/").submit("sign-form", **somebody())
    assert reasons(app) == [None, None, "network"]


def test_without_a_proxy_the_header_means_nothing(make_app: MakeApp, clock: Clock) -> None:
    app = make_app(signings_per_network_hour="2")
    for place in range(3):
        browser = Browser(
            app, environ_base={"REMOTE_ADDR": "203.0.113.9"}, headers={"X-Forwarded-For": f"198.51.100.{place}"}
        )
        browser.get("/ru/sign/").submit("sign-form", **somebody())
    assert reasons(app) == [None, None, "network"]


def test_large_providers_have_no_limit_of_their_own_and_others_do(make_app: MakeApp, clock: Clock) -> None:
    app = make_app(signings_per_domain_hour="1", large_mail_domains="university.example")
    browser = Browser(app)
    page = browser.get("/ru/sign/")
    for domain in ("gmail.com", "gmail.com", "mail.ru", "mail.ru", "university.example", "university.example"):
        page.submit("sign-form", **somebody(email=f"x{next(PEOPLE)}@{domain}"))
    for domain in ("a.small.example", "b.small.example"):
        page.submit("sign-form", **somebody(email=f"x{next(PEOPLE)}@{domain}"))
    assert reasons(app) == [*[None] * 7, "domain"]


# ── proof of work ────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def pressed(make_app: MakeApp, clock: Clock) -> Flask:
    """Two have just signed, and from two a minute on a proof of work is asked for."""
    app = make_app(proof_of_work_from="2", proof_of_work_tries="10")
    for _ in range(2):
        assert Observer(app, **somebody()).sign().url == "/ru/sign/check-mail/"
    return app


def challenge_of(page: Page) -> str:
    return str(page.tree.query("input[name=proof]")[0].attrs["data-challenge"])


def test_while_many_sign_the_form_comes_back_with_a_challenge_and_every_typed_word(pressed: Flask) -> None:
    before = dump(pressed)
    answers = somebody()
    page = Browser(pressed).get("/ru/sign/")
    assert not page.tree.query("input[name=proof]"), "nobody is asked who only looks"
    asked = page.submit("sign-form", **answers)
    assert asked.status == 200
    assert changed_tables(before, dump(pressed)) == set(), "nothing is stored"
    _, values = asked.fields("sign-form")
    assert {name: values[name] for name in ANSWERS} == {name: answers[name] for name in ANSWERS}
    assert asked.tree.query("script[src*='altcha.js']")
    done = asked.submit("sign-form", proof=solved(challenge_of(asked)))
    assert done.url == "/ru/sign/check-mail/"
    assert reasons(pressed) == [None] * 3
    assert [trace.proof for trace in traces(pressed)] == [None, None, "solved"]


def test_without_script_the_same_button_leads_to_the_human_queue(pressed: Flask) -> None:
    asked = Browser(pressed).get("/kk/sign/").submit("sign-form", **somebody())
    assert "JavaScript" in asked.main
    assert asked.submit("sign-form").url == "/kk/sign/check-mail/"
    assert reasons(pressed)[2:] == ["proof"]


def test_a_proof_is_good_for_one_signature_of_anybodys(pressed: Flask) -> None:
    browser = Browser(pressed)
    asked = browser.get("/ru/sign/").submit("sign-form", **somebody())
    proof = solved(challenge_of(asked))
    for answers in (somebody(), somebody(), somebody()):
        assert asked.submit("sign-form", proof=proof, **answers).url == "/ru/sign/check-mail/"
    assert reasons(pressed)[2:] == [None, "proof", "proof"]
    with pressed.app_context():
        assert db.session.scalar(select(func.count()).select_from(SpentChallenge)) == 1


def test_a_proof_that_came_too_late_is_asked_for_once_more(pressed: Flask, clock: Clock) -> None:
    browser = Browser(pressed)
    asked = browser.get("/ru/sign/").submit("sign-form", **somebody())
    proof = solved(challenge_of(asked))
    clock.shift(7201)
    for _ in range(2):
        Observer(pressed, **somebody()).sign()
    answers = somebody()
    again = asked.submit("sign-form", proof=proof, **answers)
    assert again.status == 200
    assert challenge_of(again) != challenge_of(asked)
    assert again.submit("sign-form", proof=solved(challenge_of(again))).url == "/ru/sign/check-mail/"
    assert set(reasons(pressed)) == {None}


def test_errors_and_other_languages_keep_asking(pressed: Flask) -> None:
    asked = Browser(pressed).get("/ru/sign/").submit("sign-form", **somebody())
    assert challenge_of(asked.submit("sign-form", switch="kk"))
    wrong = asked.submit("sign-form", email="")
    assert wrong.status == 422
    assert wrong.submit("sign-form", email="x@example.org", proof=solved(challenge_of(wrong))).url.endswith(
        "/check-mail/"
    )
    assert reasons(pressed)[2:] == [None]


@pytest.mark.parametrize("proof", ["x", "e30=", "\x00", "🙂" * 100, "A" * 100_000, "{}"])
def test_whatever_is_sent_as_a_proof_is_set_aside_and_breaks_nothing(pressed: Flask, proof: str) -> None:
    asked = Browser(pressed).get("/ru/sign/").submit("sign-form", **somebody())
    assert asked.submit("sign-form", proof=proof).url == "/ru/sign/check-mail/"
    assert reasons(pressed)[2:] == ["proof"]


# ── nobody learns who has signed ─────────────────────────────────────────────────────────────────────────────────────


def masked(page: Page) -> str:
    """A page without its tokens and the challenge."""
    text = re.sub(r'(name="(?:csrf_token|start|email|full_name|short_name)"[^>]*value=")[^"]*', r"\1", page.text)
    return re.sub(r'data-challenge="[^"]*"|<[^>]*data-part="[^"]*"[^>]*>[^<]*', "", text)


def test_what_is_asked_of_somebody_does_not_tell_whether_they_have_signed(make_app: MakeApp, clock: Clock) -> None:
    app = make_app(proof_of_work_from="1")
    amina = Observer(app)
    assert "/my/" in amina.sign_and_confirm().url
    clock.shift(120)
    Observer(app, **somebody()).sign()
    pages = [
        Observer(app, **answers).sign()
        for answers in ({}, somebody(), {"email": amina.answers["email"], "full_name": "Басқа Адам"})
    ]
    assert {page.status for page in pages} == {200}
    assert all(page.tree.query("input[data-challenge]") for page in pages)
    assert len({masked(page) for page in pages}) == 1
