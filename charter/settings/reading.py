"""Reading the settings: defaults, then `charter.toml`, then the environment, with every problem told at once."""

from __future__ import annotations

import difflib
import os
import re
import secrets
import tomllib
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import MISSING, Field, fields
from pathlib import Path
from typing import Any

from charter.settings.declared import (
    OUTSIDE_NAMES,
    PREFIX,
    SECRET_KEY_LEAST_LENGTH,
    Settings,
    SettingsError,
    variable_of,
)
from charter.settings.rules import complete

SETTINGS_FILE = "charter.toml"
SECRET_KEY_FILE = "secret_key"  # noqa: S105 - the name of a file


def default_instance_path() -> Path:
    """`instance` beside the package in a checkout; in the working folder when installed."""
    project = Path(__file__).resolve().parents[2]
    is_checkout = (project / "pyproject.toml").is_file() and (project / "templates").is_dir()
    return (project if is_checkout else Path.cwd()) / "instance"


def load(instance_path: Path | None = None, environ: Mapping[str, str] = os.environ) -> Settings:
    """Read defaults, then `charter.toml`, then the environment; raise `SettingsError` with every problem at once.

    In the embedded environment this makes the instance folder and its secret key when they are missing.
    """
    problems: list[str] = []
    folder = instance_path or Path(environ.get(variable_of("instance_path")) or default_instance_path())
    folder = Path(os.path.abspath(folder.expanduser()))  # not resolve(): a symbolic link may be moved on purpose
    values: dict[str, Any] = {one.name: one.default for one in fields(Settings) if one.default is not MISSING}
    given = _read_file(folder / SETTINGS_FILE, problems) | _read_environment(environ, problems)
    values |= {name: value for name, (_, value) in given.items()}
    values["instance_path"] = folder
    sources = {name: source for name, (source, _) in given.items()}
    complete(values, sources, problems)
    if problems:
        raise SettingsError(problems)
    if not values["secret_key"]:
        values["secret_key"] = _kept_secret_key(folder)
    return Settings(**values)


def environment_for(program: Mapping[str, str]) -> dict[str, str]:
    """The environment of a program that we call: ours without our own settings and secrets, with what it needs."""
    return {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)} | dict(program)


# ── reading ──────────────────────────────────────────────────────────────────────────────────────────────────────────

# name → (how to speak of its source, value)
_Given = dict[str, tuple[str, Any]]


def _read_file(path: Path, problems: list[str]) -> _Given:
    """The file holds plain `name = value` lines, named as in `Settings`."""
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except NotADirectoryError:
        return {}  # said by whoever needs the folder
    except OSError as error:
        problems.append(f"{path} cannot be read: {error.strerror}.")
        return {}
    except UnicodeDecodeError:
        problems.append(f"{path} is not UTF-8 text.")
        return {}
    except tomllib.TOMLDecodeError as error:
        # The parser quotes single characters and positions only, never a whole value.
        problems.append(f"{path} is not valid TOML: {error}.")
        return {}
    declared = {one.name: one for one in fields(Settings)}
    given: _Given = {}
    for name, raw in content.items():
        source = f"{name} in {path.name}"
        if name == "instance_path":
            problems.append(f"{source}: the folder that holds this file can only be set by CHARTER_INSTANCE_PATH.")
        elif name not in declared:
            problems.append(f"{source} is not a setting{_nearest(name, declared)}.")
        else:
            _keep(given, declared[name], source, raw, problems)
    return given


def _read_environment(environ: Mapping[str, str], problems: list[str]) -> _Given:
    declared = {variable_of(one.name): one for one in fields(Settings)}
    given: _Given = {}
    for name in sorted(environ):
        if not name.startswith(PREFIX) or name in OUTSIDE_NAMES or name == variable_of("instance_path"):
            continue
        if name not in declared:
            problems.append(f"{name} is not a setting{_nearest(name, declared)}.")
        elif environ[name].strip():  # `NAME=` in a compose file means "not set"
            _keep(given, declared[name], name, environ[name].strip(), problems)
    return given


def _nearest(name: str, known: Mapping[str, Any]) -> str:
    found = difflib.get_close_matches(name, known, n=1, cutoff=0.75)
    return f" (did you mean {found[0]}?)" if found else ""


def _keep(given: _Given, one: Field[Any], source: str, raw: Any, problems: list[str]) -> None:
    try:
        given[one.name] = (source, _convert(one, raw))
    except ValueError as error:
        problems.append(f"{source} {error}.")


def _convert(one: Field[Any], raw: Any) -> Any:
    """`raw` in the type of the field. The message of the ValueError goes on after the name of the setting."""
    about = one.metadata
    if one.type == "int":
        number = _whole_number(raw)
        least, most = about["least"], about["most"]
        if not least <= number <= most:
            raise ValueError(f"must be from {least} to {most}, not {number}")
        return number
    if one.type == "tuple[str, ...]":
        items = raw.split(",") if isinstance(raw, str) else raw
        if not isinstance(items, list) or not all(isinstance(item, str) for item in items):
            raise ValueError("must be a list of texts")
        return tuple(item.strip() for item in items if item.strip())
    if not isinstance(raw, str):
        raise ValueError("must be a text in quotation marks")  # noqa: TRY004 - said beside the other problems
    text = raw.strip()
    if any(ord(character) < 32 or ord(character) == 127 for character in text):
        raise ValueError("must not hold line breaks or control characters")
    if about["choices"] and text not in about["choices"]:
        listed = ", ".join(about["choices"])
        raise ValueError(f"must be one of {listed}, not {text!r}")
    return Path(text).expanduser() if one.type == "Path" else text


def _whole_number(raw: Any) -> int:
    if isinstance(raw, int) and not isinstance(raw, bool):
        return raw
    if isinstance(raw, str) and re.fullmatch(r"-?[0-9]{1,12}", raw):
        return int(raw)
    raise ValueError(f"must be a whole number, not {raw!r}")


# ── the key of an embedded instance ──────────────────────────────────────────────────────────────────────────────────


def _kept_secret_key(folder: Path) -> str:
    """The key in `instance/secret_key`, made when missing; processes that start together agree on one."""
    path = folder / SECRET_KEY_FILE
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            _make_secret_key(path)
        key = path.read_text(encoding="ascii").strip()
    except (FileExistsError, NotADirectoryError):
        raise SettingsError([f"{folder} is not a folder."]) from None
    except OSError as error:
        raise SettingsError([f"{path} cannot be made or read: {error.strerror}."]) from None
    except UnicodeDecodeError:
        key = ""
    if len(key) < SECRET_KEY_LEAST_LENGTH:
        raise SettingsError(
            [f"{path} is damaged: bring it back from a copy, or remove it to end every link and session."]
        )
    return key


def _make_secret_key(path: Path) -> None:
    # Written whole under a name of its own, then linked: the file appears complete or not at all, and link() refuses
    # to replace the key of a process that was quicker.
    draft = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(8)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o400)
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(secrets.token_urlsafe(48) + "\n")
            file.flush()
            os.fsync(file.fileno())
        with suppress(FileExistsError):
            os.link(draft, path)
    finally:
        draft.unlink()
