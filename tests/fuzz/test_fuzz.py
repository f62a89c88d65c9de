"""The short form of the fuzzing in ``make soak``.

Each test runs a program of this folder as on the command line: it prints a table, and its exit code
is the result.
"""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def run(program: str, *arguments: str) -> None:
    """Run a program with the packages of this checkout, and print its output."""
    paths = [str(ROOT / "backend"), str(ROOT / "ui"), os.environ.get("PYTHONPATH", "")]
    print(f"\n{program} {' '.join(arguments)}", flush=True)
    ended = subprocess.run(
        [sys.executable, "-m", f"tests.fuzz.{program}", *arguments],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))},
        check=False,
    )
    assert ended.returncode == 0


@pytest.mark.timeout(900)
def test_a_million_inputs_are_read_or_refused() -> None:
    run("parser", "--inputs", "1000000", "--seed", "1")


@pytest.mark.timeout(600)
def test_no_text_is_too_dear_to_render() -> None:
    run("dearest", "--tries", "400", "--seed", "1")


@pytest.mark.timeout(600)
def test_twenty_thousand_frames_are_answered_once_each() -> None:
    run("live", "--frames", "20000", "--seed", "1")


@pytest.mark.timeout(600)
def test_rest_answers_as_it_is_described() -> None:
    run("rest", "--examples", "40", "--seed", "1")


@pytest.mark.timeout(300)
@pytest.mark.skipif(find_spec("kosoku") is None, reason="there is no kosoku for this system")
def test_the_autobahn_cases_are_as_good_as_they_were() -> None:
    run("autobahn", "--quick")


@pytest.mark.parametrize("target", ["frames", "connection"])
def test_a_failure_is_reported_with_an_input_that_repeats_it(target: str) -> None:
    """The input printed after a failure reproduces that failure."""
    run("parser", "--target", target, "--input", "0102030405060708")
