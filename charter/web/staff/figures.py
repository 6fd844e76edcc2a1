"""Figures of the desk: what waits and since when, what was decided and how fast, mail, and what is under way."""

from __future__ import annotations

from flask import current_app, render_template

from charter import clock
from charter.domain.calendar import TIME_ZONE, local_date
from charter.domain.duties import Right
from charter.i18n import current_language, format_date, format_datetime, format_number, format_short
from charter.queries import desk_figures as queries
from charter.queries import holding
from charter.queries import outbox as outbox_queries
from charter.queries.desk_figures import Decided, MailFigures
from charter.settings import Settings
from charter.web import plotting
from charter.web.gates import current_staff, duty
from charter.web.plotting import Plot
from charter.web.staff.desk import blueprint


@blueprint.get("/figures/")
@duty(Right.FIGURES)
def figures() -> str:
    """All of them on one page: a constant number of questions, each over a bounded number of rows."""
    settings: Settings = current_app.config["CHARTER"]
    now = clock.now()
    today, language, regions = local_date(now), current_language(), current_staff().regions
    # How much is done elsewhere is nothing for a reviewer of some regions.
    of = None if regions is None else current_staff().id
    waiting = queries.waiting(language, today=today, regions=regions)
    decided = queries.decided(language, today=today, regions=regions)
    mail = queries.mail_figures(now=now)
    return render_template(
        "staff/figures.html",
        section="figures",
        waiting=waiting,
        decided=decided,
        expected_on=queries.expected_on(waiting, decided, now=now),
        is_limited=regions is not None,
        mail=mail,
        health=outbox_queries.mail_health(now=now),
        flow=outbox_queries.mail_flow(budget=settings.mail_hourly_budget, now=now),
        most_counted=queries.MOST_COUNTED,
        decided_plot=_decided_plot(decided),
        mail_plot=_mail_plot(mail),
        held=holding.groups("reason", regions),
        imports=queries.imports_under_way(of=of),
        sweeps=queries.sweeps_under_way(of=of),
        actions=queries.ACTIONS,
    )


def _decided_plot(decided: Decided) -> Plot | None:
    """Everything that was decided, and each action by itself beneath."""
    totals = [sum(by_action.values()) for _day, by_action in decided.days]
    if not any(totals):
        return None
    rows: list[tuple[str | None, list[int]]] = [(None, totals)]
    rows += [
        (action, [by_action.get(action, 0) for _day, by_action in decided.days])
        for action in queries.ACTIONS
        if decided.total(action)
    ]
    return plotting.columns(
        # With one action only its row would be the first one again.
        rows if len(rows) > 2 else rows[:1],
        words=[
            f"{format_date(day)}: {format_number(total)}" for (day, _), total in zip(decided.days, totals, strict=True)
        ],
        marks=[(format_short(day, with_day=True), str(day.year)) for day, _by_action in decided.days],
    )


def _mail_plot(mail: MailFigures) -> Plot | None:
    numbers = [number for _hour, number in mail.sent]
    if not any(numbers):
        return None
    return plotting.columns(
        [(None, numbers)],
        words=[f"{format_datetime(hour)}: {format_number(number)}" for hour, number in mail.sent],
        marks=[(f"{hour.astimezone(TIME_ZONE):%H}", "") for hour, _number in mail.sent],
    )
