"""The measurements measure what they say, and the report says what was measured."""

from __future__ import annotations

import re
import socket
from pathlib import Path

import pytest
from flask import Flask

from benchmarks import __main__ as runner
from benchmarks import applicants, load, machine, report, waiting
from benchmarks.catalogue import MEASUREMENTS
from benchmarks.installation import SECRET_KEY, Installation
from benchmarks.reckoning import Reckoning, reckon
from benchmarks.sink import Received, received
from charter import clock, shipped
from charter.domain.email import clean_email
from charter.domain.name import clean_name, same_name_key
from charter.operations import signing
from charter.operations.signing import Outcome, Proof
from charter.settings import Settings
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
