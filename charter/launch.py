"""Starts the whole service with one command: checks, migrates, then keeps web server and worker running together."""

from __future__ import annotations

import argparse
import ctypes
import errno
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import FrameType
from typing import NamedTuple

from sqlalchemy.exc import OperationalError

from charter import create_app, shipped
from charter.cli import prepare
from charter.settings import Settings, SettingsError, default_instance_path, load, own_database_url, variable_of

# Both children are asked first and killed then; together this stays below ten seconds.
STOP_SECONDS = 7
START_SECONDS = 60
LOOK_SECONDS = 0.1
DEMO_FOLDER = "demo"
DEMO_MARK = "signatories"  # how many the demonstration in this folder was made with
# The rest would tie a demonstration to a real installation: its database, key, mail or name.
DEMO_SETTINGS = ("bind_host", "bind_port", "public_url", "trusted_hosts", "web_workers", "web_threads", "log_level")


class LaunchError(Exception):
    """The service cannot start or go on; the text is one sentence for whoever started it."""


class Child(NamedTuple):
    """A process of the service, and what to call it in a sentence."""

    name: str
    process: subprocess.Popen[bytes]


def main(arguments: Sequence[str] | None = None) -> int:
    """The `charter` command. Exit code 0: stopped when asked; 1: could not start or broke; 2: wrong settings."""
    options = _read_arguments(arguments)
    try:
        return _run(options.port, options.demo)
    except SettingsError as error:
        print("The settings need mending:", file=sys.stderr)
        for problem in error.problems:
            print(f"  {problem}", file=sys.stderr)
        return 2
    except LaunchError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nStopped.", file=sys.stderr)
        return 130


def _read_arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="charter", description="The Charter service.")
    run = parser.add_subparsers(dest="command", required=True, metavar="run").add_parser(
        "run", help="serve, with web server and worker together"
    )
    run.add_argument("--port", type=int, metavar="P", help="port to serve on (default: CHARTER_BIND_PORT or 8000)")
    run.add_argument(
        "--demo", type=int, metavar="N", help="serve N made-up signatories from a folder of their own in the instance"
    )
    options = parser.parse_args(arguments)
    if options.port is not None and not 1 <= options.port <= 65535:
        run.error(f"--port must be from 1 to 65535, not {options.port}")
    if options.demo is not None and options.demo < 0:
        run.error("--demo must not be negative")
    return options


def _run(port: int | None, demo_count: int | None) -> int:
    os.umask(0o077)  # database and mail files hold people's names and addresses
    environ = dict(os.environ)
    if demo_count is not None:
        environ = _demo_environment(environ)
    if port is not None:
        environ[variable_of("bind_port")] = str(port)
    settings = load(environ=environ)
    environ[variable_of("instance_path")] = str(settings.instance_path)
    _check_instance(settings.instance_path)
    _check_port(settings.bind_host, settings.bind_port)
    if demo_count is not None:
        _clear_other_demo(settings, demo_count)
    link = _prepare(settings, demo_count)
    with _StopRequests() as requests:
        children = _start(settings, environ)
        try:
            if _wait_until_served(settings, children, requests):
                _announce(settings, link, demo_count)
                _watch(children, requests)
        finally:
            _stop(children, requests)
    print("Stopped.", flush=True)
    return 0


# ── before the start ─────────────────────────────────────────────────────────────────────────────────────────────────


def _demo_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """What of the environment a demonstration may see, with a folder of its own inside the instance."""
    if environ.get(variable_of("environment"), "embedded") != "embedded":
        raise LaunchError("--demo is for trying out: it does not run with CHARTER_ENVIRONMENT=production.")
    allowed = {variable_of(name) for name in DEMO_SETTINGS}
    known = {name for name in environ if not name.startswith("CHARTER_")}
    kept = {name: value for name, value in environ.items() if name in allowed | known}
    instance = Path(environ.get(variable_of("instance_path")) or default_instance_path())
    kept[variable_of("instance_path")] = str(instance / DEMO_FOLDER)
    return kept


def _check_instance(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except (FileExistsError, NotADirectoryError):
        raise LaunchError(f"{folder} is not a folder.") from None
    except OSError as error:
        raise LaunchError(f"The folder {folder} cannot be written: {error.strerror}.") from None


def _check_port(host: str, port: int) -> None:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
            probe.listen(1)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise LaunchError(f"Port {port} is taken by another program; choose another with --port.") from None
        raise LaunchError(f"The service cannot listen on {host} port {port}: {error.strerror}.") from None


def _clear_other_demo(settings: Settings, demo_count: int) -> None:
    """A demonstration of another size is made anew; one of the same size keeps what was done in it."""
    folder = settings.instance_path
    if settings.database_url != own_database_url(folder):
        raise LaunchError(f"A demonstration has a database of its own: take database_url out of {folder}/charter.toml.")
    if _demo_made(folder) == demo_count:
        return
    for path in folder.glob("charter.db*"):
        path.unlink()
    shutil.rmtree(folder / "mail", ignore_errors=True)
    (folder / DEMO_MARK).unlink(missing_ok=True)


def _demo_made(folder: Path) -> int | None:
    try:
        return int((folder / DEMO_MARK).read_text(encoding="ascii"))
    except (OSError, ValueError):
        return None


def _prepare(settings: Settings, demo_count: int | None) -> str | None:
    """Bring the database up to date. Returns the path of the link for the first staff account, if there is none yet."""
    try:
        shipped.edition_texts(settings.charter_edition)
    except FileNotFoundError:
        name = variable_of("charter_edition")
        raise SettingsError([f"{name} is {settings.charter_edition!r}, and no such edition is there."]) from None
    app = create_app(settings)
    try:
        link = prepare(app)
        if demo_count is not None and _demo_made(settings.instance_path) is None:
            if demo_count:
                from charter.demo import load as load_demo

                print(f"Making {demo_count:,} signatories …", flush=True)
                load_demo(app, demo_count)
            (settings.instance_path / DEMO_MARK).write_text(f"{demo_count}\n", encoding="ascii")
    except OperationalError as error:
        reason = str(error.orig).strip().splitlines()[0] if error.orig else "no reason given"
        raise LaunchError(f"The database cannot be used: {reason.rstrip('.')}.") from None
    return link


# ── running ──────────────────────────────────────────────────────────────────────────────────────────────────────────


class _StopRequests:
    """Remembers SIGINT, SIGTERM and SIGHUP while it is entered; a second one means: at once."""

    SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

    def __init__(self) -> None:
        self.count = 0

    def __enter__(self) -> _StopRequests:
        self._before = {one: signal.signal(one, self._remember) for one in self.SIGNALS}
        return self

    def __exit__(self, *_: object) -> None:
        for one, handler in self._before.items():
            signal.signal(one, handler)

    def _remember(self, _signal: int, _frame: FrameType | None) -> None:
        self.count += 1


def _start(settings: Settings, environ: Mapping[str, str]) -> list[Child]:
    python = [sys.executable, "-m"]
    web = [
        *("granian", "--interface", "wsgi", "--http", "1", "--no-ws", "--log-level", "error"),
        *("--host", settings.bind_host, "--port", str(settings.bind_port)),
        *("--workers", str(settings.web_workers), "--blocking-threads", str(settings.web_threads)),
        *("--workers-kill-timeout", "5", "charter.wsgi:app"),
    ]
    worker = ["flask", "--app", "charter", "worker"]
    environment = dict(environ)
    project = Path(__file__).resolve().parent.parent
    if (project / "pyproject.toml").is_file():
        # From a checkout the package is not installed; the children must find the same one, whatever the folder.
        paths = [str(project), environment.get("PYTHONPATH", "")]
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, paths))
    children: list[Child] = []
    for name, command in (("web server", web), ("worker", worker)):
        # A session of their own: Ctrl-C reaches only us, and we stop them in order.
        process = subprocess.Popen(
            [*python, *command],
            env=environment,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
            preexec_fn=_end_with_parent,
        )
        children.append(Child(name, process))
    return children


def _end_with_parent() -> None:
    """Where the kernel can (Linux), a child is asked to stop when we are killed, so that no port stays taken."""
    pr_set_pdeathsig = 1
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGTERM)


def _wait_until_served(settings: Settings, children: Sequence[Child], requests: _StopRequests) -> bool:
    """True once the web server accepts connections, False when asked to stop before."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(settings.bind_host, settings.bind_host)  # noqa: S104
    give_up = time.monotonic() + START_SECONDS
    while not requests.count:
        _check_alive(children)
        try:
            socket.create_connection((host, settings.bind_port), timeout=1).close()
        except OSError:
            if time.monotonic() > give_up:
                raise LaunchError(f"The web server did not answer within {START_SECONDS} seconds.") from None
            time.sleep(LOOK_SECONDS)
        else:
            return True
    return False


def _announce(settings: Settings, link: str | None, demo_count: int | None) -> None:
    address = settings.public_url
    lines = [f"The Charter is served at  {address}/"]
    if demo_count is not None:
        lines.append(f"Demonstration, kept in    {settings.instance_path}")
    if settings.mail_transport == "files" and settings.is_loopback:
        lines.append(f"Mail can be read at       {address}/dev/mail/")
    elif settings.mail_transport == "files":
        lines.append(f"Mail is written to        {settings.mail_path}")
    if link:
        lines.append(f"First staff account       {address}{link}")
        lines.append("                          (this link ends with the first account)")
    else:
        lines.append(f"Staff sign in at          {address}/staff/")
    lines.append("Ctrl-C stops it.")
    print("\n".join(lines), flush=True)


def _watch(children: Sequence[Child], requests: _StopRequests) -> None:
    while not requests.count:
        _check_alive(children)
        time.sleep(LOOK_SECONDS)


def _check_alive(children: Sequence[Child]) -> None:
    for child in children:
        code = child.process.poll()
        if code is not None:
            how = f"signal {-code}" if code < 0 else f"exit code {code}"
            raise LaunchError(f"The {child.name} ended by itself ({how}); everything was stopped.")


def _stop(children: Sequence[Child], requests: _StopRequests) -> None:
    """Ask, wait, then kill: also what they started, for each leads a session of its own."""
    asked = requests.count
    running = [child.process for child in children if child.process.poll() is None]
    for process in running:
        process.terminate()
    give_up = time.monotonic() + STOP_SECONDS
    while any(process.poll() is None for process in running):
        if time.monotonic() > give_up or requests.count > max(asked, 1):
            break
        time.sleep(LOOK_SECONDS)
    for child in children:
        try:
            os.killpg(child.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            continue
        child.process.wait()
