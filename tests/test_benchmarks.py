"""The measurements measure what they say, and the report says what was measured."""

from __future__ import annotations

import json
import re
import socket
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import pytest
from flask import Flask

from benchmarks import __main__ as runner
from benchmarks import applicants, crowd, entries, load, machine, pages, published, questions, report, waiting
from benchmarks.catalogue import MEASUREMENTS
from benchmarks.installation import SECRET_KEY, Installation
from benchmarks.reckoning import Reckoning, reckon
from benchmarks.sink import Received, received
from charter import clock, shipped
from charter.domain.email import clean_email
from charter.domain.fold import fold
from charter.domain.name import clean_name, same_name_key
from charter.operations import signing
from charter.operations.proving import Outcome, Proof
from charter.operations.public_side import numbers_given
from charter.queries import registry as queries
from charter.queries import search
from charter.settings import Settings
from charter.tlog import leaf
from charter.tlog.record import commitment, encode_record
from tests import tally
from tests.conftest import MakeApp


@pytest.mark.parametrize("name", MEASUREMENTS)
def test_every_measurement_has_a_text_and_a_table(name: str) -> None:
    module = MEASUREMENTS[name]
    assert module.TITLE
    assert len(module.TEXT) > 200
    assert callable(module.measure)
    assert callable(module.lines)


def test_the_report_is_what_the_results_say() -> None:
    assert report.REPORT.read_text(encoding="utf-8") == report.render(report.read(), MEASUREMENTS), (
        "python -m benchmarks --render"
    )


def test_the_results_name_no_machine_and_no_folder() -> None:
    kept = report.REPORT.read_text(encoding="utf-8")
    if report.RESULTS.exists():
        kept += report.RESULTS.read_text(encoding="utf-8")
    host = socket.gethostname()
    assert not re.search(rf"(?<!\w){re.escape(host)}(?!\w)", kept)
    assert not re.search(r"(?<![\w<.])/(?:tmp|home|root|work|var|srv|opt)/", kept)


@pytest.mark.parametrize("arguments", [["nonsense"], ["sign", "--quick", "--full"]])
def test_wrong_arguments_are_refused_before_anything_starts(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        runner.main(arguments)
    assert ended.value.code == 2
    assert "dev.py bench" in capsys.readouterr().err


@pytest.mark.skipif(not Path("/proc/mounts").exists(), reason="only Linux tells its filesystems there")
def test_a_place_that_is_no_disk_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert machine.filesystem(Path("/proc/self")) == "proc"
    monkeypatch.setattr(machine, "filesystem", lambda folder: "tmpfs")
    assert runner.main(["sign", "--quick", "--folder", str(tmp_path)]) == 2
    assert list(tmp_path.iterdir()) == []


def test_every_applicant_has_a_name_and_an_address_of_their_own() -> None:
    numbers = range(1, 3000)
    names = [applicants.full_name(number) for number in numbers]
    assert [clean_name(name) for name in names] == names
    assert len({same_name_key(name) for name in names}) == len(numbers)
    mailboxes = {clean_email(applicants.address(number, "a")).mailbox for number in numbers}
    assert len(mailboxes) == len(numbers)


def test_a_percentile_is_the_value_that_so_many_stay_below() -> None:
    values = list(range(1000))
    assert load.percentile(values, 0.5) == 500
    assert load.percentile(values, 0.99) == 990
    assert load.percentile([], 0.99) == 0


def test_the_sinks_file_may_end_in_the_middle_of_a_line(tmp_path: Path) -> None:
    path = tmp_path / "received"
    path.write_text("a@example.org uid@host 12.5\nb@example.org oth")
    assert received(path) == [Received("a@example.org", "uid@host", 12.5)]
    assert received(path)[0].uid == "uid"


@pytest.fixture
def measured_app(make_app: MakeApp) -> Flask:
    """The application as a measurement sets it up."""
    return make_app(secret_key=SECRET_KEY)


@pytest.fixture
def made(measured_app: Flask, engine_name: str) -> Installation:
    """The same as a measurement sees it."""
    settings: Settings = measured_app.config["CHARTER"]
    return Installation(engine_name, settings.instance_path, settings.database_url.replace("+psycopg", ""))


def test_the_form_of_the_load_client_is_accepted(measured_app: Flask, made: Installation) -> None:
    parties = [row[0] for row in made.rows("SELECT slug FROM affiliation WHERE type = 'party' AND is_selectable")]
    templates = applicants.templates(parties)
    client = measured_app.test_client()
    token = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', client.get("/en/sign/").get_data(as_text=True))
    assert token
    for number, template in enumerate(templates):
        body = applicants.form_body(template, number, "a", token[1])
        answer = client.post("/ru/sign/", data=body, content_type="application/x-www-form-urlencoded")
        assert answer.status_code == 303, template
        assert answer.headers["Location"].endswith("/sign/check-mail/")
    addresses = {row[0] for row in made.rows("SELECT email FROM signature")}
    assert addresses == {applicants.address(number, "a") for number in range(len(templates))}


def test_people_made_in_bulk_can_confirm(measured_app: Flask, made: Installation) -> None:
    first = waiting.add(made, 3)
    with measured_app.app_context():
        assert _confirm(made, first.first) is Outcome.DONE
    second = waiting.add(made, 2)
    with measured_app.app_context():
        assert [_confirm(made, number) for number in (first.first, second.last)] == [Outcome.ALREADY, Outcome.DONE]


def _confirm(made: Installation, number: int) -> Outcome:
    return signing.confirm(
        waiting.confirm_token(made.key, number),
        proof=Proof(waiting.BROWSER_DIGEST, None),
        key=made.key,
        code_tries=5,
        answer_due_working_days=5,
        holidays=shipped.holidays(),
        now=clock.now(),
    ).outcome


def test_the_reckoning_finds_what_is_lost_and_what_is_there_twice(made: Installation) -> None:
    waiting.add(made, 3)
    uids = [row[0] for row in made.rows("SELECT uid FROM message ORDER BY id")]
    mails = [
        Received(applicants.address(number, "bulk"), f"{uid}@host", 0.0) for number, uid in enumerate(uids, start=1)
    ]

    def found(mails: list[Received], signed: set[int]) -> Reckoning:
        return reckon(made, mails, signed, set(), run="bulk")

    right = found(mails, {1, 2, 3})
    assert (right.acknowledged, right.signatures, right.mails) == (3, 3, 3)
    assert not any((right.lost, right.without_mail, right.double_events, right.contradictions, right.repeated_other_id))
    assert found(mails, {1, 2, 3, 4}).lost == 1
    missing = found(mails[:2], {1, 2, 3})
    assert (missing.without_mail, missing.contradictions) == (1, 1)
    assert found([*mails, mails[0]], {1}).repeated_same_id == 1
    assert found([*mails, Received("a@example.org", "unknown@host", 0.0)], {1}).repeated_other_id == 1
    made.load(
        "signature_event", waiting.EVENT, [(99, 1, "2026-11-20 09:00:00+00", "sign", None, "submitted", "signatory")]
    )
    twice = found(mails, {1, 2, 3})
    assert (twice.double_events, twice.contradictions) == (1, 1)


# ── a registry made in bulk ──────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def registry(made: Installation) -> Installation:
    """1,200 entries: three batches, the last of them not full."""
    now = datetime.now(UTC).replace(microsecond=0)
    entries.add(made, 1_200, opened_at=now - timedelta(days=entries.DAYS), now=now)
    return made


def test_names_made_in_bulk_are_names_and_as_uneven_as_in_life() -> None:
    people = crowd.Crowd(Random(1)).names(3_000)
    assert len(people) == 3_000
    assert {language for _, language in people} == {"kk", "ru", "en"}
    assert all(clean_name(name) == name for name, _ in people)
    borne = Counter(word for name, _ in people for word in fold(name))
    assert borne.most_common(1)[0][1] > 30, "some words are borne by very many"
    assert sum(count == 1 for count in borne.values()) > 500, "and very many by one"


def test_entries_made_in_bulk_are_what_publications_would_have_left(registry: Installation) -> None:
    with registry.connect() as connection:
        assert tally.differences(tally.Database(registry.engine, connection)) == []
    rows = registry.rows(
        "SELECT number, entry, rev, line, kind, display, name, region_code, affiliation_slug, affiliation_name,"
        " edition_slug, signed_on FROM registry_entry WHERE ended_on IS NULL ORDER BY number"
    )
    leaves = {
        values["entry"]: values
        for kind, values in (
            leaf.decode(bytes(data)) for (data,) in registry.rows('SELECT data FROM log_leaf ORDER BY "index"')
        )
        if kind == "publish"
    }
    for number, entry, rev, line, kind, display, name, region, slug, affiliation, edition, signed_on in rows:
        salt = bytes.fromhex(json.loads(bytes(line))["salt"])
        assert bytes(line) == encode_record(
            entry=entry,
            salt=salt,
            rev=rev,
            number=number,
            kind=kind,
            display=display,
            name=name,
            region=region,
            affiliation=slug,
            affiliation_name=affiliation,
            charter=edition,
            signed_on=signed_on if isinstance(signed_on, date) else date.fromisoformat(signed_on),
        )
        assert leaves[entry]["commit"] == commitment(bytes(line))
    shares = Counter(row[5] for row in rows)
    assert shares["short"] > 60 and shares["unlisted"] > 40
    assert 0.3 < sum(row[9] is not None for row in rows) / len(rows) < 0.5
    assert registry.scalar("SELECT count(*) FROM registry_entry WHERE ended_on IS NOT NULL") > 5


def test_the_service_goes_on_from_entries_made_in_bulk(registry: Installation, measured_app: Flask) -> None:
    told: list[int] = []
    for revision, tree_size in registry.rows("SELECT revision, tree_size FROM log_batch ORDER BY revision"):
        told.append(tree_size)
        assert registry.scalar(f"SELECT count(*) FROM log_leaf WHERE revision <= {revision}") == tree_size
    assert told == sorted(told)
    with measured_app.app_context():
        assert numbers_given() == 1_200


def test_every_kind_of_question_is_asked_and_most_are_answered(registry: Installation, measured_app: Flask) -> None:
    asker = questions.Asker(registry)
    with measured_app.app_context():
        views = queries.regions("kk")
        for kind in (*questions.KINDS, *questions.OTHER_KINDS):
            found = [bool(search.find_page(asker.ask(kind), views).lines) for _ in range(8)]
            assert any(found) is (kind != "none"), kind


def test_no_public_address_counts_or_skips_rows(registry: Installation, measured_app: Flask) -> None:
    found = pages._look(registry)
    assert found["costly_statements"] == []
    assert found["addresses"] > 100
    assert found["statements"] > 300


@pytest.mark.parametrize(
    ("statement", "parameters", "is_costly"),
    [
        ("SELECT count(*) FROM registry_entry", (), True),
        ("SELECT number FROM registry_entry LIMIT ? OFFSET ?", (50, 0), False),
        ("SELECT number FROM registry_entry WHERE kind = ? LIMIT ? OFFSET ?", ("party", 50, 100), True),
        ("SELECT number FROM registry_entry LIMIT %(most)s OFFSET %(skip)s", {"most": 50, "skip": 100}, True),
        ("SELECT region_count.listed FROM region_count", (), False),
    ],
)
def test_a_statement_that_counts_or_skips_is_known(statement: str, parameters: Any, is_costly: bool) -> None:
    assert pages.is_costly(statement, parameters) is is_costly


def test_a_tally_tells_what_is_not_right(registry: Installation) -> None:
    """Else everything that relies on it could not fail."""

    def told(statement: str) -> str:
        with registry.connect() as connection:
            connection.execute(statement)
            found = tally.differences(tally.Database(registry.engine, connection))
            connection.rollback()
        return " ".join(found)

    one = "(SELECT min(number) FROM registry_entry WHERE name IS NOT NULL)"
    assert "region_count" in told("UPDATE region_count SET listed = listed + 1 WHERE listed > 0")
    assert "affiliation_count" in told("UPDATE affiliation_count SET listed = listed - 1")
    assert "day_count" in told("UPDATE day_count SET signed = signed + 1")
    assert "day_span" in told("UPDATE day_span SET last_number = last_number + 1")
    assert "registry_word" in told("UPDATE registry_word SET entries = entries + 1 WHERE entries = 1")
    assert "search index" in told(f"UPDATE registry_entry SET words = words || ' nobody' WHERE number = {one}")
    assert "words" in told(f"UPDATE registry_entry SET words = NULL WHERE number = {one}")
    assert "sort_key" in told(f"UPDATE registry_entry SET sort_key = 'a' WHERE number = {one}")
    assert "log_place" in told("UPDATE log_place SET record_index = record_index - 1")
    node, root = 'SELECT 30, 0, hash FROM log_leaf WHERE "index" = 0', "SELECT 3, hash, at, '' FROM log_leaf, log_batch"
    assert "log_node" in told(f'INSERT INTO log_node (level, "index", hash) {node}')
    assert "checkpoint 3" in told(
        f'INSERT INTO log_checkpoint (size, root, at, note) {root} WHERE "index" = 0 AND log_batch.revision = 1'
    )
    assert "still found" in told(
        "UPDATE registry_entry SET words = 'ghost' WHERE number ="
        " (SELECT min(number) FROM registry_entry WHERE ended_on IS NOT NULL)"
    )


def test_people_made_in_bulk_are_counted_and_found_as_the_service_would_have(made: Installation) -> None:
    published.add(made, 30)
    with made.connect() as connection:
        assert tally.differences(tally.Database(made.engine, connection)) == []
