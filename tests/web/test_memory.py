"""What a process remembers of public pages: bounded, never older than a day, nothing that was meant for one person."""

from __future__ import annotations

import pytest
from flask import Flask, Response, make_response, session

from charter.web import memory
from charter.web.headers import public_page
from charter.web.memory import LONGEST_SECONDS, MOST_BYTES, MOST_PAGE_BYTES, Memory
from tests.hostile.test_breakdown import take_database_away


class Steady:
    """A monotonic clock that is set by hand."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


def page(body: bytes = b"page", *, tag: str = '"1-ru-a"', status: int = 200, **headers: str) -> Response:
    return Response(body, status=status, headers={"ETag": tag, **headers})


def learn(
    kept: Memory, path: str, answer: Response, *, names: bool = False, revision: int = 1, query: str = ""
) -> None:
    kept.learn((path, query.encode()), answer, has_names=names, revision=revision)


def knows(kept: Memory, path: str, query: str = "") -> bool:
    return kept.find((path, query.encode())) is not None


def test_a_page_is_kept_for_a_day_and_a_not_modified_begins_it_anew() -> None:
    steady = Steady()
    kept = Memory(steady)
    learn(kept, "/ru/", page())
    steady.seconds = LONGEST_SECONDS - 1
    found = kept.find(("/ru/", b""))
    assert found is not None
    assert (found.body, kept.age_seconds(found)) == (b"page", LONGEST_SECONDS - 1)
    learn(kept, "/ru/", page(b"", status=304))
    steady.seconds += LONGEST_SECONDS - 1
    found = kept.find(("/ru/", b""))
    assert found is not None
    assert found.body == b"page"
    steady.seconds += 2
    assert not knows(kept, "/ru/")
    assert kept.bytes_count == 0


def test_a_new_revision_takes_away_pages_with_names_and_a_late_answer_brings_none_back() -> None:
    kept = Memory(Steady())
    learn(kept, "/ru/registry/", page(b"Amina"), names=True, revision=7)
    learn(kept, "/ru/about/", page(), revision=7)
    learn(kept, "/ru/help/", page(b"", tag='"8-ru-a"', status=304), revision=8)
    assert not knows(kept, "/ru/registry/")
    assert knows(kept, "/ru/about/")
    # A thread that began before the batch, or a replica that lags behind.
    learn(kept, "/ru/registry/", page(b"Amina"), names=True, revision=7)
    assert not knows(kept, "/ru/registry/")
    learn(kept, "/ru/registry/", page(b"nobody", tag='"8-ru-a"'), names=True, revision=8)
    assert knows(kept, "/ru/registry/")


def test_it_never_grows_beyond_its_bounds_and_queries_push_out_no_page() -> None:
    kept = Memory(Steady())
    body = b"x" * 20_000
    for place in range(100):
        learn(kept, f"/ru/{place}", page(body))
    for place in range(2000):
        learn(kept, "/ru/registry/", page(body), query=f"older={place}")
    assert kept.bytes_count <= 2 * MOST_BYTES
    assert all(knows(kept, f"/ru/{place}") for place in range(100))
    assert knows(kept, "/ru/registry/", "older=1999")
    assert not knows(kept, "/ru/registry/", "older=0")
    learn(kept, "/ru/registry/", page(), query="older=1&" + "x" * 300)
    assert not knows(kept, "/ru/registry/", "older=1&" + "x" * 300)
    learn(kept, "/ru/whole/", page(b"x" * (MOST_PAGE_BYTES + 1)))
    assert not knows(kept, "/ru/whole/")
    assert knows(kept, "/ru/0")


def test_what_is_asked_for_most_stays_longest() -> None:
    kept = Memory(Steady())
    body = b"x" * (MOST_BYTES // 20)
    learn(kept, "/ru/", page(body))
    for place in range(50):
        learn(kept, f"/ru/registry/entries/{place}", page(body))
        assert knows(kept, "/ru/")


@pytest.mark.parametrize(
    "answer",
    [
        page(**{"Set-Cookie": "a=b"}),
        page(b'<input name="csrf_token" value="x">'),
        page(status=404),
        page(status=503),
        Response(b"no tag"),
    ],
    ids=["cookie", "token", "404", "503", "no tag"],
)
def test_what_was_meant_for_one_person_or_is_no_page_is_not_kept(answer: Response) -> None:
    kept = Memory(Steady())
    learn(kept, "/ru/", answer)
    assert not knows(kept, "/ru/")


def test_a_view_that_sets_a_cookie_is_not_answered_from_memory(app: Flask) -> None:
    @app.route("/<lang:lang>/personal/")
    @public_page()
    def personal() -> Response:
        response = make_response("for you")
        response.set_cookie("who", "amina")
        return response

    client = app.test_client()
    assert client.get("/ru/personal/").status_code == 200
    assert client.get("/ru/").status_code == 200
    take_database_away(app)
    assert client.get("/ru/personal/").status_code == 503
    assert client.get("/ru/").status_code == 200


def test_a_visitor_who_is_signed_in_leaves_nothing_in_memory(app: Flask) -> None:
    @app.route("/mark")
    def mark() -> str:
        session["secret"] = "amina-was-here"
        return "ok"

    client = app.test_client()
    client.get("/mark")
    shown = client.get("/ru/")
    assert "Cookie" not in shown.headers.get("Vary", "")
    kept: Memory = app.extensions[memory.__name__]
    found = kept.find(("/ru/", b""))
    assert found is not None
    assert b"amina-was-here" not in found.body
    assert not [name for name, _ in found.headers if "cookie" in name.casefold()]


def test_two_applications_share_no_memory(app: Flask) -> None:
    other = Flask("other")
    other.config["CHARTER"] = app.config["CHARTER"]
    memory.init_app(other)
    app.test_client().get("/ru/")
    assert other.extensions[memory.__name__].bytes_count == 0
