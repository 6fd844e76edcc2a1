"""The web server: granian's processes on one listening socket that outlives each, so that none takes requests along.

Granian itself gives every process a listening socket of its own; when one ends, the kernel resets what waits in its
queue. Here all accept from the same queue, and a process is let go in steps: it takes no new connection, answers what
still comes on its open ones with `Connection: close`, and only then is told to stop.
"""

# Granian's Python has no annotations.
# mypy: disallow-untyped-calls=False

from __future__ import annotations

import gc
import os
import select
import signal
import socket
import time
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from granian.constants import HTTPModes, Interfaces
from granian.log import LogLevels
from granian.net import SocketHolder  # type: ignore[attr-defined]
from granian.server.mp import MPServer, WorkerProcess

from charter.logs import about_granian
from charter.orphans import end_with_parent
from charter.sockets import BACKLOG, READY, STOPPING

#: How long a process that is let go still answers on open connections, so that clients learn to open another one.
DRAIN_SECONDS = 1.0
#: What is being answered then may still take so long.
FINISH_SECONDS = 5
#: A process whose threads are all at work sends away one connection in so long.
SHED_SECONDS = 0.05
#: A new process has to be ready within so long.
READY_SECONDS = 60

WSGI = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


def serve(listener: socket.socket, *, workers: int, threads: int, tell: Callable[[str], None]) -> None:
    """Serves until SIGTERM or SIGINT, then lets its processes go; a second signal ends them at once.

    SIGHUP replaces the processes one by one, with the settings as they are then. A process that died is replaced;
    if the new one dies within five seconds the whole ends with exit code 1 (SystemExit).
    tell: is called with READY when the first processes can answer, and with STOPPING when asked to stop.
    """
    _keep_what_is_loaded()
    _Server(listener, workers=workers, threads=threads, tell=tell).serve(
        target_loader=partial(_load, listener.fileno(), threads, os.getpid()), wrap_loader=False
    )


def _keep_what_is_loaded() -> None:
    """Takes what is there now out of the collector's sight: it stays as long as the process.

    Looking for garbage writes to every object. Without this each process soon has a copy of its own of what it could
    share with the one that forked it: two processes and the one above them 30 MB more.
    """
    gc.collect()
    gc.freeze()


# ── in each process ──────────────────────────────────────────────────────────────────────────────────────────────────


class _Draining:
    """The application, and from the moment this process is let go a word in each answer that the connection ends."""

    def __init__(self, app: WSGI, listening_fd: int, *, threads: int) -> None:
        self._app = app
        self._listening_fd = listening_fd
        self._threads = threads
        self._ends = False
        self._at_work = 0
        self._shed_at = 0.0

    def let_go(self, *_: object) -> None:
        """Takes no new connection from now on."""
        if self._ends:
            return
        self._ends = True
        # Granian cannot stop accepting without closing what it has. So its number for the listening socket now means
        # another one, which nobody can reach; the real one stays with the other processes, with all that waits there.
        nowhere = socket.socket()
        nowhere.bind(("127.0.0.1", 0))
        nowhere.listen(1)
        nowhere.setblocking(False)
        os.dup2(nowhere.fileno(), self._listening_fd)
        nowhere.close()

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        def start(status: str, headers: list[tuple[str, str]], *more: Any) -> Any:
            if self._ends or self._sheds():
                # PEP 3333 leaves hop-by-hop headers to servers; this is a part of ours.
                headers = [*headers, ("Connection", "close")]
            return start_response(status, headers, *more)

        self._at_work += 1
        try:
            return self._app(environ, start)
        finally:
            self._at_work -= 1

    def _sheds(self) -> bool:
        """Whether this client should come back by a new connection, which a process with less to do may take.

        Connections that came in one burst may all lie with one process, while another stands idle.
        """
        if self._at_work < self._threads:
            return False
        now = time.monotonic()
        if now - self._shed_at < SHED_SECONDS:
            return False
        self._shed_at = now
        return True


def _load(listening_fd: int, threads: int, parent: int, ready_fd: int) -> WSGI:
    # Until granian sets its own, the parent's handlers would stand here and do nothing useful.
    for one in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(one, signal.SIG_IGN if one is signal.SIGHUP else signal.SIG_DFL)
    end_with_parent()
    if os.getppid() != parent:
        os.kill(os.getpid(), signal.SIGTERM)
    from charter.wsgi import app

    _keep_what_is_loaded()
    draining = _Draining(app, listening_fd, threads=threads)
    signal.signal(signal.SIGUSR1, draining.let_go)
    os.write(ready_fd, b".")
    os.close(ready_fd)
    return draining


# ── above them ───────────────────────────────────────────────────────────────────────────────────────────────────────


class _Server(MPServer):
    """Granian's supervisor of processes; what is overridden here is private to it, so a test watches each part."""

    def __init__(self, listener: socket.socket, *, workers: int, threads: int, tell: Callable[[str], None]) -> None:
        host, port = listener.getsockname()[:2]
        super().__init__(
            "charter.wsgi:app",
            address=host,
            port=port,
            interface=Interfaces.WSGI,
            http=HTTPModes.http1,
            websockets=False,
            workers=workers,
            blocking_threads=threads,
            backlog=BACKLOG,
            log_level=LogLevels.error,
            log_dictconfig=about_granian(),
            respawn_failed_workers=True,
            workers_kill_timeout=FINISH_SECONDS,
        )
        self._listener = listener
        self._tell = tell
        self._ready: dict[int, int] = {}
        self._asked = 0

    # Granian's own way where the system has no SO_REUSEPORT that shares: one socket, made before the processes.
    def _init_shared_socket(self) -> None:
        self._ssp = None
        self._sso = self._listener
        self._sfd = self._listener.fileno()  # type: ignore[assignment]
        self._shd = SocketHolder(self._sfd, False, BACKLOG)  # type: ignore[assignment,call-arg]

    def signal_handler_interrupt(self, *args: Any, **kwargs: Any) -> None:
        self._asked += 1
        if self._asked == 1:
            self._tell(STOPPING)
        else:
            for process in self.wrks:
                process.kill()
        super().signal_handler_interrupt(*args, **kwargs)

    def _start(self, idx: int, spawn_target: Any, target_loader: Any) -> WorkerProcess:
        reading, writing = os.pipe()
        process = self._spawn_worker(idx, spawn_target, partial(target_loader, writing))
        process.start()
        os.close(writing)
        self._ready[process._id()] = reading
        return process

    def _spawn_workers(self, spawn_target: Any, target_loader: Any) -> None:
        self.wrks.extend(self._start(idx, spawn_target, target_loader) for idx in range(self.workers))
        are_ready = [self._wait_until_ready(process) for process in self.wrks]
        if all(are_ready):
            self._tell(READY)

    def _wait_until_ready(self, process: WorkerProcess) -> bool:
        """False if it died or took too long."""
        reading = self._ready.pop(process._id())
        try:
            give_up = time.monotonic() + READY_SECONDS
            while time.monotonic() < give_up and not self._asked:
                if select.select([reading], [], [], 0.1)[0]:
                    return os.read(reading, 1) == b"."
        finally:
            os.close(reading)
        return False

    def _respawn_workers(self, workers: list[int], spawn_target: Any, target_loader: Any, delay: float = 0) -> None:
        for idx in workers:
            old, new = self.wrks[idx], self._start(idx, spawn_target, target_loader)
            new.interrupt_by_parent = True  # until it is ready its end is ours to judge
            is_ready = self._wait_until_ready(new)
            if not is_ready and old.is_alive():
                # Better the old one than none.
                new.kill()
                continue
            self.wrks[idx] = new
            self.respawned_wrks[idx] = time.monotonic()
            new.interrupt_by_parent = False
            if not is_ready or not new.is_alive():
                self.interrupt_children.append(idx)
                self.main_loop_interrupt.set()
            self._let_go([old])
            old.terminate()
            old.join(FINISH_SECONDS)
            if old.is_alive():
                old.kill()
                old.join()

    def _stop_workers(self) -> None:
        self._let_go(self.wrks)
        super()._stop_workers()

    def _let_go(self, processes: list[WorkerProcess]) -> None:
        running = [process for process in processes if process.is_alive()]
        for process in running:
            # One that is still on its way up dies of the signal, with nothing in its hands.
            process.interrupt_by_parent = True
            os.kill(process._id(), signal.SIGUSR1)
        give_up = time.monotonic() + DRAIN_SECONDS
        while running and self._asked < 2 and time.monotonic() < give_up:
            time.sleep(0.05)
            running = [process for process in running if process.is_alive()]
