"""One signature, all the way: from the Charter to the registry."""

from __future__ import annotations

from flask import Flask
from time_machine import Traveller as Clock

from tests.pages import Browser
from tests.people import Desk, Observer, code_in, link_in, mails, text_of, work


def test_from_the_form_to_the_registry(app: Flask, observer: Observer, desk: Desk, clock: Clock) -> None:
    page = observer.sign()
    assert page.status == 200
    assert page.url == "/ru/sign/check-mail/"
    mine = observer.confirm()
    assert mine.url.startswith("/ru/my/")
    work(app)
    confirmed = observer.mail()
    # Friday the 20th, five working days on.
    assert "27" in text_of(confirmed)

    dossier = desk.open_first()
    assert "Әмина Серікқызы Оспанова" in dossier.main
    desk.decide(dossier, "approve")
    assert "Әмина" not in Browser(app).get("/kk/registry/").text
    work(app)
    assert "Әмина" not in Browser(app).get("/kk/registry/").text, "published before the undo seconds were over"
    clock.shift(11)
    work(app)

    registry = Browser(app).get("/kk/registry/")
    assert "Әмина Серікқызы Оспанова" in registry.main
    entry = Browser(app).get(registry.href("/registry/entries/"))
    assert "Әмина Серікқызы Оспанова" in entry.main
    assert "Әмина" in Browser(app).get("/kk/registry/almaty/").main
    assert "Әмина" not in Browser(app).get("/kk/registry/astana/").main
    published = observer.mail()
    assert link_in(published, "/registry/entries/") == entry.url.replace("/kk/", "/ru/")
    assert len(mails(app)) == 3


def test_another_browser_needs_the_code_from_the_mail(app: Flask, observer: Observer) -> None:
    observer.sign()
    work(app)
    mail = observer.mail()
    other = Browser(app)
    page = other.get(link_in(mail, "/confirm/"))
    refused = page.submit("confirm-form", code="")
    assert refused.status == 422
    right = code_in(mail)
    wrong = f"{(int(right) + 1) % 10**6:06d}"
    assert refused.submit("confirm-form", code=wrong).status == 422
    done = refused.submit("confirm-form", code=f"{right[:3]} {right[3:]}")
    assert done.url.startswith("/ru/my/")


def test_five_wrong_codes_end_the_code_but_not_the_signing_browser(app: Flask, observer: Observer) -> None:
    observer.sign()
    work(app)
    mail = observer.mail()
    right = code_in(mail)
    page = Browser(app).get(link_in(mail, "/confirm/"))
    for place in range(1, 6):
        page = page.submit("confirm-form", code=f"{(int(right) + place) % 10**6:06d}")
        assert page.status == 422
    assert page.submit("confirm-form", code=right).status == 422
    assert observer.confirm().url.startswith("/ru/my/")


def test_looking_at_the_link_changes_nothing(app: Flask, observer: Observer) -> None:
    observer.sign()
    work(app)
    link = link_in(observer.mail(), "/confirm/")
    robot = app.test_client()
    for method in ("GET", "HEAD", "OPTIONS"):
        robot.open(link, method=method)
    assert "confirm-form" in observer.browser.get(link).text


def test_a_used_link_says_so_and_nothing_personal(app: Flask, observer: Observer) -> None:
    observer.sign()
    work(app)
    link = link_in(observer.mail(), "/confirm/")
    observer.confirm()
    page = Browser(app).get(link)
    assert page.status == 200
    assert "Оспанова" not in page.text
    assert "amina@" not in page.text


def test_an_unknown_link_and_an_expired_one_are_one_page(app: Flask, observer: Observer, clock: Clock) -> None:
    observer.sign()
    work(app)
    link = link_in(observer.mail(), "/confirm/")
    clock.shift(7 * 86_400)
    expired = observer.browser.get(link)
    unknown = observer.browser.get("/ru/confirm/" + "A" * 43)
    assert expired.status == unknown.status == 404
    assert expired.main == unknown.main


def test_declining_tells_the_reason_and_publishes_no_name(
    app: Flask, observer: Observer, desk: Desk, clock: Clock
) -> None:
    observer.sign_and_confirm()
    page = desk.open_first()
    assert desk.decide(page, "decline").status == 422, "a reason is required"
    desk.decide(page, "decline", decline_reason="other", note="Позвоните нам, пожалуйста.")
    clock.shift(11)
    work(app)
    assert "Позвоните нам" in text_of(observer.mail())
    mine = observer.browser.get(link_in(observer.mail(), "/my/"))
    assert "Позвоните нам" in mine.main
    assert "Оспанова" not in Browser(app).get("/ru/registry/").text


def test_a_question_goes_out_and_the_answer_brings_it_back(
    app: Flask, observer: Observer, desk: Desk, clock: Clock
) -> None:
    observer.sign_and_confirm()
    desk.decide(desk.open_first(), "ask", ask_reason="region-unclear", note="Алматы или область?")
    clock.shift(11)
    work(app)
    assert "Nothing waits" in desk.queue().main
    mine = observer.browser.get(link_in(observer.mail(), "/my/"))
    assert "Алматы или область?" in mine.main
    empty = mine.submit("answer-form", answer=" ")
    assert empty.status == 422
    mine.submit("answer-form", answer="Город Алматы.")
    dossier = desk.open_first()
    assert "Город Алматы." in dossier.main
    desk.decide(dossier, "approve")
    clock.shift(11)
    work(app)
    assert "Оспанова" in Browser(app).get("/ru/registry/").text


def test_withdrawing_takes_the_name_out_and_keeps_the_number(
    app: Flask, observer: Observer, desk: Desk, clock: Clock
) -> None:
    observer.sign_and_confirm()
    desk.decide(desk.open_first(), "approve")
    clock.shift(11)
    work(app)
    entry = Browser(app).get("/en/registry/").href("/registry/entries/")
    mine = observer.browser.get("/ru/my/")
    observer.browser.get(mine.href("/my/withdraw/")).submit("withdraw-form")
    work(app)
    registry = Browser(app).get("/en/registry/")
    assert "Оспанова" not in registry.text
    assert "withdrawn by the signatory" in registry.main
    assert "Оспанова" not in Browser(app).get(entry).text
    assert Browser(app).get(entry).status == 200


def test_withdrawing_elsewhere_asks_for_a_fresh_code(app: Flask, observer: Observer) -> None:
    observer.sign_and_confirm()
    work(app)
    other = Browser(app)
    other.get(link_in(observer.mail(), "/my/"))
    page = other.get("/ru/my/withdraw/")
    assert page.submit("withdraw-form").status == 422
    assert page.submit("withdraw-form", code="000000").status == 422
    page = page.submit("code-form")
    work(app)
    code = code_in(observer.mail())
    done = page.submit("withdraw-form", code=code)
    assert done.url.startswith("/ru/my/?fresh=withdrawn")


def test_an_old_page_of_the_desk_keeps_the_note(app: Flask, observer: Observer, desk: Desk) -> None:
    observer.sign_and_confirm()
    page = desk.open_first()
    stale = desk.decide(page, "decline", decline_reason="other", note="Позвоните нам.", csrf_token="old")
    assert stale.status == 422
    assert "Позвоните нам." in stale.main
    desk.decide(stale, "decline")
    assert "Nothing waits" in desk.queue().main
