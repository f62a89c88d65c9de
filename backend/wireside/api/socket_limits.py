"""What the socket classes are told: the limits below ASGI, in uvicorn's configuration."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import uvicorn

from wireside.api.compression import MIN_COMPRESSED_BYTES


@dataclass(frozen=True, slots=True)
class SocketLimits:
    """Limits of one connection (protocol.md, "Limits"). Times in seconds."""

    handshake_s: float = 10.0
    ping_interval_s: float = 20.0
    ping_timeout_s: float = 20.0
    stalled_s: float = 60.0
    closing_s: float = 5.0
    """How long a connection may take to close before it is aborted."""
    max_frame_bytes: int = 1024 * 1024
    control_frames_per_second: int = 200
    fragments_per_message: int = 1024
    min_compressed_bytes: int = MIN_COMPRESSED_BYTES
    cut_s: float = 0.0
    """Development: abort each WebSocket after about so long; 0 is never."""

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


class SocketConfig(uvicorn.Config):
    """uvicorn's configuration, with our limits beside it."""

    def __init__(self, app: Any, limits: SocketLimits, **options: Any) -> None:
        super().__init__(app, **options)
        self.limits = limits
