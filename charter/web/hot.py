"""Finished public pages, sent again before the application is asked: no routing, no database, no rendering.

Only while the newest `public_revision` was read from the database less than `public_recheck_ms` ago by any request of
this process; the request after that goes the whole way, reads one indexed row, and lets the others off again. So a page
is at most that much older than the newest batch, and what somebody took out of the registry is gone from here with it.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterable
from typing import Any

from flask import Flask
from werkzeug.http import is_resource_modified, remove_entity_headers

from charter.settings import Settings
from charter.web import memory
from charter.web.mirrored import FLAG

_ID = "X-Request-Id"
_GIVEN_ID = re.compile(r"[0-9A-Fa-f-]{8,64}")
_OK = "200 OK"
_NOT_MODIFIED = "304 NOT MODIFIED"
#: What may differ from one answer to the next, so that an answer with it must not be sent twice.
_PERSONAL = frozenset({"set-cookie", "vary", "age", "warning"})
#: Names of hosts that the application has answered under; with more, somebody is inventing them.
MOST_HOSTS = 64

#: endpoint, number and line of the status, headers, body, the answer's id
Answer = tuple[str, int, str, memory.Headers, Iterable[bytes], str]


class Hot:
    """The pages of one process as its server sends them; shared by its threads."""

    def __init__(self, app: Flask) -> None:
        config: Settings = app.config["CHARTER"]
        self._memory: memory.Memory = app.extensions[memory.__name__]
        self._is_behind_proxy = config.trusted_proxy_count > 0
        self._hosts: set[tuple[str, str]] = set()

    def find(self, environ: dict[str, Any]) -> Answer | None:
        """The answer to this request, if it is one for everybody and nothing newer can have been published."""
        method = environ["REQUEST_METHOD"]
        path = environ["PATH_INFO"]
        # Beyond ASCII the server's text and ours are not the same.
        if method not in {"GET", "HEAD"} or not path.isascii() or environ.get("SCRIPT_NAME") or FLAG in environ:
            return None
        found = self._memory.find_hot((path, environ.get("QUERY_STRING", "").encode("latin-1")))
        if found is None or _host(environ) not in self._hosts:
            return None
        page, finished = found
        name = request_id(environ.get("HTTP_X_REQUEST_ID", ""), is_behind_proxy=self._is_behind_proxy)
        if "HTTP_IF_NONE_MATCH" in environ and _has(environ, page.tag):
            return finished.endpoint, 304, _NOT_MODIFIED, [*finished.unchanged, (_ID, name)], (), name
        body = (page.body,) if method == "GET" else ()
        return finished.endpoint, 200, _OK, [*finished.found, (_ID, name)], body, name

    def learn(self, environ: dict[str, Any], status: int, headers: memory.Headers, endpoint: str) -> None:
        """Takes notice of how the application has answered with a page that it keeps."""
        key, tag = environ[memory.ANSWERED]
        if status != 200 or not _PERSONAL.isdisjoint(name.lower() for name, _ in headers):
            return
        found = [(name, value) for name, value in headers if name != _ID]
        unchanged = list(found)
        remove_entity_headers(unchanged)
        if len(self._hosts) >= MOST_HOSTS:
            self._hosts.clear()
        # The application answers under some names only; this one it did.
        self._hosts.add(_host(environ))
        self._memory.finish(key, tag, memory.Finished(endpoint, found, unchanged))


def request_id(given: str, *, is_behind_proxy: bool) -> str:
    """The proxy's, so that its lines and ours can be laid side by side; else our own.

    Only where there is a proxy, and only what cannot be anything but an id: who sends the header may be anybody.
    """
    return given if is_behind_proxy and _GIVEN_ID.fullmatch(given) else secrets.token_hex(8)


def _host(environ: dict[str, Any]) -> tuple[str, str]:
    return environ.get("HTTP_HOST", ""), environ.get("HTTP_X_FORWARDED_HOST", "")


def _has(environ: dict[str, Any], tag: str) -> bool:
    """Whether the client holds the page of this tag."""
    return environ["HTTP_IF_NONE_MATCH"] == tag or not is_resource_modified(environ, etag=tag.strip('"'))
