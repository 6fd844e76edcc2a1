"""A mirror behind the plainest web server there is, walked in a real Chromium without script."""

from __future__ import annotations

import http.server
import json
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser

from tests.house.world import World
from tests.journeys.conftest import LANGUAGES, browser_type_launch_args
from tests.journeys.test_every_page import look
from tests.journeys.visitors import PHONE, Visitor

__all__ = ["browser_type_launch_args"]

pytestmark = [
    pytest.mark.journey,
    pytest.mark.xdist_group("browser"),
    pytest.mark.parametrize("engine_name", ["sqlite"], indirect=True),
]


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: Any) -> None:
        """Nothing on the terminal."""


@pytest.fixture
def address(made: Path) -> Iterator[str]:
    """Python's own server for files, which knows nothing of us."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=made)) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("lang", LANGUAGES)
def test_a_visitor_without_script_finds_a_person_and_the_data(
    browser: Browser, world: World, address: str, lang: str
) -> None:
    # With script for the one who looks for faults, without for the one who walks.
    with_script = Visitor(browser, address, lang=lang)
    visitor = Visitor(browser, address, lang=lang, script=False)
    page = visitor.page
    found: list[str] = []

    def here(name: str) -> None:
        assert page.locator("html").get_attribute("lang") in LANGUAGES
        assert page.locator("form, input, select").count() == 0, page.url
        with_script.page.goto(page.url)
        found.extend(look(with_script, f"{lang} {name}"))

    page.goto("/")
    here("root")
    page.locator(f'main a[href="/{lang}/"]').first.click()
    page.locator(f'nav.nav a[href="/{lang}/registry/"]').click()
    here("registry")
    page.locator(f'main .notice a[href="/{lang}/registry/numbers/"]').click()
    here("numbers")
    page.locator(f'main a[href="/{lang}/registry/numbers/1-100/"]').first.click()
    assert page.locator("main tbody tr").count() >= 3
    here("block of numbers")
    page.get_by_role("link", name="Оспанова").click()
    assert "Оспанова" in page.locator("h1").inner_text()
    service = world.app.config["CHARTER"].public_url
    sign = page.locator(f'nav a[href="{service}/{lang}/sign/"]')
    assert sign.count() == 1, "signing is at the service"
    other = "kk" if lang != "kk" else "en"
    page.locator(f'.langs a[lang="{other}"]').click()
    assert page.locator("html").get_attribute("lang") == other
    assert "Оспанова" in page.locator("h1").inner_text()
    page.go_back()
    page.locator("aside a[href='/mirror.json']").click()
    assert json.loads(page.locator("body").inner_text())["service"] == service
    page.goto("/404.html")
    here("missing")
    page.set_viewport_size({"width": PHONE[0], "height": PHONE[1]})
    page.goto(f"/{lang}/registry/numbers/1-100/")
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE[0]
    visitor.close()
    with_script.close()
    assert found == [], "\n".join(found)
