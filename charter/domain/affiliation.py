"""Whom an observer observes for: parties, organisations, missions, and which of them suit which kind of observer."""

import json
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

from anyascii import anyascii

from charter.domain.fold import fold
from charter.domain.languages import Texts, texts

#: The kinds of observer (LOG §1). PARTY is also the kind of every party as an affiliation.
PARTY: Final = "party"
INDEPENDENT: Final = "independent"
INTERNATIONAL: Final = "international"
OBSERVER_KINDS: Final[tuple[str, ...]] = (PARTY, INDEPENDENT, INTERNATIONAL)

#: What an affiliation may be, in the order of lists, and which of them each kind of observer may name.
TYPES: Final[tuple[str, ...]] = ("party", "organisation", "mission")
TYPE_OF: Final[Mapping[str, str]] = MappingProxyType(
    {PARTY: "party", INDEPENDENT: "organisation", INTERNATIONAL: "mission"}
)

#: What an organisation may be. A mission or body of several states has the same word as its observers.
ORGANISATION_KINDS: Final = frozenset({"national", "regional", "trade_union", INTERNATIONAL})

_SLUG = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")
#: As long as the column that keeps it.
_SLUG_CHARS = 64
_FOLD_CHARS = 400
_DAY_OR_MONTH = re.compile(r"[0-9]{4}-(?:0[1-9]|1[0-2])(?:-(?:0[1-9]|[12][0-9]|3[01]))?")


class AffiliationError(ValueError):
    """A list of parties or organisations that cannot be used."""


@dataclass(frozen=True, slots=True)
class FormerName:
    """A name a party bore; until: "YYYY-MM-DD", or "YYYY-MM" where the day is not known."""

    name: Texts
    until: str


@dataclass(frozen=True, slots=True)
class Party:
    """selectable: whether a new signature may name it; merged_into: slug of the party it joined, if it did."""

    slug: str
    name: Texts
    abbr: Texts
    selectable: bool
    merged_into: str | None
    former_names: tuple[FormerName, ...]


@dataclass(frozen=True, slots=True)
class Organisation:
    """A suggestion for the affiliation field: being listed is no evidence of having joined the Charter."""

    slug: str
    kind: str
    name: Texts
    abbr: Texts | None


def alias_fold(name: str) -> str:
    """By what two spellings of one name are the same, over three alphabets; "" where there is nothing to compare.

    It never changes a name that is shown, and is looked up as a whole: part of a name is no match.
    """
    folded = " ".join(fold(name))
    return folded if len(folded) <= _FOLD_CHARS else ""


def make_slug(name: str, *, taken: Collection[str]) -> str:
    """A name for addresses out of the English one, unlike those that are taken; for ever (LOG §1)."""
    latin = re.sub("[’'`\u02bc]", "", anyascii(name)).lower()
    base = "-".join(re.findall("[a-z0-9]+", latin))[: _SLUG_CHARS - 4].strip("-") or "affiliation"
    slug, number = base, 1
    while slug in taken:
        number += 1
        slug = f"{base}-{number}"
    return slug


def observer_kind_of(affiliation_kind: str) -> str:
    """The kind of observer that an affiliation sends. Raises AffiliationError for an unknown kind."""
    if affiliation_kind in (PARTY, INTERNATIONAL):
        return affiliation_kind
    if affiliation_kind in ORGANISATION_KINDS:
        return INDEPENDENT
    raise AffiliationError(f"{affiliation_kind!r} is not a kind of affiliation")


def may_stand_alone(observer_kind: str) -> bool:
    """Whether an observer of this kind may have no affiliation at all."""
    return observer_kind == INDEPENDENT


def parse_parties(data: bytes) -> tuple[Party, ...]:
    """The parties of a JSON list, in the order given. Raises AffiliationError."""
    try:
        parties = tuple(_party(entry) for entry in json.loads(data)["parties"])
    except (ValueError, KeyError, TypeError) as error:
        raise AffiliationError(f"the list of parties has not the expected shape: {error}") from error
    by_slug = {party.slug: party for party in parties}
    for party in parties:
        if party.merged_into is None:
            continue
        if party.selectable:
            raise AffiliationError(f"{party.slug} has merged into another party and cannot be chosen")
        into = by_slug.get(party.merged_into)
        if into is None or into.merged_into is not None:
            raise AffiliationError(f"{party.slug} must have merged into a party of the list that still exists")
    check_slugs(parties, ())
    return parties


def parse_organisations(data: bytes) -> tuple[Organisation, ...]:
    """The organisations of a JSON list, in the order given. Raises AffiliationError."""
    try:
        organisations = tuple(_organisation(entry) for entry in json.loads(data)["organisations"])
    except (ValueError, KeyError, TypeError) as error:
        raise AffiliationError(f"the list of organisations has not the expected shape: {error}") from error
    check_slugs((), organisations)
    return organisations


def check_slugs(parties: Iterable[Party], organisations: Iterable[Organisation]) -> None:
    """Refuse a slug that is used twice: in a record line it alone says which affiliation is meant (LOG §1)."""
    slugs = [party.slug for party in parties] + [organisation.slug for organisation in organisations]
    if len(set(slugs)) != len(slugs):
        raise AffiliationError("two affiliations have the same slug")


def _party(entry: dict[str, Any]) -> Party:
    if type(entry["selectable"]) is not bool:
        raise TypeError("selectable is true or false")
    return Party(
        slug=_slug(entry["slug"]),
        name=texts(entry["name"]),
        abbr=texts(entry["abbr"]),
        selectable=entry["selectable"],
        merged_into=None if entry["merged_into"] is None else _slug(entry["merged_into"]),
        former_names=tuple(
            FormerName(name=texts(former["name"]), until=_until(former["until"])) for former in entry["former_names"]
        ),
    )


def _organisation(entry: dict[str, Any]) -> Organisation:
    if entry["kind"] not in ORGANISATION_KINDS:
        raise ValueError(f"{entry['kind']!r} is not a kind of organisation")
    return Organisation(
        slug=_slug(entry["slug"]),
        kind=entry["kind"],
        name=texts(entry["name"]),
        abbr=None if entry["abbr"] is None else texts(entry["abbr"]),
    )


def _slug(value: str) -> str:
    if not _SLUG.fullmatch(value):
        raise ValueError(f"{value!r} cannot stand in an address")
    return value


def _until(value: str) -> str:
    if not _DAY_OR_MONTH.fullmatch(value):
        raise ValueError(f"{value!r} is neither a day nor a month")
    return value
