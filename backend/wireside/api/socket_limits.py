"""What the socket classes are told: the limits below ASGI, in uvicorn's configuration."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final

import uvicorn
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from wireside.api.compression import MIN_COMPRESSED_BYTES
from wireside.protocol.limits import network_of

FLUSH_S: Final = 1.0
"""Seconds that a last close frame gets to reach a peer that seems to be gone."""


SHARE_S: Final = 0.002
"""Of each turn of the event loop that large input takes, over all connections."""


@dataclass(frozen=True, slots=True)
class SocketLimits:
    """Limits of one connection (protocol.md, "Limits"). Times in seconds."""

    handshake_s: float = 10.0
    ping_interval_s: float = 20.0
    ping_timeout_s: float = 20.0
    stalled_s: float = 60.0
    closing_s: float = 3.0
    """How long a connection may take to close before it is aborted."""
    max_frame_bytes: int = 1024 * 1024
    control_frames_per_second: int = 200
    fragments_per_message: int = 1024
    min_compressed_bytes: int = MIN_COMPRESSED_BYTES
    cut_s: float = 0.0
    """Development: abort each WebSocket after about so long; 0 is never."""
    least_bytes_per_second: int = 240
    """What has begun (a body, a message) must come at least so fast; pauses of ``arrival_s``."""
    unfinished_bytes: int = 4 * 1024 * 1024
    """What the server holds of messages that have begun, over all connections."""
    connections_per_address: int = 0
    """TCP connections of one address that are no WebSockets; 0 is no limit."""

    @property
    def tick_s(self) -> float:
        """How often each connection must be looked at for these limits to hold."""
        limits = (
            self.handshake_s,
            self.ping_interval_s,
            self.ping_timeout_s,
            self.stalled_s,
        )
        return min(
            1.0,
            *(limit / 4 for limit in (*limits, self.closing_s, self.cut_s) if limit),
        )

    @property
    def arrival_s(self) -> float:
        """Age at which what has not arrived is given up, so that it is over by ``handshake_s``."""
        return self.handshake_s - self.tick_s

    @property
    def patience_s(self) -> float:
        """Time after which a stalled reader is told to go, so that it is gone by ``stalled_s``."""
        return max(0.75 * self.stalled_s, self.stalled_s - FLUSH_S - 2 * self.tick_s)

    def due(self, due: float, now: float, arrived: int) -> float:
        """Return when the next bytes are due, where some have arrived that were due at ``due``:
        each buys its time, ``arrival_s`` is the most that they save up.
        """
        return min(now + self.arrival_s, due + arrived / self.least_bytes_per_second)


class SocketConfig(uvicorn.Config):
    """uvicorn's configuration, with our limits beside it, and what connections have in common."""

    def __init__(
        self, app: Any, limits: SocketLimits, *, proxies: Iterable[str] = (), **options: Any
    ) -> None:
        super().__init__(app, **options)
        self.limits = limits
        self.unfinished = Unfinished(limits.unfinished_bytes)
        self.addresses = Addresses(limits.connections_per_address, proxies)
        self.shares = Shares(SHARE_S)


class Unfinished:
    """How much of unfinished messages is held, over all connections.

    Past the limit the connection that holds the most is dropped: who sends what a person sends
    holds little, and not for long.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._sizes: dict[Callable[[], None], int] = {}
        self.total = 0

    def hold(self, drop: Callable[[], None], size: int) -> None:
        """Note that the connection which ``drop`` ends holds ``size`` bytes; 0 forgets it."""
        self.total += size - self._sizes.pop(drop, 0)
        if size:
            self._sizes[drop] = size
        while self.total > self._limit:
            largest = max(self._sizes, key=self._sizes.__getitem__)
            self.total -= self._sizes.pop(largest)
            largest()


class Shares:
    """Lets work take ``share_s`` of each turn of the event loop; the rest waits in line.

    The loop itself serves whoever is ready: fifty connections that send megabytes would each have
    a read of theirs parsed before anybody else's ten bytes are looked at.
    """

    def __init__(self, share_s: float, clock: Callable[[], float] = time.perf_counter) -> None:
        self._share_s = share_s
        self._clock = clock
        self._used_s = 0.0
        self._line: dict[Callable[[], None], None] = {}
        self._is_next_due = False

    def run(self, work: Callable[[], None]) -> bool:
        """Do ``work`` now, or when it has its turn; return whether it is done. What waits already
        waits once.
        """
        if not self._is_next_due:
            self._is_next_due = True
            asyncio.get_running_loop().call_soon(self._next)
        if self._line or self._used_s >= self._share_s:
            self._line[work] = None
            return False
        self._do(work)
        return True

    def _next(self) -> None:
        self._used_s = 0.0
        while self._line and self._used_s < self._share_s:
            work = next(iter(self._line))
            del self._line[work]
            self._do(work)
        self._is_next_due = self._used_s > 0
        if self._is_next_due:
            asyncio.get_running_loop().call_soon(self._next)

    def _do(self, work: Callable[[], None]) -> None:
        began = self._clock()
        try:
            work()
        finally:
            self._used_s += max(self._clock() - began, 1e-9)


class Addresses:
    """How many TCP connections, WebSockets aside, come from each address.

    Proxies that are trusted are not counted: they stand for many. Those behind one are counted
    above, where their address is known.
    """

    def __init__(self, limit: int, proxies: Iterable[str]) -> None:
        self._limit = limit
        self._proxies = ProxyHeadersMiddleware(_nobody, list(proxies)).trusted_hosts
        self._counts: Counter[str] = Counter()

    def enter(self, address: str) -> str | None:
        """Count a connection; return what to leave with, None if there are too many already."""
        if not self._limit or address in self._proxies:
            return ""
        network = network_of(address)
        if self._counts[network] >= self._limit:
            return None
        self._counts[network] += 1
        return network

    def leave(self, network: str) -> None:
        """A connection is gone, or has become a WebSocket."""
        if network:
            self._counts[network] -= 1
            if not self._counts[network]:
                del self._counts[network]


def reset(transport: asyncio.Transport) -> None:
    """Abort a connection and all that the kernel still holds of it.

    A plain abort leaves the kernel with what a peer that reads nothing has not taken, for minutes,
    and the peer in the belief that somebody is there.
    """
    sock = transport.get_extra_info("socket")
    if sock is not None and not transport.is_closing():
        with contextlib.suppress(OSError):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()


async def _nobody(*_: object) -> None:
    """Stand where uvicorn's list of trusted proxies wants an application."""
