"""Walking meets every entry once while others are published, and a copy made of changes equals the registry."""

from __future__ import annotations

import random
from itertools import chain

import pytest
from flask import Flask

from tests.web.asking import Api, Json
from tests.web.public_history import History

#: For what no engine has a part in.
ONE_ENGINE = pytest.mark.parametrize("engine_name", ["sqlite"], indirect=True)


def numbers(pages: list[Json]) -> list[int]:
    return [one["number"] for page in pages for one in page["data"]]


def test_a_walk_back_in_time_and_forwards_again_meets_each_entry_once(app: Flask) -> None:
    history = History(app)
    history.batch(new=24)
    api = Api(app)
    for size in (3, 7, 50):
        pages = [api.get("/api/v1/entries", size=size)]
        there = sorted(history.entries())
        while "next" in pages[-1]:
            history.batch(new=1, ended=1)
            pages.append(api.get("/api/v1/entries", size=size, cursor=pages[-1]["next"]))
        assert numbers(pages) == there[::-1], size
        back = [pages[-1]]
        while "previous" in back[-1]:
            if len(back) % 3 == 0:
                history.batch(new=1)
            back.append(api.get("/api/v1/entries", size=size, cursor=back[-1]["previous"]))
        # The way back ends at the newest, those published on the way there and back included.
        assert sorted(numbers(back)) == sorted(history.entries())
        history.batch(new=3)


def test_a_walk_by_name_keeps_its_place_while_others_come_and_go(app: Flask) -> None:
    history = History(app, seed=3)
    history.batch(new=30)
    api = Api(app)
    before = {number for number, row in history.entries().items() if row.ended_on is None}
    pages = [api.get("/api/v1/entries", order="name", size=4)]
    while "next" in pages[-1]:
        history.batch(new=2)
        pages.append(api.get("/api/v1/entries", order="name", size=4, cursor=pages[-1]["next"]))
    met = numbers(pages)
    assert len(met) == len(set(met))
    assert before <= set(met)


def test_a_cursor_whose_entry_lost_its_name_is_gone_and_says_so(app: Flask) -> None:
    history = History(app)
    history.batch(new=9)
    api = Api(app)
    page = api.get("/api/v1/entries", order="name", size=2)
    history.batch(ended=9)
    problem = api.problem("/api/v1/entries", 410, order="name", size=2, cursor=page["next"])
    assert problem["type"].endswith("/en/developers/#problem-cursor-lost")
    assert problem["parameter"] == "cursor"


@pytest.mark.parametrize("seed", [1, 2])
def test_a_copy_from_nothing_and_increments_equals_the_registry(app: Flask, seed: int) -> None:
    history, chance = History(app, seed), random.Random(seed)
    api = Api(app)
    copy: dict[int, Json] = {}
    since = 0
    told = 0
    for _ in range(7):
        for _ in range(chance.randrange(1, 4)):
            history.some()
        size = chance.choice((1, 3, 10, 200))
        page = api.get("/api/v1/entries", since=since, size=size)
        seen: list[tuple[int, int]] = []
        meanwhile = 2
        while True:
            assert page["since"] == since
            seen += [(one["revision"], one["number"]) for one in page["data"]]
            copy |= {one["number"]: one for one in page["data"]}
            if "next_since" in page:
                break
            if meanwhile and chance.random() < 0.2:
                # What changes now comes at the end of the same walk.
                history.batch(new=1, corrected=1, ended=1)
                meanwhile -= 1
            page = api.get("/api/v1/entries", since=since, size=size, cursor=page["next"])
        assert seen == sorted(set(seen))
        assert all(revision > since for revision, _ in seen)
        told += len(seen)
        since = page["next_since"]
        assert since == page["as_of"]["public_revision"]
        assert copy == registry(api)
    ended = [one for one in copy.values() if "ended" in one]
    assert ended
    assert all("name" not in one and "region" not in one for one in ended)
    assert told > len(copy) > 20
    assert any(one.get("rev", 1) > 1 for one in copy.values()), "something was corrected"


def registry(api: Api) -> dict[int, Json]:
    """Everything, by walking through it."""
    pages = api.walk(api.get("/api/v1/entries", size=200), size=200)
    return {one["number"]: one for one in chain(*(page["data"] for page in pages))}


def test_a_batch_larger_than_a_page_is_taken_in_pieces(app: Flask) -> None:
    history = History(app)
    revision = history.batch(new=25)
    api = Api(app)
    first = api.get("/api/v1/entries", since=revision - 1, size=10)
    assert "next_since" not in first
    pages = api.walk(first, since=revision - 1, size=10)
    assert [len(page["data"]) for page in pages] == [10, 10, 5]
    assert {one["revision"] for page in pages for one in page["data"]} == {revision}
    assert numbers(pages) == sorted(history.entries())
    assert pages[-1]["next_since"] == revision


@ONE_ENGINE
def test_nothing_new_is_an_empty_answer_with_the_same_revision(app: Flask) -> None:
    revision = History(app).batch(new=3)
    page = Api(app).get("/api/v1/entries", since=revision)
    assert (page["data"], page["next_since"]) == ([], revision)


@ONE_ENGINE
def test_the_future_cannot_be_asked_for(app: Flask) -> None:
    revision = History(app).batch(new=3)
    problem = Api(app).problem("/api/v1/entries", 400, since=revision + 1)
    assert problem["parameter"] == "since"
    assert str(revision) in problem["detail"]
