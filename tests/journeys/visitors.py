"""People at a real browser: anybody, an observer who signs, a member of staff. Every page they see is watched."""

from __future__ import annotations

import hashlib
import itertools
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, cast
from urllib.parse import urlsplit

from passlib.totp import TOTP
from playwright.sync_api import Browser, ConsoleMessage, Locator, Page, Request, Response, StorageState, WebError

from tests.journeys.postbox import PATIENCE_SECONDS

PHONE = (320, 640)
DESKTOP = (1280, 900)
PASSWORD = "төрт сөз бір кілт"
#: What presses a form: its first button is the one without a name.
SUBMIT = "button:not([name])"

_letters = itertools.product("абвгдежиклмнопрст", repeat=3)


def fresh_word() -> str:
    """A made-up surname that no other journey uses."""
    return "Б" + "о".join(next(_letters)) + "ев"


@dataclass
class Person:
    """Who signs, and what they answer."""

    lang: str = "ru"
    surname: str = field(default_factory=fresh_word)
    kind: str = "independent"
    affiliation: str = ""
    region: str = "KZ-75"
    display: str = "full"
    email: str = ""

    def __post_init__(self) -> None:
        if not self.email:
            self.email = f"{hashlib.sha256(self.surname.encode()).hexdigest()[:12]}@example.org"

    @property
    def name(self) -> str:
        """As it is typed."""
        return f"{self.surname} Әмина"


class Visitor:
    """One browser window with cookies of its own, that notes whatever is amiss."""

    def __init__(
        self,
        browser: Browser,
        base: str,
        *,
        lang: str = "en",
        script: bool = True,
        size: tuple[int, int] = PHONE,
        state: StorageState | None = None,
        dark: bool = False,
    ) -> None:
        self.base = base
        self.lang = lang
        self.script = script
        self.problems: list[str] = []
        self.context = browser.new_context(
            base_url=base,
            java_script_enabled=script,
            viewport={"width": size[0], "height": size[1]},
            locale=lang,
            color_scheme="dark" if dark else "light",
            reduced_motion="reduce",
            storage_state=state,
        )
        self.context.set_default_timeout(10_000)
        self.context.on("request", self._note_request)
        self.context.on("response", self._note_response)
        self.context.on("console", self._note_console)
        self.context.on("weberror", self._note_error)
        self.page: Page = self.context.new_page()

    def _note_request(self, request: Request) -> None:
        address = urlsplit(request.url)
        if address.scheme not in {"data", "blob"} and address.netloc != urlsplit(self.base).netloc:
            self.problems.append(f"asks elsewhere: {request.url}")

    def _note_response(self, response: Response) -> None:
        # What the desk sends while it stays on its page is answered with a page too.
        is_page = response.request.resource_type == "document" or response.request.method == "POST"
        if response.status >= 500 or (response.status >= 400 and not is_page):
            self.problems.append(f"{response.status} {response.url}")

    def _note_console(self, message: ConsoleMessage) -> None:
        # A page that was refused for a wrong answer is said there too; `_note_response` knows which ones are faults.
        if message.type in {"error", "warning"} and not message.text.startswith("Failed to load resource"):
            self.problems.append(f"console: {message.text} at {message.location}")

    def _note_error(self, error: WebError) -> None:
        self.problems.append(f"script: {error.error}")

    def close(self) -> None:
        """Ends the visit; whatever was amiss comes out here at the latest."""
        self.context.close()
        assert not self.problems, self.problems

    # ── getting about ────────────────────────────────────────────────────────────────────────────────────────────────

    def open(self, path: str) -> Response:
        """By the address line; a path or a whole address of ours."""
        response = self.page.goto(path)
        assert response is not None
        self.check()
        return response

    def press(self, what: str | Locator) -> None:
        """A button or a link, and waits for the page it leads to."""
        target = self.page.locator(what).first if isinstance(what, str) else what
        with self.arriving():
            target.click()

    @contextmanager
    def arriving(self) -> Iterator[None]:
        """Waits until what is done inside has led to another page, or to another one in the place of this one."""
        if self.script and self.page.locator("form[data-decide]").count():
            self.page.locator("main").evaluate("(one) => { one.dataset.left = '' }")
            yield
            self.page.locator("main[data-left]").wait_for(state="detached")
        else:
            with self.page.expect_event("domcontentloaded"):
                yield
        self.page.wait_for_load_state()
        self.check()

    def check(self) -> None:
        """What holds for every page."""
        assert not self.problems, self.problems
        wide = self.width()
        size = self.page.viewport_size
        assert size is not None
        assert wide <= size["width"], f"{wide} px wide: {self.page.url} {self.too_wide()}"
        assert self.page.locator("h1").count() == 1, self.page.url

    def width(self) -> int:
        """How wide the page wants to be."""
        return cast("int", self.page.evaluate("document.scrollingElement.scrollWidth"))

    def too_wide(self) -> Any:
        """What sticks out, for whoever has to mend it."""
        return self.page.evaluate(
            """() => [...document.querySelectorAll("body *")]
              .filter((one) => one.getBoundingClientRect().right > innerWidth + 1 && !one.closest(".scroll"))
              .slice(0, 5).map((one) => one.outerHTML.slice(0, 160))"""
        )

    @property
    def path(self) -> str:
        """Where one is."""
        address = urlsplit(self.page.url)
        return address.path + (f"?{address.query}" if address.query else "")

    @property
    def main(self) -> str:
        """The words of the page."""
        return self.page.locator("main").inner_text()

    def until(self, path: str, words: str, *, there: bool = True) -> None:
        """Loads a page anew until it holds these words, or no longer does."""
        give_up = time.monotonic() + PATIENCE_SECONDS
        self.open(path)
        while (words in self.main) is not there:
            assert time.monotonic() < give_up, f"{words!r} {'not yet' if there else 'still'} at {path}: {self.main}"
            self.page.wait_for_timeout(100)
            self.page.reload()
        self.check()

    # ── an observer ──────────────────────────────────────────────────────────────────────────────────────────────────

    def fill(self, person: Person) -> None:
        """The sign form, as a person would fill it in."""
        form = self.page.locator("#sign-form")
        form.locator(f"[name=kind][value={person.kind}]").check()
        if person.kind == "party":
            form.locator("[name=party]").select_option(person.affiliation)
        elif person.affiliation:
            form.locator("[name=organisation]" if person.kind == "independent" else "[name=mission]").fill(
                person.affiliation
            )
        form.locator("[name=full_name]").fill(person.name)
        form.locator("[name=region]").select_option(person.region)
        form.locator(f"[name=display][value={person.display}]").check()
        form.locator("[name=email]").fill(person.email)
        form.locator(f"[name=language][value={person.lang}]").check()
        for box in ("is_adult", "consent_processing", "consent_publication"):
            form.locator(f"[name={box}]").check()

    def sign(self, person: Person) -> None:
        """Fills in the form and sends it."""
        self.open(f"/{person.lang}/sign/")
        self.fill(person)
        self.press(f"#sign-form {SUBMIT}")
        assert self.path == f"/{person.lang}/sign/check-mail/", self.main

    def values(self, form_id: str) -> dict[str, Any]:
        """What stands in a form now, but for its token."""
        found = self.page.evaluate(
            "(id) => { const all = new FormData(document.getElementById(id)); all.delete('csrf_token');"
            " return Object.fromEntries(all) }",
            form_id,
        )
        return cast("dict[str, Any]", found)

    # ── a member of staff ────────────────────────────────────────────────────────────────────────────────────────────

    def open_dossier(self, person: Person) -> None:
        """Finds the person in the queue."""
        self.open("/staff/")
        self.press(self.page.locator(".desk-row a", has_text=person.surname))

    def decide(self, person: Person, action: str, *, reason: str = "", note: str = "") -> None:
        """Opens the dossier, chooses, gives the reason, decides."""
        self.open_dossier(person)
        self.page.locator(f"[name=action][value={action}]").check()
        if reason:
            self.page.locator(f"[name={action}_reason]").select_option(reason)
        if note:
            self.page.locator("[name=note]").fill(note)
        self.press(f".form:has([name=action]) {SUBMIT}")
        assert self.page.locator(".error-summary").count() == 0, self.main


@dataclass
class Member:
    """Somebody of the Centre, with an authenticator app and a sheet of recovery codes."""

    name: str
    email: str
    lang: str
    key: str = ""
    codes: list[str] = field(default_factory=list)
    state: StorageState | None = None
    _used: int = 0

    def code(self) -> str:
        """What the app shows; each step of half a minute is used once, and one step ahead is still taken."""
        self._used = max(self._used + 1, int(time.time()) // 30)
        return str(TOTP(key=self.key).generate(time=self._used * 30).token)

    def join(self, visitor: Visitor, link: str) -> None:
        """From the one-time link to the desk: password, app, recovery codes."""
        page = visitor.page
        visitor.open(link)
        visitor.press(f"form.langs [name=lang][value={self.lang}]")
        if page.locator("#account-form [name=name]").count():
            page.locator("[name=name]").fill(self.name)
            page.locator("#account-form [name=email]").fill(self.email)
        page.locator("[name=new_password]").fill(PASSWORD)
        page.locator("[name=again]").fill(PASSWORD)
        visitor.press(f"#account-form {SUBMIT}")
        self.give_password(visitor)
        visitor.press(f"#set-up-form {SUBMIT}")
        self.key = page.locator("code[translate=no]").inner_text().replace("-", "").replace(" ", "")
        self.give_code(visitor)
        visitor.press("#make-codes-form button")
        self.codes = page.locator("code[translate=no]").all_inner_texts()
        assert len(self.codes) == 10
        visitor.press(f"#kept-form {SUBMIT}")
        assert visitor.path == "/staff/", visitor.main
        self.state = visitor.context.storage_state()

    def give_password(self, visitor: Visitor) -> None:
        """First step."""
        visitor.page.locator("#sign-in-form [name=email]").fill(self.email)
        visitor.page.locator("#sign-in-form [name=password]").fill(PASSWORD)
        visitor.press(f"#sign-in-form {SUBMIT}")

    def give_code(self, visitor: Visitor) -> None:
        """Second step."""
        visitor.page.locator("#code-form [name=code]").fill(self.code())
        visitor.press(f"#code-form {SUBMIT}")
