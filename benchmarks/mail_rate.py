"""Mails a second that one worker gets rid of."""

from __future__ import annotations

from typing import Any

from benchmarks import sink, waiting
from benchmarks.bench import Bench, Line, number, percent
from benchmarks.installation import ENGINES
from benchmarks.processes import BrokenRunError, wait_until, working

TITLE = "Mail by one worker"
TEXT = """\
How long a queue of mail takes to leave. The outbox is filled with people who have signed; then one worker takes up
their mails, composes them (text and HTML, links and codes computed), hands them to a mail server on this machine by
SMTP and notes each as sent, durably. The mail server is a small one in a process of its own that writes down who got
which Message-ID; what it could take from a client that does nothing else stands beside. The rate counts from the
first mail to the last; each address must have got exactly one."""
LEAST = 300


def measure(bench: Bench) -> dict[str, Any]:
    """Both engines, the same number of mails."""
    count = bench.pick(300, 5_000, 10_000)
    figures: dict[str, Any] = {"count": count}
    for engine in ENGINES:
        with bench.installation(engine) as made, sink.sinking(made.folder) as (server, path):
            ceiling = sink.ceiling(server.port, bench.pick(1.0, 3.0, 3.0))
            taken = len(sink.received(path))
            waiting.add(made, count, mail_sent=False)
            with working(made, **sink.settings_for(server.port)) as worker:

                def all_done() -> bool:
                    if worker.process.poll() is not None:
                        raise BrokenRunError("The worker ended by itself.")
                    return not made.scalar("SELECT count(*) FROM message WHERE done_at IS NULL")

                wait_until(all_done, "all mails have left", 60 + count / 20)
                cpu = worker.cpu_seconds()
                bench.weigh(engine, worker)
            mails = sink.received(path)[taken:]
            recipients = {mail.recipient for mail in mails}
            if len(mails) != count or len(recipients) != count:
                raise BrokenRunError(f"{count} mails were waiting, {len(mails)} came to {len(recipients)} addresses.")
            rate = (count - 1) / (mails[-1].at - mails[0].at)
            figures[engine] = {
                "per_second": round(rate, 1),
                "sink_ceiling": ceiling,
                "worker_cpu_seconds": round(cpu, 2),
            }
            bench.say(f"{engine}: {figures[engine]}")
    return figures


def lines(figures: dict[str, Any], baselines: dict[str, float]) -> list[Line]:
    """The rows of the report."""
    rate = {engine: figures[engine]["per_second"] for engine in ENGINES}
    return [
        Line(
            f"mails a second, {figures['count']:,} waiting",
            {engine: number(rate[engine]) for engine in ENGINES},
            f"at least {LEAST}",
            min(rate.values()) >= LEAST,
        ),
        Line(
            "what the mail server could take",
            {engine: f"{number(figures[engine]['sink_ceiling'])}/s" for engine in ENGINES},
        ),
        Line(
            "of single-row commits of this engine",
            {
                "sqlite": percent(rate["sqlite"] / baselines["sqlite_commits"]),
                "postgresql": percent(rate["postgresql"] / baselines["postgresql_commits_1"]),
            },
        ),
    ]
