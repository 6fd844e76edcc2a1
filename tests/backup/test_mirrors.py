"""Restoring from a mirror: what it must prove, what comes back from it, and who stays gone."""

from __future__ import annotations

import re
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from flask import Flask
from sqlalchemy import select
from time_machine import Traveller as Clock

from charter import cli_backup, create_app, guard, leaves_file, log_key
from charter.backup import restoring
from charter.backup.errors import BackupError
from charter.cli_erase import erase
from charter.models.base import db
from charter.models.log import LogBatch, LogCheckpoint, LogLeaf
from charter.models.registry import PublicEntry
from charter.operations import recovery
from charter.queries import schema
from charter.selfcheck import check_all
from charter.settings import Settings
from charter.tlog import leaf, note
from tests.backup.conftest import NewMachine, back_up, now, settings_of
from tests.backup.kills import killed_at
from tests.backup.mirrors import mirror, replace_in
from tests.backup.test_restore_drill import check_log, everything, totals
from tests.backup.test_restoring import OpenMachine, is_untouched
from tests.house.world import dump
from tests.log_figures import check_figures
from tests.operations.test_publication import batches, published
from tests.operations.test_signing import confirmed, decide, get, withdraw
from tests.pages import Browser
from tests.people import Desk, work
from tests.test_guard import assert_stopped


class Story:
    """A backup, and what happened after it: somebody was published, signed, left."""

    def __init__(self, app: Flask, desk: Desk, clock: Clock) -> None:
        self.app, self.desk, self.clock = app, desk, clock
        self.stays = published(app, desk, clock, 1)
        self.leaves = published(app, desk, clock, 2, name="Гүлнәр Кеткен")
        self.waits = confirmed(app, address="waits@example.org")
        work(app)
        self.backup = back_up(app)
        clock.shift(timedelta(hours=1))
        decide(app, self.waits, desk.id)
        clock.shift(11)
        work(app)
        self.newcomer = published(app, desk, clock, 3, name="Жаңа Келген")
        self.goes = published(app, desk, clock, 4, name="Асқар Кірді")
        withdraw(app, self.leaves)
        withdraw(app, self.goes)
        work(app)
        clock.shift(timedelta(hours=1))


@pytest.fixture
def story(app: Flask, desk: Desk, clock: Clock) -> Story:
    return Story(app, desk, clock)


def lines(app: Flask) -> list[tuple[int, bytes | None, str | None, str | None]]:
    """What the public side holds."""
    with app.app_context():
        rows = db.session.scalars(select(PublicEntry).order_by(PublicEntry.number))
        return [(row.number, row.line, row.name, row.ended_by) for row in rows]


def data(app: Flask) -> list[bytes]:
    with app.app_context():
        return [bytes(one) for one in db.session.scalars(select(LogLeaf.data).order_by(LogLeaf.index))]


def from_mirror(story: Story, settings: Settings, base: Path | str, vkey: str | None = None) -> str:
    said: list[str] = []
    done = restoring.restore(
        story.backup,
        identity=None,
        settings=settings,
        make_app=create_app,
        is_key_new=False,
        now=now(),
        say=said.append,
        mirror=restoring.Mirror(str(base), vkey),
    )
    return done.text


# ── what comes back ──────────────────────────────────────────────────────────────────────────────────────────────────


def test_without_a_leaves_file_the_registry_comes_back_from_a_mirror_line_for_line(
    story: Story, new_machine: NewMachine, open_machine: OpenMachine, tmp_path: Path
) -> None:
    app = story.app
    base = mirror(app, tmp_path / "mirror")
    settings = new_machine(settings_of(app), with_leaves=False)
    shutil.copy(guard.path_of(settings_of(app)), guard.path_of(settings))
    report = from_mirror(story, settings, base)
    found = open_machine(settings)
    assert lines(found) == lines(app)[:-1], "of who came and left meanwhile even the region is gone"
    assert data(found) == data(app), "not even a correction follows"
    rows = dump(found)
    assert +totals(rows) == {"listed": 3, "withdrawn": 1}
    assert +totals(dump(app)) == {"listed": 3, "withdrawn": 2}
    check_log(rows)
    check_figures(rows)

    newcomer = get(app, story.newcomer)
    assert get(found, story.waits).number == 3
    assert f"{newcomer.entry}, number {newcomer.number}" in report.partition("back in the registry")[2]
    assert "LOST" not in report
    assert f"{get(app, story.goes).entry}, number 5" in report.partition("ended after the backup")[2]
    assert "Of these, 1 kept the very line" in report
    assert not re.search("Келген|Кеткен|Кірді|@", report)
    page = Browser(found).get(f"/kk/registry/entries/{newcomer.entry}")
    assert "Жаңа Келген" in page.main
    assert Browser(found).get("/kk/registry/?q=Келген").main.count("Жаңа Келген") >= 1

    # Who left is gone everywhere, with what would open the commitments.
    held = everything(settings)
    for gone in ("Гүлнәр Кеткен", "Асқар Кірді"):
        assert gone not in str(rows["registry_entry"]) + str(rows["registry_word"])
    assert "Асқар Кірді".encode() not in held, "known from the mirror alone, and not on it any more"
    assert not list(settings.backup_path.glob(".working*"))

    check_revisions(batches(found), batches(app))
    check_that_it_goes_on(found, story)
    check_that_they_can_leave(found, newcomer.entry, settings)


def check_that_they_can_leave(found: Flask, entry: str, settings: Settings) -> None:
    """No link leads to an entry whose signature is lost: the Centre takes it away when it is asked to."""
    runner = found.test_cli_runner()
    assert runner.invoke(erase, [entry, "--yes"]).exit_code == 0
    assert "There is no such signature." in runner.invoke(erase, [entry, "--yes"]).output.replace("entry", "signature")
    work(found)
    row = next(row for row in lines(found) if row[0] == 4)
    assert row == (4, None, None, "signatory")
    with found.app_context():
        logged = [leaf.decode(one) for one in data(found)]
        assert [kind for kind, values in logged if values.get("entry") == entry] == [
            "confirm", "publish", "withdraw", "erase",
        ]  # fmt: skip
        assert check_all(settings) == []


def check_revisions(found: list[LogBatch], ours: list[LogBatch]) -> None:
    """What the mirror told bears numbers that the lost machine cannot have used."""
    known = next(batch for batch in reversed(ours) if batch.revision in {one.revision for one in found})
    fresh = [batch for batch in found if batch.revision > known.revision]
    assert fresh[0].revision > ours[-1].revision + (now() - known.at).total_seconds()
    assert [batch.tree_size for batch in found] == sorted(batch.tree_size for batch in found)
    # A batch has the time of its leaves: days are counted by it.
    by_size = {batch.tree_size: batch.at for batch in ours}
    assert all(batch.at == by_size[batch.tree_size] for batch in fresh[:-1])


def check_that_it_goes_on(found: Flask, story: Story) -> None:
    """The guard of the lost machine lets it, the same tree is signed, and the next entry gets the next number."""
    app, settings = story.app, settings_of(found)
    with app.app_context():
        size, root = db.session.execute(
            select(LogCheckpoint.size, LogCheckpoint.root).order_by(LogCheckpoint.size.desc()).limit(1)
        ).one()
    work(found)
    with found.app_context():
        kept = db.session.get(LogCheckpoint, size)
        assert kept is not None
        assert kept.root == root
        note.verify(kept.note, note.parse_key(log_key.signer(settings).vkey), log_key.verify)
    signature_id = confirmed(found, address="next@example.org")
    assert work(found)[0] == 1
    decide(found, signature_id, Desk(found, "Chloe", "chloe@example.org").id)
    story.clock.shift(11)
    work(found)
    assert get(found, signature_id).number == 6
    with found.app_context():
        assert leaves_file.standing(settings).state is leaves_file.State.FOLLOWS
        assert guard.standing(settings).state is guard.State.FOLLOWS
        assert check_all(settings) == []


@pytest.mark.parametrize("engine_name", ["sqlite"])
def test_a_leaves_file_and_a_longer_mirror_are_put_together(
    story: Story, new_machine: NewMachine, open_machine: OpenMachine, tmp_path: Path
) -> None:
    app = story.app
    settings = new_machine(settings_of(app))
    late = published(app, story.desk, story.clock, 6)
    base = mirror(app, tmp_path / "mirror")
    report = from_mirror(story, settings, base)
    found = open_machine(settings)
    assert [row for row in lines(app) if row[0] != 5] == lines(found)
    assert data(found) == data(app)
    assert f"{get(app, late).entry}, number 6" in report
    kept = {batch.revision: batch for batch in batches(app)}
    of_file = [batch for batch in batches(found) if batch.revision in kept]
    assert len(of_file) == len(kept) - 1, "those that the file knows have their own numbers"
    work(found)
    with found.app_context():
        assert leaves_file.standing(settings).state is leaves_file.State.FOLLOWS


@pytest.mark.parametrize("engine_name", ["sqlite"])
def test_a_mirror_that_ends_before_the_backup_or_the_leaves_file_is_no_harm(
    app: Flask, desk: Desk, clock: Clock, new_machine: NewMachine, open_machine: OpenMachine, tmp_path: Path
) -> None:
    early = mirror(app, tmp_path / "early")
    story = Story(app, desk, clock)
    settings = new_machine(settings_of(app), with_leaves=False)
    report = from_mirror(story, settings, early)
    assert "The mirror ends at" in report
    assert "no leaves file" in report
    stopped = open_machine(settings)
    assert get(stopped, story.leaves).state == "published"
    shutil.copy(guard.path_of(settings_of(app)), guard.path_of(settings))
    assert_stopped(stopped, "older than its guard", code="guard_ahead")
    settings = new_machine(settings_of(app))
    report = from_mirror(story, settings, early)
    found = open_machine(settings)
    assert get(found, story.leaves).state == "withdrawn"
    assert data(found)[: len(data(app))] == data(app)


# ── what it must prove ───────────────────────────────────────────────────────────────────────────────────────────────


def test_a_mirror_that_was_tampered_with_is_refused_before_anything_is_changed(
    story: Story, new_machine: NewMachine, tmp_path: Path
) -> None:
    app = story.app
    settings = new_machine(settings_of(app), with_leaves=False)

    def refused(words: str, vkey: str | None = None) -> None:
        with pytest.raises(BackupError, match=words):
            from_mirror(story, settings, tmp_path / "mirror", vkey)
        assert is_untouched(settings)

    def fresh() -> tuple[Path, Path]:
        base = mirror(app, tmp_path / "mirror")
        return base / "log/checkpoint", next((base / "log/tile/entries").glob("000.p/*"))

    checkpoint, bundle = fresh()
    entry = get(app, story.leaves).entry.encode()
    replace_in(bundle, entry, bytes(reversed(entry)))
    refused("its leaves are not the ones that its checkpoint was signed for")
    checkpoint, bundle = fresh()
    bundle.write_bytes(bundle.read_bytes()[:-1])
    refused(r"/log/tile/entries/000.p/\d+ is damaged")
    checkpoint, bundle = fresh()
    bundle.unlink()
    refused(r"The mirror is not whole: /log/tile/entries/000.p/\d+ is missing or too short")
    checkpoint, _ = fresh()
    lines_ = checkpoint.read_text().split("\n")
    checkpoint.write_text("\n".join([lines_[0], "3", *lines_[2:]]))
    refused("its checkpoint is not signed by our key")
    checkpoint.unlink()
    refused("it has no /log/checkpoint")
    fresh()
    other = note.Key(lines_[0], note.ED25519, bytes(range(32)))
    refused("its checkpoint is not signed by our key", other.text)
    refused("What follows --vkey is no key of a log", other.text[:-5])
    with app.app_context():
        vkey = log_key.signer(settings).vkey
    log_key.path_of(settings).unlink()
    refused("Put the log's key in its place, or say by --vkey who signed it")
    shutil.rmtree(tmp_path / "mirror")
    refused("cannot be")
    # One that has gone on may have the full bundle only; and the part `/log` of its name may be given too.
    _, bundle = fresh()
    bundle.rename(bundle.parent.with_suffix(""))
    assert "Re-applied: " in from_mirror(story, settings, tmp_path / "mirror/log", vkey)


@pytest.mark.parametrize("engine_name", ["sqlite"])
def test_a_line_that_no_leaf_commits_to_never_enters_the_registry(
    story: Story, new_machine: NewMachine, open_machine: OpenMachine, tmp_path: Path
) -> None:
    app = story.app
    base = mirror(app, tmp_path / "mirror")
    replace_in(base / "log/registry.ndjson", "Жаңа Келген".encode(), "Бөтен Біреу".encode())
    settings = new_machine(settings_of(app), with_leaves=False)
    report = from_mirror(story, settings, base)
    found = open_machine(settings)
    assert "Бөтен" not in str(lines(found))
    newcomer = get(app, story.newcomer)
    assert f"{newcomer.entry}, number {newcomer.number}" in report.partition("LOST")[2]


@pytest.mark.parametrize("engine_name", ["sqlite"])
def test_a_line_of_somebody_who_left_later_is_left_alone(
    story: Story, new_machine: NewMachine, open_machine: OpenMachine, tmp_path: Path
) -> None:
    app = story.app
    base = mirror(app, tmp_path / "mirror")
    registry = (base / "log/registry.ndjson").read_bytes()
    shutil.copytree(base, tmp_path / "early")
    withdraw(app, story.newcomer)
    withdraw(app, story.waits)
    work(app)
    base = mirror(app, tmp_path / "mirror")
    (base / "log/registry.ndjson").write_bytes(registry)
    settings = new_machine(settings_of(app), with_leaves=False)
    from_mirror(story, settings, base)
    found = open_machine(settings)
    assert [row for row in lines(found) if row[0] == 3] == [(3, None, None, "signatory")]
    assert "Жаңа Келген".encode() not in everything(settings)
    # Nor where only the leaves file knows that they left: the mirror was made before.
    settings = new_machine(settings_of(app))
    from_mirror(story, settings, tmp_path / "early")
    found = open_machine(settings)
    assert [row for row in lines(found) if row[0] == 3] == [(3, None, None, "signatory")]
    assert "Жаңа Келген".encode() not in everything(settings)


@pytest.mark.parametrize("engine_name", ["sqlite"])
def test_another_log_and_a_fork_are_refused_with_a_sentence(
    story: Story, new_machine: NewMachine, make_app: Callable[..., Flask], tmp_path: Path
) -> None:
    app = story.app
    settings = new_machine(settings_of(app))
    with app.app_context():
        signer = log_key.signer(settings)
    # A second log under the same key: it leaves the first one before the backup ends, or after it.
    own = data(app)
    for place, words in ((3, "of another log than the backup"), (len(own) - 2, "are two different logs")):
        forked = [*own[:place], own[-1], *own[place:]]
        base = signed(forked, signer, tmp_path / "fork")
        with pytest.raises(BackupError, match=words):
            from_mirror(story, settings, base)


def signed(leaves: list[bytes], signer: object, folder: Path) -> Path:
    from charter.tlog import tiles
    from charter.tlog.rebuild import Rebuilt, hash_leaves

    built = Rebuilt()
    built.add(hash_leaves(leaves))
    (folder / "log/tile/entries/000.p").mkdir(parents=True, exist_ok=True)
    (folder / "log/checkpoint").write_text(signer.sign(len(leaves), built.root()))  # type: ignore[attr-defined]
    (folder / f"log/tile/entries/000.p/{len(leaves)}").write_bytes(tiles.bundle(leaves))
    return folder


# ── broken off, in place, by command ─────────────────────────────────────────────────────────────────────────────────


def test_killed_amid_a_mirror_it_is_repeated_and_ends_the_same(
    story: Story, new_machine: NewMachine, open_machine: OpenMachine, tmp_path: Path
) -> None:
    app = story.app
    base = mirror(app, tmp_path / "mirror")
    settings = new_machine(settings_of(app), with_leaves=False)
    with app.app_context():
        schema.dispose()
    for step, after in (("replay", True), ("begin_anew", True)):
        killed_at(recovery, step, lambda: from_mirror(story, settings, base), after=after)
    report = from_mirror(story, settings, base)
    found = open_machine(settings)
    assert lines(found) == lines(app)[:-1]
    assert data(found) == data(app)
    assert "1 kept the very line" in report
    assert not list(settings.backup_path.glob(".working*"))


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """A mirror at an address, as any web server would show it."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder))) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def test_the_commands_take_a_mirror(
    story: Story, new_machine: NewMachine, open_machine: OpenMachine, tmp_path: Path, engine_name: str
) -> None:
    app = story.app
    base = mirror(app, tmp_path / "mirror")
    settings = new_machine(settings_of(app), with_leaves=False)
    with app.app_context():
        vkey = log_key.signer(settings).vkey
    found = open_machine(settings)
    runner = found.test_cli_runner()
    done = runner.invoke(cli_backup.restore, [str(story.backup), "--log", str(base), "--vkey", vkey])
    assert done.exit_code == 0, done.output
    assert "Read from the mirror" in done.output
    if engine_name == "sqlite":
        with found.app_context():
            schema.dispose()
    done = runner.invoke(cli_backup.reapply, ["--log", str(base)])
    assert done.exit_code == 1
    assert "not older than its leaves file, nor than the mirror: nothing to re-apply." in done.output
    published(app, story.desk, story.clock, 7)
    # Nothing has gone on from the restored database yet but an empty batch.
    mirror(app, base)
    with served(base) as address:
        done = runner.invoke(cli_backup.reapply, ["--log", address])
    assert done.exit_code == 0, done.output
    assert [row for row in lines(app) if row[0] != 5] == lines(found)
