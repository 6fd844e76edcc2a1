"""Ways to break the database under a running application, and to mend it again: what operators and machines do."""

from __future__ import annotations

import os
import signal
import socket
import sqlite3
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
from flask import Flask
from sqlalchemy.engine import make_url

from charter.models.base import db
from tests import postgres

SECONDS = 30


def wait_for(condition: Callable[[], object], *, seconds: float = SECONDS) -> None:
    """Returns as soon as `condition` holds."""
    give_up = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < give_up, "waited in vain"
        time.sleep(0.02)


# ── SQLite ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def sqlite_path(app: Flask) -> Path:
    """The file of this application's database."""
    with app.app_context():
        return Path(str(db.engine.url.database))


@contextmanager
def moved_away(path: Path) -> Iterator[Path]:
    """The file, with what belongs to it, lies elsewhere."""
    aside = path.with_name("aside")
    aside.mkdir()
    for name in (path.name, f"{path.name}-wal", f"{path.name}-shm"):
        if path.with_name(name).exists():
            path.with_name(name).rename(aside / name)
    yield aside / path.name
    for one in aside.iterdir():
        one.rename(path.with_name(one.name))
    aside.rmdir()


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Another process holds the write lock, as a backup or somebody's shell would."""
    script = (
        "import sqlite3, sys; c = sqlite3.connect(sys.argv[1], isolation_level=None);"
        "c.execute('BEGIN EXCLUSIVE'); print('held', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        ["python3", "-c", script, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout and holder.stdin
        assert holder.stdout.readline() == "held\n"
        yield
        holder.stdin.close()
        assert holder.wait(timeout=SECONDS) == 0


@contextmanager
def garbage(path: Path) -> Iterator[None]:
    """Something else lies where the database was."""
    with moved_away(path):
        path.write_bytes(os.urandom(200_000))
        yield
        for name in (path.name, f"{path.name}-wal", f"{path.name}-shm"):
            path.with_name(name).unlink(missing_ok=True)


@contextmanager
def damaged(path: Path) -> Iterator[None]:
    """Some pages in the middle of the file hold nonsense; its beginning is right."""
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    whole = path.read_bytes()
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(os.urandom(len(whole) - 4096))
    yield
    with path.open("r+b") as file:
        file.write(whole)


# ── PostgreSQL ───────────────────────────────────────────────────────────────────────────────────────────────────────


class Server:
    """A PostgreSQL of this test's own, to be stopped and started."""

    def __init__(self, programs: Path, folder: Path, port: int, flags: str, become: Mapping[str, Any] | None) -> None:
        self._control: list[Path | str] = [
            programs / "pg_ctl", "-D", folder / "data", "-l", folder / "log", "-w", "-t", "60"
        ]  # fmt: skip
        self._folder, self._flags, self._become = folder, flags, become
        self.url = f"postgresql+psycopg://charter@127.0.0.1:{port}/postgres"

    def stop(self, how: str) -> None:
        """How: fast or immediate."""
        postgres._call([*self._control, "-m", how, "stop"], self._folder, self._become)

    def start(self) -> None:
        """Returns once it takes connections."""
        postgres._call([*self._control, "-o", self._flags, "start"], self._folder, self._become)

    def signal(self, number: signal.Signals) -> None:
        """To all its processes."""
        first = int((self._folder / "data" / "postmaster.pid").read_text().splitlines()[0])
        found = subprocess.run(["pgrep", "-P", str(first)], capture_output=True, text=True, check=False)
        for process_id in (first, *map(int, found.stdout.split())):
            os.kill(process_id, number)


@contextmanager
def own_server(*options: str, folder: Path | None = None) -> Iterator[Server]:
    """A cluster in `folder` or a temporary one. Skips loudly where there are no programs for it; fails with CI=true."""
    programs = sorted(postgres.DEBIAN.glob("*/bin"), key=lambda path: float(path.parent.name))
    if not programs or not (programs[-1] / "initdb").exists():
        if os.environ.get("CI") == "true":
            pytest.fail("PostgreSQL's own programs are needed with CI=true", pytrace=False)
        pytest.skip("NO POSTGRESQL PROGRAMS in /usr/lib/postgresql: a server cannot be stopped and started")
    with postgres._cluster(programs[-1]) as url:
        place = make_url(url)
        assert place.port is not None
        data = Path(_ask(url, "SHOW data_directory"))
        become = postgres._becoming(postgres._unprivileged_user()) if os.geteuid() == 0 else None
        flags = [f"port={place.port}", "listen_addresses=127.0.0.1", f"unix_socket_directories={data.parent}"]
        flags += [*postgres.SMALL, *options]
        server = Server(programs[-1], data.parent, place.port, " ".join(f"-c {option}" for option in flags), become)
        # It was begun to be quick, and would forget what it has acknowledged when it is stopped at once.
        server.stop("fast")
        server.start()
        try:
            yield server
        finally:
            # `_cluster` stops what runs, and would complain of what does not.
            if not _answers(url):
                server.start()


def _ask(url: str, question: str) -> str:
    address = make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(address, autocommit=True) as connection:
        answer = connection.execute(question)  # type: ignore[arg-type]
        row = answer.fetchone() if answer.description else None
    return "" if row is None else str(row[0])


def _answers(url: str) -> bool:
    try:
        _ask(url, "SELECT 1")
    except psycopg.OperationalError:
        return False
    return True


# ── a way between ────────────────────────────────────────────────────────────────────────────────────────────────────


class BlackHole:
    """A port that accepts and never says anything, for as long as it is entered."""

    def __enter__(self) -> BlackHole:
        self._listener = socket.socket()
        self._listener.bind(("127.0.0.1", 0))
        self._listener.listen(64)
        self.port: int = self._listener.getsockname()[1]
        self._taken: list[socket.socket] = []
        self._thread = threading.Thread(target=self._take, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(5)
        for one in self._taken:
            one.close()

    @property
    def count(self) -> int:
        """How many came."""
        return len(self._taken)

    def _take(self) -> None:
        while True:
            try:
                self._taken.append(self._listener.accept()[0])
            except OSError:
                return
