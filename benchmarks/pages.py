"""Whether a public page costs more when the registry is larger."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any
from unittest.mock import patch

from flask import Flask
from sqlalchemy import event
from werkzeug.test import EnvironBuilder

from benchmarks.bench import Bench, Line, in_child, milliseconds
from benchmarks.installation import ENGINES, Installation
from benchmarks.load import percentile
from benchmarks.processes import BrokenRunError
from charter.domain.blocks import BLOCK, span_of
from charter.models.base import db
from charter.tlog.tiles import Tile
from charter.web.memory import Memory

TITLE = "Pages of the registry"
AT_MOST = 1.5
KINDS = {
    "first": "registry, first page",
    "deep": "registry, page in the middle",
    "region": "region page",
    "entry": "entry page",
}
LANGUAGES = ("kk", "ru", "en")
TEXT = """\
Whether a public page costs more when the registry is larger. The application answers in one process, called as a web
server calls it, without sockets; whole pages that it keeps in its memory are not used, so that each call asks the
database and renders the page. What changes with a publication only (lists of regions and affiliations, the map) is
kept as it is in the service. Pages in three languages: the first page of the registry, pages around the middle (at a
million: behind 500,000 entries), a region's page, entry pages. Small and large registry take turns. Then every public
address is asked for, with filters, orders and questions, and each statement that reaches the database is looked at:
none may skip rows (OFFSET) or count them."""


def measure(bench: Bench) -> dict[str, Any]:
    """Each size is one installation, shared with other measurements of the same run."""
    sizes = bench.pick([1_000, 5_000], [10_000, 1_000_000], [10_000, 100_000, 1_000_000])
    calls = bench.pick(60, 400, 1_000)
    figures: dict[str, Any] = {"sizes": sizes, "calls": calls}
    for engine in ENGINES:
        made = {size: bench.registry(engine, size) for size in sizes}
        taken: dict[int, dict[str, list[float]]] = {size: {kind: [] for kind in KINDS} for size in sizes}
        for _ in range(2):
            for size in sizes:
                for kind, seconds in in_child(partial(_ask, made[size], calls // 2)).items():
                    taken[size][kind] += seconds
        figures[engine] = {
            str(size): {kind: round(percentile(sorted(taken[size][kind]), 0.5) * 1000, 3) for kind in KINDS}
            for size in sizes
        }
        figures[engine] |= in_child(partial(_look, made[sizes[0]]))
        bench.say(f"{engine}: {figures[engine]}")
    return figures


def _ask(made: Installation, calls: int) -> dict[str, list[float]]:
    """Seconds of each call, by kind."""
    app = made.app(public_recheck_ms=0)
    highest = int(made.scalar("SELECT max(number) FROM registry_entry"))
    step = max(1, highest // calls)
    entries = [
        entry
        for (entry,) in made.rows(f"SELECT entry FROM registry_entry WHERE number % {step} = 0 AND ended_on IS NULL")
    ]
    slugs = [slug for (slug,) in made.rows("SELECT slug FROM region ORDER BY slug")]
    found: dict[str, list[float]] = {kind: [] for kind in KINDS}
    with _forgetful():
        for place in range(-len(KINDS) * 5, calls):
            lang = LANGUAGES[place % 3]
            for kind, path in {
                "first": f"/{lang}/registry/",
                "deep": f"/{lang}/registry/?older={highest // 2 - place}",
                "region": f"/{lang}/registry/{slugs[place % len(slugs)]}/",
                "entry": f"/{lang}/registry/entries/{entries[place % len(entries)]}",
            }.items():
                seconds = answer(app, path)
                # The first ones compile statements and templates.
                if place >= 0:
                    found[kind].append(seconds)
    return found


@contextmanager
def _forgetful() -> Iterator[None]:
    """Whole pages are made anew each time."""
    with (
        patch.object(Memory, "find_same", lambda *_: None),
        patch.object(Memory, "find_hot", lambda *_: None),
    ):
        yield


def answer(app: Flask, path: str, *, wanted: tuple[int, ...] = (200,)) -> float:
    """Seconds until the application has given the whole answer. Raises BrokenRunError for another status."""
    environ = EnvironBuilder(path).get_environ()
    told: list[str] = []

    def start(status: str, *_more: object) -> Callable[[bytes], object]:
        told.append(status)
        return lambda _data: None

    began = time.perf_counter()
    # What streams is made while it is read.
    body: Any = app(environ, start)
    try:
        for _ in body:
            pass
    finally:
        if hasattr(body, "close"):
            body.close()
    seconds = time.perf_counter() - began
    if int(told[0][:3]) not in wanted:
        raise BrokenRunError(f"{path} answered {told[0]}.")
    return seconds


# ── the statements ───────────────────────────────────────────────────────────────────────────────────────────────────

_COUNTS = re.compile(r"\bcount\s*\(", re.IGNORECASE)
_SKIPS = re.compile(r"\bOFFSET\s+(\?|%\(\w+\)s|\d+)", re.IGNORECASE)
#: Rooms that are for one person or for the Centre, and what is no page.
_PRIVATE = frozenset({"signing", "my", "entered", "links", "not_me", "dev_mail", "system", "static"})


def _look(made: Installation) -> dict[str, Any]:
    app = made.app(public_recheck_ms=0)
    with _forgetful(), noting(app) as seen:
        paths = public_paths(app, made)
        for path in paths:
            # 503: where the log was filled without being signed.
            answer(app, path, wanted=(200, 302, 303, 307, 308, 400, 404, 503))
    bad = sorted({statement for statement, parameters in seen if is_costly(statement, parameters)})
    return {"addresses": len(paths), "statements": len(seen), "costly": len(bad), "costly_statements": bad[:10]}


@contextmanager
def noting(app: Flask) -> Iterator[list[tuple[str, Any]]]:
    """Every statement that reaches the database meanwhile, with its parameters."""
    seen: list[tuple[str, Any]] = []

    def note(_connection: object, _cursor: object, statement: str, parameters: Any, *_more: object) -> None:
        seen.append((statement, parameters))

    with app.app_context():
        engine = db.engine
    event.listen(engine, "before_cursor_execute", note)
    try:
        yield seen
    finally:
        event.remove(engine, "before_cursor_execute", note)


def is_costly(statement: str, parameters: Any) -> bool:
    """Whether it counts or skips rows. SQLAlchemy writes `OFFSET 0` for SQLite, which skips none."""
    if _COUNTS.search(statement):
        return True
    for found in _SKIPS.finditer(statement):
        mark = found[1]
        if mark == "?":
            value = parameters[statement[: found.start(1)].count("?")]
        elif mark.isdigit():
            value = int(mark)
        else:
            value = parameters[mark[2:-2]]
        if value:
            return True
    return False


def public_paths(app: Flask, made: Installation) -> list[str]:
    """One address of each public endpoint, and of those with lists one for each way to ask."""
    number, entry, name, day = made.rows(
        "SELECT number, entry, name, signed_on FROM registry_entry"
        " WHERE name IS NOT NULL AND affiliation_slug IS NOT NULL ORDER BY number DESC LIMIT 1"
    )[0]
    edition = made.scalar("SELECT slug FROM edition WHERE is_current")
    party = made.scalar("SELECT affiliation_slug FROM affiliation_count ORDER BY listed DESC LIMIT 1")
    values: dict[str, Any] = {
        "lang": "ru",
        "entry": entry,
        "number": number,
        "edition": edition,
        "first": 1,
        "last": 100,
        "language": "ru",
        "region": "almaty",
        "wanted": span_of(1, BLOCK),
        "tile": Tile(0, 0, 1),
    }
    word = str(name).split()[0]
    questions = [
        *({"q": one} for one in (word, f"{word} {party}", word[:2], word[:3], f"{word}ъщъ", f'"{word}"')),
        {"region": "almaty"},
        {"kind": "party"},
        {"affiliation": party},
        {"edition": edition},
        {"from": day, "to": day},
        {"order": "name"},
        {"order": "name", "q": word[:3]},
        {"order": "name", "region": "almaty"},
        {"q": word, "region": "almaty", "kind": "party"},
        {"older": number},
        {"newer": number // 2},
        {"order": "name", "after": number},
        {"since": 3},
    ]
    paths = []
    with app.test_request_context():
        for rule in app.url_map.iter_rules():
            room = rule.endpoint.partition(".")[0]
            if "GET" not in (rule.methods or ()) or room in _PRIVATE or rule.rule.startswith("/staff/"):
                continue
            own = dict(values)
            own["slug"] = "almaty" if "affiliation" not in rule.endpoint else party
            if rule.endpoint == "public.edition":
                own["slug"] = edition
            missing = rule.arguments - own.keys()
            if missing:
                raise BrokenRunError(f"What stands for {sorted(missing)} in {rule.rule}? Tell benchmarks/pages.py.")
            given = {argument: own[argument] for argument in rule.arguments}
            builder = partial(app.url_for, rule.endpoint, **given, _external=False)
            paths.append(builder())
            if any(
                word in rule.endpoint
                for word in ("registry.index", "registry.region", "registry.affiliation", "takeaway.", "api.entries")
            ):
                paths += [builder(**question) for question in questions]
    return paths


def lines(figures: dict[str, Any], baselines: dict[str, float]) -> list[Line]:
    """The rows of the report."""
    small, large = str(figures["sizes"][0]), str(figures["sizes"][-1])
    made = []
    for kind, words in KINDS.items():
        times = {engine: [figures[engine][str(size)][kind] for size in figures["sizes"]] for engine in ENGINES}
        made.append(
            Line(
                f"{words}: p50, " + " · ".join(f"{size:,}" for size in figures["sizes"]),
                {engine: " · ".join(milliseconds(one) for one in times[engine]) for engine in ENGINES},
            )
        )
        ratio = {engine: figures[engine][large][kind] / figures[engine][small][kind] for engine in ENGINES}
        made.append(
            Line(
                f"… {int(large):,} against {int(small):,} entries",
                {engine: f"{ratio[engine]:.2f}×" for engine in ENGINES},
                f"at most {AT_MOST}×",
                max(ratio.values()) <= AT_MOST,
            )
        )
    made.append(
        Line(
            "statements that skip or count rows, of all that public addresses cause",
            {engine: f"{figures[engine]['costly']} of {figures[engine]['statements']:,}" for engine in ENGINES},
            "0",
            all(figures[engine]["costly"] == 0 for engine in ENGINES),
        )
    )
    return made
