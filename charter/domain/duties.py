"""Who at the Centre may do what: roles, rights, and the acts that need a second person. The one table of all three."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum


class Role(StrEnum):
    """What an account is for. Everybody has exactly one."""

    REVIEWER = "reviewer"  # decides on applications, perhaps of some regions only
    EDITOR = "editor"  # keeps editions, affiliations and regions
    ADMINISTRATOR = "administrator"  # everything, and the team
    AUDITOR = "auditor"  # reads everything, changes nothing


class Right(StrEnum):
    """What a page or an act asks for. A page that names none opens for nobody."""

    READ = "read"  # queue, dossiers, what was set aside, mail
    REVIEW = "review"  # decide, ask, release; corrections, objections, letters, mailboxes, names
    BULK = "bulk"  # decisions over a selection
    INVALIDATE = "invalidate"  # sweeps over conditions
    IMPORT = "import"
    AFFILIATIONS = "affiliations"  # parties, organisations, missions and regions
    EDITIONS = "editions"
    REVOKE = "revoke"  # propose to end a published entry
    EXPORT = "export"  # propose to export personal data, and fetch it
    SETTINGS = "settings"  # of the Centre
    TEAM = "team"  # invitations, sessions, roles
    AUDIT = "audit"  # search and export what staff did
    FIGURES = "figures"
    PROPOSALS = "proposals"  # see what waits for a second person


_EVERYBODY = frozenset({Right.READ, Right.FIGURES, Right.PROPOSALS})

RIGHTS: Mapping[Role, frozenset[Right]] = {
    Role.REVIEWER: _EVERYBODY | {Right.REVIEW, Right.BULK, Right.INVALIDATE, Right.IMPORT, Right.REVOKE},
    Role.EDITOR: _EVERYBODY | {Right.AFFILIATIONS, Right.EDITIONS},
    Role.ADMINISTRATOR: frozenset(Right),
    Role.AUDITOR: _EVERYBODY | {Right.AUDIT},
}

#: A session that gave both factors so long ago gives the second one again before an act of these.
FRESH = frozenset({Right.EXPORT, Right.TEAM, Right.EDITIONS, Right.REVOKE})


class Second(StrEnum):
    """What one person may not do alone."""

    REVOKE = "revoke"  # end a published entry
    EDITION = "edition"  # publish an edition
    INVALIDATION = "invalidation"  # a sweep over more than ALONE signatures, or over published ones
    EXPORT = "export"  # personal data leaves the service
    ROLE = "role"  # an account gets another role or other regions


#: Who may propose → who of the others may approve.
PROPOSING: Mapping[Second, Right] = {
    Second.REVOKE: Right.REVOKE,
    Second.EDITION: Right.EDITIONS,
    Second.INVALIDATION: Right.INVALIDATE,
    Second.EXPORT: Right.EXPORT,
    Second.ROLE: Right.TEAM,
}
APPROVING: Mapping[Second, frozenset[Role]] = {
    Second.REVOKE: frozenset({Role.ADMINISTRATOR}),
    Second.EDITION: frozenset({Role.ADMINISTRATOR, Role.EDITOR}),
    Second.INVALIDATION: frozenset({Role.ADMINISTRATOR}),
    Second.EXPORT: frozenset({Role.ADMINISTRATOR}),
    Second.ROLE: frozenset({Role.ADMINISTRATOR}),
}
#: A sweep over so many is one person's affair.
ALONE = 20
#: Until so many administrators are active, one is enough to change a role, and the command line may make another.
ADMINISTRATORS = 2
#: A proposal that nobody decided on lapses.
PROPOSAL_DAYS = 7


def may(role: str, right: Right) -> bool:
    """Whether an account of this role has the right; a role nobody knows has none."""
    return right in RIGHTS.get(Role(role), frozenset()) if role in set(Role) else False


def may_approve(role: str, second: Second) -> bool:
    """Whether an account of this role may be the second person."""
    return role in APPROVING[second]
