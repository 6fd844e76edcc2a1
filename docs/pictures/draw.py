"""Draws the Open Graph pictures: `python docs/pictures/draw.py`, with Debian's Chromium and fonts that are built.

Writes `charter/static/og/<language>.png`. To be run again after `open-graph.svg` or a word below has changed.
"""

from __future__ import annotations

import os
import struct
import subprocess
import sys
import tempfile
import zlib
from collections import Counter
from pathlib import Path

HERE = Path(__file__).resolve().parent
STATIC = HERE.parents[1] / "charter" / "static"
WIDTH, HEIGHT = 1200, 630
MOST_BYTES = 60 * 1000
#: language → lines of the title, and what it is
WORDS = {
    "kk": (("Сайлаудағы әділ", "және адал байқау", "туралы хартия"), "Байқаушылар қол қояды, тізілім бәріне ашық"),
    "ru": (
        ("Хартия", "о беспристрастном", "и честном наблюдении", "на выборах"),
        "Подписывают наблюдатели, реестр открыт всем",
    ),
    "en": (
        ("Charter of", "Impartial and Honest", "Election Observation"),
        "Signed by observers, in a registry open to all",
    ),
}
#: Pixels: the middle of the title, and from line to line.
MIDDLE, LINE = 290, 72


def main() -> int:
    """Exit code 1 if a picture is too large."""
    target = STATIC / "og"
    target.mkdir(exist_ok=True)
    source = (HERE / "open-graph.svg").read_text(encoding="utf-8").replace("FONTS", (STATIC / "fonts").as_uri())
    code = 0
    for language, (lines, note) in WORDS.items():
        first = MIDDLE - LINE * (len(lines) - 1) // 2 + LINE // 4
        title = "".join(f'<text x="120" y="{first + at * LINE}">{line}</text>' for at, line in enumerate(lines))
        picture = _few_colours(_screenshot(source.replace("TITLE", title).replace("NOTE", note)))
        (target / f"{language}.png").write_bytes(picture)
        print(f"{language}: {len(picture)} bytes")
        code |= len(picture) > MOST_BYTES
    return code


def _screenshot(svg: str) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        page, picture = Path(folder) / "page.html", Path(folder) / "picture.png"
        page.write_text(f"<!doctype html><meta charset=utf-8><style>body{{margin:0}}</style>{svg}", encoding="utf-8")
        command = ["chromium", "--headless", "--disable-gpu", "--hide-scrollbars", "--allow-file-access-from-files"]
        command += ["--force-device-scale-factor=1", "--virtual-time-budget=2000", f"--window-size={WIDTH},{HEIGHT}"]
        command += ["--no-sandbox"] if os.geteuid() == 0 else []
        subprocess.run(  # noqa: S603 - our own words
            [*command, f"--screenshot={picture}", page.as_uri()], check=True, capture_output=True
        )
        return picture.read_bytes()


def _few_colours(png: bytes) -> bytes:
    """The same picture with a palette: three inks on paper have no more than a few hundred shades between them."""
    pixels = _pixels(png)
    counted = Counter(pixels)
    palette = [colour for colour, _ in counted.most_common(256)]
    place = {colour: at for at, colour in enumerate(palette)}
    for colour in counted:
        if colour not in place:
            nearest = min(palette, key=lambda one: sum((a - b) ** 2 for a, b in zip(one, colour, strict=True)))
            place[colour] = place[nearest]
    rows = bytearray()
    for y in range(HEIGHT):
        rows.append(0)
        rows += bytes(place[one] for one in pixels[y * WIDTH : (y + 1) * WIDTH])
    header = struct.pack(">IIBBBBB", WIDTH, HEIGHT, 8, 3, 0, 0, 0)
    return b"".join(
        (
            b"\x89PNG\r\n\x1a\n",
            _chunk(b"IHDR", header),
            _chunk(b"PLTE", b"".join(bytes(one) for one in palette)),
            _chunk(b"IDAT", zlib.compress(bytes(rows), 9)),
            _chunk(b"IEND", b""),
        )
    )


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _pixels(png: bytes) -> list[tuple[int, int, int]]:
    """Red, green and blue of each pixel of an 8-bit RGB or RGBA picture (PNG, §9: filters)."""
    at, data, size = 8, b"", 0
    while at < len(png):
        (length,), kind = struct.unpack(">I", png[at : at + 4]), png[at + 4 : at + 8]
        body = png[at + 8 : at + 8 + length]
        if kind == b"IHDR":
            size = {2: 3, 6: 4}[body[9]]
        elif kind == b"IDAT":
            data += body
        at += 12 + length
    raw, stride = zlib.decompress(data), WIDTH * size
    before, found = bytearray(stride), []
    for y in range(HEIGHT):
        start = y * (stride + 1)
        how, row = raw[start], bytearray(raw[start + 1 : start + 1 + stride])
        for x in range(stride):
            left = row[x - size] if x >= size else 0
            corner = before[x - size] if x >= size else 0
            row[x] = (row[x] + _predicted(how, left, before[x], corner)) & 255
        found += [(row[x], row[x + 1], row[x + 2]) for x in range(0, stride, size)]
        before = row
    return found


def _predicted(how: int, left: int, above: int, corner: int) -> int:
    if how < 4:
        return (0, left, above, (left + above) // 2)[how]
    guess = left + above - corner
    return min((abs(guess - left), 0, left), (abs(guess - above), 1, above), (abs(guess - corner), 2, corner))[2]


if __name__ == "__main__":
    sys.exit(main())
