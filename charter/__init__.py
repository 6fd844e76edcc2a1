"""The Charter service: a charter of election observation, its signatories, their review and their public registry."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flask import Flask

    from charter.settings import Settings

__all__ = ["create_app"]


def create_app(config: Settings | None = None) -> Flask:
    """The application (`charter.assembly`), which is loaded when somebody asks for it: whoever checks the log does not.

    config: from `settings.load()` unless given. Raises SettingsError with every problem at once.
    """
    from charter import assembly

    return assembly.create_app(config)
