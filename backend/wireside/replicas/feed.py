"""The owner's side of a followed answer: what was committed goes to the servers that follow it.

After each commit one message goes to each follower, with the new pieces of all answers that it
follows: one message for each answer would cost several times the CPU of both servers. Nothing is
sent before it is committed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from wireside.generation.commits import Committed
from wireside.ports.clock import Clock
from wireside.replicas.exchange import Exchange
from wireside.replicas.wire import encode_end, encode_entries

FOLLOW_S = 2.0
"""How often a follower says what it follows, in seconds."""

FORGET_S = 3 * FOLLOW_S
"""Seconds after which a follower that says nothing is forgotten."""


class Feed:
    """Sends what is committed to the servers that follow it. Costs nothing without followers."""

    def __init__(self, exchange: Exchange, is_running: Callable[[str], bool], clock: Clock) -> None:
        """``is_running`` returns whether this server writes the answer of that name."""
        self._exchange = exchange
        self._is_running = is_running
        self._clock = clock
        self._followers: dict[str, dict[str, float]] = {}
        """Until when each server follows an answer, by the answer's name."""
        self._cleaned_at = 0.0
        exchange.handle("follow", self._note_follower)

    @property
    def followed_count(self) -> int:
        """Number of answers that other servers follow."""
        return len(self._followers)

    def send_committed(self, batch: Sequence[Committed]) -> None:
        """Send what one commit has stored to its followers."""
        if not self._followers:
            return
        now = self._clock()
        messages: dict[str, list[Any]] = {}
        for one in batch:
            name, end = one.tail.stream, one.tail.end
            followers = self._followers.get(name)
            if followers is None:
                continue
            news = name, one.after, encode_entries(one.entries), encode_end(end)
            for server, follows_until in tuple(followers.items()):
                if follows_until < now:
                    del followers[server]
                else:
                    messages.setdefault(server, []).append(news)
            if end is not None or not followers:
                del self._followers[name]
        for server, some in messages.items():
            self._exchange.post("pieces", some, to=server)

    def _note_follower(self, server: str, names: Sequence[str]) -> None:
        now = self._clock()
        for name in names:
            if self._is_running(name):  # the store has the end of others
                self._followers.setdefault(name, {})[server] = now + FORGET_S
        if now - self._cleaned_at > FORGET_S:
            self._cleaned_at = now
            for name in [name for name in self._followers if not self._is_running(name)]:
                del self._followers[name]
