"""Caddy and nginx with our files before a mirror: the service's addresses, its headers, and nothing of the state."""

from __future__ import annotations

import http.client
import os
import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from charter.mirror.folder import OWN
from tests.deploy.files import DEPLOY, tool
from tests.deploy.test_proxy import Answer, answers, end
from tests.scaled import until
from tests.service import free_port

FOLDER = DEPLOY / "mirror"
ENTRY = "0123456789abcdef" * 2
FILES = {
    "index.html": "<h1>root</h1>",
    "404.html": "<h1>Бұл бет жоқ</h1>",
    "ru/index.html": "<h1>Хартия</h1>",
    "ru/registry/index.html": "<h1>Реестр</h1>",
    "ru/registry/numbers/1-100/index.html": "<h1>1–100</h1>",
    f"ru/registry/entries/{ENTRY}.html": "<h1>Әмина</h1>",
    "ru/registry.atom": "<feed/>",
    "registry.csv": "number,name\r\n1,Әмина\r\n",
    "registry/almaty.jsonl": "{}\n",
    "api/v1/regions.json": "{}",
    "charter/specimen-1/kk.txt": "Сайлау байқаушыларының хартиясы\n",
    "log/checkpoint": "charter.example/log\n17\n\n\n— charter.example/log\n",
    "log/registry.ndjson": '{"kind":"registry"}\n',
    "log/tile/entries/000.p/17": "leaves",
    "log/tile/0/x001/234": "hashes",
    "static/0123456789ab/site.css": "main{color:red}",
    f"{OWN}/state.db": "digests",
    f"{OWN}/lock": "",
}

pytestmark = pytest.mark.xdist_group("launch")


class Server:
    """One web server with a mirror behind it."""

    def __init__(self, port: int, host: str) -> None:
        self.port, self._host = port, host

    def get(self, path: str) -> Answer:
        """One request over a connection of its own; redirects are not followed."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            connection.request("GET", path, headers={"Host": self._host})
            answer = connection.getresponse()
            return Answer(answer.status, dict(answer.getheaders()), answer.read().decode())
        finally:
            connection.close()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    found = tmp_path / "mirror"
    for name, text in FILES.items():
        (found / name).parent.mkdir(parents=True, exist_ok=True)
        (found / name).write_text(text, encoding="utf-8", newline="")
    for path in (tmp_path, *tmp_path.parents):
        if path.stat().st_uid == os.getuid() and path != Path("/tmp"):
            path.chmod(path.stat().st_mode | 0o755)
    return found


def caddy(folder: Path, at: Path, port: int) -> list[str]:
    text = (FOLDER / "Caddyfile").read_text(encoding="utf-8").replace("{\n\tlog", "{\n\tadmin off\n\tlog", 1)
    (at / "Caddyfile").write_text(text, encoding="utf-8")
    return [tool("caddy", "caddy"), "run", "--config", str(at / "Caddyfile"), "--adapter", "caddyfile"]


def nginx(folder: Path, at: Path, port: int) -> list[str]:
    program = tool("nginx", "nginx-light")
    text = (FOLDER / "nginx.conf").read_text(encoding="utf-8")
    text = text.replace("listen 8080", f"listen 127.0.0.1:{port}").replace("/srv/charter-mirror", str(folder))
    (at / "site.conf").write_text(text.replace("include mime.types", "include /etc/nginx/mime.types"), encoding="utf-8")
    temporary = "".join(
        f"{name}_temp_path {at}/{name};\n" for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    (at / "nginx.conf").write_text(
        f"daemon off; worker_processes 1; pid {at}/pid; error_log {at}/error.log; events {{}}\n"
        f"http {{ access_log off;\n{temporary}include {at}/site.conf;\n}}\n",
        encoding="utf-8",
    )
    return [program, "-p", str(at), "-c", str(at / "nginx.conf"), "-e", str(at / "error.log")]


@pytest.fixture(params=[caddy, nginx], ids=["caddy", "nginx"])
def server(request: pytest.FixtureRequest, folder: Path, tmp_path: Path) -> Iterator[Server]:
    """Each of the two."""
    prepare: Callable[[Path, Path, int], list[str]] = request.param
    at, port = tmp_path / "server", free_port()
    at.mkdir()
    command = prepare(folder, at, port)
    environ = {
        "PATH": os.environ["PATH"],
        "HOME": str(at),
        "SITE_ADDRESS": f"http://localhost:{port}",
        "MIRROR_PATH": str(folder),
    }
    log = at / "output"
    with log.open("wb") as output:
        process = subprocess.Popen(command, env=environ, stdout=output, stderr=output)
    try:
        until(lambda: answers(port) or process.poll() is not None, log.read_text())
        assert process.poll() is None, log.read_text()
        yield Server(port, f"localhost:{port}")
    finally:
        process.terminate()
        try:
            process.wait(timeout=10)
        finally:
            end(process)


def test_the_addresses_of_the_service_work_and_those_of_the_mirror_too(server: Server) -> None:
    for path, words, kind in (
        ("/", "root", "text/html"),
        ("/ru/", "Хартия", "text/html"),
        ("/ru/registry/", "Реестр", "text/html"),
        ("/ru/registry/numbers/1-100/", "1–100", "text/html"),
        (f"/ru/registry/entries/{ENTRY}", "Әмина", "text/html"),
        (f"/ru/registry/entries/{ENTRY}.html", "Әмина", "text/html"),
        ("/api/v1/regions", "{}", "application/json"),
        ("/api/v1/regions.json", "{}", "application/json"),
        ("/registry.csv", "Әмина", "text/csv"),
        ("/registry/almaty.jsonl", "{}", "application/jsonl"),
        ("/ru/registry.atom", "<feed/>", "application/atom+xml"),
        ("/charter/specimen-1/kk.txt", "Сайлау", "text/plain"),
        ("/static/0123456789ab/site.css", "red", "text/css"),
        ("/log/checkpoint", "17", "text/plain"),
        ("/log/registry.ndjson", "registry", "application/x-ndjson"),
        ("/log/tile/entries/000.p/17", "leaves", "application/octet-stream"),
        ("/log/tile/0/x001/234", "hashes", "application/octet-stream"),
    ):
        answer = server.get(path)
        assert answer.status == 200, path
        assert words in answer.text, path
        assert answer.headers["Content-Type"].startswith(kind), (path, answer.headers["Content-Type"])
        assert kind.startswith("application/") or ("utf-8" in answer.headers["Content-Type"].lower()), path


def test_the_headers_are_those_of_the_service(server: Server) -> None:
    page = server.get("/ru/registry/")
    assert page.headers["Content-Security-Policy"].startswith("default-src 'none'; style-src 'self'")
    assert "form-action 'none'" in page.headers["Content-Security-Policy"]
    assert page.headers["X-Content-Type-Options"] == "nosniff"
    assert page.headers["Referrer-Policy"] == "no-referrer"
    assert page.headers["Cache-Control"] == "public, max-age=5, stale-if-error=86400"
    assert page.headers["X-Robots-Tag"] == "noindex"
    assert "Set-Cookie" not in page.headers
    assert "X-Robots-Tag" not in server.get("/ru/").headers
    assert "immutable" in server.get("/static/0123456789ab/site.css").headers["Cache-Control"]
    assert server.get("/registry.csv").headers["Access-Control-Allow-Origin"] == "*"
    assert "Access-Control-Allow-Origin" not in page.headers
    assert page.headers.get("ETag") or page.headers.get("Last-Modified")
    for path, cached in (
        ("/log/checkpoint", "public, max-age=5"),
        ("/log/registry.ndjson", "public, max-age=60"),
        ("/log/tile/entries/000.p/17", "public, max-age=31536000, immutable"),
        ("/log/tile/0/x001/234", "public, max-age=31536000, immutable"),
    ):
        answer = server.get(path)
        assert answer.headers["Cache-Control"] == cached, path
        assert answer.headers["Access-Control-Allow-Origin"] == "*", path
        assert answer.headers["X-Robots-Tag"] == "noindex", path
    later = server.get("/log/tile/0/x001/235")
    assert later.status == 404
    assert "immutable" not in later.headers.get("Cache-Control", ""), "it may be there tomorrow"


def test_what_is_not_there_is_said_and_the_state_is_not_for_visitors(server: Server) -> None:
    for path in ("/ru/sign/", "/nothing", f"/{OWN}/state.db", f"/{OWN}/", f"/{OWN}", f"/ru/../{OWN}/lock"):
        answer = server.get(path)
        assert answer.status in {400, 404}, path
        assert "digests" not in answer.text, path
    assert "Бұл бет жоқ" in server.get("/ru/sign/").text


def test_caddy_would_write_the_file_so() -> None:
    path = FOLDER / "Caddyfile"
    formatted = subprocess.run([tool("caddy", "caddy"), "fmt", str(path)], capture_output=True, text=True, check=False)
    assert formatted.stdout == path.read_text(encoding="utf-8")


@pytest.mark.parametrize("name", ["charter-mirror.service", "charter-mirror.timer"])
def test_systemd_understands_the_units(name: str, tmp_path: Path) -> None:
    analyze = tool("systemd-analyze", "systemd")
    units = tmp_path / "etc" / "systemd" / "system"
    programs = tmp_path / "opt" / "charter" / "current" / "bin"
    for made in (units, programs):
        made.mkdir(parents=True)
    for path in FOLDER.glob("charter-mirror.*"):
        (units / path.name).write_text(path.read_text(encoding="utf-8"), encoding="utf-8")
    (programs / "flask").write_text("#!/bin/sh\n")
    (programs / "flask").chmod(0o755)
    command = [analyze, "verify", f"--root={tmp_path}", "--recursive-errors=no", name]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_the_service_writes_to_the_mirror_and_to_nothing_else() -> None:
    path = FOLDER / "charter-mirror.service"
    text = path.read_text(encoding="utf-8")
    assert re.findall("^ReadWritePaths=(.*)$", text, re.MULTILINE) == ["/srv/charter-mirror"]
    assert "UMask=0022" in text, "the web server reads what is written"
    analyze = tool("systemd-analyze", "systemd")
    command = [analyze, "security", "--offline=yes", "--threshold=20", "--no-pager", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
