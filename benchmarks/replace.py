"""Web processes replaced under load."""

from __future__ import annotations

import os
import signal
import time
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks import load
from benchmarks.bench import Bench, Line, milliseconds, number, sign_order
from benchmarks.installation import ENGINES
from benchmarks.processes import BrokenRunError, Running, children_of, serving, wait_until, working
from benchmarks.sign import whole_signatures
from benchmarks.sink import settings_for, sinking

TITLE = "Replaced under load"
TEXT = """\
Whether anybody notices that new code is rolled out. While people sign, the web server is told again and again to
replace its two processes (SIGHUP), one by one; connections are kept open between requests by one half of the clients
and closed after each by the other. Every request must get its answer: a refused, reset or unanswered one is lost, and
so is one with an error."""


def measure(bench: Bench) -> dict[str, Any]:
    """Both engines."""
    times = bench.pick(2, 10, 20)
    figures: dict[str, Any] = {"times": times}
    for engine in ENGINES:
        with bench.installation(engine) as made, ExitStack() as stack:
            sink, _ = stack.enter_context(sinking(made.folder))
            stack.enter_context(working(made, **settings_for(sink.port)))
            web = stack.enter_context(serving(made))
            common: dict[str, Any] = {"connections": 8, "seconds": 600, "rate": 25}
            clients = []
            for run, renew_after in (("kept", 10_000), ("closed", 1)):
                begun = made.folder / run
                order = sign_order(
                    made, web.port, **common, run=run, renew_after=renew_after, acknowledged_path=str(begun)
                )
                clients.append(load.Client(order))
                wait_until(partial(_has_content, begun), "people sign")
            replaced = 0
            for _ in range(times):
                before = set(children_of(web.id))
                os.kill(web.id, signal.SIGHUP)
                wait_until(partial(_are_replaced, web, before), "the web processes are replaced")
                replaced += len(before)
                time.sleep(0.5)
            results = [client.stop() for client in clients]
            bench.weigh(engine, web)
            acknowledged = sum(result.acknowledged for result in results)
            figures[engine] = {
                "replaced": replaced,
                "sent": sum(result.sent for result in results),
                "acknowledged": acknowledged,
                "errors": [result.errors for result in results],
                "lost_rows": acknowledged - whole_signatures(made),
                "p99_ms": max(result.p99_ms for result in results),
                "most_ms": max(result.most_ms for result in results),
            }
        bench.say(f"{engine}: {figures[engine]}")
    return figures


def _has_content(path: Path) -> bool:
    return path.exists() and path.stat().st_size > 0


def _are_replaced(web: Running, before: set[int]) -> bool:
    if web.process.poll() is not None:
        raise BrokenRunError(f"The web server ended with code {web.process.poll()}:\n{web.last_words()}")
    return not before & set(children_of(web.id))


def lines(figures: dict[str, Any], baselines: dict[str, float]) -> list[Line]:
    """The rows of the report."""
    of = {engine: figures[engine] for engine in ENGINES}
    lost = {engine: of[engine]["sent"] - of[engine]["acknowledged"] for engine in ENGINES}
    return [
        Line("processes replaced", {engine: number(of[engine]["replaced"]) for engine in ENGINES}),
        Line("requests meanwhile", {engine: number(of[engine]["sent"]) for engine in ENGINES}),
        Line(
            "requests lost, acknowledged and not whole in the database",
            {engine: f"{lost[engine]}, {of[engine]['lost_rows']}" for engine in ENGINES},
            "0",
            not any(lost[engine] or of[engine]["lost_rows"] for engine in ENGINES),
        ),
        Line("p99 meanwhile", {engine: milliseconds(of[engine]["p99_ms"]) for engine in ENGINES}),
        Line("the longest answer", {engine: milliseconds(of[engine]["most_ms"]) for engine in ENGINES}),
    ]
