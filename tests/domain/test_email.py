"""E-mail addresses: their kept and compared forms, and what is refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from charter.domain.email import (
    EMAIL_MAX_CHARS,
    EmailError,
    EmailFault,
    clean_email,
    display_address,
    mailbox_of,
)


@pytest.mark.parametrize(
    ("raw", "address", "mailbox"),
    [
        ("amina@example.kz", "amina@example.kz", "amina@example.kz"),
        (" Amina.Serik@Example.KZ\r\n", "Amina.Serik@example.kz", "amina.serik@example.kz"),
        ("a+charter@example.com", "a+charter@example.com", "a+charter@example.com"),
        ("o'brien@example.com", "o'brien@example.com", "o'brien@example.com"),
        ("a@Пример.КЗ", "a@xn--e1afmkfd.xn--g1af", "a@xn--e1afmkfd.xn--g1af"),
        ("a@қаз.kz", "a@xn--80ao21a.kz", "a@xn--80ao21a.kz"),
        ("a@xn--80ao21a.kz", "a@xn--80ao21a.kz", "a@xn--80ao21a.kz"),
        ("a@bücher.example.com", "a@xn--bcher-kva.example.com", "a@xn--bcher-kva.example.com"),
    ],
)
def test_addresses_are_kept_ready_to_send_and_compared_without_case(raw: str, address: str, mailbox: str) -> None:
    email = clean_email(raw)
    assert (email.address, email.mailbox) == (address, mailbox)
    assert mailbox_of(email.address) == mailbox


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Amina.Ospanova+charter@GMail.com", "aminaospanova@googlemail.com"),
        ("amina-ospanova@ya.ru", "Amina.Ospanova+x@yandex.kz"),
        ("amina+1@mail.ru", "amina@mail.ru"),
        ("amina+1@Outlook.com", "amina@outlook.com"),
        ("a.mi_na-o+x@pm.me", "aminao@protonmail.com"),
        ("amina+x@me.com", "amina@icloud.com"),
    ],
)
def test_addresses_that_reach_one_box_are_one_mailbox(one: str, other: str) -> None:
    assert clean_email(one).mailbox == clean_email(other).mailbox
    # What is written to stays as it was typed.
    assert clean_email(one).address.partition("@")[0] == one.partition("@")[0]
    assert mailbox_of(clean_email(one).mailbox) == clean_email(one).mailbox


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("a.b@mail.ru", "ab@mail.ru"),
        ("amina@mail.ru", "amina@list.ru"),
        ("a.b@outlook.com", "ab@outlook.com"),
        ("amina@outlook.com", "amina@hotmail.com"),
        ("a.b@yandex.ru", "ab@yandex.ru"),
        ("a-b@gmail.com", "ab@gmail.com"),
        ("a.b@icloud.com", "ab@icloud.com"),
        ("a.b@example.kz", "ab@example.kz"),
        ("a+b@example.kz", "a@example.kz"),
        ("a+b@gmail.com.kz", "a@gmail.com.kz"),
    ],
)
def test_addresses_that_two_people_may_have_are_two_mailboxes(one: str, other: str) -> None:
    assert clean_email(one).mailbox != clean_email(other).mailbox


def test_members_of_staff_are_known_by_the_address_and_not_by_the_box() -> None:
    assert clean_email("Bruno.K+desk@Gmail.com").folded == "bruno.k+desk@gmail.com"


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        ("", EmailFault.EMPTY),
        (" \n", EmailFault.EMPTY),
        ("a" * 250 + "@b.kz", EmailFault.TOO_LONG),
        ("a@b.kz\x00", EmailFault.CONTROL),
        ("a@b.kz\r\nBcc: x@y.kz", EmailFault.CONTROL),
        ("a\u200b@b.kz", EmailFault.CONTROL),
        ("a\u202e@b.kz", EmailFault.CONTROL),
        ("a\ud800@b.kz", EmailFault.CONTROL),
        ("=1@b.kz", EmailFault.FORMULA),
        ("+a@b.kz", EmailFault.FORMULA),
        ("-a@b.kz", EmailFault.FORMULA),
        ("@b.kz", EmailFault.FORMULA),
        ("\uff1da@b.kz", EmailFault.FORMULA),
        ("аmina@b.kz", EmailFault.LOCAL_NOT_ASCII),
        ("пошта@қаз.kz", EmailFault.LOCAL_NOT_ASCII),
        ("amina", EmailFault.SYNTAX),
        ("әмина", EmailFault.SYNTAX),
        ("a@b", EmailFault.SYNTAX),
        ("a@localhost", EmailFault.SYNTAX),
        ("a@[127.0.0.1]", EmailFault.SYNTAX),
        ('"a b"@b.kz', EmailFault.SYNTAX),
        ("Anna <a@b.kz>", EmailFault.SYNTAX),
        ("a@b.kz, c@d.kz", EmailFault.SYNTAX),
        ("a@b@c.kz", EmailFault.SYNTAX),
        ("a..b@c.kz", EmailFault.SYNTAX),
        ("a@" + "b" * 64 + ".kz", EmailFault.SYNTAX),
        ("a" * 65 + "@b.kz", EmailFault.SYNTAX),
        ("a@😀.kz", EmailFault.SYNTAX),
        ("a" * 60 + "@" + ".".join(["қ" * 40] * 4) + ".kz", EmailFault.SYNTAX),  # too long only as ASCII
    ],
)
def test_other_addresses_are_refused_with_their_reason(raw: str, code: EmailFault) -> None:
    with pytest.raises(EmailError) as caught:
        clean_email(raw)
    assert caught.value.code is code
    assert raw == "" or raw.strip() == "" or raw not in repr(caught.value)


@given(
    st.one_of(
        st.text(st.characters(codec=None), max_size=60),
        st.emails(),
        st.builds("{}@{}.kz".format, st.text("ab.+=", min_size=1), st.text(min_size=1, max_size=30)),
    )
)
def test_an_address_is_refused_or_ascii_and_then_stays_as_it_is(raw: str) -> None:
    try:
        email = clean_email(raw)
    except EmailError:
        return
    assert clean_email(email.address) == email
    assert email.address.isascii()
    assert email.address.isprintable()
    assert len(email.address) <= EMAIL_MAX_CHARS
    display_address(email.address)


def test_the_owner_sees_the_domain_in_its_own_letters() -> None:
    assert display_address("A.B@xn--80ao21a.kz") == "A.B@қаз.kz"
    assert display_address("a@example.kz") == "a@example.kz"
    assert display_address("no address") == "no address"


def test_an_address_does_not_show_in_a_log_line() -> None:
    assert "amina" not in repr(clean_email("amina@example.kz"))
