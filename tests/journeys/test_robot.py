"""Mail scanners open every link, and some press every button: nobody may be confirmed, shown or withdrawn by them."""

from __future__ import annotations

import re
import sqlite3
import time
import urllib.error
import urllib.request
from contextlib import closing
from typing import Any

import pytest
from playwright.sync_api import Locator

from tests.journeys.conftest import Centre, Visit
from tests.journeys.postbox import PATIENCE_SECONDS, links_of
from tests.journeys.test_one_signature import confirm
from tests.journeys.visitors import SUBMIT, Person, Visitor
from tests.people import link_in

pytestmark = pytest.mark.journey

#: What a signature is and what the public sees. Left out: mail and codes (a code may be asked for by anybody who holds
#: the personal link; it goes to the mailbox and does nothing by itself), sessions and counters of the desk.
TABLES = (
    "signature",
    "signature_consent",
    "signature_event",
    "decision",
    "clarification",
    "registry_entry",
    "region_count",
    "log_leaf",
    "log_event",
    "edition",
    "affiliation",
    "audit",
    "address_change",
    "correction",
    "objection",
    "written_request",
    "link WHERE purpose = 'personal'",
    "mailbox_tally WHERE stopped_at IS NOT NULL",
    "signing_trace",
    "spent_challenge",
)


def dump(centre: Centre) -> dict[str, list[tuple[Any, ...]]]:
    """Every row that says something about somebody."""
    with closing(sqlite3.connect(f"file:{centre.database}?mode=ro", uri=True)) as connection:
        return {table: connection.execute(f"SELECT * FROM {table}").fetchall() for table in TABLES}


def settle(centre: Centre) -> dict[str, list[tuple[Any, ...]]]:
    """Waits until the worker has nothing more to publish or to send."""
    give_up = time.monotonic() + PATIENCE_SECONDS
    before = dump(centre)
    while True:
        time.sleep(1.2)  # longer than a round of the worker and the seconds in which a decision is taken back
        after = dump(centre)
        if after == before:
            return after
        before = after
        assert time.monotonic() < give_up


#: Rooms that are the same for everybody.
ONCE = re.compile(r"/my/(?:address|correction|data|display|erase|link|objection)/$")
BUTTONS = "main button:visible, main input[type=submit]:visible"


class Robot:
    """Opens what it is given and presses what it finds, in a browser without a past."""

    def __init__(self, visit: Visit, centre: Centre) -> None:
        self.visit = visit
        self.centre = centre
        self.pressed: set[str] = set()
        self.once: set[str] = set()

    def ask(self, link: str) -> None:
        """As scanners do that are no browsers."""
        for method in ("HEAD", "GET", "OPTIONS", "GET"):
            headers = {"User-Agent": "LinkScanner/1.0", "Sec-Purpose": "prefetch;prerender", "Purpose": "prefetch"}
            request = urllib.request.Request(link, method=method, headers=headers)
            try:
                status = urllib.request.urlopen(request, timeout=10).status
            except urllib.error.HTTPError as error:
                status = error.code
            assert status < 500, link

    def roam(self, link: str) -> None:
        """Opens a link, presses each button there and on the personal pages it leads to, each from a fresh start."""
        pages = [link]
        seen: set[str] = set()
        while pages:
            page = pages.pop()
            visitor = self._arrive(link, page)
            buttons = visitor.page.locator(BUTTONS).count()
            for address in visitor.page.locator("main a").evaluate_all("(all) => all.map((one) => one.href)"):
                if re.search(r"/my/(edit|withdraw)/$", address) and address not in seen:
                    seen.add(address)
                    pages.append(address)
                if ONCE.search(address) and address not in self.once:
                    self.once.add(address)
                    pages.append(address)
            for place in range(buttons):
                # The first is pressed where they were counted.
                visitor = self._arrive(link, page) if place else visitor
                self._press(visitor, visitor.page.locator(BUTTONS).nth(place))
                visitor.close()
            if not buttons:
                visitor.close()

    def _arrive(self, link: str, page: str) -> Visitor:
        visitor = self.visit(lang="en")
        visitor.open(link)
        if page != link:
            visitor.open(page)
        return visitor

    def _press(self, visitor: Visitor, button: Locator) -> None:
        owner = button.evaluate("(one) => one.form ? one.form.id || one.form.action : ''")
        self.pressed.add(str(owner))
        visitor.press(button)


def test_a_robot_that_opens_every_link_and_presses_every_button_changes_nothing(centre: Centre, visit: Visit) -> None:
    people = [Person(lang=lang) for lang in ("kk", "ru", "en", "kk", "ru")]
    unconfirmed, _confirmed, asked, declined, published = people
    for person in people:
        observer = visit(lang=person.lang)
        observer.sign(person)
        if person is not unconfirmed:
            confirm(observer, centre.postbox, person)
    reviewer = visit(staff="en")
    reviewer.decide(asked, "ask", reason="something-else", note="Which district?")
    reviewer.decide(declined, "decline", reason="abuse")
    reviewer.decide(published, "approve")
    centre.postbox.wait(published.email, "/entries/")
    centre.postbox.wait(asked.email, "Which district?")
    centre.postbox.wait(declined.email, "/sign/")
    before = settle(centre)
    links = {link for person in people for mail in centre.postbox.to(person.email) for link in links_of(mail)}
    assert len(links) > 12
    robot = Robot(visit, centre)
    for link in sorted(links):
        robot.ask(link)
    for link in sorted(links):
        if re.search("/(confirm|my|not-me)/", link):
            robot.roam(link)
    assert {"confirm-form", "answer-form", "edit-form", "code-form", "withdraw-form"} <= robot.pressed
    assert {"address-form", "language-form", "renew-form"} <= robot.pressed
    assert {"correction-form", "display-form"} <= robot.pressed
    assert {"data-form", "erase-form", "objection-form", "not-me-form"} <= robot.pressed
    assert settle(centre) == before
    # What the robot opened still works for the person.
    observer = visit(lang="kk")
    observer.open(link_in(centre.postbox.to(unconfirmed.email)[0], "/confirm/"))
    assert observer.page.locator(f"#confirm-form {SUBMIT}").count() == 1
