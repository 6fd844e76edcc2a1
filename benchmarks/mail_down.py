"""Signing while the mail server works, refuses, or says nothing at all."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any

from benchmarks import load
from benchmarks.bench import CONNECTIONS, Bench, Line, milliseconds, number, read_latencies, sign_order
from benchmarks.installation import ENGINES
from benchmarks.processes import BrokenRunError, free_port, serving, working
from benchmarks.sink import settings_for, sinking

TITLE = "Signing without a mail server"
TEXT = """\
Whether people who sign notice that the mail server is gone. The load client sends the form at a fixed rate, half of
what web processes and worker reach together on this engine, whatever comes back; latency counts from the moment a
request was due, so that a stall cannot hide. The worker runs each time, and mail waits in the outbox when it cannot
leave. The mail server takes every mail; or nobody listens on its port; or it answers 451 to every recipient; or it
accepts the connection and never says a word. Rounds of the four are interleaved, each on a fresh database, and their
latencies pooled."""
KINDS = {
    "works": "works",
    "refuses": "refuses connections",
    "later": "answers 451",
    "hangs": "accepts and never answers",
}
AT_MOST = 1.2


def measure(bench: Bench) -> dict[str, Any]:
    """Rate first, then rounds."""
    seconds = bench.pick(3.0, 10.0, 15.0)
    rounds = bench.pick(1, 3, 4)
    figures: dict[str, Any] = {"seconds": seconds * rounds}
    for engine in ENGINES:
        rate = round(_round(bench, engine, "works", seconds=min(seconds, 8.0), rate=None)[0].per_second / 2, 1)
        bench.say(f"{engine}: {rate}/s")
        pooled: dict[str, list[float]] = {kind: [] for kind in KINDS}
        waiting: dict[str, int] = dict.fromkeys(KINDS, 0)
        for place in range(rounds):
            kinds = list(KINDS)
            for kind in kinds[place % 4 :] + kinds[: place % 4]:
                result, latencies, left = _round(bench, engine, kind, seconds=seconds, rate=rate)
                if result.errors:
                    raise BrokenRunError(f"Signing while the mail server {kind}: {result.errors}")
                pooled[kind] += latencies
                waiting[kind] += left
        figures[engine] = {"rate": rate}
        for kind in KINDS:
            ordered = sorted(pooled[kind])
            figures[engine][kind] = {
                **{name: round(load.percentile(ordered, share) * 1000, 2) for name, share in load.PERCENTILES.items()},
                "count": len(ordered),
                "mails_waiting": waiting[kind],
            }
            bench.say(f"{engine}: {kind}: {figures[engine][kind]}")
    return figures


def _round(
    bench: Bench, engine: str, kind: str, *, seconds: float, rate: float | None
) -> tuple[load.Result, list[float], int]:
    with bench.installation(engine) as made, ExitStack() as stack:
        port = free_port()
        if kind != "refuses":
            mode = {"works": "accept", "later": "later", "hangs": "hang"}[kind]
            port = stack.enter_context(sinking(made.folder, mode=mode))[0].port
        worker = stack.enter_context(working(made, **settings_for(port)))
        web = stack.enter_context(serving(made))
        latencies = made.folder / "latencies"
        order = sign_order(
            made,
            web.port,
            connections=CONNECTIONS if rate is None else 4 * CONNECTIONS,
            rate=rate,
            warm_up_seconds=min(4.0, seconds),
            seconds=seconds,
            latencies_path=str(latencies),
        )
        result = load.run(order)
        left = int(made.scalar("SELECT count(*) FROM message WHERE done_at IS NULL"))
        bench.weigh(engine, web, worker)
        return result, list(read_latencies(latencies)), left


def lines(figures: dict[str, Any], baselines: dict[str, float]) -> list[Line]:
    """The rows of the report."""
    made = [Line("signatures a second", {engine: number(figures[engine]["rate"]) for engine in ENGINES})]
    for kind, words in KINDS.items():
        for name in ("p50_ms", "p99_ms"):
            values = {engine: milliseconds(figures[engine][kind][name]) for engine in ENGINES}
            made.append(Line(f"{name.partition('_')[0]}, the mail server {words}", values))
        if kind != "works":
            ratios = {
                engine: figures[engine][kind]["p99_ms"] / max(figures[engine]["works"]["p99_ms"], 0.01)
                for engine in ENGINES
            }
            made.append(
                Line(
                    f"p99, {words}, compared with working",
                    {engine: f"{ratios[engine]:.2f} ×" for engine in ENGINES},
                    f"at most {AT_MOST} ×",
                    max(ratios.values()) <= AT_MOST,
                )
            )
    return made
