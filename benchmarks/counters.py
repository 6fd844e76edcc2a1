"""Whether counting costs those who write, and whether what is counted stays right."""

from __future__ import annotations

import multiprocessing
import time
from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import Any
from unittest.mock import patch

from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from benchmarks import waiting
from benchmarks.bench import Bench, Line, in_child, in_children, number, percent
from benchmarks.installation import ENGINES, Installation, names
from benchmarks.journey import approve
from benchmarks.processes import BrokenRunError
from benchmarks.writers import sign
from charter import clock, shipped
from charter.models.base import db
from charter.operations import publication, signing, staff
from charter.operations.proving import Proof
from charter.operations.unit import operation
from tests import histories, tally

TITLE = "Counting"
PROCESSES = 8
LEAST = 0.7
REGION = "KZ-75"
#: More than any number of reviewers can decide.
APPROVED_A_SECOND = 100
TEXT = f"""\
Whether the counters of the registry cost those who sign. A counter that every signature raises would make all who
write to one region wait for one another; ours move in publication batches only. {PROCESSES} processes sign by the
operation as fast as they can, in regions of their own, and nobody publishes: nothing is counted ("inserts only").
Then all of them sign in one region, while a worker publishes a batch each second of people of that region of whom
{APPROVED_A_SECOND} a second were approved: everything is counted. Beside it what would be left if each signature raised
its region's counter in its own transaction. Rounds take turns; the best of each counts, since other work on the
machine only slows. How many entries a second are published is measured as well, alone and beside them at full speed.
Last, long histories are played at random (people sign, correct and withdraw, the Centre decides and undoes, an older
release publishes, machines are lost and restored from a backup and the leaves), and after each batch every counter,
every word and the whole search index is told anew from the entries."""


def measure(bench: Bench) -> dict[str, Any]:
    """Each round on an installation of its own."""
    seconds = bench.pick(2.0, 8.0, 15.0)
    events = bench.pick(150, 10_000, 10_000)
    rounds = bench.pick(1, 3, 3)
    figures: dict[str, Any] = {"seconds": seconds, "events": events}
    for engine in ENGINES:
        best: dict[str, dict[str, float]] = {}
        for _ in range(rounds):
            for way in ("inserts", "counted", "hot row", "publisher alone", "publisher at full speed"):
                with bench.installation(engine) as made:
                    found = in_child(partial(_round, made, way, seconds), seconds=600)
                    if way != "hot row":
                        _check(made)
                bench.say(f"{engine}: {way}: {found}")
                if way not in best or sum(found.values()) > sum(best[way].values()):
                    best[way] = found
        figures[engine] = best
        with bench.installation(engine) as made:
            played = in_child(partial(_play, made, events), seconds=3600)
        figures[engine]["history"] = played
        bench.say(f"{engine}: history: {played}")
    return figures


def _round(made: Installation, way: str, seconds: float) -> dict[str, float]:
    """signed, published: a second."""
    publishes = way not in ("inserts", "hot row")
    waiting_count = 0
    if publishes:
        waiting_count = int(seconds * (APPROVED_A_SECOND if way == "counted" else 4_000)) + 10
    app = made.app()
    if waiting_count:
        _approve_many(made, waiting_count)
    with app.app_context():
        # Statements are compiled once here, not in every process.
        for turn in range(3):
            sign(made, 10**6 + turn, region=REGION)
        db.session.remove()
        db.engine.dispose()
    if way == "hot row":
        counter = names("region_code kind listed unlisted withdrawn revoked")
        made.load("region_count", counter, [(REGION, "independent", 0, 0, 0, 0)])
    writers = 0 if way == "publisher alone" else PROCESSES
    context = multiprocessing.get_context("fork")
    barrier = context.Barrier(writers + publishes)
    tasks: list[Callable[[], Any]] = [
        partial(_write, made, app, barrier, place=place, way=way, seconds=seconds) for place in range(writers)
    ]
    if publishes:
        rate = APPROVED_A_SECOND if way == "counted" else None
        tasks.append(partial(_publish, made, app, barrier, seconds=seconds, rate=rate))
    done: Counter[str] = Counter()
    for one in in_children(tasks, seconds=seconds + 120):
        done.update(one)
    if done["errors"]:
        raise BrokenRunError(f"{done['errors']} errors of the database.")
    return {
        "signed": round(done["signed"] / seconds, 1),
        "published": round(done["published"] / seconds, 1),
    }


def _approve_many(made: Installation, count: int) -> None:
    """People of one region who wait for a batch, as the operations leave them: written straight into the tables."""
    people = waiting.add(made, count)
    now = clock.now()
    app = made.app()
    with app.app_context():
        staff_id = staff.invite(
            "Bruno", email="bruno@example.org", language="en", digest=bytes(32), expires_at=now, now=now
        )
        # One goes the whole way, so that what it leaves is what is written for the others.
        signing.confirm(
            waiting.confirm_token(made.key, people.first),
            proof=Proof(waiting.BROWSER_DIGEST, None),
            key=made.key,
            code_tries=5,
            answer_due_working_days=5,
            holidays=shipped.holidays(),
            now=now,
        )
        signature_id, version = made.rows("SELECT id, version FROM signature WHERE state = 'confirmed'")[0]
        approve(signature_id, version=version, staff_id=staff_id, undo_seconds=0)
        publication.publish_batch(now=clock.now())
        db.session.remove()
        db.engine.dispose()
    first = people.first
    with made.connect() as connection:
        connection.execute(
            "UPDATE signature SET state = 'approved', region_code = '" + REGION + "',"
            " confirmed_at = submitted_at, due_on = (SELECT due_on FROM signature WHERE id = " + str(first) + "),"
            " version = 3 WHERE state = 'submitted'"
        )
        connection.execute(
            "INSERT INTO link (uid, purpose, signature_id, token_digest, tries, created_at)"
            f" SELECT {_unlike(made, 'uid')}, 'personal', signature_id, {_unlike(made, 'token_digest')}, 0, created_at"
            f" FROM link WHERE purpose = 'confirm' AND signature_id > {first}"
        )
        connection.execute(
            'INSERT INTO log_event (kind, signature_id, "values", effective_at)'
            f" SELECT 'publish', id, '{{}}', submitted_at FROM signature WHERE id > {first} AND state = 'approved'"
        )
    made.settle()


def _unlike(made: Installation, column: str) -> str:
    """Other bytes of the same length."""
    if made.engine == "sqlite":
        return f"randomblob(length({column}))"
    return f"substr(sha256({column} || '\\x00'::bytea), 1, length({column}))"


def _write(made: Installation, app: Any, barrier: Any, *, place: int, way: str, seconds: float) -> dict[str, int]:
    signed = errors = 0
    turn = place
    region = None if way == "inserts" else REGION
    regions = [one.code for one in shipped.regions()]
    through = _sign_and_count if way == "hot row" else signing.sign
    with app.app_context():
        barrier.wait(60)
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            turn += PROCESSES
            try:
                sign(made, turn, region=region or regions[place % len(regions)], through=through)
                signed += 1
            except SQLAlchemyError:
                errors += 1
        db.session.remove()
    return {"signed": signed, "errors": errors}


@operation
def _sign_and_count(*given: Any, **more: Any) -> None:
    """What we do not do: each signature raises the counter of its region, in its own transaction."""
    verb: Any = signing.sign
    verb.__wrapped__(*given, **more)
    db.session.execute(
        text("UPDATE region_count SET listed = listed + 1 WHERE region_code = :region AND kind = 'independent'"),
        {"region": REGION},
    )


def _publish(made: Installation, app: Any, barrier: Any, *, seconds: float, rate: int | None) -> dict[str, int]:
    """Batches, each second what was approved in it; as fast as can be for None."""
    with app.app_context():
        before = int(made.scalar("SELECT count(*) FROM registry_entry"))
        barrier.wait(60)
        began = time.monotonic()
        while (now := time.monotonic()) < began + seconds:
            if rate is None:
                if publication.publish_batch(now=clock.now()) is None:
                    raise BrokenRunError("There was nothing left to publish.")
                continue
            with patch.object(publication, "MOST_EVENTS", rate):
                publication.publish_batch(now=clock.now())
            time.sleep(max(0.0, min(now + 1, began + seconds) - time.monotonic()))
        db.session.remove()
        took = time.monotonic() - began
        published = int(made.scalar("SELECT count(*) FROM registry_entry")) - before
    # A batch that was begun in time is finished: what counts is what was published in so many seconds.
    return {"published": round(published * seconds / took)}


def _check(made: Installation) -> None:
    with made.connect() as connection:
        if found := tally.differences(tally.Database(made.engine, connection)):
            raise BrokenRunError(f"What is counted is not what is there: {found[:5]}")


def _play(made: Installation, events: int) -> dict[str, Any]:
    folder = made.folder / "copies"
    folder.mkdir()
    began = time.monotonic()
    world = histories.play(made.app(), folder, events=events, is_by_chance=True)
    return {
        "events": sum(world.events.values()),
        "published_batches": world.events["publish"] + world.events["publish, older release"],
        "losses": world.events["loss"],
        "checks": world.checks,
        "seconds": round(time.monotonic() - began, 1),
    }


def lines(figures: dict[str, Any], baselines: dict[str, float]) -> list[Line]:
    """The rows of the report."""
    of = {engine: figures[engine] for engine in ENGINES}
    share = {engine: of[engine]["counted"]["signed"] / of[engine]["inserts"]["signed"] for engine in ENGINES}
    hot = {engine: of[engine]["hot row"]["signed"] / of[engine]["inserts"]["signed"] for engine in ENGINES}
    played = {engine: of[engine]["history"] for engine in ENGINES}

    def rate(way: str, what: str) -> dict[str, str]:
        return {engine: number(of[engine][way][what]) for engine in ENGINES}

    return [
        Line(f"{PROCESSES} sign, inserts only: signatures a second", rate("inserts", "signed")),
        Line(f"{PROCESSES} sign in one region, all is counted: signatures a second", rate("counted", "signed")),
        Line(
            "… of inserts only",
            {engine: percent(share[engine]) for engine in ENGINES},
            f"at least {LEAST * 100:.0f} %",
            min(share.values()) >= LEAST,
        ),
        Line("… entries published a second meanwhile", rate("counted", "published")),
        Line("if each signature raised it: of inserts only", {engine: percent(hot[engine]) for engine in ENGINES}),
        Line("publishing alone, at full speed: entries a second", rate("publisher alone", "published")),
        Line(
            f"publishing at full speed beside {PROCESSES} who sign: entries, signatures a second",
            {
                engine: f"{number(one['published'])}, {number(one['signed'])}"
                for engine, one in ((engine, of[engine]["publisher at full speed"]) for engine in ENGINES)
            },
        ),
        Line(
            "events of histories by chance, batches that were told anew, lost machines",
            {engine: f"{one['events']:,}, {one['checks']:,}, {one['losses']:,}" for engine, one in played.items()},
            f"{figures['events']:,} events, no difference",
            all(one["events"] >= figures["events"] for one in played.values()),
        ),
    ]
