"""The one-time link for the first account counts people who can sign in, not names that decisions refer to."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime, timedelta

from flask import Flask

from charter.operations import staff
from charter.web.staff.auth import first_staff_path
from tests.pages import Browser
from tests.people import Desk


def test_an_account_that_nobody_can_sign_in_to_leaves_the_first_link_open(app: Flask) -> None:
    now = datetime.now(UTC)
    with app.app_context():
        staff.invite(
            "Chloe",
            email="chloe@example.org",
            language="en",
            digest=secrets.token_bytes(32),
            expires_at=now + timedelta(hours=1),
            now=now,
        )
    path = first_staff_path(app)
    assert path is not None
    browser = Browser(app)
    page = browser.get(path)
    assert page.status == 200
    done = page.submit(
        name="Chloe",
        email="chloe@example.org",
        new_password="steppe wind over grass",
        again="steppe wind over grass",
    )
    assert done.url.startswith("/staff/sign-in")
    assert first_staff_path(app) is None
    assert browser.get(path).status == 404


def test_an_account_with_a_password_closes_it(app: Flask, desk: Desk) -> None:
    assert first_staff_path(app) is None
