"""`flask --app charter retention`: what is over its term, and what the worker will do about it."""

from __future__ import annotations

import click
from flask import current_app
from flask.cli import with_appcontext

from charter import retention as keeping
from charter.queries.retention import MOST_COUNTED


@click.command()
@click.option("--dry-run", is_flag=True, help="Count only; nothing is noted, reminded or erased.")
@with_appcontext
def retention(*, dry_run: bool) -> None:
    """Say what is over its term, and without --dry-run do what the worker would do now.

    Every rule acts in two passes at least an hour apart: the first one notes, the second one acts on what was noted.
    Nothing here makes the hour shorter.
    """
    settings = current_app.config["CHARTER"]
    lines = list(keeping.look(settings))
    for line in lines:
        click.echo(
            f"{line.rule.name:16} {_shown(line.over):>8} over  {_shown(line.noted):>8} noted"
            f"{'' if line.acts_at is None else f'  acts from {line.acts_at:%Y-%m-%d %H:%M} UTC'}  {line.rule.says}"
        )
    if dry_run:
        return
    worker = keeping.Retention(settings)
    while worker.step(at_once=True):
        pass
    click.echo("What was noted an hour ago or more is done; what is over now is noted.")


def _shown(count: int) -> str:
    return f"{MOST_COUNTED}+" if count >= MOST_COUNTED else str(count)
