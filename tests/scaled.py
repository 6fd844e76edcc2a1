"""PostgreSQL as a larger installation runs it: a primary with a streaming replica, and PgBouncer in front of one."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy.engine import make_url

from tests.postgres import DEBIAN, NoPostgres, _becoming, _call, _cluster, _free_port, _unprivileged_user

WAIT_SECONDS = 60
FILES = Path(__file__).resolve().parent.parent / "deploy" / "postgresql"


def missing(what: str) -> None:
    """Skips loudly on a developer's machine; with CI=true a part that is missing is a failure."""
    if os.environ.get("CI") == "true":
        pytest.fail(f"needed with CI=true: {what}", pytrace=False)
    pytest.skip(f"MISSING: {what}")


def until(condition: Callable[[], Any], what: str) -> None:
    """Waits for something that must come soon."""
    give_up = time.monotonic() + WAIT_SECONDS
    while not condition():
        assert time.monotonic() < give_up, what
        time.sleep(0.02)


def ask(url: str, statement: str) -> Any:
    """The first value that a server answers, outside any transaction."""
    address = make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(address, autocommit=True, connect_timeout=5) as connection:
        cursor = connection.execute(statement)  # type: ignore[arg-type]
        row = cursor.fetchone() if cursor.description else None
    return row[0] if row else None


@dataclass
class Replica:
    """A streaming replica of the server `primary`. Both are URLs of the database `postgres`."""

    primary: str
    url: str
    programs: Path
    folder: Path
    become: Mapping[str, Any] | None

    def of(self, database_url: str) -> str:
        """The same database, on the replica."""
        name = make_url(database_url).database
        return make_url(self.url).set(database=name).render_as_string(hide_password=False)

    def start(self) -> None:
        """Starts it and waits until it answers."""
        self._control("-w", "-t", "60", "-l", str(self.folder / "log"), "start")

    def stop(self) -> None:
        """As when its machine is lost."""
        self._control("-m", "immediate", "stop")

    def pause(self) -> None:
        """The stream still comes, but nothing of it is shown any more."""
        ask(self.url, "SELECT pg_wal_replay_pause()")
        until(lambda: ask(self.url, "SELECT pg_get_wal_replay_pause_state()") == "paused", "replay is not paused")

    def resume(self) -> None:
        """What has come meanwhile is shown."""
        ask(self.url, "SELECT pg_wal_replay_resume()")

    def catch_up(self) -> None:
        """Waits until everything that the primary has by now is shown."""
        # The tests' primary does not wait for its disk: one commit that does sends on whatever came before it.
        ask(f"{self.primary}?options=-csynchronous_commit%3Don", "SELECT pg_logical_emit_message(true, 'charter', '')")
        reached = ask(self.primary, "SELECT pg_current_wal_flush_lsn()")
        until(lambda: ask(self.url, f"SELECT pg_last_wal_replay_lsn() >= '{reached}'"), "the replica does not follow")

    def _control(self, *arguments: str) -> None:
        _call([self.programs / "pg_ctl", "-D", self.folder / "data", *arguments], self.folder, self.become)


def newest_programs() -> Path:
    """The folder of Debian's newest PostgreSQL."""
    found = sorted(DEBIAN.glob("*/bin"), key=lambda path: float(path.parent.name))
    if not found or not (found[-1] / "pg_basebackup").exists():
        missing("Debian's package postgresql")
    return found[-1]


@pytest.fixture(scope="session")
def replica() -> Iterator[Replica]:
    """A primary and its replica on this machine, in about three seconds."""
    programs = newest_programs()
    try:
        with _cluster(programs) as primary, standby(programs, primary) as follower:
            yield follower
    except NoPostgres as error:
        missing(str(error))


@contextmanager
def standby(programs: Path, primary: str) -> Iterator[Replica]:
    """A replica of a server on this machine, made by the script and with the settings that operators get."""
    with _folder("charter-replica-") as (folder, become):
        there, port = make_url(primary), _free_port()
        for name in ("replica.sh", "postgresql.conf"):
            shutil.copy(FILES / name, folder)
            (folder / name).chmod(0o644)
        given = {
            "PATH": f"{programs}:{os.environ.get('PATH', os.defpath)}",
            "PRIMARY_HOST": "127.0.0.1",
            "PRIMARY_PORT": there.port,
            "REPLICATION_USER": there.username,
            "DATA": folder / "data",
        }
        _call(["env", *(f"{key}={value}" for key, value in given.items()), "sh", folder / "replica.sh"], folder, become)
        settings = {
            "include": f"'{folder / 'postgresql.conf'}'",
            "port": port,
            "listen_addresses": "'127.0.0.1'",
            "unix_socket_directories": f"'{folder}'",
            "fsync": "off",
            "shared_buffers": "64MB",
            # So that a test meets a cancelled query, and at once.
            "hot_standby_feedback": "off",
            "max_standby_streaming_delay": 0,
        }
        with (folder / "data" / "postgresql.conf").open("a", encoding="utf-8") as file:
            file.writelines(f"{name} = {value}\n" for name, value in settings.items())
        follower = Replica(primary, there.set(port=port).render_as_string(), programs, folder, become)
        follower.start()
        try:
            yield follower
        finally:
            if (folder / "data" / "postmaster.pid").exists():
                follower.stop()


@contextmanager
def pgbouncer(server: str, *, connections: int) -> Iterator[Callable[[str], str]]:
    """PgBouncer in transaction mode with so many server connections; yields what turns a database's URL into its."""
    program = shutil.which("pgbouncer", path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin")
    if program is None:
        missing("Debian's package pgbouncer")
    assert program
    with _folder("charter-pooler-") as (folder, become):
        port = _free_port()
        # What operators get, with another place to listen, fewer connections and nobody asked for a password.
        own = {
            "charter": f"port={make_url(server).port} host=127.0.0.1 user={make_url(server).username}",
            "listen_port": port,
            "auth_type": "any",
            "default_pool_size": connections,
            "reserve_pool_size": 0,
            "stats_period": f"300\nlogfile = {folder / 'log'}\nunix_socket_dir =",
        }
        text = (FILES / "pgbouncer.ini").read_text(encoding="utf-8")
        for key, value in own.items():
            # Any database by its name, since a test has one of its own.
            name = "*" if key == "charter" else key
            text, count = re.subn(rf"(?m)^{key} = .*$", f"{name} = {value}", text)
            assert count == 1, key
        (folder / "pgbouncer.ini").write_text(text, encoding="utf-8")
        with (folder / "calls").open("w") as output:
            process = subprocess.Popen(
                [program, str(folder / "pgbouncer.ini")],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                **(become or {}),
            )
        try:
            until(lambda: process.poll() is not None or _listens(port), "PgBouncer does not start")
            assert process.poll() is None, (folder / "calls").read_text()
            yield lambda url: make_url(url).set(port=port).render_as_string(hide_password=False)
        finally:
            process.terminate()
            process.wait(timeout=10)


@contextmanager
def _folder(prefix: str) -> Iterator[tuple[Path, Mapping[str, Any] | None]]:
    """A folder, and what a child has to call first: PostgreSQL and PgBouncer refuse to run as root."""
    folder = Path(tempfile.mkdtemp(prefix=prefix))
    become = None
    if os.geteuid() == 0:
        owner = _unprivileged_user()
        os.chown(folder, owner.pw_uid, owner.pw_gid)
        become = _becoming(owner)
    try:
        yield folder, become
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
