"""The demonstration: any number of made-up signatories whose lives were played through the real operations."""

from __future__ import annotations

import secrets
import sys
import time
from datetime import datetime, timedelta
from itertools import zip_longest
from random import Random

from flask import Flask

from charter import clock, shipped
from charter.demo.affiliations import Offer
from charter.demo.database import date_edition, hasty_disk
from charter.demo.people import Crowd
from charter.demo.plan import Act, Days, Plan, Terms
from charter.demo.stage import Stage
from charter.demo.stories import make_plan
from charter.domain.calendar import local_date
from charter.operations import staff
from charter.queries import registry
from charter.queries import signing as signing_queries
from charter.settings import Settings

#: When, in an hour, the worker does its round: after every act of it and the time for undoing.
ROUND = timedelta(minutes=59, seconds=30)
REVIEWER = "Demo reviewer"
REVIEWER_EMAIL = "demo-reviewer@example.org"


def load(app: Flask, count: int, *, now: datetime | None = None) -> None:
    """Adds `count` signatures to a prepared database on which nothing was published yet.

    now: the present moment, up to which the story goes. The same count on the same day (Asia/Almaty) gives the same
    people with the same fate; only entry addresses, salts and links differ. The newest mail is left for the worker.
    Raises RuntimeError on a database in use.
    """
    settings: Settings = app.config["CHARTER"]
    with app.app_context():
        if registry.find_as_of() is not None:
            raise RuntimeError("a demonstration is made on an empty database only")
        terms = _terms(settings)
        days = Days(now or clock.now(), terms)
        plan = _plan(count, days, terms)
        with hasty_disk():
            _play(plan, days, settings)


def _terms(settings: Settings) -> Terms:
    return Terms(
        answer_due_working_days=settings.answer_due_working_days,
        confirm_link_days=settings.confirm_link_days,
        code_minutes=settings.code_minutes,
        people_per_mailbox=settings.people_per_mailbox,
        undo_seconds=settings.undo_seconds,
        holidays=shipped.holidays(),
    )


def _plan(count: int, days: Days, terms: Terms) -> Plan:
    dice = Random(f"demonstration of {count}")  # noqa: S311 - the same for everybody is what is wanted
    by_type: dict[str, list[str]] = {"party": [], "organisation": [], "mission": []}
    today = local_date(clock.now())
    choosable = {choice.slug for choice in signing_queries.affiliation_choices("en", on=today)}
    for one in shipped.affiliations():
        if one.slug in choosable:
            by_type[one.type].append(one.slug)
    offer = Offer(tuple(by_type["party"]), tuple(by_type["organisation"]), tuple(by_type["mission"]))
    crowd = Crowd(dice, region_codes=[region.code for region in registry.regions("en", on=today)], offer=offer)
    return make_plan(dice, crowd, count, days=days, terms=terms)


def _play(plan: Plan, days: Days, settings: Settings) -> None:
    opened_at = days.at(days.opened_on, 0, 0, 0)
    date_edition(loaded_at=opened_at)
    staff_id = staff.invite(
        # The link of this invitation was never given to anybody, and has ended.
        REVIEWER,
        email=REVIEWER_EMAIL,
        language="kk",
        digest=secrets.token_bytes(32),
        expires_at=opened_at,
        now=opened_at,
    )
    stage = Stage(plan, settings=settings, staff_id=staff_id)
    progress = _Progress(len(plan.past) + len(plan.last))
    stage.publish_and_deliver(now=opened_at, is_last_today=True)
    for act, following in zip_longest(plan.past, plan.past[1:]):
        stage.play(act)
        progress.step()
        hour, next_hour = _hour_of(act), None if following is None else _hour_of(following)
        if next_hour != hour:
            is_last = next_hour is None or local_date(next_hour) != local_date(hour)
            stage.publish_and_deliver(now=hour + ROUND, is_last_today=is_last)
    for act in plan.last:
        stage.play(act)
        progress.step()
    progress.end(len(plan.people))


def _hour_of(act: Act) -> datetime:
    return act.at.replace(minute=0, second=0, microsecond=0)


class _Progress:
    """One line on standard error; only its end where nobody watches."""

    SECONDS = 0.2

    def __init__(self, total: int) -> None:
        self._total = total
        self._done = 0
        self._began = time.monotonic()
        self._said = self._began

    def step(self) -> None:
        self._done += 1
        if sys.stderr.isatty() and time.monotonic() - self._said > self.SECONDS:
            self._said = time.monotonic()
            print(f"\r{self._done * 100 // self._total} %", end="", file=sys.stderr, flush=True)

    def end(self, count: int) -> None:
        seconds = time.monotonic() - self._began
        start = "\r" if sys.stderr.isatty() else ""
        print(f"{start}{count:,} signatories made in {seconds:.0f} s.", file=sys.stderr, flush=True)
