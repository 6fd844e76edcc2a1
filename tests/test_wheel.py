"""The wheel, installed in a clean environment, serves by itself: templates, translations, styles and fonts included."""

from __future__ import annotations

import re
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

from tests.service import ROOT, Service, clean_environment

pytestmark = pytest.mark.xdist_group("launch")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built as `pip wheel .` would, with the build tools that are here."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    (path,) = folder.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A new environment with the wheel; what the wheel requires is lent to it, so that nothing is downloaded."""
    folder = tmp_path_factory.mktemp("clean") / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True, timeout=120)
    python = folder / "bin" / "python"
    (packages,) = folder.glob("lib/python*/site-packages")
    (packages / "lent.pth").write_text(sysconfig.get_paths()["purelib"] + "\n", encoding="utf-8")
    pip = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet", "--no-deps", "--no-index"]
    subprocess.run([*pip, str(wheel)], check=True, timeout=120)
    return folder


def test_the_wheel_holds_all_that_is_served_and_nothing_else(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    source = {path.relative_to(ROOT).as_posix() for path in (ROOT / "charter").rglob("*") if path.is_file()}
    source |= {f"charter/{path.relative_to(ROOT).as_posix()}" for path in (ROOT / "templates").rglob("*.*")}
    expected = {name for name in source if "__pycache__" not in name}
    assert {name for name in names if ".dist-info/" not in name} == expected
    for name in ("charter/static/fonts/onest.woff2", "charter/translations/kk/LC_MESSAGES/messages.mo"):
        assert name in names


def test_the_installed_wheel_serves_in_kazakh_with_style_and_fonts(installed: Path, tmp_path: Path) -> None:
    environ = clean_environment(tmp_path)
    del environ["CHARTER_INSTANCE_PATH"]
    where = subprocess.run(
        [installed / "bin" / "python", "-c", "import charter; print(charter.__file__)"],
        cwd=tmp_path,
        env=environ,
        capture_output=True,
        text=True,
        check=True,
    )
    assert where.stdout.startswith(str(installed))
    instance = tmp_path / "instance"
    with Service(instance, command=(str(installed / "bin" / "charter"),), cwd=tmp_path) as service:
        status, page = service.get("/kk/")
        assert status == 200
        assert 'lang="kk"' in page
        assert "Хартияға қол қою" in page
        sheet = re.search(r'href="(/static/[^"]+\.css)"', page)
        assert sheet
        status, css = service.get(sheet[1])
        assert status == 200
        font = re.search(r'url\("?([^")]+\.woff2)', css)
        assert font
        assert service.get(sheet[1].rpartition("/")[0] + "/" + font[1])[0] == 200
        assert service.stop()[0] == 0
    assert (instance / "charter.db").exists()
