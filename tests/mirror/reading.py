"""Reads a mirror as its visitors do: every page, every link, every byte."""

from __future__ import annotations

import re
import zipfile
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import unquote, urlsplit

from flask import Flask

from charter.mirror import making
from charter.mirror.folder import OWN
from charter.mirror.making import ABOUT, Made

_LINK = re.compile(r'\s(?:href|src|data|action)="([^"]*)"')
_ID = re.compile(r'\sid="([^"]+)"')


def mirror(app: Flask, folder: Path, **options: object) -> Made:
    """One run, at the present moment."""
    return making.make(app, folder, now=datetime.now(UTC), **options)  # type: ignore[arg-type]


@dataclass(frozen=True)
class Link:
    """An address as it stands in a page, and the page."""

    page: str
    address: str


def files(folder: Path) -> dict[str, bytes]:
    """Everything a visitor may get, by its path."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and OWN not in path.parts
    }


def changed(before: dict[str, bytes], after: dict[str, bytes]) -> set[str]:
    """What was written, changed or removed in between; the mirror's word about itself is in every run."""
    return {place for place in before.keys() | after.keys() if before.get(place) != after.get(place)} - {ABOUT}


def different(one: dict[str, bytes], other: dict[str, bytes]) -> set[str]:
    """In what two mirrors differ; a workbook is never packed into the same bytes twice."""
    return changed(one, other) - {"registry.xlsx"} | (one.keys() ^ other.keys())


def every_byte(folder: Path) -> bytes:
    """All files one after the other, with those that are not for visitors, and what is packed in them."""
    found = []
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            found.append(path.read_bytes())
        if path.suffix == ".xlsx":
            with zipfile.ZipFile(path) as packed:
                found += [packed.read(name) for name in packed.namelist()]
    return b"\0".join(found)


def links(found: dict[str, bytes]) -> list[Link]:
    """Every link of every page."""
    return [
        Link(place, address.replace("&amp;", "&"))
        for place, content in found.items()
        if place.endswith(".html")
        for address in _LINK.findall(content.decode())
    ]


def broken(found: dict[str, bytes], *, service: str) -> list[str]:
    """Links that lead nowhere on the mirror, or that no file could answer."""
    wrong = []
    ids = {place: set(_ID.findall(content.decode())) for place, content in found.items() if place.endswith(".html")}
    for link in links(found):
        address = urlsplit(link.address)
        if address.scheme in {"data", "mailto"} or link.address.startswith(service + "/"):
            continue
        path = unquote(address.path)
        place = link.page if not path else path.lstrip("/") + ("index.html" if path.endswith("/") else "")
        is_here = not address.scheme and not address.netloc and (not path or path.startswith("/"))
        if not is_here or address.query or place not in found:
            wrong.append(f"{link.page}: {link.address}")
        elif address.fragment and address.fragment not in ids[place]:
            wrong.append(f"{link.page}: {link.address} (no such place on that page)")
    return wrong
