"""Lists that a process keeps: never older than the newest publication, never shared between databases."""

from __future__ import annotations

from flask import Flask
from sqlalchemy import update

from charter import clock
from charter.models.affiliation import Region
from charter.models.base import db, writing
from charter.models.log import LogEvent
from tests.pages import Browser
from tests.people import work
from tests.statements import statements


def _rename(app: Flask, name: str) -> None:
    with app.app_context(), writing():
        names = {"kk": name, "ru": name, "en": name}
        db.session.execute(update(Region).where(Region.code == "KZ-75").values(name=names))
        db.session.add(LogEvent(kind="refresh", values={}, effective_at=clock.now()))
        db.session.commit()


def test_a_renamed_region_stands_in_the_form_from_the_batch_on_that_made_it_public(app: Flask) -> None:
    browser = Browser(app)
    before = browser.get("/en/sign/").text
    _rename(app, "Almaty-on-the-river")
    assert "Almaty-on-the-river" not in browser.get("/en/sign/").text
    work(app)
    after = browser.get("/en/sign/").text
    assert "Almaty-on-the-river" in after
    assert "Almaty-on-the-river" not in before


def test_the_lists_are_read_once_for_each_publication_and_language(app: Flask) -> None:
    browser = Browser(app)
    browser.get("/ru/sign/")
    with statements(app) as seen:
        browser.get("/ru/sign/")
    assert not [one for one in seen if "FROM affiliation" in one or "FROM region" in one], seen
    with statements(app) as seen:
        browser.get("/kk/sign/")
    assert [one for one in seen if "FROM affiliation" in one]
