"""Asks the API as a program would, and holds every answer against the OpenAPI document."""

from __future__ import annotations

import json
import re
from typing import Any
from urllib.parse import parse_qs, urlsplit

from flask import Flask
from jsonschema import Draft202012Validator
from werkzeug.test import TestResponse

Json = dict[str, Any]


class Api:
    """A client without cookies; what it gets is as documented, or the test fails."""

    def __init__(self, app: Flask) -> None:
        self.app = app
        self.client = app.test_client()
        answer = self.client.get("/api/openapi.json")
        assert answer.status_code == 200
        assert answer.json
        self.document: Json = answer.json
        self._validators: dict[str, Draft202012Validator] = {}
        self.seen: set[tuple[str, int]] = set()

    def ask(self, path: str, *, status: int = 200, method: str = "GET", **given: Any) -> TestResponse:
        """One request; the answer has this status, the documented type, headers and shape."""
        headers = given.pop("headers", None)
        query = {name.rstrip("_"): value for name, value in given.items()}
        answer = self.client.open(path, method=method, query_string=query or None, headers=headers)
        assert answer.status_code == status, (path, query, answer.get_data(as_text=True)[:500])
        assert answer.headers["Access-Control-Allow-Origin"] == "*"
        assert "Set-Cookie" not in answer.headers
        if method == "GET" and not path.endswith(".json"):
            self._check(answer, status)
        return answer

    def get(self, path: str, **given: Any) -> Json:
        """The body of a good answer."""
        body = self.ask(path, **given).json
        assert isinstance(body, dict)
        return body

    def problem(self, path: str, status: int, **given: Any) -> Json:
        """The body of a bad one."""
        answer = self.ask(path, status=status, **given)
        body = json.loads(answer.data)
        assert answer.mimetype == "application/problem+json"
        assert answer.headers["Cache-Control"] == "no-store"
        assert body["status"] == status
        assert isinstance(body, dict)
        return body

    def walk(self, first: Json, path: str = "/api/v1/entries", *, by: str = "next", **given: Any) -> list[Json]:
        """The answers from this one on, by the cursors in the bodies."""
        pages = [first]
        while by in pages[-1]:
            pages.append(self.get(path, **given, cursor=pages[-1][by]))
            assert len(pages) < 1000
        return pages

    def _check(self, answer: TestResponse, status: int) -> None:
        path = self._documented(answer.request.path)
        if path is None:
            responses = self.document["components"]["responses"]
            response = responses["NotFound" if status == 404 else "BadRequest"]
        else:
            response = self.document["paths"][path]["get"]["responses"][str(status)]
            if "$ref" in response:
                response = self.document["components"]["responses"][response["$ref"].rpartition("/")[2]]
            self.seen.add((path, status))
        for name, header in response.get("headers", {}).items():
            assert name in answer.headers or not header.get("required"), (path, status, name)
        if "content" not in response:
            assert answer.data == b""
            return
        ((mimetype, content),) = response["content"].items()
        assert answer.content_type == mimetype
        body = json.loads(answer.data)
        assert None not in _values(body), "absent, never null"
        key = json.dumps(content["schema"], sort_keys=True)
        if key not in self._validators:
            schema = content["schema"] | {"components": self.document["components"]}
            checker = Draft202012Validator.FORMAT_CHECKER
            self._validators[key] = Draft202012Validator(schema, format_checker=checker)
        self._validators[key].validate(body)

    def _documented(self, path: str) -> str | None:
        paths = self.document["paths"]
        return next((one for one in paths if re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", one), path)), None)


def _values(body: Any) -> list[Any]:
    if isinstance(body, dict):
        return [value for one in body.values() for value in _values(one)]
    return [value for one in body for value in _values(one)] if isinstance(body, list) else [body]


def links(answer: TestResponse) -> dict[str, str]:
    """The addresses in the header Link, by relation."""
    return {rel: url for url, rel in re.findall(r'<([^>]+)>; rel="(\w+)"', answer.headers.get("Link", ""))}


def query_of(url: str) -> dict[str, str]:
    """The parameters of an address."""
    return {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}
