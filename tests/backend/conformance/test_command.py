"""The command ``wireside conformance``: its output, its reports and its exit codes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from typer.testing import CliRunner

from tests.server_process import ServerProcess
from wireside.cli.main import app

runner = CliRunner()


def test_list_shows_names_sections_and_rules() -> None:
    shown = runner.invoke(app, ["conformance", "--list", "--only", "origin-*"])
    assert shown.exit_code == 0
    assert "origin-foreign" in shown.output
    assert "The handshake" in shown.output
    assert "origin-own" in shown.output
    assert "resume" not in shown.output


@pytest.mark.parametrize(
    "words",
    [[], ["ftp://x"], ["ws://127.0.0.1:9", "--only", "nothing"], ["--level", "3"]],
)
def test_wrong_use_exits_with_2(words: list[str]) -> None:
    assert runner.invoke(app, ["conformance", *words]).exit_code == 2


def test_a_failure_is_explained_and_exits_with_1() -> None:
    shown = runner.invoke(app, ["conformance", "ws://127.0.0.1:9", "--only", "ping"])
    assert shown.exit_code == 1
    assert "expected" in shown.output
    assert "Heartbeats" not in shown.output
    assert "Client to server" in shown.output
    assert "0 passed, 1 failed, 0 skipped" in shown.output


@pytest.mark.slow
def test_other_commands_do_not_import_the_kit() -> None:
    program = "import sys, wireside.cli.main; print([n for n in sys.modules if 'conformance' in n])"
    imported = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=50
    )
    assert imported.stdout.strip() == "['wireside.cli.conformance']"


@pytest.mark.slow
@pytest.mark.xdist_group("conformance")
def test_reports_are_written(chat_server: ServerProcess, tmp_path: Path) -> None:
    junit, report = tmp_path / "junit.xml", tmp_path / "report.json"
    words = ["--only", "ping*", "--level", "1", "--junit", str(junit), "--json", str(report)]
    shown = runner.invoke(app, ["conformance", chat_server.url, *words])
    assert shown.exit_code == 0, shown.output
    assert "1 passed" in shown.output
    assert ET.parse(junit).getroot()[0].get("tests") == "1"
    assert json.loads(report.read_text("utf-8"))["results"][0]["name"] == "ping"
