"""One installation to measure: its folder, its database on one of the two engines, and how to look into it."""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
from flask import Flask

from charter import cli, create_app, guard, log_key, settings, worker
from charter.models.base import db
from tests.postgres import drop_database, fresh_database

ENGINES = ("sqlite", "postgresql")
ENGINE_NAMES = {"sqlite": "SQLite", "postgresql": "PostgreSQL"}
SECRET_KEY = "a key for measuring only, known to everybody who reads this line"
#: One machine with one mail domain that signs as fast as it can is what limits are for. They count all the same.
UNLIMITED = {
    "signing_least_seconds": 0,
    "signings_per_mailbox_hour": 0,
    "signings_per_network_hour": 0,
    "signings_per_domain_hour": 0,
    "signings_per_minute": 0,
    "proof_of_work_from": 0,
}
ROOT = Path(__file__).resolve().parent.parent


def names(words: str) -> list[str]:
    """Names of columns, separated by spaces."""
    return words.split()


@dataclass(frozen=True)
class Installation:
    """engine: sqlite | postgresql. url: as CHARTER_DATABASE_URL."""

    engine: str
    folder: Path
    url: str

    @property
    def key(self) -> bytes:
        """What links and codes are computed from."""
        return SECRET_KEY.encode()

    def environment(self, **given: object) -> dict[str, str]:
        """Of a process that serves this installation; keywords are settings."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("CHARTER_", "GRANIAN_"))}
        chosen = {
            "instance_path": self.folder,
            "secret_key": SECRET_KEY,
            "database_url": self.url,
            **UNLIMITED,
            **given,
        }
        named = {f"CHARTER_{name.upper()}": str(value) for name, value in chosen.items()}
        return kept | named | {"PYTHONPATH": str(ROOT)}

    def app(self, **given: object) -> Flask:
        """The application in this process, without log lines. Call it in a process of its own where memory counts."""
        environ = self.environment(**{"log_level": "error", **given})
        return create_app(settings.load(self.folder, environ))

    @contextmanager
    def connect(self) -> Iterator[Any]:
        """A connection of the driver itself, past every rule of the service; commits at the end."""
        if self.engine == "sqlite":
            with closing(sqlite3.connect(self.folder / "charter.db", timeout=60)) as file, file:
                yield file
        else:
            with psycopg.connect(self.url) as connection:
                yield connection

    def rows(self, statement: str) -> list[tuple[Any, ...]]:
        """What a query without parameters returns."""
        with self.connect() as connection:
            return list(connection.execute(statement).fetchall())

    def scalar(self, statement: str) -> Any:
        """The first value that a query returns."""
        return self.rows(statement)[0][0]

    def load(self, table: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
        """Many rows at once: COPY, or one long transaction."""
        names = ", ".join(f'"{name}"' for name in columns)
        with self.connect() as connection:
            if self.engine == "sqlite":
                places = ", ".join("?" * len(columns))
                connection.executemany(f'INSERT INTO "{table}" ({names}) VALUES ({places})', rows)
            else:
                with connection.cursor().copy(f'COPY "{table}" ({names}) FROM STDIN') as copy:
                    for row in rows:
                        copy.write_row(row)

    def settle(self) -> None:
        """After a bulk load: what a database that grew day by day would have done long ago."""
        if self.engine == "sqlite":
            with self.connect() as connection:
                connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        else:
            with psycopg.connect(self.url, autocommit=True) as connection:
                connection.execute("VACUUM ANALYZE")
                connection.execute("CHECKPOINT")


class Workshop:
    """Makes installations from one prepared template for each engine, and clears them away."""

    def __init__(self, folder: Path, postgres_url: str) -> None:
        self._folder = folder
        self._postgres_url = postgres_url
        self._templates: dict[str, Installation] = {}
        self._shared: dict[tuple[str, str], Installation] = {}
        self._made = 0

    @contextmanager
    def installation(self, engine: str) -> Iterator[Installation]:
        """A migrated and loaded one, empty of people."""
        template = self._templates.get(engine)
        if template is None:
            template = self._templates[engine] = self._prepare(engine)
        made = self._copy(template)
        try:
            yield made
        finally:
            self._clear(made)

    def shared(self, engine: str, name: str, fill: Callable[[Installation], object]) -> Installation:
        """One that several measurements of a run read: empty at first, filled once, and kept until the end."""
        made = self._shared.get((engine, name))
        if made is None:
            made = self.empty(engine)
            try:
                fill(made)
            except BaseException:
                self._clear(made)
                raise
            self._shared[engine, name] = made
        return made

    def close(self) -> None:
        """Clears away what is left."""
        for made in (*self._templates.values(), *self._shared.values()):
            self._clear(made)

    def _new_folder(self, engine: str) -> Path:
        self._made += 1
        folder = self._folder / f"{engine}-{self._made}"
        folder.mkdir(mode=0o700)
        return folder

    def _prepare(self, engine: str) -> Installation:
        made = self.empty(engine)
        app = made.app()
        cli.prepare(app)
        # The edition's leaf is published: a service that nobody ever published anything on is not what runs.
        worker.run_once(app)
        with app.app_context():
            db.session.remove()
            db.engine.dispose()
        return made

    def empty(self, engine: str) -> Installation:
        """One without even a schema; the caller clears it away with `clear`."""
        folder = self._new_folder(engine)
        url = f"sqlite:///{folder / 'charter.db'}" if engine == "sqlite" else fresh_database(self._postgres_url)
        return Installation(engine, folder, url.replace("+psycopg", ""))

    def clear(self, made: Installation) -> None:
        """Removes an installation with its database."""
        self._clear(made)

    def _copy(self, template: Installation) -> Installation:
        folder = self._new_folder(template.engine)
        # Without the key of its log a worker publishes nothing.
        for name in (log_key.NAME, guard.NAME):
            shutil.copy(template.folder / name, folder)
        if template.engine == "sqlite":
            # Through SQLite itself: the newest pages may still be in the WAL.
            target = folder / "charter.db"
            with closing(sqlite3.connect(template.folder / "charter.db")) as source:
                source.execute("VACUUM INTO ?", (str(target),))
            with closing(sqlite3.connect(target)) as copied:
                copied.execute("PRAGMA journal_mode = WAL")
            return Installation("sqlite", folder, f"sqlite:///{target}")
        name = template.url.rpartition("/")[2]
        url = fresh_database(self._postgres_url, template=name).replace("+psycopg", "")
        return Installation("postgresql", folder, url)

    def _clear(self, made: Installation) -> None:
        if made.engine == "postgresql":
            drop_database(made.url)
        shutil.rmtree(made.folder, ignore_errors=True)
