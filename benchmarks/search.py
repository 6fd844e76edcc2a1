"""How long the database takes to find somebody among all entries."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from statistics import median
from typing import Any

from sqlalchemy import event

from benchmarks.bench import Bench, Line, in_child, milliseconds
from benchmarks.installation import ENGINES, Installation
from benchmarks.load import percentile
from benchmarks.questions import KINDS, OTHER_KINDS, Asker
from charter.domain.selection import Selection
from charter.models.base import db
from charter.queries import registry, search, similar

TITLE = "Search"
LIMITS_MS = {"sqlite": 2.0, "postgresql": 5.0}
#: Calls on a connection of its own: the first ones are compared with the last ones.
CALLS = 200
FIRST, LAST = 10, 50
AT_MOST = 1.2
TEXT = f"""\
How long the database takes to find somebody. What is asked is drawn from the entries themselves, as often as a name
is borne, every third word among the rarest, in the letters people wrote themselves with: a word; two words of a name
in any order; the first two to five letters of a word; what nobody bears (half of it two common words that nobody
bears together). Each question is put as the registry's page puts it (`queries/search.py`: 50 entries, newest first);
the statements that reach the database are noted and sent once more through the driver, on the service's own
connection, fetching all rows, three times: the middle one is the
time "in the database". Beside it stands the whole call in Python. The
database is in memory. The same for other orders and filters, for the number of entries found, and for the similar
spellings that are offered when there are none. Then {CALLS} questions of each kind on a fresh connection: a database
may choose another plan for a statement once it has seen it often, and the median of the last {LAST} is compared with
the first {FIRST}."""


def measure(bench: Bench) -> dict[str, Any]:
    """The installation is shared with other measurements of the same run."""
    count = bench.pick(5_000, 1_000_000, 1_000_000)
    questions = bench.pick(100, 1_000, 3_000)
    figures: dict[str, Any] = {"count": count, "questions": questions}
    for engine in ENGINES:
        made = bench.registry(engine, count)
        figures[engine] = in_child(partial(_ask, made, questions), seconds=1800)
        for name, found in figures[engine].items():
            bench.say(f"{engine}: {name}: {found}")
    return figures


def _ask(made: Installation, questions: int) -> dict[str, Any]:
    asker = Asker(made)
    app = made.app()
    figures: dict[str, Any] = {}
    with app.app_context():
        views = registry.regions("kk")

        def page(selection: Selection) -> object:
            return search.find_page(selection, views)

        for kind in (*KINDS, *OTHER_KINDS):
            asked = [asker.ask(kind) for _ in range(questions)]
            figures[kind] = _time(page, asked)
            figures[kind]["last_to_first"] = _last_to_first(asker, page, kind)
        mixed = [asker.ask(kind) for kind in KINDS for _ in range(questions // len(KINDS))]
        figures["count"] = _time(search.count, mixed)
        figures["similar"] = _time(similar.similar, [asker.ask("none") for _ in range(questions // 4)])
        db.session.remove()
    return figures


def _time(call: Callable[[Selection], object], asked: list[Selection]) -> dict[str, float]:
    """p50 and p99 of the statements alone, and p50 of the whole call; milliseconds."""
    whole = []
    noted = []
    for selection in asked:
        with _noting() as statements:
            began = time.perf_counter()
            call(selection)
            whole.append(time.perf_counter() - began)
        noted.append(statements)
    # The middle of three times far apart: otherwise what the machine does beside it decides on p99.
    alone = sorted(median(times) for times in zip(*([_replay(one) for one in noted] for _ in range(3)), strict=True))
    whole.sort()
    return {
        "p50_ms": round(percentile(alone, 0.5) * 1000, 3),
        "p99_ms": round(percentile(alone, 0.99) * 1000, 3),
        "most_ms": round(alone[-1] * 1000, 3),
        "call_p50_ms": round(percentile(whole, 0.5) * 1000, 3),
    }


def _last_to_first(asker: Asker, call: Callable[[Selection], object], kind: str) -> float:
    """How the last calls on one connection compare with the first ones; the middle of three connections."""
    found = []
    for _ in range(3):
        asked = [asker.ask(kind) for _ in range(CALLS)]
        noted = []
        for selection in asked:
            with _noting() as statements:
                call(selection)
            noted.append(statements)
        db.session.remove()
        db.engine.dispose()
        _replay([("SELECT 1", ())])
        took = [_replay(statements) for statements in noted]
        found.append(median(took[-LAST:]) / median(took[:FIRST]))
    return round(median(found), 2)


_Statement = tuple[str, Any]


@contextmanager
def _noting() -> Iterator[list[_Statement]]:
    """What reaches the database meanwhile, with its parameters."""
    noted: list[_Statement] = []

    def note(_connection: object, _cursor: object, statement: str, parameters: Any, *_more: object) -> None:
        noted.append((statement, parameters))

    event.listen(db.engine, "before_cursor_execute", note)
    try:
        yield noted
    finally:
        event.remove(db.engine, "before_cursor_execute", note)


def _replay(statements: list[_Statement]) -> float:
    """Seconds in the driver and the database."""
    raw: Any = db.session.connection().connection.driver_connection
    cursor = raw.cursor()
    began = time.perf_counter()
    for statement, parameters in statements:
        cursor.execute(statement, parameters)
        cursor.fetchall()
    took = time.perf_counter() - began
    cursor.close()
    return took


def lines(figures: dict[str, Any], baselines: dict[str, float]) -> list[Line]:
    """The rows of the report."""
    made = []
    both = {engine: figures[engine] for engine in ENGINES}
    for kind, words in (KINDS | OTHER_KINDS | {"count": "how many are found", "similar": "similar spellings"}).items():
        of = {engine: both[engine][kind] for engine in ENGINES}
        has_target = kind in KINDS
        words = f"{words}: p99 in the database, {figures['count']:,} entries" if kind == "word" else f"{words}: p99"
        made.append(
            Line(
                words,
                {engine: milliseconds(of[engine]["p99_ms"]) for engine in ENGINES},
                "at most 2 and 5 ms" if has_target else "",
                all(of[engine]["p99_ms"] <= LIMITS_MS[engine] for engine in ENGINES) if has_target else None,
            )
        )
        made.append(
            Line(
                "… p50, and of the whole call",
                {
                    engine: f"{milliseconds(of[engine]['p50_ms'])}, {milliseconds(of[engine]['call_p50_ms'])}"
                    for engine in ENGINES
                },
            )
        )
        if "last_to_first" in of["sqlite"]:
            last = {engine: of[engine]["last_to_first"] for engine in ENGINES}
            made.append(
                Line(
                    f"… calls {CALLS - LAST}–{CALLS} on a connection against 1–{FIRST}",
                    {engine: f"{last[engine]:.2f}×" for engine in ENGINES},
                    f"at most {AT_MOST}×",
                    max(last.values()) <= AT_MOST,
                )
            )
    return made
