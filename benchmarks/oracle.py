"""Whether the time that signing takes tells who has signed before."""

from __future__ import annotations

import math
import random
import re
import time
from collections.abc import Sequence
from http.client import HTTPConnection
from typing import Any

from benchmarks import applicants, published
from benchmarks.bench import Bench, Line, mean
from benchmarks.installation import ENGINES, Installation
from benchmarks.processes import BrokenRunError, serving

TITLE = "What signing tells by its time"
MOST_AUC = 0.55
TEXT = """\
Whether somebody who only holds a stopwatch can find out who has signed. One client on this machine, where nothing
blurs what it measures, sends the form again and again over one connection: in random order the names and addresses of
people who stand in the registry, and others, made in the same way, of people who never signed. For each it notes how
long the POST took and how long the page after it. On one half a classifier learns to tell the two apart (logistic, on
the logarithms of both times and their squares, or a plain threshold on either time, whichever learns best); the other
half, which it has not seen, is what it is marked on: AUC 0.5 is guessing, 1 is knowing. With 500 and 500 to be marked,
guessing itself scatters by 0.018. One web process, no worker: nothing else is going on that could hide a difference."""

Sample = tuple[float, float]


def measure(bench: Bench) -> dict[str, Any]:
    """Each run signs for people of its own."""
    count, runs = bench.pick((100, 1), (500, 5), (500, 5))
    people = bench.pick(5_000, 20_000, 100_000)
    figures: dict[str, Any] = {"count": count, "runs": runs, "people": people}
    for engine in ENGINES:
        with bench.installation(engine) as made:
            published.add(made, people)
            with serving(made, workers=1, log_level="error") as web:
                asker = _Asker(made, web.port, people, random.Random(7))
                asker.measure(count)  # statements are put together, templates compiled
                auc = []
                for _ in range(runs):
                    learnt, marked = asker.measure(count), asker.measure(count)
                    auc.append(round(_best(learnt, marked), 3))
                    bench.say(f"{engine}: {auc[-1]}")
                bench.weigh(engine, web)
            figures[engine] = {"auc": auc, "post_ms": round(asker.middle_ms(), 2)}
    return figures


class _Asker:
    """Signs, in the name of those who have and of those who have not."""

    def __init__(self, made: Installation, port: int, people: int, dice: random.Random) -> None:
        self._dice = dice
        # Numbers of as many digits, so that no form is longer than another.
        self._known = dice.sample(range(people // 2, people + 1), people // 2)
        self._strangers = dice.sample(range(people + 1, people + people // 2), people // 2 - 1)
        self._template = applicants.templates([])[0]
        self._connection = HTTPConnection("127.0.0.1", port, timeout=30)
        self._cookie = ""
        page, cookie = self._ask("GET", "/en/sign/")
        self._cookie = cookie.partition(";")[0]
        found = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', page)
        if not found:
            raise BrokenRunError("No form to fill in.")
        self._token = found[1]
        self._times: list[float] = []

    def measure(self, count: int) -> tuple[list[Sample], list[Sample]]:
        """`count` of each, in random order: (those who have signed, those who have not)."""
        told: tuple[list[Sample], list[Sample]] = ([], [])
        order = [0] * count + [1] * count
        self._dice.shuffle(order)
        for which in order:
            number = (self._strangers if which else self._known).pop()
            body = applicants.form_body(self._template, number, "bulk", self._token)
            began = time.perf_counter()
            self._ask("POST", "/en/sign/", body)
            between = time.perf_counter()
            self._ask("GET", "/en/sign/check-mail/")
            told[which].append((between - began, time.perf_counter() - between))
            self._times.append(between - began)
        return told

    def middle_ms(self) -> float:
        """The median time of a POST."""
        return sorted(self._times)[len(self._times) // 2] * 1000

    def _ask(self, method: str, path: str, body: bytes = b"") -> tuple[str, str]:
        headers = {"Content-Type": "application/x-www-form-urlencoded"} if body else {}
        self._connection.request(
            method, path, body or None, headers | ({"Cookie": self._cookie} if self._cookie else {})
        )
        answer = self._connection.getresponse()
        text = answer.read().decode()
        if answer.status != (303 if method == "POST" else 200):
            raise BrokenRunError(f"{method} {path}: status {answer.status}.")
        return text, answer.getheader("Set-Cookie") or ""


# ── telling them apart ───────────────────────────────────────────────────────────────────────────────────────────────


def _best(learnt: tuple[list[Sample], list[Sample]], marked: tuple[list[Sample], list[Sample]]) -> float:
    """AUC on what is marked, of the way of the three that did best on what it was learnt on."""
    found = []
    for place in (0, 1):
        of = [[sample[place] for sample in side] for side in (*learnt, *marked)]
        on_learnt, on_marked = auc(of[0], of[1]), auc(of[2], of[3])
        # Which side is the slower is learnt too.
        found.append((on_learnt, on_marked) if on_learnt >= 0.5 else (1 - on_learnt, 1 - on_marked))
    weights, scale = _learn(*learnt)
    scores = [[_score(weights, _features(one, scale)) for one in side] for side in (*learnt, *marked)]
    found.append((auc(scores[0], scores[1]), auc(scores[2], scores[3])))
    return max(found)[1]


def auc(positive: Sequence[float], negative: Sequence[float]) -> float:
    """How often one of `positive` is above one of `negative`; equal ones count half."""
    order = sorted([(value, 1) for value in positive] + [(value, 0) for value in negative])
    ranks, place = 0.0, 0
    while place < len(order):
        end = place
        while end < len(order) and order[end][0] == order[place][0]:
            end += 1
        ranks += sum(which for _, which in order[place:end]) * (place + 1 + end) / 2
        place = end
    return (ranks - len(positive) * (len(positive) + 1) / 2) / (len(positive) * len(negative))


def _features(sample: Sample, scale: list[tuple[float, float]]) -> list[float]:
    logs = [(math.log(value) - middle) / width for value, (middle, width) in zip(sample, scale, strict=True)]
    # What stands far out, a pause of the machine, must not outweigh all the rest.
    logs = [max(-3.0, min(3.0, value)) for value in logs]
    return [1.0, *logs, *(value * value for value in logs), logs[0] * logs[1]]


def _score(weights: list[float], features: list[float]) -> float:
    return sum(weight * value for weight, value in zip(weights, features, strict=True))


def _learn(positive: list[Sample], negative: list[Sample]) -> tuple[list[float], list[tuple[float, float]]]:
    """Logistic regression by gradient descent: weights, and middle and width of each logarithm."""
    scale = []
    for place in (0, 1):
        logs = [math.log(sample[place]) for sample in (*positive, *negative)]
        middle = mean(logs)
        scale.append((middle, math.sqrt(mean([(value - middle) ** 2 for value in logs])) or 1.0))
    rows = [(_features(sample, scale), 1.0) for sample in positive]
    rows += [(_features(sample, scale), 0.0) for sample in negative]
    weights = [0.0] * len(rows[0][0])
    for _ in range(300):
        slopes = [0.0] * len(weights)
        for features, right in rows:
            wrong = right - 1 / (1 + math.exp(-_score(weights, features)))
            for place, value in enumerate(features):
                slopes[place] += wrong * value
        weights = [weight + slope / len(rows) for weight, slope in zip(weights, slopes, strict=True)]
    return weights, scale


def lines(figures: dict[str, Any], baselines: dict[str, float]) -> list[Line]:
    """The rows of the report."""
    worst = {engine: max(figures[engine]["auc"]) for engine in ENGINES}
    return [
        Line(
            f"highest AUC of {figures['runs']} runs, {figures['count']} + {figures['count']} marked in each",
            {engine: f"{worst[engine]:.3f}" for engine in ENGINES},
            "at most 0.55",
            max(worst.values()) <= MOST_AUC,
        ),
        Line("each run", {engine: ", ".join(f"{one:.3f}" for one in figures[engine]["auc"]) for engine in ENGINES}),
        Line("a POST, median", {engine: f"{figures[engine]['post_ms']} ms" for engine in ENGINES}),
    ]
