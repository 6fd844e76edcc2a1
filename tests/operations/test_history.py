"""A long random history: figures that are kept equal figures that are counted, and the log tells the same story."""

from __future__ import annotations

import json
import random
from collections import Counter

from flask import Flask
from sqlalchemy import select
from time_machine import Traveller

from charter.models.base import db
from charter.models.log import LogLeaf
from charter.models.registry import PublicEntry, RegionCount
from charter.tlog import canonical
from charter.tlog.record import commitment
from charter.tlog.tree import hash_leaf
from tests.people import Desk, Observer, work

REGIONS = ("KZ-75", "KZ-71", "KZ-10", "ZZ")
KINDS = ("independent", "party", "international")


def test_counters_entries_and_log_agree_after_a_random_history(app: Flask, desk: Desk, clock: Traveller) -> None:
    chance = random.Random(20201220)
    people: list[Observer] = []
    for place in range(30):
        person = Observer(
            app,
            email=f"p{place}@example.org",
            full_name="Оспанова " + chr(0x0410 + place),
            region=chance.choice(REGIONS),
            kind=chance.choice(KINDS),
            party="auyl",
            mission="Romania",
            display=chance.choice(("full", "short", "unlisted")),
        )
        person.sign_and_confirm()
        people.append(person)
        clock.shift(chance.randrange(60))
        if chance.random() < 0.8:
            action, reason = chance.choice((("approve", ""), ("approve", ""), ("decline", "duplicate")))
            desk.decide(desk.open_first(), action, decline_reason=reason)
        if chance.random() < 0.3:
            leaver = chance.choice(people)
            page = leaver.browser.get("/ru/my/withdraw/")
            if "withdraw-form" in page.text:
                page.submit("withdraw-form")
        if chance.random() < 0.4:
            clock.shift(11)
            work(app)
    clock.shift(60)
    work(app)

    with app.app_context():
        entries = db.session.scalars(select(PublicEntry).order_by(PublicEntry.number)).all()
        assert len(entries) > 10
        assert [entry.number for entry in entries] == list(range(1, len(entries) + 1))
        counted: Counter[tuple[str, str, str]] = Counter()
        for entry in entries:
            column = "withdrawn" if entry.ended_on else "unlisted" if entry.display == "unlisted" else "listed"
            counted[entry.region_code, entry.kind, column] += 1
        kept: Counter[tuple[str, str, str]] = Counter()
        for row in db.session.scalars(select(RegionCount)):
            for column in ("listed", "unlisted", "withdrawn", "revoked"):
                kept[row.region_code, row.kind, column] = getattr(row, column)
        assert +kept == counted

        leaves = db.session.scalars(select(LogLeaf).order_by(LogLeaf.index)).all()
        told = [canonical.decode(leaf.data) for leaf in leaves]
        assert [leaf.hash for leaf in leaves] == [hash_leaf(leaf.data) for leaf in leaves]
        assert [one["t"] for one in told] == sorted(str(one["t"]) for one in told)
        published = {one["entry"]: one["commit"] for one in told if one["kind"] == "publish"}
        ended = {one["entry"] for one in told if one["kind"] == "withdraw"}
        confirmed = {one["entry"] for one in told if one["kind"] == "confirm"}
        assert set(published) == {entry.entry for entry in entries}
        assert set(published) <= confirmed
        assert ended <= confirmed
        for entry in entries:
            assert (entry.ended_on is not None) == (entry.entry in ended)
            if entry.line is not None:
                assert commitment(entry.line) == published[entry.entry]
                line = json.loads(entry.line)
                assert (line["number"], line["region"], line.get("name")) == (
                    entry.number,
                    entry.region_code,
                    entry.name,
                )
