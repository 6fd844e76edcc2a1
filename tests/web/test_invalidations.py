"""The desk of invalidations: from the form to the report, what is refused in words, and who may see it."""

from __future__ import annotations

from typing import Any

import pytest
import time_machine
from flask import Flask
from sqlalchemy import update

from charter.domain.duties import ALONE
from charter.models.base import db, writing
from charter.models.limits import SigningTrace
from charter.models.signature import Signature
from tests.operations.test_sweeping import ids, multiply, spammer, state_of
from tests.pages import Page
from tests.people import Desk, work

#: What every mistake is tried with.
GIVEN = {"domain": "spam.example", "reason": "abuse", "note": "Пришли за одну минуту."}


def fill(desk: Desk, **answers: Any) -> Page:
    return desk.browser.get("/staff/invalidations/new").submit("invalidation-form", **answers)


def test_from_the_dry_run_through_the_report_and_back(app: Flask, desk: Desk) -> None:
    person = spammer(app, 0)
    person.sign_and_confirm()
    page = fill(desk, **GIVEN)
    assert page.url.startswith("/staff/invalidations/")
    assert "1 signature is meant" in page.main
    assert person.answers["full_name"] in page.main
    page = page.submit(at="/start")
    assert page.response.headers["Refresh"] == "5"
    assert page.tree.query("progress")
    work(app)
    page = desk.browser.get(page.url)
    assert "Refresh" not in page.response.headers
    assert state_of(app, person) == "declined"
    assert "Done" in page.main
    page = page.submit(at="/undo")
    work(app)
    assert state_of(app, person) == "confirmed"
    page = desk.browser.get(page.url)
    assert "given back" in page.main
    assert not [form for form in page.tree.query("form") if "/undo" in (form.attrs.get("action") or "")]
    assert "1 ended" in desk.browser.get("/staff/invalidations/").main


@pytest.mark.parametrize("engine_name", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    ("answers", "words"),
    [
        ({"domain": ""}, "at least one condition"),
        ({"domain": "", "published": "y"}, "at least one condition"),
        ({"domain": "", "name": "аб"}, "at least 3 letters"),
        ({"since": "2026-11-20T09:00"}, "both moments"),
        ({"since": "2026-11-20T09:00", "until": "2026-11-20T09:00"}, "does not come after"),
        ({"since": "2026-11-20T09:00", "until": "2026-11-22T09:00"}, "24 hours"),
        ({"since": "yesterday"}, "day and time"),
        ({"since": "0001-01-01T00:00", "until": "0001-01-01T00:01"}, "day and time"),
        ({"network": "not hex"}, "Take the network"),
        ({"reason": "other"}, "Choose a reason"),
        ({"note": ""}, "Fill in this field"),
        ({"affiliation": "999999"}, "Choose an affiliation"),
        ({"domain": "a\0b"}, "cannot be used"),
    ],
)
def test_mistakes_are_said_in_words_and_nothing_typed_is_lost(desk: Desk, answers: dict[str, str], words: str) -> None:
    page = fill(desk, **GIVEN | answers)
    assert page.status == 422
    assert words in page.main
    typed = page.fields("invalidation-form")[1]
    given = GIVEN | answers
    assert all(typed[name] == value for name, value in given.items() if name not in {"reason", "affiliation", "domain"})


def test_a_group_of_what_was_set_aside_and_a_dossier_lead_to_a_form_that_is_filled_in(
    app: Flask, desk: Desk, clock: time_machine.Traveller
) -> None:
    person = spammer(app, 0)
    person.sign()
    with app.app_context(), writing():
        db.session.execute(update(Signature).values(held=True, held_because="network"))
        db.session.execute(update(SigningTrace).values(network=b"n" * 32))
        db.session.commit()
    for by, name, value in (
        ("network", "network", (b"n" * 32).hex()),
        ("domain", "domain", "spam.example"),
        ("minute", "since", "2026-11-20T14:00"),
    ):
        group = desk.browser.get(desk.browser.get(f"/staff/held/?by={by}").href("key="))
        filled = desk.browser.get(group.href("/staff/invalidations/new")).fields("invalidation-form")[1]
        assert filled[name] == value
    like = desk.browser.get(f"/staff/invalidations/new?like={ids(app)['s0@spam.example']}").fields("invalidation-form")[
        1
    ]
    assert like["network"] == (b"n" * 32).hex()
    assert (like["since"], like["until"]) == ("2026-11-20T13:50", "2026-11-20T14:10")
    assert fill(desk, **like | {"reason": "abuse", "note": "Так же."}).main.count("1 signature is meant") == 1


def test_more_than_alone_leads_to_the_second_person_who_sees_whom_it_means(app: Flask, desk: Desk) -> None:
    first = spammer(app, 0)
    first.sign()
    multiply(app, first, ALONE)
    page = fill(desk, **GIVEN)
    address = page.url
    assert not [form for form in page.tree.query("form") if "/start" in (form.attrs.get("action") or "")]
    proposal = page.submit(at="/propose")
    assert proposal.url.startswith("/staff/proposals/")
    dana = Desk(app, "Dana", "dana@example.org")
    shown = dana.browser.get(proposal.url)
    assert f"{ALONE + 1} signatures are meant" in shown.main
    assert GIVEN["note"] in shown.main
    shown.submit("approve-form")
    work(app)
    report = desk.browser.get(address)
    assert "Dana" in report.main
    again = report.submit(at="/undo")
    assert again.url.startswith("/staff/proposals/")
    assert "To be undone" in dana.browser.get(again.url).main


def test_who_may_not_act_sees_no_button_and_who_has_other_regions_sees_nothing(app: Flask, desk: Desk) -> None:
    spammer(app, 0).sign()
    address = fill(desk, **GIVEN).url
    auditor = Desk(app, "Dana", "dana@example.org", role="auditor")
    page = auditor.browser.get(address)
    assert page.status == 200
    assert not page.tree.query("main form")
    assert auditor.browser.get("/staff/invalidations/new").status == 403
    local = Desk(app, "Chloe", "chloe@example.org", role="reviewer", regions=["KZ-71"])
    assert local.browser.get(address).status == 404
    assert "no. 1" not in local.browser.get("/staff/invalidations/").main
    like = f"/staff/invalidations/new?like={ids(app)['s0@spam.example']}"
    assert local.browser.get(like).status == 404


def test_regions_of_who_began_are_named_on_its_page(app: Flask, desk: Desk) -> None:
    here = Desk(app, "Erlan", "erlan@example.org", role="reviewer", regions=["KZ-75"])
    spammer(app, 0).sign_and_confirm()
    page = fill(here, **GIVEN)
    assert "Almaty" in page.main
    assert "KZ-75" not in page.main


def test_once_the_traces_are_gone_the_page_says_why_nobody_is_found(app: Flask, desk: Desk) -> None:
    spammer(app, 0).sign()
    with app.app_context(), writing():
        db.session.query(SigningTrace).delete()
        db.session.commit()
    page = fill(desk, **GIVEN)
    assert "Nobody is meant" in page.main
    assert "14 days" in page.main
