"""The registry's pages: whoever is in it is found, every list adds up, and an address says what is chosen."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date, timedelta
from typing import Any
from urllib.parse import parse_qsl, quote, urlsplit

import pytest
from flask import Flask
from sqlalchemy import select

from charter.domain.alphabet import sort_key
from charter.domain.selection import MOST_CHARS, Place, Selection
from charter.models.affiliation import Affiliation
from charter.models.base import db, writing
from charter.models.edition import Edition, EditionText
from charter.models.registry import PublicEntry
from charter.operations import public_side
from charter.queries import registry, search
from charter.web import lists
from charter.web.selecting import address_of, read_place, read_selection
from tests.pages import Browser, Page
from tests.web.public_history import History

#: Asked of both engines only where the database answers differently.
ONE_ENGINE = pytest.mark.parametrize("engine_name", ["sqlite"], indirect=True)
DAY = date(2026, 11, 10)

Values = dict[str, Any]


class Cast(History):
    """A registry of exactly these people, published in one batch."""

    def __init__(self, app: Flask, *people: Values) -> None:
        super().__init__(app)
        self._people = iter(people)
        self.batch(new=len(people))

    def _entry(self, number: int, *, rev: int, signed_on: date) -> PublicEntry:
        values: Values = {
            "number": number,
            "entry": f"{number:032x}",
            "rev": rev,
            "line": b"{}",
            "kind": "independent",
            "display": "full",
            "name": "Біреу",
            "region_code": "KZ-75",
            "edition_slug": "specimen-1",
            "signed_on": DAY,
        }
        return PublicEntry(**(values | next(self._people)))

    def end(self, number: int, *, by: str = "signatory") -> None:
        """One of them leaves."""
        with self.app.app_context(), writing():
            changes = public_side.Changes(self.last_revision() + 1)
            row = db.session.get(PublicEntry, number)
            assert row is not None
            public_side.end_entry(row, by=by, at=self.later(), changes=changes)
            public_side.append_batch(revision=changes.revision, at=self.later(), first_index=self.size(), data=[])
            public_side.move_counters(changes)
            db.session.commit()

    def last_revision(self) -> int:
        as_of = registry.find_as_of()
        assert as_of is not None
        return as_of.revision

    def later(self) -> Any:
        as_of = registry.find_as_of()
        assert as_of is not None
        return as_of.at + timedelta(minutes=1)

    def size(self) -> int:
        return int(db.session.execute(select(db.text("max(tree_size)")).select_from(db.text("log_batch"))).scalar_one())


def person(name: str | None, **values: Any) -> Values:
    return {"name": name, **values}


PARTY = {"kind": "party", "affiliation_slug": "amanat", "affiliation_name": "Партия «AMANAT»"}
PEOPLE = (
    person("Қайрат Жұмабайұлы"),
    person("Кайрат Омаров", region_code="KZ-71", **PARTY),
    person("Kairat Zhumabaiuly", kind="international", affiliation_name="Planet Express", region_code="ZZ"),
    person(
        "Әмина Оспанова", affiliation_slug="fprk", affiliation_name="Федерация профсоюзов", signed_on=date(2026, 11, 12)
    ),
    person("Ғани Ы.", display="short", signed_on=date(2026, 11, 14), **PARTY),
    person(None, display="unlisted", kind="party"),
    person("Гүлнар Өтегенова", region_code="KZ-71"),
    person("Мария Уходящая", signed_on=date(2026, 11, 14), **PARTY),
)
EVERYONE = [one["name"] for one in PEOPLE if one["name"]]


@pytest.fixture
def cast(app: Flask) -> Cast:
    return Cast(app, *PEOPLE)


@pytest.fixture
def reader(cast: Cast) -> Browser:
    return Browser(cast.app)


def names(page: Page) -> list[str]:
    """Who is shown by name in the page's list, from top to bottom."""
    return [cell.to_text() for cell in page.tree.query("table.entries .who a") if not cell.query(".unlisted")]


def number_of(text: str) -> int:
    return int(re.sub(r"\D", "", text))


def links(page: Page, where: str) -> dict[str, str]:
    return {one.to_text().strip(): one.attrs["href"] for one in page.tree.query(f"{where} a")}


# ── searching ────────────────────────────────────────────────────────────────────────────────────────────────────────

SPELLINGS = ("Қайрат Жұмабайұлы", "Кайрат Жумабайулы", "Kairat Zhumabaiuly", "Qairat Jumabaiuly", "жумаб кайр", "қа жұ")


def test_one_field_finds_a_person_in_any_spelling_and_order(reader: Browser) -> None:
    for spelling in SPELLINGS:
        page = reader.get(f"/en/registry/?q={quote(spelling)}")
        assert set(names(page)) >= {"Қайрат Жұмабайұлы", "Kairat Zhumabaiuly"}, spelling
        assert "Әмина Оспанова" not in names(page), spelling
        assert page.tree.query("#q")[0].attrs["value"] == spelling
    assert names(reader.get("/ru/registry/?q=amanat")) == ["Мария Уходящая", "Ғани Ы.", "Кайрат Омаров"]
    assert names(reader.get("/kk/registry/?q=" + quote("«кайр»"))) == []


def test_nobody_is_found_by_what_is_not_shown(reader: Browser, cast: Cast) -> None:
    assert names(reader.get("/ru/registry/?q=" + quote("Ыбырайымов"))) == []
    assert names(reader.get("/ru/registry/?q=" + quote("Уходящая"))) == ["Мария Уходящая"]
    cast.end(8)
    for query in ("Уходящая", "Мария", "mariia"):
        page = reader.get("/ru/registry/?q=" + quote(query))
        assert "Уходящая" not in page.main.replace(f"«{query}»", "")
        assert not page.tree.query("table.entries"), query


def test_where_nothing_is_found_a_similar_spelling_leads_to_somebody(reader: Browser) -> None:
    page = reader.get("/en/registry/?q=" + quote("Утегенава"))
    assert "Found: 0" in page.main
    found = [url for url in links(page, ".chips").values() if "q=" in url]
    assert found, page.main
    assert "Гүлнар Өтегенова" in names(reader.get(found[0]))
    narrowed = reader.get("/en/registry/?q=" + quote("Оспанова") + "&region=astana")
    everywhere = links(narrowed, "main")["Search in the whole registry"]
    assert names(reader.get(everywhere)) == ["Әмина Оспанова"]


@ONE_ENGINE
def test_a_question_without_letters_and_one_that_is_too_long_are_answered_in_words(reader: Browser) -> None:
    assert "no letter or digit" in reader.get("/en/registry/?q=%3F%21+%2E").main
    long = "Оспанова " * 40
    page = reader.get("/en/registry/?q=" + quote(long))
    assert "first 200 characters" in page.main
    assert names(page) == ["Әмина Оспанова"]
    assert len(page.tree.query("#q")[0].attrs["value"]) <= MOST_CHARS
    assert "first 200 characters" not in reader.get("/en/registry/?q=" + quote("Оспанова " * 3)).main


def test_a_count_is_exact_or_says_that_it_is_not(reader: Browser, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "Found: 8" in reader.get("/en/registry/").main
    assert "Found: 3" in reader.get("/en/registry/?affiliation=amanat").main
    assert "Found: 3" in reader.get("/en/registry/?q=kairat").main
    monkeypatch.setattr(search, "MOST_COUNTED", 2)
    page = reader.get("/en/registry/?q=am")
    assert "Found: more than 2" in page.main


# ── narrowing down ───────────────────────────────────────────────────────────────────────────────────────────────────

CHOICES: list[tuple[str, list[str]]] = [
    ("region=astana", ["Гүлнар Өтегенова", "Кайрат Омаров"]),
    ("kind=international", ["Kairat Zhumabaiuly"]),
    ("affiliation=amanat", ["Мария Уходящая", "Ғани Ы.", "Кайрат Омаров"]),
    ("affiliation=amanat&region=astana", ["Кайрат Омаров"]),
    ("from=2026-11-12&to=2026-11-13", ["Әмина Оспанова"]),
    ("from=2026-11-14", ["Мария Уходящая", "Ғани Ы."]),
    ("q=kairat&region=abroad&kind=international&edition=specimen-1&to=2026-11-30", ["Kairat Zhumabaiuly"]),
    ("q=kairat&region=abroad&kind=party", []),
]


def test_filters_combine_with_one_another_and_with_words(reader: Browser) -> None:
    for query, wanted in CHOICES:
        page = reader.get(f"/ru/registry/?{query}")
        assert names(page) == wanted, query
        assert f"Найдено: {len(wanted)}" in page.main, query
        assert "open" in page.tree.query("form.filters details")[0].attrs, query


def test_everything_that_is_chosen_is_said_and_can_be_taken_away(reader: Browser) -> None:
    given = "q=kairat&region=abroad&kind=international&edition=specimen-1&from=2026-11-01&to=2026-11-30"
    page = reader.get(f"/en/registry/?{given}&order=name")
    chips = [one for one in page.tree.query(".chips a") if "Without" in one.to_text()]
    assert len(chips) == 6
    left = {frozenset(dict(parse_qsl(urlsplit(chip.attrs["href"]).query))) for chip in chips}
    whole = set(dict(parse_qsl(given))) | {"order"}
    assert left == {frozenset(whole - {name}) for name in whole - {"order"}}
    for chip in chips:
        assert "Kairat Zhumabaiuly" in names(reader.get(chip.attrs["href"]))
    assert links(page, ".chips")["Show everyone"] == "/en/registry/"
    # What is chosen stands in the form too, so that the next search keeps it.
    chosen = [one.attrs["value"] for one in page.tree.query("form.filters option") if "selected" in one.attrs]
    assert chosen == ["abroad", "international", "specimen-1"]
    assert page.tree.query("#from")[0].attrs["value"] == "2026-11-01"
    assert page.tree.query("input[name=order]")[0].attrs["value"] == "name"


@ONE_ENGINE
def test_dates_the_wrong_way_round_are_a_word_and_no_error(reader: Browser) -> None:
    page = reader.get("/en/registry/?from=2026-11-20&to=2026-11-10")
    assert page.status == 200
    assert "Exchange the two dates" in page.main
    assert "Found: 0" in page.main


MALFORMED = (
    "region=nowhere",
    "region=KZ-75",
    "kind=nobody",
    "affiliation=nobody",
    "affiliation=../..",
    "edition=specimen-9",
    "from=2026",
    "from=2026-13-01",
    "from=2026-02-30",
    "to=20261101",
    "to=2026-W47-1",
    "to=٢٠٢٦-11-01",
    "order=random",
    "older=-1",
    "newer=1e3",
    "order=name&after=one",
    "order=name&before=" + "9" * 40,
)


@ONE_ENGINE
def test_a_value_that_means_nothing_is_no_page_and_an_unknown_parameter_is_nothing(reader: Browser) -> None:
    for query in MALFORMED:
        assert reader.client.get(f"/ru/registry/?{query}").status_code == 404, query
    for query in ("utm_source=x", "page=7", "q=&region=&kind=&affiliation=&edition=&from=&to=&order=", "after=x"):
        assert len(names(reader.get(f"/ru/registry/?{query}"))) == len(EVERYONE), query
    for path in ("almaty/?kind=x", "almaty/?order=x", "affiliations/nobody/", "affiliations/amanat/?region=x"):
        assert reader.client.get(f"/ru/registry/{path}").status_code == 404, path
    assert len(names(reader.get("/ru/registry/almaty/?region=x&q=zzz&from=x"))) == 4, "a region's list knows two"


SELECTIONS = (
    Selection(),
    Selection(asked='Қайрат «Ж» "x" & +/?#', order="name"),
    Selection(region="KZ-75", kind="party", affiliation="fprk", edition="specimen-1"),
    Selection(signed_from=date(2026, 1, 2), signed_to=date(2026, 11, 30), region="ZZ", order="name"),
)


@ONE_ENGINE
def test_an_address_gives_back_the_selection_it_was_made_of(app: Flask) -> None:
    for selection in SELECTIONS:
        for place in (None, Place(17), Place(3, is_back=True)):
            with app.test_request_context("/ru/registry/"):
                app.preprocess_request()
                address = address_of("registry.index", selection, place=place)
                db.session.rollback()
            with app.test_request_context(address):
                app.preprocess_request()
                assert read_selection(lists.regions().views) == selection
                assert read_place(selection) == place
                db.session.rollback()


# ── orders and pages ─────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def crowd(app: Flask) -> list[PublicEntry]:
    """Three pages of people, by number."""
    history = History(app)
    history.batch(new=140)
    history.batch(ended=12)
    return [row for _number, row in sorted(history.entries().items())]


def walk(page: Page, rel: str) -> list[list[int]]:
    def numbers(one: Page) -> list[int]:
        return [number_of(cell.to_text()) for cell in one.tree.query("table.entries .no")]

    found = [numbers(page)]
    while following := page.tree.query(f"a[rel={rel}]"):
        page = page.browser.get(following[0].attrs["href"])
        found.append(numbers(page))
        assert len(found) < 10
    return found


def by_name(rows: list[PublicEntry]) -> list[int]:
    shown = [row for row in rows if row.ended_on is None]
    return [row.number for row in sorted(shown, key=lambda row: (sort_key(row.name), row.number))]


def newest_first(rows: list[PublicEntry]) -> list[int]:
    return [row.number for row in reversed(rows)]


ORDERS: list[tuple[str, Callable[[list[PublicEntry]], list[int]], Callable[[PublicEntry], bool]]] = [
    ("registry/?order=name", by_name, lambda row: True),
    ("registry/?from=2026-11-01", newest_first, lambda row: True),
    ("registry/almaty/?order=name", by_name, lambda row: row.region_code == "KZ-75"),
    ("registry/?order=name&kind=party", by_name, lambda row: row.kind == "party"),
    ("registry/affiliations/fprk/", newest_first, lambda row: row.affiliation_slug == "fprk"),
    ("registry/affiliations/fprk/?order=name", by_name, lambda row: row.affiliation_slug == "fprk"),
    ("registry/?q=federaciia+profsoiuzov&order=name", by_name, lambda row: row.affiliation_slug == "fprk"),
    ("registry/?q=profs&kind=party", newest_first, lambda row: row.affiliation_slug == "fprk" and row.kind == "party"),
]


def test_every_list_can_be_walked_forwards_and_back_in_both_orders(app: Flask, crowd: list[PublicEntry]) -> None:
    browser = Browser(app)
    for path, order, belongs in ORDERS:
        wanted = order([row for row in crowd if belongs(row)])
        last = first = browser.get(f"/en/{path}")
        assert not first.tree.query("a[rel=prev]"), path
        pages = walk(first, "next")
        assert [number for page in pages for number in page] == wanted, path
        while following := last.tree.query("a[rel=next]"):
            last = browser.get(following[0].attrs["href"])
        back = walk(last, "prev")
        assert [number for page in reversed(back) for number in page] == wanted, path


@ONE_ENGINE
def test_a_list_says_its_order_in_words_and_leads_to_the_other(reader: Browser) -> None:
    for path in ("", "almaty/", "affiliations/amanat/", "?q=kairat&region=abroad"):
        newest = reader.get(f"/en/registry/{path}")
        assert re.search("newest first", newest.main, re.IGNORECASE), path
        url = links(newest, "main")["Put in order by name"]
        ordered = reader.get(url)
        assert re.search("by name, in the order of the Kazakh alphabet", ordered.main, re.IGNORECASE), path
        assert set(names(ordered)) == set(names(newest)), path
        assert names(ordered) == sorted(names(ordered), key=sort_key), path
        assert names(reader.get(links(ordered, "main")["Newest first"])) == names(newest), path


def test_a_page_by_name_whose_place_is_lost_leads_to_the_first_one(reader: Browser, cast: Cast) -> None:
    address = "/ru/registry/?q=maria&order=name&after=8&region=almaty"
    assert reader.client.get(address).status_code == 200
    cast.end(8)
    answer = reader.client.get(address)
    assert answer.status_code == 302
    assert "Set-Cookie" not in answer.headers
    assert dict(parse_qsl(urlsplit(answer.headers["Location"]).query)) == {
        "q": "maria",
        "region": "almaty",
        "order": "name",
    }
    beyond = reader.get("/en/registry/?older=1")
    assert links(beyond, "main")["To its first page"] == "/en/registry/"


# ── what ended ───────────────────────────────────────────────────────────────────────────────────────────────────────


def test_an_ended_entry_keeps_its_number_and_dates_in_the_whole_registry_only(reader: Browser, cast: Cast) -> None:
    cast.end(8)
    cast.end(1, by="centre")
    whole = reader.get("/en/registry/")
    ended = whole.tree.query("tr.ended")
    assert [number_of(row.query(".no")[0].to_text()) for row in ended] == [8, 1]
    assert "withdrawn by the signatory" in ended[0].to_text()
    assert "Removed from the registry by the Centre" in ended[1].to_text()
    assert ended[0].query(".when")[0].attrs["data-label"] == "Signed", "on a narrow screen it has no head"
    for path in ("?order=name", "?region=almaty", "?kind=party", "?affiliation=amanat", "?q=a"):
        assert not reader.get(f"/en/registry/{path}").tree.query("tr.ended"), path
    assert reader.get("/en/registry/?from=2026-11-14").tree.query("tr.ended"), "its date is public still"
    for path in ("registry/", "registry/almaty/", "registry/affiliations/amanat/", f"registry/entries/{8:032x}"):
        page = reader.get(f"/en/{path}")
        assert "Уходящая" not in page.text, path
    entry = reader.get(f"/en/registry/entries/{8:032x}")
    for gone in ("AMANAT", "Almaty", "Party", "specimen"):
        assert gone not in entry.main, gone


# ── figures ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def sums(page: Page) -> dict[str, int]:
    """What the list of totals says: listed, unlisted, withdrawn, removed, signed."""
    return {
        row.query("dt")[0].to_text(): number_of(row.query("dd")[0].to_text()) for row in page.tree.query("dl.sum div")
    }


def test_figures_add_up_for_every_region_and_for_all(app: Flask, crowd: list[PublicEntry]) -> None:
    browser = Browser(app)
    whole = browser.get("/en/registry/")
    rows = {
        row.query("th")[0].to_text(): [number_of(cell.to_text()) for cell in row.query("td")]
        for row in whole.tree.query("details .scroll tr")[1:]
    }
    total = rows.pop("Total")
    assert total == [sum(column) for column in zip(*rows.values(), strict=True)]
    assert total == list(sums(whole).values())
    assert all(sum(row[:-1]) == row[-1] for row in rows.values())
    assert total[-1] == len(crowd)
    assert total[0] + total[1] == sum(row.ended_on is None for row in crowd)
    assert "Found: 128" in whole.main
    for slug, code in (("almaty", "KZ-75"), ("astana", "KZ-71"), ("abroad", "ZZ"), ("turkistan", "KZ-61")):
        page = browser.get(f"/en/registry/{slug}/")
        listed, unlisted, withdrawn, removed, signed = sums(page).values()
        here = [row for row in crowd if row.region_code == code]
        shown = [row for row in here if row.ended_on is None]
        assert listed + unlisted + withdrawn + removed == signed == len(here), slug
        assert listed + unlisted == len(shown), slug
        tile = page.tree.query(".map a[aria-current] b")[0].to_text()
        assert number_of(tile) == len(shown), slug
        kinds = [number_of(one.query("span")[-2].to_text()) for one in page.tree.query(".keys li")]
        assert sum(kinds) == len(shown), slug
        table = [number_of(cell.to_text()) for cell in page.tree.query("table.sums td")]
        assert (sum(table[:-1]) == table[-1] == len(shown)) if shown else not table, slug


def test_an_affiliation_shows_its_observers_by_region(app: Flask, crowd: list[PublicEntry]) -> None:
    browser = Browser(app)
    shown = [row for row in crowd if row.affiliation_slug == "fprk"]
    page = browser.get("/en/registry/affiliations/fprk/")
    assert f"{len(shown)} observers stand in the registry" in page.main
    rows = page.tree.query("table.sums tbody tr")
    assert sum(number_of(row.query("td")[0].to_text()) for row in rows) == len(shown)
    for row in rows:
        there = browser.get(row.query("a")[0].attrs["href"])
        assert len(there.tree.query("table.entries tbody tr")) == min(50, number_of(row.query("td")[0].to_text()))
    listed = browser.get("/en/registry/affiliations/")
    row = next(row for row in listed.tree.query("main tr") if "affiliations/fprk/" in str(row.to_html()))
    assert number_of(row.query("td")[0].to_text()) == len(shown)


@ONE_ENGINE
def test_former_names_and_mergers_are_told_from_both_sides(reader: Browser) -> None:
    amanat = reader.get("/en/registry/affiliations/amanat/")
    assert "Nur Otan Party" in amanat.main
    assert "1\xa0March 2022" in amanat.main
    joined = reader.get(amanat.href("/affiliations/adal/"))
    assert "Merged into" in joined.main
    assert joined.href("/affiliations/amanat/")
    assert "Nobody in the registry observes for it" in joined.main
    assert "November\xa02020" in reader.get("/en/registry/affiliations/qhp/").main, "a month, where the day is unknown"
    assert "merged into: AMANAT" in reader.get("/en/registry/affiliations/").main


def test_an_old_name_leads_to_the_affiliation(reader: Browser, app: Flask) -> None:
    with app.app_context(), writing():
        row = db.session.scalars(select(Affiliation).filter_by(slug="amanat")).one()
        row.name = dict.fromkeys(("kk", "ru", "en"), "Жаңа партия")
        db.session.commit()
    line = reader.get("/ru/registry/?q=amanat")
    assert names(line)
    page = reader.get(line.href("/affiliations/amanat/"))
    assert "Жаңа партия" in page.tree.query("h1")[0].to_text()
    assert "Кайрат Омаров" in names(page)
    entry = reader.get(f"/ru/registry/entries/{2:032x}")
    assert "Партия «AMANAT»" in entry.main, "as it was signed"


# ── an entry and its text ────────────────────────────────────────────────────────────────────────────────────────────


def test_an_entry_leads_to_the_text_that_was_signed_also_when_another_is_signed_now(
    reader: Browser, app: Flask
) -> None:
    entry = reader.get(f"/ru/registry/entries/{4:032x}")
    for part in ("Әмина Оспанова", "specimen-1", "Федерация профсоюзов", "12\xa0ноября 2026"):
        assert part in entry.main, part
    assert entry.href("/affiliations/fprk/")
    url = entry.href("/charter/specimen-1/")
    current = reader.get(url)
    assert "прежняя редакция" not in current.main
    assert current.tree.query("a[href='/ru/sign/']")
    files = {row.query("a")[0].attrs["href"] for row in current.tree.query("#files tbody tr")}
    assert files == {f"/charter/specimen-1/{lang}.txt" for lang in ("kk", "ru", "en")}
    with app.app_context(), writing():
        first = db.session.get(Edition, "specimen-1")
        assert first is not None
        first.is_current = False
        db.session.flush()
        db.session.add(Edition(slug="specimen-2", is_specimen=True, published_on=date(2026, 11, 18), is_current=True))
        db.session.flush()
        for text in db.session.scalars(select(EditionText).filter_by(edition_slug="specimen-1")).all():
            db.session.add(
                EditionText(edition_slug="specimen-2", language=text.language, body=text.body, sha256=text.sha256)
            )
        db.session.commit()
    History(app).batch()
    former = reader.get(url)
    assert "прежняя редакция" in former.main.lower()
    assert not former.tree.query("main a[href='/ru/sign/']"), "nobody signs it any more"
    assert former.href("/charter/specimen-2/")
    assert reader.get("/ru/registry/?edition=specimen-2").tree.query("#edition option[selected]")
    assert reader.client.get("/ru/charter/specimen-3/").status_code == 404


# ── the map ──────────────────────────────────────────────────────────────────────────────────────────────────────────


@ONE_ENGINE
def test_the_map_says_what_its_steps_mean_and_every_tile_keeps_to_it(app: Flask, crowd: list[PublicEntry]) -> None:
    for path in ("", "registry/almaty/"):
        page = Browser(app).get(f"/en/{path}")
        steps = {}
        for step in page.tree.query(".legend i"):
            first, _, last = (step.parent.to_text().strip()).partition("–")
            steps[step.attrs["class"]] = (number_of(first), number_of(last or first))
        assert steps["l0"] == (0, 0)
        tiles = page.tree.query(".map a")
        assert len(tiles) == 21
        for tile in tiles:
            first, last = steps[tile.attrs["class"]]
            assert first <= number_of(tile.query("b")[0].to_text()) <= last
