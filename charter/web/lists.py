"""What many pages and files need, read once a batch: regions with figures, affiliations, editions, the log's state."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

from charter.domain.alphabet import sort_key
from charter.i18n import current_language
from charter.queries import affiliations as affiliation_queries
from charter.queries import editions as edition_queries
from charter.queries import registry, standing
from charter.queries.affiliations import AffiliationShort
from charter.queries.registry import EditionName, RegionView, Totals
from charter.web.kept import as_published, public_day


@dataclass(frozen=True)
class Regions:
    """Every region in one language, in its alphabet's order, with figures. by_region: code → totals."""

    views: Sequence[RegionView]
    by_region: Mapping[str, Totals]
    totals: Totals

    @cached_property
    def by_slug(self) -> Mapping[str, RegionView]:
        """slug → region."""
        return {view.slug: view for view in self.views}

    @cached_property
    def by_code(self) -> Mapping[str, RegionView]:
        """code → region."""
        return {view.code: view for view in self.views}


@dataclass(frozen=True)
class LogState:
    """The newest checkpoint of a publication. size: in leaves. root: in base64, as the checkpoint itself writes it."""

    size: int
    root: str
    at: datetime


def log_state() -> LogState | None:
    """As the batch left it that the page shows; None before anything is signed."""
    return as_published("state of the log", make=_log_state)


def _log_state() -> LogState | None:
    found = standing.newest_checkpoint()
    return None if found is None else LogState(found.size, base64.b64encode(found.root).decode(), found.at)


def regions() -> Regions:
    """In the page's language."""
    language = current_language()

    def make() -> Regions:
        return Regions(*registry.regions_with_totals(language, on=public_day()))

    return as_published("regions with figures", language, make=make)


def affiliations() -> Mapping[str, AffiliationShort]:
    """slug → affiliation with its figure, in the page's language, ordered by name."""
    language = current_language()

    def make() -> Mapping[str, AffiliationShort]:
        found = affiliation_queries.affiliations(language, on=public_day())
        return {one.slug: one for one in sorted(found, key=lambda one: sort_key(one.name))}

    return as_published("affiliations with figures", language, make=make)


def edition_counts() -> Mapping[str, int]:
    """slug → how many entries name this edition now."""
    return as_published("entries by edition", make=edition_queries.counts)


def editions() -> Mapping[str, EditionName]:
    """slug → edition, newest first."""
    return as_published("names of editions", make=lambda: {one.slug: one for one in registry.editions()})
