"""Processes that are killed and started again at once, as a supervisor would."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any

from benchmarks.installation import Installation
from benchmarks.processes import Running, children_of, free_port, start_web, start_worker


class Victim(ABC):
    """One of the service's processes (a web server with its own). Use: start, then look again and again."""

    def __init__(self, made: Installation, name: str, given: dict[str, Any]) -> None:
        self.made = made
        self.name = name
        self.given = given
        self.running: Running

    @abstractmethod
    def start(self) -> None:
        """Starts it; returns before it is up."""

    @abstractmethod
    def is_ready(self) -> bool:
        """Whether it is up."""

    @abstractmethod
    def takes(self, kind: str) -> bool:
        """Whether this kind of killing is for it."""

    def look(self) -> None:
        """Starts it again if it has ended."""
        if self.running.process.poll() is not None:
            self.running.kill()
            self.start()

    def kill(self, kind: str) -> bool:
        """SIGKILL, for it and all it started."""
        self.running.kill()
        self.start()
        return True

    def end(self) -> None:
        """At the end of it all."""
        if hasattr(self, "running"):
            self.running.stop()


class WebVictim(Victim):
    """A web server with one process that answers."""

    def __init__(self, made: Installation, name: str, given: dict[str, Any]) -> None:
        super().__init__(made, name, given)
        self.port = free_port()
        self._killed: int | None = None

    def start(self) -> None:
        self.running = start_web(self.made, workers=1, port=self.port, **self.given)

    def takes(self, kind: str) -> bool:
        return kind.startswith("web")

    def _process(self) -> int | None:
        """The one that answers."""
        for process_id in children_of(self.running.id):
            with contextlib.suppress(OSError):
                if b"resource_tracker" not in Path(f"/proc/{process_id}/cmdline").read_bytes():
                    return process_id
        return None

    def is_ready(self) -> bool:
        if self._process() in (None, self._killed):
            return False
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=0.3) as asking:
                asking.sendall(b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
                return asking.recv(16).startswith(b"HTTP/1.1 200")
        except OSError:
            return False

    def kill(self, kind: str) -> bool:
        if kind == "web server":
            return super().kill(kind)
        self._killed = self._process()
        if self._killed is None:
            return False
        # Its own supervisor is to start another one.
        os.kill(self._killed, signal.SIGKILL)
        return True


class WorkerVictim(Victim):
    """A worker."""

    def start(self) -> None:
        log = self.made.folder / f"{self.name}.log"
        self._said = log.stat().st_size if log.exists() else 0
        self.running = start_worker(self.made, log_name=f"{self.name}.log", **self.given)

    def takes(self, kind: str) -> bool:
        return kind == "worker"

    def is_ready(self) -> bool:
        with self.running.log.open("rb") as log:
            log.seek(self._said)
            return b"worker started" in log.read()
