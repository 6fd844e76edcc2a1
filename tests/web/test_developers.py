"""The page for developers shows what is true of this instance, and its examples run as they stand."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from flask import Flask
from werkzeug.serving import make_server

from charter.web.api import parameters, shapes
from tests.conftest import MakeApp
from tests.pages import Browser, Page
from tests.scaled import missing
from tests.service import free_port
from tests.web.asking import Api
from tests.web.public_history import History

LANGUAGES = ("kk", "ru", "en")
#: For what no engine has a part in.
ONE_ENGINE = pytest.mark.parametrize("engine_name", ["sqlite"], indirect=True)


@pytest.fixture
def served(make_app: MakeApp) -> Iterator[Flask]:
    """The application on a port of this machine, which is its public address."""
    port = free_port()
    app = make_app(public_url=f"http://127.0.0.1:{port}")
    history = History(app)
    history.batch(new=60)
    history.batch(new=3, ended=5, corrected=2)
    server = make_server("127.0.0.1", port, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield app
    server.shutdown()
    thread.join(timeout=10)
    server.server_close()


def code(page: Page) -> list[str]:
    return [node.to_text(strip=False) for node in page.tree.query("pre")]


def run(arguments: list[str], folder: Path) -> str:
    done = subprocess.run(arguments, cwd=folder, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


@ONE_ENGINE
def test_every_example_runs_as_it_stands(served: Flask, tmp_path: Path) -> None:
    if shutil.which("curl") is None:
        missing("curl")
    page = Browser(served).get("/en/developers/")
    first, answer, search, python_search, python_copy, unchanged = code(page)
    newest = json.loads(run(["sh", "-c", first], tmp_path))
    assert newest == json.loads(answer), "the answer on the page is the one that the example gets"
    found = json.loads(run(["sh", "-c", search], tmp_path))
    assert found["count"]["number"] == len(found["data"]) > 0
    assert {one["region"] for one in found["data"]} == {"KZ-75"}
    assert run(["sh", "-c", unchanged], tmp_path).startswith("HTTP/1.1 304")
    lines = run([sys.executable, "-I", "-c", python_search], tmp_path).splitlines()
    assert 1 < len(lines) <= 21
    assert len(lines) - 1 == min(20, int(lines[0].partition(" ")[0]))
    assert all("Оспанова" in line for line in lines[1:])
    everything = Api(served).get("/api/v1/entries", size=200)
    revision = everything["as_of"]["public_revision"]
    said = run([sys.executable, "-I", "-c", python_copy], tmp_path)
    assert said == f"{len(everything['data'])} entries as of public revision {revision}\n"


@pytest.mark.parametrize("lang", LANGUAGES)
@ONE_ENGINE
def test_the_page_names_every_address_parameter_and_field(app: Flask, lang: str) -> None:
    History(app).batch(new=2)
    api = Api(app)
    page = Browser(app).get(f"/{lang}/developers/")
    words = {node.to_text() for node in page.tree.query("code")}
    assert set(api.document["paths"]) <= words
    assert {one.name for one in parameters.ENTRIES} <= words
    assert set(shapes.ENTRY_FIELDS) <= words
    assert len(code(page)) == 6
    for block in page.tree.query("pre"):
        assert block.attrs["tabindex"] == "0"
        assert block.attrs["aria-label"]
    opened = 0
    for link in page.tree.query("main a[href]"):
        address = link.attrs["href"]
        if urlsplit(address).path.startswith("/api/"):
            answer = app.test_client().get(address)
            assert answer.status_code == 200, address
            assert answer.mimetype == "application/json"
            opened += 1
    assert opened == len(api.document["paths"]) + 3


@ONE_ENGINE
def test_before_the_first_entry_the_page_is_there_too(app: Flask) -> None:
    page = Browser(app).get("/ru/developers/")
    assert page.status == 200
    assert '"data": []' in page.text or "&#34;data&#34;: []" in page.text


@ONE_ENGINE
def test_examples_of_parameters_are_accepted(app: Flask) -> None:
    History(app).batch(new=2)
    api = Api(app)
    for one in parameters.ENTRIES:
        if one is not parameters.CURSOR:
            api.get("/api/v1/entries", **{one.name: one.example})


def test_the_file_and_the_walk_hold_the_same_entries(app: Flask) -> None:
    history = History(app, seed=5)
    history.batch(new=30)
    history.batch(new=3, corrected=3, ended=6)
    api = Api(app)
    lines = [json.loads(line) for line in app.test_client().get("/registry.jsonl").data.splitlines()]
    assert lines[0]["public_revision"] == api.get("/api/v1/entries")["as_of"]["public_revision"]
    entries = {line["number"]: line for line in lines if "number" in line}
    walked = {one["number"]: one for one in api.get("/api/v1/entries", size=200)["data"]}
    assert entries == walked
