"""All that is held about a signatory, as a file for programs; the page for people is `components/holdings.html`."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import Any

from flask import make_response
from werkzeug.wrappers import Response as BaseResponse

from charter.queries.holdings import LEFT_OUT, Holdings

FORMAT = "charter-data-1"
FILE_NAME = "charter-data.json"
#: Bytes that are lines of text; all others are digests, in hexadecimal.
_LINES = ("application_line", "record_line")


def as_file(holdings: Holdings, *, public_url: str, now: datetime) -> BaseResponse:
    """The whole as JSON, to be kept. What is not handed over stands in it too, with the reason."""
    document = {
        "format": FORMAT,
        "service": public_url,
        "made_at": _plain("", now),
        **_plain("", holdings),
        "left_out": {
            f"{table.__tablename__}.{column}": reason
            for table, columns in LEFT_OUT.items()
            for column, reason in columns.items()
        },
    }
    response = make_response(json.dumps(document, ensure_ascii=False, indent=2) + "\n")
    response.mimetype = "application/json"
    response.headers.set("Content-Disposition", "attachment", filename=FILE_NAME)
    return response


def _plain(name: str, value: Any) -> Any:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, bytes):
        return value.decode("utf-8") if name in _LINES else value.hex()
    if isinstance(value, Holdings):
        return {field.name: _plain(field.name, getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {key: _plain(key, one) for key, one in value.items()}
    if isinstance(value, list):
        return [_plain(name, one) for one in value]
    return value
