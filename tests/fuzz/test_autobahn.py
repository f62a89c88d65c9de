"""Conditions for a run of the Autobahn cases to pass; the run itself is in ``test_fuzz.py``."""

from __future__ import annotations

import pytest

pytest.importorskip("kosoku")

from tests.fuzz import autobahn

GOOD = ["OK", "OK"]


def test_the_baseline_has_all_cases() -> None:
    assert len(autobahn.expected(quick=False)) == autobahn.CASES
    assert len(autobahn.expected(quick=True)) == autobahn.QUICK_CASES


@pytest.mark.parametrize("quick", [True, False])
def test_a_round_passes_with_all_its_cases_and_with_no_fewer(quick: bool) -> None:
    expected = autobahn.expected(quick=quick)
    verdicts = {case: pair for case, pair in autobahn.baseline().items() if case in expected}
    assert autobahn.compared(verdicts, 0.0, expected).is_clean
    assert not autobahn.compared({}, 0.0, expected).is_clean
    assert not autobahn.compared({}, 0.0, frozenset()).is_clean
    first, *others = verdicts
    fewer = autobahn.compared({case: verdicts[case] for case in others}, 0.0, expected)
    assert not fewer.is_clean
    assert f"missing: {first}" in fewer.table()
    renamed = {case: verdicts[case] for case in others} | {"99.1": GOOD}
    assert not autobahn.compared(renamed, 0.0, expected).is_clean


def test_a_case_that_gets_worse_ends_it() -> None:
    expected = autobahn.expected(quick=False)
    worse = autobahn.baseline() | {"1.1.1": ["FAILED", "OK"]}
    assert not autobahn.compared(worse, 0.0, expected).is_clean
