"""The short lists that many pages and files need: regions with figures, affiliations, editions; read once a batch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from charter.domain.alphabet import sort_key
from charter.i18n import current_language
from charter.queries import affiliations as affiliation_queries
from charter.queries import registry
from charter.queries.affiliations import AffiliationShort
from charter.queries.registry import EditionName, RegionView, Totals
from charter.web.kept import as_published


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


def regions() -> Regions:
    """In the page's language."""
    language = current_language()
    return as_published("regions with figures", language, make=lambda: Regions(*registry.regions_with_totals(language)))


def affiliations() -> Mapping[str, AffiliationShort]:
    """slug → affiliation with its figure, in the page's language, ordered by name."""
    language = current_language()

    def make() -> Mapping[str, AffiliationShort]:
        found = affiliation_queries.affiliations(language)
        return {one.slug: one for one in sorted(found, key=lambda one: sort_key(one.name))}

    return as_published("affiliations with figures", language, make=make)


def editions() -> Mapping[str, EditionName]:
    """slug → edition, newest first."""
    return as_published("names of editions", make=lambda: {one.slug: one for one in registry.editions()})
