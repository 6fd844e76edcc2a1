"""One signature, all the way, in a real browser: signed, confirmed by mail, decided, found in the registry."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Browser

from tests.journeys.conftest import Centre, Visit, open_centre
from tests.journeys.postbox import Postbox
from tests.journeys.visitors import DESKTOP, PHONE, SUBMIT, Member, Person, Visitor
from tests.people import code_in, link_in, text_of

pytestmark = pytest.mark.journey


def confirm(visitor: Visitor, postbox: Postbox, person: Person) -> str:
    """By the link in the mail, in the browser that signed; returns the personal link."""
    visitor.open(link_in(postbox.wait(person.email, "/confirm/"), "/confirm/"))
    assert person.name in visitor.main
    visitor.press(f"#confirm-form {SUBMIT}")
    assert visitor.path.startswith(f"/{person.lang}/my/"), visitor.main
    return link_in(postbox.wait(person.email, "/my/"), "/my/")


def go_all_the_way(observer: Visitor, reviewer: Visitor, public: Visitor, postbox: Postbox, person: Person) -> str:
    """From the form to the registry; returns the personal link."""
    observer.sign(person)
    personal = confirm(observer, postbox, person)
    reviewer.decide(person, "approve")
    published = postbox.wait(person.email, "/registry/entries/")
    public.open(f"/{person.lang}/")
    public.press("#main ~ footer a, nav.nav a >> nth=1")
    public.until(f"/{person.lang}/registry/", person.name)
    public.press(public.page.locator("main a", has_text=person.name))
    assert public.path == link_in(published, "/registry/entries/")
    public.open(f"/{person.lang}/registry/almaty/")
    assert person.name in public.main
    public.open(f"/{person.lang}/registry/astana/")
    assert person.name not in public.main
    return personal


def test_from_the_form_to_the_registry_on_a_phone(centre: Centre, visit: Visit, lang: str, script: bool) -> None:
    person = Person(lang=lang)
    observer = visit(lang=lang, script=script, size=PHONE)
    go_all_the_way(
        observer, visit(staff=lang, script=script, size=PHONE), visit(lang=lang, script=script), centre.postbox, person
    )
    observer.open(f"/{lang}/my/")
    observer.press("main .lead a")
    assert person.name in observer.main
