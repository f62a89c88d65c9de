"""Limits enforced by the protocol classes below ASGI, carried by uvicorn's configuration."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final

import uvicorn
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from wireside.limits.connections import ConnectionCounts
from wireside.limits.unfinished import Unfinished
from wireside.server.compression import MIN_COMPRESSED_BYTES
from wireside.server.handover import HandOver

FLUSH_S: Final = 1.0
"""Seconds for a last close frame to reach a peer that does not respond."""


SHARE_S: Final = 0.002
"""Seconds of each turn of the event loop spent on large input, over all connections."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SocketLimits:
    """Limits of one connection (protocol.md, "Limits"). Times are in seconds."""

    handshake_s: float = 10.0
    ping_interval_s: float = 20.0
    ping_timeout_s: float = 20.0
    stalled_s: float = 60.0
    closing_s: float = 3.0
    """Time for a connection to close before it is aborted."""
    max_frame_bytes: int = 1024 * 1024
    control_frames_per_second: int = 200
    fragments_per_message: int = 1024
    min_compressed_bytes: int = MIN_COMPRESSED_BYTES
    cut_s: float = 0.0
    """For development: abort each WebSocket after about this time; 0 disables it."""
    least_bytes_per_second: int = 240
    """Minimum rate of a body or message once it has started; pauses of up to ``arrival_s``."""
    unfinished_bytes: int = 4 * 1024 * 1024
    """Total size of unfinished messages in memory, over all connections."""
    connections_per_address: int = 0
    """TCP connections of one address that are not WebSockets; 0 disables the limit."""

    @property
    def tick_s(self) -> float:
        """Interval between two checks of a connection, short enough to enforce these limits."""
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
        """Age at which an incomplete request is aborted, so that it is gone by ``handshake_s``."""
        return self.handshake_s - self.tick_s

    @property
    def patience_s(self) -> float:
        """Age at which a stalled reader is sent a close, so that it is gone by ``stalled_s``."""
        return max(0.75 * self.stalled_s, self.stalled_s - FLUSH_S - 2 * self.tick_s)

    def next_deadline(self, due: float, now: float, arrived: int) -> float:
        """Return the new deadline when ``arrived`` bytes came before the deadline ``due``.

        Each byte extends the deadline, up to ``arrival_s`` from ``now``.
        """
        return min(now + self.arrival_s, due + arrived / self.least_bytes_per_second)


class SocketConfig(uvicorn.Config):
    """uvicorn's configuration, with our limits and the state that connections share."""

    def __init__(
        self, app: Any, limits: SocketLimits, *, proxies: Iterable[str] = (), **options: Any
    ) -> None:
        super().__init__(app, **options)
        self.limits = limits
        self.unfinished = Unfinished(limits.unfinished_bytes)
        self.addresses = AddressConnections(limits.connections_per_address, proxies)
        self.shares = Shares(SHARE_S)
        self.hand_over: HandOver | None = None
        """Passes connections to other workers, where several share the listening socket."""


class Shares:
    """Runs callbacks for at most ``share_s`` seconds per turn of the event loop; queues the rest.

    The event loop itself serves all sockets that are ready: with fifty connections that send
    megabytes, each would have one read parsed before another connection's ten bytes are handled.
    """

    def __init__(self, share_s: float, clock: Callable[[], float] = time.perf_counter) -> None:
        self._share_s = share_s
        self._clock = clock
        self._used_s = 0.0
        self._line: dict[Callable[[], None], None] = {}
        self._is_next_due = False

    def run_or_queue(self, work: Callable[[], None]) -> bool:
        """Call ``work`` now if there is time left, else queue it; return whether it was called.

        A callback that is already queued stays queued once.
        """
        if not self._is_next_due:
            self._is_next_due = True
            asyncio.get_running_loop().call_soon(self._run_queued)
        if self._line or self._used_s >= self._share_s:
            self._line[work] = None
            return False
        self._run_and_measure(work)
        return True

    def _run_queued(self) -> None:
        self._used_s = 0.0
        while self._line and self._used_s < self._share_s:
            work = next(iter(self._line))
            del self._line[work]
            self._run_and_measure(work)
        self._is_next_due = self._used_s > 0
        if self._is_next_due:
            asyncio.get_running_loop().call_soon(self._run_queued)

    def _run_and_measure(self, work: Callable[[], None]) -> None:
        began = self._clock()
        try:
            work()
        finally:
            self._used_s += max(self._clock() - began, 1e-9)


class AddressConnections:
    """Counts the TCP connections of each address that are not WebSockets.

    Trusted proxies are not counted, as each carries many clients. Those clients are counted in the
    middleware, where their addresses are known.
    """

    def __init__(self, limit: int, proxies: Iterable[str]) -> None:
        self._is_limited = limit > 0
        self._counts = ConnectionCounts(limit)
        self._proxies = ProxyHeadersMiddleware(_nobody, list(proxies)).trusted_hosts

    def count_connection(self, address: str) -> str | None:
        """Count a connection; return the key for ``uncount_connection``; None at the limit."""
        if not self._is_limited or address in self._proxies:
            return ""
        return self._counts.count_connection(address)

    def uncount_connection(self, network: str) -> None:
        """Stop counting a connection: it was closed or has become a WebSocket."""
        if network:
            self._counts.uncount_connection(network)


def reset_connection(transport: asyncio.Transport) -> None:
    """Abort a connection with a TCP reset, which also discards the kernel's buffers.

    A plain abort leaves the kernel holding, for minutes, what the peer has not read, and the peer
    with a connection that looks open.
    """
    sock = transport.get_extra_info("socket")
    if sock is not None and not transport.is_closing():
        with contextlib.suppress(OSError):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()


async def _nobody(*_: object) -> None:
    """Placeholder for the application that uvicorn's proxy middleware requires."""
