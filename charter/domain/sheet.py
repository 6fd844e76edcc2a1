"""What stands in a list of people: which column is what, and how a row becomes a person or an error in words."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from typing import Final

from charter.domain.affiliation import INDEPENDENT, INTERNATIONAL, PARTY, may_stand_alone
from charter.domain.email import EmailAddress, EmailError, clean_email
from charter.domain.fold import fold
from charter.domain.name import clean_name
from charter.domain.text import TextError, clean_line

#: What a column can be. A name stands in one column or in up to three.
FIELDS: Final = (
    *("full_name", "surname", "given_name", "patronymic", "email"),
    *("region", "kind", "affiliation", "language"),
)
_NAME_PARTS = ("surname", "given_name", "patronymic")
#: What may be said once for all rows.
DEFAULTS: Final = ("region", "kind", "affiliation", "language")
AFFILIATION_MAX_CHARS = 200
#: What was brought and not started is forgotten after so long, and a reading that broke off sooner.
WAIT = timedelta(days=7)
READING = timedelta(hours=1)
#: What a row's errors and hints say, by field; pages have words for each.
SIMILAR: Final = "name:similar"

_HEADERS: Mapping[str, tuple[str, ...]] = {
    "full_name": (
        *("ФИО", "Ф.И.О.", "Ф. И. О.", "Фамилия имя отчество", "Фамилия имя", "Полное имя", "Наблюдатель"),
        *("Аты-жөні", "Аты жөні", "Толық аты", "Тегі аты", "Тегі аты әкесінің аты", "ТАӘ", "Т.А.Ә."),
        *("Name", "Full name", "Observer"),
    ),
    "surname": ("Фамилия", "Тегі", "Surname", "Last name", "Family name"),
    "given_name": ("Имя", "Аты", "Есімі", "First name", "Given name"),
    "patronymic": ("Отчество", "Әкесінің аты", "Patronymic", "Middle name"),
    "email": (
        *("Почта", "Электронная почта", "Эл. почта", "Эл. адрес", "Электронный адрес", "Имейл"),
        *("Электронной почты", "Почты", "Электрондық пошта мекенжайы"),
        *("Пошта", "Электрондық пошта", "Эл. пошта", "Email", "E-mail", "Mail"),
    ),
    "region": ("Регион", "Область", "Облыс", "Облысы", "Өңір", "Аймақ", "Region", "Oblast"),
    "kind": (
        *("Вид", "Вид наблюдателя", "Тип", "Тип наблюдателя", "Статус", "От кого"),
        *("Түрі", "Байқаушы түрі", "Kind", "Type", "Kind of observer"),
    ),
    "affiliation": (
        *("Организация", "Партия", "Объединение", "Общественное объединение", "Миссия", "Название организации"),
        *("Ұйым", "Ұйымы", "Ұйым атауы", "Партиясы", "Бірлестік", "Миссиясы"),
        *("Organisation", "Organization", "Affiliation", "Party", "Mission"),
    ),
    "language": ("Язык", "Язык писем", "Тіл", "Тілі", "Хат тілі", "Language"),
}
_KINDS: Mapping[str, tuple[str, ...]] = {
    PARTY: (
        *("party", "political party", "party observer", "партия", "партийный", "от партии", "политическая партия"),
        *("партийный наблюдатель", "наблюдатель от партии", "партиялық", "партиядан", "саяси партия"),
    ),
    INDEPENDENT: (
        *("independent", "independent observer", "ngo", "organisation", "public association", "trade union"),
        *("независимый", "независимый наблюдатель", "нпо", "общественный", "общественное объединение", "профсоюз"),
        *("тәуелсіз", "тәуелсіз байқаушы", "үеұ", "қоғамдық", "қоғамдық бірлестік", "кәсіподақ"),
    ),
    INTERNATIONAL: (
        *("international", "international observer", "foreign", "mission", "foreign state"),
        *("международный", "международный наблюдатель", "иностранный", "миссия"),
        *("халықаралық", "халықаралық байқаушы", "шетелдік", "шет мемлекет"),
    ),
}
_LANGUAGES: Mapping[str, tuple[str, ...]] = {
    "kk": ("kk", "kaz", "kz", "kazakh", "қаз", "қазақша", "қазақ тілі", "каз", "казахский", "на казахском"),
    "ru": ("ru", "rus", "russian", "рус", "русский", "на русском", "орыс", "орысша", "орыс тілі"),
    "en": ("en", "eng", "english", "англ", "английский", "на английском", "ағылшын", "ағылшынша", "ағылшын тілі"),
}
#: In the names of regions: what people leave out, or put first or last.
_PLACE_WORDS: Mapping[str, str] = {
    word: what
    for what, phrases in (
        # Written so that folding leaves them as they are.
        ("obl", ("область", "обл", "облысы", "region", "reg", "oblast")),
        ("gor", ("город", "г", "қаласы", "қ", "city")),
    )
    for phrase in phrases
    for word in fold(phrase)
}


def _key(text: str) -> str:
    return " ".join(fold(text))


def _words_of(table: Mapping[str, tuple[str, ...]]) -> dict[str, str]:
    return {_key(words): value for value, all_words in table.items() for words in all_words}


_KIND_WORDS, _LANGUAGE_WORDS, _HEADER_WORDS = _words_of(_KINDS), _words_of(_LANGUAGES), _words_of(_HEADERS)
#: Longest first: «Фамилия Имя Отчество» is not a surname.
_HEADER_PHRASES = sorted(
    ((frozenset(key.split()), field) for key, field in _HEADER_WORDS.items()), key=lambda one: len(one[0]), reverse=True
)


def layout_of(header: Sequence[str]) -> str:
    """The digest by which a layout is known again, 64 hex digits: case, alphabet and signs make no difference."""
    return hashlib.sha256("\n".join(_key(cell) for cell in header).encode()).hexdigest()


def guess(header: Sequence[str]) -> dict[int, str]:
    """What each column probably is, from its heading; each field at most once, and no column without a reason."""
    found: dict[int, str] = {}
    for place, cell in enumerate(header):
        field = _HEADER_WORDS.get(_key(cell)) or _by_phrase(cell)
        if field is not None and field not in found.values():
            found[place] = field
    if "full_name" in found.values():
        return {place: field for place, field in found.items() if field not in _NAME_PARTS}
    return found


def _by_phrase(cell: str) -> str | None:
    words = frozenset(fold(cell))
    return next((field for phrase, field in _HEADER_PHRASES if phrase and phrase <= words), None)


@dataclass(frozen=True)
class RegionNames:
    """A region that can be chosen. names: full ones; shorts: what stands in lists and on tiles."""

    code: str
    names: tuple[str, ...]
    shorts: tuple[str, ...]


@dataclass(frozen=True)
class AffiliationNames:
    """An affiliation that can be chosen. kind: of the observers it sends. spellings: names, short ones, aliases."""

    slug: str
    kind: str
    spellings: tuple[str, ...]


@dataclass(frozen=True)
class Lists:
    """What the words of a row are matched with. allowed: codes of regions that may be filled, None for all."""

    regions: tuple[RegionNames, ...]
    affiliations: tuple[AffiliationNames, ...]
    allowed: frozenset[str] | None = None

    @cached_property
    def _regions(self) -> list[dict[str, str | None]]:
        """From the surest to the vaguest: what two regions share at one level decides nothing there."""
        codes = [(one.code, (one.code, one.code.removeprefix("KZ-"))) for one in self.regions]
        names = [(one.code, one.names) for one in self.regions]
        shorts = [(one.code, one.shorts) for one in self.regions]
        placed = [(one.code, tuple(_placed(name) for name in one.names)) for one in self.regions]
        bare = [(one.code, tuple(_bare(name) for name in (*one.names, *one.shorts))) for one in self.regions]
        return [_table(level) for level in (codes, names, shorts, placed, bare)]

    def find_region(self, text: str) -> str | None:
        """The code that some words mean, if they mean one alone."""
        keys = (_key(text), _key(text), _key(text), _placed(text), _bare(text))
        for table, key in zip(self._regions, keys, strict=True):
            found = table.get(key)
            if found:
                return found
        return None

    @cached_property
    def _affiliations(self) -> dict[tuple[str, str], str | None]:
        table: dict[tuple[str, str], str | None] = {}
        for one in self.affiliations:
            for key in {_key(spelling) for spelling in one.spellings} - {""}:
                table[one.kind, key] = one.slug if table.get((one.kind, key), one.slug) == one.slug else None
        return table

    def find_affiliation(self, kind: str, text: str) -> str | None:
        """The slug of the affiliation of that kind of observer with this name in any alphabet."""
        return self._affiliations.get((kind, _key(text)))

    def kind_of(self, text: str) -> str | None:
        """The kind of observer that an affiliation of this name sends, if there is one alone."""
        kinds = {kind for kind in (PARTY, INDEPENDENT, INTERNATIONAL) if self.find_affiliation(kind, text)}
        return kinds.pop() if len(kinds) == 1 else None


def _bare(text: str) -> str:
    return " ".join(word for word in fold(text) if word not in _PLACE_WORDS)


def _placed(text: str) -> str:
    """With what it is in one word: «г. Алматы» and «Алматы қаласы» are one, «Алматы обл.» is another."""
    kinds = {_PLACE_WORDS[word] for word in fold(text) if word in _PLACE_WORDS}
    return f"{kinds.pop()} {_bare(text)}" if len(kinds) == 1 else ""


def _table(level: Iterable[tuple[str, tuple[str, ...]]]) -> dict[str, str | None]:
    table: dict[str, str | None] = {}
    for code, texts in level:
        for key in {_key(text) for text in texts} - {""}:
            table[key] = code if table.get(key, code) == code else None
    return table


@dataclass(frozen=True, repr=False)
class Person:
    """A row that can be used. affiliation_slug: of the list, else affiliation_text; neither for one on their own."""

    full_name: str
    email: EmailAddress
    kind: str
    affiliation_slug: str | None
    affiliation_text: str | None
    region: str
    language: str


@dataclass(frozen=True)
class Wrong:
    """A row that cannot be used. codes: "field:code", for the words of pages; never what was written."""

    codes: tuple[str, ...]


def problem_of(mapping: Mapping[int, str], defaults: Mapping[str, str]) -> str | None:
    """Why a mapping cannot be used: name, email, region, kind or twice; None if it can."""
    fields = list(mapping.values())
    given = {*fields, *(field for field, value in defaults.items() if value)}
    if len(set(fields)) != len(fields) or ("full_name" in fields and not set(fields).isdisjoint(_NAME_PARTS)):
        return "twice"
    if "full_name" not in fields and not {"surname", "given_name"} <= set(fields):
        return "name"
    for field in ("email", "region"):
        if field not in given or (field == "email" and field not in fields):
            return field
    return None if {"kind", "affiliation"} & given else "kind"


def read_person(
    cells: Sequence[str], mapping: Mapping[int, str], defaults: Mapping[str, str], lists: Lists
) -> Person | Wrong:
    """What a row says of a person, or everything that is wrong with it. Rules as in the form for signing."""
    told = {field: cells[place].strip() if place < len(cells) else "" for place, field in mapping.items()}
    row = {field: told.get(field) or defaults.get(field) or "" for field in FIELDS}
    wrong: list[str] = []
    name = row["full_name"] or " ".join(row[part] for part in _NAME_PARTS if row[part])
    try:
        name = clean_name(name)
    except TextError as error:
        wrong.append(f"name:{error.code}")
    email = None
    try:
        email = clean_email(row["email"])
    except EmailError as error:
        wrong.append(f"email:{error.code}")
    region = lists.find_region(row["region"]) if row["region"] else None
    if region is None:
        wrong.append("region:unknown" if row["region"] else "region:empty")
    elif lists.allowed is not None and region not in lists.allowed:
        wrong.append("region:not-yours")
    kind, slug, text, faults = _observer(row, told, lists)
    wrong += faults
    language = _LANGUAGE_WORDS.get(_key(row["language"])) if row["language"] else "ru"
    if language is None:
        wrong.append("language:unknown")
    if wrong or email is None or region is None or language is None:
        return Wrong(tuple(wrong))
    return Person(name, email, kind, slug, text, region, language)


def _observer(
    row: Mapping[str, str], told: Mapping[str, str], lists: Lists
) -> tuple[str, str | None, str | None, list[str]]:
    """Kind, affiliation of the list, own words, and what is wrong with them."""
    words = row["affiliation"]
    # Whoever is known by an affiliation needs no kind in a list that says it for all.
    of_words = lists.kind_of(words) if words and not told.get("kind") else None
    kind = of_words or _KIND_WORDS.get(_key(row["kind"])) or ""
    if not kind:
        return "", None, None, ["kind:unknown" if row["kind"] else "kind:empty"]
    if not words:
        return kind, None, None, [] if may_stand_alone(kind) else ["affiliation:empty"]
    slug = lists.find_affiliation(kind, words)
    if slug is not None:
        return kind, slug, None, []
    try:
        return kind, None, clean_line(words, max_chars=AFFILIATION_MAX_CHARS), []
    except TextError as error:
        return kind, None, None, [f"affiliation:{error.code}"]
