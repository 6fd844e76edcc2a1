"""The registry as files: every entry, as of one publication, in bounded memory, and nothing a spreadsheet would run."""

from __future__ import annotations

import csv
import io
import json
import re
import tracemalloc
from datetime import UTC, date, datetime, timedelta
from typing import Any

import feedparser
import pytest
from flask import Flask
from sqlalchemy.exc import OperationalError
from time_machine import Traveller as Clock
from werkzeug.test import TestResponse

from charter.domain.selection import Selection
from charter.models.base import db, writing
from charter.models.log import LogEvent
from charter.queries import search, takeaway
from charter.queries.takeaway_lines import COLUMNS, ENDED, GUARD
from charter.web import sending
from charter.web.api import shapes
from tests.conftest import MakeApp
from tests.house.test_cost import crowd
from tests.operations.test_signing import now
from tests.pages import Browser
from tests.people import Desk, Observer, work
from tests.statements import skips_rows, statements
from tests.web.filed import HOSTILE, enter, multiply, stored

FILES = ("/registry.csv", "/registry.jsonl", "/registry.xlsx")
LANGUAGES = ("kk", "ru", "en")
OTHERS: list[dict[str, Any]] = [
    {"region_code": "KZ-79", "kind": "party", "affiliation_slug": "amanat", "affiliation_name": "«AMANAT» партиясы"},
    {"region_code": "KZ-79", "display": "unlisted", "name": None},
    {"display": "short", "name": "Айгүл С.", "signed_on": date(2026, 11, 18), "rev": 2},
    {"ended_on": date(2026, 11, 21), "ended_by": "signatory"},
    {"region_code": "KZ-79", "ended_on": date(2026, 11, 21), "ended_by": "centre", "signed_on": date(2026, 11, 18)},
]


def table(answer: TestResponse) -> list[dict[str, str]]:
    """A CSV file as a strict program reads it."""
    assert answer.status_code == 200
    text = answer.data.decode("utf-8")
    assert text.endswith("\r\n") and "\n" not in text.replace("\r\n", "")
    rows = list(csv.reader(io.StringIO(text, newline=""), strict=True))
    assert tuple(rows[0]) == COLUMNS
    assert {len(row) for row in rows} == {len(COLUMNS)}
    return [dict(zip(COLUMNS, row, strict=True)) for row in rows[1:]]


def lines(answer: TestResponse) -> list[dict[str, Any]]:
    """A file of JSON lines, whole."""
    assert answer.status_code == 200
    assert answer.data.endswith(b"\n")
    return [json.loads(line) for line in answer.data.decode("utf-8").split("\n")[:-1]]


def numbers(app: Flask, query: str) -> list[int]:
    """Of the entries in a file, in its order."""
    return [int(row["number"]) for row in table(app.test_client().get(f"/registry.csv?{query}"))]


def publish_something(app: Flask) -> None:
    """One more batch."""
    with app.app_context(), writing():
        db.session.add(LogEvent(kind="refresh", values={}, effective_at=now()))
        db.session.commit()
    work(app)


def connections_in_use(app: Flask) -> int:
    """Of this process."""
    with app.app_context():
        return int(db.engine.pool.checkedout())  # type: ignore[attr-defined]


# ── what stands in them ──────────────────────────────────────────────────────────────────────────────────────────────


def test_csv_holds_every_entry_and_nothing_of_those_who_left(app: Flask) -> None:
    enter(app, [*OTHERS, *({"name": name, "affiliation_name": name} for name in HOSTILE)])
    rows = table(app.test_client().get("/registry.csv"))
    kept = stored(app)
    assert len(rows) == len(kept)
    for row, entry in zip(rows, kept, strict=True):
        values = {
            "number": entry.number,
            "entry": entry.entry,
            "rev": entry.rev,
            "kind": entry.kind,
            "display": entry.display,
            "region": entry.region_code,
            "affiliation": entry.affiliation_slug,
            "charter": entry.edition_slug,
            "signed": entry.signed_on,
            "ended": entry.ended_on,
            "ended_by": entry.ended_by,
            "revision": entry.changed_revision,
        }
        if entry.ended_on is not None:
            values = {name: value for name, value in values.items() if name in ENDED}
        wanted = dict.fromkeys(COLUMNS, "") | {name: str(value) for name, value in values.items() if value is not None}
        for name in ("name", "affiliation_name"):
            text = getattr(entry, name) or ""
            wanted[name] = GUARD + text if text[:1] in set("=+-@\t\r＝＋－＠") else text
        assert row == wanted
    guarded = [row["name"] for row in rows if row["name"].startswith(GUARD)]
    assert len(guarded) == 7, "six that would run, and one that began so anyway"
    assert not [row for row in rows for cell in row.values() if cell[:1] in tuple("=+-@\t＝")]


def test_a_file_of_a_region_or_kind_does_not_tell_where_those_who_left_had_been(app: Flask) -> None:
    enter(app, OTHERS)
    ended = {entry.number for entry in stored(app) if entry.ended_on is not None}
    assert ended <= set(numbers(app, ""))
    assert ended <= set(numbers(app, "from=2026-01-01"))
    for query in ("region=almaty", "region=astana", "kind=party", "kind=independent", "edition=specimen-1"):
        assert not ended & set(numbers(app, query)), query


def test_json_lines_hold_what_the_api_says_of_each_entry(app: Flask) -> None:
    enter(app, [*OTHERS, *({"name": name, "affiliation_name": name} for name in HOSTILE)])
    first, *entries, last = lines(app.test_client().get("/registry.jsonl"))
    with app.app_context():
        rows, _, _ = search.find_rows(Selection(), size=100)
        db.session.rollback()
    assert entries == [shapes.entry(row) for row in reversed(rows)]
    assert last == {"end": True, "count": len(entries)}
    assert first["public_revision"] == 1
    assert datetime.fromisoformat(first["as_of"]) == datetime.fromisoformat(first["as_of_in_kazakhstan"])
    assert first["as_of"].endswith("Z")
    assert first["as_of_in_kazakhstan"].endswith("+05:00")
    assert first["selection"] == {}


def test_an_empty_registry_is_a_file_without_entries(app: Flask) -> None:
    client = app.test_client()
    assert table(client.get("/registry.csv")) == []
    assert [line.get("count") for line in lines(client.get("/registry.jsonl"))] == [None, 0]


def test_a_file_holds_what_its_list_shows(app: Flask, clock: Clock) -> None:
    crowd(app, 45)
    client = app.test_client()
    queries = [
        "",
        "region=almaty",
        "kind=party&region=astana",
        "affiliation=amanat",
        "edition=specimen-1&kind=international",
        "from=2026-11-20&to=2026-11-20",
        "from=2026-11-21",
        "q=kopshilik",
        "q=kopsh&kind=party",
        "q=kopsh&region=astana&order=name",
        "q=nobody",
        "q=%21%21",
        "order=name",
        "order=name&kind=party",
    ]
    from charter.web import lists
    from charter.web.selecting import read_selection

    for query in queries:
        with app.test_request_context(f"/registry.csv?{query}"):
            selection = read_selection(lists.regions().views)
            rows, _, _ = search.find_rows(selection, size=200)
            db.session.rollback()
        shown = [row.number for row in rows]
        if selection.order == "name":
            with_names = {row.number for row in rows if row.ended_on is None}
            shown = [number for number in shown if number in with_names]
        else:
            shown.reverse()
        assert numbers(app, query) == shown, query
        assert [line["number"] for line in lines(client.get(f"/registry.jsonl?{query}"))[1:-1]] == shown, query
    assert numbers(app, "") == list(range(1, 46))
    assert 0 < len(numbers(app, "kind=party")) < 45
    assert len(numbers(app, "q=kopshilik")) > 20


def test_windows_meet_without_a_gap_or_a_double(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    enter(app, [{"region_code": "KZ-75" if place % 3 else "KZ-79"} for place in range(50)])
    whole, some, by_name = (numbers(app, query) for query in ("", "region=almaty", "order=name"))
    monkeypatch.setattr(takeaway, "WINDOW", 7)
    assert numbers(app, "") == whole == list(range(1, 51))
    assert numbers(app, "region=almaty") == some
    assert numbers(app, "order=name") == by_name
    assert sorted(by_name) == whole and by_name != whole


@pytest.mark.parametrize("path", FILES)
def test_an_unknown_choice_is_an_unknown_address(app: Flask, path: str) -> None:
    for query in ("region=nowhere", "kind=ghost", "from=2026-02-30", "order=up", "edition=none", "affiliation=none"):
        assert app.test_client().get(f"{path}?{query}").status_code == 404, query


# ── which publication ────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("path", FILES)
def test_a_file_says_in_its_headers_and_name_which_publication_it_shows(app: Flask, clock: Clock, path: str) -> None:
    enter(app, OTHERS)
    publish_something(app)
    client = app.test_client()
    answer = client.get(path)
    assert answer.data
    ending = path.rpartition(".")[2]
    with app.app_context():
        as_of = takeaway.open_reading(Selection())
        as_of.close()
    assert as_of.as_of is not None
    assert answer.headers["Content-Disposition"] == f'attachment; filename="charter-registry-r2-2026-11-20.{ending}"'
    assert re.fullmatch(rf'"2-{ending}-[0-9a-f]+"', answer.headers["ETag"])
    assert answer.last_modified == as_of.as_of.at
    assert answer.headers["Cache-Control"] == "public, max-age=5, stale-if-error=86400"
    assert answer.headers["X-Robots-Tag"] == "noindex"
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    assert answer.headers["Cross-Origin-Resource-Policy"] == "cross-origin"
    assert answer.headers["Link"].endswith('/en/open-data/>; rel="describedby"')
    assert "Set-Cookie" not in answer.headers
    head = client.head(path)
    for name in ("ETag", "Content-Disposition", "Content-Type", "Last-Modified", "Cache-Control"):
        assert head.headers[name] == answer.headers[name], name
    query = "region=almaty&kind=party&from=2026-01-01&order=name&q=%D0%9E%D1%81%D0%BF%D0%B0%D0%BD%D0%BE%D0%B2%D0%B0"
    with client.get(f"{path}?{query}") as selected:
        name = selected.headers["Content-Disposition"]
    assert f"charter-registry-almaty-party-from-2026-01-01-search-by-name-r2-2026-11-20.{ending}" in name
    assert connections_in_use(app) == 0


@pytest.mark.parametrize("path", [*FILES, "/ru/registry.atom", "/registry.csv?region=almaty&q=amina"])
def test_not_modified_comes_after_one_row_and_only_until_the_next_batch(app: Flask, clock: Clock, path: str) -> None:
    enter(app, OTHERS)
    client = app.test_client()
    first = client.get(path)
    tag = first.headers["ETag"]
    with statements(app) as seen:
        again = client.get(path, headers={"If-None-Match": tag})
    assert again.status_code == 304
    assert again.headers["ETag"] == tag
    assert len([one for one in seen if one.lstrip().upper().startswith("SELECT")]) == 1, seen
    # Several batches may bear the same second: a date alone is never enough.
    later = (datetime.now(UTC) + timedelta(days=1)).strftime("%a, %d %b %Y %H:%M:%S GMT")
    assert client.get(path, headers={"If-Modified-Since": later}).status_code == 200
    publish_something(app)
    assert client.get(path, headers={"If-None-Match": tag}).status_code == 200


def test_a_file_that_leaves_slowly_shows_one_publication_to_its_end(
    app: Flask, observer: Observer, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    crowd(app, 30)
    monkeypatch.setattr(takeaway, "WINDOW", 10)
    pieces = iter(app.test_client().get("/registry.jsonl", buffered=False).response)
    begun = b"".join(next(pieces) for _ in range(2))
    crowd(app, 5)
    whole = [json.loads(line) for line in (begun + b"".join(pieces)).splitlines()]
    assert [line["number"] for line in whole[1:-1]] == list(range(1, 31))
    assert whole[0]["public_revision"] == 2
    assert len(lines(app.test_client().get("/registry.jsonl"))) == 37


# ── on the way ───────────────────────────────────────────────────────────────────────────────────────────────────────


def test_more_at_once_than_set_are_asked_to_come_back_and_pages_go_on(make_app: MakeApp) -> None:
    app = make_app(downloads_at_once="2")
    enter(app, OTHERS)
    client = app.test_client()
    under_way = [client.get("/registry.csv", buffered=False), client.get("/registry.jsonl", buffered=False)]
    titles = set()
    for path in FILES:
        for lang in LANGUAGES:
            answer = app.test_client().get(path, headers={"Accept-Language": lang})
            assert answer.status_code == 503
            assert 0 < int(answer.headers["Retry-After"]) <= 60
            assert answer.headers["Cache-Control"] == "no-store"
            assert f'<html lang="{lang}"' in answer.text
            titles.add(answer.text.partition("<h1>")[2].partition("</h1>")[0])
    assert len(titles) == 3
    assert app.test_client().get("/ru/registry/").status_code == 200
    assert app.test_client().head("/registry.csv").status_code == 200
    under_way.pop().close()
    assert len(table(app.test_client().get("/registry.csv"))) == len(OTHERS)
    under_way.pop().close()


def test_a_client_that_leaves_gives_back_its_connection_and_its_place(make_app: MakeApp) -> None:
    app = make_app(downloads_at_once="1")
    enter(app, OTHERS)
    for _ in range(3):
        answer = app.test_client().get("/registry.csv", buffered=False)
        assert next(iter(answer.response)).startswith(b"number,")
        assert connections_in_use(app) == 1
        answer.close()
        assert connections_in_use(app) == 0
    answer = app.test_client().get("/registry.csv", buffered=False)
    del answer
    assert app.test_client().get("/registry.csv").status_code == 200, "one that was never sent"
    for _ in range(3):
        assert app.test_client().get("/registry.csv?kind=ghost").status_code == 404
    assert app.test_client().get("/registry.csv").status_code == 200


def test_a_client_that_is_too_slow_gets_no_further(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    enter(app, OTHERS)
    monkeypatch.setattr(sending, "LONGEST_SECONDS", 0.01)
    answer = app.test_client().get("/registry.csv", buffered=False)
    pieces = iter(answer.response)
    begun = next(pieces)
    on_its_way = next(one for one in sending_objects(answer))
    on_its_way._too_slow.join()
    assert connections_in_use(app) == 0, "the database does not wait for anybody"
    rest = b"".join(pieces)
    with pytest.raises(csv.Error):
        list(csv.reader(io.StringIO((begun + rest).decode(), newline=""), strict=True))
    answer.close()


def sending_objects(answer: TestResponse) -> list[sending.Sending]:
    """The one that this answer is made of."""
    import gc

    return [one for one in gc.get_objects() if isinstance(one, sending.Sending)]


def test_a_database_that_dies_midway_leaves_no_file_that_looks_whole(
    app: Flask, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    enter(app, [{} for _ in range(30)])
    monkeypatch.setattr(takeaway, "WINDOW", 10)
    asked = takeaway.Reading._rows
    calls = []

    def dies(self: takeaway.Reading, sql: str, values: Any) -> Any:
        calls.append(sql)
        if len(calls) == 3:
            raise OperationalError("SELECT", {}, Exception("gone"))
        return asked(self, sql, values)

    monkeypatch.setattr(takeaway.Reading, "_rows", dies)
    answer = app.test_client().get("/registry.csv")
    assert answer.data.count(b"\r\n") == 22
    assert b'\r\n"INCOMPLETE' in answer.data
    with pytest.raises(csv.Error):
        table(answer)
    calls.clear()
    ended = lines(app.test_client().get("/registry.jsonl"))
    assert len(ended) == 21
    assert "end" not in ended[-1]
    assert connections_in_use(app) == 0
    calls.clear()
    assert app.test_client().get("/registry.csv").status_code == 200


def test_a_database_that_is_gone_is_said_before_the_file_begins(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(self: takeaway.Reading, _selection: Selection) -> None:
        raise OperationalError("SELECT", {}, Exception("gone"))

    monkeypatch.setattr(takeaway.Reading, "__init__", gone)
    monkeypatch.setattr(takeaway.Reading, "__del__", lambda self: None, raising=False)
    for _ in range(5):
        assert app.test_client().get("/registry.csv").status_code == 503
    assert connections_in_use(app) == 0


def test_fifty_thousand_entries_take_no_more_memory_than_a_few_windows(app: Flask) -> None:
    enter(app, [{}])
    multiply(app, 50_000)
    client = app.test_client()
    for path in ("/registry.csv", "/registry.jsonl", "/registry.csv?order=name"):
        tracemalloc.start()
        try:
            with client.get(path, buffered=False) as answer:
                size = sum(len(piece) for piece in answer.response)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert size > 6_000_000
        assert peak < 8_000_000, f"{path}: {peak:,} bytes"


def test_no_file_counts_or_skips_rows(app: Flask) -> None:
    enter(app, OTHERS)
    with statements(app) as seen:
        for query in ("", "region=almaty", "order=name", "q=adam"):
            for path in ("/registry.csv", "/registry.jsonl"):
                app.test_client().get(f"{path}?{query}")
    for statement in seen:
        assert "count(" not in statement.lower(), statement
        assert not skips_rows(statement), statement


# ── feed ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_feed_reader_gets_the_newest_entries_in_each_language(app: Flask) -> None:
    enter(app, [{} for _ in range(60)])
    enter(app, OTHERS)
    feeds = {}
    for lang in LANGUAGES:
        answer = app.test_client().get(f"/{lang}/registry.atom")
        assert answer.headers["Content-Type"] == "application/atom+xml; charset=utf-8"
        assert answer.headers["X-Robots-Tag"] == "noindex"
        feeds[lang] = feed = feedparser.parse(answer.data)
        assert not feed.bozo, feed.get("bozo_exception")
        assert feed.version == "atom10"
        assert len(feed.entries) == 50
        links = {(link.rel, link.type): link.href for link in feed.feed.links if link.get("hreflang") == lang}
        assert links["self", "application/atom+xml"].endswith(f"/{lang}/registry.atom")
        assert links["alternate", "text/html"].endswith(f"/{lang}/registry/")
        assert feed.feed.updated.endswith("Z") and feed.feed.author
        assert [entry.id for entry in feed.entries] == [entry.id for entry in feeds["kk"].entries]
    assert len({feed.feed.id for feed in feeds.values()}) == 3
    assert len({feed.feed.subtitle for feed in feeds.values()}) == 3
    newest = stored(app)[-1]
    entry = feeds["en"].entries[0]
    assert entry.id == f"urn:uuid:{newest.entry[:8]}-" + "-".join(
        newest.entry[slice(*at)] for at in ((8, 12), (12, 16), (16, 20), (20, 32))
    )
    assert entry.title == "Removed from the registry by the Centre on 21\xa0November 2026"
    assert "tags" not in entry, "of those who left neither kind nor region"
    assert entry.link.endswith(f"/en/registry/entries/{newest.entry}")
    titles = [one.title for one in feeds["en"].entries[:5]]
    assert titles[2] == "Айгүл С." and titles[3] == "Not listed by name"


def test_an_entry_keeps_its_id_in_the_feed_when_it_ends(
    app: Flask, observer: Observer, desk: Desk, clock: Clock
) -> None:
    observer.sign()
    observer.confirm()
    desk.decide(desk.open_first(), "approve")
    clock.shift(11)
    work(app)
    client = app.test_client()
    before = feedparser.parse(client.get("/en/registry.atom").data).entries[0]
    name = stored(app)[0].name
    assert name is not None and before.title == name
    clock.shift(60)
    observer.browser.get("/ru/my/withdraw/").submit("withdraw-form")
    work(app)
    after = feedparser.parse(client.get("/en/registry.atom").data).entries[0]
    assert after.id == before.id
    assert after.updated > before.updated
    assert after.title.startswith("Signature withdrawn by the signatory")
    for path in ("/en/registry.atom", "/registry.csv", "/registry.jsonl"):
        assert name not in client.get(path).text, path


def test_names_cannot_break_out_of_the_feed(app: Flask) -> None:
    enter(app, [{"name": name, "affiliation_name": name} for name in HOSTILE])
    feed = feedparser.parse(app.test_client().get("/ru/registry.atom?region=almaty").data)
    assert not feed.bozo
    assert len(feed.entries) == len(HOSTILE)
    assert "<b>" not in app.test_client().get("/ru/registry.atom").text


# ── the page ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_page_explains_every_column_and_links_every_file(make_app: MakeApp) -> None:
    app = make_app(open_data_licence="CC BY 4.0")
    titles = set()
    for lang in LANGUAGES:
        page = Browser(app).get(f"/{lang}/open-data/")
        assert page.status == 200
        titles.add(page.title)
        for name in COLUMNS:
            assert f">{name}</code>" in page.text, name
        for path in (*FILES, f"/{lang}/registry.atom"):
            assert page.browser.client.get(page.href(path)).status_code == 200, path
        assert "CC BY 4.0" in page.main
        assert '<link rel="alternate" type="application/atom+xml" title="' in page.text
    assert len(titles) == 3
    assert "CC BY" not in Browser(make_app()).get("/en/open-data/").main
