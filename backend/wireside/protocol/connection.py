"""State machine of one connection, for both levels: frames and time in, events out.

Nothing here awaits, sends or reads a clock; the session executes the events.

Theory of operation: each open request id of level 2 has a lane, and level 1 has a single one. The
requests of a lane are answered one after another, the lanes concurrently. A frame that is accepted
adds its requests to a lane and returns ``StartAnswer`` for the first if the lane was empty. The
session reports the last frame of an answer with ``Connection.ended``, which returns the lane's next
``StartAnswer``, or closes the lane. A resumed stream occupies a lane without requests until
``Connection.resume_ended``. Each request gets exactly one last frame (``done`` or ``error``), also
when it is cancelled or refused.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import assert_never

from wireside.errors import BadMessage, RateLimited, TooMany, WiresideError
from wireside.limits.windows import SlidingWindow
from wireside.protocol.frames import (
    BatchFrame,
    CancelFrame,
    ChatFrame,
    ClientFrame,
    ErrorFrame,
    Heartbeat,
    Level,
    PingFrame,
    PongFrame,
    RefusedFrame,
    ResumeFrame,
    ServerFrame,
    parse_client_frame,
)

POLICY_VIOLATION = 1008
UNSUPPORTED_DATA = 1003


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionLimits:
    """Limits of one connection (protocol.md, "Limits")."""

    messages_per_minute: int = 100
    streams: int = 8
    waiting: int = 20
    max_message_chars: int = 100_000


@dataclass(slots=True, eq=False, kw_only=True)
class OpenRequest:
    """One question that is queued or being answered.

    Attributes:
        chat: the question; ``chat.id`` is None on level 1.
        index: position in a batch.
        cancelled: whether the client has cancelled it.
        batch: the frame it came in, if the chat service answers that as a whole (level 2).
    """

    chat: ChatFrame
    index: int | None = None
    cancelled: bool = False
    batch: BatchFrame | None = None

    @property
    def level(self) -> Level:
        """Protocol level of the request's frames."""
        return 1 if self.chat.id is None else 2


@dataclass(frozen=True, slots=True)
class StartAnswer:
    """Answer this request now; call ``Connection.ended`` when its last frame is sent."""

    request: OpenRequest


@dataclass(frozen=True, slots=True)
class Attach:
    """Send the rest of a stream; call ``Connection.resume_ended`` when its last frame is sent."""

    resume: ResumeFrame


@dataclass(frozen=True, slots=True)
class Stop:
    """Stop the running answer to this request; None is the one of level 1."""

    id: str | None


@dataclass(frozen=True, slots=True)
class Send:
    """Send a frame. ``code`` is set if the frame is an error: level 1 frames do not have it."""

    frame: ServerFrame
    code: str | None = None


@dataclass(frozen=True, slots=True)
class Close:
    """Close the connection with this code, after all frames are sent."""

    code: int
    reason: str


Event = StartAnswer | Attach | Stop | Send | Close


class Lane:
    """Requests that are answered one after another; the first one is running."""

    def __init__(self) -> None:
        self.requests: list[OpenRequest] = []

    def cancel(self) -> None:
        """Mark all requests as cancelled: each still gets its one ``done``."""
        for request in self.requests:
            request.cancelled = True


class Connection:
    """State of one connection: its lanes and rate limits.

    ``address`` is the rate-limit window shared by all connections of the client's address.
    """

    def __init__(self, limits: ConnectionLimits, address: SlidingWindow) -> None:
        self._limits = limits
        self._window = SlidingWindow(limits.messages_per_minute)
        self._address = address
        self._level_1 = Lane()
        self._level_2: dict[str, Lane] = {}
        self._speaks_level_2 = False
        self._is_closing = False
        self.last_type = ""
        """Type of the last received frame; ``refused`` if it was invalid."""

    def receive(self, text: str, now: float) -> list[Event]:
        """Handle a text frame that arrived at ``now``, in seconds of a monotonic clock."""
        if self._is_closing:
            return []
        frame = parse_client_frame(text, max_message_chars=self._limits.max_message_chars)
        self.last_type = frame.type
        self._speaks_level_2 |= getattr(frame, "id", None) is not None
        return self._limit(frame, now) or self._accept(frame)

    def receive_binary(self) -> list[Event]:
        """Handle a binary frame: the protocol has none, so the connection is closed."""
        self._is_closing = True
        return [Close(UNSUPPORTED_DATA, "send text frames")]

    def ended(self, request: OpenRequest) -> list[Event]:
        """Record that the last frame of ``request`` was sent; start the next one of its lane."""
        lane = self._lane_of(request.chat.id)
        del lane.requests[0]
        if lane.requests:
            return [StartAnswer(lane.requests[0])]
        if request.chat.id is not None:
            del self._level_2[request.chat.id]
        return []

    def resume_ended(self, resume: ResumeFrame) -> None:
        """Record that the last frame of a resumed stream was sent."""
        del self._level_2[resume.id]

    def refuse(
        self,
        request_id: str | None,
        error: WiresideError,
        *,
        level: Level,
        index: int | None = None,
    ) -> Send:
        """Return the frame that reports ``error``."""
        return Send(ErrorFrame.of(error, level=level, id=request_id, index=index), error.code)

    def _limit(self, frame: ClientFrame | RefusedFrame, now: float) -> list[Event]:
        count = _messages_in(frame)
        if not self._window.count_if_allowed(now, count):
            self._is_closing = True
            error = RateLimited(retry_after=round(self._window.retry_after(now, count), 1))
            return [self._about(frame, error), Close(POLICY_VIOLATION, str(error))]
        if not self._address.count_if_allowed(now, count):
            error = RateLimited(retry_after=round(self._address.retry_after(now, count), 1))
            if isinstance(frame, BatchFrame):
                return [self._about(frame, error, index) for index in range(count)]
            return [self._about(frame, error)]
        return []

    def _accept(self, frame: ClientFrame | RefusedFrame) -> list[Event]:
        match frame:
            case RefusedFrame():
                return [self._about(frame, frame.error)]
            case PingFrame():
                return [Send(PongFrame(t=frame.t))]
            case Heartbeat():
                return [] if frame.reply is None else [Send(frame.reply)]
            case ChatFrame():
                return self._enqueue(frame.id, [OpenRequest(chat=frame)])
            case BatchFrame():
                batch = None if frame.id is None else frame
                requests = [
                    OpenRequest(chat=c, index=i, batch=batch) for i, c in enumerate(frame.chats())
                ]
                return self._enqueue(frame.id, requests)
            case CancelFrame():
                return self._cancel(frame.id)
            case ResumeFrame():
                return self._resume(frame)
            case _:
                assert_never(frame)

    def _enqueue(self, request_id: str | None, requests: list[OpenRequest]) -> list[Event]:
        if request_id is None:
            return self._wait_in_line(requests)
        # each message of a batch gets exactly one last frame
        refused = (self._cannot_open(request_id, request.index) for request in requests)
        problems: list[Event] = [problem for problem in refused if problem]
        if problems:
            return problems
        lane = self._level_2[request_id] = Lane()
        lane.requests.extend(requests)
        return [StartAnswer(requests[0])]

    def _wait_in_line(self, requests: list[OpenRequest]) -> list[Event]:
        line = self._level_1.requests
        events: list[Event] = [] if line else [StartAnswer(requests[0])]
        for request in requests:
            if len(line) <= self._limits.waiting:  # the first one is running, not queued
                line.append(request)
            else:
                error = TooMany(f"{self._limits.waiting} messages are waiting already.")
                events.append(self.refuse(None, error, level=1))
        return events

    def _cannot_open(self, request_id: str, index: int | None = None) -> Send | None:
        if request_id in self._level_2:
            # Without the id: with it, the frame would look like the end of the open request.
            error: WiresideError = BadMessage(f"id: {request_id} is the id of an open request.")
            return self.refuse(None, error, level=2)
        if len(self._level_2) >= self._limits.streams:
            error = TooMany(
                f"{self._limits.streams} requests are open on this connection;"
                " wait until one has ended."
            )
            return self.refuse(request_id, error, level=2, index=index)
        return None

    def _cancel(self, request_id: str | None) -> list[Event]:
        lane = self._level_1 if request_id is None else self._level_2.get(request_id)
        if lane is None:
            return []  # the request has just ended: not an error
        lane.cancel()
        return [Stop(request_id)] if lane.requests or request_id is not None else []

    def _resume(self, frame: ResumeFrame) -> list[Event]:
        if problem := self._cannot_open(frame.id):
            return [problem]
        self._level_2[frame.id] = Lane()
        return [Attach(frame)]

    def _lane_of(self, request_id: str | None) -> Lane:
        return self._level_1 if request_id is None else self._level_2[request_id]

    def _about(
        self, frame: ClientFrame | RefusedFrame, error: WiresideError, index: int | None = None
    ) -> Send:
        level = self._level_of(frame)
        request_id = getattr(frame, "id", None)
        if request_id is None or request_id in self._level_2:
            request_id = index = None  # else it would look like the end of the open request
        return self.refuse(request_id, error, level=level, index=index)

    def _level_of(self, frame: ClientFrame | RefusedFrame) -> Level:
        if isinstance(frame, RefusedFrame) and frame.level is not None:
            return frame.level
        if getattr(frame, "id", None) is not None:
            return 2
        # unknown from the frame: use the level that this client has used so far
        is_unknown = isinstance(frame, (RefusedFrame, Heartbeat))
        return 2 if is_unknown and self._speaks_level_2 else 1


def _messages_in(frame: ClientFrame | RefusedFrame) -> int:
    match frame:
        case BatchFrame():
            return len(frame.messages)
        case RefusedFrame():
            return frame.messages
        case _:
            return 1
