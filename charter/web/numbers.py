"""The registry by numbers: pages whose address and content stay when entries are added, for citing and for mirrors."""

from __future__ import annotations

from dataclasses import dataclass

from flask import Blueprint, Flask, abort, g, render_template
from werkzeug.routing import BaseConverter

from charter.domain.blocks import BLOCK, RANGE, Span, spans
from charter.domain.selection import Place, Selection
from charter.queries import search
from charter.queries.registry import RegistryEntry
from charter.web import lists
from charter.web.headers import public_page

blueprint = Blueprint("numbers", __name__)


class SpanConverter(BaseConverter):
    """`201-300`: two numbers that a database of ours could hold, without leading zeros."""

    regex = "[1-9][0-9]{0,14}-[1-9][0-9]{0,14}"

    def to_python(self, value: str) -> Span:
        """As numbers."""
        first, _, last = value.partition("-")
        return Span(int(first), int(last))

    def to_url(self, value: Span) -> str:
        """As it stands in an address."""
        return f"{value.first}-{value.last}"


@dataclass(frozen=True)
class _Neighbours:
    """The blocks before and after one; None at that end."""

    older: Span | None
    newer: Span | None


def _highest() -> int:
    """The newest entry's number; 0 before the first."""
    rows, _, _ = search.find_rows(Selection(), size=1)
    return rows[0].number if rows else 0


@blueprint.get("/<lang:lang>/registry/numbers/")
@public_page()
def index() -> str:
    """Which numbers there are: whole ranges, and the blocks of the one that is still growing."""
    highest = _highest()
    whole = highest // RANGE * RANGE
    return render_template(
        "numbers/index.html",
        blocks=list(reversed(spans(BLOCK, first=whole + 1, last=highest))),
        ranges=list(reversed(spans(RANGE, first=1, last=whole))),
        highest=highest,
        as_of=g.as_of,
    )


@blueprint.get("/<lang:lang>/registry/numbers/<span:wanted>/")
@public_page(names=True)
def span(wanted: Span) -> str:
    """One block with its entries, or the blocks of one whole range."""
    highest = _highest()
    if wanted.size == RANGE and wanted.is_aligned and wanted.last <= highest:
        return render_template(
            "numbers/range.html",
            span=wanted,
            blocks=list(reversed(spans(BLOCK, first=wanted.first, last=wanted.last))),
            as_of=g.as_of,
        )
    if wanted.size != BLOCK or not wanted.is_aligned or wanted.first > highest:
        abort(404)
    return render_template(
        "numbers/block.html",
        span=wanted,
        lines=_entries(wanted),
        near=_Neighbours(wanted.before(), wanted.behind() if wanted.last < highest else None),
        as_of=g.as_of,
    )


def _entries(wanted: Span) -> list[RegistryEntry]:
    page = search.find_page(Selection(), lists.regions().views, place=Place(wanted.last + 1), size=wanted.size)
    # A number may be missing for good after a restore: then the page reaches below its block.
    return [line for line in page.lines if line.number >= wanted.first]


def init_app(app: Flask) -> None:
    """Registers the room."""
    app.url_map.converters["span"] = SpanConverter
    app.register_blueprint(blueprint)
