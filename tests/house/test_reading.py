"""Reading changes nothing: GET and HEAD of every address, by everybody who could come there."""

from __future__ import annotations

import re
from datetime import timedelta

from sqlalchemy import select

from charter.models.base import db, writing
from charter.models.staff import StaffSession
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
    """What a GET of the desk may write: when somebody was last seen, and that they read (CONTRIBUTING, exceptions)."""
    trimmed = {name: [dict(row) for row in rows] for name, rows in found.items()}
    for name in ("staff", "staff_session"):
        for row in trimmed[name]:
            row.pop("last_seen_at")
    trimmed["audit"] = [row for row in trimmed["audit"] if not row["action"].startswith("read-")]
    return trimmed


def is_last_seen(statement: str) -> bool:
    """Whether a statement sets this one column and no other."""
    only_that = r"UPDATE (staff|staff_session) SET last_seen_at=[^,]+ WHERE \1\.id = [^,]+"
    return bool(re.fullmatch(only_that, statement))


def is_record(statement: str) -> bool:
    """Whether a statement adds to the audit, where nothing is ever changed."""
    return statement.startswith("INSERT INTO audit ")


def stay_away_a_minute(world: World) -> None:
    """As the desk sees it; the clock stays, because some pages are open for an hour only."""
    with world.app.app_context(), writing():
        for session in db.session.scalars(select(StaffSession)):
            session.last_seen_at -= timedelta(seconds=61)
        db.session.commit()


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
                    is_desk = who == "colleague" and endpoint.startswith("staff")
                    if is_desk:
                        # The desk notes a session as seen once a minute: also then, only that is written.
                        stay_away_a_minute(world)
                    seen.clear()
                    status = browser.client.open(address, method=method).status_code
                    answered[endpoint] = min(status, answered.get(endpoint, 999))
                    written = [" ".join(one.split()) for one in seen if WRITES.search(one)]
                    if is_desk:
                        assert status == 200 or not endpoint.startswith("staff."), endpoint
                        written = [one for one in written if one != "BEGIN IMMEDIATE" and not is_last_seen(one)]
                        # What a HEAD asks for is not shown, and so not read.
                        written = [one for one in written if method == "HEAD" or not is_record(one)]
                    assert not written, (endpoint, who, method, written)
                    assert status < 500, (endpoint, who, method)
    assert without_last_seen(before) == without_last_seen(dump(app))
    refused = {endpoint: status for endpoint, status in answered.items() if status >= 400}
    assert refused == CLOSED, "these were not really looked at"


def test_a_colleague_who_reads_is_noted_at_most_once_a_minute(world: World) -> None:
    browser = world.colleague()
    world.clock.shift(61)
    browser.get("/staff/")
    # Its list of what failed holds addresses: that it was read is recorded once.
    browser.get("/staff/mail/")
    with statements(world.app) as seen:
        browser.get("/staff/")
        browser.get("/staff/mail/")
    assert not [one for one in seen if WRITES.search(one)]
