"""`flask --app charter self-check`: whether what the database shows is what its log says, all of it at once."""

from __future__ import annotations

import click
from flask import current_app
from flask.cli import with_appcontext
from sqlalchemy.exc import SQLAlchemyError

from charter import selfcheck
from charter.queries import schema


@click.command("self-check")
@with_appcontext
def self_check() -> None:
    """Compare entries, leaves, nodes, checkpoints and counters with each other. Exit code 1: something differs."""
    try:
        found = selfcheck.check_all(current_app.config["CHARTER"])
    except selfcheck.NotYetError:
        raise click.ClickException("There is no tree over all leaves yet: let the worker build it first.") from None
    except SQLAlchemyError as error:
        raise click.ClickException(f"The database cannot be asked ({schema.code_of(error)}).") from None
    for one in found:
        click.echo(f"{one.code}: {one.what}")
    if found:
        raise click.ClickException(
            f"{len(found)} found, see docs/insiders.md: nothing is published until it is mended."
        )
    click.echo("All agrees.")
