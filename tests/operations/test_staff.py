"""Accounts, invitations, codes taken once and counted attempts, also when several come at once."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select, update
from sqlalchemy.exc import DBAPIError

from charter.domain.errors import NotFoundError
from charter.models.base import db, writing
from charter.models.decision import Audit
from charter.models.staff import RateLimit, StaffAccount, StaffSession
from charter.operations import staff
from charter.queries import staff as queries

NOW = datetime(2026, 11, 23, 4, 0, tzinfo=UTC)


def first(name: str = "Бруно", email: str = "bruno@example.org") -> int:
    return staff.create_first(name, email=email, password_hash="-", language="kk", now=NOW)


def invited(email: str, *, digest: bytes = b"d" * 32, now: datetime = NOW) -> int:
    return staff.invite("Дана", email=email, language="ru", digest=digest, expires_at=now + timedelta(72 / 24), now=now)


def audits() -> list[tuple[str, int | None, int | None, Any]]:
    return [
        (row.action, row.staff_id, row.subject_id, row.detail)
        for row in db.session.scalars(select(Audit).where(Audit.subject == "staff").order_by(Audit.id))
    ]


def all_at_once(app: Flask, count: int, act: Callable[[int], object]) -> list[object]:
    """What `act` returned or raised in as many threads, each with a database connection of its own."""
    together = threading.Barrier(count, timeout=60)
    results: list[object] = []

    def run(number: int) -> None:
        with app.app_context():
            together.wait()
            try:
                results.append(act(number))
            except Exception as error:
                results.append(error)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


def test_two_who_use_the_first_link_at_once_make_one_account(app: Flask) -> None:
    results = all_at_once(app, 4, lambda number: first(email=f"p{number}@example.org"))
    assert sorted(type(result).__name__ for result in results) == ["NotFoundError"] * 3 + ["int"]
    with app.app_context():
        assert len(queries.staff_lines()) == 1
        assert [action for action, *_ in audits()] == ["staff-first"]


def test_an_invitation_is_used_once_and_ends(app: Flask) -> None:
    with app.app_context():
        staff_id = invited("dana@example.org")
        assert queries.find_invitation(b"d" * 32, now=NOW) == queries.Invitation("Дана", "dana@example.org")
        late = NOW + timedelta(hours=72)
        assert queries.find_invitation(b"d" * 32, now=late) is None
        with pytest.raises(NotFoundError):
            staff.accept_invitation(b"d" * 32, password_hash="-", language="kk", now=late)
        assert staff.accept_invitation(b"d" * 32, password_hash="-", language="kk", now=NOW) == staff_id
        with pytest.raises(NotFoundError):
            staff.accept_invitation(b"d" * 32, password_hash="other", language="kk", now=NOW)
        assert audits() == [("staff-invite", None, staff_id, {}), ("staff-join", staff_id, staff_id, {})]


def test_a_second_invitation_replaces_the_first_but_nobody_active_is_invited(app: Flask) -> None:
    with app.app_context():
        staff_id = invited("dana@example.org")
        assert invited("dana@example.org", digest=b"e" * 32) == staff_id
        assert queries.find_invitation(b"d" * 32, now=NOW) is None
        staff.accept_invitation(b"e" * 32, password_hash="-", language="kk", now=NOW)
        with pytest.raises(staff.AlreadyStaffError):
            invited("dana@example.org", digest=b"f" * 32)


def give_second_factor(*staff_ids: int) -> None:
    with writing():
        values = {"tf_totp_secret": "secret", "tf_primary_method": "authenticator"}
        db.session.execute(update(StaffAccount).where(StaffAccount.id.in_(staff_ids)).values(**values))
        db.session.commit()


def test_the_last_administrator_stays(app: Flask) -> None:
    with app.app_context():
        bruno = first()
        dana = staff.invite_administrator(
            "Дана", email="dana@example.org", language="ru", digest=b"d" * 32, expires_at=NOW + timedelta(3), now=NOW
        )
        chloe = invited("chloe@example.org", digest=b"e" * 32)
        staff.accept_invitation(b"e" * 32, password_hash="-", language="kk", now=NOW)
        give_second_factor(bruno, chloe)
        with pytest.raises(staff.LastStaffError):  # neither an invitation nor a reviewer keeps the team
            staff.deactivate(bruno, now=NOW)
        staff.accept_invitation(b"d" * 32, password_hash="-", language="kk", now=NOW)
        with pytest.raises(staff.LastStaffError):  # who has no second factor yet cannot enter
            staff.deactivate(bruno, now=NOW)
        give_second_factor(dana)
        staff.deactivate(chloe, now=NOW)
    results = all_at_once(app, 2, lambda number: staff.deactivate((bruno, dana)[number], now=NOW))
    assert sorted(type(result).__name__ for result in results) == ["LastStaffError", "NoneType"]
    with app.app_context():
        assert [line.is_active for line in queries.staff_lines()].count(True) == 1
        assert [line.role for line in queries.staff_lines() if line.is_active] == ["administrator"]
        with pytest.raises(NotFoundError):
            staff.deactivate(999, now=NOW)


def test_whoever_comes_back_after_deactivation_keeps_no_secret(app: Flask) -> None:
    with app.app_context():
        first()
        dana = invited("dana@example.org")
        staff.accept_invitation(b"d" * 32, password_hash="-", language="kk", now=NOW)
        with writing():
            row = db.session.get_one(StaffAccount, dana)
            row.tf_totp_secret, row.tf_primary_method, row.mf_recovery_codes = "secret", "authenticator", ["code"]
            row.recovery_kept_at = NOW
            uniquifier = row.fs_uniquifier
            db.session.commit()
        staff.begin_session(dana, digest=b"s" * 32, now=NOW)
        staff.deactivate(dana, now=NOW)
        assert db.session.scalars(select(StaffSession)).one().ended_at == NOW
        assert invited("dana@example.org", digest=b"e" * 32) == dana
        row = db.session.get_one(StaffAccount, dana)
        assert row.active
        assert (row.password, row.tf_totp_secret, row.mf_recovery_codes, row.recovery_kept_at) == (None,) * 4
        assert row.fs_uniquifier != uniquifier
        assert ("staff-deactivate", None, dana, {}) in audits()


def test_a_code_of_the_app_is_taken_once_although_many_send_it_at_once(app: Flask) -> None:
    with app.app_context():
        staff_id = first()

    def take(_number: int) -> bool:
        with writing():
            taken = staff.take_totp_counter(staff_id, 100, is_new_secret=False)
            db.session.commit()
        return taken

    assert sorted(map(bool, all_at_once(app, 6, take))) == [False] * 5 + [True]
    with app.app_context(), writing():
        assert not staff.take_totp_counter(staff_id, 99, is_new_secret=False)
        assert staff.take_totp_counter(staff_id, 101, is_new_secret=False)
        assert staff.take_totp_counter(staff_id, 50, is_new_secret=True)
        db.session.rollback()


def test_attempts_that_come_at_once_are_all_counted(app: Flask) -> None:
    counts = all_at_once(app, 8, lambda _number: staff.count_attempt("k" * 64, window_seconds=60, amount=1, now=NOW))
    assert sorted(counts, key=str) == list(range(1, 9))


def test_a_window_begins_with_its_first_attempt_and_is_forgotten_when_it_is_over(app: Flask) -> None:
    with app.app_context():
        for seconds in (0, 30, 59):
            staff.count_attempt("a" * 64, window_seconds=60, amount=1, now=NOW + timedelta(seconds=seconds))
        found = queries.find_attempts("a" * 64, now=NOW + timedelta(seconds=59))
        assert found == queries.Attempts(3, NOW + timedelta(seconds=60))
        later = NOW + timedelta(seconds=60)
        assert queries.find_attempts("a" * 64, now=later) is None
        assert staff.count_attempt("a" * 64, window_seconds=60, amount=1, now=later) == 1
        staff.count_attempt("b" * 64, window_seconds=60, amount=1, now=later + timedelta(seconds=60))
        assert db.session.scalars(select(RateLimit.key)).all() == ["b" * 64]
        assert staff.forget_attempts() == 1


def test_a_session_is_known_by_its_digest_until_it_ends(app: Flask) -> None:
    idle, longest = timedelta(minutes=30), timedelta(hours=12)
    with app.app_context():
        staff_id = first()
        with writing():
            row = db.session.get_one(StaffAccount, staff_id)
            row.tf_totp_secret, row.tf_primary_method = "secret", "authenticator"
            uniquifier = row.fs_uniquifier
            db.session.commit()

        def find(now: datetime, **other: str) -> queries.Presence | None:
            return queries.find_presence(
                b"s" * 32, **({"uniquifier": uniquifier} | other), now=now, idle=idle, longest=longest
            )

        assert find(NOW) is None
        staff.begin_session(staff_id, digest=b"s" * 32, now=NOW)
        found = find(NOW)
        assert found is not None
        assert found.member.pseudonym == f"s{staff_id}"
        assert not found.has_kept_recovery_codes
        assert find(NOW, uniquifier="another") is None
        later = NOW + timedelta(minutes=30)
        assert find(later) is None
        staff.touch_session(b"s" * 32, now=NOW + timedelta(minutes=1))
        assert find(later) is not None
        staff.end_session(b"s" * 32, now=later)
        assert find(later) is None
        staff.end_session(b"s" * 32, now=later)
        assert [action for action, *_ in audits()] == ["staff-first", "staff-sign-in", "staff-sign-out"]
        staff.begin_session(staff_id, digest=b"t" * 32, now=NOW + timedelta(days=8))
        assert db.session.scalars(select(StaffSession.digest)).all() == [b"t" * 32]


def test_outside_an_operation_the_database_refuses_to_write(app: Flask) -> None:
    with app.app_context():
        staff_id = first()
        with pytest.raises(DBAPIError):
            staff.take_totp_counter(staff_id, 1, is_new_secret=False)
        db.session.rollback()
