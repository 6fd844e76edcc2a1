"""Figures for everybody: statistics of signatures, and how the Centre answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from flask import Blueprint, Flask, g, render_template

from charter.domain import periods
from charter.domain.calendar import local_date
from charter.domain.periods import Period, Series
from charter.i18n import _, current_language, format_date, format_month, format_number, format_short
from charter.i18n import lazy_gettext as _l
from charter.queries import statistics
from charter.queries.registry import AsOf
from charter.queries.statistics import LogFigures
from charter.web import lists, plotting
from charter.web.headers import public_page
from charter.web.kept import as_published
from charter.web.plotting import Plot

blueprint = Blueprint("figures", __name__)

#: In the order of every legend.
KINDS = ("independent", "party", "international")
#: Waiting times beyond this share a bar.
MOST_DAYS = 30

#: The reasons that the log knows, as a reader of the figures meets them.
LOG_REASONS = {
    "duplicate": _l("The person had signed already"),
    "impersonation": _l("Signed in somebody else's name"),
    "not_consented": _l("The person named did not wish to sign"),
    "ineligible": _l("Not an observer, or younger than 18"),
    "unanswered": _l("A question was not answered"),
    "court_order": _l("A court's decision"),
    "abuse": _l("Not made in good faith"),
    "other": _l("Another reason"),
}


@dataclass(frozen=True)
class Course:
    """Signatures over time. step: week | month | quarter | year. most: the fullest period; None while there is none."""

    series: Series
    plot: Plot
    most: Period | None

    @property
    def step(self) -> str:
        """The length of one bar."""
        return self.series.step

    @property
    def since(self) -> date:
        """The first day."""
        return self.series.periods[0].first_on


@dataclass(frozen=True)
class Courses:
    """The last weeks, and everything in longer steps; whole: None where the weeks are everything."""

    weeks: Course
    whole: Course | None

    @property
    def all(self) -> tuple[Course, ...]:
        """One or both."""
        return (self.weeks,) if self.whole is None else (self.weeks, self.whole)


def courses(region_code: str | None = None) -> Courses | None:
    """Signatures over time, of a region or of all, in the page's language; None before the first publication.

    Kept for as long as nothing is published. For `templates/components/plots.html`.
    """
    as_of: AsOf | None = g.as_of
    if as_of is None:
        return None
    today = local_date(as_of.at)
    return as_published(
        "courses", region_code or "", current_language(), make=lambda: _courses(region_code, today=today)
    )


def _courses(region_code: str | None, *, today: date) -> Courses:
    since = periods.first_of_weeks(today=today)
    months = statistics.signatures_by_month(region_code)
    days = statistics.signatures_by_day(region_code, since=since)
    weeks = periods.weeks(days, today=today, is_older=any(month < since for month in months))
    whole = periods.whole(months, today=today)
    if whole is not None and whole.total() == weeks.total():
        # The weeks are everything.
        whole = None
    return Courses(_course(weeks), None if whole is None else _course(whole))


def _course(series: Series) -> Course:
    ended = series.periods
    rows: list[tuple[str | None, Sequence[int]]] = [(None, [one.total for one in ended])]
    rows += [(kind, [one.by_kind.get(kind, 0) for one in ended]) for kind in KINDS if series.total(kind)]
    most = max(ended, key=lambda one: one.total)
    plot = plotting.columns(
        # With one kind only its row would be the first one again.
        rows if len(rows) > 2 else rows[:1],
        words=[f"{period_words(series.step, one)}: {format_number(one.total)}" for one in ended],
        marks=[_mark(series.step, one) for one in ended],
    )
    return Course(series, plot, most if most.total else None)


def period_words(step: str, period: Period) -> str:
    """A week by its first day, a month, quarter or year by its name."""
    if step == periods.WEEK:
        return str(_("week from %(date)s", date=format_date(period.first_on)))
    if step == periods.MONTH:
        return format_month(period.first_on)
    if step == periods.QUARTER:
        return str(_("quarter from %(date)s", date=format_date(period.first_on)))
    return str(period.first_on.year)


def _mark(step: str, period: Period) -> tuple[str, str]:
    if step == periods.YEAR:
        return str(period.first_on.year), ""
    return format_short(period.first_on, with_day=step == periods.WEEK), str(period.first_on.year)


@blueprint.get("/<lang:lang>/statistics/")
@public_page()
def statistics_page() -> str:
    """Signatures by week, by kind of observer and by region."""
    regions = lists.regions()
    return render_template(
        "figures/statistics_page.html",
        as_of=g.as_of,
        courses=courses(),
        totals=regions.totals,
        regions=[(view, regions.by_region[view.code]) for view in regions.views],
        period_words=period_words,
    )


@blueprint.get("/<lang:lang>/transparency/")
@public_page()
def transparency() -> str:
    """How many applications, how they were answered, and how long that took: as the log says."""
    figures = as_published("log figures", make=statistics.find_log_figures)
    return render_template(
        "figures/transparency.html",
        as_of=g.as_of,
        figures=figures,
        plot=None if figures is None or not figures.answers.answered else _waiting_plot(figures),
        reasons=LOG_REASONS,
    )


def _waiting_plot(figures: LogFigures) -> Plot:
    """How many were answered after so many days."""
    found = dict(figures.days)
    beyond = sum(count for days, count in figures.days if days > MOST_DAYS)
    longest = max(max(found), 7) if not beyond else MOST_DAYS
    numbers = [found.get(days, 0) for days in range(longest + 1)]
    names = [format_number(days) for days in range(longest + 1)]
    if beyond:
        numbers.append(beyond)
        names.append(f">\u00a0{MOST_DAYS}")
    words = [f"{name}: {format_number(number)}" for name, number in zip(names, numbers, strict=True)]
    return plotting.columns([(None, numbers)], words=words, marks=[(name, "") for name in names])


def init_app(app: Flask) -> None:
    """Registers the room."""
    app.register_blueprint(blueprint)
