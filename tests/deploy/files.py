"""Where the files of deploy/ are, and the tools that read them."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from charter.settings import registry_of_settings
from tests.scaled import missing
from tests.service import ROOT

DEPLOY = ROOT / "deploy"
SETTINGS = frozenset(line.variable for line in registry_of_settings())


def all_files() -> list[Path]:
    """Every file of deploy/."""
    return sorted(path for path in DEPLOY.rglob("*") if path.is_file())


def names_in(text: str) -> set[str]:
    """The names with our prefix that a text holds."""
    return set(re.findall(r"\bCHARTER_[A-Z_]*[A-Z]\b", text))


def documents(path: Path) -> list[dict[str, Any]]:
    """The YAML documents of a file."""
    return [one for one in yaml.safe_load_all(path.read_text(encoding="utf-8")) if one]


def tool(name: str, package: str) -> str:
    """A program of a Debian package, also where only root's path has it; skips loudly, and fails with CI=true."""
    found = shutil.which(name) or shutil.which(name, path="/usr/sbin:/sbin:/usr/bin:/bin")
    if found is None:
        missing(f"Debian's package {package}")
    assert found
    return found


def images() -> Iterator[tuple[Path, str]]:
    """Every container image that a file names."""
    for path in all_files():
        text = path.read_text(encoding="utf-8")
        for found in re.findall(r"^\s*(?:- )?image: (\S+)|^(?:FROM|ARG PYTHON=)\s*(\S+)", text, re.MULTILINE):
            name = found[0] or found[1]
            if name != "${PYTHON}":
                yield path, name
