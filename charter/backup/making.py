"""Making a backup: a snapshot, checked, sealed, with its manifest, in place under its name or not at all."""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from sqlalchemy import text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import SQLAlchemyError

from charter.backup import folder, postgres, sealing, sqlite
from charter.backup.errors import BackupError
from charter.queries import recovery, schema
from charter.queries.recovery import Facts
from charter.settings import Settings
from charter.tlog.leaf import format_time


@dataclass(frozen=True)
class Made:
    """path: the backup. removed: how many older ones were removed after it."""

    path: Path
    manifest: folder.Manifest
    removed: int


def make(settings: Settings, *, now: datetime) -> Made:
    """Backs up the database into `backup_path` and removes what is older than `backup_keep_days`.

    Needs an application context. Raises BusyError while another is at work, BackupError for all else that an operator
    has to know; then nothing has changed, and no plain copy is left.
    """
    recipients = sealing.parse_recipients(settings.backup_recipients)
    is_sqlite = settings.database_url.startswith("sqlite")
    try:
        with folder.alone(settings.backup_path), folder.working_folder(settings.backup_path) as work:
            plain = work / "plain"
            facts = _copy_sqlite(settings, plain) if is_sqlite else _copy_postgresql(settings, plain)
            ending = (".db.gz" if is_sqlite else ".pgdump") + (".age" if recipients else "")
            sealed = work / folder.free_name(settings.backup_path, at=now, revision=facts.revision, ending=ending)
            size, sha256 = sealing.seal(plain, sealed, recipients=recipients, compress=is_sqlite)
            plain.unlink()
            manifest = folder.Manifest(
                engine="sqlite" if is_sqlite else "postgresql",
                schema=facts.schema,
                public_revision=facts.revision,
                tree_size=facts.tree_size,
                created_at=format_time(now),
                bytes=size,
                sha256=sha256,
                encrypted=bool(recipients),
                counts=facts.counts,
            )
            manifest.write(folder.manifest_path(sealed))
            folder.put_in_place(sealed, settings.backup_path)
            removed = folder.rotate(settings.backup_path, keep_days=settings.backup_keep_days, now=now)
            return Made(settings.backup_path / sealed.name, manifest, removed)
    except OSError as error:
        raise BackupError(f"The backup cannot be written: {error.strerror or type(error).__name__}.") from None


def _copy_sqlite(settings: Settings, plain: Path) -> Facts:
    database = Path(str(make_url(settings.database_url).database))
    sqlite.snapshot(database, plain, busy_timeout_ms=settings.database_busy_timeout_ms)
    sqlite.check(plain)
    try:
        with sqlite.reading(plain) as connection:
            return recovery.facts(connection)
    except SQLAlchemyError:
        raise BackupError("The database has not been prepared yet: nothing to back up.") from None


def _copy_postgresql(settings: Settings, plain: Path) -> Facts:
    os.close(os.open(plain, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    try:
        with schema.connection() as connection:
            if schema.is_being_restored(connection):
                raise BackupError("A restore of this database has not ended: nothing to back up.")
            facts = recovery.facts(connection)
            # What the manifest says and what the dump holds are of the same moment.
            snapshot = str(connection.scalar(text("SELECT pg_export_snapshot()")))
            version = int(connection.scalar(text("SHOW server_version_num")) or 0) // 10_000
            postgres.dump(settings.database_url, plain, snapshot=snapshot, server_version=version)
    except SQLAlchemyError as error:
        reason = type(getattr(error, "orig", None) or error).__name__
        raise BackupError(f"The database cannot be read ({reason}).") from None
    postgres.list_contents(plain)
    return facts
