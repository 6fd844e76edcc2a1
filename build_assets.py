"""Builds what is served but not kept in git: compiled translations, and fonts cut down to the letters we use.

hatchling calls it for every wheel, editable ones too; dev.py calls it before it runs or tests anything. The service
also works without the results: texts are then English, and letters come from the reader's own fonts.
"""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Iterable
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

try:
    from hatchling.builders.hooks.plugin.interface import BuildHookInterface
except ImportError:  # dev.py run needs no build backend
    if not TYPE_CHECKING:
        BuildHookInterface = object

ROOT = Path(__file__).resolve().parent


class AssetsHook(BuildHookInterface):  # type: ignore[type-arg, misc, unused-ignore]
    """Runs before hatchling collects the files of a wheel."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if self.target_name == "wheel":
            build(Path(self.root))


def build(project: Path = ROOT) -> None:
    """Build what is missing or older than its source; say each thing that was built."""
    for line in [
        *build_translations(project / "charter" / "translations"),
        *build_fonts(project),
        *build_print_fonts(project),
    ]:
        print(line, flush=True)


# ── translations ─────────────────────────────────────────────────────────────────────────────────────────────────────


def build_translations(folder: Path) -> Iterable[str]:
    """Compile each .po into the .mo beside it; lines marked fuzzy are left out, so that English shows instead."""
    for source in sorted(folder.glob("*/LC_MESSAGES/*.po")):
        target = source.with_suffix(".mo")
        if _is_fresh(target, [source]):
            continue
        from babel.messages.mofile import write_mo  # late: nothing to compile, nothing to load
        from babel.messages.pofile import read_po

        with source.open("rb") as file:
            catalogue = read_po(file, locale=source.parent.parent.name, abort_invalid=True)
        content = BytesIO()
        write_mo(content, catalogue)
        _write(target, content.getvalue())
        yield f"Compiled {target.relative_to(folder)}"


# ── fonts ────────────────────────────────────────────────────────────────────────────────────────────────────────────


class Face(NamedTuple):
    """One font file to make. `axes`: a pinned number or a kept range for each axis of the source."""

    name: str
    package: str
    source: str
    axes: dict[str, float | tuple[float, float]]


KAZAKH = "ӘәҒғҚқҢңӨөҰұҮүҺһІі"
SIGNS = "–—…№’‘‚“”„←→↑↓✓₸−•"
# Every page needs these: ASCII, Latin-1, Russian, Kazakh, signs.
BASE = frozenset(
    [*range(0x20, 0x7F), *range(0xA0, 0x100), *range(0x410, 0x450), 0x401, 0x451, *map(ord, KAZAKH + SIGNS)]
)
# Names of observers from abroad (Š, ł, ğ …): a file of its own, which browsers fetch only where such a letter occurs.
MORE_LATIN = frozenset(range(0x100, 0x180))
PARTS = {"": BASE, "-ext": MORE_LATIN}

# One file with both weights is smaller than two files; `opsz` is pinned, for it doubles the size and shows little.
FACES = (
    Face("onest", "fontpkg_onest", "Onest[wght].ttf", {"wght": (400, 600)}),
    Face("source-serif-4", "fontpkg_source_serif_4", "SourceSerif4[opsz,wght].ttf", {"wght": (400, 600), "opsz": 20}),
)
FEATURES = ["ccmp", "kern", "liga", "lnum", "locl", "tnum"]


def build_fonts(project: Path) -> Iterable[str]:
    """Cut the fonts down to static/fonts/*.woff2, each with its licence beside it: the same bytes every time."""
    folder = project / "charter" / "static" / "fonts"
    for face in FACES:
        targets = {folder / f"{face.name}{suffix}.woff2": letters for suffix, letters in PARTS.items()}
        found = importlib.util.find_spec(face.package)
        if found is None or found.origin is None or not importlib.util.find_spec("fontTools"):
            if not all(target.exists() for target in targets):
                yield f"Not built: {face.name} (fonttools or {face.package} is not installed)"
            continue
        package = Path(found.origin).parent
        source = package / "files" / face.source
        if all(_is_fresh(target, [source, Path(__file__)]) for target in targets):
            continue
        for target, letters in targets.items():
            content = _cut(source, face.axes, letters)
            _write(target, content)
            yield f"Cut {target.name}: {len(content):,} bytes"
        _write(folder / f"{face.name}-OFL.txt", (package / "LICENSE").read_bytes())


# ── fonts for print ──────────────────────────────────────────────────────────────────────────────────────────────────


class Cut(NamedTuple):
    """One static font for the certificate. `family`: a name of our own, as the licence asks of what was changed."""

    file: str
    family: str
    package: str
    source: str
    axes: dict[str, float | tuple[float, float]]


# Of what names, affiliations and our words may be set in (certificate/letters.py), as much as these fonts have.
PRINTED = BASE.union(
    *(range(0xA0, 0x2B0), range(0x2BB, 0x2BD), range(0x300, 0x370), range(0x386, 0x3CF), range(0x400, 0x530)),
    *(range(0x1E00, 0x1F00), range(0x2010, 0x2028), range(0x2030, 0x203B), (0x20AC, 0x25A1)),
)
_SERIF = ("fontpkg_source_serif_4", "SourceSerif4[opsz,wght].ttf")
_ITALIC = ("fontpkg_source_serif_4", "SourceSerif4-Italic[opsz,wght].ttf")
_SANS = ("fontpkg_onest", "Onest[wght].ttf")
CUTS = (
    Cut("serif.ttf", "Charter Serif", *_SERIF, {"wght": 400, "opsz": 12}),
    Cut("serif-italic.ttf", "Charter Serif", *_ITALIC, {"wght": 400, "opsz": 12}),
    Cut("display.ttf", "Charter Display", *_SERIF, {"wght": 400, "opsz": 48}),
    Cut("sans.ttf", "Charter Sans", *_SANS, {"wght": 400}),
    Cut("sans-semibold.ttf", "Charter Sans", *_SANS, {"wght": 600}),
)
PRINT_FEATURES = [*FEATURES, "c2sc", "case", "lnum", "mark", "mkmk", "onum", "pnum", "smcp"]


def build_print_fonts(project: Path) -> Iterable[str]:
    """Cut charter/certificate/fonts/*.ttf, which Typst reads, each with its licence beside it."""
    folder = project / "charter" / "certificate" / "fonts"
    for cut in CUTS:
        target = folder / cut.file
        found = importlib.util.find_spec(cut.package)
        if found is None or found.origin is None or not importlib.util.find_spec("fontTools"):
            if not target.exists():
                yield f"Not built: {cut.file} (fonttools or {cut.package} is not installed)"
            continue
        package = Path(found.origin).parent
        source = package / "files" / cut.source
        if _is_fresh(target, [source, Path(__file__)]):
            continue
        content = _cut(source, cut.axes, PRINTED, family=cut.family)
        _write(target, content)
        _write(folder / f"{cut.family.lower().replace(' ', '-')}-OFL.txt", (package / "LICENSE").read_bytes())
        yield f"Cut {target.name}: {len(content):,} bytes"


def _cut(
    source: Path,
    axes: dict[str, float | tuple[float, float]],
    letters: frozenset[int],
    *,
    family: str = "",
) -> bytes:
    """A web font, or with a family's name a font that is installed by it."""
    from fontTools.subset import Options, Subsetter  # late: heavy, and seldom needed
    from fontTools.ttLib import TTFont
    from fontTools.varLib.instancer import instantiateVariableFont

    font = TTFont(source, recalcTimestamp=False)
    features = PRINT_FEATURES if family else FEATURES
    options = Options(layout_features=features, hinting=False, name_IDs=[], notdef_outline=True)
    subsetter = Subsetter(options)
    subsetter.populate(unicodes=letters)
    subsetter.subset(font)
    # After the cut: the thousand glyphs that go need no interpolating.
    instantiateVariableFont(font, axes, inplace=True)
    if family:
        style = "Italic" if font["post"].italicAngle else "Regular"
        for place, words in ((1, family), (2, style), (4, f"{family} {style}"), (6, family.replace(" ", ""))):
            font["name"].setName(words, place, 3, 1, 0x409)
    else:
        font.flavor = "woff2"
    content = BytesIO()
    font.save(content)
    return content.getvalue()


# ── files ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def _is_fresh(target: Path, sources: Iterable[Path]) -> bool:
    try:
        made_at = target.stat().st_mtime_ns
    except FileNotFoundError:
        return False
    return all(source.stat().st_mtime_ns <= made_at for source in sources)


def _write(target: Path, content: bytes) -> None:
    """Whole or not at all: a page may be asking for the file meanwhile."""
    target.parent.mkdir(parents=True, exist_ok=True)
    draft = target.with_name(f".{target.name}.{os.getpid()}")
    draft.write_bytes(content)
    draft.replace(target)


if __name__ == "__main__":
    try:
        build()
    except OSError as error:
        sys.exit(f"{error.filename} cannot be written: {error.strerror}.")
