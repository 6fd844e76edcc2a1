"""All of deploy/: names that exist, no secret, nothing unpinned, and each file explained to operators."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest

from tests.deploy.files import DEPLOY, SETTINGS, all_files, images, names_in
from tests.service import ROOT

DOCS = ROOT / "docs"
SHELL = sorted(DEPLOY.rglob("*.sh"))


def test_every_name_with_our_prefix_is_a_setting() -> None:
    found = set()
    for path in all_files():
        names = names_in(path.read_text(encoding="utf-8"))
        assert names <= SETTINGS, path.relative_to(ROOT)
        found |= names
    assert len(found) > 15


def test_every_file_is_explained_in_the_documents_for_operators() -> None:
    text = (DOCS / "deploy.md").read_text(encoding="utf-8") + (DOCS / "operators.md").read_text(encoding="utf-8")
    for path in all_files():
        assert path.name in text or f"deploy/{path.parent.relative_to(DEPLOY).as_posix()}/" in text, path
    for named in re.findall(r"`(deploy/[^`*…<]+)`", text):
        assert (ROOT / named).exists(), named
    assert "deploy.md" in (DOCS / "operators.md").read_text(encoding="utf-8")


def test_the_document_names_only_settings_that_exist() -> None:
    assert names_in((DOCS / "deploy.md").read_text(encoding="utf-8")) <= SETTINGS


def test_no_image_floats() -> None:
    named = list(images())
    assert len(named) >= 10
    for path, image in named:
        assert re.search(r":(?!latest)[\w.${}:-]+$", image), (path.name, image)


def test_nothing_holds_a_secret_or_leads_to_a_registry_of_packages() -> None:
    secret = re.compile(
        r"(?im)^[^#\n]*(password|secret_key|passphrase|token)\w*[ \t]*[:=][ \t]*[\"']?(?![\"'$?\s-]|$)(\S+)"
    )
    for path in all_files():
        text = path.read_text(encoding="utf-8")
        for _, value in secret.findall(text):
            assert value in {"scram-sha-256", "false", "DATABASE_PASSWORD", "password';"}, (path.name, value)
        assert not re.search(r"(?i)index-url|find-links|trusted-host\b|\bpypi\b|\bnpm\b", text), path
        outside = re.findall(r"https?://(?!charter\.example\.org|127\.0\.0\.1)[a-z0-9]\S*", text)
        assert not outside or path.parent.name == "monitoring", (path, outside)


@pytest.mark.parametrize("path", SHELL, ids=lambda path: path.name)
def test_a_script_is_one_that_a_plain_shell_understands_and_stops_at_the_first_error(path: Path) -> None:
    subprocess.run(["sh", "-n", str(path)], check=True)
    text = path.read_text(encoding="utf-8")
    assert text.startswith("#!/bin/sh\n")
    assert "\nset -eu\n" in text


def test_what_is_json_is_json() -> None:
    for path in DEPLOY.rglob("*.json"):
        json.loads(path.read_text(encoding="utf-8"))
