"""The OpenAPI document says what the API does: checked against the routes, by its own schema, and by schemathesis."""

from __future__ import annotations

import copy
import json
import re
from collections import Counter
from typing import Any

import hypothesis
import pytest
import schemathesis
from flask import Flask
from hypothesis import HealthCheck, Phase
from hypothesis.strategies import SearchStrategy
from schemathesis import GenerationMode
from schemathesis.specs.openapi.checks import positive_data_acceptance

from charter.web.api import parameters, shapes
from tests.conftest import MakeApp
from tests.house.world import rules
from tests.web.asking import Api, Json
from tests.web.public_history import History

ENTRIES = "/api/v1/entries"
#: For what no engine has a part in.
ONE_ENGINE = pytest.mark.parametrize("engine_name", ["sqlite"], indirect=True)
#: So many questions for each address.
EXAMPLES = 32


@pytest.fixture
def api(app: Flask) -> Api:
    history = History(app)
    history.batch(new=40)
    history.batch(new=10, corrected=4, ended=5)
    return Api(app)


@ONE_ENGINE
def test_every_address_of_the_api_is_documented_and_none_else(api: Api) -> None:
    # An entry by its number and by its id is one address to whoever asks.
    merged = {"number:number": "entry", "entry:entry": "entry", "slug:slug": "slug"}
    routed = {
        re.sub(r"<([^>]+)>", lambda found: f"{{{merged[found[1]]}}}", rule.rule)
        for rule in rules(api.app, "GET")
        if rule.rule.startswith("/api/v1")
    }
    assert set(api.document["paths"]) == routed
    for rule in rules(api.app, "GET"):
        if rule.rule.startswith("/api/"):
            assert set(rule.methods or ()) == {"GET", "HEAD", "OPTIONS"}
    assert not [rule for rule in rules(api.app, "POST") if rule.rule.startswith("/api")]


@ONE_ENGINE
def test_the_document_is_openapi_3_1_for_this_instance(make_app: MakeApp) -> None:
    app = make_app(public_url="https://charter.example")
    document = Api(app).document
    assert document["openapi"].startswith("3.1.")
    assert document["servers"] == [{"url": "https://charter.example"}]
    assert {one["name"] for one in document["paths"][ENTRIES]["get"]["parameters"]} == {
        one.name for one in parameters.ENTRIES
    }
    entries = [document["components"]["schemas"][name]["properties"] for name in ("ListedEntry", "EndedEntry")]
    assert {name for properties in entries for name in properties} == set(shapes.ENTRY_FIELDS)
    used = set(re.findall(r"#/components/\w+/(\w+)", json.dumps(document)))
    assert used == {name for part in document["components"].values() for name in part}
    first = app.test_client().get("/api/openapi.json")
    again = app.test_client().get("/api/openapi.json", headers={"If-None-Match": first.headers["ETag"]})
    assert (again.status_code, again.data) == (304, b"")
    assert "public" in first.headers["Cache-Control"]


@ONE_ENGINE
def test_the_document_is_english_whoever_asks(app: Flask) -> None:
    bodies = {app.test_client().get("/api/openapi.json", headers={"Accept-Language": one}).data for one in ("kk", "en")}
    assert len(bodies) == 1


@ONE_ENGINE
def test_the_document_is_valid(api: Api) -> None:
    schema = schemathesis.openapi.from_dict(api.document)
    schema.validate()
    assert len(list(schema.get_all_operations())) == len(api.document["paths"])


def variants(api: Api) -> list[tuple[str, Json, bool]]:
    """The document as it is, and two that say what a schema cannot: which names exist, and what goes with what.

    (name, document, whether everything that fits it has to be accepted)
    """

    def only(schemas: dict[str, Json]) -> Json:
        document = copy.deepcopy(api.document)
        document["paths"] = {ENTRIES: document["paths"][ENTRIES]}
        operation = document["paths"][ENTRIES]["get"]
        operation["parameters"] = [one for one in operation["parameters"] if one["name"] in schemas]
        for one in operation["parameters"]:
            one["schema"] |= schemas[one["name"]]
            del one["example"]
        return document

    regions = [one[key] for one in api.get("/api/v1/regions")["data"] for key in ("region", "slug")]
    slugs = [one["affiliation"] for one in api.get("/api/v1/affiliations")["data"]]
    newest = api.get(ENTRIES)["as_of"]["public_revision"]
    rest = copy.deepcopy(api.document)
    del rest["paths"][ENTRIES]
    known = {"region": {"enum": regions}, "affiliation": {"enum": slugs}, "edition": {"enum": ["specimen-1"]}}
    selections = only({"q": {}, "kind": {}, "from": {}, "order": {}, "size": {}, **known})
    changes = only({"since": {"maximum": newest}, "size": {}})
    everything = only({one.name: {} for one in parameters.ENTRIES})
    return [
        ("rest", rest, True),
        ("selections", selections, True),
        ("changes", changes, True),
        ("everything", everything, False),
    ]


def asking(cases: SearchStrategy[Any], *, excluded: list[Any], examples: int, asked: Counter[int]) -> None:
    """Sends so many of the cases, the same ones each time."""

    @hypothesis.seed(20201220)
    @hypothesis.settings(
        max_examples=examples,
        deadline=None,
        database=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @hypothesis.given(case=cases)
    def ask(case: Any) -> None:
        response = case.call()
        asked[response.status_code] += 1
        case.validate_response(response, excluded_checks=excluded)

    ask()


def test_schemathesis_finds_no_failure(api: Api, engine_name: str) -> None:
    examples = EXAMPLES if engine_name == "sqlite" else EXAMPLES // 4
    for name, document, is_exact in variants(api):
        schema = schemathesis.openapi.from_dict(document)
        schema.app = api.app
        asked: Counter[int] = Counter()
        for result in schema.get_all_operations():
            operation = result.ok()
            # Where nothing can be given, nothing can be given wrongly.
            has_parameters = "parameters" in document["paths"][operation.path]["get"]
            for mode in GenerationMode if has_parameters else (GenerationMode.POSITIVE,):
                cases = operation.as_strategy(generation_mode=mode)
                excluded = [] if is_exact else [positive_data_acceptance]
                asking(cases, excluded=excluded, examples=examples, asked=asked)
        assert asked[200] > 1, (name, asked)
        assert asked[404 if name == "rest" else 400] > 1, (name, asked)
        assert set(asked) <= {200, 400, 404, 405, 410}, (name, asked)
