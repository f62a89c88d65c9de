"""The manifests of Kubernetes: their schemas, how they refer to each other, and their settings."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from tests.packaging.deployment import DEPLOY, schema, settings_of
from wireside.api.routes.health import health_routes
from wireside.telemetry.prometheus import METRICS

FOLDER = DEPLOY / "kubernetes"
SCHEMA = schema("kubernetes.json")
NAME = {"app.kubernetes.io/name": "wireside"}


def documents() -> list[tuple[str, dict[str, Any]]]:
    return [
        (file.name, document)
        for file in sorted(FOLDER.glob("*.yaml"))
        for document in yaml.safe_load_all(file.read_text("utf-8"))
    ]


MANIFESTS = [(name, one) for name, one in documents() if one["kind"] != "Kustomization"]
BY_KIND = {one["kind"]: one for _, one in MANIFESTS}
DEPLOYMENT = BY_KIND["Deployment"]
POD = DEPLOYMENT["spec"]["template"]["spec"]
(SERVER,) = POD["containers"]


@pytest.mark.parametrize("manifest", [one for _, one in MANIFESTS], ids=lambda one: one["kind"])
def test_a_manifest_is_what_kubernetes_accepts(manifest: dict[str, Any]) -> None:
    reference = {"$ref": f"#/definitions/{SCHEMA['kinds'][manifest['kind']]}"}
    validator = jsonschema.Draft7Validator({**reference, "definitions": SCHEMA["definitions"]})
    validator.validate(manifest)


def test_the_schemas_find_faults() -> None:
    kind = SCHEMA["kinds"]["Deployment"]
    reference = {"$ref": f"#/definitions/{kind}", "definitions": SCHEMA["definitions"]}
    wrong = {**DEPLOYMENT, "spec": {**DEPLOYMENT["spec"], "replica": 3}}
    with pytest.raises(jsonschema.ValidationError, match="replica"):
        jsonschema.Draft7Validator(reference).validate(wrong)


def test_every_manifest_is_applied_except_the_example() -> None:
    (kustomization,) = (one for _, one in documents() if one["kind"] == "Kustomization")
    names = {name for name, _ in MANIFESTS}
    assert set(kustomization["resources"]) == names - {"secret.example.yaml"}
    assert [one["name"] for one in kustomization["images"]] == [SERVER["image"]]


def test_the_parts_refer_to_each_other() -> None:
    labels = DEPLOYMENT["spec"]["template"]["metadata"]["labels"]
    assert labels == NAME
    assert DEPLOYMENT["spec"]["selector"]["matchLabels"] == NAME
    assert BY_KIND["Service"]["spec"]["selector"] == NAME
    assert BY_KIND["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"] == NAME
    assert BY_KIND["NetworkPolicy"]["spec"]["podSelector"]["matchLabels"] == NAME
    (rule,) = BY_KIND["Ingress"]["spec"]["rules"]
    (path,) = rule["http"]["paths"]
    (port,) = BY_KIND["Service"]["spec"]["ports"]
    assert path["backend"]["service"] == {
        "name": BY_KIND["Service"]["metadata"]["name"],
        "port": {"name": port["name"]},
    }
    assert port["targetPort"] == SERVER["ports"][0]["name"]
    target = BY_KIND["HorizontalPodAutoscaler"]["spec"]["scaleTargetRef"]
    assert (target["kind"], target["name"]) == ("Deployment", DEPLOYMENT["metadata"]["name"])


def test_its_settings_are_valid_and_public(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fixed = {one["name"]: one["value"] for one in SERVER["env"] if "value" in one}
    variables = {**BY_KIND["ConfigMap"]["data"], **fixed, "WIRESIDE_REPLICA_NAME": "wireside-1"}
    settings = settings_of(variables, tmp_path, monkeypatch)
    assert settings.exposure is None
    assert settings.replicas
    assert settings.files_url is not None  # the pods keep no files
    (host,) = BY_KIND["Ingress"]["spec"]["tls"][0]["hosts"]
    assert settings.public_url == f"https://{host}"
    waits_s = settings.effective_drain_notice_s + settings.effective_drain_s
    assert POD["terminationGracePeriodSeconds"] > waits_s + 30


def test_every_secret_file_is_a_key_of_the_example() -> None:
    mounted = {one["name"]: one["mountPath"] for one in SERVER["volumeMounts"]}["secrets"]
    files = {one["value"] for one in SERVER["env"] if one["name"].endswith("_FILE")}
    keys = BY_KIND["Secret"]["stringData"]
    assert files == {f"{mounted}/{key}" for key in keys}
    (volume,) = [one for one in POD["volumes"] if one["name"] == "secrets"]
    assert volume["secret"]["secretName"] == BY_KIND["Secret"]["metadata"]["name"]


def test_probes_ask_the_routes_of_the_server() -> None:
    routes = {route.path for route in health_routes(None, None, None).routes}  # type: ignore[arg-type,attr-defined]
    probes = {name: SERVER[f"{name}Probe"] for name in ("startup", "liveness", "readiness")}
    paths = {name: probe["httpGet"]["path"] for name, probe in probes.items()}
    assert set(paths.values()) <= routes
    # a server that accepts no work must not be restarted for it
    assert paths["liveness"].endswith("/live")
    assert paths["readiness"].endswith("/ready")


def test_no_pod_leaves_before_another_is_there() -> None:
    assert DEPLOYMENT["spec"]["strategy"]["rollingUpdate"]["maxUnavailable"] == 0
    pods = BY_KIND["HorizontalPodAutoscaler"]["spec"]["minReplicas"]
    assert pods >= 2
    assert BY_KIND["PodDisruptionBudget"]["spec"]["maxUnavailable"] < pods


def test_applying_keeps_the_number_of_the_autoscaler() -> None:
    assert "replicas" not in DEPLOYMENT["spec"]


def test_the_autoscaler_reads_a_figure_of_the_server() -> None:
    (metric,) = BY_KIND["HorizontalPodAutoscaler"]["spec"]["metrics"]
    assert metric["pods"]["metric"]["name"] in {one.name for one in METRICS if one.kind == "gauge"}


def test_the_pod_satisfies_the_restricted_standard() -> None:
    assert POD["securityContext"]["runAsNonRoot"] is True
    assert POD["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    context = SERVER["securityContext"]
    assert context["allowPrivilegeEscalation"] is False
    assert context["readOnlyRootFilesystem"] is True
    assert context["capabilities"] == {"drop": ["ALL"]}
    recipe = (DEPLOY / "Containerfile").read_text()
    user = re.search(r"^USER (\d+):", recipe, re.MULTILINE)
    assert user is not None
    assert POD["securityContext"]["runAsUser"] == int(user[1])


def test_the_ingress_has_a_cookie_of_its_own() -> None:
    annotations = BY_KIND["Ingress"]["metadata"]["annotations"]
    prefix = "nginx.ingress.kubernetes.io/"
    assert annotations[f"{prefix}affinity"] == "cookie"
    assert annotations[f"{prefix}session-cookie-name"] != "wireside_replica"


@pytest.mark.skipif(shutil.which("kubectl") is None, reason="kubectl is not installed")
def test_kustomize_builds_them() -> None:
    command = ["kubectl", "kustomize", str(FOLDER)]
    built = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60)
    kinds = [one["kind"] for one in yaml.safe_load_all(built.stdout)]
    assert sorted(kinds) == sorted(set(BY_KIND) - {"Secret"})
