"""The documentation as a site, built once for the tests that need it."""

from __future__ import annotations

import fcntl
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SITE = ROOT / "build" / "docs" / "site"
MKDOCS = Path(sys.executable).parents[1] / "docs" / "bin" / "python"


def built_site() -> Path:
    """Build the site if a file of docs/ is newer; return its folder."""
    if not MKDOCS.exists():
        pytest.skip("the environment of the documentation is missing: `make docs` creates it")
    SITE.parent.parent.mkdir(exist_ok=True)
    with (SITE.parent.parent / "docs.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # test processes run in parallel
        sources = [*(ROOT / "docs").rglob("*"), *ROOT.glob("*.md"), *ROOT.glob("scripts/docs*.py")]
        newest = max(file.stat().st_mtime for file in sources)
        index = SITE / "index.html"
        if not index.exists() or index.stat().st_mtime < newest:
            built = subprocess.run(
                [sys.executable, ROOT / "scripts" / "docs.py"], capture_output=True, text=True
            )
            assert built.returncode == 0, built.stdout + built.stderr
    return SITE
