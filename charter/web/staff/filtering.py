"""The queue's address becomes a filter, and back: so that a view can be kept, shared and gone back to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs, urlencode

from flask import url_for

from charter.domain.queue import FREE, MINE, QueueFilter
from charter.domain.signature import State

_STATES = (State.CONFIRMED.value, State.CLARIFICATION.value)
_KINDS = ("party", "independent", "international")
#: Of an address more is not read.
MOST_CHARS = 1000
_MOST_REGIONS = 30


def read(asked: Mapping[str, list[str]]) -> QueueFilter | None:
    """The filter of an address; None if something in it is no value we offer. asked: name → its values."""

    def one(name: str) -> str | None:
        return next((value for value in asked.get(name, ()) if value), None)

    state, kind, claimed = one("state") or _STATES[0], one("kind"), one("claimed")
    regions = tuple(dict.fromkeys(code for code in asked.get("region", ()) if code))
    affiliation = one("affiliation")
    texts = (*regions, affiliation or "")
    is_known = (
        state in _STATES
        and kind in {None, *_KINDS}
        and claimed in {None, MINE, FREE}
        and len(regions) <= _MOST_REGIONS
        and all(len(text) <= 100 and text.isprintable() and "\0" not in text for text in texts)
        and {one("late"), one("answered")} <= {None, "1"}
    )
    if not is_known:
        return None
    return QueueFilter(
        state=state,
        regions=regions,
        kind=kind,
        affiliation=affiliation,
        is_late=one("late") is not None,
        was_answered=one("answered") is not None,
        claimed=claimed,
    )


def read_query(query: str) -> QueueFilter:
    """The same of a query part that a form carries; whatever is wrong with it, the whole queue."""
    return read(parse_qs(query[:MOST_CHARS])) or QueueFilter()


def values_of(wanted: QueueFilter) -> dict[str, str | list[str]]:
    """Arguments for an address, in one order; nothing that is so anyway."""
    given: dict[str, str | list[str] | None] = {
        "state": wanted.state if wanted.state != _STATES[0] else None,
        "region": list(wanted.regions),
        "kind": wanted.kind,
        "affiliation": wanted.affiliation,
        "late": "1" if wanted.is_late else None,
        "answered": "1" if wanted.was_answered else None,
        "claimed": wanted.claimed,
    }
    return {name: value for name, value in given.items() if value}


def query_of(wanted: QueueFilter) -> str:
    """The query part of the address."""
    return urlencode(values_of(wanted), doseq=True)


def queue_url(wanted: QueueFilter, **more: str) -> str:
    """The queue seen so."""
    values: dict[str, Any] = {**values_of(wanted), **more}
    return url_for("staff.queue", **values)


def dossier_url(signature_id: int, wanted: QueueFilter) -> str:
    """A dossier as one of a view, to whose next one a decision leads."""
    values: dict[str, Any] = {**values_of(wanted)}
    return url_for("staff.dossier", signature_id=signature_id, **values)
