"""Commands for operators: make a backup, check one, restore one.

The rooms behind them are imported by each command: web server and worker know the commands too, and must not carry the
PostgreSQL driver and the cipher along for nothing.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import click
from flask import current_app
from flask.cli import with_appcontext

from charter import clock
from charter.backup.errors import BackupError, BusyError
from charter.settings import Settings

#: For cron and systemd: 1 means that something has to be done, 3 that another one is at it.
BUSY = 3


class _Busy(click.ClickException):
    exit_code = BUSY


def _failed(error: BackupError) -> click.ClickException:
    """One line, and an exit code that tells the two cases apart."""
    return (_Busy if isinstance(error, BusyError) else click.ClickException)(str(error))


def _of_mirror(command: Callable[..., None]) -> Callable[..., None]:
    """Two options that name a mirror."""
    command = click.option("--vkey", help="Verifier key that signed the mirror's log; else our own key file counts.")(
        command
    )
    return click.option("--log", metavar="URL|FOLDER", help="A mirror, to take missing leaves and records from.")(
        command
    )


@click.command()
@with_appcontext
def backup() -> None:
    """Back up the database into CHARTER_BACKUP_PATH; prints one line. Exit code 3: another one is running."""
    from charter.backup import making

    _end_cleanly()
    _refuse_pooler()
    try:
        made = making.make(_settings(), now=clock.now())
    except BackupError as error:
        raise _failed(error) from None
    about = made.manifest
    how = "encrypted" if about.encrypted else "NOT ENCRYPTED (CHARTER_BACKUP_RECIPIENTS is not set)"
    click.echo(
        f"{made.path.name}: {about.bytes:,} bytes, {how}, batch {about.public_revision}, {about.tree_size} leaves;"
        f" {made.removed} older removed."
    )


@click.command("backup-key")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
def backup_key(file: Path) -> None:
    """Make a key pair: the secret key goes into FILE, the public one is printed, for CHARTER_BACKUP_RECIPIENTS."""
    from charter.backup import sealing

    secret, public = sealing.make_identity()
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o400)
    except OSError as error:
        raise click.ClickException(f"{file} cannot be made: {error.strerror}.") from None
    with open(descriptor, "w", encoding="ascii") as target:
        target.write(f"# public key: {public}\n{secret}\n")
    click.echo(public)
    click.echo(f"Keep {file} on paper and on a stick, and not on this machine: it opens every backup.", err=True)


@click.command()
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option(
    "--identity", type=click.Path(path_type=Path), metavar="KEYFILE", help="The secret key, as age writes it."
)
@click.option("--check", is_flag=True, help="Decrypt and verify only; the instance stays as it is.")
@click.option("--new-key", is_flag=True, help="The old secret key is lost: go on, though every mailed link is dead.")
@_of_mirror
@with_appcontext
def restore(file: Path, identity: Path | None, check: bool, new_key: bool, log: str | None, vkey: str | None) -> None:
    """Restore FILE into this instance, which must be empty, and re-apply what leaves file and mirror know.

    The secret key, the log's key and leaves.log have to be in their places before.
    """
    from charter.backup import restoring

    _end_cleanly()
    settings = _settings()
    if not check:
        _refuse_pooler()
    try:
        if check:
            click.echo(restoring.check(file, identity=identity, settings=settings))
            return
        done = restoring.restore(
            file,
            identity=identity,
            settings=settings,
            make_app=current_app.config["MAKE_APP"],
            is_key_new=new_key,
            now=clock.now(),
            say=lambda line: click.echo(line, err=True),
            mirror=None if log is None else restoring.Mirror(log, vkey),
        )
    except BackupError as error:
        raise _failed(error) from None
    click.echo(done.text)
    click.echo(f"Kept as {done.path.name} beside the backups. The service may be started now.")


@click.command()
@click.option("--new-key", is_flag=True, help="The old secret key is lost: go on, though every mailed link is dead.")
@_of_mirror
@with_appcontext
def reapply(new_key: bool, log: str | None, vkey: str | None) -> None:
    """Bring a database that is older than its leaves file or a mirror up to it, with the service stopped.

    For a PostgreSQL standby that took over and had not heard of the last publications.
    """
    from charter.backup import restoring

    try:
        done = restoring.reapply(
            settings=_settings(),
            is_key_new=new_key,
            now=clock.now(),
            say=lambda line: click.echo(line, err=True),
            mirror=None if log is None else restoring.Mirror(log, vkey),
        )
    except BackupError as error:
        raise _failed(error) from None
    click.echo(done.text)
    click.echo(f"Kept as {done.path.name} beside the backups. The service may be started now.")


def _settings() -> Settings:
    settings: Settings = current_app.config["CHARTER"]
    return settings


def _refuse_pooler() -> None:
    """pg_dump and pg_restore change settings of their session, which the pooler would hand to the next transaction."""
    if _settings().database_pooler != "none":
        raise click.ClickException(
            "This has to reach PostgreSQL itself: give its own address in CHARTER_DATABASE_URL, and"
            " CHARTER_DATABASE_POOLER=none."
        )


def _end_cleanly() -> None:
    """Asked to end, a half-made copy is removed on the way out. A kill leaves that to the next start."""
    os.umask(0o077)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda which, _frame: sys.exit(128 + which))
