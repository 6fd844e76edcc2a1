"""What a page costs does not grow with the registry: as many statements for 120 entries as for three."""

from __future__ import annotations

import secrets
from collections import Counter
from datetime import UTC, date, datetime, timedelta

import pytest
from flask import Flask
from sqlalchemy import insert, select
from time_machine import Traveller as Clock

from charter.models.affiliation import Affiliation, Region
from charter.models.base import db, writing
from charter.models.log import LogEvent
from charter.models.registry import PublicEntry
from charter.models.signature import Link, Signature
from charter.operations import publication
from tests.house.world import dump
from tests.pages import Browser
from tests.people import Desk
from tests.statements import skips_rows, statements


def crowd(app: Flask, count: int, *, state: str = "approved") -> None:
    """So many signatures of all sorts; approved ones go through a publication batch."""
    now = datetime.now(UTC)
    with app.app_context():
        regions = db.session.scalars(select(Region.code).order_by(Region.code)).all()
        parties = db.session.scalars(select(Affiliation.id).filter_by(type="party", is_selectable=True)).all()
        rows = []
        for place in range(count):
            kind = ("independent", "party", "international")[place % 3]
            rows.append(
                {
                    "entry": secrets.token_hex(16),
                    "state": state,
                    "version": 3,
                    "held": False,
                    "kind": kind,
                    "full_name": "Көпшілік Адамов",
                    "short_name": "Көпшілік А.",
                    "display": ("full", "short", "unlisted", "full")[place % 4],
                    "name_key": "көпшілік адамов",
                    "affiliation_id": parties[place % len(parties)] if kind == "party" else None,
                    "affiliation_text": "Planet Express" if kind == "international" else None,
                    "region_code": regions[place % len(regions)] if place % 2 else "KZ-75",
                    "email": f"crowd{place}@example.org",
                    "mailbox": f"crowd{place}@example.org",
                    "language": "kk",
                    "signed_language": "kk",
                    "edition_slug": "specimen-1",
                    "browser_digest": secrets.token_bytes(32),
                    "submitted_at": now,
                    "confirmed_at": now,
                    "due_on": date(2026, 11, 27),
                }
            )
        db.session.rollback()
        with writing():
            ids = db.session.scalars(insert(Signature).returning(Signature.id), rows).all()
            db.session.execute(
                insert(Link),
                [
                    {
                        "uid": secrets.token_bytes(16),
                        "purpose": "personal",
                        "signature_id": one,
                        "token_digest": secrets.token_bytes(32),
                        "tries": 0,
                        "created_at": now,
                    }
                    for one in ids
                ],
            )
            if state == "approved":
                db.session.execute(
                    insert(LogEvent),
                    [
                        {
                            "kind": "publish",
                            "signature_id": one,
                            "values": {},
                            "effective_at": now - timedelta(seconds=1),
                        }
                        for one in ids
                    ],
                )
            db.session.commit()
        if state == "approved":
            result = publication.publish_batch(now=now)
            assert result is not None
            assert result.leaf_count == count


def cost(app: Flask, browser: Browser, path: str) -> list[str]:
    """The statements of one page, begin and end of its transaction aside."""
    with statements(app) as seen:
        assert browser.client.get(path).status_code == 200, path
    noise = ("BEGIN", "PRAGMA", "SET TRANSACTION", "ROLLBACK", "COMMIT")
    return [one for one in seen if not one.startswith(noise)]


PATHS = ["/", "/registry/", "/registry/?kind=party", "/registry/?region=almaty", "/registry/almaty/"]
PATHS += ["/registry/?q=kopshilik", "/registry/?q=kopshilik+adamov&order=name", "/registry/?order=name&region=almaty"]
PATHS += ["/registry/?from=2026-01-01&to=2027-01-01", "/registry/?edition=specimen-1", "/registry/almaty/?order=name"]
PATHS += ["/registry/affiliations/", "/registry/affiliations/amanat/", "/registry/affiliations/amanat/?order=name"]
OTHERS = ["/charter/", "/sign/", "/sign/check-mail/", "/about/", "/privacy/", "/accessibility/", "/help/"]
#: More than this for one page would want a reason.
MOST_STATEMENTS = 6
#: A word that is looked for may be looked up, once for the page and once for the count.
PER_WORD = 2


@pytest.mark.usefixtures("clock")
def test_a_public_page_asks_as_often_for_many_entries_as_for_few(app: Flask) -> None:
    browser = Browser(app)
    crowd(app, 3)
    with app.app_context():
        entry = db.session.scalar(select(PublicEntry.entry).order_by(PublicEntry.number).limit(1))
        db.session.rollback()
    paths = [f"/ru{path}" for path in [*PATHS, *OTHERS, f"/registry/entries/{entry}"]]
    paths += ["/charter/specimen-1/ru.txt"]
    browser.get("/ru/registry/?older=1")  # lists that change with a batch only are read once
    few = {path: cost(app, browser, path) for path in paths}
    crowd(app, 117)
    browser.get("/ru/registry/?older=1")
    many = {path: cost(app, browser, path) for path in paths}
    assert {path: len(asked) for path, asked in few.items()} == {path: len(asked) for path, asked in many.items()}
    most = {path: MOST_STATEMENTS + (PER_WORD * 2 if "q=" in path else 0) for path in many}
    assert all(len(asked) <= most[path] for path, asked in many.items()), {p: len(a) for p, a in many.items()}
    older = Browser(app).get("/ru/registry/").href("older=")
    assert len(cost(app, browser, older)) == len(few["/ru/registry/"])


@pytest.mark.usefixtures("clock")
def test_the_desk_asks_as_often_for_a_long_queue_as_for_a_short_one(app: Flask, desk: Desk) -> None:
    def costs() -> dict[str, int]:
        paths = [
            "/staff/",
            "/staff/?state=clarification",
            "/staff/?state=held",
            "/staff/held/",
            "/staff/mail/",
            "/staff/review/1/",
        ]
        return {path: len(cost(app, desk.browser, path)) for path in paths}

    crowd(app, 3, state="confirmed")
    costs()  # which tables there are is asked once on a connection
    few = costs()
    crowd(app, 60, state="confirmed")
    assert few == costs()
    # A dossier gathers hints from everywhere; never more than this, whoever is in the files.
    most = {path: 30 if path.startswith("/staff/review/") else 12 for path in few}
    assert all(few[path] <= most[path] for path in few), few


@pytest.mark.usefixtures("clock")
def test_no_page_counts_what_the_batch_has_counted(app: Flask) -> None:
    crowd(app, 3)
    browser = Browser(app)
    for path in PATHS:
        for statement in cost(app, browser, f"/ru{path}"):
            assert "count(" not in statement.lower()
            # SQLite's dialect writes an offset of 0 behind every limit.
            assert not skips_rows(statement)
            assert "FROM signature" not in statement, "a public page reads what was published, nothing else"


def test_a_crowd_is_counted_as_it_is(app: Flask, clock: Clock) -> None:
    crowd(app, 40)
    rows = dump(app)
    counted = Counter[str]()
    for row in rows["region_count"]:
        counted["listed"] += row["listed"]
        counted["unlisted"] += row["unlisted"]
    shown = Counter("unlisted" if row["display"] == "unlisted" else "listed" for row in rows["registry_entry"])
    assert counted == shown
    assert counted.total() == 40
    assert clock is not None
