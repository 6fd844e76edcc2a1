"""Which passwords the Centre's people may choose: long, and not what is tried first.

Length and a list of common choices, without rules about digits and signs, as NIST SP 800-63B §3.1.1.2 advises.
"""

import unicodedata
from enum import StrEnum
from typing import Final

PASSWORD_MIN_CHARS: Final = 12
#: Enough for any sentence; without an end a request could keep the hash busy.
PASSWORD_MAX_CHARS: Final = 200

_FEWEST_DISTINCT = 5
# What must be left of a password once the person's own name and address are taken out.
_OWN_PARTS_MIN_CHARS = 4
_LEAST_REMAINDER = 8
# The longest piece whose mere repetition counts as one piece: "qwertyqwerty".
_LONGEST_REPEATED = 8


class PasswordFault(StrEnum):
    """Why a password was refused. The value is stable: pages translate by it."""

    TOO_SHORT = "too_short"
    TOO_LONG = "too_long"
    COMMON = "common"
    PERSONAL = "personal"


# What lists of leaked passwords are full of, in the alphabets of our keyboards. Digits and signs around a word are
# taken off before it is looked up, so "Password_2024" is among them too.
_COMMON = frozenset(
    """
    abc abcabc abcd abcde abcdef abcdefg abcdefgh abcdefghi abcdefghij abcdefghijk abcdefghijkl access account admin
    adminadmin administrator almaty angel apple aqswdefr asdf asdfasdf asdfgh asdfghjkl aset astana azerty baseball
    batman blink business butterfly changeme changemenow charlie charter cheese chocolate computer
    correcthorsebatterystaple default demo dragon election elections football freedom guest hello helloworld hunter
    iloveyou iloveyoubaby internet justdoit kazakhstan killer letmein letmeinplease liverpool login lovely loveyou
    manager master michael microsoft minecraft monkey mypassword newpassword nothing observer office operator pass
    passphrase passport passw passwd password passwordpassword pokemon princess private qazaqstan qazwsx qazwsxedc
    qazwsxedcrfv qwer qwerasdf qwerasdfzxcv qwert qwerty qwertyasdfgh qwertyqwerty qwertyu qwertyui qwertyuio
    qwertyuiop qwertyuiopasdf qwertyuiopasdfghjkl root secret secretpassword security service shadow soccer staff
    starwars summer sunshine superman superuser supervisor support temporary test testing testpassword
    thisismypassword trustno trustnoone unknown user welcome whatever winter yuiop zaq zaqwsx zaqxsw zxcv zxcvbn
    zxcvbnm zxcvbnmasdfghjkl
    администратор алматы алғыс астана бақыт выборы галактика жулдыз звезда зима йцукен йцукенгшщз йцукенгшщзхъ
    казахстан купиясоз лето люблютебя любовь марина менімқұпиясөзім менің мойпароль наблюдатель наташа нурсултан
    пароли пароль парольпароль пассворд привет приветпривет россия сайлау самал секрет солнце солнышко фыва
    фывапролд фывапролджэ ячсмить ғашық қазақстан құпиясөз құпиясөзқұпиясөз әкімші
    """.split()  # noqa: SIM905 - words read better than a column of quotation marks
)

_RUNS = (
    "01234567890123456789",
    "abcdefghijklmnopqrstuvwxyz",
    "qwertyuiopasdfghjklzxcvbnm",
    "qazwsxedcrfvtgbyhnujmikolp",
    "1qaz2wsx3edc4rfv5tgb6yhn7ujm8ik9ol0p",
    "q1w2e3r4t5y6u7i8o9p0",
    "1q2w3e4r5t6y7u8i9o0p",
    "абвгдежзийклмнопрстуфхцчшщъыьэюя",
    "йцукенгшщзхъфывапролджэячсмитьбю",
)


def password_faults(password: str, *, name: str, email: str) -> list[PasswordFault]:
    """Why the person may not choose this password; empty if they may."""
    if len(password) < PASSWORD_MIN_CHARS:
        return [PasswordFault.TOO_SHORT]
    if len(password) > PASSWORD_MAX_CHARS:
        return [PasswordFault.TOO_LONG]
    folded = _folded(password)
    if _is_common(folded):
        return [PasswordFault.COMMON]
    if _is_personal(folded, name=name, email=email):
        return [PasswordFault.PERSONAL]
    return []


def _folded(text: str) -> str:
    return unicodedata.normalize("NFKC", text).casefold()


def _is_common(folded: str) -> bool:
    kept = "".join(character for character in folded if character.isalnum())
    if len(set(folded)) < _FEWEST_DISTINCT:
        return True
    if any(kept in run or kept in run[::-1] for run in _RUNS):
        return True
    core = _one_piece(kept).strip("0123456789")
    # Nothing but digits is a date or a telephone number.
    return not core or core in _COMMON or _one_piece(core) in _COMMON or any(core in run for run in _RUNS)


def _one_piece(text: str) -> str:
    """ "qwertyqwerty" → "qwerty"; anything else as it is."""
    for length in range(1, min(_LONGEST_REPEATED, len(text) // 2) + 1):
        if (text[:length] * (len(text) // length + 1))[: len(text)] == text:
            return text[:length]
    return text


def _is_personal(folded: str, *, name: str, email: str) -> bool:
    local, _, domain = _folded(email).partition("@")
    words = [*_folded(name).split(), local, *local.replace("_", ".").replace("-", ".").split("."), *domain.split(".")]
    rest = folded
    for word in sorted(set(words), key=len, reverse=True):
        if len(word) >= _OWN_PARTS_MIN_CHARS:
            rest = rest.replace(word, "")
    return rest != folded and len(rest.strip("0123456789 .,-_!@#$%^&*()+=")) < _LEAST_REMAINDER
