"""The `charter` command: checks, migrates, then keeps web server and worker running; or the web server alone."""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import errno
import os
import shutil
import socket
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from sqlalchemy.exc import OperationalError

from charter import create_app, kept_spreadsheet, shipped, sockets
from charter.cli import prepare
from charter.migrating import MigrationError
from charter.settings import Settings, SettingsError, default_instance_path, load, own_database_url, variable_of
from charter.supervision import LaunchError, Requests, Service

DEMO_FOLDER = "demo"
DEMO_MARK = "signatories"  # how many the demonstration in this folder was made with
# The rest would tie a demonstration to a real installation: its database, key, mail or name.
DEMO_SETTINGS = ("bind_host", "bind_port", "public_url", "trusted_hosts", "web_workers", "web_threads", "log_level")


def main(arguments: Sequence[str] | None = None) -> int:
    """The `charter` command. Exit code 0: stopped when asked; 1: could not start or broke; 2: wrong settings."""
    options = _read_arguments(arguments)
    _keep_few_arenas()
    try:
        if options.command == "web":
            return _web(options.fd, options.ready_fd)
        if options.command == "worker":
            return _worker()
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


def _keep_few_arenas() -> None:
    """With an arena for each of its threads a web process would keep 5 MB it has no use for."""
    count = os.environ.setdefault("MALLOC_ARENA_MAX", "2")
    # glibc reads that when a process begins: this one has to be told, and those that it forks. Others have no arenas.
    m_arena_max = -8
    with contextlib.suppress(AttributeError, ValueError):
        ctypes.CDLL(None).mallopt(m_arena_max, int(count))


def _read_arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="charter", description="The Charter service.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="{run,web,worker}")
    web = commands.add_parser("web", help="the web server alone; the database must have been prepared")
    web.add_argument("--fd", type=int, metavar="N", help="number of a listening socket that is open already")
    web.add_argument("--ready-fd", type=int, help=argparse.SUPPRESS)
    commands.add_parser("worker", help="the worker alone; the database must have been prepared")
    run = commands.add_parser("run", help="serve, with web server and worker together")
    run.add_argument("--port", type=int, metavar="P", help="port to serve on (default: CHARTER_BIND_PORT or 8000)")
    run.add_argument(
        "--demo", type=int, metavar="N", help="serve N made-up signatories from a folder of their own in the instance"
    )
    options = parser.parse_args(arguments)
    if options.command != "run":
        return options
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
    listener = _bind(settings)
    if demo_count is not None:
        _clear_other_demo(settings, demo_count)
    link = _prepare(settings, demo_count)
    _listen(listener, settings)
    with Requests() as requests:
        service = Service(listener, environ, requests)
        try:
            if service.start():
                _announce(settings, link, demo_count)
                sockets.tell_systemd(sockets.READY)
                service.watch()
                sockets.tell_systemd(sockets.STOPPING)
        except LaunchError as error:
            raise LaunchError(f"{str(error).rstrip('.')}; everything was stopped.") from None
        finally:
            service.stop()
    print("Stopped.", flush=True)
    return 0


def _web(fd: int | None, ready_fd: int | None) -> int:
    # Granian is for the processes that serve, as the worker is for itself: each would carry the other's libraries. The
    # application's modules are loaded once, before there are several processes, so that these share them.
    from charter import assembly, serving  # noqa: F401

    os.umask(0o077)
    settings = load()
    given = fd if fd is not None else sockets.handed_over()
    if given is None:
        listener = _bind(settings)
        _listen(listener, settings)
    else:
        try:
            listener = sockets.adopt(given)
        except OSError as error:
            raise LaunchError(f"The socket with the number {given} cannot be used: {error}.") from None
    serving.serve(listener, workers=settings.web_workers, threads=settings.web_threads, tell=_teller(ready_fd))
    return 0


def _teller(ready_fd: int | None) -> Callable[[str], None]:
    """Passes on what a supervisor wants to know: `charter run` by a pipe, systemd by its socket."""

    def tell(what: str) -> None:
        if ready_fd is not None and what == sockets.READY:
            os.write(ready_fd, b".")
            os.close(ready_fd)
        sockets.tell_systemd(what)

    return tell


def _worker() -> int:
    from charter import worker

    os.umask(0o077)
    app = create_app()
    sockets.tell_systemd(sockets.READY)
    worker.run(app)
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


def _bind(settings: Settings) -> socket.socket:
    try:
        return sockets.bind(settings.bind_host, settings.bind_port)
    except OSError as error:
        raise _cannot_listen(settings, error) from None


def _listen(listener: socket.socket, settings: Settings) -> None:
    try:
        listener.listen(sockets.BACKLOG)
    except OSError as error:
        raise _cannot_listen(settings, error) from None


def _cannot_listen(settings: Settings, error: OSError) -> LaunchError:
    host, port = settings.bind_host, settings.bind_port
    if error.errno == errno.EADDRINUSE:
        return LaunchError(f"Port {port} is taken by another program; choose another with --port.")
    return LaunchError(f"The service cannot listen on {host} port {port}: {error.strerror}.")


def _clear_other_demo(settings: Settings, demo_count: int) -> None:
    """A demonstration of another size is made anew; one of the same size keeps what was done in it."""
    folder = settings.instance_path
    if settings.database_url != own_database_url(folder):
        raise LaunchError(f"A demonstration has a database of its own: take database_url out of {folder}/charter.toml.")
    if _demo_made(folder) == demo_count:
        return
    for path in folder.glob("charter.db*"):
        path.unlink()
    for name in ("mail", "backups", kept_spreadsheet.FOLDER):
        shutil.rmtree(folder / name, ignore_errors=True)
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
    except MigrationError as error:
        raise LaunchError(str(error)) from None
    except OperationalError as error:
        reason = str(error.orig).strip().splitlines()[0] if error.orig else "no reason given"
        raise LaunchError(f"The database cannot be used: {reason.rstrip('.')}.") from None
    return link


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
