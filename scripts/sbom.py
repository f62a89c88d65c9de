"""Writes the software bill of materials as CycloneDX JSON: every locked package, with hashes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
LOCK = ROOT / "requirements" / "runtime.txt"


def main(target: Path) -> int:
    """Write the software bill of materials to ``target``; return the exit code."""
    target.parent.mkdir(parents=True, exist_ok=True)
    command = [
        *(sys.executable, "-W", "ignore", "-m", "cyclonedx_py", "requirements", str(LOCK)),
        *("--pyproject", str(ROOT / "pyproject.toml"), "--output-reproducible"),
        *("--output-format", "JSON", "--output-file", str(target)),
    ]
    code = subprocess.run(command, check=False).returncode
    if code == 0:
        count = len(json.loads(target.read_text())["components"])
        print(f"{target.name}: {count} packages, in {target.parent}")
    return code


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "build" / "sbom.json"))
