"""The OpenAPI 3.1 document: assembled from the parameters and shapes that the views themselves use."""

from __future__ import annotations

import json
from typing import Any

from flask import Response, current_app, request
from werkzeug.http import is_resource_modified

from charter.i18n import lazy_gettext as _l
from charter.i18n import speaking
from charter.web.api import parameters, shapes
from charter.web.api.parameters import Parameter
from charter.web.api.problems import CONTENT_TYPE
from charter.web.api.shapes import Json, envelope, schema
from charter.web.api.views import blueprint

OPENAPI = "3.1.0"
VERSION = "1.0.0"
#: It changes with a release or a setting only.
_CACHE = "public, max-age=300, stale-if-error=86400"

_ABOUT = """\
Everything that the public registry shows, as JSON, for everybody, without a key. \
What does not apply is absent, never null. \
Every answer says as of which publication it is (`as_of`) and carries an entity tag that changes with each one: \
asking again with If-None-Match costs next to nothing. \
Parameters that are not listed are refused, so that a mistyped filter does not silently give everything. \
Within v1 no field is taken away or changes its meaning; fields and addresses may be added."""


_ETAG = {"ETag": {"description": "Changes with each publication.", "schema": {"type": "string"}, "required": True}}


def _answer(body: Json, what: str, *, with_link: bool = False) -> Json:
    headers = dict(_ETAG)
    if with_link:
        headers["Link"] = {
            "description": "RFC 8288: the neighbouring pages, rel=next and rel=prev.",
            "schema": {"type": "string"},
        }
    return {"description": what, "headers": headers, "content": {"application/json": {"schema": body}}}


def _responses(ok: Json, *problems: int) -> Json:
    found = {"200": ok, "304": {"description": "Nothing was published since.", "headers": _ETAG}}
    return found | {str(status): {"$ref": f"#/components/responses/{_NAMES[status]}"} for status in (*problems, 503)}


_NAMES = {400: "BadRequest", 404: "NotFound", 410: "Gone", 503: "Unavailable"}


def _problem(what: str, **headers: str) -> Json:
    return {
        "description": what,
        **(
            {"headers": {name: {"description": words, "schema": {"type": "string"}} for name, words in headers.items()}}
            if headers
            else {}
        ),
        "content": {CONTENT_TYPE: {"schema": schema("Problem")}},
    }


def _query(one: Parameter) -> Json:
    return {
        "name": one.name,
        "in": "query",
        "required": False,
        "description": one.words,
        "schema": dict(one.schema),
        "example": int(one.example) if one.schema["type"] == "integer" else one.example,
    }


def _path(name: str, pattern: str, what: str, *examples: str) -> Json:
    return {
        "name": name,
        "in": "path",
        "required": True,
        "description": what,
        "schema": {"type": "string", "pattern": pattern, "examples": list(examples)},
    }


def _get(operation: str, summary: Any, responses: Json, *more: Json, description: str = "") -> Json:
    found: Json = {"operationId": operation, "summary": summary}
    if description:
        found["description"] = description
    if more:
        found["parameters"] = list(more)
    return {"get": found | {"responses": responses, "security": []}}


def _list(name: str) -> Json:
    return envelope({"type": "array", "items": schema(name)})


def paths() -> Json:
    """Every address of the API, as the document lists them."""
    pages = {"oneOf": [schema("EntryPage"), schema("ChangePage")]}
    entry = _path(
        "entry",
        "^([1-9][0-9]{0,14}|[0-9a-f]{32})$",
        "A registry number, or the permanent id of 32 hexadecimal digits.",
        "1",
    )
    return {
        "/api/v1/entries": _get(
            "entries",
            _l("Entries: a selection, or what changed"),
            _responses(_answer(pages, "A page of entries.", with_link=True), 400, 410),
            *(_query(one) for one in parameters.ENTRIES),
            description=(
                "Without `since`: the entries of a selection, in pages that are walked by `next` and `previous`. "
                "Entries that have ended keep a line without a name in the whole registry, newest first, and in a "
                "selection by dates alone; nothing else is left to select them by. `count` is how many of the "
                "selection the registry shows now; where `is_exact` is false, there are more. "
                "With `since`: every entry that changed after that public revision, the ended ones too, in the order "
                "of (revision, number). Walk by `next`; the last page has `next_since`, to ask with next time."
            ),
        ),
        "/api/v1/entries/{entry}": _get(
            "entry",
            _l("One entry, by its number or permanent id"),
            _responses(_answer(envelope(schema("Entry")), "The entry, ended or not."), 400, 404),
            entry,
        ),
        "/api/v1/regions": _get(
            "regions", _l("Every region with its figures"), _responses(_answer(_list("Region"), "All regions."), 400)
        ),
        "/api/v1/affiliations": _get(
            "affiliations",
            _l("Every affiliation with how many entries show it"),
            _responses(_answer(_list("Affiliation"), "All affiliations."), 400),
        ),
        "/api/v1/affiliations/{slug}": _get(
            "affiliation",
            _l("One affiliation: former names, mergers, regions"),
            _responses(_answer(envelope(schema("WholeAffiliation")), "The affiliation."), 400, 404),
            _path("slug", parameters.SLUG, "Its short name, as in `affiliation`.", "amanat"),
        ),
        "/api/v1/statistics": _get(
            "statistics",
            _l("Totals, by kind, by region and by week"),
            _responses(_answer(envelope(schema("Statistics")), "The figures."), 400),
            description=(
                "signed = listed + unlisted + withdrawn + revoked. by_kind counts what is shown now; by_week, from "
                "Monday on, the dates of all signatures, whatever became of them."
            ),
        ),
        "/api/v1/editions": _get(
            "editions",
            _l("Every edition of the Charter with the digests of its texts"),
            _responses(_answer(_list("Edition"), "The newest first."), 400),
        ),
    }


def document(public_url: str) -> Json:
    """The whole document. Its words are texts to be translated: turn them into strings while speaking English."""
    return {
        "openapi": OPENAPI,
        "jsonSchemaDialect": "https://json-schema.org/draft/2020-12/schema",
        "info": {
            "title": "The public registry of the Charter",
            "version": VERSION,
            "description": _ABOUT,
        },
        "externalDocs": {"url": f"{public_url}/en/developers/", "description": "The same for reading, with examples"},
        "servers": [{"url": public_url}],
        "paths": paths(),
        "components": {
            "schemas": shapes.SCHEMAS,
            "responses": {
                "BadRequest": _problem("A parameter is unknown or cannot be used; `parameter` names it."),
                "NotFound": _problem("There is nothing by this name."),
                "Gone": _problem("The walk cannot go on from this cursor: begin anew."),
                "Unavailable": _problem(
                    "The registry cannot be read just now.", **{"Retry-After": "Seconds to wait before asking again."}
                ),
            },
        },
    }


@blueprint.get("/openapi.json")
def openapi() -> Response:
    """The document, in English."""
    parameters.read(request.args)
    tag = f'"openapi-{current_app.config["PAGES_DIGEST"]}"'
    if is_resource_modified(request.environ, etag=tag.strip('"')):
        with speaking("en"):
            body = json.dumps(document(current_app.config["CHARTER"].public_url), ensure_ascii=False, default=str)
        response = Response(body + "\n", content_type="application/json")
    else:
        response = Response(status=304)
    response.headers["ETag"] = tag
    response.headers["Cache-Control"] = _CACHE
    return response
