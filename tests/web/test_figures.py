"""Statistics and transparency: plots whose every figure stands in a table too, the same in three languages."""

from __future__ import annotations

import re
from datetime import date
from typing import Any

import pytest
from flask import Flask
from hypothesis import given
from hypothesis import strategies as st
from justhtml import JustHTML
from time_machine import Traveller as Clock

from charter.models.base import db, writing
from charter.models.figures import MonthCount
from charter.models.registry import DayCount
from charter.web import figures, plotting
from charter.web.languages import LANGUAGES
from tests.house.test_cost import MOST_STATEMENTS, cost
from tests.operations.test_publication import published
from tests.operations.test_signing import confirmed, decide, withdraw
from tests.pages import Browser, Page
from tests.people import Desk, work

PAGES = ("statistics", "transparency")


def tell(app: Flask, desk: Desk, clock: Clock) -> None:
    """Three published, of whom one left; one refused late, one withdrawn before an answer, one waiting."""
    for place, kind in enumerate(("independent", "international", "independent")):
        published(app, desk, clock, place, kind=kind, affiliation_text="Romania" if kind != "independent" else None)
    withdraw(app, published(app, desk, clock, 3))
    refused = confirmed(app, address="refused@example.org")
    gone = confirmed(app, address="gone@example.org")
    work(app)
    withdraw(app, gone)
    clock.shift(14 * 24 * 3600)
    decide(app, refused, desk.id, "decline", "under-age")
    clock.shift(11)
    confirmed(app, address="waiting@example.org")
    work(app)


def table(page: Page, place: int) -> list[list[str]]:
    """Rows of a table as words."""
    rows = page.tree.query("main table")[place].query("tr")
    return [[cell.to_text().replace("\xa0", " ").strip() for cell in row.query("th, td")] for row in rows]


def numbers(page: Page, place: int = 0) -> list[str]:
    """The figures of a list that adds up."""
    return [one.to_text() for one in page.tree.query("dl.sum")[place].query("dd")]


def bars(svg: Any) -> int:
    """How many bars are drawn; the square of a kind is none."""
    return sum(one.attrs["x"].endswith("%") for one in svg.query("rect"))


@pytest.mark.parametrize("lang", LANGUAGES)
def test_the_transparency_page_says_what_happened(app: Flask, desk: Desk, clock: Clock, lang: str) -> None:
    tell(app, desk, clock)
    page = Browser(app).get(f"/{lang}/transparency/")
    # published, refused, withdrawn before an answer, waiting, all; then what ended after publication
    assert numbers(page) == ["4", "1", "1", "1", "7"]
    assert numbers(page, 1) == ["1", "0"]
    answers = [row[1:] for row in table(page, 0)[1:]]
    assert answers == [["4", "4", "0", "0", "0"], ["1", "0", "1", "14", "14"], ["5", "4", "1", "0", "14"]]
    assert [row[-1] for row in table(page, 2)[1:]] == ["1", "1"], "the reason, and the sum"
    assert table(page, 1)[1:] == [["0", "4"], ["14", "1"]]
    for hidden in ("Әмина", "Оспанова", "@example.org", "Romania", "Bruno"):
        assert hidden not in page.text


@pytest.mark.parametrize("lang", LANGUAGES)
def test_the_statistics_page_draws_what_its_tables_say(app: Flask, desk: Desk, clock: Clock, lang: str) -> None:
    tell(app, desk, clock)
    page = Browser(app).get(f"/{lang}/statistics/")
    weeks = table(page, 0)[1:]
    assert len(weeks) == 13
    # independent, party, international, together: newest first, and the two weeks after it empty
    assert [row[1:] for row in weeks][:4] == [["0"] * 4, ["0"] * 4, ["3", "0", "1", "4"], ["0"] * 4]
    svg = page.tree.query("main svg[role=img]")[0]
    assert bars(svg) == 3, "one bar of all, one of each kind that there is"
    ids = svg.attrs["aria-labelledby"].split()
    assert [svg.query(f"#{one}")[0].to_text().strip() != "" for one in ids] == [True, True]
    assert numbers(page) == ["3", "0", "1", "0", "4"]
    fates = table(page, 2)
    assert len(fates) == 1 + 21 + 1
    assert fates[-1][1:] == ["3", "0", "1", "0", "4"]


def test_before_anything_is_published_both_pages_say_so(app: Flask, client: object) -> None:
    page = Browser(app).get("/en/transparency/")
    assert "No application has been answered yet." in page.main
    assert "No application has been refused." in page.main
    assert "No signature in these weeks." in Browser(app).get("/en/statistics/").main


def test_the_weeks_of_a_region_are_its_own(app: Flask, desk: Desk, clock: Clock) -> None:
    published(app, desk, clock, 0, region_code="KZ-75")
    published(app, desk, clock, 1, region_code="KZ-10")
    with app.test_request_context("/ru/"):
        from charter.web.headers import public_page

        totals = []

        def look() -> str:
            for region in (None, "KZ-75", "KZ-10", "KZ-71"):
                found = figures.courses(region)
                assert found is not None
                totals.append(found.weeks.series.total())
            return ""

        public_page()(look)()
    assert totals == [2, 1, 1, 0]


def test_many_years_stay_readable_and_small(app: Flask, desk: Desk, clock: Clock) -> None:
    published(app, desk, clock, 0)
    with app.app_context(), writing():
        for year in range(2007, 2027):
            for month in range(1, 11):
                values = {"region_code": "KZ-71", "kind": "party", "signed": year}
                db.session.add(DayCount(signed_on=date(year, month, 5), **values))
                db.session.add(MonthCount(month_on=date(year, month, 1), **values))
        db.session.commit()
    answer = app.test_client().get("/ru/statistics/")
    assert len(answer.data) < 100_000
    page = Browser(app).get("/ru/statistics/")
    weeks, years = page.tree.query("main svg[role=img]")
    assert len(table(page, 0)) == 1 + 53 and len(table(page, 1)) == 1 + 20
    assert table(page, 1)[-1][0] == "2007" and table(page, 1)[-1][-1].replace(" ", "") == "20070"
    for svg in (weeks, years):
        assert len(svg.query("text")) < 30
    assert bars(years) == 20 + 20 + 1


def test_both_pages_answer_304_and_cost_the_same_however_much_there_is(app: Flask, desk: Desk, clock: Clock) -> None:
    published(app, desk, clock, 0)
    client = app.test_client()
    few = {}
    for name in PAGES:
        answer = client.get(f"/en/{name}/")
        assert answer.status_code == 200 and "Set-Cookie" not in answer.headers
        assert answer.headers["Cache-Control"].startswith("public")
        again = client.get(f"/en/{name}/", headers={"If-None-Match": answer.headers["ETag"]})
        assert again.status_code == 304
    clock.shift(60)
    confirmed(app, address="one@example.org")
    work(app)
    for name in PAGES:
        few[name] = cost(app, Browser(app), f"/en/{name}/")
        assert len(few[name]) <= MOST_STATEMENTS, few[name]
    tell_more = [confirmed(app, address=f"more{place}@example.org") for place in range(6)]
    assert tell_more
    work(app)
    for name in PAGES:
        assert len(cost(app, Browser(app), f"/en/{name}/")) == len(few[name])


@pytest.mark.parametrize("engine_name", ["sqlite"], indirect=True)
def test_plots_need_no_script_no_style_and_no_colour(app: Flask, desk: Desk, clock: Clock) -> None:
    tell(app, desk, clock)
    for name in PAGES:
        svgs = Browser(app).get(f"/en/{name}/").tree.query("main svg")
        assert svgs
        colours = {node.attrs["fill"] for svg in svgs for node in [svg, *svg.query("[fill]")] if node.attrs.get("fill")}
        assert colours <= {"currentColor", "var(--blue)", "none"}, "bars are told apart by where they stand"


# ── where things stand in a plot ─────────────────────────────────────────────────────────────────────────────────────


@given(st.lists(st.lists(st.integers(0, 20_000), min_size=1, max_size=60), min_size=1, max_size=3))
def test_whatever_the_figures_everything_lies_within_the_drawing(given_rows: list[list[int]]) -> None:
    width = len(given_rows[0])
    rows = [(row * width)[:width] for row in given_rows]
    rows = [[sum(column) for column in zip(*rows, strict=True)], *rows]
    plot = plotting.columns(
        [(None, row) for row in rows], words=["x"] * width, marks=[(str(place), "2026") for place in range(width)]
    )
    for panel, row in zip(plot.panels, rows, strict=True):
        assert panel.total == sum(row)
        assert len(panel.bars) == sum(number > 0 for number in row)
        for bar in panel.bars:
            assert bar.x >= 0 and bar.x + bar.width <= 100.01
            assert panel.head_y < bar.y + 0.2 and abs(bar.y + bar.height - panel.base_y) < 0.02
        for line in panel.lines:
            assert panel.head_y < line.y < panel.base_y
        assert panel.base_y < plot.height
    assert len(plot.ticks) == min(width, 4)
    assert plot.foot_y < plot.height


def test_the_same_number_is_as_tall_in_every_row() -> None:
    plot = plotting.columns([(None, [8, 4]), ("party", [4, 0])], words=["", ""], marks=[("a", "b")] * 2)
    assert plot.panels[1].bars[0].height == plot.panels[0].bars[1].height == plot.panels[0].bars[0].height / 2


@pytest.mark.parametrize(
    ("count", "written"),
    [(1, "0"), (8, "0 1 2 3 4 5 6 7"), (13, "0 5 12"), (31, "0 5 10 15 20 25 30"), (32, "0 5 10 15 20 25 31")],
)
def test_short_words_of_an_axis_leave_each_other_room(count: int, written: str) -> None:
    plot = plotting.columns([(None, [1] * count)], words=[""] * count, marks=[(str(one), "") for one in range(count)])
    assert " ".join(tick.upper for tick in plot.ticks) == written


def test_no_figure_of_a_drawing_has_a_long_fraction(app: Flask, desk: Desk, clock: Clock) -> None:
    published(app, desk, clock, 0)
    svg = (
        str(app.test_client().get("/en/statistics/").text)
        .partition('<svg class="quiet')[2]
        .partition("</svg>\n  <p")[0]
    )
    assert svg and JustHTML(svg, sanitize=False)
    assert not re.search(r"\d\.\d{3,}", svg)
