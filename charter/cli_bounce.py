"""`flask --app charter bounce`: the mail server pipes mail that came back into it."""

from __future__ import annotations

import sys

import click
import structlog
from flask import current_app
from flask.cli import with_appcontext
from sqlalchemy.exc import SQLAlchemyError

from charter import bounces, clock
from charter.operations import bouncing
from charter.operations.bouncing import Noted
from charter.queries import schema
from charter.settings import Settings

logger = structlog.get_logger()

#: EX_TEMPFAIL of sysexits.h: the mail server keeps the report and tries again.
TRY_AGAIN = 75


@click.command()
@click.option("--to", "brought_to", default="", help="The address it was brought to, if the mail server tells.")
@with_appcontext
def bounce(brought_to: str) -> None:
    """Read a mail that came back from standard input, and note what it says of its mailbox.

    Ends with 0 whatever was in it, so that no mail server sends reports about reports: what carries no mark of ours, or
    is no report, changes nothing. Only a database that cannot be asked ends with 75, "try again later".
    """
    settings: Settings = current_app.config["CHARTER"]
    report = bounces.read(sys.stdin.buffer.read(bounces.MOST_BYTES), brought_to=brought_to)
    noted = Noted.UNKNOWN
    try:
        for mark in report.marks if report.is_hard is not None else ():
            noted = bouncing.note(mark, is_hard=bool(report.is_hard), key=settings.secret_key.encode(), now=clock.now())
            if noted is not Noted.UNKNOWN:
                break
    except SQLAlchemyError as error:
        click.echo(f"The database cannot be asked ({schema.code_of(error)}).", err=True)
        raise SystemExit(TRY_AGAIN) from None
    # Its words and addresses are for nobody.
    logger.info("mail came back", noted=str(noted), is_report=report.is_hard is not None)
