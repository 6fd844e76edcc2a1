"""The rooms of the desk: importing one puts its pages on the desk's blueprint, which is registered once, here."""

from __future__ import annotations

from flask import Flask

from charter.web.staff import corrections, desk, held, letters, mailboxes, names, navigation, objections

#: Their forms carry their own token, so that an expired one costs no typed word.
OWN_TOKEN = (
    desk.decide,
    names.add_name,
    corrections.decide_correction,
    mailboxes.find_mailbox,
    mailboxes.lift_mailbox,
    objections.answer_objection,
    letters.record_letter,
    letters.correct_by_letter,
)

#: What comes with them.
ROOMS = (corrections, desk, held, letters, mailboxes, names, objections)


def init_app(app: Flask) -> None:
    """Registers the desk with all its rooms."""
    desk.init_app(app)
    navigation.init_app(app)
