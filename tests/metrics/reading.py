"""What Prometheus would read: one scrape over a real connection, taken apart."""

from __future__ import annotations

import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from flask import Flask
from prometheus_client.parser import text_string_to_metric_families

from charter import metrics
from tests.conftest import MakeApp
from tests.service import free_port

Labels = tuple[tuple[str, str], ...]
Values = dict[tuple[str, Labels], float]


def fetch(port: int, path: str = "/metrics") -> str:
    """The text of one scrape."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as answer:
        text: str = answer.read().decode()
        return text


def values_of(text: str) -> Values:
    """Name and labels → value."""
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def value(values: Values, name: str, **labels: str) -> float:
    """One of them. Labels that are not named are summed over."""
    found = [
        amount
        for (one, has), amount in values.items()
        if one == f"charter_{name}" and labels.items() <= dict(has).items()
    ]
    assert found, f"no charter_{name} {labels}"
    return sum(found)


def names_of(text: str) -> set[str]:
    """Every name that could stand in an expression."""
    return {name for name, _labels in values_of(text)}


def until(found: Callable[[], bool], what: str, *, seconds: float = 20) -> None:
    """Waits for something that must come soon."""
    give_up = time.monotonic() + seconds
    while True:
        try:
            if found():
                return
        except OSError:
            pass
        assert time.monotonic() < give_up, what
        time.sleep(0.05)


@contextmanager
def watched(make_app: MakeApp, **given: str) -> Iterator[tuple[Flask, Callable[[], str]]]:
    """An application that counts, and what scrapes it."""
    port = free_port()
    app = make_app(metrics_port=str(port), **given)
    watcher = metrics.start(app, "web")
    assert watcher is not None
    try:
        until(lambda: bool(fetch(port)), "metrics are served")
        yield app, lambda: fetch(port)
    finally:
        watcher.stop()
