"""The certificate and the picture to share: for whoever holds the personal link, made while they wait."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import lru_cache

from flask import abort, make_response, redirect, request, url_for
from werkzeug.wrappers import Response as BaseResponse

from charter import certificate as papers
from charter.certificate import CHOICES, BusyError, Paper, Picture
from charter.domain.edition import EditionText, digest, parse_edition
from charter.domain.signature import State
from charter.i18n import _, current_language
from charter.i18n import lazy_gettext as _l
from charter.queries import certificates, log_tiles, registry, schema
from charter.queries.receipts import Receipt
from charter.queries.signing import MySignature
from charter.web import centre, lists
from charter.web.errors import ErrorPage, error_page
from charter.web.labels import KINDS
from charter.web.my.door import blueprint, get_mine, section
from charter.web.signing import config

BUSY = ErrorPage(
    _l("Many certificates are being made just now"),
    _l("So that pages stay quick, they are made one after another."),
    _l("Try again in half a minute."),
)


@blueprint.get("/<lang:lang>/my/certificate/")
def certificate() -> BaseResponse:
    """The certificate in the language of the address, as a PDF with the record and its receipt."""
    mine = get_mine()
    vkey = log_tiles.find_vkey() or ""
    found = _receipt(mine, vkey)
    if found is None:
        # It comes with the next publication, or never again: the page says which.
        return redirect(url_for("my.index"), code=303)
    record = json.loads(found.record)
    edition, edition_digest = _edition(record["charter"])
    paper = Paper(
        record=found.record,
        proof_text=found.proof_text,
        own_name=mine.full_name,
        kind=str(KINDS[record["kind"]]),
        region=lists.regions().by_code[record["region"]].name,
        edition=edition,
        edition_digest=edition_digest,
        vkey=vkey,
        centre=centre.known().name or _("Centre for Non-Partisan Election Observation"),
        public_url=config().public_url,
    )
    return _made(lambda: papers.certificate(paper), "application/pdf", f"charter-certificate-{current_language()}.pdf")


@blueprint.get("/<lang:lang>/my/picture/")
def picture() -> BaseResponse:
    """A picture to share, with as much of the name as `name` asks for: full, short or none."""
    mine = get_mine()
    found = _receipt(mine, "")
    chosen = request.args.get("name", "")
    if found is None or chosen not in choices(mine):
        return redirect(url_for("my.index"), code=303)
    edition, edition_digest = _edition(json.loads(found.record)["charter"])
    asked = Picture(
        record=found.record,
        name={"full": mine.full_name, "short": mine.short_name}.get(chosen, ""),
        charter=edition.title,
        edition_digest=edition_digest,
        address=f"{config().public_url}/{current_language()}/".partition("://")[2],
    )
    return _made(lambda: papers.picture(asked), "image/png", f"charter-{current_language()}.png")


def choices(mine: MySignature) -> list[str]:
    """How much of a name a picture may show, most first."""
    return [one for one in CHOICES if one != "short" or mine.short_name not in {"", mine.full_name}]


section("picture_choices")(choices)


def _receipt(mine: MySignature, vkey: str) -> Receipt | None:
    if mine.state == State.WITHDRAWN or mine.is_forgotten:
        return None
    return certificates.lasting_receipt_of(mine.entry, vkey=vkey)


def _edition(slug: str) -> tuple[EditionText, str]:
    """The text that was signed, in the page's language, and the digest of its bytes."""
    view = registry.find_edition(slug, current_language())
    return (_parsed(view.body), digest(view.body)) if view is not None else abort(404)


@lru_cache(maxsize=16)
def _parsed(body: bytes) -> EditionText:
    return parse_edition(body)


def _made(make: Callable[[], bytes], media_type: str, name: str) -> BaseResponse:
    # Whoever waits for others' does not keep a connection to the database meanwhile.
    schema.let_go()
    try:
        response = make_response(make())
    except BusyError:
        return error_page(503, page=BUSY)
    response.mimetype = media_type
    response.headers.set("Content-Disposition", "attachment", filename=name)
    return response
