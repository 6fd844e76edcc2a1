"""The standards that commitments rest on: the shipped list, and a broken one refused."""

import json
from pathlib import Path
from typing import Any

import pytest

import charter.domain.standards as rules
from charter.domain.standards import StandardsError, parse_standards

DATA = (Path(rules.__file__).parents[1] / "data" / "standards.json").read_bytes()


def test_twelve_commitments_rest_on_known_documents() -> None:
    standards = parse_standards(DATA)
    assert list(standards) == list(range(1, 13))
    assert all(standards.values())
    secrecy = {item.document: item.where for item in standards[6]}
    assert secrecy == {"udhr": "21 (3)", "iccpr": "25 (b)", "copenhagen": "7.4"}
    assert standards[6][0].name["en"] == "Universal Declaration of Human Rights"
    assert standards[6][0].year == 1948


@pytest.mark.parametrize(
    "change",
    [
        {"number": 2},
        {"number": 0},
        {"rests_on": []},
        {"rests_on": [{"document": "none", "where": None, "topic": {"kk": "а", "ru": "а", "en": "a"}}]},
        {"rests_on": [{"document": "udhr", "where": "", "topic": {"kk": "а", "ru": "а", "en": "a"}}]},
        {"rests_on": [{"document": "udhr", "where": 21, "topic": {"kk": "а", "ru": "а", "en": "a"}}]},
        {"rests_on": [{"document": "udhr", "where": None, "topic": {"en": "a"}}]},
    ],
)
def test_a_broken_list_is_refused(change: dict[str, Any]) -> None:
    content = json.loads(DATA)
    content["commitments"][0] |= change
    with pytest.raises(StandardsError):
        parse_standards(json.dumps(content).encode())


@pytest.mark.parametrize("data", [b"", b"{}", b"[]", b"\xff", b'{"documents":{},"commitments":[]}'])
def test_bytes_that_are_no_list_are_refused(data: bytes) -> None:
    with pytest.raises(StandardsError):
        parse_standards(data)
