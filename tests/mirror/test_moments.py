"""What a page says about when is left out of account, and nothing else."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from flask import Flask

from charter.i18n import format_datetime, format_number, speaking
from charter.mirror.moments import Moments
from charter.queries.registry import AsOf

pytestmark = pytest.mark.parametrize("engine_name", ["sqlite"], indirect=True)

FIRST = AsOf(1247, datetime(2026, 11, 20, 9, 0, 2, tzinfo=UTC))
LATER = AsOf(1250, datetime(2026, 11, 21, 19, 30, 0, tzinfo=UTC))


def written(app: Flask, pattern: str, as_of: AsOf, lang: str = "en") -> bytes:
    with app.app_context(), speaking(lang):
        return pattern.format(
            moment=format_datetime(as_of.at), number=format_number(as_of.revision), iso=as_of.at.isoformat(), of=as_of
        ).encode()


@pytest.mark.parametrize("lang", ["kk", "ru", "en"])
@pytest.mark.parametrize(
    "pattern",
    [
        "<p>As of {moment}</p>",
        "<p>{moment} жағдайы бойынша, №{number} жариялау</p>",
        "<p>№{number} жариялау, {moment}</p>",
        '{{"public_revision":{of.revision},"as_of":"{iso}"}}',
        '{{"public_revision": {of.revision}}}',
    ],
)
def test_pages_that_differ_in_the_moment_alone_are_the_same(app: Flask, pattern: str, lang: str) -> None:
    moments = Moments(app)
    one, other = (moments.without(written(app, pattern, at, lang), at) for at in (FIRST, LATER))
    assert one == other


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("<p>As of {moment}</p><b>1</b>", "<p>As of {moment}</p><b>2</b>"),
        ("<p>{moment}</p><td>1247</td>", "<p>{moment}</p><td>1250</td>"),
        ("<td>1247</td>", "<td>1250</td>"),
        ("<p>{moment}</p> 20 November 2026", "<p>{moment}</p> 21 November 2026"),
    ],
)
def test_whatever_else_differs_counts(app: Flask, one: str, other: str) -> None:
    moments = Moments(app)
    assert moments.without(written(app, one, FIRST), FIRST) != moments.without(written(app, other, LATER), LATER)


def test_another_moment_than_the_batch_counts(app: Flask) -> None:
    page = written(app, "<p>{moment}</p>", AsOf(1, FIRST.at - timedelta(minutes=1)))
    assert Moments(app).without(page, FIRST) == page
