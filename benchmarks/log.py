"""What the verifiable log costs: appending a batch with its signed checkpoint, and proving from the database."""

from __future__ import annotations

import hashlib
import os
import random
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import psycopg
from pymerkle import SqliteTree  # type: ignore[import-untyped]

from benchmarks import entries
from benchmarks.bench import Bench, Line, in_child, milliseconds, number
from benchmarks.installation import ENGINES, Installation
from charter import log_key
from charter.models import nodes, places
from charter.models.base import db
from charter.operations import figures as counted
from charter.operations import tree as trees
from charter.operations.bulk import Writes
from charter.operations.public_side import append_batch
from charter.operations.unit import lock, operation
from charter.queries.receipts import receipt_of
from charter.tlog import leaf, note, proof, tree
from charter.tlog.signer import Signer
from charter.tlog.tree import hash_leaf

TITLE = "The log"
BATCHES = (1, 100, 10_000)
LEAST_LEAVES = 50_000
LEAST_TIMES = 100
RECEIPTS = 500
TEXT = """\
What it costs that nobody has to trust us. Into a log of a million leaves batches are appended as publication appends
them, in one transaction each: the batch, its leaves, the nodes of the tree that become whole, the figures of the
transparency page, the root, and the signed checkpoint, which is compared with the one before. Every commit waits for
the disk (`synchronous = FULL`, `synchronous_commit = on`). Half of the leaves confirm an application, the other half
publish an earlier one; their bytes are made beforehand. Where each entry's leaves stand, by which receipts are found,
no batch waits for: the worker notes it in a step after the batch, and until then receipts look into these few leaves.
This step, of as many leaves at once as the worker takes, stands in a line of its own. Beside it the same
rows of leaves, and nothing else, through the driver into a bare table with a primary key, in transactions of the same
size. Then proofs, of random leaves and between random sizes, each read from the database (all nodes of one proof by
at most two statements, nothing kept in memory) and each checked afterwards; and whole receipts, with record line and
checkpoint. `pymerkle`'s SqliteTree, which stores leaves only, gets the same leaves by its `append_entries` in one
transaction, and proves them in the same minutes: once with its cache of subtrees switched off, so that it too reads
from the database, and once with its cache, full after one proof over the whole tree, in the memory of one process.
The target counts against the former."""


def measure(bench: Bench) -> dict[str, Any]:
    """One installation for each engine, filled for this alone; SqliteTree with its leaves, in the same run."""
    count = bench.pick(2_000, 500_000, 500_000)
    seconds = bench.pick(1.0, 5.0, 10.0)
    figures: dict[str, Any] = {"seconds": seconds}
    for engine in ENGINES:
        made = bench.workshop.empty(engine)
        try:
            in_child(partial(entries.make, made, count), seconds=3600)
            in_child(partial(_count_past, made), seconds=3600)
            made.settle()
            found = in_child(partial(_prove, made, seconds), seconds=600)
            if engine == "sqlite":
                figures["pymerkle"] = in_child(partial(_prove_as_others, made, seconds), seconds=1800)
                bench.say(f"pymerkle: {figures['pymerkle']}")
            for size in BATCHES:
                found[f"raw {size}"] = in_child(partial(_append_raw, made, size, seconds), seconds=600)
                found[f"append {size}"] = in_child(partial(_append, made, size, seconds), seconds=600)
            found["places"] = in_child(partial(_note_places, made, seconds), seconds=600)
            bench.weigh(engine)
        finally:
            bench.workshop.clear(made)
        figures[engine] = found
        bench.say(f"{engine}: {found}")
    return figures


def _count_past(made: Installation) -> None:
    app = made.app()
    with app.app_context():
        while counted.count_past(most=50_000):
            pass
        db.session.remove()


# ── appending ────────────────────────────────────────────────────────────────────────────────────────────────────────


def _batches(size: int, at: datetime) -> Iterator[list[bytes]]:
    """Leaves by batch: confirmations, and publications of those that were confirmed in batches before."""
    t = leaf.format_time(at)
    due = (at + timedelta(days=7)).date().isoformat()
    waiting: list[str] = []
    while True:
        half = (size + 1) // 2 if len(waiting) < size else size // 2
        answered, waiting = waiting[: size - half], waiting[size - half :]
        fresh = [os.urandom(16).hex() for _ in range(size - len(answered))]
        waiting += fresh
        yield [
            *(leaf.encode("confirm", t=t, commit=os.urandom(32).hex(), due=due, entry=entry) for entry in fresh),
            *(leaf.encode("publish", t=t, commit=os.urandom(32).hex(), entry=entry, rev=1) for entry in answered),
        ]


@operation
def _append_batch(
    data: Sequence[bytes], *, revision: int, size: int, at: datetime, signer: Signer, after: note.Checkpoint
) -> note.Checkpoint:
    lock("publisher", "one")
    writes = Writes()
    grown = append_batch(revision=revision, at=at, first_index=size, data=data, writes=writes)
    assert grown is not None
    trees.add_checkpoint(size + len(data), grown.root, signer, at=at, after=after, grown=grown, writes=writes)
    return note.Checkpoint(signer.origin, size + len(data), grown.root)


def _append(made: Installation, in_batch: int, seconds: float) -> dict[str, float]:
    """Leaves a second, and milliseconds of a batch; the time of making the leaves is left out."""
    app = made.app()
    signer = log_key.signer(app.config["CHARTER"])
    revision, size = made.rows("SELECT revision, tree_size FROM log_batch ORDER BY revision DESC LIMIT 1")[0]
    root = bytes(made.scalar("SELECT root FROM log_checkpoint ORDER BY size DESC LIMIT 1"))
    at = datetime.now(UTC).replace(microsecond=0)
    after = note.Checkpoint(signer.origin, size, root)
    took: list[float] = []
    with app.app_context():
        for place, data in enumerate(_batches(in_batch, at)):
            began = time.perf_counter()
            after = _append_batch(
                data, revision=revision + 1 + place, size=after.size, at=at, signer=signer, after=after
            )
            # The first ones compile statements.
            if place >= 3:
                took.append(time.perf_counter() - began)
            if sum(took) >= seconds:
                break
        db.session.remove()
    return _rate(in_batch, took)


def _rate(in_batch: int, took: list[float]) -> dict[str, float]:
    took = sorted(took)
    return {
        "per_second": round(in_batch * len(took) / sum(took), 1),
        "p50_ms": round(took[len(took) // 2] * 1000, 3),
        "longest_ms": round(took[-1] * 1000, 3),
    }


def _note_places(made: Installation, seconds: float) -> float:
    """Leaves a second whose places are noted, of those that were just appended."""
    app = made.app()
    steps = 0
    with app.app_context():
        placed = places.placed_to(db.session.connection())
        began = time.perf_counter()
        while trees.note_places() and time.perf_counter() - began < seconds:
            steps += 1
        took = time.perf_counter() - began
        now_placed = places.placed_to(db.session.connection())
        db.session.remove()
    assert placed is not None
    assert now_placed is not None
    return round((now_placed - placed) / took, 1)


def _append_raw(made: Installation, in_batch: int, seconds: float) -> dict[str, float]:
    """The rows of leaves alone, into a table of their own, by the quickest statement that the driver has."""
    rows: list[tuple[int, bytes, bytes, int]] = []
    took: list[float] = []
    with _bare(made) as write:
        batches = _batches(in_batch, datetime.now(UTC))
        index = 0
        while sum(took) < seconds:
            rows = [(index + place, one, hash_leaf(one), 1) for place, one in enumerate(next(batches))]
            index += len(rows)
            began = time.perf_counter()
            write(rows)
            took.append(time.perf_counter() - began)
    return _rate(in_batch, took)


@contextmanager
def _bare(made: Installation) -> Iterator[Callable[[list[tuple[int, bytes, bytes, int]]], None]]:
    if made.engine == "sqlite":
        path = made.folder / "raw.db"
        with closing(sqlite3.connect(path, isolation_level=None)) as file:
            for pragma in ("journal_mode = WAL", "synchronous = FULL"):
                file.execute(f"PRAGMA {pragma}")
            file.execute("CREATE TABLE raw (i INTEGER PRIMARY KEY, data BLOB, hash BLOB, revision INTEGER)")

            def write(rows: list[tuple[int, bytes, bytes, int]]) -> None:
                file.execute("BEGIN IMMEDIATE")
                file.executemany("INSERT INTO raw VALUES (?, ?, ?, ?)", rows)
                file.execute("COMMIT")

            yield write
        for left in made.folder.glob("raw.db*"):
            left.unlink()
        return
    with psycopg.connect(made.url) as connection:
        connection.execute("CREATE TABLE raw (i BIGINT PRIMARY KEY, data BYTEA, hash BYTEA, revision BIGINT)")
        connection.commit()

        def copy(rows: list[tuple[int, bytes, bytes, int]]) -> None:
            with connection.cursor().copy("COPY raw FROM STDIN") as into:
                for row in rows:
                    into.write_row(row)
            connection.commit()

        yield copy
        connection.execute("DROP TABLE raw")
        connection.commit()


# ── proving ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def _prove(made: Installation, seconds: float) -> dict[str, Any]:
    """Proofs a second of both kinds, and receipts; all are checked, after the clock has stopped."""
    app = made.app()
    dice = random.Random(1)
    with app.app_context():
        connection = db.session.connection()
        size = int(made.scalar("SELECT max(size) FROM log_checkpoint"))
        root = bytes(made.scalar("SELECT root FROM log_checkpoint ORDER BY size DESC LIMIT 1"))
        key = note.parse_key(log_key.signer(app.config["CHARTER"]).vkey)
        published = made.rows("SELECT entry FROM registry_entry WHERE ended_on IS NULL ORDER BY number LIMIT 5000")

        def include(index: int) -> list[bytes]:
            return nodes.computed(connection, lambda fetch: tree.inclusion_proof(index, size, fetch))

        def extend(old: int) -> list[bytes]:
            return nodes.computed(connection, lambda fetch: tree.consistency_proof(old, size, fetch))

        per_second, paths = _timed(include, lambda: dice.randrange(size), seconds)
        figures: dict[str, Any] = {"size": size, "inclusion": per_second}
        leaves = nodes.read(connection, ((0, index) for index, _ in paths[:500]))
        for index, path in paths[:500]:
            tree.check_inclusion(leaves[0, index], index, size, path, root)
        figures["consistency"], paths = _timed(extend, lambda: dice.randrange(1, size), seconds)
        for old, path in paths[:100]:
            before = nodes.computed(connection, partial(tree.root, old))
            tree.check_consistency(old, size, path, before, root)
        figures["receipts"], made_out = _timed(receipt_of, lambda: str(dice.choice(published)[0]), seconds)
        for _, one in made_out[:RECEIPTS]:
            assert one is not None
            found = proof.read(one.proof_text)
            assert proof.verify(found, key, log_key.verify).size == size
            assert leaf.decode(found.extra)[1]["commit"] == hashlib.sha256(one.record).hexdigest()
        db.session.remove()
    return figures


def _timed(prove: Callable[[Any], Any], choose: Callable[[], Any], seconds: float) -> tuple[float, list[Any]]:
    """A second, and (what was asked, what came)."""
    for _ in range(20):
        prove(choose())
    found = []
    began = time.perf_counter()
    while time.perf_counter() - began < seconds:
        asked = choose()
        found.append((asked, prove(asked)))
    return round(len(found) / (time.perf_counter() - began), 1), found


def _prove_as_others(made: Installation, seconds: float) -> dict[str, Any]:
    """The same leaves in SqliteTree; its rates without its cache and with it."""
    path: Path = made.folder / "pymerkle.db"
    with made.connect() as connection:
        data = (bytes(one) for (one,) in connection.execute('SELECT data FROM log_leaf ORDER BY "index"'))
        began = time.perf_counter()
        with SqliteTree(str(path)) as filled:
            filled.append_entries(data)
    figures: dict[str, Any] = {"fill_seconds": round(time.perf_counter() - began, 1)}
    dice = random.Random(1)
    size = int(made.scalar("SELECT max(size) FROM log_checkpoint"))
    for name, options in (("cold", {"disable_cache": True}), ("warm", {})):
        with SqliteTree(str(path), **options) as other:
            began = time.perf_counter()
            other.prove_inclusion(1, size)
            figures[f"{name} first_ms"] = round((time.perf_counter() - began) * 1000, 1)
            figures[f"{name} inclusion"] = _rate_of(partial(_include, other, size, dice), seconds)
            figures[f"{name} consistency"] = _rate_of(partial(_extend, other, size, dice), seconds)
            root = other.get_root(size)
    kept = bytes(made.scalar("SELECT root FROM log_checkpoint ORDER BY size DESC LIMIT 1"))
    assert root == kept, "two implementations, one root"
    path.unlink()
    return figures


def _include(other: SqliteTree, size: int, dice: random.Random) -> None:
    other.prove_inclusion(dice.randrange(size) + 1, size)


def _extend(other: SqliteTree, size: int, dice: random.Random) -> None:
    other.prove_consistency(dice.randrange(1, size), size)


def _rate_of(prove: Callable[[], Any], seconds: float) -> float:
    count = 0
    began = time.perf_counter()
    while time.perf_counter() - began < seconds or count < 3:
        prove()
        count += 1
    return round(count / (time.perf_counter() - began), 2)


# ── the report ───────────────────────────────────────────────────────────────────────────────────────────────────────


def lines(figures: dict[str, Any], baselines: dict[str, float]) -> list[Line]:
    """The rows of the report."""
    of = {engine: figures[engine] for engine in ENGINES}
    others = figures["pymerkle"]
    rows = [Line("leaves before", {engine: f"{one['size']:,}" for engine, one in of.items()})]
    for size in BATCHES:
        found = {engine: one[f"append {size}"] for engine, one in of.items()}
        raw = {engine: one[f"raw {size}"] for engine, one in of.items()}
        goal = f"at least {LEAST_LEAVES:,}" if size >= 100 else ""
        name = f"durable leaves a second, in batches of {size:,}"
        is_met = all(one["per_second"] >= LEAST_LEAVES for one in found.values()) if goal else None
        rows += [
            Line(name, {engine: number(one["per_second"]) for engine, one in found.items()}, goal, is_met),
            Line("… a batch, p50", {engine: milliseconds(one["p50_ms"]) for engine, one in found.items()}),
            Line(
                "… rows of leaves alone, bare commits of the same size",
                {engine: number(one["per_second"]) for engine, one in raw.items()},
            ),
        ]
    noted = {engine: number(one["places"]) for engine, one in of.items() if "places" in one}
    if noted:
        rows.append(Line("places of leaves noted afterwards, a second", noted))
    for kind in ("inclusion", "consistency"):
        times = {engine: one[kind] / others[f"cold {kind}"] for engine, one in of.items()}
        rows += [
            Line(f"proofs of {kind} a second", {engine: number(one[kind]) for engine, one in of.items()}),
            Line(
                f"… of SqliteTree ({others[f'cold {kind}']:,.3g}/s from the database)",
                {engine: f"{number(one)}×" for engine, one in times.items()},
                f"at least {LEAST_TIMES}×",
                min(times.values()) >= LEAST_TIMES,
            ),
            Line(
                f"… of SqliteTree with its cache in memory ({number(others[f'warm {kind}'])}/s)",
                {engine: f"{one[kind] / others[f'warm {kind}']:,.2g}×" for engine, one in of.items()},
            ),
        ]
    rows.append(Line("whole receipts a second", {engine: number(one["receipts"]) for engine, one in of.items()}))
    rows.append(Line("seconds to fill SqliteTree with the same leaves", {"sqlite": number(others["fill_seconds"])}))
    return rows
