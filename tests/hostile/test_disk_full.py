"""A small disk without room: nothing is acknowledged that is not stored, and readers notice nothing."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import time_machine
from flask import Flask
from sqlalchemy import select
from sqlalchemy.engine import make_url
from sqlalchemy.exc import SQLAlchemyError

from charter import cli, create_app, worker
from charter.models.base import db
from charter.models.signature import Signature
from charter.queries import schema
from tests.conftest import MONDAY, make_settings
from tests.hostile import broken
from tests.hostile.test_degradation import PUBLIC, filled, let_go, told
from tests.pages import Browser
from tests.people import mails, work
from tests.postgres import _unprivileged_user, fresh_database

#: More signatures than this mean that the disk does not fill.
MOST = 2000


@contextmanager
def small_disk(folder: Path, *, megabytes: int) -> Iterator[Path]:
    """A file system of that size. Needs root: skips loudly without, and fails with CI=true."""
    folder.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "charter-test", str(folder)],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        if os.environ.get("CI") == "true":
            pytest.fail(f"a small disk is needed with CI=true: {done.stderr}", pytrace=False)
        pytest.skip(f"NO SMALL DISK, which only root can mount: {done.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)
        folder.rmdir()


def fill(folder: Path, *, leave_bytes: int) -> None:
    """Takes nearly all the room that is left."""
    free = os.statvfs(folder).f_bavail * os.statvfs(folder).f_frsize
    with (folder / f"ballast{len(list(folder.glob('ballast*')))}").open("wb") as file:
        if free > leave_bytes:
            os.posix_fallocate(file.fileno(), 0, free - leave_bytes)


def make_room(folder: Path) -> None:
    """Takes the ballast away."""
    for ballast in folder.glob("ballast*"):
        ballast.unlink()


def sign_until_full(browser: Browser, fields: dict[str, str], *, prefix: str) -> set[str]:
    """Addresses that were acknowledged before the first 503."""
    acknowledged = set()
    for place in range(MOST):
        address = f"{prefix}{place}@example.org"
        answer = browser.client.post("/ru/sign/", data={**fields, "email": address})
        if answer.status_code == 503:
            assert "Оспанова" in told(answer)
            return acknowledged
        assert answer.status_code == 303
        acknowledged.add(address)
    raise AssertionError("the disk does not fill")


def stored(app: Flask) -> set[str]:
    with app.app_context():
        return set(db.session.scalars(select(Signature.email)))


def check(app: Flask, disk: Path, *, leave_bytes: int) -> None:
    """Full, and room again, twice: the disk may fill in the middle of anything."""
    browser, fields = filled(app)
    before = {path: app.test_client().get(path).text for path in (f"/ru/{part}" for part in PUBLIC)}
    acknowledged: set[str] = set()
    for turn in range(2):
        fill(disk, leave_bytes=leave_bytes)
        acknowledged |= sign_until_full(browser, fields, prefix=f"t{turn}n")
        for path, page in before.items():
            answer = app.test_client().get(path)
            assert (answer.status_code, answer.text) == (200, page)
        assert acknowledged <= stored(app)
        fill(disk, leave_bytes=0)
        told(browser.client.post("/ru/sign/", data={**fields, "email": "nobody@example.org"}))
        make_room(disk)
        later = f"later{turn}@example.org"
        broken.wait_for(
            lambda later=later: browser.client.post("/ru/sign/", data={**fields, "email": later}).status_code == 303
        )
        acknowledged.add(later)
    assert stored(app) >= acknowledged
    assert "nobody@example.org" not in stored(app)
    assert len(acknowledged) > 2
    while work(app)[1]:
        pass
    assert {mail["To"] for mail in mails(app)} == acknowledged


@pytest.mark.usefixtures("clock")
def test_with_the_database_and_its_mail_on_a_full_disk(tmp_path: Path, sqlite_template: Path) -> None:
    with small_disk(tmp_path / "disk", megabytes=16) as disk:
        shutil.copytree(sqlite_template, disk / "instance")
        app = create_app(make_settings(disk / "instance", database_busy_timeout_ms="400"))
        app.testing = False
        check(app, disk, leave_bytes=400_000)
        # Mail is written to the same disk.
        browser, fields = filled(app)
        browser.client.post("/ru/sign/", data={**fields, "email": "last@example.org"})
        written = len(mails(app))
        fill(disk, leave_bytes=0)
        with pytest.raises(SQLAlchemyError) as error:
            worker.run_once(app)
        assert schema.is_breakdown(error.value)
        assert len(mails(app)) == written
        make_room(disk)
        broken.wait_for(lambda: (work(app), len(mails(app)) > written)[1])
        let_go(app)


@pytest.mark.usefixtures("clock")
def test_with_the_tables_of_postgresql_on_a_full_disk(tmp_path: Path) -> None:
    with small_disk(Path("/tmp") / f"charter-disk-{os.getpid()}", megabytes=64) as disk:
        if os.geteuid() == 0:
            os.chown(disk, _unprivileged_user().pw_uid, -1)
        with broken.own_server() as server:
            broken._ask(server.url, f"CREATE TABLESPACE small LOCATION '{disk}'")
            url = fresh_database(server.url)
            name = make_url(url).database
            broken._ask(server.url, f'ALTER DATABASE "{name}" SET TABLESPACE small')
            app = create_app(make_settings(tmp_path, database_url=url))
            app.testing = False
            with time_machine.travel(MONDAY, tick=True):
                cli.prepare(app)
                worker.run_once(app)
            check(app, disk, leave_bytes=100_000)
            let_go(app)
            broken._ask(server.url, f'DROP DATABASE "{name}" WITH (FORCE)')
            broken._ask(server.url, "DROP TABLESPACE small")


def test_a_log_that_cannot_be_written_breaks_no_request(
    tmp_path: Path, sqlite_template: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(sqlite_template, tmp_path / "instance")
    full = open("/dev/full", "w", encoding="utf-8")  # noqa: SIM115 - closing it fails, as it should
    monkeypatch.setattr("sys.stderr", full)
    app = create_app(make_settings(tmp_path / "instance"))
    app.testing = False
    browser, fields = filled(app)
    assert browser.client.post("/ru/sign/", data=fields).status_code == 303
    assert work(app)[1] == 1
    monkeypatch.undo()
    with pytest.raises(OSError, match="No space left"):
        full.close()
    let_go(app)
