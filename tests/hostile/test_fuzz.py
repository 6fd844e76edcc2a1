"""The sign form under generated answers: whatever comes, the answer is a page, and what is stored is clean."""

from __future__ import annotations

import re
import unicodedata
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.hostile.values import TEXTS, body_of
from tests.house.world import World, changed_tables, dump
from tests.people import ANSWERS

#: What a text of ours may never hold, in whatever field.
UNCLEAN = re.compile(r"[\x00-\x1f\x7f\u061c\u200b-\u200f\u202a-\u202e\u2066-\u2069\ufeff]")
FORM = "application/x-www-form-urlencoded"

words = st.one_of(
    st.text(max_size=140),
    st.text(alphabet="ӘәҒғҚқАаБбZz'’-. ", max_size=30),
    st.sampled_from(sorted(TEXTS.values(), key=len)[:-3]),
    st.binary(max_size=60),
)
answers = st.fixed_dictionaries(
    {},
    optional={
        "kind": st.sampled_from(["party", "independent", "international", "", "x"]) | words,
        "party": st.sampled_from(["amanat", "other", ""]) | words,
        "party_other": words,
        "organisation": words,
        "mission": words,
        "full_name": words,
        "short_name": words,
        "region": st.sampled_from(["KZ-75", "ZZ", "KZ-00"]) | words,
        "display": st.sampled_from(["full", "short", "unlisted"]) | words,
        "email": st.emails() | words,
        "language": st.sampled_from(["kk", "ru", "en"]) | words,
        "is_adult": st.sampled_from(["y", "false", "0"]) | words,
        "switch": st.sampled_from(["x", "", "KK", "kk\x00"]),
        "more": words,
    },
)


def test_whatever_is_sent_is_answered_and_only_clean_texts_are_stored(world: World) -> None:
    browser = world.stranger()
    url, fields = browser.get("/en/sign/").fields("sign-form")
    seen: dict[int, int] = {}

    @settings(max_examples=60, deadline=None, database=None, suppress_health_check=list(HealthCheck), derandomize=True)
    @given(answers)
    def send(given_answers: dict[str, Any]) -> None:
        data = body_of({**fields, **ANSWERS, **given_answers})
        answer = browser.client.post(url, data=data, content_type=FORM)
        seen[answer.status_code] = seen.get(answer.status_code, 0) + 1
        assert answer.status_code in {303, 422}
        assert b"<script>alert" not in answer.data

    before = dump(world.app)
    send()
    after = dump(world.app)
    assert changed_tables(before, after) <= {
        "signature",
        "signature_consent",
        "signature_event",
        "consent_text",
        "link",
        "message",
        "signature_word",
        "signing_trace",
        "day_key",
    }
    assert seen[422] > 10, "the generator is too kind"
    known = {row["id"] for row in before["signature"]}
    stored = [row for row in after["signature"] if row["id"] not in known]
    assert len(stored) == seen.get(303, 0)
    for row in stored:
        for column in ("full_name", "short_name", "affiliation_text", "email", "mailbox"):
            text = row[column]
            if text is not None:
                assert not UNCLEAN.search(text), (column, text)
                assert unicodedata.normalize("NFC", text) == text
                assert text == " ".join(text.split())
                assert text[0] not in "=+-@"
                assert "://" not in text
        assert row["kind"] in {"party", "independent", "international"}
        assert row["kind"] == "independent" or row["affiliation_id"] or row["affiliation_text"]
    # What was stored can also be worked on: rendered, mailed, delivered.
    world.work()
