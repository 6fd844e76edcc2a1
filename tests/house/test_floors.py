"""The floors hold: imports run downwards, and nothing reaches another machine or a package registry."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from benchmarks.processes import ABSENT, as_operators_have_it
from tests.house.sockets import OutsideSocketError

ROOT = Path(__file__).resolve().parents[2]


def test_imports_never_run_upwards() -> None:
    program = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run(
        [program, "--no-cache"],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    kept = re.search(r"Contracts: (\d+) kept, 0 broken", done.stdout)
    assert kept, done.stdout
    assert int(kept[1]) >= 4


def sources(folder: str) -> list[Path]:
    return sorted((ROOT / folder).rglob("*.py"))


def test_only_the_clock_asks_the_time() -> None:
    asks = re.compile(r"\b(datetime\.(now|utcnow|today)|date\.today|time\.time)\(")
    found = {
        path.relative_to(ROOT).as_posix()
        for path in sources("charter")
        if asks.search(path.read_text(encoding="utf-8")) and path.name != "clock.py"
    }
    # The age of a step of signing in, kept in the stranger's own cookie.
    assert found <= {"charter/web/staff/auth.py"}


def test_only_one_module_knows_each_outsider() -> None:
    owners = {
        r"^\s*(from|import) flask_babel": {"charter/i18n.py"},
        r"^\s*(from|import) flask_sqlalchemy": {"charter/models/base.py"},
        r"^\s*(from|import) flask_security": {
            "charter/web/staff/__init__.py",
            "charter/web/staff/auth.py",
            "charter/web/staff/factors.py",
        },
        r"^\s*(from|import) webauthn": {"charter/domain/authenticators.py"},
        r"\bsession\.commit\(": {"charter/operations/unit.py", "charter/web/staff/auth.py"},
        r"\bos\.environ\b": {"charter/settings/reading.py", "charter/launch.py", "charter/sockets.py"},
    }
    for pattern, allowed in owners.items():
        found = {
            path.relative_to(ROOT).as_posix()
            for path in sources("charter")
            if re.search(pattern, path.read_text(encoding="utf-8"), re.MULTILINE)
        }
        assert found, f"{pattern} matches nothing: this rule guards nothing"
        assert found <= allowed, pattern


def test_every_module_opens_with_one_sentence() -> None:
    for path in sources("charter"):
        if "migrations/versions" in path.as_posix():
            continue
        text = path.read_text(encoding="utf-8")
        assert text.startswith('"""'), path
        first = text[3:].partition("\n")[0].removesuffix('"""')
        assert first.rstrip(".…").strip(), path
        assert len(first) > 10, path


LOCKS = sorted((ROOT / "requirements").glob("*.txt"))


def test_locks_hold_hashes_and_no_address() -> None:
    assert {path.name for path in LOCKS} >= {"run.txt", "test.txt"}
    for path in LOCKS:
        text = path.read_text(encoding="utf-8")
        assert "://" not in text, path.name
        assert not re.search(r"--(index|extra-index|find-links|trusted-host)", text), path.name
        pins = re.findall(r"^[a-z0-9][a-z0-9._\[\]-]*==", text, re.MULTILINE)
        assert len(pins) > 20
        assert text.count("--hash=sha256:") >= len(pins)


def test_no_committed_text_names_a_package_registry_or_a_folder_of_one_machine() -> None:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout
    names = [name.decode() for name in listed.split(b"\0") if name]
    assert len(names) > 100
    wrong = re.compile(rb"index-url\s*=\s*http|/home/[a-z]+/|/root/\w")
    here = Path(__file__).relative_to(ROOT).as_posix()
    found = {
        name
        for name in names
        if name != here
        and (ROOT / name).is_file()
        and (ROOT / name).suffix not in {".png", ".woff2", ".jpg"}
        and wrong.search((ROOT / name).read_bytes())
    }
    assert found == set()


@pytest.mark.parametrize("host", ["192.0.2.1", "2001:db8::1", "::ffff:192.0.2.1", "0.0.0.0.example"])
def test_a_test_that_would_leave_this_machine_fails(host: str) -> None:
    with pytest.raises(OutsideSocketError):
        socket.create_connection((host, 25), timeout=0.1)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as bare, pytest.raises(OutsideSocketError):
        bare.connect((host, 25))
    with pytest.raises(OutsideSocketError):
        socket.getaddrinfo("example.org", 443)


def test_this_machine_itself_can_be_reached() -> None:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        with socket.create_connection(("localhost", server.getsockname()[1]), timeout=5):
            pass


#: What only some acts or commands use: imported where it is used, so that a process on its way up does not load it.
SELDOM = {
    *("alembic", "altcha", "confusable_homoglyphs", "flask_migrate", "flufl.bounce", "OpenSSL", "prometheus_client"),
    *("pyrage", "qrcode", "rapidfuzz", "segno", "typst", "webauthn", "xlsxwriter"),
}


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """What a process has loaded when it is ready."""
    folder = tmp_path_factory.mktemp("loaded")
    given = {"CHARTER_INSTANCE_PATH": str(folder), "CHARTER_DATABASE_URL": "", "PYTHONPATH": str(ROOT)}
    program = "import sys, charter.launch; charter.create_app(); print(*sys.modules)"
    return set(
        subprocess.run(
            [sys.executable, "-c", program],
            cwd=ROOT,
            env=as_operators_have_it(os.environ | given, folder),
            capture_output=True,
            text=True,
            check=True,
        ).stdout.split()
    )


def test_what_few_need_is_not_loaded_by_every_process(loaded: set[str]) -> None:
    assert "flask_security" in loaded
    assert not SELDOM & loaded


def test_what_is_weighed_is_what_operators_install(loaded: set[str]) -> None:
    lock = (ROOT / "requirements/run.txt").read_text(encoding="utf-8")
    installed = set(re.findall(r"^([a-z0-9-]+)==", lock, re.MULTILINE))
    found = {
        name.lower().replace("_", "-")
        for package, names in packages_distributions().items()
        if package in loaded
        for name in names
    }
    assert len(found & installed) > 20
    # The last: put there by whatever made the environment.
    assert found - installed <= {*ABSENT, "setuptools"}
