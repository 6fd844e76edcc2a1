"""compose.yaml: every service closed in, nothing but the proxy reachable, and one web process replaceable at a time."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.deploy.files import DEPLOY, SETTINGS, documents, names_in
from tests.scaled import newest_programs

FOLDER = DEPLOY / "compose"
FILE = documents(FOLDER / "compose.yaml")[0]
SERVICES: dict[str, dict[str, Any]] = FILE["services"]
OURS = ("migrate", "web-a", "web-b", "worker", "backup")


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_is_closed_in(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert re.fullmatch(r"\d+[mg]", service["mem_limit"])
    assert service["logging"]["options"] == {"max-size": "10m", "max-file": "5"}
    assert service["restart"] == ("no" if name == "migrate" else "unless-stopped")
    assert service.get("privileged") is None
    assert not [one for one in service.get("volumes", ()) if "docker.sock" in one]


def test_only_the_proxy_can_be_reached_from_outside() -> None:
    ports = {name: service.get("ports", []) for name, service in SERVICES.items() if service.get("ports")}
    assert ports == {"proxy": ["80:80", "443:443", "443:443/udp"], "grafana": ["127.0.0.1:3000:3000"]}
    assert FILE["networks"]["inside"] == {"internal": True}
    for name in ("database", "web-a", "web-b", "backup", "migrate"):
        assert SERVICES[name]["networks"] == ["inside"], name


def test_web_and_worker_wait_for_the_schema_and_the_database() -> None:
    for name in ("web-a", "web-b", "worker", "backup"):
        assert SERVICES[name]["depends_on"]["migrate"] == {"condition": "service_completed_successfully"}
        assert SERVICES[name]["depends_on"]["database"] == {"condition": "service_healthy"}
    assert SERVICES["database"]["healthcheck"]["test"][:2] == ["CMD", "pg_isready"]


def test_two_web_services_stand_behind_the_proxy() -> None:
    assert SERVICES["web-a"] == SERVICES["web-b"]
    assert SERVICES["proxy"]["environment"]["UPSTREAMS"] == "web-a:8000 web-b:8000"
    major, minor = re.match(r"caddy:(\d+)\.(\d+)", SERVICES["proxy"]["image"]).groups()  # type: ignore[union-attr]
    assert (int(major), int(minor)) >= (2, 11), "older ones lose a POST that a stopping process refuses"
    # Its health check is the image's own; what serves no pages has none of it.
    for name in OURS:
        assert SERVICES[name].get("healthcheck") == (None if name.startswith("web") else {"disable": True})


def test_processes_are_given_the_time_they_need_to_stop() -> None:
    for name in ("web-a", "web-b", "worker"):
        assert int(SERVICES[name]["stop_grace_period"].removesuffix("s")) >= 15


def test_what_has_to_last_lies_in_a_volume() -> None:
    assert "database:/var/lib/postgresql/data" in SERVICES["database"]["volumes"]
    for name in ("worker", "backup"):
        assert SERVICES[name]["volumes"] == ["state:/data"]
        assert SERVICES[name]["environment"]["CHARTER_BACKUP_PATH"].startswith("/data/")
    used = {one.partition(":")[0] for service in SERVICES.values() for one in service.get("volumes", ())}
    assert {one for one in used if not one.startswith(".")} == set(FILE["volumes"])
    for one in used:
        assert not one.startswith(".") or (FOLDER / one).is_file(), one


def test_every_variable_it_asks_for_stands_in_an_example() -> None:
    text = (FOLDER / "compose.yaml").read_text(encoding="utf-8")
    asked = set(re.findall(r"\$\{(\w+):\?", text))
    offered = dict(
        line.split("=", 1)
        for line in (FOLDER / "env.example").read_text().splitlines()
        if "=" in line and line[0] != "#"
    )
    assert asked <= set(offered)
    assert {name for name, value in offered.items() if value} == {"SITE_HOST"}
    for service in OURS:
        assert set(SERVICES[service]["environment"]) <= SETTINGS
    assert names_in((FOLDER / "charter.env.example").read_text()) <= SETTINGS
    assert {".env", "charter.env"} <= set((FOLDER / ".gitignore").read_text().split())


def test_the_database_is_not_newer_than_the_tools_in_the_image() -> None:
    """pg_dump refuses a server that is newer than itself; the image has Debian 12's."""
    found = re.match(r"postgres:(\d+)-bookworm", SERVICES["database"]["image"])
    assert found
    dockerfile = (DEPLOY / "container" / "Dockerfile").read_text(encoding="utf-8")
    assert "bookworm" in dockerfile.split("ARG PYTHON=")[1].splitlines()[0]
    assert int(found[1]) <= int(newest_programs().parent.name)
