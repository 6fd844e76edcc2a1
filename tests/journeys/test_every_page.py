"""Every page in every language: found without fault by axe, light and dark, and never wider than its screen."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import axe_playwright_python
import pytest
from playwright.sync_api import Browser

from tests.journeys import tour
from tests.journeys.conftest import LANGUAGES, Centre, Visit, open_centre
from tests.journeys.tour import Gallery
from tests.journeys.visitors import DESKTOP, PHONE, SUBMIT, Member, Person, Visitor

pytestmark = pytest.mark.journey

AXE = (Path(axe_playwright_python.__file__).parent / "axe.min.js").read_text(encoding="utf-8")
EVERYTHING = {
    "type": "tag",
    "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
}
#: What may differ with the length of words, and in the dark.
SIZES = ["target-size", "scrollable-region-focusable"]
COLOURS = ["color-contrast", "link-in-text-block"]
#: Everything twice as large, as a person sets it in their browser.
TWICE = "212.5%"


@pytest.fixture(scope="module")
def gallery(browser: Browser, centre: Centre) -> Gallery:
    """A registry and a desk with somebody in every state."""

    def visit(staff: str | None = None, **options: Any) -> Visitor:
        if staff is not None:
            options = {"state": centre.members[staff].state, "lang": staff, **options}
        return Visitor(browser, centre.url, **options)

    return tour.prepare(centre, visit)


def look(visitor: Visitor, name: str, *, all_rules: bool = True) -> list[str]:
    """What is wrong with this page: as axe sees it, and on a narrow screen with ordinary and with large letters.

    all_rules: not only those whose answer depends on how long and how large words are.
    """
    page = visitor.page
    found: list[str] = []
    page.evaluate(AXE)
    looks: list[tuple[tuple[int, int], str, dict[str, object]]] = [
        (PHONE, "dark", {"type": "rule", "values": SIZES + COLOURS * all_rules})
    ]
    if all_rules:
        looks.insert(0, (DESKTOP, "light", EVERYTHING))
    for size, colours, rules in looks:
        page.set_viewport_size({"width": size[0], "height": size[1]})
        page.emulate_media(color_scheme=colours)  # type: ignore[arg-type]
        options = {"runOnly": rules, "resultTypes": ["violations"]}
        for violation in page.evaluate("(options) => axe.run(options)", options)["violations"]:
            nodes = json.dumps([node["html"][:120] for node in violation["nodes"][:3]], ensure_ascii=False)
            found.append(f"{name}, {size[0]} px, {colours}: {violation['id']} {nodes}")
    page.emulate_media(color_scheme="light")
    if visitor.width() > PHONE[0]:
        found.append(f"{name}: {visitor.width()} px wide on a phone {visitor.too_wide()}")
    page.evaluate("(size) => { document.documentElement.style.fontSize = size }", TWICE)
    if visitor.width() > PHONE[0]:
        found.append(f"{name}: {visitor.width()} px wide on a phone with large letters {visitor.too_wide()}")
    page.evaluate("document.documentElement.style.fontSize = ''")
    return found


def test_every_page_is_accessible_and_fits_a_narrow_screen(
    gallery: Gallery, visit: Visit, lang: str, tmp_path: Path
) -> None:
    found: list[str] = []
    names: list[str] = []
    stops: Iterator[tour.Stop] = chain(
        tour.public_pages(gallery, visit, lang),
        tour.error_pages(visit, lang, tmp_path / "instance"),
        tour.signing_pages(gallery, visit, lang),
        tour.staff_pages(gallery, visit, lang),
    )
    for name, visitor in stops:
        names.append(name)
        assert visitor.page.locator("html").get_attribute("lang") == lang, name
        # One template, three languages: each page is looked at by all rules in one of them.
        found += look(visitor, name, all_rules=len(names) % len(LANGUAGES) == LANGUAGES.index(lang))
    assert len(names) > 50
    assert not found, "\n".join(found)


def test_trying_it_out_with_mail_in_files_and_a_decision_that_is_taken_back(visit: Visit, tmp_path: Path) -> None:
    with open_centre(tmp_path / "instance", mail_transport="files", undo_seconds="600") as other:
        found: list[str] = []
        for lang in LANGUAGES:
            visitor = visit(at=other, lang=lang)
            visitor.open(other.first_link)
            found += look(visitor, f"first-account-{lang}")
            visitor.open("/dev/mail/")
            found += look(visitor, f"no-mail-{lang}")
        assert "/dev/mail/" in other.service.output
        person = Person(lang="kk")
        observer = visit(at=other, lang="kk")
        observer.sign(person)
        observer.until("/dev/mail/", person.email)
        found += look(observer, "mail")
        observer.press("main table a")
        found += look(observer, "one-mail")
        observer.press("main a[href*='/confirm/']")
        observer.press(f"#confirm-form {SUBMIT}")
        assert observer.path == "/kk/my/?fresh=confirmed"
        reviewer = visit(at=other, lang="kk", size=DESKTOP)
        Member("Бруно Сейітов", "bruno@example.org", "kk").join(reviewer, other.first_link)
        reviewer.decide(person, "approve")
        found += look(reviewer, "queue-undo")
        reviewer.page.set_viewport_size({"width": DESKTOP[0], "height": DESKTOP[1]})
        with reviewer.arriving():
            reviewer.page.keyboard.press("u")
        found += look(reviewer, "dossier-undone")
        assert person.name in reviewer.main
        assert reviewer.page.locator("[name=action]").count() == 3, "there is something to decide again"
        assert not found, "\n".join(found)


def test_a_fault_on_a_page_would_be_found(gallery: Gallery, visit: Visit) -> None:
    visitor = visit(lang="en")
    visitor.open("/en/about/")
    visitor.page.evaluate(
        """() => {
          const box = document.createElement("input"), pale = document.createElement("p");
          box.style.width = "900px";
          pale.textContent = "pale"; pale.style.color = "#ccd"; pale.style.background = "#fff";
          document.querySelector("main").append(box, pale);
        }"""
    )
    found = "\n".join(look(visitor, "about"))
    assert "light: label" in found
    assert "light: color-contrast" in found
    assert "px wide on a phone" in found


def test_the_charter_prints_on_two_or_three_sheets(gallery: Gallery, visit: Visit, lang: str) -> None:
    visitor = visit(lang=lang, size=DESKTOP)
    visitor.open(f"/{lang}/charter/")
    sheets = visitor.page.pdf(format="A4", margin={"top": "15mm", "right": "15mm", "bottom": "15mm", "left": "15mm"})
    count = len(re.findall(rb"/Type\s*/Page\b", sheets))
    assert 2 <= count <= 3, count


def test_paper_gets_no_buttons_and_no_colours(gallery: Gallery, visit: Visit) -> None:
    visitor = visit(lang="ru", size=DESKTOP, dark=True)
    for path in ("/ru/charter/", "/ru/registry/", gallery.entry):
        visitor.open(path)
        visitor.page.emulate_media(media="print")
        assert not visitor.page.locator("nav.nav").is_visible(), path
        assert not visitor.page.locator(".langs").is_visible(), path
        ground = visitor.page.evaluate("getComputedStyle(document.documentElement).backgroundColor")
        assert ground in {"rgb(255, 255, 255)", "rgba(0, 0, 0, 0)"}, f"{path}: {ground}"
        visitor.page.emulate_media(media="screen")


def test_colours_that_the_system_forces_leave_everything_to_be_seen(gallery: Gallery, visit: Visit) -> None:
    visitor = visit(lang="kk", size=DESKTOP)
    for path in ("/kk/", "/kk/sign/", "/kk/registry/kyzylorda/"):
        visitor.open(path)
        visitor.page.emulate_media(forced_colors="active")
        for shape in visitor.page.locator("main svg:visible, main .button:visible, main .map a").all():
            box = shape.bounding_box()
            assert box is not None
            assert box["width"] > 0, path
        outlines = visitor.page.locator("main .button").evaluate_all(
            "(all) => all.map((one) => getComputedStyle(one).borderStyle + getComputedStyle(one).outlineStyle)"
        )
        assert all("solid" in outline for outline in outlines), f"{path}: a button without a rim {outlines}"
