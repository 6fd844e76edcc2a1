"""Files and the streaming replica: they are read there, in one transaction, also after the view has returned."""

from __future__ import annotations

import pytest
from flask import Flask

from charter.models.base import REPLICA, db
from charter.queries import takeaway
from tests.scaled import Replica, replica
from tests.web.filed import enter
from tests.web.test_replica import app, quick, reads_at, seen, template, urls
from tests.web.test_takeaway import lines, table

__all__ = ["app", "quick", "replica", "template", "urls"]

pytestmark = pytest.mark.xdist_group("scaled")

COUNT = 40


@pytest.fixture
def entered(app: Flask, replica: Replica) -> Flask:
    """A registry that the replica has, too."""
    enter(app, [{"name": f"Адам {place}"} for place in range(COUNT)])
    replica.catch_up()
    reads_at(app, "/ru/")  # the first looks whether the replica is behind, at both
    return app


def test_a_file_is_read_from_the_replica_alone(entered: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(takeaway, "WINDOW", 7)
    for path in ("/registry.csv", "/registry.csv?order=name", "/registry.xlsx", "/ru/registry.atom"):
        with seen(entered) as found:
            answer = entered.test_client().get(path)
            assert answer.status_code == 200
            assert answer.data
        assert not found.primary, path
        assert found.replica, path
    with entered.app_context():
        in_use = {key: engine.pool.checkedout() for key, engine in db.engines.items()}  # type: ignore[attr-defined]
    assert in_use == {None: 0, REPLICA: 0}
    assert len(table(entered.test_client().get("/registry.csv"))) == COUNT


@pytest.mark.usefixtures("quick")
def test_a_replica_that_is_gone_before_the_file_begins_is_not_noticed(entered: Flask, replica: Replica) -> None:
    replica.stop()
    try:
        assert len(lines(entered.test_client().get("/registry.jsonl"))) == COUNT + 2
    finally:
        replica.start()


def test_a_replica_that_is_lost_midway_leaves_no_file_that_looks_whole(
    entered: Flask, replica: Replica, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(takeaway, "WINDOW", 10)
    answer = entered.test_client().get("/registry.csv", buffered=False)
    pieces = iter(answer.response)
    begun = next(pieces) + next(pieces)
    replica.stop()
    try:
        assert b"INCOMPLETE" in begun + b"".join(pieces)
        answer.close()
        assert len(table(entered.test_client().get("/registry.csv"))) == COUNT, "the primary has it all"
    finally:
        replica.start()
