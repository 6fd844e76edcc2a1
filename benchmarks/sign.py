"""Accepted, durable signatures a second, through the whole form."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

from benchmarks import load
from benchmarks.bench import CONNECTIONS, Bench, Line, mean, milliseconds, number, percent, read_latencies, sign_order
from benchmarks.installation import ENGINES, Installation
from benchmarks.processes import serving, working
from benchmarks.sink import settings_for, sinking

TITLE = "Signing"
TEXT = f"""\
How many people a second can sign, and how long each of them waits. A load client fills in the form as browsers do:
the page is fetched once for each of {CONNECTIONS} browsers, for its cookie and CSRF token, then every request is the
POST of another person with a name and an address of their own, of all kinds of observers. A signature counts when the
answer is the redirect to "check your mail"; afterwards the rows in the database are compared with the answers. Two
web processes, as `charter run` starts them; every commit waits for the disk. In the second pair of rows a worker runs
beside them and sends the mails. Bare hello is Flask's smallest answer from the same server to the same client: what
remains when the service does nothing."""


@dataclass(frozen=True)
class _Round:
    """cpu_ms: processor time of the web processes for one signature."""

    result: load.Result
    latencies: list[float]
    missing: int
    cpu_ms: float


def measure(bench: Bench) -> dict[str, Any]:
    """Interleaved rounds, so that a busy minute of the machine does not fall on one engine alone."""
    seconds = bench.pick(3.0, 10.0, 15.0)
    rounds = bench.pick(1, 2, 2)
    figures: dict[str, Any] = {"seconds": seconds * rounds}
    for with_worker in (False, True):
        rows: dict[str, list[_Round]] = {engine: [] for engine in ENGINES}
        for place in range(rounds):
            for engine in ENGINES if place % 2 == 0 else reversed(ENGINES):
                with bench.installation(engine) as made:
                    row = _round(bench, made, seconds=seconds, with_worker=with_worker)
                rows[engine].append(row)
                words = " with worker" if with_worker else ""
                bench.say(f"{engine}{words}: {row.result.per_second}/s, {row.cpu_ms} ms of processor time each")
        pooled = {engine: sorted(value for row in rows[engine] for value in row.latencies) for engine in ENGINES}
        figures["with_worker" if with_worker else "web_alone"] = {
            engine: {
                "per_second": round(mean([row.result.per_second for row in rows[engine]]), 1),
                "acknowledged": sum(row.result.acknowledged for row in rows[engine]),
                "lost": sum(row.missing for row in rows[engine]),
                "errors": sum(sum(row.result.errors.values()) for row in rows[engine]),
                "cpu_ms": round(mean([row.cpu_ms for row in rows[engine]]), 2),
                "client_cpu_share": round(mean([row.result.client_cpu_share for row in rows[engine]]), 3),
                **{
                    name: round(load.percentile(pooled[engine], share) * 1000, 1)
                    for name, share in load.PERCENTILES.items()
                },
            }
            for engine in ENGINES
        }
    return figures


def _round(bench: Bench, made: Installation, *, seconds: float, with_worker: bool) -> _Round:
    with ExitStack() as stack:
        running = []
        if with_worker:
            sink, _ = stack.enter_context(sinking(made.folder))
            running.append(stack.enter_context(working(made, **settings_for(sink.port))))
        web = stack.enter_context(serving(made))
        latencies = made.folder / "latencies"
        order = sign_order(
            made, web.port, warm_up_seconds=min(3.0, seconds), seconds=seconds, latencies_path=str(latencies)
        )
        before = web.cpu_seconds()
        result = load.run(order)
        cpu_ms = (web.cpu_seconds() - before) * 1000 / max(1, result.acknowledged)
        bench.weigh(made.engine, web, *running)
        return _Round(
            result, list(read_latencies(latencies)), result.acknowledged - whole_signatures(made), round(cpu_ms, 2)
        )


def whole_signatures(made: Installation) -> int:
    """Signatures that are there with all that belongs to them: two consents, the event, the link, the message."""
    found = made.scalar(
        "SELECT count(*) FROM signature s WHERE"
        " (SELECT count(*) FROM signature_consent c WHERE c.signature_id = s.id) = 2"
        " AND (SELECT count(*) FROM signature_event e WHERE e.signature_id = s.id AND e.move = 'sign') = 1"
        " AND (SELECT count(*) FROM link l WHERE l.signature_id = s.id AND l.purpose = 'confirm') = 1"
        " AND (SELECT count(*) FROM message m WHERE m.signature_id = s.id AND m.kind = 'signing') = 1"
    )
    return int(found)


def lines(figures: dict[str, Any], baselines: dict[str, float]) -> list[Line]:
    """The rows of the report."""
    made = []
    for key, words in (("web_alone", "web processes alone"), ("with_worker", "a worker beside them")):
        part = figures[key]
        rate = {engine: part[engine]["per_second"] for engine in ENGINES}
        made.append(Line(f"signatures a second, {words}", {one: number(rate[one]) for one in ENGINES}))
        if key == "web_alone":
            ratio = rate["sqlite"] / rate["postgresql"]
            made.append(
                Line("SQLite compared with PostgreSQL", {"sqlite": percent(ratio)}, "at least 80 %", ratio >= 0.8)
            )
            of_hello = {engine: rate[engine] / baselines["hello"] for engine in ENGINES}
            made.append(
                Line(
                    "of bare hello",
                    {engine: percent(of_hello[engine]) for engine in ENGINES},
                    "at least 5 %",
                    min(of_hello.values()) >= 0.05,
                )
            )
        for name in ("p50_ms", "p95_ms", "p99_ms"):
            made.append(
                Line(f"… {name.partition('_')[0]}", {engine: milliseconds(part[engine][name]) for engine in ENGINES})
            )
    both = [figures[key] for key in ("web_alone", "with_worker")]
    made.append(
        Line(
            "acknowledged, and not whole in the database",
            {
                engine: f"{sum(p[engine]['acknowledged'] for p in both):,}, {sum(p[engine]['lost'] for p in both)}"
                for engine in ENGINES
            },
            "0",
            all(p[engine]["lost"] == 0 and p[engine]["errors"] == 0 for p in both for engine in ENGINES),
        )
    )
    made.append(
        Line(
            "processor time of the web processes for one",
            {engine: milliseconds(both[0][engine]["cpu_ms"]) for engine in ENGINES},
        )
    )
    made.append(
        Line(
            "the client's own share of one core",
            {engine: percent(both[0][engine]["client_cpu_share"]) for engine in ENGINES},
        )
    )
    return made
