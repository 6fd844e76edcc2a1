"""Record lines as anybody may check them: the closed set of keys and values of LOG §1, read fast."""

from __future__ import annotations

import re
from typing import NamedTuple

from charter.tlog import canonical

KINDS = frozenset({"party", "independent", "international"})
DISPLAYS = frozenset({"full", "short", "unlisted"})
#: A record is some hundred bytes; names have at most a few hundred characters.
MOST_LINE_BYTES = 16 * 1024

#: A string as `canonical.encode` writes it, not empty: what has a short escape is never written with a number.
_TEXT = r'"((?:[^"\\\x00-\x1f]|\\["\\bfnrt]|\\u00(?:0[0-7bef]|1[0-9a-f]))+)"'
_SLUG = r"[a-z0-9]+(?:-[a-z0-9]+)*"
_LINE = re.compile(
    rf'\{{(?:"affiliation":"{_SLUG}",)?(?:"affiliation_name":(?P<affiliation>{_TEXT}),)?"charter":"(?P<charter>{_SLUG})",'
    r'"display":"(?P<display>full|short|unlisted)","entry":"(?P<entry>[0-9a-f]{32})",'
    rf'"kind":"(?:party|independent|international)",(?:"name":(?P<name>{_TEXT}),)?(?:"number":(?P<number>[1-9][0-9]{{0,14}}),)?'
    r'"region":"(?:KZ-[0-9A-Z]{1,3}|ZZ)","rev":(?P<rev>0|[1-9][0-9]{0,14}),"salt":"[0-9a-f]{64}",'
    r'"signed":"[0-9]{4}-[0-9]{2}-[0-9]{2}"\}'
)
_KEYS = {
    "affiliation": True,
    "affiliation_name": True,
    "charter": False,
    "display": False,
    "entry": False,
    "kind": False,
    "name": True,
    "number": True,
    "region": False,
    "rev": False,
    "salt": False,
    "signed": False,
}


class RecordError(ValueError):
    """The bytes are no record line; the text says why and repeats no value."""


class Record(NamedTuple):
    """entry: 16 bytes. number: 0 for an application line. charter: edition."""

    entry: bytes
    number: int
    rev: int
    charter: str


def read(line: bytes) -> Record:
    """A record line without its newline. Raises RecordError for every other sequence of bytes."""
    try:
        found = _LINE.fullmatch(line.decode("utf-8"))
    except UnicodeDecodeError:
        raise RecordError("it is not UTF-8") from None
    if found is None:
        raise RecordError(_why(line))
    is_unlisted = found["display"] == "unlisted"
    if is_unlisted and (found["name"] or found["affiliation"] or line.startswith(b'{"affiliation":')):
        raise RecordError("it is not to be listed by name, and names somebody")
    if not is_unlisted and not found["name"]:
        raise RecordError("it has no name")
    number, rev = int(found["number"] or 0), int(found["rev"])
    if (rev == 0) != (number == 0):
        raise RecordError("a number goes with a published line, and only with it")
    return Record(bytes.fromhex(found["entry"]), number, rev, found["charter"])


def _why(line: bytes) -> str:
    try:
        found = canonical.decode(line)
    except canonical.NotCanonicalError as error:
        return f"it is not canonical JSON ({error})"
    if set(found) - set(_KEYS):
        return "it holds a key that a record never has"
    missing = [key for key, is_optional in _KEYS.items() if not is_optional and key not in found]
    if missing:
        return f"it lacks “{missing[0]}”"
    return "it holds a value that a record never has"
