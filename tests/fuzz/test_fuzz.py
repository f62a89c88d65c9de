"""Any bytes in: the short form of what ``make soak`` does at length. Each is a program beside this
file, run as it would be by hand; it prints its table, and its exit code is the verdict.
"""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

HERE = Path(__file__).parent
ROOT = HERE.parents[1]


def run(program: str, *arguments: str) -> None:
    """Run one, with this checkout's packages, and show what it prints."""
    paths = [str(ROOT / "backend"), str(ROOT / "ui"), os.environ.get("PYTHONPATH", "")]
    print(f"\n{program} {' '.join(arguments)}", flush=True)
    ended = subprocess.run(
        [sys.executable, str(HERE / program), *arguments],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))},
        check=False,
    )
    assert ended.returncode == 0


@pytest.mark.timeout(900)
def test_a_million_inputs_are_read_or_refused() -> None:
    run("parser.py", "--inputs", "1000000", "--seed", "1")


@pytest.mark.timeout(600)
def test_no_text_is_too_dear_to_render() -> None:
    run("dearest.py", "--tries", "400", "--seed", "1")


@pytest.mark.timeout(600)
def test_twenty_thousand_frames_are_answered_once_each() -> None:
    run("live.py", "--frames", "20000", "--seed", "1")


@pytest.mark.timeout(600)
def test_rest_answers_as_it_is_described() -> None:
    run("rest.py", "--examples", "40", "--seed", "1")


@pytest.mark.timeout(300)
@pytest.mark.skipif(find_spec("kosoku") is None, reason="there is no kosoku for this system")
def test_the_autobahn_cases_are_as_good_as_they_were() -> None:
    run("autobahn.py", "--quick")


@pytest.mark.parametrize("target", ["frames", "connection"])
def test_a_failure_is_reported_with_an_input_that_repeats_it(target: str) -> None:
    """The fuzzer itself: what it would print after a failure runs that one input."""
    run("parser.py", "--target", target, "--input", "0102030405060708")
