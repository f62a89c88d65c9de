"""What a scenario does on one connection: actions as values, and the frames of its answer."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

TEXT: Final = (
    "Each ", "answer ", "of ", "the ", "kit ", "is ", "a ", "log: ", "a ", "client ", "shows ",
    "it ", "once, ", "whole, ", "in ", "order. ", "Naïve ", "🌊 ", "e\u0301 ",
    "\U0001d11e ", "end.",
)  # fmt: skip
"""Pieces of text of most answers; some have characters outside of the basic plane."""


@dataclass(frozen=True, slots=True)
class VisitEntry:
    """An entry of an answer: a frame without ``id`` and ``offset``."""

    fields: dict[str, Any]

    @property
    def length(self) -> int:
        """Positions that it covers."""
        content = self.fields.get("content")
        return len(content) if isinstance(content, str) else 1

    def behind(self, count: int) -> VisitEntry:
        """Return the entry without its first ``count`` code points."""
        if not count:
            return self
        return VisitEntry({**self.fields, "content": self.fields["content"][count:]})


def texts(pieces: Sequence[str]) -> tuple[VisitEntry, ...]:
    """Return the entries of an answer of text only."""
    return tuple(VisitEntry({"type": "chunk", "content": piece}) for piece in pieces)


@dataclass(frozen=True, slots=True)
class SendStep:
    """Send a text frame; ``offset`` is the position that it takes the client to."""

    text: str
    type: str = ""
    offset: int | None = None
    retry_after_s: float = 0.0


@dataclass(frozen=True, slots=True)
class SendHalf:
    """Send the first half of the bytes of a text frame."""

    text: str


@dataclass(frozen=True, slots=True)
class Pause:
    """Send nothing for some seconds."""

    seconds: float


@dataclass(frozen=True, slots=True)
class CutStep:
    """End the TCP connection without a close frame."""


@dataclass(frozen=True, slots=True)
class CloseSocket:
    """Send a close frame; end the TCP connection ``linger_s`` later, without reading."""

    code: int
    reason: str = ""
    linger_s: float = 0.0


@dataclass(frozen=True, slots=True)
class PingSocket:
    """Send a ping of the WebSocket and wait for its pong."""


@dataclass(frozen=True, slots=True)
class GoSilent:
    """Send nothing more on the connection, whatever the client does."""


@dataclass(frozen=True, slots=True)
class RefuseStep:
    """Refuse a handshake with an HTTP status."""

    status: int


@dataclass(frozen=True, slots=True)
class CutHandshake:
    """End the TCP connection within the response to a handshake."""


@dataclass(frozen=True, slots=True)
class CloseAtOnce:
    """Accept a connection and close it before any frame."""

    code: int


Handshake = RefuseStep | CutHandshake | CloseAtOnce


@dataclass(frozen=True, slots=True)
class NextHandshakes:
    """What happens to the next connections of clients."""

    plan: tuple[Handshake, ...]


Action = (
    SendStep | SendHalf | Pause | CutStep | CloseSocket | PingSocket | GoSilent | NextHandshakes
)


class Visit:
    """One request for an answer: the first ``chat``, or a later ``resume`` or ``chat``.

    Attributes:
        number: 0 for the first request, then 1, 2, …
        request_id: the ``id`` of the request; None on level 1.
    """

    def __init__(
        self,
        log: Sequence[VisitEntry],
        *,
        number: int,
        stream: str,
        request_id: str | None,
        offset: int,
        is_resume: bool,
        ping_s: float,
    ) -> None:
        self.number = number
        self.request_id = request_id
        self.ping_s = ping_s
        self._log = log
        self._stream = stream
        self._offset = offset
        self._is_resume = is_resume

    @property
    def head(self) -> int:
        """Position after the answer."""
        return sum(entry.length for entry in self._log)

    @property
    def is_first(self) -> bool:
        """Whether it is the first request."""
        return self.number == 0

    def opening(self, state: str = "live") -> Iterator[Action]:
        """Send ``start`` or ``resumed``; nothing on level 1."""
        if self.request_id is None:
            return
        if self._is_resume:
            yield self.frame("resumed", stream=self._stream, head=self.head, state=state)
        else:
            yield self.frame("start", stream=self._stream, model="conformance")

    def pieces(self, count: int | None = None, *, until: str = "") -> Iterator[Action]:
        """Send the next entries: ``count`` of them, or up to the first one of a type."""
        start = 0
        for entry in self._log:
            end = start + entry.length
            if end > self._offset:
                if count is not None:
                    count -= 1
                    if count < 0:
                        return
                yield from self._entry(entry.behind(max(0, self._offset - start)), end)
                if entry.fields["type"] == until:
                    return
            start = end

    def _entry(self, entry: VisitEntry, end: int) -> Iterator[Action]:
        self._offset = end
        if self.request_id is not None:
            yield self.frame(**entry.fields, offset=end)
        elif entry.fields["type"] == "chunk":
            yield SendStep(json.dumps(entry.fields, ensure_ascii=False), "chunk")

    def back(self, count: int) -> None:
        """Go back by some entries, so that they are sent again."""
        ends = [0]
        for entry in self._log:
            ends.append(ends[-1] + entry.length)
        at = max(index for index, end in enumerate(ends) if end <= self._offset)
        self._offset = ends[max(0, at - count)]

    def done(self, reason: str = "stop") -> Iterator[Action]:
        """Send ``done``."""
        usage = {"input_tokens": 1, "output_tokens": None}
        yield self.frame("done", offset=self._offset, reason=reason, usage=usage)

    def rest(self, reason: str = "stop", *, state: str = "live") -> Iterator[Action]:
        """Send the opening frame, what is missing, and ``done``."""
        yield from self.opening(state)
        yield from self.pieces()
        yield from self.done(reason)

    def error(
        self, code: str, message: str, *, retryable: bool = False, retry_after_s: float = 0.0
    ) -> Iterator[Action]:
        """Send the ``error`` that ends the request."""
        wait = {"retry_after": retry_after_s} if retry_after_s else {}
        frame = self.frame("error", message=message, code=code, retryable=retryable, **wait)
        yield SendStep(frame.text, "error", None, retry_after_s)

    def frame(self, type: str, **fields: Any) -> SendStep:  # noqa: A002 (the field's name)
        """Return a frame about this request; on level 1 with the fields of that level."""
        if self.request_id is None:
            kept = {name: fields[name] for name in ("content", "message") if name in fields}
            return SendStep(json.dumps({"type": type, **kept}, ensure_ascii=False), type)
        text = json.dumps({"type": type, "id": self.request_id, **fields}, ensure_ascii=False)
        offset = fields.get("offset")
        return SendStep(text, type, offset if isinstance(offset, int) else None)
