"""Links of mirrored pages: to the mirror's own files where it has them, to the service itself where it has not."""

from __future__ import annotations

import re
from functools import lru_cache
from html import escape, unescape
from urllib.parse import parse_qsl, urlsplit

from flask import Flask
from werkzeug.exceptions import HTTPException
from werkzeug.routing import RequestRedirect

from charter.mirror.addresses import ADDRESSES, Mirrored

#: Our templates write every attribute in double quotes, and Jinja escapes them in what people wrote.
_ADDRESS = re.compile(r'(\s(?:href|src|data)=")(/[^"]*)"')
_ENTRY = re.compile("/(?:kk|ru|en)/registry/entries/[0-9a-f]{32}")
_FORM = re.compile(r"<form\b.*?</form>", re.DOTALL)
_STATIC = "/static/"


class Links:
    """Where the addresses of one service lead on its mirror."""

    def __init__(self, app: Flask, *, service: str) -> None:
        self._service = service
        self._map = app.url_map.bind(urlsplit(service).netloc or "localhost")
        self._known = lru_cache(maxsize=20_000)(self._look_up)

    def of(self, address: str) -> str:
        """The address on the mirror, or the service's own as a whole. address: begins with a slash."""
        if _ENTRY.fullmatch(address):
            return address + ".html"
        return self._known(address)

    def rewritten(self, page: str, *, instead_of_form: str) -> str:
        """The page with its links as the mirror has them, and without forms: nothing there could answer one.

        instead_of_form: what stands where the first form was.
        """
        page = _ADDRESS.sub(lambda found: f'{found[1]}{escape(self.of(unescape(found[2])))}"', page)
        page = _FORM.sub(lambda _found: instead_of_form, page, count=1)
        return _FORM.sub("", page)

    def _look_up(self, address: str) -> str:
        parts = urlsplit(address)
        if parts.path.startswith(_STATIC):
            return address
        found = self._path(parts.path, dict(parse_qsl(parts.query, keep_blank_values=True)))
        if found is None:
            return self._service + address
        return found + (f"#{parts.fragment}" if parts.fragment else "")

    def _path(self, path: str, query: dict[str, str]) -> str | None:
        if path == "/":
            return path
        try:
            endpoint, _ = self._map.match(path, method="GET")
        except (HTTPException, RequestRedirect):
            return None
        rule = ADDRESSES.get(endpoint)
        return rule.path(path, query) if isinstance(rule, Mirrored) else None
