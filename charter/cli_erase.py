"""`flask --app charter erase …`: destroys what is kept about one person."""

from __future__ import annotations

import re

import click
from flask.cli import with_appcontext

from charter import clock
from charter.domain.errors import MoveRefusedError, NotFoundError
from charter.operations import erasing
from charter.queries import erasing as queries
from charter.queries import schema

_ENTRY = re.compile(r"[0-9a-f]{32}")


@click.command()
@click.argument("entry", required=False)
@click.option("--number", type=click.IntRange(1, 10**15), help="The registry number, instead of ENTRY.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@with_appcontext
def erase(entry: str | None, number: int | None, *, yes: bool) -> None:
    """Erase the person behind ENTRY: the last part of the entry's address, 32 digits and letters a to f.

    A signature that stands is withdrawn first. Name, address, answers, notes, mail and links are destroyed at once; the
    registry and the log follow with the next publication. It cannot be undone, and the person is sent no mail about it.
    """
    if (entry is None) == (number is None):
        raise click.UsageError("Name either an ENTRY or a --number.")
    if entry is not None and not _ENTRY.fullmatch(entry):
        raise click.UsageError("An entry is 32 digits and letters a to f, as at the end of its address.")
    found = queries.find_erasable(entry=entry, number=number)
    schema.let_go()
    if found is None:
        raise click.ClickException("There is no such signature.")
    if not yes:
        numbered = "" if found.number is None else f", number {found.number}"
        click.echo(
            f"{found.full_name or 'A signature without a name'}: {found.state}{numbered}, of {found.submitted_on}."
        )
        click.confirm("Erase this person for good?", abort=True)
    try:
        erasing.erase(found.entry, now=clock.now())
    except NotFoundError:
        raise click.ClickException("There is no such signature.") from None
    except MoveRefusedError:
        raise click.ClickException("This person was erased before.") from None
    click.echo(
        "Erased. The registry and the log follow with the next publication; backups keep it until they are removed."
    )
