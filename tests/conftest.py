"""Settings of Hypothesis for all tests."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

settings.register_profile(
    "tests",
    deadline=None,  # it would depend on the machine's speed
    suppress_health_check=[HealthCheck.too_slow],
    derandomize=True,  # the same examples in each run; tests/fuzz looks for new ones
    print_blob=True,
)
settings.load_profile("tests")
