"""Passkeys: where they belong, what is asked, and that only the right answer to this question passes."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import cbor2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from charter.domain.authenticators import question_for_known, question_for_new, verify_known, verify_new
from charter.domain.passkey import (
    ANSWER_MAX_CHARS,
    PasskeyError,
    Site,
    is_counting_on,
    new_challenge,
    new_user_handle,
    read_answer,
    site_of,
)
from tests.authenticator import Authenticator, decoded, encoded

SITE = Site("localhost", "http://localhost:8000")


def asked_new(challenge: bytes, present: tuple[bytes, ...] = ()) -> dict[str, Any]:
    return question_for_new(
        SITE, challenge=challenge, user_handle=b"h" * 32, email="bruno@example.org", name="Бруно", present=present
    )


@pytest.mark.parametrize(
    ("public_url", "site"),
    [
        ("https://charter.example.org", Site("charter.example.org", "https://charter.example.org")),
        ("https://charter.example.org:8443", Site("charter.example.org", "https://charter.example.org:8443")),
        ("https://xn--80ak6aa92e.example", Site("xn--80ak6aa92e.example", "https://xn--80ak6aa92e.example")),
        ("http://localhost:8000", Site("localhost", "http://localhost:8000")),
        ("http://desk.localhost", Site("desk.localhost", "http://desk.localhost")),
        ("http://charter.example.org", None),
        ("http://127.0.0.1:8000", None),
        ("https://192.0.2.7", None),
        ("https://[2001:db8::7]:8443", None),
        ("https://2130706433", None),
        ("https://127.0x1", None),
        ("http://localhost.example.org", None),
        ("https://", None),
    ],
)
def test_a_site_has_a_name_and_is_safe(public_url: str, site: Site | None) -> None:
    assert site_of(public_url) == site


def test_every_question_and_every_account_is_another() -> None:
    assert len({new_challenge() for _ in range(50)}) == 50
    assert {len(new_challenge()), len(new_user_handle())} == {32}


def test_a_new_key_is_asked_to_stay_on_a_device_that_verifies_its_owner() -> None:
    question = asked_new(b"c" * 32, (b"first", b"second"))
    assert question["authenticatorSelection"] == {
        "residentKey": "required",
        "requireResidentKey": True,
        "userVerification": "required",
    }
    assert question["attestation"] == "none"
    assert [decoded(one["id"]) for one in question["excludeCredentials"]] == [b"first", b"second"]
    assert [one["alg"] for one in question["pubKeyCredParams"]] == [-7, -8, -257]
    assert json.loads(json.dumps(question)) == question


def test_a_known_key_is_asked_for_its_owner_too() -> None:
    question = question_for_known(SITE, challenge=b"c" * 32)
    assert (question["userVerification"], question["allowCredentials"], question["rpId"]) == (
        "required",
        [],
        "localhost",
    )


# ── the right answer ─────────────────────────────────────────────────────────────────────────────────────────────────


def made(device: Authenticator) -> bytes:
    """The public key that is kept of a new passkey."""
    challenge = new_challenge()
    passkey = verify_new(read_answer(device.make(asked_new(challenge))), SITE, challenge=challenge)
    assert passkey.credential_id == device.credential_id
    assert passkey.sign_count == device.sign_count
    return passkey.public_key


def test_the_right_answers_pass() -> None:
    device = Authenticator()
    public_key = made(device)
    for count in (2, 3):
        challenge = new_challenge()
        answer = read_answer(device.answer(question_for_known(SITE, challenge=challenge)))
        assert (answer.credential_id, answer.user_handle) == (device.credential_id, b"h" * 32)
        assert verify_known(answer, SITE, challenge=challenge, public_key=public_key) == count


@pytest.mark.parametrize(
    ("last", "now", "goes_on"), [(0, 0, True), (0, 1, True), (7, 8, True), (7, 7, False), (7, 6, False), (7, 0, False)]
)
def test_a_counter_goes_on_or_was_never_there(last: int, now: int, goes_on: bool) -> None:
    assert is_counting_on(last=last, now=now) is goes_on


# ── wrong answers ────────────────────────────────────────────────────────────────────────────────────────────────────

WRONG: dict[str, dict[str, Any]] = {
    "another origin": {"origin": "https://evil.example"},
    "an origin with another port": {"origin": "http://localhost:8001"},
    "an origin with more behind it": {"origin": "http://localhost:8000.evil.example"},
    "an origin in capitals": {"origin": "HTTP://LOCALHOST:8000"},
    "https where there is none": {"origin": "https://localhost:8000"},
    "another site": {"rp_id": "evil.example"},
    "a page in a frame": {"client_data": {"crossOrigin": True}},
    "a page in something like a frame": {"client_data": {"crossOrigin": "no"}},
    "no owner verified": {"flags": 0x01},
    "nobody there": {"flags": 0x04},
    "the other sort of answer": {"type_of": {"create": "webauthn.get", "get": "webauthn.create"}},
    "another question": {"client_data": {"challenge": encoded(b"c" * 32)}},
    "no question": {"client_data": {"challenge": ""}},
}


@pytest.mark.parametrize("change", WRONG.values(), ids=WRONG)
def test_a_wrong_answer_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(PasskeyError):
        made(Authenticator(**change))
    device = Authenticator()
    public_key = made(device)
    for name, value in change.items():
        setattr(device, name, value)
    challenge = new_challenge()
    text = device.answer(question_for_known(SITE, challenge=challenge))
    with pytest.raises(PasskeyError):
        verify_known(read_answer(text), SITE, challenge=challenge, public_key=public_key)


def test_an_answer_to_an_earlier_question_or_of_another_key_is_refused() -> None:
    device, other = Authenticator(), Authenticator()
    public_key, other_key = made(device), made(other)
    challenge = new_challenge()
    answer = read_answer(device.answer(question_for_known(SITE, challenge=challenge)))
    assert verify_known(answer, SITE, challenge=challenge, public_key=public_key)
    with pytest.raises(PasskeyError):
        verify_known(answer, SITE, challenge=new_challenge(), public_key=public_key)
    with pytest.raises(PasskeyError):
        verify_known(answer, SITE, challenge=challenge, public_key=other_key)
    with pytest.raises(PasskeyError):
        verify_known(answer, Site("evil.example", SITE.origin), challenge=challenge, public_key=public_key)


def a_changed(part: str, at: int) -> Callable[[dict[str, Any]], None]:
    def change(whole: dict[str, Any]) -> None:
        data = bytearray(decoded(whole["response"][part]))
        data[at] ^= 1
        whole["response"][part] = encoded(bytes(data))

    return change


@pytest.mark.parametrize("part", ["signature", "authenticatorData", "clientDataJSON"])
@pytest.mark.parametrize("at", [5, 33, -1])
def test_one_changed_bit_is_refused(part: str, at: int) -> None:
    device = Authenticator()
    public_key = made(device)
    challenge = new_challenge()
    whole = json.loads(device.answer(question_for_known(SITE, challenge=challenge)))
    a_changed(part, at)(whole)
    with pytest.raises(PasskeyError):
        verify_known(read_answer(json.dumps(whole)), SITE, challenge=challenge, public_key=public_key)


@pytest.mark.parametrize(
    "key",
    [
        b"",
        b"\xa0",
        b"\x04" + b"\x01" * 64,
        cbor2.dumps({1: 2, 3: -7, -1: 1, -2: b"\x01" * 32, -3: b"\x01" * 32}),  # no point of the curve
        cbor2.dumps({1: 2, 3: -7, -1: 99, -2: b"\x01" * 32, -3: b"\x01" * 32}),
        cbor2.dumps({1: 2, 3: -47, -1: 8, -2: b"\x01" * 32, -3: b"\x01" * 32}),  # an algorithm we did not ask for
        cbor2.dumps({1: 3, 3: -257, -1: b"", -2: b""}),
        cbor2.dumps({1: 1, 3: -8, -1: 6, -2: b"short"}),
        cbor2.dumps([1, 2]),
        b"\xff" * 40,
    ],
)
def test_what_is_no_key_is_not_kept(key: bytes) -> None:
    device = Authenticator()
    device.public_key = lambda: key  # type: ignore[method-assign]
    with pytest.raises(PasskeyError):
        made(device)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "null",
        "[]",
        "{}",
        '"text"',
        "{",
        "[" * 9000,
        '{"rawId": 1, "response": {}}',
        '{"rawId": "AAAA", "response": []}',
        '{"rawId": "AAAA", "response": {"clientDataJSON": "AAAA"}}',
        '{"rawId": "AAAA", "response": {"clientDataJSON": "W10"}}',
        '{"rawId": "ә", "response": {}}',
        '{"rawId": "", "response": {"clientDataJSON": "e30"}}',
        '{"rawId": "' + "A" * 2000 + '", "response": {"clientDataJSON": "e30"}}',
        '{"rawId": "AAAA", "response": {"clientDataJSON": "e30", "userHandle": {"a": 1}}}',
        "\x00\ud800",
        " " * (ANSWER_MAX_CHARS + 1),
    ],
)
def test_what_has_not_the_shape_of_an_answer_is_refused(text: str) -> None:
    with pytest.raises(PasskeyError):
        read_answer(text)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary().map(encoded),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
PLACES = ("id", "rawId", "type", "clientDataJSON", "authenticatorData", "attestationObject", "signature", "userHandle")


@settings(max_examples=150, deadline=None)
@given(place=st.sampled_from(PLACES), value=JSON)
def test_whatever_stands_in_one_place_is_refused_calmly(place: str, value: Any) -> None:
    challenge = b"c" * 32
    device = Authenticator()
    texts = (device.make(asked_new(challenge)), device.answer(question_for_known(SITE, challenge=challenge)))
    for text in texts:
        whole = json.loads(text)
        (whole if place in whole else whole["response"])[place] = value
        with suppress(PasskeyError):
            verify_new(read_answer(json.dumps(whole)), SITE, challenge=challenge)
        with suppress(PasskeyError):
            verify_known(read_answer(json.dumps(whole)), SITE, challenge=challenge, public_key=device.public_key())


@settings(max_examples=150, deadline=None)
@given(
    data=st.binary(max_size=200), where=st.sampled_from(["attestationObject", "authenticatorData", "clientDataJSON"])
)
def test_whatever_bytes_come_are_refused_calmly(data: bytes, where: str) -> None:
    challenge = b"c" * 32
    device = Authenticator()
    for text in (device.make(asked_new(challenge)), device.answer(question_for_known(SITE, challenge=challenge))):
        whole = json.loads(text)
        if where in whole["response"]:
            whole["response"][where] = encoded(data)
            with pytest.raises(PasskeyError):
                verified(json.dumps(whole), challenge, device)


def verified(text: str, challenge: bytes, device: Authenticator) -> None:
    answer = read_answer(text)
    if "signature" in text:
        verify_known(answer, SITE, challenge=challenge, public_key=device.public_key())
    else:
        verify_new(answer, SITE, challenge=challenge)
