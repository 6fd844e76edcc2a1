"""Who signs while others do is stored with them: as if each had come alone, and none answered before it is stored."""

from __future__ import annotations

import hashlib
import random
import shutil
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import event, func, select, text
from sqlalchemy.exc import OperationalError, SQLAlchemyError

from charter.domain.email import clean_email
from charter.domain.errors import FieldRefusedError
from charter.models import breakdown
from charter.models.base import db, writing
from charter.models.breakdown import is_breakdown, is_kept_waiting
from charter.models.edition import ConsentText
from charter.models.limits import SigningTrace
from charter.models.outbox import Message
from charter.models.signature import Link, Signature, SignatureConsent, SignatureEvent, SignatureWord
from charter.operations import limits, sign_steps, signing
from charter.operations.limits import Limits, Origin, Work
from charter.operations.sign_steps import GivenConsent, Order, Terms, is_apart
from charter.operations.together import ALONE
from charter.operations.unit import NestedOperationError, operation
from tests.conftest import MakeApp
from tests.operations.test_limits import letters, new_signature
from tests.operations.test_races import at_once
from tests.operations.test_signing import DETAILS, HERE, key_of, now
from tests.statements import statements

ALLOWED = Limits(per_mailbox=3, per_network=4, per_domain=6, per_minute=12, proof_from=0)


def order(app: Flask, place: int, *, address: str | None = None, limits: Limits = ALLOWED, **more: Any) -> Order:
    email = clean_email(address or f"someone{place}@example.org")
    origin = Origin(
        networks=(bytes([place % 250] * 32),), domain=email.address.partition("@")[2], is_domain_shared=True
    )
    details = replace(DETAILS, full_name=f"{letters(place)} Оспанова", **more.pop("details", {}))
    at = more.pop("now", now())
    return Order(
        new_signature(email, details),
        "specimen-1",
        HERE,
        at,
        replace(origin, **more),
        Terms(key_of(app), 7, 3, limits),
    )


def store(app: Flask, orders: Sequence[Order]) -> list[Any]:
    with app.app_context():
        return signing._sign_all(lambda: orders)


def held(app: Flask, suffix: str) -> dict[str, str | None]:
    """Address before the suffix and name → why it was set aside."""
    with app.app_context():
        rows = db.session.execute(
            select(Signature.email, Signature.full_name, Signature.held_because).where(
                Signature.email.like(f"%{suffix}%")
            )
        )
        return {f"{email.replace(suffix, '')} {name}": why for email, name, why in rows}


@contextmanager
def a_long_write(app: Flask) -> Iterator[None]:
    """Somebody is writing, so that whoever signs has to wait."""
    with app.app_context():
        engine = db.engine
        with writing(), engine.connect() as connection:
            connection.execute(text("SELECT 1"))
            if engine.dialect.name == "postgresql":
                connection.execute(text("LOCK TABLE signature IN ACCESS EXCLUSIVE MODE"))
            yield


def sign_in_a_thread(app: Flask, place: int, came: dict[int, Any], **more: Any) -> threading.Thread:
    one = order(app, place, **more)

    def run() -> None:
        breakdown.begin_request()
        with app.app_context():
            try:
                came[place] = signing.sign(
                    one.new,
                    key=one.terms.key,
                    edition_slug=one.edition_slug,
                    browser_digest=one.browser_digest,
                    confirm_link_days=one.terms.confirm_link_days,
                    people_per_mailbox=one.terms.people_per_mailbox,
                    now=one.now,
                    origin=one.origin,
                    limits=one.terms.limits,
                )
            except Exception as error:
                came[place] = error

    thread = threading.Thread(target=run)
    thread.start()
    return thread


def test_who_signs_while_others_do_shares_their_next_transaction(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    came: dict[int, Any] = {}
    commits: list[object] = []
    begun: list[int] = []
    steps = signing.store

    def store_and_tell(orders: Sequence[Order]) -> list[Any]:
        begun.append(len(orders))
        return steps(orders)

    monkeypatch.setattr(signing, "store", store_and_tell)
    with app.app_context():
        engine = db.engine
        line = signing._line()

    def note(connection: object) -> None:
        commits.append(connection)

    event.listen(engine, "commit", note)
    try:
        with a_long_write(app):
            threads = [sign_in_a_thread(app, 0, came)]
            give_up = time.monotonic() + 20
            while not line._is_busy:
                assert time.monotonic() < give_up
                time.sleep(0.002)
            refused = {"details": {"region_code": "KZ-00"}}
            threads += [sign_in_a_thread(app, place, came, **(refused if place == 4 else {})) for place in range(1, 8)]
            # The first waits for its transaction on SQLite, and inside of it on PostgreSQL, with who had come by then.
            while len(line._line) + (sum(begun) or 1) < 8:
                assert time.monotonic() < give_up
                time.sleep(0.002)
            assert came == {}, "nobody is answered before the commit"
            commits.clear()
        for thread in threads:
            thread.join(20)
    finally:
        event.remove(engine, "commit", note)
    error = came.pop(4)
    assert isinstance(error, FieldRefusedError)
    assert error.field == "region"
    assert came == dict.fromkeys((0, 1, 2, 3, 5, 6, 7), True)
    assert sum(begun) == 8
    assert len(commits) == len(begun) <= (1 if engine.dialect.name == "sqlite" else 2)
    with app.app_context():
        found = dict.fromkeys((Signature, SignatureEvent, Link, Message, SigningTrace), 7)
        for table, count in {**found, SignatureConsent: 14, SignatureWord: 14}.items():
            assert db.session.scalar(select(func.count()).select_from(table)) == count, table
        rows = db.session.execute(
            select(Signature.email, Message.recipient, Link.signature_id, Signature.id)
            .join(Message, Message.signature_id == Signature.id)
            .join(Link, Link.id == Message.link_id)
        ).all()
        assert len(rows) == 7
        assert all(row[0] == row[1] and row[2] == row[3] for row in rows), "each with its own link and mail"


def test_so_many_statements_for_eight_as_for_two(app: Flask) -> None:
    for place in (0, 1):  # stores the words of the consents, and finds them stored
        store(app, [order(app, place)])
    counts = []
    for places in (range(2, 4), range(4, 12)):
        with statements(app) as seen:
            assert store(app, [order(app, place) for place in places]) == [True] * len(places)
        counts.append(len(seen))
    assert counts[0] == counts[1] <= 14


def test_together_is_as_one_after_the_other(app: Flask) -> None:
    """By chance: few mailboxes, networks and domains, so that every limit is met, and some who cannot sign at all."""

    def people(suffix: str) -> Iterator[Order]:
        chance = random.Random(4)
        for _ in range(80):
            refused = {"region_code": "KZ-00"} if chance.random() < 0.1 else {}
            network, domain = chance.randrange(6), chance.choice(("a", "b", "c"))
            yield order(
                app,
                chance.randrange(12),
                address=f"p{chance.randrange(25)}{suffix}@{domain}.example",
                details=refused,
                networks=(hashlib.sha256(f"{suffix}{network}".encode()).digest(),),
                domain=f"{suffix}{domain}.example",
                is_domain_shared=chance.random() < 0.3,
                oddity="trap" if chance.random() < 0.05 else None,
                work=chance.choice((None, None, Work("missing"), Work("wrong"))),
                limits=replace(ALLOWED, proof_from=9),
            )

    def batches(suffix: str, began: datetime) -> list[list[Order]]:
        dice = random.Random(20201209)
        made: list[list[Order]] = [[]]
        for one in people(suffix):
            if len(made[-1]) == dice.randint(1, 9) or any(is_apart(one, other) for other in made[-1]):
                made.append([])
            # Those who come together come in the same moment.
            made[-1].append(replace(one, now=began + timedelta(seconds=20 * len(made))))
        return made

    began = now()
    alone = [store(app, [one])[0] for batch in batches("xq", began) for one in batch]
    others = batches("zv", began + timedelta(days=9))
    together = [answer for batch in others for answer in store(app, batch)]

    def words(answers: Sequence[Any]) -> list[str]:
        return [getattr(answer, "field", str(answer)) for answer in answers]

    assert words(together) == words(alone)
    assert {"True", "False", "region"} == set(words(alone))
    assert max(map(len, others)) > 4
    first, second = held(app, "xq"), held(app, "zv")
    assert first == second
    assert {"trap", "proof", "network", "domain", None} <= set(first.values())


def test_one_proof_of_work_counts_once_also_among_those_who_come_together(app: Flask) -> None:
    work = Work("solved", hashlib.sha256(b"one").digest(), now() + timedelta(hours=1))
    assert store(app, [order(app, place, work=work) for place in range(3)]) == [True] * 3
    assert sorted(held(app, "@example.org").values(), key=str) == [None, "proof", "proof"]


def test_a_mailbox_holds_as_many_people_as_ever_however_they_come(app: Flask) -> None:
    came: dict[int, Any] = {}
    threads = [sign_in_a_thread(app, place, came, address="room@example.org", limits=Limits()) for place in range(9)]
    for thread in threads:
        thread.join(60)
    assert came == dict.fromkeys(range(9), True)
    assert sorted(held(app, "room").values(), key=str) == [None] * 3 + ["people"] * 6


def test_nobody_waits_for_themselves(app: Flask) -> None:
    one = order(app, 1)

    @operation
    def sign_inside() -> None:
        signing.sign(
            one.new,
            key=b"k",
            edition_slug="specimen-1",
            browser_digest=HERE,
            confirm_link_days=7,
            people_per_mailbox=3,
            now=datetime.now(UTC),
        )

    with app.app_context(), pytest.raises(NestedOperationError):
        sign_inside()


def test_signing_beside_other_verbs_loses_nobody(app: Flask) -> None:
    def one(place: int) -> bool:
        asked = order(app, place, limits=Limits())
        return signing.sign(
            asked.new,
            key=asked.terms.key,
            edition_slug=asked.edition_slug,
            browser_digest=HERE,
            confirm_link_days=7,
            people_per_mailbox=3,
            now=asked.now,
        )

    assert at_once(app, *(lambda place=place: one(place) for place in range(24))) == [True] * 24
    with app.app_context():
        assert db.session.scalar(select(func.count()).select_from(Signature)) == 24


def test_the_words_of_a_consent_are_known_only_when_they_are_stored(
    app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two who are the first to give a consent, in a transaction that comes to nothing and is done once more."""
    orders = [order(app, place) for place in range(2)]
    sha256 = hashlib.sha256(b"A new wording.").hexdigest()
    orders = [
        replace(one, new=replace(one.new, consents=(GivenConsent("processing", sha256, "A new wording."),)))
        for one in orders
    ]
    write = sign_steps.write_consents

    def break_once(given: Any) -> None:
        monkeypatch.setattr(sign_steps, "write_consents", write)
        raise ValueError("comes to nothing")

    monkeypatch.setattr(sign_steps, "write_consents", break_once)
    with pytest.raises(ValueError, match="comes to nothing"):
        store(app, orders)
    assert store(app, orders) == [True, True]
    with app.app_context():
        found = db.session.scalars(select(ConsentText).where(ConsentText.sha256 == sha256)).one()
        assert (found.body, found.kind) == ("A new wording.", "processing")


@contextmanager
def a_held_mailbox(app: Flask, mailbox: str) -> Iterator[None]:
    """Somebody, such as a list that is being entered, is at work on this mailbox."""
    with app.app_context():
        engine = db.engine
        with writing(), engine.connect() as connection:
            connection.execute(
                text("SELECT pg_advisory_xact_lock(hashtextextended(:n, 0))"), {"n": f"mailbox:{mailbox}"}
            )
            yield


@pytest.mark.parametrize("engine_name", ["postgresql"])
def test_a_mailbox_that_somebody_holds_holds_up_only_who_signs_with_it(app: Flask) -> None:
    came: dict[int, Any] = {}
    with a_held_mailbox(app, "someone2@example.org"):
        answers = store(app, [order(app, place) for place in range(4)])
        assert answers == [True, True, ALONE, True]
        thread = sign_in_a_thread(app, 2, came)
        thread.join(0.3)
        assert thread.is_alive(), "it waits until the mailbox is free"
    thread.join(20)
    assert came == {2: True}
    assert len(held(app, "@example.org")) == 4


@pytest.mark.parametrize("engine_name", ["postgresql"])
def test_of_several_nobody_waits_long_for_what_another_one_needs(make_app: MakeApp) -> None:
    """A region's row is held, as while staff edit it: who signs elsewhere is stored long before it is let go."""
    app = make_app(database_busy_timeout_ms="6000")
    came: dict[int, Any] = {}
    elsewhere = {"region_code": "KZ-71"}
    with app.app_context():
        engine = db.engine
    begun = time.monotonic()
    with app.app_context(), writing(), engine.connect() as connection:
        connection.execute(text("SELECT code FROM region WHERE code = :code FOR UPDATE"), {"code": DETAILS.region_code})
        orders = [order(app, 0), order(app, 1, details=elsewhere), order(app, 2, details=elsewhere)]
        breakdown.begin_request()
        with pytest.raises(OperationalError) as raised:
            store(app, orders)
        breakdown.end_request()
        assert is_kept_waiting(raised.value)
        assert 1 < time.monotonic() - begun < 4, "a quarter of the time that each has"
        threads = [sign_in_a_thread(app, place, came, details=elsewhere) for place in (1, 2)]
        for thread in threads:
            thread.join(20)
        assert came == {1: True, 2: True}


def test_the_time_to_wait_is_one_whoever_carries_out(make_app: MakeApp) -> None:
    app = make_app(database_busy_timeout_ms="1500")
    came: dict[int, Any] = {}
    took: dict[int, float] = {}
    with a_long_write(app):
        begun: dict[int, float] = {}
        threads = []
        for place in range(4):
            begun[place] = time.monotonic()
            threads.append(sign_in_a_thread(app, place, came))
            time.sleep(0.2)
        for place, thread in enumerate(threads):
            thread.join(20)
            took[place] = time.monotonic() - begun[place]
    assert all(isinstance(error, SQLAlchemyError) and is_breakdown(error) for error in came.values())
    assert max(took.values()) < 2 * 1.5, took


@pytest.mark.parametrize("engine_name", ["postgresql"])
def test_proofs_that_come_in_two_orders_are_spent_in_one(make_app: MakeApp, monkeypatch: pytest.MonkeyPatch) -> None:
    apps = [make_app(), make_app()]
    meet = threading.Barrier(2, timeout=1)
    insert = limits.insert_if_absent
    tries: list[int] = []
    steps = signing.store

    def insert_and_meet(*args: Any) -> int:
        done = insert(*args)
        with suppress(threading.BrokenBarrierError):
            meet.wait()  # the other one has begun as well, unless it waits for what we hold
        return done

    def store_and_count(orders: Sequence[Order]) -> Any:
        tries.append(len(orders))
        return steps(orders)

    monkeypatch.setattr(limits, "insert_if_absent", insert_and_meet)
    monkeypatch.setattr(signing, "store", store_and_count)
    works = [Work("solved", hashlib.sha256(bytes([place])).digest(), now() + timedelta(hours=1)) for place in range(2)]
    came: list[Any] = []

    def go(side: int) -> None:
        mine = works if side == 0 else works[::-1]
        came.append(store(apps[side], [order(apps[side], 10 * side + i, work=work) for i, work in enumerate(mine)]))

    threads = [threading.Thread(target=go, args=(side,)) for side in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert came == [[True, True]] * 2
    assert tries == [2, 2], "nobody had to begin anew"
    found = Counter(held(apps[0], "@example.org").values())
    assert found == {None: 2, "proof": 2}


@pytest.mark.parametrize("engine_name", ["sqlite"])
def test_after_the_database_was_replaced_its_texts_are_kept_anew(
    app: Flask, sqlite_template: Path, tmp_path: Path
) -> None:
    came: dict[int, Any] = {}
    for place in (0, 1):
        sign_in_a_thread(app, place, came).join(20)
    path, other = tmp_path / "instance" / "charter.db", tmp_path / "other.db"
    shutil.copy(sqlite_template / "charter.db", other)
    for name in ("charter.db-wal", "charter.db-shm"):
        (path.parent / name).unlink(missing_ok=True)
    other.replace(path)
    sign_in_a_thread(app, 2, came).join(20)
    assert came == {0: True, 1: True, 2: True}
