"""How many region pages a second two web processes give out, compared with bare Flask on the same server."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

from benchmarks import load
from benchmarks.bench import CONNECTIONS, Bench, Line, milliseconds, number, percent
from benchmarks.installation import ENGINES, ROOT, Installation
from benchmarks.processes import BrokenRunError, Running, free_port, hello_command, serving, start, wait_for_port

TITLE = "A region's page over HTTP"
LEAST = {"uncached": 0.15, "unchanged": 0.20, "hot": 0.60}
WORDS = {
    "uncached": "pages that nobody asked for before",
    "unchanged": "304 of pages that nobody asked for before",
    "asking": "the same where each asks the database (public_recheck_ms = 0)",
    "hot": "one page again and again",
    "hot_unchanged": "304 of one page again and again",
}
TEXT = f"""\
How many pages of a region two web processes give out a second, as `charter run` starts them, to {CONNECTIONS}
connections of a load client on the same machine. The region has about a seventh of all entries. Uncached: every
request is for another page of its list, so each asks the database and renders 50 entries. 304: the same with the
entity tag that the client has already; as for finished pages, one request in half a second asks which the newest
revision is. Below it the same where every request asks: one indexed row each. Hot: the first page of the region again
and again. Each is compared with bare Flask's "hello, world" behind the same server with the same client in the same
minute, although a page has about a thousand times as many bytes. nginx giving out the same page as a file, as it would
a mirror, is the limit of what this machine and client can do."""


def measure(bench: Bench) -> dict[str, Any]:
    """Each round is beside a round of hello."""
    count = bench.pick(5_000, 1_000_000, 1_000_000)
    seconds = bench.pick(2.0, 8.0, 12.0)
    figures: dict[str, Any] = {"count": count}
    for engine in ENGINES:
        made = bench.registry(engine, count)
        figures[engine] = _serve(bench, made, seconds)
        bench.say(f"{engine}: {figures[engine]}")
    return figures


def _serve(bench: Bench, made: Installation, seconds: float) -> dict[str, Any]:
    figures: dict[str, Any] = {}
    with serving(made, log_level="warning") as web, _hello(bench.folder) as hello:
        path = "/ru/registry/almaty/"
        body, tag = _get(web.port, path)
        highest = int(made.scalar("SELECT max(number) FROM registry_entry"))
        # From the upper half: below every page there have to be fifty more.
        numbers = random.Random(1).sample(range(highest // 2, highest), min(40_000, highest // 2))
        pages = [f"{path}?older={one}" for one in numbers]
        held = [f"If-None-Match: {tag}"]
        # A process that has just begun compiles templates and statements first.
        warm = len(pages) // 10
        _run(web.port, max(3.0, seconds / 2), paths=pages[:warm])
        others = {"paths": pages[warm + 1 :: 2], "headers": held, "good_status": 304}
        ways: dict[str, dict[str, Any]] = {
            "uncached": {"paths": pages[warm::2]},
            "unchanged": others,
            "hot": {"paths": [path]},
            "hot_unchanged": {"paths": [path], "headers": held, "good_status": 304},
        }
        for way, given in ways.items():
            figures[way] = _beside(hello, web, way, seconds, given)
        figures["bytes"] = len(body)
        bench.weigh(made.engine, web)
        web.stop()
        with serving(made, log_level="warning", public_recheck_ms="0") as asking:
            _run(asking.port, max(3.0, seconds / 2), paths=pages[:warm])
            _, tag = _get(asking.port, path)
            figures["asking"] = _beside(
                hello, asking, "asking", seconds, others | {"headers": [f"If-None-Match: {tag}"]}
            )
    with _nginx(bench.folder, body) as port:
        if port is not None:
            result = _run(port, seconds, paths=["/index.html"])
            figures["nginx"] = {"per_second": result.per_second, "client_cpu_share": result.client_cpu_share}
    return figures


def _beside(hello: Running, web: Running, way: str, seconds: float, given: dict[str, Any]) -> dict[str, float]:
    """Of one way, and of bare hello just before."""
    bare = _run(hello.port, seconds / 2, paths=["/"])
    result = _run(web.port, seconds, **given)
    if result.errors:
        raise BrokenRunError(f"{way}: {result.errors}")
    return {
        "per_second": result.per_second,
        "hello": bare.per_second,
        "p50_ms": result.p50_ms,
        "p99_ms": result.p99_ms,
        "client_cpu_share": result.client_cpu_share,
    }


def _run(port: int, seconds: float, **given: Any) -> load.Result:
    order = load.Order(
        "fetch", [port], connections=CONNECTIONS, warm_up_seconds=min(2.0, seconds / 2), seconds=seconds, **given
    )
    return load.run(order)


def _get(port: int, path: str) -> tuple[bytes, str]:
    """Body and entity tag."""
    connection = HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        body, tag = answer.read(), answer.getheader("ETag")
    finally:
        connection.close()
    if answer.status != 200 or tag is None:
        raise BrokenRunError(f"{path} answered {answer.status}.")
    return body, tag


@contextmanager
def _hello(folder: Path) -> Iterator[Running]:
    port = free_port()
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    web = start("other", hello_command(port, 2, "benchmarks.hello:app"), environment, folder / "hello.log", port)
    try:
        wait_for_port(web)
        yield web
    finally:
        web.stop()


# ── nginx ────────────────────────────────────────────────────────────────────────────────────────────────────────────

_CONFIGURATION = """\
daemon off;
worker_processes 2;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{ worker_connections 256; }}
http {{
  access_log off;
  sendfile on;
  tcp_nopush on;
  keepalive_requests 1000000;
  default_type text/html;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
  server {{ listen 127.0.0.1:{port}; root {folder}/www; }}
}}
"""


@contextmanager
def _nginx(folder: Path, body: bytes) -> Iterator[int | None]:
    """nginx with one file in two processes; None where there is none and Debian's cannot be had."""
    own = folder / "nginx"
    own.mkdir(exist_ok=True)
    program = shutil.which("nginx", path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin") or _debian_nginx(own)
    if program is None:
        yield None
        return
    port = free_port()
    (own / "www").mkdir(exist_ok=True)
    (own / "www" / "index.html").write_bytes(body)
    # Its processes run as somebody who has to get there.
    for place in (own, own / "www"):
        place.chmod(0o755)
    user = "user root;\n" if os.geteuid() == 0 else ""
    (own / "nginx.conf").write_text(user + _CONFIGURATION.format(folder=own, port=port), encoding="ascii")
    running = start(
        "other", [program, "-p", str(own), "-c", str(own / "nginx.conf")], dict(os.environ), own / "log", port
    )
    try:
        wait_for_port(running)
        yield port
    finally:
        running.stop()


def _debian_nginx(folder: Path) -> str | None:
    """Debian's package unpacked beside the databases: nothing is installed and no service begins."""
    unpacked = folder / "debian"
    found = unpacked / "usr" / "sbin" / "nginx"
    if found.exists():
        return str(found)
    if not shutil.which("apt-get") or not shutil.which("dpkg"):
        return None
    unpacked.mkdir()
    began = time.monotonic()
    for command in (["apt-get", "download", "nginx"], ["sh", "-c", f"dpkg -x nginx_*.deb '{unpacked}'"]):
        try:
            done = subprocess.run(command, cwd=folder, capture_output=True, timeout=60, check=False)
        except subprocess.TimeoutExpired:
            return None
        if done.returncode != 0 or time.monotonic() - began > 90:
            return None
    return str(found) if found.exists() and _starts(found) else None


def _starts(program: Path) -> bool:
    return subprocess.run([program, "-v"], capture_output=True, check=False).returncode == 0


def lines(figures: dict[str, Any], baselines: dict[str, float]) -> list[Line]:
    """The rows of the report."""
    made = []
    for way, words in WORDS.items():
        of = {engine: figures[engine][way] for engine in ENGINES}
        made.append(Line(f"{words}: a second", {engine: number(of[engine]["per_second"]) for engine in ENGINES}))
        made.append(
            Line(
                "… p50 and p99",
                {
                    engine: f"{milliseconds(of[engine]['p50_ms'])}, {milliseconds(of[engine]['p99_ms'])}"
                    for engine in ENGINES
                },
            )
        )
        share = {engine: of[engine]["per_second"] / of[engine]["hello"] for engine in ENGINES}
        least = LEAST.get(way)
        made.append(
            Line(
                "… of bare hello",
                {engine: percent(share[engine]) for engine in ENGINES},
                "" if least is None else f"at least {least * 100:.0f} %",
                None if least is None else min(share.values()) >= least,
            )
        )
    made.append(
        Line("bytes of the page", {engine: f"{figures[engine]['bytes']:,}" for engine in ENGINES}),
    )
    there = {engine: figures[engine].get("nginx") for engine in ENGINES}
    made.append(
        Line(
            "nginx, the same page as a file: a second (the client's share of a core)",
            {
                engine: f"{number(one['per_second'])} ({percent(one['client_cpu_share'])})" if one else "not there"
                for engine, one in there.items()
            },
        )
    )
    return made
