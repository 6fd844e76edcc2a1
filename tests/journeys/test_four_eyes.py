"""Two persons in two browsers: one proposes to remove an entry, the other approves, and everybody can check it."""

from __future__ import annotations

import pytest

from tests.journeys.conftest import Centre, Visit
from tests.journeys.test_one_signature import confirm
from tests.journeys.visitors import DESKTOP, SUBMIT, Member, Person, Visitor
from tests.people import link_in, text_of

pytestmark = pytest.mark.journey


def at_the_desk(visit: Visit, member: Member, *, script: bool) -> Visitor:
    """Somebody of the Centre, who gives the code once more where that is asked for."""
    visitor = visit(staff=member.lang, script=script, size=DESKTOP)
    visitor.open("/staff/second-factor/again?next=/staff/proposals/")
    if visitor.page.locator("#again-form").count():
        visitor.page.locator("#again-form [name=code]").fill(member.code())
        visitor.press(f"#again-form {SUBMIT}")
    return visitor


def test_bruno_proposes_dana_approves_and_the_registry_the_mail_and_the_log_say_it(
    centre: Centre, visit: Visit
) -> None:
    person = Person(lang="ru")
    signer = visit(lang="ru", script=False)
    signer.sign(person)
    confirm(signer, centre.postbox, person)
    bruno = at_the_desk(visit, centre.members["en"], script=True)
    bruno.open_dossier(person)
    dossier = bruno.path
    bruno.decide(person, "approve")
    mail = centre.postbox.wait(person.email, "/registry/entries/")
    entry = link_in(mail, "/entries/")
    reader = visit(lang="en")
    reader.until(entry.replace("/ru/", "/en/"), person.name)

    bruno.open(dossier)
    bruno.press("a[href$='/revoke/']")
    bruno.press(f"#revoke-form {SUBMIT}")
    assert bruno.page.locator(".error-summary a").count() == 2, "a reason and words are needed"
    bruno.page.locator("[name=reason]").select_option("court-order")
    bruno.page.locator("[name=words]").fill("Decision 2-117 of 19 November.")
    bruno.press(f"#revoke-form {SUBMIT}")
    proposal = bruno.path
    assert proposal.startswith("/staff/proposals/")
    assert bruno.page.locator("#approve-form").count() == 0, "not one's own"
    told = centre.postbox.wait("dana@example.org", "/staff/proposals/")
    assert person.surname not in text_of(told)

    dana = at_the_desk(visit, centre.members["kk"], script=False)
    dana.open("/staff/proposals/")
    dana.press(dana.page.locator(f".desk-row a[href='{proposal}']"))
    assert person.name in dana.main
    assert "Decision 2-117" in dana.main
    dana.press(f"#approve-form {SUBMIT}")
    assert dana.page.locator("#approve-form").count() == 0, dana.main

    removed = centre.postbox.wait(person.email, "исключил из реестра")
    signer.open(link_in(removed, "/my/"))
    assert "исключил вашу запись" in signer.main
    assert signer.page.locator("main a[href$='/my/objection/']").count() == 1
    reader.until(entry.replace("/ru/", "/en/"), "Removed from the registry by the Centre")
    assert "by order of a court" in reader.main
    assert person.surname not in reader.main
    reader.open(f"/en/verify/?entry={entry.rpartition('/')[2]}")
    assert "by order of a court" in reader.main
