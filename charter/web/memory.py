"""What the process remembers of the pages that everybody sees alike: so as not to make them again for the same
`public_revision`, and for the time when the database is gone.

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
from charter.settings import Settings
from charter.web.mirrored import FLAG

logger = structlog.get_logger()

#: For pages by their bare address; as much again for those of which there are as many as entries, and for those with a
#: query, of which anybody can invent as many as they like: these never push out the others.
MOST_BYTES = 4 * 1024 * 1024
#: Larger answers are files, and made once for whoever takes them.
MOST_PAGE_BYTES = 256 * 1024
LONGEST_SECONDS = 24 * 3600
#: An address beyond this is nobody's bookmark.
MOST_QUERY_BYTES = 200
#: What a page takes beside its body: two lists of headers.
OVERHEAD_BYTES = 3 * 1024
#: A cache may show it for a moment, but must not keep it for its own bad days: it has had its own already.
CACHE = "public, max-age=5"
#: What an answer gets anew each time; everything else that a view has said belongs to the page.
_MADE_ANEW = frozenset({"content-length", "cache-control", "age", "warning", "date"})
_TOKEN = b"csrf_token"
#: Where `web/outermost.py` finds which page the application has just answered with: (key, tag).
ANSWERED = "charter.answered"

#: Parts of an address that can take a few values only; unknown ones are 404.
_FEW = frozenset({"lang", "slug", "edition"})

#: (path with its language, query as it was sent)
Key = tuple[str, bytes]


#: Headers as PEP 3333 has them.
Headers = list[tuple[str, str]]


@dataclass(frozen=True)
class Finished:
    """An answer as it left, but for its own id: headers with the body, and headers of "not modified"."""

    endpoint: str
    found: Headers
    unchanged: Headers


@dataclass(frozen=True)
class Page:
    """One answer. known_at: when it was last known to be right, in seconds of the monotonic clock."""

    body: bytes
    headers: tuple[tuple[str, str], ...]
    tag: str
    has_names: bool
    revision: int
    known_at: float
    finished: Finished | None = None

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
    """The pages of one process, shared by its threads.

    recheck_seconds: how long a page may be answered with before the database is asked again whether a batch has come.
    """

    def __init__(self, steady: Callable[[], float] = time.monotonic, *, recheck_seconds: float = 0.0) -> None:
        self.breaker = schema.Breaker()
        self.steady = steady
        self._recheck_seconds = recheck_seconds
        self._lock = threading.Lock()
        self._newest, self._newest_at = 0, float("-inf")
        self._bare, self._many = _Shelf(), _Shelf()

    def find(self, key: Key) -> Page | None:
        """What may still be shown at this address."""
        with self._lock:
            shelf, page = self._look(key)
            if page is None:
                return None
            if self.steady() - self._known_at(page) > LONGEST_SECONDS or not self._is_fit(page):
                shelf.drop(key)
                return None
            shelf.pages.move_to_end(key)
            return page

    def find_same(self, key: Key, tag: str) -> Page | None:
        """The page at this address, if it is the one of that tag."""
        with self._lock:
            shelf, page = self._look(key)
            if page is None or page.tag != tag:
                return None
            shelf.pages.move_to_end(key)
            return page

    def find_hot(self, key: Key) -> tuple[Page, Finished] | None:
        """The finished page of the newest revision, while that revision was asked for a moment ago."""
        if self.steady() - self._newest_at >= self._recheck_seconds:
            return None
        with self._lock:
            shelf, page = self._look(key)
            if page is None or page.finished is None or page.revision != self._newest:
                return None
            shelf.pages.move_to_end(key)
            return page, page.finished

    def recent_revision(self) -> int | None:
        """The newest `public_revision`, while it was read from the database a moment ago."""
        with self._lock:
            return self._newest if self.steady() - self._newest_at < self._recheck_seconds else None

    def learn(
        self,
        key: Key,
        response: Response,
        *,
        has_names: bool,
        revision: int,
        asked_at: float | None = None,
        is_one_of_many: bool = False,
    ) -> Page | None:
        """Takes notice of an answer that came out of the database just now; returns what is kept of it.

        Not modified confirms what is kept; a new revision takes away every older page with names.
        asked_at: before the database was asked. is_one_of_many: whether there are as many such pages as entries.
        """
        known_at = self.steady() if asked_at is None else asked_at
        with self._lock:
            if revision > self._newest:
                self._newest = revision
                self._forget_unfit()
            if revision == self._newest:
                self._newest_at = max(self._newest_at, known_at)
            shelf, kept = self._look(key)
            tag = response.headers.get("ETag", "")
            if kept is not None and kept.tag == tag:
                kept = shelf.pages[key] = replace(kept, known_at=known_at)
                shelf.pages.move_to_end(key)
                return kept
            if response.status_code != 200 or not tag or len(key[1]) > MOST_QUERY_BYTES:
                return None
            # What is streamed must not be read into memory, and it is too large anyway.
            if response.is_streamed or response.direct_passthrough or "Vary" in response.headers:
                return None
            body = response.get_data()
            if len(body) > MOST_PAGE_BYTES or "Set-Cookie" in response.headers or _TOKEN in body:
                return None
            headers = tuple((name, value) for name, value in response.headers if name.lower() not in _MADE_ANEW)
            page = Page(body, headers, tag, has_names, revision, known_at)
            if not self._is_fit(page):
                return None
            shelf.drop(key)
            (self._many if is_one_of_many or key[1] else self._bare).put(key, page)
            return page

    def finish(self, key: Key, tag: str, finished: Finished) -> None:
        """Adds how the answer left, if the page is still the one of that tag."""
        with self._lock:
            shelf, page = self._look(key)
            if page is not None and page.tag == tag:
                shelf.pages[key] = replace(page, finished=finished)

    def age_seconds(self, page: Page) -> int:
        """How long ago it was last known to be right."""
        return max(0, int(self.steady() - self._known_at(page)))

    @property
    def bytes_count(self) -> int:
        """How much is kept."""
        return self._bare.bytes_count + self._many.bytes_count

    def _look(self, key: Key) -> tuple[_Shelf, Page | None]:
        page = self._bare.pages.get(key)
        return (self._bare, page) if page is not None else (self._many, self._many.pages.get(key))

    def _known_at(self, page: Page) -> float:
        """A page of the newest revision is right as long as there is no newer one."""
        return max(page.known_at, self._newest_at) if page.revision == self._newest else page.known_at

    def _is_fit(self, page: Page) -> bool:
        return not page.has_names or page.revision >= self._newest

    def _forget_unfit(self) -> None:
        for shelf in (self._bare, self._many):
            for key in [key for key, page in shelf.pages.items() if not self._is_fit(page)]:
                shelf.drop(key)


def or_remembered(make: Callable[[], Response], *, has_names: bool) -> Response:
    """What `make` returns, or the page from memory if the database is gone.

    Raises what `make` raises where there is nothing to show, and what is not a breakdown in any case.
    """
    if FLAG in request.environ:
        return make()
    memory: Memory = current_app.extensions[__name__]
    key = (request.path, request.query_string)
    if not memory.breaker.may_try():
        page = memory.find(key)
        if page is not None:
            return _shown(memory, page)
    begun, asked_at = time.monotonic(), memory.steady()
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
    page = memory.learn(
        key,
        response,
        has_names=has_names,
        revision=g.as_of.revision if g.get("as_of") else 0,
        asked_at=asked_at,
        is_one_of_many=not _FEW.issuperset(request.view_args or ()),
    )
    if page is not None and page.finished is None and response.status_code == 200:
        request.environ[ANSWERED] = (key, page.tag)
    return response


def recent_revision() -> int | None:
    """The newest revision, if this process may still go by it; None where the database has to be asked."""
    if FLAG in request.environ:
        return None
    memory: Memory = current_app.extensions[__name__]
    return memory.recent_revision()


def again(tag: str) -> Response | None:
    """The page of this address and tag, as it was made before for the same revision."""
    if FLAG in request.environ:
        return None
    memory: Memory = current_app.extensions[__name__]
    page = memory.find_same((request.path, request.query_string), tag)
    if page is None:
        return None
    response = Response(page.body)
    for name, value in page.headers:
        response.headers[name] = value
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
    config: Settings = app.config["CHARTER"]
    app.extensions[__name__] = Memory(recheck_seconds=config.public_recheck_ms / 1000)
