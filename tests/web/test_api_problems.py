"""What goes wrong under /api/ is said as a problem that names what is to blame; nothing there breaks or is a page."""

from __future__ import annotations

import base64
import json
import re
import sqlite3
from urllib.parse import quote_from_bytes

import psycopg
import pytest
from flask import Flask
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from charter.models.base import db, writing
from charter.queries import registry
from charter.web.api import parameters, problems
from tests.conftest import MakeApp
from tests.hostile.values import ALL
from tests.web.asking import Api, links
from tests.web.public_history import History

ENTRIES = "/api/v1/entries"
#: For what no engine has a part in.
ONE_ENGINE = pytest.mark.parametrize("engine_name", ["sqlite"], indirect=True)


@pytest.fixture
def api(app: Flask) -> Api:
    history = History(app)
    history.batch(new=12)
    history.batch(new=3, ended=2)
    return Api(app)


BAD = {
    "q": ("", " ", "а" * 201),
    "region": ("", "KZ-99", "Almaty oblast", "nowhere", "KZ-75\n"),
    "kind": ("", "Party", "observer"),
    "affiliation": ("", "no-such-party", "AMANAT", "a--b"),
    "edition": ("", "specimen-2", "Specimen-1"),
    "from": ("", "2026-02-30", "20261120", "2026-W47-1", "yesterday", "٢٠٢٦-١١-٢٠"),
    "to": ("", "2026-13-01", "0000-01-01"),
    "order": ("", "oldest", "NAME"),
    "size": ("", "0", "201", "-1", "1.0", "١٠", "1_0", "9" * 5000),
    "cursor": ("", "a", "abc", "=", "a.b", "а", "A" * 121, base64.urlsafe_b64encode(b"f1.00000000").decode()),
    "since": ("", "-1", "1e3", "x", "999999", str(10**15 + 1), "9" * 40),
}


@ONE_ENGINE
def test_a_value_that_cannot_be_used_is_refused_by_name(api: Api) -> None:
    assert set(BAD) == {one.name for one in parameters.ENTRIES}
    for name, value in ((name, value) for name, values in BAD.items() for value in values):
        problem = api.problem(ENTRIES, 400, **{name: value})
        assert problem["type"].endswith("#problem-invalid-parameter"), value
        assert problem["parameter"] == name
        assert problem["detail"].startswith(f"{name}: ")
        assert len(value) < 3 or value not in problem["detail"].removeprefix(f"{name}: ") or value.isdigit()


@ONE_ENGINE
def test_what_strangers_try_is_answered_or_refused_by_name(api: Api) -> None:
    for name in BAD:
        for kind, value in ALL.items():
            for query in (f"{name}={quote_from_bytes(value[:3000])}", f"{quote_from_bytes(value[:3000])}={name}"):
                answer = api.client.get(f"{ENTRIES}?{query}")
                assert answer.status_code in {200, 400}, (name, kind)
                if answer.status_code == 400:
                    problem = json.loads(answer.data)
                    assert re.fullmatch(r"[a-z_]{1,20}", problem.get("parameter", "x")), (name, kind)
                    assert b"alert" not in answer.data
                else:
                    assert name == "q", (name, kind)


@ONE_ENGINE
def test_a_mistyped_parameter_is_refused_everywhere(api: Api) -> None:
    for path in (ENTRIES, f"{ENTRIES}/1", *(f"/api/v1/{one}" for one in ("regions", "affiliations", "statistics"))):
        problem = api.problem(path, 400, regoin="KZ-75")
        assert problem["type"].endswith("#problem-unknown-parameter")
        assert problem["parameter"] == "regoin"
    assert api.client.get("/api/openapi.json?a=1").status_code == 400
    assert "parameter" not in api.problem(ENTRIES, 400, **{"Әмина Оспанова": "1"}), "a name is not said back"


@ONE_ENGINE
def test_a_parameter_that_stands_twice_is_refused(api: Api) -> None:
    answer = api.ask(f"{ENTRIES}?kind=party&kind=independent", status=400)
    assert answer.json
    assert answer.json["parameter"] == "kind"


@ONE_ENGINE
def test_parameters_that_do_not_go_together_are_refused(api: Api) -> None:
    assert api.problem(ENTRIES, 400, **{"from": "2026-11-20", "to": "2026-11-19"})["parameter"] == "from"
    for name, value in (("q", "а"), ("region", "KZ-75"), ("kind", "party"), ("order", "newest"), ("to", "2026-11-20")):
        problem = api.problem(ENTRIES, 400, since=0, **{name: value})
        assert problem["parameter"] == name
        assert "since" in problem["detail"]


def test_a_cursor_belongs_to_its_question(api: Api) -> None:
    page = api.get(ENTRIES, size=2, order="name")
    changes = api.get(ENTRIES, size=2, since=0)
    for cursor, others in (
        (page["next"], ({}, {"order": "newest"}, {"order": "name", "kind": "party"}, {"since": 0})),
        (changes["next"], ({}, {"since": 1}, {"order": "name"})),
    ):
        for asked in others:
            assert api.problem(ENTRIES, 400, cursor=cursor, **asked)["parameter"] == "cursor", asked
    # Another size is the same question.
    assert api.get(ENTRIES, size=5, order="name", cursor=page["next"])["data"]
    for place, letter in enumerate(page["next"]):
        bent = page["next"][:place] + ("A" if letter != "A" else "B") + page["next"][place + 1 :]
        answer = api.client.get(ENTRIES, query_string={"order": "name", "size": 2, "cursor": bent})
        # The last letter holds bits that nobody reads.
        assert answer.status_code in {200, 400, 410}, place


@ONE_ENGINE
def test_what_is_not_there_is_a_problem_and_not_a_page(api: Api) -> None:
    for path in (
        "/api",
        "/api/",
        "/api/v1",
        "/api/v1/",
        "/api/v2/entries",
        f"{ENTRIES}/",
        f"{ENTRIES}/0",
        f"{ENTRIES}/01",
        f"{ENTRIES}/999999",
        f"{ENTRIES}/{'9' * 15}",
        f"{ENTRIES}/{'9' * 16}",
        f"{ENTRIES}/{'0' * 32}",
        f"{ENTRIES}/{'A' * 32}",
        f"{ENTRIES}/nobody",
        f"{ENTRIES}/%ff%00",
        "/api/v1/affiliations/no-such-party",
        "/api/openapi.yaml",
    ):
        problem = api.problem(path, 404)
        assert problem["type"].endswith("#problem-not-found"), path
        assert "<" not in json.dumps(problem)


@ONE_ENGINE
def test_only_reading_is_possible_and_the_answer_says_how(api: Api) -> None:
    for path in (ENTRIES, f"{ENTRIES}/1", "/api/v1/statistics", "/api/openapi.json"):
        for method in ("POST", "PUT", "PATCH", "DELETE"):
            answer = api.ask(path, status=405, method=method)
            assert set(answer.headers["Allow"].split(", ")) == {"GET", "HEAD", "OPTIONS"}
            assert answer.mimetype == "application/problem+json"
            assert json.loads(answer.data)["type"].endswith("#problem-method-not-allowed")


@ONE_ENGINE
def test_other_sites_may_read_it_and_nothing_else(api: Api) -> None:
    for path, status in ((ENTRIES, 200), ("/api/openapi.json", 200), ("/api/nothing", 404), (f"{ENTRIES}?a=1", 400)):
        answer = api.ask(path, status=status, headers={"Origin": "https://journal.example"})
        assert answer.headers["Access-Control-Allow-Origin"] == "*"
        assert answer.headers["Access-Control-Expose-Headers"] == "ETag, Link, Retry-After"
        assert answer.headers["Cross-Origin-Resource-Policy"] == "cross-origin"
        assert "Access-Control-Allow-Credentials" not in answer.headers
    asked = {"Access-Control-Request-Method": "GET", "Access-Control-Request-Headers": "if-none-match"}
    answer = api.ask(ENTRIES, method="OPTIONS", headers={"Origin": "https://journal.example", **asked})
    assert answer.headers["Access-Control-Allow-Methods"] == "GET, HEAD, OPTIONS"
    assert answer.headers["Access-Control-Allow-Headers"] == "If-None-Match"
    page = api.client.get("/ru/registry/", headers={"Origin": "https://journal.example"})
    assert "Access-Control-Allow-Origin" not in page.headers
    assert page.headers["Cross-Origin-Resource-Policy"] == "same-origin"


def test_without_a_database_it_answers_from_memory_or_says_when_to_come_back(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = api.ask(ENTRIES, size=5)

    def gone() -> None:
        raise OperationalError("SELECT 1", {}, _gone(api.app))

    monkeypatch.setattr(registry, "find_as_of", gone)
    again = api.ask(ENTRIES, size=5)
    assert again.data == known.data
    assert links(again) == links(known) != {}
    assert "Warning" in again.headers
    answer = api.ask(ENTRIES, status=503, size=6)
    assert int(answer.headers["Retry-After"]) > 0
    assert json.loads(answer.data)["type"].endswith("#problem-unavailable")
    # What is wrong with the request is said all the same.
    assert api.problem(ENTRIES, 400, size=0)["parameter"] == "size"


def _gone(app: Flask) -> Exception:
    """As the engine's driver says it."""
    if app.config["CHARTER"].database_url.startswith("sqlite"):
        error = sqlite3.OperationalError("unable to open database file")
        error.sqlite_errorcode = sqlite3.SQLITE_CANTOPEN
        return error
    return psycopg.OperationalError("connection refused")


@ONE_ENGINE
def test_a_bug_is_a_problem_without_a_word_of_it(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> None:
        raise RuntimeError("Әмина Оспанова")

    monkeypatch.setattr(registry, "find_as_of", broken)
    answer = api.client.get(ENTRIES)
    assert answer.status_code == 500
    assert json.loads(answer.data)["type"].endswith("#problem-internal-error")
    assert "Әмина" not in answer.text


@ONE_ENGINE
def test_a_host_that_is_not_ours_gets_a_problem(make_app: MakeApp) -> None:
    app = make_app(public_url="https://charter.example", trusted_hosts="charter.example")
    answer = app.test_client().get(ENTRIES, headers={"Host": "evil.example"})
    assert answer.status_code == 400
    assert json.loads(answer.data)["type"] == "https://charter.example/en/developers/#problem-bad-request"


@ONE_ENGINE
def test_every_problem_is_explained_where_its_type_leads(api: Api) -> None:
    for lang in ("kk", "ru", "en"):
        html = api.client.get(f"/{lang}/developers/").text
        for kind in problems.KINDS:
            assert f'id="problem-{kind.slug}"' in html
    with api.app.test_request_context("/api/x"):
        for kind in problems.KINDS:
            body = problems.answer(kind.status).get_json(force=True)
            assert body["status"] == kind.status
            if kind not in {problems.INVALID, problems.UNKNOWN}:
                assert body["type"] == problems.address_of(kind)
        assert problems.answer(418).get_json(force=True)["type"] == "about:blank"


def test_an_entry_that_no_batch_has_made_findable_yet_is_answered(api: Api) -> None:
    # Rows that an older release wrote: without words, sort key and the revision of their change.
    with api.app.app_context(), writing():
        db.session.execute(text("UPDATE registry_entry SET words = NULL, changed_revision = NULL WHERE number = 1"))
        db.session.commit()
    assert api.get(f"{ENTRIES}/1")["data"]["revision"] == 0
