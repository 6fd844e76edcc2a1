"""A mirror of the told world, made once for each engine and copied."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.house.world import World
from tests.mirror.reading import mirror

#: (engine, build) → a mirror: pages are made anew where a file of the build has changed meanwhile.
_made: dict[tuple[str, str], Path] = {}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where a mirror may come into being."""
    return tmp_path / "mirror"


@pytest.fixture
def made(world: World, engine_name: str, folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A whole mirror of this world, as it was before the test began."""
    key = engine_name, world.app.config["PAGES_DIGEST"]
    if key not in _made:
        found = tmp_path_factory.mktemp("mirror") / "made"
        mirror(world.app, found)
        _made[key] = found
    shutil.copytree(_made[key], folder)
    return folder
