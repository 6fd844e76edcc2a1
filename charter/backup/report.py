"""What a restore tells its operator: what is back, as of when, and what is not; entries, numbers and days only."""

from __future__ import annotations

from charter.backup.folder import Manifest
from charter.backup.replaying import Leaves
from charter.queries.recovery import Facts, Survey
from charter.tlog.leaf import format_time

NO_LEAVES = (
    "THERE WAS NO LEAVES FILE. Nothing that happened after the backup is re-applied: whoever withdrew since then stands"
    " in the registry again, published numbers may be given a second time, and anybody who kept the later log can show"
    " that ours differs. Stop here if a copy of leaves.log is left anywhere: put it into the folder of backups, empty"
    " the database and restore once more."
)
SHORT_LEAVES = (
    "THE LEAVES FILE ENDS BEFORE THE BACKUP, at batch {revision}: what happened after the backup is not in it. Look for"
    " a later copy before you start the service."
)


def compose(
    *, name: str, manifest: Manifest | None, facts: Facts, schema: str, leaves: Leaves | None, survey: Survey | None
) -> str:
    """The whole report as text."""
    made_at = manifest.created_at if manifest is not None else "a time that no manifest tells"
    lines = [
        f"Restored from {name}, made at {made_at}: {facts.counts['signatures']} signatures,"
        f" {facts.counts['entries']} registry entries, batch {facts.revision}, {facts.tree_size} leaves.",
        f"Database schema: {facts.schema}, now {schema}.",
        "All staff sessions were ended: everybody signs in anew.",
    ]
    if leaves is None or survey is None:
        return "\n".join([*lines, "", NO_LEAVES, ""])
    if leaves.last.revision < facts.revision:
        lines += ["", SHORT_LEAVES.format(revision=leaves.last.revision)]
    lines.append(
        f"Re-applied from the leaves file, up to batch {leaves.last.revision} of {format_time(leaves.last.at)}:"
        f" {leaves.to_come} leaves" + _by_kind(survey) + "."
    )
    lines += _section(
        "Confirmed after the backup. They get a new personal link by mail; the salt of the application line they were"
        " shown is lost, so that the commitment in the log cannot be opened any more",
        survey.confirmed,
    )
    lines += _section(
        "Published after the backup. They stand under the same number with the details of the backup; the salt of their"
        " line is lost, so a correction with a fresh one is in the log",
        survey.published,
    )
    lines += _section(
        "Declined after the backup. Who decided, in which words, is lost; the log's reason is kept", survey.refused
    )
    waiting = [f"{one.entry}, an answer is due on {one.due}" for one in survey.lost.values() if one.number is None]
    numbered = [f"{one.entry}, number {one.number}" for one in survey.lost.values() if one.number is not None]
    lines += _section("LOST, signed after the backup and waiting for an answer: they have to sign again", waiting)
    lines += _section(
        "LOST, signed and published after the backup: they have to sign again; their numbers are not given again",
        numbered,
    )
    lines += _section(
        "Editions in the log that this instance has not: install the release that ships them", survey.missing_editions()
    )
    return "\n".join([*lines, ""])


def _by_kind(survey: Survey) -> str:
    named = ", ".join(f"{count} {kind}" for kind, count in sorted(survey.kinds.items()))
    return f" ({named})" if named else ""


def _section(title: str, items: object) -> list[str]:
    found = [str(item) for item in items] if isinstance(items, list | tuple) else []
    return ["", f"{title} ({len(found)}):", *(f"  {item}" for item in found)] if found else []
