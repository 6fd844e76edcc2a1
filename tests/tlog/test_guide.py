"""The auditor's guide: its commands run as they stand, and it names every code that the verifier has."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from charter.tlog import note, verify
from charter.tlog.findings import CODES
from tests.scaled import missing
from tests.tlog.history import STRANGER, VKEY, History, entry_of

ROOT = Path(__file__).resolve().parents[2]
GUIDE = (ROOT / "docs/verify.md").read_text(encoding="utf-8")
SAID = [
    "Signature Verified Successfully",
    "The leaf commits to this record.",
    "The leaf is in its bundle.",
    "Its hash is in the tile.",
    "Signature Verified Successfully",
    "The leaf is in the signed log.",
    "kk.txt is the text.",
    "ru.txt is the text.",
    "en.txt is the text.",
]


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_args: Any) -> None:
        """Silent."""


@pytest.fixture
def base(tmp_path: Path) -> Iterator[str]:
    """Where the files of `tmp_path`/site are served."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(tmp_path / "site")))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def write(site: Path, *, place: int) -> str:
    """A log of some 640 leaves with the papers of one of its entries; returns that entry."""
    history = History()
    entry = history.sign_up(320)[place]
    history.correct(entry, 2, name="О'Нил «\\»")
    history.confirm(entry_of(9000))
    text = history.write(site)
    checkpoint, signatures = note.read(text)
    witness = note.Key("w.example/1", note.COSIGNATURE, STRANGER.keys[0][0].public)
    cosigned = note.cosign(checkpoint, witness, STRANGER.keys[0][1], time=1_800_000_000)
    # Another key of the log stands first, as while keys are exchanged, and a witness last.
    lines = [note.sign(checkpoint, *STRANGER.keys[0]), *signatures, cosigned]
    (site / "log/checkpoint").write_text(note.write(checkpoint, lines), encoding="utf-8")
    index = 641
    for folder, data in (("record", history.lines[entry]), ("receipt", history.receipt(index).encode())):
        (site / "log" / folder).mkdir()
        (site / "log" / folder / entry).write_bytes(data)
    return entry


def by_hand(folder: Path, base: str, entry: str) -> list[str]:
    """What the guide's commands say, run one after the other in an empty folder."""
    for tool in ("sh", "curl", "openssl", "sha256sum"):
        if shutil.which(tool) is None:
            missing(tool)
    script = "\n".join(re.findall(r"^```sh\n(.*?)^```", GUIDE, re.DOTALL | re.MULTILINE))
    folder.mkdir()
    done = subprocess.run(
        ["sh", "-c", script],
        cwd=folder,
        env={"PATH": os.environ["PATH"], "LC_ALL": "C", "BASE": base, "VKEY": VKEY, "ENTRY": entry},
        capture_output=True,
        check=False,
        timeout=60,
    )
    return [line for line in done.stdout.decode().splitlines() if not line.startswith("{")]


@pytest.mark.parametrize("place", [0, 300])
def test_its_commands_prove_an_entry_without_a_program_of_ours(tmp_path: Path, base: str, place: int) -> None:
    entry = write(tmp_path / "site", place=place)
    assert by_hand(tmp_path / "hand", base, entry) == SAID


def test_its_commands_do_not_say_so_of_what_was_changed(tmp_path: Path, base: str) -> None:
    site = tmp_path / "site"
    entry = write(site, place=7)

    def change(path: str, before: bytes, after: bytes) -> None:
        place = site / path
        assert before in place.read_bytes()
        place.write_bytes(place.read_bytes().replace(before, after, 1))

    def no_longer_said(name: str) -> list[str]:
        said = by_hand(tmp_path / name, base, entry)
        return [line for line in SAID if said.count(line) < SAID.count(line)]

    leaf = b'"entry":"' + entry.encode() + b'","kind":"correct"'
    change(f"log/record/{entry}", b"KZ-75", b"KZ-71")
    change("log/tile/entries/002.p/131", leaf, leaf[:-2] + b'_"')
    change("charter/specimen-1/ru.txt", b"Charter", b"charter")
    assert no_longer_said("first") == [SAID[1], SAID[2], SAID[7]]
    path_line = (site / "log/receipt" / entry).read_bytes().splitlines()[4]
    change(f"log/receipt/{entry}", path_line, bytes([path_line[0] ^ 1]) + path_line[1:])
    change("log/checkpoint", b"\n643\n", b"\n644\n")
    found = no_longer_said("second")
    assert {"Signature Verified Successfully", "The leaf is in the signed log."} <= set(found)


def test_the_verifier_proves_the_same_site(tmp_path: Path, base: str, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path / "site", place=3)
    assert verify.main(["--vkey", VKEY, "--base", base, "--json"]) == verify.PROVED
    assert json.loads(capsys.readouterr().out)["size"] == 643


def test_it_names_every_code_of_the_verifier_and_no_other() -> None:
    table = GUIDE[GUIDE.index("| code | what is wrong |") :].partition("\n\n")[0]
    named = re.findall(r"`([a-z-]+)`", "\n".join(line.split("|")[1] for line in table.splitlines()))
    assert sorted(named) == sorted(CODES)


def test_it_names_every_option() -> None:
    text = verify._parser().format_help()
    for option in set(re.findall(r"--[a-z][a-z-]*", text)) - {"--help"}:
        assert f"`{option}" in GUIDE, option
