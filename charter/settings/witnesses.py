"""The witnesses among the settings: each a key and an address, read and refused in sentences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from charter.settings.declared import is_loopback_host
from charter.tlog import note, witness
from charter.tlog.witness import Witness

#: As long as the column that keeps it.
_LONGEST_NAME = 255


def read_witnesses(lines: Sequence[str]) -> list[Witness]:
    """The witnesses of checked settings. Raises ValueError as below."""
    return [_read(line) for line in lines]


def check_witnesses(values: Mapping[str, Any], sources: Mapping[str, str], problems: list[str]) -> None:
    """Adds a sentence for each thing to mend."""
    found: list[Witness] = []
    for line in values["witnesses"]:
        try:
            found.append(_read(line))
        except ValueError as error:
            problems.append(f"{sources['witnesses']} {error}.")
    if len({one.name for one in found}) < len(found) or len({one.key.public for one in found}) < len(found):
        problems.append(f"{sources['witnesses']} names a witness twice.")
    quorum, count = values["witness_quorum"], len(values["witnesses"])
    if quorum > count:
        problems.append(f"{sources['witness_quorum']} must not be more than there are witnesses ({count}).")


def _read(line: str) -> Witness:
    """One of them. The message of the ValueError goes on after the name of the setting."""
    text, _, url = line.partition(" ")
    url = url.strip()
    if not url or " " in url:
        raise ValueError(
            f"holds {text[:80]!r}, which must be a key and an address with a space between"
            " (name+hash+key https://witness.example)"
        )
    try:
        key = note.parse_key(text)
    except note.NoteError:
        raise ValueError(f"holds {text[:80]!r}, which is not the verifier key of a witness") from None
    try:
        found = witness.of(key, url)
    except note.NoteError:
        raise ValueError(f"holds the key of {key.name!r}, which is one of a log and not of a witness") from None
    if len(key.name) > _LONGEST_NAME:
        raise ValueError("holds a key whose name is too long")
    _check_address(key.name, url)
    return found


def _check_address(name: str, url: str) -> None:
    shape = f"gives {name!r} something that is not an address such as https://witness.example"
    try:
        parts = urlsplit(url)
        has_port = parts.port != 0
    except ValueError:
        raise ValueError(shape) from None
    if parts.scheme not in {"http", "https"} or not parts.hostname or not has_port or not url.isascii():
        raise ValueError(shape)
    if parts.username is not None or parts.password is not None:
        raise ValueError(f"gives {name!r} an address with a name or password in it")
    if "?" in url or "#" in url:
        raise ValueError(f"gives {name!r} an address that does not end with its path")
    if parts.scheme == "http" and not is_loopback_host(parts.hostname):
        raise ValueError(f"gives {name!r} an address that must begin with https://")
