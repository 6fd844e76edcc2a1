"""The registry to take away: CSV, JSON lines, XLSX, Atom, whole or any selection, and the page that explains them."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import chain
from pathlib import Path
from urllib.parse import urlencode
from uuid import NAMESPACE_URL, UUID, uuid5

from flask import Blueprint, Flask, Response, current_app, g, render_template, request, send_file, url_for

from charter import kept_spreadsheet, spreadsheet
from charter.domain.selection import BY_NAME, Selection
from charter.i18n import LANGUAGES, _, current_language
from charter.i18n import lazy_gettext as _l
from charter.queries import log, search, takeaway
from charter.queries.registry import AsOf
from charter.queries.search import Count
from charter.queries.takeaway import Reading
from charter.queries.takeaway_lines import COLUMNS, ENDED, csv_form, csv_header, json_form
from charter.settings import Settings
from charter.web import centre, lists, sending
from charter.web.api.shapes import ENTRY_FIELDS
from charter.web.errors import ErrorPage, error_page
from charter.web.files import MEDIA_TYPES, Asked, about, answered, described, json_line, parts_of
from charter.web.headers import public_page
from charter.web.selecting import address_of, parameters_of, read_selection

blueprint = Blueprint("takeaway", __name__)

#: Entries of a feed.
NEWEST = 50
#: Rows of a spreadsheet that is made while somebody waits.
MOST_ROWS = 50_000

BUSY = ErrorPage(
    _l("Many files are being fetched just now"),
    _l("So that everybody gets theirs, and pages stay quick, only a few leave at the same time."),
    _l("Try again in half a minute."),
)
IN_THE_MAKING = ErrorPage(
    _l("The spreadsheet is being made anew"),
    _l("The registry has changed, and so large a spreadsheet is made once an hour at most."),
    _l("Try again later, or take the CSV file: it is always up to date."),
)
#: The last line of a table that was not read to its end: a record without an end, which no strict program accepts.
CSV_BROKEN = b'"INCOMPLETE: the database could not be read any further. Please fetch this file again.\r\n'


@dataclass(frozen=True)
class Downloads:
    """Addresses of a selection's files. xlsx: None where it has too many rows. title: of its feed."""

    csv: str
    json_lines: str
    xlsx: str | None
    atom: str
    title: str
    is_everything: bool


def downloads_of(selection: Selection, count: Count | None = None) -> Downloads:
    """For `components/downloads.html`. count: of the selection, where the page knows it."""
    is_whole = selection.is_everything and selection.order != BY_NAME
    is_too_long = count is not None and count.number > MOST_ROWS
    return Downloads(
        csv=address_of("takeaway.csv", selection),
        json_lines=address_of("takeaway.json_lines", selection),
        xlsx=None if is_too_long and not is_whole else address_of("takeaway.xlsx", selection),
        atom=address_of("takeaway.atom", selection),
        title=feed_title(selection),
        is_everything=selection.is_everything,
    )


# ── files ────────────────────────────────────────────────────────────────────────────────────────────────────────────


@blueprint.get("/registry.csv")
def csv() -> Response:
    """RFC 4180 in UTF-8, without a byte order mark: it would become part of the first column's name."""

    def stream(asked: Asked, reading: Reading) -> Iterator[bytes]:
        return chain([csv_header()], reading.lines(csv_form(reading.dialect), end="\r\n"))

    return answered("csv", partial(_stream, pieces=stream, broken=CSV_BROKEN))


@blueprint.get("/registry.jsonl")
def json_lines() -> Response:
    """A line about the file, a line for each entry, and a line that says that these are all."""

    def stream(asked: Asked, reading: Reading) -> Iterator[bytes]:
        def end() -> Iterator[bytes]:
            yield json_line({"end": True, "count": reading.count})

        first = json_line(about(reading.as_of, asked.selection))
        return chain([first], reading.lines(json_form(reading.dialect), end="\n"), end())

    return answered("jsonl", partial(_stream, pieces=stream))


@blueprint.get("/registry.xlsx")
def xlsx() -> Response:
    """The whole registry as a worker has kept it, or a selection made while one waits."""
    settings: Settings = current_app.config["CHARTER"]
    found = None if any(request.args.values()) else kept_spreadsheet.find(settings)
    if found is None:
        return answered("xlsx", _workbook)
    as_of = AsOf(found.revision, found.as_of)
    response = described(send_file(found.path, MEDIA_TYPES["xlsx"], etag=False), as_of, "xlsx", ())
    del response.headers["Date"], response.headers["Last-Modified"]
    response.make_conditional(request, accept_ranges=True, complete_length=found.path.stat().st_size)
    response.last_modified = as_of.at
    return response


def _stream(asked: Asked, *, pieces: Callable[[Asked, Reading], Iterator[bytes]], broken: bytes = b"") -> Response:
    place = sending.find_place()
    if place is None:
        return error_page(503, page=BUSY)
    try:
        reading = Reading(asked.selection)
    except BaseException:
        place.give_back()
        raise
    on_its_way = sending.Sending(pieces(asked, reading), reading, place, broken=broken)
    response = Response(on_its_way, content_type=MEDIA_TYPES[asked.ending])
    return described(response, reading.as_of, asked.ending, parts_of(asked.selection))


def _workbook(asked: Asked) -> Response:
    """A spreadsheet of at most MOST_ROWS rows, or a page that offers the same as CSV."""
    if search.count(asked.selection).number > MOST_ROWS:
        return _too_many(asked.selection)
    place = sending.find_place()
    if place is None:
        return error_page(503, page=BUSY)
    selected = urlencode(parameters_of(asked.selection))
    words = kept_spreadsheet.about(current_app.config["CHARTER"], selected)
    try:
        with Reading(asked.selection) as reading, tempfile.TemporaryDirectory(prefix="charter-") as folder:
            path = Path(folder) / "registry.xlsx"
            spreadsheet.write(path, reading, words, kept_spreadsheet.region_names(), most_rows=MOST_ROWS)
            # Open, it stays readable after its folder has gone.
            response = send_file(path.open("rb"), MEDIA_TYPES["xlsx"])
            response.content_length = path.stat().st_size
            del response.headers["Date"]
            return described(response, reading.as_of, asked.ending, parts_of(asked.selection))
    except spreadsheet.TooManyRowsError:
        return _too_many(asked.selection)
    except takeaway.BrokenOffError:
        return error_page(503)
    finally:
        place.give_back()


def _too_many(selection: Selection) -> Response:
    if selection.is_everything and selection.order != BY_NAME:
        return error_page(503, page=IN_THE_MAKING)
    downloads = downloads_of(selection, Count(MOST_ROWS + 1, is_exact=False))
    response = Response(render_template("takeaway/too_many.html", downloads=downloads, most=MOST_ROWS), status=422)
    response.headers["Cache-Control"] = "no-store"
    return response


# ── feed and page ────────────────────────────────────────────────────────────────────────────────────────────────────


def feed_title(selection: Selection) -> str:
    """What a feed reader shows: the registry, and what of it."""
    regions = lists.regions().by_code
    words = [regions[selection.region].name] if selection.region else []
    if selection.affiliation:
        found = lists.affiliations().get(selection.affiliation)
        words += [found.name] if found else []
    title = str(_("Registry of signatories of the Charter"))
    if words:
        return f"{title}: {', '.join(words)}"
    return title if selection.is_everything else str(_("%(title)s: a selection", title=title))


@blueprint.get("/<lang:lang>/registry.atom")
@public_page(names=True)
def atom() -> Response:
    """The newest entries of a selection (RFC 4287), in one language."""
    settings: Settings = current_app.config["CHARTER"]
    regions = lists.regions()
    selection = read_selection(regions.views, only=_FEED_PARAMETERS)
    rows, _before, _behind = search.find_rows(selection, size=NEWEST)
    changed_at = log.moments_of({row.revision for row in rows})
    address = address_of("takeaway.atom", selection)
    body = render_template(
        "takeaway/atom.xml",
        lines=[(row, UUID(row.entry), changed_at.get(row.revision)) for row in rows],
        regions=regions.by_code,
        as_of=g.as_of,
        base=settings.public_url,
        self_url=settings.public_url + address,
        page_url=settings.public_url + address_of("registry.index", selection),
        others=[(code, settings.public_url + address_of("takeaway.atom", selection, lang=code)) for code in LANGUAGES],
        # Of the log, whose name never changes, and not of the address, which may.
        feed_id=uuid5(NAMESPACE_URL, f"{settings.log_origin}{address}").urn,
        title=feed_title(selection),
        centre=centre.known().name or _("Charter of Election Observers"),
        language=current_language(),
    )
    response = Response(body, content_type="application/atom+xml; charset=utf-8")
    response.headers["Content-Language"] = current_language()
    return response


@blueprint.after_request
def _let_others_read_the_feed(response: Response) -> Response:
    """On a 304 too: its headers take the place of those that were kept."""
    if request.endpoint == "takeaway.atom" and response.status_code in {200, 304}:
        response.headers["Access-Control-Allow-Origin"] = "*"
        response.headers["Cross-Origin-Resource-Policy"] = "cross-origin"
    return response


_FEED_PARAMETERS = ("q", "region", "kind", "affiliation", "edition", "from", "to")


@blueprint.get("/<lang:lang>/open-data/")
@public_page()
def open_data() -> str:
    """Every file, what stands in it, and how to stay up to date."""
    settings: Settings = current_app.config["CHARTER"]
    everything = Selection()
    return render_template(
        "takeaway/open_data.html",
        as_of=g.as_of,
        base=settings.public_url,
        downloads=downloads_of(everything),
        columns=[(name, ENTRY_FIELDS[name], name in ENDED) for name in COLUMNS],
        regions=lists.regions().views,
        example=url_for("takeaway.csv", region="almaty", kind="party"),
        most_rows=MOST_ROWS,
        newest=NEWEST,
    )


def init_app(app: Flask) -> None:
    """Registers the room."""
    sending.init_app(app)
    app.register_blueprint(blueprint)
