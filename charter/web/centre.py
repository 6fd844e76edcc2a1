"""The Centre's settings where pages need them: names for templates, days off for terms, whether signing is open."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date, datetime
from typing import cast

from flask import Flask, current_app, has_request_context

from charter import centre, shipped
from charter.centre import Known
from charter.domain.centre import Signing
from charter.queries import centre as queries
from charter.queries.centre import Centre
from charter.settings import Settings
from charter.web.kept import as_published, last_known

_KEY = "the Centre"


def published() -> Centre:
    """As the batch brought it out that this request sees."""
    return as_published(_KEY, make=queries.find_public)


def known() -> Known:
    """Who keeps the registry. Needs a request."""
    return centre.known_of(published().identity, _config())


def last() -> Known:
    """The same without a database, as this process knew it last."""
    found = cast("Centre | None", last_known(_KEY))
    return centre.known_of(None if found is None else found.identity, _config())


def signing() -> Signing:
    """When the Charter can be signed."""
    return published().signing


def closed_words(language: str, *, now: datetime) -> str | None:
    """Why nothing can be signed at this moment; None while it can. Empty where nothing was written."""
    found = signing()
    return None if found.is_open(now) else found.words(language)


def holidays() -> frozenset[date]:
    """Days on which nobody works, besides Saturdays and Sundays: for days to come by which an answer is due."""
    return queries.days_off(shipped.holidays())


def working_days() -> int:
    """By how many of them an answer is due."""
    return _config().answer_due_working_days


def is_nameless() -> bool:
    """Whether consent texts cannot name yet who keeps the registry: one row, for the desk."""
    who = centre.known_of(queries.find_public().identity, _config())
    return not (who.name and who.bin and who.contact)


def _config() -> Settings:
    config: Settings = current_app.config["CHARTER"]
    return config


class ShownSettings(Mapping[str, object]):
    """The settings that pages and mails may show; those of the Centre as staff have set them."""

    def __init__(self, values: Mapping[str, object]) -> None:
        self._values = values

    def __getitem__(self, name: str) -> object:
        if name.startswith("centre_"):
            who = known() if has_request_context() else centre.recent(_config())
            return getattr(who, name.removeprefix("centre_"))
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)


def init_app(app: Flask) -> None:
    """Lays the Centre's own settings over those of the file, for every template."""
    app.jinja_env.globals["is_nameless"] = is_nameless
    app.jinja_env.globals["settings"] = ShownSettings(cast("Mapping[str, object]", app.jinja_env.globals["settings"]))
