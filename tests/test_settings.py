"""Settings come from three places, are refused all at once, and never show a secret."""

from __future__ import annotations

import dataclasses
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from charter.settings import (
    Settings,
    SettingsError,
    is_loopback_host,
    load,
    registry_of_settings,
    variable_of,
)
from tests.service import ROOT

KEY = "k3y-" * 10
PRODUCTION = {
    "CHARTER_ENVIRONMENT": "production",
    "CHARTER_SECRET_KEY": KEY,
    "CHARTER_PUBLIC_URL": "https://charter.example",
    "CHARTER_SMTP_HOST": "mail.example",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "instance"


def problems_of(folder: Path, environ: dict[str, str]) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        load(folder, environ)
    return caught.value.problems


# ── the embedded default ─────────────────────────────────────────────────────────────────────────────────────────────


def test_an_embedded_start_needs_nothing(folder: Path) -> None:
    settings = load(folder, {})
    assert settings.environment == "embedded"
    assert settings.instance_path == folder
    assert settings.database_url == f"sqlite:///{folder}/charter.db"
    assert settings.public_url == "http://127.0.0.1:8000"
    assert settings.mail_transport == "files"
    assert settings.mail_path == folder / "mail"
    assert settings.trusted_hosts == ("127.0.0.1", "localhost")
    assert settings.log_origin == "127.0.0.1:8000/log"
    assert settings.is_loopback
    assert not settings.is_production
    assert not settings.secure_cookies


def test_the_key_is_made_once_and_only_its_owner_may_read_it(folder: Path) -> None:
    key = load(folder, {}).secret_key
    assert len(key) >= 32
    assert load(folder, {}).secret_key == key
    assert stat.S_IMODE((folder / "secret_key").stat().st_mode) == 0o400
    assert [path.name for path in folder.iterdir()] == ["secret_key"]


#: In a fresh interpreter: a fork of a process with threads may stand still for ever.
TOGETHER = """
import multiprocessing, sys
from pathlib import Path
from charter.settings import load

def key_of(folder):
    return load(folder, {}).secret_key

with multiprocessing.get_context("fork").Pool(8) as pool:
    for round_number in range(10):
        assert len(set(pool.map(key_of, [Path(sys.argv[1], str(round_number))] * 8, chunksize=1))) == 1
"""


def test_processes_that_start_together_agree_on_one_key(folder: Path) -> None:
    subprocess.run([sys.executable, "-c", TOGETHER, folder], cwd=ROOT, check=True, timeout=60)
    assert len([path for path in folder.iterdir() if (path / "secret_key").exists()]) == 10


def test_a_damaged_key_is_refused_and_not_replaced(folder: Path) -> None:
    folder.mkdir()
    (folder / "secret_key").write_text("")
    (problem,) = problems_of(folder, {})
    assert "secret_key is damaged" in problem
    assert (folder / "secret_key").read_text() == ""


def test_a_file_in_place_of_the_folder_is_said_plainly(folder: Path) -> None:
    folder.write_text("")
    assert problems_of(folder, {}) == [f"{folder} is not a folder."]


# ── where values come from ───────────────────────────────────────────────────────────────────────────────────────────


def test_the_file_beats_the_default_and_the_environment_beats_the_file(folder: Path) -> None:
    folder.mkdir()
    (folder / "charter.toml").write_text(
        'web_threads = 3\nundo_seconds = 4\ntrusted_hosts = ["a.example", ".b.example"]\n'
    )
    settings = load(folder, {"CHARTER_UNDO_SECONDS": "7", "CHARTER_LOG_LEVEL": ""})
    assert (settings.web_threads, settings.undo_seconds, settings.code_tries) == (3, 7, 5)
    assert settings.trusted_hosts == ("a.example", ".b.example")
    assert load(folder, {"CHARTER_TRUSTED_HOSTS": "c.example, d.example"}).trusted_hosts == ("c.example", "d.example")


def test_the_instance_folder_can_be_named_in_the_environment(folder: Path) -> None:
    assert load(environ={"CHARTER_INSTANCE_PATH": str(folder)}).instance_path == folder


def test_defaults_follow_the_public_address_and_port(folder: Path) -> None:
    settings = load(folder, {"CHARTER_BIND_PORT": "8123"})
    assert settings.public_url == "http://127.0.0.1:8123"
    settings = load(folder, {"CHARTER_PUBLIC_URL": "https://Charter.Example:443/"})
    assert settings.public_url == "https://charter.example"
    assert settings.public_host == "charter.example"
    assert settings.trusted_hosts == ("charter.example", "127.0.0.1", "localhost")
    assert settings.mail_from == "charter@charter.example"
    assert settings.log_origin == "charter.example/log"
    assert settings.secure_cookies


def test_postgresql_is_reached_by_psycopg_however_it_is_written(folder: Path) -> None:
    for scheme in ("postgres", "postgresql", "postgresql+psycopg"):
        settings = load(folder, {"CHARTER_DATABASE_URL": f"{scheme}://u:p@db.example/charter"})
        assert settings.database_url == "postgresql+psycopg://u:p@db.example/charter"


# ── what is refused ──────────────────────────────────────────────────────────────────────────────────────────────────

BAD = {
    "CHARTER_ENVIRONMENT": ["prod"],
    "CHARTER_SECRET_KEY": ["short"],
    "CHARTER_PUBLIC_URL": [
        "charter.example",
        "ftp://charter.example",
        "https://charter.example/path",
        "https://charter.example?x=1",
        "https://u:p@charter.example",
        "https://charter.example:99999",
        "https://",
        "https://чартер.example",
    ],
    "CHARTER_DATABASE_URL": ["mysql://u:p@h/d", "nonsense", "sqlite:///relative.db", "sqlite://", "postgresql://h"],
    "CHARTER_MAIL_TRANSPORT": ["console"],
    "CHARTER_SMTP_HOST": ["mail example", "smtp://mail.example"],
    "CHARTER_SMTP_PORT": ["0", "65536", "x", "1.5", "１２"],
    "CHARTER_SMTP_SECURITY": ["ssl"],
    "CHARTER_MAIL_FROM": ["charter", "a@", "Charter <a@charter.example>", "a@b"],
    "CHARTER_MAIL_FROM_NAME": ["a\nBcc: b@c.example"],
    "CHARTER_BIND_HOST": ["http://127.0.0.1", "a b"],
    "CHARTER_BIND_PORT": ["-1", "eighty"],
    "CHARTER_WEB_WORKERS": ["0"],
    "CHARTER_TRUSTED_PROXY_COUNT": ["-1"],
    "CHARTER_TRUSTED_HOSTS": ["*", "a.example,https://b.example"],
    "CHARTER_MAX_BODY_BYTES": ["1"],
    "CHARTER_LOG_ORIGIN": ["https://charter.example/log", "charter example", "a+b"],
    "CHARTER_CHARTER_EDITION": ["../x", "Спец"],
    "CHARTER_CENTRE_BIN": ["12345678901", "12345678901a"],
    "CHARTER_LOG_LEVEL": ["loud"],
}


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, values in BAD.items() for value in values])
def test_a_bad_value_is_refused_by_name(folder: Path, name: str, value: str) -> None:
    found = problems_of(folder, {name: value})
    assert len(found) == 1, found
    assert found[0].startswith(name)
    assert not folder.exists()


@pytest.mark.parametrize(
    ("name", "value", "missing"),
    [
        ("CHARTER_MAIL_TRANSPORT", "smtp", "CHARTER_SMTP_HOST"),
        ("CHARTER_SMTP_USERNAME", "charter", "CHARTER_SMTP_PASSWORD"),
        ("CHARTER_SMTP_PASSWORD", "pass", "CHARTER_SMTP_USERNAME"),
    ],
)
def test_what_belongs_together_is_asked_for_together(folder: Path, name: str, value: str, missing: str) -> None:
    (problem,) = problems_of(folder, {name: value})
    assert problem.startswith(f"{missing} is missing")


def test_every_number_has_limits_and_its_default_lies_within(folder: Path) -> None:
    for one in dataclasses.fields(Settings):
        if one.type != "int":
            continue
        least, most = one.metadata["least"], one.metadata["most"]
        assert least <= one.default <= most, one.name
        for bad in (least - 1, most + 1):
            (problem,) = problems_of(folder, {variable_of(one.name): str(bad)})
            assert problem == f"{variable_of(one.name)} must be from {least} to {most}, not {bad}."


def test_all_problems_are_listed_at_once(folder: Path) -> None:
    folder.mkdir()
    (folder / "charter.toml").write_text('web_threads = "three"\nundo_second = 4\nlog_level = 1\nsmtp_port = true\n')
    found = problems_of(folder, {"CHARTER_CODE_TRIES": "0", "CHARTER_SMTP_HOTS": "x", "CHARTER_MAIL_FROM": "x"})
    assert found == [
        "web_threads in charter.toml must be a whole number, not 'three'.",
        "undo_second in charter.toml is not a setting (did you mean undo_seconds?).",
        "log_level in charter.toml must be a text in quotation marks.",
        "smtp_port in charter.toml must be a whole number, not True.",
        "CHARTER_CODE_TRIES must be from 1 to 10, not 0.",
        "CHARTER_SMTP_HOTS is not a setting (did you mean CHARTER_SMTP_HOST?).",
        "CHARTER_MAIL_FROM is not an e-mail address.",
    ]


@pytest.mark.parametrize("content", [b"a = ", b"\xff\xfe", b'instance_path = "x"'])
def test_a_broken_file_is_named(folder: Path, content: bytes) -> None:
    folder.mkdir()
    (folder / "charter.toml").write_bytes(content)
    (problem,) = problems_of(folder, {})
    assert "charter.toml" in problem


# ── production ───────────────────────────────────────────────────────────────────────────────────────────────────────


def test_production_says_everything_that_is_missing(folder: Path) -> None:
    found = problems_of(folder, {"CHARTER_ENVIRONMENT": "production"})
    assert [line.split()[0] for line in found] == ["CHARTER_SECRET_KEY", "CHARTER_PUBLIC_URL", "CHARTER_SMTP_HOST"]
    assert not folder.exists()


@pytest.mark.parametrize("left_out", ["CHARTER_SECRET_KEY", "CHARTER_PUBLIC_URL", "CHARTER_SMTP_HOST"])
def test_production_names_the_one_that_is_missing(folder: Path, left_out: str) -> None:
    (problem,) = problems_of(folder, {name: value for name, value in PRODUCTION.items() if name != left_out})
    assert problem.startswith(f"{left_out} is missing")


def test_production_starts_with_all_three_and_leaves_no_key_behind(folder: Path) -> None:
    settings = load(folder, PRODUCTION)
    assert settings.is_production
    assert settings.secure_cookies
    assert settings.mail_transport == "smtp"
    assert settings.trusted_hosts == ("charter.example",)
    assert not folder.exists()


def test_production_refuses_plain_http_except_to_this_machine(folder: Path) -> None:
    (problem,) = problems_of(folder, PRODUCTION | {"CHARTER_PUBLIC_URL": "http://charter.example"})
    assert problem == "CHARTER_PUBLIC_URL must begin with https:// in production."
    assert load(folder, PRODUCTION | {"CHARTER_PUBLIC_URL": "http://localhost:8000"}).is_production


def test_production_refuses_mail_to_files(folder: Path) -> None:
    (problem,) = problems_of(folder, PRODUCTION | {"CHARTER_MAIL_TRANSPORT": "files"})
    assert problem.startswith("CHARTER_MAIL_TRANSPORT must be smtp in production")


def test_a_password_never_crosses_a_network_in_clear(folder: Path) -> None:
    login = {
        "CHARTER_SMTP_HOST": "mail.example",
        "CHARTER_SMTP_SECURITY": "none",
        "CHARTER_SMTP_USERNAME": "charter",
        "CHARTER_SMTP_PASSWORD": "hunter2",
    }
    (problem,) = problems_of(folder, login)
    assert problem.startswith("CHARTER_SMTP_SECURITY must be starttls or tls")
    assert load(folder, login | {"CHARTER_SMTP_HOST": "127.0.0.1"}).smtp_security == "none"


# ── secrets ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_no_message_and_no_representation_shows_a_secret(folder: Path) -> None:
    secret = "do-not-print-me"
    found = problems_of(
        folder,
        {
            "CHARTER_SECRET_KEY": secret,
            "CHARTER_SMTP_PASSWORD": secret,
            "CHARTER_DATABASE_URL": f"oracle://user:{secret}@db.example/x",
            "CHARTER_PUBLIC_URL": f"https://user:{secret}@charter.example",
        },
    )
    assert len(found) == 4
    assert secret not in "".join(found)
    settings = load(
        folder,
        PRODUCTION
        | {
            "CHARTER_SECRET_KEY": secret * 3,
            "CHARTER_SMTP_USERNAME": "charter",
            "CHARTER_SMTP_PASSWORD": secret,
            "CHARTER_DATABASE_URL": f"postgresql://user:{secret}@db.example/x",
        },
    )
    assert secret in settings.database_url
    assert secret not in repr(settings)
    assert secret not in str(settings)


def test_a_secret_in_the_file_is_not_quoted_either(folder: Path) -> None:
    folder.mkdir()
    (folder / "charter.toml").write_text('secret_key = "do-not-print-me\n')
    (problem,) = problems_of(folder, {})
    assert "do-not-print-me" not in problem
    (folder / "charter.toml").write_text('smtp_password = ["do-not-print-me"]\nsecret_key = 12345\n')
    found = "".join(problems_of(folder, {}))
    assert "do-not-print-me" not in found
    assert "12345" not in found


# ── the table ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_metrics_never_share_the_public_port(folder: Path) -> None:
    assert problems_of(folder, {"CHARTER_METRICS_PORT": "8000"}) == [
        "CHARTER_METRICS_PORT must not be the port of the web server."
    ]
    assert load(folder, {"CHARTER_METRICS_PORT": "9464"}).metrics_port == 9464


def test_every_setting_explains_itself() -> None:
    lines = registry_of_settings()
    assert [line.name for line in lines] == [one.name for one in dataclasses.fields(Settings)]
    for line in lines:
        assert line.variable == f"CHARTER_{line.name.upper()}"
        assert line.help.endswith("."), line.name
        assert line.type in ("text", "whole number", "choice", "list", "path")
        assert line.default


def test_the_readme_has_exactly_these_settings() -> None:
    readme = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8").splitlines()
    shown = [line for line in readme if line.startswith("| `CHARTER_")]
    assert shown == [
        f"| `{line.variable}` | {line.type} | {line.default} | {line.help} |" for line in registry_of_settings()
    ]


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "::1", "[::1]", "LocalHost"])
def test_this_machine_is_recognised(host: str) -> None:
    assert is_loopback_host(host)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "charter.example", "10.0.0.1", "localhost.example", ""])
def test_another_machine_is_not_taken_for_this_one(host: str) -> None:
    assert not is_loopback_host(host)
