"""What happened in scenarios: connections, requests and their ends, as values for the judge."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

from wireside.conformance.scenarios.catalogue import FINAL_CODES, Scenario
from wireside.conformance.scenarios.visits import SendStep

OPENINGS: Final = frozenset({"start", "resumed"})

DROPS: Final = frozenset({"cut", "silent", "close"})
"""Ends of a request by the server, after which a client comes back."""


@dataclass(slots=True, kw_only=True)
class ScenarioAttempt:
    """An attempt of a client to connect.

    Attributes:
        at: time of the handshake, in seconds.
        outcome: ``open``, ``refused``, ``cut`` or ``closed at once``.
        ended_at: time of its end; None while it is open.
        close_code: code of the client's close frame; None without one.
        ended_by_client: whether the client ended it.
        pings: times of the client's pings.
    """

    at: float
    outcome: str
    ended_at: float | None = None
    close_code: int | None = None
    ended_by_client: bool = False
    pings: list[float] = field(default_factory=list)


@dataclass(slots=True, kw_only=True)
class ScenarioRequest:
    """A ``chat`` or ``resume`` for an answer, and how it ended.

    Attributes:
        frame: the frame of the client.
        attempt: index of its connection.
        at: when it arrived, in seconds.
        has_opened: whether ``start`` or ``resumed`` was sent.
        offset: the last position that the client has received.
        ended: ``done``, ``error``, ``cancelled``, ``left`` (by the client) or one of ``DROPS``.
        code: the close code, if it ended by ``close``.
        retryable: whether the error that ended it is.
        retry_after_s: seconds that the client has to wait.
        linger_s: seconds for which the TCP connection stays open after the close frame.
    """

    frame: dict[str, Any]
    attempt: int
    at: float
    has_opened: bool = False
    offset: int = 0
    ended: str = ""
    ended_at: float = 0.0
    code: int = 0
    retryable: bool = False
    retry_after_s: float = 0.0
    linger_s: float = 0.0

    @property
    def is_resume(self) -> bool:
        """Whether it is a ``resume``."""
        return bool(self.frame["type"] == "resume")

    def note(self, sent: SendStep, fields: dict[str, Any]) -> None:
        """Record a frame that was sent to the client."""
        self.has_opened = self.has_opened or sent.type in OPENINGS
        if sent.offset is not None and not self.ended:
            self.offset = max(self.offset, sent.offset)
        self.retry_after_s = max(self.retry_after_s, sent.retry_after_s)
        if sent.type == "error":
            self.retryable = bool(fields.get("retryable"))

    def end(self, how: str, at: float, code: int = 0) -> None:
        """Record the end; only the first one counts."""
        if not self.ended:
            self.ended, self.ended_at, self.code = how, at, code

    @property
    def is_final(self) -> bool:
        """Whether the client has nothing more to request about the answer."""
        if self.ended == "close":
            return self.code in FINAL_CODES
        return self.ended in ("done", "error", "cancelled", "left")


@dataclass(slots=True, kw_only=True)
class Play:
    """A scenario that is played to a client.

    Attributes:
        scenario: the scenario.
        message: the question.
        stream: name of the answer's stream.
        requests: the requests for the answer, in order.
        faults: what was wrong with frames, found while they arrived: expected and came.
        log: what happened, one line each.
    """

    scenario: Scenario
    message: str
    stream: str
    ping_s: float
    dead_s: float
    requests: list[ScenarioRequest] = field(default_factory=list)
    faults: list[tuple[str, str]] = field(default_factory=list)
    log: list[str] = field(default_factory=list)

    @property
    def first(self) -> ScenarioRequest:
        """The first request."""
        return self.requests[0]

    @property
    def last(self) -> ScenarioRequest:
        """The latest request."""
        return self.requests[-1]

    @property
    def key(self) -> str | None:
        """The ``key`` of the question."""
        key = self.first.frame.get("key")
        return key if isinstance(key, str) else None

    @property
    def offset(self) -> int:
        """The last position that the client has received."""
        return max(request.offset for request in self.requests)

    @property
    def is_waiting(self) -> bool:
        """Whether the client has to come back."""
        return self.last.ended in DROPS and not self.last.is_final
