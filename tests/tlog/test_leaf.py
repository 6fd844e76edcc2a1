"""The bytes of leaves and record lines, literally as the log's text fixes them."""

from __future__ import annotations

import hashlib
from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from charter.domain.reasons import CATALOGUE
from charter.tlog import canonical, leaf
from charter.tlog.record import commitment, encode_record
from charter.tlog.tree import hash_leaf

ENTRY = "0123456789abcdef0123456789abcdef"
COMMIT = "ab" * 32
T = "2026-11-20T09:00:00Z"


def test_each_kind_of_leaf_has_exactly_these_bytes() -> None:
    files = {"en": "11" * 32, "kk": "22" * 32, "ru": "33" * 32}
    listed = f'"en":"{files["en"]}","kk":"{files["kk"]}","ru":"{files["ru"]}"'
    assert (
        leaf.encode("charter", t=T, charter="specimen-1", files=files)
        == f'{{"charter":"specimen-1","files":{{{listed}}},"kind":"charter","t":"{T}","v":1}}'.encode()
    )
    assert (
        leaf.encode("confirm", t=T, commit=COMMIT, due="2026-11-27", entry=ENTRY)
        == f'{{"commit":"{COMMIT}","due":"2026-11-27","entry":"{ENTRY}","kind":"confirm","t":"{T}","v":1}}'.encode()
    )
    assert (
        leaf.encode("publish", t=T, commit=COMMIT, entry=ENTRY, rev=1)
        == f'{{"commit":"{COMMIT}","entry":"{ENTRY}","kind":"publish","rev":1,"t":"{T}","v":1}}'.encode()
    )
    assert (
        leaf.encode("correct", t=T, commit=COMMIT, entry=ENTRY, rev=2)
        == f'{{"commit":"{COMMIT}","entry":"{ENTRY}","kind":"correct","rev":2,"t":"{T}","v":1}}'.encode()
    )
    assert (
        leaf.encode("refuse", t=T, entry=ENTRY, reason="duplicate")
        == f'{{"entry":"{ENTRY}","kind":"refuse","reason":"duplicate","t":"{T}","v":1}}'.encode()
    )
    assert (
        leaf.encode("withdraw", t=T, entry=ENTRY) == f'{{"entry":"{ENTRY}","kind":"withdraw","t":"{T}","v":1}}'.encode()
    )


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        ("greet", {"entry": ENTRY}),
        ("withdraw", {}),
        ("withdraw", {"entry": ENTRY, "name": "Айгүл"}),
        ("withdraw", {"entry": ENTRY.upper()}),
        ("withdraw", {"entry": ENTRY + "\n"}),
        ("refuse", {"entry": ENTRY, "reason": "Айгүл Серікқызы"}),
        ("publish", {"commit": COMMIT, "entry": ENTRY, "rev": 0}),
        ("publish", {"commit": COMMIT, "entry": ENTRY, "rev": True}),
        ("publish", {"commit": COMMIT[:-1], "entry": ENTRY, "rev": 1}),
        ("publish", {"commit": COMMIT, "entry": ENTRY, "rev": 1, "approvals": ["s1", "s1"]}),
        ("correct", {"commit": COMMIT, "entry": ENTRY}),
        ("correct", {"commit": COMMIT, "entry": ENTRY, "rev": 1}),
        ("correct", {"commit": COMMIT, "entry": ENTRY, "rev": 2, "reason": "Айгүл"}),
        ("correct", {"commit": COMMIT, "entry": ENTRY, "rev": 2, "number": 7}),
        ("confirm", {"commit": COMMIT, "due": "27.11.2026", "entry": ENTRY}),
        ("charter", {"charter": "specimen-1", "files": {"en": "11" * 32}}),
    ],
)
def test_nothing_but_the_closed_set_of_keys_and_values_gets_into_a_leaf(kind: str, values: dict[str, Any]) -> None:
    with pytest.raises(leaf.LeafError):
        leaf.encode(kind, t=T, **values)


def test_a_leaf_needs_a_time_in_seconds_and_utc() -> None:
    for wrong in ("2026-11-20T09:00:00", "2026-11-20T09:00:00+05:00", "2026-11-20 09:00:00Z"):
        with pytest.raises(leaf.LeafError):
            leaf.encode("withdraw", t=wrong, entry=ENTRY)


def test_a_leaf_is_read_back_as_it_was_written_and_nothing_else_is_read() -> None:
    data = leaf.encode("correct", t=T, commit=COMMIT, entry=ENTRY, rev=2, reason="other", approvals=["s3"])
    kind, values = leaf.decode(data)
    assert kind == "correct"
    assert values == {"commit": COMMIT, "entry": ENTRY, "rev": 2, "reason": "other", "approvals": ["s3"]}
    for wrong in (
        data.replace(b'"v":1', b'"v":2'),
        data.replace(b'"kind":"correct"', b'"kind":"praise"'),
        data.replace(b'"rev":2', b'"rev":1'),
        data.replace(b'"rev":2', b'"rev":2,"name":"A"'),
        data.replace(b'"other"', b'"secret"'),
        data + b"\n",
        data[:-1],
        b"{}",
        b"\xff",
    ):
        with pytest.raises(leaf.LeafError):
            leaf.decode(wrong)


def test_the_time_of_a_leaf_is_read_in_seconds_and_utc() -> None:
    assert leaf.format_time(leaf.parse_time(T)) == T
    for wrong in ("2026-11-20T09:00:00", "2026-13-20T09:00:00Z", ""):
        with pytest.raises(leaf.LeafError):
            leaf.parse_time(wrong)


def test_a_leaf_hash_is_that_of_rfc_6962() -> None:
    # RFC 6962 test vectors of the reference implementation: the empty leaf, and one of a single zero byte.
    assert hash_leaf(b"").hex() == "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"
    assert hash_leaf(b"\x00").hex() == "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7"


def test_every_reason_for_declining_has_a_public_reason_that_the_log_knows() -> None:
    for reason in CATALOGUE:
        assert (reason.log in leaf.LOG_REASONS) == (reason.action == "decline"), reason


def record(**changes: Any) -> bytes:
    values: dict[str, Any] = {
        "entry": ENTRY,
        "salt": bytes(range(32)),
        "rev": 1,
        "number": 17,
        "kind": "independent",
        "display": "full",
        "name": "Айгүл Серікқызы",
        "region": "KZ-75",
        "affiliation": "fprk",
        "affiliation_name": "Кәсіподақтар федерациясы",
        "charter": "specimen-1",
        "signed_on": date(2026, 11, 20),
    }
    return encode_record(**(values | changes))


def test_a_record_line_has_exactly_these_bytes() -> None:
    salt = bytes(range(32)).hex()
    assert (
        record().decode()
        == '{"affiliation":"fprk","affiliation_name":"Кәсіподақтар федерациясы","charter":"specimen-1",'
        '"display":"full",'
        f'"entry":"{ENTRY}","kind":"independent","name":"Айгүл Серікқызы","number":17,"region":"KZ-75","rev":1,'
        f'"salt":"{salt}","signed":"2026-11-20"}}'
    )


def test_a_commitment_is_what_sha256sum_prints() -> None:
    assert commitment(record()) == hashlib.sha256(record()).hexdigest()


def test_an_unlisted_record_names_neither_the_person_nor_the_affiliation() -> None:
    line = canonical.decode(record(display="unlisted"))
    assert set(line) == {"charter", "display", "entry", "kind", "number", "region", "rev", "salt", "signed"}


def test_on_ones_own_the_affiliation_is_absent_and_own_words_have_no_slug() -> None:
    assert not {"affiliation", "affiliation_name"} & set(
        canonical.decode(record(affiliation=None, affiliation_name=None))
    )
    assert "affiliation" not in canonical.decode(record(affiliation=None))


def test_an_application_line_has_revision_nought_and_no_number() -> None:
    line = canonical.decode(record(rev=0, number=None))
    assert line["rev"] == 0
    assert "number" not in line
    for wrong in ({"rev": 0}, {"number": None}):
        with pytest.raises(ValueError, match="number"):
            record(**wrong)


def test_a_short_salt_is_refused() -> None:
    with pytest.raises(ValueError, match="salt"):
        record(salt=b"short")


@pytest.mark.parametrize("value", [1.5, None, 2**53, -(2**53), "\ud800", {"ключ": 1}, {1: 1}, b"x", {1}])
def test_canonical_json_takes_no_other_values(value: object) -> None:
    with pytest.raises(canonical.NotCanonicalError):
        canonical.encode({"a": [value]})


_VALUES = st.recursive(
    st.booleans()
    | st.integers(-(2**53) + 1, 2**53 - 1)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(st.characters(codec="ascii"), max_size=5), inner, max_size=4)
    ),
    max_leaves=12,
)


@given(st.dictionaries(st.text(st.characters(codec="ascii"), max_size=5), _VALUES, max_size=5))
def test_what_is_encoded_decodes_to_itself_and_to_nothing_else(value: dict[str, Any]) -> None:
    data = canonical.encode(value)
    assert canonical.decode(data) == value
    with pytest.raises(canonical.NotCanonicalError):
        canonical.decode(data + b"\n")
    with pytest.raises(canonical.NotCanonicalError):
        canonical.decode(b" " + data)


def test_the_same_object_in_another_spelling_is_refused() -> None:
    for other in (b'{"b":1,"a":2}', b'{"a": 1}', b'{"a":1.0}', b'{"a":"\\u0041"}', b'{"a":1,"a":1}', b"[]", b"\xff"):
        with pytest.raises(canonical.NotCanonicalError):
            canonical.decode(other)
