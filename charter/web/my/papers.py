"""The lines and receipts that a signatory can keep."""

from __future__ import annotations

from flask import make_response, redirect, url_for
from werkzeug.wrappers import Response as BaseResponse

from charter.domain.signature import State
from charter.queries import receipts
from charter.web.my.door import blueprint, get_mine


@blueprint.get("/<lang:lang>/my/record/")
def record() -> BaseResponse:
    """The entry's line, byte for byte, as a file."""
    return _file("record.json")


@blueprint.get("/<lang:lang>/my/receipt/")
def receipt() -> BaseResponse:
    """What proves that the log commits to that line."""
    return _file("receipt.tlog-proof")


@blueprint.get("/<lang:lang>/my/application-record/")
def application_record() -> BaseResponse:
    """The application's line, byte for byte, as a file; nobody else has its salt."""
    return _file("application.json", is_application=True)


@blueprint.get("/<lang:lang>/my/application-receipt/")
def application_receipt() -> BaseResponse:
    """What proves that the log commits to the application."""
    return _file("application.tlog-proof", is_application=True)


def _file(name: str, *, is_application: bool = False) -> BaseResponse:
    mine = get_mine()
    found = None if mine.state == State.WITHDRAWN else receipts.receipt_of(mine.entry, is_application=is_application)
    if found is None:
        # It comes with the next publication, or never again: the page says which.
        return redirect(url_for("my.index"), code=303)
    if name.endswith(".json"):
        response = make_response(found.record)
        response.mimetype = "application/json"
    else:
        response = make_response(found.proof_text)
        response.mimetype = "text/plain"
    response.headers.set("Content-Disposition", "attachment", filename=name)
    return response
