"""The Helm chart, read without Helm where that will do, and by Helm and kubeconform where they are."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from typing import Any

import jsonschema
import pytest
import yaml

from anabranch.topology import STAGES, Names
from tests.deploy.support import DEPLOY, ROOT, SETTINGS, load, parse_command
from tools import helmdocs

CHART = DEPLOY / "helm/anabranch"
VALUES = load(CHART / "values.yaml")
SCHEMA = json.loads((CHART / "values.schema.json").read_text(encoding="utf-8"))
TEMPLATES = {
    path.name: path.read_text(encoding="utf-8") for path in sorted(CHART.glob("templates/*"))
}
ALL = "\n".join(TEMPLATES.values())
EVERYTHING: dict[str, Any] = {
    "kafka": {"bootstrap": "kafka.example:9093", "existingSecret": "login", "tlsSecret": "tls"},
    "settings": {"ANABRANCH_WINDOW_RETENTION": "1000000"},
    "specs": {"files": {"one.yaml": "kind: Experiment\n"}},
    "workers": [{"name": "front", "stages": ["assign", "gate"]}, {"name": "back"}],
    "worker": {"state": {"onDisk": True}},
    "autoscaling": {"enabled": True, "maxReplicas": 40, "lagThreshold": 1_000_000},
    "serve": {"enabled": True, "existingSecret": "tokens"},
    "dashboard": {"existingSecret": "people"},
    "networkPolicy": {"metricsFrom": [{"namespaceSelector": {}}]},
}
LEAST: dict[str, Any] = {"kafka": {"bootstrap": "kafka.example:9092"}}


def wrong(values: dict[str, Any]) -> list[str]:
    return [error.json_path for error in jsonschema.Draft7Validator(SCHEMA).iter_errors(values)]


def test_the_values_fit_their_schema():
    jsonschema.Draft7Validator.check_schema(SCHEMA)
    assert wrong(VALUES) == []
    assert wrong(EVERYTHING) == []


@pytest.mark.parametrize(
    ("values", "where"),
    [
        ({"kafkas": {}}, "$"),
        ({"kafka": {"prefix": "my_shop"}}, "$.kafka.prefix"),
        ({"settings": {"PATH": "/bin"}}, "$.settings"),
        ({"settings": {"ANABRANCH_SERVE_QUEUE": 1_000_000}}, "$.settings.ANABRANCH_SERVE_QUEUE"),
        ({"workers": [{"name": "a", "stages": ["assing"]}]}, "$.workers[0].stages[0]"),
        ({"topics": {"partitions": 0}}, "$.topics.partitions"),
    ],
)
def test_what_the_schema_refuses(values, where):
    assert wrong(values) == [where]


def test_schema_and_values_name_the_same():
    def paths(schema: dict[str, Any], before: str = "") -> set[str]:
        found: set[str] = set()
        for key, one in schema.get("properties", {}).items():
            found |= {before + key} | paths(one, f"{before}{key}.")
        return found

    def keys(values: dict[str, Any], before: str = "") -> set[str]:
        found: set[str] = set()
        for key, one in values.items():
            found.add(before + key)
            if isinstance(one, dict) and key != "resources":
                found |= keys(one, f"{before}{key}.")
        return found

    assert paths(SCHEMA) - {"global"} == keys(VALUES)


def test_templates_read_values_that_exist_and_no_value_is_unread():
    read = set(re.findall(r"\.Values\.([A-Za-z.]+[A-Za-z])", ALL))
    for path in read:
        at = VALUES
        for key in path.split("."):
            assert key in at, path
            at = at[key]
    unread = {path for path, _, _ in helmdocs.rows((CHART / "values.yaml").read_text())} - read
    assert unread == set()


def test_every_value_is_in_the_readme():
    text = helmdocs.PAGE.read_text(encoding="utf-8")
    assert helmdocs.page(text) == text, "run python -m tools.helmdocs"


def test_templates_include_what_is_defined():
    defined = set(re.findall(r'define "([^"]+)"', ALL))
    assert set(re.findall(r'include "([^"]+)"', ALL)) == defined


def test_variables_are_settings():
    named = set(re.findall(r"name: (ANABRANCH_\w+)", ALL))
    assert named
    assert named <= SETTINGS


def test_stages_are_those_of_the_topology():
    stages = [stage.name for stage in STAGES]
    allowed = SCHEMA["properties"]["workers"]["items"]["properties"]["stages"]["items"]["enum"]
    assert allowed == stages
    default = re.search(r"default \(list ([^)]+)\)", TEMPLATES["scaling.yaml"])
    assert default is not None
    assert [one.strip('"') for one in default[1].split()] == stages
    assert Names("shop").group("assign") == "shop-assign"


def test_the_image_runs_as_the_user_of_the_dockerfile():
    user = re.search(r"^USER (\d+):\1$", (DEPLOY / "Dockerfile").read_text(), flags=re.MULTILINE)
    assert user is not None
    for key in ("runAsUser", "runAsGroup", "fsGroup"):
        assert f"{key}: {user[1]}\n" in TEMPLATES["_helpers.tpl"]


def test_the_version_is_the_package_s():
    version = re.search(r'^version = "(.+)"$', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    assert version is not None
    assert load(CHART / "Chart.yaml")["appVersion"] == version[1]


def render(tmp_path: Any, values: dict[str, Any]) -> subprocess.CompletedProcess[str]:
    helm = shutil.which("helm")
    if helm is None:
        pytest.skip("helm is not installed")
    file = tmp_path / "values.yaml"
    file.write_text(yaml.safe_dump(values))
    version = ["--kube-version", "1.31.0"]
    return subprocess.run(
        [helm, "template", "x", str(CHART), "--values", str(file), *version],
        capture_output=True,
        text=True,
        check=False,
    )


def objects(tmp_path: Any, values: dict[str, Any]) -> list[dict[str, Any]]:
    done = render(tmp_path, values)
    assert done.returncode == 0, done.stderr
    return [one for one in yaml.safe_load_all(done.stdout) if one]


def test_helm_lint():
    helm = shutil.which("helm")
    if helm is None:
        pytest.skip("helm is not installed")
    done = subprocess.run(
        [helm, "lint", str(CHART), "--strict", "--set", "kafka.bootstrap=kafka:9092"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("values", [LEAST, EVERYTHING], ids=["least", "everything"])
def test_rendered_pods_are_locked_up_and_their_commands_are_real(tmp_path, values):
    pods = 0
    for one in objects(tmp_path, values):
        if one["kind"] not in {"Deployment", "Job"}:
            continue
        pods += 1
        pod = one["spec"]["template"]["spec"]
        (container,) = pod["containers"]
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["automountServiceAccountToken"] is False
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        parsed = parse_command(container["args"])
        assert {variable["name"] for variable in container["env"]} <= SETTINGS
        assert all(isinstance(variable["value"], str) for variable in container["env"])
        mounts = {mount["name"] for mount in container["volumeMounts"]}
        assert mounts == {volume["name"] for volume in pod["volumes"]}
        if one["kind"] == "Deployment":
            (port,) = container["ports"]
            assert str(port["containerPort"]) in {
                str(parsed.get("port")),
                str(parsed.get("health")).rpartition(":")[2],
            }
            assert container["livenessProbe"]["httpGet"]["path"] == "/livez"
            assert container["readinessProbe"]["httpGet"]["path"] == "/readyz"
    assert pods == (3 if values is LEAST else 5)


def test_selectors_choose_exactly_the_pods_of_their_deployment(tmp_path):
    rendered = objects(tmp_path, EVERYTHING)
    pods = {
        one["metadata"]["name"]: one["spec"]["template"]["metadata"]["labels"]
        for one in rendered
        if one["kind"] == "Deployment"
    }
    assert len(pods) == 4
    for one in rendered:
        spec = one.get("spec", {})
        if one["kind"] == "Service":
            chosen = spec["selector"]
        elif one["kind"] == "NetworkPolicy":
            chosen = spec["podSelector"]["matchLabels"]
        elif one["kind"] in {"PodDisruptionBudget", "Deployment"}:
            chosen = spec["selector"]["matchLabels"]
        else:
            continue
        matching = [name for name, labels in pods.items() if chosen.items() <= labels.items()]
        assert matching == [one["metadata"]["name"]]


def test_scaling_is_capped_at_the_partitions(tmp_path):
    scaled = [one for one in objects(tmp_path, EVERYTHING) if one["kind"] == "ScaledObject"]
    assert [one["spec"]["maxReplicaCount"] for one in scaled] == [12, 12]
    triggers = [trigger["metadata"] for one in scaled for trigger in one["spec"]["triggers"]]
    assert [one["consumerGroup"] for one in triggers] == [
        f"anabranch-{stage}"
        for stage in ("assign", "gate", "assign", "gate", "attribute", "aggregate")
    ]
    assert {one["lagThreshold"] for one in triggers} == {"1000000"}


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({}, "kafka.bootstrap must be given"),
        ({**LEAST, "serve": {"enabled": True}}, "name a Secret with ANABRANCH_SERVE_TOKENS"),
    ],
)
def test_what_is_missing_is_told(tmp_path, values, says):
    done = render(tmp_path, values)
    assert done.returncode != 0
    assert says in done.stderr


@pytest.mark.parametrize("values", [LEAST, EVERYTHING], ids=["least", "everything"])
def test_kubeconform(tmp_path, values):
    tool = shutil.which("kubeconform")
    schemas = os.environ.get("KUBECONFORM_SCHEMAS")
    if tool is None or schemas is None:
        pytest.skip(
            "kubeconform is not installed, or KUBECONFORM_SCHEMAS does not say where its schemas are"
        )
    rendered = render(tmp_path, values).stdout
    version = ["-strict", "-kubernetes-version", "1.31.0", "-skip", "ScaledObject"]
    done = subprocess.run(
        [tool, *version, "-schema-location", schemas],
        input=rendered,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
