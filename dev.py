#!/usr/bin/env python3
"""Runs, tests and checks the project on a fresh clone; needs Python 3.11 and its standard library only.

    python3 dev.py run [--port P] [--demo N]    serve on http://127.0.0.1:8000 (--demo: N made-up signatories)
    python3 dev.py test [pytest arguments]      run everything, or what pytest is told
    python3 dev.py check                        ruff, mypy, import-linter, djlint
    python3 dev.py bench [names]                measure, and write benchmarks/README.md (--quick: try, --full: all)
    python3 dev.py lock                         write the locks in requirements/ anew

The environment is made in .venv (CHARTER_VENV: elsewhere) and renewed when its lock changes.
"""

import sys

if sys.version_info < (3, 11):  # noqa: UP036 - whoever starts this with an older Python should be told, in words
    sys.exit(
        "Python 3.11 or newer is needed, this is %d.%d. Start it with a newer one: python3.11 dev.py …"  # noqa: UP031
        % sys.version_info[:2]
    )

import argparse
import hashlib
import importlib.util
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

ROOT = Path(__file__).resolve().parent
REQUIREMENTS = ROOT / "requirements"
VENV = Path(os.environ.get("CHARTER_VENV") or ROOT / ".venv").absolute()
BIN = VENV / "bin"
PYTHON = BIN / "python"
CHROMIUM_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
WORKERS_AT_MOST = 4


class Failure(Exception):
    """Something the person at the keyboard can mend; its text is the whole of what they are told."""


def main(arguments: Sequence[str]) -> int:
    command, rest = (arguments[0], list(arguments[1:])) if arguments else ("help", [])
    commands = {"run": run, "test": test, "check": check, "bench": bench, "lock": lock}
    if command not in commands:
        print(__doc__.split("\n", 2)[2].strip("\n"))
        return 0 if command in ("help", "-h", "--help") else 2
    try:
        return commands[command](rest)
    except Failure as failure:
        print(failure, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nStopped.", file=sys.stderr)
        return 130


# ── the commands ─────────────────────────────────────────────────────────────────────────────────────────────────────


def run(arguments: list[str]) -> NoReturn:
    parser = argparse.ArgumentParser(prog="dev.py run")
    parser.add_argument("--port", type=int, metavar="P", help="port to serve on (8000)")
    parser.add_argument("--demo", type=int, metavar="N", help="serve N made-up signatories from instance/demo")
    options = parser.parse_args(arguments)
    if options.port is not None and not 1 <= options.port <= 65535:
        parser.error(f"--port must be from 1 to 65535, not {options.port}")
    if options.demo is not None and options.demo < 0:
        parser.error("--demo must not be negative")
    prepare("run")
    command = [str(PYTHON), "-m", "charter", "run", *arguments]
    sys.stdout.flush()
    # exec: Ctrl-C and signals reach the service itself, and nothing is left in between.
    os.execve(command[0], command, environment())


def test(arguments: list[str]) -> int:
    prepare("test")
    ensure_chromium()
    # Whoever names tests wants those at once; the whole suite is worth several processes. One group stays in one
    # process, so that journeys share a browser.
    workers = min(os.cpu_count() or 1, WORKERS_AT_MOST)
    chosen = arguments or ["-n", str(workers), "--dist", "loadgroup"]
    return tool("-m", "pytest", *chosen)


def check(arguments: list[str]) -> int:
    if arguments:
        raise Failure("dev.py check takes no arguments.")
    prepare("test")
    steps = {
        "ruff check": ("-m", "ruff", "check", "."),
        "ruff format": ("-m", "ruff", "format", "--check", "."),
        "mypy": ("-m", "mypy"),
        "mypy (tools)": ("-m", "mypy", "dev.py", "build_assets.py", "benchmarks"),
        "import-linter": (str(BIN / "lint-imports"),),
        "djlint": ("-m", "djlint", "templates", "--lint", "--quiet"),
    }
    failed = []
    for name, command in steps.items():
        print(f"── {name}", flush=True)
        if tool(*command) != 0:
            failed.append(name)
    if failed:
        raise Failure(f"Not clean: {', '.join(failed)}.")
    print("All clean.")
    return 0


def bench(arguments: list[str]) -> int:
    prepare("test")
    return tool("-m", "benchmarks", *arguments)


def lock(arguments: list[str]) -> int:
    """Locks for every platform, with hashes and without the address of any registry."""
    options = ["--universal", "--generate-hashes", "--no-emit-index-url", "--no-header", "--python-version", "3.11"]
    with tempfile.TemporaryDirectory(prefix="charter-lock-") as folder:
        uv = find_uv() or uv_of_its_own(Path(folder))
        for name in ("run", "test"):
            source, target = f"requirements/{name}.in", REQUIREMENTS / f"{name}.txt"
            draft = Path(folder) / target.name
            if target.exists():
                shutil.copy(target, draft)  # uv keeps the versions it finds there unless told --upgrade
            command = [uv, "pip", "compile", *options, *arguments, source, "--output-file", str(draft), "--quiet"]
            if subprocess.run(command, cwd=ROOT, check=False).returncode != 0:
                raise Failure(f"{source} could not be resolved; see above.")
            content = draft.read_text(encoding="utf-8")
            if re.search(r"://|^\s*--(?:index|extra-index|find-links|trusted-host)", content, re.MULTILINE):
                raise Failure(f"The lock for {source} would hold an address; nothing was written.")
            target.write_text(content, encoding="utf-8")
            print(f"{target.relative_to(ROOT)}: {len(re.findall('^[a-z0-9]', content, re.MULTILINE))} packages")
    return 0


# ── the environment ──────────────────────────────────────────────────────────────────────────────────────────────────


def prepare(purpose: str) -> None:
    """Environment, requirements and assets, each only when it is not there or out of date."""
    ensure_environment()
    ensure_requirements(purpose)
    if tool("build_assets.py") != 0:
        raise Failure("The translations or fonts could not be built; see above.")


def ensure_environment() -> None:
    if PYTHON.exists():
        works = subprocess.run([PYTHON, "-c", "import sys; sys.exit(sys.version_info < (3, 11))"], check=False)
        if works.returncode == 0:
            return
    if VENV.exists() and any(VENV.iterdir()) and not (VENV / "pyvenv.cfg").exists():
        raise Failure(f"{VENV} is not a Python environment; empty it, or name another folder in CHARTER_VENV.")
    print(f"Making the environment in {VENV} …", flush=True)
    uv = find_uv()
    if importlib.util.find_spec("venv") and importlib.util.find_spec("ensurepip"):
        command = [sys.executable, "-m", "venv", "--clear", str(VENV)]
    elif uv:
        command = [uv, "venv", "--quiet", "--allow-existing", "--python", sys.executable, str(VENV)]
    else:
        raise Failure("Python's venv module is not complete. On Debian and Ubuntu: apt install python3-venv")
    try:
        VENV.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise Failure(f"{VENV} cannot be made: {error.strerror}.") from None
    if not os.access(VENV, os.W_OK):
        raise Failure(f"{VENV} cannot be written; name another folder in CHARTER_VENV.")
    made = subprocess.run(command, check=False, capture_output=True, text=True)
    if made.returncode != 0:
        said = (made.stdout + made.stderr).strip().splitlines()
        raise Failure(f"The environment in {VENV} could not be made: {said[-1] if said else 'no reason given'}")


def ensure_requirements(purpose: str) -> None:
    wanted = {name: digest_of(REQUIREMENTS / f"{name}.txt") for name in ("run", "test")}
    # What the tests need includes all that a run needs.
    enough = ("test",) if purpose == "test" else ("run", "test")
    if any(read_stamp(name) == wanted[name] for name in enough):
        return
    lock_path = REQUIREMENTS / f"{purpose}.txt"
    print(f"Installing requirements/{lock_path.name} …", flush=True)
    uv = find_uv()
    ways = [[uv, "pip", "install", "--quiet", "--python", str(PYTHON)]] if uv else []
    # uv does not read pip's configuration: where only pip knows the way to a registry, pip is the second try.
    ways.append([str(PYTHON), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"])
    for way in ways:
        if subprocess.run([*way, "--require-hashes", "-r", str(lock_path)], cwd=ROOT, check=False).returncode == 0:
            stamp_path(purpose).write_text(wanted[purpose], encoding="ascii")
            return
    raise Failure("The requirements could not be installed; the reason is above (the network? pip's configuration?).")


def ensure_chromium() -> None:
    """The journeys need a browser; Debian's is one apt away when we may."""
    if any(shutil.which(name) for name in CHROMIUM_NAMES):
        return
    is_root = os.geteuid() == 0
    if is_root and shutil.which("apt-get"):
        print("Installing Chromium …", flush=True)
        apt = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
        subprocess.run(["apt-get", "update", "-qq"], env=apt, check=False)
        install = ["apt-get", "install", "-y", "-qq", "--no-install-recommends", "chromium"]
        if subprocess.run(install, env=apt, check=False, stdout=subprocess.DEVNULL).returncode == 0:
            return
    raise Failure(
        "Chromium is missing: the journeys need it. On Debian: apt install chromium."
        " To run the rest: python3 dev.py test -m 'not journey'"
        if not is_root
        else "Chromium could not be installed with apt-get; see above."
    )


def find_uv() -> str | None:
    inside = BIN / "uv"
    return shutil.which("uv") or (str(inside) if inside.exists() else None)


def uv_of_its_own(folder: Path) -> str:
    if not importlib.util.find_spec("ensurepip"):
        raise Failure("Python's venv module is not complete. On Debian and Ubuntu: apt install python3-venv")
    print("Fetching uv …", flush=True)
    subprocess.run([sys.executable, "-m", "venv", str(folder / "uv")], check=True)
    python = folder / "uv" / "bin" / "python"
    pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "uv"]
    if subprocess.run(pip, check=False).returncode != 0:
        raise Failure("uv could not be installed; the reason is above.")
    return str(python.with_name("uv"))


def digest_of(path: Path) -> str:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise Failure(f"{path} cannot be read: {error.strerror}.") from None


def stamp_path(purpose: str) -> Path:
    return VENV / f"charter-{purpose}.stamp"


def read_stamp(purpose: str) -> str:
    try:
        return stamp_path(purpose).read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError):
        return ""


def environment() -> dict[str, str]:
    """Ours, with the checkout first on the path and the environment's tools first among programs."""
    path = os.pathsep.join([str(BIN), os.environ.get("PATH", os.defpath)])
    python_path = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    return os.environ | {"PATH": path, "PYTHONPATH": python_path, "VIRTUAL_ENV": str(VENV)}


def tool(*command: str) -> int:
    """Run a module or script with the environment's Python, or one of its programs; the answer is its exit code."""
    is_program = Path(command[0]).parent == BIN
    whole = list(command) if is_program else [str(PYTHON), *command]
    process = subprocess.Popen(whole, cwd=ROOT, env=environment())
    while True:
        try:
            return process.wait()
        except KeyboardInterrupt:
            # The terminal has told the tool as well: let it finish in its own way.
            continue


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
