"""Runs measurements and writes the report: `python3 dev.py bench [names] [--quick | --full]`."""

from __future__ import annotations

import argparse
import shutil
import signal
import sys
import tempfile
import time
import traceback
from datetime import UTC, datetime
from pathlib import Path

from benchmarks import baselines, machine, report
from benchmarks.bench import CONNECTIONS, Bench, Mode
from benchmarks.catalogue import MEASUREMENTS
from benchmarks.installation import Workshop
from benchmarks.postgres import server


def main(arguments: list[str] | None = None) -> int:
    """Exit code 0: all were made (whether or not their targets are met), 1: one broke, 2: wrong arguments."""
    options = _options(arguments)
    if options.render:
        report.REPORT.write_text(report.render(report.read(), MEASUREMENTS), encoding="utf-8")
        return 0
    mode: Mode = "quick" if options.quick else "full" if options.full else "normal"
    home = Path(tempfile.mkdtemp(prefix="charter-bench-", dir=options.folder))
    # Whoever PostgreSQL runs as has to pass through.
    home.chmod(0o711)
    try:
        kind = machine.filesystem(home)
        if kind in machine.NOT_A_DISK:
            print(f"{home} is on {kind}, where commits cost nothing; name another with --folder.", file=sys.stderr)
            return 2
        return _run(options.names or list(MEASUREMENTS), mode, home, keep=options.keep or mode != "quick")
    finally:
        shutil.rmtree(home, ignore_errors=True)


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="dev.py bench", description="Measures the service on both engines.")
    parser.add_argument("names", nargs="*", metavar="name", help=f"what to measure: {', '.join(MEASUREMENTS)} (all)")
    size = parser.add_mutually_exclusive_group()
    size.add_argument("--quick", action="store_true", help="small sizes, some minutes; results are not kept")
    size.add_argument("--full", action="store_true", help="the largest sizes, more than an hour")
    parser.add_argument("--keep", action="store_true", help="keep the results of --quick as well")
    parser.add_argument("--folder", type=Path, help="where to work: on a disk (default: the temporary folder)")
    parser.add_argument("--render", action="store_true", help="only write the report anew from the results")
    options = parser.parse_args(arguments)
    unknown = [name for name in options.names if name not in MEASUREMENTS]
    if unknown:
        parser.error(f"there is no measurement {', '.join(unknown)}; there are {', '.join(MEASUREMENTS)}")
    return options


def _run(names: list[str], mode: Mode, home: Path, *, keep: bool) -> int:
    failed = []
    # So that what was started is ended.
    signal.signal(signal.SIGTERM, lambda number, _frame: sys.exit(128 + number))
    with server(home / "postgresql") as url:
        folder = home / "work"
        folder.mkdir(mode=0o700)
        facts = machine.facts(folder)
        workshop = Workshop(folder, url)
        raw: dict[str, float] = {}
        for name in names:
            bench = Bench(mode, folder, url, workshop, name)
            module = MEASUREMENTS[name]
            try:
                if not raw or mode != "quick":
                    bench.say("baselines")
                    raw = baselines.measure(folder, url, seconds=bench.pick(1.0, 4.0, 5.0), connections=CONNECTIONS)
                bench.say("begins")
                began = time.monotonic()
                figures = module.measure(bench)
            except Exception:
                traceback.print_exc()
                failed.append(name)
                continue
            record = {
                "at": datetime.now(UTC).isoformat(timespec="seconds"),
                "mode": mode,
                "seconds": round(time.monotonic() - began, 1),
                "machine": facts,
                "baselines": raw,
                "figures": figures,
                "weights": _heaviest(bench),
            }
            for line in module.lines(figures, raw):
                mark = {True: "met", False: "NOT MET", None: ""}[line.is_met]
                print(f"{name}: {line.what}: {line.values} {line.target} {mark}".rstrip(), flush=True)
            if keep:
                # Read anew: another part may have been measured meanwhile.
                records = report.read() | {name: record}
                report.write(records)
                # As it will be read again: the file orders its keys.
                report.REPORT.write_text(report.render(report.read(), MEASUREMENTS), encoding="utf-8")
        workshop.close()
    if failed:
        print(f"Broke: {', '.join(failed)}.", file=sys.stderr)
    return 1 if failed else 0


def _heaviest(bench: Bench) -> dict[str, dict[str, dict[str, int]]]:
    """engine → kind → the most that any process of this kind weighed at the end of the measurement."""
    found: dict[str, dict[str, dict[str, int]]] = {}
    for engine, weights in bench.weights.items():
        for weight in weights:
            place = found.setdefault(engine, {}).setdefault(weight.kind, {"rss_bytes": 0, "pss_bytes": 0})
            place["rss_bytes"] = max(place["rss_bytes"], weight.rss_bytes)
            place["pss_bytes"] = max(place["pss_bytes"], weight.pss_bytes)
    return found


if __name__ == "__main__":
    sys.exit(main())
