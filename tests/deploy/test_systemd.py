"""The units: systemd itself reads and rates them. How two services share one socket is tried in test_proxy.py."""

from __future__ import annotations

import configparser
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.deploy.files import DEPLOY, SETTINGS, names_in, tool

FOLDER = DEPLOY / "systemd"
UNITS = sorted(path for path in FOLDER.iterdir() if path.suffix in {".service", ".socket", ".timer", ".target"})
SERVICES = [path for path in UNITS if path.suffix == ".service"]


def read(path: Path) -> dict[str, list[tuple[str, str]]]:
    """Sections of a unit with their lines; a name may come twice."""
    found: dict[str, list[tuple[str, str]]] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.startswith("["):
            section = found.setdefault(line.strip("[]"), [])
        elif line and not line.startswith("#"):
            name, _, value = line.partition("=")
            section.append((name, value))
    return found


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A machine on which the service is installed, as far as systemd looks."""
    units = tmp_path / "etc" / "systemd" / "system"
    programs = tmp_path / "opt" / "charter" / "current" / "bin"
    for folder in (units, programs):
        folder.mkdir(parents=True)
    for path in UNITS:
        shutil.copy(path, units)
    for name in ("charter", "flask"):
        (programs / name).write_text("#!/bin/sh\n")
        (programs / name).chmod(0o755)
    return tmp_path


def test_systemd_finds_nothing_wrong_with_the_units(root: Path) -> None:
    analyze = tool("systemd-analyze", "systemd")
    names = [path.name.replace("@.", "@1.") for path in UNITS]
    command = [analyze, "verify", f"--root={root}", "--recursive-errors=no", *names]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")
    broken = root / "etc" / "systemd" / "system" / "charter-worker.service"
    broken.write_text(broken.read_text().replace("Type=notify", "Typo=notify"))
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert "Typo" in done.stderr, "this test would notice"


@pytest.mark.parametrize("path", SERVICES, ids=lambda path: path.name)
def test_a_service_is_exposed_by_less_than_two_of_ten(path: Path) -> None:
    analyze = tool("systemd-analyze", "systemd")
    command = [analyze, "security", "--offline=yes", "--threshold=20", "--no-pager", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    found = re.search(r"exposure level for \S+: (\d+\.\d+)", done.stdout)
    assert found, done.stdout + done.stderr
    assert float(found[1]) < 2.0
    assert done.returncode == 0


@pytest.mark.parametrize("path", SERVICES, ids=lambda path: path.name)
def test_a_service_has_its_limits_and_one_folder_to_write_to(path: Path) -> None:
    lines = read(path)["Service"]
    values = dict(lines)
    assert values["User"] == "charter"
    assert values["ProtectSystem"] == "strict"
    assert values["NoNewPrivileges"] == "yes"
    assert values["UMask"] == "0077"
    assert {"MemoryMax", "TasksMax", "SystemCallFilter"} <= set(values)
    assert values["StateDirectory"].split()[0] == "charter"
    assert "ReadWritePaths" not in values
    if values["Type"] != "oneshot":
        assert values["Restart"] == "always"
        assert int(values["TimeoutStopSec"]) >= 15
        assert (values["Type"], values["NotifyAccess"]) == ("notify", "main")
    assert values["ExecStart"].startswith("/opt/charter/current/bin/")


def test_the_address_past_the_pooler_wins_over_the_common_one() -> None:
    """systemd, EnvironmentFile=: later files override earlier ones."""
    for name in ("charter-migrate", "charter-backup"):
        files = [value for key, value in read(FOLDER / f"{name}.service")["Service"] if key == "EnvironmentFile"]
        assert files == ["/etc/charter/charter.env", "-/etc/charter/direct.env"]


def test_the_schema_comes_before_web_and_worker() -> None:
    for name in ("charter-web@", "charter-worker"):
        unit = dict(read(FOLDER / f"{name}.service")["Unit"])
        assert "charter-migrate.service" in unit["After"].split()
    target = dict(read(FOLDER / "charter.target")["Unit"])["Wants"].split()
    assert {"charter-web@1.service", "charter-web@2.service", "charter-worker.service", "charter-web.socket"} <= set(
        target
    )
    timer = dict(read(FOLDER / "charter-backup.timer")["Timer"])
    assert timer["Persistent"] == "true"


def test_the_example_of_settings_names_settings() -> None:
    text = (FOLDER / "charter.env.example").read_text(encoding="utf-8")
    parser = configparser.ConfigParser(interpolation=None)
    parser.read_string("[all]\n" + text)
    assert names_in(text) <= SETTINGS
    assert not parser["all"]["charter_secret_key"]
    assert "PASSWORD@" in parser["all"]["charter_database_url"]


# ── going over to another version ────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    """A folder where `update.sh` installs, with a systemctl and a python3 that only write down what they were asked."""
    programs = tmp_path / "programs"
    programs.mkdir()
    pretended = {
        "systemctl": 'echo "$*" >> "$INSTALL_FOLDER/calls"; [ "$2" != "${FAILS:-}" ]',
        "python3": 'mkdir -p "$3/bin"; for p in pip python charter; do cp /bin/true "$3/bin/$p"; done',
    }
    for name, does in pretended.items():
        (programs / name).write_text(f"#!/bin/sh\n{does}\n")
        (programs / name).chmod(0o755)
    return tmp_path


def update(machine: Path, *arguments: str, fails: str = "") -> tuple[int, list[str], str]:
    """Exit code, what systemctl was asked, and the version that is in use now."""
    (machine / "calls").unlink(missing_ok=True)
    environ = {"PATH": f"{machine / 'programs'}:{os.environ['PATH']}", "INSTALL_FOLDER": str(machine), "FAILS": fails}
    done = subprocess.run(["sh", FOLDER / "update.sh", *arguments], env=environ, capture_output=True, check=False)
    calls = (machine / "calls").read_text().splitlines() if (machine / "calls").exists() else []
    return done.returncode, calls, (machine / "current").resolve().name


def old_version(machine: Path, name: str = "old") -> None:
    (machine / "releases" / name / "bin").mkdir(parents=True)
    shutil.copy("/bin/true", machine / "releases" / name / "bin" / "charter")
    (machine / "current").symlink_to(machine / "releases" / name)


def test_an_update_migrates_and_then_replaces_one_process_after_the_other(machine: Path) -> None:
    old_version(machine)
    code, calls, new = update(machine, "charter.whl", "run.txt")
    assert code == 0
    assert new != "old"
    assert calls == [
        "restart charter-migrate.service",
        "start charter-web.socket",
        "restart charter-web@1.service",
        "restart charter-web@2.service",
        "restart charter-worker.service",
    ]
    code, calls, back = update(machine, "--back")
    assert (code, back) == (0, "old")
    assert "restart charter-migrate.service" not in calls
    assert update(machine, "--back")[2] == new, "and forth again"


def test_a_migration_that_fails_changes_nothing_and_one_process_that_fails_stops_the_rest(machine: Path) -> None:
    old_version(machine)
    code, calls, version = update(machine, "charter.whl", "run.txt", fails="charter-migrate.service")
    assert (code, calls, version) == (1, ["restart charter-migrate.service"], "old")
    code, calls, version = update(machine, "charter.whl", "run.txt", fails="charter-web@1.service")
    assert code != 0
    assert calls[-1] == "restart charter-web@1.service", "the other one still runs the version before"
    assert update(machine, "--back")[2] == "old"
