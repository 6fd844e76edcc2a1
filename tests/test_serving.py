"""A process with its hands full sends connections away, one at a time, and no process without need."""

from __future__ import annotations

import threading
from typing import Any

from charter.serving import SHED_SECONDS, _Draining

Answer = list[tuple[str, str]]


def closing(answers: list[Answer]) -> int:
    return sum(("Connection", "close") in answer for answer in answers)


def crowd(clients: int, *, threads: int, rounds: int = 1) -> list[Answer]:
    """The headers of the answers to so many clients at once, all of them inside before the first one leaves."""
    inside = threading.Barrier(clients, timeout=60)
    answers: list[Answer] = []

    def app(_environ: dict[str, Any], start_response: Any) -> list[bytes]:
        inside.wait(10)
        start_response("200 OK", [])
        inside.wait(10)
        return [b""]

    served = _Draining(app, -1, threads=threads)

    def visit() -> None:
        for _ in range(rounds):
            served({}, lambda _status, headers: answers.append(headers))

    visitors = [threading.Thread(target=visit) for _ in range(clients)]
    for visitor in visitors:
        visitor.start()
    for visitor in visitors:
        visitor.join(20)
    assert len(answers) == clients * rounds
    return answers


def test_while_a_thread_is_free_every_connection_stays() -> None:
    assert closing(crowd(3, threads=4, rounds=5)) == 0


def test_with_every_thread_at_work_one_connection_is_sent_away_and_not_all() -> None:
    assert closing(crowd(4, threads=4)) == 1


def test_the_next_one_goes_only_after_a_while() -> None:
    served = _Draining(lambda _environ, _start: [], -1, threads=1)
    served._at_work = 1
    assert served._sheds()
    assert not served._sheds()
    served._shed_at -= SHED_SECONDS
    assert served._sheds()
