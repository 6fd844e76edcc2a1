"""The verifier over files: an honest log is proved, and each thing that an insider could do is told in a sentence."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from benchmarks.log_files import make_signer, write_registry
from charter.tlog import canonical, note, tiles, tree, verify
from charter.tlog.record import commitment
from charter.tlog.tiles import Tile
from charter.web.log import BROKEN
from tests.tlog.history import ORIGIN, SIGNER, STRANGER, TEXTS, VKEY, History, entry_of, fetch_over, record_line


@dataclass
class Told:
    """What a run said. told: its JSON."""

    code: int
    told: dict[str, Any]

    @property
    def codes(self) -> set[str]:
        return {one["code"] for one in self.told["findings"]}

    @property
    def text(self) -> str:
        return "\n".join(one["text"] for one in self.told["findings"])


Ask = Callable[..., Told]


@pytest.fixture
def ask(capsys: pytest.CaptureFixture[str]) -> Ask:
    """Runs the verifier with the log's key."""

    def run(*arguments: object, vkey: str = VKEY) -> Told:
        code = verify.main(["--json", "--vkey", vkey, *map(str, arguments)])
        captured = capsys.readouterr()
        assert captured.err == ""
        return Told(code, json.loads(captured.out))

    return run


def lived() -> History:
    """Some 640 leaves with everything in them that there is."""
    history = History()
    people = history.sign_up(310)
    history.correct(people[0], 2, name="Б")
    history.end("withdraw", people[1])
    history.end("revoke", people[2], reason="impersonation", approvals=["s1", "s2"])
    history.end("erase", people[3])
    history.confirm(entry_of(5000), due="2026-11-20")
    history.t = "2026-11-21T10:00:00Z"
    history.confirm(entry_of(5001))
    history.end("refuse", entry_of(5001), reason="ineligible")
    return history


def test_an_honest_log_is_proved(tmp_path: Path, ask: Ask) -> None:
    history = lived()
    old = tmp_path / "old"
    old.write_text(history.checkpoint(400))
    history.write(tmp_path)
    found = ask("--base", tmp_path, "--old", old)
    assert (found.code, found.told["result"], found.told["findings"], found.told["unchecked"]) == (0, "proved", [], [])
    assert found.told["size"] == len(history.leaves)
    assert found.told["counts"] == {
        "confirmed": 312, "published": 310, "live": 307, "withdrawn": 1, "revoked": 1, "erased": 1, "refused": 1,
        "pending": 1, "overdue": 1, "ended_before": 0, "as_of": "2026-11-21T10:00:00Z",
    }  # fmt: skip
    proved = " ".join(found.told["proved"])
    for words in ("307 records are exactly", "of old (400 leaves) is part of", "The tiles hold", "ru.txt is the text"):
        assert words in proved


def test_it_says_so_in_plain_words_or_not_at_all(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lived().write(tmp_path)
    arguments = ["--vkey", VKEY, "--base", str(tmp_path)]
    assert verify.main(arguments) == 0
    said = capsys.readouterr().out
    assert "Everything that was checked is as it has to be." in said
    assert "Confirmed 312 = published 310 + refused 1" in said
    assert verify.main([*arguments, "--quiet"]) == 0
    assert capsys.readouterr().out == ""
    assert verify.main(["--vkey", STRANGER.vkey, "--base", str(tmp_path), "--quiet"]) == 1
    assert "SOMETHING IS WRONG" in capsys.readouterr().out


def test_the_empty_log_and_that_of_one_leaf_are_proved(tmp_path: Path, ask: Ask) -> None:
    for name, history in (("none", History(with_texts=False)), ("one", History())):
        history.write(tmp_path / name)
        assert ask("--base", tmp_path / name).code == 0


def test_the_folder_of_the_log_itself_may_be_named(tmp_path: Path, ask: Ask) -> None:
    lived().write(tmp_path)
    assert ask("--base", tmp_path / "log").code == 0


def test_whoever_stops_reading_gets_no_traceback(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    try:
        done = subprocess.run(
            [sys.executable, "-m", "charter.tlog.verify", "--vkey", VKEY, "--record", str(tmp_path / "«none»")],
            env={"PATH": os.environ["PATH"], "PYTHONIOENCODING": "ascii"},
            stdout=writing,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
            timeout=60,
        )
    finally:
        os.close(writing)
    assert (done.returncode, done.stderr) == (2, "")


# ── what an insider could do ─────────────────────────────────────────────────────────────────────────────────────────


def _publish_without_confirm(history: History) -> None:
    history.publish(entry_of(7000))


def _revoke_alone(history: History) -> None:
    entry = next(iter(history.lines))
    del history.lines[entry]
    history.add_raw(kind="revoke", approvals=["s1"], entry=entry, reason="other")


def _move_the_day(history: History) -> None:
    history.confirm(entry_of(5000), due="2027-01-31")


def _name_somebody(history: History) -> None:
    history.add_raw(kind="withdraw", entry=entry_of(5000), name="Айгүл Серікқызы")


def _change_a_record(history: History) -> None:
    entry = list(history.lines)[3]
    history.lines[entry] = history.lines[entry].replace("Амина".encode(), "Самал".encode())


def _lose_a_record(history: History) -> None:
    del history.lines[next(iter(history.lines))]


def _add_a_record(history: History) -> None:
    history.lines[entry_of(7000)] = record_line(entry_of(7000), 311)


def _show_an_ended_one(history: History) -> None:
    history.end("withdraw", (ended := next(iter(history.lines))))
    history.lines[ended] = record_line(ended, 1)


def _show_one_that_waits(history: History) -> None:
    history.lines[entry_of(5000)] = record_line(entry_of(5000), 311)


def _keep_an_old_revision(history: History) -> None:
    entry = list(history.lines)[5]
    line = history.lines[entry]
    history.correct(entry, 2, name="В")
    history.lines[entry] = line


def _give_a_number_twice(history: History) -> None:
    entry = entry_of(7000)
    history.confirm(entry)
    history.published = 16
    history.publish(entry)


def _sign_another_edition(history: History) -> None:
    entry = entry_of(7000)
    history.confirm(entry)
    history.publish(entry, charter="specimen-9")


@pytest.mark.parametrize(
    ("insider", "codes"),
    [
        (_publish_without_confirm, {"publish-without-confirm"}),
        (_revoke_alone, {"revoke-approvals"}),
        (_move_the_day, {"due-moved"}),
        (_name_somebody, {"leaf-key"}),
        (_change_a_record, {"record-changed"}),
        (_lose_a_record, {"record-missing"}),
        (_add_a_record, {"record-added"}),
        (_show_an_ended_one, {"record-ended"}),
        (_show_one_that_waits, {"record-ended"}),
        (_keep_an_old_revision, {"record-changed"}),
        (_give_a_number_twice, {"number"}),
        (_sign_another_edition, {"edition"}),
    ],
)
def test_an_insider_is_told(tmp_path: Path, ask: Ask, insider: Callable[[History], None], codes: set[str]) -> None:
    history = lived()
    insider(history)
    history.write(tmp_path)
    found = ask("--base", tmp_path)
    assert (found.code, found.codes) == (1, codes), found.text
    assert len(found.told["findings"]) == 1


def test_a_changed_leaf_is_told_with_its_place(tmp_path: Path, ask: Ask) -> None:
    history = lived()
    history.write(tmp_path)
    place = tmp_path / "log" / Tile(None, 1).path
    leaves = tiles.unbundle(place.read_bytes())
    assert b'"publish"' in leaves[200]
    leaves[200] = canonical.encode(canonical.decode(leaves[200]) | {"commit": "ab" * 32})
    place.write_bytes(tiles.bundle(leaves))
    found = ask("--base", tmp_path)
    assert found.code == 1
    assert found.codes == {"tile", "root", "registry-root", "record-changed"}
    assert [one["leaf"] for one in found.told["findings"] if one["code"] == "tile"] == [456, None]
    # Without the tiles the root tells it, though not where.
    assert ask("--base", tmp_path, "--no-tiles").codes == {"root", "registry-root", "record-changed"}


def test_a_changed_tile_is_told(tmp_path: Path, ask: Ask) -> None:
    history = lived()
    for tile in (Tile(0, 1), Tile(1, 0, 2), Tile(0, 2, len(history.leaves) - 512)):
        history.write(tmp_path)
        place = tmp_path / "log" / tile.path
        place.write_bytes(bytes([place.read_bytes()[0] ^ 1]) + place.read_bytes()[1:])
        assert ask("--base", tmp_path).codes == {"tile"}
        history.write(tmp_path)
        place.write_bytes(place.read_bytes()[:-1])
        assert ask("--base", tmp_path).codes == {"tile"}


def test_a_checkpoint_by_a_foreign_key_is_told(tmp_path: Path, ask: Ask) -> None:
    history = lived()
    history.write(tmp_path, signer=STRANGER)
    found = ask("--base", tmp_path)
    assert (found.code, found.codes) == (1, {"checkpoint"})
    assert "not signed by the key you gave" in found.text
    other = make_signer("other.example/log", bytes(range(32)))
    history.write(tmp_path, signer=other)
    assert "bears the name of another log" in ask("--base", tmp_path).text
    history.write(tmp_path, registry=history.checkpoint(signer=STRANGER))
    assert ask("--base", tmp_path).codes == {"registry-form"}


def test_a_fork_is_told_against_a_checkpoint_that_was_kept(tmp_path: Path, ask: Ask) -> None:
    history = lived()
    kept = tmp_path / "kept"
    rewritten = lived()
    rewritten.leaves[300] = canonical.encode(canonical.decode(rewritten.leaves[300]) | {"commit": "ab" * 32})
    for size in (301, 512, len(history.leaves)):
        kept.write_text(history.checkpoint(size))
        rewritten.write(tmp_path)
        found = ask("--base", tmp_path, "--old", kept)
        assert found.code == 1
        assert "fork" in found.codes
    kept.write_text(history.checkpoint(300))
    assert "fork" not in ask("--base", tmp_path, "--old", kept).codes


def test_a_log_that_has_lost_leaves_is_told(tmp_path: Path, ask: Ask) -> None:
    history = lived()
    kept = tmp_path / "kept"
    kept.write_text(history.checkpoint())
    shorter = History()
    shorter.sign_up(10)
    shorter.write(tmp_path)
    assert ask("--base", tmp_path, "--old", kept).codes == {"rollback"}
    kept.write_text(history.receipt(300))  # a receipt names a checkpoint too
    assert ask("--base", tmp_path, "--old", kept).codes == {"rollback"}
    assert ask("--base", tmp_path, "--receipt", kept).codes == {"rollback"}
    kept.write_text(history.checkpoint(signer=STRANGER))
    assert ask("--base", tmp_path, "--old", kept).codes == {"old"}


def test_another_text_of_the_charter_is_told(tmp_path: Path, ask: Ask) -> None:
    lived().write(tmp_path)
    text = tmp_path / "charter/specimen-1/kk.txt"
    text.write_bytes(TEXTS["kk"] + b" ")
    assert ask("--base", tmp_path).codes == {"text"}
    text.unlink()
    found = ask("--base", tmp_path)
    assert found.code == 0
    assert "kk.txt" in " ".join(found.told["remarks"])


def test_a_retired_key_that_signs_on_is_told(tmp_path: Path, ask: Ask) -> None:
    both = make_signer(ORIGIN, bytes(range(32)), bytes(range(1, 33)))
    history = lived()
    history.add("key", action="add", vkey=STRANGER.vkey)
    history.write(tmp_path, signer=both)
    assert ask("--base", tmp_path).code == ask("--base", tmp_path, vkey=STRANGER.vkey).code == 0
    assert ask("--base", tmp_path).told["remarks"] == [f"The log has a further key since leaf 628: {STRANGER.vkey}"]
    history.add("key", action="retire", vkey=VKEY)
    history.write(tmp_path, signer=STRANGER)
    assert ask("--base", tmp_path, vkey=STRANGER.vkey).code == 0
    # Whoever still has checkpoints from before gives both keys.
    old = tmp_path / "old"
    old.write_text(history.checkpoint(100))
    assert ask("--base", tmp_path, "--vkey", STRANGER.vkey, "--old", old).code == 0
    history.add("charter", charter="specimen-2", files=canonical.decode(history.leaves[0])["files"])
    history.write(tmp_path, signer=both)
    assert ask("--base", tmp_path).codes == {"retired-key"}


# ── the registry's own checkpoint ────────────────────────────────────────────────────────────────────────────────────


def test_the_registry_may_be_of_an_older_or_a_newer_tree(tmp_path: Path, ask: Ask) -> None:
    history = History()
    people = history.sign_up(300)
    history.write(tmp_path / "before")
    for entry in people[:80]:
        history.end("withdraw", entry)
    history.write(tmp_path / "after")
    before, after = tmp_path / "before/log/registry.ndjson", tmp_path / "after/log/registry.ndjson"
    newer = after.read_bytes()
    after.write_bytes(before.read_bytes())
    found = ask("--base", tmp_path / "after")
    assert found.code == 0
    assert "the newest 80 of the checkpoint are not in it yet" in found.told["remarks"][0]
    after.write_bytes(newer)
    # The checkpoint was read first, and a batch came before the registry.
    (tmp_path / "after/log/checkpoint").write_bytes((tmp_path / "before/log/checkpoint").read_bytes())
    found = ask("--base", tmp_path / "after")
    assert (found.code, found.told["size"]) == (0, 601)
    # The records of one tree are not those of the other.
    lines = [history.lines[entry] for entry in sorted(history.lines)]
    write_registry(tmp_path / "before", history.checkpoint(601), lines, count=220)
    assert ask("--base", tmp_path / "before").codes == {"record-missing"}


def _arranged(data: bytes, *places: int) -> bytes:
    """The first lines in another order."""
    lines = data.splitlines(keepends=True)
    return b"".join([*(lines[place] for place in places), *lines[3:]])


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda data: data[:-1], "registry-form"),
        (lambda data: data + b"\n", "registry-form"),
        (lambda data: data.replace(b'"records":307', b'"records":308'), "registry-count"),
        (lambda data: data.replace(b'"records":307', b'"records":-1'), "registry-form"),
        (lambda data: data.replace(b'"records":307', b'"records":true'), "registry-form"),
        (lambda data: data.replace(b'"v":1}', b'"v":1,"x":1}', 1), "registry-form"),
        (lambda data: data.replace(b'"kind":"registry"', b'"kind":"register"'), "registry-form"),
        (lambda data: data[: data.index(b"\n")], "registry-form"),
        (lambda data: b"", "registry-form"),
        (lambda data: b"[" * 50_000 + b"\n", "registry-form"),
        (lambda data: data + b"x" * 20_000 + b"\n", "registry-form"),
        (lambda data: data.replace(b'"rev":1', b'"rev":1.0', 1), "registry-form"),
        (lambda data: _arranged(data, 0, 2, 1), "registry-order"),
        (lambda data: _arranged(data, 0, 1, 1, 2), "registry-order"),
    ],
)
def test_a_registry_in_another_form_is_told(
    tmp_path: Path, ask: Ask, change: Callable[[bytes], bytes], code: str
) -> None:
    lived().write(tmp_path)
    place = tmp_path / "log/registry.ndjson"
    place.write_bytes(change(place.read_bytes()))
    found = ask("--base", tmp_path)
    assert found.code == 1
    assert code in found.codes


def test_a_registry_that_says_it_was_cut_could_not_be_checked(tmp_path: Path, ask: Ask) -> None:
    lived().write(tmp_path)
    place = tmp_path / "log/registry.ndjson"
    place.write_bytes(b"".join(place.read_bytes().splitlines(keepends=True)[:20]) + BROKEN)
    found = ask("--base", tmp_path)
    assert (found.code, found.codes) == (2, set())
    assert "ask for it again" in found.told["unchecked"][0]


def test_a_record_may_not_claim_another_revision_or_number(tmp_path: Path, ask: Ask) -> None:
    history = History()
    history.confirm(entry_of(1))
    line = record_line(entry_of(1), 2, 3)
    history.add("publish", commit=commitment(line), entry=entry_of(1), rev=1)
    history.lines[entry_of(1)] = line
    history.write(tmp_path)
    assert ask("--base", tmp_path).codes == {"record-rev", "number"}


# ── what is not there ────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "path", ["log/checkpoint", "log/registry.ndjson", "log/tile/entries/001", "log/tile/0/000", "log/tile/1/000.p/2"]
)
def test_what_is_not_there_could_not_be_checked(tmp_path: Path, ask: Ask, path: str) -> None:
    lived().write(tmp_path)
    (tmp_path / path).unlink()
    found = ask("--base", tmp_path)
    assert (found.code, found.told["findings"]) == (2, [])
    assert path in " ".join(found.told["unchecked"])
    (tmp_path / path).mkdir()
    assert ask("--base", tmp_path).code == 2


def test_a_mirror_may_drop_partial_tiles_once_the_whole_one_is_there(tmp_path: Path, ask: Ask) -> None:
    history = lived()
    history.write(tmp_path)
    checkpoint = (tmp_path / "log/checkpoint").read_bytes()
    registry = (tmp_path / "log/registry.ndjson").read_bytes()
    for place in (tmp_path / "log").rglob("*.p"):
        for file in place.iterdir():
            file.unlink()
    history.sign_up(200)
    history.write(tmp_path)
    (tmp_path / "log/checkpoint").write_bytes(checkpoint)
    (tmp_path / "log/registry.ndjson").write_bytes(registry)
    found = ask("--base", tmp_path)
    assert (found.code, found.told["findings"]) == (2, [])  # of level 1 there is no whole tile
    assert found.told["unchecked"] == ["There is no log/tile/1/000.p/2."]


def test_a_bundle_that_was_cut_is_told(tmp_path: Path, ask: Ask) -> None:
    lived().write(tmp_path)
    place = tmp_path / "log/tile/entries/001"
    data = place.read_bytes()
    for wrong in (data[:-1], data + b"\x00\x00", b"", data * 2):
        place.write_bytes(wrong)
        assert ask("--base", tmp_path).codes == {"bundle"}
    place.write_bytes(b"\x00" * (256 * 65537 + 1))
    assert ask("--base", tmp_path).codes == {"too-large"}


def test_a_folder_that_is_not_there_could_not_be_checked(tmp_path: Path, ask: Ask) -> None:
    assert ask("--base", tmp_path / "nowhere").code == 2
    assert ask("--base", "ftp://charter.example").code == 2
    assert ask("--base", tmp_path).code == 2
    (tmp_path / "log").mkdir()
    (tmp_path / "log/checkpoint").write_bytes(b"x" * 70_000)
    assert ask("--base", tmp_path).codes == {"too-large"}


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["--vkey", VKEY],
        ["--vkey", "nonsense", "--base", "."],
        ["--vkey", VKEY, "--old", "x"],
        ["--vkey", VKEY, "--base", ".", "--quorum", "1"],
        ["--vkey", VKEY, "--base", ".", "--witness", VKEY],
        ["--vkey", VKEY, "--vkey", "other", "--base", "."],
        ["--vkey", VKEY, "--vkey", make_signer("other.example/log", bytes(32)).vkey, "--base", "."],
        ["--vkey", VKEY, "--base", ".", "--quorum", "x"],
    ],
)
def test_wrong_usage_has_a_code_of_its_own(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        verify.main(arguments)
    assert ended.value.code == verify.USAGE
    assert capsys.readouterr().err.count("\n") == 1


# ── receipts and records ─────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def papers(tmp_path: Path) -> tuple[History, Path, Path]:
    """A history, and the receipt and record of its third person."""
    history = lived()
    entry = list(history.lines)[2]
    index = next(place for place, data in enumerate(history.leaves) if b'"publish"' in data and entry.encode() in data)
    receipt, record = tmp_path / "receipt.tlog-proof", tmp_path / "record.json"
    receipt.write_text(history.receipt(index))
    record.write_bytes(history.lines[entry])
    return history, receipt, record


def test_a_receipt_and_its_record_are_proved_without_the_log(papers: tuple[History, Path, Path], ask: Ask) -> None:
    _, receipt, record = papers
    found = ask("--receipt", receipt)
    assert found.code == 0
    assert "publish of entry" in " ".join(found.told["proved"])
    found = ask("--receipt", receipt, "--record", record)
    assert found.code == 0
    assert "byte for byte" in " ".join(found.told["proved"])
    record.write_bytes(record.read_bytes() + b"\n")
    assert ask("--receipt", receipt, "--record", record).code == 0


def test_a_record_needs_a_receipt_or_the_log(papers: tuple[History, Path, Path], ask: Ask, tmp_path: Path) -> None:
    history, _, record = papers
    assert ask("--record", record).code == 2
    history.write(tmp_path)
    found = ask("--record", record, "--base", tmp_path)
    assert found.code == 0
    assert any("stands in the registry today" in one for one in found.told["remarks"])


def test_what_became_of_a_record_is_said(papers: tuple[History, Path, Path], ask: Ask, tmp_path: Path) -> None:
    history, receipt, record = papers
    entry = str(canonical.decode(record.read_bytes())["entry"])
    history.correct(entry, 2, name="Г")
    history.write(tmp_path)

    def remark(*arguments: object) -> str:
        found = ask("--record", record, "--base", tmp_path, *arguments)
        assert found.code == 0
        return " ".join(found.told["remarks"])

    assert "has revision 2 of this entry" in remark("--receipt", receipt)
    history.end("withdraw", entry)
    history.write(tmp_path)
    assert "it was withdrawn" in remark()
    application = record_line(entry_of(5000), None, 0)
    record.write_bytes(application)
    assert "waits for an answer" in remark()


def test_a_changed_record_is_not_what_the_receipt_is_about(
    papers: tuple[History, Path, Path], ask: Ask, tmp_path: Path
) -> None:
    history, receipt, record = papers
    line = record.read_bytes()
    record.write_bytes(line.replace("Амина".encode(), "Самал".encode()))
    assert ask("--receipt", receipt, "--record", record).codes == {"record"}
    history.write(tmp_path)
    assert ask("--record", record, "--base", tmp_path).codes == {"record"}
    assert ask("--record", record, "--receipt", receipt, "--base", tmp_path).codes == {"record"}
    for wrong in (b"", b"{}", b"[" * 10_000, b"\xff", line + b" ", line * 40):
        record.write_bytes(wrong)
        assert ask("--record", record, "--base", tmp_path).code == 1
    record.write_bytes(record_line(entry_of(8000), 5))  # of somebody else
    assert ask("--receipt", receipt, "--record", record).codes == {"record"}


def test_a_receipt_of_another_history_is_a_fork(papers: tuple[History, Path, Path], ask: Ask, tmp_path: Path) -> None:
    history, receipt, _ = papers
    rewritten = lived()
    rewritten.leaves[1] = canonical.encode(canonical.decode(rewritten.leaves[1]) | {"commit": "ab" * 32})
    rewritten.write(tmp_path)
    assert ask("--receipt", receipt, "--base", tmp_path).codes == {"fork"}
    history.sign_up(40)
    history.write(tmp_path)
    assert ask("--receipt", receipt, "--base", tmp_path).code == 0


def test_a_receipt_that_proves_nothing_is_told(papers: tuple[History, Path, Path], ask: Ask) -> None:
    history, receipt, _ = papers
    text = receipt.read_text()
    index = len(history.leaves)
    history.leaves.append(b"no leaf of ours")
    for wrong in (
        text.replace("\nindex ", "\nindex 1", 1),
        text[:-5],
        "",
        history.receipt(5, signer=STRANGER),
        history.receipt(index),
    ):
        receipt.write_text(wrong)
        assert ask("--receipt", receipt).codes == {"receipt"}
    receipt.write_bytes(b"\xff" * 100)
    assert ask("--receipt", receipt).codes == {"receipt"}
    receipt.write_bytes(b"x" * 300_000)
    assert ask("--receipt", receipt).codes == {"too-large"}
    receipt.unlink()
    assert ask("--receipt", receipt).code == 2


# ── witnesses and the state of a monitor ─────────────────────────────────────────────────────────────────────────────


def test_as_many_witnesses_as_are_asked_for_must_have_seen_it(tmp_path: Path, ask: Ask) -> None:
    history = lived()
    history.write(tmp_path)
    place = tmp_path / "log/checkpoint"
    checkpoint, signatures = note.read(place.read_text())
    witnesses = [make_signer("w.example", bytes([number]) * 32) for number in (1, 2)]
    keys = [
        note.Key(f"w.example/{number}", note.COSIGNATURE, one.keys[0][0].public) for number, one in enumerate(witnesses)
    ]
    cosigned = note.cosign(checkpoint, keys[0], witnesses[0].keys[0][1], time=1_800_000_000)
    place.write_text(note.write(checkpoint, [*signatures, cosigned]))
    both = ["--witness", keys[0].text, "--witness", keys[1].text]
    assert ask("--base", tmp_path, *both).codes == {"quorum"}
    # Whoever is named twice is one witness.
    assert ask("--base", tmp_path, *both, *both[:2], "--quorum", 2).codes == {"quorum"}
    found = ask("--base", tmp_path, *both, "--quorum", 1)
    assert found.code == 0
    assert "Witness w.example/0 saw 628 leaves at 2027-01-15 08:00:00 UTC." in found.told["proved"]
    assert ask("--base", tmp_path, *both[2:], "--quorum", 0).code == 0
    receipt = tmp_path / "receipt"
    text = history.receipt(5)
    receipt.write_text(text + cosigned.line)
    assert ask("--receipt", receipt, *both[:2]).code == 0
    receipt.write_text(text)
    assert ask("--receipt", receipt, *both[:2]).codes == {"quorum"}
    far = note.cosign(checkpoint, keys[0], witnesses[0].keys[0][1], time=2**63 + 5)
    receipt.write_text(text + far.line)
    assert ask("--receipt", receipt, *both[:2]).code == 0


def test_a_monitor_remembers_what_it_has_seen(tmp_path: Path, ask: Ask) -> None:
    history = lived()
    state = tmp_path / "state"
    text = history.write(tmp_path)
    assert ask("--base", tmp_path, "--state", state).code == 0
    assert state.read_text() == text
    history.confirm(entry_of(6000))
    text = history.write(tmp_path)
    found = ask("--base", tmp_path, "--state", state)
    assert found.code == 0
    assert "The root of the last run (628 leaves) is part of this log." in found.told["proved"]
    assert state.read_text() == text
    for wrong, code in ((lived(), "rollback"), (History(), "rollback")):
        wrong.write(tmp_path)
        assert ask("--base", tmp_path, "--state", state).codes == {code}
        assert state.read_text() == text, "what was proved last is not forgotten"
    history.leaves[7] = history.leaves[7].replace(b"2026-11-27", b"2026-11-28")
    history.confirm(entry_of(6001))
    history.write(tmp_path)
    assert "fork" in ask("--base", tmp_path, "--state", state).codes
    assert state.read_text() == text
    assert [one.name for one in tmp_path.iterdir() if one.name.startswith(".")] == []


def test_a_state_that_cannot_be_kept_is_said(tmp_path: Path, ask: Ask) -> None:
    lived().write(tmp_path)
    found = ask("--base", tmp_path, "--state", tmp_path / "no" / "state")
    assert found.code == 2
    assert "could not be kept" in found.told["unchecked"][0]
    (tmp_path / "state").write_text("torn")
    assert ask("--base", tmp_path, "--state", tmp_path / "state").codes == {"old"}


# ── hostile files ────────────────────────────────────────────────────────────────────────────────────────────────────


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_no_file_makes_it_stumble(tmp_path: Path, data: st.DataObject, capsys: pytest.CaptureFixture[str]) -> None:
    """Cut, changed, replaced, made huge: always a sentence and a code, never a traceback, never «proved»."""
    history = History()
    history.sign_up(140)
    history.write(tmp_path)
    (tmp_path / "receipt").write_text(history.receipt(200))
    (tmp_path / "record").write_bytes(next(iter(history.lines.values())))
    files = sorted(one for one in tmp_path.rglob("*") if one.is_file())
    place = data.draw(st.sampled_from(files))
    right = place.read_bytes()
    start = data.draw(st.integers(0, len(right)))
    noise = data.draw(
        st.binary(min_size=1, max_size=40)
        | st.sampled_from([b"[" * 20_000, b"\x00" * 9000, b'{"a":' * 5000, b"9" * 5000, b"\n" * 500])
    )
    wrong = right[:start] + noise + right[start + (len(noise) if data.draw(st.booleans()) else 0) :]
    place.write_bytes(wrong)
    try:
        arguments = ["--vkey", VKEY, "--base", str(tmp_path), "--receipt", str(tmp_path / "receipt")]
        code = verify.main([*arguments, "--record", str(tmp_path / "record")])
    finally:
        place.write_bytes(right)
    said = capsys.readouterr()
    assert said.err == ""
    assert "Traceback" not in said.out
    # One newline behind a record is forgiven; nothing else that differs is.
    is_forgiven = wrong == right or (place.name == "record" and wrong == right + b"\n")
    assert code == (0 if is_forgiven else 1)


def test_the_numbers_of_leaves_here_are_those_that_the_tests_speak_of() -> None:
    history = lived()
    assert len(history.leaves) == 628
    assert tree.root(628, fetch_over(history.leaves)) == note.read(history.checkpoint())[0].root
    assert SIGNER.origin == ORIGIN
