"""The form as people treat it: mistakes, another language half-way, an old page, a keyboard and nothing else."""

from __future__ import annotations

import pytest
from playwright.sync_api import Locator

from tests.journeys.conftest import EACH_LANGUAGE, TRANSLATED, Centre, Visit
from tests.journeys.test_one_signature import confirm
from tests.journeys.visitors import DESKTOP, SUBMIT, Person, Visitor
from tests.people import text_of

pytestmark = pytest.mark.journey

MOST_TABS = 60


@EACH_LANGUAGE
def test_mistakes_are_listed_on_top_with_links_and_nothing_typed_is_lost(visit: Visit, lang: str, script: bool) -> None:
    visitor = visit(lang=lang, script=script)
    visitor.open(f"/{lang}/sign/")
    calm_title = visitor.page.title()
    form = visitor.page.locator("#sign-form")
    form.locator("[name=full_name]").fill("Әмина 007 Оспанова")
    form.locator("[name=email]").fill("amina at example")
    form.locator("[name=is_adult]").check()
    visitor.press(f"#sign-form {SUBMIT}")
    assert visitor.page.title().endswith(calm_title)
    assert visitor.page.title() != calm_title, "the title begins with the word for an error"
    links = visitor.page.locator("#error-summary a")
    # As whom, name, region, address, two consents.
    assert links.count() == 6
    if script:
        assert visitor.page.evaluate("document.activeElement.id") == "error-summary"
    for place in range(links.count()):
        links.nth(place).click()
        target = (links.nth(place).get_attribute("href") or "")[1:]
        focused = visitor.page.locator(f'[id="{target}"]')
        assert focused.is_visible(), target
        assert focused.evaluate("(one) => one === document.activeElement"), target
        described = focused.evaluate(
            "(one) => [one, one.closest('fieldset')].map((at) => at?.getAttribute('aria-describedby') ?? '').join(' ')"
        )
        assert any(id_.endswith("-error") for id_ in described.split()), target
    values = visitor.values("sign-form")
    assert values["full_name"] == "Әмина 007 Оспанова"
    assert values["email"] == "amina at example"
    assert "is_adult" in values
    visitor.fill(Person(lang=lang))
    visitor.press(f"#sign-form {SUBMIT}")
    assert visitor.path == f"/{lang}/sign/check-mail/"


@EACH_LANGUAGE
def test_another_language_half_way_keeps_every_word(visit: Visit, lang: str, script: bool) -> None:
    visitor = visit(lang=lang, script=script)
    visitor.open(f"/{lang}/sign/")
    person = Person(lang=lang, kind="party", affiliation="amanat", display="short")
    visitor.fill(person)
    visitor.page.locator("[name=short_name]").fill("Ә. Б.")
    visitor.page.locator("[name=email]").fill("half-way")
    # What was read is in another language then, and is said anew.
    before = visitor.values("sign-form") | {"consents_read": ""}
    for other in [one for one in ("kk", "ru", "en") if one != lang]:
        visitor.press(f".langs button[value={other}]")
        assert visitor.path == f"/{other}/sign/"
        assert visitor.page.locator("html").get_attribute("lang") == other
        assert visitor.page.locator(".error-summary").count() == 0, "switching checks nothing"
        assert visitor.values("sign-form") | {"consents_read": ""} == before


@EACH_LANGUAGE
def test_a_page_that_was_open_too_long_keeps_every_word(visit: Visit, lang: str, script: bool) -> None:
    visitor = visit(lang=lang, script=script)
    visitor.open(f"/{lang}/sign/")
    visitor.fill(Person(lang=lang))
    before = visitor.values("sign-form")
    visitor.context.clear_cookies()
    visitor.press(f"#sign-form {SUBMIT}")
    assert visitor.page.locator(".error-summary li").count() == 1
    assert visitor.values("sign-form") == before
    visitor.press(f"#sign-form {SUBMIT}")
    assert visitor.path == f"/{lang}/sign/check-mail/", "pressed once more, as the page says"


@TRANSLATED
def test_an_old_page_of_the_desk_decides_nothing_and_keeps_the_note(
    centre: Centre, visit: Visit, lang: str, script: bool
) -> None:
    person = Person(lang=lang)
    observer = visit(lang=lang, script=script)
    observer.sign(person)
    confirm(observer, centre.postbox, person)
    reviewer = visit(staff=lang, script=script)
    reviewer.open_dossier(person)
    reviewer.page.locator("[name=action][value=decline]").check()
    reviewer.page.locator("[name=decline_reason]").select_option("other")
    reviewer.page.locator("[name=note]").fill("Қоңырау шалыңыз.")
    reviewer.page.locator("[name=csrf_token]").evaluate_all("(all) => all.forEach((one) => { one.value = 'old' })")
    reviewer.press(f".form:has([name=action]) {SUBMIT}")
    assert reviewer.page.locator(".error-summary li").count() == 1
    assert reviewer.page.locator("[name=note]").input_value() == "Қоңырау шалыңыз."
    reviewer.press(f".form:has([name=action]) {SUBMIT}")
    assert "Қоңырау шалыңыз." in text_of(centre.postbox.wait(person.email, "/sign/"))


def test_without_script_the_line_is_shown_at_the_press_of_a_button(visit: Visit, lang: str) -> None:
    visitor = visit(lang=lang, script=False)
    visitor.open(f"/{lang}/sign/")
    assert not visitor.page.locator("[data-preview]").is_visible()
    person = Person(lang=lang, kind="party", affiliation="other", display="short")
    visitor.fill(person)
    visitor.page.locator("[name=party_other]").fill("Жаңа партия")
    visitor.press("#sign-form [name=preview]")
    assert visitor.page.locator(".error-summary").count() == 0
    assert "Жаңа партия" in visitor.page.locator("[data-preview]").inner_text()


# ── a keyboard and nothing else ──────────────────────────────────────────────────────────────────────────────────────


def tab_to(visitor: Visitor, what: str) -> Locator:
    """Presses Tab until this has the focus; the focus is always to be seen."""
    target = visitor.page.locator(what).first
    for _press in range(MOST_TABS):
        visitor.page.keyboard.press("Tab")
        focused = visitor.page.locator(":focus")
        if focused.count():
            box = focused.bounding_box()
            assert box is not None, focused.evaluate("(one) => one.outerHTML")
            assert focused.evaluate(
                "(one) => [one, one.closest('label') ?? one].some((at) => getComputedStyle(at).outlineStyle != 'none')"
            ), f"focus is not to be seen: {focused.evaluate('(one) => one.outerHTML')}"
        if target.evaluate("(one) => one === document.activeElement"):
            return target
    raise AssertionError(f"{what} is not reached by Tab")


def press_key(visitor: Visitor, key: str) -> None:
    """A key that leads to another page."""
    with visitor.arriving():
        visitor.page.keyboard.press(key)


@TRANSLATED
def test_signing_needs_only_a_keyboard(centre: Centre, visit: Visit, lang: str, script: bool) -> None:
    person = Person(lang=lang)
    visitor = visit(lang=lang, script=script)
    visitor.open(f"/{lang}/sign/")
    keyboard = visitor.page.keyboard
    tab_to(visitor, ".skip")
    keyboard.press("Enter")
    tab_to(visitor, "[name=kind]")
    while not visitor.page.locator("[name=kind][value=independent]").is_checked():
        keyboard.press("ArrowDown")
    tab_to(visitor, "[name=full_name]")
    keyboard.insert_text(person.name)
    tab_to(visitor, "[name=region]")
    region = visitor.page.locator("[name=region]")
    presses = 0
    while region.input_value() != "KZ-75":
        keyboard.press("ArrowDown")
        presses += 1
        assert presses < 25
    tab_to(visitor, "[name=display]:checked")
    keyboard.press("ArrowDown")
    assert visitor.page.locator("[name=display][value=short]").is_checked()
    tab_to(visitor, "[name=email]")
    keyboard.insert_text(person.email)
    tab_to(visitor, f"[name=language][value={lang}]")
    for box in ("is_adult", "consent_processing", "consent_publication"):
        tab_to(visitor, f"[name={box}]")
        keyboard.press("Space")
        if box == "consent_processing":
            tab_to(visitor, "summary")
            keyboard.press("Enter")
            assert visitor.page.locator("details").first.get_attribute("open") is not None
    tab_to(visitor, f"#sign-form {SUBMIT}")
    press_key(visitor, "Enter")
    assert visitor.path == f"/{lang}/sign/check-mail/", visitor.main
    centre.postbox.wait(person.email, "/confirm/")


def test_enter_in_a_field_sends_the_form_and_does_not_change_the_language(visit: Visit) -> None:
    visitor = visit(lang="ru")
    visitor.open("/ru/sign/")
    visitor.fill(Person(lang="ru"))
    visitor.page.locator("[name=email]").focus()
    press_key(visitor, "Enter")
    assert visitor.path == "/ru/sign/check-mail/"


@pytest.mark.parametrize("lang", ["kk", "en"])
def test_reviewing_needs_only_a_keyboard(centre: Centre, visit: Visit, lang: str) -> None:
    people = [Person(lang="ru"), Person(lang="ru")]
    for person in people:
        observer = visit(lang="ru")
        observer.sign(person)
        confirm(observer, centre.postbox, person)
    reviewer = visit(staff=lang, size=DESKTOP)
    keyboard = reviewer.page.keyboard
    reviewer.open("/staff/")
    rows = reviewer.page.locator(".desk-row a[data-open]")
    place = [name.strip() for name in rows.all_inner_texts()].index(people[1].name)
    for row in (*range(place + 1), place - 1, place):
        keyboard.press("k" if row == place - 1 and focused_row(reviewer) == place else "j")
        assert focused_row(reviewer) == row
    assert reviewer.page.locator(":focus").inner_text() == people[1].name
    press_key(reviewer, "Enter")
    assert people[1].name in reviewer.page.locator("h1").inner_text()
    # On a Kazakh or Russian layout the same key types another letter; its place counts.
    reviewer.page.evaluate(
        "document.body.dispatchEvent(new KeyboardEvent('keydown', {key: 'ф', code: 'KeyA', bubbles: true}))"
    )
    assert reviewer.page.locator("[name=action][value=approve]").is_checked()
    keyboard.press("d")
    assert reviewer.page.locator("[name=action][value=decline]").is_checked()
    keyboard.press("a")
    assert reviewer.page.locator("[name=action][value=approve]").is_checked()
    tab_to(reviewer, "[name=note]")
    keyboard.press("d")
    assert reviewer.page.locator("[name=note]").input_value() == "d", "letters are letters while one types"
    keyboard.press("Backspace")
    tab_to(reviewer, f".form:has([name=action]) {SUBMIT}")
    press_key(reviewer, "Enter")
    centre.postbox.wait(people[1].email, "/entries/")
    reviewer.decide(people[0], "approve")


def focused_row(reviewer: Visitor) -> int:
    """Which row of the queue has the focus; -1 at first."""
    found: int = reviewer.page.evaluate("[...document.querySelectorAll('[data-open]')].indexOf(document.activeElement)")
    return found


def test_the_keys_of_the_desk_are_listed_and_can_be_switched_off(centre: Centre, visit: Visit) -> None:
    reviewer = visit(staff="en", size=DESKTOP)
    reviewer.open("/staff/")
    reviewer.page.keyboard.press("?")
    dialog = reviewer.page.locator("dialog[data-help]")
    assert dialog.is_visible()
    reviewer.page.locator("[data-help-toggle]").uncheck()
    reviewer.page.keyboard.press("Escape")
    assert not dialog.is_visible()
    reviewer.page.locator("h1").click()
    reviewer.page.keyboard.press("?")
    assert not dialog.is_visible()
