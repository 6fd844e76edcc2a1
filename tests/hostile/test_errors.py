"""Which errors of the drivers mean a broken world, a 503, and which mean that we are wrong, a 500."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from typing import Any

import psycopg
import pytest
from flask import Flask
from psycopg import errors as pg
from sqlalchemy import exc

from charter.models.breakdown import is_breakdown
from tests.conftest import MakeApp


def sqlite_error(code: int, words: str, kind: type[sqlite3.Error] = sqlite3.OperationalError) -> sqlite3.Error:
    error = kind(words)
    error.sqlite_errorcode = code
    return error


def wrapped(orig: Exception, base: type[Exception]) -> exc.DBAPIError:
    found = exc.DBAPIError.instance("SELECT 1", {}, orig, base)
    assert isinstance(found, exc.DBAPIError)
    return found


def of_sqlite(code: int, words: str, kind: type[sqlite3.Error] = sqlite3.OperationalError) -> exc.DBAPIError:
    return wrapped(sqlite_error(code, words, kind), sqlite3.Error)


def of_postgresql(kind: type[psycopg.Error]) -> exc.DBAPIError:
    return wrapped(kind("amina@example.org"), psycopg.Error)


BROKEN: dict[str, Callable[[], BaseException]] = {
    "locked": lambda: of_sqlite(sqlite3.SQLITE_BUSY, "database is locked"),
    "locked, extended": lambda: of_sqlite(sqlite3.SQLITE_BUSY_SNAPSHOT, "database is locked"),
    "cannot open": lambda: of_sqlite(sqlite3.SQLITE_CANTOPEN, "unable to open database file"),
    "read-only": lambda: of_sqlite(sqlite3.SQLITE_READONLY, "attempt to write a readonly database"),
    "full": lambda: of_sqlite(sqlite3.SQLITE_FULL, "database or disk is full"),
    "disk error": lambda: of_sqlite(sqlite3.SQLITE_IOERR_FSYNC, "disk I/O error"),
    "malformed": lambda: of_sqlite(sqlite3.SQLITE_CORRUPT, "database disk image is malformed", sqlite3.DatabaseError),
    "not a database": lambda: of_sqlite(sqlite3.SQLITE_NOTADB, "file is not a database", sqlite3.DatabaseError),
    "another database": lambda: of_sqlite(sqlite3.SQLITE_ERROR, "no such table: log_batch"),
    "refused": lambda: of_postgresql(psycopg.OperationalError),
    "connection closed": lambda: of_postgresql(psycopg.InterfaceError),
    "shut down": lambda: of_postgresql(pg.AdminShutdown),
    "crashed": lambda: of_postgresql(pg.CrashShutdown),
    "starting": lambda: of_postgresql(pg.CannotConnectNow),
    "too many": lambda: of_postgresql(pg.TooManyConnections),
    "disk full": lambda: of_postgresql(pg.DiskFull),
    "out of memory": lambda: of_postgresql(pg.OutOfMemory),
    "standby": lambda: of_postgresql(pg.ReadOnlySqlTransaction),
    "too long": lambda: of_postgresql(pg.QueryCanceled),
    "lock": lambda: of_postgresql(pg.LockNotAvailable),
    "deadlock": lambda: of_postgresql(pg.DeadlockDetected),
    "io": lambda: of_postgresql(pg.IoError),
    "corrupt": lambda: of_postgresql(pg.DataCorrupted),
    "garbled": lambda: of_postgresql(psycopg.DatabaseError),
    "pool": lambda: exc.TimeoutError("QueuePool limit reached"),
    "rolled back": lambda: exc.PendingRollbackError("Can't reconnect", code="8s2b"),
}
BUGS: dict[str, Callable[[], BaseException]] = {
    "syntax": lambda: of_sqlite(sqlite3.SQLITE_ERROR, 'near "SELEC": syntax error'),
    "column": lambda: of_sqlite(sqlite3.SQLITE_ERROR, "no such column: nmae"),
    "unique": lambda: of_sqlite(sqlite3.SQLITE_CONSTRAINT, "UNIQUE constraint failed", sqlite3.IntegrityError),
    "binding": lambda: of_sqlite(sqlite3.SQLITE_MISUSE, "type not supported", sqlite3.ProgrammingError),
    "pg unique": lambda: of_postgresql(pg.UniqueViolation),
    "pg syntax": lambda: of_postgresql(pg.SyntaxError),
    "pg table": lambda: of_postgresql(pg.UndefinedTable),
    "pg data": lambda: of_postgresql(pg.NumericValueOutOfRange),
    "pg failed": lambda: of_postgresql(pg.InFailedSqlTransaction),
    "session": lambda: exc.PendingRollbackError("This Session's transaction has been rolled back", code="7s2a"),
    "statement": lambda: exc.ArgumentError("no"),
    "rows": lambda: exc.NoResultFound("no"),
    "value": lambda: ValueError("no"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_world(name: str) -> None:
    assert is_breakdown(BROKEN[name]())


@pytest.mark.parametrize("name", BUGS)
def test_a_bug(name: str) -> None:
    assert not is_breakdown(BUGS[name]())


@pytest.mark.parametrize("engine_name", ["sqlite"])
def test_each_gets_its_page_and_no_word_of_it_is_told(make_app: MakeApp, capsys: pytest.CaptureFixture[str]) -> None:
    app: Flask = make_app()
    raised: dict[str, Any] = {}

    @app.route("/<lang:lang>/raises/", methods=["GET", "POST"])
    def raises() -> str:
        raise raised["error"]

    client = app.test_client()
    for status, errors in ((503, BROKEN), (500, BUGS)):
        for name, make in errors.items():
            raised["error"] = make()
            for lang in ("kk", "ru", "en"):
                answer = client.get(f"/{lang}/raises/")
                assert answer.status_code == status, name
                assert f'lang="{lang}"' in answer.text
                assert ("Retry-After" in answer.headers) == (status == 503)
                assert "amina" not in answer.text
            posted = client.post("/ru/raises/", data={"answer": "<b>слово</b>", "csrf_token": "x"})
            assert posted.status_code in {status, 400}, name
    assert "amina" not in capsys.readouterr().err
