"""Dates and numbers are those of the whole of Babel, of which a process keeps a part."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import date

import pytest
from flask import Flask, g

from charter import i18n

DAYS = [date(2026, month, 30 - 2 * (month == 2)) for month in range(1, 13)]
#: In a process of its own, which nobody has taken anything from.
WHOLE = """
import json, sys
from datetime import date
from babel import Locale
from babel.dates import format_date
from babel.numbers import format_decimal

language, patterns, days = json.load(sys.stdin)
locale = Locale(language)
written = [[format_date(date.fromisoformat(day), pattern, locale=locale) for pattern in patterns] for day in days]
print(json.dumps([written, format_decimal(1234567, locale=locale)]))
"""


@pytest.mark.parametrize("language", i18n.LANGUAGES)
def test_dates_and_numbers_are_written_as_the_whole_of_babel_writes_them(app: Flask, language: str) -> None:
    patterns = [i18n._DATE_PATTERNS[language], i18n._MONTH_PATTERNS[language], "d\u00a0MMM", "LLL"]
    asked = json.dumps([language, patterns, [day.isoformat() for day in DAYS]])
    done = subprocess.run([sys.executable, "-c", WHOLE], input=asked, capture_output=True, text=True, check=True)
    dates, number = json.loads(done.stdout)
    with app.app_context():
        g.lang = language
        written = [
            [
                i18n.format_date(day),
                i18n.format_month(day),
                i18n.format_short(day, with_day=True),
                i18n.format_short(day, with_day=False),
            ]
            for day in DAYS
        ]
        assert written == dates
        # Our space does not break; nor does Babel's, where it knows.
        assert i18n.format_number(1234567) == number.replace(" ", "\u00a0")


def test_what_no_page_shows_of_babel_is_not_kept(app: Flask) -> None:
    from babel import localedata
    from babel.core import get_global

    with app.app_context():
        for language in i18n.LANGUAGES:
            i18n.date_in(language, DAYS[0])
            i18n.number_in(language, 1000)
            i18n._locale(language)
            assert "months" in localedata.load(language)
            assert not set(i18n._NOT_SHOWN) & set(localedata.load(language))
        assert not get_global("likely_subtags")
