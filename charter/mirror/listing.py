"""What there is to be mirrored: the names in addresses, every address with its file, and files that never change."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

from flask import Flask, url_for

from charter.domain.calendar import local_date
from charter.domain.selection import Selection
from charter.mirror.addresses import ADDRESSES, BY_ENTRY, BY_LOG, Mirrored, World, file_of, languages_of
from charter.mirror.errors import MirrorError
from charter.queries import affiliations, registry, search
from charter.web.mirrored import FLAG


def public_day() -> date:
    """The day in Asia/Almaty of the newest batch: what the pages show is valid then."""
    as_of = registry.find_as_of()
    if as_of is None:
        raise MirrorError("Nothing has been published yet: there is nothing to mirror.")
    return local_date(as_of.at)


def find_world() -> World:
    """As the database has it now. Needs an application context."""
    rows, _, _ = search.find_rows(Selection(), size=1)
    day = public_day()
    return World(
        regions=tuple(sorted(one.slug for one in registry.regions_with_totals("en", on=day)[0])),
        affiliations=tuple(sorted(one.slug for one in affiliations.affiliations("en", on=day))),
        editions=tuple(sorted(one.slug for one in registry.editions())),
        highest=rows[0].number if rows else 0,
    )


def ever_published() -> int:
    """Entries that ever had a number."""
    return registry.regions_with_totals("en", on=public_day())[2].signed


def listed(app: Flask, world: World) -> Iterator[tuple[str, str, Mirrored]]:
    """Every address with its file, except of entries, of blocks of numbers, of the log, and files under /static/."""
    for endpoint, rule in ADDRESSES.items():
        if not isinstance(rule, Mirrored) or rule.looked_at in {BY_ENTRY, BY_LOG}:
            continue
        for found in app.url_map.iter_rules(endpoint) if endpoint in app.view_functions else ():
            for language in languages_of(found.arguments):
                yield from _addresses_of(app, endpoint, rule, world, language)


def _addresses_of(
    app: Flask, endpoint: str, rule: Mirrored, world: World, language: str | None
) -> list[tuple[str, str, Mirrored]]:
    spoken: dict[str, Any] = {} if language is None else {"lang": language}
    found = []
    # Not yielded from inside: whoever takes them asks for pages, each in a context of its own.
    with app.test_request_context("/", environ_overrides={FLAG: {}}):
        for values in rule.each(world):
            path = url_for(endpoint, **values, **spoken)
            for query in rule.queries(world):
                place = rule.path(path, dict(query))
                if place is not None:
                    found.append((url_for(endpoint, **values, **spoken, **query), file_of(place), rule))
    return found


def static_files(app: Flask) -> list[str]:
    """The addresses of style sheets, scripts, fonts and pictures of this build."""
    folder = Path(app.root_path) / "static"
    address = app.jinja_env.globals["static_url"]
    assert callable(address)
    return sorted(address(one.relative_to(folder).as_posix()) for one in folder.rglob("*") if one.is_file())


def data_files(app: Flask) -> dict[str, str]:
    """The addresses of the whole registry as files, by their endpoints' names."""
    found = {}
    with app.test_request_context("/"):
        for name in ("csv", "json_lines"):
            if f"takeaway.{name}" in app.view_functions:
                found[name] = url_for(f"takeaway.{name}")
    return found
