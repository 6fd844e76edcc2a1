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
NO_FILE = (
    "There was no leaves file: the mirror alone told what happened after the backup. What was published after the"
    " mirror was made is not in it. If a later copy of either is left anywhere, stop and restore once more with it."
)
SHORT_MIRROR = "The mirror ends at {size} leaves: the leaves file or the backup itself knew more."
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
    lines += _source(leaves, facts)
    lines.append(f"Re-applied: {leaves.to_come} leaves" + _by_kind(survey) + ".")
    if survey.kept:
        lines.append(f"Of these, {survey.kept} kept the very line that the mirror had: receipts for it stay valid.")
    lines += _section(
        "Confirmed after the backup. They get a new personal link by mail; the salt of the application line they were"
        " shown is lost, so that the commitment in the log cannot be opened any more",
        survey.confirmed,
    )
    lines += _section(
        "Published after the backup. They stand under the same number with the details of the backup; the salt of their"
        " line is lost, so a correction with a fresh one is in the log",
        list(survey.published),
    )
    lines += _section(
        "Corrected after the backup. They stand with the details of the backup, also where somebody chose to be shown"
        " with less: look at each of them before you start the service",
        list(survey.corrected),
    )
    lines += _section(
        "Declined after the backup. Who decided, in which words, is lost; the log's reason is kept", survey.refused
    )
    waiting = [f"{one.entry}, an answer is due on {one.due}" for one in survey.lost.values() if one.number is None]
    numbered = [one for one in survey.lost.values() if one.number is not None]
    lines += _section("LOST, signed after the backup and waiting for an answer: they have to sign again", waiting)
    lines += _section(
        "Signed after the backup, published, and back in the registry from the mirror. Who they are beyond their line"
        " is lost: no link and no address leads to them any more, so they write to the Centre to correct or withdraw",
        [f"{entry}, number {number}" for entry, number in survey.unsigned.items()],
    )
    lines += _section(
        "LOST, signed and published after the backup: they have to sign again; their numbers are not given again",
        [f"{one.entry}, number {one.number}" for one in numbered if not one.is_over],
    )
    lines += _section(
        "Signed, published and ended after the backup. Their nameless lines are lost: their region stood nowhere else",
        [f"{one.entry}, number {one.number}" for one in numbered if one.is_over],
    )
    lines += _section(
        "Editions in the log that this instance has not: install the release that ships them", survey.missing_editions()
    )
    return "\n".join([*lines, ""])


def _source(leaves: Leaves, facts: Facts) -> list[str]:
    found = []
    if leaves.last is None:
        found.append(NO_FILE)
    else:
        if leaves.last.revision < facts.revision and not leaves.mirrored:
            found += ["", SHORT_LEAVES.format(revision=leaves.last.revision)]
        found.append(
            f"Read from the leaves file, up to batch {leaves.last.revision} of {format_time(leaves.last.at)}:"
            f" {leaves.last.tree_size} leaves."
        )
    if leaves.mirror is not None:
        found.append(f"Read from the mirror: {leaves.mirror.size} leaves, signed by the log's key.")
        if leaves.mirror.size < max(leaves.file_size, facts.tree_size):
            found.append(SHORT_MIRROR.format(size=leaves.mirror.size))
    return found


def _by_kind(survey: Survey) -> str:
    named = ", ".join(f"{count} {kind}" for kind, count in sorted(survey.kinds.items()))
    return f" ({named})" if named else ""


def _section(title: str, items: object) -> list[str]:
    found = [str(item) for item in items] if isinstance(items, list | tuple) else []
    return ["", f"{title} ({len(found)}):", *(f"  {item}" for item in found)] if found else []
