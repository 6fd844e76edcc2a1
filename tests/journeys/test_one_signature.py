"""One signature, all the way, in a real browser: signed, confirmed by mail, decided, found in the registry."""

from __future__ import annotations

import email.utils
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from tests.journeys.conftest import EACH_LANGUAGE, TRANSLATED, Centre, Visit, open_centre
from tests.journeys.postbox import Postbox, links_of
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


def go_all_the_way(observer: Visitor, reviewer: Visitor, public: Visitor, postbox: Postbox, person: Person) -> None:
    """From the form to the registry."""
    observer.sign(person)
    confirm(observer, postbox, person)
    reviewer.decide(person, "approve")
    published = postbox.wait(person.email, "/registry/entries/")
    public.until(f"/{person.lang}/registry/", person.name)
    public.press(public.page.locator("main a", has_text=person.name))
    assert public.path == link_in(published, "/registry/entries/")
    public.open(f"/{person.lang}/registry/almaty/")
    assert person.name in public.main
    public.open(f"/{person.lang}/registry/astana/")
    assert person.name not in public.main


@EACH_LANGUAGE
def test_from_the_form_to_the_registry_on_a_phone(centre: Centre, visit: Visit, lang: str, script: bool) -> None:
    person = Person(lang=lang)
    observer = visit(lang=lang, script=script)
    reviewer = visit(staff=lang, script=script)
    go_all_the_way(observer, reviewer, visit(lang=lang, script=script), centre.postbox, person)
    observer.open(f"/{lang}/my/")
    observer.press("main .lead a")
    assert person.name in observer.main
    check_mails(centre, person)


def check_mails(centre: Centre, person: Person) -> None:
    """Three, each in the person's language, as text and HTML, with no word that a stranger typed."""
    mails = centre.postbox.to(person.email)
    assert len(mails) == 3
    assert len({mail["Message-ID"] for mail in mails}) == 3
    for mail in mails:
        assert mail["To"] == person.email
        assert email.utils.parseaddr(mail["From"])[1] == "charter@localhost"
        assert mail["Auto-Submitted"] == "auto-generated"
        assert mail["Content-Language"] == person.lang
        assert person.surname not in text_of(mail)
        assert links_of(mail)
        assert all(link.startswith(f"{centre.url}/{person.lang}/") for link in links_of(mail)), links_of(mail)


def test_from_the_home_page_at_a_desk_by_links_alone(centre: Centre, visit: Visit) -> None:
    lang = "kk"
    person = Person(lang=lang, kind="party", affiliation="amanat", display="short", region="KZ-79")
    observer = visit(lang=lang, size=DESKTOP)
    observer.open("/")
    assert observer.path == f"/{lang}/"
    observer.press("main a.button")
    assert observer.path == f"/{lang}/sign/"
    observer.fill(person)
    assert observer.page.locator("[name=short_name]").input_value() == f"{person.surname} Ә."
    assert f"{person.surname} Ә." in observer.page.locator("[data-preview]").inner_text()
    observer.press(f"#sign-form {SUBMIT}")
    confirm(observer, centre.postbox, person)
    reviewer = visit(staff="en", size=DESKTOP)
    reviewer.decide(person, "approve")
    centre.postbox.wait(person.email, "/registry/entries/")
    reader = visit(lang=lang, size=DESKTOP)
    reader.open(f"/{lang}/")
    reader.press("nav.nav a[href*=registry]")
    reader.page.locator("form.filters summary").click()
    reader.page.locator("#region").select_option("shymkent")
    reader.page.locator("#kind").select_option("party")
    reader.press(f"form.filters {SUBMIT}")
    assert f"{person.surname} Ә." in reader.main
    assert person.name not in reader.page.content()


def test_the_same_on_postgresql(
    browser: Browser, visit: Visit, centre: Centre, postgres_database: str, tmp_path: Path
) -> None:
    with open_centre(tmp_path / "instance", database_url=postgres_database) as other:
        member = Member("Бруно Сейітов", "bruno@example.org", "kk")
        member.join(visit(at=other, lang="kk"), other.first_link)
        other.members["kk"] = member
        observer, reader = visit(at=other, lang="kk"), visit(at=other, lang="kk")
        go_all_the_way(observer, visit(at=other, staff="kk"), reader, other.postbox, Person(lang="kk"))


@TRANSLATED
def test_another_browser_asks_for_the_code_from_the_mail(centre: Centre, visit: Visit, lang: str, script: bool) -> None:
    person = Person(lang=lang)
    visit(lang=lang, script=script).sign(person)
    mail = centre.postbox.wait(person.email, "/confirm/")
    other = visit(lang=lang, script=script)
    other.open(link_in(mail, "/confirm/"))
    other.press(f"#confirm-form {SUBMIT}")
    assert other.page.locator("#code").get_attribute("aria-invalid") == "true"
    code = code_in(mail)
    other.page.locator("#code").fill(f"{code[:3]} {code[3:]}")
    other.press(f"#confirm-form {SUBMIT}")
    assert other.path == f"/{lang}/my/?fresh=confirmed"


def test_two_people_sign_with_one_address(centre: Centre, visit: Visit) -> None:
    first = Person(lang="kk")
    second = Person(lang="ru", email=first.email)
    browsers = [visit(lang="kk"), visit(lang="ru", script=False)]
    reviewer = visit(staff="ru")
    for place, (visitor, person) in enumerate(zip(browsers, (first, second), strict=True), start=1):
        visitor.sign(person)
        visitor.open(link_in(centre.postbox.wait(first.email, "/confirm/", count=place), "/confirm/"))
        assert person.name in visitor.main
        visitor.press(f"#confirm-form {SUBMIT}")
        centre.postbox.wait(first.email, "/my/", count=place)
    for visitor, mine, other in ((browsers[0], first, second), (browsers[1], second, first)):
        visitor.open(f"/{mine.lang}/my/")
        assert mine.name in visitor.main
        assert other.surname not in visitor.main
    reviewer.open_dossier(first)
    assert second.name in reviewer.main
    for person in (first, second):
        reviewer.decide(person, "approve")
    centre.postbox.wait(first.email, "/entries/", count=2)
    reader = visit(lang="en")
    reader.until("/en/registry/", first.name)
    assert second.name in reader.main


def test_signing_once_more_changes_nothing_and_the_page_does_not_tell(centre: Centre, visit: Visit) -> None:
    person = Person(lang="ru")
    observer = visit(lang="ru")
    observer.sign(person)
    said = observer.main
    confirm(observer, centre.postbox, person)
    stranger = visit(lang="ru")
    stranger.sign(person)
    assert stranger.main == said
    again = centre.postbox.wait(person.email, "/my/", count=2)
    assert "/confirm/" not in text_of(again)
    assert link_in(again, "/my/")


def test_an_ended_link_and_an_unknown_one_are_one_page(centre: Centre, visit: Visit, lang: str) -> None:
    visitor = visit(lang=lang, size=PHONE)
    assert visitor.open(f"/{lang}/confirm/{'A' * 43}").status == 404
    unknown = visitor.main
    assert visitor.open(f"/{lang}/confirm/{'_' * 20}").status == 404
    assert visitor.main == unknown
    visitor.press("main a.button")
    assert visitor.path == f"/{lang}/sign/"
