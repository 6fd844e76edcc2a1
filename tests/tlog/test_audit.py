"""The rules of the log: what may follow on what, each broken once, and told once."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import date
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.log_files import make_signer
from charter.tlog import canonical, leaf, lines, quick
from charter.tlog.audit import Audit
from charter.tlog.broken import explain
from charter.tlog.entries import ERASED, LIVE, PENDING, REFUSED, REVOKED, WITHDRAWN, Entries
from charter.tlog.findings import MOST_KEPT, Findings
from charter.tlog.record import encode_record
from tests.tlog.history import DIGESTS, ORIGIN, SIGNER, STRANGER, VKEY, History, entry_of, record_line

A, B = entry_of(1), entry_of(2)
COMMIT = "ab" * 32


def audited(history: History) -> Audit:
    audit = Audit(Findings(), origin=ORIGIN)
    for one in history.leaves:
        audit.take(one)
    return audit


def codes(history: History) -> list[tuple[str, int | None]]:
    return [(one.code, one.leaf) for one in audited(history).findings.kept]


def whole_life() -> History:
    history = History()
    people = history.sign_up(6)
    history.correct(people[0], 2, name="Б")
    history.correct(people[0], 3, display="unlisted")
    history.end("withdraw", people[1])
    history.end("revoke", people[2], reason="impersonation", approvals=["s1", "s2"])
    history.end("erase", people[3])
    history.end("erase", people[1])
    history.end("erase", people[1])
    for place in range(100, 104):
        history.confirm(entry_of(place), due="2026-11-20")
    history.end("refuse", entry_of(100), reason="ineligible")
    history.end("withdraw", entry_of(101))
    history.end("erase", entry_of(102))
    history.add("key", action="add", vkey=VKEY)
    history.add("key", action="add", vkey=STRANGER.vkey)
    history.add("key", action="retire", vkey=VKEY)
    history.t = "2026-11-21T00:00:00Z"
    history.add("charter", charter="specimen-2", files=DIGESTS)
    return history


def test_a_whole_life_breaks_no_rule() -> None:
    audit = audited(whole_life())
    assert audit.findings.kept == []
    phases = {phase: audit.count(phase) for phase in (PENDING, LIVE, REFUSED, WITHDRAWN, REVOKED, ERASED)}
    assert phases == {PENDING: 1, LIVE: 3, REFUSED: 1, WITHDRAWN: 2, REVOKED: 1, ERASED: 2}
    assert audit.published == 6
    assert audit.count(WITHDRAWN, published=True) == audit.count(WITHDRAWN, published=False) == 1
    assert audit.overdue() == 1
    assert list(audit.editions) == ["specimen-1", "specimen-2"]
    assert audit.keys_retired == {VKEY: len(whole_life().leaves) - 2}


Told = Callable[[History], Any]


@pytest.mark.parametrize(
    ("code", "tell"),
    [
        ("publish-without-confirm", lambda h: h.publish(B)),
        ("publish-again", lambda h: h.publish(A)),
        ("confirm-again", lambda h: h.confirm(A)),
        ("due-moved", lambda h: h.confirm(A, due="2026-12-24")),
        ("due", lambda h: h.confirm(B, due="2026-11-19")),
        ("due", lambda h: h.add_raw(kind="confirm", commit=COMMIT, due="2026-02-30", entry=B)),
        ("unknown-entry", lambda h: h.end("withdraw", B)),
        ("unknown-entry", lambda h: h.end("erase", B)),
        ("unknown-entry", lambda h: h.end("refuse", B, reason="other")),
        ("unknown-entry", lambda h: h.add("correct", commit=COMMIT, entry=B, rev=2)),
        ("wrong-phase", lambda h: h.end("refuse", A, reason="other")),
        ("rev", lambda h: h.add("correct", commit=COMMIT, entry=A, rev=3)),
        ("rev", lambda h: h.add("correct", commit=COMMIT, entry=A, rev=2**52)),
        ("edition-again", lambda h: h.add("charter", charter="specimen-1", files=DIGESTS)),
        ("key", lambda h: h.add("key", action="add", vkey=make_signer("other.example/log", bytes(32)).vkey)),
        ("leaf-kind", lambda h: h.add_raw(kind="praise", entry=A)),
        ("leaf-key", lambda h: h.add_raw(kind="withdraw", entry=A, name="Айгүл Серікқызы")),
        ("leaf-key", lambda h: h.add_raw(kind="withdraw", entry=A, **{"Amina Sadykova": 1})),
        ("leaf-value", lambda h: h.add_raw(kind="publish", entry=A[:-1] + "x", commit=COMMIT, rev=1)),
        ("leaf-value", lambda h: h.add_raw(kind="refuse", entry=A, reason="Айгүл Серікқызы")),
        ("revoke-approvals", lambda h: h.add_raw(kind="revoke", approvals=["s1"], entry=A, reason="other")),
        ("leaf-form", lambda h: h.leaves.append(b'{"kind": "withdraw"}')),
        ("leaf-form", lambda h: h.leaves.append(b"[" * 60_000)),
        ("leaf-form", lambda h: h.leaves.append(b'{"a":' * 13_000)),
        ("leaf-form", lambda h: h.leaves.append(b"\xff" * 65_535)),
        ("leaf-form", lambda h: h.leaves.append(b"")),
    ],
)
def test_a_broken_rule_is_told(code: str, tell: Told) -> None:
    history = History()
    history.confirm(A)
    history.publish(A)
    index = len(history.leaves)
    tell(history)
    found = codes(history)
    assert found[0] == (code, index), found


def test_after_a_fault_the_story_goes_on_and_is_not_told_twice() -> None:
    history = History()
    history.publish(B)
    history.add("correct", commit=COMMIT, entry=B, rev=2)
    history.end("withdraw", B)
    assert codes(history) == [("publish-without-confirm", 1)]


def test_a_removal_with_too_few_approvals_ends_the_entry_all_the_same() -> None:
    history = History()
    history.confirm(A)
    history.publish(A)
    for approvals in (["s1", "s1"], [], None):
        one = History()
        one.leaves = list(history.leaves)
        values = {} if approvals is None else {"approvals": approvals}
        one.add_raw(kind="revoke", entry=A, reason="other", **values)
        audit = audited(one)
        assert "revoke-approvals" in audit.findings.counts
        assert (audit.count(LIVE), audit.count(REVOKED)) == (0, 1)


@pytest.mark.parametrize("ending", ["refuse", "withdraw", "revoke", "erase"])
def test_what_has_ended_never_returns(ending: str) -> None:
    history = History()
    history.confirm(A)
    if ending == "revoke":
        history.publish(A)
    more = {"refuse": {"reason": "other"}, "revoke": {"reason": "other", "approvals": ["s1", "s2"]}}
    history.end(ending, A, **more.get(ending, {}))
    begin = len(history.leaves)
    history.add("correct", commit=COMMIT, entry=A, rev=2)
    history.end("withdraw", A)
    history.end("refuse", A, reason="other")
    history.confirm(A)
    history.add("publish", commit=COMMIT, entry=A, rev=1)
    told = ["ended", "ended", "ended", "confirm-again", "publish-again"]
    assert codes(history) == [(code, begin + place) for place, code in enumerate(told)]


def test_time_never_goes_back() -> None:
    history = History()
    history.t = "2026-11-20T08:59:59Z"
    history.confirm(A)
    history.add_raw(kind="erase", entry=A, t="2026-02-31T00:00:00Z")
    assert [code for code, _ in codes(history)][:1] == ["time"]
    assert {1, 2} == {index for _, index in codes(history)}


def test_a_publication_bears_revision_one_and_a_correction_never() -> None:
    history = History()
    history.confirm(A)
    history.add("publish", commit=COMMIT, entry=A, rev=2)
    history.add_raw(kind="correct", commit=COMMIT, entry=A, rev=1)
    assert [code for code, _ in codes(history)] == ["rev", "rev", "rev"]


def test_one_key_needs_no_leaf_that_adds_it_and_no_key_returns() -> None:
    third = make_signer(ORIGIN, bytes(32)).vkey
    history = History()
    history.add("key", action="add", vkey=STRANGER.vkey)
    history.add("key", action="retire", vkey=VKEY)
    assert codes(history) == []
    history.add("key", action="retire", vkey=third)
    history.add("key", action="retire", vkey=VKEY)
    history.add("key", action="add", vkey=VKEY)
    history.add("key", action="add", vkey=STRANGER.vkey)
    assert codes(history) == [("key", index) for index in (3, 4, 5, 6)]


def test_no_sentence_repeats_what_should_not_be_in_a_leaf() -> None:
    history = History()
    history.confirm(A)
    history.add_raw(kind="withdraw", entry=A, name="Айгүл")
    history.add_raw(kind="withdraw", entry=A, **{"amina sadykova": "Айгүл"})
    history.add_raw(kind="refuse", entry=A, reason="Айгүл")
    history.leaves.append(b'{"kind":"Aigul"}')
    text = " ".join(one.text for one in audited(history).findings.kept).casefold()
    assert "«name»" not in text
    for secret in ("айгүл", "amina", "aigul"):
        assert secret not in text


def test_a_hostile_log_does_not_fill_the_memory() -> None:
    audit = Audit(Findings(), origin=ORIGIN)
    for _ in range(MOST_KEPT + 500):
        audit.take(b"nonsense")
    assert len(audit.findings.kept) == MOST_KEPT
    assert len(audit.findings) == MOST_KEPT + 500


@given(st.binary(max_size=200))
def test_any_bytes_are_taken_without_an_exception(data: bytes) -> None:
    audit = Audit(Findings(), origin=ORIGIN)
    audit.take(data)
    assert audit.size == 1
    assert len(audit.findings) == 1


_ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)
_KEYS = sorted({"kind", "t", "v", "name"} | set().union(*(required | more for required, more in leaf.KINDS.values())))
_RIGHT: dict[str, st.SearchStrategy[Any]] = {
    "kind": st.sampled_from(sorted(leaf.KINDS)),
    "t": st.just("2026-11-20T09:00:00Z"),
    "v": st.just(1),
    "entry": st.just(A),
    "commit": st.just(COMMIT),
    "due": st.just("2026-11-27"),
    "rev": st.integers(1, 3),
    "approvals": st.lists(st.sampled_from(["s1", "s2", "s3"]), max_size=3),
    "reason": st.sampled_from(sorted(leaf.LOG_REASONS)),
    "charter": st.just("specimen-1"),
    "files": st.just(DIGESTS),
    "action": st.sampled_from(["add", "retire"]),
    "vkey": st.just(VKEY),
}


@st.composite
def _almost_leaves(draw: st.DrawFn) -> bytes:
    """Leaves of every kind of which something may be another way."""
    kind = draw(st.sampled_from(sorted(leaf.KINDS)))
    required, optional = leaf.KINDS[kind]
    keys = {*required, "kind", "t", "v", *(key for key in sorted(optional) if draw(st.booleans()))}
    values = {key: draw(_RIGHT[key]) for key in sorted(keys)} | {"kind": kind}
    for _ in range(draw(st.integers(0, 2))):
        key = draw(st.sampled_from(_KEYS))
        match draw(st.integers(0, 2)):
            case 0:
                values.pop(key, None)
            case 1:
                values[key] = draw(_ANY)
            case _ if key in _RIGHT:
                values[key] = draw(_RIGHT[key])
    return json.dumps(values, sort_keys=True, separators=(",", ":"), ensure_ascii=draw(st.booleans())).encode(
        errors="surrogatepass"
    )


@settings(max_examples=300)
@given(_almost_leaves())
def test_leaves_are_read_fast_exactly_as_they_are_read_slowly(data: bytes) -> None:
    try:
        kind, values = leaf.decode(data)
    except leaf.LeafError:
        with pytest.raises(leaf.LeafError):
            quick.read(data)
        assert explain(data).faults
        audit = Audit(Findings(), origin=ORIGIN)
        audit.take(data)
        assert len(audit.findings) >= 1
        return
    found = quick.read(data)
    assert (found.kind, found.t) == (kind, canonical.decode(data)["t"].encode())  # type: ignore[attr-defined]
    assert found.entry.hex() == values.get("entry", "")
    assert found.commit.hex() == values.get("commit", "")
    assert found.due.decode() == values.get("due", "")
    assert (found.rev, found.reason) == (values.get("rev", 0), values.get("reason", ""))
    assert found.subject == values.get("charter", values.get("vkey", ""))
    assert dict(found.files) == values.get("files", {})


@given(st.sampled_from(whole_life().leaves), st.data())
def test_a_leaf_of_which_a_byte_was_changed_is_read_alike_by_both(data: bytes, draw: st.DataObject) -> None:
    place, byte = draw.draw(st.integers(0, len(data) - 1)), draw.draw(st.integers(0, 255))
    changed = data[:place] + bytes([byte]) + data[place + 1 :]
    try:
        slow: tuple[str, Any] | None = leaf.decode(changed)
    except leaf.LeafError:
        slow = None
    try:
        fast: quick.Read | None = quick.read(changed)
    except leaf.LeafError:
        fast = None
    if slow is None and fast is not None:
        # It reads the form of a day; whether there is such a day is the audit's.
        audit = Audit(Findings(), origin=ORIGIN)
        audit.take(changed)
        assert {"time", "due"} & set(audit.findings.counts)
    else:
        assert (slow is None) == (fast is None)
        assert slow is None or fast is None or slow[0] == fast.kind


# ── records and the table of entries ─────────────────────────────────────────────────────────────────────────────────


@given(
    st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=30),
    st.none() | st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=30),
    st.sampled_from(["full", "short", "unlisted"]),
    st.sampled_from(sorted(lines.KINDS)),
)
def test_every_record_that_we_write_is_read(name: str, affiliation: str | None, display: str, kind: str) -> None:
    line = record_line(A, 7, name=name, affiliation_name=affiliation, display=display, kind=kind)
    assert lines.read(line) == lines.Record(bytes.fromhex(A), 7, 1, "specimen-1")
    for wrong in (line + b"\n", line[:-1], b" " + line, line.replace(b'"number":7', b'"number":07')):
        with pytest.raises(lines.RecordError):
            lines.read(wrong)


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"extra": "x"}, "key"),
        ({"region": None}, "lacks"),
        ({"region": "Алматы"}, "value"),
        ({"number": 0}, "value"),
        ({"number": None}, "number"),
        ({"rev": 0}, "number"),
        ({"name": None}, "name"),
        ({"name": ""}, "value"),
        ({"display": "unlisted"}, "names"),
        ({"salt": "ab"}, "value"),
    ],
)
def test_a_record_that_is_none_is_refused_in_words(changes: dict[str, Any], word: str) -> None:
    values = canonical.decode(record_line(A, 7)) | changes
    line = canonical.encode({key: value for key, value in values.items() if value is not None})
    with pytest.raises(lines.RecordError, match=word):
        lines.read(line)


def test_a_record_in_another_spelling_is_refused() -> None:
    line = record_line(A, 7, name='a\n\x0b"\\u0008\x7f')
    assert lines.read(line).number == 7
    for wrong in (line.replace(b"\\n", b"\\u000a"), line.replace(b"\\u000b", b"\\u000B"), b"\xff", b"[" * 9000):
        assert wrong != line
        with pytest.raises(lines.RecordError):
            lines.read(wrong)
    application = encode_record(
        entry=A, salt=bytes(32), rev=0, number=None, kind="party", display="full", name="А", region="ZZ",
        affiliation="fprk", affiliation_name="Ф", charter="specimen-1", signed_on=date(2026, 11, 20),
    )  # fmt: skip
    assert lines.read(application) == lines.Record(bytes.fromhex(A), 0, 0, "specimen-1")


def test_the_table_finds_every_entry_and_no_other() -> None:
    table = Entries()
    known = [bytes.fromhex(entry_of(number)) for number in range(5000)]
    for number, entry in enumerate(known):
        assert table.find(entry) == -1
        assert table.add(entry, due=number, phase=PENDING) == number
    for number, entry in enumerate(known):
        assert table.find(entry) == number
        assert (table.entry(number), table.due[number]) == (entry, number)
    assert table.find(bytes(16)) == -1
    table.revise(7, commit=b"c" * 32, rev=2)
    assert (table.commit(7), table.revs[7], table.commit(8)) == (b"c" * 32, 2, bytes(32))
    table.phases[9] = LIVE
    assert list(table.rows(LIVE)) == [9]
    assert SIGNER.origin == ORIGIN
