"""The figures of the log, counted anew from its leaves in another way than the service counts them."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any

from charter.domain.calendar import TIME_ZONE


@dataclass
class Story:
    """What the log says of one application."""

    confirmed_on: date
    due_on: date
    kinds: list[tuple[str, date, str]] = field(default_factory=list)  # (kind, day, reason)

    @property
    def answer(self) -> tuple[str, date, str] | None:
        return next((one for one in self.kinds if one[0] in {"publish", "refuse"}), None)

    @property
    def is_waiting(self) -> bool:
        return not self.kinds


@dataclass
class Recount:
    """stories: by entry. leaf_count: of all leaves."""

    stories: dict[str, Story]
    leaf_count: int

    def answers(self, *kinds: str) -> list[tuple[Story, tuple[str, date, str]]]:
        return [(one, one.answer) for one in self.stories.values() if one.answer and one.answer[0] in kinds]

    def days(self, *kinds: str) -> list[int]:
        """How long each answer took, shortest first."""
        return sorted((on - story.confirmed_on) // timedelta(days=1) for story, (_, on, _) in self.answers(*kinds))

    def late(self, *kinds: str) -> int:
        return sum(on > story.due_on for story, (_, on, _) in self.answers(*kinds))

    def reasons(self) -> Counter[str]:
        return Counter(reason for _, (_, _, reason) in self.answers("refuse"))

    def withdrawn(self, *, published: bool) -> int:
        return sum(
            any(kind == "withdraw" for kind, _, _ in story.kinds) and (story.answer is not None) == published
            for story in self.stories.values()
        )

    def waiting(self) -> list[Story]:
        return [story for story in self.stories.values() if story.is_waiting]


def nearest_rank(percent: int, ordered: list[int]) -> int | None:
    """The textbook's percentile."""
    return ordered[-(-percent * len(ordered) // 100) - 1] if ordered else None


def recount(leaves: Iterable[bytes]) -> Recount:
    """From the bytes of the log alone."""
    told: list[dict[str, Any]] = [json.loads(data) for data in leaves]
    stories: dict[str, Story] = {}
    for one in told:
        day = datetime.fromisoformat(one["t"]).astimezone(TIME_ZONE).date()
        if one["kind"] == "confirm":
            stories[one["entry"]] = Story(day, date.fromisoformat(one["due"]))
        elif one["kind"] in {"publish", "refuse", "withdraw"}:
            stories[one["entry"]].kinds.append((one["kind"], day, one.get("reason", "")))
    return Recount(stories, len(told))


def check_figures(rows: dict[str, list[dict[str, Any]]]) -> None:
    """Every counter of a dumped database against its own leaves."""
    counted = recount(row["data"] for row in rows["log_leaf"])
    (total,) = rows["log_total"]
    waiting = counted.waiting()
    assert total["leaf_count"] == counted.leaf_count
    assert total["applications"] == len(counted.stories)
    assert total["withdrawn_waiting"] == counted.withdrawn(published=False)
    assert total["withdrawn_published"] == counted.withdrawn(published=True)
    assert {row["entry"]: (row["confirmed_on"], row["due_on"]) for row in rows["waiting_application"]} == {
        entry: (story.confirmed_on, story.due_on) for entry, story in counted.stories.items() if story.is_waiting
    }
    assert {row["due_on"]: row["waiting"] for row in rows["due_count"] if row["waiting"]} == Counter(
        story.due_on for story in waiting
    )
    found: Counter[tuple[str, str, int, bool]] = Counter()
    for row in rows["answer_count"]:
        found[row["outcome"], row["reason"], row["days"], True] += row["late"]
        found[row["outcome"], row["reason"], row["days"], False] += row["answered"] - row["late"]
    assert +found == Counter(
        (kind, reason, (on - story.confirmed_on).days, on > story.due_on)
        for story, (kind, on, reason) in counted.answers("publish", "refuse")
    )
    if total["counted_on"] is not None:
        assert total["waiting"] == len(waiting)
        assert total["overdue"] == sum(story.due_on < total["counted_on"] for story in waiting)
