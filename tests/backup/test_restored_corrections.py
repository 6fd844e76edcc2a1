"""Corrections of published entries across a loss of the machine: what was decided is not undone by a restore."""

from __future__ import annotations

from time_machine import Traveller as Clock

from tests.backup.test_recovery import Loss, events, kinds, loss, waiting_mail
from tests.operations.test_corrections import NAME, ask, show
from tests.operations.test_corrections import decide as answer
from tests.operations.test_publication import entry_row, published
from tests.operations.test_signing import get
from tests.people import Desk, work

__all__ = ["loss"]


def test_what_was_approved_or_hidden_when_the_backup_was_made_is_so_after_the_restore(
    loss: Loss, desk: Desk, clock: Clock
) -> None:
    app = loss.app
    corrected, hidden = (published(app, desk, clock, place) for place in (1, 2))
    ask(app, corrected)
    answer(app, corrected, desk.id)
    show(app, hidden, "unlisted")
    loss.back_up()
    assert events(app) == ["correct", "correct"]
    clock.shift(11)
    found = loss.restored()
    assert events(found) == []
    for signature_id, name in ((corrected, NAME), (hidden, None)):
        # The salt of the first corrected line is lost with the machine, so a later revision says the same.
        assert kinds(found, signature_id) == ["confirm", "publish", "correct", "correct"]
        assert (entry_row(found, signature_id).name, entry_row(found, signature_id).rev) == (name, 3)
    assert get(found, corrected).full_name == NAME
    assert "correction-approved" in waiting_mail(found, corrected)
    assert work(found)[0] == 0
