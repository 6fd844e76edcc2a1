"""What is counted is what happened, once it is lasting; and nobody can be found in it, nor make it grow."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask
from time_machine import Traveller as Clock

from charter import log_key, meters, metrics, publishing
from charter.mail import DeliveryError, FileTransport
from charter.queries.replica import _Watch
from tests.conftest import MakeApp
from tests.hostile.test_breakdown import take_database_away
from tests.house.test_secrets import mailed_secrets
from tests.house.world import World, dump, rules
from tests.metrics.reading import value, values_of, watched
from tests.people import Desk, Observer, work
from tests.service import ROOT


def test_a_whole_story_is_counted_and_nothing_else(make_app: MakeApp, clock: Clock) -> None:
    with watched(make_app) as (app, scrape):
        before = values_of(scrape())
        for name in ("sign_ups", "confirmations", "withdrawals", "mails_sent", "publication_leaves", "log_errors"):
            assert value(before, f"{name}_total") == 0
        amina = Observer(app)
        amina.sign(email="")
        amina.sign_and_confirm()
        work(app)
        asked = values_of(scrape())
        assert value(asked, "review_waiting") == 1
        desk = Desk(app, "Bruno", "bruno@example.org")
        desk.decide(desk.open_first(), "approve")
        desk.queue().submit(at="/undo")
        desk.decide(desk.open_first(), "approve")
        clock.shift(11)
        late = values_of(scrape())
        assert 1 <= value(late, "publication_oldest_due_seconds") < 11
        work(app)
        amina.browser.get("/ru/my/withdraw/").submit("withdraw-form")
        work(app)
        after = values_of(scrape())
    assert value(after, "sign_ups_total") == 1
    assert value(after, "confirmations_total") == 1
    assert value(after, "withdrawals_total") == 1
    assert value(after, "decisions_total", action="approve") == 2
    assert value(after, "decisions_total", action="undo") == 1
    assert value(after, "decisions_total") == 3
    # To confirm, confirmed, published, withdrawn.
    assert value(after, "mails_sent_total") == value(after, "mail_send_seconds_count") == 4
    assert value(after, "mails_failed_total") == 0
    # Applied, published, withdrawn.
    assert value(after, "publication_leaves_total") == value(after, "log_tree_size") - 2 == 3
    # And one batch without leaves: with it the day began.
    assert value(after, "publication_seconds_count") == value(after, "public_revision") - 1 == 4
    assert value(after, "publication_oldest_due_seconds") == 0
    posts = {"endpoint": "signing.sign", "method": "POST"}
    assert value(after, "request_seconds_count", status="4xx", **posts) == 1
    assert value(after, "request_seconds_count", status="3xx", **posts) == 1
    assert value(after, "requests_in_progress") == 0
    assert value(after, "database_up") == 1


def test_a_mail_that_fails_is_counted_by_a_class_and_never_by_its_code(
    make_app: MakeApp, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    codes = iter(
        ["smtp-451", "smtp-550", "smtp-login-535", "smtp-SMTPServerDisconnected", "file-28", "x amina@example.org"]
    )

    def refuse(*_args: object, **_more: object) -> None:
        raise DeliveryError(next(codes), is_permanent=True)

    monkeypatch.setattr(FileTransport, "send", refuse)
    with watched(make_app) as (app, scrape):
        for place in range(6):
            Observer(app).sign(email=f"amina{place}@example.org")
        work(app)
        after = values_of(scrape())
    for code in meters.CODES:
        assert value(after, "mails_failed_total", code=code) == 1, code
    assert value(after, "mail_dead_letters") == 6
    assert value(after, "mails_sent_total") == 0
    assert clock is not None


def test_what_stops_publication_is_counted_by_reason_until_it_is_mended(make_app: MakeApp, clock: Clock) -> None:
    with watched(make_app) as (app, scrape):
        settings = app.config["CHARTER"]
        work(app)
        before = values_of(scrape())
        assert {one for one in meters.STOPS if value(before, "publication_stopped", reason=one)} == set()
        assert value(before, "log_checkpoint_age_seconds") > 3 * 86_400
        log_key.path_of(settings).chmod(0o440)
        work(app)
        assert value(values_of(scrape()), "publication_stopped", reason="key_readable") == 1
        assert value(values_of(scrape()), "publication_stopped") == 1
        log_key.path_of(settings).chmod(0o400)
        Observer(app).sign_and_confirm()
        work(app)
        after = values_of(scrape())
        assert value(after, "publication_stopped") == 0
        assert value(after, "log_checkpoint_age_seconds") < 60
        assert {*publishing.CODES.values(), *log_key.WORDS, "selfcheck"} == set(meters.STOPS)


def spellings_of(world: World) -> Iterator[str]:
    """Everything that would lead to a person: names, addresses, links, codes, entries."""
    tokens, codes = mailed_secrets(world.app)
    yield from tokens | codes
    for row in dump(world.app)["signature"]:
        yield from (row["full_name"], *row["full_name"].split(), row["email"], row["entry"])
    yield from ("Бруно", "bruno@example.org", "office@", "Planet Express")


def test_nobody_can_be_found_in_a_scrape_and_nobody_can_make_it_grow(make_app: MakeApp, clock: Clock) -> None:
    with watched(make_app) as (app, scrape):
        world = World(app, clock)
        world.tell()
        for rule in rules(app, "GET"):
            world.stranger().client.get(world.address(rule))
            world.people["amina"].browser.client.get(world.address(rule))
        before = scrape()
        client = app.test_client()
        for place in range(30):
            client.open(f"/ru/Оспанова/{place}", method=f"AMINA{place}", headers={"X-Request-Id": "Оспанова"})
            client.get(f"/static/amina@example.org-{place}")
            client.get("/ru/", headers={"Host": f"amina{place}.example.org"})
            client.get(f"/kk/registry/entries/{place:032x}?name=Оспанова{place}")
        text = scrape()
        known = {rule.endpoint for rule in app.url_map.iter_rules()} | {"unknown", "static"}
    for secret in set(spellings_of(world)) - {""}:
        assert not re.search(rf"(?<![\w.-]){re.escape(secret)}(?![\w.-])", text), secret
    for part in ("/ru/", "/staff", "Оспанова", "AMINA", "@", "example.org"):
        assert part not in text, part
    labels = [dict(labels) for _name, labels in values_of(text)]
    assert {one["endpoint"] for one in labels if "endpoint" in one} <= known
    assert {one["method"] for one in labels if "method" in one} <= meters.METHODS | {"other"}
    assert {name for one in labels for name in one} <= {
        *("endpoint", "method", "status", "le", "action", "code", "process", "number", "reason")
    }
    # What strangers can add: one address nobody has, in each of the few methods, and the one that refused a host.
    series = {line.partition("}")[0] for line in text.splitlines() if "_count{" in line}
    grown = series - {line.partition("}")[0] for line in before.splitlines()}
    assert len(grown) <= 4, grown


def test_without_a_database_the_scrape_still_answers(make_app: MakeApp) -> None:
    with watched(make_app) as (app, scrape):
        assert value(values_of(scrape()), "database_up") == 1
        take_database_away(app)
        app.test_client().get("/ru/")
        gone = values_of(scrape())
    assert value(gone, "database_up") == 0
    assert value(gone, "request_seconds_count", endpoint="public.home", status="5xx") == 1
    assert value(gone, "log_errors_total") >= 1
    assert ("charter_mail_waiting", ()) not in gone


@pytest.mark.parametrize("engine_name", ["sqlite"], indirect=True)
def test_a_process_that_does_without_the_replica_is_counted_until_it_has_it_back(make_app: MakeApp) -> None:
    with watched(make_app) as (app, scrape):
        watch = _Watch()
        assert value(values_of(scrape()), "replica_rests") == 0
        watch.rest("gone")
        assert value(values_of(scrape()), "replica_rests") == 1
        with app.app_context():
            watch.look()
        assert value(values_of(scrape()), "replica_rests") == 0


@pytest.mark.parametrize("engine_name", ["sqlite"], indirect=True)
def test_without_a_port_nothing_is_counted_and_no_file_is_made(app: Flask) -> None:
    settings = app.config["CHARTER"]
    assert metrics.start(app, "web") is None
    assert not meters.is_on()
    loaded = "import sys, charter; print('prometheus_client' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", loaded], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "False\n", "who has no metrics pays nothing for them"
    app.test_client().get("/ru/")
    assert not (settings.instance_path / "metrics").exists()


@pytest.mark.parametrize("engine_name", ["sqlite"], indirect=True)
def test_metrics_are_on_no_public_address(make_app: MakeApp) -> None:
    with watched(make_app) as (app, scrape):
        for path in ("/metrics", "/metrics/", "/en/metrics/"):
            answer = app.test_client().get(path)
            assert answer.status_code == 404
            assert b"charter_request" not in answer.data
        assert "charter_request_seconds" in scrape()


@pytest.mark.parametrize("engine_name", ["sqlite"], indirect=True)
def test_a_folder_that_cannot_be_made_costs_the_metrics_and_not_the_service(
    make_app: MakeApp, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    app = make_app(metrics_port="1")
    (app.config["CHARTER"].instance_path / "metrics").write_text("")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "no" / "such"))
    assert metrics.start(app, "web") is None
    assert app.test_client().get("/ru/").status_code == 200
