"""Several witnesses: who signs, who does not, what that costs the others, and what is shown meanwhile."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import text
from structlog.testing import capture_logs
from time_machine import Traveller as Clock
from tlog_scales import signing, tlog

from charter.log_key import verify
from charter.models.base import db, writing
from charter.tlog import note
from charter.witnessing import asking as module
from charter.witnessing import standing as words
from charter.witnessing.asking import Asking
from tests.conftest import MakeApp
from tests.operations.test_signing import now
from tests.people import work
from tests.witness.stage import (
    asking_of,
    checkpoint,
    cosigners,
    grow,
    served_text,
    setting,
    settle,
    shown,
    step,
    wake,
)
from tests.witness.witness import Witness, running

Stage = tuple[Flask, list[Witness]]
MakeStage = Callable[..., Stage]

pytestmark = pytest.mark.usefixtures("clock")
#: What has to do with the network alone.
one_engine = pytest.mark.parametrize("engine_name", ["sqlite"], indirect=True)


@pytest.fixture
def make_stage(make_app: MakeApp, monkeypatch: pytest.MonkeyPatch) -> Iterator[MakeStage]:
    """An application with so many witnesses, of which those who fail are left alone until `wake`."""
    monkeypatch.setattr(module, "FIRST_REST_SECONDS", 60.0)
    with ExitStack() as stack:

        def make(count: int, *, quorum: int = 0) -> Stage:
            witnesses = [Witness(f"w{place}.example") for place in range(count)]
            stack.enter_context(running(*witnesses))
            return make_app(witnesses=setting(*witnesses), witness_quorum=str(quorum)), witnesses

        yield make


def state(app: Flask) -> str:
    with app.app_context():
        return words.state(app.config["CHARTER"], now=now())


def codes(asking: Asking) -> dict[str, str | None]:
    return {name: place.code for name, place in asking._places.items()}


# ── all is well ──────────────────────────────────────────────────────────────────────────────────────────────────────


def test_every_witness_cosigns_each_checkpoint_and_readers_can_verify_it(make_stage: MakeStage) -> None:
    app, witnesses = make_stage(3)
    asking = asking_of(app)
    first = grow(app)
    settle(app, asking)
    second = grow(app)
    settle(app, asking)
    names = {one.name for one in witnesses}
    assert cosigners(app, first) == cosigners(app, second) == names
    assert [one.asked for one in witnesses] == [[(0, first), (first, second)]] * 3
    shown_text = served_text(app)
    found, signatures = note.read(shown_text)
    assert found == checkpoint(app, second)
    assert [one.name for one in signatures] == [found.origin, *sorted(names)]
    for one in witnesses:
        at = note.verify_cosignature(found, signatures, one.key, verify)
        assert abs(at - now().timestamp()) < 5
    # As a program that is not ours reads it.
    theirs = tlog.Checkpoint.from_text(shown_text)
    assert len(theirs.signatures) == 4
    for one, signature in zip(witnesses, theirs.signatures[1:], strict=True):
        signing.Vkey.from_string(one.key.text).get_verifier().verify_note(signature, theirs)
    settle(app, asking)
    assert [len(one.asked) for one in witnesses] == [2, 2, 2]
    assert state(app) == "ok"


@one_engine
def test_of_a_witness_that_signs_in_two_ways_the_one_we_know_is_kept(make_stage: MakeStage) -> None:
    app, (one,) = make_stage(1)
    one.mood = "two kinds"
    size = grow(app)
    settle(app, asking_of(app))
    assert cosigners(app, size) == {one.name}
    assert len(note.read(served_text(app))[1]) == 2


@one_engine
def test_one_round_of_the_worker_asks_as_well(make_stage: MakeStage) -> None:
    app, witnesses = make_stage(2)
    size = grow(app)
    work(app)
    assert cosigners(app, size) == {one.name for one in witnesses}


@one_engine
def test_without_a_quorum_nothing_waits_for_witnesses(make_stage: MakeStage) -> None:
    app, (one,) = make_stage(1)
    one.mood = "silent"
    size = grow(app)
    assert shown(app) == (size, size)
    assert state(app) == "silent"


@one_engine
def test_a_witness_that_was_asked_by_an_earlier_process_is_asked_from_where_it_was(make_stage: MakeStage) -> None:
    app, (one,) = make_stage(1)
    first = grow(app)
    settle(app, asking_of(app))
    second = grow(app)
    settle(app, asking_of(app))
    assert one.asked == [(0, first), (first, second)]


# ── a quorum ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_checkpoint_is_shown_as_soon_as_enough_have_signed_whatever_the_others_do(make_stage: MakeStage) -> None:
    app, (quick, quiet, slow) = make_stage(3, quorum=2)
    slow.mood = "slow"
    asking = asking_of(app)
    before = shown(app)[1]
    first = grow(app)
    assert shown(app) == (first, before)
    settle(app, asking, until=lambda: shown(app)[1] == first)
    assert asking.is_waiting
    assert cosigners(app, first) == {quick.name, quiet.name}
    second = grow(app)
    settle(app, asking, until=lambda: shown(app)[1] == second)
    assert slow.asked == []
    slow.mood = "well"
    slow.hold.set()
    settle(app, asking, until=lambda: slow.name in cosigners(app, second))
    assert cosigners(app, first) == {quick.name, quiet.name, slow.name}


def test_a_missed_quorum_keeps_the_last_witnessed_checkpoint_and_says_so(make_stage: MakeStage, clock: Clock) -> None:
    app, (well, ill) = make_stage(2, quorum=2)
    asking = asking_of(app)
    first = grow(app)
    settle(app, asking)
    assert (shown(app), state(app)) == ((first, first), "ok")
    ill.mood = "refuses"
    second = grow(app)
    settle(app, asking)
    assert (shown(app), state(app)) == ((second, first), "ok")
    assert cosigners(app, second) == {well.name}
    assert note.read(served_text(app))[0].size == first
    clock.shift(timedelta(minutes=3))
    with capture_logs() as lines:
        settle(app, asking)
        settle(app, asking)
    assert [line["log_level"] for line in lines if "too few" in line["event"]] == ["error"]
    assert state(app) == "quorum missed"
    ill.mood = "well"
    wake(asking)
    with capture_logs() as lines:
        settle(app, asking, until=lambda: shown(app)[1] == second)
        settle(app, asking)
    assert {"witness answers again", "witnesses are enough again"} <= {line["event"] for line in lines}
    assert state(app) == "ok"


def test_after_the_grace_checkpoints_are_shown_without_a_quorum_until_it_is_back(
    make_stage: MakeStage, clock: Clock
) -> None:
    app, (well, ill) = make_stage(2, quorum=2)
    asking = asking_of(app)
    first = grow(app)
    settle(app, asking)
    ill.mood = "refuses"
    second = grow(app)
    settle(app, asking)
    clock.shift(timedelta(hours=23, minutes=59))
    settle(app, asking)
    assert shown(app) == (second, first)
    clock.shift(timedelta(minutes=2))
    with capture_logs() as lines:
        settle(app, asking)
        settle(app, asking)
    assert [line["log_level"] for line in lines if "without a quorum" in line["event"]] == ["error"]
    assert (shown(app), state(app)) == ((second, second), "without quorum")
    third = grow(app)
    step(app, asking)
    assert shown(app) == (third, third)
    assert cosigners(app, third) <= {well.name}
    ill.mood = "well"
    wake(asking)
    settle(app, asking, until=lambda: len(cosigners(app, third)) == 2)
    settle(app, asking)
    assert state(app) == "ok"
    ill.mood = "refuses"
    fourth = grow(app)
    settle(app, asking)
    assert shown(app) == (fourth, third)


@one_engine
def test_a_quorum_that_is_set_on_an_old_log_is_not_given_up_before_anybody_was_asked(
    make_stage: MakeStage, clock: Clock
) -> None:
    app, (one,) = make_stage(1, quorum=1)
    size = grow(app)
    clock.shift(timedelta(days=9))
    one.mood = "slow"
    asking = asking_of(app)
    with capture_logs() as lines:
        step(app, asking)
        step(app, asking)
        assert shown(app)[1] < size
        one.mood = "well"
        one.hold.set()
        settle(app, asking, until=lambda: shown(app)[1] == size)
    assert lines == []


# ── what a witness knows and we do not ───────────────────────────────────────────────────────────────────────────────


def test_a_witness_that_signed_and_was_not_heard_names_its_size_and_signs_again(make_stage: MakeStage) -> None:
    app, (one,) = make_stage(1)
    asking = asking_of(app)
    one.mood = "breaks off"
    first = grow(app)
    settle(app, asking)
    assert one.seen[0] == first and cosigners(app, first) == set()
    one.mood = "well"
    wake(asking)
    second = grow(app)
    settle(app, asking)
    assert one.asked[-2:] == [(0, second), (first, second)]
    assert one.statuses == [409, 200]
    assert cosigners(app, second) == {one.name}


@one_engine
def test_a_witness_that_has_forgotten_is_told_from_the_beginning(make_stage: MakeStage) -> None:
    app, (one,) = make_stage(1)
    asking = asking_of(app)
    first = grow(app)
    settle(app, asking)
    one.forget()
    second = grow(app)
    with capture_logs() as lines:
        settle(app, asking)
    assert one.asked == [(0, first), (first, second), (0, second)]
    assert cosigners(app, second) == {one.name}
    assert [line["log_level"] for line in lines if line["event"] == "witness has forgotten"] == ["warning"]


@one_engine
def test_a_witness_that_never_says_the_same_size_is_left_alone(make_stage: MakeStage) -> None:
    app, (one,) = make_stage(1)
    asking = asking_of(app)
    grow(app)
    one.mood = "undecided"
    settle(app, asking)
    assert len(one.asked) == 1 + module.MOST_RESENDS
    assert codes(asking) == {one.name: "conflict"}


def test_a_quiet_log_is_cosigned_anew_every_day(make_stage: MakeStage, clock: Clock) -> None:
    app, (one, other) = make_stage(2)
    asking = asking_of(app)
    size = grow(app)
    settle(app, asking)
    before = served_text(app)
    clock.shift(timedelta(hours=23))
    settle(app, asking)
    assert len(one.asked) == 1
    clock.shift(timedelta(hours=1, minutes=1))
    settle(app, asking)
    assert one.asked == other.asked == [(0, size), (size, size)]
    after = served_text(app)
    assert after != before
    found, signatures = note.read(after)
    assert len(signatures) == 3
    assert note.verify_cosignature(found, signatures, one.key, verify) > now().timestamp() - 60


# ── hostile ones ─────────────────────────────────────────────────────────────────────────────────────────────────────

MOODS = {
    "refuses": "http-5xx",
    "unknown": "unknown-log",
    "redirects": "http-3xx",
    "foreign": "signature",
    "forged": "signature",
    "of another": "signature",
    "nonsense": "answer",
    "empty": "answer",
    "huge": "length",
    "wrong size": "answer",
}


@one_engine
def test_what_is_no_cosignature_of_this_witness_and_checkpoint_is_never_kept(make_stage: MakeStage) -> None:
    app, (well, bad) = make_stage(2)
    asking = asking_of(app)
    first = grow(app)
    settle(app, asking)
    for mood, code in MOODS.items():
        bad.mood = mood
        wake(asking)
        count = len(bad.asked)
        size = grow(app)
        with capture_logs() as lines:
            settle(app, asking)
        assert codes(asking) == {well.name: None, bad.name: code}, mood
        assert cosigners(app, size) == {well.name}, mood
        assert len(bad.asked) == count + 1, mood
        failures = [line for line in lines if line["event"] == "witness failed"]
        assert [(line["log_level"], line["witness"], line["code"]) for line in failures] <= [
            ("warning", bad.name, code)
        ]
    bad.mood = "well"
    wake(asking)
    settle(app, asking, until=lambda: bad.name in cosigners(app, size))
    assert first > 0
    assert codes(asking) == {well.name: None, bad.name: None}


@one_engine
@pytest.mark.parametrize("mood", ["silent", "drips", "drips head"])
def test_one_that_takes_its_time_costs_its_own_signature_only(make_stage: MakeStage, mood: str) -> None:
    app, (well, bad) = make_stage(2)
    bad.mood = mood
    asking = asking_of(app, answer_seconds=1.5)
    size = grow(app)
    began = time.monotonic()
    settle(app, asking, until=lambda: cosigners(app, size) == {well.name})
    settle(app, asking)
    # Byte by byte it would have taken half a minute.
    assert time.monotonic() - began < 10
    assert codes(asking)[bad.name] == "time"
    assert cosigners(app, size) == {well.name}


@one_engine
def test_one_that_hangs_where_no_time_out_reaches_is_told_and_not_waited_for(
    make_stage: MakeStage, monkeypatch: pytest.MonkeyPatch
) -> None:
    app, (one,) = make_stage(1)
    over = threading.Event()
    post = module.post

    def hang(*given: Any, **more: Any) -> Any:
        over.wait(10)
        return post(*given, **more)

    monkeypatch.setattr(module, "post", hang)
    monkeypatch.setattr(module, "LOOK_UP_SECONDS", 0.0)
    asking = asking_of(app, answer_seconds=0.2)
    size = grow(app)
    with capture_logs() as lines:
        settle(app, asking, until=lambda: codes(asking)[one.name] == "time")
        assert not asking.is_waiting
        step(app, asking)
        step(app, asking)
    assert [line["code"] for line in lines if line["event"] == "witness failed"] == ["time"]
    over.set()
    settle(app, asking, until=lambda: cosigners(app, size) == {one.name})
    assert codes(asking) == {one.name: None}


@one_engine
def test_one_whose_clock_is_wrong_is_told_apart(make_stage: MakeStage) -> None:
    app, (ahead, behind, well) = make_stage(3)
    ahead.clock_offset_seconds, behind.clock_offset_seconds, well.clock_offset_seconds = 7200, -7200, 600
    asking = asking_of(app)
    size = grow(app)
    settle(app, asking)
    assert codes(asking) == {ahead.name: "clock", behind.name: "clock", well.name: None}
    assert cosigners(app, size) == {well.name}


@one_engine
def test_after_a_failure_a_witness_is_left_alone_for_a_while(make_stage: MakeStage) -> None:
    app, (one,) = make_stage(1)
    asking = asking_of(app)
    one.mood = "refuses"
    grow(app)
    settle(app, asking)
    grow(app)
    settle(app, asking)
    assert len(one.asked) == 1
    wake(asking)
    settle(app, asking)
    assert len(one.asked) == 2


# ── two logs under one name ──────────────────────────────────────────────────────────────────────────────────────────


def refusals(lines: list[dict[str, object]]) -> list[tuple[object, ...]]:
    return [
        (line["log_level"], line["witness"], line["reason"])
        for line in lines
        if line["event"] == "witness refuses the log"
    ]


@pytest.mark.parametrize(("seen", "reason"), [("same size", "root"), ("smaller", "proof"), ("longer", "size")])
def test_a_witness_that_has_seen_another_log_is_believed_in_the_alarm_and_in_nothing_else(
    make_stage: MakeStage, seen: str, reason: str
) -> None:
    app, (well, other) = make_stage(2, quorum=1)
    size = grow(app)
    known = {"same size": size, "smaller": size - 1, "longer": size + 1}[seen]
    other.seen = known, hashlib.sha256(b"another log").digest()
    asking = asking_of(app)
    with capture_logs() as lines:
        settle(app, asking)
        settle(app, asking)
    assert refusals(lines) == [("error", other.name, reason)]
    assert {name: place.refusal for name, place in asking._places.items()} == {well.name: None, other.name: reason}
    assert cosigners(app, size) == {well.name}
    assert shown(app) == (size, size)
    # It is asked again, and when it was the one to err, all is well.
    other.forget()
    wake(asking)
    with capture_logs() as lines:
        settle(app, asking, until=lambda: other.name in cosigners(app, size))
    assert "witness answers again" in {line["event"] for line in lines}
    assert asking._places[other.name].refusal is None


def test_a_tree_that_was_changed_in_the_database_is_not_sent_to_anybody(make_stage: MakeStage) -> None:
    app, (one,) = make_stage(1)
    first = grow(app)
    settle(app, asking_of(app))
    second = grow(app)
    with app.app_context():
        is_sqlite = db.engine.dialect.name == "sqlite"
    with app.app_context(), writing():
        # As somebody who may do everything in the database.
        off = "DROP TRIGGER log_checkpoint_no_update" if is_sqlite else "ALTER TABLE log_checkpoint DISABLE TRIGGER ALL"
        db.session.execute(text(off))
        other = hashlib.sha256(b"another").digest()
        db.session.execute(
            text("UPDATE log_checkpoint SET root = :root WHERE size = :size"), {"root": other, "size": first}
        )
        db.session.commit()
    with capture_logs() as lines:
        settle(app, asking_of(app))
    assert refusals(lines) == [("error", one.name, "own tree")]
    assert one.asked == [(0, first)]
    assert cosigners(app, second) == set()
