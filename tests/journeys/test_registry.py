"""Somebody looks for people in a full registry: in any spelling, by keyboard, on a phone, without script, on paper."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import pytest
from playwright.sync_api import Browser

from charter import create_app
from charter.models.base import db
from tests.conftest import make_settings
from tests.journeys.conftest import LANGUAGES, TRANSLATED, Centre, Visit, open_centre
from tests.journeys.test_every_page import look
from tests.journeys.visitors import DESKTOP, PHONE, SUBMIT, Visitor
from tests.web.test_registry_pages import DAY, PARTY, Cast, person

pytestmark = pytest.mark.journey

SPELLINGS = ("Қайрат Жұмабайұлы", "Кайрат Жумабайулы", "Zhumabaiuly Qairat")
MANY = 120
WITHDRAWN = 124
FOUND = {"kk": "Табылды: 3", "ru": "Найдено: 3", "en": "Found: 3"}


def _crowd() -> Iterator[dict[str, Any]]:
    for place in range(MANY):
        given = PARTY if place % 3 else {}
        signed_on = DAY - timedelta(days=place % 9)
        name = f"Көпшілікова-Константинопольская {'АӘБВГҒДЕЖЗ'[place % 10]}лма"
        yield person(name, signed_on=signed_on, region_code="KZ-75" if place % 2 else "KZ-43", **given)
    yield person("Қайрат Жұмабайұлы", region_code="KZ-71")
    yield person("Kairat Zhumabaiuly", kind="international", affiliation_name="Planet Express", region_code="ZZ")
    yield person("Кайрат Жумабайулы Сериков", signed_on=date(2026, 11, 12), **PARTY)
    yield person("Мария Уходящая", signed_on=date(2026, 11, 13))
    yield person(None, display="unlisted", kind="party")


@pytest.fixture(scope="module")
def full(browser: Browser, sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Centre]:
    """A service whose registry has three pages."""
    instance = tmp_path_factory.mktemp("registry") / "instance"
    shutil.copytree(sqlite_template, instance)
    app = create_app(make_settings(instance))
    Cast(app, *_crowd()).end(WITHDRAWN)
    with app.app_context():
        db.engine.dispose()
    with open_centre(instance) as opened:
        yield opened


def ask(visitor: Visitor, words: str) -> None:
    """Types into the one field and presses the one button."""
    visitor.page.locator("#q").fill(words)
    visitor.press(f"form.filters {SUBMIT}")


def names(visitor: Visitor) -> list[str]:
    return visitor.page.locator("table.entries .who a").all_inner_texts()


def numbers(visitor: Visitor) -> list[str]:
    return visitor.page.locator("table.entries .no").all_inner_texts()


@TRANSLATED
def test_a_person_is_found_in_three_spellings_and_narrowed_down_on_a_phone(
    full: Centre, visit: Visit, lang: str, script: bool
) -> None:
    reader = visit(at=full, lang=lang, script=script)
    reader.open(f"/{lang}/")
    for spelling in SPELLINGS:
        ask(reader, spelling)
        assert set(names(reader)) == {"Қайрат Жұмабайұлы", "Kairat Zhumabaiuly", "Кайрат Жумабайулы Сериков"}, spelling
        assert FOUND[lang] in reader.main, spelling
        assert reader.page.locator("#q").input_value() == spelling
    details = reader.page.locator("form.filters details")
    assert details.get_attribute("open") is None
    details.locator("summary").click()
    reader.page.locator("#region").select_option("abroad")
    reader.press("form.filters details button")
    assert names(reader) == ["Kairat Zhumabaiuly"]
    assert reader.page.locator("form.filters details").get_attribute("open") is not None
    query = parse_qs(urlsplit(reader.page.url).query, keep_blank_values=True)
    assert {name for name, values in query.items() if values != [""]} == {"q", "region"}
    assert (set(query) == {"q", "region"}) == script, "script leaves out what is empty"
    # One thing that was chosen is taken away again, then everything.
    reader.press(".chips a >> nth=1")
    assert FOUND[lang] in reader.main
    reader.press(".chips a >> nth=-1")
    assert reader.path == f"/{lang}/registry/"
    assert len(names(reader)) == 50


@TRANSLATED
def test_turning_pages_forwards_and_back_in_both_orders(full: Centre, visit: Visit, lang: str, script: bool) -> None:
    reader = visit(at=full, lang=lang, script=script, size=DESKTOP)
    reader.open(f"/{lang}/registry/?kind=party&affiliation=amanat")
    for _ in range(2):
        first = numbers(reader)
        reader.press("a[rel=next]")
        second = numbers(reader)
        assert not set(first) & set(second)
        assert reader.page.locator("a[rel=next]").count() == 0
        reader.press("a[rel=prev]")
        assert numbers(reader) == first
        assert "affiliation=amanat" in reader.page.url
        # The other order, from where its words say so.
        reader.press("p:has(> b.num) a")
    assert "order=name" not in reader.page.url


def test_where_nothing_is_found_the_page_leads_on(full: Centre, visit: Visit, lang: str) -> None:
    reader = visit(at=full, lang=lang, script=False)
    reader.open(f"/{lang}/registry/")
    ask(reader, "Жумапаюлы")
    assert not names(reader)
    reader.press(".chips a[href*='q=']:not(:has(.visually-hidden))")
    assert names(reader)
    reader.open(f"/{lang}/registry/?from=2026-11-20&to=2026-11-01")
    assert reader.page.locator("[role=alert]").is_visible()


def test_the_whole_search_goes_without_a_mouse(full: Centre, visit: Visit) -> None:
    reader = visit(at=full, lang="en", size=DESKTOP)
    reader.open("/en/registry/")
    keyboard = reader.page.keyboard

    def focused() -> str:
        return str(reader.page.evaluate("document.activeElement.id || document.activeElement.tagName"))

    for _ in range(20):
        keyboard.press("Tab")
        if focused() == "q":
            break
    assert focused() == "q"
    keyboard.type("zhumabai")
    keyboard.press("Tab")
    keyboard.press("Tab")
    assert focused() == "SUMMARY"
    keyboard.press("Enter")
    keyboard.press("Tab")
    assert focused() == "region"
    keyboard.type("Asta")
    keyboard.press("Shift+Tab")
    keyboard.press("Shift+Tab")
    keyboard.press("Shift+Tab")
    assert focused() == "q"
    with reader.page.expect_event("domcontentloaded"):
        keyboard.press("Enter")
    reader.page.wait_for_load_state()
    assert names(reader) == ["Қайрат Жұмабайұлы"]
    reader.page.locator("#q").focus()
    for _ in range(30):
        keyboard.press("Tab")
        if reader.page.evaluate("document.activeElement.closest('table.entries') !== null"):
            break
    with reader.page.expect_event("domcontentloaded"):
        keyboard.press("Enter")
    assert "/registry/entries/" in reader.path


def test_from_a_line_to_its_affiliation_its_region_and_its_text(full: Centre, visit: Visit, lang: str) -> None:
    reader = visit(at=full, lang=lang)
    reader.open(f"/{lang}/registry/?q=serikov")
    reader.press("table.entries .for a")
    assert reader.path == f"/{lang}/registry/affiliations/amanat/"
    assert "AMANAT" in reader.page.locator("h1").inner_text()
    reader.press("table.sums a >> nth=0")
    assert 0 < len(names(reader)) <= 50
    reader.open(f"/{lang}/registry/entries/{123:032x}")
    reader.press("dl.facts a[href*='/charter/']")
    assert reader.path == f"/{lang}/charter/specimen-1/"
    reader.open(f"/{lang}/registry/entries/{123:032x}")
    reader.press("dl.facts a[href*='/registry/almaty/']")
    ask(reader, "сериков")
    assert names(reader) == ["Кайрат Жумабайулы Сериков"]
    assert "region=almaty" in reader.page.url


def test_a_list_is_taken_away_as_a_file(full: Centre, visit: Visit) -> None:
    reader = visit(at=full, lang="ru", size=DESKTOP)
    reader.open("/ru/registry/?q=" + quote("Жұмабайұлы"))
    with reader.page.expect_download() as download:
        reader.page.locator("main a[href*='registry.csv']").click()
    text = Path(download.value.path()).read_text(encoding="utf-8")
    assert "Қайрат Жұмабайұлы" in text
    assert "Көпшілікова" not in text


def test_an_ended_line_says_what_its_date_is_where_the_table_has_no_head(full: Centre, visit: Visit, lang: str) -> None:
    reader = visit(at=full, lang=lang, size=PHONE)
    reader.open(f"/{lang}/registry/")
    date_cell = reader.page.locator("tr.ended .when").first
    assert date_cell.is_visible()
    label = date_cell.evaluate("(cell) => getComputedStyle(cell, '::before').content")
    head = reader.page.locator("table.entries th").last.text_content()
    assert str(head) in label


def test_paper_gets_the_list_and_the_map_with_its_scale(full: Centre, visit: Visit) -> None:
    reader = visit(at=full, lang="ru", size=DESKTOP)
    reader.open("/ru/registry/almaty/")
    reader.page.emulate_media(media="print")
    for shown in (".map", ".legend", "table.entries", "dl.sum", ".as-of"):
        assert reader.page.locator(shown).first.is_visible(), shown
    for hidden in ("form.filters", ".pager", "nav.nav"):
        assert not reader.page.locator(hidden).first.is_visible(), hidden
    assert reader.page.pdf(format="A4").startswith(b"%PDF")
    reader.page.emulate_media(media="screen", forced_colors="active")
    widths = reader.page.locator(".legend i").evaluate_all("(all) => all.map((i) => getComputedStyle(i).borderWidth)")
    chosen, other = (
        reader.page.locator(f"nav.chips a{which}").first.evaluate("(chip) => getComputedStyle(chip).backgroundColor")
        for which in ("[aria-current]", ":not([aria-current])")
    )
    assert chosen != other, "what is chosen is seen without our colours too"
    assert len(set(widths)) >= len(widths) - 1, "steps differ by their rims where all colours are the system's"


def pages(lang: str) -> dict[str, str]:
    """Those that the tour of every page does not come by."""
    return {
        "by name": f"/{lang}/registry/?order=name",
        "search": f"/{lang}/registry/?q=qairat&region=astana&from=2026-11-01",
        "nothing found": f"/{lang}/registry/?q={quote('Жумапаюлы')}",
        "dates reversed": f"/{lang}/registry/?from=2026-11-20&to=2026-11-01&affiliation=amanat",
        "region": f"/{lang}/registry/almaty/",
        "affiliations": f"/{lang}/registry/affiliations/",
        "affiliation": f"/{lang}/registry/affiliations/amanat/",
        "affiliation that merged": f"/{lang}/registry/affiliations/adal/",
        "edition": f"/{lang}/charter/specimen-1/",
    }


def test_every_page_of_the_registry_is_accessible_and_fits_a_narrow_screen(
    full: Centre, visit: Visit, lang: str
) -> None:
    reader = visit(at=full, lang=lang)
    found: list[str] = []
    for place, (name, path) in enumerate(pages(lang).items()):
        reader.open(path)
        reader.page.evaluate("document.querySelectorAll('main details').forEach((one) => { one.open = true })")
        found += look(reader, name, all_rules=place % len(LANGUAGES) == LANGUAGES.index(lang))
    assert not found, "\n".join(found)
