"""PostgreSQL: pg_dump and pg_restore, told where the database is by their environment and never by their arguments."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import IO

from psycopg import pq
from psycopg.conninfo import make_conninfo
from sqlalchemy.engine import make_url

from charter.backup.errors import BackupError
from charter.settings import environment_for

HEAD = b"PGDMP"
#: Where Debian and PGDG keep the programs of each version.
DEBIAN = Path("/usr/lib/postgresql")
_COPY_BYTES = 1024 * 1024


def dump(url: str, plain: Path, *, snapshot: str, server_version: int) -> None:
    """Writes the database as of an exported snapshot into an existing empty file, in the custom format.

    server_version: the major one. Raises BackupError, also when no pg_dump is there or it is older than the server.
    """
    program = find_program("pg_dump", server_version)
    command = [program, "--format=custom", "--no-password", "--snapshot", snapshot, *_unnamed(url)]
    # Through a pipe: should we be killed, it ends too and writes nothing more into a folder that is cleared away.
    with (
        plain.open("wb") as target,
        subprocess.Popen(
            command,
            env=_environment(url),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=False,
        ) as process,
    ):
        try:
            assert process.stdout is not None
            shutil.copyfileobj(process.stdout, target, _COPY_BYTES)
        except BaseException:
            process.kill()
            raise
        problem = _reason(process.stderr)
    if process.returncode != 0:
        raise BackupError(f"pg_dump failed: {problem}")


def list_contents(plain: Path) -> None:
    """Reads the table of contents of a dump. Raises BackupError if it cannot be read."""
    _call([find_program("pg_restore"), "--list", str(plain)], environment_for({}), "The dump cannot be read")


def read_through(plain: Path) -> None:
    """Reads all of a dump without a server. Raises BackupError if any part of it is damaged."""
    command = [find_program("pg_restore"), "--file=/dev/null", str(plain)]
    _call(command, environment_for({}), "The dump is damaged")


def load(url: str, plain: Path) -> None:
    """Fills an empty database, in one transaction: all of it or nothing. Raises BackupError."""
    command = [
        find_program("pg_restore"),
        "--single-transaction",
        "--exit-on-error",
        "--no-owner",
        "--no-privileges",
        "--no-password",
        "--dbname",
        make_conninfo(dbname=make_url(url).database or "", **_parameters(url)[1]),
        str(plain),
    ]
    _call(command, _environment(url), "pg_restore failed")


def find_program(name: str, least_version: int = 0) -> str:
    """The path of a program of PostgreSQL that is not older than this major version. Raises BackupError."""
    candidates = [shutil.which(name)]
    if DEBIAN.is_dir():
        newest_first = sorted(DEBIAN.glob("*/bin"), key=lambda path: float(path.parent.name), reverse=True)
        candidates += [shutil.which(name, path=str(folder)) for folder in newest_first]
    found = [(version, path) for path in candidates if path and (version := _version(path))]
    for version, path in found:
        if version >= least_version:
            return path
    if found:
        newest = max(version for version, _ in found)
        raise BackupError(
            f"{name} is of PostgreSQL {newest} and the server of {least_version}:"
            f" install postgresql-client-{least_version}."
        )
    raise BackupError(f"{name} is not installed: install PostgreSQL's client programs (Debian: postgresql-client).")


def _version(program: str) -> int:
    try:
        said = subprocess.run([program, "--version"], capture_output=True, text=True, check=False, timeout=20).stdout
    except (OSError, subprocess.TimeoutExpired):
        return 0
    found = re.search(r"\(PostgreSQL\) (\d+)", said)
    return int(found[1]) if found else 0


def _parameters(url: str) -> tuple[dict[str, str], dict[str, str]]:
    """What libpq has to know: variables of the environment, and the few settings that have none."""
    parts = make_url(url)
    values = {
        "host": parts.host,
        "port": None if parts.port is None else str(parts.port),
        "user": parts.username,
        "password": parts.password,
        "dbname": parts.database,
    }
    values |= {
        key: value if isinstance(value, str) else ",".join(value) for key, value in parts.normalized_query.items()
    }
    variables, unnamed = {}, {}
    for option in pq.Conninfo.get_defaults():
        keyword = option.keyword.decode()
        value = values.get(keyword)
        if value and option.envvar:
            variables[option.envvar.decode()] = str(value)
        elif value and keyword != "sslpassword":  # a secret, which has no place in a list of processes
            unnamed[keyword] = str(value)
    return variables, unnamed


def _environment(url: str) -> dict[str, str]:
    return environment_for(_parameters(url)[0] | {"LC_ALL": "C.UTF-8"})


def _unnamed(url: str) -> list[str]:
    unnamed = _parameters(url)[1]
    return ["--dbname", make_conninfo(dbname=make_url(url).database or "", **unnamed)] if unnamed else []


def _call(command: list[str], environment: dict[str, str], sentence: str) -> None:
    with subprocess.Popen(
        command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    ) as process:
        try:
            problem = _reason(process.stderr)
        except BaseException:
            process.kill()
            raise
    if process.returncode != 0:
        raise BackupError(f"{sentence}: {problem}")


def _reason(stream: IO[bytes] | None) -> str:
    """What the program said first, shortened: later lines may quote rows, which hold names."""
    assert stream is not None
    said = stream.read().decode("utf-8", "replace").splitlines()
    line = next((one for one in said if "error:" in one), said[0] if said else "no reason given")
    return re.sub(r"^\S+: (error: )?", "", line)[:300].rstrip(".") + "."
