"""The drill: a machine is lost, and another one takes its place from backup and leaves file."""

from __future__ import annotations

import hashlib
import json
import subprocess
from collections import Counter
from pathlib import Path
from typing import Any

from flask import Flask

from charter import leaves_file, migrating
from charter.backup import postgres
from charter.domain.fold import fold
from charter.settings import Settings
from charter.tlog import leaf
from tests.backup.conftest import NewMachine, back_up, restore, settings_of
from tests.house.world import World, dump
from tests.log_figures import check_figures
from tests.operations.test_signing import decide
from tests.pages import Browser
from tests.people import Desk, code_in, link_in, mails, work


def leaves_of(rows: dict[str, list[dict[str, Any]]]) -> list[tuple[int, bytes, bytes, int]]:
    return [(row["index"], row["data"], row["hash"], row["revision"]) for row in rows["log_leaf"]]


def totals(rows: dict[str, list[dict[str, Any]]]) -> Counter[str]:
    found: Counter[str] = Counter()
    for row in rows["region_count"]:
        for column in ("listed", "unlisted", "withdrawn", "revoked"):
            found[column] += row[column]
    return found


def everything(settings: Settings) -> bytes:
    """All bytes that somebody with the database could read."""
    if settings.database_url.startswith("sqlite"):
        folder = settings.instance_path
        return b"".join(path.read_bytes() for path in sorted(folder.glob("charter.db*")))
    program = postgres.find_program("pg_dump")
    url = settings.database_url.replace("+psycopg", "")
    return subprocess.run([program, "--inserts", url], capture_output=True, check=True).stdout


def check_log(rows: dict[str, list[dict[str, Any]]]) -> None:
    """Every entry has the leaves that the rules allow, no leaf is there twice, and live lines open their commitment."""
    state: dict[str, str] = {}
    commits: dict[str, tuple[str, int]] = {}
    times = []
    for row in rows["log_leaf"]:
        kind, values = leaf.decode(row["data"])
        times.append(json.loads(row["data"])["t"])
        entry = str(values.get("entry"))
        before = state.get(entry)
        allowed = {"confirm": {None}, "publish": {"confirm"}, "refuse": {"confirm"}, "correct": {"publish"}}
        allowed |= {"revoke": {"publish"}, "erase": {"confirm", "publish", "refuse", "withdraw", "revoke"}}
        assert kind in {"charter", "key"} or before in allowed.get(kind, {"confirm", "publish"}), (kind, before)
        if kind in {"publish", "correct"}:
            assert values["rev"] == commits.get(entry, ("", 0))[1] + 1
            commits[entry] = (str(values["commit"]), int(str(values["rev"])))
            state[entry] = "publish"
        elif kind != "charter":
            state[entry] = kind
    assert times == sorted(times)
    assert [row["index"] for row in rows["log_leaf"]] == list(range(len(times)))
    numbers = [row["number"] for row in rows["registry_entry"]]
    assert len(numbers) == len(set(numbers))
    for row in rows["registry_entry"]:
        if row["line"] is not None:
            assert (hashlib.sha256(row["line"]).hexdigest(), row["rev"]) == commits[row["entry"]]
            assert state[row["entry"]] == "publish"
        else:
            assert state[row["entry"]] in {"withdraw", "revoke", "erase"}
    check_figures(rows)


def test_a_lost_machine_comes_back_with_everything_that_was_published(
    world: World, new_machine: NewMachine, open_machine: Any, key_pair: tuple[Path, str]
) -> None:
    app, identity = world.app, key_pair[0]
    world.work()
    office_mail = next(mail for mail in mails(app) if mail["To"] == "office@example.org")
    backup = back_up(app, backup_recipients=(key_pair[1],))
    before = dump(app)
    world.clock.shift(3600)

    # After the backup: what the log alone will bring back.
    world.people["amina"].browser.get("/ru/my/withdraw/").submit("withdraw-form")
    decide(app, world.signature_id("saule"), world.desk.id, "decline", "duplicate")
    decide(app, world.signature_id("waiting"), world.desk.id)
    kuat = world.people["unconfirmed"]
    assert "/my/" in kuat.browser.get(world.confirm_path).submit("confirm-form").url
    world.pass_seconds(11)
    world._join("newcomer", "Ақерке Кейінгі")
    decide(app, world.signature_id("newcomer"), world.desk.id)
    world.pass_seconds(11)
    world._join("latecomer", "Дәурен Соңғы")
    world.work()
    lost = dump(app)
    people = {row["email"]: row for row in lost["signature"] if row["email"]}
    newcomer, latecomer = people["newcomer@example.org"], people["latecomer@example.org"]
    assert newcomer["number"] == max(row["number"] for row in lost["registry_entry"])
    work(app)

    # The machine is lost. Another one.
    settings = new_machine(settings_of(app))
    report = restore(backup, settings, identity)
    found_app: Flask = open_machine(settings)
    found = dump(found_app)

    # The log, byte for byte, and what follows on it.
    count = len(lost["log_leaf"])
    assert leaves_of(found)[:count] == leaves_of(lost)
    assert found["log_batch"][: len(lost["log_batch"])] == lost["log_batch"]
    corrections = [leaf.decode(row["data"]) for row in found["log_leaf"][count:]]
    again = {people["waiting@example.org"]["entry"], people["fresh@example.org"]["entry"]}
    assert {(kind, values["entry"], values["rev"]) for kind, values in corrections} == {
        ("correct", entry, 2) for entry in again
    }
    assert found["log_batch"][len(lost["log_batch"])]["revision"] > lost["log_batch"][-1]["revision"] + 100
    check_log(found)

    # Everybody stands where they stood, if the backup knew them.
    states = {row["entry"]: (row["email"], row["state"], row["number"], row["due_on"]) for row in found["signature"]}
    for row in lost["signature"]:
        if row["entry"] in states:
            assert states[row["entry"]] == (row["email"], row["state"], row["number"], row["due_on"]), row["email"]
    assert {row["entry"] for row in lost["signature"]} - set(states) == {newcomer["entry"], latecomer["entry"]}
    assert {row["state"] for row in found["signature"]} >= {
        "submitted", "confirmed", "declined", "published", "withdrawn",
    }  # fmt: skip
    missing = {"newcomer@example.org": 1}
    assert totals(found) == totals(lost) - Counter(listed=len(missing))

    # Who left has left: no name, no address, neither the line nor a salt that opens a commitment is anywhere.
    amina = next(row["entry"] for row in before["signature"] if row["email"] == "amina@example.org")
    old = next(row for row in before["registry_entry"] if row["entry"] == amina)
    row = next(row for row in found["registry_entry"] if row["entry"] == amina)
    assert (row["name"], row["line"], row["ended_by"], row["number"]) == (None, None, "signatory", old["number"])
    lines = [old["line"], next(one["application_line"] for one in before["signature"] if one["entry"] == amina)]
    held = everything(settings)
    for line in lines:
        assert line is not None
        salt = json.loads(line)["salt"]
        assert salt.encode() not in held
        assert line.hex().encode() not in held
        assert salt.encode().hex().encode() not in held
    for trace in (old["name"], old["name"].casefold(), *fold(old["name"])[1:], "amina@example.org"):
        assert trace.encode() not in held, trace

    # Nothing is told or done twice.
    assert found["staff_session"] == []
    assert not [row for row in found["log_event"] if row["kind"] != "refresh"]
    waiting = Counter(row["kind"] for row in found["message"] if row["done_at"] is None and not row["on_hold"])
    assert waiting == Counter(row["kind"] for row in before["message"] if row["done_at"] is None and not row["on_hold"]
                              and row["kind"] != "published") + Counter({"confirmed": 1})  # fmt: skip

    known = {row["id"] for row in found["signature"] if row["email"]}
    told_of_publication = [
        sum(row["kind"] == "published" and row["signature_id"] in known for row in rows["message"])
        for rows in (before, found)
    ]
    assert told_of_publication[0] == told_of_publication[1] > 0

    # The report says so, and names nobody.
    assert f"{newcomer['entry']}, number {newcomer['number']}" in report
    assert f"{latecomer['entry']}, an answer is due on {latecomer['due_on']}" in report
    for entry in (*again, people["unconfirmed@example.org"]["entry"], people["saule@example.org"]["entry"]):
        assert entry in report
    assert "@" not in report
    assert not any(word in report for row in people.values() for word in row["full_name"].split())

    # And it opens: pages, the old links, the next publication under the next number.
    with found_app.app_context():
        assert migrating.standing() == "ok"
    for path in ("/ru/", "/kk/registry/", f"/en/registry/entries/{amina}", "/readyz"):
        assert Browser(found_app).client.get(path).status_code == 200
    work(found_app)
    with found_app.app_context():
        assert leaves_file.standing(settings) == leaves_file.Standing(leaves_file.State.FOLLOWS)
    page = Browser(found_app).get(link_in(office_mail, "/confirm/"))
    assert "/my/" in page.submit("confirm-form", code=code_in(office_mail)).url
    told = [mail for mail in mails(found_app) if mail["To"] == "unconfirmed@example.org"]
    assert len(told) == 1
    assert Browser(found_app).get(link_in(told[0], "/my/")).status == 200
    desk = Desk(found_app, "Dana", "dana@example.org")
    for key in ("waiting", "saule", "unconfirmed", "amina"):
        # Amina has left: nothing but the entry leads to her row any more.
        entry = next(row["entry"] for row in before["signature"] if row["email"] == f"{key}@example.org")
        signature_id = next(row["id"] for row in found["signature"] if row["entry"] == entry)
        assert desk.browser.get(f"/staff/review/{signature_id}/").status == 200
    kuat_id = next(row["id"] for row in found["signature"] if row["email"] == "unconfirmed@example.org")
    decide(found_app, kuat_id, desk.id)
    world.clock.shift(11)
    work(found_app)
    after = dump(found_app)
    assert max(row["number"] for row in after["registry_entry"]) == newcomer["number"] + 1
    check_log(after)
    assert totals(after) == totals(found) + Counter(listed=1)
