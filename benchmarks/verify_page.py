"""How long the page for checking takes in a real browser, from the click to the answer."""

from __future__ import annotations

import os
import shutil
from functools import partial
from statistics import median
from typing import Any

from playwright.sync_api import Browser, FilePayload, Page, sync_playwright

from benchmarks.bench import Bench, Line, in_child, milliseconds, number
from benchmarks.installation import ENGINES, Installation
from benchmarks.load import percentile
from benchmarks.processes import BrokenRunError, serving
from charter import log_key
from charter.models import nodes
from charter.models.base import db
from charter.queries.receipts import receipt_of
from charter.tlog import proof, tree

TITLE = "The page for checking"
AT_MOST_MS = 1000.0
TEXT = """\
How long a visitor waits for the answer of the page for checking, in headless Chromium on this machine against one web
process, each time in a window of its own. By number: the visitor has the page before them, types a number and presses
the button; measured to the answer on the screen, with the page anew, record, receipt, the log's present checkpoint, and
all checks in the browser. With kept files: from choosing record and receipt to the answer; their checkpoint stands at
half of the log, so the browser also fetches the tiles that show that nothing before was rewritten, and computes both
roots from them. The browser's own clock is read, inside the page."""

_CHROMIUMS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
#: Notes, by the clock of the page, when files were chosen and when the answer was there to be seen.
_WATCH = """
addEventListener("change", () => { window.chosen = performance.now() }, true);
addEventListener("DOMContentLoaded", () => {
  const answer = document.getElementById("answer");
  new MutationObserver(() => {
    if (!answer.hidden) requestAnimationFrame(() => { window.answered = [answer.className, performance.now()] });
  }).observe(answer, { attributes: true });
});
"""


def measure(bench: Bench) -> dict[str, Any]:
    """The installation is shared with other measurements of the same run."""
    count = bench.pick(1_000, 1_000_000, 1_000_000)
    visits = bench.pick(3, 40, 100)
    figures: dict[str, Any] = {"count": count, "visits": visits}
    for engine in ENGINES:
        made = bench.registry(engine, count)
        asked = in_child(partial(_kept, made, visits))
        with serving(made, workers=1) as web:
            figures[engine] = in_child(partial(_visit, f"http://127.0.0.1:{web.port}", asked))
        bench.say(f"{engine}: {figures[engine]}")
    return figures


def _kept(made: Installation, visits: int) -> list[tuple[int, str, str]]:
    """Numbers from the first half of the registry, each with its record and a receipt at half of the log."""
    app = made.app()
    highest = int(made.scalar("SELECT max(number) FROM registry_entry"))
    step = max(1, highest // 3 // visits)
    rows = made.rows(
        f"SELECT number, entry FROM registry_entry WHERE ended_on IS NULL AND number % {step} = 0"
        f" AND number < {highest} / 3 ORDER BY number LIMIT {visits}"
    )
    size = int(made.scalar("SELECT max(size) FROM log_checkpoint")) // 2
    signer = log_key.signer(app.config["CHARTER"])
    found = []
    with app.app_context():
        connection = db.session.connection()
        note = signer.sign(size, nodes.computed(connection, lambda fetch: tree.root(size, fetch)))
        for number_, entry in rows:
            given = receipt_of(entry)
            if given is None:
                raise BrokenRunError("An entry has no receipt.")
            place, leaf = given.index, proof.read(given.proof_text).extra
            path = nodes.computed(connection, partial(tree.inclusion_proof, place, size))
            found.append((number_, given.record.decode(), proof.write(proof.Proof(leaf, place, path, note))))
        db.session.remove()
    return found


def _visit(base: str, asked: list[tuple[int, str, str]]) -> dict[str, Any]:
    path = next((one for one in map(shutil.which, _CHROMIUMS) if one), None)
    if path is None:
        raise BrokenRunError("Chromium is missing.")
    switches = ["--disable-gpu", "--disable-dev-shm-usage", *(["--no-sandbox"] if os.geteuid() == 0 else [])]
    by_number, by_files, requests, bytes_count = [], [], 0, 0
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=switches)
        # The first visit starts processes of the browser and fills the server's memory.
        for place, (number_, record, receipt) in enumerate([asked[0], *asked]):
            seconds, answers = _by_number(browser, base, number_)
            kept = _by_files(browser, base, record, receipt)
            if place:
                by_number.append(seconds)
                by_files.append(kept)
                requests, bytes_count = len(answers), sum(answers)
        browser.close()
    return {
        "number_ms": round(median(by_number), 1),
        "number_p95_ms": round(percentile(sorted(by_number), 0.95), 1),
        "files_ms": round(median(by_files), 1),
        "files_p95_ms": round(percentile(sorted(by_files), 0.95), 1),
        "requests": requests,
        "bytes": bytes_count,
    }


def _by_number(browser: Browser, base: str, number_: int) -> tuple[float, list[int]]:
    page = browser.new_context(base_url=base).new_page()
    page.add_init_script(_WATCH)
    page.goto("/en/verify/")
    page.locator("#number").fill(str(number_))
    page.locator("#by-number button").click()
    _, at = _answered(page, "publish")
    sizes: list[int] = page.evaluate(
        """["navigation", "resource"].flatMap((kind) => performance.getEntriesByType(kind))
          .map((one) => one.encodedBodySize)"""
    )
    page.context.close()
    return at, sizes


def _by_files(browser: Browser, base: str, record: str, receipt: str) -> float:
    page = browser.new_context(base_url=base).new_page()
    page.add_init_script(_WATCH)
    page.goto("/en/verify/")
    files: list[FilePayload] = [
        {"name": "record.json", "mimeType": "application/json", "buffer": record.encode()},
        {"name": "receipt.tlog-proof", "mimeType": "text/plain", "buffer": receipt.encode()},
    ]
    page.locator("#files").set_input_files(files)
    _, at = _answered(page, "publish")
    if page.locator(".checks .ok").count() != 5:
        raise BrokenRunError("Not every check holds.")
    chosen = float(page.evaluate("window.chosen"))
    page.context.close()
    return at - chosen


def _answered(page: Page, wanted: str) -> tuple[str, float]:
    page.locator("#answer:not([hidden])").wait_for()
    found: tuple[str, float] | None = None
    while found is None:
        found = page.evaluate("window.answered ?? null")
    if wanted not in found[0].split():
        raise BrokenRunError(f"The answer was {found[0]}.")
    return found


def lines(figures: dict[str, Any], baselines: dict[str, float]) -> list[Line]:
    """The rows of the report."""
    of = {engine: figures[engine] for engine in ENGINES}

    def row(what: str, name: str) -> Line:
        return Line(
            what,
            {engine: milliseconds(one[name]) for engine, one in of.items()},
            f"at most {AT_MOST_MS:,.0f} ms",
            max(one[name] for one in of.values()) <= AT_MOST_MS,
        )

    return [
        row(f"by number, {figures['count']:,} entries: from the click to the answer, median", "number_ms"),
        row("… 95th percentile", "number_p95_ms"),
        row("with kept files and the log's history since: from choosing to the answer, median", "files_ms"),
        row("… 95th percentile", "files_p95_ms"),
        Line(
            "by number: answers that the page is made of, bytes of their bodies",
            {engine: f"{one['requests']}, {number(one['bytes'])}" for engine, one in of.items()},
        ),
    ]
