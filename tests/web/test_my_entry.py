"""A published entry on its signatory's own page, the desk of corrections, and what search engines are told."""

from __future__ import annotations

import re
from datetime import UTC, datetime

import pytest
from flask import Flask
from sqlalchemy import select, update
from time_machine import Traveller as Clock

from charter.models.base import db, writing
from charter.models.rights import Correction
from charter.models.signature import Signature
from charter.queries import corrections as queries
from tests.house.world import changed_tables, dump
from tests.pages import Browser, Page
from tests.people import Desk, Observer, code_in, link_in, work
from tests.statements import statements

ONE_ENGINE = pytest.mark.parametrize("engine_name", ["sqlite"], indirect=True)


def enter(app: Flask, desk: Desk, clock: Clock, **answers: str) -> Observer:
    """Somebody who is in the registry, at the browser that signed."""
    observer = Observer(app, **answers)
    observer.sign_and_confirm()
    work(app)
    desk.decide(desk.open_first(), "approve")
    clock.shift(11)
    work(app)
    return observer


def entry_path(observer: Observer, lang: str = "ru") -> str:
    return re.sub("^/../", f"/{lang}/", observer.browser.get("/ru/my/").href("/entries/"))


def elsewhere(app: Flask, observer: Observer) -> Browser:
    """Another browser, in which the personal link was opened."""
    browser = Browser(app)
    assert browser.get(link_in(observer.mail(), "/my/")).status == 200
    return browser


def open_case(desk: Desk) -> Page:
    return desk.browser.get(desk.browser.get("/staff/corrections/").href("/staff/corrections/1"))


def test_a_correction_goes_from_the_signatory_to_the_registry(app: Flask, desk: Desk, clock: Clock) -> None:
    observer = enter(app, desk, clock)
    public = Browser(app)
    path = entry_path(observer, "en")
    page = observer.browser.get("/en/my/")
    form = page.browser.get(page.href("/my/correction/"))
    assert form.fields("correction-form")[1]["full_name"] == "Әмина Серікқызы Оспанова"
    assert "display" not in form.fields("correction-form")[1]
    page = form.submit("correction-form", full_name="Әмина Ким", kind="party", party="amanat")
    assert page.url == "/en/my/?fresh=correction"
    for words in (
        "An answer is due by 27 November 2026.",
        "asked for: Әмина Ким",
        "AMANAT",
        "asked for: Party observer",
    ):
        assert words in " ".join(page.main.split())
    assert "Әмина Серікқызы" in public.get(path).main
    # A short form that was made from the name follows it, without script too.
    form = page.browser.get(page.href("/my/correction/"))
    assert form.fields("correction-form")[1]["short_name"] == "Әмина К."
    case = open_case(desk)
    assert "asked for: Әмина Ким" in case.main
    told = case.submit("answer-form", action="approve", preview="1")
    assert "/ru/my/…" in told.main
    after = told.submit("answer-form", action="approve")
    assert after.url == "/staff/corrections/"
    assert "Correction approved" in after.main
    assert "Take back" in after.main
    assert "Әмина Ким" not in public.get(path).main
    clock.shift(11)
    work(app)
    assert public.get(path).main.count("Әмина Ким") == 1
    page = observer.browser.get("/en/my/")
    assert "Correction approved (Centre)" in page.main
    assert "asked for:" not in page.main
    assert "Take back" not in desk.browser.get("/staff/corrections/").main
    dossier = desk.browser.get("/staff/review/1/")
    assert "Corrections of the entry" in dossier.main


@ONE_ENGINE
def test_a_declined_correction_says_why_and_the_desk_loses_no_word(app: Flask, desk: Desk, clock: Clock) -> None:
    observer = enter(app, desk, clock)
    observer.browser.get("/ru/my/correction/").submit("correction-form", full_name="Другой Человек")
    case = open_case(desk)
    wrong = case.submit("answer-form", action="decline")
    assert wrong.status == 422
    assert "Choose a reason" in wrong.main
    wrong = case.submit("answer-form", action="decline", reason="other")
    assert "this reason alone tells the signatory nothing" in wrong.main
    stale = case.submit("answer-form", action="decline", reason="other", note="Кто это?", csrf_token="old")
    assert stale.status == 422
    assert "Кто это?" in stale.main
    # Meanwhile the signatory has thought of something else.
    observer.browser.get("/ru/my/correction/").submit("correction-form", full_name="Третий Человек")
    late = case.submit("answer-form", action="decline", reason="other", note="Кто это?")
    assert late.status == 409
    assert "Третий Человек" in late.main
    assert "Кто это?" in late.main
    done = late.submit("answer-form", action="decline", reason="another-person", note="Кто это?")
    back = done.submit(at="/undo")
    assert "The decision is taken back." in back.text
    back.submit("answer-form", action="decline", reason="another-person", note="Кто это?\nПозвоните.")
    clock.shift(11)
    work(app)
    page = observer.browser.get("/en/my/")
    for words in ("The Centre has declined your correction", "another person’s", "Кто это?", "Позвоните."):
        assert words in page.main
    assert "Әмина Серікқызы" in Browser(app).get(entry_path(observer)).main


@ONE_ENGINE
def test_the_correction_is_taken_back_by_a_tick_and_not_by_a_button_alone(app: Flask, desk: Desk, clock: Clock) -> None:
    observer = enter(app, desk, clock)
    assert "recall" not in observer.browser.get("/en/my/correction/").text
    same = observer.browser.get("/en/my/correction/").submit("correction-form")
    assert same.url == "/en/my/?fresh=correction-same"
    observer.browser.get("/en/my/correction/").submit("correction-form", region="KZ-71")
    assert observer.browser.get("/en/my/correction/").submit("correction-form").url == same.url
    page = observer.browser.get("/en/my/correction/").submit("correction-form", recall="y", full_name="")
    assert page.url == "/en/my/?fresh=correction-recalled"
    assert "Nothing waits here." in desk.browser.get("/staff/corrections/").main
    wrong = observer.browser.get("/en/my/correction/").submit("correction-form", full_name="=1", region="KZ-00")
    assert wrong.status == 422
    assert wrong.fields("correction-form")[1]["full_name"] == "=1"
    switched = wrong.submit("correction-form", switch="kk", full_name="Әмина Ким")
    assert switched.fields("correction-form")[1]["full_name"] == "Әмина Ким"


def test_less_is_shown_from_any_browser_and_more_with_a_code_from_the_mail(
    app: Flask, desk: Desk, clock: Clock
) -> None:
    observer = enter(app, desk, clock)
    public, path = Browser(app), entry_path(observer)
    other = elsewhere(app, observer)
    page = other.get("/ru/my/display/").submit("display-form", display="unlisted")
    assert page.url == "/ru/my/?fresh=shown"
    # The page says what the public sees, not what it will see.
    assert "Әмина Серікқызы Оспанова" in page.main.partition("реестре")[2]
    work(app)
    assert "Әмина" not in public.get(path).main
    form = other.get("/ru/my/display/")
    refused = form.submit("display-form", display="full")
    assert refused.status == 422
    asked = form.submit("code-form")
    assert asked.url == "/ru/my/display/?fresh=code"
    work(app)
    page = asked.submit("display-form", display="full", code=code_in(observer.mail()))
    assert page.url == "/ru/my/?fresh=shown"
    work(app)
    assert "Әмина Серікқызы Оспанова" in public.get(path).main
    # Where one signed no code is asked for.
    form = observer.browser.get("/ru/my/display/")
    assert "code" not in form.fields("display-form")[1]
    assert form.submit("display-form", display="none").status == 422
    assert form.submit("display-form", display="short").url == "/ru/my/?fresh=shown"


@ONE_ENGINE
def test_a_robot_with_the_link_changes_nothing_by_pressing_every_button(app: Flask, desk: Desk, clock: Clock) -> None:
    observer = enter(app, desk, clock, display="short")
    observer.browser.get("/ru/my/correction/").submit("correction-form", region="KZ-71")
    robot = elsewhere(app, observer)
    before = dump(app)
    for method in ("GET", "HEAD", "OPTIONS"):
        for path in ("", "correction/", "display/"):
            robot.client.open(f"/ru/my/{path}", method=method)
    for path, form in (("correction/", "correction-form"), ("display/", "display-form")):
        page = robot.get(f"/ru/my/{path}")
        page.submit(form)
        page.submit(form, display="full", is_indexable="y", code="123456")
        robot.client.post(f"/ru/my/{path}")
    assert changed_tables(before, dump(app)) == set()


@ONE_ENGINE
def test_nobody_without_a_published_entry_gets_these_pages(app: Flask, desk: Desk, clock: Clock) -> None:
    observer = Observer(app)
    observer.sign_and_confirm()
    for path in ("/ru/my/correction/", "/ru/my/display/"):
        assert Browser(app).get(path).status == 403
        assert observer.browser.get(path).url == "/ru/my/"
    work(app)
    desk.decide(desk.open_first(), "approve")
    clock.shift(11)
    work(app)
    form = observer.browser.get("/ru/my/correction/")
    shown = observer.browser.get("/ru/my/display/")
    observer.browser.get("/ru/my/withdraw/").submit("withdraw-form")
    for page, name in ((form, "correction-form"), (shown, "display-form")):
        assert page.submit(name, region="KZ-71", display="short").url == "/ru/my/"
    assert desk.browser.get("/staff/corrections/999/").status == 404


@ONE_ENGINE
def test_the_queue_of_corrections_costs_the_same_however_long_it_is(app: Flask, desk: Desk, clock: Clock) -> None:
    enter(app, desk, clock)
    with app.app_context(), writing():
        signature = db.session.scalars(select(Signature).where(Signature.state == "published")).one()
        values = {
            column.name: getattr(signature, column.name)
            for column in Signature.__table__.columns
            if column.name != "id"
        }
        for place in range(queries.PAGE_SIZE + 2):
            clone = Signature(**values | {"entry": f"{place:032x}", "number": place + 2})
            db.session.add(clone)
            db.session.flush()
            db.session.add(
                Correction(
                    signature_id=clone.id,
                    state="pending",
                    kind="independent",
                    full_name=f"Имя {'а' * (place + 1)}",
                    short_name="Имя А.",
                    display="full",
                    region_code="KZ-75",
                    created_at=datetime.now(UTC),
                    due_on=datetime.now(UTC).date(),
                )
            )
        db.session.commit()
    with statements(app) as few:
        page = desk.browser.get("/staff/corrections/")
    assert page.main.count("→ Имя") == queries.PAGE_SIZE
    with statements(app) as rest:
        following = desk.browser.get(page.href("after="))
    assert following.main.count("→ Имя") == 2
    assert len(few) == len(rest) < 12, few
    assert desk.browser.get("/staff/corrections/?after=x").status == 404


# ── search engines ───────────────────────────────────────────────────────────────────────────────────────────────────


def robots_of(page: Page) -> tuple[str | None, bool]:
    """What the header says, and whether the page itself says noindex."""
    return page.response.headers.get("X-Robots-Tag"), '<meta name="robots" content="noindex">' in page.text


def test_an_entry_is_for_search_engines_only_as_long_as_its_signatory_says_so(
    app: Flask, desk: Desk, clock: Clock
) -> None:
    observer = enter(app, desk, clock)
    public, path = Browser(app), entry_path(observer)
    first = public.get(path)
    assert robots_of(first) == ("noindex", True)
    assert path not in public.get("/sitemaps/1-10000.xml").text
    observer.browser.get("/ru/my/display/").submit("display-form", is_indexable="y")
    assert robots_of(public.get(path)) == ("noindex", True), "not before the next publication"
    work(app)
    shown = public.get(path)
    assert robots_of(shown) == (None, False)
    assert shown.response.headers["ETag"] != first.response.headers["ETag"]
    again = public.client.get(path, headers={"If-None-Match": shown.response.headers["ETag"]})
    assert again.status_code == 304
    assert "X-Robots-Tag" not in again.headers, "a cache would put it to the page that it keeps"
    assert robots_of(public.get(path)) == (None, False), "from memory too"
    found = public.get("/sitemaps/1-10000.xml").text
    for lang in ("kk", "ru", "en"):
        assert f"<loc>http://127.0.0.1:8000{re.sub('^/../', f'/{lang}/', path)}</loc>" in found
    assert "/sitemaps/1-10000.xml" in public.get("/sitemap.xml").text
    # Lists with names stay out.
    assert public.get("/ru/registry/").response.headers["X-Robots-Tag"] == "noindex"
    observer.browser.get("/ru/my/display/").submit("display-form", display="unlisted")
    work(app)
    assert robots_of(public.get(path)) == ("noindex", True)
    assert path not in public.get("/sitemaps/1-10000.xml").text
    observer.browser.get("/ru/my/display/").submit("display-form", display="full", is_indexable="y")
    work(app)
    observer.browser.get("/ru/my/withdraw/").submit("withdraw-form")
    work(app)
    assert robots_of(public.get(path)) == ("noindex", True)
    assert path not in public.get("/sitemaps/1-10000.xml").text


@ONE_ENGINE
def test_the_map_of_entries_has_fixed_parts_and_no_others(app: Flask, desk: Desk, clock: Clock) -> None:
    client = app.test_client()
    assert "/sitemaps/" not in client.get("/sitemap.xml").text
    assert client.get("/sitemaps/1-10000.xml").status_code == 404
    enter(app, desk, clock)
    assert client.get("/sitemaps/1-10000.xml").status_code == 200
    for wanted in ("1-100", "2-10001", "10001-20000", "1-9999", "1-999999999"):
        assert client.get(f"/sitemaps/{wanted}.xml").status_code == 404, wanted
    with app.app_context(), writing():
        db.session.execute(update(Signature).values(is_indexable=True))
        db.session.commit()
    with statements(app) as seen:
        client.get("/sitemaps/1-10000.xml", headers={"If-None-Match": "nothing"})
    assert len([one for one in seen if one.lstrip().upper().startswith("SELECT")]) <= 3, seen
