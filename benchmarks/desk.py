"""What the Centre's desk costs in a peak, and what happens when many reviewers and signatories act at once."""

from __future__ import annotations

import gc
import hashlib
import multiprocessing
import secrets
import time
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import func, select, update
from sqlalchemy.exc import SQLAlchemyError

from benchmarks import waiting
from benchmarks.applicants import address
from benchmarks.bench import Bench, Line, in_child, in_children, milliseconds
from benchmarks.installation import ENGINES, Installation
from benchmarks.load import percentile
from charter import clock
from charter.domain.calendar import local_date
from charter.domain.errors import CharterError, DecidedMeanwhileError, TooLateError
from charter.domain.queue import QueueFilter
from charter.models.base import db, writing
from charter.models.decision import Decision
from charter.models.signature import Signature, SignatureEvent
from charter.models.staff import StaffAccount
from charter.operations import claims, publication, review, selection, signing, staff
from charter.operations.proving import Proof

TITLE = "The Centre's desk"
BUDGET_MS = 50.0
REVIEWERS = 20
WARM_UP = 3
TEXT = f"""\
A peak: very many wait, far more are decided already. Measured in the application, without a network: the page of the
queue, plain, with filters, and with two hundred rows; a dossier; a decision sent as a form; finding by a name, a number
and an address. Then {REVIEWERS} processes, each a reviewer, take and decide one after another until nothing is left: no
application may be decided twice, and nothing may fail. Then races, each between two processes that start together: two
reviewers, a decision against a withdrawal, taking back against publishing. Each has one winner and leaves one event."""
#: What is asked of the pages: name → address.
PAGES = {
    "queue": "/staff/",
    "region": "/staff/?region=KZ-75",
    "filtered": "/staff/?region=KZ-75&region=KZ-71&region=KZ-10&kind=independent&claimed=free",
    "rare": "/staff/?kind=international",
    "two hundred": "/staff/?choose=all",
}
WORDS = {
    "page queue": "the queue",
    "page region": "the queue of one region",
    "page filtered": "the queue of three regions, by kind and claims",
    "page rare": "a filter that nothing passes",
    "page two hundred": "the queue with two hundred rows",
    "dossier": "a dossier",
    "decide": "a decision, as a form",
    "find name": "finding by a name",
    "find number": "finding by a number",
    "find address": "finding by an address",
    "bulk": "deciding on 200 together",
}
#: What has to stay within BUDGET_MS.
HELD = ("page queue", "page region", "decide")


def measure(bench: Bench) -> dict[str, Any]:
    """One database for the pages and one for the people who act at once, on each engine."""
    waits = bench.pick(500, 20_000, 100_000)
    decided = bench.pick(1_000, 100_000, 1_000_000)
    count = bench.pick(20, 100, 300)
    shared = bench.pick(100, 1_000, 5_000)
    rounds = bench.pick(5, 50, 200)
    figures: dict[str, Any] = {"waiting": waits, "decided": decided, "shared": shared, "rounds": rounds}
    for engine in ENGINES:
        with bench.installation(engine) as made:
            fill(made, waits=waits, decided=decided)
            figures[engine] = in_child(partial(_ask, made, count), seconds=3600)
            bench.say(f"{engine}: {figures[engine]}")
        with bench.installation(engine) as made:
            fill(made, waits=shared + 3 * rounds, decided=0)
            figures[engine]["together"] = in_child(partial(_together, made, shared), seconds=1800)
            bench.say(f"{engine}: {figures[engine]['together']}")
            figures[engine]["races"] = in_child(partial(_races, made, rounds), seconds=1800)
            bench.say(f"{engine}: {figures[engine]['races']}")
    return figures


def fill(made: Installation, *, waits: int, decided: int) -> None:
    """People who confirmed: the first so many were declined long ago, the others wait, due over two weeks."""
    people = waiting.add(made, waits + decided)
    last_decided = people.first + decided - 1
    now = datetime.now(UTC)
    shown = "%Y-%m-%d %H:%M:%S.%f" if made.engine == "sqlite" else "%Y-%m-%d %H:%M:%S.%f+00"
    today = local_date(now)
    with made.connect() as connection:
        connection.execute(
            f"UPDATE signature SET state = 'declined', version = 3, confirmed_at = submitted_at, due_on = '{today}',"
            f" ended_at = '{now.strftime(shown)}' WHERE id <= {last_decided}"
        )
        for place in range(14):
            connection.execute(
                f"UPDATE signature SET state = 'confirmed', version = 2, confirmed_at = submitted_at,"
                f" due_on = '{today + timedelta(days=place - 2)}' WHERE id > {last_decided} AND id % 14 = {place}"
            )
    made.settle()


def _reviewer(name: str) -> int:
    """An administrator whose account is whole; its id. Needs an application context."""
    now = clock.now()
    staff_id = staff.invite(
        name, email=f"{name}@example.org", language="en", digest=secrets.token_bytes(32), expires_at=now, now=now
    )
    with writing():
        db.session.execute(
            update(StaffAccount)
            .where(StaffAccount.id == staff_id)
            .values(
                role="administrator",
                password="-",
                tf_totp_secret="-",
                tf_primary_method="authenticator",
                recovery_kept_at=now,
                mf_recovery_codes=["-"],
            )
        )
        db.session.commit()
    return staff_id


def _signed_in(app: Flask, staff_id: int) -> FlaskClient:
    token = secrets.token_urlsafe(16)
    staff.begin_session(staff_id, digest=hashlib.sha256(token.encode()).digest(), now=clock.now())
    uniquifier = db.session.scalars(select(StaffAccount.fs_uniquifier).where(StaffAccount.id == staff_id)).one()
    client = app.test_client()
    with client.session_transaction() as session:
        session["staff_session"], session["_user_id"], session["staff_language"] = token, uniquifier, "en"
    return client


def _ask(made: Installation, count: int) -> dict[str, float]:
    app = made.app()
    with app.app_context():
        client = _signed_in(app, staff_id := _reviewer("bruno"))
        first = int(made.scalar("SELECT min(id) FROM signature WHERE state = 'confirmed'"))
        last = int(made.scalar("SELECT max(id) FROM signature"))
        db.session.remove()
    # As each process that serves does once it is loaded (charter/serving.py).
    gc.collect()
    gc.freeze()
    seconds: dict[str, list[float]] = {}
    is_warm = False

    def timed(what: str, ask: Callable[[], Any]) -> Any:
        began = time.perf_counter()
        answer = ask()
        if is_warm:
            seconds.setdefault(what, []).append(time.perf_counter() - began)
        return answer

    def page(what: str, path: str, **more: Any) -> str:
        answer = timed(what, lambda: client.open(path, **more))
        if answer.status_code != 200:
            raise RuntimeError(f"{what}: {answer.status_code}")
        return str(answer.get_data(as_text=True))

    for turn in range(WARM_UP + count):
        # Templates are read and statements compiled once in the life of a process.
        is_warm = turn >= WARM_UP
        for name, path in PAGES.items():
            page(f"page {name}", path)
        signature_id = first + turn * 7
        found = page("dossier", f"/staff/review/{signature_id}/")
        token = (
            found.partition('name="csrf_token" type="hidden" value="')[2].partition('"')[0]
            or (found.partition('name="csrf_token" value="')[2].partition('"')[0])
        )
        answer = timed(
            "decide",
            partial(
                client.post,
                f"/staff/review/{signature_id}/",
                data={"csrf_token": token, "version": "2", "action": "approve"},
            ),
        )
        if answer.status_code != 303:
            raise RuntimeError(f"decide: {answer.status_code}")
        asked = {
            "name": waiting.full_name(first + turn),
            "number": str(turn + 1),
            "address": address(first + turn, "bulk"),
        }
        for what, words in asked.items():
            page(f"find {what}", "/staff/find/", method="POST", data={"csrf_token": token, "words": words})
    with app.app_context():
        for turn in range(max(2, count // 20)):
            upper = last - turn * selection.MOST_AT_ONCE
            chosen = dict.fromkeys(range(max(first, upper - selection.MOST_AT_ONCE + 1), upper + 1), 2)
            decide = partial(selection.decide_all, chosen, action="decline", reason="abuse", note=None)
            timed("bulk", partial(decide, staff_id=staff_id, undo_seconds=10, now=clock.now()))
    return {
        f"{what} {name}": round(percentile(sorted(found), part) * 1000, 1)
        for what, found in seconds.items()
        for name, part in (("p50", 0.5), ("p99", 0.99))
    }


# ── at once ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def _forked(made: Installation, names: int) -> tuple[Flask, list[int]]:
    """The application, loaded once, and so many reviewers; connections do not survive a fork."""
    app = made.app()
    with app.app_context():
        people = [_reviewer(secrets.token_hex(8)) for _place in range(names)]
        db.session.remove()
        db.engine.dispose()
    return app, people


def _together(made: Installation, shared: int) -> dict[str, Any]:
    app, people = _forked(made, REVIEWERS)
    barrier = multiprocessing.get_context("fork").Barrier(REVIEWERS)
    most = -(-shared // REVIEWERS)
    began = time.monotonic()
    results = in_children([partial(_review, app, barrier, one, most) for one in people], seconds=1700)
    seconds = time.monotonic() - began
    with app.app_context():
        twice = db.session.scalar(
            select(func.count()).select_from(
                select(Decision.signature_id).group_by(Decision.signature_id).having(func.count() > 1).subquery()
            )
        )
    errors: Counter[str] = Counter()
    for result in results:
        errors.update(result["errors"])
    done = sum(result["done"] for result in results)
    return {
        "done": done,
        "told": sum(result["told"] for result in results),
        "twice": int(twice or 0),
        "errors": dict(errors),
        "per_second": round(done / seconds, 1),
    }


def _review(app: Flask, barrier: Any, staff_id: int, most: int) -> dict[str, Any]:
    errors: Counter[str] = Counter()
    done = told = 0
    with app.app_context():
        barrier.wait(60)
        while done < most:
            try:
                now = clock.now()
                mine = claims.take_next(QueueFilter(), staff_id=staff_id, today=local_date(now), now=now)
                if mine is None:
                    break
                _decide(mine, staff_id, "approve")
                done += 1
            except DecidedMeanwhileError:
                told += 1
            except (SQLAlchemyError, CharterError) as error:
                errors[type(error).__name__] += 1
                if sum(errors.values()) > most:
                    break
        db.session.remove()
    return {"done": done, "told": told, "errors": errors}


def _decide(signature_id: int, staff_id: int, action: str, *, undo_seconds: int = 600) -> int:
    return review.decide(
        signature_id,
        action=action,
        expected_version=2,
        reason=None if action == "approve" else "abuse",
        note=None,
        staff_id=staff_id,
        undo_seconds=undo_seconds,
        now=clock.now(),
    )


def _races(made: Installation, rounds: int) -> dict[str, Any]:
    """Of each kind so many; `wrong` counts rounds without exactly one winner, or with more events than one."""
    app, (one, other) = _forked(made, 2)
    ids = [int(row[0]) for row in made.rows("SELECT id FROM signature WHERE state = 'confirmed' ORDER BY id")]
    places = iter(ids[-3 * rounds :])
    found: dict[str, Any] = {}
    for kind in ("two reviewers", "decide against withdraw", "undo against publish"):
        chosen = [next(places) for _ in range(rounds)]
        barrier = multiprocessing.get_context("fork").Barrier(2)
        tasks = [partial(_race, app, barrier, kind, chosen, who, place) for place, who in enumerate((one, other))]
        outcomes = in_children(tasks, seconds=600)
        with app.app_context():
            wrong = sum(
                not _is_right(kind, signature_id, pair)
                for signature_id, pair in zip(chosen, zip(*outcomes, strict=True), strict=True)
            )
            db.session.remove()
            db.engine.dispose()
        errors = [text for told in outcomes for text in told if text.startswith("!")]
        found[kind] = {"wrong": wrong, "errors": dict(Counter(errors))}
    return found


def _race(app: Flask, barrier: Any, kind: str, chosen: list[int], staff_id: int, place: int) -> list[str]:
    """What this side of each round came to: `won`, `lost`, or an error with an exclamation mark."""
    told = []
    with app.app_context():
        for signature_id in chosen:
            act = _side(kind, signature_id, staff_id, place)
            barrier.wait(60)
            try:
                told.append(act())
            except (DecidedMeanwhileError, TooLateError):
                told.append("lost")
            except (SQLAlchemyError, CharterError) as error:
                told.append(f"!{type(error).__name__}")
            db.session.rollback()
            barrier.wait(60)
        db.session.remove()
    return told


def _side(kind: str, signature_id: int, staff_id: int, place: int) -> Callable[[], str]:
    if kind == "two reviewers":
        action = ("approve", "decline")[place]
        return lambda: _won(_decide(signature_id, staff_id, action))
    if kind == "decide against withdraw":
        if place == 0:
            return lambda: _won(_decide(signature_id, staff_id, "approve"))
        return lambda: _withdraw(signature_id)
    if place == 0:
        decision_id = _decide(signature_id, staff_id, "approve")
        return lambda: _won(review.undo(decision_id, staff_id=staff_id, now=clock.now()))
    # As a machine whose clock runs ahead sees it: the seconds are over there.
    ahead = timedelta(seconds=605)
    return lambda: _won(publication.publish_batch(now=clock.now() + ahead))


def _won(_result: object) -> str:
    return "won"


def _withdraw(signature_id: int) -> str:
    result = signing.withdraw(
        signature_id, proof=Proof(waiting.BROWSER_DIGEST, None), key=b"-", code_tries=5, now=clock.now()
    )
    return "won" if result.outcome.name == "DONE" else "lost"


def _is_right(kind: str, signature_id: int, pair: tuple[str, str]) -> bool:
    """Whether what both sides were told is what the history says."""
    moves = Counter(
        db.session.scalars(select(SignatureEvent.move).where(SignatureEvent.signature_id == signature_id)).all()
    )
    state = db.session.scalars(select(Signature.state).where(Signature.id == signature_id)).one()
    decided = moves["approve"] + moves["decline"]
    if kind == "two reviewers":
        return sorted(pair) == ["lost", "won"] and decided == 1
    if kind == "decide against withdraw":
        # Whoever comes later may still withdraw what was approved a moment ago.
        return pair[1] == "won" and state == "withdrawn" and moves["withdraw"] == 1 and decided == (pair[0] == "won")
    is_back = pair[0] == "won"
    return state == ("confirmed" if is_back else "published") and moves["undo"] == is_back != moves["publish"]


def lines(figures: dict[str, Any], baselines: dict[str, float]) -> list[Line]:
    """The rows of the report."""
    made = []
    for what, words in WORDS.items():
        for name in ("p50", "p99"):
            values = {engine: figures[engine][f"{what} {name}"] for engine in ENGINES}
            is_held = what in HELD and name == "p99"
            made.append(
                Line(
                    f"{words}, {name}, {figures['waiting']:,} waiting, {figures['decided']:,} decided",
                    {engine: milliseconds(value) for engine, value in values.items()},
                    *((f"at most {BUDGET_MS:.0f} ms", max(values.values()) <= BUDGET_MS) if is_held else ()),
                )
            )
    together = {engine: figures[engine]["together"] for engine in ENGINES}
    made.append(
        Line(
            f"{REVIEWERS} reviewers at once, {figures['shared']:,} applications: decided twice, errors",
            {engine: f"{one['twice']}, {sum(one['errors'].values())}" for engine, one in together.items()},
            "none",
            all(not one["twice"] and not one["errors"] for one in together.values()),
        )
    )
    made.append(
        Line("the same: decisions a second", {engine: f"{one['per_second']:,}" for engine, one in together.items()})
    )
    for kind in figures[ENGINES[0]]["races"]:
        races = {engine: figures[engine]["races"][kind] for engine in ENGINES}
        made.append(
            Line(
                f"{kind}, {figures['rounds']} times: without one winner and one event",
                {engine: str(one["wrong"] + sum(one["errors"].values())) for engine, one in races.items()},
                "none",
                all(not one["wrong"] and not one["errors"] for one in races.values()),
            )
        )
    return made
