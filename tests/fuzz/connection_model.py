"""A second, simpler implementation of a connection's rules, as an oracle for the real one."""

from __future__ import annotations

import json
from collections import deque
from typing import Any

from wireside.errors import NotFound, ProviderTimeout
from wireside.limits.windows import SlidingWindow
from wireside.protocol import frames
from wireside.protocol.connection import (
    Attach,
    Close,
    Connection,
    ConnectionLimits,
    Event,
    OpenRequest,
    Send,
    StartAnswer,
    Stop,
)
from wireside.protocol.frames import (
    BatchFrame,
    CancelFrame,
    ChatFrame,
    Heartbeat,
    PingFrame,
    RefusedFrame,
    ResumeFrame,
)

LIMITS = ConnectionLimits(messages_per_minute=12, streams=3, waiting=4, max_message_chars=100)
ADDRESS_LIMIT = 30
WINDOW_S = 60.0

KEYS_1 = {"chunk": {"content"}, "done": set(), "error": {"message"}, "pong": set()}
KEYS_2 = {"id", "message", "code", "retryable", "retry_after", "index"}


class Model:
    """A connection and its expected state.

    Each public method is an event; it raises ``AssertionError`` if the connection's reaction
    violates the protocol.
    """

    def __init__(self) -> None:
        self.now = 0.0
        self._window = SlidingWindow(ADDRESS_LIMIT)  # of the address: shared with other connections
        self.connection = Connection(LIMITS, self._window)
        self.is_closed = False
        self.running: list[OpenRequest | ResumeFrame] = []
        self.asked = 0
        """Requests made: each requires exactly one last frame."""
        self.ended = 0
        self._line = 0  # level 1 requests that are running or queued
        self._lanes: dict[str, int] = {}  # level 2: number of requests without a last frame, by id
        self._at_once: dict[str, int] = {}  # level 2: how many of them are answered at once
        self._summaries: set[str] = set()  # open batches that a summary ends
        self._times: deque[float] = deque()  # messages within this connection's window
        self._address: deque[float] = deque()
        self._speaks_level_2 = False
        self._order: deque[str] = deque()  # level 1 messages, in the order of arrival

    # ---- events ------------------------------------------------------------------------------

    def receive(self, text: str) -> None:
        """Receive a text frame."""
        parsed = frames.parse_client_frame(text, max_message_chars=LIMITS.max_message_chars)
        events = self.connection.receive(text, self.now)
        if self.is_closed:
            assert events == []
            return
        self._speaks_level_2 |= getattr(parsed, "id", None) is not None
        count = _messages(parsed)
        if not self._fits(self._times, count, LIMITS.messages_per_minute):
            error, close = events
            assert self._told(error, parsed)["message"] == "Rate limit exceeded"
            assert isinstance(close, Close)
            assert close.code == 1008
            self.is_closed = True
            return
        self._times.extend([self.now] * count)
        if not self._fits(self._address, count, ADDRESS_LIMIT):
            told = [self._told(event, parsed) for event in events]
            assert {frame["message"] for frame in told} == {"Rate limit exceeded"}
            assert len(told) == max(1, _last_frames(parsed))
            return
        self._address.extend([self.now] * count)
        self._follows(parsed, events)

    def binary(self) -> None:
        """Receive a binary frame."""
        (close,) = self.connection.receive_binary()
        assert isinstance(close, Close)
        assert close.code == 1003
        self.is_closed = True

    def neighbours(self, count: int) -> None:
        """Let other connections of the same address send ``count`` messages."""
        is_allowed = self._window.count_if_allowed(self.now, count)
        assert is_allowed == self._fits(self._address, count, ADDRESS_LIMIT)
        if is_allowed:
            self._address.extend([self.now] * count)

    def later(self, seconds: float) -> None:
        """Advance the clock."""
        self.now += seconds

    def end(self, which: int, *, refused: bool = False) -> None:
        """Send the last frame of a running request: a ``done``, or an error of the model."""
        if not self.running:
            return
        origin = self.running.pop(which % len(self.running))
        self.ended += 1
        if isinstance(origin, ResumeFrame):
            if refused:
                error = self.connection.refuse(origin.id, NotFound(), level=2)
                assert self._told(error, origin)["id"] == origin.id
            self._close_lane(origin.id)
            self.connection.resume_ended(origin)
            return
        if refused:
            error = self.connection.refuse(origin.chat.id, ProviderTimeout(), level=origin.level)
            self._told(error, origin.chat)
        if origin.chat.id is None:
            self._line -= 1
        else:
            self._close_lane(origin.chat.id)
        events = self.connection.ended(origin, "failed" if refused else "done")
        if origin.chat.id in self._summaries and origin.chat.id not in self._lanes:
            self._summaries.remove(origin.chat.id)
            told = self._told(events.pop(), origin.chat)
            assert (told["type"], told["id"]) == ("batch_done", origin.chat.id)
        assert len(events) == self._due(origin.chat.id)
        for event in events:
            self._begins(event)

    def _due(self, request_id: str | None) -> int:
        """Return how many more requests of a lane have to be running."""
        left = self._line if request_id is None else self._lanes.get(request_id, 0)
        at_once = 1 if request_id is None else self._at_once.get(request_id, 1)
        running = [
            o for o in self.running if isinstance(o, OpenRequest) and o.chat.id == request_id
        ]
        return min(at_once, left) - len(running)

    def _streams(self) -> int:
        return sum(min(self._at_once[name], left) for name, left in self._lanes.items())

    def finish(self) -> None:
        """End all open requests, and check that each had exactly one last frame."""
        while self.running:
            self.end(0)
        assert self.ended == self.asked
        assert self._line == 0
        assert not self._lanes
        assert not self.connection._level_1.requests
        assert not self.connection._level_2

    # ---- expected reactions ------------------------------------------------------------------

    def _follows(self, parsed: frames.ClientFrame | RefusedFrame, events: list[Event]) -> None:
        match parsed:
            case RefusedFrame():
                (error,) = events
                self._told(error, parsed)
            case PingFrame(t=t):
                (pong,) = events
                told = self._told(pong, parsed)
                assert told["type"] == "pong"
                assert told.get("t") == t
            case Heartbeat(reply=None):
                assert events == []
            case Heartbeat(reply=reply):
                assert reply is not None
                assert events == [Send(reply)]
            case CancelFrame():
                self._cancels(parsed.id, parsed.index, events)
            case ChatFrame():
                self._asks(parsed, [parsed.message], events)
            case BatchFrame():
                self._asks(parsed, parsed.messages, events)
            case ResumeFrame():
                self._asks(parsed, ["resume"], events)
        assert self._line <= 1 + LIMITS.waiting
        assert self._streams() <= LIMITS.streams
        assert sum(isinstance(o, OpenRequest) and o.level == 1 for o in self.running) <= 1

    def _asks(
        self, parsed: ChatFrame | BatchFrame | ResumeFrame, messages: Any, events: list[Event]
    ) -> None:
        """Check that each message is accepted, or refused at once with a separate error."""
        if parsed.id is None:
            taken = min(len(messages), 1 + LIMITS.waiting - self._line)
        else:
            is_refused = parsed.id in self._lanes or self._streams() >= LIMITS.streams
            taken = 0 if is_refused else len(messages)
        refused = [self._told(e, parsed) for e in events if isinstance(e, Send)]
        begun = [event for event in events if not isinstance(event, Send)]
        parallel = parsed.parallel if isinstance(parsed, BatchFrame) else None
        assert len(refused) == (len(messages) - taken if parallel is None else int(not taken))
        if isinstance(parsed, BatchFrame):
            indexes = [frame["index"] for frame in refused if "index" in frame]
            assert indexes in ([], list(range(len(messages) if parallel is None else 0)))
        self.asked += taken
        if parsed.id is None:
            self._line += taken
            self._order.extend(messages[:taken])
        elif taken:
            self._at_once[parsed.id] = min(parallel or 1, LIMITS.streams - self._streams())
            self._lanes[parsed.id] = taken
            if parallel is not None:
                self._summaries.add(parsed.id)
        if taken and not isinstance(parsed, ResumeFrame):
            assert len(begun) == self._due(parsed.id)
        else:
            assert len(begun) == taken
        for event in begun:
            self._begins(event)

    def _begins(self, event: Event) -> None:
        assert isinstance(event, StartAnswer | Attach)
        if isinstance(event, Attach):
            self.running.append(event.resume)
            return
        assert event.request not in self.running
        is_of_batch = event.request.level == 2 and event.request.index is not None
        assert (event.request.batch is not None) == is_of_batch  # the server's batch, or queued
        self.running.append(event.request)
        if event.request.level == 1:
            assert event.request.chat.message == self._order.popleft()

    def _cancels(self, request_id: str | None, index: int | None, events: list[Event]) -> None:
        is_open = self._line > 0 if request_id is None else request_id in self._lanes
        begun = [event for event in events if isinstance(event, StartAnswer)]
        if index is None:
            assert events == ([Stop(request_id)] if is_open else [])
        else:
            assert events in ([], [Stop(request_id, index), *begun])
            assert len(begun) <= 1
        for origin in self.running:
            if isinstance(origin, OpenRequest) and origin.chat.id == request_id:
                assert origin.cancelled or index not in (None, origin.index)
        for event in begun:  # a queued message that is cancelled: the session ends it at once
            assert event.request.cancelled
            self._begins(event)
            self.end(len(self.running) - 1)

    def _close_lane(self, request_id: str) -> None:
        self._lanes[request_id] -= 1
        if not self._lanes[request_id]:
            del self._lanes[request_id]

    def _fits(self, times: deque[float], count: int, limit: int) -> bool:
        while times and times[0] <= self.now - WINDOW_S:
            times.popleft()
        return len(times) + count <= limit

    def _told(self, event: Event, parsed: frames.ClientFrame | RefusedFrame) -> dict[str, Any]:
        """Decode an outgoing frame, and check it against the protocol level of its request."""
        assert isinstance(event, Send)
        told: dict[str, Any] = json.loads(event.frame.encode(), parse_constant=_never)
        if parsed_is_level_1 := self._is_level_1(parsed):
            assert set(told) - {"t"} == {"type"} | KEYS_1[told["type"]]
            assert "t" not in told or (isinstance(parsed, PingFrame) and told["type"] == "pong")
        elif told["type"] == "error":
            assert {"message", "code", "retryable"} <= set(told) <= {"type"} | KEYS_2
        if told["type"] == "error":
            assert told["message"]
            assert len(told["message"]) < 400
            assert told["message"].isprintable()
            assert parsed_is_level_1 or told.get("id") in (None, getattr(parsed, "id", None))
        return told

    def _is_level_1(self, parsed: frames.ClientFrame | RefusedFrame) -> bool:
        if isinstance(parsed, RefusedFrame | Heartbeat):
            level = getattr(parsed, "level", None)
            return level == 1 or (level is None and not self._speaks_level_2)
        return getattr(parsed, "id", None) is None


def _messages(parsed: frames.ClientFrame | RefusedFrame) -> int:
    """Number of messages that a frame counts for in the rate limits."""
    if isinstance(parsed, RefusedFrame):
        return parsed.messages
    return len(parsed.messages) if isinstance(parsed, BatchFrame) else 1


def _last_frames(parsed: frames.ClientFrame | RefusedFrame) -> int:
    """Number of errors that refuse a frame."""
    is_refused_in_parts = isinstance(parsed, BatchFrame) and parsed.parallel is None
    return _messages(parsed) if is_refused_in_parts else 1


def _never(literal: str) -> None:
    raise AssertionError(f"{literal} in a frame of ours")
