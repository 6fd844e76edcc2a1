"""Restoring: into an empty instance, from a whole backup, with the right key and the right log, or not at all."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask_migrate import downgrade, upgrade
from sqlalchemy import select
from time_machine import Traveller as Clock

from charter import cli_backup, create_app, leaves_file, migrating, worker
from charter.backup import folder, postgres, replaying, restoring, sealing, sqlite
from charter.backup.errors import BackupError, BusyError
from charter.models.base import db
from charter.models.log import LogLeaf
from charter.models.signature import Signature
from charter.operations import recovery, restore_mark
from charter.queries import recovery as recovery_queries
from charter.queries import schema
from charter.settings import Settings
from tests.backup.conftest import NewMachine, back_up, restore, settings_of
from tests.backup.kills import killed_at
from tests.operations.test_signing import confirmed, get, withdraw
from tests.people import work

OpenMachine = Callable[[Settings], Flask]


@pytest.fixture
def later(app: Flask, clock: Clock, key_pair: tuple[Path, str]) -> tuple[Path, int]:
    """An encrypted backup, and somebody who withdrew after it."""
    leaver = confirmed(app)
    confirmed(app, address="stays@example.org")
    work(app)
    path = back_up(app, backup_recipients=(key_pair[1],))
    clock.shift(timedelta(minutes=5))
    withdraw(app, leaver)
    work(app)
    return path, leaver


def is_untouched(settings: Settings) -> bool:
    """Nothing of a restore is left, and another one may begin."""
    if list(settings.backup_path.glob(folder.WORKING + "*")) or list(settings.backup_path.glob("restored-*")):
        return False
    if settings.database_url.startswith("sqlite"):
        return not list(settings.instance_path.glob("charter.db*"))
    app = create_app(settings)
    with app.app_context():
        with schema.connection() as connection:
            is_clean = not recovery_queries.has_tables(connection) and recovery_queries.find_mark(connection) is None
        schema.dispose()
    return is_clean


def refused(backup: Path, settings: Settings, identity: Path | None, **more: Any) -> str:
    """The sentence with which a restore is refused; the instance is as it was."""
    with pytest.raises(BackupError) as caught:
        restore(backup, settings, identity, **more)
    assert is_untouched(settings)
    return str(caught.value)


# ── damage ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_every_damage_of_an_encrypted_backup_is_found_out(
    later: tuple[Path, int], app: Flask, new_machine: NewMachine, key_pair: tuple[Path, str], tmp_path: Path
) -> None:
    path, _ = later
    settings = new_machine(settings_of(app))
    data = path.read_bytes()
    copy = tmp_path / path.name
    flipped = data[: len(data) // 2] + bytes([data[len(data) // 2] ^ 1]) + data[len(data) // 2 + 1 :]
    for damaged in (flipped, data[:-1], data[: len(data) // 2], data[:70], b"", data + b"x"):
        copy.write_bytes(damaged)
        assert refused(copy, settings, key_pair[0]) == "The backup is damaged or not complete; take another one."
        with pytest.raises(BackupError):
            restoring.check(copy, identity=key_pair[0], settings=settings)
    # The manifest tells even where nothing else would.
    shutil.copy(folder.manifest_path(path), folder.manifest_path(copy))
    copy.write_bytes(flipped)
    assert "it is not the file that its manifest describes" in refused(copy, settings, key_pair[0])
    folder.manifest_path(copy).write_text("{")
    assert "manifest beside the backup is damaged" in refused(copy, settings, key_pair[0])


def test_damage_without_encryption_is_found_out_too(
    app: Flask, clock: Clock, new_machine: NewMachine, tmp_path: Path
) -> None:
    confirmed(app)
    work(app)
    path = back_up(app)
    settings = new_machine(settings_of(app))
    data = path.read_bytes()
    copy = tmp_path / path.name
    for damaged in (data[: len(data) // 2], data[:-1] if path.name.endswith("gz") else data[:-200], b"\x1f\x8b", b"no"):
        copy.write_bytes(damaged)
        assert refused(copy, settings, None)
    assert restore(path, settings)


@pytest.mark.parametrize("engine_name", ["sqlite"])
def test_a_wrong_key_is_told_from_no_key_and_from_a_file_without_one(
    later: tuple[Path, int], app: Flask, new_machine: NewMachine, tmp_path: Path, key_pair: tuple[Path, str]
) -> None:
    path, _ = later
    settings = new_machine(settings_of(app))
    other = tmp_path / "other.txt"
    other.write_text(sealing.make_identity()[0] + "\n")
    assert refused(path, settings, other) == "The backup was encrypted to other keys than the one in this file."
    assert "name the file with the secret key by --identity" in refused(path, settings, None)
    other.write_text("correct horse battery staple\n")
    assert "holds no secret key" in refused(path, settings, other)
    other.write_text(key_pair[1] + "\n")
    assert "holds no secret key" in refused(path, settings, other)
    other.write_bytes(b"age-encryption.org/v1\n-> scrypt abc 18\n")
    assert "protected by a passphrase" in refused(path, settings, other)
    assert "cannot be read: No such file" in refused(path, settings, tmp_path / "none")


def test_checking_says_what_is_in_it_and_changes_nothing(
    later: tuple[Path, int], app: Flask, new_machine: NewMachine, key_pair: tuple[Path, str]
) -> None:
    path, _ = later
    settings = new_machine(settings_of(app), with_leaves=False)
    told = restoring.check(path, identity=key_pair[0], settings=settings)
    assert told.startswith("The backup is whole: ")
    assert "2 signatures" in told
    assert is_untouched(settings)


def test_a_backup_of_the_other_engine_is_refused(
    app: Flask, clock: Clock, new_machine: NewMachine, tmp_path: Path, engine_name: str
) -> None:
    path = tmp_path / "other"
    path.write_bytes(postgres.HEAD + b"\x01" * 50 if engine_name == "sqlite" else sqlite.HEAD + bytes(50))
    assert "The backup is of " in refused(path, new_machine(settings_of(app), with_leaves=False), None)
    path.write_bytes(b"something else entirely")
    told = refused(path, new_machine(settings_of(app), with_leaves=False), None)
    assert told == "The file is no backup of this service."


def test_a_schema_that_this_release_does_not_know_is_refused(
    later: tuple[Path, int],
    app: Flask,
    new_machine: NewMachine,
    key_pair: tuple[Path, str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings = new_machine(settings_of(app))
    monkeypatch.setattr(restoring.migrating, "known", lambda: ("0000",))
    with pytest.raises(BackupError, match=r"made by a newer release: its schema \w+ is unknown"):
        restore(later[0], settings, key_pair[0])
    monkeypatch.undo()
    assert restore(later[0], settings, key_pair[0]), "the newer release goes on"


def test_a_backup_of_the_first_schema_is_migrated_to_the_newest(
    app: Flask, clock: Clock, new_machine: NewMachine, open_machine: OpenMachine
) -> None:
    leaver = confirmed(app)
    work(app)
    with app.app_context():
        downgrade(revision="0001")
    path = back_up(app)
    manifest = folder.find_manifest(path)
    assert manifest is not None
    assert manifest.schema == "0001"
    with app.app_context():
        upgrade()
    withdraw(app, leaver)
    work(app)
    settings = new_machine(settings_of(app))
    assert "Database schema: 0001, now " in restore(path, settings)
    found = open_machine(settings)
    with found.app_context():
        assert migrating.standing() == "ok"
    assert get(found, leaver).state == "withdrawn"


# ── where to ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_an_instance_in_use_is_never_restored_over(
    later: tuple[Path, int], app: Flask, key_pair: tuple[Path, str]
) -> None:
    with pytest.raises(BackupError, match=r"^The database of this instance is not empty"):
        restore(later[0], settings_of(app), key_pair[0])
    assert get(app, later[1]).state == "withdrawn"


@pytest.mark.parametrize("engine_name", ["sqlite"])
def test_a_restored_instance_is_not_restored_again(
    later: tuple[Path, int], app: Flask, new_machine: NewMachine, key_pair: tuple[Path, str]
) -> None:
    settings = new_machine(settings_of(app))
    assert restore(later[0], settings, key_pair[0])
    with pytest.raises(BackupError, match=r"not empty"):
        restore(later[0], settings, key_pair[0])


def test_a_secret_key_that_made_other_links_is_refused_unless_the_old_one_is_lost(
    later: tuple[Path, int], app: Flask, new_machine: NewMachine, key_pair: tuple[Path, str], open_machine: OpenMachine
) -> None:
    settings = new_machine(settings_of(app))
    changed = restoring.replace(settings, secret_key="another " * 8)
    with pytest.raises(BackupError, match=r"^The secret key of this instance is not the one"):
        restore(later[0], changed, key_pair[0])
    assert restore(later[0], changed, key_pair[0], is_key_new=True)
    assert get(open_machine(changed), later[1]).state == "withdrawn"


@pytest.mark.parametrize("engine_name", ["sqlite"])
def test_two_restores_at_once_are_told(
    later: tuple[Path, int], app: Flask, new_machine: NewMachine, key_pair: tuple[Path, str]
) -> None:
    settings = new_machine(settings_of(app))
    with folder.alone(settings.backup_path), pytest.raises(BusyError):
        restore(later[0], settings, key_pair[0])


# ── the leaves file ──────────────────────────────────────────────────────────────────────────────────────────────────


def test_without_a_leaves_file_the_backup_is_restored_with_a_loud_warning(
    later: tuple[Path, int], app: Flask, new_machine: NewMachine, key_pair: tuple[Path, str], open_machine: OpenMachine
) -> None:
    settings = new_machine(settings_of(app), with_leaves=False)
    report = restore(later[0], settings, key_pair[0])
    assert "THERE WAS NO LEAVES FILE" in report
    found = open_machine(settings)
    assert get(found, later[1]).state == "confirmed"
    # The revision is none that the lost machine may have used, and the worker starts a new file.
    work(found)
    with found.app_context():
        assert leaves_file.standing(settings).state is leaves_file.State.FOLLOWS


@pytest.mark.parametrize("engine_name", ["sqlite"])
def test_a_leaves_file_that_ends_before_the_backup_is_said_so(
    later: tuple[Path, int], app: Flask, new_machine: NewMachine, key_pair: tuple[Path, str], open_machine: OpenMachine
) -> None:
    settings = new_machine(settings_of(app))
    path = leaves_file.path_of(settings)
    path.write_bytes(path.read_bytes().partition(b"# batch 2")[0])
    assert "THE LEAVES FILE ENDS BEFORE THE BACKUP, at batch 1" in restore(later[0], settings, key_pair[0])
    found = open_machine(settings)
    assert work(found)[0] == 0
    with found.app_context():
        assert leaves_file.standing(settings).state is leaves_file.State.FOLLOWS


def test_leaves_of_another_log_are_refused(
    later: tuple[Path, int], app: Flask, new_machine: NewMachine, key_pair: tuple[Path, str]
) -> None:
    settings = new_machine(settings_of(app))
    path = leaves_file.path_of(settings)
    data = path.read_bytes()
    first = data.index(b'"commit":"') + 10
    other = data[:first] + bytes(reversed(data[first : first + 64])) + data[first + 64 :]
    lines = data.split(b"\n")
    # One leaf of the backup is missing, the sizes are those of a shorter log.
    shorter = b"\n".join(lines[:3] + lines[4:]).replace(b"size 4", b"size 3").replace(b"size 5", b"size 4")
    for wrong in (other, shorter):
        path.write_bytes(wrong)
        with pytest.raises(BackupError, match=r"^The leaves file is of another log than the backup"):
            restore(later[0], settings, key_pair[0])
    path.write_bytes(data)
    assert restore(later[0], settings, key_pair[0])


def test_a_leaves_file_with_damage_in_it_is_refused(
    later: tuple[Path, int], app: Flask, new_machine: NewMachine, key_pair: tuple[Path, str]
) -> None:
    settings = new_machine(settings_of(app))
    path = leaves_file.path_of(settings)
    data = path.read_bytes()
    for wrong, words in (
        (data.replace(b"size 5", b"size 6"), "damaged, or of a newer release: line 8 counts 6 leaves"),
        (data.replace(b'"kind":"withdraw"', b'"kind":"forget"'), "damaged, or of a newer release: kind forget"),
        (data.replace(b'"kind":"withdraw"', b'"kind":"withdraw","name":"A"'), "damaged, or of a newer release"),
    ):
        path.write_bytes(wrong)
        with pytest.raises(BackupError) as caught:
            restore(later[0], settings, key_pair[0])
        assert words in str(caught.value)
    path.write_bytes(data + b'{"torn')
    assert restore(later[0], settings, key_pair[0])


def test_a_kind_without_a_rule_refuses_before_anything_is_applied(
    later: tuple[Path, int],
    app: Flask,
    new_machine: NewMachine,
    key_pair: tuple[Path, str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings = new_machine(settings_of(app))
    monkeypatch.delitem(recovery.RULES, "withdraw")
    with pytest.raises(BackupError, match=r"holds a leaf of kind withdraw, which this release cannot re-apply\.$"):
        restore(later[0], settings, key_pair[0])


# ── kill -9 ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_killed_anywhere_it_is_repeated_and_ends_the_same(
    later: tuple[Path, int],
    app: Flask,
    new_machine: NewMachine,
    key_pair: tuple[Path, str],
    open_machine: OpenMachine,
    engine_name: str,
) -> None:
    path, _ = later
    with app.app_context():
        wanted = [bytes(data) for data in db.session.scalars(select(LogLeaf.data).order_by(LogLeaf.index))]
        schema.dispose()
    steps: list[tuple[Any, str, bool]] = [
        (sealing, "unseal", True),
        (replaying, "examine", False),
        (recovery, "replay", False),
        (recovery, "replay", True),
        (recovery, "begin_anew", True),
    ]
    if engine_name == "postgresql":
        steps = [
            (restore_mark, "set_mark", True),
            (postgres, "load", True),
            *steps[2:],
            (restore_mark, "clear_mark", False),
        ]
    else:
        steps.append((sqlite, "take_place", False))
    settings = new_machine(settings_of(app))
    for module, name, after in steps:
        killed_at(module, name, lambda: restore(path, settings, key_pair[0]), after=after)
        if engine_name == "sqlite":
            assert not (settings.instance_path / "charter.db").exists(), "nothing can be served yet"
    if engine_name == "postgresql":
        found = open_machine(settings)
        with found.app_context():
            assert leaves_file.standing(settings).state is leaves_file.State.RESTORING
            assert worker.publish() == 0
    report = restore(path, settings, key_pair[0])
    assert "1 leaves (1 withdraw)" in report
    assert not list(settings.backup_path.glob(folder.WORKING + "*"))
    assert not [one for one in settings.instance_path.iterdir() if "restoring" in one.name]
    found = open_machine(settings)
    with found.app_context():
        assert [bytes(data) for data in db.session.scalars(select(LogLeaf.data).order_by(LogLeaf.index))] == wanted
        assert sorted(db.session.scalars(select(Signature.state))) == ["confirmed", "withdrawn"]
        with schema.connection() as connection:
            assert not schema.is_being_restored(connection)


@pytest.mark.parametrize("engine_name", ["postgresql"])
def test_another_backup_does_not_go_on_where_one_was_killed(
    later: tuple[Path, int], app: Flask, new_machine: NewMachine, key_pair: tuple[Path, str], clock: Clock
) -> None:
    other = back_up(app)
    settings = new_machine(settings_of(app))
    with app.app_context():
        schema.dispose()
    killed_at(postgres, "load", lambda: restore(later[0], settings, key_pair[0]), after=True)
    with pytest.raises(BackupError, match=r"not empty"):
        restore(other, settings)
    assert restore(later[0], settings, key_pair[0])


# ── the command ──────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_command_prints_the_report_and_keeps_it(
    later: tuple[Path, int], app: Flask, new_machine: NewMachine, key_pair: tuple[Path, str], open_machine: OpenMachine
) -> None:
    settings = new_machine(settings_of(app))
    runner = open_machine(settings).test_cli_runner()
    arguments = [str(later[0]), "--identity", str(key_pair[0])]
    checked = runner.invoke(cli_backup.restore, [*arguments, "--check"])
    assert checked.exit_code == 0, checked.output
    done = runner.invoke(cli_backup.restore, arguments)
    assert done.exit_code == 0, done.output
    assert "Read from the leaves file, up to batch 3" in done.output
    assert "The service may be started now." in done.output
    (kept,) = settings.backup_path.glob("restored-*.txt")
    assert kept.read_text() in done.output
    assert kept.stat().st_mode & 0o777 == 0o600
    again = runner.invoke(cli_backup.restore, arguments)
    assert again.exit_code == 1
    assert again.output.splitlines()[-1].startswith("Error: The database of this instance is not empty.")
    assert json.loads(folder.manifest_path(later[0]).read_text())["encrypted"] is True


@pytest.mark.parametrize("engine_name", ["sqlite"])
def test_a_database_that_fell_back_is_brought_up_to_its_leaves_file_where_it_stands(
    app: Flask, clock: Clock, tmp_path: Path
) -> None:
    leaver = confirmed(app)
    work(app)
    database = settings_of(app).instance_path / "charter.db"
    runner = app.test_cli_runner()
    done = runner.invoke(cli_backup.reapply)
    assert done.exit_code == 1
    assert done.output == "Error: The database is not older than its leaves file: nothing to re-apply.\n"
    sqlite.snapshot(database, tmp_path / "older.db", busy_timeout_ms=1000)
    withdraw(app, leaver)
    confirmed(app, address="later@example.org")
    work(app)
    with app.app_context():
        schema.dispose()
    sqlite.remove(database)
    shutil.copy(tmp_path / "older.db", database)
    assert work(app)[0] == 0, "nothing is published from it"
    done = runner.invoke(cli_backup.reapply)
    assert done.exit_code == 0, done.output
    assert "2 leaves (1 confirm, 1 withdraw)" in done.output
    assert "LOST, signed after the backup" in done.output
    assert get(app, leaver).state == "withdrawn"
    work(app)
    with app.app_context():
        assert leaves_file.standing(settings_of(app)).state is leaves_file.State.FOLLOWS
