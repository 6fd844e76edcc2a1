"""A published entry in its signatory's hands: corrected, shown less, taken along as a certificate; and "not me"."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.journeys.conftest import TRANSLATED, Centre, Visit
from tests.journeys.test_one_signature import confirm
from tests.journeys.visitors import SUBMIT, Person
from tests.people import code_in, link_in

pytestmark = pytest.mark.journey


@TRANSLATED
def test_an_entry_is_corrected_under_its_number_shown_less_and_left_with_a_reason(
    centre: Centre, visit: Visit, lang: str, script: bool, tmp_path: Path
) -> None:
    person = Person(lang=lang)
    signer = visit(lang=lang, script=script)
    signer.sign(person)
    confirm(signer, centre.postbox, person)
    reviewer = visit(staff=lang, script=script)
    reviewer.decide(person, "approve")
    entry = link_in(centre.postbox.wait(person.email, "/registry/entries/"), "/registry/entries/")
    reader = visit(lang=lang, script=script)
    reader.until(entry, person.name)
    number = reader.page.locator("h1").inner_text()

    known = len(centre.postbox.to(person.email))
    signer.open(f"/{lang}/my/")
    signer.press("main a[href$='/my/correction/']")
    renamed = f"{person.surname} Әлия"
    signer.page.locator("[name=full_name]").fill(renamed)
    signer.press(f"#correction-form {SUBMIT}")
    assert signer.path == f"/{lang}/my/?fresh=correction"
    reader.open(entry)
    assert person.name in reader.main, "not before the answer"
    reviewer.open("/staff/corrections/")
    reviewer.press(reviewer.page.locator(".desk-row a", has_text=person.surname))
    reviewer.page.locator("[name=action][value=approve]").check()
    reviewer.press(f"#answer-form {SUBMIT}")
    assert entry in link_in(centre.postbox.nth(person.email, known), "/registry/entries/")
    reader.until(entry, renamed)
    assert reader.page.locator("h1").inner_text().replace(renamed, person.name) == number

    # A certificate in each language, and the picture without a name.
    signer.until(f"/{lang}/my/", "PDF")
    for path, start in [(f"/{code}/my/certificate/", b"%PDF-") for code in ("kk", "ru", "en")] + [
        (f"/{lang}/my/picture/?name=none", b"\x89PNG")
    ]:
        with signer.page.expect_download() as coming:
            signer.page.locator(f"main a[href='{path}']").click()
        coming.value.save_as(tmp_path / "file")
        assert (tmp_path / "file").read_bytes().startswith(start), path

    signer.open(f"/{lang}/my/display/")
    signer.page.locator("[name=display][value=unlisted]").check()
    signer.press(f"#display-form {SUBMIT}")
    assert signer.path == f"/{lang}/my/?fresh=shown"
    reader.until(entry, person.surname, there=False)
    signer.press("main a[href$='/my/withdraw/']")
    signer.page.locator("[name=reason]").select_option("name-public")
    signer.press("#withdraw-form button.danger")
    assert signer.path == f"/{lang}/my/?fresh=withdrawn"
    reviewer.open("/staff/letters/")
    assert person.surname not in reviewer.main, "the reason is counted beside nobody's name"


@TRANSLATED
def test_who_was_signed_by_a_stranger_ends_it_elsewhere_with_the_code(
    centre: Centre, visit: Visit, lang: str, script: bool
) -> None:
    person = Person(lang=lang)
    visit(lang=lang, script=script).sign(person)
    mail = centre.postbox.wait(person.email, "/not-me/")
    owner = visit(lang=lang, script=script)
    owner.open(link_in(mail, "/not-me/"))
    assert person.surname not in owner.main
    owner.press(f"#not-me-form {SUBMIT}")
    assert owner.page.locator("#code").get_attribute("aria-invalid") == "true"
    owner.page.locator("#code").fill(code_in(mail))
    owner.press(f"#not-me-form {SUBMIT}")
    assert owner.page.locator("#not-me-form").count() == 0
    owner.open(link_in(mail, "/confirm/"))
    assert owner.page.locator("#confirm-form").count() == 0, "nothing is left to confirm"
