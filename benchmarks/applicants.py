"""People who sign in a measurement: each with a name and an address of their own, as bodies of the form."""

from __future__ import annotations

from urllib.parse import quote_plus, urlencode

#: Names have letters only, so a number is written in these: capitals first, small letters after.
_LETTERS = "абвгдежзиклмнопрст"
_ENCODED = [quote_plus(letter) for letter in _LETTERS]
SURNAMES = ("Оспанова", "Жұмабайұлы", "Ким", "Әбдіқадырова", "Иванова", "Сейітқали")
REGIONS = ("KZ-71", "KZ-75", "KZ-79", "KZ-10", "KZ-19", "KZ-27", "KZ-35", "KZ-47", "KZ-55", "KZ-63")
_LANGUAGES = ("kk", "ru", "en")
BROWSER = "the-cookie-of-one-browser-that-signs-in-every-measurement"


def number_word(number: int) -> str:
    """A number as a word: `Абв`."""
    letters = []
    while True:
        number, rest = divmod(number, len(_LETTERS))
        letters.append(_LETTERS[rest])
        if not number:
            return "".join(letters).capitalize()


def full_name(number: int) -> str:
    """A name that nobody else has."""
    return f"{number_word(number)} {SURNAMES[number % len(SURNAMES)]}"


def address(number: int, run: str) -> str:
    """An address that nobody else has. run: tells measurements on one database apart."""
    return f"{run}{number}@example.org"


def templates(parties: list[str]) -> list[str]:
    """The part of the form's body that many people share, of every kind of observer; parties: slugs of the list."""
    common = {"display": "full", "is_adult": "y", "consent_processing": "y", "consent_publication": "y"}
    kinds: list[dict[str, str]] = [
        {"kind": "independent"},
        {"kind": "independent", "organisation": "Қоғамдық бақылау қоры"},
        *({"kind": "party", "party": party} for party in parties[:2]),
        {"kind": "international", "mission": "Mission of observers from Ruritania"},
    ]
    return [
        urlencode({**common, **kind, "region": REGIONS[place % len(REGIONS)], "language": _LANGUAGES[place % 3]})
        for place, kind in enumerate(kinds * 2)
    ]


def form_body(template: str, number: int, run: str, csrf_token: str) -> bytes:
    """One whole body. Cheap: it is made between two requests of a load client that shares the processor."""
    name = quote_plus(full_name(number))
    mail = f"{run}{number}%40example.org"
    return f"{template}&full_name={name}&email={mail}&csrf_token={csrf_token}".encode()
