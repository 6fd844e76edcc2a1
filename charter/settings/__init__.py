"""Settings: every one typed, with its default and meaning, read once at start and refused by name when wrong."""

from charter.settings.declared import (
    OUTSIDE_NAMES,
    SettingLine,
    Settings,
    SettingsError,
    is_loopback_host,
    registry_of_settings,
    variable_of,
)
from charter.settings.reading import default_instance_path, environment_for, load
from charter.settings.rules import own_database_url, own_origin
from charter.settings.witnesses import read_witnesses

__all__ = [
    "OUTSIDE_NAMES",
    "SettingLine",
    "Settings",
    "SettingsError",
    "default_instance_path",
    "environment_for",
    "is_loopback_host",
    "load",
    "own_database_url",
    "own_origin",
    "read_witnesses",
    "registry_of_settings",
    "variable_of",
]
