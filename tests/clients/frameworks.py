"""Builds programs with React, Vue and Svelte from npm for the browser tests.

The packages of ``frameworks/package-lock.json`` are installed once into the cache folder of
``runtimes``; the package ``wireside-client`` is the one that the server would serve.
"""

from __future__ import annotations

import io
import json
import shutil
import subprocess
import tarfile
from pathlib import Path

from tests.clients import runtimes
from wireside_ui import client_package

LOCKED = Path(__file__).with_name("frameworks")
BUILD_S = 60


def build(folder: Path, entry: Path, aliases: dict[str, str] | None = None) -> Path:
    """Return a script with a program and all that it imports. Raises ``runtimes.Missing``."""
    modules = runtimes.install_locked(LOCKED)
    node = shutil.which("node")
    assert node is not None
    own = folder / "node_modules"
    unpack(own)
    given = {
        "entry": str(entry),
        "outfile": str(folder / "page.js"),
        "modules": [str(modules), str(own)],
        "aliases": aliases or {},
    }
    built = subprocess.run(
        [node, str(LOCKED / "build.mjs"), json.dumps(given)],
        capture_output=True,
        text=True,
        timeout=BUILD_S,
    )
    assert not (built.returncode or built.stderr), built.stderr
    return folder / "page.js"


def unpack(modules: Path) -> None:
    """Unpack ``wireside-client`` into a folder ``node_modules``, as npm does."""
    with tarfile.open(fileobj=io.BytesIO(client_package.tarball())) as archive:
        archive.extractall(modules, filter="data")
    (modules / "package").rename(modules / "wireside-client")
