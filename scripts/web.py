"""Checks or formats the scripts and style sheets: ESLint, Prettier, Stylelint and TypeScript.

Formatting also builds the package of the JavaScript client, and checking compares it.

The tools run on Node and are installed once into ``node_modules/``, from ``package-lock.json``.
Without Node, or without a registry to install them from, the checks are skipped.
"""

from __future__ import annotations

import hashlib
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
INSTALLED = ROOT / "node_modules" / ".locked"
"""Has the hash of the lock file that the tools were installed from."""

NODE = (20, 19)
"""Oldest version of Node that all tools support."""

INSTALL_S = 300

CLIENT = (sys.executable, "scripts/client.py")
"""Builds the JavaScript client's package, or checks that it is what its modules give."""

CHECK = {
    "eslint": ("eslint", "."),
    "prettier": ("prettier", "--check", "--log-level", "warn", "."),
    "stylelint": ("stylelint", "**/*.css"),
    "types": ("typescript", "--noEmit"),
}
FORMAT = {
    "eslint": ("eslint", "--fix", "."),
    "stylelint": ("stylelint", "--fix", "**/*.css"),
    "prettier": ("prettier", "--write", "--log-level", "warn", "."),
}
PROGRAMS = {
    "eslint": "eslint/bin/eslint.js",
    "prettier": "prettier/bin/prettier.cjs",
    "stylelint": "stylelint/bin/stylelint.mjs",
    "typescript": "typescript/bin/tsc",
}


def main(which: str) -> int:
    """Run ``check`` or ``format``; return the exit code."""
    missing = unavailable()
    if missing:
        print(f"Skipped: {missing}.")
        return 0
    if which == "format":
        codes = [subprocess.call(command(*call), cwd=ROOT) for call in FORMAT.values()]
        codes.append(subprocess.call((*CLIENT, "build"), cwd=ROOT))
        return int(any(codes))
    running = {
        name: subprocess.Popen(
            command(*call), cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        for name, call in CHECK.items()
    }
    codes = [subprocess.call((*CLIENT, "check"), cwd=ROOT)]
    for name, process in running.items():
        output, _ = process.communicate()
        print(f"{name}: {'ok' if process.returncode == 0 else 'FAILED'}\n{output}", end="")
        codes.append(process.returncode)
    return int(any(codes))


def command(name: str, *arguments: str) -> list[str]:
    """Return the command that runs an installed tool."""
    return ["node", str(ROOT / "node_modules" / PROGRAMS[name]), *arguments]


def unavailable() -> str:
    """Install the tools if necessary; return why they can't be used, "" if they can."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        return "there is no Node with npm"
    version = subprocess.run(["node", "--version"], capture_output=True, text=True, check=False)
    if tuple(int(part) for part in re.findall(r"\d+", version.stdout)[:2]) < NODE:
        return f"Node {'.'.join(map(str, NODE))} or later is required"
    locked = hashlib.sha256((ROOT / "package-lock.json").read_bytes()).hexdigest()
    if INSTALLED.exists() and INSTALLED.read_text("utf-8") == locked:
        return ""
    if not install():
        return "the tools of package-lock.json could not be installed"
    INSTALLED.write_text(locked, "utf-8")
    return ""


def install() -> bool:
    """Install the locked tools; return whether it succeeded."""
    print("Installing the tools of package-lock.json …", flush=True)
    try:
        done = subprocess.run(
            ["npm", "ci", "--ignore-scripts", "--fetch-retries=1", "--fetch-timeout=20000"],
            cwd=ROOT,
            timeout=INSTALL_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
