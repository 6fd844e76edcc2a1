"""The registry by numbers: addresses that do not move, and none beside them."""

from __future__ import annotations

import pytest

from charter.domain.blocks import BLOCK, RANGE, Span, span_of, spans
from tests.house.world import World


def test_a_block_shows_its_entries_and_ended_ones_without_a_name(world: World) -> None:
    page = world.stranger().get("/en/registry/numbers/")
    assert "1–100" in page.main
    page = world.stranger().get(page.href("/registry/numbers/1-100/"))
    assert page.title.startswith("Registry numbers 1–100")
    rows = page.tree.query("main tbody tr")
    assert len(rows) == 3
    assert "Оспанова" in page.main
    assert "withdrawn by the signatory" in page.main
    assert page.response.headers["X-Robots-Tag"] == "noindex"


@pytest.mark.parametrize(
    "span",
    [
        "101-200",
        "2-101",
        "1-99",
        "1-10000",
        "1-1",
        "100-1",
        "0-99",
        "01-100",
        "1-1000000000000000",
        "1-100-2",
        "-1-100",
    ],
)
def test_what_is_no_block_of_the_registry_is_not_found(world: World, span: str) -> None:
    assert world.stranger().client.get(f"/en/registry/numbers/{span}/").status_code == 404


def test_numbers_fall_into_spans_from_one_on() -> None:
    assert span_of(1, BLOCK) == span_of(100, BLOCK) == Span(1, 100)
    assert span_of(101, BLOCK) == Span(1, 100).behind() == Span(101, 200)
    assert Span(101, 200).before() == Span(1, 100)
    assert Span(1, 100).before() is None
    assert spans(BLOCK, first=1, last=0) == []
    assert [one.first for one in spans(BLOCK, first=1, last=201)] == [1, 101, 201]
    assert Span(10_001, 20_000).is_aligned
    assert Span(10_001, 20_000).size == RANGE
    assert not Span(2, 101).is_aligned
    assert not Span(5, 1).is_aligned
