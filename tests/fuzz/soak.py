"""The long form of ``test_fuzz.py``, for ``make soak``.

Runs each part, even after one has failed, and ends with a summary.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path

ROOT = Path(__file__).parents[2]


def main() -> int:
    """Run all parts; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--inputs", type=int, default=100_000_000, help="for what parses")
    parser.add_argument("--frames", type=int, default=1_000_000, help="for a live server")
    parser.add_argument("--examples", type=int, default=1_000, help="of each REST operation")
    parser.add_argument("--seed", type=int, default=int(time.time()))
    given = parser.parse_args()
    seed = ("--seed", str(given.seed))
    parts = {
        "dearest": ("dearest", "--tries", "20000", "--time", *seed),
        "live": ("live", "--frames", str(given.frames), *seed),
        "rest": ("rest", "--examples", str(given.examples), "--mutations", "20000", *seed),
        "autobahn": ("autobahn",),
        "parser": ("parser", "--inputs", str(given.inputs), *seed),
    }
    if find_spec("kosoku") is None:
        print("Without kosoku: the Autobahn cases are left out.")
        del parts["autobahn"]
    results = {name: _run(name, command) for name, command in parts.items()}
    print(f"\n{'part':<12} {'result':<8} seconds")
    for name, (code, seconds) in results.items():
        print(f"{name:<12} {'ok' if code == 0 else 'FAILED':<8} {seconds:7.1f}")
    return int(any(code for code, _ in results.values()))


def _run(name: str, command: tuple[str, ...]) -> tuple[int, float]:
    print(f"\n── {name} " + "─" * (70 - len(name)), flush=True)
    began = time.monotonic()
    program, *arguments = command
    ended = subprocess.run(
        [sys.executable, "-m", f"tests.fuzz.{program}", *arguments], cwd=ROOT, check=False
    )
    return ended.returncode, time.monotonic() - began


if __name__ == "__main__":
    sys.exit(main())
