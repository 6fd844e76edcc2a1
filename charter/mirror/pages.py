"""What the mirror itself says: the notice on each page, the page at its root, the page for what is not there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from html import escape
from typing import Any

from flask import Flask, g, render_template

from charter.i18n import LANGUAGES, _, speaking
from charter.mirror.links import Links
from charter.queries.registry import AsOf
from charter.web.mirrored import FLAG

#: Where the mirror says how far it is.
ABOUT = "/mirror.json"
#: Under this name each page says where it is at the service, until its own address is put in.
_HERE = "/here-at-the-service"
_BEHIND_HEAD = "</header>"
_END_OF_HEAD = "</head>"
_NOINDEX = '<meta name="robots" content="noindex">\n'


class Words:
    """Renders the mirror's own words. links: how the addresses in them lead on the mirror."""

    def __init__(self, app: Flask, links: Links, *, service: str, files: Mapping[str, str]) -> None:
        self._app, self._links, self._service, self._files = app, links, service, files
        self._notice = lru_cache(maxsize=24)(self._make_notice)
        self._instead = lru_cache(maxsize=len(LANGUAGES))(self._make_instead)

    def finish(self, page: str, *, language: str, path: str, as_of: AsOf | None, keep_out: bool) -> str:
        """The page with its notice. path: of this page at the service. keep_out: whether search engines must not."""
        notice = self._notice(language, as_of).replace(_HERE, escape(self._service + path))
        page = page.replace(_BEHIND_HEAD, _BEHIND_HEAD + "\n" + notice, 1)
        # A file has no headers of its own. An entry's page says it already.
        says_it = _NOINDEX in page
        return page.replace(_END_OF_HEAD, _NOINDEX + _END_OF_HEAD, 1) if keep_out and not says_it else page

    def mirrored(self, page: str, *, language: str) -> str:
        """The page as the mirror has it, without its notice."""
        return self._links.rewritten(page, instead_of_form=self._instead(language))

    def root(self) -> str:
        """The page at `/`, in all languages, because no file can ask the browser for its own."""
        return self._links.rewritten(self._three_times("mirror/root.html"), instead_of_form="")

    def missing(self) -> str:
        """The page for an address without a file, in all languages."""
        return self._links.rewritten(self._three_times("mirror/missing.html"), instead_of_form="")

    def _make_notice(self, language: str, as_of: AsOf | None) -> str:
        with self._speaking(language):
            return render_template(
                "mirror/notice.html", about=ABOUT, as_of=as_of, service=self._service, here=_HERE, lang=language
            )

    def _make_instead(self, language: str) -> str:
        with self._speaking(language):
            page = render_template("mirror/instead.html", service=self._service, files=self._files, lang=language)
        return self._links.rewritten(page, instead_of_form="")

    def _three_times(self, template: str) -> str:
        each: dict[str, dict[str, Any]] = {}
        for language in LANGUAGES:
            with self._speaking(language):
                each[language] = {
                    "name": _("Charter of Election Observers"),
                    "is_copy": _("This is a copy of the public pages."),
                    "missing": _("Page not found"),
                    "explanation": _("This copy has no page at this address. The service itself may have it."),
                    "home": _("Home page"),
                    "service": _("The service itself"),
                }
        with self._speaking(LANGUAGES[0]):
            return render_template(template, each=each, service=self._service, lang=LANGUAGES[0])

    @contextmanager
    def _speaking(self, language: str) -> Iterator[None]:
        with self._app.test_request_context("/", environ_overrides={FLAG: {}}):
            g.lang = language
            with speaking(language):
                yield
