"""Caddy with our Caddyfile before two real web processes on one socket: replaced in turn, and no request is lost."""

from __future__ import annotations

import http.client
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.deploy.files import DEPLOY, tool
from tests.scaled import until
from tests.service import ROOT, clean_environment, free_port

CADDYFILE = DEPLOY / "caddy" / "Caddyfile"
TOKEN = "T0ken" * 8
FORM = {"Content-Type": "application/x-www-form-urlencoded"}

pytestmark = pytest.mark.xdist_group("launch")


class Answer(NamedTuple):
    """What a browser gets."""

    status: int
    headers: dict[str, str]
    text: str


class Site:
    """Caddy before a socket that lives as long as this, as it does under systemd, and what takes requests from it."""

    def __init__(self, folder: Path, environ: dict[str, str], stack: ExitStack) -> None:
        self.folder, self._environ, self._stack = folder, environ, stack
        self._listener = stack.enter_context(socket.socket())
        self._listener.bind(("127.0.0.1", 0))
        self._listener.listen(128)
        self._upstream: int = self._listener.getsockname()[1]
        self.port = free_port()
        self.log = folder / "caddy.log"

    def close(self) -> None:
        """As when systemd has let go of the socket too: connections are refused."""
        self._listener.close()

    def start_caddy(self, caddy: str) -> None:
        text = CADDYFILE.read_text(encoding="utf-8").replace(
            "{\n\t# Caddy writes", "{\n\tadmin off\n\t# Caddy writes", 1
        )
        (self.folder / "Caddyfile").write_text(text, encoding="utf-8")
        environ = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder),
            "SITE_ADDRESS": f"http://localhost:{self.port}",
            "SITE_HOST": "localhost",
            "UPSTREAMS": f"127.0.0.1:{self._upstream}",
        }
        command = [caddy, "run", "--config", str(self.folder / "Caddyfile"), "--adapter", "caddyfile"]
        with self.log.open("wb") as output:
            process = subprocess.Popen(command, env=environ, stdout=output, stderr=output)
        self._stack.callback(end, process)
        until(lambda: answers(self.port), self.log.read_text)

    def start_web(self) -> subprocess.Popen[bytes]:
        """`charter web` with the socket as its file number 3, which is how systemd hands it over (sd_listen_fds(3))."""
        command = f"export LISTEN_PID=$$ LISTEN_FDS=1; exec {sys.executable} -m charter web"

        def hand_over() -> None:
            os.dup2(self._listener.fileno(), 3, inheritable=True)

        with (self.folder / "web.log").open("ab") as output:
            process = subprocess.Popen(
                ["sh", "-c", command],
                env=self._environ,
                cwd=ROOT,
                stdout=output,
                stderr=output,
                preexec_fn=hand_over,
                close_fds=False,
            )
        self._stack.callback(end, process)
        return process

    def served(self) -> int:
        """How many requests have been answered so far, by the processes' own count."""
        return (self.folder / "web.log").read_text(encoding="utf-8").count('"event": "request"')

    def ask(self, path: str, body: str | None = None, **headers: str) -> Answer:
        """One request over a connection of its own."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=40)
        try:
            sent = {"Host": f"localhost:{self.port}", **(FORM if body is not None else {}), **headers}
            connection.request("GET" if body is None else "POST", path, body, sent)
            answer = connection.getresponse()
            return Answer(answer.status, dict(answer.getheaders()), answer.read().decode())
        finally:
            connection.close()


def answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.kill()
    process.wait()


@pytest.fixture
def site(sqlite_template: Path, tmp_path: Path) -> Iterator[Site]:
    instance = tmp_path / "instance"
    shutil.copytree(sqlite_template, instance)
    environ = clean_environment(instance) | {
        "CHARTER_PUBLIC_URL": "http://localhost",
        "CHARTER_TRUSTED_HOSTS": "localhost",
        "CHARTER_TRUSTED_PROXY_COUNT": "1",
        "CHARTER_WEB_THREADS": "2",
    }
    with ExitStack() as stack:
        yield Site(tmp_path, environ, stack)


@contextmanager
def load(site: Site) -> Iterator[Counter[tuple[str, int | str]]]:
    """People who read and people who sign, all the while; counts what they were answered."""
    counted: Counter[tuple[str, int | str]] = Counter()
    stop = threading.Event()

    def go_on(kind: str, path: str, body: str | None) -> None:
        while not stop.is_set():
            try:
                found: int | str = site.ask(path, body).status
            except (OSError, http.client.HTTPException) as error:
                found = type(error).__name__
            counted[kind, found] += 1

    people = [
        ("GET", "/ru/registry/", None),
        ("POST", "/ru/sign/", "kind=independent"),
        ("POST", "/kk/sign/", "kind=party"),
    ]
    threads = [threading.Thread(target=go_on, args=one) for one in people]
    for thread in threads:
        thread.start()
    try:
        yield counted
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def test_caddy_understands_the_caddyfile_and_would_write_it_so() -> None:
    caddy = tool("caddy", "caddy")
    environ = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "SITE_ADDRESS": "http://localhost:1"}
    command = [caddy, "validate", "--config", str(CADDYFILE), "--adapter", "caddyfile"]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    formatted = subprocess.run([caddy, "fmt", str(CADDYFILE)], capture_output=True, text=True, check=False).stdout
    assert formatted == CADDYFILE.read_text(encoding="utf-8")


def test_no_request_is_lost_while_one_process_after_the_other_is_replaced(site: Site) -> None:
    caddy = tool("caddy", "caddy")
    processes = [site.start_web(), site.start_web()]
    site.start_caddy(caddy)
    assert site.ask("/ru/").status == 200
    assert site.ask("/ru/sign/", "kind=independent").status == 422
    with load(site) as counted:
        for index in (0, 1):
            before = site.served()
            until(lambda before=before: site.served() > before + 20, "nothing is answered")  # type: ignore[misc]
            processes[index].send_signal(signal.SIGTERM)
            assert processes[index].wait(timeout=15) == 0
            processes[index] = site.start_web()
    assert set(counted) == {("GET", 200), ("POST", 422)}, counted
    assert min(counted.values()) > 20

    # A client's own word about itself counts nothing.
    told = {"X-Forwarded-Host": "evil.example", "X-Forwarded-Proto": "https", "X-Forwarded-For": "192.0.2.1"}
    sign = site.ask("/", **told)
    assert sign.status == 302
    assert "evil" not in sign.headers["Location"]
    ids = {site.ask("/", **{"X-Request-Id": "a" * 32}).headers["X-Request-Id"] for _ in range(2)}
    assert len(ids) == 2
    assert {len(one) for one in ids} == {36}, "a UUID of the proxy's"
    assert "Content-Encoding" not in site.ask("/ru/sign/", **{"Accept-Encoding": "gzip, br"}).headers
    assert site.ask("/ru/sign/", "x" * 300_000).status == 413

    for process in processes:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=15)
    found: list[Answer] = []
    waiting = threading.Thread(target=lambda: found.append(site.ask(f"/ru/confirm/{TOKEN}")))
    waiting.start()
    time.sleep(0.2)
    assert not found, "while nobody runs, a request waits on the socket"
    site.start_web()
    waiting.join(timeout=30)
    assert found[0].status < 500
    assert TOKEN not in site.log.read_text(encoding="utf-8")


def test_without_any_process_the_proxy_says_so_in_three_languages_and_no_path_in_its_log(site: Site) -> None:
    caddy = tool("caddy", "caddy")
    site.close()
    site.start_caddy(caddy)
    answer = site.ask(f"/ru/confirm/{TOKEN}", "press=1")
    assert answer.status in {502, 503}
    assert answer.headers["Retry-After"] == "5"
    assert answer.headers["Cache-Control"] == "no-store"
    for word in ("қолжетімсіз", "недоступен", "not available"):
        assert word in answer.text
    assert TOKEN not in site.log.read_text(encoding="utf-8")
