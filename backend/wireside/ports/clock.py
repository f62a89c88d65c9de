"""Clocks, passed in wherever time affects behaviour."""

from __future__ import annotations

from collections.abc import Callable

Clock = Callable[[], float]
"""Monotonic seconds (``time.monotonic``)."""
