"""Everything that a release does, told once: its data and its statements are recorded from this."""

from __future__ import annotations

from datetime import UTC, datetime

from flask import Flask
from sqlalchemy import select
from time_machine import Traveller as Clock

from charter.models.base import db
from charter.models.decision import Decision
from charter.operations import outbox, review
from tests.house.world import World, rules
from tests.pages import Browser
from tests.people import work
from tests.web.test_staff_auth import Person


def tell(app: Flask, clock: Clock) -> World:
    """Staff come in by password and code; people sign, confirm, are answered, are published, leave."""
    chief = Person(app, clock, "aigul@example.org")
    chief.make_first_account()
    chief.set_up()
    chief.sign_out()
    assert chief.sign_in().url.startswith("/staff/")
    world = World(app, clock)
    world.tell()
    world.people["saule"].browser.get("/ru/my/").submit("answer-form", answer="Город Алматы.")
    world.people["waiting"].browser.get("/ru/my/edit/").submit("edit-form", full_name="Тимур Терпеливый")
    # Signed twice, and the newer one confirmed: the older expires.
    twice = world._observer("twice", "Екі Рет")
    twice.sign()
    twice.sign()
    twice.confirm()
    # A decision that is taken back.
    world.decide("decline", decline_reason="other", note="Нет.")
    now = datetime.now(UTC)
    with app.app_context():
        newest = db.session.scalars(select(Decision.id).order_by(Decision.id.desc())).first()
        assert newest is not None
        review.undo(newest, staff_id=world.desk.id, now=now)
        review.release(world.signature_id("office3"), staff_id=world.desk.id, confirm_link_days=7, now=now)
        outbox.retry(world.message_id, staff_id=world.desk.id, now=now)
        outbox.mark_failed(world.message_id, code="smtp-550", is_permanent=True, now=now)
        outbox.mark_failed(world.message_id + 1, code="timeout", is_permanent=False, now=now)
    other = Browser(app)
    other.get(world.my_path)
    other.get("/ru/my/withdraw/").submit("code-form")
    world.pass_seconds(11)
    # And some stay in the middle: asked, approved but not published yet.
    world.decide("ask", ask_reason="region-unclear", note="Где именно?")
    world.decide("approve")
    return world


def read_everything(world: World) -> dict[str, int]:
    """Every address, by those who may come there. Returns the worst status of each endpoint."""
    found: dict[str, int] = {}
    readers = (world.stranger(), world.people["saule"].browser, world.colleague(), world.halfway())
    for browser in readers:
        for rule in rules(world.app, "GET"):
            status = browser.client.get(world.address(rule)).status_code
            found[rule.endpoint] = max(status, found.get(rule.endpoint, 0))
    work(world.app)
    return found
