"""The processes of a running service: started, watched, replaced one by one, and stopped in order."""

from __future__ import annotations

import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import FrameType
from typing import NamedTuple

from charter.orphans import end_with_parent

# Both children are asked first and killed then; together this stays below ten seconds.
STOP_SECONDS = 8
START_SECONDS = 60
LOOK_SECONDS = 0.1


class LaunchError(Exception):
    """The service cannot start or go on; the text is one sentence for whoever started it."""


class Child(NamedTuple):
    """A process of the service, and what to call it in a sentence."""

    name: str
    process: subprocess.Popen[bytes]


class Requests:
    """Remembers signals while it is entered: SIGINT and SIGTERM stop, twice means at once; SIGHUP replaces.

    Where there is a terminal, SIGHUP says that it was closed, and stops.
    """

    def __init__(self) -> None:
        self.stops = 0
        self.replacements = 0
        self._has_terminal = _has_terminal()

    def __enter__(self) -> Requests:
        signals = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        self._before = {one: signal.signal(one, self._remember) for one in signals}
        return self

    def __exit__(self, *_: object) -> None:
        for one, handler in self._before.items():
            signal.signal(one, handler)

    def _remember(self, number: int, _frame: FrameType | None) -> None:
        if number == signal.SIGHUP and not self._has_terminal:
            self.replacements += 1
        else:
            self.stops += 1


def _has_terminal() -> bool:
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY))
    except OSError:
        return False
    return True


class Service:
    """Web server and worker on one listening socket, which stays open whatever becomes of them."""

    def __init__(self, listener: socket.socket, environ: Mapping[str, str], requests: Requests) -> None:
        self._listener = listener
        self._environ = _for_children(environ)
        self._requests = requests
        self._children: list[Child] = []

    def start(self) -> bool:
        """True once the web server can answer, False when asked to stop before. Raises LaunchError."""
        self._children, is_ready = self._started()
        return is_ready

    def watch(self) -> None:
        """Returns when asked to stop; replaces the processes when asked to. Raises LaunchError when one ends."""
        done = self._requests.replacements
        while not self._requests.stops:
            self._check_alive(self._children)
            if self._requests.replacements > done:
                done = self._requests.replacements
                self._replace()
            time.sleep(LOOK_SECONDS)

    def stop(self) -> None:
        """Ask, wait, then kill: also what they started, for each leads a session of its own."""
        self._listener.close()
        self._stop(self._children)

    def _replace(self) -> None:
        """Migrates and starts anew from what is installed now; the old ones go when the new ones answer, not before."""
        prepare = [sys.executable, "-m", "flask", "--app", "charter", "prepare"]
        if subprocess.run(prepare, env=self._environ, stdin=subprocess.DEVNULL, check=False).returncode:
            print("Nothing was replaced: the database could not be brought up to date.", file=sys.stderr, flush=True)
            return
        old = self._children
        try:
            new, is_ready = self._started()
        except LaunchError as error:
            print(f"Nothing was replaced. {error}", file=sys.stderr, flush=True)
            return
        self._children = [*new, *old]
        if is_ready:
            self._stop(old)
            self._children = new
            print("Web server and worker were replaced.", flush=True)

    def _started(self) -> tuple[list[Child], bool]:
        reading, writing = os.pipe()
        fd = self._listener.fileno()
        web = ["charter", "web", "--fd", str(fd), "--ready-fd", str(writing)]
        worker = ["charter", "worker"]
        children: list[Child] = []
        try:
            for name, command, passed in (("web server", web, (fd, writing)), ("worker", worker, ())):
                # A session of their own: Ctrl-C reaches only us, and we stop them in order.
                process = subprocess.Popen(
                    [sys.executable, "-m", *command],
                    env=self._environ,
                    stdin=subprocess.DEVNULL,
                    start_new_session=True,
                    pass_fds=passed,
                    preexec_fn=end_with_parent,
                )
                children.append(Child(name, process))
            os.close(writing)
            return children, self._wait_until_ready(children, reading)
        except LaunchError:
            self._stop(children)
            raise
        finally:
            os.close(reading)

    def _wait_until_ready(self, children: Sequence[Child], reading: int) -> bool:
        give_up = time.monotonic() + START_SECONDS
        while not self._requests.stops:
            is_said = bool(select.select([reading], [], [], LOOK_SECONDS)[0]) and os.read(reading, 1) == b"."
            self._check_alive(children)
            if is_said:
                return True
            if time.monotonic() > give_up:
                raise LaunchError(f"The web server did not answer within {START_SECONDS} seconds.")
        return False

    def _check_alive(self, children: Sequence[Child]) -> None:
        for child in children:
            code = child.process.poll()
            if code is not None:
                how = f"signal {-code}" if code < 0 else f"exit code {code}"
                raise LaunchError(f"The {child.name} ended by itself ({how}).")

    def _stop(self, children: Sequence[Child]) -> None:
        asked = self._requests.stops
        running = [child.process for child in children if child.process.poll() is None]
        for process in running:
            process.terminate()
        give_up = time.monotonic() + STOP_SECONDS
        while any(process.poll() is None for process in running):
            if time.monotonic() > give_up or self._requests.stops > max(asked, 1):
                break
            time.sleep(LOOK_SECONDS)
        for child in children:
            try:
                os.killpg(child.process.pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
            child.process.wait()


def _for_children(environ: Mapping[str, str]) -> dict[str, str]:
    environment = dict(environ)
    # What systemd wants to know, it wants to know of us.
    environment.pop("NOTIFY_SOCKET", None)
    project = Path(__file__).resolve().parent.parent
    if (project / "pyproject.toml").is_file():
        # From a checkout the package is not installed; the children must find the same one, whatever the folder.
        paths = [str(project), environment.get("PYTHONPATH", "")]
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, paths))
    return environment
