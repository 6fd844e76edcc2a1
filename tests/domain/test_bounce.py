"""The envelope sender of a mail: genuine marks are known again, and nobody else can make one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from charter.domain.bounce import LOCAL_MAX_CHARS, Mark, envelope_sender, is_genuine, marks_in
from charter.domain.email import clean_email

KEY = b"k" * 32
UID = "0123456789abcdef" * 2


def marked(mailbox: str = "amina@example.org", uid: str = UID, key: bytes = KEY) -> str:
    return envelope_sender("bounce@charter.example", uid=uid, mailbox=mailbox, key=key)


def test_a_mark_is_known_again_whatever_the_case_it_comes_back_in() -> None:
    address = marked()
    assert clean_email(address).address == address
    assert len(address.partition("@")[0]) <= LOCAL_MAX_CHARS
    for text in (address, address.upper(), f"Undelivered <{address}>, x"):
        (mark,) = marks_in(text)
        assert mark.uid == UID
        assert is_genuine(mark, mailbox="amina@example.org", key=KEY)


def test_a_mark_says_nothing_of_another_mailbox_message_or_key() -> None:
    (mark,) = marks_in(marked())
    assert not is_genuine(mark, mailbox="erlan@example.org", key=KEY)
    assert not is_genuine(mark, mailbox="amina@example.org", key=b"x" * 32)
    assert not is_genuine(Mark("f" * 32, mark.proof), mailbox="amina@example.org", key=KEY)
    assert marked() != marked(uid="f" * 32)


@pytest.mark.parametrize("uid", ["", "x", "0" * 31, "0" * 33, "0" * 64])
def test_what_is_no_message_of_ours_gets_the_plain_address(uid: str) -> None:
    assert marked(uid=uid) == "bounce@charter.example"


def test_an_address_too_long_for_a_mark_stays_as_it_is() -> None:
    address = "b" * 40 + "@charter.example"
    assert envelope_sender(address, uid=UID, mailbox="a@b.kz", key=KEY) == address


@given(st.text(max_size=200))
def test_any_text_may_be_searched_for_marks(text: str) -> None:
    for mark in marks_in(f"{text}+{'0' * 42}@{text}"):
        assert not is_genuine(mark, mailbox="amina@example.org", key=KEY)
