"""Addresses that nobody was given: every parameter of every path and query with everything that strangers try."""

from __future__ import annotations

import re
from collections import Counter
from typing import Any
from urllib.parse import quote, quote_from_bytes

import pytest
from werkzeug.routing import Rule

from tests.hostile.values import ALL
from tests.house.world import World, changed_tables, dump, rules
from tests.pages import Browser

SEGMENTS: dict[str, bytes] = {
    **ALL,
    "nothing": b"",
    "dots": b"..",
    "encoded dots": b"%2e%2e",
    "slash": b"a/b",
    "encoded slash": b"a%2Fb",
    "backslash": b"a\\b",
    "semicolon": b"a;b=c",
    "zero": b"0",
    "minus zero": b"-0",
    "plus": b"+1",
    "hex": b"0x10",
    "true hex of another length": b"a" * 31,
    "unknown entry": b"0" * 32,
    "capital hex": b"A" * 32,
    "unknown token": b"A" * 43,
    "very long": b"A" * 20_000,
    "largest of SQLite": str(2**63 - 1).encode(),
    "one more": str(2**63).encode(),
    "beyond exact": str(2**53).encode(),
}
#: Addresses with a parameter of one shape that are asked with everything, and the rest with what has this shape.
ENOUGH = 5


def path_of(template: str, rule: Rule, argument: str, value: bytes) -> str:
    """The true address of the rule with one argument replaced, percent-encoded byte for byte."""
    return template.replace(f"~{argument}~", quote_from_bytes(value, safe="%"))


def template_of(rule: Rule, values: dict[str, Any]) -> dict[str, str]:
    """argument → the address with a mark in its place."""
    found = {}
    for argument in rule.arguments:
        path = "".join(
            (f"~{argument}~" if data == argument else quote(str(values[data]))) if is_dynamic else data
            for is_dynamic, data in rule._trace
            if data != "|"
        )
        found[argument] = path
    return found


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_no_parameter_of_a_path_breaks_the_service_or_changes_anything(world: World, method: str) -> None:
    browsers: dict[str, Browser] = {"staff": world.colleague(), "": world.people["saule"].browser}
    token = {
        "staff": browsers["staff"].get("/staff/").fields(at="/sign-out")[1]["csrf_token"],
        "": browsers[""].get("/ru/my/").fields("answer-form")[1]["csrf_token"],
    }
    before = dump(world.app)
    known: Counter[str] = Counter()
    for rule in rules(world.app, method):
        who = "staff" if rule.rule.startswith("/staff") else ""
        values = world.values(rule) if rule.endpoint != "staff_auth.invitation" else {"token": "unknown"}
        for argument, template in template_of(rule, values).items():
            if argument == "lang" and rule.endpoint not in {"public.home", "signing.sign"}:
                continue  # one converter for all; two addresses stand for the rest
            shape = rule._converters[argument].regex
            known[shape] += 1
            for kind, value in SEGMENTS.items():
                if known[shape] > ENOUGH and not re.fullmatch(shape, value.decode(errors="replace")):
                    continue  # what the same converter has refused so often reaches no view here either
                path = path_of(template, rule, argument, value)
                data = {"csrf_token": token[who], "lang": "ru"} if method == "POST" else None
                answer = browsers[who].client.open(path, method=method, data=data)
                assert answer.status_code < 500, (method, rule.rule, argument, kind)
                assert "evil" not in answer.headers.get("Location", ""), (rule.rule, kind)
    assert changed_tables(before, dump(world.app)) <= {"rate_limit"}


QUERIES = {
    "/ru/registry/": ("q", "region", "kind", "affiliation", "edition", "from", "to", "order", "older", "newer"),
    "/ru/registry/?order=name": ("after", "before"),
    "/ru/registry/almaty/": ("kind", "order", "older", "newer"),
    "/ru/registry/affiliations/amanat/": ("region", "order", "older", "newer"),
    "/registry.csv": ("q", "region", "kind", "affiliation", "edition", "from", "to", "order"),
    "/registry.jsonl": ("q", "from", "order"),
    "/registry.xlsx": ("q", "region"),
    "/ru/registry.atom": ("q", "region", "from"),
    "/ru/": ("lang", "switch"),
    "/ru/charter/": ("edition",),
    "/ru/sign/": ("switch", "preview", "lang"),
    "/ru/my/": ("fresh",),
    "/ru/my/withdraw/": ("fresh",),
    "/staff/": ("state", "after"),
    "/staff/mail/": ("page",),
    "/staff/sign-in": ("next",),
}
POSITIONS = {
    "half a position": b"2026-11-27.",
    "no day": b".1",
    "no such day": b"2026-02-30.1",
    "first day of all": b"0001-01-01.1",
    "last day of all": b"9999-12-31.999999999999999",
    "a week": b"2026-W47-1.1",
    "beyond the integers": b"2026-11-27.9999999999999999999999",
    "below zero": b"2026-11-27.-5",
    "underscores": b"2026-11-27.1_000",
    "other digits": "2026-11-27.١".encode(),
}


@pytest.mark.parametrize("path", QUERIES)
def test_no_query_breaks_a_page(world: World, path: str) -> None:
    browser = world.colleague() if path.startswith("/staff") else world.people["saule"].browser
    if path == "/staff/sign-in":
        browser = world.stranger()
    for name in QUERIES[path]:
        for kind, value in {**SEGMENTS, **POSITIONS}.items():
            encoded = quote_from_bytes(value)
            queries = [f"{name}={encoded}"]
            if kind in {"not UTF-8", "nul", "prototype"}:
                queries += [f"{name}=&{name}={encoded}", f"{name}[]={encoded}", f"{encoded}={encoded}", encoded]
            for query in queries:
                answer = browser.client.get(f"{path}{'&' if '?' in path else '?'}{query}")
                assert answer.status_code < 500, (path, name, kind, query[:100])
                assert b"<script>alert" not in answer.data, (name, kind)
                assert b"onerror=alert(1)>" not in answer.data, (name, kind)


def test_pages_of_the_registry_beyond_either_end_are_empty_or_unknown(world: World) -> None:
    browser = world.stranger()
    for query in (
        "older=1",
        "newer=999999999999",
        "older=0",
        f"older={10**15}",
        f"newer={10**15}",
        "older=000000000001",
    ):
        assert browser.client.get(f"/en/registry/?{query}").status_code == 200, query
    for query in (f"older={10**15 + 1}", "older=-1", "older=1.5", "newer=1e3", "older=" + "0" * 30 + "9" * 40):
        assert browser.client.get(f"/en/registry/?{query}").status_code == 404, query


def test_what_stands_in_an_address_is_never_part_of_a_refusal(world: World) -> None:
    browser = world.stranger()
    for path in ("/ru/no-such-page-q7x/", "/q7x", "/ru/registry/q7x/", "/static/q7x/site.css", "/staff/q7x"):
        answer = browser.client.get(path + "?q7x=q7x")
        assert answer.status_code == 404, path
        assert b"q7x" not in answer.data, path


def test_bytes_in_a_path_are_an_unknown_page_in_the_language_of_the_path(world: World) -> None:
    titles = set()
    for lang in ("kk", "ru", "en"):
        answer = world.stranger().client.get(f"/{lang}/%ff%fe%00/%c3%28")
        assert answer.status_code == 404
        assert f'lang="{lang}"' in answer.text
        assert answer.text.count("<h1>") == 1
        titles.add(answer.text.partition("<h1>")[2].partition("</h1>")[0])
    assert len(titles) == 3
