"""Commands: `flask --app charter …`."""

from __future__ import annotations

from typing import Any

import click
from flask import Flask

from charter import clock, migrating, shipped, worker
from charter.cli_backup import backup, backup_key, reapply, restore
from charter.cli_bounce import bounce
from charter.cli_erase import erase
from charter.cli_log import log_key_group
from charter.cli_mirror import mirror
from charter.cli_retention import retention
from charter.cli_selfcheck import self_check
from charter.cli_staff import staff
from charter.operations import seed
from charter.settings import Settings
from charter.web.staff.auth import first_staff_path


def prepare(app: Flask) -> str | None:
    """Brings the database to the present schema and loads what is shipped.

    Returns the path of the one-time link for the first member of staff, or None once there is one. Raises
    MigrationError when others are in the way.
    """
    settings: Settings = app.config["CHARTER"]
    migrating.migrate(app)
    with app.app_context():
        load(settings)
    return first_staff_path(app)


def load(settings: Settings) -> bool:
    """Loads regions, affiliations and the edition of the settings; returns whether anything was new."""
    return seed.load_shipped(
        regions=shipped.regions(),
        affiliations=shipped.affiliations(),
        edition_slug=settings.charter_edition,
        edition_texts=shipped.edition_texts(settings.charter_edition),
        now=clock.now(),
    )


def _make_app(settings: Settings) -> Flask:
    """Another application, on other settings: a restore builds its database beside the one that is served."""
    from charter import create_app  # which assembles this module too

    return create_app(settings)


class _StepCommands(click.Command):
    """Flask-Migrate's commands for developers, loaded with Alembic only when one is asked for."""

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: Any
    ) -> click.Context:
        """Becomes the real group."""
        from flask_migrate.cli import db

        group: click.Group = db
        return group.make_context(info_name, args, parent, **extra)


def init_app(app: Flask) -> None:
    """Registers the commands."""
    app.config["MAKE_APP"] = _make_app

    @app.cli.command("worker")
    @click.option("--once", is_flag=True, help="Do what is due now and end.")
    def run_worker(once: bool) -> None:
        """Publish batches and deliver mail until stopped."""
        if once:
            leaves, mails = worker.run_once(app)
            click.echo(f"{leaves} leaves published, {mails} mails sent.")
        else:
            worker.run(app)

    @app.cli.command("prepare")
    @click.option("--check", is_flag=True, help="Change nothing; exit code 1 if a migration is pending.")
    def run_prepare(check: bool) -> None:
        """Migrate the database and load what is shipped; prints the one-time link if there is no staff yet."""
        settings: Settings = app.config["CHARTER"]
        if check:
            with app.app_context():
                pending, standing = migrating.pending(), migrating.standing()
            click.echo(f"Pending: {', '.join(pending)}." if pending else f"Nothing is pending (schema: {standing}).")
            raise SystemExit(1 if pending else 0)
        try:
            path = prepare(app)
        except migrating.MigrationError as error:
            raise click.ClickException(str(error)) from None
        click.echo("The database is ready.")
        if path:
            click.echo(f"First member of staff: {settings.public_url}{path}")

    steps = _StepCommands("db", help="Write and try migrations (for developers).")
    for command in (
        staff,
        backup,
        backup_key,
        restore,
        reapply,
        log_key_group,
        self_check,
        mirror,
        bounce,
        erase,
        retention,
        steps,
    ):
        app.cli.add_command(command)
