"""What staff began with affiliations is carried on: mergers, their undoing, and own words that mean one of them."""

from __future__ import annotations

from charter import clock
from charter.operations import matching, merging
from charter.queries import affiliation_desk, schema
from charter.settings import Settings


def step(settings: Settings) -> bool:
    """One window of ids, or some moves; whether there is more to do now."""
    merge_id, alias_id = affiliation_desk.find_work()
    schema.let_go()
    is_more = merge_id is not None and merging.go_on(merge_id, now=clock.now())
    if alias_id is not None:
        matching.go_on(alias_id, now=clock.now())
        # Others may wait behind it.
        is_more = True
    return is_more
