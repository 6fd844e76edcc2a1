"""The command that writes the public side as files; the rooms behind it are imported only when it runs."""

from __future__ import annotations

import signal
import sys
from dataclasses import replace
from pathlib import Path

import click
from flask import Flask, current_app
from flask.cli import with_appcontext
from sqlalchemy.exc import SQLAlchemyError

from charter import clock, logs
from charter.settings import Settings

#: As of a backup: 1 means that something has to be done, 3 that another one is at it.
BUSY = 3
MOST_WORKERS = 64


class _Busy(click.ClickException):
    exit_code = BUSY


@click.command()
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path, file_okay=False))
@click.option("--workers", type=click.IntRange(1, MOST_WORKERS), default=1, show_default=True, help="Processes.")
@click.option("--all", "everything", is_flag=True, help="Look at every file, and remove what does not belong there.")
@with_appcontext
def mirror(folder: Path, workers: int, everything: bool) -> None:
    """Write the public side into DIR as files, only what changed since the last time.

    DIR is empty or an earlier mirror of this service. Exit code 3: another run is at work in it.
    """
    from charter.mirror import making
    from charter.mirror.errors import BusyError, MirrorError

    # Asked to end, it ends in order; the next run goes on from there. So it does after a kill.
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda which, _frame: sys.exit(128 + which))
    settings: Settings = current_app.config["CHARTER"]
    # A line for each page would tell nobody anything.
    logs.configure(replace(settings, log_level="error"))
    try:
        made = making.make(_app(settings), folder, workers=workers, everything=everything, now=clock.now())
    except BusyError as error:
        raise _Busy(str(error)) from None
    except MirrorError as error:
        raise click.ClickException(str(error)) from None
    except SQLAlchemyError:
        raise click.ClickException("The database did not answer; what is there stays as it was.") from None
    except OSError as error:
        raise click.ClickException(f"A file cannot be written: {error.strerror}.") from None
    finally:
        logs.configure(settings)
    click.echo(made.text)


def _app(settings: Settings) -> Flask:
    """This application; where there is a replica, one that does without: it may not have heard of a withdrawal yet."""
    if not settings.database_replica_url:
        return current_app._get_current_object()  # type: ignore[attr-defined,no-any-return]
    app: Flask = current_app.config["MAKE_APP"](replace(settings, database_replica_url=""))
    return app
