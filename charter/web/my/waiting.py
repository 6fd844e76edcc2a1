"""On *my signature*: how many wait before it while the queue is long."""

from __future__ import annotations

from charter.domain.queue import Outlook
from charter.domain.signature import State
from charter.queries.signing import MySignature
from charter.web.my.door import section
from charter.web.outlook import outlook


@section("outlook")
def outlook_of(mine: MySignature) -> Outlook | None:
    """Nothing unless it waits for the Centre."""
    if mine.state != State.CONFIRMED or mine.due_on is None:
        return None
    return outlook((mine.due_on, mine.signature_id))
