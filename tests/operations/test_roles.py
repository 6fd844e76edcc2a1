"""The team's own rules: nobody changes their own role, two decide, one administrator stays, an account ends whole."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select
from time_machine import Traveller as Clock

from charter.domain import token as tokens
from charter.domain.duties import Role, Second
from charter.domain.errors import (
    AlreadyProposedError,
    DutyRefusedError,
    FieldRefusedError,
    NotFoundError,
    SamePersonError,
    TooOftenError,
)
from charter.models.base import db
from charter.models.decision import Audit
from charter.models.desk import Claim, Proposal
from charter.models.staff import StaffAccount, StaffSession
from charter.operations import proposals, roles, staff
from charter.operations.roles import Change
from charter.queries import team as queries
from tests.operations.test_races import at_once
from tests.people import Desk, link_in, mails, work

ONE_ENGINE = pytest.mark.parametrize("engine_name", ["sqlite"], indirect=True)
EDITOR = Change(Role.EDITOR)


@pytest.fixture
def dana(app: Flask, desk: Desk, clock: Clock) -> Desk:
    """A second administrator."""
    return Desk(app, "Dana", "dana@example.org")


@pytest.fixture
def erlan(app: Flask, desk: Desk, clock: Clock) -> Desk:
    """A reviewer."""
    return Desk(app, "Erlan", "erlan@example.org", role="reviewer")


def now() -> datetime:
    return datetime.now(UTC)


def key_of(app: Flask) -> bytes:
    return bytes(app.config["CHARTER"].secret_key.encode())


def account(staff_id: int) -> StaffAccount:
    db.session.rollback()
    return db.session.get_one(StaffAccount, staff_id)


def invite(app: Flask, by: Desk, role: Role = Role.REVIEWER, *, email: str = "chloe@example.org") -> int:
    return roles.invite(
        "Chloe",
        email=email,
        language="ru",
        change=Change(role),
        reason="She joins us.",
        key=key_of(app),
        staff_id=by.id,
        now=now(),
    )


def change(subject: Desk | int, to: Change, by: Desk) -> int | None:
    subject_id = subject if isinstance(subject, int) else subject.id
    return roles.change_role(subject_id, to, reason="For the elections.", staff_id=by.id, now=now())


def last_audit(action: str) -> dict[str, Any]:
    row = db.session.scalars(select(Audit).where(Audit.action == action).order_by(Audit.id.desc())).first()
    assert row is not None
    return {"by": row.staff_id, "about": row.subject_id, "before": row.before, "after": row.after, "why": row.reason}


# ── roles ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_one_proposes_another_role_and_another_administrator_agrees(
    app: Flask, desk: Desk, dana: Desk, erlan: Desk
) -> None:
    to = Change(Role.REVIEWER, ("KZ-19", "KZ-71"))
    with app.app_context():
        proposal_id = change(erlan, to, desk)
        assert proposal_id is not None
        assert account(erlan.id).regions is None, "nothing has happened yet"
        with pytest.raises(SamePersonError):
            proposals.approve(proposal_id, staff_id=desk.id, now=now())
        with pytest.raises((SamePersonError, DutyRefusedError)):
            proposals.approve(proposal_id, staff_id=erlan.id, now=now())
        with pytest.raises(AlreadyProposedError):
            change(erlan, EDITOR, dana)
        proposals.approve(proposal_id, staff_id=dana.id, now=now())
        assert account(erlan.id).regions == ["KZ-19", "KZ-71"]
        assert last_audit("staff-role") == {
            "by": dana.id,
            "about": erlan.id,
            "before": {"role": "reviewer", "regions": None},
            "after": {"role": "reviewer", "regions": ["KZ-19", "KZ-71"]},
            "why": "For the elections.",
        }
    work(app)
    assert "erlan@example.org" in {mail["To"] for mail in mails(app)}


@ONE_ENGINE
def test_nobody_decides_on_themselves(app: Flask, desk: Desk, dana: Desk) -> None:
    third = Desk(app, "Yerke", "yerke@example.org")
    with app.app_context():
        with pytest.raises(SamePersonError):
            change(desk, EDITOR, desk)
        proposal_id = change(third, EDITOR, desk)
        assert proposal_id is not None
        with pytest.raises(SamePersonError):
            proposals.approve(proposal_id, staff_id=third.id, now=now())
        assert account(third.id).role == "administrator"
        for act in (roles.deactivate, roles.begin_anew):
            more = {"key": key_of(app)} if act is roles.begin_anew else {}
            with pytest.raises(SamePersonError):
                act(desk.id, staff_id=desk.id, now=now(), **more)


@ONE_ENGINE
def test_while_there_never_was_a_second_administrator_one_is_enough(app: Flask, desk: Desk, erlan: Desk) -> None:
    with app.app_context():
        assert queries.strength() == queries.Strength(1, True)
        assert change(erlan, EDITOR, desk) is None
        assert account(erlan.id).role == "editor"
        assert db.session.scalars(select(Proposal)).all() == []
        assert last_audit("staff-role")["by"] == desk.id


@ONE_ENGINE
@pytest.mark.parametrize("how", ["deactivate", "begin anew", "command line"])
def test_whoever_gets_rid_of_the_second_administrator_is_not_alone_for_that(
    app: Flask, desk: Desk, dana: Desk, erlan: Desk, how: str
) -> None:
    with app.app_context():
        if how == "deactivate":
            roles.deactivate(dana.id, staff_id=desk.id, now=now())
            roles.reopen(dana.id, key=key_of(app), staff_id=desk.id, now=now())
            assert account(dana.id).role == "reviewer"
        elif how == "begin anew":
            roles.begin_anew(dana.id, key=key_of(app), staff_id=desk.id, now=now())
        else:
            staff.deactivate(dana.id, now=now())
        assert queries.strength() == queries.Strength(1, False)
        proposal_id = change(erlan, Change(Role.ADMINISTRATOR), desk)
        assert proposal_id is not None
        assert account(erlan.id).role == "reviewer"


@ONE_ENGINE
def test_regions_are_for_reviewers_and_have_to_be_there(app: Flask, desk: Desk, erlan: Desk) -> None:
    with app.app_context():
        for wrong, field in (
            (Change(Role.EDITOR, ("KZ-19",)), "regions"),
            (Change(Role.REVIEWER, ("KZ-00",)), "regions"),
            (Change(Role.REVIEWER), "role"),
        ):
            with pytest.raises(FieldRefusedError) as refused:
                change(erlan, wrong, desk)
            assert refused.value.field == field


@ONE_ENGINE
def test_what_the_new_role_may_not_go_on_with_ends(app: Flask, desk: Desk, dana: Desk) -> None:
    third = Desk(app, "Yerke", "yerke@example.org")
    with app.app_context():
        own = change(dana, EDITOR, third)
        proposal_id = change(third, EDITOR, desk)
        assert own is not None and proposal_id is not None
        proposals.approve(proposal_id, staff_id=dana.id, now=now())
        assert db.session.get_one(Proposal, own).state == "expired"
        with pytest.raises(DutyRefusedError):
            invite(app, third)


# ── invitations ──────────────────────────────────────────────────────────────────────────────────────────────────────


def test_an_invitation_comes_by_mail_and_its_link_is_kept_nowhere(app: Flask, desk: Desk, dana: Desk) -> None:
    with app.app_context():
        staff_id = invite(app, desk)
        row = account(staff_id)
        assert (row.role, row.password) == ("reviewer", None)
        kept = str(db.session.execute(select(StaffAccount.__table__).where(StaffAccount.id == staff_id)).one())
    work(app)
    mail = mails(app)[-1]
    assert mail["To"] == "chloe@example.org"
    token = link_in(mail, "invitation/").rpartition("/")[2]
    assert token not in kept
    with app.app_context():
        assert (
            staff.accept_invitation(tokens.token_digest(token), password_hash="-", language="ru", now=now()) == staff_id
        )
        assert account(staff_id).invite_uid is None


@ONE_ENGINE
def test_another_role_than_reviewer_waits_for_the_second_administrator(app: Flask, desk: Desk, dana: Desk) -> None:
    with app.app_context():
        staff_id = invite(app, desk, Role.AUDITOR)
        assert account(staff_id).role == "reviewer"
        found = queries.find_colleague(staff_id, now=now())
        assert found is not None and found.waiting is not None
        assert (found.state, found.waiting.role) == ("invited", "auditor")
        proposals.approve(found.waiting.proposal_id, staff_id=dana.id, now=now())
        assert account(staff_id).role == "auditor"
        assert db.session.get_one(Proposal, found.waiting.proposal_id).kind == Second.ROLE


@ONE_ENGINE
def test_an_invitation_is_sent_again_seldom_and_can_be_withdrawn(app: Flask, desk: Desk, clock: Clock) -> None:
    key = key_of(app)
    with app.app_context():
        staff_id = invite(app, desk)
        with pytest.raises(roles.AlreadyInvitedError):
            invite(app, desk)
        with pytest.raises(TooOftenError):
            roles.invite_again(staff_id, key=key, staff_id=desk.id, now=now())
        old = account(staff_id).invite_digest
        clock.shift(timedelta(minutes=11))
        roles.invite_again(staff_id, key=key, staff_id=desk.id, now=now())
        assert account(staff_id).invite_digest != old
        roles.withdraw_invitation(staff_id, staff_id=desk.id, now=now())
        with pytest.raises(NotFoundError):
            roles.invite_again(staff_id, key=key, staff_id=desk.id, now=now())
    work(app)
    assert "chloe@example.org" not in {mail["To"] for mail in mails(app)}, "a link that opens nothing is not sent"
    with app.app_context():
        with pytest.raises(staff.AlreadyStaffError):
            invite(app, desk, email="bruno@example.org")
        assert invite(app, desk) == staff_id


# ── the end of an account ────────────────────────────────────────────────────────────────────────────────────────────


def test_a_closed_account_is_out_at_once_and_leaves_nothing_open(
    app: Flask, desk: Desk, dana: Desk, erlan: Desk
) -> None:
    assert dana.browser.get("/staff/account").url == "/staff/account"
    with app.app_context():
        own = change(erlan, EDITOR, dana)
        about = change(dana, EDITOR, desk)
        assert own is not None and about is not None
        roles.deactivate(dana.id, staff_id=desk.id, now=now())
        assert {db.session.get_one(Proposal, one).state for one in (own, about)} == {"expired"}
        assert last_audit("staff-deactivate")["before"] == {"role": "administrator", "regions": None, "able": True}
        assert db.session.scalars(select(StaffSession).filter_by(staff_id=dana.id, ended_at=None)).all() == []
        assert db.session.scalars(select(Claim).filter_by(staff_id=dana.id)).all() == []
    assert dana.browser.get("/staff/account").url.startswith("/staff/sign-in")


def test_of_two_administrators_who_close_each_other_one_stays(app: Flask, desk: Desk, dana: Desk) -> None:
    def close(subject: int, by: int) -> Any:
        return lambda: roles.deactivate(subject, staff_id=by, now=now())

    results = at_once(app, close(dana.id, desk.id), close(desk.id, dana.id))
    assert sorted(type(one).__name__ for one in results) in (
        ["DutyRefusedError", "NoneType"],
        ["LastStaffError", "NoneType"],
    )
    with app.app_context():
        assert queries.strength().administrators == 1


@ONE_ENGINE
def test_sessions_are_ended_one_by_one_or_all(app: Flask, desk: Desk, erlan: Desk) -> None:
    with app.app_context():
        staff.begin_session(erlan.id, digest=b"x" * 32, now=now())
        hours = timedelta(hours=1)

        def live() -> list[queries.SessionLine]:
            db.session.rollback()
            return queries.live_sessions(erlan.id, own_digest=b"x" * 32, now=now(), idle=hours, longest=hours)

        assert [one.is_this for one in live()] == [True, False]
        roles.end_session(live()[0].id, subject_id=erlan.id, staff_id=desk.id, now=now())
        with pytest.raises(NotFoundError):
            roles.end_session(live()[0].id, subject_id=desk.id, staff_id=desk.id, now=now())
        assert [one.is_this for one in live()] == [False]
        roles.end_all_sessions(erlan.id, staff_id=desk.id, now=now())
        assert live() == []
    assert erlan.browser.get("/staff/account").url.startswith("/staff/sign-in")


@ONE_ENGINE
def test_who_begins_anew_keeps_the_role_and_nothing_secret(app: Flask, desk: Desk, dana: Desk) -> None:
    with app.app_context():
        roles.begin_anew(dana.id, key=key_of(app), staff_id=desk.id, now=now())
        row = account(dana.id)
        assert (row.role, row.active, row.password, row.tf_totp_secret, row.mf_recovery_codes) == (
            "administrator",
            True,
            None,
            None,
            None,
        )
    work(app)
    assert link_in(mails(app)[-1], "invitation/")
    assert mails(app)[-1]["To"] == "dana@example.org"
    assert dana.browser.get("/staff/account").url.startswith("/staff/sign-in")


@ONE_ENGINE
def test_of_two_administrators_who_let_each_other_begin_anew_one_stays(app: Flask, desk: Desk, dana: Desk) -> None:
    with app.app_context():
        roles.begin_anew(dana.id, key=key_of(app), staff_id=desk.id, now=now())
        # What Dana had sent before she was signed out waits for the same lock and comes second.
        with pytest.raises(staff.LastStaffError):
            roles.begin_anew(desk.id, key=key_of(app), staff_id=dana.id, now=now())
        assert queries.strength().administrators == 1


@ONE_ENGINE
def test_the_command_line_makes_two_administrators_and_tells_the_first(app: Flask, desk: Desk, clock: Clock) -> None:
    def add(email: str, digest: bytes) -> int:
        return staff.invite_administrator(
            "X", email=email, language="en", digest=digest, expires_at=now() + timedelta(1), now=now()
        )

    with app.app_context():
        second = add("second@example.org", b"a" * 32)
        assert account(second).role == "administrator"
        assert add("second@example.org", b"b" * 32) == second, "the link was lost"
        with pytest.raises(staff.EnoughAdministratorsError):
            add("third@example.org", b"c" * 32)
    work(app)
    assert {mail["To"] for mail in mails(app)} == {"bruno@example.org"}
