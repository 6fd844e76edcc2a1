"""Editions across a loss of the machine: what two people published stays published, and affirmed is affirmed."""

from __future__ import annotations

import pytest
from time_machine import Traveller as Clock

from charter.models.base import db
from charter.models.edition import AffirmationRound, Edition
from charter.operations.proving import Outcome
from tests.backup.test_recovery import Loss, events, kinds, loss
from tests.operations.test_editions import NEW, affirm, drafted, path_of, shown
from tests.operations.test_publication import entry_row, published
from tests.operations.test_signing import get
from tests.people import Desk, work

__all__ = ["loss"]


@pytest.fixture
def dana(loss: Loss, clock: Clock) -> Desk:
    """The second pair of eyes."""
    return Desk(loss.app, "Dana", "dana@example.org", role="editor")


def test_an_edition_that_was_approved_when_the_backup_was_made_is_current_after_the_restore(
    loss: Loss, desk: Desk, dana: Desk, clock: Clock
) -> None:
    app = loss.app
    amina = published(app, desk, clock, 1)
    page = drafted(desk).submit("propose-form", reason="Clearer.")
    dana.browser.get(path_of(page)).submit("approve-form")
    loss.back_up()
    assert events(app) == ["charter"]
    work(app)
    assert affirm(app, amina) is Outcome.DONE
    found = loss.restored()
    assert events(found) == []
    with found.app_context():
        edition = db.session.get(Edition, NEW)
        assert edition is not None
        assert edition.is_current
        # Whoever affirmed on the lost machine is asked once more.
        assert db.session.get(AffirmationRound, NEW) is not None
        db.session.rollback()
    assert kinds(found, amina)[:2] == ["confirm", "publish"]
    assert entry_row(found, amina).number == 1
    assert sum(shown(found).values()) == 1


def test_who_affirmed_before_the_backup_stands_under_the_new_edition_after_it(
    loss: Loss, desk: Desk, dana: Desk, clock: Clock
) -> None:
    app = loss.app
    amina = published(app, desk, clock, 1)
    page = drafted(desk).submit("propose-form", reason="Clearer.")
    dana.browser.get(path_of(page)).submit("approve-form")
    work(app)
    assert affirm(app, amina) is Outcome.DONE
    loss.back_up()
    assert events(app) == ["correct"]
    found = loss.restored()
    assert events(found) == []
    assert get(found, amina).edition_slug == NEW
    assert entry_row(found, amina).edition_slug == NEW
    assert shown(found) == {"specimen-1": 0, NEW: 1}
