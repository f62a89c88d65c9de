"""Resolves the dependencies into requirements/: versions and hashes, no address of an index."""

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


if __name__ == "__main__":
    compile_lock("runtime", "--group", "install", *sys.argv[1:])
    compile_lock("dev", "--group", "dev", "--constraint", "requirements/runtime.txt", *sys.argv[1:])
