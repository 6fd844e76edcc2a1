"""What pages are put together from quickly: rows, numbers, addresses and kept pieces say what the slow way says."""

from __future__ import annotations

from datetime import date

import pytest
from babel import Locale
from babel.numbers import format_decimal
from flask import Flask, g, render_template_string, url_for
from hypothesis import given
from hypothesis import strategies as st
from justhtml import JustHTML
from markupsafe import Markup

from charter.i18n import LANGUAGES, format_date, number_in
from charter.models.base import db, writing
from charter.models.log import LogEvent
from charter.queries.registry import RegionView, RegistryEntry
from charter.web.languages import MOST_ADDRESSES
from tests.operations.test_signing import now
from tests.people import work

HOSTILE = "<b onclick=\"x\">Amina</b> & 'co'"
REGION = RegionView(code="KZ-75", slug="almaty", name="Almaty", short=HOSTILE, abbr="A", col=0, row=0)


def line(**given_: object) -> RegistryEntry:
    values: dict[str, object] = {
        "entry": "a" * 32,
        "number": 1234567,
        "kind": "independent",
        "display": "full",
        "name": HOSTILE,
        "region": REGION,
        "affiliation_name": HOSTILE,
        "signed_on": date(2026, 11, 20),
        "edition": "specimen-1",
        "ended_on": None,
        "ended_by": None,
        "affiliation": None,
    }
    return RegistryEntry(**(values | given_))  # type: ignore[arg-type]


@pytest.mark.parametrize("lang", LANGUAGES)
def test_what_people_typed_is_text_in_every_row(app: Flask, lang: str) -> None:
    lines = [line(), line(affiliation="fprk"), line(name=None, display="unlisted", affiliation_name=None)]
    lines.append(line(name=None, affiliation_name=None, ended_on=date(2026, 11, 21), ended_by="signatory"))
    template = (
        '{% from "components/entries.html" import entry_table with context %}'
        "{{ entry_table(lines, caption, with_region=with_region) }}"
    )
    for with_region in (True, False):
        with app.test_request_context(f"/{lang}/registry/"):
            g.lang = lang
            text = render_template_string(template, lines=lines, caption=HOSTILE, with_region=with_region, lang=lang)
            day = format_date(date(2026, 11, 20))
        tree = JustHTML(text, sanitize=False)
        assert not tree.query("b")
        assert not tree.query("[onclick]")
        assert text.count(str(Markup.escape(HOSTILE))) == 1 + 2 + 2 + (3 if with_region else 0)
        rows = tree.query("tbody tr")
        assert len(rows) == 4
        for row in rows:
            width = sum(int(str(cell.attrs.get("colspan", 1))) for cell in row.query("td"))
            assert width == len(tree.query("thead th"))
            assert day in row.to_text()
            assert number_in(lang, 1234567) in row.to_text()
        assert rows[1].query("td.for a")[0].attrs["href"] == f"/{lang}/registry/affiliations/fprk/"
        assert not rows[2].query("td.for a")


@given(st.integers(-(10**15), 10**15), st.sampled_from(LANGUAGES))
def test_numbers_are_grouped_as_the_language_does(number: int, lang: str) -> None:
    assert number_in(lang, number) == str(format_decimal(number, locale=Locale(lang))).replace(" ", "\u00a0")


def test_remembered_addresses_are_those_of_the_page_they_are_asked_on(app: Flask) -> None:
    asked = [
        ("registry.index", {}),
        ("registry.index", {"kind": "party", "region": "almaty"}),
        ("registry.index", {"kind": ["a", "b"]}),
        ("registry.entry", {"entry": "b" * 32, "_anchor": "x"}),
        ("public.home", {"lang": "en"}),
        ("public.home", {"_external": True}),
    ]
    for _ in range(2):
        for lang in LANGUAGES:
            with app.test_request_context(f"/{lang}/registry/"):
                g.lang = lang
                for endpoint, values in asked:
                    assert url_for(endpoint, **values) == Flask.url_for(app, endpoint, **values)
    with app.test_request_context("/ru/registry/", environ_overrides={"SCRIPT_NAME": "/below"}):
        g.lang = "ru"
        assert url_for("registry.index") == "/below/ru/registry/"


def test_addresses_of_which_there_is_no_end_are_forgotten(app: Flask) -> None:
    with app.test_request_context("/ru/registry/"):
        for number in range(MOST_ADDRESSES + 10):
            url_for("registry.index", older=number)
    assert len(app.url_for._made) <= MOST_ADDRESSES  # type: ignore[attr-defined]


def test_a_held_piece_is_made_once_a_batch_and_language_and_never_asks_by_itself(app: Flask) -> None:
    made = []

    @app.route("/<lang:lang>/piece/<slug:slug>/")
    def piece(slug: str) -> str:
        from charter.web.kept import find_as_of, held

        if slug != "nothing-asked":
            find_as_of()
        return held("piece", slug, caller=lambda: made.append(slug) or Markup(slug))

    client = app.test_client()
    for _ in range(3):
        for path in ("/ru/piece/a/", "/kk/piece/a/", "/ru/piece/b/"):
            client.get(path)
    assert sorted(made) == ["a", "a", "b"]
    with app.app_context(), writing():
        db.session.add(LogEvent(kind="refresh", values={}, effective_at=now()))
        db.session.commit()
    work(app)
    client.get("/ru/piece/a/")
    assert made.count("a") == 3
    for _ in range(2):
        client.get("/ru/piece/nothing-asked/")
    assert made.count("nothing-asked") == 2
