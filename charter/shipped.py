"""What comes with the service: regions, affiliations, standards, consents, holidays, the specimen Charter."""

from __future__ import annotations

import json
from datetime import date
from functools import cache
from pathlib import Path

from charter.domain import affiliation, calendar, consent, region, standards
from charter.domain.languages import LANGUAGES
from charter.operations.seed import ShippedAffiliation

DATA = Path(__file__).parent / "data"


def _read(name: str) -> bytes:
    return (DATA / name).read_bytes()


@cache
def regions() -> tuple[region.Region, ...]:
    """The regions of Kazakhstan and "abroad"."""
    return region.parse_regions(_read("regions.json"))


@cache
def affiliations() -> tuple[ShippedAffiliation, ...]:
    """Parties, organisations and missions that can be chosen or once could."""
    parties = affiliation.parse_parties(_read("parties.json"))
    organisations = affiliation.parse_organisations(_read("organisations.json"))
    affiliation.check_slugs(parties, organisations)
    listed = [
        ShippedAffiliation(
            party.slug,
            "party",
            party.name,
            party.abbr,
            party.selectable,
            party.merged_into,
            tuple((former.name, former.until) for former in party.former_names),
        )
        for party in parties
    ]
    for one in organisations:
        is_mission = affiliation.observer_kind_of(one.kind) == affiliation.INTERNATIONAL
        kind = "mission" if is_mission else "organisation"
        listed.append(ShippedAffiliation(one.slug, kind, one.name, one.abbr, True, None))
    return tuple(listed)


@cache
def rests_on() -> dict[int, tuple[standards.RestsOn, ...]]:
    """What each commitment of the specimen rests on, by its number."""
    return dict(standards.parse_standards(_read("standards.json")))


@cache
def throwaway_domains() -> frozenset[str]:
    """Mail domains that give addresses away for minutes."""
    lines = _read("throwaway_domains.txt").decode().splitlines()
    return frozenset(line for line in lines if line and not line.startswith("#"))


@cache
def consents() -> consent.ConsentTexts:
    """The two consent texts."""
    return consent.parse_consents(_read("consent.json"))


@cache
def large_mail_domains() -> frozenset[str]:
    """Mail domains of many people, who do not share a limit when signing."""
    return frozenset(json.loads(_read("mail-providers.json"))["domains"])


@cache
def holidays() -> frozenset[date]:
    """Days on which nobody works, besides Saturdays and Sundays."""
    return calendar.parse_holidays(_read("holidays.json")).days


def edition_texts(slug: str) -> dict[str, bytes]:
    """The shipped edition's bytes by language. Raises FileNotFoundError for an edition that is not shipped."""
    return {language: _read(f"charter/{slug}/{language}.md") for language in LANGUAGES}
