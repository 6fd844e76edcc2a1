"""A log from before there was a tree: the worker builds it, names its key, signs, and guards what it has signed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence

import pytest
from flask import Flask
from flask_migrate import upgrade
from sqlalchemy import select
from time_machine import Traveller as Clock

from charter import guard, log_key
from charter.models.base import db
from charter.models.log import PLACED, LogLeaf, LogNode, LogPlace
from charter.operations import publication, tree
from charter.queries import log
from charter.queries import standing as shown
from tests.migrations.released import RELEASES, load
from tests.operations.test_signing import confirmed, now
from tests.people import work
from tests.test_guard import assert_goes_on, assert_whole, config, leaf_count, signed


def leaf_data(app: Flask) -> list[bytes]:
    with app.app_context():
        return [bytes(data) for data in db.session.scalars(select(LogLeaf.data).order_by(LogLeaf.index))]


def root_of(leaves: Sequence[bytes]) -> bytes:
    """MTH of RFC 6962 §2.1, as it stands there."""
    if len(leaves) == 1:
        return hashlib.sha256(b"\0" + leaves[0]).digest()
    half = 1 << (len(leaves) - 1).bit_length() - 1
    return hashlib.sha256(b"\1" + root_of(leaves[:half]) + root_of(leaves[half:])).digest()


def places(app: Flask) -> dict[str, tuple[int | None, int | None]]:
    with app.app_context():
        query = select(LogPlace).where(LogPlace.entry != PLACED)
        return {row.entry: (row.confirm_index, row.record_index) for row in db.session.scalars(query)}


def places_of(leaves: Sequence[bytes]) -> dict[str, tuple[int | None, int | None]]:
    """Said once more: of each entry the `confirm`, and the last leaf with its record's commitment."""
    found: dict[str, tuple[int | None, int | None]] = {}
    for index, data in enumerate(leaves):
        leaf = json.loads(data)
        before = found.get(leaf.get("entry", ""), (None, None))
        if leaf["kind"] == "confirm":
            found[leaf["entry"]] = index, before[1]
        elif leaf["kind"] in {"publish", "correct"}:
            found[leaf["entry"]] = before[0], index
    return found


@pytest.fixture
def old_log(empty_app: Flask, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> Flask:
    """A released log that went on without a tree for a while."""
    load(empty_app, RELEASES[0])
    with empty_app.app_context():
        upgrade()
        db.session.remove()
    # Its tables are not seen, as if they were still to come.
    with monkeypatch.context() as older:
        older.setattr(LogNode, "__tablename__", "log_node_to_come")
        confirmed(empty_app, address="before@example.org")
        work(empty_app)
        # An odd number: the last leaf stands alone, without a node above it.
        for _ in range(1 - leaf_count(empty_app) % 2):
            confirmed(empty_app, address="another@example.org")
            work(empty_app)
        with empty_app.app_context():
            assert shown.newest_checkpoint() is None
    assert not log_key.path_of(config(empty_app)).exists()
    assert not guard.path_of(config(empty_app)).exists()
    return empty_app


def test_the_worker_brings_an_older_log_up_to_today(old_log: Flask) -> None:
    before = leaf_data(old_log)
    assert len(before) > 5
    work(old_log)
    after = leaf_data(old_log)
    assert after[: len(before)] == before, "not a byte of what stands there changes"
    (vkey,) = [one.vkey for one in log_key.held(config(old_log))]
    assert [json.loads(one)["vkey"] for one in after if b'"kind":"key"' in one] == [vkey]
    assert signed(old_log)[-1] == (len(after), root_of(after))
    entries = {entry: place for entry, place in places(old_log).items() if not entry.startswith("key")}
    assert entries == places_of(after) != {}
    assert_whole(old_log)
    assert_goes_on(old_log)


def test_a_tree_is_built_some_leaves_at_a_time_and_none_is_forgotten(old_log: Flask) -> None:
    size = leaf_count(old_log)
    assert size % 2
    with old_log.app_context():
        for _ in range(size):
            if log.lacks_nodes():
                tree.build_past(most=2)
    assert places(old_log) == places_of(leaf_data(old_log))
    work(old_log)
    assert_whole(old_log)


def test_a_leaf_that_an_older_worker_appends_meanwhile_finds_its_place(
    app: Flask, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    work(app)
    while leaf_count(app) % 2:
        assert_goes_on(app)
    confirmed(app, address="meanwhile@example.org")
    with monkeypatch.context() as older, app.app_context():
        older.setattr(tree, "has_tree", lambda _connection: False)
        assert publication.publish_batch(now=now())
    assert_goes_on(app)
    entries = {entry: place for entry, place in places(app).items() if not entry.startswith("key")}
    assert entries == places_of(leaf_data(app))
