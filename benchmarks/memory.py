"""What each process weighs after it has worked."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Any

from benchmarks import load
from benchmarks.bench import Bench, Line, sign_order
from benchmarks.installation import ENGINES
from benchmarks.journey import Postman
from benchmarks.processes import Weight, serving, wait_until, working
from benchmarks.sink import settings_for, sinking

TITLE = "Memory"
TEXT = """\
How much memory one process needs, so that the service fits on a small machine. Two web processes and a worker run
through everything together: people sign, follow the links of their mails and look at pages in three languages, mail
leaves, batches are published; then each process is weighed: resident memory (RSS), and PSS, which counts what
processes share only once. 1 MB is 1,000,000 bytes. Processes are weighed at the end of the other measurements too;
what they weighed then stands in the second table."""
AT_MOST_BYTES = 120 * 10**6
KINDS = ("web", "worker", "web master")
#: In the report.
NAMES = {"web": "a web process", "worker": "a worker", "web master": "the web server above its processes"}


def measure(bench: Bench) -> dict[str, Any]:
    """Both engines."""
    seconds = bench.pick(4.0, 40.0, 90.0)
    figures: dict[str, Any] = {"seconds": seconds}
    for engine in ENGINES:
        with bench.installation(engine) as made, ExitStack() as stack:
            sink, mails = stack.enter_context(sinking(made.folder))
            worker = stack.enter_context(working(made, publish_interval_seconds=1, **settings_for(sink.port)))
            web = stack.enter_context(serving(made))
            tokens: Path = made.folder / "tokens"
            tokens.touch()
            stack.enter_context(Postman(made, mails, tokens))
            common: dict[str, Any] = {"seconds": seconds, "with_signer_cookie": True}
            clients = [
                load.Client(sign_order(made, web.port, connections=8, run="memory", **common)),
                load.Client(load.Order("confirm", [web.port], connections=4, tokens_path=str(tokens), **common)),
                load.Client(load.Order("browse", [web.port], connections=4, **common)),
            ]
            results = [client.result() for client in clients]
            wait_until(
                lambda made=made: not made.scalar("SELECT count(*) FROM message WHERE done_at IS NULL"),  # type: ignore[misc]
                "all mails have left",
                120,
            )
            weights = [*web.weights(), *worker.weights()]
            figures[engine] = {
                "requests": sum(result.acknowledged for result in results),
                **{kind: _most(weights, kind) for kind in KINDS},
            }
            bench.weigh(engine, web, worker)
        bench.say(f"{engine}: {figures[engine]}")
    return figures


def _most(weights: list[Weight], kind: str) -> dict[str, int]:
    of_kind = [one for one in weights if one.kind == kind]
    return {
        "rss_bytes": max(one.rss_bytes for one in of_kind),
        "pss_bytes": max(one.pss_bytes for one in of_kind),
    }


def lines(figures: dict[str, Any], baselines: dict[str, float]) -> list[Line]:
    """The rows of the report."""
    made = []
    for kind in KINDS:
        of = {engine: figures[engine][kind] for engine in ENGINES}
        made.append(
            Line(
                f"{NAMES[kind]}: RSS (PSS)",
                {
                    engine: f"{of[engine]['rss_bytes'] / 1e6:.0f} ({of[engine]['pss_bytes'] / 1e6:.0f}) MB"
                    for engine in ENGINES
                },
                "at most 120 MB",
                all(of[engine]["rss_bytes"] <= AT_MOST_BYTES for engine in ENGINES),
            )
        )
    return made
