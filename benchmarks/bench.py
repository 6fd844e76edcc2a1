"""What every measurement is given: how thorough to be, where to work, and where to note what processes weigh."""

from __future__ import annotations

import json
import multiprocessing
import sys
import time
import traceback
from array import array
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Literal, TypeVar

from benchmarks import applicants, entries, load
from benchmarks.installation import Installation, Workshop
from benchmarks.processes import BrokenRunError, Running, Weight

T = TypeVar("T")
Mode = Literal["quick", "normal", "full"]
#: Browsers at once, in every measurement with a load client.
CONNECTIONS = 16


@dataclass
class Line:
    """One row of a table in the report. values: engine → figure as words. is_met: None where there is no target."""

    what: str
    values: dict[str, str]
    target: str = ""
    is_met: bool | None = None


@dataclass
class Bench:
    """One run of the runner."""

    mode: Mode
    folder: Path
    postgres_url: str
    workshop: Workshop
    name: str = ""
    weights: dict[str, list[Weight]] = field(default_factory=dict)

    def pick(self, quick: T, normal: T, full: T) -> T:
        """The size for this mode."""
        return {"quick": quick, "normal": normal, "full": full}[self.mode]

    def say(self, text: str) -> None:
        """One line for whoever waits."""
        print(f"{time.strftime('%H:%M:%S')} {self.name}: {text}", file=sys.stderr, flush=True)

    def weigh(self, engine: str, *running: Running) -> None:
        """Notes what processes weigh now."""
        for one in running:
            self.weights.setdefault(engine, []).extend(one.weights())

    @contextmanager
    def installation(self, engine: str) -> Iterator[Installation]:
        """A fresh one."""
        with self.workshop.installation(engine) as made:
            yield made

    def registry(self, engine: str, count: int) -> Installation:
        """One with so many entries on the public side, shared by all measurements of this run: nobody changes it."""

        def fill(made: Installation) -> None:
            began = time.monotonic()
            in_child(partial(entries.make, made, count), seconds=3600)
            self.say(f"{engine}: {count:,} entries after {time.monotonic() - began:.0f} s")

        return self.workshop.shared(engine, f"{count} entries", fill)


def sign_order(made: Installation, port: int | list[int], **given: Any) -> load.Order:
    """An order for signing on this installation."""
    parties = [
        str(slug)
        for (slug,) in made.rows("SELECT slug FROM affiliation WHERE type = 'party' AND is_selectable ORDER BY slug")
    ]
    ports = port if isinstance(port, list) else [port]
    return load.Order(
        "sign", ports, **{"connections": CONNECTIONS, "templates": applicants.templates(parties), **given}
    )


def read_latencies(path: Path) -> array[float]:
    """What a load client wrote: seconds."""
    values = array("d")
    values.frombytes(path.read_bytes())
    return values


def in_children(tasks: Sequence[Callable[[], Any]], *, seconds: float = 600) -> list[Any]:
    """Runs each task in a forked process of its own, all at once; returns what they return (as JSON carries it)."""
    context = multiprocessing.get_context("fork")
    children = []
    for task in tasks:
        receive, send = context.Pipe(duplex=False)
        child = context.Process(target=_task, args=(task, send))
        child.start()
        send.close()
        children.append((child, receive))
    results = []
    give_up = time.monotonic() + seconds
    try:
        for _, receive in children:
            if not receive.poll(max(0.0, give_up - time.monotonic())):
                raise BrokenRunError(f"A child process said nothing for {seconds:.0f} seconds.")
            try:
                results.append(json.loads(receive.recv_bytes()))
            except EOFError:
                raise BrokenRunError("A child process broke; see above.") from None
    finally:
        for child, receive in children:
            receive.close()
            child.join(5)
            if child.is_alive():
                child.kill()
                child.join()
    return results


def in_child(task: Callable[[], Any], *, seconds: float = 600) -> Any:
    """The same for one task."""
    return in_children([task], seconds=seconds)[0]


def _task(task: Callable[[], Any], send: Any) -> None:
    try:
        send.send_bytes(json.dumps(task()).encode())
    except BaseException:
        traceback.print_exc()
        raise
    finally:
        send.close()


# ── words for figures ────────────────────────────────────────────────────────────────────────────────────────────────


def number(value: float) -> str:
    """1,234 or 12.3."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def percent(value: float) -> str:
    """0.8 → 80 %."""
    return f"{value * 100:.0f} %" if value >= 0.1 else f"{value * 100:.1f} %"


def milliseconds(value: float) -> str:
    """With its unit."""
    return f"{number(value)} ms"


def mean(values: Sequence[float]) -> float:
    """0 of none."""
    return sum(values) / len(values) if values else 0.0
