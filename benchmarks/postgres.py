"""A PostgreSQL of our own that keeps its word: what it acknowledges is on the disk."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests import postgres as for_tests

DEBIAN = for_tests.DEBIAN
#: A small server of today; durability is PostgreSQL's own default, named here because everything hangs on it.
SETTINGS = (
    "fsync=on",
    "synchronous_commit=on",
    "full_page_writes=on",
    "shared_buffers=512MB",
    "effective_cache_size=2GB",
    "max_wal_size=4GB",
    "checkpoint_timeout=15min",
    "max_connections=120",
)


def programs() -> Path:
    """The folder of the newest PostgreSQL programs. Raises NoPostgres."""
    found = sorted(DEBIAN.glob("*/bin"), key=lambda path: float(path.parent.name))
    if not found or not (found[-1] / "initdb").exists():
        raise for_tests.NoPostgres(f"nothing in {DEBIAN}; on Debian: apt install postgresql")
    return found[-1]


@contextmanager
def server(folder: Path) -> Iterator[str]:
    """A cluster in `folder`, which must not be there yet and goes away; yields the URL of its first database."""
    folder.mkdir(mode=0o700)
    become = None
    if os.geteuid() == 0:
        # PostgreSQL refuses root.
        owner = for_tests._unprivileged_user()
        os.chown(folder, owner.pw_uid, owner.pw_gid)
        become = for_tests._becoming(owner)
    data, port = folder / "data", for_tests._free_port()
    initdb: list[Path | str] = [
        programs() / "initdb",
        "-D",
        data,
        "-U",
        "charter",
        "-A",
        "trust",
        "-E",
        "UTF8",
        "--locale=C.UTF-8",
    ]
    options = [f"port={port}", "listen_addresses=127.0.0.1", f"unix_socket_directories={folder}", *SETTINGS]
    flags = " ".join(f"-c {option}" for option in options)
    control: list[Path | str] = [programs() / "pg_ctl", "-D", data, "-l", folder / "log", "-w", "-t", "120"]
    try:
        for_tests._call(initdb, folder, become)
        for_tests._call([*control, "-o", flags, "start"], folder, become)
        try:
            yield f"postgresql://charter@127.0.0.1:{port}/postgres"
        finally:
            for_tests._call([*control, "-m", "fast", "stop"], folder, become)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
