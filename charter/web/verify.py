"""The page on which anybody checks an entry, in their own browser: it brings words, keys and addresses; nothing is
decided here."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date
from typing import Any

from flask import Blueprint, Flask, current_app, g, render_template, request, url_for

from charter.domain.calendar import TIME_ZONE
from charter.i18n import LANGUAGES, current_language, format_date, format_number
from charter.queries import log, log_tiles, search
from charter.queries.search import EntryRow
from charter.web import lists
from charter.web.headers import public_page
from charter.web.kept import as_published

blueprint = Blueprint("verify", __name__)

_NUMBER = re.compile("0{0,9}[1-9][0-9]{0,14}")
_ENTRY = re.compile("[0-9a-f]{32}")
_SPACES = re.compile(r"\s+")


@dataclass(frozen=True)
class Asked:
    """Whose proof the address asks for. text: as typed. is_readable: whether it can name an entry at all."""

    text: str
    is_readable: bool
    row: EntryRow | None


def read_asked() -> Asked | None:
    """From `?number=17` or `?entry=<32 hex>`; None where neither is given."""
    number = _SPACES.sub("", request.args.get("number", ""))
    entry = request.args.get("entry", "").strip()
    if number:
        is_readable = _NUMBER.fullmatch(number) is not None
        return Asked(number[:20], is_readable, search.find_row(number=int(number)) if is_readable else None)
    if entry:
        is_readable = _ENTRY.fullmatch(entry) is not None
        return Asked(entry[:40], is_readable, search.find_row(entry=entry) if is_readable else None)
    return None


def _removed_because(asked: Asked | None) -> str | None:
    row = None if asked is None else asked.row
    return None if row is None or row.ended_by != "centre" else log.find_removal_reason(row.entry)


def _addresses(asked: Asked | None) -> dict[str, str]:
    """This page in the other languages, still about the same entry."""
    more: dict[str, Any] = {"number": asked.row.number} if asked is not None and asked.row is not None else {}
    return {code: url_for("verify.index", lang=code, **more) for code in LANGUAGES}


def _dates() -> dict[str, Any]:
    """How this language writes days and numbers, for the script. hours: of Astana's clock before UTC."""
    offset = TIME_ZONE.utcoffset(g.as_of.at.replace(tzinfo=None)) if g.as_of else None
    return {
        "months": "|".join(format_date(date(2000, month, 1)) for month in range(1, 13)),
        "hours": 5 if offset is None else int(offset.total_seconds() // 3600),
        "group": format_number(1000)[1:-3],
    }


@blueprint.get("/<lang:lang>/verify/")
@public_page()
def index() -> str:
    """Checks a record and its receipt, or those of the entry that the address names."""
    asked = read_asked()
    return render_template(
        "verify/index.html",
        asked=asked,
        removed_because=_removed_because(asked),
        switch_urls=_addresses(asked),
        vkey=as_published("vkey", make=log_tiles.find_vkey) or "",
        base=current_app.config["CHARTER"].public_url,
        dates=as_published("verify dates", current_language(), make=_dates),
        regions=lists.regions().views,
        as_of=g.as_of,
    )


def init_app(app: Flask) -> None:
    """Registers the room."""
    app.register_blueprint(blueprint)
