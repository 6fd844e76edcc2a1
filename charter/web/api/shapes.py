"""What the answers hold: each shape as a function that makes it and, beside it, the JSON Schema that says so exactly.

What does not apply is absent, never null, as in a record line (LOG §1), whose names these are.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from charter.domain.languages import LANGUAGES
from charter.i18n import lazy_gettext as _l
from charter.queries.centre import Centre
from charter.queries.open_data import AffiliationFigures, AffiliationPlace, EditionFigures, RegionFigures, Week
from charter.queries.registry import KINDS, AsOf, Totals
from charter.queries.search import Count, EntryRow
from charter.web.api.parameters import SLUG

Json = dict[str, Any]

#: For the page: each field of an entry and what it means, in this order.
ENTRY_FIELDS: dict[str, Any] = {
    "entry": _l("The permanent id: 32 hexadecimal digits."),
    "number": _l("The number in the registry, given once and kept for ever."),
    "kind": _l("party, independent or international."),
    "display": _l("full or short: how the name is shown; unlisted: not listed by name."),
    "name": _l("The full name or its short form, as the person chose. Absent when unlisted."),
    "region": _l("Where the person observes: a code of ISO 3166-2, or ZZ for abroad."),
    "affiliation": _l("Short name of the affiliation, if it is one of the list."),
    "affiliation_name": _l(
        "The affiliation as it was called when the person signed. Absent on one’s own and when unlisted."
    ),
    "charter": _l("The edition of the Charter that was signed."),
    "signed": _l("The day on which the signature was confirmed, in Kazakhstan’s time."),
    "rev": _l("How many times the entry was published: 1 at first, one more with each correction."),
    "revision": _l("The public revision of the last change."),
    "ended": _l("Only of an entry that has ended: the day."),
    "ended_by": _l("Only of an entry that has ended: signatory (withdrawn) or centre (removed)."),
}


def entry(row: EntryRow) -> Json:
    """One entry. An ended one has its numbers and dates and who ended it, and nothing that was about the person."""
    if row.ended_on is not None:
        return {
            "entry": row.entry,
            "number": row.number,
            "signed": row.signed_on.isoformat(),
            "ended": row.ended_on.isoformat(),
            "ended_by": row.ended_by,
            "revision": row.revision,
        }
    optional = {"name": row.name, "affiliation": row.affiliation, "affiliation_name": row.affiliation_name}
    found = {
        "entry": row.entry,
        "number": row.number,
        "kind": row.kind,
        "display": row.display,
        **{key: value for key, value in optional.items() if value is not None},
        "region": row.region,
        "charter": row.edition,
        "signed": row.signed_on.isoformat(),
        "rev": row.rev,
        "revision": row.revision,
    }
    return {key: found[key] for key in ENTRY_FIELDS if key in found}


def as_of(found: AsOf | None) -> Json:
    """The batch that an answer stands at; revision 0 before the first."""
    if found is None:
        return {"public_revision": 0}
    return {"public_revision": found.revision, "at": found.at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")}


def count(found: Count) -> Json:
    """How many entries of the selection are in the registry now."""
    return {"number": found.number, "is_exact": found.is_exact}


def totals(found: Totals) -> Json:
    """signed = listed + unlisted + withdrawn + revoked."""
    return {
        "signed": found.signed,
        "listed": found.listed,
        "unlisted": found.unlisted,
        "withdrawn": found.withdrawn,
        "revoked": found.revoked,
    }


def region(found: RegionFigures) -> Json:
    """A region with its figures."""
    return {
        "region": found.code,
        "slug": found.slug,
        "name": dict(found.name),
        **totals(found.totals),
        "by_kind": dict(found.totals.by_kind or {}),
    }


def week(found: Week) -> Json:
    """A week and the signatures that bear its dates."""
    return {"first": found.first_on.isoformat(), "signed": sum(found.by_kind.values()), "by_kind": dict(found.by_kind)}


def affiliation(found: AffiliationFigures) -> Json:
    """An affiliation in a list."""
    return {
        "affiliation": found.slug,
        "type": found.type,
        "name": dict(found.name),
        **({"abbr": dict(found.abbr)} if found.abbr else {}),
        **({"merged_into": found.merged_into} if found.merged_into else {}),
        "listed": found.listed,
    }


def whole_affiliation(found: AffiliationFigures, places: list[AffiliationPlace], merged_from: list[str]) -> Json:
    """An affiliation with its history and where it is shown. merged_from: slugs."""
    return {
        **affiliation(found),
        "former_names": [{"name": dict(one.name), "until": one.until} for one in found.former_names],
        "merged_from": merged_from,
        "by_region": [{"region": one.region, "kind": one.kind, "listed": one.listed} for one in places],
    }


def signing(found: Centre) -> Json:
    """Whether the Charter can be signed, as of the batch; from when to when and why, where that was set."""
    stands = found.signing
    return {
        "is_open": found.is_open,
        **({"opens": _instant(stands.opens_at)} if stands.opens_at else {}),
        **({"closes": _instant(stands.closes_at)} if stands.closes_at else {}),
        **({"sentence": dict(stands.sentence)} if stands.sentence and stands.words("en") else {}),
    }


def _instant(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def edition(found: EditionFigures, urls: Mapping[str, str]) -> Json:
    """An edition. urls: language → address of the exact bytes."""
    return {
        "charter": found.slug,
        "is_current": found.is_current,
        "is_specimen": found.is_specimen,
        **({} if found.is_material is None else {"is_material": found.is_material}),
        **({} if found.follows is None else {"follows": found.follows}),
        "published": found.published_on.isoformat(),
        "listed": found.shown,
        "texts": [
            {"language": one.language, "sha256": one.sha256, "bytes": one.bytes_count, "url": urls[one.language]}
            for one in found.texts
        ],
    }


# ── the same as schemas ──────────────────────────────────────────────────────────────────────────────────────────────


def _ref(name: str) -> Json:
    return {"$ref": f"#/components/schemas/{name}"}


def _list(of: Json) -> Json:
    return {"type": "array", "items": of}


def _object(properties: Json, *, optional: tuple[str, ...] = (), **more: Any) -> Json:
    required = [name for name in properties if name not in optional]
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False, **more}


_NUMBER = {"type": "integer", "minimum": 0}
_MOMENT = {"type": "string", "format": "date-time"}
_DAY = {"type": "string", "format": "date"}
_SLUG = {"type": "string", "pattern": SLUG}
_KIND = {"type": "string", "enum": list(KINDS)}
_CODE = {"type": "string", "pattern": "^(KZ-[0-9A-Z]{1,3}|ZZ)$"}
_CURSOR = {"type": "string", "pattern": "^[A-Za-z0-9_-]+$"}
_TEXTS = _object({language: {"type": "string"} for language in LANGUAGES})
_TOTALS = dict.fromkeys(("signed", "listed", "unlisted", "withdrawn", "revoked"), _NUMBER)
_BY_KIND = _object(dict.fromkeys(KINDS, _NUMBER))


def _entry_schema(*names: str, display: tuple[str, ...] = (), optional: tuple[str, ...] = ()) -> Json:
    types: Json = {
        "entry": {"type": "string", "pattern": "^[0-9a-f]{32}$"},
        "number": {"type": "integer", "minimum": 1},
        "kind": _KIND,
        "display": {"type": "string", "enum": list(display)},
        "name": {"type": "string", "minLength": 1},
        "region": _CODE,
        "affiliation": _SLUG,
        "affiliation_name": {"type": "string", "minLength": 1},
        "charter": _SLUG,
        "signed": _DAY,
        "rev": {"type": "integer", "minimum": 1},
        "revision": _NUMBER,
        "ended": _DAY,
        "ended_by": {"type": "string", "enum": ["signatory", "centre"]},
    }
    properties = {name: types[name] | {"description": ENTRY_FIELDS[name]} for name in ENTRY_FIELDS if name in names}
    return _object(properties, optional=optional)


_NAMED = ("name", "affiliation", "affiliation_name")
_OF_ALL = ("entry", "number", "signed", "revision")
_OF_LIVE = (*_OF_ALL, "kind", "display", "region", "charter", "rev")

SCHEMAS: Json = {
    "Entry": {"oneOf": [_ref("ListedEntry"), _ref("UnlistedEntry"), _ref("EndedEntry")]},
    "ListedEntry": _entry_schema(
        *_OF_LIVE, *_NAMED, display=("full", "short"), optional=("affiliation", "affiliation_name")
    ),
    "UnlistedEntry": _entry_schema(*_OF_LIVE, display=("unlisted",)),
    "EndedEntry": _entry_schema(*_OF_ALL, "ended", "ended_by"),
    "AsOf": _object({"public_revision": _NUMBER, "at": {"type": "string", "format": "date-time"}}, optional=("at",)),
    "Count": _object({"number": _NUMBER, "is_exact": {"type": "boolean"}}),
    "EntryPage": _object(
        {
            "as_of": _ref("AsOf"),
            "count": _ref("Count"),
            "data": _list(_ref("Entry")),
            "next": _CURSOR,
            "previous": _CURSOR,
            "similar": _list({"type": "string"}),
        },
        optional=("next", "previous", "similar"),
    ),
    "ChangePage": _object(
        {
            "as_of": _ref("AsOf"),
            "since": _NUMBER,
            "data": _list(_ref("Entry")),
            "next": _CURSOR,
            "next_since": _NUMBER,
        },
        optional=("next", "next_since"),
        oneOf=[{"required": ["next"]}, {"required": ["next_since"]}],
    ),
    "Region": _object(
        {"region": _CODE, "slug": _SLUG, "name": _TEXTS, **_TOTALS, "by_kind": _BY_KIND},
    ),
    "Affiliation": _object(
        _of_affiliation := {
            "affiliation": _SLUG,
            "type": {"type": "string", "enum": ["party", "organisation", "mission"]},
            "name": _TEXTS,
            "abbr": _TEXTS,
            "merged_into": _SLUG,
            "listed": _NUMBER,
        },
        optional=("abbr", "merged_into"),
    ),
    "WholeAffiliation": _object(
        _of_affiliation
        | {
            "former_names": _list(
                _object({"name": _TEXTS, "until": {"type": "string", "pattern": "^[0-9]{4}-[0-9]{2}(-[0-9]{2})?$"}})
            ),
            "merged_from": _list(_SLUG),
            "by_region": _list(_object({"region": _CODE, "kind": _KIND, "listed": _NUMBER})),
        },
        optional=("abbr", "merged_into"),
    ),
    "Statistics": _object(
        {
            "totals": _object(_TOTALS),
            "by_kind": _BY_KIND,
            "by_region": _list(_object({"region": _CODE, **_TOTALS, "by_kind": _BY_KIND})),
            "by_week": _list(_object({"first": _DAY, "signed": _NUMBER, "by_kind": _BY_KIND})),
            "signing": _object(
                {"is_open": {"type": "boolean"}, "opens": _MOMENT, "closes": _MOMENT, "sentence": _TEXTS},
                optional=("opens", "closes", "sentence"),
            ),
        }
    ),
    "Edition": _object(
        {
            "charter": _SLUG,
            "is_current": {"type": "boolean"},
            "is_specimen": {"type": "boolean"},
            "is_material": {"type": "boolean"},
            "follows": _SLUG,
            "published": _DAY,
            "listed": _NUMBER,
            "texts": _list(
                _object(
                    {
                        "language": {"type": "string", "enum": list(LANGUAGES)},
                        "sha256": {"type": "string", "pattern": "^[0-9a-f]{64}$"},
                        "bytes": _NUMBER,
                        "url": {"type": "string", "format": "uri"},
                    }
                )
            ),
        },
        optional=("is_material", "follows"),
    ),
    "Problem": _object(
        {
            "type": {"type": "string", "format": "uri"},
            "title": {"type": "string"},
            "status": {"type": "integer", "minimum": 400, "maximum": 599},
            "detail": {"type": "string"},
            "parameter": {"type": "string"},
        },
        optional=("parameter",),
    ),
}


def envelope(data: Json) -> Json:
    """The schema of an answer that holds `data` as of a batch."""
    return _object({"as_of": _ref("AsOf"), "data": data})


def schema(name: str) -> Json:
    """A reference to one of the schemas."""
    return _ref(name)
