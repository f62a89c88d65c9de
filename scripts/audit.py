"""Checks every locked package for known vulnerabilities, with pip-audit and the OSV database.

Exit codes: 0, none is known; 1, some are known and listed; 2, the check was not possible, which
does not count as a pass.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
LOCK = ROOT / "requirements" / "runtime.txt"


def main(arguments: list[str]) -> int:
    """Audit the lock file; ``arguments`` go to pip-audit. Returns the exit code."""
    command = [
        *(sys.executable, "-m", "pip_audit", "--requirement", str(LOCK), "--require-hashes"),
        *("--disable-pip", "--vulnerability-service", "osv", "--format", "json"),
        *("--progress-spinner", "off", *arguments),
    ]
    process = subprocess.run(command, capture_output=True, text=True, check=False)
    try:
        packages: list[dict[str, Any]] = json.loads(process.stdout)["dependencies"]
    except (ValueError, KeyError):
        print("Not audited: the service that knows of weaknesses could not be asked.")
        print(*process.stderr.strip().splitlines()[-1:])
        return 2
    return told(packages)


def told(packages: list[dict[str, Any]]) -> int:
    """Print the known vulnerabilities of ``packages``; return the exit code."""
    weak = [(package, each) for package in packages for each in package.get("vulns", ())]
    skipped = [package for package in packages if "skip_reason" in package]
    for package, weakness in weak:
        fixed = ", ".join(weakness["fix_versions"]) or "no version yet"
        print(f"{package['name']} {package['version']}: {weakness['id']}, mended in {fixed}")
    for package in skipped:
        print(f"{package['name']}: not audited: {package['skip_reason']}")
    print(f"{len(packages) - len(skipped)} packages audited, {len(weak)} weaknesses known")
    if weak:
        return 1
    return 2 if skipped or not packages else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
