"""Cyrillic in Latin letters, as passports and addresses write it."""

from __future__ import annotations

_LATIN = {
    **dict(zip("абвгдезийклмнопрстуфыэәғқңөұүһіўҳҷӯ", "abvgdeziiklmnoprstufyeagknouuhiuhju", strict=True)),
    "ё": "yo",
    "ж": "zh",
    "х": "kh",
    "ц": "ts",
    "ч": "ch",
    "ш": "sh",
    "щ": "shch",
    "ъ": "",
    "ь": "",
    "ю": "yu",
    "я": "ya",
}


def romanise(text: str) -> str:
    """Cyrillic in Latin letters as passports write it; everything else as it is."""
    out = []
    for character in text:
        latin = _LATIN.get(character.lower(), character)
        out.append(latin.capitalize() if character.isupper() else latin)
    return "".join(out)
