"""A further region needs no release: it is added at the desk, appears on its day everywhere, and entries keep it."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select
from time_machine import Traveller as Clock

from charter import cli
from charter.domain.errors import FieldRefusedError
from charter.domain.region import RESERVED
from charter.models.affiliation import Region
from charter.models.base import db
from charter.models.decision import Audit
from charter.operations import regions
from tests.house.world import rules
from tests.pages import Browser
from tests.people import Desk, Observer, work

NEW = {
    "code": "kz-64",
    "slug": "altai",
    "name_kk": "Алтай облысы",
    "name_ru": "область Алтай",
    "name_en": "Altai Region",
    "short_kk": "Алтай",
    "short_ru": "Алтай",
    "short_en": "Altai",
    "abbr_kk": "Алтай",
    "abbr_ru": "Алтай",
    "abbr_en": "Altai",
    "tile": "5-2",
}


def add(desk: Desk, **more: str) -> Any:
    page = desk.browser.get("/staff/regions/new/")
    assert page.status == 200
    return page.submit("region-form", **{**NEW, **more})


def order(app: Flask, lang: str) -> list[str]:
    page = Browser(app).get(f"/{lang}/sign/")
    options = page.tree.query("select[name=region] option")
    return [option.to_text() for option in options if option.attrs.get("value")]


def test_a_further_region_is_everywhere_without_a_release(app: Flask, desk: Desk, clock: Clock) -> None:
    assert add(desk).url == "/staff/regions/"
    assert "Алтай облысы" not in Browser(app).get("/kk/").text
    work(app)
    for lang, before in (("kk", "Алматы облысы"), ("ru", "Алматинская область"), ("en", "Almaty Region")):
        names = order(app, lang)
        assert len(names) == 22 and names[-1] in {"Шетел", "За рубежом", "Abroad"}
        own = NEW[f"name_{lang}"]
        assert names.index(own) in {names.index(before) + 1, names.index(before) - 1, names.index(before) + 2}, names
    person = Observer(app, region="KZ-64")
    person.sign_and_confirm()
    desk.decide(desk.open_first(), "approve")
    clock.shift(11)
    work(app)
    stranger = Browser(app)
    home = stranger.get("/en/")
    tile = next(link for link in home.tree.query("ul.map a") if link.attrs["href"].endswith("/registry/altai/"))
    assert tile.to_text().split() == ["Altai", "1"]
    for path, words in (
        ("/en/registry/altai/", "Altai Region"),
        ("/en/registry/?region=altai", "Altai"),
        ("/en/registry/?region=altai&q=Amina", "Altai"),
        ("/ru/statistics/", "Алтай"),
        ("/kk/verify/?number=1", "Алтай облысы"),
        ("/en/open-data/", "Altai"),
        ("/api/v1/regions", '"KZ-64"'),
        ("/api/v1/statistics", '"KZ-64"'),
        ("/api/v1/entries?region=altai", '"KZ-64"'),
        ("/log/registry.ndjson", '"region":"KZ-64"'),
    ):
        page = stranger.get(path)
        assert page.status == 200 and words in page.text, path
    statistics = json.loads(stranger.get("/api/v1/statistics").text)["data"]
    assert {one["region"]: one["signed"] for one in statistics["by_region"]}["KZ-64"] == 1
    assert "KZ-64" in [code for (code,) in _codes(app)]
    with app.app_context():
        cli.load(app.config["CHARTER"])
        assert db.session.get_one(Region, "KZ-64").name["en"] == "Altai Region"


def _codes(app: Flask) -> list[tuple[str]]:
    with app.app_context():
        return [tuple(row) for row in db.session.execute(select(Region.code))]


def test_a_region_begins_on_its_day_and_entries_keep_one_that_has_ended(app: Flask, desk: Desk, clock: Clock) -> None:
    add(desk, valid_from="2026-11-21")
    work(app)
    assert "Altai Region" not in order(app, "en")
    assert Browser(app).get("/en/registry/altai/").status == 404
    assert "KZ-64" not in Browser(app).get("/api/v1/regions").text
    clock.shift(11 * 3600)
    work(app)
    assert "Altai Region" in order(app, "en")
    Observer(app, region="KZ-64").sign_and_confirm()
    # Nobody stays signed in over night.
    desk = Desk(app, "Dana", "dana@example.org")
    desk.decide(desk.open_first(), "approve")
    clock.shift(11)
    work(app)
    done = desk.browser.get("/staff/regions/altai/").submit("region-form", valid_to="2026-11-21")
    assert done.status == 200
    desk.browser.get("/staff/regions/ulytau/").submit("region-form", valid_to="2026-11-21")
    work(app)
    clock.shift(2 * 86_400)
    work(app)
    names = order(app, "en")
    assert "Altai Region" not in names and "Ulytau Region" not in names
    home = Browser(app).get("/en/").text
    # The one keeps its place for its entry; of the other nothing is left to be shown.
    assert "/registry/altai/" in home and "/registry/ulytau/" not in home
    assert Browser(app).get("/en/registry/altai/").status == 200
    assert "ended" in Desk(app, "Chloe", "chloe@example.org", role="auditor").browser.get("/staff/regions/").main


#: What is typed beside a good region → what the page says.
COLLISIONS: list[tuple[dict[str, str], str]] = [
    ({"code": "KZ-75"}, "taken already"),
    ({"code": "RU-1"}, "Write KZ-"),
    ({"slug": "almaty"}, "taken already"),
    ({"slug": "entries"}, "small Latin letters"),
    ({"tile": "4-4"}, "free place"),
    ({"tile": "6-1"}, "free place"),
    ({"name_en": "Almaty Region"}, "taken already"),
    ({"abbr_kk": "Тым ұзын атау"}, "at most 11"),
    ({"valid_from": "2026-12-01", "valid_to": "2026-11-01"}, "comes before"),
]


@pytest.mark.parametrize("engine_name", ["sqlite"], indirect=True)
def test_what_would_collide_is_said_at_its_field(app: Flask, desk: Desk) -> None:
    for answers, words in COLLISIONS:
        refused = add(desk, **answers)
        assert refused.status == 422 and words in refused.main, answers
        assert refused.fields("region-form")[1]["name_ru"] == "область Алтай"
    assert len(_codes(app)) == 21


def test_a_region_gets_another_name_with_the_next_batch_and_abroad_never_ends(app: Flask, desk: Desk) -> None:
    page = desk.browser.get("/staff/regions/zhetysu/")
    mine = desk.browser.get("/staff/regions/zhetysu/")
    page.submit("region-form", name_en="Jetisu Region", short_en="Jetisu", abbr_en="Jetisu")
    assert "Jetisu Region" not in Browser(app).get("/en/registry/zhetysu/").main
    work(app)
    assert "Jetisu Region" in Browser(app).get("/en/registry/zhetysu/").main
    names = order(app, "en")
    assert names.index("Jetisu Region") < names.index("Karaganda Region")
    told = mine.submit("region-form", name_en="Something else")
    assert told.status == 409 and told.fields("region-form")[1]["name_en"] == "Something else"
    with app.app_context():
        audit = db.session.scalars(select(Audit).where(Audit.action == "region-edit")).one()
        assert audit.detail == {"region": "KZ-33"} and audit.before is not None
        assert set(audit.before) == {"name", "short", "abbr"}
        abroad = db.session.get_one(Region, "ZZ")
        wanted = regions.Wanted(
            name=abroad.name,
            short=abroad.short,
            abbr=abroad.abbr,
            tile=(abroad.tile_col, abroad.tile_row),
            valid_from=None,
            valid_to=date(2027, 1, 1),
        )
        with pytest.raises(FieldRefusedError):
            regions.edit("abroad", wanted, expected_version=1, staff_id=desk.id, now=datetime.now(UTC))


@pytest.mark.parametrize("engine_name", ["sqlite"], indirect=True)
def test_no_region_can_take_an_address_that_something_else_has(app: Flask) -> None:
    taken = {
        parts[2]
        for rule in rules(app, "GET")
        if len(parts := rule.rule.strip("/").split("/")) > 2 and parts[1] == "registry"
    } | {
        parts[2]
        for rule in rules(app, "GET")
        if len(parts := rule.rule.strip("/").split("/")) > 2 and parts[:2] == ["staff", "regions"]
    }
    assert "numbers" in taken and {part for part in taken if "<" not in part} <= RESERVED
