"""Limits of signing: nothing is refused, too much is set aside; counted inside the signing, for all processes alike."""

from __future__ import annotations

import hashlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import func, select
from time_machine import Traveller as Clock

from charter.domain.email import EmailAddress, clean_email
from charter.domain.errors import FieldRefusedError
from charter.domain.network import domain_of
from charter.models.base import db
from charter.models.limits import DayKey, SigningTrace, SpentChallenge
from charter.models.outbox import Message
from charter.models.signature import Signature
from charter.operations import limits, seen, signing
from charter.operations.limits import Limits, Origin, Work
from charter.operations.sign_steps import GivenConsent, NewSignature
from charter.operations.steps import Details
from charter.web.labels import HELD_BECAUSE
from tests.operations.test_signing import DETAILS, HERE, confirm, key_of, now
from tests.statements import statements

NETWORK = hashlib.sha256(b"a network").digest()
NOBODYS = Limits()


def letters(number: int) -> str:
    """A number as a word without figures."""
    return "".join("абвгдежзик"[int(digit)] for digit in str(number)).capitalize()


def new_signature(email: EmailAddress, details: Details) -> NewSignature:
    kinds = ("processing", "publication")
    consents = tuple(GivenConsent(kind, hashlib.sha256(kind.encode()).hexdigest(), kind) for kind in kinds)
    return NewSignature(details, email, "ru", "ru", consents)


def sign(
    app: Flask,
    place: int,
    *,
    address: str | None = None,
    name: str | None = None,
    region: str = DETAILS.region_code,
    limits: Limits = NOBODYS,
    origin: Origin | None = None,
    **more: Any,
) -> str | None:
    """Somebody signs; why it was set aside, None where it was not, "work" where a proof of work is asked for."""
    email = clean_email(address or f"someone{place}@example.org")
    details = replace(DETAILS, full_name=name or f"{letters(place)} Оспанова", region_code=region)
    domain = domain_of(email.address)
    chosen = origin or Origin(networks=(NETWORK,), domain=domain, is_domain_shared=False)
    with app.app_context():
        stored = signing.sign(
            new_signature(email, details),
            key=key_of(app),
            edition_slug="specimen-1",
            browser_digest=HERE,
            confirm_link_days=7,
            people_per_mailbox=3,
            now=more.pop("now", now()),
            origin=replace(chosen, **more),
            limits=limits,
        )
        if not stored:
            return "work"
        row = db.session.scalars(select(Signature).order_by(Signature.id.desc()).limit(1)).one()
        message = db.session.scalars(select(Message).filter_by(signature_id=row.id)).one()
        assert row.held is message.on_hold is (row.held_because is not None)
        return row.held_because


def test_sixty_people_of_one_room_all_reach_the_queue_within_an_hour(app: Flask, clock: Clock) -> None:
    settings = app.config["CHARTER"]
    allowed = Limits(
        per_mailbox=settings.signings_per_mailbox_hour,
        per_network=settings.signings_per_network_hour,
        per_domain=settings.signings_per_domain_hour,
        per_minute=settings.signings_per_minute,
        proof_from=settings.proof_of_work_from,
    )
    # One network, one mail domain of their own, and one each half minute.
    for place in range(60):
        assert sign(app, place, limits=allowed) is None, place
        clock.shift(30)
    with app.app_context():
        ids = db.session.scalars(select(Signature.id).order_by(Signature.id)).all()
    assert len(ids) == 60
    for signature_id in ids:
        confirm(app, signature_id)
    with app.app_context():
        waiting = db.session.scalar(select(func.count()).select_from(Signature).filter_by(state="confirmed"))
    assert waiting == 60


@pytest.mark.parametrize(
    ("limit", "same", "other"),
    [
        ("network", {}, {"networks": (hashlib.sha256(b"another").digest(),)}),
        ("domain", {"networks": ()}, {"networks": (), "domain": "other.example"}),
        ("domain", {"networks": ()}, {"networks": (), "is_domain_shared": True}),
    ],
)
def test_beyond_a_limit_one_is_set_aside_and_no_other_is(
    app: Flask, clock: Clock, limit: str, same: dict[str, Any], other: dict[str, Any]
) -> None:
    allowed = Limits(**{f"per_{limit}": 3})
    assert [sign(app, place, limits=allowed, **same) for place in range(4)] == [None, None, None, limit]
    assert sign(app, 5, limits=allowed, **other) is None
    assert sign(app, 6, limits=allowed, **same) == limit, "what is set aside counts as well"
    clock.shift(3601)
    assert sign(app, 7, limits=allowed, **same) is None


def test_one_mailbox_may_send_so_many_forms_an_hour_whatever_the_names(app: Flask, clock: Clock) -> None:
    allowed = Limits(per_mailbox=3)
    for _ in range(3):
        assert sign(app, 0, address="neighbour@example.org", limits=allowed) is None
    assert sign(app, 0, address="Neighbour@example.org", limits=allowed) == "mailbox"
    assert sign(app, 0, address="somebody@example.org", limits=allowed) is None
    clock.shift(3601)
    assert sign(app, 0, address="neighbour@example.org", limits=allowed) is None


def test_a_mailbox_that_was_written_full_is_looked_at_no_further_than_its_bound(
    app: Flask, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert limits.MOST_OF_A_MAILBOX == 200
    for module in (limits, seen):
        monkeypatch.setattr(module, "MOST_OF_A_MAILBOX", 5)
    for _ in range(5):
        assert sign(app, 0, address="full@example.org") is None
    assert sign(app, 0, address="full@example.org") == "mailbox", "also without any limit by the hour"


def test_all_together_are_limited_by_the_minute_and_forms_without_their_proof_do_not_fill_it(
    app: Flask, clock: Clock
) -> None:
    allowed = Limits(per_minute=4, proof_from=2)
    free = {"networks": (), "is_domain_shared": True}
    assert [sign(app, place, limits=allowed, **free) for place in range(3)] == [None, None, "work"]
    flood = [sign(app, place, limits=allowed, work=Work("missing"), **free) for place in range(3, 9)]
    assert flood == ["proof"] * 6
    until = now() + timedelta(hours=1)
    good = [Work("solved", bytes([place]) * 32, until) for place in range(3)]
    # Behind a flood of forms that worked for nothing, those who worked still pass, up to the limit of all.
    assert [sign(app, 10 + place, limits=allowed, work=one, **free) for place, one in enumerate(good)] == [
        None,
        None,
        "overall",
    ]
    clock.shift(61)
    assert sign(app, 20, limits=allowed, **free) is None


def test_a_proof_counts_once_and_a_wrong_one_never(app: Flask, clock: Clock) -> None:
    work = Work("solved", b"x" * 32, now() + timedelta(hours=1))
    assert sign(app, 1, work=work) is None
    assert sign(app, 2, work=work) == "proof"
    assert sign(app, 3, work=Work("wrong")) == "proof"
    assert sign(app, 4, work=Work("missing")) is None, "where nobody asks for one any more, none is missing"
    with app.app_context():
        assert db.session.scalars(select(SigningTrace.proof).order_by(SigningTrace.signature_id)).all() == [
            *("solved", "wrong", "wrong", "missing"),
        ]
        assert db.session.scalar(select(func.count()).select_from(SpentChallenge)) == 1


def test_a_refused_signature_leaves_its_proof_unspent(app: Flask, clock: Clock) -> None:
    work = Work("solved", b"y" * 32, now() + timedelta(hours=1))
    with pytest.raises(FieldRefusedError):
        sign(app, 1, work=work, region="KZ-00")
    assert sign(app, 1, work=work) is None


@pytest.mark.parametrize("oddity", ["trap", "start", "haste"])
def test_what_no_person_does_is_set_aside_before_anything_else(app: Flask, clock: Clock, oddity: str) -> None:
    assert sign(app, 1, oddity=oddity, limits=Limits(per_network=1)) == oddity
    assert sign(app, 2, oddity=oddity, limits=Limits(per_network=1), work=Work("wrong")) == oddity


def test_every_reason_is_known_by_name() -> None:
    assert set(HELD_BECAUSE) == set(limits.REASONS)
    assert all(len(reason) <= 16 for reason in limits.REASONS), "as wide as the column"


# ── clocks, races, costs ─────────────────────────────────────────────────────────────────────────────────────────────


def test_a_clock_that_jumps_either_way_holds_nobody_for_long(app: Flask, clock: Clock) -> None:
    allowed = Limits(per_network=2, per_minute=2, proof_from=2)
    clock.shift(86_400)
    assert [sign(app, place, limits=allowed) for place in range(3)] == [None, None, "work"]
    clock.shift(-86_400)
    assert [sign(app, 10 + place, limits=allowed) for place in range(3)] == [None, None, "work"]
    clock.shift(30 * 86_400)
    assert sign(app, 20, limits=allowed) is None


def test_clocks_of_replicas_that_disagree_by_a_minute_count_together(app: Flask, clock: Clock) -> None:
    allowed = Limits(per_network=2)
    ahead = now() + timedelta(minutes=1)
    assert [sign(app, place, limits=allowed, now=ahead) for place in range(2)] == [None, None]
    assert sign(app, 3, limits=allowed) == "network"


def test_people_who_sign_at_the_same_moment_are_all_kept_and_a_proof_is_spent_once(app: Flask, clock: Clock) -> None:
    work = Work("solved", b"z" * 32, now() + timedelta(hours=1))
    with ThreadPoolExecutor(6) as pool:
        told = list(
            pool.map(lambda place: _held_of(app, place, work), range(6)),
        )
    assert sorted(told, key=str) == [None, *["proof"] * 5]


def _held_of(app: Flask, place: int, work: Work) -> str | None:
    address = f"race{place}@example.org"
    with app.app_context():
        signing.sign(
            new_signature(clean_email(address), replace(DETAILS, full_name=f"{letters(place)} Ким")),
            key=key_of(app),
            edition_slug="specimen-1",
            browser_digest=HERE,
            confirm_link_days=7,
            people_per_mailbox=3,
            now=now(),
            origin=Origin(work=work),
        )
        found = db.session.scalars(select(Signature.held_because).filter_by(mailbox=address)).one()
        db.session.remove()
        return found


def test_signing_asks_as_often_whoever_signs_and_however_many_did(app: Flask, clock: Clock) -> None:
    allowed = Limits(per_mailbox=5, per_network=5, per_domain=5, per_minute=50, proof_from=40)

    def cost(place: int, **more: Any) -> list[str]:
        with statements(app) as seen:
            sign(app, place, limits=allowed, **more)
        # Which columns are written depends on what was answered; which tables do not.
        begun = [one.partition("(")[0] if one.startswith("INSERT") else one for one in seen]
        return [one for one in begun if not one.startswith(("BEGIN", "PRAGMA", "SET TRANSACTION"))]

    sign(app, 0)  # which texts of consents are kept is asked once
    sign(app, 0)
    first = cost(1)
    again = cost(1)
    assert again == first, "somebody who has signed before"
    for place in range(2, 10):
        sign(app, place)
    assert cost(11) == first, "somebody who is set aside"
    assert cost(12, address="someone1@example.org") == first, "somebody else of the same mailbox"
    assert len(first) <= 14, first


# ── the key of a day ─────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_day_has_one_key_whoever_asks_first(app: Flask, clock: Clock) -> None:
    day = date(2026, 11, 20)

    def ask(_place: int) -> bytes:
        with app.app_context():
            found = limits.keep_day_key(day)
            db.session.remove()
            return found

    with ThreadPoolExecutor(4) as pool:
        keys = set(pool.map(ask, range(4)))
    assert len(keys) == 1
    with app.app_context():
        other = limits.keep_day_key(date(2026, 11, 21))
        assert db.session.scalar(select(func.count()).select_from(DayKey)) == 2
    assert other not in keys
    one, two = (limits.network_digest("192.0.2.1", key=b"k" * 32, day_key=key) for key in (other, *keys))
    assert one != two, "nobody is followed from one day into the next"
    assert len(one) == 32
    assert datetime.now(UTC).date() == day
