"""Every setting stands in the README, as the code declares it, and nothing stands there that is not a setting."""

from __future__ import annotations

import re
from pathlib import Path

from charter.settings import OUTSIDE_NAMES, SettingLine, registry_of_settings

README = Path(__file__).resolve().parents[2] / "README.md"
ROW = re.compile(r"^\| `(CHARTER_[A-Z_]+)` \| (.*?) \| (.*?) \| (.*) \|$", re.MULTILINE)


def test_the_table_of_the_readme_is_what_the_code_declares() -> None:
    rows = {row[0]: row[1:] for row in ROW.findall(README.read_text(encoding="utf-8"))}
    declared = {line.variable: (line.type, line.default, line.help) for line in registry_of_settings()}
    assert rows == declared


def test_no_text_names_a_setting_that_does_not_exist() -> None:
    known = {line.variable for line in registry_of_settings()} | OUTSIDE_NAMES
    for path in [README, *README.parent.glob("docs/**/*.md"), README.parent / "CONTRIBUTING.md"]:
        named = set(re.findall(r"\bCHARTER_[A-Z][A-Z_]+[A-Z]\b", path.read_text(encoding="utf-8")))
        assert named <= known, path.name


def test_every_setting_is_explained_in_a_sentence() -> None:
    for line in registry_of_settings():
        assert isinstance(line, SettingLine)
        assert line.help.endswith("."), line.name
        assert len(line.help) > 10, line.name
        assert line.default, line.name
