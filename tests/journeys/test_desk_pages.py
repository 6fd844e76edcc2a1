"""Every page of the desk in a real browser: all that there is, found in the map of addresses, in three languages."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from playwright.sync_api import Browser as Chromium
from sqlalchemy import select
from werkzeug.serving import WSGIRequestHandler, make_server

from charter.models.signature import Signature
from tests.house.world import World, rules
from tests.journeys.conftest import LANGUAGES
from tests.journeys.test_every_page import look
from tests.journeys.visitors import DESKTOP, PHONE, Visitor

pytestmark = [pytest.mark.journey, pytest.mark.parametrize("engine_name", ["sqlite"], indirect=True)]

#: They end the session, or lead somewhere else by what they are for.
ELSEWHERE = {"staff_auth.sign_in", "staff_auth.login", "staff_auth.two_factor_token_validation"}


class _Quiet(WSGIRequestHandler):
    def log(self, _type: str, _message: str, *_args: object) -> None:
        """The application says itself what was asked."""


@dataclass(frozen=True)
class Desktop:
    """The world's application at an address of its own, in this process and so by its clock."""

    world: World
    url: str
    chromium: Chromium

    def visit(self, lang: str, *, size: tuple[int, int] = DESKTOP, script: bool = True, dark: bool = False) -> Visitor:
        """Bruno at a window of his own, signed in."""
        client = self.world.colleague().client
        with client.session_transaction() as session:
            session["staff_language"] = lang
        cookies = [
            {"name": one.key, "value": one.value, "domain": "127.0.0.1", "path": one.path, "expires": -1}
            | {"httpOnly": True, "secure": False, "sameSite": "Lax"}
            for one in (client._cookies or {}).values()
        ]
        state = {"cookies": cookies, "origins": []}
        more = {"lang": lang, "size": size, "script": script, "dark": dark}
        return Visitor(self.chromium, self.url, state=state, **more)  # type: ignore[arg-type]

    def pages(self) -> Iterator[tuple[str, str]]:
        """(name, address) of every page of the desk that answers Bruno with a page."""
        client = self.world.colleague().client
        for rule in rules(self.world.app, "GET"):
            if rule.rule.startswith("/staff") and rule.endpoint not in ELSEWHERE:
                address = self.world.address(rule)
                answer = client.get(address)
                assert answer.status_code < 500, rule
                if answer.status_code == 200 and answer.mimetype == "text/html":
                    yield rule.endpoint.partition(".")[2], address


@pytest.fixture
def desktop(world: World, browser: Chromium) -> Iterator[Desktop]:
    """Served while a test lasts."""
    server = make_server("127.0.0.1", 0, world.app, threaded=True, request_handler=_Quiet)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield Desktop(world, f"http://127.0.0.1:{server.server_port}", browser)
    server.shutdown()
    thread.join()
    server.server_close()


def test_every_page_of_the_desk_is_accessible_and_fits_a_narrow_screen_in_three_languages(desktop: Desktop) -> None:
    pages = list(desktop.pages())
    assert len({name for name, _address in pages}) > 30
    visitors = {lang: desktop.visit(lang, size=PHONE) for lang in LANGUAGES}
    found = []
    for place, (name, address) in enumerate(pages):
        for turn, lang in enumerate(LANGUAGES):
            visitor = visitors[lang]
            visitor.page.goto(address)
            assert visitor.page.locator("html").get_attribute("lang") == lang, name
            found += [f"{name} ({lang}): {one}" for one in visitor.problems]
            visitor.problems.clear()
            if visitor.page.locator("h1").count() != 1:
                found.append(f"{name} ({lang}): not one heading")
            if visitor.width() > PHONE[0]:
                found.append(f"{name} ({lang}): {visitor.width()} px wide {visitor.too_wide()}")
            if place % len(LANGUAGES) == turn:
                # One template, three languages: each page is looked at by all rules in one of them.
                found += look(visitor, f"{name} ({lang})")
                visitor.page.set_viewport_size({"width": PHONE[0], "height": PHONE[1]})
    for visitor in visitors.values():
        visitor.close()
    assert not found, "\n".join(found)


def tab_to(visitor: Visitor, selector: str) -> None:
    """By the Tab key alone, as somebody without a mouse; what has the focus can be seen to have it."""
    for _ in range(80):
        visitor.page.keyboard.press("Tab")
        if visitor.page.evaluate("(which) => document.activeElement.matches(which)", selector):
            outline = visitor.page.evaluate(
                "() => { const one = document.activeElement;"
                " return getComputedStyle(one.closest('.choice') ?? one).outlineStyle }"
            )
            assert outline != "none", selector
            return
    raise AssertionError(f"Tab does not lead to {selector}: {visitor.main}")


def press(visitor: Visitor, key: str) -> None:
    """A key that leads to another page."""
    with visitor.arriving():
        visitor.page.keyboard.press(key)


def test_an_application_is_decided_and_the_decision_taken_back_with_the_keys_of_the_desk(desktop: Desktop) -> None:
    visitor = desktop.visit("kk")
    visitor.open("/staff/")
    visitor.page.keyboard.press("j")
    press(visitor, "Enter")
    assert visitor.path.startswith(f"/staff/review/{desktop.world.signature_id('waiting')}/")
    visitor.page.keyboard.press("a")
    assert visitor.page.locator("[name=action][value=approve]").is_checked()
    tab_to(visitor, ".form:has([name=action]) button:not([name])")
    press(visitor, "Enter")
    state = desktop.world.scalar(select(Signature.state).where(Signature.full_name == "Тимур Ждущий"))
    assert state == "approved"
    press(visitor, "u")
    assert visitor.path.startswith(f"/staff/review/{desktop.world.signature_id('waiting')}/")
    state = desktop.world.scalar(select(Signature.state).where(Signature.full_name == "Тимур Ждущий"))
    assert state == "confirmed"
    visitor.close()


def test_the_same_goes_by_tab_alone_and_without_script(desktop: Desktop) -> None:
    visitor = desktop.visit("ru", script=False)
    visitor.open("/staff/")
    tab_to(visitor, "main a[href^='/staff/review/']")
    press(visitor, "Enter")
    tab_to(visitor, "[name=action]")
    visitor.page.keyboard.press("Space")
    assert visitor.page.locator("[name=action][value=approve]").is_checked()
    tab_to(visitor, ".form:has([name=action]) button:not([name])")
    press(visitor, "Enter")
    tab_to(visitor, "form[action*='/undo'] button")
    press(visitor, "Enter")
    state = desktop.world.scalar(select(Signature.state).where(Signature.full_name == "Тимур Ждущий"))
    assert state == "confirmed"
    visitor.close()
