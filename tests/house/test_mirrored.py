"""No public page is forgotten by the mirror: every address that can be read says how it is mirrored, or why not."""

from __future__ import annotations

import pytest
from flask import Flask

from charter.mirror.addresses import ADDRESSES, OWN_ROOMS, Mirrored, Own
from tests.house.world import rules

pytestmark = pytest.mark.parametrize("engine_name", ["sqlite"], indirect=True)


def readable(app: Flask) -> set[str]:
    """Endpoints that answer GET and belong to the public."""
    return {rule.endpoint for rule in rules(app, "GET") if rule.endpoint.partition(".")[0] not in OWN_ROOMS}


def test_every_public_endpoint_is_mirrored_or_says_why_not(app: Flask) -> None:
    assert readable(app) - ADDRESSES.keys() == set(), "say in charter/mirror/addresses.py how these are mirrored"
    assert ADDRESSES.keys() - readable(app) == set(), "charter/mirror/addresses.py names what does not exist"


def test_what_is_not_mirrored_has_a_reason(app: Flask) -> None:
    for endpoint, rule in ADDRESSES.items():
        assert isinstance(rule, Mirrored) or (isinstance(rule, Own) and len(rule.why) > 10), endpoint
    mirrored = [endpoint for endpoint, rule in ADDRESSES.items() if isinstance(rule, Mirrored)]
    assert len(mirrored) > 15
