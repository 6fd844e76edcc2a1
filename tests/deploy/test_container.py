"""The image: linted, made of what is there, and the service in it runs as nobody on a read-only root."""

from __future__ import annotations

import http.client
import os
import re
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

from deploy.container.healthcheck import check
from deploy.container.lock_of import lock_of
from tests.deploy.files import DEPLOY, SETTINGS, names_in, tool
from tests.scaled import missing, until
from tests.service import ROOT, clean_environment, free_port

FOLDER = DEPLOY / "container"
DOCKERFILE = (FOLDER / "Dockerfile").read_text(encoding="utf-8")

pytestmark = pytest.mark.xdist_group("launch")


def test_hadolint_has_nothing_to_say() -> None:
    program = Path(sys.executable).with_name("hadolint")
    done = subprocess.run([program, FOLDER / "Dockerfile"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")


def test_the_image_runs_as_a_number_that_is_not_root_and_needs_no_shell() -> None:
    last = DOCKERFILE.rpartition("\nFROM ")[2]
    assert re.findall(r"^USER (.+)$", last, re.MULTILINE) == ["10001:10001"]
    for word in ("CMD", "HEALTHCHECK"):
        (line,) = re.findall(rf"^{word} .*$", last, re.MULTILINE)
        assert re.search(r"\[\"[^]]+\"\]$", line), "exec form: signals reach the service itself"
    assert "STOPSIGNAL SIGTERM" in last
    assert "ENTRYPOINT" not in last
    assert "curl" not in DOCKERFILE
    assert names_in(DOCKERFILE) <= SETTINGS
    assert "SECRET" not in DOCKERFILE
    assert DOCKERFILE.count("--require-hashes") == 2


def test_what_is_copied_is_let_into_the_build_and_nothing_else() -> None:
    ignored = (FOLDER / "Dockerfile.dockerignore").read_text(encoding="utf-8").splitlines()
    allowed = {line[1:] for line in ignored if line.startswith("!")}
    assert ignored[1] == "*"
    copied = set()
    for line in re.findall(r"^COPY (?!--from)(.+)$", DOCKERFILE, re.MULTILINE):
        copied |= set(re.sub(r"--\S+ ", "", line).split()[:-1])
    assert copied == allowed
    for name in allowed:
        assert (ROOT / name).exists(), name


def test_what_makes_the_wheel_comes_whole_out_of_the_lock() -> None:
    (names,) = re.findall(r"python lock_of\.py requirements/test\.txt ([\s\S]*?) > ", DOCKERFILE)
    named = names.replace("\\", "").split()
    lock = lock_of((ROOT / "requirements" / "test.txt").read_text(encoding="utf-8"), named)
    pins = dict(re.findall(r"^([a-z0-9-]+)==(\S+)", lock, re.MULTILINE))
    assert list(pins) == named
    assert lock.count("--hash=sha256:") >= len(named)
    wanted = (ROOT / "pyproject.toml").read_text(encoding="utf-8").partition("requires = [")[2].partition("]")[0]
    needed = {re.split(r"[^a-z0-9-]", one)[0] for one in re.findall(r'"([^"]+)"', wanted)}
    for name in list(needed):
        needed |= {
            re.split(r"[^a-z0-9-]", one)[0]
            for one in metadata.requires(name) or ()
            if "extra ==" not in one and "python_version <" not in one
        }
    assert needed <= set(named)
    with pytest.raises(KeyError):
        lock_of(lock, ["no-such-package"])


def serves(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/readyz", headers={"Host": "charter.example.org"})
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()


def test_the_service_runs_as_nobody_on_a_root_that_cannot_be_written_to(tmp_path: Path) -> None:
    """As a container runs it: user 10001, no capabilities, only /data and /tmp writable. Needs root to set this up."""
    if os.geteuid() != 0:
        missing("root, to make a namespace with a root that cannot be written to")
    unshare, setpriv = tool("unshare", "util-linux"), tool("setpriv", "util-linux")
    port = free_port()
    # Python and the project must be there for a stranger too, wherever they lie on this machine.
    needed = sorted({ROOT, Path(sys.prefix).resolve(), Path(sys.base_prefix).resolve()})
    closed = {folder for path in needed for folder in path.parents if not folder.stat().st_mode & 0o001}
    hold = "\n".join(f"mkdir /mnt/{n} && mount --bind {path} /mnt/{n}" for n, path in enumerate(needed))
    open_up = "\n".join(f"mount -t tmpfs -o mode=0755 tmpfs {folder}" for folder in sorted(closed))
    put_back = "\n".join(
        f"mkdir -p {path} && mount --bind /mnt/{n} {path} && mount -o remount,ro,bind {path}"
        for n, path in enumerate(needed)
    )
    # The folder of the image has another place here, since a folder cannot be made on such a root.
    environ = clean_environment(Path("/mnt/data")) | {
        "CHARTER_ENVIRONMENT": "production",
        "CHARTER_SECRET_KEY": "k" * 40,
        "CHARTER_PUBLIC_URL": "https://charter.example.org",
        "CHARTER_SMTP_HOST": "mail.example.org",
        "CHARTER_BIND_PORT": str(port),
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONPATH": str(ROOT),
        "HOME": "/mnt/data",
    }
    script = f"""
        set -e
        mount -t tmpfs tmpfs /mnt
        mkdir -m 0700 /mnt/data && chown 10001:10001 /mnt/data
        {hold}
        mount -t tmpfs -o mode=1777 tmpfs /tmp
        {open_up}
        {put_back}
        mount -o remount,ro,bind /
        cd /mnt/data
        exec {setpriv} --reuid 10001 --regid 10001 --clear-groups --no-new-privs --inh-caps=-all --bounding-set=-all \\
          sh -c 'id -u; touch {ROOT}/x /var/x 2>&1 || true;
                 "$0" -m flask --app charter prepare && exec "$0" -m charter web' {sys.executable}
    """
    log = tmp_path / "log"
    command = [unshare, "--mount", "--propagation", "private", "sh", "-c", script]
    with log.open("wb") as output:
        process = subprocess.Popen(command, env=environ, stdout=output, stderr=output)
    try:
        until(lambda: process.poll() is not None or serves(port), "it does not serve")
        said = log.read_text()
        assert process.poll() is None, said
        assert said.startswith("10001\n")
        assert said.count("Read-only file system") + said.count("Permission denied") == 2, said
        assert check(environ) == 0
        assert check(environ, "/readyz") == 0
        assert check(environ, "/no-such-page") == 1
        assert check(environ | {"CHARTER_PUBLIC_URL": ""}) == 1, "asked by a name that it does not go by"
        process.terminate()
        assert process.wait(timeout=15) == 0, log.read_text()
        assert check(environ) == 1
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()
