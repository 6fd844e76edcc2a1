"""Lists of people: reading, trying, entering and emptying fifty thousand rows, what it weighs, and importing twice."""

from __future__ import annotations

import csv
import io
import multiprocessing
import resource
import time
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

from flask import Flask
from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError
from xlsxwriter import Workbook  # type: ignore[import-untyped]

from benchmarks.bench import Bench, Line, in_child, in_children, number
from benchmarks.installation import ENGINES, Installation
from charter.chores import imports
from charter.domain.errors import CharterError, FieldRefusedError
from charter.models.base import db
from charter.models.importing import ImportJob
from charter.operations import importing, staff
from charter.operations.importing import READ_AT_ONCE, NewList
from charter.sheets import open_sheet

TITLE = "Lists of people"
TEXT = """\
One process reads a list of people (CSV and XLSX, six columns) as the desk does when it is sent, and then works as the
worker does, step after step without a pause: every row tried, every person entered with application, history, link and
mail, the rows emptied. Rows a second of each part; the longest step, which is what publication waits for at most; and
what the process weighs more at its heaviest than before. Then races: two people bring the same file and start it in the
same moment, with a worker beside each. One of them is told, and the person is entered once."""

ROWS_A_SECOND = 500
LONGEST_STEP_MS = 400
AT_MOST_GROWTH_BYTES = 150 * 10**6
_HEADER = ("ФИО", "Эл. почта", "Область", "Вид", "Организация", "Язык")
_REGIONS = ("г. Алматы", "Астана", "Қызылорда облысы", "Карагандинская область", "West Kazakhstan")


def measure(bench: Bench) -> dict[str, Any]:
    """On both engines, each in a process of its own."""
    count = bench.pick(2_000, 50_000, 50_000)
    rounds = bench.pick(5, 50, 200)
    figures: dict[str, Any] = {"count": count, "rounds": rounds}
    for engine in ENGINES:
        with bench.installation(engine) as made:
            figures[engine] = in_child(partial(_measure, made, count), seconds=3600)
        with bench.installation(engine) as made:
            figures[engine]["twice"] = in_child(partial(_races, made, rounds), seconds=1800)
        bench.say(f"{engine}: {figures[engine]}")
    return figures


def people(count: int) -> list[tuple[str, ...]]:
    """Rows as lists have them, no two of one person."""
    letters = "абвгдежзик"
    return [
        (
            f"Сейітов{''.join(letters[int(figure)] for figure in str(at))} Нұрлан Қайратұлы",
            f"observer{at}@example.org",
            _REGIONS[at % len(_REGIONS)],
            "независимый",
            "«Еркіндік қанаты» қоғамдық бірлестігі" if at % 3 else "",
            "қазақша" if at % 2 else "русский",
        )
        for at in range(count)
    ]


def _as_csv(rows: list[tuple[str, ...]]) -> bytes:
    out = io.StringIO()
    csv.writer(out, delimiter=";").writerows([_HEADER, *rows])
    return out.getvalue().encode("utf-8-sig")


def _as_xlsx(rows: list[tuple[str, ...]]) -> bytes:
    out = io.BytesIO()
    with Workbook(out, {"in_memory": True}) as book:
        sheet = book.add_worksheet("Тізім")
        for place, row in enumerate([_HEADER, *rows]):
            sheet.write_row(place, 0, row)
    return out.getvalue()


def _measure(made: Installation, count: int) -> dict[str, Any]:
    app = made.app()
    rows = people(count)
    as_csv, as_xlsx = _as_csv(rows), _as_xlsx(rows)
    del rows
    before = _heaviest_bytes()
    with app.app_context():
        staff_id = _reviewer("bruno")
        parsed = _seconds(lambda: sum(1 for _row in open_sheet(io.BytesIO(as_xlsx)).rows))
        began = time.perf_counter()
        job_id = _bring(as_csv, staff_id)
        read = time.perf_counter() - began
        _choose(job_id, staff_id)
        settings = app.config["CHARTER"]
        tried = _steps(lambda: imports.step(settings))
        importing.start(job_id, version=4, staff_id=staff_id, now=datetime.now(UTC))
        entered = _steps(lambda: imports.step(settings))
    found = made.scalar("SELECT count(*) FROM signature WHERE state = 'submitted'")
    return {
        "missing": count - int(found),
        "xlsx_rows_a_second": round(count / parsed),
        "read_rows_a_second": round(count / read),
        "tried_rows_a_second": round(count / tried["seconds"]),
        "entered_rows_a_second": round(count / entered["seconds"]),
        "longest_step_ms": round(max(tried["longest"], entered["longest"]) * 1000, 1),
        "growth_bytes": _heaviest_bytes() - before,
    }


def _reviewer(name: str) -> int:
    now = datetime.now(UTC)
    digest = name.encode().ljust(32)
    staff_id = staff.invite(
        name, email=f"{name}@example.org", language="en", digest=digest, expires_at=now + timedelta(hours=1), now=now
    )
    staff.accept_invitation(digest, password_hash="-", language="en", now=now)
    return staff_id


def _choose(job_id: int, staff_id: int) -> None:
    importing.choose(
        job_id,
        version=2,
        mapping=dict(enumerate(("full_name", "email", "region", "kind", "affiliation", "language"))),
        defaults={},
        again=False,
        staff_id=staff_id,
        now=datetime.now(UTC),
    )


def _bring(data: bytes, staff_id: int, *, sha256: str = "0" * 64) -> int:
    sheet = open_sheet(io.BytesIO(data))
    first, header = next(sheet.rows)
    new = NewList(sha256, "Training", sheet.format, sheet.encoding, sheet.sheet, first, header)
    job_id = importing.begin(new, staff_id=staff_id, now=datetime.now(UTC))
    chunk = []
    for row in sheet.rows:
        chunk.append(row)
        if len(chunk) >= READ_AT_ONCE:
            importing.add_rows(job_id, chunk, staff_id=staff_id, is_last=False)
            chunk = []
    importing.add_rows(job_id, chunk, staff_id=staff_id, is_last=True)
    return job_id


def _seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def _steps(step: Callable[[], bool]) -> dict[str, float]:
    """Until there are no more; emptying what was entered is part of it."""
    seconds = longest = 0.0
    is_more = True
    while is_more:
        began = time.perf_counter()
        is_more = step()
        took = time.perf_counter() - began
        seconds, longest = seconds + took, max(longest, took)
    return {"seconds": seconds, "longest": longest}


# ── twice ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def _races(made: Installation, rounds: int) -> dict[str, Any]:
    """`wrong`: rounds without exactly one who started, and people who were not entered exactly once."""
    app = made.app()
    with app.app_context():
        staff_ids = [_reviewer("bruno"), _reviewer("clara")]
        db.session.remove()
        db.engine.dispose()
    barrier = multiprocessing.get_context("fork").Barrier(2)
    rows = people(rounds)
    outcomes = in_children([partial(_race, app, barrier, rows, one) for one in staff_ids], seconds=1700)
    wrong = sum(sorted(pair) != ["lost", "won"] for pair in zip(*outcomes, strict=True))
    for table, condition in (("signature", ""), ("message", ""), ("signature_event", " WHERE move = 'enter'")):
        wrong += abs(int(made.scalar(f"SELECT count(*) FROM {table}{condition}")) - rounds)
    errors = [told for side in outcomes for told in side if told.startswith("!")]
    return {"wrong": wrong, "errors": dict(Counter(errors))}


def _race(app: Flask, barrier: Any, rows: list[tuple[str, ...]], staff_id: int) -> list[str]:
    """What this side of each round came to: `won`, `lost`, or an error with an exclamation mark."""
    told = []
    with app.app_context():
        settings = app.config["CHARTER"]
        for place, row in enumerate(rows):
            job_id = _bring(_as_csv([row]), staff_id, sha256=f"{place:064x}")
            _choose(job_id, staff_id)
            _steps(lambda: imports.step(settings))
            barrier.wait(60)
            try:
                version = db.session.scalars(select(ImportJob.version).where(ImportJob.id == job_id)).one()
                importing.start(job_id, version=version, staff_id=staff_id, now=datetime.now(UTC))
                told.append("won")
            except FieldRefusedError:
                told.append("lost")
            except (SQLAlchemyError, CharterError) as error:
                told.append(f"!{type(error).__name__}")
            _steps(lambda: imports.step(settings))
            barrier.wait(60)
        db.session.remove()
    return told


def _heaviest_bytes() -> int:
    status = Path("/proc/self/status").read_text(encoding="ascii")
    found = next((line for line in status.splitlines() if line.startswith("VmHWM:")), "")
    return int(found.split()[1]) * 1024 if found else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def lines(figures: dict[str, Any], baselines: dict[str, float]) -> list[Line]:
    """The rows of the report."""

    def row(what: str, key: str, target: str = "", is_met: Callable[[float], bool] | None = None) -> Line:
        found = {engine: figures[engine][key] for engine in ENGINES}
        met = None if is_met is None else all(is_met(value) for value in found.values())
        return Line(what, {engine: number(value) for engine, value in found.items()}, target, met)

    growth = {engine: figures[engine]["growth_bytes"] for engine in ENGINES}
    return [
        row("XLSX read, rows a second", "xlsx_rows_a_second"),
        row("CSV read and stored, rows a second", "read_rows_a_second"),
        row("rows tried a second", "tried_rows_a_second"),
        row(
            "rows entered and emptied a second",
            "entered_rows_a_second",
            f"at least {ROWS_A_SECOND}",
            lambda value: value >= ROWS_A_SECOND,
        ),
        row("people missing or doubled", "missing", "0", lambda value: value == 0),
        row(
            "the longest step, ms",
            "longest_step_ms",
            f"at most {LONGEST_STEP_MS}",
            lambda value: value <= LONGEST_STEP_MS,
        ),
        Line(
            f"one file imported twice at once, {figures['rounds']} times: without one winner and one person",
            {
                engine: str(figures[engine]["twice"]["wrong"] + sum(figures[engine]["twice"]["errors"].values()))
                for engine in ENGINES
            },
            "none",
            all(not figures[engine]["twice"]["wrong"] + len(figures[engine]["twice"]["errors"]) for engine in ENGINES),
        ),
        Line(
            f"heavier at most, {figures['count']:,} rows",
            {engine: f"{value / 1e6:.0f} MB" for engine, value in growth.items()},
            f"at most {AT_MOST_GROWTH_BYTES // 10**6} MB",
            max(growth.values()) <= AT_MOST_GROWTH_BYTES,
        ),
    ]
