"""Links and codes: published vectors for the primitive, separation by purpose, and comparing what people type."""

import base64
import hashlib
import hmac
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from charter.domain.token import TOKEN_CHARS, code, codes_equal, token, token_digest

KEY = b"\x0b" * 20


@pytest.mark.parametrize(
    ("key", "data", "mac"),
    [  # RFC 4231 §4.2, 4.3, 4.4, 4.5
        (b"\x0b" * 20, b"Hi There", "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"),
        (
            b"Jefe",
            b"what do ya want for nothing?",
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
        ),
        (b"\xaa" * 20, b"\xdd" * 50, "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe"),
        (
            bytes(range(1, 26)),
            b"\xcd" * 50,
            "82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b",
        ),
    ],
)
def test_the_primitive_is_hmac_sha256(key: bytes, data: bytes, mac: str) -> None:
    assert hmac.digest(key, data, "sha256").hex() == mac


def test_a_token_is_the_mac_of_label_purpose_and_id() -> None:
    mac = hmac.new(KEY, b"charter link\0confirm\0\x00\x01", hashlib.sha256).digest()
    assert base64.urlsafe_b64decode(token(KEY, "confirm", b"\x00\x01") + "=") == mac
    assert token(KEY, "confirm", b"\x00\x01") == "iIKoZJjTOBpllqcV6oPD187r50EBL8Z45G8j0quBIZM"


def test_a_code_comes_from_its_own_label() -> None:
    mac = hmac.new(KEY, b"charter code\0confirm\0\x00\x01", hashlib.sha256).digest()
    assert code(KEY, "confirm", b"\x00\x01") == f"{int.from_bytes(mac[:8], 'big') % 1_000_000:06d}"
    assert code(KEY, "confirm", b"\x00\x01") == "869106"


@given(st.binary(min_size=16, max_size=64), st.sampled_from(["confirm", "my", "act"]), st.binary(min_size=1))
def test_a_token_has_43_safe_characters_and_is_the_same_every_time(key: bytes, purpose: str, link_id: bytes) -> None:
    made = token(key, purpose, link_id)
    assert re.fullmatch(rf"[A-Za-z0-9_-]{{{TOKEN_CHARS}}}", made)
    assert made == token(key, purpose, link_id)
    assert re.fullmatch(r"[0-9]{6}", code(key, purpose, link_id))
    assert codes_equal(code(key, purpose, link_id), code(key, purpose, link_id))


def test_another_key_purpose_or_id_gives_another_token() -> None:
    made = {
        token(KEY, "confirm", b"1"),
        token(KEY, "my", b"1"),
        token(KEY, "confirm", b"2"),
        token(b"\x0c" * 20, "confirm", b"1"),
        token(KEY, "confir", b"m\x001"),
        token(KEY, "confirm", b"1\x00"),
    }
    assert len(made) == 6


def test_codes_keep_their_leading_zeros_and_spread_evenly() -> None:
    codes = [code(KEY, "confirm", number.to_bytes(4, "big")) for number in range(20_000)]
    firsts = [sum(made[0] == digit for made in codes) for digit in "0123456789"]
    assert all(1_800 < count < 2_200 for count in firsts)
    assert {len(made) for made in codes} == {6}


@pytest.mark.parametrize(
    ("key", "purpose", "link_id"),
    [
        (b"", "my", b"1"),
        (b"x" * 15, "my", b"1"),
        (KEY, "", b"1"),
        (KEY, "m\0y", b"1"),
        (KEY, "мой", b"1"),
        (KEY, "my", b""),
    ],
)
def test_a_link_needs_a_key_a_purpose_and_an_id(key: bytes, purpose: str, link_id: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - three sentences and one of Python's own
        token(key, purpose, link_id)


@given(st.text(st.characters(codec=None)))
def test_whatever_stands_in_an_address_has_a_digest(presented: str) -> None:
    assert len(token_digest(presented)) == 32


def test_the_digest_is_sha256_of_the_token() -> None:
    assert token_digest("abc").hex() == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"  # FIPS 180-4
    assert token_digest("é") != token_digest("e\u0301")


@pytest.mark.parametrize("typed", ["012345", " 012345\n", "012 345", "0 1 2 3 4 5", "012\u00a0345", "012\u2009345"])
def test_spaces_in_a_typed_code_do_not_count(typed: str) -> None:
    assert codes_equal(typed, "012345")


@pytest.mark.parametrize(
    "typed",
    [
        "",
        "12345",
        "0123456",
        "012346",
        "012-345",
        "٠١٢٣٤٥",
        "０１２３４５",
        "01234²",
        "012345\x00",
        "\ud800",
        "é" * 6,
        "0x1e24",
        "+12345",
    ],
)
def test_anything_else_is_another_code(typed: str) -> None:
    assert not codes_equal(typed, "012345")


def test_an_empty_code_is_not_matched_by_a_code() -> None:
    assert not codes_equal("012345", "")


@given(st.text(st.characters(codec=None)))
def test_comparing_never_raises(typed: str) -> None:
    assert codes_equal(typed, "012345") is ("".join(typed.split()) == "012345")
