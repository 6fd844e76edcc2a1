"""Records a release, once: `python -m tests.migrations.record`, in a checkout of it, writes `released/<revision>*`.

The data are those of a told story, from its own tables as they stand; the statements are what its code asks of each
engine while the story is told, without their values.
"""

from __future__ import annotations

import json
import re
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, datetime
from pathlib import Path
from typing import Any

import time_machine
from alembic.script import ScriptDirectory
from flask import Flask
from sqlalchemy import Engine, event, text

from charter import cli, create_app
from charter.models.base import Base, db, writing
from tests.conftest import FRIDAY, MONDAY, make_settings
from tests.migrations.story import read_everything, tell
from tests.postgres import _server, fresh_database

RELEASED = Path(__file__).parent / "released"
#: What no code of a release says: tests do, or migrations.
NOT_RECORDED = re.compile(
    r"^\s*(PRAGMA|BEGIN|SET|ROLLBACK|COMMIT|CREATE|ALTER|DROP|SELECT pg_catalog|SELECT\s+version)"
)


@contextmanager
def statements_of(engine: Engine) -> Iterator[set[str]]:
    """What is sent meanwhile, each once."""
    seen: set[str] = set()

    def note(_connection: object, _cursor: object, statement: str, *_more: object) -> None:
        if not NOT_RECORDED.search(statement) and "alembic_version" not in statement:
            seen.add(shortened(statement))

    event.listen(engine, "before_cursor_execute", note)
    try:
        yield seen
    finally:
        event.remove(engine, "before_cursor_execute", note)


def shortened(statement: str) -> str:
    """On one line; lists of any length have one element, and rows of any number are one."""
    line = " ".join(statement.split())
    line = re.sub(r"(%\(\w+_1)_1(\)s(?:::\w+)?)(?:, %\(\w+?_\d+_\d+\)s(?:::\w+)?)+", r"\1_1\2", line)
    line = re.sub(r"IN \(\?(?:, \?)+\)", "IN (?)", line)
    row = r"\([^()]*\)"
    return re.sub(rf"(VALUES {row})(?:, {row})+", r"\1", line)


def plain(value: Any) -> Any:
    """As JSON can hold it."""
    if isinstance(value, bytes):
        return {"bytes": value.hex()}
    if isinstance(value, datetime | date):
        return value.isoformat()
    return value


def data(app: Flask) -> dict[str, list[dict[str, Any]]]:
    """Every row of every table, parents first."""
    found = {}
    with app.app_context(), db.engine.connect() as connection:
        for table in Base.metadata.sorted_tables:
            order = ", ".join(f'"{column.name}"' for column in table.primary_key)
            rows = connection.execute(table.select().order_by(text(order))).mappings()
            found[table.name] = [{name: plain(value) for name, value in row.items()} for row in rows]
    return found


def every_state(app: Flask) -> None:
    """The two states that no verb of the first release reaches, on people whose application was declined."""
    with app.app_context(), writing():
        for state in ("revoked", "erased"):
            db.session.execute(
                text(
                    f"UPDATE signature SET state = '{state}' WHERE id = "
                    "(SELECT max(id) FROM signature WHERE state = 'submitted' AND mailbox = 'office@example.org')"
                )
            )
        db.session.commit()


def record(url: str | None) -> tuple[str, set[str], dict[str, list[dict[str, Any]]]]:
    """(revision, statements, rows) on the engine of `url`, SQLite without one."""
    with tempfile.TemporaryDirectory() as folder:
        app = create_app(make_settings(Path(folder) / "instance", **({"database_url": url} if url else {})))
        with app.app_context():
            engine = db.engine
        with time_machine.travel(MONDAY, tick=True) as clock:
            with statements_of(engine) as seen:
                cli.prepare(app)
                clock.move_to(FRIDAY)
                world = tell(app, clock)
                read_everything(world)
            every_state(app)
        rows = data(app)
        revision = ScriptDirectory(app.extensions["migrate"].directory).get_current_head()
        engine.dispose()
    assert revision
    return revision, seen, rows


def main() -> None:
    """Writes the files of the newest revision."""
    RELEASED.mkdir(exist_ok=True)
    revision, seen, rows = record(None)
    with _server() as server:
        asked = {"sqlite": seen, "postgresql": record(fresh_database(server))[1]}
    lines = [f' "{name}": [\n  ' + ",\n  ".join(map(_line, found)) + "\n ]" for name, found in rows.items()]
    (RELEASED / f"{revision}.json").write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")
    for engine, statements in asked.items():
        path = RELEASED / f"{revision}_statements_{engine}.txt"
        path.write_text("".join(f"{one}\n" for one in sorted(statements)), encoding="utf-8")
        print(f"{path}: {len(statements)} statements", file=sys.stderr)


def _line(row: dict[str, Any]) -> str:
    return json.dumps(row, ensure_ascii=False, sort_keys=True)


if __name__ == "__main__":
    main()
