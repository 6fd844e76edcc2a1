"""dev.py needs nothing but Python, does work only once, and says in one sentence what is wrong."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import dev

ROOT = Path(dev.__file__).parent
SOURCE = (ROOT / "dev.py").read_text(encoding="utf-8")


def call(*arguments: str, environ: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """dev.py as somebody at a keyboard starts it."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("CHARTER_", "PYTHON"))}
    return subprocess.run(
        [sys.executable, str(ROOT / "dev.py"), *arguments],
        env=environment | (environ or {}),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_it_imports_the_standard_library_only() -> None:
    imported = set()
    for node in ast.walk(ast.parse(SOURCE)):
        if isinstance(node, ast.Import):
            imported |= {name.name.split(".")[0] for name in node.names}
        elif isinstance(node, ast.ImportFrom):
            imported.add((node.module or "").split(".")[0])
    assert imported <= sys.stdlib_module_names


def test_an_older_python_gets_a_sentence_and_no_syntax_error() -> None:
    ast.parse(SOURCE, feature_version=(3, 8))
    path = str(ROOT / "dev.py")
    pretend = f"import sys; sys.version_info = (3, 9, 2); exec(compile(open({path!r}).read(), 'dev.py', 'exec'))"
    done = subprocess.run([sys.executable, "-c", pretend], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("Python 3.11 or newer is needed, this is 3.9.")
    assert len(done.stderr.splitlines()) == 1


def test_help_lists_every_command() -> None:
    done = call()
    assert done.returncode == 0
    for command in ("run", "test", "check", "bench", "lock"):
        assert f"dev.py {command}" in done.stdout
    assert call("nonsense").returncode == 2


@pytest.mark.parametrize("arguments", [("--port", "0"), ("--port", "x"), ("--demo", "-1"), ("--what",)])
def test_run_refuses_wrong_arguments_before_anything_else(arguments: tuple[str, ...], tmp_path: Path) -> None:
    done = call("run", *arguments, environ={"CHARTER_VENV": str(tmp_path / "venv")})
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "venv").exists()


def test_bench_hands_its_arguments_on(monkeypatch: pytest.MonkeyPatch) -> None:
    called: list[tuple[str, ...]] = []

    def pretend(*command: str) -> int:
        called.append(command)
        return 1

    monkeypatch.setattr(dev, "prepare", lambda purpose: called.append((purpose,)))
    monkeypatch.setattr(dev, "tool", pretend)
    assert dev.bench(["sign", "--quick"]) == 1
    assert called == [("test",), ("-m", "benchmarks", "sign", "--quick")]


def test_a_missing_venv_module_gets_a_sentence(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(dev, "VENV", tmp_path / "venv")
    monkeypatch.setattr(dev, "PYTHON", tmp_path / "venv/bin/python")
    monkeypatch.setattr(dev, "find_uv", lambda: None)
    monkeypatch.setattr(dev.importlib.util, "find_spec", lambda name: None if name == "ensurepip" else object())
    with pytest.raises(dev.Failure, match="apt install python3-venv"):
        dev.ensure_environment()


def test_a_folder_that_cannot_be_made_gets_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = call("run", environ={"CHARTER_VENV": str(tmp_path / "file" / "venv")})
    assert done.returncode == 1
    assert done.stderr == f"{tmp_path}/file/venv cannot be made: Not a directory.\n"


def test_a_folder_with_other_things_in_it_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("mine")
    done = call("run", environ={"CHARTER_VENV": str(tmp_path)})
    assert done.returncode == 1
    assert "is not a Python environment" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["letter.txt"]


def test_a_failed_download_gets_a_sentence_and_is_tried_again(tmp_path: Path) -> None:
    nothing = {
        "CHARTER_VENV": str(tmp_path / "venv"),
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_NO_INDEX": "1",
        "PIP_FIND_LINKS": str(tmp_path),
        "UV_NO_INDEX": "1",
        "UV_OFFLINE": "1",
        "UV_NO_CACHE": "1",
    }
    for _ in range(2):
        done = call("run", environ=nothing)
        assert done.returncode == 1
        assert "could not be installed" in done.stderr.splitlines()[-1]
        assert "Traceback" not in done.stderr


def test_requirements_are_installed_once_for_each_lock(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    calls: list[list[str]] = []

    def pretend(command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        calls.append(command)
        return subprocess.CompletedProcess(command, 0)

    locks = tmp_path / "requirements"
    locks.mkdir()
    for name in ("run", "test"):
        (locks / f"{name}.txt").write_text(f"{name}==1\n")
    monkeypatch.setattr(dev, "VENV", tmp_path)
    monkeypatch.setattr(dev, "REQUIREMENTS", locks)
    monkeypatch.setattr(dev, "find_uv", lambda: None)
    monkeypatch.setattr(dev.subprocess, "run", pretend)
    for _ in range(3):
        dev.ensure_requirements("run")
    assert len(calls) == 1
    assert "--require-hashes" in calls[0]
    for _ in range(3):
        dev.ensure_requirements("test")
        dev.ensure_requirements("run")
    assert len(calls) == 2
    (locks / "test.txt").write_text("test==2\n")
    dev.ensure_requirements("run")
    assert len(calls) == 2
    dev.ensure_requirements("test")
    assert len(calls) == 3
    (locks / "run.txt").write_text("run==2\n")
    (tmp_path / "charter-test.stamp").unlink()
    dev.ensure_requirements("run")
    assert len(calls) == 4


def test_a_lock_that_would_hold_an_address_is_not_written(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def pretend(command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        target = Path(command[command.index("--output-file") + 1])
        target.write_text("--find-links /somewhere\nflask==3.1.3\n")
        return subprocess.CompletedProcess(command, 0)

    monkeypatch.setattr(dev, "REQUIREMENTS", tmp_path)
    monkeypatch.setattr(dev, "find_uv", lambda: "uv")
    monkeypatch.setattr(dev.subprocess, "run", pretend)
    with pytest.raises(dev.Failure, match="would hold an address"):
        dev.lock([])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["run.txt", "test.txt"])
def test_locks_pin_and_hash_everything_and_name_no_registry(name: str) -> None:
    content = (ROOT / "requirements" / name).read_text(encoding="utf-8")
    assert "://" not in content
    assert not re.search(r"^\s*--(?!hash)", content.replace("    --hash", "    --hash"), re.MULTILINE)
    entries = re.split(r"\n(?=[a-z0-9])", content.strip())
    assert len(entries) > 20
    for entry in entries:
        assert re.match(r"[a-z0-9._-]+(?:\[[a-z,]+\])?==\S+", entry), entry
        assert "--hash=sha256:" in entry, entry


def test_what_the_tests_need_includes_all_that_a_run_needs() -> None:
    # dev.py relies on it: an environment made for the tests also runs the service.
    pins = {
        name: set(re.findall(r"^[a-z0-9._-]+==[^\s;]+", (ROOT / "requirements" / name).read_text(), re.MULTILINE))
        for name in ("run.txt", "test.txt")
    }
    assert pins["run.txt"] <= pins["test.txt"]
