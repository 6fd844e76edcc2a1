"""Long random histories: what hypothesis lets people, the Centre, older releases and lost machines do in turn."""

from __future__ import annotations

import contextlib
import hashlib
import random
import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar
from unittest.mock import patch

import psycopg
from flask import Flask
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test
from sqlalchemy import func, select

from charter import shipped
from charter.domain import token as tokens
from charter.domain.email import clean_email
from charter.domain.errors import CharterError
from charter.models.base import db
from charter.models.log import LogBatch, LogLeaf
from charter.models.signature import Link, Signature
from charter.operations import publication, recovery, review, signing, staff, tree
from charter.operations.proving import Proof
from charter.operations.public_side import Changes
from charter.operations.sign_steps import GivenConsent, NewSignature
from charter.operations.steps import Details
from charter.tlog import note
from charter.tlog.leaves_text import Batch, Closing
from charter.tlog.signer import Signer
from tests import tally

BROWSER = hashlib.sha256(b"the browser that signed").digest()
#: Few words, so that people share them and a word leaves with the last one who bore it.
NAMES = (
    "Әмина Оспанова",
    "Амина Оспанова",
    "Ospanova Amina",
    "Қайрат Жұмабайұлы",
    "Кайрат Жумабаев",
    "Анна-Мария О'Dunnigan",
    "Żaneta Łąska",
    "Ли",
    "Оспанова Оспанова",
)
SHORT = ("Әмина О.", "Қ. Ж.", "Ли")
REGIONS = ("KZ-75", "KZ-71", "ZZ")
#: (kind, slug of the list, own words)
AFFILIATIONS = (
    ("independent", None, None),
    ("independent", None, "Оспанова достары"),
    ("party", "auyl", None),
    ("party", "amanat", None),
    ("party", None, "Жаңа партия"),
    ("international", "odihr", None),
    ("international", None, "Planet Express"),
)
STEPS = 60
#: Roots are looked at here, and what signs them elsewhere.
SIGNER = Signer([(note.Key("histories/log", note.ED25519, bytes(32)), lambda _message: bytes(64))])


@dataclass
class World:
    """One application, its database as it was at the beginning, and what has happened. folder: for copies."""

    app: Flask
    folder: Path
    staff_id: int = 0
    events: Counter[str] = field(default_factory=Counter)
    checks: int = 0

    def __post_init__(self) -> None:
        url = self.app.config["CHARTER"].database_url.replace("+psycopg", "")
        self.engine = "sqlite" if url.startswith("sqlite") else "postgresql"
        self._url = url.removeprefix("sqlite:///")

    @contextmanager
    def connect(self) -> Iterator[Any]:
        """A connection of the driver itself."""
        with self.app.app_context():
            db.session.remove()
        if self.engine == "sqlite":
            with closing(sqlite3.connect(self._url, timeout=30)) as file:
                file.execute("PRAGMA synchronous = OFF")
                with file:
                    yield file
        else:
            with psycopg.connect(self._url) as connection:
                yield connection

    def copy(self, name: str) -> Any:
        """Everything in the database, to be put back later."""
        with self.connect() as connection:
            if self.engine == "sqlite":
                path = self.folder / f"{name}.db"
                path.unlink(missing_ok=True)
                with closing(sqlite3.connect(path)) as target:
                    connection.backup(target)
                return path
            tables = [
                row[0] for row in connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
            ]
            return {table: self._read(connection, table) for table in tables}

    @staticmethod
    def _read(connection: Any, table: str) -> bytes:
        with connection.cursor().copy(f'COPY "{table}" TO STDOUT (FORMAT binary)') as data:
            return b"".join(data)

    def put_back(self, copy: Any) -> None:
        """The database as it was then. Ids go on counting."""
        with self.connect() as connection:
            if self.engine == "sqlite":
                with closing(sqlite3.connect(copy)) as source:
                    source.backup(connection)
                return
            # Neither triggers nor foreign keys are asked.
            connection.execute("SET session_replication_role = replica")
            for table, data in copy.items():
                connection.execute(f'DELETE FROM "{table}"')
                with connection.cursor().copy(f'COPY "{table}" FROM STDIN (FORMAT binary)') as target:
                    target.write(data)

    def tally(self) -> list[str]:
        """Every difference between what is counted and what is there."""
        self.checks += 1
        with self.connect() as connection:
            return tally.differences(tally.Database(self.engine, connection))

    def tally_regions(self) -> list[str]:
        """The same of what older releases keep too."""
        with self.connect() as connection:
            return tally.region_differences(tally.Database(self.engine, connection))


_people = st.builds(
    lambda name, short, display, region, affiliation: Details(
        kind=affiliation[0],
        full_name=name,
        short_name=short,
        display=display,
        affiliation_slug=affiliation[1],
        affiliation_text=affiliation[2],
        region_code=region,
    ),
    st.sampled_from(NAMES),
    st.sampled_from(SHORT),
    st.sampled_from(("full", "full", "short", "unlisted")),
    st.sampled_from(REGIONS),
    st.sampled_from(AFFILIATIONS),
)
_picks = st.integers(0, 999)


class History(RuleBasedStateMachine):
    """Every rule is something that happens; `world` is given by a subclass."""

    world: ClassVar[World]
    beginning: ClassVar[Any]

    @initialize()
    def begin(self) -> None:
        self.world.put_back(self.beginning)
        self.now = datetime(2026, 11, 20, 9, tzinfo=UTC)
        self.last_decision: int | None = None
        # Nobody has the address of somebody who is there from the beginning: who signs again replaces themselves.
        with self.world.app.app_context():
            self.person = db.session.scalar(select(func.count()).select_from(Signature)) or 0
            db.session.rollback()
        self.backup: Any = None

    # ── people ───────────────────────────────────────────────────────────────────────────────────────────────────────

    @rule(details=_people, language=st.sampled_from(("kk", "ru", "en")))
    def sign(self, details: Details, language: str) -> None:
        """Somebody new."""
        self.person += 1
        new = NewSignature(
            details=details,
            email=clean_email(f"p{self.person}@example.org"),
            language=language,
            signed_language=language,
            consents=tuple(
                GivenConsent(kind, hashlib.sha256(kind.encode()).hexdigest(), kind)
                for kind in ("processing", "publication")
            ),
        )
        with self._happening("sign"):
            signing.sign(
                new,
                key=self._key,
                edition_slug="specimen-1",
                browser_digest=BROWSER,
                confirm_link_days=7,
                people_per_mailbox=3,
                now=self.now,
            )

    @rule(pick=_picks)
    def confirm(self, pick: int) -> None:
        signature = self._pick(pick, "submitted")
        if signature is not None:
            self._confirm(signature.id)

    @rule(details=_people, language=st.sampled_from(("kk", "ru", "en")))
    def go_all_the_way(self, details: Details, language: str) -> None:
        """Signed, confirmed and approved, as most are."""
        self.sign(details, language)
        signature = self._pick(-1, "submitted")
        assert signature is not None
        self._confirm(signature.id)
        self._decide(signature.id, "approve")

    @rule(pick=_picks, details=_people)
    def correct(self, pick: int, details: Details) -> None:
        signature = self._pick(pick, "confirmed")
        if signature is not None:
            with self._happening("correct"):
                signing.correct(signature.id, details, now=self.now)

    @rule(pick=_picks)
    def withdraw(self, pick: int) -> None:
        signature = self._pick(pick, "published", "published", "approved", "confirmed")
        if signature is not None:
            with self._happening("withdraw"):
                signing.withdraw(signature.id, proof=Proof(BROWSER, None), key=self._key, code_tries=5, now=self.now)

    # ── the Centre ───────────────────────────────────────────────────────────────────────────────────────────────────

    @rule(pick=_picks, action=st.sampled_from(("approve", "approve", "decline")))
    def decide(self, pick: int, action: str) -> None:
        signature = self._pick(pick, "confirmed")
        if signature is not None:
            self._decide(signature.id, action)

    @rule()
    def undo(self) -> None:
        """The last decision, while there is time."""
        if self.last_decision is not None:
            with self._happening("undo"), contextlib.suppress(CharterError):
                review.undo(self.last_decision, staff_id=self.world.staff_id, now=self.now)
            self.last_decision = None

    # ── time and publication ─────────────────────────────────────────────────────────────────────────────────────────

    @rule(seconds=st.sampled_from((5, 11, 3_600, 86_400)))
    def wait(self, seconds: int) -> None:
        self.now += timedelta(seconds=seconds)

    @rule()
    def publish(self) -> None:
        """A batch, after which everything has to agree."""
        self.now += timedelta(seconds=11)
        with self._happening("publish"):
            while tree.build_past(most=3):
                pass
            publication.publish_batch(now=self.now, signer=SIGNER)
        assert self.world.tally() == []

    @rule()
    def publish_by_an_older_release(self) -> None:
        """It knows totals of regions, and nothing of words, days or affiliations, nor of the tree."""
        self.now += timedelta(seconds=11)
        with (
            self._happening("publish, older release"),
            patch.object(Changes, "index", lambda *_: None),
            patch.object(Changes, "forget", lambda *_: None),
            patch.object(publication, "unindexed_entries", lambda _: []),
            patch.object(tree, "append_nodes", lambda *_: None),
        ):
            publication.publish_batch(now=self.now)
        assert self.world.tally_regions() == []

    # ── a machine is lost ────────────────────────────────────────────────────────────────────────────────────────────

    @rule()
    def back_up(self) -> None:
        self.backup = self.world.copy("backup")

    @precondition(lambda self: self.backup is not None)
    @rule()
    def lose_the_machine(self) -> None:
        """The backup and the leaves are left; the next batch makes findable what the backup had not."""
        with self._happening("loss"):
            told = self._batches()
        self.world.put_back(self.backup)
        self.backup, self.last_decision = None, None
        with self._happening("recovery"):
            for batch in told:
                recovery.replay(batch, key=self._key, now=self.now)
            recovery.begin_anew(now=self.now)
            while recovery.append_corrections(now=self.now):
                pass
        assert self.world.tally_regions() == []
        self.publish()

    def _batches(self) -> list[Batch]:
        found = []
        for revision, tree_size, at in db.session.execute(
            select(LogBatch.revision, LogBatch.tree_size, LogBatch.at).order_by(LogBatch.revision)
        ):
            leaves = db.session.scalars(select(LogLeaf.data).filter_by(revision=revision).order_by(LogLeaf.index))
            found.append(Batch(Closing(revision, tree_size, at), tuple(map(bytes, leaves))))
        db.session.rollback()
        return found

    # ── steps ────────────────────────────────────────────────────────────────────────────────────────────────────────

    @property
    def _key(self) -> bytes:
        return str(self.world.app.config["CHARTER"].secret_key).encode()

    @contextmanager
    def _happening(self, event: str) -> Iterator[None]:
        self.world.events[event] += 1
        with self.world.app.app_context():
            yield

    def _pick(self, pick: int, *states: str) -> Signature | None:
        """One of those in these states; the newest for -1."""
        with self.world.app.app_context():
            query = select(Signature).where(Signature.state.in_(states)).order_by(Signature.id)
            found = db.session.scalars(query).all()
            db.session.expunge_all()
        return found[pick % len(found)] if found else None

    def _confirm(self, signature_id: int) -> None:
        with self._happening("confirm"):
            uid = db.session.scalars(select(Link.uid).filter_by(signature_id=signature_id, purpose="confirm")).one()
            signing.confirm(
                tokens.token(self._key, "confirm", uid),
                proof=Proof(BROWSER, None),
                key=self._key,
                code_tries=5,
                answer_due_working_days=5,
                holidays=shipped.holidays(),
                now=self.now,
            )

    def _decide(self, signature_id: int, action: str) -> None:
        with self._happening(action):
            version = db.session.get_one(Signature, signature_id).version
            self.last_decision = review.decide(
                signature_id,
                action=action,
                expected_version=version,
                reason="duplicate" if action == "decline" else None,
                note=None,
                staff_id=self.world.staff_id,
                undo_seconds=10,
                now=self.now,
            )


def play(app: Flask, folder: Path, *, events: int, is_by_chance: bool) -> World:
    """Histories of at least so many events in all; AssertionError with the shortest one that goes wrong.

    app: on a fresh database. folder: for copies of it. is_by_chance: others each time.
    """
    world = World(app, folder)
    now = datetime(2026, 11, 20, 8, tzinfo=UTC)
    with app.app_context():
        world.staff_id = staff.invite(
            "Bruno", email="bruno@example.org", language="en", digest=bytes(32), expires_at=now, now=now
        )
    # Whoever signs first brings the consents' texts, which a process remembers.
    first: Any = type("First", (History,), {"world": world, "beginning": world.copy("empty")})()
    first.begin()
    first.sign(Details("independent", "Бірінші", "Б.", "full", None, None, REGIONS[0]), "ru")
    machine = type("Play", (History,), {"world": world, "beginning": world.copy("beginning")})
    rounds = 0
    while (left := events - sum(world.events.values())) > 0:
        rounds += 1
        run_state_machine_as_test(
            seed(random.getrandbits(32) if is_by_chance else rounds)(machine),
            settings=settings(
                # The first ones of a round are short.
                max_examples=5 + min(100, left // 20),
                stateful_step_count=STEPS,
                deadline=None,
                database=None,
                suppress_health_check=list(HealthCheck),
                phases=(Phase.generate, Phase.shrink),
            ),
        )
    return world
