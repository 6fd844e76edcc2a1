"""What can happen to a confirmed signature: refused, asked about, corrected, withdrawn; and two reviewers at once."""

from __future__ import annotations

import pytest

from tests.journeys.conftest import EACH_LANGUAGE, TRANSLATED, Centre, Visit
from tests.journeys.test_one_signature import confirm
from tests.journeys.visitors import SUBMIT, Person, Visitor
from tests.people import code_in, link_in, text_of

pytestmark = pytest.mark.journey


@pytest.fixture
def person(lang: str) -> Person:
    """Who signs."""
    return Person(lang=lang)


@pytest.fixture
def observer(centre: Centre, visit: Visit, person: Person, script: bool) -> Visitor:
    """The browser in which the signature was made and confirmed."""
    visitor: Visitor = visit(lang=person.lang, script=script)
    visitor.sign(person)
    confirm(visitor, centre.postbox, person)
    return visitor


@pytest.fixture
def reviewer(visit: Visit, lang: str, script: bool) -> Visitor:
    """Somebody at the desk."""
    visitor: Visitor = visit(staff=lang, script=script)
    return visitor


@EACH_LANGUAGE
def test_declining_tells_the_reason_and_publishes_no_name(
    centre: Centre, observer: Visitor, reviewer: Visitor, visit: Visit, person: Person
) -> None:
    reviewer.open_dossier(person)
    reviewer.page.locator("[name=action][value=decline]").check()
    reviewer.press(f".form:has([name=action]) {SUBMIT}")
    assert reviewer.page.locator(".error-summary a").count() == 1, "a reason is required"
    note = "Позвоните нам, пожалуйста."
    reviewer.page.locator("[name=decline_reason]").select_option("other")
    reviewer.page.locator("[name=note]").fill(note)
    reviewer.press("[name=preview]")
    assert note in reviewer.page.locator("#mail-preview").inner_text()
    reviewer.press(f".form:has([name=action]) {SUBMIT}")
    assert note in text_of(centre.postbox.wait(person.email, "/sign/"))
    observer.open(f"/{person.lang}/my/")
    assert note in observer.main
    reader = visit(lang=person.lang)
    reader.open(f"/{person.lang}/registry/")
    assert person.surname not in reader.page.content()


@EACH_LANGUAGE
def test_a_question_goes_out_and_the_answer_brings_it_back(
    centre: Centre, observer: Visitor, reviewer: Visitor, visit: Visit, person: Person
) -> None:
    reviewer.decide(person, "ask", reason="region-unclear", note="Алматы немесе облыс?")
    mail = centre.postbox.wait(person.email, "Алматы немесе облыс?")
    observer.open(link_in(mail, "/my/"))
    assert "Алматы немесе облыс?" in observer.main
    observer.press(f"#answer-form {SUBMIT}")
    assert observer.page.locator(".error-summary a").count() == 1, "an empty answer"
    observer.page.locator("#answer").fill("Город Алматы.\nСпасибо!")
    observer.press(f"#answer-form {SUBMIT}")
    assert observer.path == f"/{person.lang}/my/?fresh=answered"
    reviewer.open_dossier(person)
    assert "Город Алматы." in reviewer.main
    reviewer.decide(person, "approve")
    centre.postbox.wait(person.email, "/entries/")
    visit(lang=person.lang).until(f"/{person.lang}/registry/", person.name)


@EACH_LANGUAGE
def test_withdrawing_in_the_signing_browser_takes_two_clicks(
    centre: Centre, observer: Visitor, reviewer: Visitor, visit: Visit, person: Person
) -> None:
    reviewer.decide(person, "approve")
    entry = link_in(centre.postbox.wait(person.email, "/entries/"), "/entries/")
    observer.open(f"/{person.lang}/my/")
    observer.press("main a[href$='/my/withdraw/']")
    observer.press("#withdraw-form button.danger")
    assert observer.path.startswith(f"/{person.lang}/my/")
    reader = visit(lang=person.lang)
    reader.until(entry, person.surname, there=False)
    reader.open(f"/{person.lang}/registry/")
    assert person.surname not in reader.page.content()
    assert reader.page.locator(f'tr.ended a[href$="{entry}"]').count() == 1, "the line stays, without the name"
    centre.postbox.wait(person.email, f"/{person.lang}/sign/")
    observer.open(f"/{person.lang}/my/")
    assert observer.page.locator("main a[href$='/my/withdraw/']").count() == 0


@TRANSLATED
def test_withdrawing_elsewhere_asks_for_a_fresh_code(
    centre: Centre, observer: Visitor, visit: Visit, person: Person, script: bool
) -> None:
    personal = link_in(centre.postbox.wait(person.email, "/my/"), "/my/")
    other = visit(lang=person.lang, script=script)
    other.open(personal)
    assert "/my/" in other.path
    assert personal not in other.page.url, "the secret leaves the address line"
    other.press("main a[href$='/my/withdraw/']")
    for wrong in ("", "000000", code_in(centre.postbox.wait(person.email, "/confirm/"))):
        other.page.locator("#code").fill(wrong)
        other.press("#withdraw-form button.danger")
        assert other.page.locator("#code").get_attribute("aria-invalid") == "true", wrong
    known = len(centre.postbox.to(person.email))
    other.press(f"#code-form {SUBMIT}")
    mail = centre.postbox.nth(person.email, known)
    other.page.locator("#code").fill(code_in(mail))
    other.press("#withdraw-form button.danger")
    assert other.path == f"/{person.lang}/my/?fresh=withdrawn"


@TRANSLATED
def test_a_detail_is_corrected_before_the_decision_and_never_after(
    centre: Centre, observer: Visitor, reviewer: Visitor, visit: Visit, person: Person
) -> None:
    observer.open(f"/{person.lang}/my/")
    observer.press("main a[href$='/my/edit/']")
    assert observer.page.locator("[name=full_name]").input_value() == person.name
    observer.page.locator("[name=full_name]").fill(f"{person.surname} <b>")
    observer.press(f"#edit-form {SUBMIT}")
    assert observer.page.locator(".error-summary a").count() == 1
    observer.page.locator("[name=full_name]").fill(f"{person.surname} Әлия")
    observer.page.locator("[name=region]").select_option("KZ-71")
    observer.press(f"#edit-form {SUBMIT}")
    assert observer.path == f"/{person.lang}/my/?fresh=corrected"
    reviewer.open_dossier(person)
    assert f"{person.surname} Әлия" in reviewer.main
    reviewer.decide(person, "approve")
    centre.postbox.wait(person.email, "/entries/")
    reader = visit(lang=person.lang)
    reader.until(f"/{person.lang}/registry/astana/", f"{person.surname} Әлия")
    observer.open(f"/{person.lang}/my/edit/")
    assert observer.path == f"/{person.lang}/my/", "published: nothing to correct any more"


@pytest.mark.parametrize(("lang", "script"), [("kk", True), ("ru", False)])
def test_of_two_reviewers_at_once_one_decides_and_the_other_is_told(
    centre: Centre, observer: Visitor, visit: Visit, person: Person, script: bool
) -> None:
    first, second = visit(staff="en", script=script), visit(staff="kk", script=script)
    first.open_dossier(person)
    second.open_dossier(person)
    for reviewer in (first, second):
        reviewer.page.locator("[name=action][value=approve]").check()
    first.press(f".form:has([name=action]) {SUBMIT}")
    second.press(f".form:has([name=action]) {SUBMIT}")
    assert "Bruno Weber" in second.page.locator(".notice.bad").inner_text()
    centre.postbox.wait(person.email, "/entries/")
