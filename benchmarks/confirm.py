"""Confirmations a second, while more and more applications wait."""

from __future__ import annotations

import time
from functools import partial
from typing import Any

from benchmarks import load, waiting
from benchmarks.bench import CONNECTIONS, Bench, Line, in_child, milliseconds, number
from benchmarks.installation import ENGINES, Installation
from benchmarks.processes import BrokenRunError, serving
from charter import clock, shipped
from charter.operations import signing
from charter.operations.proving import Outcome, Proof

TITLE = "Confirming"
TEXT = """\
Whether a confirmation costs more when very many applications wait: the rate must not fall as the tables grow. Waiting
applications are written straight into the tables, with consents, history, links and sent mails; then a load client
presses the button behind so many of their links, from the browser that signed (form with CSRF token, two web
processes), and every redirect is compared with the database. Since the web server's share is the same at every size
and could hide a growing one of the database, the operation alone is measured as well, one after another in one
process. Flat means: the slowest size has at least 80 % of the rate of the fastest."""
FLAT = 0.8


def measure(bench: Bench) -> dict[str, Any]:
    """The same database grows from size to size."""
    sizes = bench.pick([1_000, 10_000], [10_000, 100_000], [10_000, 100_000, 1_000_000])
    count = bench.pick(300, 3_000, 4_000)
    figures: dict[str, Any] = {"sizes": sizes, "count": count}
    for engine in ENGINES:
        with bench.installation(engine) as made:
            figures[engine] = {str(size): _at_size(bench, made, size, count) for size in sizes}
    return figures


def confirmed_at_each_size(count: int) -> int:
    """To warm up, through the form, and by the operation alone."""
    return count // 4 + 2 * count


def _at_size(bench: Bench, made: Installation, size: int, count: int) -> dict[str, Any]:
    there = int(made.scalar("SELECT count(*) FROM signature WHERE state = 'submitted'"))
    began = time.monotonic()
    # As many wait after the last confirmation here.
    added = waiting.add(made, size + confirmed_at_each_size(count) - there)
    bench.say(f"{made.engine}: {size:,} waiting after {time.monotonic() - began:.0f} s")
    # From all over the table: neighbours would share pages that are warm by then.
    step = max(1, (added.last - added.first + 1) // confirmed_at_each_size(count))
    numbers = range(added.first, added.last + 1, step)
    warm_up, through_form, alone = (
        numbers[: count // 4],
        numbers[count // 4 : 5 * count // 4],
        numbers[5 * count // 4 :],
    )
    path = made.folder / "tokens"
    with serving(made) as web:
        for place, part in enumerate((warm_up, through_form)):
            waiting.write_tokens(made, path, part)
            order = load.Order(
                "confirm",
                [web.port],
                connections=CONNECTIONS,
                seconds=300,
                most=len(part),
                tokens_path=str(path),
                with_signer_cookie=True,
            )
            result = load.run(order)
            if result.errors or result.acknowledged != len(part):
                raise BrokenRunError(f"Confirming: {result.acknowledged} of {len(part)}, errors {result.errors}.")
            if place == 0:
                before = _confirmed(made)
        bench.weigh(made.engine, web)
    if _confirmed(made) - before != result.acknowledged:
        raise BrokenRunError("Acknowledged confirmations are not in the database.")
    rate = in_child(partial(_alone, made, alone[:count]))
    bench.say(f"{made.engine}: {result.per_second}/s through the form, {rate:.0f}/s alone")
    return {"per_second": result.per_second, "p99_ms": result.p99_ms, "operation_per_second": round(rate, 1)}


def _confirmed(made: Installation) -> int:
    return int(made.scalar("SELECT count(*) FROM signature WHERE state = 'confirmed'"))


def _alone(made: Installation, numbers: range) -> float:
    """The operation, without a page around it; a second."""
    app = made.app()
    tokens = [waiting.confirm_token(made.key, one) for one in numbers]
    with app.app_context():
        for place, token in enumerate(tokens):
            if place == 20:
                began = time.perf_counter()
            result = signing.confirm(
                token,
                proof=Proof(waiting.BROWSER_DIGEST, None),
                key=made.key,
                code_tries=5,
                answer_due_working_days=5,
                holidays=shipped.holidays(),
                now=clock.now(),
            )
            if result.outcome is not Outcome.DONE:
                raise BrokenRunError(f"A confirmation came to nothing: {result.outcome}.")
    return (len(tokens) - 20) / (time.perf_counter() - began)


def lines(figures: dict[str, Any], baselines: dict[str, float]) -> list[Line]:
    """The rows of the report."""
    made = []
    sizes = [str(size) for size in figures["sizes"]]
    for key, words in (("per_second", "through the form"), ("operation_per_second", "the operation alone")):
        for size in sizes:
            values = {engine: number(figures[engine][size][key]) for engine in ENGINES}
            made.append(Line(f"confirmations a second {words}, {int(size):,} waiting", values))
        rates = {engine: [figures[engine][size][key] for size in sizes] for engine in ENGINES}
        flat = {engine: min(rates[engine]) / max(rates[engine]) for engine in ENGINES}
        made.append(
            Line(
                f"slowest compared with fastest size, {words}",
                {engine: f"{flat[engine] * 100:.0f} %" for engine in ENGINES},
                f"at least {FLAT * 100:.0f} %",
                min(flat.values()) >= FLAT,
            )
        )
    largest = sizes[-1]
    made.append(
        Line(
            f"p99 through the form, {int(largest):,} waiting",
            {engine: milliseconds(figures[engine][largest]["p99_ms"]) for engine in ENGINES},
        )
    )
    return made
