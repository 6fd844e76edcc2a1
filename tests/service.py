"""Starts the whole service as its operator does, for the tests that need more than the application object."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from pathlib import Path
from types import TracebackType

ROOT = Path(__file__).resolve().parent.parent
START_SECONDS = 60
STOP_SECONDS = 10


def free_port() -> int:
    """A port nobody listens on just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def clean_environment(instance: Path) -> dict[str, str]:
    """The environment of an operator who has set nothing but the instance folder."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("CHARTER_", "PYTHON", "COV_"))}
    return kept | {"CHARTER_INSTANCE_PATH": str(instance)}


class Service:
    """`charter run` as a process. Entering waits until it says how to stop it; leaving makes sure it is gone."""

    def __init__(
        self,
        instance: Path,
        *arguments: str,
        command: tuple[str, ...] = (sys.executable, "-m", "charter"),
        cwd: Path = ROOT,
        environ: dict[str, str] | None = None,
    ) -> None:
        self.instance = instance
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._command = [*command, "run", "--port", str(self.port), *arguments]
        self._cwd = cwd
        # Who is tested here types faster than people.
        self._environ = clean_environment(instance) | {"CHARTER_SIGNING_LEAST_SECONDS": "0"} | (environ or {})
        self._lines: list[str] = []

    def __enter__(self) -> Service:
        self.process = subprocess.Popen(
            self._command,
            cwd=self._cwd,
            env=self._environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        give_up = time.monotonic() + START_SECONDS
        while "Ctrl-C stops it." not in self.output:
            if self.process.poll() is not None or time.monotonic() > give_up:
                self._end()
                raise AssertionError(f"The service did not start:\n{self.output}")
            time.sleep(0.05)
        return self

    def __exit__(
        self, _type: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self._end()

    def _read(self) -> None:
        assert self.process.stdout
        for line in self.process.stdout:
            self._lines.append(line)

    def _end(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self._reader.join(timeout=5)

    @property
    def output(self) -> str:
        """All it has said so far."""
        return "".join(self._lines)

    def get(self, path: str) -> tuple[int, str]:
        """Status and body of a page."""
        with urllib.request.urlopen(self.url + path, timeout=10) as answer:
            return answer.status, answer.read().decode("utf-8", errors="replace")

    def stop(self, by: signal.Signals = signal.SIGINT) -> tuple[int, float]:
        """Ask it to stop. Returns its exit code and how many seconds it took."""
        begun = time.monotonic()
        self.process.send_signal(by)
        code = self.process.wait(timeout=STOP_SECONDS + 20)
        self._reader.join(timeout=5)
        return code, time.monotonic() - begun

    def wait(self) -> int:
        """Its exit code once it has ended by itself."""
        code = self.process.wait(timeout=STOP_SECONDS + 20)
        self._reader.join(timeout=5)
        return code

    def children(self) -> dict[str, int]:
        """Process ids of web server and worker, by name."""
        found = {}
        for process_id, command in processes_of(self.instance).items():
            if re.search(r"charter worker\b", command):
                found["worker"] = process_id
            elif re.search(r"charter web\b", command) and parent_of(process_id) == self.process.pid:
                found["web server"] = process_id
        return found


def processes_of(instance: Path) -> dict[int, str]:
    """Command lines of all processes that were started for this instance folder."""
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            environ = (folder / "environ").read_bytes().split(b"\0")
            command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        wanted = f"CHARTER_INSTANCE_PATH={instance}".encode()
        if command and any(one == wanted or one.startswith(wanted + b"/") for one in environ):
            found[int(folder.name)] = command
    return found


def parent_of(process_id: int) -> int | None:
    """Who started a process, as long as it lives: one that has just ended has none."""
    try:
        return int(Path(f"/proc/{process_id}/stat").read_text().rpartition(")")[2].split()[1])
    except (FileNotFoundError, ProcessLookupError):
        return None
