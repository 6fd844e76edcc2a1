"""Addresses: kebab-case nouns with typed parameters, and pages that are where the design says."""

from __future__ import annotations

import re

import pytest
from flask import Flask

from tests.house.world import rules

#: Nothing here asks the database.
pytestmark = pytest.mark.parametrize("engine_name", ["sqlite"], indirect=True)

SEGMENT = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*(?:\.[a-z]+)?")
#: What a parameter may be. A bare string is for secrets, which are looked up by digest and shown nowhere.
TYPED = {"lang", "entry", "number", "slug", "row", "span", "tile"}
UNTYPED = {"token"}
BLUEPRINTS = {
    "api",
    "dev_mail",
    "developers",
    "embedding",
    "figures",
    "links",
    "log",
    "my",
    "not_me",
    "entered",
    "numbers",
    "public",
    "registry",
    "signing",
    "sitemap",
    "staff",
    "staff_auth",
    "system",
    "takeaway",
    "verify",
}


def test_paths_are_kebab_case_and_parameters_typed(app: Flask) -> None:
    for rule in rules(app, "GET") + rules(app, "POST"):
        for part in rule.rule.strip("/").split("/"):
            words = re.sub(r"<[^>]+>", "", part)
            assert not words or SEGMENT.fullmatch(words) or re.fullmatch(r"(?:[a-z]+-)?\.[a-z]+", words), rule
            for converter, name in re.findall(r"<(?:(\w+)(?:\([^)]*\))?:)?(\w+)>", part):
                assert converter in TYPED if converter else name in UNTYPED, (rule, name)


def test_every_endpoint_is_named_after_its_function(app: Flask) -> None:
    for rule in rules(app, "GET") + rules(app, "POST"):
        blueprint, _, name = rule.endpoint.partition(".")
        assert blueprint in BLUEPRINTS, rule
        assert re.fullmatch(r"[a-z_]+", name), rule


def test_every_public_page_has_its_language_in_the_address(app: Flask) -> None:
    for rule in rules(app, "GET") + rules(app, "POST"):
        if rule.endpoint.startswith(("registry.", "signing.", "my.", "public.")) and rule.endpoint != "public.root":
            assert "lang" in rule.arguments, rule
            assert rule.rule.startswith("/<lang:lang>/") or rule.endpoint == "public.charter_text", rule


def test_public_addresses_are_those_that_were_promised(app: Flask) -> None:
    promised = {
        "/",
        "/<lang:lang>/",
        "/<lang:lang>/charter/",
        "/charter/<slug:edition>/<lang:lang>.txt",
        "/<lang:lang>/sign/",
        "/<lang:lang>/sign/check-mail/",
        "/<lang:lang>/confirm/<token>",
        "/<lang:lang>/my/",
        "/<lang:lang>/my/<token>",
        "/<lang:lang>/registry/",
        "/<lang:lang>/registry/<slug:slug>/",
        "/<lang:lang>/registry/entries/<entry:entry>",
        "/<lang:lang>/about/",
        "/<lang:lang>/privacy/",
        "/<lang:lang>/accessibility/",
        "/<lang:lang>/help/",
        "/<lang:lang>/statistics/",
        "/<lang:lang>/transparency/",
        "/<lang:lang>/open-data/",
        "/<lang:lang>/registry.atom",
        "/registry.csv",
        "/registry.jsonl",
        "/registry.xlsx",
        "/healthz",
        "/readyz",
        "/dev/mail/",
        "/staff/",
    }
    assert promised <= {rule.rule for rule in rules(app, "GET")}


def test_a_post_never_answers_where_only_reading_is_meant(app: Flask) -> None:
    for rule in rules(app, "POST"):
        assert not rule.endpoint.startswith(("public.", "registry.", "system.", "dev_mail.")), rule
