"""The two consents a signatory gives: their exact texts, composed for the body that runs the service.

Law 94-V art. 8 lists what such a text must say. The shipped wording is a specimen for a lawyer. What a person agreed
to is kept by the digest of the composed text, so composing must depend on nothing but its arguments.
"""

import hashlib
import json
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

from charter.domain.languages import LANGUAGES, Texts, texts

PROCESSING: Final = "processing"
PUBLICATION: Final = "publication"
CONSENT_KINDS: Final[tuple[str, ...]] = (PROCESSING, PUBLICATION)

_PLACEHOLDER = re.compile(r"\{([a-z_]*)\}")
_PLACEHOLDERS = frozenset({"operator_name", "operator_bin", "operator_address", "operator_contact", "term"})


class ConsentError(ValueError):
    """Consent texts that cannot be used."""


@dataclass(frozen=True, slots=True)
class Operator:
    """Who keeps the data. An empty value means that it has not been entered yet; term: how long, by language."""

    name: str = ""
    bin: str = ""
    address: str = ""
    contact: str = ""
    term: Texts | None = None


@dataclass(frozen=True, slots=True)
class ConsentPart:
    """One or two whole sentences; otherwise: what stands instead while a placeholder has no value."""

    text: Texts
    otherwise: Texts | None


@dataclass(frozen=True, slots=True)
class ConsentTexts:
    """specimen: whether a lawyer has still to go over the wording; note: says so in words, for the operator."""

    specimen: bool
    note: str
    parts: Mapping[str, tuple[ConsentPart, ...]]

    def compose(self, kind: str, *, lang: str, operator: Operator) -> str:
        """The text of one consent, a paragraph a line, in NFC, without a line break at the end.

        kind: PROCESSING or PUBLICATION. The same arguments give the same text, always.
        """
        values = _values(operator, lang)
        paragraphs = (_paragraph(part, lang, values) for part in self.parts[kind])
        return unicodedata.normalize("NFC", "\n".join(paragraph for paragraph in paragraphs if paragraph))


def digest(text: str) -> str:
    """SHA-256 of a composed text in UTF-8, 64 lower-case hex digits."""
    return hashlib.sha256(text.encode()).hexdigest()


def parse_consents(data: bytes) -> ConsentTexts:
    """The consent texts of a JSON file. Raises ConsentError."""
    try:
        content = json.loads(data)
        parts = {key: _part(entry) for key, entry in content["parts"].items()}
        consents = {kind: tuple(parts[key] for key in content["consents"][kind]) for kind in CONSENT_KINDS}
        specimen, note = content["specimen"], content["note"]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ConsentError(f"the consent texts have not the expected shape: {error}") from error
    if type(specimen) is not bool or not isinstance(note, str) or not all(consents.values()):
        raise ConsentError("the consent texts need their specimen mark, a note and at least one part each")
    return ConsentTexts(specimen=specimen, note=note, parts=MappingProxyType(consents))


def _part(entry: dict[str, Any]) -> ConsentPart:
    text = texts(entry["text"])
    otherwise = texts(entry["otherwise"]) if "otherwise" in entry else None
    wanted = {frozenset(_PLACEHOLDER.findall(text[language])) for language in LANGUAGES}
    if len(wanted) != 1 or not next(iter(wanted)) <= _PLACEHOLDERS:
        raise ValueError("the languages of a part must use the same, known placeholders")
    if otherwise is not None and any("{" in otherwise[language] for language in LANGUAGES):
        raise ValueError("what stands instead of a placeholder has none itself")
    return ConsentPart(text=text, otherwise=otherwise)


def _values(operator: Operator, lang: str) -> dict[str, str]:
    values = {
        "operator_name": operator.name,
        "operator_bin": operator.bin,
        "operator_address": operator.address,
        "operator_contact": operator.contact,
        "term": "" if operator.term is None else operator.term[lang],
    }
    return {key: " ".join(value.split()) for key, value in values.items()}


def _paragraph(part: ConsentPart, lang: str, values: Mapping[str, str]) -> str:
    template = part.text[lang]
    if all(values[key] for key in _PLACEHOLDER.findall(template)):
        # In one pass: a value that looks like a placeholder stays what it is.
        return _PLACEHOLDER.sub(lambda found: values[found[1]], template)
    return "" if part.otherwise is None else part.otherwise[lang]
