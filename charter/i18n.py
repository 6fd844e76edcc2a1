"""Languages: which one a page speaks, and how it writes words, dates and numbers; the only importer of Flask-Babel."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, datetime

from babel import Locale
from babel.dates import format_date as babel_date
from babel.numbers import format_decimal
from flask import Flask, g, has_app_context, has_request_context, request
from flask_babel import Babel, force_locale, gettext, lazy_gettext, lazy_pgettext, ngettext, npgettext, pgettext

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
    "format_number",
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

babel = Babel()


def current_language() -> str:
    """The language of this request or mail: kk, ru or en."""
    if has_app_context():
        language = g.get("lang")
        if language in LANGUAGES:
            return str(language)
    return DEFAULT


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
    language = current_language()
    if isinstance(day, datetime):
        day = day.astimezone(TIME_ZONE).date()
    return babel_date(day, _DATE_PATTERNS[language], locale=Locale(language))


def format_datetime(instant: datetime) -> str:
    """Date, hour and minute in Astana, with the zone."""
    local = instant.astimezone(TIME_ZONE)
    offset = local.utcoffset()
    hours = 0 if offset is None else int(offset.total_seconds() // 3600)
    return f"{format_date(local)}, {local:%H:%M} (UTC{hours:+d})"


def format_number(number: int) -> str:
    """Grouped as the language does, with a space that does not break."""
    return str(format_decimal(number, locale=Locale(current_language()))).replace(" ", "\u00a0")


def init_app(app: Flask) -> None:
    """Catalogues, formats and languages for templates."""
    babel.init_app(app, locale_selector=current_language, default_locale=DEFAULT)
    app.jinja_env.globals.update(
        format_date=format_date,
        format_datetime=format_datetime,
        format_number=format_number,
        languages=[(code, LANGUAGE_SHORT[code], LANGUAGE_NAMES[code]) for code in LANGUAGES],
        language_names=LANGUAGE_NAMES,
    )
