"""The page for checking, as it comes from the server: whom it speaks of, what it never says, and its words."""

from __future__ import annotations

import re
from typing import Any

import pytest
from flask import Flask
from time_machine import Traveller as Clock

from charter import log_key
from charter.web.mirrored import FLAG
from tests.operations.test_publication import entry_row, published
from tests.operations.test_signing import withdraw
from tests.pages import Browser, Page
from tests.people import Desk, work

LANGUAGES = ("kk", "ru", "en")
UNKNOWN = "f" * 32
#: What does not depend on the database.
SQLITE = pytest.mark.parametrize("engine_name", ["sqlite"], indirect=True)


def entry_of(app: Flask, desk: Desk, clock: Clock, place: int = 0) -> tuple[int, str]:
    """A published entry: the id of its signature, and its permanent id."""
    signature_id = published(app, desk, clock, place)
    return signature_id, entry_row(app, signature_id).entry


def root_of(page: Page) -> dict[str, Any]:
    """What the script is told."""
    found: dict[str, Any] = page.tree.query("#verify")[0].attrs
    return found


def links(page: Page) -> list[str]:
    return [one.attrs["href"] for one in page.tree.query("main a[href]")]


def test_a_number_and_a_permanent_id_lead_to_the_same_files(app: Flask, desk: Desk, clock: Clock) -> None:
    _, entry = entry_of(app, desk, clock)
    for query in ("number=1", "number=%2001%20", f"entry={entry}"):
        page = Browser(app).get(f"/en/verify/?{query}")
        assert page.status == 200
        assert root_of(page)["data-entry"] == entry
        files = [f"/log/record/{entry}", f"/log/receipt/{entry}"]
        assert [one for one in links(page) if one.startswith("/log/")] == files
        assert all(Browser(app).get(one).status == 200 for one in files)
        assert f"/log/record/{entry}\n" in page.main, "the commands name the entry too"


def test_the_page_names_nobody(app: Flask, desk: Desk, clock: Clock) -> None:
    published(app, desk, clock, name="Шынар Әбдіғаппарқызы")
    page = Browser(app).get("/ru/verify/?number=1")
    assert "Шынар" not in page.text
    assert "noindex" not in page.response.headers.get("X-Robots-Tag", "")


def test_it_shows_the_key_that_the_log_names(app: Flask) -> None:
    key = log_key.signer(app.config["CHARTER"]).vkey
    page = Browser(app).get("/en/verify/")
    assert page.tree.query("#keys")[0].to_text().strip() == key
    assert page.main.count(key) == 3, "in the field and in two commands"
    assert "ENTRY" in page.main


def test_what_is_no_entry_is_said_and_checked_by_nobody(app: Flask) -> None:
    unknown, malformed = "The registry has no entry", "This is not a registry number"
    for query, words in (
        ("number=4711", f"{unknown} 4711"),
        (f"entry={UNKNOWN}", f"{unknown} {UNKNOWN}"),
        ("number=siebzehn", malformed),
        ("number=0", malformed),
        (f"number={'0' * 5000}1", malformed),
        ("number=1e3", malformed),
        ("number=99999999999999999999", malformed),
        ("number=%D9%A1", malformed),
        ("entry=../../etc", malformed),
    ):
        page = Browser(app).get(f"/en/verify/?{query}")
        assert page.status == 200, query
        assert words in page.main, query
        assert page.title.startswith("Error: "), query
        assert "data-entry" not in root_of(page), query
        assert page.tree.query("#number")[0].attrs["aria-invalid"] == "true", query


def test_an_ended_entry_has_nothing_left_to_compare(app: Flask, desk: Desk, clock: Clock) -> None:
    signature_id, entry = entry_of(app, desk, clock)
    withdraw(app, signature_id)
    work(app)
    for query in ("number=1", f"entry={entry}"):
        page = Browser(app).get(f"/en/verify/?{query}")
        assert "Signature withdrawn by the signatory on 20\xa0November 2026" in page.main
        assert "can still check them below" in page.main
        assert "data-entry" not in root_of(page)
        assert not [one for one in links(page) if one.startswith("/log/")]


def test_another_language_speaks_of_the_same_entry(app: Flask, desk: Desk, clock: Clock) -> None:
    entry_of(app, desk, clock)
    page = Browser(app).get("/kk/verify/?number=1")
    switch = [one.attrs["href"] for one in page.tree.query(".langs a")]
    assert switch == [f"/{lang}/verify/?number=1" for lang in LANGUAGES]
    assert page.tree.query("link[rel=canonical]")[0].attrs["href"].endswith("/kk/verify/")


def test_everybody_gets_the_same_page_until_something_is_published(app: Flask, desk: Desk, clock: Clock) -> None:
    client = app.test_client()
    first = client.get("/ru/verify/?number=1")
    assert "Set-Cookie" not in first.headers
    assert first.headers["Cache-Control"].startswith("public")
    tag = {"If-None-Match": first.headers["ETag"]}
    assert client.get("/ru/verify/?number=1", headers=tag).status_code == 304
    published(app, desk, clock)
    again = client.get("/ru/verify/?number=1", headers=tag)
    assert again.status_code == 200
    assert "data-entry" in again.get_data(as_text=True)


def test_a_mirror_checks_files_and_sends_numbers_to_the_service(app: Flask) -> None:
    page = Browser(app).get("/en/verify/", environ_overrides={FLAG: {}})
    assert not page.tree.query("form")
    assert app.config["CHARTER"].public_url + "/en/verify/" in links(page)
    assert page.tree.query("#files")
    assert page.tree.query("#receipt")


@SQLITE
def test_a_translation_fills_in_what_the_text_fills_in(app: Flask) -> None:
    def places(language: str) -> list[list[str]]:
        page = Browser(app).get(f"/{language}/verify/").text
        answer = page[page.index("<template") : page.index("</template>")]
        texts = re.findall(r"<(?:p|span|dd|code)[^>]*>([^<]+)", answer)
        return [sorted(re.findall(r"\{\w+\}", text)) for text in texts]

    found = places("en")
    assert sum(map(len, found)) > 20
    assert places("kk") == places("ru") == found


@SQLITE
def test_the_script_writes_days_and_numbers_as_the_page_does(app: Flask) -> None:
    for lang in LANGUAGES:
        told = root_of(Browser(app).get(f"/{lang}/verify/"))
        months = told["data-months"].split("|")
        assert len(months) == 12
        assert all(one.startswith("1\xa0") and "2000" in one for one in months)
        assert told["data-hours"] == "5"
        assert told["data-group"] == ("," if lang == "en" else "\xa0")
