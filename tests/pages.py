"""A browser without script that checks every page it gets, and fills in forms as a person would."""

from __future__ import annotations

import re
from collections import Counter
from typing import Any
from urllib.parse import urljoin, urlsplit

from flask import Flask
from justhtml import JustHTML
from werkzeug.test import TestResponse

#: What no page of ours may carry.
INLINE = re.compile(rb"<script(?![^>]*\ssrc=)|<style|\sstyle=|\son[a-z]+=\"|javascript:", re.IGNORECASE)
_LABELLED = {"text", "email", "password", "checkbox", "radio", "number", "search", None}


class Page:
    """One answer, checked: a page of ours is well formed, labelled and carries its policy."""

    def __init__(self, browser: Browser, response: TestResponse, url: str) -> None:
        self.browser = browser
        self.response = response
        self.url = url
        self.status = response.status_code
        self.is_html = response.mimetype == "text/html" and bool(response.data)
        self.text = response.get_data(as_text=True)
        if self.is_html and self.status not in {301, 302, 303}:
            self.tree = JustHTML(self.text, sanitize=False)
            self._check()

    def _check(self) -> None:
        assert self.response.headers["Content-Security-Policy"].startswith("default-src 'none'"), self.url
        assert not INLINE.search(self.response.data), f"inline script or style at {self.url}"
        assert len(self.tree.query("h1")) == 1, f"one h1 at {self.url}"
        assert self.tree.query("title")[0].to_text().strip()
        assert self.tree.query("html")[0].attrs["lang"] in {"kk", "ru", "en"}
        ids = [node.attrs["id"] for node in self.tree.query("[id]")]
        assert not [name for name, count in Counter(ids).items() if count > 1], f"ids twice at {self.url}"
        labels = {node.attrs.get("for") for node in self.tree.query("label")}
        for field in [*self.tree.query("input"), *self.tree.query("select"), *self.tree.query("textarea")]:
            if field.name == "input" and field.attrs.get("type") not in _LABELLED:
                continue
            assert field.attrs.get("id") in labels or field.attrs.get("aria-label"), f"no label: {field.attrs}"
        for link in self.tree.query("a[href]"):
            assert "None" not in (link.attrs["href"] or ""), link.attrs

    @property
    def title(self) -> str:
        """The document's title."""
        return str(self.tree.query("title")[0].to_text())

    @property
    def main(self) -> str:
        """The words of the page's main part."""
        return str(self.tree.query("main")[0].to_text())

    def href(self, part: str) -> str:
        """The first link whose address contains `part`."""
        return next(link.attrs["href"] for link in self.tree.query("a[href]") if part in link.attrs["href"])

    def fields(self, form_id: str | None = None, *, at: str | None = None) -> tuple[str, dict[str, Any]]:
        """Address and present values of a form, as a browser would send them."""
        forms = [
            form
            for form in self.tree.query("form[method=post]")
            if (form_id is None or form.attrs.get("id") == form_id)
            and (at is None or at in (form.attrs.get("action") or ""))
        ]
        assert forms, f"no form {form_id or at} at {self.url}: {self.text[:2000]}"
        form = forms[-1] if form_id is None and at is None else forms[0]
        values: dict[str, Any] = {}
        for field in form.query("input"):
            kind = field.attrs.get("type", "text")
            if kind in {"checkbox", "radio"} and "checked" not in field.attrs:
                continue
            if field.attrs.get("name"):
                values[field.attrs["name"]] = field.attrs.get("value", "on" if kind == "checkbox" else "")
        for field in form.query("textarea"):
            values[field.attrs["name"]] = field.to_text()
        for field in form.query("select"):
            options = field.query("option")
            chosen = [option for option in options if "selected" in option.attrs] or options[:1]
            values[field.attrs["name"]] = chosen[0].attrs.get("value", "") if chosen else ""
        return urljoin(self.url, form.attrs.get("action") or self.url), values

    def submit(
        self, form_id: str | None = None, *, at: str | None = None, without: tuple[str, ...] = (), **answers: Any
    ) -> Page:
        """Fills in and sends a form. without: fields that are left out, such as a tick taken away."""
        url, values = self.fields(form_id, at=at)
        values |= answers
        return self.browser.post(url, {name: value for name, value in values.items() if name not in without})


class Browser:
    """Keeps cookies like a browser, and a place in it."""

    def __init__(self, app: Flask, **options: Any) -> None:
        self.app = app
        self.client = app.test_client()
        self.options = options

    def _open(self, method: str, url: str, **more: Any) -> Page:
        address = urlsplit(url)
        path = address.path + (f"?{address.query}" if address.query else "")
        # The test's own context would lend its `g` to the request and keep one database session for all.
        response = self.client.open(path, method=method, **{**self.options, **more})
        page = Page(self, response, path)
        if response.status_code in {301, 302, 303}:
            return self._open("GET", response.headers["Location"])
        return page

    def get(self, url: str, **more: Any) -> Page:
        """Follows redirects."""
        return self._open("GET", url, **more)

    def post(self, url: str, data: Any, **more: Any) -> Page:
        """Follows redirects."""
        return self._open("POST", url, data=data, **more)
