"""The leaves file follows every publication, survives what a disk does, and stops a database that is too old."""

from __future__ import annotations

import errno
import fcntl
import io
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select, text
from structlog.testing import capture_logs
from time_machine import Traveller as Clock

from charter import leaves_file
from charter.leaves_file import Standing, State
from charter.models.base import db, writing
from charter.models.log import RESTORE_MARK, LogBatch, LogLeaf
from charter.operations import publication
from charter.tlog.leaves_text import Batch, Closing, encode_closing, find_end, read_batches
from tests.backup.conftest import now, settings_of
from tests.operations.test_publication import batches
from tests.operations.test_signing import confirmed, get, leaves, withdraw
from tests.people import work


@pytest.fixture(autouse=True)
def nothing_said_yet() -> None:
    leaves_file._said.clear()


def path_of(app: Flask) -> Path:
    return leaves_file.path_of(settings_of(app))


def standing(app: Flask) -> Standing:
    with app.app_context():
        return leaves_file.standing(settings_of(app))


def follow(app: Flask) -> Standing:
    with app.app_context():
        return leaves_file.follow(settings_of(app))


def publish(app: Flask, count: int = 1) -> None:
    """Batches that the file does not hear of."""
    for place in range(count):
        confirmed(app, address=f"{len(batches(app))}-{place}@example.org")
        with app.app_context():
            assert publication.publish_batch(now=now())


def written(app: Flask) -> list[Batch]:
    data = io.BytesIO(path_of(app).read_bytes())
    end = find_end(data)
    return [] if end is None else list(read_batches(data, end=end.position))


def kept(app: Flask) -> list[Batch]:
    """The same from the database."""
    with app.app_context():
        found = []
        for row in db.session.scalars(select(LogBatch).order_by(LogBatch.revision)):
            data = db.session.scalars(
                select(LogLeaf.data).where(LogLeaf.revision == row.revision).order_by(LogLeaf.index)
            )
            found.append(Batch(Closing(row.revision, row.tree_size, row.at), tuple(bytes(leaf) for leaf in data)))
        return found


# ── following ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_worker_appends_each_batch_byte_for_byte(app: Flask, clock: Clock) -> None:
    work(app)
    first = path_of(app).read_bytes()
    confirmed(app, address="one@example.org")
    leaver = confirmed(app, address="two@example.org")
    work(app)
    withdraw(app, leaver)
    work(app)
    assert path_of(app).read_bytes().startswith(first)
    assert written(app) == kept(app)
    # The second one has no leaves: with it a day began.
    assert [len(batch.leaves) for batch in written(app)] == [2, 0, 2, 1]
    assert path_of(app).stat().st_mode & 0o777 == 0o600
    assert standing(app) == Standing(State.FOLLOWS, 0)


@pytest.mark.parametrize("engine_name", ["sqlite"])
def test_nobody_is_named_in_it(app: Flask, clock: Clock) -> None:
    confirmed(app)
    work(app)
    data = path_of(app).read_bytes()
    for word in ("Әмина", "Оспанова", "amina@", "KZ-75"):
        assert word.encode() not in data


def test_a_file_that_is_missing_or_behind_catches_up_some_at_a_time(
    app: Flask, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(app, 5)
    shutil.rmtree(path_of(app).parent, ignore_errors=True)
    assert standing(app) == Standing(State.BEHIND, 7)
    assert not path_of(app).exists(), "looking changes nothing"
    monkeypatch.setattr(leaves_file, "LEAVES_A_ROUND", 2)
    monkeypatch.setattr(leaves_file, "BATCHES_AT_ONCE", 3)
    assert [follow(app) for _ in range(5)] == [
        Standing(State.BEHIND, 5),
        Standing(State.BEHIND, 3),
        Standing(State.BEHIND, 1),
        Standing(State.FOLLOWS, 0),
        Standing(State.FOLLOWS, 0),
    ]
    assert written(app) == kept(app)
    assert path_of(app).parent.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("torn", [b'{"commit":"xy', b'{"n":1}\n{"n":2}\n', b"# batch 9 size 9 at 2026", b"\0" * 100])
@pytest.mark.parametrize("engine_name", ["sqlite"])
def test_a_batch_that_was_torn_off_is_cut_away(app: Flask, clock: Clock, torn: bytes) -> None:
    work(app)
    with path_of(app).open("ab") as file:
        file.write(torn)
    assert standing(app) == Standing(State.FOLLOWS, 0)
    publish(app)
    follow(app)
    assert written(app) == kept(app)
    assert torn not in path_of(app).read_bytes()


@pytest.mark.parametrize("engine_name", ["sqlite"])
def test_one_append_reads_and_writes_the_same_whatever_the_size(app: Flask, clock: Clock) -> None:
    work(app)
    # As if a million leaves stood before: a hole in the file where nobody may look.
    data = path_of(app).read_bytes()
    with path_of(app).open("r+b") as file:
        file.truncate(4_000_000_000)
        file.seek(4_000_000_000)
        file.write(b"\n" + data)
    publish(app)
    assert follow(app) == Standing(State.FOLLOWS, 0)
    assert path_of(app).stat().st_size < 4_000_000_000 + 2 * len(data) + 1000


def test_while_another_process_writes_nothing_is_done(app: Flask, clock: Clock) -> None:
    work(app)
    publish(app)
    with path_of(app).open("rb") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        before = path_of(app).read_bytes()
        assert follow(app) == Standing(State.BEHIND, 1)
        assert path_of(app).read_bytes() == before
    assert follow(app) == Standing(State.FOLLOWS, 0)


# ── a disk that refuses ──────────────────────────────────────────────────────────────────────────────────────────────


def test_a_full_disk_delays_nothing_and_the_file_catches_up(
    app: Flask, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    work(app)
    before = path_of(app).read_bytes()
    real = leaves_file._write_all

    def refuse(file: Any, data: bytes) -> None:
        real(file, data[: len(data) // 2])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(leaves_file, "_write_all", refuse)
    signature_id = confirmed(app)
    with capture_logs() as lines:
        work(app)
        work(app)
    assert [leaf["kind"] for leaf in leaves(app, get(app, signature_id).entry)] == ["confirm"]
    assert path_of(app).read_bytes() == before, "whole batches only"
    said = [line for line in lines if line["event"] == "leaves file"]
    assert said == [{"event": "leaves file", "log_level": "error", "problem": "ENOSPC", "behind": said[0]["behind"]}]
    monkeypatch.undo()
    assert standing(app) == Standing(State.BEHIND, 1)
    work(app)
    assert written(app) == kept(app)


@pytest.mark.parametrize("engine_name", ["sqlite"])
def test_a_folder_that_cannot_be_made_delays_nothing(app: Flask, clock: Clock) -> None:
    shutil.rmtree(path_of(app).parent, ignore_errors=True)
    path_of(app).parent.write_text("not a folder")
    signature_id = confirmed(app)
    work(app)
    assert leaves(app, get(app, signature_id).entry)
    assert standing(app) == Standing(State.UNUSABLE, 3)


@pytest.mark.parametrize("engine_name", ["sqlite"])
def test_a_file_full_of_something_else_delays_nothing_and_is_left_alone(
    app: Flask, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    work(app)
    monkeypatch.setattr("charter.tlog.leaves_text.MOST_BLOCK_BYTES", 64 * 1024)
    path_of(app).write_bytes(b"something else\n" * 20_000)
    signature_id = confirmed(app)
    work(app)
    assert leaves(app, get(app, signature_id).entry)
    assert standing(app).state is State.UNUSABLE
    assert path_of(app).read_bytes().endswith(b"something else\n")


# ── a database that is not what it was ───────────────────────────────────────────────────────────────────────────────


def ahead(app: Flask) -> None:
    """The file knows a batch that the database has lost."""
    last = written(app)[-1].closing
    with path_of(app).open("ab") as file:
        file.write(encode_closing(Closing(last.revision + 1, last.tree_size, last.at)))


def other_leaf(app: Flask) -> None:
    data = path_of(app).read_bytes()
    place = data.rindex(b'"files":{"en":"') + 15
    path_of(app).write_bytes(data[:place] + (b"0" if data[place:][:1] != b"0" else b"1") + data[place + 1 :])


def other_time(app: Flask) -> None:
    data = path_of(app).read_bytes()
    place = data.rindex(b"T")  # of the last batch
    path_of(app).write_bytes(data[:place] + b"T03:" + data[place + 4 :])


CASES = [
    (ahead, State.AHEAD, "older than its leaves file"),
    (other_leaf, State.DIFFERS, "not the log of its leaves file"),
    (other_time, State.DIFFERS, "not the log of its leaves file"),
]


@pytest.mark.parametrize(("spoil", "state", "words"), CASES)
def test_from_an_old_or_another_database_nothing_is_published(
    app: Flask, clock: Clock, spoil: Any, state: State, words: str
) -> None:
    work(app)
    spoil(app)
    data = path_of(app).read_bytes()
    signature_id = confirmed(app)
    count = len(batches(app))
    with capture_logs() as lines:
        assert work(app) == (0, 1), "mail goes on, publication does not"
        work(app)
    assert len(batches(app)) == count
    assert leaves(app, get(app, signature_id).entry) == []
    assert path_of(app).read_bytes() == data
    stopped = [line for line in lines if line["event"] == "publication stopped"]
    assert len(stopped) == 1
    assert stopped[0]["log_level"] == "error"
    assert standing(app).state is state
    assert not standing(app).may_publish
    answer = app.test_client().get("/readyz")
    assert answer.status_code == 200, "what was published can still be read"
    assert words in answer.get_json().values()


def test_an_old_copy_is_found_out_also_while_somebody_else_looks(app: Flask, clock: Clock) -> None:
    work(app)
    ahead(app)
    with path_of(app).open("rb") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        assert follow(app).state is State.AHEAD


@pytest.mark.parametrize("engine_name", ["sqlite"])
def test_with_the_file_moved_away_publication_goes_on(app: Flask, clock: Clock) -> None:
    work(app)
    ahead(app)
    os.replace(path_of(app), path_of(app).with_suffix(".other"))
    confirmed(app)
    assert work(app)[0] == 1
    assert written(app) == kept(app)


@pytest.mark.parametrize("engine_name", ["postgresql"])
def test_nothing_is_published_while_a_restore_works_on_the_database(app: Flask, clock: Clock) -> None:
    work(app)
    confirmed(app)
    with app.app_context(), writing():
        db.session.execute(text(f"CREATE TABLE {RESTORE_MARK} (sha256 text)"))
        db.session.commit()
    assert work(app)[0] == 0
    assert standing(app).state is State.RESTORING
    with app.app_context(), writing():
        db.session.execute(text(f"DROP TABLE {RESTORE_MARK}"))
        db.session.commit()
    assert work(app)[0] == 1
