"""Starts the service's processes as its launcher does, weighs them, and ends them by their ids."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

from benchmarks.installation import ROOT, Installation

WEB_THREADS = 8
START_SECONDS = 60
#: They came with tools for development, and libraries of ours load them wherever they are.
ABSENT = ("anyio", "greenlet", "rich")
STOP_SECONDS = 15


class BrokenRunError(Exception):
    """A measurement could not be made; the text says why."""


@dataclass(frozen=True)
class Weight:
    """kind: web | web master | worker. Bytes: resident, and the proportional share of what is shared."""

    kind: str
    rss_bytes: int
    pss_bytes: int


@dataclass
class Running:
    """A process we started, with all it started itself. kind: web | worker | other."""

    kind: str
    process: subprocess.Popen[bytes]
    log: Path
    port: int = 0

    @property
    def id(self) -> int:
        return self.process.pid

    def weights(self) -> list[Weight]:
        """Of this process and its children."""
        found = []
        for place, process_id in enumerate([self.id, *children_of(self.id)]):
            kind = "web master" if self.kind == "web" and place == 0 else self.kind
            with contextlib.suppress(OSError):
                found.append(_weigh(kind, process_id))
        return found

    def last_words(self) -> str:
        """The end of what it said."""
        return "\n".join(self.log.read_text(encoding="utf-8", errors="replace").splitlines()[-15:])

    def cpu_seconds(self) -> float:
        """Processor time of this process and its children so far."""
        return sum(_cpu_seconds(process_id) for process_id in [self.id, *children_of(self.id)])

    def stop(self) -> None:
        """Asks, waits, then kills the whole group."""
        if self.process.poll() is None:
            self.process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(STOP_SECONDS)
        self.kill()

    def kill(self) -> None:
        """Ends it and everything it started, at once."""
        # Its group has the id of its leader, and an id is not given away while we have not waited for it.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.id, signal.SIGKILL)
        self.process.wait()


def start(
    kind: str,
    command: list[str],
    environment: dict[str, str],
    log: Path,
    port: int = 0,
    stdin: int = subprocess.DEVNULL,
) -> Running:
    """Starts a process in a group of its own; what it says goes to the end of `log`."""
    with log.open("ab") as output:
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=environment,
            stdin=stdin,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    return Running(kind, process, log, port)


def hello_command(port: int, workers: int, application: str) -> list[str]:
    """Granian with the settings of our web server (charter/serving.py), for any application."""
    return [
        *(sys.executable, "-m", "granian", "--interface", "wsgi", "--http", "1", "--no-ws", "--log-level", "error"),
        *("--host", "127.0.0.1", "--port", str(port), "--workers", str(workers)),
        *("--blocking-threads", str(WEB_THREADS), "--backlog", "1024", application),
    ]


def as_operators_have_it(environment: dict[str, str], folder: Path) -> dict[str, str]:
    """This environment for a Python that finds only what operators install: what is not there weighs nothing."""
    hiding = folder / "absent"
    hiding.mkdir(exist_ok=True)
    for name in ABSENT:
        (hiding / f"{name}.py").write_text(f"raise ModuleNotFoundError(name={name!r})\n", encoding="ascii")
    return environment | {"PYTHONPATH": f"{environment['PYTHONPATH']}{os.pathsep}{hiding}"}


def start_web(made: Installation, *, workers: int = 2, port: int = 0, **given: Any) -> Running:
    """The web server; returns before it answers."""
    port = port or free_port()
    chosen = {"web_workers": workers, "web_threads": WEB_THREADS, "bind_port": port, **given}
    environment = as_operators_have_it(made.environment(**chosen), made.folder)
    return start("web", [sys.executable, "-m", "charter", "web"], environment, made.folder / "web.log", port)


def start_worker(made: Installation, *, log_name: str = "worker.log", **given: Any) -> Running:
    """One worker."""
    command = [sys.executable, "-m", "charter", "worker"]
    environment = as_operators_have_it(made.environment(**given), made.folder)
    return start("worker", command, environment, made.folder / log_name)


@contextmanager
def serving(made: Installation, *, workers: int = 2, **given: Any) -> Iterator[Running]:
    """The web server, answering."""
    web = start_web(made, workers=workers, **given)
    try:
        wait_for_port(web)
        yield web
    finally:
        web.stop()


@contextmanager
def working(made: Installation, **given: Any) -> Iterator[Running]:
    """A worker."""
    worker = start_worker(made, **given)
    try:
        yield worker
    finally:
        worker.stop()


@contextmanager
def nothing() -> Iterator[None]:
    """Where a process would stand and none shall."""
    yield


def wait_for_port(running: Running) -> None:
    """Until it accepts connections."""

    def answers() -> bool:
        if running.process.poll() is not None:
            code, words = running.process.poll(), running.last_words()
            raise BrokenRunError(f"A process ({running.kind}) ended by itself with code {code}:\n{words}")
        return is_open(running.port)

    wait_until(answers, "a process listens")
    if running.kind == "web":
        # It listens before it can answer.
        with contextlib.closing(HTTPConnection("127.0.0.1", running.port, timeout=START_SECONDS)) as connection:
            connection.request("GET", "/healthz")
            connection.getresponse().read()


def is_open(port: int) -> bool:
    """Whether somebody listens."""
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


def wait_until(condition: Callable[[], bool], what: str, seconds: float = START_SECONDS) -> None:
    """Looks again and again; raises BrokenRunError when it takes too long."""
    give_up = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > give_up:
            raise BrokenRunError(f"Waited {seconds:.0f} seconds until {what}.")
        time.sleep(0.02)


def free_port() -> int:
    """A port nobody listens on just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def children_of(process_id: int) -> list[int]:
    """Ids of the processes it started, and of theirs."""
    found = []
    for task in Path(f"/proc/{process_id}/task").glob("*/children"):
        with contextlib.suppress(OSError):
            for child in task.read_text(encoding="ascii").split():
                found += [int(child), *children_of(int(child))]
    return found


def _weigh(kind: str, process_id: int) -> Weight:
    lines = Path(f"/proc/{process_id}/smaps_rollup").read_text(encoding="ascii").splitlines()[1:]
    kib = {name: int(value.split()[0]) for name, _, value in (line.partition(":") for line in lines)}
    return Weight(kind, kib["Rss"] * 1024, kib["Pss"] * 1024)


def _cpu_seconds(process_id: int) -> float:
    try:
        fields = Path(f"/proc/{process_id}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
