"""The log for whoever checks it (LOG §2): checkpoint, tiles, record lines, receipts; bytes, and no pages."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

from flask import Blueprint, Flask, Response, g, request
from werkzeug.http import is_resource_modified
from werkzeug.routing import BaseConverter, ValidationError

from charter.queries import log_tiles, receipts, replica, standing
from charter.queries.standing import Served
from charter.tlog.tiles import Tile, TileError, parse_path
from charter.web import plain, sending

blueprint = Blueprint("log", __name__)

TEXT = "text/plain; charset=utf-8"
BYTES = "application/octet-stream"
LINES = "application/x-ndjson; charset=utf-8"
JSON = "application/json"
FOR_EVER = "public, max-age=31536000, immutable"
SHORT = "public, max-age=5"
A_MINUTE = "public, max-age=60"
#: An address is cut here: that of no tile is so long.
_LONGEST = 200
#: What a registry file ends with that was not read to its end: a line without an end, where none is promised.
BROKEN = b'{"incomplete":"the database could not be read any further; please fetch this file again'

NOT_SIGNED = "No checkpoint may be shown yet. Try again later."
NOT_GUARDED = "The newest publication is being secured, or nothing is signed yet. Try again later."
BUSY = "Many files are being fetched just now. Try again in half a minute."
UNKNOWN = "There is no such entry."
ENDED = "This entry has ended: its record line and salt were destroyed."
NOT_COVERED = "The checkpoint that is shown does not cover this record yet. Try again later."
NO_KEY = "The log does not name its key yet. Try again later."


class TileConverter(BaseConverter):
    """`tile/0/x001/234.p/17`: a tile by its one address; whatever is written otherwise is an unknown address."""

    part_isolating = False
    regex = "tile/.*?"

    def to_python(self, value: str) -> Tile:
        """Its place."""
        level, _, rest = value[len("tile/") : _LONGEST].partition("/")
        try:
            return parse_path(level, rest)
        except TileError:
            raise ValidationError from None

    def to_url(self, value: Tile) -> str:
        """Its address."""
        return value.path


def _answer(body: bytes, content_type: str, cache: str, *, name: str = "") -> Response:
    """The whole answer, or 304 for whoever has it. name: of the file that a browser makes of it."""
    response = Response(body, content_type=content_type)
    response.set_etag(_tag(body))
    _describe(response, cache, name=name)
    response.make_conditional(request)
    return response


def _describe(response: Response, cache: str, *, name: str = "") -> None:
    response.headers["Cache-Control"] = cache
    if name:
        response.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    plain.for_everybody(response)


def _tag(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:32]


@blueprint.get("/log/checkpoint")
def checkpoint() -> Response:
    """The newest checkpoint that witnesses and the guard let us show: a signed note."""
    found = replica.read_public(standing.served_checkpoint)
    if found is None:
        return plain.answer(503, sentence=NOT_SIGNED)
    return _answer(found.text.encode(), TEXT, SHORT)


@blueprint.get("/log/<tile:tile>")
def tile(tile: Tile) -> Response:
    """256 hashes, or a bundle of 256 leaves; fewer at the end of the log."""
    found = log_tiles.find_tile(tile)
    return plain.answer(404) if found is None else _answer(found, BYTES, FOR_EVER)


@blueprint.get("/log/registry.ndjson")
def registry() -> Response:
    """Every record line, and the checkpoint that they stand at, in one snapshot."""
    known = replica.read_public(standing.guarded_checkpoint)
    if known is not None and not is_resource_modified(request.environ, etag=_tag(known.text.encode())):
        return _registry(None, known)
    if request.method == "HEAD" and known is not None:
        return _registry(iter(()), known)
    place = sending.find_place()
    if place is None:
        return plain.answer(503, sentence=BUSY)
    try:
        reading = log_tiles.open_registry()
    except BaseException:
        place.give_back()
        raise
    if reading is None or reading.checkpoint is None:
        place.give_back()
        return plain.answer(503, sentence=NOT_GUARDED)
    g.as_of = reading.as_of
    return _registry(sending.Sending(reading.file(), reading, place, broken=BROKEN), reading.checkpoint)


def _registry(content: Iterator[bytes] | None, found: Served) -> Response:
    """content: None for whoever has it. found: the checkpoint that it stands at, which says all that is in it."""
    response = Response(status=304) if content is None else Response(content, content_type=LINES)
    response.set_etag(_tag(found.text.encode()))
    _describe(response, A_MINUTE, name="registry.ndjson")
    return response


@blueprint.get("/log/record/<entry:entry>")
def record(entry: str) -> Response:
    """The record line of one entry, as its commitment was made: `sha256sum` gives what stands in the log."""
    found = replica.read_public(lambda: log_tiles.find_record(entry))
    if found is None:
        return plain.answer(404, sentence=UNKNOWN)
    if found.line is None:
        return plain.answer(410, sentence=ENDED)
    return _answer(found.line, JSON, SHORT, name="record.json")


@blueprint.get("/log/receipt/<entry:entry>")
def receipt(entry: str) -> Response:
    """The proof that the log commits to the record line of one entry (C2SP tlog-proof)."""
    found = replica.read_public(lambda: (log_tiles.find_record(entry), receipts.receipt_of(entry)))
    known, proved = found
    if known is None:
        return plain.answer(404, sentence=UNKNOWN)
    if known.line is None:
        return plain.answer(410, sentence=ENDED)
    if proved is None:
        return plain.answer(503, sentence=NOT_COVERED)
    return _answer(proved.proof_text.encode(), TEXT, SHORT, name="receipt.tlog-proof")


@blueprint.get("/log/vkey")
def vkey() -> Response:
    """The verifier key; while keys are exchanged, the newer one. Trust comes from copies that were had elsewhere."""
    found = replica.read_public(log_tiles.find_vkey)
    if found is None:
        return plain.answer(503, sentence=NO_KEY)
    return _answer(f"{found}\n".encode(), TEXT, A_MINUTE)


def init_app(app: Flask) -> None:
    """Registers the room."""
    app.url_map.converters["tile"] = TileConverter
    app.register_blueprint(blueprint)
