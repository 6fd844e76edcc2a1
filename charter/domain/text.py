"""What may be written in any text field: one line or a paragraph, cleaned or refused with a reason.

Whatever passes here may be shown in a page, a mail, a spreadsheet and a log that cannot be rewritten, so what
deceives the eye (bidi controls, invisible letters, look-alike widths), what a spreadsheet would run and what a mail
programme would turn into a link is refused rather than repaired: the person sees why and types it again.
"""

import re
import unicodedata
from enum import StrEnum
from functools import lru_cache

from charter.domain.errors import CharterError

#: More marks than this on one letter is decoration that runs into the lines above and below.
MAX_MARKS_IN_A_ROW = 2


class TextFault(StrEnum):
    """Why a text was refused. The value is stable: pages translate by it."""

    EMPTY = "empty"
    TOO_LONG = "too_long"
    CONTROL = "control"
    FORMAT = "format"
    BIDI = "bidi"
    INVISIBLE = "invisible"
    LONE_SURROGATE = "lone_surrogate"
    UNASSIGNED = "unassigned"
    PRIVATE_USE = "private_use"
    EMOJI = "emoji"
    STYLED = "styled"
    COMBINING_ABUSE = "combining_abuse"
    LINK = "link"
    FORMULA = "formula"
    # The following are raised for names only (name.py).
    DIGIT = "digit"
    SCRIPT = "script"
    CHARACTER = "character"
    NO_LETTER = "no_letter"


class TextError(CharterError, ValueError):
    """A text that may not be kept.

    code: the reason; character: the offending code point as "U+202E", where one character is to blame;
    max_chars: the limit, where it was exceeded. The text itself is not carried, so that no log line can hold it.
    """

    def __init__(self, code: TextFault, *, character: str | None = None, max_chars: int | None = None) -> None:
        super().__init__(code.value)
        self.code = code
        self.character = None if character is None else f"U+{ord(character):04X}"
        self.max_chars = max_chars


_BIDI = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")

# Letters and marks that take part in a text without being seen: two names could differ by nothing visible.
_INVISIBLE = frozenset(
    map(
        chr,
        (
            0x034F,  # combining grapheme joiner
            *(0x115F, 0x1160, 0x3164, 0xFFA0),  # Hangul fillers: letters by category, blank to the eye
            *(0x17B4, 0x17B5),  # Khmer inherent vowels
            *(0x180B, 0x180C, 0x180D, 0x180E, 0x180F),  # Mongolian selectors
            0x2800,  # braille blank
            *range(0xFE00, 0xFE10),  # variation selectors, also those that make emoji
            *range(0xE0100, 0xE01F0),
        ),
    )
)

# "№ 5" is part of many a trade union's name; the rest of category So is pictures.
_ALLOWED_SYMBOLS = frozenset("№°")

# Compatibility forms that only imitate another character; <compat>, <super>, <fraction> and <noBreak> have honest uses.
_IMITATIONS = (
    "<wide>",
    "<narrow>",
    "<small>",
    "<font>",
    "<circle>",
    "<square>",
    "<vertical>",
    "<isolated>",
    "<initial>",
    "<medial>",
    "<final>",
)

#: The tab and every space that Unicode knows (category Zs): all of them lie in the basic plane.
_SPACES = re.compile("[\t" + "".join(c for c in map(chr, range(0x10000)) if unicodedata.category(c) == "Zs") + "]+")

_FORMULA_STARTS = frozenset("=+-@\t\r")

_COMMON_ENDINGS = (
    "com|net|org|info|biz|edu|gov|int|mil|io|co|me|tv|cc|ws|app|dev|xyz|site|online|shop|club|top|link|page|live|"
    "kz|ru|su|by|ua|uz|kg|tj|tm|az|am|ge|md|cn|tr|eu|de|fr|uk|us|"
    "қаз|рф|рус|бел|укр|мкд|срб|онлайн|сайт|орг|ком|дети|москва"
)

# Each pattern starts where its word starts, so that a long text costs linear time.
_LINKS = (
    re.compile(r"://|\bwww\d{0,3}\.\S", re.IGNORECASE),
    re.compile(r"\b(?:https?|ftps?|mailto|javascript|vbscript|tel|sms|tg):\S", re.IGNORECASE),
    re.compile(r"[^\s@]@[^\s@]+\.[^\s@]"),
    re.compile(r"(?<!\S)@\w"),
    re.compile(r"\w\.\w{2,}/"),
    re.compile(rf"(?<![\w-])[\w-]{{2,}}\.(?:{_COMMON_ENDINGS})(?![\w-])", re.IGNORECASE),
    # Mail programmes underline any word.word; a sentence without a space after its full stop has a capital there.
    re.compile(r"(?<![A-Za-z0-9-])[A-Za-z0-9-]{2,}\.[a-z]{2,}(?![\w-])"),
    re.compile(r"\bxn--", re.IGNORECASE),
    re.compile(r"(?<![\d.])\d{1,3}(?:\.\d{1,3}){3}(?![\d.])"),
)

# Browsers read these as the dot of an address.
_DOTS = str.maketrans("\u3002\uff0e\uff61", "...")


def clean_line(raw: str, *, max_chars: int) -> str:
    """One line of text in NFC, without outer and with single inner spaces.

    A tab counts as white space; a line break inside the line is refused. Raises TextError and nothing else.
    """
    text = _collapse(_normalised(raw, max_chars))
    _require_length(text, max_chars)
    _require_harmless(text)
    return text


def clean_paragraph(raw: str, *, max_chars: int) -> str:
    r"""Text of several lines joined by "\n", at most one empty line in a row, otherwise as clean_line.

    max_chars counts the line breaks too. Raises TextError and nothing else.
    """
    whole = _normalised(raw, max_chars).replace("\r\n", "\n").replace("\r", "\n")
    lines = [_collapse(line) for line in whole.split("\n")]
    text = re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip("\n")
    _require_length(text, max_chars)
    for line in text.split("\n"):
        _require_harmless_characters(line)
    _require_plain(text)
    return text


def _normalised(raw: str, max_chars: int) -> str:
    stripped = raw.strip()
    # Normalising is quadratic in a run of marks: what cannot fit by any reading is refused before it.
    if len(stripped) > 8 * max_chars + 256:
        raise TextError(TextFault.TOO_LONG, max_chars=max_chars)
    try:
        stripped.encode()
    except UnicodeEncodeError as error:
        raise TextError(TextFault.LONE_SURROGATE, character=stripped[error.start]) from None
    return unicodedata.normalize("NFC", stripped)


def _collapse(line: str) -> str:
    return _SPACES.sub(" ", line).strip(" ")


def _require_length(text: str, max_chars: int) -> None:
    if not text:
        raise TextError(TextFault.EMPTY)
    if len(text) > max_chars:
        raise TextError(TextFault.TOO_LONG, max_chars=max_chars)


def _require_harmless(text: str) -> None:
    _require_harmless_characters(text)
    _require_plain(text)


def _require_harmless_characters(line: str) -> None:
    marks = MAX_MARKS_IN_A_ROW  # a mark at the start of a line or after a space has no letter to sit on
    for character in line:
        fault = _fault(character)
        if fault is not None:
            raise TextError(fault, character=character)
        if unicodedata.category(character) in ("Mn", "Mc"):
            marks += 1
            if marks > MAX_MARKS_IN_A_ROW:
                raise TextError(TextFault.COMBINING_ABUSE, character=character)
        else:
            marks = MAX_MARKS_IN_A_ROW if character == " " else 0


@lru_cache(maxsize=4096)  # names are written with few letters, and looking at one costs more than remembering it
def _fault(character: str) -> TextFault | None:
    if character < "\x7f":
        return TextFault.CONTROL if character < " " else None
    if character in _BIDI:
        return TextFault.BIDI
    if character in _INVISIBLE:
        return TextFault.INVISIBLE
    return _fault_of_category(character, unicodedata.category(character))


def _fault_of_category(character: str, category: str) -> TextFault | None:
    by_category = {
        "Cc": TextFault.CONTROL,
        "Zl": TextFault.CONTROL,
        "Zp": TextFault.CONTROL,
        "Cf": TextFault.FORMAT,
        "Cs": TextFault.LONE_SURROGATE,
        "Cn": TextFault.UNASSIGNED,
        "Co": TextFault.PRIVATE_USE,
        "Me": TextFault.COMBINING_ABUSE,
    }
    if category in by_category:
        return by_category[category]
    if unicodedata.decomposition(character).startswith(_IMITATIONS):
        return TextFault.STYLED
    if _is_picture(character, category):
        return TextFault.EMOJI
    return None


def _is_picture(character: str, category: str) -> bool:
    if category == "So":
        return character not in _ALLOWED_SYMBOLS
    if category == "Sk":  # beyond Latin-1 these are tone letters and the skin tones of emoji
        return character > "\u00ff"
    # Arrows and technical signs are drawn as pictures on phones; the operators (≥, −) are not.
    return category == "Sm" and ("\u2190" <= character <= "\u21ff" or character >= "\u2300")


def _require_plain(text: str) -> None:
    # The first character is also looked at in its compatibility form: ﹦ and ⁼ become = in some programmes.
    if text[0] in _FORMULA_STARTS or unicodedata.normalize("NFKC", text[0])[:1] in _FORMULA_STARTS:
        raise TextError(TextFault.FORMULA, character=text[0])
    folded = unicodedata.normalize("NFKC", text).translate(_DOTS)
    if any(pattern.search(folded) for pattern in _LINKS):
        raise TextError(TextFault.LINK)
