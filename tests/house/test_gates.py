"""Who may enter: every address of the Centre is gated, every change recorded, every form asks for its token."""

from __future__ import annotations

import io
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask import Flask, url_for
from passlib.totp import TOTP
from sqlalchemy import func, select, update
from werkzeug.routing import Rule

from charter.domain.duties import Right
from charter.domain.exporting import Scope
from charter.domain.mailbox import mailbox_digest
from charter.domain.passkey import NewPasskey
from charter.models.affiliation import Affiliation, AffiliationAlias
from charter.models.base import db, writing
from charter.models.decision import Decision
from charter.models.edition import EditionDraft
from charter.models.limits import MailboxTally
from charter.models.rights import Correction, Objection
from charter.models.staff import StaffAccount, StaffSession
from charter.models.sweeping import Invalidation
from charter.operations import (
    affiliations,
    claims,
    corrections,
    exporting,
    importing,
    merging,
    objections,
    passkeys,
    proposals,
    review,
    selection,
    staff,
    sweeping,
)
from charter.web import gates
from charter.web.staff import factors
from charter.web.staff.auth import first_staff_path
from tests.authenticator import Authenticator
from tests.house.world import PASSWORD, World, changed_tables, dump, rules
from tests.pages import Browser
from tests.people import Desk

#: What the start and an invitation lead to, and how one signs in: open before signing in, and nothing else is.
OPEN = {
    "staff.language",
    "staff_auth.first",
    "staff_auth.invitation",
    "staff_auth.login",
    "staff_auth.mf_recovery",
    "staff_auth.mf_recovery_codes",
    "staff_auth.passkey_second_factor",
    "staff_auth.passkey_second_factor_challenge",
    "staff_auth.passkey_sign_in",
    "staff_auth.passkey_sign_in_challenge",
    "staff_auth.recovery_codes_kept",
    "staff_auth.sign_out",
    "staff_auth.two_factor_setup",
    "staff_auth.two_factor_token_validation",
    "staff_auth.verify",
}


def staff_rules(app: Flask, method: str) -> list[Rule]:
    return [rule for rule in rules(app, method) if rule.rule.startswith("/staff")]


def test_every_address_of_the_centre_names_its_gate(app: Flask) -> None:
    assert gates.ungated(app) == []
    named = {
        rule.endpoint: getattr(app.view_functions[rule.endpoint], "__charter_gate__")  # noqa: B009 - a name of its own
        for rule in staff_rules(app, "GET") + staff_rules(app, "POST")
    }
    assert {endpoint for endpoint, gate in named.items() if gate == "open"} == OPEN
    assert (named["staff.queue"], named["staff.decide"]) == (Right.READ, Right.REVIEW)
    assert {gate for endpoint, gate in named.items() if endpoint.startswith("staff.")} <= {"open", *Right}
    assert set(named.values()) <= {"open", "own", *Right}


def test_nothing_outside_the_centre_carries_its_endpoints(app: Flask) -> None:
    for rule in app.url_map.iter_rules():
        assert rule.rule.startswith("/staff") == rule.endpoint.startswith(("staff.", "staff_auth.")), rule


def is_sign_in(location: str) -> bool:
    return location.partition("?")[0] == "/staff/sign-in"


def test_a_stranger_reads_nothing_of_the_centre(world: World) -> None:
    names = {row["full_name"] for row in dump(world.app)["signature"]} - {""}
    for browser in (world.stranger(), world.people["amina"].browser, world.halfway()):
        for rule in staff_rules(world.app, "GET"):
            for method in ("GET", "HEAD"):
                answer = browser.client.open(world.address(rule), method=method)
                if rule.endpoint not in OPEN:
                    assert answer.status_code == 303, rule
                    assert is_sign_in(answer.headers["Location"]), rule
                assert not any(name in answer.text for name in names), rule
                assert answer.headers["Cache-Control"] == "no-store"


def test_a_stranger_changes_nothing_at_the_centre(world: World) -> None:
    for browser in (world.stranger(), world.people["amina"].browser):
        # A true token of their own: the gate itself must refuse, not only the missing token.
        token = browser.get("/ru/sign/").fields("sign-form")[1]["csrf_token"]
        before = dump(world.app)
        # Signing out comes last: with the session the token goes.
        for rule in sorted(staff_rules(world.app, "POST"), key=lambda rule: rule.endpoint == "staff_auth.sign_out"):
            if rule.endpoint in {"staff_auth.invitation", "staff_auth.first"}:
                continue  # behind a secret in the address
            data = {"csrf_token": token, "action": "approve", "version": "2", "lang": "ru", "answer": "x"}
            answer = browser.client.post(world.address(rule), data=data)
            assert answer.status_code < 500, rule
            if rule.endpoint not in OPEN:
                assert answer.status_code == 303, rule
                assert is_sign_in(answer.headers["Location"]), rule
        assert changed_tables(before, dump(world.app)) <= {"rate_limit"}


@pytest.mark.parametrize("ending", ["idle", "longest", "deactivated", "signed out", "other browser"])
def test_a_session_that_ended_is_a_strangers(world: World, ending: str) -> None:
    browser = world.colleague()
    page = browser.get("/staff/")
    assert page.url == "/staff/"
    if ending == "idle":
        world.clock.shift(31 * 60)
    elif ending == "longest":
        for _ in range(25):
            world.clock.shift(29 * 60)
            browser.get("/staff/")
    elif ending == "deactivated":
        with world.app.app_context(), writing():
            db.session.execute(update(StaffAccount).values(active=False))
            db.session.commit()
    elif ending == "signed out":
        copied = dict(browser.client._cookies or {})
        page.submit(at="/sign-out")
        browser.client._cookies = copied
    else:
        with browser.client.session_transaction() as session:
            session["staff_session"] = "guessed"
    for rule in staff_rules(world.app, "GET"):
        if rule.endpoint not in OPEN:
            answer = browser.client.get(world.address(rule))
            assert answer.status_code == 303, (ending, rule)
            assert is_sign_in(answer.headers["Location"])


# ── every change is recorded ─────────────────────────────────────────────────────────────────────────────────────────


@dataclass
class Act:
    """One true POST of the Centre.

    before: brings the world to where it works, and returns the browser and more values for the address.
    writes: what the audit calls it; None where nothing but a cookie changes, or `changes`, for which nobody answers.
    """

    writes: str | None
    fields: dict[str, Any] = field(default_factory=dict)
    before: Callable[[World], tuple[Browser, dict[str, Any]]] = lambda world: (world.colleague(), {})
    page: str = "/staff/"
    changes: frozenset[str] = frozenset()


def _version(world: World) -> dict[str, Any]:
    page = world.colleague().get(f"/staff/review/{world.signature_id('waiting')}/")
    return page.fields(at=f"/staff/review/{world.signature_id('waiting')}/")[1]


def _decided(world: World) -> tuple[Browser, dict[str, Any]]:
    signature_id = world.signature_id("waiting")
    with world.app.app_context():
        decision_id = review.decide(
            signature_id,
            action="approve",
            expected_version=int(_version(world)["version"]),
            reason=None,
            note=None,
            staff_id=world.desk.id,
            undo_seconds=10,
            now=datetime.now(UTC),
        )
    return world.colleague(), {"decision_id": decision_id}


def _other_reviewer(world: World) -> tuple[Browser, dict[str, Any]]:
    """Bruno declined, so somebody else answers."""
    return Desk(world.app, "Ерке", "yerke@example.org").browser, {}


def _objection_answered(world: World) -> tuple[Browser, dict[str, Any]]:
    other = Desk(world.app, "Ерке", "yerke@example.org")
    objection_id = world.scalar(select(func.max(Objection.id)))
    with world.app.app_context():
        objections.decide(
            objection_id,
            is_upheld=True,
            answer=None,
            expected_version=1,
            staff_id=other.id,
            answer_due_working_days=5,
            holidays=frozenset(),
            key=world.app.config["CHARTER"].secret_key.encode(),
            undo_seconds=10,
            now=datetime.now(UTC),
        )
    return other.browser, {"objection_id": objection_id}


def _claimed(world: World) -> tuple[Browser, dict[str, Any]]:
    with world.app.app_context():
        claims.take(world.signature_id("waiting"), staff_id=world.desk.id, now=datetime.now(UTC))
    return world.colleague(), {}


def _bulk_decided(world: World) -> tuple[Browser, dict[str, Any]]:
    with world.app.app_context():
        outcome = selection.decide_all(
            {world.signature_id("waiting"): 2},
            action="approve",
            reason=None,
            note=None,
            staff_id=world.desk.id,
            undo_seconds=10,
            now=datetime.now(UTC),
        )
    return world.colleague(), {"mark": outcome.mark}


def _chosen(world: World) -> dict[str, Any]:
    """What the page about a selection carries on."""
    return (
        world.colleague()
        .get("/staff/")
        .submit("selection", pick=f"{world.signature_id('waiting')}.2")
        .fields(at="/staff/bulk/")[1]
    )


def _correction_decided(world: World) -> tuple[Browser, dict[str, Any]]:
    correction_id = world.scalar(select(func.max(Correction.id)))
    with world.app.app_context():
        corrections.decide(
            correction_id,
            action="approve",
            expected_version=1,
            reason=None,
            note=None,
            staff_id=world.desk.id,
            undo_seconds=10,
            now=datetime.now(UTC),
        )
    return world.colleague(), {"correction_id": correction_id}


def _held(world: World) -> tuple[Browser, dict[str, Any]]:
    return world.colleague(), {"signature_id": world.signature_id("office3")}


def _stopped(world: World) -> tuple[Browser, dict[str, Any]]:
    key = world.app.config["CHARTER"].secret_key.encode()
    with world.app.app_context(), writing():
        now = datetime.now(UTC)
        digest = mailbox_digest("amina@example.org", key=key)
        stopped = {"stopped_at": now, "stopped_until": now + timedelta(days=365)}
        db.session.merge(MailboxTally(digest=digest, **stopped))
        db.session.commit()
    return world.colleague(), {}


def _export_approved(world: World) -> tuple[Browser, dict[str, Any]]:
    """Bruno proposed it, Erke approved."""
    other = Desk(world.app, "Ерке", "yerke@example.org")
    now = datetime.now(UTC)
    with world.app.app_context():
        scope = Scope(states=("published",))
        proposal_id = exporting.propose(scope, purpose="Комиссия сұрады.", staff_id=world.desk.id, now=now)
        proposals.approve(proposal_id, staff_id=other.id, now=now)
    return world.colleague(), {"proposal_id": proposal_id}


def _invited(world: World) -> tuple[Browser, dict[str, Any]]:
    return world.stranger(), {"token": world.invitation("ayan@example.org")}


def _code_needed(world: World) -> tuple[Browser, dict[str, Any]]:
    browser = world.halfway()
    browser.get(SET_UP).submit("set-up-form")
    return browser, {}


def _unkept(world: World) -> tuple[Browser, dict[str, Any]]:
    with world.app.app_context(), writing():
        db.session.execute(update(StaffAccount).where(StaffAccount.id == world.desk.id).values(recovery_kept_at=None))
        db.session.commit()
    return world.colleague(), {}


def _elsewhere(world: World) -> tuple[Browser, dict[str, Any]]:
    """Signed in on another machine as well."""
    with world.app.app_context():
        staff.begin_session(world.desk.id, digest=bytes(32), now=datetime.now(UTC))
    return world.colleague(), {}


def _at_a_host(world: World) -> Browser:
    """Where passkeys work; the rest of the world stands at an IP address."""
    world.app.config["CHARTER"] = replace(world.app.config["CHARTER"], public_url="http://localhost:8000")
    return world.colleague()


def _passkey_added(world: World) -> tuple[Browser, dict[str, Any]]:
    browser = _at_a_host(world)
    made = NewPasskey(DEVICE.credential_id, DEVICE.public_key(), 0)
    with world.app.app_context():
        now = datetime.now(UTC)
        passkey_id = passkeys.add(world.desk.id, passkey=made, user_handle=b"h" * 32, name="Laptop", now=now)
    return browser, {"passkey_id": passkey_id}


def _stranger_with_passkey(world: World) -> tuple[Browser, dict[str, Any]]:
    _passkey_added(world)
    return world.stranger(), {}


def _password_given(world: World) -> tuple[Browser, dict[str, Any]]:
    _passkey_added(world)
    browser = world.stranger()
    page = browser.get("/staff/sign-in").submit("sign-in-form", email="bruno@example.org", password=PASSWORD)
    assert page.url == SECOND_STEP, page.main
    return browser, {}


def device_answer(browser: Browser, address: str, fields: dict[str, Any]) -> str:
    """What Bruno's device says to the question that is put at this address."""
    question = browser.client.post(address + "/challenge", data=fields).get_json()
    DEVICE.user_handle = b"h" * 32
    return DEVICE.make(question) if "user" in question else DEVICE.answer(question)


def app_code(browser: Browser) -> str:
    """What the app shows for the key that the page shows."""
    page = browser.get(SET_UP)
    found = re.search(r"<code[^>]*>([A-Z2-7-]+)</code>", page.text)
    assert found, page.main
    return str(TOTP(key=found[1].replace("-", "")).generate(time=int(time.time())).token)


def _with_app(world: World) -> Browser:
    """Bruno with a telephone: the rest of the world has signed in without one."""
    with world.app.app_context(), writing():
        secret = factors.security().totp_factory.generate_totp_secret()
        db.session.execute(update(StaffAccount).where(StaffAccount.id == world.desk.id).values(tf_totp_secret=secret))
        db.session.commit()
    return world.colleague()


def _with_colleague(world: World) -> tuple[Browser, dict[str, Any]]:
    return world.colleague(), {"staff_id": Desk(world.app, "Ерке", "yerke@example.org", role="reviewer").id}


def _with_session(world: World) -> tuple[Browser, dict[str, Any]]:
    browser, more = _with_colleague(world)
    session_id = world.scalar(select(func.max(StaffSession.id)).where(StaffSession.staff_id == more["staff_id"]))
    return browser, {**more, "session_id": session_id}


def _with_invited(world: World) -> tuple[Browser, dict[str, Any]]:
    world.invitation("ayan@example.org")
    staff_id = world.scalar(select(StaffAccount.id).where(StaffAccount.email == "ayan@example.org"))
    return world.colleague(), {"staff_id": staff_id}


def _with_closed(world: World) -> tuple[Browser, dict[str, Any]]:
    browser, more = _with_colleague(world)
    with world.app.app_context():
        staff.deactivate(more["staff_id"], now=datetime.now(UTC))
    return browser, more


ANSWERED_BY_DEVICE = {
    "staff_auth.passkeys",
    "staff_auth.passkey_sign_in",
    "staff_auth.passkey_second_factor",
    "staff_auth.passkey_again",
}
SET_UP = "/staff/second-factor/set-up"
SECOND_STEP = "/staff/second-factor"
DEVICE = Authenticator()
NEW_PASSWORD = "жеті рет өлшеп бір рет кес"

LETTER = {"version": "2", "reference": "12-3", "received_on": "2026-11-19", "is_checked": "y"}


def _edition_written(world: World) -> tuple[Browser, dict[str, Any]]:
    browser = world.colleague()
    page = browser.get(f"/staff/editions/{world.scalar(select(func.max(EditionDraft.id)))}/")
    _, values = page.fields("draft-form")
    texts = {name: text.replace("1. ", "1. А", 1) for name, text in values.items() if name.startswith("text_")}
    assert page.submit("draft-form", **texts, kind="material").status == 200
    return browser, {}


#: Acts whose line has no values before and after: what changed is a secret, or a session, or says itself.
VALUELESS = {
    *("staff-first", "staff-join", "staff-invite-again", "staff-password", "staff-second-factor", "staff-verify"),
    *("staff-sign-in", "staff-sign-out", "staff-session-end", "staff-recovery-code", "staff-recovery-codes"),
    *("staff-codes-kept", "staff-passkey-add", "staff-passkey-remove", "staff-passkey-counter"),
    "staff-sign-out-others",
    # What has begun, or was done with a whole selection: the lines of each that follow have theirs.
    *("bulk", "bulk-undo", "import-begin", "proposal-used"),
}


def _swept(world: World) -> tuple[Browser, dict[str, Any]]:
    invalidation_id = world.scalar(select(func.max(Invalidation.id)))
    with world.app.app_context():
        sweeping.start(invalidation_id, expected_version=1, staff_id=world.desk.id, now=datetime.now(UTC))
    world.work()
    return world.colleague(), {"invalidation_id": invalidation_id}


#: endpoint → how it is truly called. A new POST of the Centre that is missing here fails the test below.
ONE_REGION = {"region": "KZ-31", "kind": "independent"}


NEW_PARTY = {"name_kk": "«Таң» партиясы", "name_ru": "Партия «Таң»", "name_en": "Tang Party", "why": "correct"}
NEW_REGION = {
    "name_kk": "Алтай облысы",
    "name_ru": "область Алтай",
    "name_en": "Altai Region",
    "tile": "5-2",
    **{f"{part}_{language}": "Алтай" for part in ("short", "abbr") for language in ("kk", "ru", "en")},
}


def _party(world: World, slug: str) -> int:
    return int(world.scalar(select(Affiliation.id).where(Affiliation.slug == slug)))


def _aliased(world: World) -> tuple[Browser, dict[str, Any]]:
    with world.app.app_context():
        party = _party(world, "respublica")
        affiliations.give_alias(party, "Жаңа республика", staff_id=world.desk.id, now=datetime.now(UTC))
    return world.colleague(), {"alias_id": world.scalar(select(func.max(AffiliationAlias.id)))}


def _target(world: World) -> tuple[Browser, dict[str, Any]]:
    ACTS["staff.merge_affiliation"].fields = {"version": "1", "into": str(_party(world, "aq-jol"))}
    return world.colleague(), {}


def _merged(world: World) -> tuple[Browser, dict[str, Any]]:
    pair = _party(world, "respublica"), _party(world, "aq-jol")
    with world.app.app_context():
        merge_id = merging.merge(*pair, expected_version=1, staff_id=world.desk.id, now=datetime.now(UTC))
    return world.colleague(), {"merge_id": merge_id}


def _organisation(world: World) -> tuple[Browser, dict[str, Any]]:
    ACTS["staff.match_words"].fields = {"into": str(_party(world, "dauys"))}
    return world.colleague(), {}


def _tried_list(world: World) -> tuple[Browser, dict[str, Any]]:
    job_id = world.values(next(rule for rule in staff_rules(world.app, "POST") if "job_id" in rule.arguments))["job_id"]
    with world.app.app_context():
        importing.choose(
            job_id,
            version=2,
            mapping={0: "full_name", 1: "email"},
            defaults=ONE_REGION,
            again=False,
            staff_id=world.desk.id,
            now=datetime.now(UTC),
        )
    world.work()
    return world.colleague(), {"job_id": job_id}


ACTS: dict[str, Act] = {
    "staff.add_affiliation": Act("affiliation-add", {**NEW_PARTY, "type": "party", "is_selectable": "y"}),
    "staff.edit_affiliation": Act("affiliation-edit", {**NEW_PARTY, "version": "1", "is_selectable": "y"}),
    "staff.add_alias": Act("affiliation-alias-add", {"name": "Жаңа республика"}),
    "staff.remove_alias": Act("affiliation-alias-remove", before=_aliased),
    "staff.merge_affiliation": Act("affiliation-merge", before=_target),
    "staff.undo_merge": Act("affiliation-merge-undo", before=_merged),
    "staff.match_words": Act("affiliation-match", before=_organisation),
    "staff.add_region": Act("region-add", {**NEW_REGION, "code": "KZ-64", "slug": "altai"}),
    "staff.edit_region": Act("region-edit", {**NEW_REGION, "version": "1", "tile": "4-4"}),
    "staff.set_identity": Act(
        "centre-identity",
        {"version": "0", "name": "Орталық", "bin": "971240001315", "email": "data@example.org", "telephone": ""},
    ),
    "staff.set_signing": Act(
        "centre-signing",
        {"version": "0", "opening": "closed", **{f"sentence_{lang}": "Ертең." for lang in ("kk", "ru", "en")}},
    ),
    "staff.set_days_off": Act("centre-holidays", {"version": "0", "added": "2026-11-24", "removed": ""}),
    "staff.begin_edition": Act("edition-begin", {"slug": "charter-2028"}),
    "staff.save_edition": Act("edition-save", {"version": "1", "slug": "charter-2027", "kind": "editorial"}),
    "staff.propose_edition": Act("propose", {"version": "2", "reason": "Одно слово."}, before=_edition_written),
    "staff.drop_edition": Act("edition-drop", {"version": "1"}),
    "staff.decide": Act("approve", {"action": "approve"}),
    "staff.take_next": Act(None, changes=frozenset({"claim"})),
    "staff.claim": Act(None, changes=frozenset({"claim"})),
    "staff.free": Act(None, before=_claimed, changes=frozenset({"claim"})),
    "staff.keep_view": Act(None, {"name": "Алматы", "view": "region=KZ-75"}, changes=frozenset({"saved_view"})),
    "staff.drop_view": Act(None, changes=frozenset({"saved_view"})),
    "staff.show_found": Act(None, {"words": "Ждущий"}),
    "staff.bulk": Act("bulk", {"action": "approve", "decide": "1"}),
    "staff.undo_bulk": Act("bulk-undo", before=_bulk_decided),
    "staff.undo": Act("undo", before=_decided),
    "staff.decide_correction": Act("correction-approve", {"action": "approve", "version": "1"}),
    "staff.answer_objection": Act(
        "objection-rejected", {"verdict": "rejected", "answer": "Мы проверили.", "version": "1"}, before=_other_reviewer
    ),
    "staff.undo_objection": Act("objection-undo", before=_objection_answered),
    "staff.record_letter": Act("written-withdraw", {**LETTER, "kind": "withdraw"}),
    "staff.correct_by_letter": Act(
        "written-correct", {**LETTER, "kind": "independent", "full_name": "Тимур Серікұлы", "region": "KZ-71"}
    ),
    "staff.undo_correction": Act("correction-undo", before=_correction_decided),
    "staff.release": Act("release", before=_held),
    "staff.release_group": Act("release", {"by": "reason", "key": "people", "up_to": "999999"}),
    "staff.propose_revocation": Act("propose", {"reason": "abuse", "words": "Өзі жазды."}),
    "staff.approve_proposal": Act("proposal-approved", before=_other_reviewer),
    "staff.reject_proposal": Act("proposal-rejected", {"words": "Бұл басқа адам."}, before=_other_reviewer),
    "staff.cancel_proposal": Act("proposal-cancelled"),
    "staff.propose_export": Act("propose", {"purpose": "Комиссия сұрады.", "states": "published"}),
    "staff.fetch_export": Act("proposal-used", before=_export_approved),
    "staff.new_invalidation": Act(
        "invalidation-draft", {"domain": "spam.example", "reason": "abuse", "note": "Одна почта."}
    ),
    "staff.start_invalidation": Act("invalidation-begin", {"version": "1"}),
    "staff.propose_invalidation": Act("invalidation-propose", {"version": "1"}),
    "staff.stop_invalidation": Act("invalidation-cancelled", {"version": "1"}),
    "staff.undo_invalidation": Act("invalidation-undo", {"version": "3"}, before=_swept),
    "staff.retry_mail": Act("retry-mail"),
    "staff.find_mailbox": Act(None, {"email": "amina@example.org"}),
    "staff.lift_mailbox": Act("lift-mail-stop", {"email": "amina@example.org", "what": "stop"}, before=_stopped),
    "staff.add_name": Act("add-notable", {"name": "Ақселеу Тұрсынбек"}),
    "staff.remove_name": Act("remove-notable"),
    "staff.bring_list": Act("import-begin", {"source": "Taraz"}),
    "staff.choose_columns": Act(
        "import-map", {"version": "2", "column-0": "full_name", "column-1": "email", **ONE_REGION, "language": "ru"}
    ),
    "staff.start_import": Act("import-start", {"version": "4"}, before=_tried_list),
    "staff.cancel_import": Act("import-cancel"),
    "staff.language": Act(None, {"lang": "kk", "next": "/staff/"}),
    "staff_auth.change_password": Act(
        "staff-password", {"password": PASSWORD, "new_password": NEW_PASSWORD, "again": NEW_PASSWORD}
    ),
    "staff_auth.end_other_sessions": Act("staff-sign-out-others", before=_elsewhere),
    "staff_auth.sign_out": Act("staff-sign-out"),
    "staff_auth.first": Act(
        "staff-first", {"name": "Дана", "email": "dana@example.org", "new_password": PASSWORD, "again": PASSWORD}
    ),
    "staff_auth.invitation": Act("staff-join", {"new_password": PASSWORD, "again": PASSWORD}, before=_invited),
    "staff_auth.login": Act(
        None,
        {"email": "bruno@example.org", "password": PASSWORD},
        before=lambda world: (world.stranger(), {}),
        page="/staff/sign-in",
    ),
    "staff_auth.two_factor_setup": Act(
        None, {"setup": "authenticator"}, before=lambda world: (world.halfway(), {}), page=SET_UP
    ),
    "staff_auth.two_factor_token_validation": Act("staff-second-factor", before=_code_needed, page=SET_UP),
    "staff_auth.mf_recovery_codes": Act("staff-recovery-codes", {"generate_new_codes": "1"}),
    "staff_auth.recovery_codes_kept": Act("staff-codes-kept", before=_unkept),
    "staff_auth.verify": Act(None, {"password": PASSWORD}),
    "staff_auth.passkeys": Act("staff-passkey-add", {"name": "Laptop"}, before=lambda world: (_at_a_host(world), {})),
    "staff_auth.passkey_challenge": Act(None, {"name": "Laptop"}, before=lambda world: (_at_a_host(world), {})),
    "staff_auth.remove_passkey": Act("staff-passkey-remove", before=_passkey_added),
    "staff_auth.passkey_sign_in": Act("staff-sign-in", before=_stranger_with_passkey, page="/staff/sign-in"),
    "staff_auth.passkey_sign_in_challenge": Act(None, before=_stranger_with_passkey, page="/staff/sign-in"),
    "staff_auth.passkey_second_factor": Act("staff-sign-in", before=_password_given, page=SECOND_STEP),
    "staff_auth.passkey_second_factor_challenge": Act(None, before=_password_given, page=SECOND_STEP),
    "staff_auth.second_factor_again": Act("staff-verify", before=lambda world: (_with_app(world), {})),
    "staff_auth.passkey_again": Act("staff-verify", before=lambda world: (_passkey_added(world)[0], {})),
    "staff_auth.passkey_again_challenge": Act(None, before=_passkey_added),
    "staff.invite_colleague": Act(
        "staff-invite", {"name": "Ерке", "email": "yerke@example.org", "language": "kk", "role": "reviewer"}
    ),
    "staff.change_role": Act("staff-role", {"role": "editor", "reason": "Keeps the lists."}, before=_with_colleague),
    "staff.invite_again": Act("staff-invite-again", before=_with_invited),
    "staff.withdraw_invitation": Act("staff-invite-withdrawn", before=_with_invited),
    "staff.end_sessions": Act("staff-session-end", before=_with_colleague),
    "staff.end_session": Act("staff-session-end", before=_with_session),
    "staff.begin_anew": Act("staff-anew", before=_with_colleague),
    "staff.deactivate_colleague": Act("staff-deactivate", before=_with_colleague),
    "staff.reopen_colleague": Act("staff-invite", before=_with_closed),
    # Its way in needs codes that were really made: told whole in tests/web/test_staff_auth.py.
    "staff_auth.mf_recovery": Act(None, {"code": "0000-0000-0000"}, before=_code_needed, page=SET_UP),
}


def act(world: World, rule: Rule) -> Any:
    """Does it, and returns the answer."""
    one = ACTS[rule.endpoint]
    browser, more = one.before(world)
    values = world.values(rule) if "token" not in more else {}
    with world.app.test_request_context("/"):
        address = url_for(rule.endpoint, **{**values, **more})
    fields = dict(one.fields)
    if rule.endpoint == "staff.decide":
        fields = {**_version(world), **fields}
    if rule.endpoint == "staff.bring_list":
        fields["file"] = (io.BytesIO("Аты;Пошта\nСауле;saule@example.org\n".encode()), "people.csv")
    if rule.endpoint == "staff.bulk":
        fields = {**_chosen(world), **fields}
    if rule.endpoint == "staff_auth.two_factor_token_validation":
        fields["code"] = app_code(browser)
    if rule.endpoint == "staff_auth.second_factor_again":
        with world.app.app_context():
            kept = db.session.scalars(select(StaffAccount.tf_totp_secret).filter_by(id=world.desk.id)).one()
            totp = factors.security().totp_factory._totp.from_source(kept)
        fields["code"] = totp.generate(time=int(time.time())).token
    if "csrf_token" not in fields:
        with browser.client.session_transaction() as session:
            is_signed_in = gates.SESSION_KEY in session
        shown = browser.get("/staff/account" if is_signed_in else address if rule.arguments else one.page)
        fields["csrf_token"] = shown.tree.query("input[name=csrf_token]")[0].attrs["value"]
    if rule.endpoint in ANSWERED_BY_DEVICE:
        fields["credential"] = device_answer(browser, address, fields)
    return lambda: browser.client.post(address, data=fields)


@pytest.mark.parametrize("endpoint", sorted(ACTS))
@pytest.mark.usefixtures("engine_name")
def test_every_change_at_the_centre_leaves_one_line_in_the_audit(request: pytest.FixtureRequest, endpoint: str) -> None:
    if endpoint == "staff_auth.first":
        app: Flask = request.getfixturevalue("app")
        clock = request.getfixturevalue("clock")
        world = World(app, clock)
    else:
        world = request.getfixturevalue("world")
    rule = next(rule for rule in staff_rules(world.app, "POST") if rule.endpoint == endpoint)
    if endpoint == "staff_auth.first":
        world.people, world.message_id = {}, 0
        run = first_account(world, rule)
    else:
        run = act(world, rule)
    before = dump(world.app)
    answer = run()
    assert answer.status_code in {200, 302, 303}, answer.text
    after = dump(world.app)
    changed = changed_tables(before, after) - {"rate_limit"}
    lines = [row for row in after["audit"] if row not in before["audit"]]
    one = ACTS[endpoint]
    if one.writes is None:
        assert changed - {"audit"} == one.changes
        return
    assert changed - {"audit"}, "nothing was changed: this does not test anything"
    assert one.writes in {line["action"] for line in lines}
    for line in lines:
        assert line["staff_id"] is not None
        assert line["subject"] in {
            *("centre", "correction", "edition-draft", "import", "mailbox", "message", "notable-name", "proposal"),
            *("affiliation", "invalidation", "region", "selection", "signature", "staff"),
        }
        assert line["subject_id"] is not None or line["action"].startswith("read-")
        if not line["action"].startswith("read-") and line["action"] not in VALUELESS:
            assert (line["before"] or line["after"]) and line["before"] != line["after"], line
        for person in world.people.values():
            assert person.answers["full_name"] not in str(line)
            assert person.answers["email"] not in str(line)
        assert "@" not in str(line["detail"])


def first_account(world: World, rule: Rule) -> Any:
    """The very first account, by the link that the start prints."""
    path = first_staff_path(world.app)
    assert path is not None
    browser = world.stranger()
    token = browser.get(path).tree.query("input[name=csrf_token]")[0].attrs["value"]
    return lambda: browser.client.post(path, data={**ACTS[rule.endpoint].fields, "csrf_token": token})


def test_every_post_of_the_centre_is_known_here(app: Flask) -> None:
    assert {rule.endpoint for rule in staff_rules(app, "POST")} == set(ACTS)


@pytest.mark.parametrize(
    ("action", "more"),
    [("decline", {"decline_reason": "abuse"}), ("ask", {"ask_reason": "name-unclear"})],
)
def test_each_decision_records_who_when_and_why(world: World, action: str, more: dict[str, Any]) -> None:
    signature_id = world.signature_id("waiting")
    answer = world.colleague().client.post(
        f"/staff/review/{signature_id}/", data={**_version(world), "action": action, "note": "Тимур, ау!", **more}
    )
    assert answer.status_code == 303
    after = dump(world.app)
    line = after["audit"][-1]
    assert (line["action"], line["staff_id"], line["subject_id"]) == (action, world.desk.id, signature_id)
    assert line["detail"] == {"reason": next(iter(more.values()))}
    decision = world.scalar(select(func.max(Decision.id)))
    row = next(row for row in after["decision"] if row["id"] == decision)
    assert row["note"] == "Тимур, ау!"
    assert row["staff_id"] == world.desk.id
    assert timedelta(seconds=10) == row["effective_at"] - row["decided_at"]
    event = after["signature_event"][-1]
    assert (event["actor"], event["staff_id"]) == ("centre", world.desk.id)


# ── every form asks for its token ────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("token", [None, "", "x", "a.b.c", "another browser's"])
def test_no_post_does_anything_without_its_token(world: World, token: str | None) -> None:
    if token == "another browser's":
        token = world.stranger().get("/ru/sign/").fields("sign-form")[1]["csrf_token"]
    before = dump(world.app)
    for rule in rules(world.app, "POST"):
        if rule.endpoint in {"staff_auth.invitation"}:
            continue
        if rule.rule.startswith("/staff"):
            browser = world.colleague()
        else:
            browser = world.people["saule" if rule.endpoint == "my.answer" else "waiting"].browser
        data = {
            "action": "approve",
            "version": "2",
            "lang": "ru",
            "answer": "Алматы",
            "code": "",
            "password": PASSWORD,
            "new_password": NEW_PASSWORD,
            "again": NEW_PASSWORD,
            "generate_new_codes": "1",
            **world.people["waiting"].answers,
            "full_name": "Мошенник",
        }
        if token is not None:
            data["csrf_token"] = token
        cookies = dict(browser.client._cookies or {})
        answer = browser.client.post(world.address(rule), data=data)
        assert answer.status_code in {303, 400, 404, 422}, rule
        if rule.endpoint == "my.close":
            assert "Max-Age=0" not in str(answer.headers), "the page was closed"
        if rule.endpoint == "staff_auth.sign_out":
            browser.client._cookies = cookies
            assert browser.get("/staff/account").url == "/staff/account"
    after = dump(world.app)
    assert changed_tables(before, after) <= {"rate_limit", "staff", "staff_session", "audit"}
    # A form that is shown again with what was typed shows the application beside it, and that is a read.
    assert all(line["action"].startswith("read-") for line in after["audit"][len(before["audit"]) :])


KEEPS = {
    "/ru/sign/": ("amina", "sign-form", {"full_name": "Сохранённое Имя", "email": "kept@example.org"}),
    "/ru/my/edit/": ("waiting", "edit-form", {"full_name": "Сохранённое Имя", "organisation": "Сохранённый Союз"}),
    "/ru/my/": ("saule", "answer-form", {"answer": "Сохранённый ответ"}),
    "/ru/my/withdraw/": ("amina", "withdraw-form", {}),
    "/ru/my/link/": ("amina", "renew-form", {}),
    "/ru/my/address/": ("amina", "address-form", {"email": "kept@example.org"}),
    "/ru/my-link/": ("amina", "ask-form", {"email": "kept@example.org"}),
    "/ru/my/erase/": ("amina", "erase-form", {}),
}


@pytest.mark.parametrize("path", KEEPS)
def test_an_old_token_costs_no_typed_word_and_the_same_form_works_at_once(world: World, path: str) -> None:
    who, form_id, typed = KEEPS[path]
    browser = world.people[who].browser
    # A form left open overnight, in another session of the same browser.
    page = browser.get(path)
    answers = {**world.people[who].answers, **typed} if path.endswith(("/sign/", "/edit/")) else typed
    refused = page.submit(form_id, **{**answers, "csrf_token": "stale"})
    assert refused.status == 422
    for words in typed.values():
        assert words in refused.text
    _, values = refused.fields(form_id)
    assert {key: values[key].strip() for key in typed} == typed
    done = refused.submit(form_id)
    assert done.status == 200
    assert done.url != path or path == "/ru/my/"


def test_an_old_token_costs_a_reviewer_no_typed_word_either(world: World) -> None:
    signature_id = world.signature_id("waiting")
    page = world.colleague().get(f"/staff/review/{signature_id}/")
    refused = page.submit(
        at=f"/staff/review/{signature_id}/",
        action="decline",
        decline_reason="other",
        note="Долгое и обдуманное объяснение.",
        csrf_token="stale",
    )
    assert refused.status in {400, 422}
    assert "Долгое и обдуманное объяснение." in refused.text
