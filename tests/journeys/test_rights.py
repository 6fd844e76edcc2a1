"""Rights as a person uses them in a browser: objecting until one stands in the registry, taking all data, erasing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.journeys.conftest import TRANSLATED, Centre, Visit
from tests.journeys.test_one_signature import confirm
from tests.journeys.visitors import SUBMIT, Person
from tests.people import code_in, link_in, text_of

pytestmark = pytest.mark.journey

#: Who declines where somebody signs in this language; another one answers the objection.
FIRST = {"kk": "ru", "ru": "en", "en": "kk"}


@TRANSLATED
def test_a_declined_application_is_objected_to_taken_up_again_and_published(
    centre: Centre, visit: Visit, lang: str, script: bool
) -> None:
    person = Person(lang=lang)
    signer = visit(lang=lang, script=script)
    signer.sign(person)
    first_link = confirm(signer, centre.postbox, person)
    first = visit(staff=FIRST[lang], script=script)
    first.decide(person, "decline", reason="not-an-observer")
    centre.postbox.wait(person.email, f"/{lang}/sign/")

    known = len(centre.postbox.to(person.email))
    signer.open(f"/{lang}/my/")
    signer.press("main a[href$='/my/objection/']")
    signer.press(f"#objection-form {SUBMIT}")
    assert signer.page.locator(".error-summary a").count() == 1, "words are needed"
    said = f"Мен байқаушымын, {person.surname}."
    signer.page.locator("[name=words]").fill(said)
    signer.press(f"#objection-form {SUBMIT}")
    assert signer.path == f"/{lang}/my/?fresh=objected"
    assert said in signer.main
    assert signer.page.locator("main a[href$='/my/objection/']").count() == 0, "once"
    assert said not in text_of(centre.postbox.nth(person.email, known))

    # Whoever decided finds no form; a colleague does.
    first.open("/staff/objections/")
    first.press(first.page.locator(".desk-row a", has_text=person.surname))
    assert said in first.main
    assert first.page.locator("#answer-form").count() == 0
    second = visit(staff=lang, script=script)
    second.open("/staff/objections/")
    second.press(second.page.locator(".desk-row a", has_text=person.surname))
    second.page.locator("[name=verdict][value=upheld]").check()
    second.page.locator("[name=answer]").fill("Дұрыс.")
    second.press("[name=preview]")
    assert "Дұрыс." in second.page.locator("#mail-preview").inner_text()
    second.press(f"#answer-form {SUBMIT}")
    assert second.page.locator(".error-summary").count() == 0, second.main

    mail = centre.postbox.nth(person.email, known + 1)
    assert "Дұрыс." in text_of(mail)
    second_link = link_in(mail, "/my/")
    assert second_link != first_link
    signer.open(second_link)
    assert person.name in signer.main
    first.decide(person, "approve")
    centre.postbox.wait(person.email, "/registry/entries/")
    reader = visit(lang=lang, script=script)
    reader.until(f"/{lang}/registry/", person.name)
    # What was declined stays declined, on a page of its own.
    signer.open(first_link)
    assert said in signer.main
    assert signer.page.locator("main .lead a").count() == 0


@TRANSLATED
def test_all_data_are_taken_along_and_everything_is_erased_from_another_browser(
    centre: Centre, visit: Visit, lang: str, script: bool, tmp_path: Path
) -> None:
    person = Person(lang=lang)
    signer = visit(lang=lang, script=script)
    signer.sign(person)
    link = confirm(signer, centre.postbox, person)
    visit(staff=lang, script=script).decide(person, "approve")
    published = centre.postbox.wait(person.email, "/registry/entries/")
    entry = link_in(published, "/registry/entries/")
    reader = visit(lang=lang)
    reader.until(entry, person.name)

    # Where one signed, without a code.
    signer.open(f"/{lang}/my/")
    signer.press("main a[href$='/my/data/']")
    signer.press(f"#data-form {SUBMIT}")
    assert person.email in signer.main
    with signer.page.expect_download() as coming:
        signer.page.locator("main a[download='charter-data.json']").click()
    path = tmp_path / "data.json"
    coming.value.save_as(path)
    assert json.loads(path.read_text("utf-8"))["application"]["full_name"] == person.name

    # Elsewhere the link alone does neither.
    other = visit(lang=lang, script=script)
    other.open(link)
    other.press("main a[href$='/my/data/']")
    other.press(f"#data-form {SUBMIT}")
    assert person.email not in other.main
    other.open(f"/{lang}/my/")
    other.press("main a[href$='/my/erase/']")
    other.press("#erase-form button.danger")
    assert other.page.locator("#code").get_attribute("aria-invalid") == "true"
    known = len(centre.postbox.to(person.email))
    other.press(f"#code-form {SUBMIT}")
    other.page.locator("#code").fill(code_in(centre.postbox.nth(person.email, known)))
    other.press("#erase-form button.danger")
    assert other.path == f"/{lang}/my/erased/"
    reader.until(entry, person.surname, there=False)
    last = centre.postbox.nth(person.email, known + 1)
    assert "/my/" not in text_of(last)
    for browser in (signer, other):
        browser.open(link)
        assert person.surname not in browser.page.content()
