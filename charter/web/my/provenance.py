"""From which list the Centre entered the signatory, on their own page."""

from __future__ import annotations

from charter.queries import importing
from charter.queries.importing import Provenance
from charter.queries.signing import MySignature
from charter.web.my.door import section


@section("provenance")
def provenance_of(mine: MySignature) -> Provenance | None:
    """The list and the row; None for whoever signed by themselves, and most did."""
    return importing.source_of(mine.signature_id) if mine.history and mine.history[0].move == "enter" else None
