"""Databases that stand at any step of the way."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask

from charter import create_app
from charter.models.base import db
from tests.conftest import make_settings


@pytest.fixture
def empty_app(engine_name: str, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Flask]:
    """An application on a database without any table."""
    given = {}
    if engine_name == "postgresql":
        given["database_url"] = request.getfixturevalue("postgres_database")
    app = create_app(make_settings(tmp_path / "empty", **given))
    yield app
    with app.app_context():
        db.session.remove()
        db.engine.dispose()
