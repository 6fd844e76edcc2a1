"""The language in an address: `/kk/`, `/ru/`, `/en/` and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final
from urllib.parse import urlencode

from flask import Flask, current_app, g, has_request_context, request, session
from werkzeug.routing import BaseConverter, IntegerConverter, Map

from charter.i18n import DEFAULT, LANGUAGES, current_language, preferred_language

#: Addresses that a process remembers.
MOST_ADDRESSES = 4096


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
        g.is_language_addressed = True
    elif request.path.startswith("/staff"):
        chosen = session.get("staff_language")
        g.lang = chosen if chosen in LANGUAGES else preferred_language()
    else:
        first = request.path.split("/", 2)[1] if request.path.startswith("/") else ""
        g.lang = first if first in LANGUAGES else preferred_language()


def _give_language(endpoint: str, values: dict[str, Any]) -> None:
    if "lang" not in values and current_app.url_map.is_endpoint_expecting(endpoint, "lang"):
        values["lang"] = current_language()


#: What a list of the registry can be asked for, and where in it a page stands: in the order in which addresses have it.
PARAMETERS: Final = (
    *("q", "region", "kind", "affiliation", "edition", "from", "to", "order"),
    *("older", "newer", "after", "before"),
)
#: Rooms for one person: no search engine is told of their pages, but for the one where everybody begins.
_PERSONAL = ("signing.", "my.", "links.")


def _page_addresses() -> dict[str, Any]:
    """The same page in the other languages, for the switch and for search engines."""
    here: dict[str, Any] = {"lang": current_language()}
    if not has_request_context() or not g.get("is_language_addressed"):
        return here
    endpoint, path = request.endpoint or "", request.path
    first = f"/{current_language()}/"
    if not path.startswith(first):
        return here
    query = _canonical_query() if endpoint.startswith("registry.") and request.query_string else ""
    urls = {code: f"/{code}/{path[len(first) :]}{query}" for code in LANGUAGES}
    here["switch_urls"] = urls
    if not endpoint.startswith(_PERSONAL) or endpoint == "signing.sign":
        base = current_app.config["CHARTER"].public_url
        here["alternates"] = [(code, base + url) for code, url in urls.items()]
        # For everybody else: the language that is spoken where nothing fits.
        here["alternates"].append(("x-default", base + urls[DEFAULT]))
        here["canonical"] = base + urls[current_language()]
    return here


def _canonical_query() -> str:
    """What the address selects, in one order and without what is empty, said twice or not ours."""
    given = {name: request.args[name] for name in PARAMETERS if request.args.get(name)}
    if given.get("order") == "newest":
        del given["order"]
    return f"?{urlencode(given)}" if given else ""


_SPECIAL = ("_anchor", "_method", "_scheme", "_external")


class Addresses:
    """`url_for` with a memory: a page asks for a hundred addresses, nearly always the same ones."""

    def __init__(self, make: Callable[..., str]) -> None:
        self._make = make
        self._made: dict[tuple[object, ...], str] = {}

    def __call__(self, endpoint: str, **values: Any) -> str:
        """As `Flask.url_for`."""
        for special in _SPECIAL:
            # The function of the same name hands all of them on, given or not.
            if special in values and values[special] is None:
                del values[special]
        if not has_request_context() or request.environ.get("SCRIPT_NAME"):
            return self._make(endpoint, **values)
        key = (endpoint, current_language(), *values.items())
        try:
            found = self._made.get(key)
        except TypeError:  # a list among the values
            return self._make(endpoint, **values)
        if found is None:
            found = self._make(endpoint, **values)
            # What there is no end of is not worth keeping; when the memory is full it begins anew.
            if not endpoint.startswith("."):
                if len(self._made) >= MOST_ADDRESSES:
                    self._made.clear()
                self._made[key] = found
        return found


def init_app(app: Flask) -> None:
    """Converters, and the language of every request."""
    app.url_map.converters.update(lang=LanguageConverter, entry=EntryConverter, slug=SlugConverter, row=RowConverter)
    app.url_value_preprocessor(_take_language)
    app.url_defaults(_give_language)
    app.context_processor(_page_addresses)
    app.url_for = Addresses(app.url_for)  # type: ignore[method-assign]
