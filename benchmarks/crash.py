"""Web and worker processes killed again and again under load: what was acknowledged, and what is there afterwards."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks import load, sink
from benchmarks.bench import Bench, Line, number, sign_order
from benchmarks.installation import ENGINES, Installation
from benchmarks.journey import Postman, Reviewer
from benchmarks.processes import BrokenRunError, wait_until
from benchmarks.reckoning import Reckoning, reckon
from benchmarks.victims import Victim, WebVictim, WorkerVictim

TITLE = "Killed under load"
TEXT = """\
Whether anything acknowledged is lost when processes die at any moment. Two web servers with a process each and two
workers share one database. People sign at a steady rate; whoever got the mail presses the button (and again, if no
page came); a reviewer approves; the workers publish every second. Meanwhile one process after another gets SIGKILL: a
web server's process, a whole web server, or a worker; whatever died is started again at once. A kill counts only if
the process was up and had work. Afterwards the workers finish what waits, and everything is compared: what the load
client was told, what the mail server took, and every table. Signatures that are set aside for a human do not occur
here."""
#: A message that a killed worker had taken up is free again after so long.
LEASE_SECONDS = 30
#: How often the only one of its kind that is up is killed as well, at each look.
LAST_ONE = 0.02
KINDS = ("web process", "web server", "worker")


def measure(bench: Bench) -> dict[str, Any]:
    """One engine after the other."""
    kills = bench.pick(20, 100, 500)
    figures: dict[str, Any] = {"kills": kills}
    for engine in ENGINES:
        with bench.installation(engine) as made:
            figures[engine] = _under_fire(bench, made, kills)
        bench.say(f"{engine}: {figures[engine]}")
    return figures


def _under_fire(bench: Bench, made: Installation, kills: int) -> dict[str, Any]:
    dice = random.Random(kills)
    acknowledged, confirmed = made.folder / "acknowledged", made.folder / "confirmed"
    tokens = made.folder / "tokens"
    tokens.touch()
    with ExitStack() as stack:
        server, mails = stack.enter_context(sink.sinking(made.folder))
        given: dict[str, Any] = {
            **sink.settings_for(server.port),
            "publish_interval_seconds": 1,
            "undo_seconds": 0,
            "outbox_lease_seconds": LEASE_SECONDS,
        }
        victims: list[Victim] = [
            *(WebVictim(made, f"web-{place}", given) for place in range(2)),
            *(WorkerVictim(made, f"worker-{place}", given) for place in range(2)),
        ]
        for victim in victims:
            stack.callback(victim.end)
            victim.start()
        wait_until(lambda: all(victim.is_ready() for victim in victims), "web servers and workers are up")
        ports = [victim.port for victim in victims if isinstance(victim, WebVictim)]
        postman = stack.enter_context(Postman(made, mails, tokens))
        reviewer = stack.enter_context(Reviewer(made, given))
        common: dict[str, Any] = {"connections": 8, "seconds": 7200, "with_signer_cookie": True}
        signing = load.Client(
            sign_order(made, ports, **common, rate=30, run="crash", acknowledged_path=str(acknowledged))
        )
        confirming = load.Client(
            load.Order(
                "confirm",
                ports,
                **common,
                rate=40,
                tokens_path=str(tokens),
                acknowledged_path=str(confirmed),
                retry_tokens=True,
            )
        )
        # Their files are there once they have fetched their forms.
        wait_until(lambda: acknowledged.exists() and confirmed.exists(), "the load clients have begun")
        began = time.monotonic()
        try:
            killed = _kill(bench, made, victims, kills, dice)
            seconds = time.monotonic() - began
            # Whoever got the mail last is to press the button too.
            time.sleep(bench.pick(2.0, 5.0, 5.0))
        finally:
            sent, pressed = signing.stop(), confirming.stop()
        _restart_all(victims)
        # What was in the hands of a killed worker is free again only after its lease.
        _wait_quiet(made, LEASE_SECONDS + 90)
        postman.stop()
        reviewer.stop()
        _wait_quiet(made, 60)
        for victim in victims:
            bench.weigh(made.engine, victim.running)
    found: Reckoning = reckon(made, sink.received(mails), _numbers(acknowledged), _numbers(confirmed), run="crash")
    return {
        "kills": dict(killed),
        "seconds": round(seconds, 1),
        "signing_errors": sent.errors,
        "confirming_errors": pressed.errors,
        **asdict(found),
    }


def _kill(bench: Bench, made: Installation, victims: list[Victim], kills: int, dice: random.Random) -> Counter[str]:
    killed: Counter[str] = Counter()
    said = time.monotonic()
    idle_since = time.monotonic()
    while sum(killed.values()) < kills:
        for victim in victims:
            victim.look()
        kind = dice.choice(KINDS)
        ready = [victim for victim in victims if victim.takes(kind) and victim.is_ready()]
        # Mostly one of the two goes on, so that there is load to be killed under; sometimes the last one dies too.
        is_turn = len(ready) > 1 or (ready and dice.random() < LAST_ONE)
        if is_turn and dice.choice(ready).kill(kind):
            killed[kind] += 1
            idle_since = time.monotonic()
            time.sleep(dice.uniform(0.1, 0.7))
        else:
            if time.monotonic() - idle_since > 60:
                words = "\n".join(victim.running.last_words() for victim in victims)
                raise BrokenRunError(f"Nothing came up again for a minute:\n{words}")
            time.sleep(0.05)
        if time.monotonic() - said > 15:
            said = time.monotonic()
            bench.say(f"{made.engine}: {sum(killed.values())} of {kills} kills, {dict(killed)}")
    return killed


def _restart_all(victims: list[Victim]) -> None:
    def all_up() -> bool:
        for victim in victims:
            victim.look()
        return all(victim.is_ready() for victim in victims)

    wait_until(all_up, "everything is up again")


def _wait_quiet(made: Installation, seconds: float) -> None:
    """Until no mail and no event waits, or no longer: what waits then is counted."""

    def is_quiet() -> bool:
        time.sleep(0.3)
        return not made.scalar(
            "SELECT (SELECT count(*) FROM message WHERE done_at IS NULL) + (SELECT count(*) FROM log_event)"
        )

    try:
        wait_until(is_quiet, "nothing waits", seconds)
    except BrokenRunError:
        return


def _numbers(path: Path) -> set[int]:
    return {int(line) for line in path.read_text(encoding="ascii").split()} if path.exists() else set()


def lines(figures: dict[str, Any], baselines: dict[str, float]) -> list[Line]:
    """The rows of the report."""

    def row(what: str, figure: Callable[[dict[str, Any]], int], *, is_zero: bool = False) -> Line:
        values = {engine: figure(figures[engine]) for engine in ENGINES}
        words = {engine: number(values[engine]) if values[engine] else "0" for engine in ENGINES}
        return Line(what, words, "0" if is_zero else "", not any(values.values()) if is_zero else None)

    kinds = {
        engine: ", ".join(f"{count} × {kind}" for kind, count in sorted(figures[engine]["kills"].items()))
        for engine in ENGINES
    }
    return [
        Line("killed", kinds),
        row("seconds", lambda found: found["seconds"]),
        row("signatures acknowledged", lambda found: found["acknowledged"]),
        row("confirmations acknowledged", lambda found: found["confirmations"]),
        row("entries published", lambda found: found["entries"]),
        row("mails that arrived", lambda found: found["mails"]),
        row("acknowledged and lost", lambda found: found["lost"], is_zero=True),
        row("acknowledged and without mail", lambda found: found["without_mail"], is_zero=True),
        row("still waiting at the end", lambda found: found["waiting"]),
        row("mails sent again under the same Message-ID", lambda found: found["repeated_same_id"]),
        row("mails sent again under another Message-ID", lambda found: found["repeated_other_id"], is_zero=True),
        row("events twice in a history", lambda found: found["double_events"], is_zero=True),
        row(
            "gaps, doubles and contradictions in log, registry and counters",
            lambda found: found["contradictions"],
            is_zero=True,
        ),
    ]
