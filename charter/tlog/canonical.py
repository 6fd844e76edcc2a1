"""Canonical JSON as LOG §1 restricts RFC 8785: one value, exactly one sequence of bytes."""

from __future__ import annotations

import json
from collections.abc import Mapping

_MAX_INTEGER = 2**53
_write = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode


class NotCanonicalError(ValueError):
    """The value, or the bytes received, are outside the canonical form."""


def _check(value: object) -> None:
    if isinstance(value, bool):
        return
    if isinstance(value, int):
        if abs(value) >= _MAX_INTEGER:
            raise NotCanonicalError("integer out of range")
        return
    if isinstance(value, str):
        # A lone surrogate is found when the text becomes bytes.
        return
    if isinstance(value, list | tuple):
        for item in value:
            _check(item)
        return
    if isinstance(value, Mapping):
        for key, item in value.items():
            if not isinstance(key, str) or not key.isascii():
                raise NotCanonicalError("key")
            _check(item)
        return
    raise NotCanonicalError(f"type {type(value).__name__}")


def encode(value: Mapping[str, object]) -> bytes:
    """The canonical bytes of an object: sorted ASCII keys, no white space, UTF-8, no trailing newline.

    Raises NotCanonicalError for floats, null, integers of 2^53 and more, surrogates and keys outside ASCII.
    """
    _check(value)
    try:
        return _write(value).encode()
    except UnicodeEncodeError:
        raise NotCanonicalError("surrogate") from None


def decode(data: bytes) -> dict[str, object]:
    """The object in `data`, only if encoding it again gives the same bytes; else NotCanonicalError."""
    try:
        value = json.loads(data.decode("utf-8"))
        is_same = isinstance(value, dict) and encode(value) == data
    except NotCanonicalError:
        raise
    except ValueError as error:
        raise NotCanonicalError("not JSON in UTF-8") from error
    except RecursionError:
        raise NotCanonicalError("nested too deeply") from None
    if not is_same:
        raise NotCanonicalError("not in canonical form")
    return dict(value)
