"""Restoring into an empty instance: check everything, fill, migrate, re-apply the log, and only then open."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from flask import Flask
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import SQLAlchemyError

from charter import leaves_file, log_key, migrating
from charter.backup import folder, mirrored, postgres, replaying, report, sealing, sqlite
from charter.backup.errors import BackupError
from charter.domain import token as tokens
from charter.forgetting import forget_everything
from charter.operations import recovery as operations
from charter.operations import restore_mark
from charter.queries import recovery, schema
from charter.queries.recovery import Facts
from charter.settings import Settings
from charter.tlog import note

#: Beside the database while it is built; takes its place at the end.
BUILDING = ".restoring"


@dataclass(frozen=True)
class Mirror:
    """Where a copy of the log is. base: a folder or an address. vkey: who signed it; None: the key in our folder."""

    base: str
    vkey: str | None = None


Say = Callable[[str], None]
MakeApp = Callable[[Settings], Flask]


@dataclass(frozen=True)
class Restored:
    """text: the report for the operator. path: where it was written too."""

    text: str
    path: Path


def check(backup: Path, *, identity: Path | None, settings: Settings) -> str:
    """Decrypts and verifies a backup without restoring it; returns a sentence. Raises BackupError."""
    with _errors(), folder.alone(settings.backup_path), folder.working_folder(settings.backup_path) as work:
        plain = work / "plain"
        manifest = _unseal(backup, plain, identity=identity)
        if _engine_of(plain) == "sqlite":
            sqlite.check(plain)
            with sqlite.reading(plain) as connection:
                facts = recovery.facts(connection)
            return (
                f"The backup is whole: {facts.counts['signatures']} signatures, {facts.counts['entries']} registry"
                f" entries, batch {facts.revision}, {facts.tree_size} leaves, schema {facts.schema}."
            )
        postgres.list_contents(plain)
        postgres.read_through(plain)
        told = "" if manifest is None else f" It should hold {manifest.counts['signatures']} signatures."
        return f"The backup is whole: a PostgreSQL dump that can be read to its end.{told}"


def restore(
    backup: Path,
    *,
    identity: Path | None,
    settings: Settings,
    make_app: MakeApp,
    is_key_new: bool,
    now: datetime,
    say: Say,
    mirror: Mirror | None = None,
) -> Restored:
    """Brings a backup into the empty instance of `settings`, and then everything that came later.

    That is what the leaves file and the mirror know. make_app: assembles the application on other settings. is_key_new:
    the old secret key is lost, and the links that it made with it. Whatever is refused or broken off leaves the
    instance empty; on PostgreSQL one that was broken off after its rows were in goes on when it is repeated.
    Raises BackupError.
    """
    with _errors(), folder.alone(settings.backup_path), folder.working_folder(settings.backup_path) as work:
        log = None if mirror is None else _fetch(mirror, settings, work, say)
        if settings.database_url.startswith("sqlite"):
            text = _into_sqlite(backup, identity, settings, make_app, is_key_new, now, say, log)
        else:
            text = _into_postgresql(backup, identity, settings, make_app, is_key_new, now, say, work, log)
        return _kept(text, settings, now)


def reapply(*, settings: Settings, is_key_new: bool, now: datetime, say: Say, mirror: Mirror | None = None) -> Restored:
    """Brings a database that is older than its log up to it, in its place: a standby that took over, say.

    Nobody may serve or publish from it meanwhile. Needs an application context. Raises BackupError.
    """
    with _errors(), folder.alone(settings.backup_path), folder.working_folder(settings.backup_path) as work:
        log = None if mirror is None else _fetch(mirror, settings, work, say)
        with schema.connection() as connection:
            facts = recovery.facts(connection)
        is_older = leaves_file.standing(settings).state is leaves_file.State.AHEAD
        if not is_older and (log is None or log.size <= facts.tree_size):
            known = "leaves file" if log is None else "leaves file, nor than the mirror"
            raise BackupError(f"The database is not older than its {known}: nothing to re-apply.")
        text = _bring_up("the database that was here", None, facts, settings, is_key_new, now, say, log)
        return _kept(text, settings, now)


def _fetch(mirror: Mirror, settings: Settings, work: Path, say: Say) -> mirrored.MirroredLog:
    """Before anything is changed."""
    say("Reading the mirror …")
    return mirrored.fetch(mirror.base, keys=_keys(mirror, settings), into=work)


def _keys(mirror: Mirror, settings: Settings) -> list[note.Key]:
    if mirror.vkey is not None:
        try:
            return [note.parse_key(mirror.vkey)]
        except note.NoteError:
            raise BackupError(
                "What follows --vkey is no key of a log: name+8 digits+letters, as /log/vkey says."
            ) from None
    try:
        return [key for key, _ in log_key.signer(settings).keys]
    except log_key.LogKeyError as error:
        raise BackupError(
            f"The mirror cannot be verified: {error}. Put the log's key in its place, or say by --vkey who signed it."
        ) from None


def _kept(text: str, settings: Settings, now: datetime) -> Restored:
    path = settings.backup_path / f"restored-{now.strftime('%Y%m%dT%H%M%SZ')}.txt"
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
        file.write(text)
    return Restored(text, path)


def _into_sqlite(
    backup: Path,
    identity: Path | None,
    settings: Settings,
    make_app: MakeApp,
    is_key_new: bool,
    now: datetime,
    say: Say,
    log: mirrored.MirroredLog | None,
) -> str:
    database = Path(str(make_url(settings.database_url).database))
    if not sqlite.is_empty(database):
        raise BackupError("The database of this instance is not empty. Restore into a new instance, or move it away.")
    building = database.with_name(database.name + BUILDING)
    sqlite.remove(building)
    try:
        say("Decrypting and checking …")
        manifest = _unseal(backup, building, identity=identity, engine="sqlite")
        sqlite.check(building)
        with sqlite.reading(building) as connection:
            facts = recovery.facts(connection)
        url = URL.create("sqlite", database=str(building)).render_as_string(hide_password=False)
        app = make_app(replace(settings, database_url=url))
        with app.app_context():
            text = _bring_up(backup.name, manifest, facts, settings, is_key_new, now, say, log)
            schema.dispose()
        sqlite.take_place(building, database)
    except BaseException:
        sqlite.remove(building)
        raise
    return text


def _into_postgresql(
    backup: Path,
    identity: Path | None,
    settings: Settings,
    make_app: MakeApp,
    is_key_new: bool,
    now: datetime,
    say: Say,
    work: Path,
    log: mirrored.MirroredLog | None,
) -> str:
    plain = work / "plain"
    say("Decrypting and checking …")
    manifest = _unseal(backup, plain, identity=identity, engine="postgresql")
    postgres.list_contents(plain)
    sha256 = sealing.digest_of(backup)[1]
    app = make_app(settings)
    with app.app_context():
        with schema.connection() as connection:
            mark, is_filled = recovery.find_mark(connection), recovery.has_tables(connection)
        if is_filled and (mark is None or mark.sha256 != sha256):
            raise BackupError("The database of this instance is not empty. Restore into a new one.")
        say("Do not start the service before this has ended.")
        if mark is not None and mark.sha256 != sha256:
            restore_mark.clear_mark()
            mark = None
        if mark is None:
            restore_mark.set_mark(sha256=sha256)
        if not is_filled:
            say("Filling the database …")
            try:
                postgres.load(settings.database_url, plain)
            except BackupError:
                restore_mark.clear_mark()
                raise
        plain.unlink()
        with schema.connection() as connection:
            facts = recovery.facts(connection)
        if mark is not None and mark.revision is not None and mark.tree_size is not None:
            # Broken off while it re-applied: the backup ended here.
            facts = replace(facts, revision=mark.revision, tree_size=mark.tree_size)
        else:
            restore_mark.note_backup(revision=facts.revision, tree_size=facts.tree_size)
        text = _bring_up(backup.name, manifest, facts, settings, is_key_new, now, say, log)
        restore_mark.clear_mark()
        schema.dispose()
    return text


def _bring_up(
    name: str,
    manifest: folder.Manifest | None,
    facts: Facts,
    settings: Settings,
    is_key_new: bool,
    now: datetime,
    say: Say,
    log: mirrored.MirroredLog | None,
) -> str:
    """Migrates and re-applies, in the context of an application on the filled database; returns the report."""
    wanted = _check_schema(facts.schema)
    key = settings.secret_key.encode()
    with schema.connection() as connection:
        link = recovery.some_link(connection)
    if link is not None and not is_key_new:
        purpose, uid, digest = link
        if tokens.token_digest(tokens.token(key, purpose, uid)) != digest:
            raise BackupError(
                "The secret key of this instance is not the one that the links in the backup were made with. Put the"
                " old one into instance/secret_key or CHARTER_SECRET_KEY first; if it is lost, say --new-key: every"
                " link that was mailed then stops working, and so do staff passwords and authenticators."
            )
    if facts.schema != wanted:
        say("Migrating …")
        # Not above: web server and worker load this module too, and do without Alembic's memory.
        from flask_migrate import upgrade

        upgrade()
    say("Comparing with the log …")
    leaves = replaying.examine(
        leaves_file.path_of(settings), revision=facts.revision, tree_size=facts.tree_size, mirror=log
    )
    survey = None
    if leaves is not None:
        say(f"Re-applying {leaves.to_come} leaves …")
        survey = replaying.apply(leaves, key=key, now=now)
    operations.begin_anew(now=now)
    while operations.append_corrections(now=now):
        pass
    # What the backup brought back of people who left is gone from its files too before anybody opens it.
    forget_everything()
    return report.compose(name=name, manifest=manifest, facts=facts, schema=wanted, leaves=leaves, survey=survey)


def _check_schema(found: str) -> str:
    """The newest revision of this code. Raises BackupError if it does not know the one of the backup."""
    if found not in migrating.known():
        raise BackupError(
            f"The backup was made by a newer release: its schema {found} is unknown to this one. Install that release."
        )
    return migrating.known()[-1]


def _unseal(backup: Path, plain: Path, *, identity: Path | None, engine: str | None = None) -> folder.Manifest | None:
    """Decrypts and expands into a new file, after comparing the digest with the manifest if there is one."""
    identities = [] if identity is None else sealing.read_identities(identity)
    manifest = folder.find_manifest(backup)
    if manifest is not None and sealing.digest_of(backup) != (manifest.bytes, manifest.sha256):
        raise BackupError("The backup is damaged: it is not the file that its manifest describes. Take another one.")
    sealing.unseal(backup, plain, identities=identities)
    found = _engine_of(plain)
    if engine is not None and found != engine:
        raise BackupError(f"The backup is of {found}, and the database of this instance is of {engine}.")
    return manifest


def _engine_of(plain: Path) -> str:
    with plain.open("rb") as file:
        head = file.read(16)
    if head.startswith(sqlite.HEAD):
        return "sqlite"
    if head.startswith(postgres.HEAD):
        return "postgresql"
    raise BackupError("The file is no backup of this service.")


@contextmanager
def _errors() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise BackupError(f"A file cannot be read or written: {error.strerror or type(error).__name__}.") from None
    except SQLAlchemyError as error:
        reason = type(getattr(error, "orig", None) or error).__name__
        raise BackupError(f"The database cannot be used ({reason}).") from None
