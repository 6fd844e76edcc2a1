"""The language in an address: `/kk/`, `/ru/`, `/en/` and nothing else."""

from __future__ import annotations

from typing import Any

from flask import Flask, current_app, g, has_request_context, request, session, url_for
from werkzeug.routing import BaseConverter, IntegerConverter, Map

from charter.i18n import LANGUAGES, current_language, preferred_language


class LanguageConverter(BaseConverter):
    """Matches the three languages; any other word is another address."""

    regex = "kk|ru|en"


class EntryConverter(BaseConverter):
    """16 random bytes in lower-case hex."""

    regex = "[0-9a-f]{32}"


class SlugConverter(BaseConverter):
    """Lower-case words with hyphens: regions, editions."""

    regex = "[a-z0-9]+(?:-[a-z0-9]+)*"


class RowConverter(IntegerConverter):
    """A row's number; one that no database of ours could hold is an unknown address."""

    def __init__(self, map: Map) -> None:
        super().__init__(map, max=2**53 - 1)


def _take_language(endpoint: str | None, values: dict[str, Any] | None) -> None:
    """The address decides; the desk, which has none in it, asks the staff session; all else asks the browser."""
    if values is not None and "lang" in values:
        g.lang = values.pop("lang")
    elif request.path.startswith("/staff"):
        chosen = session.get("staff_language")
        g.lang = chosen if chosen in LANGUAGES else preferred_language()
    else:
        first = request.path.split("/", 2)[1] if request.path.startswith("/") else ""
        g.lang = first if first in LANGUAGES else preferred_language()


def _give_language(endpoint: str, values: dict[str, Any]) -> None:
    if "lang" not in values and current_app.url_map.is_endpoint_expecting(endpoint, "lang"):
        values["lang"] = current_language()


def _page_addresses() -> dict[str, Any]:
    """The same page in the other languages, for the switch and for search engines."""
    here: dict[str, Any] = {"lang": current_language()}
    if not has_request_context():
        return here
    endpoint = request.endpoint
    if endpoint is None or not current_app.url_map.is_endpoint_expecting(endpoint, "lang"):
        return here
    arguments = dict(request.view_args or {})
    if endpoint.startswith("registry."):
        arguments |= {key: value for key, value in request.args.items() if key in {"region", "kind", "older", "newer"}}
    urls = {code: url_for(endpoint, **(arguments | {"lang": code})) for code in LANGUAGES}
    here["switch_urls"] = urls
    if not endpoint.startswith(("signing.", "my.")) or endpoint == "signing.sign":
        base = current_app.config["CHARTER"].public_url
        here["alternates"] = [(code, base + url) for code, url in urls.items()]
        here["canonical"] = base + urls[current_language()]
    return here


def init_app(app: Flask) -> None:
    """Converters, and the language of every request."""
    app.url_map.converters.update(lang=LanguageConverter, entry=EntryConverter, slug=SlugConverter, row=RowConverter)
    app.url_value_preprocessor(_take_language)
    app.url_defaults(_give_language)
    app.context_processor(_page_addresses)
