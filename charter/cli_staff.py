"""`flask --app charter staff …`: invite, list and deactivate the Centre's people."""

from __future__ import annotations

import secrets
from datetime import timedelta

import click
from flask import current_app
from flask.cli import with_appcontext

from charter import clock
from charter.domain import token as tokens
from charter.domain.email import EmailError, clean_email
from charter.domain.errors import NotFoundError
from charter.domain.languages import DEFAULT, LANGUAGES
from charter.domain.name import clean_name
from charter.domain.text import TextError
from charter.operations import staff as operations
from charter.queries import staff as queries
from charter.settings import Settings

INVITATION_HOURS = 72


@click.group()
def staff() -> None:
    """The Centre's people."""


@staff.command()
@click.argument("name")
@click.argument("email")
@click.option("--language", type=click.Choice(LANGUAGES), default=DEFAULT, show_default=True, help="Of the desk.")
@with_appcontext
def add(name: str, email: str, language: str) -> None:
    """Invite NAME as an administrator, and print a link with which they choose a password; give it to them yourself.

    Only while fewer than two administrators are active or invited: everybody else is invited at the desk, under Team,
    where somebody who lost password and second factor also begins anew. Administrators there are told by mail.
    """
    try:
        name, mailbox = clean_name(name), clean_email(email).folded
    except TextError:
        raise click.UsageError("The name may hold letters, spaces, hyphens and full stops only.") from None
    except EmailError:
        raise click.UsageError(f"{email} is not an email address.") from None
    settings: Settings = current_app.config["CHARTER"]
    token = secrets.token_urlsafe(32)
    now = clock.now()
    try:
        operations.invite_administrator(
            name,
            email=mailbox,
            language=language,
            digest=tokens.token_digest(token),
            expires_at=now + timedelta(hours=INVITATION_HOURS),
            now=now,
        )
    except operations.AlreadyStaffError:
        raise click.ClickException(f"{mailbox} has an active account already.") from None
    except operations.EnoughAdministratorsError:
        raise click.ClickException(
            f"There are two administrators already. They invite everybody else: {settings.public_url}/staff/team/"
        ) from None
    click.echo(f"{settings.public_url}/staff/invitation/{token}")
    click.echo(
        f"This link works once, within {INVITATION_HOURS} hours. Whoever has it can choose the password.", err=True
    )


@staff.command("list")
@with_appcontext
def list_() -> None:
    """Everybody: id, name, email, role with its regions, active, second factor."""
    rows = [("id", "name", "email", "role", "active", "second factor")]
    for line in queries.staff_lines():
        state = "no" if not line.is_active else "yes" if line.has_joined else "invited"
        role = line.role if line.regions is None else f"{line.role} ({', '.join(line.regions)})"
        rows.append((str(line.id), line.name, line.email, role, state, "set" if line.has_second_factor else "not set"))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


@staff.command()
@click.argument("who", metavar="EMAIL|ID")
@with_appcontext
def deactivate(who: str) -> None:
    """Close an account and sign it out everywhere. What it decided stays under its name."""
    if who.isascii() and who.isdigit():
        line = queries.find_staff_line(staff_id=int(who[:18]))
    else:
        try:
            line = queries.find_staff_line(email=clean_email(who).folded)
        except EmailError:
            line = None
    if line is None:
        raise click.ClickException(f"There is no account {who}.")
    try:
        operations.deactivate(line.id, now=clock.now())
    except operations.LastStaffError:
        raise click.ClickException(
            f"{line.email} is the last administrator who can sign in; add another and let them join first."
        ) from None
    except NotFoundError:
        raise click.ClickException(f"There is no account {who}.") from None
    click.echo(f"{line.name} <{line.email}> can no longer sign in.")
