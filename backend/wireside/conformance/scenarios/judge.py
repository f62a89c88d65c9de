"""Judges a client by what it has sent: a played scenario in, faults out. No I/O and no clock."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from math import exp, log
from typing import Final

from wireside.conformance.results import Fault, shown
from wireside.conformance.scenarios.records import Play, ScenarioAttempt, ScenarioRequest

SLACK_S: Final = 1.0
"""Time that a client may need to notice an end and to connect, in seconds."""

MAX_BACK_OFF_S: Final = 30.0

SAME_WAITS: Final = 0.03
"""Relative difference below which waits are the same."""

RARE: Final = 1e-6
"""Probability below which waits can't come from full jitter."""

COMES_BACK: Final = "a new connection, and `resume` with the stream and the last offset"
ASKS_AGAIN: Final = "the question once more, with its `key`"


def judge(play: Play, attempts: Sequence[ScenarioAttempt]) -> list[Fault]:
    """Return what a client did wrong in a scenario that is over."""
    faults = [Fault(expected, came) for expected, came in play.faults]
    if play.scenario.level == 2 and play.first.frame.get("id") is None:
        return [*faults, Fault("a `chat` with `id`", "level 1: its answer can't be resumed")]
    for previous, request in pairwise(play.requests):
        faults += _judge_return(play, previous, request)
    faults += _judge_end(play)
    faults += _judge_waits(play, attempts)
    faults += _judge_pings(play, attempts)
    return faults


def _judge_end(play: Play) -> Iterator[Fault]:
    last = play.last
    if play.is_waiting:
        expected = COMES_BACK if _has_opened(play) else ASKS_AGAIN
        yield Fault(expected, f"nothing after {_end_of(last)}")
    if last.ended == "left":
        yield Fault("the connection open until the answer has ended", "the client ended it")


def _has_opened(play: Play) -> bool:
    return any(request.has_opened for request in play.requests)


def _end_of(request: ScenarioRequest) -> str:
    return {
        "cut": "the connection was cut",
        "silent": "the server went silent",
        "close": f"the connection was closed with {request.code}",
    }.get(request.ended, f"`{request.ended}`")


def _judge_return(
    play: Play, previous: ScenarioRequest, request: ScenarioRequest
) -> Iterator[Fault]:
    """Judge a request by how the previous one ended."""
    if previous.is_final:
        yield from _judge_repetition(previous, request)
    elif request.is_resume:
        yield from _judge_resume(play, request)
    else:
        yield from _judge_second_chat(play, request)


def _judge_repetition(previous: ScenarioRequest, request: ScenarioRequest) -> Iterator[Fault]:
    kind = f"`{request.frame['type']}`"
    if previous.ended == "error" and previous.retryable and not request.is_resume:
        waited_s = request.at - previous.ended_at
        if waited_s < previous.retry_after_s - 0.1:
            expected = f"{kind} after `retry_after`, {previous.retry_after_s:g} s, at the earliest"
            yield Fault(expected, f"{kind} after {waited_s:.2f} s")
    else:
        yield Fault(f"nothing more about the answer after {_end_of(previous)}", f"another {kind}")


def _judge_resume(play: Play, request: ScenarioRequest) -> Iterator[Fault]:
    index = play.requests.index(request)
    received = max(one.offset for one in play.requests[:index])
    offset = request.frame.get("offset")
    if offset != received and isinstance(offset, int):
        effect = "text is lost" if offset > received else "received text comes again"
        yield Fault(f"`resume` with `offset` {received}", f"`offset` {offset}: {effect}")


def _judge_second_chat(play: Play, request: ScenarioRequest) -> Iterator[Fault]:
    """Judge a question that is sent again: with its key, it gets the same answer."""
    index = play.requests.index(request)
    key, again = play.key, request.frame.get("key")
    if key is None or again != key:
        came = "the question again" + (" with another `key`" if again else " without `key`")
        has_opened = any(one.has_opened for one in play.requests[:index])
        yield Fault(COMES_BACK if has_opened else ASKS_AGAIN, f"{came}: it would be answered twice")
        return
    received = max(one.offset for one in play.requests[:index])
    offset = request.frame.get("offset") or 0
    if offset not in (0, received):
        yield Fault(f"`offset` {received}, or 0 to begin again", f"`offset` {offset}")
    ignored = {"id", "offset"}
    if _without(request.frame, ignored) != _without(play.first.frame, ignored):
        yield Fault("the same question under the same `key`", shown(request.frame))


def _without(frame: dict[str, object], names: set[str]) -> dict[str, object]:
    return {name: value for name, value in frame.items() if name not in names}


# ---- waits ---------------------------------------------------------------------------------------


def _judge_waits(play: Play, attempts: Sequence[ScenarioAttempt]) -> Iterator[Fault]:
    for previous, request in pairwise(play.requests):
        if previous.ended in ("cut", "close") and request.attempt > previous.attempt:
            waits = waits_between(previous, request, attempts)
            waits[0] = max(0.0, waits[0] - previous.linger_s)
            if previous.retry_after_s:
                yield from _judge_retry_after(previous.retry_after_s, waits[0])
            else:
                yield from judge_back_off(waits)
        elif previous.ended == "silent":
            yield from _judge_dead_connection(play, previous, request)


def waits_between(
    previous: ScenarioRequest, request: ScenarioRequest, attempts: Sequence[ScenarioAttempt]
) -> list[float]:
    """Return the waits before each attempt to connect between two requests, in seconds."""
    ended_at = previous.ended_at
    waits = []
    for attempt in attempts[previous.attempt + 1 : request.attempt + 1]:
        waits.append(max(0.0, attempt.at - ended_at))
        ended_at = attempt.at if attempt.ended_at is None else attempt.ended_at
    return waits


def _judge_retry_after(retry_after_s: float, waited_s: float) -> Iterator[Fault]:
    if waited_s < retry_after_s - 0.1:
        expected = f"a connection after `retry_after`, {retry_after_s:g} s, at the earliest"
        yield Fault(expected, f"one after {waited_s:.2f} s")


def judge_back_off(waits: Sequence[float]) -> Iterator[Fault]:
    """Judge waits before attempts in a row, of which all but the last one failed."""
    limits = [min(2.0**number, MAX_BACK_OFF_S) for number in range(len(waits))]
    text = ", ".join(f"{wait:.2f}" for wait in waits)
    for number, (wait, limit) in enumerate(zip(waits, limits, strict=True)):
        if wait > limit + SLACK_S:
            yield Fault(f"attempt {number + 1} after at most {limit:g} s", f"after {wait:.2f} s")
    if len(waits) < 3:
        return
    if _chance_of_so_short(waits, limits) < RARE:
        yield Fault("waits that grow: up to 1 s, 2 s, 4 s …", f"attempts after {text} s")
    elif len(waits) > 3 and (_are_same(waits) or _are_same(_shares(waits, limits))):
        yield Fault("waits with jitter: random between 0 and the limit", f"after {text} s")


def _shares(waits: Sequence[float], limits: Sequence[float]) -> list[float]:
    return [wait / limit for wait, limit in zip(waits, limits, strict=True)]


def _are_same(values: Sequence[float]) -> bool:
    return min(values) > 0 and max(values) - min(values) <= SAME_WAITS * max(values)


def _chance_of_so_short(waits: Sequence[float], limits: Sequence[float]) -> float:
    """Return the probability that full jitter gives a product of shares as small as this one.

    The negative logarithm of a uniform number has an exponential distribution; the sum of n of them
    has an Erlang distribution.
    """
    total = -sum(log(min(1.0, max(share, 1e-4))) for share in _shares(waits, limits))
    term, series = 1.0, 1.0
    for number in range(1, len(waits)):
        term *= total / number
        series += term
    return exp(-total) * series


def _judge_dead_connection(
    play: Play, previous: ScenarioRequest, request: ScenarioRequest
) -> Iterator[Fault]:
    most_s = play.ping_s + play.dead_s + 2 * SLACK_S + 1.0
    waited_s = request.at - previous.ended_at
    if waited_s > most_s:
        expected = f"a new connection within {play.ping_s + play.dead_s:g} s of silence"
        yield Fault(expected, f"one after {waited_s:.1f} s")


def _judge_pings(play: Play, attempts: Sequence[ScenarioAttempt]) -> Iterator[Fault]:
    """Judge the pings of a request that was answered slowly."""
    if play.scenario.name != "quiet":
        return
    request = play.last
    attempt = attempts[request.attempt]
    seen = [time for time in attempt.pings if request.at <= time <= request.ended_at]
    if len(seen) < 2:
        seconds = request.ended_at - request.at
        expected = f"`ping` every {play.ping_s:g} s"
        yield Fault(expected, f"{len(seen)} in {seconds:.0f} s")


def judge_close(attempt: ScenarioAttempt) -> list[Fault]:
    """Judge how a client ended its last connection."""
    if attempt.ended_by_client and attempt.close_code is None:
        return [Fault("a close frame, code 1000", "the TCP connection ended without one")]
    return []


def judge_text(expected: str, came: str) -> list[Fault]:
    """Compare the text that a client has assembled with that of the answer."""
    if expected == came:
        return []
    at = next(
        (i for i, (one, other) in enumerate(zip(expected, came, strict=False)) if one != other),
        min(len(expected), len(came)),
    )
    return [
        Fault(
            f"{len(expected)} characters; from {at}: {shown(expected[at : at + 40])}",
            f"{len(came)} characters; from {at}: {shown(came[at : at + 40])}",
        )
    ]
