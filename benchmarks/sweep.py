"""An invalidation: dry run, fifty thousand signatures ended and given back, and how long publication waits for it."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Any

from benchmarks import waiting
from benchmarks.bench import Bench, Line, in_child, number
from benchmarks.desk import _reviewer as reviewer
from benchmarks.installation import ENGINES, Installation
from charter import clock
from charter.chores import sweeps
from charter.domain.sweep import Conditions
from charter.models.base import db
from charter.models.sweeping import Invalidation
from charter.operations import proposals, sweeping
from charter.queries import sweeping as queries

TITLE = "Invalidation"
TEXT = """\
A flood: of many signatures one in two came with the same mail domain, half of those confirmed and the others not. One
process notes an invalidation, shows the page of its dry run, has it approved by a second person, and then works as the
worker does, step after step without a pause, until all are ended; then the same back. Signatures a second of both ways;
the longest step, which is what publication waits for at most; the dry run, whatever there is beside it."""

ENDED_A_SECOND = 300
LONGEST_STEP_MS = 1000
_DOMAIN = "flood.example"


def measure(bench: Bench) -> dict[str, Any]:
    """On both engines, each in a process of its own."""
    count = bench.pick(1_000, 50_000, 50_000)
    figures: dict[str, Any] = {"count": count}
    for engine in ENGINES:
        with bench.installation(engine) as made:
            _fill(made, count)
            figures[engine] = in_child(partial(_measure, made, count), seconds=3600)
        bench.say(f"{engine}: {figures[engine]}")
    return figures


def _fill(made: Installation, count: int) -> None:
    people = waiting.add(made, 2 * count)
    with made.connect() as connection:
        connection.execute(
            "INSERT INTO signing_trace (signature_id, at, domain)"
            f" SELECT id, submitted_at, CASE WHEN id % 2 = 0 THEN '{_DOMAIN}' ELSE 'example.org' END FROM signature"
            f" WHERE id >= {people.first}"
        )
        connection.execute(
            "UPDATE signature SET state = 'confirmed', version = 2, confirmed_at = submitted_at, due_on = '2030-01-07'"
            " WHERE id % 4 = 0"
        )
    made.settle()


def _measure(made: Installation, count: int) -> dict[str, Any]:
    app = made.app()
    with app.app_context():
        settings = app.config["CHARTER"]
        first, second = reviewer("bruno"), reviewer("dana")
        conditions = Conditions(domain=_DOMAIN)
        sweep_id = sweeping.draft(conditions, reason="abuse", note="-", staff_id=first, now=clock.now())
        view = queries.find(sweep_id, "ru")
        assert view is not None
        dry_run = _seconds(lambda: queries.dry_run(view, "ru"))
        _agree(sweep_id, sweeping.propose, first, second)
        ended = _steps(lambda: sweeps.step(settings))
        done = _now(sweep_id).done
        report = _seconds(lambda: queries.report(sweep_id, "ru"))
        _agree(sweep_id, sweeping.undo, first, second)
        back = _steps(lambda: sweeps.step(settings))
        undone = _now(sweep_id).undone
    return {
        "missing": abs(count - done) + abs(count - undone),
        "dry_run_ms": round(dry_run * 1000, 1),
        "report_ms": round(report * 1000, 1),
        "ended_a_second": round(count / ended["seconds"]),
        "back_a_second": round(count / back["seconds"]),
        "longest_step_ms": round(max(ended["longest"], back["longest"]) * 1000, 1),
    }


def _agree(sweep_id: int, verb: Callable[..., int | None], first: int, second: int) -> None:
    version = _now(sweep_id).version
    db.session.remove()
    proposal_id = verb(sweep_id, expected_version=version, staff_id=first, now=clock.now())
    assert proposal_id is not None
    proposals.approve(proposal_id, staff_id=second, now=clock.now())


def _now(sweep_id: int) -> Invalidation:
    db.session.remove()
    return db.session.get_one(Invalidation, sweep_id)


def _seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def _steps(step: Callable[[], bool]) -> dict[str, float]:
    seconds = longest = 0.0
    is_more = True
    while is_more:
        began = time.perf_counter()
        is_more = step()
        took = time.perf_counter() - began
        seconds, longest = seconds + took, max(longest, took)
    return {"seconds": seconds, "longest": longest}


def lines(figures: dict[str, Any], baselines: dict[str, float]) -> list[Line]:
    """The rows of the report."""

    def row(what: str, key: str, target: str = "", is_met: Callable[[float], bool] | None = None) -> Line:
        found = {engine: figures[engine][key] for engine in ENGINES}
        met = None if is_met is None else all(is_met(value) for value in found.values())
        return Line(what, {engine: number(value) for engine, value in found.items()}, target, met)

    return [
        row("dry run, ms", "dry_run_ms"),
        row(
            f"ended a second, of {figures['count']:,}",
            "ended_a_second",
            f"at least {ENDED_A_SECOND}",
            lambda value: value >= ENDED_A_SECOND,
        ),
        row("given back a second", "back_a_second"),
        row("the report, ms", "report_ms"),
        row(
            "the longest step, ms",
            "longest_step_ms",
            f"at most {LONGEST_STEP_MS}",
            lambda value: value <= LONGEST_STEP_MS,
        ),
        row("missing or doubled", "missing", "0", lambda value: value == 0),
    ]
