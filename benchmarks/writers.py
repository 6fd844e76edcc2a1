"""Many processes that write at the same time."""

from __future__ import annotations

import contextlib
import multiprocessing
import random
import secrets
import time
from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import Any

from sqlalchemy.exc import SQLAlchemyError

from benchmarks import waiting
from benchmarks.applicants import REGIONS, address, full_name
from benchmarks.bench import Bench, Line, in_child, in_children, milliseconds, number
from benchmarks.installation import ENGINES, Installation
from benchmarks.journey import approve
from benchmarks.load import percentile
from charter import clock, shipped
from charter.domain.consent import digest
from charter.domain.email import clean_email
from charter.domain.errors import CharterError
from charter.domain.name import default_short_form
from charter.models.base import db
from charter.operations import publication, signing, staff
from charter.operations.proving import Outcome, Proof
from charter.operations.sign_steps import GivenConsent, NewSignature
from charter.operations.steps import Details

TITLE = "Many writers"
PROCESSES = 32
WARM_UP = 3
TEXT = f"""\
Whether processes that write at once get in each other's way. {PROCESSES} processes call the operations on one
database as fast as they can: first all of them sign; then they do different things at the same time: sign, confirm,
approve, and publish batches. Nothing may fail: an error of the database that reaches the caller counts, and so does a
row that is missing afterwards. (An approval that comes too late because another process decided is an answer, not an
error.)"""


def measure(bench: Bench) -> dict[str, Any]:
    """Signing alone, then the mixture, on each engine."""
    seconds = bench.pick(2.0, 10.0, 20.0)
    figures: dict[str, Any] = {"processes": PROCESSES, "seconds": seconds}
    for engine in ENGINES:
        figures[engine] = {}
        for kind in ("signing", "mixed"):
            with bench.installation(engine) as made:
                people = 0
                if kind == "mixed":
                    people = bench.pick(2_000, 20_000, 50_000)
                    waiting.add(made, people)
                figures[engine][kind] = in_child(partial(_together, made, kind, seconds, people), seconds=300)
                there = int(made.scalar("SELECT count(*) FROM signature")) - people - WARM_UP
                figures[engine][kind]["missing"] = figures[engine][kind]["done"].get("sign", 0) - there
                bench.say(f"{engine}: {kind}: {figures[engine][kind]}")
    return figures


def _together(made: Installation, kind: str, seconds: float, people: int) -> dict[str, Any]:
    """In a process of its own, which loads the application once; the writers are forked from it."""
    app = made.app()
    with app.app_context():
        now = clock.now()
        staff_id = staff.invite(
            "Bruno", email="bruno@example.org", language="en", digest=bytes(32), expires_at=now, now=now
        )
        # Statements are compiled once here, not in every process; their numbers are below those of the writers.
        for turn in range(WARM_UP):
            for verb in ("sign", *(("confirm", "approve", "publish") if people else ())):
                _do(made, verb, turn + 1, people=people, staff_id=staff_id)
        db.session.remove()
        # Connections do not survive a fork.
        db.engine.dispose()
    barrier = multiprocessing.get_context("fork").Barrier(PROCESSES)
    tasks = [
        partial(_write, made, app, barrier, kind=kind, place=place, seconds=seconds, people=people, staff_id=staff_id)
        for place in range(PROCESSES)
    ]
    results = in_children(tasks, seconds=seconds + 120)
    done: Counter[str] = Counter()
    errors: Counter[str] = Counter()
    latencies: list[float] = []
    for result in results:
        done.update(result["done"])
        errors.update(result["errors"])
        latencies += result["latencies"]
    latencies.sort()
    total = sum(done.values())
    return {
        "done": dict(done),
        "errors": dict(errors),
        "per_second": round(total / seconds, 1),
        "p99_ms": round(percentile(latencies, 0.99) * 1000, 1),
        "most_ms": round(latencies[-1] * 1000, 1) if latencies else 0.0,
    }


def _write(
    made: Installation, app: Any, barrier: Any, *, kind: str, place: int, seconds: float, people: int, staff_id: int
) -> dict[str, Any]:
    done: Counter[str] = Counter()
    errors: Counter[str] = Counter()
    latencies = []
    turn = place
    with app.app_context():
        barrier.wait(60)
        until = time.monotonic() + seconds
        while (began := time.monotonic()) < until:
            turn += PROCESSES
            verb = "sign" if kind == "signing" else _verb(place, turn)
            try:
                if _do(made, verb, turn, people=people, staff_id=staff_id):
                    done[verb] += 1
            except SQLAlchemyError as error:
                errors[f"{verb}: {type(error).__name__}"] += 1
            latencies.append(time.monotonic() - began)
        db.session.remove()
    return {"done": done, "errors": errors, "latencies": latencies}


def _verb(place: int, turn: int) -> str:
    if place < 2:
        return "publish"
    return ("sign", "confirm", "sign", "confirm", "approve")[turn // PROCESSES % 5]


def _do(made: Installation, verb: str, turn: int, *, people: int, staff_id: int) -> bool:
    """False where there was nothing to do."""
    if verb == "sign":
        sign(made, turn)
        return True
    if verb == "publish":
        return publication.publish_batch(now=clock.now()) is not None
    if verb == "confirm":
        # Numbers of its own for each process, so that every link is pressed once.
        person = turn
        if person > people:
            return False
        result = signing.confirm(
            waiting.confirm_token(made.key, person),
            proof=Proof(waiting.BROWSER_DIGEST, None),
            key=made.key,
            code_tries=5,
            answer_due_working_days=5,
            holidays=shipped.holidays(),
            now=clock.now(),
        )
        return result.outcome is Outcome.DONE
    return _approve_one(made, staff_id)


def _approve_one(made: Installation, staff_id: int) -> bool:
    found = made.rows("SELECT id, version FROM signature WHERE state = 'confirmed' LIMIT 40")
    if not found:
        return False
    signature_id, version = random.choice(found)
    with contextlib.suppress(CharterError):
        approve(signature_id, version=version, staff_id=staff_id, undo_seconds=0)
        return True
    return False


def sign(
    made: Installation, turn: int, *, region: str | None = None, through: Callable[..., object] = signing.sign
) -> None:
    """One signature through the operation. region: where not in one after the other."""
    name = full_name(turn)
    bodies = {"processing": "I consent to the processing.", "publication": "I consent to the publication."}
    through(
        NewSignature(
            details=Details(
                kind="independent",
                full_name=name,
                short_name=default_short_form(name),
                display="full",
                affiliation_slug=None,
                affiliation_text=None,
                region_code=region or REGIONS[turn % len(REGIONS)],
            ),
            email=clean_email(address(turn, "writer")),
            language="kk",
            signed_language="kk",
            consents=tuple(GivenConsent(kind, digest(body), body) for kind, body in bodies.items()),
        ),
        key=made.key,
        edition_slug="specimen-1",
        browser_digest=secrets.token_bytes(32),
        confirm_link_days=7,
        people_per_mailbox=3,
        now=clock.now(),
    )


def lines(figures: dict[str, Any], baselines: dict[str, float]) -> list[Line]:
    """The rows of the report."""
    made = []
    for kind, words in (("signing", "all sign"), ("mixed", "sign, confirm, approve and publish")):
        of = {engine: figures[engine][kind] for engine in ENGINES}
        made += [
            Line(f"{words}: operations a second", {engine: number(of[engine]["per_second"]) for engine in ENGINES}),
            Line("… p99", {engine: milliseconds(of[engine]["p99_ms"]) for engine in ENGINES}),
            Line("… the longest", {engine: milliseconds(of[engine]["most_ms"]) for engine in ENGINES}),
            Line(
                f"{words}: errors, rows missing",
                {engine: f"{sum(of[engine]['errors'].values())}, {of[engine]['missing']}" for engine in ENGINES},
                "0",
                not any(of[engine]["errors"] or of[engine]["missing"] for engine in ENGINES),
            ),
        ]
    return made
