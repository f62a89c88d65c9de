"""State machine of a client: frames and times in, frames and events out. No I/O and no clock.

Theory of operation: the owner opens a connection when ``connect_at`` has come and reports
``connecting``, then ``connected`` or ``refused``; it passes each received text to ``receive`` and
reports the end of the connection with ``disconnected``. After each call it sends ``take_frames``
and handles ``take_events``. At ``deadline`` it calls ``tick``; if that returns an error, the
connection is dead, and the owner drops it. Times are seconds of a monotonic clock.

On each new connection all open requests are sent again: an answer whose stream is known as a
``resume`` from its offset, all others under their key. So no question is asked twice, and each
piece of an answer is reported once.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from typing import Final, Literal

from wireside.client.errors import ClientClosed, ConnectionLost, error_of_code
from wireside.client.requests import (
    AnswerEvent,
    AnswerState,
    BatchRequest,
    Received,
    Request,
)
from wireside.errors import BadJson, BadMessage, TooLarge, WiresideError
from wireside.protocol.frames import (
    CancelFrame,
    ClientFrame,
    ErrorFrame,
    PingFrame,
    PongFrame,
    ServerFrame,
    StartFrame,
    parse_server_frame,
)

State = Literal["connecting", "connected", "waiting", "closed"]

MAX_STREAMS: Final = 8
"""Concurrent streams of a connection; further requests are queued here."""

PING_S: Final = 30.0
SILENCE_S: Final = 20.0
"""Time after a ping in which a frame has to arrive, in seconds."""

BACK_OFF_S: Final = 1.0
MAX_BACK_OFF_S: Final = 30.0
POLICY_WAIT_S: Final = 60.0
"""Wait after close code 1008 without a ``retry_after``, in seconds."""

MAX_HOLD_S: Final = 60.0
"""Longest ``retry_after`` for which a question is held instead of failing, in seconds."""

BUSY_S: Final = 5.0
"""Wait after a busy server without a ``retry_after``, in seconds."""

STEADY_S: Final = 1.0
"""Life of a connection after which a restarting server is reconnected to at once, in seconds."""

REFUSED_AFTER: Final = 3
"""Refused handshakes in a row after which a client that was connected before gives up."""

LARGE_CHARS: Final = 65_536
"""Size from which a request can be the one for which the server closed with 1009."""

RATE_S: Final = 10.0
"""Time over which received messages are counted, in seconds."""

_BUSY: Final = frozenset({"rate_limited", "too_many", "overloaded"})
_CLIENT_FAULTS: Final = frozenset({1000, 1003, 1007, 1009})
_RESTARTS: Final = frozenset({1001, 1012})
_POLICY: Final = 1008
_TRANSIENT_STATUSES: Final = frozenset({408, 425, 429})


@dataclass(frozen=True, slots=True)
class StateChanged:
    """The connection's state has changed; ``error`` says why it is waiting or closed."""

    state: State
    error: WiresideError | None = None


Event = AnswerEvent | StateChanged


@dataclass(frozen=True, slots=True, kw_only=True)
class Metrics:
    """Figures of a client.

    Attributes:
        messages_per_second: received frames, over the last ten seconds.
        average_latency_s: mean time from sending a question to the first piece of its answer, in
            seconds; None before the first.
        reconnect_count: connections after the first.
        messages_sent: frames sent.
        messages_received: frames received.
    """

    messages_per_second: float
    average_latency_s: float | None
    reconnect_count: int
    messages_sent: int
    messages_received: int


class ClientCore:
    """State of a client; ``connect_at`` is the time of the next attempt, None while there is one.

    Args:
        dice: returns a random number from 0 to 1, for the jitter.
        ping_s: time between pings, in seconds.
        silence_s: time after a ping in which a frame has to arrive, in seconds.
        now: the time.
    """

    def __init__(
        self,
        *,
        now: float,
        dice: Callable[[], float] = random.random,
        ping_s: float = PING_S,
        silence_s: float = SILENCE_S,
    ) -> None:
        self.state: State = "waiting"
        self.error: WiresideError | None = None
        self.connect_at: float | None = now
        self._dice = dice
        self._ping_s = ping_s
        self._silence_s = silence_s
        self._frames: list[str] = []
        self._events: list[Event] = []
        self._open: dict[Request, None] = {}
        self._sent: dict[str, Request] = {}
        self._ids = count(1)
        self._limit = MAX_STREAMS
        self._tries = 0
        self._refusals = 0
        self._connections = 0
        self._connected_at = 0.0
        self._heard_at: float | None = None
        self._ping_at = 0.0
        self._silent_at: float | None = None
        self._retry_after_s = POLICY_WAIT_S
        self._counts = _Counts()

    # ---- output --------------------------------------------------------------------------------

    def take_frames(self) -> list[str]:
        """Return the texts to send on the connection."""
        frames, self._frames = self._frames, []
        return frames

    def take_events(self) -> list[Event]:
        """Return what has happened."""
        events, self._events = self._events, []
        return events

    @property
    def has_frames(self) -> bool:
        """Whether there are texts to send."""
        return bool(self._frames)

    @property
    def deadline(self) -> float | None:
        """Time at which ``tick`` has to be called."""
        if self.state != "connected":
            return None
        held = [one.held_until for one in self._open if one.is_held]
        times = [self._ping_at, *(time for time in held if time is not None)]
        return min([*times, *([] if self._silent_at is None else [self._silent_at])])

    @property
    def open_requests(self) -> int:
        """Number of requests without their last frame."""
        return len(self._open)

    def metrics(self, now: float) -> Metrics:
        """Return the figures of this client."""
        return self._counts.metrics(now, reconnects=max(0, self._connections - 1))

    # ---- requests ------------------------------------------------------------------------------

    def submit(self, request: Request, now: float) -> None:
        """Send a request, now or once there is a connection."""
        if self.state == "closed":
            self._events += request.fail(self.error or ClientClosed())
            return
        self._open[request] = None
        self._send_due(now)

    def stop(self, request: Request, index: int | None = None) -> None:
        """Stop a request, or one answer of a batch."""
        if request not in self._open or request.is_stopped:
            return
        stopped = request.answers
        if isinstance(request, BatchRequest) and index is not None:
            request.stopped.add(index)
            stopped = [request.answers[index]]
        else:
            request.is_stopped = True
        if request.is_sent:
            self._send(CancelFrame(id=request.id, index=index))
        elif request.sends == 0 or request.is_held:
            for answer in stopped:
                self._events += answer.cancel()
            # the server goes on with an answer that has begun: its cancel is sent with the resume
            if request.is_over and all(answer.stream is None for answer in request.answers):
                del self._open[request]

    def resolve(self, answer: AnswerState, stream: str, now: float) -> None:
        """Continue an answer for which ``StreamNeeded`` was reported."""
        for request in self._open:
            if answer in request.answers:
                answer.stream = stream
                request.held_until = None
        self._send_due(now)

    def fail(self, answer: AnswerState, error: WiresideError) -> None:
        """End an answer with an error; the server's goes on."""
        self._events += answer.fail(error)
        for request in [one for one in self._open if one.is_over and not one.is_sent]:
            del self._open[request]

    def close(self, error: WiresideError | None = None) -> None:
        """End the client; the answers go on at the server and can be followed.

        ``error`` is why, and ends the answers here; ``ClientClosed`` by default.
        """
        self._end(error)

    # ---- the connection ------------------------------------------------------------------------

    def connecting(self) -> None:
        """Record that the owner opens a connection."""
        self.connect_at = None
        self._change_state("connecting")

    def connected(self, now: float) -> None:
        """Record that the connection is open; all open requests are sent on it."""
        self._connections += 1
        self._refusals = 0
        self._connected_at = now
        self._heard_at = None
        self._frames.clear()
        self._change_state("connected")
        self._send_due(now)
        self._ping(now)

    def refused(
        self,
        error: WiresideError,
        now: float,
        *,
        status: int = 0,
        retry_after_s: float | None = None,
    ) -> None:
        """Record that no connection could be opened.

        Args:
            error: why.
            now: the time.
            status: the HTTP status of a refused handshake; 0 if there was no response.
            retry_after_s: ``Retry-After`` of the response, in seconds.
        """
        # a success or redirect is no WebSocket server, such as the page of another program
        if 200 <= status < 500 and status not in _TRANSIENT_STATUSES:
            self._refusals += 1
            if not self._connections or self._refusals >= REFUSED_AFTER:
                return self._end(error)
        self._wait(self._back_off() if retry_after_s is None else retry_after_s, error, now)

    def disconnected(self, code: int, reason: str, now: float) -> None:
        """Record that the connection has ended, with a close code (1006 without one)."""
        if self.state == "closed":
            return
        self._limit = MAX_STREAMS
        self._sent.clear()
        self._frames.clear()
        self._silent_at = None
        for request in list(self._open):
            request.is_sent = False
            if request.held_until != float("inf"):
                request.held_until = None
            if request.is_over and not request.is_stopped:
                del self._open[request]
        error = ConnectionLost(reason or f"The connection was lost ({code}).")
        if code == 1009 and self._refuse_largest(error):
            code = 1006
        if code in _CLIENT_FAULTS:
            return self._end(error)
        self._wait(self._wait_after(code, reason, now), error, now)

    def receive(self, text: str, now: float) -> None:
        """Handle a text that arrived."""
        self._silent_at = None
        self._heard_at = now
        self._counts.count_received(now)
        try:
            frame = parse_server_frame(text)
        except (BadJson, BadMessage):
            return
        if not isinstance(frame, ErrorFrame):
            self._tries = 0
        elif frame.code == "rate_limited":
            self._retry_after_s = frame.retry_after or POLICY_WAIT_S
        if isinstance(frame, PongFrame):
            return
        request = self._sent.get(getattr(frame, "id", None) or "")
        if request is not None:
            self._receive_for(request, frame, now)

    def tick(self, now: float) -> ConnectionLost | None:
        """Handle a deadline; return why the connection has to be dropped."""
        if self.state != "connected":
            return None
        if self._silent_at is not None and now >= self._silent_at:
            # after a suspension of the machine, frames may be queued behind this call
            if now - self._silent_at < self._silence_s / 2:
                return ConnectionLost("The connection was silent.")
            self._ping(now)
        elif now >= self._ping_at:
            self._ping(now)
        for request in self._open:
            if request.held_until is not None and request.held_until <= now:
                request.held_until = None
        self._send_due(now)
        return None

    # ---- internals -----------------------------------------------------------------------------

    def _receive_for(self, request: Request, frame: ServerFrame, now: float) -> None:
        if isinstance(frame, ErrorFrame) and self._is_sent_later(request, frame, now):
            return
        if isinstance(request, BatchRequest) and request.is_asked_again(frame):
            self._send(CancelFrame(id=request.id, index=getattr(frame, "index", None)))
        events, is_last = request.receive(frame)
        request.has_begun = True
        if request.sent_at is not None and any(isinstance(event, Received) for event in events):
            self._counts.count_latency(now - request.sent_at)
            request.sent_at = None
        self._events += events
        if is_last:
            del self._sent[request.id]
            request.is_sent = False
            self._limit = min(self._limit + 1, MAX_STREAMS)  # what took the place may have ended
            if request.is_over:
                self._open.pop(request, None)
        if is_last or isinstance(frame, StartFrame):
            self._send_due(now)

    def _is_sent_later(self, request: Request, error: ErrorFrame, now: float) -> bool:
        """Whether a request that is refused now is sent again later.

        One that the server has accepted before is: the user has seen its beginning.
        """
        others = sum(one.streams for one in self._sent.values()) - request.streams
        is_one_too_many = error.code == "too_many" and others > 0
        if error.code not in _BUSY or error.index is not None or request.has_begun:
            return False
        is_long = (error.retry_after or 0.0) > MAX_HOLD_S
        if not is_one_too_many and (request.sends < 2 or is_long):
            return False
        del self._sent[request.id]
        request.is_sent = False
        if is_one_too_many:
            self._limit = others
        else:
            request.held_until = now + (error.retry_after or BUSY_S)
        return True

    def _send_due(self, now: float) -> None:
        """Send the requests that can be sent, in the order in which they were made."""
        if self.state != "connected":
            return
        for request in self._open:
            if sum(one.streams for one in self._sent.values()) >= self._limit:
                return
            if request.is_sent or request.held_until is not None:
                continue
            request.id = f"r{next(self._ids)}"
            frame = request.frame()
            if frame is None:
                continue
            request.is_sent = True
            request.sends += 1
            request.has_begun = False
            request.sent_at = now if request.sends == 1 else None
            self._sent[request.id] = request
            self._send(frame)
            for cancel in request.cancels():
                self._send(cancel)
        if self._heard_at is not None and now - self._heard_at > self._silence_s:
            self._ping(now)

    def _send(self, frame: ClientFrame) -> None:
        self._counts.sent += 1
        self._frames.append(frame.encode())

    def _ping(self, now: float) -> None:
        self._ping_at = now + self._ping_s
        if self._silent_at is None or self._silent_at <= now:
            self._silent_at = now + self._silence_s
            self._send(PingFrame())

    def _wait(self, seconds: float, error: WiresideError, now: float) -> None:
        self.connect_at = now + seconds
        self._change_state("waiting", error)

    def _wait_after(self, code: int, reason: str, now: float) -> float:
        was_steady = self._heard_at is not None and now - self._connected_at > STEADY_S
        if code == _POLICY and reason != "signed out":
            return self._retry_after_s + self._dice()
        if code in _RESTARTS and was_steady:
            return 0.0
        return self._back_off()

    def _back_off(self) -> float:
        """Return the next wait, with full jitter, in seconds."""
        longest = min(BACK_OFF_S * float(2 ** min(self._tries, 10)), MAX_BACK_OFF_S)
        self._tries += 1
        return self._dice() * longest

    def _refuse_largest(self, error: WiresideError) -> bool:
        """After 1009, fail the request that was too large, if it can be identified."""
        sent = [request for request in self._open if request.sends]
        largest = max(sent, key=lambda request: request.size, default=None)
        if largest is None or largest.size < LARGE_CHARS:
            return False
        del self._open[largest]
        self._events += largest.fail(TooLarge(str(error)))
        return True

    def _end(self, error: WiresideError | None) -> None:
        if self.state == "closed":
            return
        for request in self._open:
            self._events += request.fail(error or ClientClosed())
        self._open.clear()
        self._sent.clear()
        self._frames.clear()
        self.connect_at = None
        self._change_state("closed", error)

    def _change_state(self, state: State, error: WiresideError | None = None) -> None:
        self.state, self.error = state, error
        self._events.append(StateChanged(state, error))


class _Counts:
    """Counts frames and latencies, in bounded memory."""

    def __init__(self) -> None:
        self.sent = 0
        self._received = 0
        self._latencies = 0
        self._latency_s = 0.0
        self._seconds: deque[tuple[int, int]] = deque(maxlen=int(RATE_S) + 1)

    def count_received(self, now: float) -> None:
        self._received += 1
        second = int(now)
        if self._seconds and self._seconds[-1][0] == second:
            self._seconds[-1] = (second, self._seconds[-1][1] + 1)
        else:
            self._seconds.append((second, 1))

    def count_latency(self, seconds: float) -> None:
        self._latencies += 1
        self._latency_s += seconds

    def metrics(self, now: float, *, reconnects: int) -> Metrics:
        recent = sum(number for second, number in self._seconds if second > now - RATE_S)
        mean = self._latency_s / self._latencies if self._latencies else None
        return Metrics(
            messages_per_second=recent / RATE_S,
            average_latency_s=mean,
            reconnect_count=reconnects,
            messages_sent=self.sent,
            messages_received=self._received,
        )


def refusal(status: int, code: str, message: str) -> WiresideError:
    """Return the error for a refused handshake or request, by its HTTP status and its body."""
    codes = {400: "bad_message", 401: "unauthorized", 403: "unauthorized", 404: "not_found"}
    known = code or codes.get(status, "")
    if not known:
        return ConnectionLost(message)
    return error_of_code(known, message, is_retryable=status >= 500)
