"""State machine of one connection, for both levels: frames and time in, events out.

Nothing here awaits, sends or reads a clock; the session executes the events.

Theory of operation: each open request id of level 2 has a lane, and level 1 has a single one. The
requests of a lane are answered one after another, those of a batch with ``parallel`` some at once,
and the lanes concurrently. A frame that is accepted adds its requests to a lane and returns
``StartAnswer`` for those that can start. The session reports the last frame of an answer with
``Connection.ended``, which returns the lane's next ``StartAnswer``, or closes the lane. A resumed
stream occupies a lane without requests until ``Connection.resume_ended``. Each request gets exactly
one last frame (``done`` or ``error``), also when it is cancelled or refused.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, assert_never

from wireside.errors import BadMessage, RateLimited, TooMany, WiresideError
from wireside.limits.windows import SlidingWindow
from wireside.protocol.frames import (
    BatchDoneFrame,
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
        is_started: whether ``StartAnswer`` was returned for it.
        cancelled: whether the client has cancelled it.
        batch: the frame it came in, if the chat service answers that as a whole (level 2).
    """

    chat: ChatFrame
    index: int | None = None
    is_started: bool = False
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
    """Stop the running answers to this request; None is the one of level 1.

    ``index`` is the message of a batch to stop; None for all.
    """

    id: str | None
    index: int | None = None


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


Outcome = Literal["done", "failed", "cancelled"]
"""How an answer ended, as a ``BatchDoneFrame`` counts it."""

Event = StartAnswer | Attach | Stop | Send | Close


class Lane:
    """Requests of which the first ``parallel`` run, and the others are queued.

    ``has_summary`` says that a ``BatchDoneFrame`` ends it.
    """

    def __init__(self, *, parallel: int = 1, has_summary: bool = False) -> None:
        self.requests: list[OpenRequest] = []
        self.has_summary = has_summary
        self.counts: dict[Outcome, int] = {"done": 0, "failed": 0, "cancelled": 0}
        self._parallel = parallel

    @property
    def streams(self) -> int:
        """Number of concurrent streams of the connection that the lane counts as."""
        return max(1, min(self._parallel, len(self.requests)))

    def start_due(self) -> list[Event]:
        """Start the requests that can run now."""
        due = [request for request in self.requests[: self._parallel] if not request.is_started]
        return [self._start(request) for request in due]

    def cancel(self, request_id: str | None, index: int | None = None) -> list[Event]:
        """Mark requests as cancelled: each still gets its one ``done``.

        A queued message of a batch that is cancelled alone ends at once.
        """
        cancelled = [one for one in self.requests if index is None or one.index == index]
        for request in cancelled:
            request.cancelled = True
        if index is None:
            return [Stop(request_id)]
        ended = [self._start(request) for request in cancelled if not request.is_started]
        return [Stop(request_id, index), *ended] if cancelled else []

    def _start(self, request: OpenRequest) -> Event:
        request.is_started = True
        return StartAnswer(request)


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

    def ended(self, request: OpenRequest, outcome: Outcome = "done") -> list[Event]:
        """Record that the last frame of ``request`` was sent; start the next one of its lane."""
        request_id = request.chat.id
        lane = self._lane_of(request_id)
        lane.requests.remove(request)
        lane.counts[outcome] += 1
        if lane.requests or request_id is None:
            return lane.start_due()
        del self._level_2[request_id]
        if not lane.has_summary:
            return []
        return [Send(BatchDoneFrame(id=request_id, **lane.counts))]

    def is_open(self, request_id: str | None) -> bool:
        """Whether a request of level 2 has not received its last frame."""
        return request_id in self._level_2

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
            if isinstance(frame, BatchFrame) and frame.parallel is None:
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
                requests = [OpenRequest(chat=frame)]
                return self._enqueue(frame.id, requests)
            case BatchFrame():
                batch = None if frame.id is None else frame
                requests = [
                    OpenRequest(chat=c, index=i, batch=batch) for i, c in enumerate(frame.chats())
                ]
                return self._enqueue(frame.id, requests, parallel=frame.parallel)
            case CancelFrame():
                return self._cancel(frame.id, frame.index)
            case ResumeFrame():
                return self._resume(frame)
            case _:
                assert_never(frame)

    def _enqueue(
        self, request_id: str | None, requests: list[OpenRequest], parallel: int | None = None
    ) -> list[Event]:
        if request_id is None:
            return self._wait_in_line(requests)
        # each message of a batch without `parallel` gets exactly one last frame
        refused = [None] if parallel else [request.index for request in requests]
        problems = [self._cannot_open(request_id, index) for index in refused]
        if problems[0] is not None:
            return [problem for problem in problems if problem]
        free = self._limits.streams - self._open_streams
        lane = Lane(parallel=min(parallel or 1, free), has_summary=parallel is not None)
        self._level_2[request_id] = lane
        lane.requests.extend(requests)
        return lane.start_due()

    def _wait_in_line(self, requests: list[OpenRequest]) -> list[Event]:
        line = self._level_1.requests
        refused: list[Event] = []
        for request in requests:
            if len(line) <= self._limits.waiting:  # the first one is running, not queued
                line.append(request)
            else:
                error = TooMany(f"{self._limits.waiting} messages are waiting already.")
                refused.append(self.refuse(None, error, level=1))
        return [*self._level_1.start_due(), *refused]

    @property
    def _open_streams(self) -> int:
        return sum(lane.streams for lane in self._level_2.values())

    def _cannot_open(self, request_id: str, index: int | None = None) -> Send | None:
        if request_id in self._level_2:
            # Without the id: with it, the frame would look like the end of the open request.
            error: WiresideError = BadMessage(f"id: {request_id} is the id of an open request.")
            return self.refuse(None, error, level=2)
        if self._open_streams >= self._limits.streams:
            error = TooMany(
                f"{self._limits.streams} requests are open on this connection;"
                " wait until one has ended."
            )
            return self.refuse(request_id, error, level=2, index=index)
        return None

    def _cancel(self, request_id: str | None, index: int | None) -> list[Event]:
        if request_id is None:
            return self._level_1.cancel(None) if self._level_1.requests else []
        lane = self._level_2.get(request_id)
        # without one, the request has just ended: not an error
        return [] if lane is None else lane.cancel(request_id, index)

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
