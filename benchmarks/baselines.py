"""What this machine can do at all, measured beside every figure: disk, server and bare commits."""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path

import psycopg

from benchmarks import load
from benchmarks.installation import ROOT
from benchmarks.processes import free_port, hello_command, start, wait_for_port

CONNECTIONS = 8


@dataclass(frozen=True)
class Baselines:
    """All a second."""

    fdatasync: float
    hello: float
    hello_client_cpu_share: float
    sqlite_commits: float
    postgresql_commits_1: float
    postgresql_commits_8: float


def measure(folder: Path, postgres_url: str, *, seconds: float, connections: int) -> dict[str, float]:
    """All of them, each for `seconds`; `connections` of the load client as in the measurement that follows."""
    hello = say_hello(folder, seconds=seconds, connections=connections)
    return asdict(
        Baselines(
            fdatasync=fdatasync_rate(folder, seconds),
            hello=hello.per_second,
            hello_client_cpu_share=hello.client_cpu_share,
            sqlite_commits=sqlite_rate(folder, seconds),
            postgresql_commits_1=postgresql_rate(postgres_url, seconds, 1),
            postgresql_commits_8=postgresql_rate(postgres_url, seconds, CONNECTIONS),
        )
    )


def say_hello(folder: Path, *, seconds: float, connections: int) -> load.Result:
    """Bare Flask behind the same server, with the same number of processes and threads and the same client."""
    port = free_port()
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    web = start("other", hello_command(port, 2, "benchmarks.hello:app"), environment, folder / "hello.log", port)
    try:
        wait_for_port(web)
        return load.run(
            load.Order("hello", [port], connections=connections, warm_up_seconds=min(2, seconds), seconds=seconds)
        )
    finally:
        web.stop()


def fdatasync_rate(folder: Path, seconds: float) -> float:
    """Write a page at the end of a file, and wait until it is on the disk."""
    path = folder / "fdatasync"
    page = os.urandom(4096)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT, 0o600)
    try:

        def once() -> None:
            os.write(descriptor, page)
            os.fdatasync(descriptor)

        return _rate(once, seconds)
    finally:
        os.close(descriptor)
        path.unlink()


def sqlite_rate(folder: Path, seconds: float) -> float:
    """One row a transaction, journal and durability as the service has them."""
    path = folder / "commits.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("CREATE TABLE line (id INTEGER PRIMARY KEY, text TEXT NOT NULL)")

        def once() -> None:
            connection.execute("BEGIN IMMEDIATE")
            connection.execute("INSERT INTO line (text) VALUES (?)", ("one row",))
            connection.execute("COMMIT")

        rate = _rate(once, seconds)
    for left in folder.glob("commits.db*"):
        left.unlink()
    return rate


def postgresql_rate(url: str, seconds: float, connections: int) -> float:
    """One row a transaction by psycopg, on so many connections at once."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("DROP TABLE IF EXISTS line")
        connection.execute("CREATE TABLE line (id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY, text TEXT NOT NULL)")
    rates: list[float] = []

    def commit() -> None:
        with psycopg.connect(url) as own:

            def once() -> None:
                own.execute("INSERT INTO line (text) VALUES (%s)", ("one row",))
                own.commit()

            rates.append(_rate(once, seconds))

    threads = [threading.Thread(target=commit) for _ in range(connections)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("DROP TABLE line")
    return round(sum(rates), 1)


def _rate(once: Callable[[], None], seconds: float) -> float:
    count = 0
    began = time.perf_counter()
    until = began + seconds
    while (now := time.perf_counter()) < until:
        once()
        count += 1
    return round(count / (now - began), 1)
