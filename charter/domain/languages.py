"""The languages of the service, in the order in which they are offered, and texts that exist in all of them."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

LANGUAGES: Final[tuple[str, ...]] = ("kk", "ru", "en")
#: The state language: where nothing that a visitor asks for fits.
DEFAULT: Final = "kk"

#: One text in every language, by language code.
Texts = Mapping[str, str]


def texts(value: object) -> Texts:
    """A read-only mapping with a non-empty text for each language and nothing else. Raises ValueError."""
    if not isinstance(value, Mapping) or set(value) != set(LANGUAGES):
        raise ValueError("a text is needed in each language and no other")
    if not all(isinstance(text, str) and text.strip() for text in value.values()):
        raise ValueError("a text must not be empty")
    return MappingProxyType({language: value[language] for language in LANGUAGES})
