"""The page for developers: what the API is, with examples that run and answers of this instance."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from flask import Blueprint, current_app, g, render_template

from charter.web.api import examples, parameters, problems, shapes, views
from charter.web.api.openapi import paths
from charter.web.headers import public_page

blueprint = Blueprint("developers", __name__)


@dataclass(frozen=True)
class Address:
    """A line of the table of addresses. example: one that can be opened."""

    path: str
    words: Any
    example: str


@blueprint.get("/<lang:lang>/developers/")
@public_page(names=True)
def index() -> str:
    """How to ask for the registry, how to keep a copy, and what can go wrong."""
    base = current_app.config["CHARTER"].public_url
    asked = {parameters.SIZE.name: 1}
    first = views.entries_page(asked)
    newest = first["data"][0]["number"] if first["data"] else None
    revision = first["as_of"]["public_revision"]
    tag = f'"{revision}-{views.SPOKEN}-{current_app.config["PAGES_DIGEST"]}"'
    return render_template(
        "developers/index.html",
        base=base,
        addresses=_addresses(newest),
        parameters=parameters.ENTRIES,
        fields=shapes.ENTRY_FIELDS,
        problems=problems.KINDS,
        anchor=problems.ANCHOR,
        examples={
            name.lower(): examples.shown(value, base=base, tag=tag)
            for name, value in vars(examples).items()
            if name.isupper()
        },
        answer=json.dumps(first, ensure_ascii=False, indent=2),
        revision=revision,
        as_of=g.as_of,
    )


def _addresses(newest: int | None) -> list[Address]:
    """Every address of the document, in its order; one of an entry cannot be opened while there is none."""
    found = []
    for path, methods in paths().items():
        example = path
        for one in methods["get"].get("parameters", ()):
            if one["in"] == "path":
                value = newest if one["name"] == "entry" else one["schema"]["examples"][0]
                example = "" if value is None else example.replace(f"{{{one['name']}}}", str(value))
        found.append(Address(path, methods["get"]["summary"], example))
    return found
