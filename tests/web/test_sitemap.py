"""What search engines are told: only pages that they may keep, and the same few at any size of the registry."""

from __future__ import annotations

from urllib.parse import urlsplit
from xml.etree import ElementTree

from flask import Flask
from time_machine import Traveller as Clock

from charter.web.sitemap import MOST_ADDRESSES
from tests.people import Desk
from tests.statements import statements
from tests.web.test_embedding import publish_one

LANGUAGES = ("kk", "ru", "en")
MAP = "{http://www.sitemaps.org/schemas/sitemap/0.9}"
LINK = "{http://www.w3.org/1999/xhtml}link"


def path_of(address: str | None) -> str:
    assert address is not None
    assert address.startswith("http://127.0.0.1:8000/")
    return urlsplit(address).path


def parts(app: Flask) -> list[ElementTree.Element]:
    client = app.test_client()
    robots = client.get("/robots.txt").text
    (line,) = [one for one in robots.splitlines() if one.startswith("Sitemap: ")]
    index = ElementTree.fromstring(client.get(path_of(line.removeprefix("Sitemap: "))).text)
    paths = [path_of(one.text) for one in index.iter(f"{MAP}loc")]
    # Those of entries have a test of their own, with people who want to be there.
    return [ElementTree.fromstring(client.get(path).text) for path in paths if path.startswith("/sitemap-")]


def test_every_page_of_the_map_is_there_may_be_kept_and_names_its_other_languages(
    app: Flask, desk: Desk, clock: Clock
) -> None:
    publish_one(app, desk, clock)
    client = app.test_client()
    seen: set[str] = set()
    for part in parts(app):
        urls = list(part.iter(f"{MAP}url"))
        assert 0 < len(urls) <= MOST_ADDRESSES
        for url in urls:
            path = path_of(url.findtext(f"{MAP}loc"))
            assert path not in seen
            seen.add(path)
            others = {one.attrib["hreflang"]: path_of(one.attrib["href"]) for one in url.iter(LINK)}
            assert set(others) == {*LANGUAGES, "x-default"}
            assert path in others.values()
            answer = client.get(path)
            assert answer.status_code == 200, path
            assert "X-Robots-Tag" not in answer.headers, path
            assert f'rel="canonical" href="http://127.0.0.1:8000{path}"' in answer.text, path
    for lang in LANGUAGES:
        assert {f"/{lang}/charter/", f"/{lang}/about/", f"/{lang}/privacy/", f"/{lang}/help/"} <= seen
        # These show names, and say noindex.
        assert not {f"/{lang}/", f"/{lang}/registry/", f"/{lang}/registry/almaty/"} & seen
    assert not [path for path in seen if "/entries/" in path or "/my/" in path or "staff" in path or "embed" in path]


def test_the_map_answers_not_modified_after_one_row_and_sets_no_cookie(app: Flask) -> None:
    client = app.test_client()
    for path in ("/robots.txt", "/sitemap.xml", *(f"/sitemap-{lang}.xml" for lang in LANGUAGES)):
        first = client.get(path)
        assert first.status_code == 200, path
        assert "Set-Cookie" not in first.headers
        assert first.headers["Cache-Control"] == "public, max-age=3600, stale-if-error=86400"
        with statements(app) as seen:
            again = client.get(path, headers={"If-None-Match": first.headers["ETag"]})
        assert again.status_code == 304
        assert len([one for one in seen if one.lstrip().upper().startswith("SELECT")]) == 1, seen
