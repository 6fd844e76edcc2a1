"""The API answers what the registry shows, in the documented shapes, and no more."""

from __future__ import annotations

import hashlib
from datetime import date

import pytest
from flask import Flask

from charter.domain.alphabet import sort_key
from charter.models.registry import PublicEntry
from charter.web import memory
from tests.house.world import World
from tests.statements import skips_rows, statements
from tests.web.asking import Api, links, query_of
from tests.web.public_history import KINDS, REGIONS, History

#: For what no engine has a part in.
ONE_ENGINE = pytest.mark.parametrize("engine_name", ["sqlite"], indirect=True)
ENDED = {"entry", "number", "signed", "revision", "ended", "ended_by"}


@pytest.fixture
def history(app: Flask) -> History:
    told = History(app)
    told.batch(new=60)
    told.batch(new=30, corrected=12, ended=9)
    told.batch(new=11, corrected=3, ended=4)
    return told


@pytest.fixture
def api(history: History) -> Api:
    return Api(history.app)


def test_an_entry_is_what_the_public_sees_of_it_and_an_ended_one_is_nobody(api: Api, history: History) -> None:
    shapes = set()
    for number, row in history.entries().items():
        found = api.get(f"/api/v1/entries/{number}")["data"]
        assert found == api.get(f"/api/v1/entries/{row.entry}")["data"]
        assert (found["number"], found["entry"], found["signed"]) == (number, row.entry, row.signed_on.isoformat())
        assert found["revision"] == row.changed_revision
        shapes.add(frozenset(found))
        if row.ended_on is not None:
            assert set(found) == ENDED
            assert (found["ended"], found["ended_by"]) == (row.ended_on.isoformat(), row.ended_by)
            continue
        assert (found["kind"], found["display"], found["region"], found["charter"], found["rev"]) == (
            row.kind,
            row.display,
            row.region_code,
            row.edition_slug,
            row.rev,
        )
        assert (found.get("name"), found.get("affiliation"), found.get("affiliation_name")) == (
            row.name,
            row.affiliation_slug,
            row.affiliation_name,
        )
    # Named with an affiliation of the list, with another one, on one's own; unlisted; ended.
    assert len(shapes) == 5


def test_a_page_says_as_of_when_and_how_many(api: Api, history: History) -> None:
    page = api.get("/api/v1/entries", size=7)
    rows = history.entries()
    shown = [row for row in rows.values() if row.ended_on is None]
    assert page["as_of"]["public_revision"] == max(row.changed_revision or 0 for row in rows.values())
    assert page["as_of"]["at"].endswith("Z")
    assert page["count"] == {"number": len(shown), "is_exact": True}
    assert [one["number"] for one in page["data"]] == sorted(rows, reverse=True)[:7]
    assert len(api.get("/api/v1/entries")["data"]) == 50
    assert len(api.get("/api/v1/entries", size=200)["data"]) == len(rows)


def fits(row: PublicEntry, **asked: str) -> bool:
    return (
        row.ended_on is None
        and asked.get("region") in {None, row.region_code}
        and asked.get("kind") in {None, row.kind}
        and asked.get("affiliation") in {None, row.affiliation_slug}
        and ("from_" not in asked or row.signed_on >= date.fromisoformat(asked["from_"]))
        and ("to" not in asked or row.signed_on <= date.fromisoformat(asked["to"]))
    )


def test_filters_select_and_the_order_is_the_one_asked_for(api: Api, history: History) -> None:
    for order in ("newest", "name"):
        select_in(order, api, history)


def select_in(order: str, api: Api, history: History) -> None:
    rows = history.entries().values()
    seen = 0
    for asked in (
        {"region": "KZ-75"},
        {"kind": "party"},
        {"affiliation": "fprk"},
        {"edition": "specimen-1"},
        {"region": "KZ-71", "kind": "independent"},
        {"region": "ZZ", "affiliation": "amanat", "from_": "2026-11-15"},
        {"kind": "party", "to": "2026-11-14"},
    ):
        fitting = [row for row in rows if fits(row, **asked)]
        fitting.sort(key=lambda row: (sort_key(row.name), row.number) if order == "name" else ("", -row.number))
        page = api.get("/api/v1/entries", order=order, size=200, **asked)
        assert [one["number"] for one in page["data"]] == [row.number for row in fitting], asked
        assert page["count"] == {"number": len(fitting), "is_exact": True}
        assert "next" not in page
        seen += len(fitting)
    assert seen > 100


@ONE_ENGINE
def test_a_region_goes_by_its_code_and_by_its_short_name(api: Api) -> None:
    by_code, by_slug = (api.get("/api/v1/entries", region=one) for one in ("KZ-75", "almaty"))
    assert by_code["data"] == by_slug["data"] != []


def test_search_finds_in_any_spelling_and_offers_near_ones(api: Api, history: History) -> None:
    named = [row.number for row in history.entries().values() if row.name and "Өтегенова" in row.name]
    found = [
        {one["number"] for one in api.get("/api/v1/entries", q=q, size=200)["data"]}
        for q in ("Өтегенова", "отегенова", "OTEGENOVA", "отеген")
    ]
    assert found == [set(named)] * 4
    assert named
    nothing = api.get("/api/v1/entries", q="Утегенова")
    assert nothing["data"] == []
    assert any("тегенова" in one for one in nothing["similar"])
    assert "similar" not in api.get("/api/v1/entries", q="Өтегенова")
    assert api.get("/api/v1/entries", q="---")["count"] == {"number": 0, "is_exact": True}


def test_links_lead_where_the_cursors_do_with_all_parameters(api: Api) -> None:
    first = api.ask("/api/v1/entries", size=2, kind="party", q="амана")
    assert first.json
    found = links(first)
    assert set(found) == {"next"}
    assert found["next"].startswith(api.app.config["CHARTER"].public_url + "/api/v1/entries?")
    assert query_of(found["next"]) == {"size": "2", "kind": "party", "q": "амана", "cursor": first.json["next"]}
    second = api.ask("/api/v1/entries", **query_of(found["next"]))
    assert second.json
    assert set(links(second)) == {"next", "prev"}
    back = api.get("/api/v1/entries", **query_of(links(second)["prev"]))
    assert back["data"] == first.json["data"]


def test_regions_and_statistics_add_up(api: Api, history: History) -> None:
    rows = history.entries().values()
    regions = api.get("/api/v1/regions")["data"]
    assert len(regions) == 21
    figures = api.get("/api/v1/statistics")["data"]
    assert [one["region"] for one in figures["by_region"]] == [one["region"] for one in regions]
    for one in regions:
        here = [row for row in rows if row.region_code == one["region"]]
        assert one["signed"] == len(here) == sum(one[fate] for fate in ("listed", "unlisted", "withdrawn", "revoked"))
        assert one["withdrawn"] == sum(row.ended_by == "signatory" for row in here)
        assert one["revoked"] == sum(row.ended_by == "centre" for row in here)
        shown = [row for row in here if row.ended_on is None]
        assert one["by_kind"] == {kind: sum(row.kind == kind for row in shown) for kind in KINDS}
        assert set(one["name"]) == {"kk", "ru", "en"}
    assert figures["totals"] == {
        fate: sum(one[fate] for one in regions) for fate in ("signed", "listed", "unlisted", "withdrawn", "revoked")
    }
    assert figures["totals"]["signed"] == len(rows)
    assert figures["totals"]["revoked"] > 0
    weeks = figures["by_week"]
    assert [date.fromisoformat(one["first"]).weekday() for one in weeks] == [0] * len(weeks)
    for week in weeks:
        monday = date.fromisoformat(week["first"])
        assert week["signed"] == sum(0 <= (row.signed_on - monday).days < 7 for row in rows)
    assert sum(week["signed"] for week in weeks) == len(rows)
    assert figures["by_kind"] == {kind: sum(one["by_kind"][kind] for one in regions) for kind in KINDS}


def test_affiliations_have_names_mergers_and_regions(api: Api, history: History) -> None:
    everything = {one["affiliation"]: one for one in api.get("/api/v1/affiliations")["data"]}
    shown = [row for row in history.entries().values() if row.affiliation_slug == "fprk"]
    assert everything["fprk"]["listed"] == len(shown) > 0
    one = api.get("/api/v1/affiliations/fprk")["data"]
    assert {key: one[key] for key in everything["fprk"]} == everything["fprk"]
    assert sum(place["listed"] for place in one["by_region"]) == len(shown)
    assert {(place["region"], place["kind"]) for place in one["by_region"]} <= {
        (region, kind) for region in REGIONS for kind in KINDS
    }
    merged = [one for one in everything.values() if "merged_into" in one]
    assert merged
    for other in merged:
        assert other["affiliation"] in api.get(f"/api/v1/affiliations/{other['merged_into']}")["data"]["merged_from"]
    former = [slug for slug in everything if api.get(f"/api/v1/affiliations/{slug}")["data"]["former_names"]]
    assert former


@ONE_ENGINE
def test_editions_lead_to_the_exact_texts(api: Api) -> None:
    (edition,) = api.get("/api/v1/editions")["data"]
    assert (edition["charter"], edition["is_current"]) == ("specimen-1", True)
    assert [one["language"] for one in edition["texts"]] == ["kk", "ru", "en"]
    base = api.app.config["CHARTER"].public_url
    for one in edition["texts"]:
        body = api.client.get(one["url"].removeprefix(base)).data
        assert (len(body), hashlib.sha256(body).hexdigest()) == (one["bytes"], one["sha256"])


PATHS = (
    "entries",
    "entries?since=0",
    "entries/1",
    "regions",
    "affiliations",
    "affiliations/fprk",
    "statistics",
    "editions",
)


def test_not_modified_costs_one_row_until_something_is_published(api: Api, history: History) -> None:
    tags = {}
    for path in PATHS:
        first = api.ask(f"/api/v1/{path}")
        tag = tags[path] = first.headers["ETag"]
        with statements(api.app) as seen:
            again = api.ask(f"/api/v1/{path}", status=304, headers={"If-None-Match": tag})
        assert len([one for one in seen if one.lstrip().upper().startswith("SELECT")]) == 1, seen
        assert again.headers["ETag"] == tag
        for language in ("kk", "ru", "en;q=0.3"):
            assert api.ask(f"/api/v1/{path}", headers={"Accept-Language": language}).headers["ETag"] == tag
        assert "Vary" not in first.headers
        assert first.headers["Cache-Control"] == "public, max-age=5, stale-if-error=86400"
    history.batch(new=1)
    for path, tag in tags.items():
        assert api.ask(f"/api/v1/{path}", headers={"If-None-Match": tag}).headers["ETag"] != tag


def test_an_answer_costs_as_many_statements_for_many_entries_as_for_few(app: Flask) -> None:
    history = History(app)
    history.batch(new=30, ended=2)
    api = Api(app)

    def costs() -> dict[str, int]:
        found = {}
        for path in (*PATHS, "entries?size=20&region=KZ-75", "entries?q=аст&order=name", "entries?kind=party&size=3"):
            with statements(app) as seen:
                api.ask(f"/api/v1/{path}")
            asked = [one.lower() for one in seen if one.lstrip().upper().startswith(("SELECT", "WITH"))]
            assert not any("count(" in one for one in asked)
            assert not any(map(skips_rows, asked))
            assert all("from signature" not in one for one in asked)
            found[path] = len(asked)
        return found

    costs()
    history.batch(new=1)
    few = costs()
    for _ in range(3):
        history.batch(new=100, corrected=10, ended=10)
    assert costs() == few
    assert max(few.values()) <= 10, few


@ONE_ENGINE
def test_before_anything_is_published_everything_is_empty_and_as_documented(app: Flask) -> None:
    api = Api(app)
    page = api.get("/api/v1/entries")
    assert (page["data"], page["count"]) == ([], {"number": 0, "is_exact": True})
    changes = api.get("/api/v1/entries", since=0)
    assert changes["next_since"] == changes["as_of"]["public_revision"]
    for path in ("regions", "affiliations", "statistics", "editions"):
        api.get(f"/api/v1/{path}")


@ONE_ENGINE
def test_head_answers_as_get_does_without_a_body(api: Api) -> None:
    for path in PATHS:
        get, head = api.ask(f"/api/v1/{path}"), api.ask(f"/api/v1/{path}", method="HEAD")
        assert head.data == b""
        for name in ("ETag", "Link", "Content-Type", "Content-Length"):
            assert head.headers.get(name) == get.headers.get(name), (path, name)


@ONE_ENGINE
def test_an_answer_that_is_sent_again_is_the_same_to_the_last_header(app: Flask, history: History, api: Api) -> None:
    app.extensions[memory.__name__]._recheck_seconds = 60
    for path in ("entries?size=2", "entries?since=0&size=2", "statistics", "entries/3"):
        first = api.ask(f"/api/v1/{path}", headers={"Origin": "https://journal.example"})
        with statements(app) as seen:
            again = api.ask(f"/api/v1/{path}", headers={"Origin": "https://journal.example"})
        assert seen == [], "it was kept by the process"
        assert again.data == first.data
        assert {name: value for name, value in again.headers if name != "X-Request-Id"} == {
            name: value for name, value in first.headers if name != "X-Request-Id"
        }


@ONE_ENGINE
def test_nothing_that_is_not_public_is_ever_answered(world: World) -> None:
    api = Api(world.app)
    paths = [*PATHS, "entries?size=200", "entries/2", "entries/3", "affiliations/amanat"]
    said = "".join(api.ask(f"/api/v1/{path}").text for path in paths)
    assert "Әмина Серікқызы Оспанова" in said
    # Of one who is not listed by name, of one who withdrew, of those who wait, and of staff.
    for key in ("erlan", "maria", "john", "saule", "waiting", "fresh", "unconfirmed", "office0"):
        assert world.people[key].answers["full_name"] not in said, key
    for hidden in ("Мария П.", "Ерлан достары", "Planet Express", "Бруно", "@", "salt", "Позвоните"):
        assert hidden not in said, hidden
