"""The alert rules: their figures are those of /metrics, and the documentation says what to do."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from wireside.telemetry.prometheus import METRICS, Metric

ROOT = Path(__file__).parents[2]
RULES = ROOT / "deploy" / "prometheus" / "alerts.yaml"
RUNBOOK = (ROOT / "docs" / "operations.md").read_text("utf-8")

PROCESS = {
    "process_max_fds",
    "process_open_fds",
    "process_resident_memory_bytes",
    "process_start_time_seconds",
}
"""Figures of prometheus-client's own that the rules use."""


def rules() -> list[dict[str, Any]]:
    (group,) = yaml.safe_load(RULES.read_text("utf-8"))["groups"]
    found: list[dict[str, Any]] = group["rules"]
    return found


def samples_of(metric: Metric) -> set[str]:
    """Return the names of a metric's samples."""
    if metric.kind == "histogram":
        return {f"{metric.name}_{end}" for end in ("bucket", "count", "sum")}
    return {metric.name}


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: rule["alert"])
def test_a_rule_uses_figures_of_the_server_and_has_a_runbook(rule: dict[str, Any]) -> None:
    known = {name for metric in METRICS for name in samples_of(metric)} | PROCESS
    used = set(re.findall(r"\b(?:wireside|process)_\w+", rule["expr"]))
    assert used <= known
    assert used or 'up{job="wireside"}' in rule["expr"]
    assert f"| `{rule['alert']}` |" in RUNBOOK
    assert rule["labels"]["severity"] in ("warning", "critical")
    assert {"summary", "description"} <= set(rule["annotations"])


def test_labels_of_the_rules_are_those_of_the_figures() -> None:
    labels = {metric.name: set(metric.labels) | {"job", "instance", "le"} for metric in METRICS}
    for rule in rules():
        for name, matchers in re.findall(r"(wireside_\w+)\{([^}]*)\}", rule["expr"]):
            assert set(re.findall(r"(\w+)=", matchers)) <= labels[name], rule["alert"]


def test_the_runbook_has_no_other_alert() -> None:
    named = set(re.findall(r"^\| `(Wireside\w+)` \|", RUNBOOK, re.MULTILINE))
    assert named == {rule["alert"] for rule in rules()}


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed")
def test_prometheus_accepts_them_and_they_fire(tmp_path: Path) -> None:
    shutil.copy(RULES, tmp_path / "alerts.yaml")
    shutil.copy(Path(__file__).with_name("alerts_test.yaml"), tmp_path / "test.yaml")
    for words in (["check", "rules", "alerts.yaml"], ["test", "rules", "test.yaml"]):
        done = subprocess.run(
            ["promtool", *words], cwd=tmp_path, check=False, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stdout + done.stderr
