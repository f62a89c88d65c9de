"""Runs checks against a server, one after another, each within a time limit."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Final

from wireside.conformance.connection import FrameTranscript
from wireside.conformance.kit import ConformanceCheck, Kit
from wireside.conformance.results import (
    Fault,
    NotApplicable,
    RateLimitReached,
    Result,
    State,
    TimedOut,
    Violation,
)

WAITS_PER_CHECK: Final = 3
"""A check takes at most this many times ``timeout_s``."""

MAX_TIMEOUTS: Final = 3
"""After so many checks in a row without a response, the others are skipped."""

MAX_WAITS: Final = 5
"""Waits for the rate limit of a server in one run."""

NO_CONNECTION: Final = "The WebSocket does not open."
NO_RESPONSE: Final = "The server has not responded to several checks."

OnResult = Callable[[Result], None]


async def run_checks(
    checks: Iterable[ConformanceCheck],
    kit: Kit,
    on_result: OnResult = lambda result: None,
    *,
    on_wait: Callable[[float], None] = lambda seconds: None,
) -> list[Result]:
    """Run checks and return their results; ``on_result`` gets each one when it is known.

    When the server's rate limit refuses a check, it is repeated after the wait that the server
    names, or a minute; ``on_wait`` gets the seconds. This is done ``MAX_WAITS`` times.

    A server that can't be reached, hangs or floods never blocks it: waits, frames and bytes have
    limits, and the checks after some that got no response are skipped.
    """
    results: list[Result] = []
    timeouts = waits = 0
    closed = await _why_closed(kit)
    obstacle = f"{NO_CONNECTION} {closed.came}" if closed else ""
    for check in checks:
        if not obstacle or check.section == "The handshake":
            try:
                result = await _run_check(check, kit, may_wait=waits < MAX_WAITS)
            except RateLimitReached as limit:
                waits += 1
                on_wait(limit.wait_s)
                await asyncio.sleep(limit.wait_s)
                result = await _run_check(check, kit, may_wait=False)
        elif closed and not results:
            result = _failure(check, closed)
        else:
            result = _result(check, state="skipped", reason=obstacle)
        timeouts = timeouts + 1 if _is_timeout(result) else 0
        if timeouts >= MAX_TIMEOUTS:
            obstacle = NO_RESPONSE
        results.append(result)
        on_result(result)
    return results


async def _why_closed(kit: Kit) -> Fault | None:
    """Return why no check but those of the handshake can run; None if a connection opens."""
    try:
        async with kit.connection():
            return None
    except Violation as violation:
        return violation.fault


async def _run_check(check: ConformanceCheck, kit: Kit, *, may_wait: bool) -> Result:
    """Run one check. Raises ``RateLimitReached`` if ``may_wait``."""
    kit.transcript = FrameTranscript()
    began = time.monotonic()
    most_s = WAITS_PER_CHECK * kit.timeout_s
    try:
        async with asyncio.timeout(most_s):
            await check.run(kit)
        result = _result(check, state="passed")
    except NotApplicable as reason:
        result = _result(check, state="skipped", reason=str(reason))
    except Violation as violation:
        if may_wait and isinstance(violation, RateLimitReached):
            raise
        result = _failure(check, violation.fault)
        if isinstance(violation, TimedOut):
            result = replace(result, reason=_TIMED_OUT)
    except TimeoutError:
        fault = Fault("an end of the exchange", f"none within {most_s:g} s")
        result = replace(_failure(check, fault), reason=_TIMED_OUT)
    seconds = time.monotonic() - began
    return replace(result, seconds=seconds, transcript=kit.transcript.lines)


_TIMED_OUT: Final = "timeout"


def _is_timeout(result: Result) -> bool:
    return result.reason == _TIMED_OUT


def _failure(check: ConformanceCheck, fault: Fault) -> Result:
    return replace(_result(check, state="failed"), faults=(fault,))


def _result(check: ConformanceCheck, *, state: State, reason: str = "") -> Result:
    return Result(
        name=check.name,
        section=check.section,
        rule=check.rule,
        level=check.level,
        state=state,
        reason=reason,
    )
