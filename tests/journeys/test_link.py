"""The personal link asked for again and renewed, and another address for mail, as a person does it."""

from __future__ import annotations

import pytest

from tests.journeys.conftest import TRANSLATED, Centre, Visit
from tests.journeys.test_one_signature import confirm
from tests.journeys.visitors import SUBMIT, Person
from tests.people import code_in, link_in

pytestmark = pytest.mark.journey


@TRANSLATED
def test_the_link_comes_again_is_renewed_and_moves_to_another_address(
    centre: Centre, visit: Visit, lang: str, script: bool
) -> None:
    person = Person(lang=lang)
    signer = visit(lang=lang, script=script)
    signer.sign(person)
    confirm(signer, centre.postbox, person)
    first = link_in(centre.postbox.wait(person.email, "/my/"), "/my/")

    known = len(centre.postbox.to(person.email))
    other = visit(lang=lang, script=script)
    other.open(f"/{lang}/my/")
    other.press("main a[href$='/my-link/']")
    for typed in ("nobody.knows@example.org", person.email):
        other.open(f"/{lang}/my-link/")
        other.page.locator("[name=email]").fill(typed)
        other.press(f"#ask-form {SUBMIT}")
        assert other.path == f"/{lang}/my-link/check-mail/"
    mail = centre.postbox.nth(person.email, known)
    assert link_in(mail, "/my/") == first
    assert centre.postbox.to("nobody.knows@example.org") == []

    # In the browser that signed two clicks are enough; the other one is shut out.
    other.open(first)
    assert person.name in other.main
    signer.open(f"/{lang}/my/")
    signer.press("main a[href$='/my/link/']")
    signer.press(f"#renew-form {SUBMIT}")
    assert signer.path == f"/{lang}/my/?fresh=renewed"
    assert person.name in signer.main
    other.open(f"/{lang}/my/")
    assert person.name not in other.main
    second = link_in(centre.postbox.nth(person.email, known + 1), "/my/")
    assert second != first

    # Another address, each side at a device of its own.
    moved = f"new.{person.email}"
    signer.press("main a[href$='/my/address/']")
    signer.page.locator("[name=email]").fill(moved)
    signer.press(f"#address-form {SUBMIT}")
    assert moved in signer.main
    for address in (moved, person.email):
        mail = centre.postbox.wait(address, "/my/address/")
        device = visit(lang=lang, script=script)
        device.open(link_in(mail, "/my/address/"))
        assert person.surname not in device.page.content()
        device.page.locator("[name=code]").fill(code_in(mail))
        device.press(f"#confirm-address-form {SUBMIT}")
        assert device.page.locator("#confirm-address-form").count() == 0
    third = link_in(centre.postbox.wait(moved, "/my/", count=2), "/my/")
    other.open(third)
    assert person.name in other.main
    assert moved in other.main
