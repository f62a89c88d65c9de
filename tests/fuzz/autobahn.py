"""The Autobahn cases against the project's WebSocket layer, compared with a stored baseline.

Each case ends with two verdicts: on the messages, and on how the connection was closed. As in the
suite itself, OK, NON-STRICT and INFORMATIONAL are good. A case may not get worse than in
``autobahn_baseline.json``; an improvement is reported, and ``--update`` rewrites the file.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path

from kosoku import FailureError, run_fuzzingclient

HERE = Path(__file__).parent
BASELINE = HERE / "autobahn_baseline.json"

SLOW = ("9.*", "12.*", "13.*")
"""Large messages, and compression in 200 variants: they take minutes."""

CASES = 517
QUICK_CASES = 247
GOOD_AT_LEAST = 516
VERDICTS = ("OK", "NON-STRICT", "INFORMATIONAL", "UNIMPLEMENTED", "UNCLEAN", "WRONG CODE")
"""From best to worst; a verdict not in the list is worst."""

GOOD = VERDICTS[:3]

Verdicts = dict[str, list[str]]


@dataclass
class Round:
    """The result of one run. ``expected`` holds the cases that had to be run."""

    verdicts: Verdicts
    seconds: float
    expected: frozenset[str]
    worse: list[str] = field(default_factory=list)
    better: list[str] = field(default_factory=list)

    @property
    def good(self) -> int:
        """Number of cases for which both verdicts are good."""
        return sum(all(v in GOOD for v in pair) for pair in self.verdicts.values())

    @property
    def is_clean(self) -> bool:
        """Whether all cases were run, none got worse, and at most one is not good."""
        is_whole = bool(self.expected) and not self.strays
        return is_whole and not self.worse and self.is_good_enough

    @property
    def is_good_enough(self) -> bool:
        """Whether at most one case is not good."""
        return len(self.verdicts) - self.good <= CASES - GOOD_AT_LEAST

    @property
    def strays(self) -> list[str]:
        """Cases that are missing, and cases that are unknown."""
        return sorted(self.expected ^ self.verdicts.keys(), key=_place)

    def table(self) -> str:
        """Return the results, as lines of text."""
        count = Counter(pair[0] for pair in self.verdicts.values())
        rows = [("cases", len(self.verdicts)), ("good", self.good), *sorted(count.items())]
        lines = [f"{name:<16} {number:>8,}" for name, number in rows]
        lines.append(f"{'seconds':<16} {self.seconds:>8.1f}")
        strays = [f"  {'missing' if s in self.expected else 'unknown'}: {s}" for s in self.strays]
        return "\n".join([*lines, *strays, *(f"  worse: {w}" for w in self.worse)])


async def run(*, quick: bool) -> Round:
    """Run the quick cases or all cases against a separate server."""
    server = await asyncio.create_subprocess_exec(
        sys.executable,
        str(HERE / "echo_server.py"),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert server.stdout is not None
    assert server.stdin is not None
    try:
        port = int(await server.stdout.readline())
        began = time.monotonic()
        verdicts = await _verdicts(f"ws://127.0.0.1:{port}", SLOW if quick else ())
        seconds = time.monotonic() - began
    finally:
        server.stdin.close()
        await server.wait()
    return compared(verdicts, seconds, expected(quick=quick))


def baseline() -> Verdicts:
    """Return the expected verdicts of each case."""
    verdicts: Verdicts = json.loads(BASELINE.read_text()) if BASELINE.exists() else {}
    return verdicts


def expected(*, quick: bool) -> frozenset[str]:
    """Return the names of the baseline's cases: the quick ones, or all."""
    return frozenset(
        case
        for case in baseline()
        if not (quick and any(fnmatch(case, pattern) for pattern in SLOW))
    )


async def _verdicts(url: str, without: Sequence[str]) -> Verdicts:
    try:
        results = await run_fuzzingclient(url, None, list(without) or None, 4)
    except FailureError as failure:  # judged by the baseline
        results = failure.results
    return {r.case_id: [r.behavior.value, r.behavior_close.value] for r in results}


def compared(verdicts: Verdicts, seconds: float, expected: frozenset[str]) -> Round:
    """Compare verdicts with the baseline."""
    result = Round(verdicts, seconds, expected)
    known = baseline()
    for case, now in verdicts.items():
        before = known.get(case, ["OK", "OK"])
        change = f"{case}: {' / '.join(before)} is now {' / '.join(now)}"
        if any(_rank(n) > _rank(b) for n, b in zip(now, before, strict=True)):
            result.worse.append(change)
        elif now != before:
            result.better.append(change)
    return result


def _rank(verdict: str) -> int:
    return VERDICTS.index(verdict) if verdict in VERDICTS else len(VERDICTS)


def _place(case: str) -> list[int]:
    return [int(part) for part in case.split(".")]


def write_baseline(verdicts: Verdicts) -> None:
    """Store these verdicts as the baseline, one case per line."""
    known = baseline() | verdicts
    lines = ",\n".join(
        f"  {json.dumps(c)}: {json.dumps(known[c])}" for c in sorted(known, key=_place)
    )
    BASELINE.write_text(f"{{\n{lines}\n}}\n")


def main() -> int:
    """Run the cases and print a table; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help=f"without {', '.join(SLOW)}")
    parser.add_argument("--update", action="store_true", help="write the baseline anew")
    given = parser.parse_args()
    result = asyncio.run(run(quick=given.quick))
    print(result.table())
    for change in result.better:
        print(f"  better: {change}")
    if given.update:
        write_baseline(result.verdicts)
        return int(not result.is_good_enough)
    return int(not result.is_clean)


if __name__ == "__main__":
    sys.exit(main())
