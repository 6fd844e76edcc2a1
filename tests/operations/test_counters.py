"""Counters equal counts, and the search index equals the entries, whatever has happened and in which order."""

from __future__ import annotations

import os
from pathlib import Path

from flask import Flask
from sqlalchemy import update
from time_machine import Traveller as Clock

from charter.domain.selection import Selection
from charter.models.base import db, writing
from charter.models.registry import PublicEntry
from charter.queries import registry, search
from tests.histories import World, play
from tests.operations.test_publication import published
from tests.people import Desk

#: More for a long run; `dev.py bench counters` plays 10,000.
EVENTS = int(os.environ.get("CHARTER_TEST_EVENTS", "100"))


def test_counters_and_search_index_follow_every_history(app: Flask, tmp_path: Path) -> None:
    world = play(app, tmp_path, events=EVENTS, is_by_chance="CHARTER_TEST_EVENTS" in os.environ)
    assert sum(world.events.values()) >= EVENTS
    happened = {event for event, count in world.events.items() if count}
    assert happened >= {"sign", "confirm", "approve", "publish", "publish, older release", "withdraw", "recovery"}
    assert world.checks > EVENTS // 50


def test_an_entry_whose_words_change_is_found_by_the_new_ones_only(
    app: Flask, desk: Desk, clock: Clock, tmp_path: Path
) -> None:
    """All at once, as a correction does it: what old and new share stays."""
    published(app, desk, clock)

    def finds(word: str) -> bool:
        with app.app_context():
            return bool(search.find_page(Selection(f'"{word}"'), registry.regions("en")).lines)

    assert finds("Әмина") and finds("Оспанова") and not finds("Жумабаева")
    with app.app_context(), writing():
        db.session.execute(
            update(PublicEntry).values(name="Әмина Жумабаева", words="amina jumabaeva _rkz-75 _kindependent")
        )
        db.session.commit()
    assert finds("Әмина")
    assert finds("Жумабаева")
    assert not finds("Оспанова")
    index = [note for note in World(app, tmp_path).tally() if note.startswith("search index")]
    assert index == []
