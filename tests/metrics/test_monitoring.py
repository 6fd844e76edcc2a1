"""What `deploy/monitoring/` and the docs name is what the service tells: no alert waits for what never comes."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from time_machine import Traveller as Clock

from tests.conftest import MakeApp
from tests.metrics.reading import names_of, watched
from tests.people import Observer, work
from tests.service import ROOT

FOLDER = ROOT / "deploy" / "monitoring"
GUIDE = ROOT / "docs" / "operators.md"
NAME = re.compile(r"\bcharter_[a-z_]+[a-z]\b")
#: Prometheus makes these itself.
NOT_OURS = {"up"}
FUNCTIONS = {
    *("sum", "min", "max", "rate", "increase", "abs", "absent", "by", "histogram_quantile", "min_over_time", "topk"),
}

pytestmark = pytest.mark.parametrize("engine_name", ["sqlite"], indirect=True)


def alerts() -> list[dict[str, Any]]:
    """Every rule of every group."""
    groups = yaml.safe_load((FOLDER / "alerts.yml").read_text(encoding="utf-8"))["groups"]
    return [rule for group in groups for rule in group["rules"]]


def panels() -> list[dict[str, Any]]:
    """Everything that draws something."""
    dashboard = json.loads((FOLDER / "grafana-dashboard.json").read_text(encoding="utf-8"))
    return [panel for panel in dashboard["panels"] if panel["type"] != "row"]


def expressions() -> list[str]:
    """All that Prometheus would be asked."""
    drawn = [target["expr"] for panel in panels() for target in panel["targets"]]
    return [rule["expr"] for rule in alerts()] + drawn


def family(name: str) -> str:
    """A histogram is one metric under three names."""
    return re.sub(r"_(bucket|sum|count)$", "", name)


@pytest.fixture
def exposed(make_app: MakeApp, clock: Clock) -> set[str]:
    """Every name in a scrape of a service in which something happened."""
    with watched(make_app) as (app, scrape):
        Observer(app).sign_and_confirm()
        work(app)
        assert clock is not None
        return names_of(scrape())


def test_alerts_and_dashboard_name_only_what_is_there(exposed: set[str]) -> None:
    assert len(exposed) > 30
    for expression in expressions():
        named = set(NAME.findall(expression))
        assert named <= exposed, expression
        assert named or NOT_OURS & set(re.findall(r"\w+", expression)), expression


def test_whatever_is_there_is_drawn_and_explained(exposed: set[str]) -> None:
    ours = {family(name) for name in exposed if not name.endswith("_created")}
    drawn = {family(name) for panel in panels() for one in panel["targets"] for name in NAME.findall(one["expr"])}
    assert drawn == ours
    guide = GUIDE.read_text(encoding="utf-8").partition("## Metrics and alerts")[2].partition("\n## ")[0]
    rows = [line.split("|")[1] for line in guide.splitlines() if line.startswith("| `charter_")]
    assert {name for row in rows for name in re.findall(r"`(charter_\w+)`", row)} == ours


def test_expressions_are_whole_and_select_labels_that_exist(exposed: set[str]) -> None:
    for expression in expressions():
        assert exposed
        for opening, closing in ("()", "{}", "[]"):
            assert expression.count(opening) == expression.count(closing), expression
        bare = re.sub(r"\{[^}]*\}|\[[^]]*\]|\"[^\"]*\"", " ", expression)
        words = set(re.findall(r"[a-zA-Z_]\w*", bare)) - FUNCTIONS - NOT_OURS
        labels = {"le", "status", "endpoint", "process", "action", "code", "reason", "instance", "or", "e9", "e6"}
        assert {word for word in words if not NAME.fullmatch(word)} <= labels, expression
        for counted in re.findall(r"charter_\w+", expression):
            is_counter = counted.endswith(("_total", "_count", "_sum", "_bucket"))
            # Only what grows has a rate; and what grows says nothing without one.
            assert is_counter == bool(re.search(rf"(rate|increase)\({counted}", expression)), expression


def test_every_alert_says_what_to_do_and_where_it_is_explained(engine_name: str) -> None:
    assert engine_name
    headings = {
        re.sub(r"[^a-z0-9 -]", "", line.lstrip("# ").lower()).replace(" ", "-")
        for line in GUIDE.read_text(encoding="utf-8").splitlines()
        if line.startswith("#")
    }
    names = [rule["alert"] for rule in alerts()]
    assert len(names) == len(set(names)) >= 10
    for rule in alerts():
        assert rule["labels"]["severity"] in {"page", "ticket"}
        assert len(rule["annotations"]["summary"].split()) >= 12, rule["alert"]
        path, _, anchor = rule["annotations"]["runbook"].partition("#")
        assert (ROOT / path).is_file()
        assert anchor in headings


def test_the_tests_of_the_alerts_are_about_alerts_that_exist(engine_name: str) -> None:
    assert engine_name
    text = (FOLDER / "alerts.test.yml").read_text(encoding="utf-8")
    named = set(re.findall(r'alertname[:=] ?"?(\w+)', text))
    assert named
    assert named <= {rule["alert"] for rule in alerts()}
    assert yaml.safe_load(text)["rule_files"] == ["alerts.yml"]


def test_prometheus_is_pointed_at_the_rules_and_at_a_port_of_ours(engine_name: str) -> None:
    assert engine_name
    config = yaml.safe_load((FOLDER / "prometheus.yml").read_text(encoding="utf-8"))
    assert [Path(name) for name in config["rule_files"]] == [Path("alerts.yml")]
    (job,) = config["scrape_configs"]
    assert job["job_name"] == "charter"
    assert f'job="{job["job_name"]}"' in str([rule["expr"] for rule in alerts()])
    assert job["static_configs"] == [{"targets": ["127.0.0.1:9464"]}]
    assert "CHARTER_METRICS_PORT=9464" in GUIDE.read_text(encoding="utf-8")


def test_no_two_panels_lie_upon_each_other(engine_name: str) -> None:
    assert engine_name
    dashboard = json.loads((FOLDER / "grafana-dashboard.json").read_text(encoding="utf-8"))
    places: set[tuple[int, int]] = set()
    for panel in dashboard["panels"]:
        grid = panel["gridPos"]
        assert grid["x"] + grid["w"] <= 24
        covered = {
            (x, y) for x in range(grid["x"], grid["x"] + grid["w"]) for y in range(grid["y"], grid["y"] + grid["h"])
        }
        assert not covered & places, panel["title"]
        places |= covered
    assert len({panel["id"] for panel in dashboard["panels"]}) == len(dashboard["panels"])
