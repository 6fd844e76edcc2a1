"""Every address of the desk, by every method, for every role: let in or refused as the one table of duties says."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from types import ModuleType

import pytest
from flask import Flask
from werkzeug.routing import Rule
from werkzeug.test import TestResponse

from charter import operations
from charter.domain import duties
from charter.domain.duties import FRESH, Right, Role
from charter.domain.errors import DutyRefusedError
from charter.operations import holding, names, outbox, review, roles
from charter.operations.roles import Change
from charter.web import gates
from tests.house.test_gates import OPEN, is_sign_in, staff_rules
from tests.house.world import World, changed_tables, dump
from tests.pages import Browser
from tests.people import Desk

#: The matrix is the same on both engines.
pytestmark = pytest.mark.parametrize("engine_name", ["sqlite"], indirect=True)

#: What the Centre says a role is for. Written once more by hand: a slip in the table shows here.
SAID = {
    Role.REVIEWER: "read review bulk invalidate import revoke figures proposals",
    Role.EDITOR: "read affiliations editions figures proposals",
    Role.AUDITOR: "read audit figures proposals",
    Role.ADMINISTRATOR: " ".join(right.value for right in Right),
}
#: Which right each address asks for, by endpoint without `staff.`. Written once more by hand too: a view that names a
#: lesser right than it should would otherwise be asked for that one.
ASKED = {
    Right.READ: """affiliation affiliations bulk_report correction corrections dossier drop_view edition_draft
        edition_preview editions find held import_errors import_job imports invalidation invalidations keep_view mail
        mailboxes names objection objections own_words queue region regions show_found""",
    Right.REVIEW: """add_name answer_objection claim correct_by_letter decide decide_correction find_mailbox free
        hand_over hand_over_file letters lift_mailbox record_letter release release_group remove_name retry_mail
        take_next undo undo_correction undo_objection""",
    Right.BULK: "bulk undo_bulk",
    Right.INVALIDATE: "new_invalidation propose_invalidation start_invalidation stop_invalidation undo_invalidation",
    Right.IMPORT: "bring_list cancel_import choose_columns start_import",
    Right.AFFILIATIONS: """add_affiliation add_alias add_region edit_affiliation edit_region match_words
        merge_affiliation merge_preview remove_alias undo_merge words_meant""",
    Right.EDITIONS: "begin_edition drop_edition propose_edition save_edition",
    Right.REVOKE: "propose_revocation",
    Right.EXPORT: "exports fetch_export propose_export",
    Right.SETTINGS: "centre set_days_off set_identity set_signing",
    Right.TEAM: """begin_anew change_role colleague deactivate_colleague end_session end_sessions invite_again
        invite_colleague reopen_colleague team withdraw_invitation""",
    Right.AUDIT: "audit audit_file",
    Right.FIGURES: "figures",
    Right.PROPOSALS: "approve_proposal cancel_proposal proposal proposals reject_proposal",
}
RIGHT_OF = {f"staff.{name}": right for right, names in ASKED.items() for name in names.split()}
#: One's own account: no right, but somebody signed in.
OWN = {
    "staff_auth.account",
    "staff_auth.change_password",
    "staff_auth.end_other_sessions",
    "staff_auth.passkey_again",
    "staff_auth.passkey_again_challenge",
    "staff_auth.passkey_challenge",
    "staff_auth.passkeys",
    "staff_auth.remove_passkey",
    "staff_auth.second_factor_again",
}
#: Who comes: role and regions. None: a stranger.
COMERS: dict[str, tuple[Role, list[str] | None] | None] = {
    "reviewer": (Role.REVIEWER, None),
    "reviewer of one region": (Role.REVIEWER, ["KZ-19"]),
    "editor": (Role.EDITOR, None),
    "administrator": (Role.ADMINISTRATOR, None),
    "auditor": (Role.AUDITOR, None),
    "stranger": None,
}


@dataclass
class Comer:
    """Somebody at a browser of their own."""

    name: str
    role: Role | None
    browser: Browser
    token: str


@pytest.fixture
def comers(world: World) -> list[Comer]:
    """One of each kind, with a token of their own: the gate must refuse, not only the missing token."""
    found = []
    for place, (name, who) in enumerate(COMERS.items()):
        if who is None:
            browser = world.stranger()
            token = browser.get("/ru/sign/").fields("sign-form")[1]["csrf_token"]
            found.append(Comer(name, None, browser, token))
            continue
        desk = Desk(world.app, f"Comer {place}", f"comer{place}@example.org", role=who[0], regions=who[1])
        token = desk.browser.get("/staff/account").tree.query("input[name=csrf_token]")[0].attrs["value"]
        found.append(Comer(name, who[0], desk.browser, token))
    return found


def ours(app: Flask, method: str) -> list[tuple[Rule, str, Right]]:
    """Rules that ask for a right. Before signing in, and one's own account, are asked elsewhere."""
    return [(rule, method, RIGHT_OF[rule.endpoint]) for rule in staff_rules(app, method) if rule.endpoint in RIGHT_OF]


def is_led_away(answer: TestResponse) -> bool:
    """To the sign-in or the second factor: the page itself was not asked."""
    target = answer.headers.get("Location", "").partition("?")[0]
    return is_sign_in(target) or target.endswith("/second-factor/again") or "again-form" in answer.text


def test_every_address_asks_for_the_right_that_it_is_said_to_ask_for(app: Flask) -> None:
    # No other methods than those that the matrix goes through.
    rules = [rule for rule in app.url_map.iter_rules() if rule.rule.startswith("/staff") and not rule.build_only]
    assert {method for rule in rules for method in rule.methods or ()} == {"GET", "HEAD", "POST", "OPTIONS"}
    named = {rule.endpoint: getattr(app.view_functions[rule.endpoint], gates._GATE) for rule in rules}
    said = {**RIGHT_OF, **dict.fromkeys(OWN, gates.OWN), **dict.fromkeys(OPEN, gates.OPEN)}
    assert named == said


@pytest.mark.usefixtures("engine_name")
def test_each_role_has_the_rights_it_is_said_to_have() -> None:
    for role, said in SAID.items():
        assert {right.value for right in Right if duties.may(role, right)} == set(said.split()), role
    assert not any(duties.may("nobody", right) for right in Right)
    assert not any(duties.may(Role.AUDITOR, right) for right in Right if right.value not in SAID[Role.AUDITOR].split())


def test_every_cell_of_role_by_address_by_method(world: World, comers: list[Comer]) -> None:
    app = world.app
    cells = [cell for method in ("GET", "HEAD", "POST") for cell in ours(app, method)]
    assert len(cells) * len(comers) > 300
    addresses = {rule.rule: world.address(rule) for rule, _method, _right in cells}
    before = dump(app)
    wrong = []
    for comer in comers:
        refused = [cell for cell in cells if comer.role is None or not duties.may(comer.role, cell[2])]
        for rule, method, _right in refused:
            data = {"csrf_token": comer.token, "action": "approve", "version": "1"} if method == "POST" else None
            answer = comer.browser.client.open(addresses[rule.rule], method=method, data=data)
            if comer.role is None:
                fits = answer.status_code == 303 and is_sign_in(answer.headers["Location"])
            else:
                fits = answer.status_code == 403 and (method == "HEAD" or "<h1>" in answer.text)
            if not fits:
                wrong.append((comer.name, rule.rule, method, answer.status_code))
    assert wrong == []
    seen = {"staff", "staff_session", "rate_limit"}
    assert changed_tables(before, dump(app)) <= seen, "who was refused has changed something"
    assert dump(app)["audit"] == before["audit"]
    for comer in comers:
        for rule, method, right in cells:
            if comer.role is None or not duties.may(comer.role, right) or method == "POST":
                continue
            answer = comer.browser.client.open(addresses[rule.rule], method=method)
            # What lies in another region is not there for who is limited to one.
            allowed = {200, 303, 404} | ({403} if comer.name == "reviewer of one region" else set())
            if answer.status_code not in allowed or is_led_away(answer):
                wrong.append((comer.name, rule.rule, method, answer.status_code))
    assert wrong == []


#: Who may do this depends on what was proposed, not on the page alone: tests/operations/test_proposals.py.
BY_KIND = {"staff.approve_proposal", "staff.reject_proposal"}


def test_whoever_may_is_not_refused_when_sending_a_form(world: World, comers: list[Comer]) -> None:
    # Empty forms: what is asked is the gate, not what comes behind it.
    cells = [(rule, right, world.address(rule)) for rule, _method, right in ours(world.app, "POST")]
    wrong = []
    for comer in comers:
        if comer.role is None or comer.name == "reviewer of one region":
            continue
        for rule, right, address in cells:
            if not duties.may(comer.role, right) or rule.endpoint in BY_KIND:
                continue
            answer = comer.browser.client.post(address, data={"csrf_token": comer.token})
            # Some acts are refused for what they are about, such as one's own account; a role is not the reason then.
            if answer.status_code >= 500 or is_led_away(answer) or "role does not include" in answer.text:
                wrong.append((comer.name, rule.rule, answer.status_code))
    assert wrong == []


def test_every_page_says_whom_to_ask(world: World, comers: list[Comer]) -> None:
    auditor = next(one for one in comers if one.name == "auditor").browser
    page = auditor.get("/staff/team/")
    assert page.status == 403
    assert "Administrator" in page.main
    assert "Бруно Сейітов" in page.main, "the administrator to ask"
    ways = [link.attrs["href"] for link in page.tree.query("nav.nav a")]
    assert ways, "the way back"
    assert not any("/staff/team/" in way for way in ways), "what is not open is not offered"


def test_rights_that_hurt_ask_for_a_fresh_second_factor(world: World) -> None:
    fresh = {
        rule.endpoint
        for method in ("GET", "POST")
        for rule, _method, right in ours(world.app, method)
        if right in FRESH
    }
    assert "staff.team" in fresh
    assert {Right.EXPORT, Right.TEAM, Right.EDITIONS, Right.REVOKE} == FRESH
    world.clock.shift(16 * 60)
    browser = world.colleague()
    for method in ("GET", "POST"):
        token = browser.get("/staff/account").tree.query("input[name=csrf_token]")[0].attrs["value"]
        # Longer than the grace of a form that was open.
        if method == "POST":
            world.clock.shift(11 * 60)
        for rule, _method, right in ours(world.app, method):
            answer = browser.client.open(world.address(rule), method=method, data={"csrf_token": token})
            asked = "second-factor/again" in answer.headers.get("Location", "") or "again-form" in answer.text
            # To decide as the second person hurts as much as what was proposed.
            assert asked == (right in FRESH or rule.endpoint in BY_KIND), (rule, answer.status_code)


# ── operations refuse by themselves ──────────────────────────────────────────────────────────────────────────────────


def test_operations_refuse_an_auditor_whatever_page_they_came_from(world: World) -> None:
    auditor = Desk(world.app, "Chloe", "chloe.auditor@example.org", role=Role.AUDITOR).id
    now, key = clock_now(), world.app.config["CHARTER"].secret_key.encode()
    waiting = world.signature_id("waiting")
    acts = {
        "decide": lambda: review.decide(
            waiting,
            action="approve",
            expected_version=2,
            reason=None,
            note=None,
            staff_id=auditor,
            undo_seconds=10,
            now=now,
        ),
        "release": lambda: review.release(
            world.signature_id("office3"), staff_id=auditor, confirm_link_days=3, now=now
        ),
        "release group": lambda: holding.release_group(
            "reason", "people", up_to=10**9, staff_id=auditor, confirm_link_days=3, now=now
        ),
        "add name": lambda: names.add("Ақселеу Тұрсынбек", staff_id=auditor, now=now),
        "retry": lambda: outbox.retry(world.message_id, staff_id=auditor, now=now),
        "invite": lambda: roles.invite(
            "X",
            email="x@example.org",
            language="en",
            change=Change(Role.ADMINISTRATOR),
            reason="",
            key=key,
            staff_id=auditor,
            now=now,
        ),
        "role": lambda: roles.change_role(world.desk.id, Change(Role.AUDITOR), reason="", staff_id=auditor, now=now),
        "deactivate": lambda: roles.deactivate(world.desk.id, staff_id=auditor, now=now),
        "begin anew": lambda: roles.begin_anew(world.desk.id, key=key, staff_id=auditor, now=now),
        "end sessions": lambda: roles.end_all_sessions(world.desk.id, staff_id=auditor, now=now),
        "end session": lambda: roles.end_session(1, subject_id=world.desk.id, staff_id=auditor, now=now),
        "invite again": lambda: roles.invite_again(world.desk.id, key=key, staff_id=auditor, now=now),
        "withdraw": lambda: roles.withdraw_invitation(world.desk.id, staff_id=auditor, now=now),
        "reopen": lambda: roles.reopen(world.desk.id, key=key, staff_id=auditor, now=now),
    }
    before = dump(world.app)
    for run in acts.values():
        with world.app.app_context(), pytest.raises(DutyRefusedError):
            run()
    assert changed_tables(before, dump(world.app)) == set()


#: Verbs with a `staff_id` that is not whoever begins an act of the desk, and why none is asked for.
NO_DUTY = {
    "charter.operations.staff": "one's own account, and the command line",
    "charter.operations.passkeys": "one's own account",
    "charter.operations.unit": "no verb",
    "charter.operations.sweep_steps": "the worker carries out what somebody with the right began",
    "charter.operations.reading.record": "that somebody read: the page has asked",
    "charter.operations.erasing.erase": "the command line",
}
#: What asks for the right on behalf of a verb: steps that do so themselves.
ASKING = ("require(", "add_proposal(", "_take(", " use(")


@pytest.mark.usefixtures("engine_name")
def test_every_verb_of_the_desk_asks_for_the_right_itself() -> None:
    silent, found = [], 0
    for module in pkgutil.iter_modules(operations.__path__, "charter.operations."):
        if module.name in NO_DUTY:
            continue
        loaded = importlib.import_module(module.name)
        for name, verb in inspect.getmembers(loaded, inspect.isfunction):
            inner = inspect.unwrap(verb)
            is_verb = (
                inner is not verb
                and inner.__module__ == module.name
                and "staff_id" in inspect.signature(verb).parameters
            )
            if not is_verb or f"{module.name}.{name}" in NO_DUTY:
                continue
            found += 1
            if not asks(inner, loaded) and not is_claim(verb):
                silent.append(f"{module.name}.{name}")
    assert found > 20
    assert silent == []


def asks(verb: Callable[..., object], module: ModuleType, depth: int = 3) -> bool:
    """Whether it asks for a right itself, or by a step of its own module."""
    if any(asking in inspect.getsource(verb) for asking in ASKING):
        return True
    steps = [getattr(module, name, None) for name in verb.__code__.co_names]
    own = [step for step in steps if inspect.isfunction(step) and step.__module__ == module.__name__]
    return depth > 0 and any(asks(inspect.unwrap(step), module, depth - 1) for step in own)


def is_claim(verb: Callable[..., object]) -> bool:
    """What nobody answers for: claims, one's own views, what was read."""
    return bool(getattr(verb, "__charter_unrecorded__", False))


def clock_now() -> datetime:
    return datetime.now(UTC)
