"""The text of an edition of the Charter: one strict Markdown shape, read into its parts, and its digest.

Strict because the digest covers the bytes while people read the page: a text that the page could show in two ways
must not be published.
"""

import hashlib
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass

from charter.domain.languages import LANGUAGES


class EditionError(ValueError):
    """A text that is not in the shape of an edition; the message names the line, for the editor.

    code: what is wrong, for those who say it in the editor's language; line: where, counted from 1; number: of the
    commitment that is expected.
    """

    def __init__(self, message: str, *, code: str, line: int | None = None, number: int | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.line = line
        self.number = number


#: Longest text of one language, in bytes: a charter is a few pages, and everybody reads all of it.
MOST_BYTES = 40_000
#: Permanent names, as in addresses and record lines.
_SLUG = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")


@dataclass(frozen=True, slots=True)
class Commitment:
    """number: from 1; title: without its full stop; text: one paragraph of plain text."""

    number: int
    title: str
    text: str


@dataclass(frozen=True, slots=True)
class EditionText:
    """One language of an edition, plain text throughout.

    specimen_note: the line that says what the text is not, or None for a text that the Centre stands by.
    """

    title: str
    specimen_note: str | None
    preamble_heading: str
    preamble: tuple[str, ...]
    commitments_heading: str
    commitments: tuple[Commitment, ...]
    statement_heading: str
    statement: tuple[str, ...]


_COMMITMENT = re.compile(r"\*\*([1-9][0-9]?)\. ([^*]+)\.\*\* ([^*]+)")
_NOTE = re.compile(r"\*([^*]+)\*")
# Anything that Markdown would not show as itself.
_MARKUP = re.compile(r"[*_`<>\[\]\\|~&#]|^(?:[-+] |\d+[.)] )|://")


def parse_edition(data: bytes) -> EditionText:
    """The parts of one language's Markdown file. Raises EditionError."""
    return _Reader(_lines(data)).edition()


def digest(data: bytes) -> str:
    """SHA-256 of the exact bytes of one language's file, 64 lower-case hex digits (LOG §1)."""
    return hashlib.sha256(data).hexdigest()


def check_same_shape(editions: Mapping[str, EditionText]) -> None:
    """Refuse an edition whose languages differ: a signatory commits to the same in each. Raises EditionError."""
    if set(editions) != set(LANGUAGES):
        raise EditionError("an edition needs a text in each language and no other", code="languages")
    if len({len(edition.commitments) for edition in editions.values()}) != 1:
        raise EditionError("the languages have different numbers of commitments", code="commitments-differ")
    if len({edition.specimen_note is None for edition in editions.values()}) != 1:
        raise EditionError("only some of the languages say that the text is a specimen", code="note-differs")
    if len({(len(edition.preamble), len(edition.statement)) for edition in editions.values()}) != 1:
        raise EditionError("the languages have different numbers of paragraphs", code="paragraphs-differ")


def is_slug(text: str) -> bool:
    """Whether an edition may be called so for ever: small Latin letters, digits and hyphens, at most 63."""
    return bool(_SLUG.fullmatch(text))


def tidy(text: str) -> str:
    """What an editor typed, in the one shape of an edition as far as white space goes: a paragraph is a line.

    Nothing else is touched; whether it can be published, `parse_edition` says. An empty text stays empty. A zero
    character, which nobody types and no database of ours keeps, is left out.
    """
    blocks = [line.strip() for line in unicodedata.normalize("NFC", text.replace("\0", "")).splitlines()]
    found = "\n\n".join(block for block in blocks if block)
    return found + "\n" if found else ""


def words_of(text: str) -> str:
    """The words alone, a paragraph a line, for people who compare: no signs of weight; headings keep theirs."""
    return re.sub(r"\*+", "", text)


def problems(bodies: Mapping[str, str]) -> list[tuple[str | None, EditionError]]:
    """Everything that keeps these texts from being published: (language, or None for all together; what is wrong).

    bodies: language → Markdown; each language is named once, by its first fault.
    """
    found: list[tuple[str | None, EditionError]] = []
    parsed: dict[str, EditionText] = {}
    for language in LANGUAGES:
        data = bodies.get(language, "").encode()
        if not data or len(data) > MOST_BYTES:
            found.append((language, EditionError("no text, or too long", code="long" if data else "empty")))
            continue
        try:
            parsed[language] = parse_edition(data)
        except EditionError as error:
            found.append((language, error))
    if not found:
        try:
            check_same_shape(parsed)
        except EditionError as error:
            found.append((None, error))
    return found


def _lines(data: bytes) -> list[str]:
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise EditionError("not UTF-8", code="bytes") from error
    if not unicodedata.is_normalized("NFC", text):
        raise EditionError("not in Unicode form NFC", code="bytes")
    if not text.endswith("\n") or text.endswith("\n\n"):
        raise EditionError("the text must end with exactly one line break", code="end")
    lines = text[:-1].split("\n")
    for number, line in enumerate(lines, start=1):
        if line != line.strip() or any(unicodedata.category(c) in ("Cc", "Cf", "Co", "Cn", "Zl", "Zp") for c in line):
            raise EditionError(
                f"line {number}: white space at an end, or a character that cannot be seen", code="unseen", line=number
            )
        # Blocks are single lines with single empty lines between them.
        if bool(line) != bool(number % 2):
            raise EditionError(
                f"line {number}: paragraphs are one line each, with one empty line between them",
                code="lines",
                line=number,
            )
    return lines


class _Reader:
    """Takes the blocks one after another; a block that is not what should come next is an error."""

    def __init__(self, lines: list[str]) -> None:
        self._blocks = lines[::2]
        self._next = 0

    def edition(self) -> EditionText:
        title = self._heading("# ")
        specimen_note = self._specimen_note()
        preamble_heading, preamble = self._heading("## "), self._paragraphs()
        commitments_heading, commitments = self._heading("## "), self._commitments()
        statement_heading, statement = self._heading("## "), self._paragraphs()
        if self._peek() is not None:
            raise self._error("nothing may follow the statement", "behind")
        return EditionText(
            title=title,
            specimen_note=specimen_note,
            preamble_heading=preamble_heading,
            preamble=preamble,
            commitments_heading=commitments_heading,
            commitments=commitments,
            statement_heading=statement_heading,
            statement=statement,
        )

    def _peek(self) -> str | None:
        return self._blocks[self._next] if self._next < len(self._blocks) else None

    def _error(self, what: str, code: str, number: int | None = None) -> EditionError:
        line = 2 * self._next + 1
        return EditionError(f"line {line}: {what}", code=code, line=line, number=number)

    def _plain(self, text: str) -> str:
        if text != text.strip() or not text or _MARKUP.search(text):
            raise self._error("only plain text may stand here, without markup or addresses", "markup")
        return text

    def _heading(self, sign: str) -> str:
        block = self._peek()
        if block is None or not block.startswith(sign):
            code = "title" if sign == "# " else "heading"
            raise self._error(f"a heading that begins with {sign.strip()} is expected", code)
        heading = self._plain(block.removeprefix(sign))
        self._next += 1
        return heading

    def _specimen_note(self) -> str | None:
        block = self._peek()
        found = None if block is None else _NOTE.fullmatch(block)
        if found is None:
            return None
        note = self._plain(found[1])
        self._next += 1
        return note

    def _paragraphs(self) -> tuple[str, ...]:
        paragraphs = []
        while (block := self._peek()) is not None and not block.startswith("#"):
            paragraphs.append(self._plain(block))
            self._next += 1
        if not paragraphs:
            raise self._error("a paragraph is expected", "paragraph")
        return tuple(paragraphs)

    def _commitments(self) -> tuple[Commitment, ...]:
        commitments: list[Commitment] = []
        while (block := self._peek()) is not None and not block.startswith("#"):
            found = _COMMITMENT.fullmatch(block)
            if found is None or int(found[1]) != len(commitments) + 1:
                number = len(commitments) + 1
                raise self._error(f"commitment {number} is expected: **N. Title.** text", "commitment", number)
            commitments.append(Commitment(len(commitments) + 1, self._plain(found[2]), self._plain(found[3])))
            self._next += 1
        if not commitments:
            raise self._error("commitments are expected", "commitment", 1)
        return tuple(commitments)
