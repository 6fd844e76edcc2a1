"""Proof of work: what the library makes our script solves, what it solved counts once, and nothing else counts."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import altcha
import pytest

from charter.web import proof_of_work

KEY = b"a key for tests only, 32 characters"
NOW = datetime(2026, 11, 20, 9, tzinfo=UTC)


def solved(challenge: str, **changes: Any) -> str:
    """What a browser sends for a challenge. changes: to the answer, by hand."""
    given = json.loads(challenge)
    found = altcha.solve_challenge(altcha.Challenge.from_dict(given))
    assert found is not None
    answer = {"challenge": given, "solution": {"counter": found.counter, "derivedKey": found.derived_key}}
    return pack(answer | changes)


def pack(answer: Any) -> str:
    return base64.b64encode(json.dumps(answer).encode()).decode()


@pytest.fixture(scope="module")
def challenge() -> str:
    return proof_of_work.make_challenge(KEY, tries=10, now=NOW)


@pytest.fixture(scope="module")
def answer(challenge: str) -> str:
    return solved(challenge)


def test_a_solution_counts_until_the_challenge_ends(answer: str) -> None:
    work = proof_of_work.check(KEY, answer, now=NOW + timedelta(hours=1, minutes=59))
    assert work is not None
    assert (work.state, work.expires_at) == ("solved", NOW + proof_of_work.LIFETIME)
    assert len(work.digest) == 32
    assert proof_of_work.check(KEY, answer, now=NOW + proof_of_work.LIFETIME) is None, "asked for again, not held"
    # A clock that went back since makes nobody a robot.
    before = proof_of_work.check(KEY, answer, now=NOW - timedelta(days=400))
    assert before is not None and before.state == "solved"


def test_a_solution_has_one_digest_however_it_is_written(answer: str) -> None:
    given = json.loads(base64.b64decode(answer))
    given["solution"]["time"] = 17
    given["solution"]["counter"] = -1
    given["more"] = ["whatever"]
    given["solution"]["derivedKey"] = given["solution"]["derivedKey"].upper()
    one, other = (proof_of_work.check(KEY, text, now=NOW) for text in (answer, pack(given)))
    assert one is not None and other is not None
    assert one.digest == other.digest


def test_a_challenge_takes_as_many_tries_as_asked_for_and_says_no_more_than_it_must(challenge: str) -> None:
    for _ in range(5):
        given = json.loads(proof_of_work.make_challenge(KEY, tries=10, now=NOW))
        found = altcha.solve_challenge(altcha.Challenge.from_dict(given))
        assert found is not None and 5 <= found.counter <= 15
    given = json.loads(challenge)
    assert set(given) == {"parameters", "signature"}
    assert set(given["parameters"]) == {
        *("algorithm", "cost", "data", "keyLength", "keyPrefix", "keySignature", "nonce", "salt"),
    }


def tampered(answer: str, name: str, value: Any) -> str:
    given = json.loads(base64.b64decode(answer))
    if value is None:
        given["challenge"]["parameters"].pop(name, None)
    else:
        given["challenge"]["parameters"][name] = value
    return pack(given)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("cost", 1),
        ("data", {"until": 9_999_999_999}),
        ("data", None),
        ("nonce", "00" * 16),
        ("salt", "zz"),
        ("keyPrefix", ""),
        ("keySignature", None),
        ("keySignature", "00" * 32),
        ("algorithm", "ARGON2ID"),
        ("memoryCost", 4_000_000),
        ("expiresAt", 1),
    ],
)
def test_a_changed_challenge_is_wrong_whatever_was_changed(answer: str, name: str, value: Any) -> None:
    work = proof_of_work.check(KEY, tampered(answer, name, value), now=NOW)
    # An end of the library's own is not looked at: it never was part of what we signed.
    assert work is not None
    assert work.state == ("solved" if name == "expiresAt" else "wrong")


def test_another_installations_solution_is_wrong(answer: str) -> None:
    work = proof_of_work.check(b"another key for tests, 32 letters", answer, now=NOW)
    assert work is not None and work.state == "wrong"


@pytest.mark.parametrize(
    "text",
    [
        *("x", "\0", "🙂", "e30=", "W10=", "bnVsbA==", "MQ==", "=" * 10_000, "A" * 100_000),
        *(pack(each) for each in ([], {}, None, 1, "a", {"challenge": [], "solution": []})),
        pack({"challenge": {"parameters": {}}, "solution": {"counter": 1, "derivedKey": "00"}}),
        pack({"challenge": {"parameters": None, "signature": None}, "solution": None}),
        base64.b64encode(b"[" * 2000).decode(),
        base64.b64encode(b'{"challenge": 1e999, "solution": NaN}').decode(),
        base64.b64encode(b"\xff\xfe").decode(),
    ],
)
def test_what_is_no_answer_is_wrong_and_breaks_nothing(text: str) -> None:
    work = proof_of_work.check(KEY, text, now=NOW)
    assert work is not None and work.state == "wrong"


@pytest.mark.parametrize("mutation", ["counter", "derivedKey"])
@pytest.mark.parametrize("value", [None, "", 0, -1, 2**70, 1.5, [], {}, "00" * 32, "zz", True])
def test_a_wrong_solution_of_a_true_challenge_is_wrong(challenge: str, mutation: str, value: Any) -> None:
    solution = {"counter": 1, "derivedKey": "00", mutation: value}
    work = proof_of_work.check(KEY, pack({"challenge": json.loads(challenge), "solution": solution}), now=NOW)
    assert work is not None and work.state == "wrong"


@pytest.mark.parametrize("text", ["", "  ", "\n"])
def test_an_empty_answer_is_missing_not_wrong(text: str) -> None:
    work = proof_of_work.check(KEY, text, now=NOW)
    assert work is not None and work.state == "missing"
