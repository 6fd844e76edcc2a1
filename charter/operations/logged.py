"""What the log says of an edition, whatever the database has of it."""

from __future__ import annotations

from sqlalchemy import func, select

from charter.models.base import db
from charter.models.log import LogLeaf
from charter.tlog import leaf


def logged_digests(slug: str) -> dict[str, str] | None:
    """language → digest of an edition's text; None without a leaf: a restore may bring one back, never a text."""
    start = b'{"charter":"' + slug.encode("ascii") + b'",'
    data = db.session.scalars(
        select(LogLeaf.data).where(func.substr(LogLeaf.data, 1, len(start)) == start).order_by(LogLeaf.index).limit(1)
    ).first()
    if data is None:
        return None
    files = leaf.decode(bytes(data))[1]["files"]
    return files if isinstance(files, dict) else None
