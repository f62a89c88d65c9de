"""Abuse in the short form, where nothing hangs on the speed of the machine; ``make soak`` runs the
long one.
"""

from __future__ import annotations

import asyncio
import importlib.util
import sys
from pathlib import Path

import pytest

_file = Path(__file__).with_name("abuse.py")
_spec = importlib.util.spec_from_file_location("abuse", _file)
assert _spec is not None
assert _spec.loader is not None
abuse = importlib.util.module_from_spec(_spec)
sys.modules["abuse"] = abuse  # its dataclasses look for it
_spec.loader.exec_module(abuse)


@pytest.mark.timeout(180)
def test_abusers_are_freed_and_users_notice_nothing() -> None:
    limits = abuse.Limits(stalled_s=14, ping_s=5, requests_per_minute=3000, slack_s=15, p99_ms=None)
    report = asyncio.run(abuse.run(count=300, users=10, limits=limits))
    print(f"\n{report.table()}")
    assert report.broken == []
