"""Passwords of the Centre's people: long, and not what is tried first."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from charter.domain.password import PASSWORD_MAX_CHARS, PASSWORD_MIN_CHARS, PasswordFault, password_faults

NAME = "Бруно Сейітов"
EMAIL = "bruno.seitov@example.org"


@pytest.mark.parametrize(
    "password",
    [
        "төрт сөз бір кілт",
        "correct pony battery clip",
        "tYq8-fo2L-9xWz",
        "mu9Mk2xQ!Lw4",
        "Бруно ел аралап қой бақты",
        "qwerty и ещё три слова",
        "12 ай, 4 мезгіл, 1 жыл",
    ],
)
def test_long_passwords_of_ones_own_are_taken(password: str) -> None:
    assert password_faults(password, name=NAME, email=EMAIL) == []


@pytest.mark.parametrize(
    ("password", "fault"),
    [
        ("", PasswordFault.TOO_SHORT),
        ("tYq8-fo2L-9", PasswordFault.TOO_SHORT),
        ("a word " * 40, PasswordFault.TOO_LONG),
        ("password1234", PasswordFault.COMMON),
        ("PassWord_2024!", PasswordFault.COMMON),
        ("passwordpassword", PasswordFault.COMMON),
        ("пароль-пароль", PasswordFault.COMMON),
        ("Құпиясөз2026", PasswordFault.COMMON),
        ("қазақстан1991", PasswordFault.COMMON),
        ("qwertyuiop123", PasswordFault.COMMON),
        ("йцукенгшщзхъ", PasswordFault.COMMON),
        ("1q2w3e4r5t6y", PasswordFault.COMMON),
        ("123456789012", PasswordFault.COMMON),
        ("+7 701 234 56 78", PasswordFault.COMMON),
        ("aaaaaaaaaaaa", PasswordFault.COMMON),
        ("abababababab", PasswordFault.COMMON),
        ("............", PasswordFault.COMMON),
        ("zyxwvutsrqponm", PasswordFault.COMMON),
        ("adminadmin123", PasswordFault.COMMON),
        ("ｐａｓｓｗｏｒｄ１２３４", PasswordFault.COMMON),
        ("bruno.seitov@example.org", PasswordFault.PERSONAL),
        ("БруноСейітов1990", PasswordFault.PERSONAL),
        ("seitov-bruno-1", PasswordFault.PERSONAL),
        ("example.org!!2", PasswordFault.PERSONAL),
    ],
)
def test_what_is_tried_first_is_refused(password: str, fault: PasswordFault) -> None:
    assert password_faults(password, name=NAME, email=EMAIL) == [fault]


@given(st.text(max_size=PASSWORD_MAX_CHARS + 5), st.text(max_size=30), st.text(max_size=30))
def test_any_text_gets_an_answer(password: str, name: str, email: str) -> None:
    faults = password_faults(password, name=name, email=email)
    assert len(faults) <= 1
    if not PASSWORD_MIN_CHARS <= len(password) <= PASSWORD_MAX_CHARS:
        assert faults
