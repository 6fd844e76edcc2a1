"""Witnesses in the settings: what can be typed wrongly is said in a sentence, before anything starts."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from charter.settings import SettingsError, load, read_witnesses
from charter.tlog import note
from tests.witness.witness import Witness

ONE, OTHER = Witness("one.example/w"), Witness("other.example/w")
A = f"{ONE.key.text} https://one.example/"
B = f"{OTHER.key.text}   https://other.example:8443/log-witness"


def problems_of(folder: Path, witnesses: str, **more: str) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        load(folder, {"CHARTER_WITNESSES": witnesses, **{f"CHARTER_{name.upper()}": more[name] for name in more}})
    return caught.value.problems


def test_they_are_read_from_the_environment_and_from_the_file(tmp_path: Path) -> None:
    given = load(tmp_path, {"CHARTER_WITNESSES": f"{A}, {B},", "CHARTER_WITNESS_QUORUM": "2"})
    found = read_witnesses(given.witnesses)
    assert [(one.name, one.url) for one in found] == [
        ("one.example/w", "https://one.example"),
        ("other.example/w", "https://other.example:8443/log-witness"),
    ]
    assert [one.key for one in found] == [ONE.key, OTHER.key]
    (tmp_path / "charter.toml").write_text(f'witnesses = ["{A}", "{B}"]\nwitness_quorum = 1\n')
    assert read_witnesses(load(tmp_path, {}).witnesses) == found
    assert load(tmp_path / "none", {}).witnesses == ()


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (ONE.key.text, "a key and an address with a space between"),
        (f"{ONE.key.text} https://one.example twice", "a key and an address"),
        ("https://one.example " + ONE.key.text, "not the verifier key of a witness"),
        (f"{ONE.key.text[:-4]}AAA= https://one.example", "not the verifier key of a witness"),
        (f"{note.Key('log', note.ED25519, ONE.key.public).text} https://one.example", "of a log and not of a witness"),
        (f"{ONE.key.text} http://one.example", "must begin with https://"),
        (f"{ONE.key.text} http://127.0.0.1.example", "must begin with https://"),
        (f"{ONE.key.text} ftp://one.example", "not an address such as"),
        (f"{ONE.key.text} one.example", "not an address such as"),
        (f"{ONE.key.text} https://one.example:0", "not an address such as"),
        (f"{ONE.key.text} https://one.example:port", "not an address such as"),
        (f"{ONE.key.text} https://bob:secret@one.example", "a name or password in it"),
        (f"{ONE.key.text} https://one.example/?a=b", "does not end with its path"),
        (f"{Witness('n' * 300).key.text} https://one.example", "name is too long"),
    ],
)
def test_what_is_wrong_is_said(tmp_path: Path, line: str, words: str) -> None:
    (problem,) = problems_of(tmp_path, line)
    assert words in problem
    assert problem.startswith("CHARTER_WITNESSES ")
    assert problem.endswith(".")
    assert "secret" not in problem


def test_plain_http_is_for_this_machine_only(tmp_path: Path) -> None:
    for host in ("127.0.0.1:8080", "localhost:1", "[::1]:1"):
        assert load(tmp_path, {"CHARTER_WITNESSES": f"{ONE.key.text} http://{host}"}).witnesses


def test_a_witness_counts_once_and_a_quorum_must_be_reachable(tmp_path: Path) -> None:
    assert problems_of(tmp_path, f"{A},{A}") == ["CHARTER_WITNESSES names a witness twice."]
    same_key = note.Key("third.example", note.COSIGNATURE, ONE.key.public)
    twice = problems_of(tmp_path, f"{A},{same_key.text} https://third.example")
    assert twice == ["CHARTER_WITNESSES names a witness twice."]
    assert problems_of(tmp_path, A, witness_quorum="2") == [
        "CHARTER_WITNESS_QUORUM must not be more than there are witnesses (1)."
    ]
    assert problems_of(tmp_path, "", witness_quorum="1")


def test_a_key_says_what_it_is_of() -> None:
    assert base64.b64decode(ONE.key.text.rpartition("+")[2])[:1] == note.COSIGNATURE
