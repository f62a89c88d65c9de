"""Settings of the deployments in ``deploy/``, as a server would read them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from wireside.settings.load import load_settings, unknown_variables
from wireside.settings.model import Settings

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"

SECRETS = {
    "OPENAI_API_KEY": "sk-test",
    "WIRESIDE_DATABASE_URL": "postgresql://wireside:secret@postgres/wireside",
    "WIRESIDE_METRICS_TOKEN": "token",
    "WIRESIDE_S3_ACCESS_KEY": "access",
    "WIRESIDE_S3_SECRET_KEY": "secret",
}
"""Values of the secrets that the deployments pass by files."""


def schema(name: str) -> dict[str, Any]:
    """Return a schema of another project (``schemas/``)."""
    text = (Path(__file__).with_name("schemas") / name).read_text("utf-8")
    found: dict[str, Any] = json.loads(text)
    return found


def settings_of(
    variables: Mapping[str, str], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> Settings:
    """Return the settings that a container with these variables has.

    Files of secrets are read from ``folder``, where each has its value of ``SECRETS``.
    """
    assert unknown_variables(variables) == []
    monkeypatch.chdir(folder)  # without the developer's wireside.toml
    for name, value in {"WIRESIDE_HOST": "0.0.0.0", **variables}.items():
        given = value
        if name.endswith("_FILE"):
            file = folder / Path(value).name
            file.write_text(SECRETS[name.removesuffix("_FILE")])
            given = str(file)
        monkeypatch.setenv(name, given)
    return load_settings()
