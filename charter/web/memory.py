"""What the process remembers of the pages that everybody sees alike, for the time when the database is gone.

Only public pages are kept, and only as they were sent to everybody: nothing with a cookie or a form's token. A page
that shows names is kept as of the newest `public_revision` that this process has seen, so that nobody who has left
comes back with it; and everything for a day at most, as caches are told by `stale-if-error`.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import structlog
from flask import Flask, Response, current_app, g, request
from sqlalchemy.exc import SQLAlchemyError
from werkzeug.http import is_resource_modified

from charter.queries import schema

logger = structlog.get_logger()

#: For pages by their bare address; as much again for those with a query, of which anybody can invent as many as they
#: like: these never push out the others.
MOST_BYTES = 4 * 1024 * 1024
LONGEST_SECONDS = 24 * 3600
#: An address beyond this is nobody's bookmark.
MOST_QUERY_BYTES = 200
#: What a page takes beside its body.
OVERHEAD_BYTES = 1024
#: A cache may show it for a moment, but must not keep it for its own bad days: it has had its own already.
CACHE = "public, max-age=5"
_HEADERS = ("Content-Type", "Content-Language", "Content-Disposition", "ETag", "X-Robots-Tag")
_TOKEN = b"csrf_token"

#: (path with its language, query as it was sent)
Key = tuple[str, bytes]


@dataclass(frozen=True)
class Page:
    """One answer. known_at: when it was last known to be right, in seconds of the monotonic clock."""

    body: bytes
    headers: tuple[tuple[str, str], ...]
    tag: str
    has_names: bool
    revision: int
    known_at: float

    @property
    def bytes_count(self) -> int:
        return len(self.body) + OVERHEAD_BYTES


@dataclass
class _Shelf:
    """Pages up to a number of bytes; those that were not asked for longest leave first."""

    pages: OrderedDict[Key, Page] = field(default_factory=OrderedDict)
    bytes_count: int = 0

    def put(self, key: Key, page: Page) -> None:
        self.drop(key)
        self.pages[key] = page
        self.bytes_count += page.bytes_count
        while self.bytes_count > MOST_BYTES:
            self.drop(next(iter(self.pages)))

    def drop(self, key: Key) -> None:
        page = self.pages.pop(key, None)
        if page is not None:
            self.bytes_count -= page.bytes_count


class Memory:
    """The pages of one process, shared by its threads."""

    def __init__(self, steady: Callable[[], float] = time.monotonic) -> None:
        self.breaker = schema.Breaker()
        self._steady = steady
        self._lock = threading.Lock()
        self._newest = 0
        self._bare, self._queried = _Shelf(), _Shelf()

    def find(self, key: Key) -> Page | None:
        """What may still be shown at this address."""
        with self._lock:
            shelf = self._shelf(key)
            page = shelf.pages.get(key)
            if page is None:
                return None
            if self._steady() - page.known_at > LONGEST_SECONDS or not self._is_fit(page):
                shelf.drop(key)
                return None
            shelf.pages.move_to_end(key)
            return page

    def learn(self, key: Key, response: Response, *, has_names: bool, revision: int) -> None:
        """Takes notice of an answer that came out of the database just now.

        Not modified confirms what is kept; a new revision takes away every older page with names.
        """
        with self._lock:
            if revision > self._newest:
                self._newest = revision
                self._forget_unfit()
            shelf = self._shelf(key)
            kept = shelf.pages.get(key)
            tag = response.headers.get("ETag", "")
            if kept is not None and kept.tag == tag:
                shelf.pages[key] = replace(kept, known_at=self._steady())
                shelf.pages.move_to_end(key)
                return
            if response.status_code != 200 or not tag or len(key[1]) > MOST_QUERY_BYTES:
                return
            body = response.get_data()
            if "Set-Cookie" in response.headers or _TOKEN in body:
                return
            headers = tuple((name, response.headers[name]) for name in _HEADERS if name in response.headers)
            page = Page(body, headers, tag, has_names, revision, self._steady())
            if self._is_fit(page) and page.bytes_count <= MOST_BYTES:
                shelf.put(key, page)

    def age_seconds(self, page: Page) -> int:
        """How long ago it was last known to be right."""
        return max(0, int(self._steady() - page.known_at))

    @property
    def bytes_count(self) -> int:
        """How much is kept."""
        return self._bare.bytes_count + self._queried.bytes_count

    def _shelf(self, key: Key) -> _Shelf:
        return self._queried if key[1] else self._bare

    def _is_fit(self, page: Page) -> bool:
        return not page.has_names or page.revision >= self._newest

    def _forget_unfit(self) -> None:
        for shelf in (self._bare, self._queried):
            for key in [key for key, page in shelf.pages.items() if not self._is_fit(page)]:
                shelf.drop(key)


def or_remembered(make: Callable[[], Response], *, has_names: bool) -> Response:
    """What `make` returns, or the page from memory if the database is gone.

    Raises what `make` raises where there is nothing to show, and what is not a breakdown in any case.
    """
    memory: Memory = current_app.extensions[__name__]
    key = (request.path, request.query_string)
    if not memory.breaker.may_try():
        page = memory.find(key)
        if page is not None:
            return _shown(memory, page)
    begun = time.monotonic()
    try:
        response = make()
    except SQLAlchemyError as error:
        if not schema.is_breakdown(error):
            raise
        memory.breaker.failed(after_seconds=time.monotonic() - begun)
        page = memory.find(key)
        if page is None:
            raise
        logger.warning("database, page from memory", endpoint=request.endpoint, kind=schema.code_of(error))
        return _shown(memory, page)
    memory.breaker.succeeded()
    memory.learn(key, response, has_names=has_names, revision=g.as_of.revision if g.get("as_of") else 0)
    return response


def _shown(memory: Memory, page: Page) -> Response:
    if is_resource_modified(request.environ, etag=page.tag.strip('"')):
        response = Response(page.body)
    else:
        response = Response(status=304)
    for name, value in page.headers:
        response.headers[name] = value
    response.headers["Cache-Control"] = CACHE
    # RFC 9111 §5.1, §5.5: how old it is, and that we know of nothing newer.
    response.headers["Age"] = str(memory.age_seconds(page))
    response.headers["Warning"] = '111 - "Revalidation Failed"'
    return response


def init_app(app: Flask) -> None:
    """An empty memory for this process."""
    app.extensions[__name__] = Memory()
