"""The manifests: valid for the versions in use, nothing runs as root or writes to its image, and every name exists."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import kubernetes_validate
import pytest

from tests.deploy.files import DEPLOY, SETTINGS, documents

FOLDER = DEPLOY / "kubernetes"
MANIFESTS = sorted(path for path in FOLDER.rglob("*.yaml") if path.name != "kustomization.yaml")
RESOURCES = [(path, one) for path in MANIFESTS for one in documents(path)]


def of_kind(*kinds: str) -> list[dict[str, Any]]:
    return [one for _, one in RESOURCES if one["kind"] in kinds]


def pods() -> Iterator[tuple[str, dict[str, Any]]]:
    """The pod of every workload, by the workload's name."""
    for one in of_kind("Deployment", "Job"):
        yield one["metadata"]["name"], one["spec"]["template"]
    for one in of_kind("CronJob"):
        yield one["metadata"]["name"], one["spec"]["jobTemplate"]["spec"]["template"]


def containers() -> Iterator[tuple[str, dict[str, Any]]]:
    for name, pod in pods():
        for one in [*pod["spec"].get("initContainers", ()), *pod["spec"]["containers"]]:
            yield f"{name}/{one['name']}", one


@pytest.mark.parametrize("version", ["1.28", "1.30", "1.33", kubernetes_validate.latest_version()])
def test_every_manifest_is_valid(version: str) -> None:
    assert len(RESOURCES) > 15
    for path, one in RESOURCES:
        kubernetes_validate.validate(one, version, strict=True)
        assert one["kind"], path


def test_each_kustomization_lists_every_file_beside_it_and_none_that_is_not_there() -> None:
    for path in FOLDER.rglob("kustomization.yaml"):
        (kustomization,) = documents(path)
        listed = {*kustomization["resources"], *(one["path"] for one in kustomization.get("patches", ()))}
        beside = {one.name for one in path.parent.glob("*.yaml")} - {"kustomization.yaml", "secret.example.yaml"}
        assert {one for one in listed if not one.startswith("..")} == beside
        for one in listed:
            assert (path.parent / one).exists(), one


def test_a_patch_changes_something_that_is_there() -> None:
    (kustomization,) = documents(FOLDER / "example" / "kustomization.yaml")
    base = {(one["kind"], one["metadata"]["name"]): one for path, one in RESOURCES if path.parent.name == "base"}
    for patch in kustomization["patches"]:
        for one in documents(FOLDER / "example" / patch["path"]):
            assert (one["kind"], one["metadata"]["name"]) in base
    # The image that the overlay renames is the one that all containers name.
    assert {one["image"].partition(":")[0] for _, one in containers()} == {kustomization["images"][0]["name"]}


@pytest.mark.parametrize(("name", "pod"), list(pods()), ids=[name for name, _ in pods()])
def test_a_pod_runs_as_nobody_and_is_told_nothing_of_its_cluster(name: str, pod: dict[str, Any]) -> None:
    spec = pod["spec"]
    context = spec["securityContext"]
    assert context["runAsNonRoot"] is True
    assert context["runAsUser"] == context["runAsGroup"] == context["fsGroup"] == 10001
    assert context["seccompProfile"] == {"type": "RuntimeDefault"}
    assert spec["automountServiceAccountToken"] is False
    assert spec["enableServiceLinks"] is False
    assert "hostNetwork" not in spec
    mounted = {one["mountPath"] for container in spec["containers"] for one in container["volumeMounts"]}
    assert {"/data", "/tmp"} <= mounted


@pytest.mark.parametrize(("name", "one"), list(containers()), ids=[name for name, _ in containers()])
def test_a_container_cannot_write_to_its_image_and_has_its_limits(name: str, one: dict[str, Any]) -> None:
    assert one["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert set(one["resources"]["requests"]) == {"cpu", "memory"}
    assert "memory" in one["resources"]["limits"]
    assert {volume["name"] for volume in one["volumeMounts"]} >= {"data", "tmp"}


def test_every_variable_is_a_setting() -> None:
    named = {name for one in of_kind("ConfigMap") for name in one["data"]}
    named |= {name for one in of_kind("Secret") for name in one["stringData"]}
    named |= {variable["name"] for _, one in containers() for variable in one.get("env", ())}
    assert named <= SETTINGS
    assert {"CHARTER_SECRET_KEY", "CHARTER_DATABASE_URL", "CHARTER_PUBLIC_URL"} <= named
    for one in of_kind("Secret"):
        assert not any(one["stringData"].values()), "an example holds no value"


def test_what_is_referred_to_is_there() -> None:
    there = {(one["kind"], one["metadata"]["name"]) for _, one in RESOURCES}
    for name, one in containers():
        for source in one["envFrom"]:
            for key, kind in (("configMapRef", "ConfigMap"), ("secretRef", "Secret")):
                assert key not in source or (kind, source[key]["name"]) in there, name
        for variable in one.get("env", ()):
            if "valueFrom" in variable:
                assert ("Secret", variable["valueFrom"]["secretKeyRef"]["name"]) in there, name
    for name, pod in pods():
        assert ("ServiceAccount", pod["spec"]["serviceAccountName"]) in there
        for volume in pod["spec"]["volumes"]:
            claim = volume.get("persistentVolumeClaim")
            assert claim is None or ("PersistentVolumeClaim", claim["claimName"]) in there, name
    labels = [pod["metadata"]["labels"].items() for _, pod in pods()]
    for one in of_kind("NetworkPolicy", "Service", "PodDisruptionBudget"):
        selector = one["spec"].get("podSelector") or one["spec"].get("selector") or {}
        wanted = selector.get("matchLabels", selector if one["kind"] == "Service" else {})
        assert any(wanted.items() <= have for have in labels), one["metadata"]["name"]


def test_the_web_is_replaced_without_a_gap() -> None:
    (web,) = (one for one in of_kind("Deployment") if one["metadata"]["name"] == "charter-web")
    assert web["spec"]["replicas"] >= 2
    assert web["spec"]["strategy"]["rollingUpdate"] == {"maxUnavailable": 0, "maxSurge": 1}
    (container,) = web["spec"]["template"]["spec"]["containers"]
    sleeps = int(container["lifecycle"]["preStop"]["exec"]["command"][1])
    assert web["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] >= sleeps + 15
    paths = {kind: container[f"{kind}Probe"]["httpGet"]["path"] for kind in ("startup", "readiness", "liveness")}
    # Ready once to come in, alive to stay in: without its database it still shows the pages that it remembers.
    assert paths == {"startup": "/readyz", "readiness": "/healthz", "liveness": "/healthz"}
    (config,) = (one for path, one in RESOURCES if one["kind"] == "ConfigMap" and path.parent.name == "base")
    for kind in paths:
        (header,) = container[f"{kind}Probe"]["httpGet"]["httpHeaders"]
        assert header["value"] in config["data"]["CHARTER_TRUSTED_HOSTS"].split(",")


def test_only_migrations_and_backups_go_past_the_pooler() -> None:
    direct = {
        name for name, one in containers() if {"name": "CHARTER_DATABASE_POOLER", "value": "none"} in one.get("env", ())
    }
    assert direct == {"charter-migrate/migrate", "charter-backup/backup"}
