"""Languages: which one a page speaks, and how it writes words, dates and numbers; the only importer of Flask-Babel."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, datetime
from functools import lru_cache
from typing import Any

from babel import Locale, localedata
from babel.core import get_global
from babel.dates import format_date as babel_date
from babel.numbers import format_decimal
from flask import Flask, g, has_app_context, has_request_context, request
from flask_babel import (
    Babel,
    force_locale,
    get_domain,
    gettext,
    lazy_gettext,
    lazy_pgettext,
    ngettext,
    npgettext,
    pgettext,
)

from charter.domain.calendar import TIME_ZONE
from charter.domain.languages import DEFAULT, LANGUAGES

__all__ = [
    "DEFAULT",
    "LANGUAGES",
    "LANGUAGE_NAMES",
    "LANGUAGE_SHORT",
    "_",
    "current_language",
    "format_date",
    "format_datetime",
    "format_month",
    "format_number",
    "format_short",
    "format_time",
    "init_app",
    "lazy_gettext",
    "lazy_pgettext",
    "ngettext",
    "npgettext",
    "pgettext",
    "preferred_language",
    "speaking",
]

_ = gettext

#: Each language in its own words, for switches and for `lang` attributes.
LANGUAGE_NAMES = {"kk": "Қазақша", "ru": "Русский", "en": "English"}
LANGUAGE_SHORT = {"kk": "Қаз", "ru": "Рус", "en": "Eng"}

# CLDR writes a Kazakh date year first; people write the day first.
_DATE_PATTERNS = {"kk": "d\u00a0MMMM y\u00a0'ж.'", "ru": "d\u00a0MMMM y\u00a0'г.'", "en": "d\u00a0MMMM y"}
_MONTH_PATTERNS = {"kk": "LLLL\u00a0y\u00a0'ж.'", "ru": "LLLL\u00a0y\u00a0'г.'", "en": "LLLL\u00a0y"}

# Babel brings the names of all currencies, units, countries and time zones: 4 MB in each process, for a few months.
_NOT_SHOWN = (
    *("compact_currency_formats", "compact_decimal_formats", "compound_unit_patterns", "currency_names"),
    *("currency_names_plural", "currency_symbols", "currency_unit_patterns", "date_fields", "datetime_skeletons"),
    *("interval_formats", "languages", "meta_zones", "scripts", "territories", "time_zones", "unit_display_names"),
    *("unit_patterns", "variants"),
)
_NOT_ASKED = ("all_currencies", "likely_subtags", "territory_currencies", "territory_languages", "territory_zones")

babel = Babel()


@lru_cache(maxsize=len(LANGUAGES))
def _locale(language: str) -> Locale:
    """Its dates and numbers, without the rest; `load` and `get_global` return what all of Babel then uses."""
    for name in (language, "root"):
        for kind in _NOT_SHOWN:
            localedata.load(name).pop(kind, None)
    for kind in _NOT_ASKED:
        get_global(kind).clear()  # type: ignore[arg-type, attr-defined]
    return Locale(language)


def current_language() -> str:
    """The language of this request or mail: kk, ru or en."""
    # Asked for some hundred times a page; one look instead of two.
    language = g.get("lang") if has_app_context() else None
    return language if language in LANGUAGES else DEFAULT


def preferred_language() -> str:
    """What the browser asks for; Kazakh if nothing fits."""
    if not has_request_context():
        return DEFAULT
    return request.accept_languages.best_match(LANGUAGES) or DEFAULT


@contextmanager
def speaking(language: str) -> Iterator[None]:
    """Everything inside is in `language`: for mail, which is written where no page is."""
    before = g.get("lang")
    g.lang = language
    try:
        with force_locale(language):
            yield
    finally:
        g.lang = before


def format_date(day: date) -> str:
    """«22 қараша 2026 ж.», «22 ноября 2026 г.», "22 November 2026"; an instant is shown by its day in Astana."""
    if isinstance(day, datetime):
        day = day.astimezone(TIME_ZONE).date()
    return date_in(current_language(), day)


# A page of the registry writes fifty dates and fifty numbers: Babel needs longer for them than the database for the
# page. Signatures share their days; numbers are grouped by threes, as Babel does in all our languages.
@lru_cache(maxsize=4096)
def date_in(language: str, day: date) -> str:
    """`format_date` for who knows the language."""
    return babel_date(day, _DATE_PATTERNS[language], locale=_locale(language))


def number_in(language: str, number: int) -> str:
    """`format_number` for who knows the language."""
    return f"{number:,}".replace(",", _group_sign(language))


@lru_cache(maxsize=len(LANGUAGES))
def _group_sign(language: str) -> str:
    return str(format_decimal(1000, locale=_locale(language)))[1:-3].replace(" ", "\u00a0")


def format_day_or_month(text: str) -> str:
    """A day, YYYY-MM-DD, as `format_date`; a month, YYYY-MM: «қараша 2020 ж.», «ноябрь 2020 г.», "November 2020"."""
    if len(text) > len("YYYY-MM"):
        return format_date(date.fromisoformat(text))
    return format_month(date.fromisoformat(f"{text}-01"))


def format_month(day: date) -> str:
    """«қараша 2026 ж.», «ноябрь 2026 г.», "November 2026"."""
    language = current_language()
    return str(babel_date(day, _MONTH_PATTERNS[language], locale=_locale(language)))


def format_short(day: date, *, with_day: bool) -> str:
    """Where there is little room, without the year: «22 қар.», «22 нояб.», "22 Nov", or the month alone."""
    return str(babel_date(day, "d\u00a0MMM" if with_day else "LLL", locale=_locale(current_language())))


def format_datetime(instant: datetime) -> str:
    """Date, hour and minute in Astana, with the zone."""
    local = instant.astimezone(TIME_ZONE)
    offset = local.utcoffset()
    hours = 0 if offset is None else int(offset.total_seconds() // 3600)
    return f"{format_date(local)}, {local:%H:%M} (UTC{hours:+d})"


def format_time(instant: datetime) -> str:
    """Hour and minute in Astana, for what lasts minutes."""
    return f"{instant.astimezone(TIME_ZONE):%H:%M}"


def format_number(number: int) -> str:
    """Grouped as the language does, with a space that does not break."""
    return number_in(current_language(), number)


def init_app(app: Flask) -> None:
    """Catalogues, formats and languages for templates."""
    babel.init_app(app, locale_selector=current_language, default_locale=DEFAULT)
    app.jinja_env.globals.update(
        format_date=format_date,
        format_day_or_month=format_day_or_month,
        format_datetime=format_datetime,
        format_time=format_time,
        format_number=format_number,
        languages=[(code, LANGUAGE_SHORT[code], LANGUAGE_NAMES[code]) for code in LANGUAGES],
        language_names=LANGUAGE_NAMES,
    )
    # The library looks for the catalogue of a request at each word; templates know theirs by the language.
    app.jinja_env.install_gettext_callables(  # type: ignore[attr-defined]
        lambda word: _catalogue().ugettext(word),
        lambda one, many, count: _catalogue().ungettext(one, many, count),
        newstyle=True,
        pgettext=lambda context, word: _catalogue().upgettext(context, word),
        npgettext=lambda context, one, many, count: _catalogue().unpgettext(context, one, many, count),
    )


_catalogues: dict[str, Any] = {}


def _catalogue() -> Any:
    language = current_language()
    found = _catalogues.get(language)
    if found is None:
        with force_locale(language):
            found = _catalogues[language] = get_domain().get_translations()
    return found
