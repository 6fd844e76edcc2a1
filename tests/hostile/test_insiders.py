"""What somebody with the database in hand may try, and what notices it: docs/insiders.md, line by line.

Each attempt is made in a transaction that is never committed; what a table's triggers refuse is tried once with them,
and once after they were dropped, as who owns the database can.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from flask import Flask
from sqlalchemy import delete, select, text, update
from sqlalchemy.exc import DBAPIError
from structlog.testing import capture_logs
from time_machine import Traveller as Clock

from charter import log_key
from charter.cli_selfcheck import self_check
from charter.models.base import Base, db, writing
from charter.models.decision import Audit
from charter.models.figures import LogTotal, WaitingApplication
from charter.models.log import LogBatch, LogCheckpoint, LogLeaf, LogNode
from charter.models.registry import PublicEntry, RegionCount
from charter.models.signature import Signature, SignatureEvent
from charter.operations import public_side, tree
from charter.queries import selfcheck
from charter.selfcheck import SelfCheck, check_all, kept, path_of
from charter.settings import Settings
from charter.tlog import leaf, verify
from charter.tlog.record import commitment, encode_record
from charter.tlog.tree import hash_leaf
from tests.backup.mirrors import mirror, mirror_session
from tests.operations.test_publication import published
from tests.operations.test_signing import confirmed, get, withdraw
from tests.people import Desk, work
from tests.statements import statements
from tests.test_guard import assert_stopped

#: What an entry loses when it ends.
NAMING = ("line", "name", "affiliation_slug", "affiliation_name")
DOCS = Path(__file__).parents[2] / "docs/insiders.md"


class World(NamedTuple):
    """Numbers 1 and 2 are in the registry, 3 has left it, `waits` is without an answer. gone: the line of number 3."""

    app: Flask
    settings: Settings
    waits: str
    gone: dict[str, Any]


@pytest.fixture
def known(app: Flask, desk: Desk, clock: Clock) -> World:
    for place in range(2):
        published(app, desk, clock, place)
    leaver = published(app, desk, clock, 2)
    with app.app_context():
        row = db.session.execute(select(PublicEntry.__table__).where(PublicEntry.number == 3)).one()
    waits = get(app, confirmed(app, address="waits@example.org")).entry
    withdraw(app, leaver)
    work(app)
    return World(app, app.config["CHARTER"], waits, dict(row._mapping))


# ── attempts ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def run(statement: Any) -> None:
    assert db.session.execute(statement, execution_options={"synchronize_session": False}).rowcount > 0


def changed(table: type[Base], *where: Any, **values: Any) -> Callable[[World], None]:
    return lambda _world: run(update(table).where(*where).values(**values))


def removed(table: type[Base], *where: Any) -> Callable[[World], None]:
    return lambda _world: run(delete(table).where(*where))


def entry(place: int, **values: Any) -> Callable[[World], None]:
    return changed(PublicEntry, PublicEntry.number == place, **values)


def move_totals(by: int) -> None:
    """As a batch would, so that the counters fit."""
    counts = {"listed": RegionCount.listed + by, "withdrawn": RegionCount.withdrawn - by}
    run(update(RegionCount).where(RegionCount.listed > 0).values(**counts))


def line_of(number: int) -> bytes:
    line = db.session.scalar(select(PublicEntry.line).where(PublicEntry.number == number))
    assert line is not None
    return bytes(line)


def edit_line(world: World, **columns: Any) -> None:
    line = line_of(1).replace("Оспанова".encode(), "Басқанова".encode())
    entry(1, line=line, **columns)(world)


def edit_leaf(_world: World, *, with_hash: bool = False, with_nodes: bool = False) -> None:
    data = bytes(db.session.scalar(select(LogLeaf.data).where(LogLeaf.index == 2)))  # type: ignore[arg-type]
    changed = re.sub(rb'"commit":"(.)', lambda found: b'"commit":"' + (b"0" if found[1] != b"0" else b"1"), data)
    values: dict[str, Any] = {"data": changed} | ({"hash": hash_leaf(changed)} if with_hash else {})
    run(update(LogLeaf).where(LogLeaf.index == 2).values(**values))
    if with_nodes:
        run(delete(LogNode))
        while tree.build_past.__wrapped__():  # type: ignore[attr-defined]
            pass


def add_entry(world: World) -> None:
    values = {"kind": "independent", "display": "full", "name": "Жоқ Адам", "affiliation_name": None}
    line = encode_record(
        entry="ab" * 16, salt=bytes(32), rev=1, number=4, region="KZ-75", affiliation=None, charter="specimen-1",
        signed_on=date(2026, 11, 20), **values,
    )  # fmt: skip
    row = PublicEntry(
        number=4, entry="ab" * 16, rev=1, line=line, region_code="KZ-75", edition_slug="specimen-1",
        signed_on=date(2026, 11, 20), words="", sort_key="", **values,
    )  # fmt: skip
    db.session.add(row)
    db.session.flush()


def end_alone(world: World) -> None:
    entry(1, **dict.fromkeys(NAMING), ended_on=date(2026, 11, 20), ended_by="signatory")(world)
    move_totals(-1)


def bring_back(world: World) -> None:
    """With the very line that was destroyed, which somebody had kept."""
    entry(3, **{key: world.gone[key] for key in NAMING}, ended_on=None, ended_by=None)(world)
    move_totals(+1)


def forge(world: World, *leaves: bytes) -> None:
    """Appends leaves as a batch would and signs the tree: an insider with our code, our key and no scruples."""
    last = db.session.scalars(select(LogBatch).order_by(LogBatch.revision.desc()).limit(1)).one()
    grown = public_side.append_batch(
        revision=last.revision + 1, at=last.at, first_index=last.tree_size, data=list(leaves)
    )
    assert grown is not None
    size = last.tree_size + len(leaves)
    tree.add_checkpoint(size, grown.root, log_key.signer(world.settings), at=last.at, after=None)
    db.session.flush()


def moment() -> str:
    return leaf.format_time(db.session.scalars(select(LogBatch.at).order_by(LogBatch.revision.desc()).limit(1)).one())


def publish_unconfirmed(world: World) -> None:
    add_entry(world)
    forge(world, leaf.encode("publish", t=moment(), commit=commitment(line_of(4)), entry="ab" * 16, rev=1))


def revoke_alone(world: World) -> None:
    target = db.session.scalar(select(PublicEntry.entry).where(PublicEntry.number == 1))
    made = leaf.encode("revoke", t=moment(), approvals=["s1", "s2"], entry=target, reason="other")
    forge(world, made.replace(b'["s1","s2"]', b'["s1"]'))
    end_alone(world)


def move_due(world: World) -> None:
    forge(world, leaf.encode("confirm", t=moment(), commit="ab" * 32, due="2027-01-01", entry=world.waits))


def name_in_leaf(world: World) -> None:
    made = leaf.encode("withdraw", t=moment(), entry=world.waits)
    forge(world, made.replace(b'"kind"', '"name":"Әмина","kind"'.encode()))


def add_leaf(_world: World) -> None:
    copied = 'INSERT INTO log_leaf ("index", data, hash, revision) SELECT 99, data, hash, revision FROM log_leaf'
    copied += ' WHERE log_leaf."index" = 2'
    assert db.session.execute(text(copied)).rowcount == 1  # type: ignore[attr-defined]


class Attempt(NamedTuple):
    """guarded: the table whose triggers refuse it. found: codes of the self-check. flagged: those of verify."""

    make: Callable[[World], None]
    guarded: type[Base] | None = None
    found: tuple[str, ...] = ()
    flagged: tuple[str, ...] = ()


ATTEMPTS: dict[str, Attempt] = {
    "record line": Attempt(edit_line, None, ("commitment",), ("record-changed",)),
    "record line and name": Attempt(
        lambda world: edit_line(world, name="Әмина Басқанова"), None, ("commitment",), ("record-changed",)
    ),
    "shown name": Attempt(entry(1, name="Әмина Басқанова"), None, ("columns",)),
    "shown affiliation": Attempt(entry(1, affiliation_name="Басқа ұйым"), None, ("columns",)),
    "shown number": Attempt(entry(1, number=7), None, ("columns",)),
    "shown region": Attempt(entry(1, region_code="KZ-71"), None, ("columns", "counter")),
    "entry invented": Attempt(add_entry, None, ("commitment", "counter"), ("record-added",)),
    "entry deleted": Attempt(removed(PublicEntry, PublicEntry.number == 1), None, ("counter",), ("record-missing",)),
    "entry ended": Attempt(end_alone, None, (), ("record-missing",)),
    "entry brought back": Attempt(bring_back, None, (), ("record-ended",)),
    "leaf": Attempt(edit_leaf, LogLeaf, ("leaf",), ("registry-root", "root", "tile")),
    "leaf's hash": Attempt(changed(LogLeaf, LogLeaf.index == 2, hash=bytes(32)), LogLeaf, ("leaf", "node"), ("tile",)),
    "leaf and hash": Attempt(
        lambda world: edit_leaf(world, with_hash=True), LogLeaf, ("node",), ("registry-root", "root")
    ),
    "leaf, hash and nodes": Attempt(
        lambda world: edit_leaf(world, with_hash=True, with_nodes=True),
        LogLeaf,
        ("checkpoint",),
        ("registry-root", "root"),
    ),
    "leaf added": Attempt(add_leaf, None, ("sequence",)),
    "leaf deleted": Attempt(removed(LogLeaf, LogLeaf.index == 3), LogLeaf, ("commitment", "sequence"), ("bundle",)),
    "node": Attempt(
        changed(LogNode, LogNode.level == 2, LogNode.index == 0, hash=bytes(32)), LogNode, ("checkpoint", "node")
    ),
    "checkpoint": Attempt(
        changed(LogCheckpoint, note=LogCheckpoint.note + "x"), LogCheckpoint, ("checkpoint",), ("checkpoint",)
    ),
    "checkpoint deleted": Attempt(removed(LogCheckpoint, LogCheckpoint.size < 5), LogCheckpoint),
    "counter": Attempt(changed(RegionCount, RegionCount.listed > 0, listed=1000), None, ("counter",)),
    "figure": Attempt(changed(LogTotal, applications=1000), None, ("figures",)),
    "due date shown": Attempt(changed(WaitingApplication, due_on=date(2027, 1, 1)), None, ("due", "figures")),
    "due date of the desk": Attempt(changed(Signature, due_on=date(2027, 1, 1))),
    "due date in the log": Attempt(move_due, None, ("due",), ("due-moved",)),
    "publish without confirm": Attempt(publish_unconfirmed, None, ("counter",), ("publish-without-confirm",)),
    "revoke alone": Attempt(revoke_alone, None, (), ("revoke-approvals",)),
    "name in a leaf": Attempt(name_in_leaf, None, (), ("leaf-form",)),
    "history": Attempt(removed(SignatureEvent), SignatureEvent),
    "audit": Attempt(removed(Audit), Audit),
}


@contextmanager
def tried(world: World, attempt: Attempt, *, is_owner: bool) -> Iterator[None]:
    """The attempt inside a transaction that comes to nothing. is_owner: who may drop triggers does so first."""
    with world.app.app_context():
        try:
            with writing():
                if attempt.guarded is not None and is_owner:
                    drop_triggers(attempt.guarded.__tablename__)
                    if attempt.guarded is LogLeaf:
                        drop_triggers(LogNode.__tablename__)
                attempt.make(world)
                yield
        finally:
            db.session.rollback()


def drop_triggers(table: str) -> None:
    if db.session.get_bind().dialect.name == "postgresql":
        db.session.execute(text(f"DROP TRIGGER {table}_no_change ON {table}"))
        return
    for verb in ("update", "delete"):
        db.session.execute(text(f"DROP TRIGGER {table}_no_{verb}"))


def self_checked() -> tuple[str, ...]:
    """Codes of one whole round over what the session sees."""
    codes = set()
    for walk in selfcheck.WALKS:
        position: int | None = 0
        while position is not None:
            seen = selfcheck.look(walk, position)
            codes |= {one.code for one in seen.findings}
            position = seen.following
    return tuple(sorted(codes))


def verified(world: World, folder: Path, capsys: pytest.CaptureFixture[str], *more: str) -> tuple[str, ...]:
    """Codes that anybody's verifier finds in the files of what the session sees."""
    vkey = log_key.signer(world.settings).vkey
    capsys.readouterr()
    code = verify.main(["--vkey", vkey, "--base", str(mirror_session(folder)), "--json", *more])
    report = json.loads(capsys.readouterr().out)
    assert (code == verify.PROVED) == (not report["findings"]), report
    return tuple(sorted({one["code"] for one in report["findings"]}))


def test_every_attempt_is_noticed_where_the_table_says(
    known: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with known.app.app_context():
        assert (self_checked(), verified(known, tmp_path / "mirror", capsys)) == ((), ())
    found = {}
    for name, attempt in ATTEMPTS.items():
        with tried(known, attempt, is_owner=True):
            found[name] = self_checked(), verified(known, tmp_path / "mirror", capsys)
    wanted = {name: (attempt.found, attempt.flagged) for name, attempt in ATTEMPTS.items()}
    assert {name: one for name, one in found.items() if one != wanted[name]} == {}


def test_triggers_refuse_whoever_does_not_drop_them_first(known: World) -> None:
    for name, attempt in ATTEMPTS.items():
        if attempt.guarded is not None:
            with pytest.raises(DBAPIError, match="append-only"), tried(known, attempt, is_owner=False):
                raise AssertionError(name)


# ── with the key ─────────────────────────────────────────────────────────────────────────────────────────────────────


def sign_anew(world: World) -> None:
    """An insider with the key rewrites a leaf with all that stands on it, and every checkpoint."""
    for table in (LogCheckpoint, LogLeaf, LogNode):
        drop_triggers(table.__tablename__)
    edit_leaf(world, with_hash=True, with_nodes=True)
    run(delete(LogCheckpoint))
    forge(world, leaf.encode("withdraw", t=moment(), entry=world.waits))


def test_a_history_that_was_rewritten_and_signed_again_shows_to_whoever_kept_a_checkpoint(
    known: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    old = mirror(known.app, tmp_path / "old") / "log/checkpoint"
    with known.app.app_context(), writing():
        try:
            sign_anew(known)
            assert verified(known, tmp_path / "mirror", capsys) == (), "nobody else can tell: so keep one"
            assert verified(known, tmp_path / "mirror", capsys, "--old", str(old)) == ("fork",)
        finally:
            db.session.rollback()


def test_the_next_publication_stops_where_the_end_of_the_log_was_changed(known: World) -> None:
    commit(known, lambda: sign_anew(known))
    assert_stopped(known.app, "not the log of its guard", code="guard_differs")


def commit(world: World, change: Callable[[], None]) -> None:
    with world.app.app_context(), writing():
        change()
        db.session.commit()


# ── what is found stops publication ──────────────────────────────────────────────────────────────────────────────────


def check(world: World) -> list[str]:
    with world.app.app_context():
        return [one.code for one in check_all(world.settings)]


def test_what_the_self_check_finds_stops_publication_until_it_is_mended(known: World) -> None:
    name = "Әмина Оспанова"
    assert check(known) == []
    commit(known, lambda: entry(1, name="Әмина Басқанова")(known))
    with capture_logs() as lines:
        assert check(known) == ["columns"]
    told = json.dumps(lines, ensure_ascii=False, default=str) + path_of(known.settings).read_text()
    assert "entry number 1" in told
    assert "Әмина" not in told
    assert_stopped(known.app, "the registry differs from its log", code="selfcheck")
    commit(known, lambda: entry(1, name=name)(known))
    assert check(known) == []
    assert not path_of(known.settings).exists()
    assert work(known.app)[0] > 0


def test_each_finding_is_looked_at_again_by_itself(known: World) -> None:
    """Whatever walk it was found in: what stays is kept, and counted once."""
    for name in ("shown region", "leaf", "checkpoint", "due date shown", "figure", "entry deleted"):
        attempt = ATTEMPTS[name]
        with known.app.app_context(), writing():
            found = []
            try:
                if attempt.guarded is not None:
                    drop_triggers(attempt.guarded.__tablename__)
                attempt.make(known)
                for walk in selfcheck.WALKS:
                    position: int | None = 0
                    while position is not None:
                        seen = selfcheck.look(walk, position)
                        found += seen.findings
                        position = seen.following
                assert found, name
                for one in found:
                    assert one in selfcheck.look(one.walk, one.position, most=1).findings, one
            finally:
                db.session.rollback()


def test_a_step_reads_little_and_the_round_comes_to_everything(known: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(selfcheck, "ENTRIES_AT_ONCE", 1)
    monkeypatch.setattr(selfcheck, "CHECKPOINTS_AT_ONCE", 1)
    monkeypatch.setattr(selfcheck, "WINDOW_LEVEL", 1)
    monkeypatch.setattr(selfcheck, "WINDOW", 2)
    with known.app.app_context():
        checker = SelfCheck(known.settings)
        with statements(known.app) as said:
            assert checker.step(at_once=True)
        assert len(said) < 12
        steps = 1
        while checker.step(at_once=True):
            steps += 1
        assert steps > 30
        assert list(kept(known.settings)) == []
    for name in ("leaf's hash", "leaf and hash", "leaf, hash and nodes", "node", "shown name"):
        with tried(known, ATTEMPTS[name], is_owner=True):
            assert set(self_checked()) == set(ATTEMPTS[name].found), name


# ── what is not caught, honestly ─────────────────────────────────────────────────────────────────────────────────────


def test_people_invented_with_all_their_papers_are_not_noticed(
    known: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with known.app.app_context(), writing():
        try:
            at = moment()
            confirmed_ = leaf.encode("confirm", t=at, commit="ab" * 32, due="2026-11-27", entry="ab" * 16)
            add_entry(known)
            line = line_of(4)
            forge(known, confirmed_, leaf.encode("publish", t=at, commit=commitment(line), entry="ab" * 16, rev=1))
            move_totals_of_one_more()
            assert (self_checked(), verified(known, tmp_path / "mirror", capsys)) == ((), ())
        finally:
            db.session.rollback()


def move_totals_of_one_more() -> None:
    run(update(RegionCount).where(RegionCount.listed > 0).values(listed=RegionCount.listed + 1))


def test_an_application_that_is_left_without_an_answer_is_counted_for_everybody(
    known: World, clock: Clock, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    clock.shift(timedelta(days=30))
    confirmed(known.app, address="later@example.org")
    work(known.app)
    vkey = log_key.signer(known.settings).vkey
    capsys.readouterr()
    base = mirror(known.app, tmp_path / "mirror")
    assert verify.main(["--vkey", vkey, "--base", str(base), "--json"]) == verify.PROVED
    assert json.loads(capsys.readouterr().out)["counts"]["overdue"] == 1


# ── the table ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_table_in_the_docs_says_what_was_tried() -> None:
    rows = re.findall(r"^\| .*? \(`([^`]+)`\) \| (yes|–) \| (.*?) \| (.*?) \|$", DOCS.read_text(), re.MULTILINE)

    def codes(cell: str) -> tuple[str, ...]:
        return tuple(re.findall(r"`([^`]+)`", cell))

    table = {name: (trigger == "yes", codes(found), codes(flagged)) for name, trigger, found, flagged in rows}
    assert table == {name: (one.guarded is not None, one.found, one.flagged) for name, one in ATTEMPTS.items()}


def test_the_command_looks_at_everything_at_once(known: World) -> None:
    runner = known.app.test_cli_runner()
    done = runner.invoke(self_check)
    assert (done.exit_code, done.output) == (0, "All agrees.\n")
    commit(known, lambda: entry(2, name="Басқа")(known))
    done = runner.invoke(self_check)
    assert done.exit_code == 1
    assert done.output.splitlines()[0] == "columns: entry number 2"
    assert "nothing is published until it is mended" in done.output
    with known.app.app_context(), writing():
        drop_triggers(LogNode.__tablename__)
        run(delete(LogNode))
        db.session.commit()
    assert "let the worker build it first" in runner.invoke(self_check).output
