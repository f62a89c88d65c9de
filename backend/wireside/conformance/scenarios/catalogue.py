"""All scenarios for a client, in the order in which they are played."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Final, Literal

from wireside.conformance.scenarios.visits import (
    TEXT,
    Action,
    CloseAtOnce,
    CloseSocket,
    CutHandshake,
    CutStep,
    GoSilent,
    NextHandshakes,
    Pause,
    PingSocket,
    RefuseStep,
    SendHalf,
    SendStep,
    Visit,
    VisitEntry,
    texts,
)

Play = Callable[[Visit], Iterator[Action]]

RETRY_AFTER_S: Final = 2.0
STEADY_S: Final = 1.2
"""Life of a connection before it is closed by a restart, in seconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """What the server does with one question, and the rule that the client is judged by.

    Attributes:
        name: as in ``/scenario NAME``.
        section: section of docs/protocol.md.
        rule: what the client must do.
        level: 1 if it can be played to clients of level 1.
        play: yields the actions of one request for the answer.
        log: the answer.
        is_slow: whether it takes longer than the interval of pings.
    """

    name: str
    section: str
    rule: str
    play: Play = field(repr=False)
    level: Literal[1, 2] = 2
    log: Sequence[VisitEntry] = field(default=texts(TEXT), repr=False)
    is_slow: bool = False

    @property
    def text(self) -> str:
        """The text that a client must have shown at the end."""
        contents = [
            entry.fields["content"] for entry in self.log if entry.fields["type"] == "chunk"
        ]
        return "".join(contents)


RICH: Final = (
    *texts(["Let me look. "]),
    VisitEntry({"type": "reasoning", "content": "The user asks 🌊. "}),
    VisitEntry(
        {"type": "tool", "name": "search", "call": "c1", "state": "running", "arguments": "{"}
    ),
    VisitEntry(
        {
            "type": "tool",
            "name": "search",
            "call": "c1",
            "state": "done",
            "arguments": "{}",
            "result": "3 results",
        }
    ),
    *texts(["There ", "are "]),
    VisitEntry({"type": "part", "kind": "table", "text": "a | b", "data": {"columns": ["a"]}}),
    *texts(["three ", "results."]),
)

COMBINED: Final = texts(
    ["👩", "\u200d", "🚀", " e", "\u0301", " 🇨", "🇭", " 👍", "🏽", " \U00020000", " ok"]
)
"""Characters of several code points, cut between them."""

HUGE: Final = texts(["x" * 7_800, "🌊" * 1_900, "\n" * 3_900, "end."])
"""Frames of nearly 8,000 bytes, the largest size."""


def plain(visit: Visit) -> Iterator[Action]:
    """Answer without a fault."""
    yield from visit.rest()


def cut_after(count: int | None, *, until: str = "") -> Play:
    """Cut the first connection after some entries of the answer."""

    def play(visit: Visit) -> Iterator[Action]:
        if not visit.is_first:
            return (yield from visit.rest())
        yield from visit.opening()
        yield from visit.pieces(count, until=until)
        yield CutStep()

    return play


def cut_before_start(visit: Visit) -> Iterator[Action]:
    """Cut before ``start``: the client does not know the name of the stream."""
    if visit.is_first:
        yield CutStep()
    yield from visit.rest()


def cut_after_done(visit: Visit) -> Iterator[Action]:
    """Cut after the last frame."""
    yield from visit.rest()
    yield CutStep()


def cut_after_resumed(visit: Visit) -> Iterator[Action]:
    """Cut again right after ``resumed``."""
    if visit.number > 1:
        return (yield from visit.rest())
    yield from visit.opening()
    yield from visit.pieces(2 if visit.is_first else 0)
    yield CutStep()


def cut_in_frame(visit: Visit) -> Iterator[Action]:
    """Cut in the middle of a frame."""
    if not visit.is_first:
        return (yield from visit.rest())
    yield from visit.opening()
    yield from visit.pieces(3)
    for action in visit.pieces(1):
        if isinstance(action, SendStep):
            yield SendHalf(action.text)
    yield CutStep()


def cut_often(visit: Visit) -> Iterator[Action]:
    """Cut after each piece, six times."""
    if visit.number > 5:
        return (yield from visit.rest())
    yield from visit.opening()
    yield from visit.pieces(1)
    yield CutStep()


def cut_then(*plan: RefuseStep | CutHandshake | CloseAtOnce) -> Play:
    """Cut, and let the next handshakes fail."""

    def play(visit: Visit) -> Iterator[Action]:
        if not visit.is_first:
            return (yield from visit.rest())
        yield from visit.opening()
        yield from visit.pieces(2)
        yield NextHandshakes(plan)
        yield CutStep()

    return play


def close_with(code: int, reason: str = "", *, linger_s: float = 0.0) -> Play:
    """Close the first connection within the answer."""

    def play(visit: Visit) -> Iterator[Action]:
        if not visit.is_first:
            return (yield from visit.rest())
        yield from visit.opening()
        yield from visit.pieces(2)
        yield Pause(STEADY_S)
        yield from visit.pieces(1)
        yield CloseSocket(code, reason, linger_s)

    return play


def rate_limited(visit: Visit) -> Iterator[Action]:
    """Report the rate limit of the connection, and close it."""
    if not visit.is_first:
        return (yield from visit.rest())
    yield from visit.opening()
    yield from visit.pieces(2)
    fields = {"code": "rate_limited", "retryable": True, "retry_after": RETRY_AFTER_S}
    error = {"type": "error", "message": "Rate limit exceeded", **fields}
    yield SendStep(json.dumps(error), "", None, RETRY_AFTER_S)
    yield CloseSocket(1008, "Rate limit exceeded")


def delays(visit: Visit) -> Iterator[Action]:
    """Be silent before and within the answer."""
    yield Pause(2.0)
    yield from visit.opening()
    yield Pause(2.0)
    yield from visit.pieces(2)
    yield Pause(2.0)
    yield from visit.pieces()
    yield from visit.done()


def unknown_frames(visit: Visit) -> Iterator[Action]:
    """Send what a newer server may send."""
    yield from visit.opening()
    yield visit.frame("progress", value=0.5)
    yield SendStep(json.dumps({"type": "notice", "text": "for everybody"}))
    for action in visit.pieces():
        if not isinstance(action, SendStep):
            continue
        fields = {**json.loads(action.text), "x-new": {"a": [1]}, "null": None}
        yield SendStep(json.dumps(fields), action.type, action.offset)
        yield visit.frame("progress", value=None)
    yield from visit.done("conformance")


def unreadable_frames(visit: Visit) -> Iterator[Action]:
    """Send what is not a frame."""
    yield from visit.opening()
    for text in ("", "not JSON", "[]", "null", "7", "{}", '{"type": 7}', '{"type": "chunk"}'):
        yield SendStep(text)
        yield from visit.pieces(1)
    yield from visit.pieces()
    yield from visit.done()


def foreign_ids(visit: Visit) -> Iterator[Action]:
    """Send frames of requests that the client does not have, between its own."""
    yield from visit.opening()
    number = 0
    for action in visit.pieces():
        other = {"type": "chunk", "id": "conformance-other", "content": "WRONG ", "offset": number}
        yield SendStep(json.dumps(other))
        yield action
        number += 6
    yield SendStep(json.dumps({**other, "type": "done", "reason": "stop", "usage": None}))
    yield from visit.done()
    yield visit.frame("chunk", content="WRONG", offset=visit.head + 5)
    yield visit.frame("done", offset=visit.head + 5, reason="stop", usage=None)


def duplicates(visit: Visit) -> Iterator[Action]:
    """Send frames again after a resume that the client has received."""
    if visit.is_first:
        yield from visit.opening()
        yield from visit.pieces(5)
        yield CutStep()
    yield from visit.opening()
    visit.back(3)
    yield from visit.pieces()
    yield from visit.done()


def halved_pair(visit: Visit) -> Iterator[Action]:
    """Send the halves of a surrogate pair in two frames, which the protocol forbids servers."""
    yield from visit.opening()
    for half in (r"\ud83c", r"\udf0a"):
        frame = visit.frame("chunk", content="HALF", offset=0).text.replace("HALF", half)
        yield SendStep(frame)
    yield from visit.pieces()
    yield from visit.done()


def escapes(visit: Visit) -> Iterator[Action]:
    """Write all characters that are not ASCII as escapes, those outside of the plane as pairs."""
    for action in visit.rest():
        if isinstance(action, SendStep):
            yield SendStep(json.dumps(json.loads(action.text)), action.type, action.offset)


def overloaded(visit: Visit) -> Iterator[Action]:
    """Refuse the question for a while."""
    if visit.is_first:
        return (
            yield from visit.error(
                "overloaded", "Try again later.", retryable=True, retry_after_s=RETRY_AFTER_S
            )
        )
    yield from visit.rest()


def refused(visit: Visit) -> Iterator[Action]:
    """Refuse the question for good."""
    yield from visit.error("content_filter", "The model service refused this question.")


def fails_within(visit: Visit) -> Iterator[Action]:
    """Fail within the answer."""
    yield from visit.opening()
    yield from visit.pieces(3)
    yield from visit.error("provider_unavailable", "The model has failed.", retryable=True)


def lost(code: str, message: str) -> Play:
    """Refuse the resume after a cut."""

    def play(visit: Visit) -> Iterator[Action]:
        if not visit.is_first:
            return (yield from visit.error(code, message))
        yield from visit.opening()
        yield from visit.pieces(3)
        yield CutStep()

    return play


def resumed_as(state: str, reason: str) -> Play:
    """Resume in a state other than live."""

    def play(visit: Visit) -> Iterator[Action]:
        if not visit.is_first:
            return (yield from visit.rest(reason, state=state))
        yield from visit.opening()
        yield from visit.pieces(3)
        yield CutStep()

    return play


def socket_pings(visit: Visit) -> Iterator[Action]:
    """Send pings of the WebSocket between the frames, and pongs that were not requested."""
    yield from visit.opening()
    for _ in range(3):
        yield PingSocket()
        yield SendStep('{"type": "pong", "t": "conformance"}')
        yield from visit.pieces(2)
    yield from visit.pieces()
    yield from visit.done()


def quiet(visit: Visit) -> Iterator[Action]:
    """Be silent for more than two intervals of pings; pings are answered."""
    yield from visit.opening()
    yield from visit.pieces(1)
    yield Pause(2.3 * visit.ping_s)
    yield from visit.pieces()
    yield from visit.done()


def black_hole(visit: Visit) -> Iterator[Action]:
    """Answer nothing more, not even pings."""
    if not visit.is_first:
        return (yield from visit.rest())
    yield from visit.opening()
    yield from visit.pieces(2)
    yield GoSilent()


_EXACT = "`resume` with the `stream` and the last `offset` received; no question is asked again."
_BACK_OFF = "Attempts to connect wait `min(1000 * 2**n, 30000)` ms with full jitter."
_RECONNECT_NO = "The close code says: no reconnect, correct the client."

SCENARIOS: Final = (
    Scenario(
        name="plain", level=1, section="Server to client", play=plain,
        rule="An answer that has ended by `done` is not requested again.",
    ),
    Scenario(
        name="cut-before-start", section="Idempotency", play=cut_before_start,
        rule="A question whose `start` has not arrived is sent again with the same `key`.",
    ),
    Scenario(name="cut-after-start", section="Resume", play=cut_after(0), rule=_EXACT),
    Scenario(name="cut-after-chunk", section="Resume", play=cut_after(5), rule=_EXACT),
    Scenario(
        name="cut-after-reasoning", section="Resume", log=RICH, rule=_EXACT,
        play=cut_after(None, until="reasoning"),
    ),
    Scenario(
        name="cut-after-tool", section="Resume", log=RICH, rule=_EXACT,
        play=cut_after(None, until="tool"),
    ),
    Scenario(
        name="cut-after-part", section="Resume", log=RICH, rule=_EXACT,
        play=cut_after(None, until="part"),
    ),
    Scenario(name="cut-before-done", section="Resume", play=cut_after(None), rule=_EXACT),
    Scenario(
        name="cut-after-done", section="Server to client", play=cut_after_done,
        rule="An answer that has ended by `done` is neither resumed nor asked again.",
    ),
    Scenario(name="cut-after-resumed", section="Resume", play=cut_after_resumed, rule=_EXACT),
    Scenario(name="cut-in-frame", section="Resume", play=cut_in_frame, rule=_EXACT),
    Scenario(name="cut-often", section="Resume", play=cut_often, rule=_EXACT),
    Scenario(
        name="cut-in-characters", section="Offset", log=COMBINED, play=cut_after(5),
        rule="`offset` is sent back as it came: it counts code points, not units of UTF-16.",
    ),
    Scenario(
        name="cut-in-handshake", section="Closing", rule=_BACK_OFF,
        play=cut_then(CutHandshake(), CutHandshake()),
    ),
    Scenario(
        name="handshake-refused", section="Closing", rule=_BACK_OFF,
        play=cut_then(RefuseStep(503), RefuseStep(503), RefuseStep(502)),
    ),
    Scenario(
        name="closed-at-once", section="Closing",
        play=cut_then(*[CloseAtOnce(1013)] * 3),
        rule="The back-off is reset by the first frame from the server, not when it opens.",
    ),
    Scenario(
        name="close-1001", section="Closing", play=close_with(1001),
        rule="1001: the server shuts down; reconnect at once, then resume.",
    ),
    Scenario(
        name="close-1012", section="Closing", play=close_with(1012),
        rule="1012: the server restarts; reconnect at once, then resume.",
    ),
    Scenario(
        name="close-1011", section="Closing", play=close_with(1011),
        rule="1011: reconnect with back-off, then resume.",
    ),
    Scenario(
        name="close-1013", section="Closing", play=close_with(1013),
        rule="1013: reconnect with back-off, then resume.",
    ),
    Scenario(
        name="close-1008", section="Closing", play=rate_limited,
        rule="1008: reconnect after `retry_after` of the error before it, then resume.",
    ),
    Scenario(
        name="slow-close", section="Closing", play=close_with(1012, linger_s=1.5),
        rule="A close whose TCP connection stays open for a while is a close.",
    ),
    Scenario(
        name="delays", level=1, section="Limits (all are settings)", play=delays,
        rule="A silent model is not a lost connection: the client waits.",
    ),
    Scenario(
        name="tiny-chunks", level=1, section="Slow readers",
        log=texts(list("All these characters are chunks. 🌊 " * 40)), play=plain,
        rule="Frames of one character are frames like all others.",
    ),
    Scenario(
        name="huge-chunks", level=1, section="Slow readers", log=HUGE, play=plain,
        rule="Frames have up to 8,000 bytes.",
    ),
    Scenario(
        name="escapes", level=1, section="Offset", log=COMBINED, play=escapes,
        rule="Characters may be written as escapes in JSON.",
    ),
    Scenario(
        name="unknown-frames", section="Server to client", play=unknown_frames,
        rule="Clients ignore unknown keys, frames of an unknown `type`, and unknown reasons.",
    ),
    Scenario(
        name="unreadable-frames", section="Server to client", play=unreadable_frames,
        rule="A frame that the client can't read does not end its connection.",
    ),
    Scenario(
        name="halved-pair", section="Server to client", play=halved_pair,
        rule="A frame with half of a surrogate pair does not end the connection.",
    ),
    Scenario(
        name="foreign-ids", section="Ids", play=foreign_ids,
        rule="Frames belong to the request of their `id`; those of no open request are ignored.",
    ),
    Scenario(
        name="duplicates", section="Offset", play=duplicates,
        rule="A frame whose `offset` is not beyond the last one was received before.",
    ),
    Scenario(
        name="overloaded", section="Errors", play=overloaded,
        rule="A request is sent again after `retry_after` at the earliest, or not at all.",
    ),
    Scenario(
        name="refused", section="Errors", play=refused,
        rule="A request with an error that is not `retryable` is not sent again.",
    ),
    Scenario(
        name="fails-within", section="Errors", play=fails_within,
        rule="An answer that has ended by `error` is not resumed.",
    ),
    Scenario(
        name="resume-expired", section="Resume", play=lost("expired", "It is no longer kept."),
        rule="A stream that is `expired` is not resumed again, and the question not repeated.",
    ),
    Scenario(
        name="resume-not-found", section="Resume", play=lost("not_found", "No such stream."),
        rule="A stream that is `not_found` is not resumed again, and the question not repeated.",
    ),
    Scenario(
        name="resumed-finished", section="Resume", play=resumed_as("finished", "stop"),
        rule="A `resumed` stream that is `finished` sends the missing frames and `done`.",
    ),
    Scenario(
        name="resumed-interrupted", section="Resume",
        play=resumed_as("interrupted", "interrupted"),
        rule="An answer that is `interrupted` has ended: it is not resumed again.",
    ),
    Scenario(
        name="socket-pings", level=1, section="Limits (all are settings)", play=socket_pings,
        rule="A client answers pings of the WebSocket, and ignores pongs that it did not request.",
    ),
    Scenario(
        name="quiet", section="Closing", play=quiet, is_slow=True,
        rule="Clients send `ping` every 30 s, and stay while pongs come.",
    ),
    Scenario(
        name="black-hole", section="Closing", play=black_hole, is_slow=True,
        rule="A connection without a frame within 20 s of a ping is dead: reconnect, then resume.",
    ),
    Scenario(
        name="close-1003", section="Closing", play=close_with(1003, "send text frames"),
        rule=_RECONNECT_NO,
    ),
    Scenario(name="close-1007", section="Closing", play=close_with(1007), rule=_RECONNECT_NO),
    Scenario(name="close-1009", section="Closing", play=close_with(1009), rule=_RECONNECT_NO),
    Scenario(
        name="close-1000", section="Closing", play=close_with(1000),
        rule="1000: the server is done; no reconnect.",
    ),
)  # fmt: skip

FINAL_CODES: Final = frozenset({1000, 1003, 1007, 1009})
"""Close codes after which a client does not reconnect by itself."""


def selected(*, level: int = 2, only: tuple[str, ...] = ()) -> list[Scenario]:
    """Return the scenarios for clients of a level; ``only`` are patterns of names.

    >>> [scenario.name for scenario in selected(only=("close-100?",))][:2]
    ['close-1001', 'close-1008']
    """
    return [
        scenario
        for scenario in SCENARIOS
        if (level == 2 or scenario.level == 1)
        and (not only or any(fnmatchcase(scenario.name, pattern) for pattern in only))
    ]
