"""Reads leaves fast: a log has millions, and nearly all of them have one of three shapes, byte for byte (LOG §1)."""

from __future__ import annotations

import re
from typing import NamedTuple

from charter.tlog import leaf
from charter.tlog.leaf import LOG_REASONS

_T = rb'"t":"([0-9]{4}-[0-9]{2}-[0-9]{2}T(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]Z)","v":1\}'
_COMMIT = rb'"commit":"([0-9a-f]{64})"'
_ENTRY = rb'"entry":"([0-9a-f]{32})"'
_REASON = rb',"reason":"(' + b"|".join(sorted(reason.encode() for reason in LOG_REASONS)) + rb')"'
_CONFIRM = re.compile(
    rb"\{" + _COMMIT + rb',"due":"([0-9]{4}-[0-9]{2}-[0-9]{2})",' + _ENTRY + rb',"kind":"confirm",' + _T
)
_PUBLISH = re.compile(
    rb'\{(?:"approvals":\["(s[1-9][0-9]*(?:","s[1-9][0-9]*)*)"\],)?'
    + _COMMIT
    + rb","
    + _ENTRY
    # Below 10^15, so that no number is read that canonical JSON has not.
    + rb',"kind":"publish","rev":([1-9][0-9]{0,14}),'
    + _T
)
_ENDING = re.compile(rb"\{" + _ENTRY + rb',"kind":"(withdraw|erase|refuse)"(?:' + _REASON + rb")?," + _T)


class Read(NamedTuple):
    """What a leaf says. t, due: as they stand. entry: 16 bytes, commit: 32 bytes; empty where the kind has none.

    subject: the edition of a `charter`, the vkey of a `key`; files: language → digest; action: of a `key`.
    """

    kind: str
    t: bytes
    entry: bytes = b""
    commit: bytes = b""
    due: bytes = b""
    rev: int = 0
    reason: str = ""
    subject: str = ""
    action: str = ""
    files: tuple[tuple[str, str], ...] = ()


def read(data: bytes) -> Read:
    """One leaf, exactly where `leaf.decode` reads it, and the same. Raises LeafError.

    Dates and times have their form; whether there is such a day is not looked at: `Audit` does, once for each.
    """
    found = _CONFIRM.fullmatch(data)
    if found is not None:
        commit, due, entry, t = found.groups()
        return Read("confirm", t, bytes.fromhex(entry.decode()), bytes.fromhex(commit.decode()), due)
    found = _PUBLISH.fullmatch(data)
    if found is not None:
        approvals, commit, entry, rev, t = found.groups()
        if approvals is None or len(set(every := approvals.split(b'","'))) == len(every):
            return Read("publish", t, bytes.fromhex(entry.decode()), bytes.fromhex(commit.decode()), rev=int(rev))
    found = _ENDING.fullmatch(data)
    if found is not None:
        entry, kind, reason, t = found.groups()
        if (kind == b"refuse") == (reason is not None):
            return Read(kind.decode(), t, bytes.fromhex(entry.decode()), reason=(reason or b"").decode())
    return _read_slowly(data)


def _read_slowly(data: bytes) -> Read:
    kind, values = leaf.decode(data)
    t = data.rpartition(b'"t":"')[2][:20]
    if kind == "charter":
        files = values["files"]
        assert isinstance(files, dict)
        return Read(kind, t, subject=str(values["charter"]), files=tuple(sorted(files.items())))
    if kind == "key":
        return Read(kind, t, subject=str(values["vkey"]), action=str(values["action"]))
    return of_values(kind, t, values)


def of_values(kind: str, t: bytes, values: dict[str, object]) -> Read:
    """The same from values that were checked one by one."""
    rev = values.get("rev", 0)
    assert isinstance(rev, int)
    return Read(
        kind,
        t,
        bytes.fromhex(str(values.get("entry", ""))),
        bytes.fromhex(str(values.get("commit", ""))),
        str(values.get("due", "")).encode("ascii"),
        rev,
        str(values.get("reason", "")),
    )
