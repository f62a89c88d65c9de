"""Resolves the dependencies into requirements/: versions and hashes, without index URLs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def compile_lock(name: str, *options: str) -> None:
    """Write ``requirements/{name}.txt`` for every supported Python and platform."""
    target = ROOT / "requirements" / f"{name}.txt"
    command = [
        *(sys.executable, "-m", "uv", "pip", "compile", "pyproject.toml"),
        *("--universal", "--python-version", "3.11", "--generate-hashes"),
        *("--no-header", "--no-annotate", "--no-emit-index-url", "--no-emit-find-links"),
        *("--no-config", "--quiet", "--output-file", str(target)),
        *options,
    ]
    subprocess.run(command, cwd=ROOT, check=True)
    print(f"{target.relative_to(ROOT)}: {target.read_text().count('==')} packages")


EXTRAS = tuple(
    word for name in ("local", "mcp", "oidc", "postgres", "redis") for word in ("--extra", name)
)
"""The extras for a checkout: everything that a server can use."""


if __name__ == "__main__":
    compile_lock("runtime", "--group", "install", *EXTRAS, *sys.argv[1:])
    constraint = ("--constraint", "requirements/runtime.txt")
    compile_lock("dev", "--group", "dev", *EXTRAS, *constraint, *sys.argv[1:])
