"""What a page says about when: a page that else stays the same stays as of its own last change."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from html import escape

from flask import Flask

from charter.domain.calendar import TIME_ZONE
from charter.domain.languages import LANGUAGES
from charter.i18n import format_datetime, format_number, speaking
from charter.queries.registry import AsOf

_WHEN = b"\0when\0"
_NAMED = b"public_revision"


@dataclass(frozen=True)
class _Written:
    """How one batch is written. moments: its time in every form. near: its revision beside it. named: in data."""

    moments: tuple[bytes, ...]
    near: re.Pattern[bytes]
    named: re.Pattern[bytes]


class Moments:
    """Takes the moment of a batch out of what was made at it, before that is compared with what was there."""

    def __init__(self, app: Flask) -> None:
        self._app = app
        self._written = lru_cache(maxsize=8)(self._find_written)

    def without(self, content: bytes, as_of: AsOf | None) -> bytes:
        """The content with one mark for every mention of the batch: its time, as it is written, and its revision."""
        if as_of is None:
            return content
        written = self._written(as_of)
        for moment in written.moments:
            content = content.replace(moment, _WHEN)
        if _WHEN in content:
            content = written.near.sub(_WHEN, content)
        return written.named.sub(b"", content) if _NAMED in content else content

    def _find_written(self, as_of: AsOf) -> _Written:
        at = as_of.at.astimezone(UTC)
        moments = {_iso(at), at.isoformat(), at.astimezone(TIME_ZONE).isoformat(), at.strftime("%Y-%m-%d %H:%M UTC")}
        numbers = {str(as_of.revision)}
        with self._app.app_context():
            for language in LANGUAGES:
                with speaking(language):
                    words = format_datetime(at)
                    numbers.add(format_number(as_of.revision))
                moments |= {words, escape(words)}
        # In a sentence the revision stands before or behind its moment, in data behind its name.
        number = rb"(?<!\d)" + _any_of(numbers) + rb"(?!\d)"
        near = rb"[^\d<]{1,40}"
        return _Written(
            moments=tuple(moment.encode() for moment in sorted(moments, key=len, reverse=True)),
            near=re.compile(b"%b%b%b|%b%b%b" % (_WHEN, near, number, number, near, _WHEN)),
            named=re.compile(rb"(?<=%b)\W{1,4}%d\b" % (_NAMED, as_of.revision)),
        )


def _any_of(texts: set[str]) -> bytes:
    return b"(?:" + b"|".join(re.escape(text.encode()) for text in sorted(texts, key=len, reverse=True)) + b")"


def _iso(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")
