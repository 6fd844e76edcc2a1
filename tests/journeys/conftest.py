"""What the journeys share: one browser, one running service, one mail server, and three people at the Centre."""

from __future__ import annotations

import os
import re
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser

from tests.journeys.postbox import Postbox
from tests.journeys.visitors import SUBMIT, Member, Visitor
from tests.people import link_in
from tests.service import ROOT, Service, clean_environment

LANGUAGES = ("kk", "ru", "en")
_CHROMIUMS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
#: Nothing of the browser's own may ask for anything, and containers have little shared memory.
_SWITCHES = (
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
)

Visit = Callable[..., Visitor]


class Centre:
    """The service as its operator runs it, with its mail and its people."""

    def __init__(self, service: Service, postbox: Postbox) -> None:
        self.service = service
        self.postbox = postbox
        self.url = service.url
        found = re.search(r"First staff account\s+(http\S+)", service.output)
        assert found, service.output
        self.first_link = found[1]
        self.members: dict[str, Member] = {}

    @property
    def database(self) -> Path:
        """Where everything is kept, for journeys on SQLite."""
        return self.service.instance / "charter.db"

    def invite(self, name: str, address: str, lang: str) -> str:
        """An administrator, as the operator does it at the command line, twice at most; returns the link."""
        command = [sys.executable, "-m", "flask", "--app", "charter", "staff", "add", name, address, "--language", lang]
        environment = clean_environment(self.service.instance) | {"CHARTER_PUBLIC_URL": self.url}
        done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
        return done.stdout.strip()

    def ask(self, administrator: Visitor, name: str, address: str, lang: str, *, role: str = "reviewer") -> str:
        """As an administrator does it at the desk; returns the link, which comes by mail."""
        administrator.open("/staff/team/")
        form = administrator.page.locator("#invitation-form")
        form.locator("[name=name]").fill(name)
        form.locator("[name=email]").fill(address)
        form.locator(f"[name=language][value={lang}]").check()
        form.locator(f"[name=role][value={role}]").check()
        administrator.press(f"#invitation-form {SUBMIT}")
        assert administrator.page.locator(".error-summary").count() == 0, administrator.main
        return link_in(self.postbox.wait(address, "/staff/invitation/"), "invitation/")

    def promote(self, address: str) -> None:
        """Makes somebody an administrator without the ceremony of two, which has a journey of its own."""
        with closing(sqlite3.connect(self.database)) as database, database:
            database.execute("UPDATE staff SET role = 'administrator' WHERE email = ?", (address,))


@contextmanager
def open_centre(instance: Path, **settings: str) -> Iterator[Centre]:
    """Starts mail server, web server and worker; quick in what an operator would leave slow."""
    with Postbox() as postbox:
        given = {
            "mail_transport": "smtp",
            "smtp_host": "127.0.0.1",
            "smtp_port": str(postbox.port),
            "smtp_security": "none",
            "undo_seconds": "0",
            "publish_interval_seconds": "1",
            "staff_fresh_minutes": "240",
            **settings,
        }
        environ = {f"CHARTER_{name.upper()}": value for name, value in given.items()}
        with Service(instance, environ=environ) as service:
            yield Centre(service, postbox)
            assert service.stop()[0] == 0, service.output
            assert "Traceback" not in service.output, service.output


@pytest.fixture(scope="session")
def browser_type_launch_args(browser_type_launch_args: dict[str, Any]) -> dict[str, Any]:
    """Debian's Chromium; root may not use its sandbox."""
    found = next((path for path in map(shutil.which, _CHROMIUMS) if path), None)
    if found is None:
        pytest.fail("Chromium is missing: apt install chromium", pytrace=False)
    switches = [*_SWITCHES, *(["--no-sandbox"] if os.geteuid() == 0 else [])]
    return {**browser_type_launch_args, "executable_path": found, "args": switches}


@pytest.fixture(scope="session")
def centre(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Centre]:
    """The one that most journeys share, on SQLite, with a member of staff for each language."""
    with open_centre(tmp_path_factory.mktemp("journeys") / "instance") as opened:
        for lang, name, address in (
            ("en", "Bruno Weber", "bruno@example.org"),
            ("kk", "Дана Ахметова", "dana@example.org"),
            ("ru", "Хлоя Ким", "chloe@example.org"),
        ):
            if lang == "ru":
                bruno = Visitor(browser, opened.url, state=opened.members["en"].state)
                link = opened.ask(bruno, name, address, lang)
                bruno.close()
                opened.promote(address)
            else:
                link = opened.first_link if not opened.members else opened.invite(name, address, lang)
            member = Member(name, address, lang)
            visitor = Visitor(browser, opened.url, lang=lang, script=lang != "ru")
            member.join(visitor, link)
            visitor.close()
            opened.members[lang] = member
        yield opened


@pytest.fixture
def visit(browser: Browser, centre: Centre) -> Iterator[Visit]:
    """Opens a browser window on the shared service, or on another one; each is looked at once more at the end."""
    opened: list[Visitor] = []

    def begin(*, at: Centre = centre, staff: str | None = None, **options: Any) -> Visitor:
        if staff is not None:
            options = {"state": at.members[staff].state, "lang": staff, **options}
        visitor = Visitor(browser, at.url, **options)
        opened.append(visitor)
        return visitor

    yield begin
    for visitor in opened:
        visitor.close()


@pytest.fixture(params=LANGUAGES)
def lang(request: pytest.FixtureRequest) -> str:
    """Each language."""
    chosen: str = request.param
    return chosen


#: Both translations, for roads on which script matters little; in English, their source, the tour sees every page.
TRANSLATED = pytest.mark.parametrize(("lang", "script"), [("kk", False), ("ru", True)], ids=["kk", "ru"])
#: Each language once, with script and without.
EACH_LANGUAGE = pytest.mark.parametrize(
    ("lang", "script"), [("kk", True), ("ru", False), ("en", True)], ids=["kk", "ru without script", "en"]
)
