"""A reviewer at the room for lists of people."""

from __future__ import annotations

import time

from tests.journeys.postbox import PATIENCE_SECONDS
from tests.journeys.visitors import SUBMIT, Visitor


def bring(visitor: Visitor, data: bytes, *, source: str, name: str = "people.csv") -> str:
    """Sends a file; returns the address of its page, which asks for the columns."""
    visitor.open("/staff/imports/")
    visitor.page.locator("[name=file]").set_input_files({"name": name, "mimeType": "text/csv", "buffer": data})
    visitor.page.locator("[name=source]").fill(source)
    visitor.press(f"#list-form {SUBMIT}")
    return visitor.path


def choose(visitor: Visitor) -> None:
    """Takes the columns as they were guessed, and waits until every row was tried."""
    visitor.press(f"#columns-form {SUBMIT}")
    wait(visitor)


def wait(visitor: Visitor) -> None:
    """The page of progress asks for itself anew; so does an impatient reviewer."""
    give_up = time.monotonic() + PATIENCE_SECONDS
    while visitor.page.locator("progress").count():
        assert time.monotonic() < give_up, visitor.main
        visitor.page.wait_for_timeout(200)
        visitor.open(visitor.path)


def start(visitor: Visitor) -> None:
    """Lets everybody on the list be written to."""
    visitor.press(f"#start-form {SUBMIT}")
    wait(visitor)
