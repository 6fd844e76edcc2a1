"""Which addresses a mirror has: every public endpoint stands here, with how it is mirrored or why it is not."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from charter.domain.blocks import BLOCK, RANGE, span_of, spans
from charter.domain.languages import LANGUAGES

Values = Mapping[str, Any]

#: Written anew when its content changed; looked at after each publication.
AFTER_BATCH: Final = "batch"
#: Looked at in every run: it may change between publications.
ALWAYS: Final = "always"
#: Looked at only where an entry of it changed.
BY_ENTRY: Final = "entry"
#: In the order that the log demands (`log_files.py`).
BY_LOG: Final = "log"


@dataclass(frozen=True)
class World:
    """What there is to be mirrored, by its names in addresses. highest: the newest registry number, 0 for none."""

    regions: tuple[str, ...]
    affiliations: tuple[str, ...]
    editions: tuple[str, ...]
    highest: int


@dataclass(frozen=True)
class Mirrored:
    """How the addresses of one endpoint come into a mirror.

    each: values for the arguments of the address, except the language. queries: the queries that have a file of their
    own, () being the plain address. ending: put behind the path, so that a web server knows what the file is. tells:
    always as of the newest batch. may_lack: the service may have nothing there yet.
    """

    each: Callable[[World], Iterable[Values]] = lambda _world: ({},)
    queries: Callable[[World], Iterable[Values]] = lambda _world: ({},)
    ending: str = ""
    looked_at: str = AFTER_BATCH
    tells: bool = False
    may_lack: bool = False
    #: path and query → where a link with a query leads, None for the service itself
    translate: Callable[[str, Mapping[str, str]], str | None] = lambda _path, _query: None

    def path(self, path: str, query: Mapping[str, str]) -> str | None:
        """The path on the mirror of an address of this endpoint; None if it is the service's alone."""
        return path + self.ending if not query else self.translate(path, query)


@dataclass(frozen=True)
class Own:
    """An endpoint that the mirror leaves to the service. why: for whoever reads this list."""

    why: str


def _regions(world: World) -> Iterator[Values]:
    return ({"slug": slug} for slug in world.regions)


def _affiliations(world: World) -> Iterator[Values]:
    return ({"slug": slug} for slug in world.affiliations)


def _editions(world: World) -> Iterator[Values]:
    return ({"edition": slug} for slug in world.editions)


def _whole_ranges(world: World) -> Iterator[Values]:
    whole = world.highest // RANGE * RANGE
    return ({"wanted": one} for one in spans(RANGE, first=1, last=whole))


def _older(path: str, query: Mapping[str, str]) -> str | None:
    """The registry's older entries stand in blocks, a region's own list at its own page."""
    language = path.split("/")[1]
    number = query.get("older", "")
    if set(query) == {"older"} and number.isdigit() and int(number) > 1:
        block = span_of(int(number) - 1, BLOCK)
        return f"/{language}/registry/numbers/{block.first}-{block.last}/"
    if set(query) == {"region"}:
        return f"/{language}/registry/{query['region']}/"
    if set(query) == {"affiliation"}:
        return f"/{language}/registry/affiliations/{query['affiliation']}/"
    return None


_FILE = re.compile(r"(.*/registry)\.(csv|jsonl|atom)")
_SLUG = re.compile("[a-z0-9]+(-[a-z0-9]+)*")


def _of_region(path: str, query: Mapping[str, str]) -> str | None:
    """/registry.csv?region=almaty → /registry/almaty.csv."""
    found = _FILE.fullmatch(path)
    slug = query.get("region", "")
    if found is None or set(query) != {"region"} or not _SLUG.fullmatch(slug):
        return None
    # A page of the region lies beside its feed.
    return f"{found[1]}/{slug}/feed.atom" if found[2] == "atom" else f"{found[1]}/{slug}.{found[2]}"


def _whole_and_regions(world: World) -> Iterator[Values]:
    yield {}
    yield from ({"region": slug} for slug in world.regions)


_LIST = Mirrored(translate=_older)
_DATA = Mirrored(queries=_whole_and_regions, translate=_of_region)
_JSON = Mirrored(ending=".json")

#: endpoint → how it is mirrored, or why not.
ADDRESSES: Final[Mapping[str, Mirrored | Own]] = {
    "public.root": Own("asks the browser for its language; the mirror has a page of its own there"),
    "public.home": Mirrored(tells=True),
    "public.charter": Mirrored(),
    "public.edition": Mirrored(each=_editions),
    "public.edition_changes": Mirrored(each=_editions),
    "public.charter_text": Mirrored(each=_editions),
    "public.about": Mirrored(),
    "public.privacy": Mirrored(),
    "public.accessibility": Mirrored(),
    "public.help_page": Mirrored(),
    "registry.index": _LIST,
    "registry.region": Mirrored(each=_regions),
    "registry.affiliations": Mirrored(),
    "registry.affiliation": Mirrored(each=_affiliations),
    "registry.entry": Mirrored(each=lambda _world: (), ending=".html", looked_at=BY_ENTRY),
    "numbers.index": Mirrored(),
    "numbers.span": Mirrored(each=_whole_ranges),  # and the blocks, where an entry of them changed
    "figures.statistics_page": Mirrored(),
    "figures.transparency": Mirrored(),
    "verify.index": Mirrored(),  # its checks need files only; numbers are looked up by the service
    "takeaway.csv": _DATA,
    "takeaway.json_lines": _DATA,
    "takeaway.atom": _DATA,
    "takeaway.xlsx": Mirrored(looked_at=ALWAYS, may_lack=True),
    "takeaway.open_data": Mirrored(),
    "developers.index": Mirrored(),
    "api.openapi": Mirrored(),
    "api.regions": _JSON,
    "api.affiliations": _JSON,
    "api.affiliation": Own("/api/v1/affiliations.json has them all"),
    "api.statistics": _JSON,
    "api.editions": _JSON,
    "api.entries": Own("/registry.jsonl has them all"),
    "api.entry_by_number": Own("/registry.jsonl has them all"),
    "api.entry_by_id": Own("/registry.jsonl has them all"),
    "log.checkpoint": Mirrored(looked_at=BY_LOG),
    "log.tile": Mirrored(each=lambda _world: (), looked_at=BY_LOG),
    "log.registry": Mirrored(looked_at=BY_LOG),
    "log.vkey": Mirrored(looked_at=BY_LOG),
    "log.record": Own("/log/registry.ndjson has them all"),
    "log.receipt": Own("every proof can be made from the tiles; which one is asked for only a program knows"),
    "embedding.badge": Mirrored(),
    "embedding.counter": Own("a header of the service lets other sites frame it; what they paste names the service"),
    "sitemap.index": Mirrored(),
    "sitemap.part": Mirrored(),
    "sitemap.entries": Own("who let search engines keep an entry let them keep it at the service"),
    "sitemap.robots": Mirrored(),
    "system.healthz": Own("for machines of the service"),
    "system.readyz": Own("for machines of the service"),
}
#: Rooms that are not public, or exist to change something.
OWN_ROOMS: Final = frozenset({"signing", "my", "links", "not_me", "entered", "staff", "staff_auth", "dev_mail"})


def languages_of(arguments: Iterable[str]) -> tuple[str | None, ...]:
    """The languages that an address with these arguments comes in; (None,) for one without."""
    return LANGUAGES if "lang" in arguments else (None,)


def file_of(path: str) -> str:
    """The file, below the mirror's folder, that a web server answers this path with."""
    return path.lstrip("/") + ("index.html" if path.endswith("/") else "")
