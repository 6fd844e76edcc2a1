"""Commands: `flask --app charter …`."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import click
from flask import Flask

from charter import clock, migrating, shipped
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


#: Name → where it stands. What serves has no use for them, and loads none.
_COMMANDS = {
    "staff": "charter.cli_staff:staff",
    "backup": "charter.cli_backup:backup",
    "backup-key": "charter.cli_backup:backup_key",
    "restore": "charter.cli_backup:restore",
    "reapply": "charter.cli_backup:reapply",
    "log-key": "charter.cli_log:log_key_group",
    "self-check": "charter.cli_selfcheck:self_check",
    "mirror": "charter.cli_mirror:mirror",
    "bounce": "charter.cli_bounce:bounce",
    "erase": "charter.cli_erase:erase",
    "retention": "charter.cli_retention:retention",
    # Flask-Migrate's, for developers: it brings Alembic along.
    "db": "flask_migrate.cli:db",
}


class _Command(click.Command):
    """One that is loaded when somebody asks for it, or for the list of all."""

    def __init__(self, name: str, place: str) -> None:
        super().__init__(name)
        self._place = place

    def _load(self) -> click.Command:
        module, _, name = self._place.partition(":")
        command: click.Command = getattr(import_module(module), name)
        return command

    def get_short_help_str(self, limit: int = 45) -> str:
        """Its own first line."""
        return self._load().get_short_help_str(limit)

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: Any
    ) -> click.Context:
        """Becomes the real one."""
        return self._load().make_context(info_name, args, parent, **extra)


def init_app(app: Flask) -> None:
    """Registers the commands."""
    app.config["MAKE_APP"] = _make_app

    @app.cli.command("worker")
    @click.option("--once", is_flag=True, help="Do what is due now and end.")
    def run_worker(once: bool) -> None:
        """Publish batches and deliver mail until stopped."""
        from charter import worker

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

    for name, place in _COMMANDS.items():
        app.cli.add_command(_Command(name, place))
