"""Who asks: the thread of one worker, another when that one is killed, and two at once without harm."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
from flask import Flask
from time_machine import Traveller as Clock

from charter import worker
from charter.witnessing import asker
from tests.conftest import MakeApp
from tests.operations.test_publication import entry_row, published
from tests.operations.test_signing import withdraw
from tests.people import Desk
from tests.witness.stage import asking_of, cosigners, grow, publish, setting, settle, shown, step
from tests.witness.witness import Witness, running

pytestmark = pytest.mark.usefixtures("clock")

Stage = tuple[Flask, list[Witness]]


@pytest.fixture
def stage(make_app: MakeApp) -> Iterator[Stage]:
    """Two witnesses, both of whom are needed."""
    with ExitStack() as stack:
        witnesses = [Witness("a.example"), Witness("b.example")]
        stack.enter_context(running(*witnesses))
        yield make_app(witnesses=setting(*witnesses), witness_quorum="2"), witnesses


def until(condition: Callable[[], bool], seconds: float = 30.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        threading.Event().wait(0.02)


def test_the_thread_of_a_worker_asks_and_shows_and_ends_when_it_is_told_to(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asker, "LOOK_SECONDS", 0.02)
    app, (one, _) = stage
    stop = threading.Event()
    thread = asker.Asker(app, stop, worker._guarded)
    thread.start()
    size = grow(app)
    until(lambda: shown(app) == (size, size))
    assert one.asked[-1][1] == size
    stop.set()
    thread._thread.join(5)
    assert not thread._thread.is_alive()


def test_without_witnesses_there_is_no_thread(app: Flask) -> None:
    thread = asker.Asker(app, threading.Event(), worker._guarded)
    thread.start()
    assert not thread._thread.is_alive()


def test_one_worker_asks_at_a_time_and_another_when_that_one_is_killed(stage: Stage) -> None:
    app, witnesses = stage
    size = grow(app)
    settings = app.config["CHARTER"]
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            with asker._alone(settings) as is_ours:
                os.write(writing, b"1" if is_ours else b"0")
                signal.pause()
        finally:
            os._exit(1)
    try:
        assert os.read(reading, 1) == b"1"
        with app.app_context():
            asker.ask_once(settings)
        assert [one.asked for one in witnesses] == [[], []]
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        os.close(reading)
        os.close(writing)
    with app.app_context():
        asker.ask_once(settings)
    assert shown(app) == (size, size)


def test_two_that_ask_at_once_are_harmless(stage: Stage) -> None:
    app, witnesses = stage
    first, second = asking_of(app), asking_of(app)
    for _ in range(3):
        size = grow(app)
        step(app, first)
        step(app, second)
        settle(app, first)
        settle(app, second)
        assert cosigners(app, size) == {one.name for one in witnesses}
        assert shown(app) == (size, size)
        assert all(place.code is None and place.refusal is None for place in first._places.values())
        assert all(place.code is None and place.refusal is None for place in second._places.values())
    third = grow(app)
    settle(app, first)
    fourth = grow(app)
    settle(app, second)
    settle(app, first)
    assert cosigners(app, third) == cosigners(app, fourth) == {one.name for one in witnesses}


def test_whoever_dies_while_asking_leaves_nothing_to_mend(stage: Stage) -> None:
    app, witnesses = stage
    size = grow(app)
    for one in witnesses:
        one.mood = "slow"
    dead = asking_of(app)
    step(app, dead)
    until(lambda: dead.is_waiting)
    # The witnesses sign, and nobody is there to hear it.
    for one in witnesses:
        one.mood = "well"
        one.hold.set()
    until(lambda: all(one.seen[0] == size for one in witnesses))
    assert cosigners(app, size) == set()
    settle(app, asking_of(app))
    assert shown(app) == (size, size)


def test_who_withdraws_does_not_wait_for_any_witness(stage: Stage, clock: Clock) -> None:
    app, witnesses = stage
    signature_id = published(app, Desk(app, "Bruno", "bruno@example.org"), clock)
    before = shown(app)
    for one in witnesses:
        one.mood = "silent"
    withdraw(app, signature_id)
    publish(app)
    assert entry_row(app, signature_id).ended_by == "signatory"
    # Only the word of the log waits: it is shown once they have signed.
    assert before[0] == before[1] == shown(app)[1] < shown(app)[0]
