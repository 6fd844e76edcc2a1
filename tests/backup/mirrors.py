"""Mirrors of a log for tests: the files that LOG §2 names, made from a database and nothing else."""

from __future__ import annotations

import shutil
from pathlib import Path

from flask import Flask
from sqlalchemy import select

from charter.models import nodes
from charter.models.base import db
from charter.models.edition import EditionText
from charter.models.log import LogCheckpoint, LogLeaf
from charter.models.registry import PublicEntry
from charter.tlog import canonical, tiles


def mirror(app: Flask, folder: Path) -> Path:
    """The newest signed tree of `app`, its leaves and its record lines, in a fresh folder."""
    with app.app_context():
        return mirror_session(folder)


def mirror_session(folder: Path) -> Path:
    """The same, of what the session sees now, committed or not."""
    shutil.rmtree(folder, ignore_errors=True)
    newest = db.session.execute(
        select(LogCheckpoint.size, LogCheckpoint.note).order_by(LogCheckpoint.size.desc()).limit(1)
    ).one()
    query = select(LogLeaf.data).where(LogLeaf.index < newest.size).order_by(LogLeaf.index)
    leaves = [bytes(data) for data in db.session.scalars(query)]
    live = select(PublicEntry.line).where(PublicEntry.line.is_not(None)).order_by(PublicEntry.entry)
    lines = [bytes(line) for line in db.session.scalars(live)]
    _write(folder / "log/checkpoint", newest.note.encode())
    for tile in tiles.new_tiles(0, newest.size):
        first = tile.index * tiles.WIDTH
        if tile.level is None:
            content = tiles.bundle(leaves[first : first + tile.width])
        else:
            places = [(tile.level * tiles.HEIGHT, first + place) for place in range(tile.width)]
            found = nodes.read(db.session.connection(), places)
            content = b"".join(found.get(place, bytes(32)) for place in places)
        _write(folder / "log" / tile.path, content)
    head = canonical.encode({"checkpoint": newest.note, "kind": "registry", "records": len(lines), "v": 1})
    _write(folder / "log/registry.ndjson", b"".join(line + b"\n" for line in (head, *lines)))
    for row in db.session.execute(select(EditionText.edition_slug, EditionText.language, EditionText.body)):
        _write(folder / f"charter/{row.edition_slug}/{row.language}.txt", bytes(row.body))
    return folder


def _write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def replace_in(path: Path, old: bytes, new: bytes) -> None:
    """Changes bytes of a file, which must be there."""
    data = path.read_bytes()
    assert old in data
    path.write_bytes(data.replace(old, new))
