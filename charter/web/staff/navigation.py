"""The way through the desk: which rooms there are, in which group, and for whom."""

from __future__ import annotations

from dataclasses import dataclass

from flask import Flask, current_app, g

from charter.domain.duties import Right
from charter.i18n import lazy_gettext as _l
from charter.queries.staff import StaffMember


@dataclass(frozen=True)
class Way:
    """One entry. section: what its pages call themselves."""

    endpoint: str
    section: str
    label: object
    right: Right


@dataclass(frozen=True)
class Group:
    """What belongs together; several groups fit a narrow page where twenty entries would not."""

    label: object
    ways: tuple[Way, ...]


GROUPS: tuple[Group, ...] = (
    Group(
        _l("Applications"),
        (
            Way("staff.queue", "queue", _l("Queue"), Right.READ),
            Way("staff.find", "find", _l("Find"), Right.READ),
            Way("staff.held", "held", _l("Set aside"), Right.READ),
            Way("staff.corrections", "corrections", _l("Corrections"), Right.READ),
            Way("staff.objections", "objections", _l("Objections"), Right.READ),
            Way("staff.invalidations", "invalidations", _l("Invalidation"), Right.READ),
            Way("staff.imports", "imports", _l("Import"), Right.READ),
        ),
    ),
    Group(
        _l("Registry"),
        (
            Way("staff.affiliations", "affiliations", _l("Affiliations"), Right.READ),
            Way("staff.regions", "regions", _l("Regions"), Right.READ),
            Way("staff.editions", "editions", _l("Editions"), Right.READ),
            Way("staff.names", "names", _l("Names"), Right.READ),
        ),
    ),
    Group(
        _l("The Centre"),
        (
            Way("staff.proposals", "proposals", _l("Second person"), Right.PROPOSALS),
            Way("staff.exports", "exports", _l("Export"), Right.EXPORT),
            Way("staff.figures", "figures", _l("Figures"), Right.FIGURES),
            Way("staff.mail", "mail", _l("Mail"), Right.READ),
            Way("staff.audit", "audit", _l("Audit"), Right.AUDIT),
            Way("staff.team", "team", _l("Team"), Right.TEAM),
            Way("staff.centre", "centre", _l("Settings"), Right.SETTINGS),
        ),
    ),
)


def ways() -> list[Group]:
    """The groups with the rooms that this person may enter; none for a stranger."""
    member = g.get("staff_member")
    if not isinstance(member, StaffMember):
        return []
    known = current_app.view_functions
    found = [
        Group(group.label, tuple(way for way in group.ways if way.endpoint in known and member.may(way.right)))
        for group in GROUPS
    ]
    return [group for group in found if group.ways]


def group_of(section: str) -> Group | None:
    """The group that a page stands in."""
    return next((group for group in ways() if section in {way.section for way in group.ways}), None)


def init_app(app: Flask) -> None:
    """Makes the groups known to the desk's pages."""
    app.add_template_global(ways, "staff_ways")
    app.add_template_global(group_of, "staff_group")
