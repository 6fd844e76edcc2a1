"""How long it takes to take the whole registry away as a file, and what it costs the process that gives it."""

from __future__ import annotations

import time
from contextlib import closing
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.bench import Bench, Line, milliseconds, number
from benchmarks.installation import ENGINES, Installation
from benchmarks.processes import BrokenRunError, Running, children_of, serving

TITLE = "Taking the registry away"
SECONDS_FOR_A_MILLION = 1.5
ROWS_A_SECOND = 250_000
FIRST_BYTE_MS = 50.0
GROWTH_BYTES = 20 * 10**6
FILES = {"csv": "/registry.csv", "jsonl": "/registry.jsonl"}
TEXT = """\
How long it takes to download the whole registry as CSV from one web process on this machine, from sending the request
to the last byte, read by a client that only counts lines; the middle of three. A few windows of 4,000 entries are read
ahead. Memory is the highest resident size of the web process during the downloads (the kernel's own mark, set back
before) against what it was before, after a small download had warmed it up. JSON lines stand beside it."""


@dataclass(frozen=True)
class _Download:
    seconds: float
    first_byte_seconds: float
    rows: int
    bytes_count: int


def measure(bench: Bench) -> dict[str, Any]:
    """The installation is shared with other measurements of the same run."""
    count = bench.pick(5_000, 1_000_000, 1_000_000)
    figures: dict[str, Any] = {"count": count}
    for engine in ENGINES:
        made = bench.registry(engine, count)
        figures[engine] = _take(bench, made, count)
        bench.say(f"{engine}: {figures[engine]}")
    return figures


def _take(bench: Bench, made: Installation, count: int) -> dict[str, Any]:
    figures: dict[str, Any] = {}
    with serving(made, workers=1) as web:
        for kind, path in FILES.items():
            download(web.port, f"{path}?region=abroad")
            before = _resident(web)
            _forget_highest(web)
            done = [download(web.port, path) for _ in range(3)]
            if any(one.rows < count for one in done):
                raise BrokenRunError(f"{kind}: {done[0].rows:,} lines of {count:,} entries.")
            figures[kind] = {
                "seconds": round(median(one.seconds for one in done), 3),
                "first_byte_ms": round(median(one.first_byte_seconds for one in done) * 1000, 1),
                "rows": done[0].rows,
                "bytes": done[0].bytes_count,
                "growth_bytes": _highest(web) - before,
            }
        bench.weigh(made.engine, web)
    return figures


def download(port: int, path: str) -> _Download:
    """The whole answer, of which the lines are counted."""
    with closing(HTTPConnection("127.0.0.1", port, timeout=120)) as connection:
        began = time.perf_counter()
        connection.request("GET", path)
        answer = connection.getresponse()
        if answer.status != 200:
            raise BrokenRunError(f"{path} answered {answer.status}.")
        part = answer.read(1)
        first_byte = time.perf_counter() - began
        rows = bytes_count = 0
        while part:
            rows += part.count(b"\n")
            bytes_count += len(part)
            part = answer.read1(1 << 18)
        return _Download(time.perf_counter() - began, first_byte, rows, bytes_count)


def _process(web: Running) -> int:
    found = children_of(web.id)
    if len(found) != 1:
        raise BrokenRunError(f"{len(found)} web processes, one was expected.")
    return found[0]


def _status(web: Running, name: str) -> int:
    for line in Path(f"/proc/{_process(web)}/status").read_text(encoding="ascii").splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) * 1024
    raise BrokenRunError(f"The kernel says no {name}.")


def _resident(web: Running) -> int:
    return _status(web, "VmRSS")


def _highest(web: Running) -> int:
    return _status(web, "VmHWM")


def _forget_highest(web: Running) -> None:
    # proc(5): 5 sets the mark back to the present size.
    Path(f"/proc/{_process(web)}/clear_refs").write_text("5", encoding="ascii")


def lines(figures: dict[str, Any], baselines: dict[str, float]) -> list[Line]:
    """The rows of the report."""
    count = figures["count"]
    csv = {engine: figures[engine]["csv"] for engine in ENGINES}
    lines_ = {engine: figures[engine]["jsonl"] for engine in ENGINES}
    rate = {engine: count / csv[engine]["seconds"] for engine in ENGINES}
    fast = csv["postgresql"]["seconds"] * 1_000_000 / count <= SECONDS_FOR_A_MILLION and rate["sqlite"] >= ROWS_A_SECOND
    return [
        Line(
            f"CSV of {count:,} entries",
            {engine: f"{csv[engine]['seconds']:.2f} s" for engine in ENGINES},
            f"PostgreSQL: {SECONDS_FOR_A_MILLION} s a million; SQLite: at least {ROWS_A_SECOND:,} rows a second",
            fast,
        ),
        Line("… rows a second", {engine: number(rate[engine]) for engine in ENGINES}),
        Line(
            "… first byte",
            {engine: milliseconds(csv[engine]["first_byte_ms"]) for engine in ENGINES},
            f"at most {FIRST_BYTE_MS:.0f} ms",
            max(csv[engine]["first_byte_ms"] for engine in ENGINES) <= FIRST_BYTE_MS,
        ),
        Line(
            "… memory that the process grows by",
            {engine: f"{csv[engine]['growth_bytes'] / 1e6:.1f} MB" for engine in ENGINES},
            f"at most {GROWTH_BYTES / 1e6:.0f} MB",
            max(csv[engine]["growth_bytes"] for engine in ENGINES) <= GROWTH_BYTES,
        ),
        Line("… size", {engine: f"{csv[engine]['bytes'] / 1e6:,.0f} MB" for engine in ENGINES}),
        Line(
            "JSON lines: seconds, growth",
            {engine: f"{one['seconds']:.2f} s, {one['growth_bytes'] / 1e6:.1f} MB" for engine, one in lines_.items()},
        ),
    ]
