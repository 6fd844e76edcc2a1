"""The leaves as plain text: what is written is read back, whatever was torn off its end."""

from __future__ import annotations

import io
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from charter.tlog import leaves_text
from charter.tlog.leaves_text import Batch, Closing, LeavesTextError, encode_batch, find_end, read_batches

START = datetime(2026, 11, 20, 9, tzinfo=UTC)


def batches(*sizes: int, first_leaf: int = 0) -> list[Batch]:
    """One batch of each size, with made-up leaves."""
    found, count = [], 0
    for place, size in enumerate(sizes, start=1):
        leaves = tuple(f'{{"n":{first_leaf + count + one}}}'.encode() for one in range(size))
        count += size
        found.append(Batch(Closing(place, count, START + timedelta(seconds=place)), leaves))
    return found


def text(many: list[Batch]) -> bytes:
    return b"".join(encode_batch(batch.closing, batch.leaves) for batch in many)


def read(data: bytes) -> list[Batch]:
    end = find_end(io.BytesIO(data))
    return [] if end is None else list(read_batches(io.BytesIO(data), end=end.position))


def test_a_batch_is_its_leaves_and_a_line_with_number_size_and_time() -> None:
    assert text(batches(1, 2)) == (
        b'{"n":0}\n# batch 1 size 1 at 2026-11-20T09:00:01Z\n'
        b'{"n":1}\n{"n":2}\n# batch 2 size 3 at 2026-11-20T09:00:02Z\n'
    )


@given(st.lists(st.integers(0, 4), max_size=6), st.integers(0, 200))
def test_what_was_torn_off_costs_only_the_last_batch(sizes: list[int], cut: int) -> None:
    many = batches(*sizes)
    whole = text(many)
    data = whole[: max(0, len(whole) - cut)]
    kept, length = [], 0
    for batch in many:
        length += len(encode_batch(batch.closing, batch.leaves))
        if length <= len(data):
            kept.append(batch)
    assert read(data) == kept
    end = find_end(io.BytesIO(data))
    assert (end.closing if end else None) == (kept[-1].closing if kept else None)
    written = [leaf for batch in kept for leaf in batch.leaves]
    assert (end.last_leaf if end else None) == (written[-1] if written else None)
    assert (end.position if end else 0) == len(text(kept))


def test_rubbish_behind_the_last_batch_does_no_harm() -> None:
    many = batches(2, 0, 1)
    for rubbish in (b"\0" * 500, b"# batch 4 size", b'{"n":4}\n', b"# batch 0 size 3 at 2026-11-20T09:00:03Z\n", b"\n"):
        assert read(text(many) + rubbish) == many


def test_the_end_of_a_long_text_is_found_without_reading_all_of_it() -> None:
    class Counting(io.BytesIO):
        count = 0

        def read(self, size: int | None = -1) -> bytes:
            data = super().read(size)
            Counting.count += len(data)
            return data

    many = batches(*[50] * 4000)
    stream = Counting(text(many))
    end = find_end(stream)
    assert end is not None
    assert end.closing == many[-1].closing
    assert Counting.count <= leaves_text.FIRST_BLOCK_BYTES < stream.seek(0, 2)


def test_the_last_leaf_is_found_behind_many_batches_without_one() -> None:
    many = batches(1, *[0] * 3000)
    data = text(many)
    assert len(data) > leaves_text.FIRST_BLOCK_BYTES
    end = find_end(io.BytesIO(data))
    assert end is not None
    assert (end.closing, end.last_leaf) == (many[-1].closing, b'{"n":0}')


@pytest.mark.parametrize(
    "damage",
    [
        (b'{"n":1}', b'{"n":1}\n{"n":9}'),
        (b'{"n":1}\n', b""),
        (b'{"n":1}', b"rubbish"),
        (b"# batch 1 ", b"# batch 3 "),
        (b"09:00:01Z", b"09:00:09Z"),
        (b'{"n":1}', b"{" + b"1" * 70_000 + b"}"),
    ],
)
def test_damage_in_the_middle_is_named_by_its_line(damage: tuple[bytes, bytes]) -> None:
    data = text(batches(1, 2)).replace(*damage, 1)
    with pytest.raises(LeavesTextError, match=r"^line \d"):
        read(data)
