"""What others show of us: a badge, a counter in a frame, and links with our own picture. No cookie, no script."""

from __future__ import annotations

import base64
import hashlib
import re
import struct
from pathlib import Path
from xml.etree import ElementTree

import pytest
from flask import Flask
from justhtml import JustHTML
from time_machine import Traveller as Clock

from charter.web.embedding import BADGE_SIZE, LOCALES, PICTURE_SIZE
from tests.conftest import MakeApp
from tests.hostile.test_breakdown import take_database_away
from tests.operations.test_signing import confirmed, decide
from tests.pages import Browser
from tests.people import Desk, work

LANGUAGES = ("kk", "ru", "en")
STATIC = Path(__file__).resolve().parents[2] / "charter" / "static"
SVG = "{http://www.w3.org/2000/svg}"


def publish_one(app: Flask, desk: Desk, clock: Clock) -> None:
    decide(app, confirmed(app), desk.id)
    clock.shift(11)
    work(app)


@pytest.mark.parametrize("lang", LANGUAGES)
def test_the_badge_counts_who_is_in_the_registry_and_says_so_to_those_who_cannot_see(
    app: Flask, desk: Desk, clock: Clock, lang: str
) -> None:
    publish_one(app, desk, clock)
    answer = app.test_client().get(f"/badge/{lang}.svg")
    assert (answer.status_code, answer.mimetype) == (200, "image/svg+xml")
    picture = ElementTree.fromstring(answer.text)
    title = picture.find(f"{SVG}title")
    texts = [one.text or "" for one in picture.iter(f"{SVG}text")]
    assert title is not None
    assert picture.attrib["aria-labelledby"] == title.attrib["id"]
    assert title.text == ": ".join(texts)
    assert texts[1].startswith("1 ")
    assert (int(picture.attrib["width"]), int(picture.attrib["height"])) == BADGE_SIZE
    # Nothing is loaded from anywhere, and the one style sheet is the one that the policy names.
    assert not re.search(r"(?:href|src|url\()", answer.text)
    style = picture.find(f"{SVG}style")
    assert style is not None
    assert style.text
    assert "prefers-color-scheme:dark" in style.text
    digest = base64.b64encode(hashlib.sha256(style.text.encode()).digest()).decode()
    assert f"'sha256-{digest}'" in answer.headers["Content-Security-Policy"]


@pytest.mark.parametrize("lang", LANGUAGES)
def test_the_counter_may_stand_in_any_frame_and_is_a_whole_page(app: Flask, lang: str) -> None:
    page = Browser(app).get(f"/embed/{lang}/")
    policy = page.response.headers["Content-Security-Policy"]
    assert "frame-ancestors *" in policy
    assert "script-src" not in policy
    assert not page.tree.query("script")
    link = page.tree.query("main a")[0].attrs
    assert link["href"] == f"http://127.0.0.1:8000/{lang}/"
    assert link["target"] == "_blank", "a frame is no place to read in"
    assert page.tree.query("html")[0].attrs["lang"] == lang


def test_no_other_page_may_stand_in_a_frame(app: Flask) -> None:
    client = app.test_client()
    for path in ("/ru/", "/ru/registry/", "/ru/sign/", "/badge/ru.svg", "/robots.txt", "/nowhere"):
        assert "frame-ancestors 'none'" in client.get(path).headers["Content-Security-Policy"], path


@pytest.mark.parametrize("path", ["/badge/ru.svg", "/embed/ru/"])
def test_what_others_show_is_kept_by_caches_and_leaves_nothing_with_visitors(app: Flask, path: str) -> None:
    client = app.test_client()
    answer = client.get(path)
    assert answer.headers["Cache-Control"] == "public, max-age=60, stale-if-error=86400"
    assert answer.headers.getlist("Cross-Origin-Resource-Policy") == ["cross-origin"]
    assert answer.headers["X-Robots-Tag"] == "noindex"
    assert "Set-Cookie" not in answer.headers
    assert client.get(path, headers={"If-None-Match": answer.headers["ETag"]}).status_code == 304


@pytest.mark.parametrize("path", ["/badge/ru.svg", "/embed/ru/", "/api/v1/statistics", "/ru/registry.atom"])
def test_an_answer_out_of_memory_carries_the_headers_of_the_first(app: Flask, path: str) -> None:
    client = app.test_client()

    def headers() -> list[tuple[str, str]]:
        answer = client.get(path)
        assert answer.status_code == 200
        return sorted((name, value) for name, value in answer.headers if name != "X-Request-Id")

    first = headers()
    assert headers() == headers() == first
    take_database_away(app)
    ours = {"Age", "Warning", "Cache-Control"}
    alone = [one for one in headers() if one[0] not in ours]
    assert alone == [one for one in first if one[0] not in ours]


# ── links to us ──────────────────────────────────────────────────────────────────────────────────────────────────────


def metas(text: str) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for one in JustHTML(text, sanitize=False).query("meta[content]"):
        name = one.attrs.get("property") or one.attrs.get("name")
        found.setdefault(str(name), []).append(str(one.attrs["content"]))
    return found


@pytest.mark.parametrize("lang", LANGUAGES)
def test_a_link_to_us_is_shown_with_our_own_words_and_picture(make_app: MakeApp, lang: str) -> None:
    app = make_app(public_url="https://charter.example")
    client = app.test_client()
    for path in ("", "charter/", "registry/", "about/"):
        text = client.get(f"/{lang}/{path}", base_url="https://charter.example").text
        said = metas(text)
        assert said["og:url"] == [f"https://charter.example/{lang}/{path}"]
        assert said["og:title"][0].strip()
        assert said["og:locale"] == [LOCALES[lang]]
        assert set(said["og:locale:alternate"]) == set(LOCALES.values()) - {LOCALES[lang]}
        (image,) = said["og:image"]
        assert image.startswith("https://charter.example/static/")
        assert image.endswith(f"/og/{lang}.png")
        fetched = client.get(image.removeprefix("https://charter.example"), base_url="https://charter.example")
        assert (fetched.status_code, fetched.mimetype) == (200, "image/png")
        assert not [name for name in said if "site:id" in name or name in {"twitter:site", "fb:app_id"}]
        if '<meta name="description"' in text:
            assert len(said["og:description"]) == 1
            assert "&lt;meta" not in text


def test_nobody_is_named_to_those_who_only_see_a_link(app: Flask, desk: Desk, clock: Clock) -> None:
    publish_one(app, desk, clock)
    browser = Browser(app)
    page = browser.get(browser.get("/ru/registry/").href("/entries/"))
    name = page.tree.query("h1")[0].to_text().strip()
    assert name
    assert not [value for values in metas(page.text).values() for value in values if name in value]


@pytest.mark.parametrize("lang", LANGUAGES)
def test_each_picture_is_of_the_size_that_is_announced_and_small(lang: str) -> None:
    data = (STATIC / "og" / f"{lang}.png").read_bytes()
    assert struct.unpack(">II", data[16:24]) == PICTURE_SIZE
    assert len(data) <= 60_000


def links(text: str) -> dict[str, str]:
    tree = JustHTML(text, sanitize=False)
    found = {str(one.attrs["hreflang"]): str(one.attrs["href"]) for one in tree.query("link[rel=alternate][hreflang]")}
    return found | {"canonical": str(tree.query("link[rel=canonical]")[0].attrs["href"])}


def test_each_page_says_where_it_stands_in_every_language(make_app: MakeApp) -> None:
    app = make_app(public_url="https://charter.example")
    client = app.test_client()
    for path in ("", "charter/", "registry/", "registry/almaty/", "sign/", "help/"):
        found = links(client.get(f"/ru/{path}", base_url="https://charter.example").text)
        wanted = {lang: f"https://charter.example/{lang}/{path}" for lang in LANGUAGES}
        assert found == wanted | {"x-default": wanted["kk"], "canonical": wanted["ru"]}


def test_a_filtered_list_has_one_address_whatever_was_put_into_it(app: Flask) -> None:
    client = app.test_client()
    asked = "/ru/registry/?utm_source=x&order=newest&kind=party&region=almaty&q=&kind=independent"
    found = links(client.get(asked).text)
    assert found["canonical"] == "http://127.0.0.1:8000/ru/registry/?region=almaty&kind=party"
    assert found["en"] == "http://127.0.0.1:8000/en/registry/?region=almaty&kind=party"
    assert links(client.get("/ru/registry/?older=5").text)["canonical"].endswith("/ru/registry/?older=5")
