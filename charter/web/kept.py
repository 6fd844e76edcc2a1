"""What every visitor sees alike, kept by the process as of one publication: it changes with a batch, and only then."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import date
from typing import TypeVar

from flask import Flask, current_app, request
from markupsafe import Markup

from charter import clock
from charter.domain.calendar import local_date
from charter.i18n import current_language
from charter.queries import registry
from charter.queries.registry import AsOf

T = TypeVar("T")

#: name and language → (public_revision, value)
_Store = dict[tuple[str, ...], tuple[int, object]]
_AS_OF = "charter.as_of"
#: A form that is sent may be checked against lists of a second ago: the operation looks at the rows themselves.
RECENT_SECONDS = 1.0


def find_as_of() -> AsOf | None:
    """The batch that this request sees, looked up once; for a form that is sent, not even once a second."""
    if _AS_OF not in request.environ:
        request.environ[_AS_OF] = _recent() if request.method == "POST" else registry.find_as_of()
    found: AsOf | None = request.environ[_AS_OF]
    return found


def _recent() -> AsOf | None:
    at, found = current_app.extensions.get(_AS_OF, (-RECENT_SECONDS, None))
    if time.monotonic() - at >= RECENT_SECONDS:
        at, found = time.monotonic(), registry.find_as_of()
        current_app.extensions[_AS_OF] = (at, found)
    known: AsOf | None = found
    return known


def public_day() -> date:
    """The day in Asia/Almaty at which the public side stands: what begins or ends then does so with a batch."""
    as_of = find_as_of()
    return local_date(clock.now() if as_of is None else as_of.at)


def forget_as_of() -> None:
    """Looks it up anew, because the page is: it may have begun on the replica and be read from the primary now."""
    request.environ.pop(_AS_OF, None)


def as_published(*key: str, make: Callable[[], T]) -> T:
    """The value under `key`, made anew only when a batch has come since: one indexed row instead of whole lists.

    key: what it is and its language, from a closed set: nothing is ever thrown away. make: reads the database in the
    transaction of this request, in which `public_revision` was read too, so the two belong together. The value must
    not be changeable, because all threads share it.
    """
    as_of = find_as_of()
    if as_of is None:
        return make()
    store: _Store = current_app.extensions.setdefault("charter_kept", {})
    kept = store.get(key)
    if kept is None or kept[0] != as_of.revision:
        kept = store[key] = (as_of.revision, make())
    value: T = kept[1]  # type: ignore[assignment]
    return value


def last_known(*key: str) -> object | None:
    """The value under `key` as it was when the database could still be asked; None if nobody asked for it."""
    store: _Store = current_app.extensions.get("charter_kept", {})
    kept = store.get(key)
    return None if kept is None else kept[1]


def held(*key: str, caller: Callable[[], Markup]) -> Markup:
    """For templates, around a piece that changes with a batch only: rendered once for each and language.

    key: as of `as_published`, with everything beside the language that the piece depends on. Where the page itself has
    not asked for the batch it sees, such as one without a database, the piece is made anew.
    """
    if _AS_OF not in request.environ:
        return caller()
    return as_published("piece", current_language(), *key, make=caller)


def fixed(*key: str, caller: Callable[[], Markup]) -> Markup:
    """For templates, around a piece that never changes while the process runs: only words and addresses."""
    store: dict[tuple[str, ...], Markup] = current_app.extensions.setdefault("charter_fixed", {})
    whole = (current_language(), *key)
    found = store.get(whole)
    if found is None:
        found = store[whole] = caller()
    return found


def init_app(app: Flask) -> None:
    """For the templates."""
    app.jinja_env.globals.update(held=held, fixed=fixed)
