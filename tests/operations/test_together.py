"""Calls that share a transaction: in order, each with its own answer, and nobody pays for another's fault."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from sqlalchemy.exc import IntegrityError, OperationalError
from sqlalchemy.exc import TimeoutError as WaitedTooLongError

from charter.operations.together import ALONE, Alone, Together

PATIENCE = 20.0


class Verb:
    """Carries out numbers: the answer is the number. While `gate` is closed nobody gets through."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.gate = threading.Event()
        self.gate.set()
        self.is_inside = threading.Event()
        self.fault: Callable[[Sequence[int]], BaseException | None] = lambda _numbers: None
        #: Those who have to go alone; with -1 among them somebody gets no answer.
        self.sent_away: set[int] = set()

    def __call__(self, close: Callable[[], Sequence[int]]) -> Sequence[int | Exception | Alone]:
        # As where a transaction is begun: who comes until then is taken along.
        self.is_inside.set()
        assert self.gate.wait(PATIENCE)
        numbers = list(close())
        assert numbers == list(close()), "the same when it begins anew"
        self.batches.append(numbers)
        fault = self.fault(numbers)
        if fault is not None:
            raise fault
        if -1 in self.sent_away:
            return numbers[1:]
        answers: list[int | Exception | Alone] = [ValueError(number) if number < 0 else number for number in numbers]
        if len(numbers) > 1:
            answers = [
                ALONE if number in self.sent_away else answer for number, answer in zip(numbers, answers, strict=True)
            ]
        return answers


class Crowd:
    """Callers, each in a thread; what came of each call."""

    def __init__(self, line: Together[int, int]) -> None:
        self.line = line
        self.came: dict[int, Any] = {}
        self._threads: list[threading.Thread] = []

    def call(self, number: int, *, seconds: float = PATIENCE) -> None:
        def run() -> None:
            try:
                self.came[number] = self.line.join(number, seconds=seconds)
            except BaseException as error:
                self.came[number] = error

        self._threads.append(threading.Thread(target=run))
        self._threads[-1].start()

    def line_up(self, *numbers: int) -> None:
        """Each is in the line before the next one comes."""
        for number in numbers:
            length = len(self.line._line)
            self.call(number)
            wait_for(lambda length=length: len(self.line._line) == length + 1)

    def wait(self) -> dict[int, Any]:
        for thread in self._threads:
            thread.join(PATIENCE)
            assert not thread.is_alive()
        assert not self.line._is_busy
        assert not self.line._line
        return self.came


def wait_for(condition: Any) -> None:
    give_up = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < give_up
        time.sleep(0.002)


@pytest.fixture
def verb() -> Verb:
    return Verb()


@pytest.fixture
def crowd(verb: Verb) -> Crowd:
    return Crowd(Together(verb, is_apart=lambda one, other: abs(one) // 100 == abs(other) // 100, most=4))


def hundreds(*numbers: int) -> list[int]:
    """Calls that may share a transaction."""
    return [number * 100 for number in numbers]


def come_while_one_is_inside(verb: Verb, crowd: Crowd, *numbers: int) -> None:
    """The first is carried out, and meanwhile the others come; then the gate opens."""
    verb.gate.clear()
    crowd.call(numbers[0])
    assert verb.is_inside.wait(PATIENCE)
    crowd.line_up(*numbers[1:])
    verb.gate.set()


def test_who_comes_alone_goes_at_once_and_alone(verb: Verb, crowd: Crowd) -> None:
    for number in (1, 2, 3):
        assert crowd.line.join(number, seconds=0) == number
    assert verb.batches == [[1], [2], [3]]


def test_who_has_come_when_it_begins_is_taken_along_in_order_and_not_too_many(verb: Verb, crowd: Crowd) -> None:
    come_while_one_is_inside(verb, crowd, *hundreds(1, 2, 3, 4, 5, 6, 7))
    assert crowd.wait() == {number: number for number in hundreds(1, 2, 3, 4, 5, 6, 7)}
    assert verb.batches == [hundreds(1, 2, 3, 4), hundreds(5, 6, 7)]


def test_two_that_must_not_share_a_transaction_do_not(verb: Verb, crowd: Crowd) -> None:
    come_while_one_is_inside(verb, crowd, 100, 101, 200, 102, 201)
    assert crowd.wait() == {number: number for number in (100, 101, 200, 102, 201)}
    assert verb.batches == [[100, 200], [101, 201], [102]]


def test_a_refusal_is_for_who_is_refused(verb: Verb, crowd: Crowd) -> None:
    come_while_one_is_inside(verb, crowd, 100, -200, 300)
    came = crowd.wait()
    assert (came[100], came[300]) == (100, 300)
    assert isinstance(came[-200], ValueError)
    assert len(verb.batches) == 1


@pytest.mark.parametrize("culprit", [100, 200, 300])
def test_the_fault_of_one_is_not_that_of_others_whoever_of_them_it_is(verb: Verb, crowd: Crowd, culprit: int) -> None:
    verb.fault = lambda numbers: IntegrityError("", {}, ValueError()) if culprit in numbers else None
    come_while_one_is_inside(verb, crowd, 100, 200, 300)
    came = crowd.wait()
    assert isinstance(came.pop(culprit), IntegrityError)
    assert came == {number: number for number in came}
    assert len(came) == 2
    assert sorted(map(len, verb.batches)) == [1, 1, 1, 3]


@pytest.mark.parametrize("code", ["55P03", "40P01"])
def test_whom_the_lock_of_one_kept_waiting_go_alone(verb: Verb, crowd: Crowd, code: str) -> None:
    class KeptWaiting(Exception):
        sqlstate = code

    verb.fault = lambda numbers: OperationalError("", {}, KeptWaiting()) if 200 in numbers else None
    come_while_one_is_inside(verb, crowd, 100, 200, 300)
    came = crowd.wait()
    assert isinstance(came.pop(200), OperationalError)
    assert came == {100: 100, 300: 300}


def test_who_has_to_go_alone_does_and_the_others_are_answered(verb: Verb, crowd: Crowd) -> None:
    verb.sent_away = {100, 300}
    come_while_one_is_inside(verb, crowd, 100, 200, 300)
    assert crowd.wait() == {100: 100, 200: 200, 300: 300}
    assert verb.batches[0] == [100, 200, 300]
    assert sorted(verb.batches[1:]) == [[100], [300]]


def test_a_process_that_is_told_to_end_does_nothing_twice(verb: Verb, crowd: Crowd) -> None:
    """It may have been told after all was stored."""
    verb.fault = lambda numbers: SystemExit() if len(numbers) > 1 else None
    come_while_one_is_inside(verb, crowd, 100, 200, 300)
    came = crowd.wait()
    assert isinstance(came.pop(100), SystemExit)
    assert [type(error) for error in came.values()] == [WaitedTooLongError] * 2
    assert len(verb.batches) == 1


def test_answers_that_are_too_few_are_nobodys(verb: Verb, crowd: Crowd) -> None:
    verb.sent_away = {-1}
    come_while_one_is_inside(verb, crowd, 100, 200, 300)
    assert {type(error) for error in crowd.wait().values()} == {ValueError, RuntimeError}
    assert len(verb.batches) == 1, "it was stored once, and nobody knows whose"


@pytest.mark.parametrize("is_its_turn", [False, True])
def test_who_dies_in_line_holds_up_nobody(
    verb: Verb, crowd: Crowd, monkeypatch: pytest.MonkeyPatch, *, is_its_turn: bool
) -> None:
    wait = crowd.line._wait

    def die(mine: Any, until: float) -> None:
        if mine.asked != 200:
            return wait(mine, until)
        if is_its_turn:
            mine.woken.acquire()
        raise KeyboardInterrupt

    monkeypatch.setattr(crowd.line, "_wait", die)
    verb.gate.clear()
    crowd.call(100)
    assert verb.is_inside.wait(PATIENCE)
    crowd.call(200)
    wait_for(lambda: 200 in crowd.came or crowd.line._line)
    crowd.call(201)
    wait_for(lambda: any(place.asked == 201 for place in crowd.line._line))
    crowd.line._most = 1
    verb.gate.set()
    came = crowd.wait()
    assert isinstance(came.pop(200), KeyboardInterrupt)
    assert came == {100: 100, 201: 201}


def test_a_database_that_is_gone_is_asked_once_for_all_and_each_is_told(verb: Verb, crowd: Crowd) -> None:
    verb.fault = lambda _numbers: OperationalError("INSERT", {}, ValueError("gone"))
    come_while_one_is_inside(verb, crowd, 100, 200, 300)
    came = crowd.wait()
    assert verb.batches == [[100, 200, 300]]
    assert [type(error) for error in came.values()] == [OperationalError] * 3
    assert len({id(error) for error in came.values()}) == 3
    assert {str(error.orig) for error in came.values()} == {"gone"}
    verb.fault = lambda _numbers: None
    assert crowd.line.join(400, seconds=0) == 400, "and the next one goes on"


def test_who_has_waited_long_enough_is_told_so_and_never_carried_out(verb: Verb, crowd: Crowd) -> None:
    verb.gate.clear()
    crowd.call(100)
    assert verb.is_inside.wait(PATIENCE)
    crowd.call(200, seconds=0.05)
    wait_for(lambda: 200 in crowd.came)
    assert isinstance(crowd.came[200], WaitedTooLongError)
    crowd.line_up(300)
    verb.gate.set()
    assert crowd.wait()[300] == 300
    assert verb.batches == [[100, 300]]


def test_a_crowd_at_any_moment_is_answered_one_by_one_or_together(crowd: Crowd, verb: Verb) -> None:
    for number in range(200):
        crowd.call(number)
    assert crowd.wait() == {number: number for number in range(200)}
    assert sorted(number for batch in verb.batches for number in batch) == list(range(200))
