"""The rooms of the desk: importing one puts its pages on the desk's blueprint, which is registered once, here."""

from __future__ import annotations

from flask import Flask

from charter.web.staff import (
    affiliations,
    audit,
    bulk,
    centre,
    claims,
    corrections,
    desk,
    editions,
    exports,
    figures,
    find,
    held,
    imports,
    invalidations,
    letters,
    mailboxes,
    merging,
    names,
    navigation,
    objections,
    own_words,
    proposals,
    queue,
    regions,
    revoking,
    team,
    views,
)

#: Their forms carry their own token, so that an expired one costs no typed word.
OWN_TOKEN = (
    affiliations.add_affiliation,
    affiliations.edit_affiliation,
    affiliations.add_alias,
    merging.merge_affiliation,
    own_words.match_words,
    regions.add_region,
    regions.edit_region,
    desk.decide,
    invalidations.new_invalidation,
    centre.set_identity,
    centre.set_signing,
    centre.set_days_off,
    editions.begin_edition,
    editions.save_edition,
    editions.propose_edition,
    editions.drop_edition,
    bulk.bulk,
    find.show_found,
    views.keep_view,
    names.add_name,
    corrections.decide_correction,
    mailboxes.find_mailbox,
    mailboxes.lift_mailbox,
    objections.answer_objection,
    letters.record_letter,
    letters.correct_by_letter,
    imports.bring_list,
    imports.choose_columns,
    exports.propose_export,
    proposals.reject_proposal,
    revoking.propose_revocation,
    team.invite_colleague,
    team.change_role,
)

#: What comes with them.
ROOMS = (
    affiliations,
    merging,
    own_words,
    regions,
    audit,
    centre,
    bulk,
    claims,
    corrections,
    desk,
    editions,
    exports,
    figures,
    find,
    held,
    imports,
    invalidations,
    letters,
    mailboxes,
    names,
    objections,
    proposals,
    queue,
    revoking,
    views,
)


def init_app(app: Flask) -> None:
    """Registers the desk with all its rooms."""
    desk.init_app(app)
    navigation.init_app(app)
    proposals.init_app(app)
    imports.init_app(app)
