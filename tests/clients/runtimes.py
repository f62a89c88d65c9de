"""JavaScript runtimes to test ``wireside.js`` in, and packages for them.

Node 20 is the machine's own (with the package ``ws``, as it has no WebSocket). The others are
installed from npm into a cache folder (``WIRESIDE_TEST_CACHE``, by default
``~/.cache/wireside-tests``) on first use.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
from pathlib import Path

CACHE = Path(
    os.environ.get("WIRESIDE_TEST_CACHE") or Path.home() / ".cache" / "wireside-tests"
).expanduser()

INSTALL_S = 300.0

RUNTIMES: dict[str, tuple[tuple[str, ...], str, tuple[str, ...]]] = {
    "node20": (("node@20",), "node", ()),
    "node22": (("node@22",), "node", ()),
    "node24": (("node@24",), "node", ()),
    "deno": (("deno@2",), "deno", ("run", "--allow-all", "--no-lock", "--quiet")),
    "bun": (("bun@1",), "bun", ()),
}
"""Packages, the program's name, its arguments before a file."""


class Missing(Exception):
    """A runtime or a package is not available here; the text gives the reason."""


def command(name: str) -> list[str]:
    """Return the command that runs a module in this runtime. Raises ``Missing``."""
    packages, program, arguments = RUNTIMES[name]
    path = install(name, *packages) / ".bin" / program
    if not _runs(str(path)):
        raise Missing(f"{' '.join(packages)} from npm does not run here")
    return [str(path), *arguments]


def install(folder: str, *packages: str) -> Path:
    """Install packages once; return ``node_modules``. Raises ``Missing``."""
    target = CACHE / folder
    return _install(target, "\n".join(packages), {"package.json": '{"private": true}'}, *packages)


def install_locked(folder: Path) -> Path:
    """Install the packages of a folder's lock file once; return ``node_modules``.

    Raises ``Missing``.
    """
    files = {name: (folder / name).read_text() for name in ("package.json", "package-lock.json")}
    return _install(CACHE / folder.name, files["package-lock.json"], files)


def _install(target: Path, wanted: str, files: dict[str, str], *packages: str) -> Path:
    npm = shutil.which("npm")
    modules = target / "node_modules"
    done = target / ".installed"
    if done.exists() and done.read_text() == wanted:
        return modules
    if npm is None:
        raise Missing("there is no npm here")
    target.mkdir(parents=True, exist_ok=True)
    with (target / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # test processes run in parallel
        if done.exists() and done.read_text() == wanted:
            return modules
        for name, text in files.items():
            (target / name).write_text(text)
        how = ["install", *packages] if packages else ["ci", "--ignore-scripts"]
        try:
            installed = subprocess.run(
                [npm, *how, "--no-audit", "--no-fund", "--no-progress"],
                cwd=target,
                capture_output=True,
                text=True,
                timeout=INSTALL_S,
            )
        except subprocess.TimeoutExpired as error:
            raise Missing(f"npm did not bring {target.name} within {INSTALL_S:.0f} s") from error
        if installed.returncode:
            raise Missing(f"npm cannot install {target.name}: {installed.stderr.strip()[-300:]}")
        done.write_text(wanted)
    return modules


def _runs(path: str) -> bool:
    try:
        run = subprocess.run([path, "--version"], capture_output=True, timeout=60, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return run.returncode == 0
