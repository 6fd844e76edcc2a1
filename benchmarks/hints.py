"""What hints for review cost at the desk, while more and more people sign."""

from __future__ import annotations

import hashlib
import statistics
import time
from datetime import UTC, datetime, timedelta
from functools import partial
from random import Random
from typing import Any

from benchmarks import waiting
from benchmarks.bench import Bench, Line, in_child, milliseconds
from benchmarks.installation import ENGINES, Installation, names
from charter.queries import hints
from charter.web.staff import hinting

TITLE = "Hints for review"
FLAT = 1.5
TEXT = """\
How long the database and our own rules take for everything that a dossier hints at (the same name in any alphabet and
order, names written nearly so, the registry, notable names, bursts) and for the marks of a page of fifty applications.
People are written straight into the tables, each with the trace of where the form came from (two hundred to a network).
Both must not grow with the number of people: p50 at the largest size at most 1.5 times of that at the smallest."""
TRACE = names("signature_id at network domain")
PAGE = 50


def measure(bench: Bench) -> dict[str, Any]:
    """The same database grows from size to size."""
    sizes = bench.pick([1_000, 10_000], [10_000, 100_000], [10_000, 100_000, 1_000_000])
    count = bench.pick(50, 300, 500)
    figures: dict[str, Any] = {"sizes": sizes, "count": count}
    for engine in ENGINES:
        with bench.installation(engine) as made:
            figures[engine] = {str(size): _at_size(bench, made, size, count) for size in sizes}
    return figures


def _at_size(bench: Bench, made: Installation, size: int, count: int) -> dict[str, Any]:
    there = int(made.scalar("SELECT count(*) FROM signature"))
    added = waiting.add(made, size - there)
    now = datetime.now(UTC).replace(microsecond=0)
    # Two weeks of them, as long as traces are kept.
    step = timedelta(days=14) / size
    made.load(
        "signing_trace",
        TRACE,
        waiting.typed(
            made,
            (
                (one, now - step * (added.last - one), _network(one), "example.org")
                for one in range(added.first, added.last + 1)
            ),
        ),
    )
    made.settle()
    found: dict[str, Any] = in_child(partial(_ask, made, size, count), seconds=600)
    bench.say(f"{made.engine}, {size:,}: dossier {found['dossier_p50_ms']} ms, page {found['page_p50_ms']} ms")
    return found


def _network(number: int) -> bytes:
    return hashlib.sha256(b"network %d" % (number // 200)).digest()


def _ask(made: Installation, size: int, count: int) -> dict[str, float]:
    app = made.app()
    dice = Random("hints")
    seconds: dict[str, list[float]] = {"dossier": [], "page": []}
    with app.app_context():
        throwaway = hinting.throwaway()
        for place in range(count + 20):
            began = time.perf_counter()
            subject = hints.find_subject(dice.randint(1, size))
            assert subject is not None
            hints.hints_for(subject, throwaway=throwaway)
            if place >= 20:
                seconds["dossier"].append(time.perf_counter() - began)
        for place in range(count // 5 + 5):
            first = dice.randint(1, size - PAGE)
            rows = made.rows(f"SELECT id, full_name FROM signature WHERE id BETWEEN {first} AND {first + PAGE - 1}")
            page = [(int(row[0]), str(row[1]), "example.org") for row in rows]
            began = time.perf_counter()
            hints.marks(page, throwaway=throwaway)
            if place >= 5:
                seconds["page"].append(time.perf_counter() - began)
    return {
        f"{what}_{name}_ms": round(value * 1000, 2)
        for what, found in seconds.items()
        for name, value in (("p50", statistics.median(found)), ("p99", statistics.quantiles(found, n=100)[98]))
    }


def lines(figures: dict[str, Any], baselines: dict[str, float]) -> list[Line]:
    """The rows of the report."""
    made = []
    sizes = [str(size) for size in figures["sizes"]]
    for what, words in (("dossier", "all hints of a dossier"), ("page", f"marks of a page of {PAGE}")):
        for size in sizes:
            made += [
                Line(
                    f"{words}, {int(size):,} people, {name}",
                    {engine: milliseconds(figures[engine][size][f"{what}_{name}_ms"]) for engine in ENGINES},
                )
                for name in ("p50", "p99")
            ]
        ratios = {
            engine: figures[engine][sizes[-1]][f"{what}_p50_ms"] / figures[engine][sizes[0]][f"{what}_p50_ms"]
            for engine in ENGINES
        }
        made.append(
            Line(
                f"{words}: p50 at the largest size compared with the smallest",
                {engine: f"{ratio:.2f}×" for engine, ratio in ratios.items()},
                f"at most {FLAT}×",
                max(ratios.values()) <= FLAT,
            )
        )
    return made
