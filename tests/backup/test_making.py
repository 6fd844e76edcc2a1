"""Making backups: whole or not there, for nobody else's eyes, one at a time, and the old ones go."""

from __future__ import annotations

import errno
import fcntl
import gzip
import hashlib
import json
import os
import sqlite3
import stat
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyrage
import pytest
from flask import Flask
from time_machine import Traveller as Clock

from charter import cli_backup, create_app
from charter.backup import folder, making, postgres, sealing, sqlite
from charter.backup.errors import BackupError, BusyError
from charter.models.base import db
from tests.backup.conftest import back_up, now, settings_of
from tests.backup.kills import killed_at
from tests.conftest import make_settings
from tests.operations.test_signing import confirmed
from tests.people import work
from tests.service import ROOT, clean_environment

NAMES = ("Әмина", "Оспанова", "amina@example.org")


def files(app: Flask) -> set[str]:
    """What is in the folder of backups besides the leaves file and the lock."""
    found = {path.name for path in settings_of(app).backup_path.iterdir()}
    return found - {"leaves.log", folder.LOCK}


def let_go(app: Flask) -> None:
    """Closes what a child of this process would share."""
    with app.app_context():
        db.session.remove()
        db.engine.dispose()


# ── what is made ─────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_backup_has_a_manifest_that_names_nobody(app: Flask, clock: Clock) -> None:
    confirmed(app)
    work(app)
    path = back_up(app)
    manifest = json.loads((path.with_name(path.name + ".json")).read_text())
    engine = "sqlite" if "sqlite" in settings_of(app).database_url else "postgresql"
    assert manifest == {
        "bytes": path.stat().st_size,
        "counts": {"entries": 0, "messages_waiting": 0, "signatures": 1},
        "created_at": manifest["created_at"],
        "encrypted": False,
        "engine": engine,
        "format": 1,
        "public_revision": 2,
        "schema": manifest["schema"],
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        "tree_size": 3,
    }
    assert manifest["created_at"].startswith("2026-11-20T09:00:0")
    assert path.name.startswith("charter-20261120T09000")
    assert files(app) == {path.name, path.name + ".json"}
    for one in settings_of(app).backup_path.iterdir():
        assert stat.S_IMODE(one.stat().st_mode) == 0o600, one.name


def test_nothing_of_an_encrypted_backup_can_be_read_without_the_key(
    app: Flask, clock: Clock, key_pair: tuple[Path, str]
) -> None:
    confirmed(app)
    other = sealing.make_identity()
    path = back_up(app, backup_recipients=(key_pair[1], other[1]))
    assert path.name.endswith(".age")
    data = path.read_bytes()
    assert data.startswith(b"age-encryption.org/v1\n")
    plains = []
    for secret in (key_pair[0].read_text().split()[-1], other[0]):
        plains.append(pyrage.decrypt(data, [pyrage.x25519.Identity.from_str(secret)]))
    assert plains[0] == plains[1]
    plain = gzip.decompress(plains[0]) if plains[0][:2] == b"\x1f\x8b" else plains[0]
    assert plain.startswith((sqlite.HEAD, postgres.HEAD))
    for name in NAMES:
        assert name.encode() not in data


@pytest.mark.parametrize("engine_name", ["sqlite"])
def test_a_copy_holds_no_remains_of_what_was_destroyed(app: Flask, clock: Clock) -> None:
    confirmed(app)
    database = settings_of(app).instance_path / "charter.db"
    let_go(app)
    with sqlite3.connect(database) as connection:
        # As an older release, or another program, would have left it.
        connection.execute("PRAGMA secure_delete = OFF")
        connection.execute("CREATE TABLE scratch (word TEXT)")
        connection.execute("INSERT INTO scratch VALUES ('remains of a name')")
        connection.commit()
        connection.execute("DELETE FROM scratch")
        connection.commit()
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    assert b"remains of a name" in database.read_bytes()
    assert b"remains of a name" not in gzip.decompress(back_up(app).read_bytes())


def test_while_others_write_a_backup_is_of_one_moment(
    app: Flask, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    confirmed(app)
    real = making.recovery.facts

    def meanwhile(connection: Any) -> Any:
        found = real(connection)
        if "postgresql" in settings_of(app).database_url:
            confirmed(app, address="late@example.org")
        return found

    monkeypatch.setattr(making.recovery, "facts", meanwhile)
    path = back_up(app)
    manifest = folder.find_manifest(path)
    assert manifest is not None
    assert manifest.counts["signatures"] == 1
    if path.name.endswith(".pgdump"):
        listed = subprocess.run(
            [postgres.find_program("pg_restore"), "--data-only", "--table=signature", "--file=-", path],
            capture_output=True,
            check=True,
        ).stdout
        assert listed.count(b"amina@example.org") == 2
        assert b"late@example.org" not in listed


# ── rotation ─────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("engine_name", ["sqlite"])
def test_older_backups_go_after_a_new_one_and_nothing_else_does(app: Flask, clock: Clock) -> None:
    keep = [settings_of(app).backup_path / name for name in ("notes.txt", "charter-mine.db.gz", "charter-2020.json")]
    first = back_up(app)
    for path in keep:
        path.write_text("not ours")
    orphan = folder.manifest_path(settings_of(app).backup_path / "charter-20200101T000000Z-r1.db.gz")
    orphan.write_text("{}")
    clock.shift(timedelta(days=13))
    second = back_up(app)
    assert first.exists()
    assert not orphan.exists()
    clock.shift(timedelta(days=2))
    third = back_up(app)
    assert not first.exists()
    assert not folder.manifest_path(first).exists()
    clock.shift(timedelta(days=400))
    fourth = back_up(app)
    assert files(app) == {
        path.name for one in (fourth,) for path in (one, folder.manifest_path(one))
    } | {path.name for path in keep}  # fmt: skip
    assert not second.exists() and not third.exists()


@pytest.mark.parametrize("engine_name", ["sqlite"])
def test_a_backup_that_fails_removes_no_older_one(app: Flask, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    first = back_up(app)
    clock.shift(timedelta(days=30))

    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(sealing, "seal", refuse)
    with pytest.raises(BackupError, match=r"^The backup cannot be written: No space left on device\.$"):
        back_up(app)
    assert files(app) == {first.name, first.name + ".json"}


@pytest.mark.parametrize("engine_name", ["sqlite"])
def test_the_newest_stays_however_old_it_is(app: Flask, clock: Clock) -> None:
    path = back_up(app)
    assert folder.rotate(path.parent, keep_days=1, now=now() + timedelta(days=900)) == 0
    assert path.exists()


@pytest.mark.parametrize("engine_name", ["sqlite"])
def test_two_in_one_second_are_two(app: Flask, clock: Clock) -> None:
    clock.move_to(now(), tick=False)
    assert back_up(app).name != back_up(app).name
    assert len(files(app)) == 4


# ── what can go wrong ────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("engine_name", ["sqlite"])
def test_a_second_one_at_the_same_time_is_told(app: Flask, clock: Clock) -> None:
    first = back_up(app)
    with (first.parent / folder.LOCK).open("rb") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(BusyError):
            back_up(app)
        done = app.test_cli_runner().invoke(cli_backup.backup)
        assert done.exit_code == 3
        assert done.output == "Error: Another backup or restore is running; this one did nothing.\n"
    assert files(app) == {first.name, first.name + ".json"}


def test_killed_in_the_middle_it_leaves_nothing_that_lasts(
    app: Flask, clock: Clock, key_pair: tuple[Path, str]
) -> None:
    confirmed(app)
    work(app)
    let_go(app)
    settings = settings_of(app)

    def in_child() -> None:
        back_up(create_app(settings), backup_recipients=(key_pair[1],))

    for module, name, after in (
        (sealing, "seal", False),
        (sealing, "seal", True),
        (folder, "put_in_place", False),
        (folder, "sync_folder", False),
    ):
        killed_at(module, name, in_child, after=after)
        left = list(settings.backup_path.glob(folder.WORKING + "*"))
        assert len(left) == 1
        assert stat.S_IMODE(left[0].stat().st_mode) == 0o700
        path = back_up(app, backup_recipients=(key_pair[1],))
        assert path.exists()
        assert not list(settings.backup_path.glob(folder.WORKING + "*"))
        for found in settings.backup_path.glob("*.age"):
            manifest = folder.find_manifest(found)
            assert manifest is not None
            assert sealing.digest_of(found) == (manifest.bytes, manifest.sha256)


@pytest.mark.parametrize("engine_name", ["sqlite"])
def test_a_damaged_database_is_not_called_a_backup(app: Flask, clock: Clock) -> None:
    database = settings_of(app).instance_path / "charter.db"
    for place in range(30):
        confirmed(app, address=f"{place}@example.org")
    let_go(app)
    with sqlite3.connect(database) as connection:
        connection.execute("PRAGMA foreign_keys = OFF")
        connection.execute("UPDATE link SET signature_id = 10000 WHERE id = 1")
    connection.close()
    with pytest.raises(BackupError, match=r"damaged: 1 references lead nowhere"):
        back_up(app)
    assert files(app) == set()


def test_without_a_database_one_sentence(tmp_path: Path) -> None:
    app = create_app(make_settings(tmp_path / "empty"))
    with app.app_context(), pytest.raises(BackupError, match=r"^There is no database yet"):
        making.make(settings_of(app), now=now())


@pytest.mark.parametrize("engine_name", ["sqlite"])
def test_a_public_key_with_a_typing_error_is_named_without_being_shown(app: Flask, clock: Clock) -> None:
    with pytest.raises(BackupError, match=r"^CHARTER_BACKUP_RECIPIENTS holds a public key with a typing error"):
        back_up(app, backup_recipients=("age1" + "q" * 58,))


# ── PostgreSQL's programs ────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("engine_name", ["postgresql"])
def test_without_pg_dump_one_sentence(
    app: Flask, clock: Clock, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(postgres, "DEBIAN", tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(BackupError, match=r"^pg_dump is not installed: install PostgreSQL's client programs"):
        back_up(app)
    fake = tmp_path / "pg_dump"
    fake.write_text("#!/bin/sh\necho 'pg_dump (PostgreSQL) 9.6.1'\n")
    fake.chmod(0o755)
    with pytest.raises(BackupError, match=r"^pg_dump is of PostgreSQL 9 and the server of \d+: install postgresql-cl"):
        back_up(app)
    assert files(app) == set()


@pytest.mark.parametrize("engine_name", ["postgresql"])
def test_a_failing_pg_dump_is_quoted_in_one_line_and_leaves_nothing(
    app: Flask, clock: Clock, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    fake = tmp_path / "pg_dump"
    fake.write_text(
        "#!/bin/sh\n[ \"$1\" = --version ] && echo 'pg_dump (PostgreSQL) 99.1' && exit\n"
        "echo half; echo 'pg_dump: error: connection lost' >&2; echo 'DETAIL: amina@example.org' >&2; exit 1\n"
    )
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    with pytest.raises(BackupError, match=r"^pg_dump failed: connection lost\.$"):
        back_up(app)
    assert files(app) == set()


def test_the_password_is_in_no_argument_and_every_option_of_the_address_is_kept(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    seen: list[tuple[list[str], dict[str, str]]] = []

    class Done:
        returncode = 0
        stderr = None

        def __init__(self, command: list[str], *, env: dict[str, str], **_: object) -> None:
            seen.append((command, env))
            raise KeyboardInterrupt

    monkeypatch.setattr(postgres.subprocess, "Popen", Done)
    monkeypatch.setattr(postgres, "find_program", lambda *_: "/usr/bin/pg_dump")
    monkeypatch.setenv("CHARTER_SECRET_KEY", "k3y")
    url = (
        "postgresql+psycopg://charter:s3cr%40t@db.example.org:6432/cha%20rter"
        "?sslmode=verify-full&sslrootcert=%2Fetc%2Fca.pem&keepalives=1&sslpassword=hidden"
    )
    for call in (
        lambda: postgres.dump(url, tmp_path / "plain", snapshot="00000003-1", server_version=15),
        lambda: postgres.load(url, tmp_path / "plain"),
    ):
        with pytest.raises(KeyboardInterrupt):
            call()
    for command, environment in seen:
        assert "s3cr@t" not in " ".join(command)
        assert "hidden" not in " ".join(command)
        assert environment["PGPASSWORD"] == "s3cr@t"
        assert environment["PGHOST"] == "db.example.org"
        assert environment["PGPORT"] == "6432"
        assert environment["PGDATABASE"] == "cha rter"
        assert environment["PGSSLMODE"] == "verify-full"
        assert environment["PGSSLROOTCERT"] == "/etc/ca.pem"
        assert "CHARTER_SECRET_KEY" not in environment
        assert any("keepalives=1" in part for part in command)
    assert seen[0][0][3:5] == ["--snapshot", "00000003-1"]


# ── the commands ─────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_command_says_one_line_and_makes_no_secret_of_a_missing_key(app: Flask, clock: Clock) -> None:
    confirmed(app)
    work(app)
    done = app.test_cli_runner().invoke(cli_backup.backup)
    assert done.exit_code == 0, done.output
    (line,) = done.output.splitlines()
    assert "NOT ENCRYPTED" in line
    assert "batch 2, 3 leaves; 0 older removed." in line


@pytest.mark.parametrize("engine_name", ["sqlite"])
def test_a_key_pair_is_made_and_works(app: Flask, tmp_path: Path) -> None:
    path = tmp_path / "key.txt"
    done = app.test_cli_runner().invoke(cli_backup.backup_key, [str(path)])
    assert done.exit_code == 0, done.output
    public = done.output.splitlines()[0]
    assert stat.S_IMODE(path.stat().st_mode) == 0o400
    make_settings(tmp_path / "instance2", backup_recipients=public)
    backup = back_up(app, backup_recipients=(public,))
    sealing.unseal(backup, tmp_path / "plain", identities=sealing.read_identities(path))
    again = app.test_cli_runner().invoke(cli_backup.backup_key, [str(path)])
    assert again.exit_code == 1
    assert sealing.read_identities(path)


def test_the_real_command_ends_with_an_exit_code_and_one_line(sqlite_template: Path, tmp_path: Path) -> None:
    instance = tmp_path / "instance"
    instance.mkdir()
    command = [sys.executable, "-m", "flask", "--app", "charter", "backup"]
    done = subprocess.run(
        command, cwd=ROOT, env=clean_environment(instance), capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "Error: There is no database yet: nothing to back up.\n"


def test_what_is_sealed_is_never_held_whole(tmp_path: Path, key_pair: tuple[Path, str]) -> None:
    """32 MB through a child that may not have more than 20 MB above its start."""
    plain = tmp_path / "plain"
    with plain.open("wb") as file:
        for _ in range(32):
            file.write(os.urandom(512 * 1024) + bytes(512 * 1024))
    code = (
        "import resource, sys; from pathlib import Path; from charter.backup import sealing as s\n"
        "a, b, c = map(Path, sys.argv[1:4]); start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "s.seal(a, b, recipients=s.parse_recipients([sys.argv[4]]), compress=True)\n"
        "s.unseal(b, c, identities=s.read_identities(Path(sys.argv[5])))\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - start)\n"
    )
    arguments = [plain, tmp_path / "sealed", tmp_path / "again", key_pair[1], key_pair[0]]
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert int(done.stdout) < 20 * 1024
    assert (tmp_path / "again").read_bytes() == plain.read_bytes()


@pytest.mark.parametrize("command", [["backup"], ["restore", "FILE"]])
def test_behind_a_pooler_neither_is_made_nor_restored(command: list[str], tmp_path: Path) -> None:
    """The next transaction of anybody would get the session that pg_dump leaves behind."""
    file = tmp_path / "charter.pgdump"
    file.write_bytes(b"PGDMP")
    app = create_app(
        make_settings(
            tmp_path / "instance",
            database_url="postgresql://charter@127.0.0.1:1/charter",
            database_pooler="transaction",
        )
    )
    answer = app.test_cli_runner().invoke(args=[str(file) if part == "FILE" else part for part in command])
    assert answer.exit_code == 1
    assert "CHARTER_DATABASE_POOLER=none" in answer.output
