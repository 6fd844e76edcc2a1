"""Keeps results as JSON and makes the report of them, so that one part can be measured anew."""

from __future__ import annotations

import json
from pathlib import Path
from types import ModuleType
from typing import Any

from benchmarks.bench import Line, number
from benchmarks.installation import ENGINE_NAMES, ENGINES

FOLDER = Path(__file__).resolve().parent
RESULTS = FOLDER / "results.json"
REPORT = FOLDER / "README.md"

HEAD = """\
# Measurements

Made by `python3 dev.py bench` on the machine named below; written from `results.json`, do not edit. `python3 dev.py
bench sign` measures one part anew, `--quick` tries everything with small sizes in some minutes (its results are
thrown away unless `--keep` is given), `--full` takes the largest sizes. Every process runs on this machine, the load
client and PostgreSQL too, so they share its cores. Absolute figures hold for this machine and hour only: compare with
what the same minutes gave for the raw disk, for bare Flask behind the same server and for bare commits, which stand
below each table.
"""


def read() -> dict[str, Any]:
    """What was measured so far: name → record."""
    if not RESULTS.exists():
        return {}
    found: dict[str, Any] = json.loads(RESULTS.read_text(encoding="utf-8"))
    return found


def write(records: dict[str, Any]) -> None:
    """Keeps the records."""
    RESULTS.write_text(json.dumps(records, indent=1, ensure_ascii=False, sort_keys=True) + "\n", encoding="utf-8")


def render(records: dict[str, Any], modules: dict[str, ModuleType]) -> str:
    """The whole report. modules: name → what measures it, in the order of the report."""
    known = [name for name in modules if name in records]
    parts = [HEAD]
    newest = max((records[name] for name in known), key=lambda record: record["at"], default=None)
    if newest:
        parts.append(_table(["", ""], [[name, value] for name, value in newest["machine"].items()]))
        parts.append(_summary(records, modules))
    for name in known:
        record, module = records[name], modules[name]
        parts.append(
            f"## {module.TITLE}\n\n{module.TEXT}\n\n{_figures(module.lines(record['figures'], record['baselines']))}"
        )
        parts.append(_circumstances(record, newest["machine"] if newest else {}))
        if name == "memory":
            parts.append(_weights(records, modules))
    missing = [modules[name].TITLE for name in modules if name not in records]
    if missing:
        parts.append(f"Not measured yet: {', '.join(missing)}.\n")
    return "\n".join(parts)


def _summary(records: dict[str, Any], modules: dict[str, ModuleType]) -> str:
    rows = []
    for name, module in modules.items():
        if name not in records:
            continue
        for line in module.lines(records[name]["figures"], records[name]["baselines"]):
            if line.target:
                rows.append([f"{module.TITLE}: {line.what}", line.target, *_values(line), _mark(line)])
    return "## In short\n\n" + _table(["", "target", *ENGINE_NAMES.values(), ""], rows)


def _weights(records: dict[str, Any], modules: dict[str, ModuleType]) -> str:
    """The heaviest process of each kind at the end of each measurement."""
    rows = []
    for name, module in modules.items():
        weights = records.get(name, {}).get("weights", {})
        cells = [
            _megabytes(weights.get(engine, {}).get(kind))
            for kind in ("web", "worker", "web master")
            for engine in ENGINES
        ]
        if any(cells):
            rows.append([module.TITLE, *cells])
    kinds = ("web process", "worker", "web server")
    head = [f"{kind}, {ENGINE_NAMES[engine]}" for kind in kinds for engine in ENGINES]
    return "The heaviest process of each kind at the end of each measurement, RSS in MB:\n\n" + _table(
        ["", *head], rows
    )


def _megabytes(weight: dict[str, int] | None) -> str:
    return "" if weight is None else f"{weight['rss_bytes'] / 1e6:.0f}"


def _figures(lines: list[Line]) -> str:
    rows = [[line.what, *_values(line), line.target, _mark(line)] for line in lines]
    return _table(["", *ENGINE_NAMES.values(), "target", ""], rows)


def _values(line: Line) -> list[str]:
    return [line.values.get(engine, "") for engine in ENGINES]


def _mark(line: Line) -> str:
    return {True: "met", False: "**not met**", None: ""}[line.is_met]


def _circumstances(record: dict[str, Any], common: dict[str, str]) -> str:
    raw = record["baselines"]
    words = [
        f"Measured {record['at'][:16].replace('T', ' ')} UTC, sizes: {record['mode']},",
        f"{record['seconds']:,.0f} s in all.",
        f"In the same minutes: fdatasync {number(raw['fdatasync'])}/s; bare hello {number(raw['hello'])}/s",
        f"(client {raw['hello_client_cpu_share'] * 100:.0f} % of a core);",
        f"single-row commits: SQLite FULL {number(raw['sqlite_commits'])}/s,",
        f"PostgreSQL {number(raw['postgresql_commits_1'])}/s on one connection,",
        f"{number(raw['postgresql_commits_8'])}/s on eight.",
    ]
    other = [f"{name} {value}" for name, value in record["machine"].items() if common.get(name) != value]
    if other:
        words.append(f"Other circumstances: {'; '.join(other)}.")
    return "*" + " ".join(words) + "*\n"


def _table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(cells)} |\n".replace("|  |", "| |") for cells in lines)
