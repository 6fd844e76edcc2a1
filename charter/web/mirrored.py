"""What pages know when they are written into a mirror: that they are, and where the service itself is."""

from __future__ import annotations

from typing import Any

from flask import Flask, Response, current_app, g, has_request_context, request

#: The key in a request's environment that says it is asked for a mirror. Its value is a dict into which the
#: application puts what it read: `as_of`, the batch that the answer stands at.
FLAG = "charter.mirror"


def is_mirror() -> bool:
    """Whether this request asks for a file of a mirror."""
    return has_request_context() and FLAG in request.environ


def _known() -> dict[str, Any]:
    # Only where it is so: every other page does without.
    return {"is_mirror": True, "live_url": current_app.config["CHARTER"].public_url} if is_mirror() else {}


def _tell(response: Response) -> Response:
    asked = request.environ.get(FLAG)
    if asked is not None:
        asked["as_of"] = g.get("as_of")
    return response


def init_app(app: Flask) -> None:
    """Templates see `is_mirror` and `live_url`; whoever makes a mirror hears what its pages stand at."""
    app.context_processor(_known)
    app.after_request(_tell)
