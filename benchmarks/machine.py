"""On what was measured: enough to compare, nothing that names the machine or a folder of it."""

from __future__ import annotations

import os
import platform
import sqlite3
import subprocess
from pathlib import Path

from benchmarks.postgres import programs

#: Where a commit costs nothing, a figure means nothing.
NOT_A_DISK = frozenset({"tmpfs", "ramfs", "devtmpfs", "overlay", "squashfs"})


def facts(folder: Path) -> dict[str, str]:
    """Words for the report. folder: where the databases will be."""
    return {
        "processor": f"{_cpu_model()}, {os.cpu_count()} cores",
        "memory": f"{_memory_bytes() / 2**30:.0f} GiB",
        "system": f"{platform.system()} {platform.release()} ({_distribution()})",
        "filesystem": filesystem(folder),
        "Python": platform.python_version(),
        "SQLite": sqlite3.sqlite_version,
        "PostgreSQL": _postgres_version(),
    }


def filesystem(folder: Path) -> str:
    """The type of the filesystem that `folder` is on, such as ext4."""
    target = str(folder.resolve())
    best, found = "", "unknown"
    for line in Path("/proc/mounts").read_text(encoding="utf-8").splitlines():
        _, place, kind, *_rest = line.split()
        inside = target == place or target.startswith(place.rstrip("/") + "/")
        if inside and len(place) >= len(best):
            best, found = place, kind
    return found


def _cpu_model() -> str:
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        name, _, value = line.partition(":")
        if name.strip() == "model name":
            return value.strip()
    return platform.machine()


def _memory_bytes() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def _distribution() -> str:
    try:
        return platform.freedesktop_os_release()["PRETTY_NAME"]
    except (OSError, KeyError):
        return "unknown"


def _postgres_version() -> str:
    told = subprocess.run([programs() / "postgres", "--version"], capture_output=True, text=True, check=True)
    return told.stdout.split()[2]
