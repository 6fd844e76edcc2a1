"""Retention in the worker: each rule in two passes an hour apart, in small steps; what an operator is told of it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog

from charter import clock
from charter.domain.retention import PASSES_APART, RULES, Rule, Turn, turn
from charter.operations import retention
from charter.queries import retention as queries
from charter.queries import schema
from charter.settings import Settings

logger = structlog.get_logger()

#: How often a worker looks whether a term is over. Everything here takes days; an hour lies between the passes.
LOOK_SECONDS = 120.0


def keeps_for(rule: Rule, settings: Settings) -> timedelta:
    """How long the rule waits."""
    if rule.setting is None:
        return rule.keeps
    number: int = getattr(settings, rule.setting)
    return timedelta(hours=number) if rule.setting.endswith("_hours") else timedelta(days=number)


@dataclass(frozen=True)
class Line:
    """What one rule has to do. over: rows that are over their term now. noted: those that the first pass has seen."""

    rule: Rule
    over: int
    noted: int
    acts_at: datetime | None


def look(settings: Settings) -> Iterator[Line]:
    """The dry run: counts, and when the second pass may come. Changes nothing."""
    now = clock.now()
    passes = queries.passes()
    for rule in RULES:
        found = passes.get(rule.name)
        yield Line(
            rule,
            over=queries.count_over(rule.name, cutoff_at=now - keeps_for(rule, settings)),
            noted=0 if found is None else queries.count_over(rule.name, cutoff_at=found.cutoff_at),
            acts_at=None if found is None else found.noted_at + PASSES_APART,
        )


class Retention:
    """What one worker does about terms. Needs an application context in each step."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._next_look = 0.0
        self._acting: list[str] = []
        #: Somebody was erased, and whoever cleans the files has not heard of it yet.
        self.has_erased = False

    def clock_jumped(self) -> None:
        """What was noted may have been noted by a clock that was wrong."""
        retention.drop_notes()
        self._acting.clear()

    def step(self, *, at_once: bool = False) -> bool:
        """Does a little, if it is time; returns whether there is more to do now."""
        if not self._acting:
            if time.monotonic() < self._next_look and not at_once:
                return False
            self._next_look = time.monotonic() + LOOK_SECONDS
            self._acting = self._look()
            return bool(self._acting)
        rule = self._acting[-1]
        count = retention.act(rule, now=clock.now())
        if count:
            logger.info("retention", rule=rule, count=count)
            self.has_erased |= rule in {"unconfirmed", "declined", "corrections", "objections", "address-changes"}
        else:
            self._acting.pop()
        return bool(self._acting)

    def _look(self) -> list[str]:
        """First passes are made; returns the rules whose second pass has come."""
        now = clock.now()
        passes = queries.passes()
        found = [(rule, passes.get(rule.name)) for rule in RULES]
        turns = [(rule, turn(None if one is None else one.noted_at, now=now)) for rule, one in found]
        if any(one is Turn.DROP for _rule, one in turns):
            retention.drop_notes()
            return []
        for rule, one in turns:
            cutoff_at = now - keeps_for(rule, self._settings)
            if one is Turn.NOTE and not _is_off(rule, self._settings):
                is_over = queries.is_any_over(rule.name, cutoff_at=cutoff_at)
                schema.let_go()
                if is_over:
                    retention.note(rule.name, cutoff_at=cutoff_at, now=now)
        return [rule.name for rule, one in turns if one is Turn.ACT]


def _is_off(rule: Rule, settings: Settings) -> bool:
    """Zero switches a rule with a setting off."""
    return rule.setting is not None and not getattr(settings, rule.setting)
