"""What the server gives to a door: the caller's chat, the rate limit of questions, the counters."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from starlette.types import Scope

from wireside.api.middleware.client_address import peer_address
from wireside.api.websocket import chat_of
from wireside.chat.service import ChatService
from wireside.errors import RateLimited
from wireside.limits.windows import AddressWindows
from wireside.session.departure import Departure


class DoorCounters(Protocol):
    """Counts the requests of doors; implemented by the telemetry."""

    def count_door_request(self, door: str, kind: str) -> None:
        """Count a request: ``kind`` is "ask" or "read"."""

    def count_door_error(self, door: str, code: str, *, is_of_answer: bool = False) -> None:
        """Count an error sent to a client; an answer's error is sent to each of its readers."""


class Door:
    """One door, as its endpoints see it.

    Args:
        name: the label of its metrics, such as "openai".
        chat: the chat of a server without authentication.
        windows: the questions of each caller in the last minute, shared with all other doors.
        counters: counts its requests and errors.
        clock: returns monotonic seconds.
        departure: moves the clients of WebSockets to another server when this one stops.
    """

    def __init__(
        self,
        name: str,
        *,
        chat: ChatService,
        windows: AddressWindows,
        counters: DoorCounters,
        clock: Callable[[], float],
        departure: Departure | None = None,
    ) -> None:
        self.name = name
        self.departure = departure or Departure()
        self._chat = chat
        self._windows = windows
        self._counters = counters
        self._clock = clock

    def chat_of(self, scope: Scope) -> ChatService:
        """Return the chat service of a request's caller."""
        return chat_of(scope, self._chat)

    def count_question(self, scope: Scope) -> None:
        """Count a question of a request's caller. Raises ``RateLimited``."""
        caller = self.chat_of(scope).caller.user_id or peer_address(scope)
        now = self._clock()
        window = self._windows.window_for(caller, now)
        if not window.count_if_allowed(now):
            raise RateLimited(retry_after=round(window.retry_after(now), 1))
        self._counters.count_door_request(self.name, "ask")

    def count_reading(self) -> None:
        """Count a request that reads an answer which was asked for before."""
        self._counters.count_door_request(self.name, "read")

    def count_error(self, code: str, *, is_of_answer: bool = False) -> None:
        """Count an error sent to a client; an answer's error is sent to each of its readers."""
        self._counters.count_door_error(self.name, code, is_of_answer=is_of_answer)
