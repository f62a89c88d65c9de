"""The units of ``deploy/systemd`` as systemd reads them, and their settings."""

from __future__ import annotations

import configparser
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from wireside.settings.load import unknown_variables
from wireside.settings.model import Settings

UNITS = Path(__file__).parents[2] / "deploy" / "systemd"

MOST_EXPOSED = 20
"""Tenths of the exposure level that systemd-analyze may find; 100 is a service as root."""

with_systemd = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed"
)


def service() -> dict[str, list[str]]:
    """Return the values of ``[Service]``; a name may be given several times."""
    values: dict[str, list[str]] = {}
    section = (UNITS / "wireside.service").read_text().partition("[Service]")[2].partition("[")[0]
    for line in section.splitlines():
        name, equals, value = line.partition("=")
        if equals and not line.startswith("#"):
            values.setdefault(name, []).append(value)
    return values


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """The units, with a program that exists on this machine."""
    for name in ("wireside.service", "wireside.socket"):
        text = (UNITS / name).read_text()
        (tmp_path / name).write_text(text.replace("/opt/wireside/bin/wireside", sys.executable))
    return tmp_path


def analyze(*words: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["systemd-analyze", "--no-pager", *words], capture_output=True, text=True, check=False
    )


@with_systemd
def test_systemd_accepts_the_units(installed: Path) -> None:
    checked = analyze("verify", installed / "wireside.service", installed / "wireside.socket")
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, "", "")


@with_systemd
def test_the_service_is_confined(installed: Path) -> None:
    arguments = ("security", "--offline=true", f"--threshold={MOST_EXPOSED}")
    checked = analyze(*arguments, installed / "wireside.service")
    assert checked.returncode == 0, checked.stdout[-200:] + checked.stderr


def test_its_variables_are_settings_in_its_folders() -> None:
    assignments = dict(
        pair.split("=", 1) for line in service()["Environment"] for pair in line.split()
    )
    assert unknown_variables(assignments) == []
    assert assignments["WIRESIDE_DATA_DIR"] == "%S/" + service()["StateDirectory"][0]
    assert assignments["WIRESIDE_CACHE_DIR"] == "%C/" + service()["CacheDirectory"][0]


def test_systemd_waits_for_the_longest_shutdown() -> None:
    minutes = int(re.fullmatch(r"(\d+)min", service()["TimeoutStopSec"][0])[1])  # type: ignore[index]
    settings = Settings(replicas=True)
    waits_s = settings.effective_drain_notice_s + settings.effective_drain_s
    assert minutes * 60 > waits_s + 30


def test_the_socket_listens_where_the_server_does() -> None:
    unit = configparser.ConfigParser(strict=False)
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read(UNITS / "wireside.socket")
    fields = Settings.model_fields
    assert unit["Socket"]["ListenStream"] == f"{fields['host'].default}:{fields['port'].default}"
