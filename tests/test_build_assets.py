"""What is built is complete, small, and the same bytes every time."""

from __future__ import annotations

import gettext
import os
import shutil
from pathlib import Path

import pytest
from fontTools.ttLib import TTFont

import build_assets

KAZAKH_ALPHABET = "АӘБВГҒДЕЁЖЗИЙКҚЛМНҢОӨПРСТУҰҮФХҺЦЧШЩЪЫІЬЭЮЯ"
KAZAKH = KAZAKH_ALPHABET + KAZAKH_ALPHABET.lower()
FOREIGN = "ČčĐđĞğŁłŃńŐőŘřŚśŞşŠšŻżŽž"
LIMIT_BYTES = 70_000

PO = """msgid ""
msgstr ""
"Content-Type: text/plain; charset=UTF-8\\n"
"Language: kk\\n"
"Plural-Forms: nplurals=2; plural=(n != 1);\\n"

msgid "Sign the Charter"
msgstr "Хартияға қол қою"

#, fuzzy
msgid "Registry"
msgstr "Тізбе"
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project folder with fonts built into it."""
    folder = tmp_path_factory.mktemp("project")
    lines = list(build_assets.build_fonts(folder))
    assert len(lines) == 4
    return folder


def letters_of(path: Path) -> set[str]:
    return {chr(code) for code in TTFont(path).getBestCmap()}


@pytest.mark.parametrize("face", ["onest", "source-serif-4"])
def test_fonts_hold_every_letter_of_the_three_languages(project: Path, face: str) -> None:
    fonts = project / "charter" / "static" / "fonts"
    base, more = letters_of(fonts / f"{face}.woff2"), letters_of(fonts / f"{face}-ext.woff2")
    assert set(KAZAKH + "ABCxyz0123456789«»–—·…№’“”←→✓") <= base
    assert set(FOREIGN) <= more
    assert not base & more - {" "}


@pytest.mark.parametrize("face", ["onest", "source-serif-4"])
def test_fonts_keep_the_two_weights_and_tabular_figures(project: Path, face: str) -> None:
    font = TTFont(project / "charter" / "static" / "fonts" / f"{face}.woff2")
    assert [(axis.axisTag, axis.minValue, axis.maxValue) for axis in font["fvar"].axes] == [("wght", 400, 600)]
    features = {record.FeatureTag for record in font["GSUB"].table.FeatureList.FeatureRecord}
    widths = {font["hmtx"][font.getBestCmap()[ord(digit)]][0] for digit in "0123456789"}
    assert "tnum" in features or len(widths) == 1


def test_what_every_page_loads_is_small(project: Path) -> None:
    fonts = project / "charter" / "static" / "fonts"
    sizes = [(fonts / f"{face.name}.woff2").stat().st_size for face in build_assets.FACES]
    assert sum(sizes) <= LIMIT_BYTES


def test_the_licence_lies_beside_each_font(project: Path) -> None:
    for face in build_assets.FACES:
        text = (project / "charter" / "static" / "fonts" / f"{face.name}-OFL.txt").read_text(encoding="utf-8")
        assert "SIL OPEN FONT LICENSE" in text


def test_fonts_are_built_again_only_when_missing_and_to_the_same_bytes(project: Path) -> None:
    fonts = project / "charter" / "static" / "fonts"
    assert list(build_assets.build_fonts(project)) == []
    before = {path.name: path.read_bytes() for path in fonts.iterdir()}
    (fonts / "onest-ext.woff2").unlink()
    assert len(list(build_assets.build_fonts(project))) == 2
    assert {path.name: path.read_bytes() for path in fonts.iterdir()} == before


def test_a_font_for_print_has_a_name_of_ours_its_licence_and_the_same_bytes_each_time(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(build_assets, "CUTS", [cut for cut in build_assets.CUTS if cut.file == "sans-semibold.ttf"])
    assert len(list(build_assets.build_print_fonts(tmp_path))) == 1
    assert list(build_assets.build_print_fonts(tmp_path)) == []
    folder = tmp_path / "charter" / "certificate" / "fonts"
    font = TTFont(folder / "sans-semibold.ttf")
    # The licence keeps the name for what is unchanged.
    names = {str(record) for record in font["name"].names}
    assert not [name for name in names if "Onest" in name]
    assert "Charter Sans" in names
    assert "fvar" not in font
    assert font["OS/2"].usWeightClass == 600
    assert set(KAZAKH + "№«»") <= letters_of(folder / "sans-semibold.ttf")
    assert "SIL OPEN FONT LICENSE" in (folder / "charter-sans-OFL.txt").read_text(encoding="utf-8")
    before = (folder / "sans-semibold.ttf").read_bytes()
    (folder / "sans-semibold.ttf").unlink()
    assert len(list(build_assets.build_print_fonts(tmp_path))) == 1
    assert (folder / "sans-semibold.ttf").read_bytes() == before


def test_without_the_font_packages_nothing_breaks(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(build_assets.importlib.util, "find_spec", lambda name: None)
    lines = list(build_assets.build_fonts(tmp_path))
    assert [line.split(":")[0] for line in lines] == ["Not built", "Not built"]
    assert all(line.startswith("Not built: ") for line in build_assets.build_print_fonts(tmp_path))


def test_translations_are_compiled_when_stale_and_without_guesses(tmp_path: Path) -> None:
    source = tmp_path / "kk" / "LC_MESSAGES" / "messages.po"
    source.parent.mkdir(parents=True)
    source.write_text(PO, encoding="utf-8")
    assert len(list(build_assets.build_translations(tmp_path))) == 1
    assert list(build_assets.build_translations(tmp_path)) == []
    target = source.with_suffix(".mo")
    first = target.read_bytes()
    with target.open("rb") as file:
        catalogue = gettext.GNUTranslations(file)
    assert catalogue.gettext("Sign the Charter") == "Хартияға қол қою"
    assert catalogue.gettext("Registry") == "Registry"
    os.utime(source, (target.stat().st_mtime + 5,) * 2)
    assert len(list(build_assets.build_translations(tmp_path))) == 1
    assert target.read_bytes() == first
    shutil.rmtree(source.parent)
    assert list(build_assets.build_translations(tmp_path)) == []
