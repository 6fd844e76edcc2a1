"""What a file of the registry is and says of itself: which publication it shows, its name, and who may use it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC

from flask import Response, current_app, g, request, url_for
from werkzeug.http import is_resource_modified

from charter import spreadsheet
from charter.domain.calendar import TIME_ZONE
from charter.domain.selection import BY_NAME, Selection
from charter.queries import replica, takeaway
from charter.queries.registry import AsOf
from charter.settings import Settings
from charter.web import kept, lists
from charter.web.headers import public_cache
from charter.web.selecting import parameters_of, read_selection

MEDIA_TYPES = {
    "csv": "text/csv; charset=utf-8; header=present",
    "jsonl": "application/jsonl; charset=utf-8",
    "xlsx": spreadsheet.MEDIA_TYPE,
}


@dataclass(frozen=True)
class Asked:
    """One file: what it is to hold and what its name ends in."""

    selection: Selection
    as_of: AsOf | None
    ending: str


def answered(ending: str, make: Callable[[Asked], Response]) -> Response:
    """An answer that changes with a publication only: 304 after one row, before anything else is looked at."""

    def answer() -> Response:
        kept.forget_as_of()
        g.as_of = kept.find_as_of()
        if not is_resource_modified(request.environ, etag=tag_of(g.as_of, ending)):
            return described(Response(status=304), g.as_of, ending, ())
        selection = read_selection(lists.regions().views)
        if request.method == "HEAD":
            # Its length is known once it has been made.
            return described(Response(iter(()), content_type=MEDIA_TYPES[ending]), g.as_of, ending, parts_of(selection))
        return make(Asked(selection, g.as_of, ending))

    return replica.read_public(answer)


def tag_of(as_of: AsOf | None, ending: str) -> str:
    """The entity tag, without its quotes, of a file at any address: of the publication, the form and this build."""
    return f"{as_of.revision if as_of else 0}-{ending}-{current_app.config['PAGES_DIGEST']}"


def described(response: Response, as_of: AsOf | None, ending: str, parts: tuple[str, ...]) -> Response:
    """Which publication it is, in headers that programs know; it is public, so scripts of other sites may read it."""
    settings: Settings = current_app.config["CHARTER"]
    response.set_etag(tag_of(as_of, ending))
    if as_of is not None and response.status_code == 200:
        # To be read only: several batches may bear the same second, so nobody gets a 304 by it.
        response.last_modified = as_of.at
    headers = response.headers
    headers["Cache-Control"] = public_cache()
    headers["X-Robots-Tag"] = "noindex"
    headers["Access-Control-Allow-Origin"] = "*"
    headers["Access-Control-Expose-Headers"] = "Content-Disposition, ETag, Link"
    headers["Cross-Origin-Resource-Policy"] = "cross-origin"
    described_by = settings.public_url + url_for("takeaway.open_data", lang="en")
    headers["Link"] = f'<{described_by}>; rel="describedby"'
    if response.status_code == 200:
        name = takeaway.file_name(as_of, ending, *parts)
        headers["Content-Disposition"] = f'attachment; filename="{name}"'
    return response


def parts_of(selection: Selection) -> tuple[str, ...]:
    """What a file name says about a selection: everything but the words that were asked for, which may be a name."""
    found = parameters_of(selection)
    words = [found.get(name) for name in ("region", "kind", "affiliation", "edition")]
    words += [f"{name}-{found[name]}" for name in ("from", "to") if name in found]
    words += ["search" if "q" in found else None, "by-name" if selection.order == BY_NAME else None]
    return tuple(word for word in words if word)


def about(as_of: AsOf | None, selection: Selection) -> dict[str, object]:
    """The first of the JSON lines."""
    settings: Settings = current_app.config["CHARTER"]
    found: dict[str, object] = {"public_revision": as_of.revision if as_of else 0}
    if as_of is not None:
        found["as_of"] = as_of.at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        found["as_of_in_kazakhstan"] = as_of.at.astimezone(TIME_ZONE).isoformat()
    found["selection"] = parameters_of(selection)
    found["described_at"] = settings.public_url + url_for("takeaway.open_data", lang="en")
    return found


def json_line(values: Mapping[str, object]) -> bytes:
    """One of the JSON lines, in which nothing that stood in an address can pass for a page."""
    return json.dumps(values, ensure_ascii=False, separators=(",", ":")).translate(_NO_PAGE).encode() + b"\n"


_NO_PAGE = {ord(one): f"\\u{ord(one):04x}" for one in "<>&"}
