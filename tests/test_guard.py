"""Never sign a fork: the guard follows each commit, and stops a database that does not continue what was signed."""

from __future__ import annotations

import errno
import os
import secrets
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select
from sqlalchemy.engine import make_url
from structlog.testing import capture_logs
from time_machine import Traveller as Clock

from charter import create_app, guard, lasting, leaves_file, log_key, publishing
from charter.models.base import db, writing
from charter.models.log import LogBatch, LogCheckpoint, LogLeaf
from charter.operations import publication, standing, tree
from charter.queries import standing as shown
from charter.settings import Settings
from charter.tlog.note import Checkpoint
from tests.conftest import MakeApp
from tests.operations.test_races import at_once
from tests.operations.test_signing import confirmed, now
from tests.pages import Browser
from tests.people import Desk, work
from tests.postgres import drop_database, fresh_database
from tests.statements import statements

SAID = publishing._said


@pytest.fixture(autouse=True)
def nothing_said_yet() -> None:
    SAID.clear()
    leaves_file._said.clear()


def config(app: Flask) -> Settings:
    settings: Settings = app.config["CHARTER"]
    return settings


def guarded(app: Flask) -> Checkpoint | None:
    return guard.read(config(app))


def signed(app: Flask) -> list[tuple[int, bytes]]:
    with app.app_context():
        rows = db.session.execute(select(LogCheckpoint.size, LogCheckpoint.root).order_by(LogCheckpoint.size))
        return [(row.size, bytes(row.root)) for row in rows]


def leaf_count(app: Flask) -> int:
    with app.app_context():
        return len(db.session.scalars(select(LogLeaf.index)).all())


def sizes_shown(app: Flask) -> tuple[int, int]:
    with app.app_context():
        found = shown.guarded_checkpoint(), shown.served_checkpoint()
        return tuple(0 if one is None else one.size for one in found)  # type: ignore[return-value]


def confirm_more(app: Flask, count: int = 1) -> None:
    """Leaves that wait."""
    for _ in range(count):
        confirmed(app, address=f"{secrets.token_hex(6)}@example.org")


def assert_stopped(app: Flask, word: str, *, code: str) -> None:
    """Nothing is published, and the operator, the staff and nobody else hears of it."""
    before = leaf_count(app), signed(app), guarded_bytes(app)
    confirm_more(app)
    SAID.clear()
    with capture_logs() as lines:
        work(app)
        work(app)
    assert (leaf_count(app), signed(app), guarded_bytes(app)) == before
    said = [line for line in lines if line["event"] == "publication stopped"]
    assert [line["log_level"] for line in said] == ["error"], "one line, not one a round"
    assert len(said[0]["reason"]) > 30
    assert SAID[config(app).log_path] == code
    answer = app.test_client().get("/readyz")
    assert (answer.status_code, answer.json["log"]) == (200, word)
    page = Browser(app).get("/ru/registry/")
    assert page.response.status_code == 200
    assert "readyz" not in page.text


def assert_goes_on(app: Flask) -> None:
    """What waited is published, guarded and shown."""
    before = leaf_count(app)
    confirm_more(app)
    assert work(app)[0] > 0
    assert leaf_count(app) > before
    assert_whole(app)


def assert_whole(app: Flask) -> None:
    """Leaves without gaps, the newest checkpoint of all of them, in the guard and shown."""
    with app.app_context():
        assert db.session.scalars(select(LogLeaf.index).order_by(LogLeaf.index)).all() == list(range(leaf_count(app)))
        last = db.session.scalars(select(LogBatch).order_by(LogBatch.revision.desc())).first()
    assert last is not None
    size, root = signed(app)[-1]
    assert size == last.tree_size == leaf_count(app)
    found = guarded(app)
    assert found is not None and (found.size, found.root) == (size, root)
    assert sizes_shown(app) == (size, size)
    assert app.test_client().get("/readyz").json["log"] == "ok"


def guarded_bytes(app: Flask) -> bytes | None:
    path = guard.path_of(config(app))
    return path.read_bytes() if path.is_file() else None


@pytest.fixture
def old_copy(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[Flask], Callable[[], Flask]]]:
    """Copies a database as it is now; what it returns starts the service on that copy, in the same instance folder."""
    apps: list[Flask] = []
    urls: list[str] = []

    def take(app: Flask) -> Callable[[], Flask]:
        url = config(app).database_url
        with app.app_context():
            db.session.remove()
            db.engine.dispose()
        if url.startswith("sqlite"):
            path = tmp_path / f"copy{len(list(tmp_path.glob('copy*')))}.db"
            with closing(sqlite3.connect(make_url(url).database)) as source, closing(sqlite3.connect(path)) as target:
                source.backup(target)
            copied = f"sqlite:///{path}"
        else:
            copied = fresh_database(request.getfixturevalue("postgres_url"), template=make_url(url).database)
            urls.append(copied)

        def start() -> Flask:
            made = create_app(replace(config(app), database_url=copied))
            made.testing = False
            apps.append(made)
            return made

        return start

    yield take
    for app in apps:
        with app.app_context():
            db.session.remove()
            db.engine.dispose()
    for url in urls:
        drop_database(url)


def forget_leaves(app: Flask) -> None:
    """Without the leaves file: what stops is the guard alone."""
    shutil.rmtree(config(app).backup_path)
    leaves_file._said.clear()


# ── following ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_guard_follows_each_batch(app: Flask, clock: Clock) -> None:
    assert_whole(app)
    for _ in range(3):
        assert_goes_on(app)
    path = guard.path_of(config(app))
    assert path.stat().st_mode & 0o777 == 0o600
    origin, size, _root = path.read_text().splitlines()
    assert (origin, int(size)) == ("127.0.0.1:8000/log", leaf_count(app))
    assert [one.name for one in path.parent.iterdir() if one.name.startswith(".log")] == [], "no draft is left"


def test_a_round_with_nothing_to_do_writes_nothing_and_asks_as_often_whatever_the_size(
    app: Flask, clock: Clock
) -> None:
    work(app)
    changed_at = guard.path_of(config(app)).stat().st_mtime_ns

    def asked() -> list[str]:
        with app.app_context(), statements(app) as found:
            publishing.publish()
            db.session.remove()
        return found

    few = asked()
    assert not [one for one in few if one.lstrip().upper().startswith(("INSERT", "UPDATE", "DELETE"))]
    assert guard.path_of(config(app)).stat().st_mtime_ns == changed_at
    for _ in range(3):
        confirm_more(app, 3)
        work(app)
    assert len(asked()) == len(few)


STEPS = [
    (publication, "append_batch"),
    (tree, "add_checkpoint"),
    (leaves_file, "_catch_up"),
    (guard, "advance"),
    (lasting, "replace"),
    (standing, "note_guarded"),
]


class KilledError(BaseException):
    """As if the process ended here."""


@pytest.mark.parametrize(("module", "name"), STEPS, ids=[name for _, name in STEPS])
def test_a_worker_killed_at_any_step_leaves_all_or_nothing_and_the_guard_never_ahead(
    app: Flask, clock: Clock, monkeypatch: pytest.MonkeyPatch, module: Any, name: str
) -> None:
    work(app)
    before = leaf_count(app)
    confirm_more(app, 2)
    real = getattr(module, name)

    def die(*args: object, **more: object) -> object:
        # Before the batch these do nothing: only the round after it matters.
        if name in {"_catch_up", "advance"} and leaf_count(app) == before:
            return real(*args, **more)
        raise KilledError

    monkeypatch.setattr(module, name, die)
    with pytest.raises(KilledError):
        work(app)
    monkeypatch.undo()
    assert leaf_count(app) in {before, before + 2}
    found = guarded(app)
    assert found is not None and (found.size, found.root) in signed(app)
    assert sizes_shown(app)[1] <= found.size <= leaf_count(app)
    work(app)
    assert leaf_count(app) == before + 2
    assert_whole(app)


def test_two_workers_share_the_guard(app: Flask, clock: Clock) -> None:
    confirm_more(app, 6)
    results = at_once(app, *[publishing.publish] * 3)
    assert sorted(results) == [0, 0, 6], results
    assert_whole(app)


# ── a database that is not what it was ───────────────────────────────────────────────────────────────────────────────


def test_from_an_old_copy_nothing_is_published_and_the_staff_see_why(
    app: Flask, clock: Clock, old_copy: Callable[[Flask], Callable[[], Flask]]
) -> None:
    assert_goes_on(app)
    start = old_copy(app)
    assert_goes_on(app)
    forget_leaves(app)
    old = start()
    desk = Desk(old, "Bruno", "bruno@example.org")
    assert_stopped(old, "older than its guard", code="guard_ahead")
    for path in ("/staff/", "/staff/mail/"):
        assert "Nothing is being published just now" in desk.browser.get(path).text
    # Back on the right one all goes on.
    work(app)
    assert_whole(app)


@pytest.mark.parametrize("engine_name", ["sqlite"], indirect=True)
def test_the_staff_see_it_too_where_the_worker_has_a_disk_of_its_own(app: Flask, desk: Desk, clock: Clock) -> None:
    forget_leaves(app)
    guard.path_of(config(app)).unlink()
    confirm_more(app)
    assert "Nothing is being published" not in desk.queue().text
    clock.shift(120)
    assert "Nothing is being published" not in desk.queue().text, "this process looked a moment ago"
    # Another one has not.
    other = create_app(config(app))
    stopped = Desk(other, "Dana", "dana@example.org").queue().text
    assert "Nothing is being published just now" in stopped


def test_an_old_copy_that_has_grown_as_far_or_further_is_another_log(
    app: Flask, clock: Clock, old_copy: Callable[[Flask], Callable[[], Flask]]
) -> None:
    start = old_copy(app)
    assert_goes_on(app)
    forget_leaves(app)
    other = start()
    confirm_more(other)
    for more in (0, 1):
        # Somebody publishes past the guard, and what waits then is published past it in the second turn.
        with other.app_context():
            assert publication.publish_batch(now=now(), signer=log_key.signer(config(other)))
        assert leaf_count(other) == leaf_count(app) + more
        assert_stopped(other, "not the log of its guard", code="guard_differs")


def test_the_transaction_that_signs_looks_once_more_itself(app: Flask, clock: Clock) -> None:
    assert_goes_on(app)
    size, root = signed(app)[-1]
    signer = log_key.signer(config(app))
    confirm_more(app)
    before = leaf_count(app), signed(app)
    for after in (Checkpoint(signer.origin, size, bytes(32)), Checkpoint(signer.origin, size + 2, root)):
        with app.app_context(), pytest.raises(tree.ForkError):
            publication.publish_batch(now=now(), signer=signer, after=after)
        assert (leaf_count(app), signed(app)) == before
    with app.app_context():
        assert publication.publish_batch(now=now(), signer=signer, after=Checkpoint(signer.origin, size, root))


def test_a_checkpoint_that_is_not_of_its_tree_is_not_guarded(app: Flask, clock: Clock) -> None:
    signer = log_key.signer(config(app))
    confirm_more(app)
    with app.app_context():
        publication.publish_batch(now=now(), signer=None)
        size = leaf_count(app)
    with app.app_context(), writing():
        # Whoever has the key and the database signs what is not there.
        db.session.add(LogCheckpoint(size=size, root=bytes(32), at=now(), note=signer.sign(size, bytes(32))))
        db.session.commit()
    assert_stopped(app, "not the log of its guard", code="guard_differs")


# ── the file itself ──────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "data", [b"", b"something else", b"a/log\n3\n", b"a/log\n03\n" + b"A" * 43 + b"=\n", b"\xff" * 9]
)
@pytest.mark.parametrize("engine_name", ["sqlite"], indirect=True)
def test_a_guard_that_is_none_stops_publication(app: Flask, clock: Clock, data: bytes) -> None:
    path = guard.path_of(config(app))
    whole = path.read_bytes()
    path.write_bytes(data)
    assert_stopped(app, "the guard cannot be used", code="guard_unusable")
    path.write_bytes(whole)
    work(app)
    assert_whole(app)


def test_a_disk_that_refuses_the_guard_stops_after_one_batch(
    app: Flask, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    work(app)
    before = guarded_bytes(app)
    monkeypatch.setattr(os, "replace", _full)
    confirm_more(app)
    assert work(app)[0] == 1
    assert guarded_bytes(app) == before
    assert sizes_shown(app) == (signed(app)[-2][0],) * 2, "what is not guarded is not shown"
    confirm_more(app)
    count = leaf_count(app)
    with capture_logs() as lines:
        work(app)
    assert leaf_count(app) == count
    assert not lines or "published" not in {line["event"] for line in lines}
    monkeypatch.undo()
    work(app)
    assert leaf_count(app) == count + 1
    assert_whole(app)


def _full(*_args: object) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


def test_a_machine_without_a_guard_takes_up_where_its_own_key_signed(app: Flask, clock: Clock) -> None:
    assert_goes_on(app)
    guard.path_of(config(app)).unlink()
    with capture_logs() as lines:
        work(app)
    assert [line["size"] for line in lines if line["event"] == "the guard begins"] == [leaf_count(app)]
    assert_whole(app)
    assert_goes_on(app)


def test_a_machine_without_a_guard_takes_up_no_log_of_another_key(app: Flask, clock: Clock, tmp_path: Path) -> None:
    assert_goes_on(app)
    guard.path_of(config(app)).unlink()
    log_key.path_of(config(app)).unlink()
    log_key.make(config(app))
    assert_stopped(app, "unknown", code="key_other")
    assert guarded_bytes(app) is None


def test_both_files_of_the_log_lie_where_the_settings_say(make_app: MakeApp, clock: Clock, tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    kept.mkdir()
    app = make_app(log_path=str(kept))
    for name in (log_key.NAME, guard.NAME):
        shutil.move(config(app).instance_path / name, kept)
    assert_goes_on(app)
    assert {path.name for path in kept.iterdir()} == {log_key.NAME, guard.NAME, "log.lock"}
    assert not [name for name in (log_key.NAME, guard.NAME) if (config(app).instance_path / name).exists()]
