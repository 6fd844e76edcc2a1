"""The team in real browsers: invited by mail, joined with both factors, given another role by two, and held to it."""

from __future__ import annotations

import pytest

from tests.journeys.conftest import Centre, Visit
from tests.journeys.test_every_page import look
from tests.journeys.visitors import DESKTOP, SUBMIT, Member
from tests.people import text_of

pytestmark = pytest.mark.journey


@pytest.mark.parametrize(("lang", "script"), [("kk", True), ("ru", False)], ids=["with script", "without script"])
def test_a_reviewer_is_invited_joins_and_becomes_an_editor_by_two_administrators(
    centre: Centre, visit: Visit, lang: str, script: bool
) -> None:
    name, address = f"Ақерке Сейтқали {lang}", f"akerke-{lang}@example.org"
    bruno = visit(staff="en", script=script, size=DESKTOP)
    link = centre.ask(bruno, name, address, lang)
    page = bruno.path
    newcomer = Member(name, address, lang)
    akerke = visit(lang=lang, script=script, size=DESKTOP)
    newcomer.join(akerke, link)
    told = centre.postbox.wait(address, "/staff/account")
    assert "127.0.0.1" not in text_of(told).replace(centre.url, ""), "no address of a network in a mail"
    akerke.open("/staff/letters/")
    assert akerke.path == "/staff/letters/"

    bruno.open(page)
    bruno.page.locator("#role-form [name=role][value=editor]").check()
    bruno.page.locator("#role-form [name=reason]").fill("She keeps the lists from now on.")
    bruno.press(f"#role-form {SUBMIT}")
    proposal = bruno.path
    assert proposal.startswith("/staff/proposals/"), bruno.main
    assert bruno.page.locator("#approve-form").count() == 0, "not one's own"
    akerke.open("/staff/letters/")
    assert akerke.path == "/staff/letters/", "nothing has changed yet"

    dana = visit(staff="kk", script=script, size=DESKTOP)
    dana.open(proposal)
    assert name in dana.main
    dana.press(f"#approve-form {SUBMIT}")

    refused = akerke.open("/staff/letters/")
    assert refused.status == 403
    assert "Bruno Weber" in akerke.main, "whom to ask"
    assert akerke.page.locator("nav a[href='/staff/letters/']").count() == 0
    found = look(akerke, f"refused-{lang}") if script else []
    bruno.open(page)
    bruno.press("form[action$='/deactivation'] button")
    akerke.open("/staff/")
    assert akerke.path.startswith("/staff/sign-in"), "out with the next request"
    assert not found, "\n".join(found)
