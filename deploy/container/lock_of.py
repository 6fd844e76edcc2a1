"""Prints from a lock the lines of the packages named: an image installs these by their hashes, and no others."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from pathlib import Path


def lock_of(lock: str, names: Sequence[str]) -> str:
    """The named parts of a lock, hashes included. Raises KeyError for a name that the lock does not hold."""
    parts = {part.partition("==")[0]: part for part in re.split(r"(?m)^(?=[a-z0-9])", lock) if "==" in part}
    return "".join(parts[name] for name in names)


if __name__ == "__main__":
    sys.stdout.write(lock_of(Path(sys.argv[1]).read_text(encoding="utf-8"), sys.argv[2:]))
