"""Commands: `flask --app charter …`."""

from __future__ import annotations

import click
from flask import Flask
from flask_migrate import upgrade

from charter import clock, shipped, worker
from charter.cli_staff import staff
from charter.operations import seed
from charter.settings import Settings
from charter.web.staff.auth import first_staff_path


def prepare(app: Flask) -> str | None:
    """Brings the database to the present schema and loads what is shipped.

    Returns the path of the one-time link for the first member of staff, or None once there is one.
    """
    settings: Settings = app.config["CHARTER"]
    with app.app_context():
        upgrade()
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


def init_app(app: Flask) -> None:
    """Registers the commands."""

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
    def run_prepare() -> None:
        """Migrate the database and load what is shipped; prints the one-time link if there is no staff yet."""
        settings: Settings = app.config["CHARTER"]
        path = prepare(app)
        click.echo("The database is ready.")
        if path:
            click.echo(f"First member of staff: {settings.public_url}{path}")

    app.cli.add_command(staff)
