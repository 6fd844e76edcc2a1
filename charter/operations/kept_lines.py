"""Record lines that a mirror has kept: the public entry comes back from its line alone, under its own salt."""

from __future__ import annotations

from datetime import date
from typing import Any

from sqlalchemy import select

from charter.domain.hints import name_fold
from charter.domain.name import same_name_key
from charter.domain.signature import Display
from charter.models.affiliation import Affiliation, Region
from charter.models.base import db
from charter.models.edition import Edition
from charter.models.registry import PublicEntry
from charter.models.signature import Signature
from charter.tlog import canonical


def entry_of(line: bytes) -> PublicEntry | None:
    """The public record that this line is, not yet in the session.

    line: its SHA-256 has been compared with the log. None where this instance lacks the edition or the region.
    """
    record: dict[str, Any] = canonical.decode(line)
    if (
        db.session.scalar(select(Edition.slug).where(Edition.slug == record["charter"])) is None
        or db.session.scalar(select(Region.code).where(Region.code == record["region"])) is None
    ):
        return None
    return PublicEntry(
        number=record["number"],
        entry=record["entry"],
        rev=record["rev"],
        line=line,
        kind=record["kind"],
        display=record["display"],
        name=record.get("name"),
        region_code=record["region"],
        affiliation_slug=record.get("affiliation"),
        affiliation_name=record.get("affiliation_name"),
        edition_slug=record["charter"],
        signed_on=date.fromisoformat(record["signed"]),
    )


def bring_over(signature: Signature, row: PublicEntry) -> None:
    """Corrects a signature of the backup by what was published later, as far as the line tells.

    Else the next correction would publish what the signatory has had taken back, such as a name.
    """
    signature.kind = row.kind
    signature.display = row.display
    signature.region_code = row.region_code
    signature.edition_slug = row.edition_slug
    if row.display == Display.UNLISTED:
        return
    assert row.name is not None
    if row.display == Display.SHORT:
        signature.short_name = row.name
    else:
        signature.full_name = row.name
        signature.name_key = same_name_key(row.name)
        signature.name_fold = name_fold(row.name)
    affiliation = None
    if row.affiliation_slug is not None:
        affiliation = db.session.scalar(select(Affiliation.id).where(Affiliation.slug == row.affiliation_slug))
    signature.affiliation_id = affiliation
    signature.affiliation_text = row.affiliation_name if affiliation is None else None
