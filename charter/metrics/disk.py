"""The disk that must not run full."""

from __future__ import annotations

import shutil
from pathlib import Path

from charter.settings import Settings


def kept_on(settings: Settings) -> Path:
    """The folder whose disk counts: the SQLite file's, else the instance."""
    name = settings.database_url.removeprefix("sqlite:///")
    return Path(name).parent if name != settings.database_url else settings.instance_path


def free_bytes(folder: Path) -> int | None:
    """Bytes free for us on the disk of a folder; None if the folder cannot be looked at."""
    try:
        return shutil.disk_usage(folder).free
    except OSError:
        return None
