"""Reading changes nothing: GET and HEAD of every address, by everybody who could come there."""

from __future__ import annotations

import re

from tests.house.world import Dump, World, dump, rules
from tests.statements import statements

#: What a database would call writing, or getting ready to.
WRITES = re.compile(
    r"^\s*(insert|update|delete|replace|create|drop|alter|truncate|vacuum|begin\s+immediate|merge|copy)\b|for update",
    re.IGNORECASE,
)
#: Addresses that are closed in this world, and why that is their true answer.
CLOSED = {"staff_auth.first": 404}


def without_last_seen(found: Dump) -> Dump:
    """The one thing a GET of the desk may write (CONTRIBUTING, known exceptions)."""
    trimmed = {name: [dict(row) for row in rows] for name, rows in found.items()}
    for name in ("staff", "staff_session"):
        for row in trimmed[name]:
            row.pop("last_seen_at")
    return trimmed


def is_last_seen(statement: str) -> bool:
    """Whether a statement sets this one column and no other."""
    only_that = r"UPDATE (staff|staff_session) SET last_seen_at=[^,]+ WHERE \1\.id = [^,]+"
    return bool(re.fullmatch(only_that, statement))


def test_no_get_and_no_head_of_any_address_writes_anything(world: World) -> None:
    app = world.app
    addresses = [(rule.endpoint, world.address(rule)) for rule in rules(app, "GET")]
    assert len(addresses) > 30
    readers = {
        "stranger": world.stranger(),
        "signatory": world.people["saule"].browser,
        "colleague": world.colleague(),
        "halfway": world.halfway(),
    }
    before = dump(app)
    answered: dict[str, int] = {}
    with statements(app) as seen:
        for who, browser in readers.items():
            for endpoint, address in addresses:
                for method in ("GET", "HEAD"):
                    seen.clear()
                    is_desk = who == "colleague" and endpoint.startswith("staff")
                    if is_desk:
                        # The desk notes a session as seen once a minute: also then, only that is written.
                        world.clock.shift(61)
                    status = browser.client.open(address, method=method).status_code
                    answered[endpoint] = min(status, answered.get(endpoint, 999))
                    written = [" ".join(one.split()) for one in seen if WRITES.search(one)]
                    if is_desk:
                        assert status == 200 or not endpoint.startswith("staff."), endpoint
                        written = [one for one in written if one != "BEGIN IMMEDIATE" and not is_last_seen(one)]
                    assert not written, (endpoint, who, method, written)
                    assert status < 500, (endpoint, who, method)
    assert without_last_seen(before) == without_last_seen(dump(app))
    refused = {endpoint: status for endpoint, status in answered.items() if status >= 400}
    assert refused == CLOSED, "these were not really looked at"


def test_a_colleague_who_reads_is_noted_at_most_once_a_minute(world: World) -> None:
    browser = world.colleague()
    world.clock.shift(61)
    browser.get("/staff/")
    with statements(world.app) as seen:
        browser.get("/staff/")
        browser.get("/staff/mail/")
    assert not [one for one in seen if WRITES.search(one)]
