"""Removals by the Centre after a backup: made again by the log, told with its reason, and open to an objection."""

from __future__ import annotations

import pytest
from time_machine import Traveller as Clock

from charter.operations import proposals
from charter.queries import objections as queries
from tests.backup.test_recovery import Loss, loss
from tests.operations.test_objections import answer, object_to, taken_up
from tests.operations.test_proposals import approve, propose
from tests.operations.test_publication import entry_row, published
from tests.operations.test_signing import get, moves, now
from tests.pages import Browser
from tests.people import Desk, link_in, mails, work

__all__ = ["loss"]


def test_a_removal_after_the_backup_is_made_again_with_its_reason_and_can_be_objected_to(
    loss: Loss, desk: Desk, clock: Clock
) -> None:
    app = loss.app
    dana = Desk(app, "Dana", "dana@example.org")
    signature_id = published(app, desk, clock)
    link = link_in(next(mail for mail in reversed(mails(app)) if mail["To"] == "p0@example.org"), "/my/")
    proposal_id = propose(app, signature_id, desk, reason="court-order")
    loss.back_up()
    approve(app, proposal_id, dana)
    found = loss.restored()
    assert (get(found, signature_id).state, entry_row(found, signature_id).ended_by) == ("revoked", "centre")
    assert moves(found, signature_id)[-1] == "revoke"
    mine = Browser(found).get(link.replace("/ru/", "/en/"))
    assert "A court has ordered it." in mine.main
    assert "by order of a court" in Browser(found).get("/en/verify/?number=1").main
    # The proposal came back as it was then: there is nothing left to approve.
    with found.app_context(), pytest.raises(Exception, match="revoke is not possible while revoked"):
        proposals.approve(proposal_id, staff_id=dana.id, now=now())
    with found.app_context():
        assert queries.may_object(signature_id, "revoked", now=now()) == "removal"
    objection_id = object_to(found, signature_id)
    answer(found, objection_id, dana.id, is_upheld=True)
    assert get(found, taken_up(found, objection_id)).state == "confirmed"
    clock.shift(11)
    work(found)
