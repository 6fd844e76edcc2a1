"""Leaves of the log: a closed set of keys for each kind, so that personal data cannot leak in (LOG §1)."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, date, datetime

from charter.tlog import canonical, note

VERSION = 1

#: kind → (required keys, optional keys), besides `kind`, `t` and `v`.
KINDS: dict[str, tuple[frozenset[str], frozenset[str]]] = {
    "charter": (frozenset({"charter", "files"}), frozenset()),
    "confirm": (frozenset({"commit", "due", "entry"}), frozenset()),
    "publish": (frozenset({"commit", "entry", "rev"}), frozenset({"approvals"})),
    "correct": (frozenset({"commit", "entry", "rev"}), frozenset({"approvals", "reason"})),
    "refuse": (frozenset({"entry", "reason"}), frozenset()),
    "withdraw": (frozenset({"entry"}), frozenset()),
    "revoke": (frozenset({"approvals", "entry", "reason"}), frozenset()),
    "erase": (frozenset({"entry"}), frozenset()),
    "key": (frozenset({"action", "vkey"}), frozenset()),
}

#: R: what may stand as the reason of a `refuse`, `correct` or `revoke`.
LOG_REASONS = frozenset(
    {"duplicate", "impersonation", "not_consented", "ineligible", "unanswered", "court_order", "abuse", "other"}
)

#: So many members of staff remove an entry together.
REVOKING = 2

_HEX32 = re.compile(r"[0-9a-f]{32}\Z")
_HEX64 = re.compile(r"[0-9a-f]{64}\Z")
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}\Z")
_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]Z\Z")
_SLUG = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*\Z")
_APPROVAL = re.compile(r"s[1-9][0-9]*\Z")


class LeafError(ValueError):
    """The leaf has a key or a value that its kind does not allow."""


def _is(pattern: re.Pattern[str], value: object) -> bool:
    return isinstance(value, str) and pattern.match(value) is not None


def _is_files(value: object) -> bool:
    return (
        isinstance(value, dict)
        and set(value) == {"en", "kk", "ru"}
        and all(_is(_HEX64, item) for item in value.values())
    )


def _is_approvals(value: object) -> bool:
    return isinstance(value, list) and all(_is(_APPROVAL, item) for item in value) and len(set(value)) == len(value) > 0


def _is_day(value: object) -> bool:
    if not isinstance(value, str) or not _DAY.match(value):
        return False
    try:
        date.fromisoformat(value)
    except ValueError:
        return False
    return True


def _is_time(value: object) -> bool:
    if not isinstance(value, str) or not _TIME.match(value):
        return False
    try:
        datetime.fromisoformat(value)
    except ValueError:
        return False
    return True


def _is_vkey(value: object) -> bool:
    if not isinstance(value, str):
        return False
    try:
        key = note.parse_key(value)
    except note.NoteError:
        return False
    return key.text == value and key.kind == note.ED25519


_CHECKS: dict[str, Callable[[object], bool]] = {
    "charter": lambda value: _is(_SLUG, value),
    "files": _is_files,
    "commit": lambda value: _is(_HEX64, value),
    "due": _is_day,
    "entry": lambda value: _is(_HEX32, value),
    "rev": lambda value: isinstance(value, int) and not isinstance(value, bool) and value >= 1,
    "approvals": _is_approvals,
    "reason": lambda value: isinstance(value, str) and value in LOG_REASONS,
    "action": lambda value: isinstance(value, str) and value in {"add", "retire"},
    "vkey": _is_vkey,
}


def is_value(key: str, value: object) -> bool:
    """Whether a leaf may have this value under this key; of `t` too."""
    return _is_time(value) if key == "t" else key in _CHECKS and _CHECKS[key](value)


def format_time(instant: datetime) -> str:
    """T of LOG §1: `YYYY-MM-DDTHH:MM:SSZ`; instant: aware, in UTC."""
    return instant.strftime("%Y-%m-%dT%H:%M:%SZ")


def parse_time(text: str) -> datetime:
    """The instant of a T. Raises LeafError for another form."""
    if not _is_time(text):
        raise LeafError("t")
    return datetime.fromisoformat(text).astimezone(UTC)


def encode(kind: str, *, t: str, **values: object) -> bytes:
    """The canonical bytes of one leaf. Raises LeafError for an unknown kind, key or value (LOG §1)."""
    try:
        required, optional = KINDS[kind]
    except KeyError:
        raise LeafError(f"kind {kind}") from None
    keys = frozenset(values)
    if not required <= keys <= required | optional:
        raise LeafError(f"keys of {kind}: {sorted(keys)}")
    for key, value in values.items():
        if not _CHECKS[key](value):
            raise LeafError(f"{key} of {kind}")
    if kind == "correct" and values["rev"] == 1:
        raise LeafError("rev of correct")  # the first is `publish`
    if kind == "revoke" and len(values["approvals"]) < REVOKING:  # type: ignore[arg-type]
        raise LeafError("approvals of revoke")
    if not _is_time(t):
        raise LeafError("t")
    return canonical.encode({**values, "kind": kind, "t": t, "v": VERSION})


def decode(data: bytes) -> tuple[str, dict[str, object]]:
    """Kind and values of one leaf, without `t`. Raises LeafError for anything that `encode` would not have written."""
    try:
        found = canonical.decode(data)
    except canonical.NotCanonicalError as error:
        raise LeafError(str(error)) from None
    values = {key: value for key, value in found.items() if key not in {"kind", "t", "v"}}
    kind, t = found.get("kind"), found.get("t")
    if not isinstance(kind, str) or not isinstance(t, str) or found.get("v") != VERSION:
        raise LeafError("kind, t or v")
    if encode(kind, t=t, **values) != data:
        raise LeafError("not as it would be written")
    return kind, values
