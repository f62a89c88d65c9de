"""docs/deploy.md: its files, variables, targets and commands exist."""

from __future__ import annotations

import re

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from tests.packaging.containerfile import parse
from tests.packaging.deployment import DEPLOY, ROOT
from wireside.cli.main import app
from wireside.settings.load import unknown_variables

PAGE = (ROOT / "docs" / "deploy.md").read_text("utf-8")
CODE = "\n".join(re.findall(r"^```sh\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE))


def test_every_file_exists() -> None:
    made_by_the_reader = "deploy/secrets"
    named = set(re.findall(r"\b(?:deploy|requirements)/[\w./-]*\w", PAGE))
    assert len(named) > 10
    missing = [
        name
        for name in named
        if not name.startswith(made_by_the_reader) and not (ROOT / name).exists()
    ]
    assert missing == []


def test_every_variable_is_a_setting() -> None:
    variables = set(re.findall(r"\bWIRESIDE_[A-Z_]+", PAGE))
    assert len(variables) > 5
    assert unknown_variables(dict.fromkeys(variables, "")) == []


def test_every_target_is_a_stage() -> None:
    stages = {stage.name for stage in parse((DEPLOY / "Containerfile").read_text())}
    assert set(re.findall(r"--target (\w+)", CODE)) <= stages


def test_the_settings_of_the_unit_are_those_of_the_page() -> None:
    unit = (DEPLOY / "systemd" / "wireside.service").read_text()
    assert "ExecStart=/opt/wireside/bin/wireside serve" in unit
    assert "EnvironmentFile=-/etc/wireside/wireside.env" in unit
    assert "sudo python3 -m venv /opt/wireside" in CODE


def test_the_upgrade_replaces_the_same_version() -> None:
    assert "pip install --no-deps --force-reinstall dist/wireside-*.whl" in PAGE
    makefile = (ROOT / "Makefile").read_text()
    recipe = makefile.partition("\nwheel:")[2].partition("\n\n")[0]
    assert "rm -f dist/wireside-*.whl" in recipe  # pip takes no two versions


def test_a_folder_of_the_system_that_may_be_missing_is_made() -> None:
    for folder in ("/etc/sysusers.d/", "/etc/systemd/journald.conf.d/"):
        (line,) = [one for one in PAGE.splitlines() if folder in one]
        assert "install -D -m 644" in line


def test_secrets_are_readable_by_their_user_only() -> None:
    assert "/tmp/" not in CODE
    assert "install -m 600 deploy/kubernetes/secret.example.yaml" in CODE


@pytest.mark.parametrize(
    "command",
    sorted(set(re.findall(r"\bwireside ((?:users|migrate|backup|restore|health)\b)", PAGE))),
)
def test_every_command_exists(command: str) -> None:
    commands = get_command(app).commands  # type: ignore[attr-defined]
    assert command in commands
    assert CliRunner().invoke(app, [command, "--help"]).exit_code == 0
