"""Passkeys in a real browser with a device in software: the Centre's people add one, come in by it, take it away."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, CDPSession

from tests.journeys.conftest import LANGUAGES, Centre, Visit
from tests.journeys.postbox import Postbox
from tests.journeys.test_every_page import look
from tests.journeys.test_way_in import sign_out
from tests.journeys.visitors import PASSWORD, SUBMIT, Member, Visitor
from tests.service import Service

pytestmark = pytest.mark.journey

LIST = "/staff/account/passkeys"
BUTTON = "#passkey-form button"
SAYS = "#passkey-form [role=alert]"


class NamedService(Service):
    """Reached by a name: browsers know no passkeys at an IP address, and count this name as safe without https."""

    def __init__(self, instance: Path) -> None:
        super().__init__(instance)
        self.url = f"http://localhost:{self.port}"
        self._environ |= {"CHARTER_PUBLIC_URL": self.url, "CHARTER_MAIL_TRANSPORT": "files"}


@pytest.fixture(scope="module")
def named(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Centre]:
    """A Centre with a host name, and Dana in it."""
    with Postbox() as postbox, NamedService(tmp_path_factory.mktemp("passkeys") / "instance") as service:
        centre = Centre(service, postbox)
        member = Member("Дана Ахметова", "dana@example.org", "kk")
        visitor = Visitor(browser, centre.url, lang="kk")
        member.join(visitor, centre.first_link)
        visitor.close()
        centre.members["kk"] = member
        yield centre
        assert service.stop()[0] == 0, service.output
        assert "Traceback" not in service.output, service.output


@pytest.fixture
def dana(named: Centre, visit: Visit) -> Iterator[Visitor]:
    """Her window, signed in."""
    visitor = visit(at=named, lang="kk", state=named.members["kk"].state)
    visitor.open("/staff/account")
    if visitor.path != "/staff/account":
        by_recovery_code(visitor, named.members["kk"])
    yield visitor
    named.members["kk"].state = visitor.context.storage_state()


def by_recovery_code(visitor: Visitor, member: Member) -> None:
    """Signs in without app and passkey, as often as a test needs."""
    member.give_password(visitor)
    visitor.press("main a[href$='/staff/recovery-code']")
    visitor.page.locator("#recovery-form [name=code]").fill(member.codes.pop())
    visitor.press(f"#recovery-form {SUBMIT}")
    # Or back to the page of one's own from which one was led away.
    assert visitor.path in {"/staff/", LIST}, visitor.main


def speak(visitor: Visitor, lang: str) -> None:
    """By the switch on every page."""
    visitor.open("/staff/account")
    visitor.press(f"form.langs [name=lang][value={lang}]")


class Device:
    """A device of this window that keeps passkeys, as Chromium makes believe (WebAuthn §11.3)."""

    def __init__(self, visitor: Visitor, **more: Any) -> None:
        self.session: CDPSession = visitor.context.new_cdp_session(visitor.page)
        self.session.send("WebAuthn.enable")
        options = {
            "protocol": "ctap2",
            "transport": "internal",
            "hasResidentKey": True,
            "hasUserVerification": True,
            "isUserVerified": True,
            "automaticPresenceSimulation": True,
        }
        self.id = self.session.send("WebAuthn.addVirtualAuthenticator", {"options": options | more})["authenticatorId"]

    def keys(self) -> list[dict[str, Any]]:
        """What it keeps."""
        found = self.session.send("WebAuthn.getCredentials", {"authenticatorId": self.id})
        return list(found["credentials"])

    def recognise(self, is_owner: bool) -> None:
        """Whether the finger that comes next is its owner's."""
        self.session.send("WebAuthn.setUserVerified", {"authenticatorId": self.id, "isUserVerified": is_owner})


def to_list(visitor: Visitor) -> None:
    """To the list, with the password if it is asked."""
    visitor.open("/staff/account")
    visitor.press(f"main a[href$='{LIST}']")
    if visitor.path == "/staff/password-check":
        visitor.page.locator("#password-form [name=password]").fill(PASSWORD)
        visitor.press(f"#password-form {SUBMIT}")
    assert visitor.path == LIST, visitor.main


def add(visitor: Visitor, name: str) -> None:
    """A passkey on whatever device there is."""
    to_list(visitor)
    visitor.page.locator("#passkey-form [name=name]").fill(name)
    visitor.press(BUTTON)
    assert visitor.path == LIST, visitor.main
    assert name in visitor.main


def test_a_passkey_is_added_opens_the_desk_and_opens_nothing_once_it_is_removed(named: Centre, dana: Visitor) -> None:
    member, visitor = named.members["kk"], dana
    device = Device(visitor)
    add(visitor, "Кеңсе компьютері")
    key = device.keys()[0]
    assert key["isResidentCredential"]
    assert key["rpId"] == "localhost"
    sign_out(visitor)
    visitor.press(BUTTON)
    assert visitor.path == "/staff/", visitor.main
    assert member.name in visitor.page.locator("footer").inner_text()
    sign_out(visitor)

    # The page that was asked for comes after, and the keyboard alone will do.
    visitor.open("/staff/mail/")
    visitor.page.locator(BUTTON).focus()
    with visitor.page.expect_event("domcontentloaded"):
        visitor.page.keyboard.press("Enter")
    visitor.page.wait_for_load_state()
    assert visitor.path == "/staff/mail/", visitor.main

    to_list(visitor)
    visitor.press("form[action$='/removal'] button")
    assert "Кеңсе компьютері" not in visitor.main
    sign_out(visitor)
    visitor.press(BUTTON)
    assert visitor.path.startswith("/staff/sign-in?next="), "back where one was"
    assert visitor.page.locator(".notice.bad").count() == 1
    visitor.press("form.langs [name=lang][value=en]")
    assert visitor.page.locator(BUTTON).is_visible()
    visitor.open("/staff/")
    assert visitor.path.startswith("/staff/sign-in")
    member.give_password(visitor)
    assert visitor.page.locator("#passkey-form").count() == 0, "there is none left to use instead"
    visitor.open("/staff/sign-in")
    by_recovery_code(visitor, member)


def test_after_the_password_a_passkey_stands_in_for_the_code(named: Centre, dana: Visitor) -> None:
    member, visitor = named.members["kk"], dana
    device = Device(visitor)
    add(visitor, "Телефон")
    sign_out(visitor)
    member.give_password(visitor)
    assert visitor.path == "/staff/second-factor"
    assert not look(visitor, "second-factor")
    device.recognise(False)
    visitor.page.locator(BUTTON).click()
    visitor.page.locator(SAYS).wait_for()
    assert visitor.path == "/staff/second-factor"
    device.recognise(True)
    visitor.press(BUTTON)
    assert visitor.path == "/staff/", visitor.main


def test_whatever_does_not_work_is_said_in_words(named: Centre, dana: Visitor) -> None:
    visitor, page = dana, dana.page
    speak(visitor, "en")
    device = Device(visitor)
    to_list(visitor)
    page.locator("#passkey-form [name=name]").press("Enter")
    page.locator(".error-summary").wait_for()
    assert not device.keys(), "no device is asked before there is a name"

    add(visitor, "First")
    page.locator("#passkey-form [name=name]").fill("Second")
    page.locator(BUTTON).click()
    page.locator(SAYS, has_text="already").wait_for()
    assert len(device.keys()) == 1
    device.session.send("WebAuthn.clearCredentials", {"authenticatorId": device.id})
    device.recognise(False)
    page.locator(BUTTON).click()
    page.locator(SAYS, has_text="cancelled").wait_for()

    # Signed out in another window meanwhile: the page leads to where one signs in.
    other = page.context.new_page()
    other.goto("/staff/account")
    other.locator("footer form button").first.click()
    other.wait_for_url("**/staff/sign-in")
    other.close()
    with page.expect_event("domcontentloaded"):
        page.locator(BUTTON).click()
    page.wait_for_load_state()
    assert visitor.path.startswith("/staff/sign-in"), visitor.main
    page.locator(BUTTON).click()
    page.locator(SAYS, has_text="no passkey for this site").wait_for()
    by_recovery_code(visitor, named.members["kk"])


def test_a_browser_without_passkeys_and_another_address_are_told_so(named: Centre, visit: Visit) -> None:
    old = visit(at=named, lang="en")
    old.page.add_init_script("delete window.PublicKeyCredential")
    old.open("/staff/sign-in")
    assert "cannot use passkeys" in old.page.locator(SAYS).inner_text()
    assert not old.page.locator(BUTTON).is_visible()
    elsewhere = visit(at=named, lang="en")
    elsewhere.base = named.url.replace("localhost", "127.0.0.1")
    elsewhere.open(elsewhere.base + "/staff/sign-in")
    assert named.url in elsewhere.page.locator(SAYS).inner_text()
    assert not elsewhere.page.locator(BUTTON).is_visible()


@pytest.mark.parametrize("lang", LANGUAGES)
def test_without_script_the_password_does_and_a_sentence_says_what_is_missing(
    named: Centre, visit: Visit, lang: str
) -> None:
    visitor = visit(at=named, lang=lang, script=False)
    visitor.open("/staff/sign-in")
    assert "JavaScript" in visitor.main
    assert not visitor.page.locator(BUTTON).is_visible()
    named.members["kk"].give_password(visitor)
    assert visitor.path == "/staff/second-factor", visitor.main


def test_at_an_ip_address_there_is_a_sentence_and_no_button(visit: Visit, centre: Centre) -> None:
    visitor = visit(lang="en")
    visitor.open("/staff/sign-in")
    assert centre.url in visitor.main
    assert visitor.page.locator("#passkey-form").count() == 0


def test_the_pages_with_passkeys_are_accessible_and_fit_a_narrow_screen(
    named: Centre, visit: Visit, dana: Visitor, lang: str
) -> None:
    stranger = visit(at=named, lang=lang)
    Device(stranger)
    stranger.open("/staff/sign-in")
    found = look(stranger, "sign-in")
    stranger.page.locator(BUTTON).click()
    stranger.page.locator(SAYS).wait_for()
    found += look(stranger, "sign-in-said")
    visitor = dana
    speak(visitor, lang)
    Device(visitor)
    add(visitor, "Бекмұхамбетқызының-қызметтік-ноутбугы-Қызылорда-облысы-2026")
    found += look(visitor, "passkeys")
    visitor.open("/staff/account")
    found += look(visitor, "account")
    assert not found, "\n".join(found)
