"""Brings the database to the schema of this code: one process at a time, all or nothing, in nobody's way for long."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import structlog
from flask import Flask, current_app
from sqlalchemy.exc import DBAPIError

from charter.queries import schema

if TYPE_CHECKING:
    from flask_migrate import Migrate

logger = structlog.get_logger()

#: A step that cannot have its locks within some seconds (`migrations/env.py`) lets everybody pass and tries again.
ATTEMPTS = 5
PAUSE_SECONDS = 2.0
#: lock_not_available, deadlock_detected
_IN_THE_WAY = frozenset({"55P03", "40P01"})


class MigrationError(Exception):
    """The schema is as it was; the text is one sentence for whoever wanted to change it."""


@dataclass
class Scripts:
    """Where the steps are; also what Flask-Migrate looks for in an application.

    Alembic is loaded only by whoever migrates: web server and worker do without its memory.
    """

    directory: str

    @cached_property
    def migrate(self) -> Migrate:
        """Flask-Migrate's way to this folder."""
        from flask_migrate import Migrate

        return Migrate(directory=self.directory, render_as_batch=True)


def init_app(app: Flask) -> None:
    """Registers the steps of this code."""
    app.extensions["migrate"] = Scripts(str(Path(__file__).parent / "migrations"))


def known() -> tuple[str, ...]:
    """The revisions of this code, oldest first. Needs an application context."""
    return revisions(_scripts().directory)


def _scripts() -> Scripts:
    scripts: Scripts = current_app.extensions["migrate"]
    return scripts


_REVISION = re.compile(r"^revision\b[^=\n]*= *[\"'](\w+)[\"']", re.MULTILINE)
_BEFORE = re.compile(r"^down_revision\b[^=\n]*= *(?:None|[\"'](\w+)[\"'])", re.MULTILINE)


@lru_cache(maxsize=4)
def revisions(directory: str) -> tuple[str, ...]:
    """What the scripts in a folder say of themselves, oldest first. Raises ValueError if they are not one chain."""
    after: dict[str | None, str] = {}
    scripts: Sequence[Path] = sorted(Path(directory, "versions").glob("*.py"))
    for script in scripts:
        text = script.read_text(encoding="utf-8")
        revision, before = _REVISION.search(text), _BEFORE.search(text)
        if revision is None or before is None or before[1] in after:
            raise ValueError(f"{script.name} does not follow one other migration")
        after[before[1]] = revision[1]
    chain: list[str] = []
    step: str | None = None
    while (step := after.get(step)) is not None and step not in chain:
        chain.append(step)
    if len(chain) != len(scripts):
        raise ValueError("the migrations are not one chain")
    return tuple(chain)


def standing() -> str:
    """How the database stands to this code, in the words of `queries/schema.py`. Needs an application context."""
    with schema.connection() as connection:
        return schema.standing(schema.revision(connection), known=known())


def pending() -> list[str]:
    """The revisions that a migration would add, oldest first. Needs an application context."""
    with schema.connection() as connection:
        found = schema.revision(connection)
    if found is not None and found not in known():
        return []
    return list(known()[0 if found is None else known().index(found) + 1 :])


def migrate(app: Flask) -> None:
    """To the newest schema; leaves one that is newer than this code as it is. Raises MigrationError or DBAPIError."""
    from flask_migrate import upgrade

    with app.app_context():
        if standing() == schema.NEWER:
            logger.warning("schema", standing=schema.NEWER)
            return
        for attempt in range(1, ATTEMPTS + 1):
            try:
                upgrade(directory=_scripts().directory)
            except SystemExit:
                # Flask-Migrate has written why, and would end the process.
                raise MigrationError("A migration failed; nothing was changed.") from None
            except DBAPIError as error:
                if not _is_in_the_way(error):
                    raise
                if attempt == ATTEMPTS:
                    raise MigrationError(
                        "The database could not be migrated, because others hold what has to be changed "
                        "(a backup, a report, a long transaction?); nothing was changed."
                    ) from None
                logger.warning("migration waits", attempt=attempt)
                time.sleep(PAUSE_SECONDS)
            else:
                return


def _is_in_the_way(error: DBAPIError) -> bool:
    return getattr(error.orig, "sqlstate", None) in _IN_THE_WAY or "database is locked" in str(error.orig)
