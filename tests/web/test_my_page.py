"""What *my signature* tells its holder in each state: the day an answer is due, who did what when, what is public."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import timedelta

import pytest
from flask import Flask
from time_machine import Traveller as Clock

from charter import publishing, worker
from charter.forgetting import Forgetting
from tests.pages import Browser, Page
from tests.people import Desk, Observer, link_in, work

ONE_ENGINE = pytest.mark.parametrize("engine_name", ["sqlite"], indirect=True)
#: lang → the day an answer is due; who did something: the signatory, the Centre.
TOLD = {
    "kk": ("27 қараша 2026", "қол қоюшы", "Орталық"),
    "ru": ("27 ноября 2026", "подписавший", "Центр"),
    "en": ("27 November 2026", "signatory", "Centre"),
}


def words(page: Page) -> str:
    """Without the differences between spaces."""
    return " ".join(page.main.split())


def approve(app: Flask, desk: Desk, clock: Clock) -> None:
    desk.decide(desk.open_first(), "approve")
    clock.shift(11)
    work(app)


@ONE_ENGINE
@pytest.mark.parametrize("lang", ["kk", "ru", "en"])
def test_the_page_says_when_an_answer_is_due_and_who_did_what(
    app: Flask, observer: Observer, desk: Desk, clock: Clock, lang: str
) -> None:
    due, signatory, centre = TOLD[lang]
    observer.sign_and_confirm()
    page = words(observer.browser.get(f"/{lang}/my/"))
    assert due in page
    assert page.count(f"({signatory})") == 2, "signed and confirmed"
    assert f"({centre})" not in page
    approve(app, desk, clock)
    page = words(observer.browser.get(f"/{lang}/my/"))
    assert due not in page, "it was answered"
    assert f"({centre})" in page
    assert "Bruno" not in page, "the role and never who"


@ONE_ENGINE
def test_the_page_says_what_is_not_public_yet_what_is_and_what_is_no_longer(
    app: Flask, observer: Observer, desk: Desk, clock: Clock
) -> None:
    observer.answers["display"] = "short"
    observer.sign_and_confirm()
    assert "What the public will see" in words(observer.browser.get("/en/my/"))
    approve(app, desk, clock)
    page = words(observer.browser.get("/en/my/"))
    seen = page.partition("What the public sees now")[2].partition("Your entry")[0]
    assert "Әмина С." in seen
    assert "Оспанова" not in seen
    observer.browser.get("/en/my/withdraw/").submit("withdraw-form")
    work(app)
    page = words(observer.browser.get("/en/my/"))
    assert "What the public sees now" not in page
    assert "Your name is no longer in the registry" in page


@ONE_ENGINE
def test_every_decision_brings_the_same_personal_link(app: Flask, observer: Observer, desk: Desk, clock: Clock) -> None:
    observer.sign_and_confirm()
    work(app)
    link = link_in(observer.mail(), "/my/")
    desk.decide(desk.open_first(), "ask", ask_reason="region-unclear")
    clock.shift(11)
    work(app)
    assert link_in(observer.mail(), "/my/") == link
    observer.browser.get("/ru/my/").submit("answer-form", answer="Шымкент")
    desk.decide(desk.open_first(), "decline", decline_reason="not-an-observer")
    clock.shift(11)
    work(app)
    assert link_in(observer.mail(), "/my/") == link
    assert Browser(app).get(link).url == "/ru/my/", "no secret stays in the address"


@ONE_ENGINE
@pytest.mark.parametrize("display", ["short", "unlisted"])
def test_a_smaller_display_is_public_within_a_minute_however_far_apart_batches_are(
    app: Flask, observer: Observer, desk: Desk, clock: Clock, display: str
) -> None:
    observer.sign_and_confirm()
    approve(app, desk, clock)
    entry = observer.browser.get("/ru/my/").href("/entries/")
    public = Browser(app)
    assert "Серікқызы" in public.get(entry).main
    settings = replace(app.config["CHARTER"], publish_interval_seconds=86_400)
    observer.browser.get("/ru/my/display/").submit("display-form", display=display)
    pressed_at = time.monotonic()
    # What is left of the minute besides: the worker's tick, and how long a web process keeps a finished page.
    waits = timedelta(seconds=worker.TICK_SECONDS) + timedelta(milliseconds=settings.public_recheck_ms)
    assert waits < timedelta(seconds=5)
    with app.app_context():
        assert worker._publish_if_time(settings, time.monotonic() + 86_400, Forgetting())
    page = public.get(entry)
    assert "Серікқызы" not in page.main
    assert time.monotonic() - pressed_at + waits.total_seconds() < 60
    assert publishing.URGENT_SECONDS < 60, "at shorter intervals the next batch is soon enough"
