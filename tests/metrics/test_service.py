"""Real processes on one machine: one port for all of them, also after the one that answered was killed."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.metrics.reading import fetch, until, value, values_of
from tests.service import ROOT, clean_environment, free_port

pytestmark = [
    pytest.mark.xdist_group("launch"),
    pytest.mark.skipif(sys.platform != "linux", reason="who listens is read from /proc"),
]


@contextmanager
def process(instance: Path, *command: str, **settings: str) -> Iterator[subprocess.Popen[bytes]]:
    """One of the service's processes, started as a unit of systemd would."""
    environ = clean_environment(instance) | {f"CHARTER_{name.upper()}": one for name, one in settings.items()}
    running = subprocess.Popen(
        [sys.executable, "-m", *command], cwd=ROOT, env=environ, stdin=subprocess.DEVNULL, start_new_session=True
    )
    try:
        yield running
    finally:
        running.terminate()
        try:
            running.wait(timeout=10)
        except subprocess.TimeoutExpired:
            os.killpg(running.pid, signal.SIGKILL)
            running.wait()


def listener_of(port: int) -> int:
    """The id of the process that listens there."""
    table = Path("/proc/net/tcp").read_text().splitlines()[1:]
    sockets = {row[9] for row in map(str.split, table) if row[3] == "0A" and row[1].endswith(f":{port:04X}")}
    assert len(sockets) == 1, sockets
    wanted = f"socket:[{sockets.pop()}]"
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if any(os.readlink(link) == wanted for link in (folder / "fd").iterdir()):
                return int(folder.name)
        except OSError:
            continue
    raise AssertionError("nobody listens")


def test_when_the_process_that_answers_is_killed_another_answers_with_all_counts(
    sqlite_template: Path, tmp_path: Path
) -> None:
    instance = tmp_path / "instance"
    shutil.copytree(sqlite_template, instance)
    web_port, port = free_port(), free_port()
    settings = {"metrics_port": str(port), "bind_port": str(web_port), "web_workers": "2"}

    def count(name: str, **labels: str) -> float:
        return value(values_of(fetch(port)), name, **labels)

    def visit(times: int) -> None:
        for _ in range(times):
            with urllib.request.urlopen(f"http://127.0.0.1:{web_port}/healthz", timeout=10) as answer:
                assert answer.status == 200

    health = {"endpoint": "system.healthz", "method": "GET", "status": "2xx"}
    with process(instance, "charter", "web", **settings):
        until(lambda: count("processes", process="web") == 2, "two web processes")
        with process(instance, "flask", "--app", "charter", "worker", **settings):
            until(lambda: count("processes", process="worker") == 1, "a worker")
            visit(20)
            assert count("request_seconds_count", **health) == 20
            memory = {
                labels: size
                for (name, labels), size in values_of(fetch(port)).items()
                if name == "charter_process_resident_memory_bytes"
            }
            assert len(memory) == 3
            assert all(20e6 < size < 300e6 for size in memory.values())
            # The web process that answers for all is killed; the supervisor starts another one.
            killed = listener_of(port)
            assert re.search("charter web", Path(f"/proc/{killed}/cmdline").read_text().replace("\0", " "))
            os.kill(killed, signal.SIGKILL)
            until(lambda: count("request_seconds_count", **health) == 20, "another process answers", seconds=10)
            assert listener_of(port) != killed
            until(lambda: count("processes", process="web") == 2, "the web process was replaced")
            visit(5)
            assert count("request_seconds_count", **health) == 25
            assert count("requests_in_progress") == 0
        until(lambda: count("processes", process="worker") == 0, "the worker's end is seen")
        assert count("request_seconds_count", **health) == 25
