"""When the world around breaks: no database, no disk, a bug in a view. One page for each, in three languages."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.sessions import SecureCookieSessionInterface
from time_machine import Traveller as Clock

from charter.models.base import db
from tests.conftest import MakeApp
from tests.pages import Browser, Page
from tests.people import ANSWERS
from tests.postgres import drop_database

LANGUAGES = ("kk", "ru", "en")


def take_database_away(app: Flask) -> None:
    """SQLite: its file becomes a folder. PostgreSQL: the server no longer knows the database."""
    with app.app_context():
        url = db.engine.url
        db.session.remove()
        db.engine.dispose()
    if url.drivername.startswith("sqlite"):
        path = Path(str(url.database))
        for name in (path.name, f"{path.name}-wal", f"{path.name}-shm"):
            path.with_name(name).unlink(missing_ok=True)
        path.mkdir()
    else:
        drop_database(url.render_as_string(hide_password=False))


def page_of(app: Flask, answer: Any, url: str) -> Page:
    return Page(Browser(app), answer, url)


def test_without_a_database_every_page_says_so_in_three_languages(app: Flask, clock: Clock) -> None:
    browser = Browser(app)
    _, fields = browser.get("/ru/sign/").fields("sign-form")
    take_database_away(app)
    said = set()
    for lang in LANGUAGES:
        for path in (
            "/",
            "/sign/",
            "/registry/",
            "/charter/",
            "/registry/almaty/",
            f"/confirm/{'A' * 43}",
            f"/my/{'A' * 43}",
        ):
            answer = browser.client.get(f"/{lang}{path}")
            assert answer.status_code == 503, path
            assert int(answer.headers["Retry-After"]) > 0
            assert answer.headers["Cache-Control"] == "no-store"
            assert "Set-Cookie" not in answer.headers
            page = page_of(app, answer, path)
            assert page.tree.query("html")[0].attrs["lang"] == lang
        said.add(page.main)
        posted = browser.client.post(f"/{lang}/sign/", data={**fields, **ANSWERS})
        assert posted.status_code == 503
        assert posted.headers["Retry-After"]
    assert len(said) == 3
    assert browser.client.get("/staff/sign-in").status_code in {200, 503}
    posted = browser.client.post(
        "/staff/sign-in", data={"csrf_token": fields["csrf_token"], "email": "a@example.org", "password": "x"}
    )
    assert posted.status_code == 503


def test_without_a_database_the_process_is_alive_but_not_ready(app: Flask) -> None:
    take_database_away(app)
    assert app.test_client().get("/healthz").status_code == 200
    ready = app.test_client().get("/readyz")
    assert ready.status_code == 503
    assert ready.json is not None
    assert ready.json["database"] == "unreachable"


def test_before_migrations_the_service_is_not_ready_and_says_why(app: Flask) -> None:
    with app.app_context():
        from charter.models.base import writing

        with writing():
            db.session.connection().exec_driver_sql("DELETE FROM alembic_version")
            db.session.commit()
    ready = app.test_client().get("/readyz")
    assert ready.status_code == 503
    assert ready.json is not None
    assert ready.json["schema"] == "not migrated"


def test_a_ready_service_says_that_all_is_well(app: Flask) -> None:
    ready = app.test_client().get("/readyz")
    assert ready.status_code == 200
    assert ready.json is not None
    assert {ready.json[part] for part in ("database", "schema", "registry", "mail", "worker", "clock")} == {"ok"}
    assert "Set-Cookie" not in ready.headers


class Broken(RuntimeError):
    """A bug, with words in it that must not come out."""


class NoSession(SecureCookieSessionInterface):
    """Neither reads nor writes."""

    def open_session(self, app: Flask, request: Any) -> Any:
        raise Broken("the session of amina@example.org")


def with_a_bug(make_app: MakeApp) -> Flask:
    app = make_app()

    @app.route("/<lang:lang>/broken/", methods=["GET", "POST"])
    def broken() -> str:
        raise Broken("amina@example.org and her token AAAABBBB")

    return app


@pytest.mark.parametrize("is_database_gone", [False, True])
def test_a_bug_gets_a_page_that_tells_nothing_and_needs_nothing(make_app: MakeApp, is_database_gone: bool) -> None:
    app = with_a_bug(make_app)
    if is_database_gone:
        take_database_away(app)
    said = set()
    for lang in LANGUAGES:
        answer = app.test_client().get(f"/{lang}/broken/")
        assert answer.status_code == 500
        page = page_of(app, answer, f"/{lang}/broken/")
        assert page.tree.query("html")[0].attrs["lang"] == lang
        assert answer.headers["Cache-Control"] == "no-store"
        assert "Set-Cookie" not in answer.headers
        for secret in ("amina", "AAAABBBB", "Broken", "Traceback", "broken()"):
            assert secret not in page.text
        said.add(page.main)
    assert len(said) == 3


def test_a_broken_session_gets_the_same_page(make_app: MakeApp) -> None:
    app = with_a_bug(make_app)
    app.session_interface = NoSession()
    take_database_away(app)
    answer = app.test_client().get("/ru/registry/")
    assert answer.status_code == 500
    assert page_of(app, answer, "/ru/registry/").main
    assert b"amina" not in answer.data


def test_the_page_for_a_bug_leads_on_to_pages_that_exist(make_app: MakeApp) -> None:
    app = with_a_bug(make_app)
    page = page_of(app, app.test_client().get("/en/broken/"), "/en/broken/")
    links = {link.attrs["href"] for link in page.tree.query("a[href]") if not link.attrs["href"].startswith("#")}
    assert len(links) >= 5
    for link in links:
        assert app.test_client().get(link).status_code == 200, link


def test_a_refusal_of_every_status_is_a_page_in_every_language(app: Flask) -> None:
    from charter.web.errors import PAGES, error_page

    titles: dict[int, set[str]] = {}
    for status in PAGES:
        for lang in LANGUAGES:
            with app.test_request_context(f"/{lang}/nowhere/"):
                answer = app.process_response(error_page(status))
            page = page_of(app, app.test_client().get(f"/{lang}/x"), "")
            text = answer.get_data(as_text=True)
            assert f'lang="{lang}"' in text
            assert str(status) in text
            titles.setdefault(status, set()).add(text.partition("<h1>")[2].partition("</h1>")[0])
            assert page.status == 404
    assert all(len(found) == 3 for found in titles.values()), titles
    assert len(set().union(*titles.values())) == 3 * len(PAGES)
