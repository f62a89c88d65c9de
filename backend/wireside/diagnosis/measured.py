"""Measurements of a probe on the network path to the server, as values.

The shell's probe (``wireside.doctor.probe``) and the browser's (``assets/doctor/``) fill in the
same values. What could not be measured keeps its default.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, Literal

CHAT: Final = "/ws/ai-chat"
PROBE: Final = "/ws/doctor"
PAGE: Final = "/_nicegui_ws/socket.io/"

NO_SUCH_NAME: Final = "the name does not resolve"
NOTHING_LISTENS: Final = "no server listens on this port"
BAD_CERTIFICATE: Final = "the certificate is not valid"
"""Reasons for a failed connection, as found in ``Reply.message``."""

Prober = Literal["browser", "shell"]


@dataclass(frozen=True, slots=True)
class MeasuredReply:
    """The response to a request: its status, and evidence of what sent it.

    ``status`` is 0 if there was no response. ``message`` is the error message if Wireside itself
    refused (``is_ours``), otherwise the beginning of the body, or why there was no response.
    """

    status: int = 0
    is_ours: bool = False
    message: str = ""
    server: str = ""
    via: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Upgrade:
    """One attempt to open a WebSocket.

    ``reply`` is the response if it did not open. Browsers do not expose it; there it is the
    response to a plain request for the same path.
    """

    path: str
    is_open: bool
    reply: MeasuredReply = field(default_factory=MeasuredReply)
    closed_after_ms: int | None = None
    """Milliseconds until it was closed, if it opened but was closed before it could be used."""
    extensions: str = ""


@dataclass(frozen=True, slots=True)
class AnswerTiming:
    """The answer to a question sent like any client's: arrival times in ms, or the error."""

    times_ms: tuple[int, ...] = ()
    code: str = ""
    message: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """A request as the server received it.

    ``peer`` is the address of the TCP connection (the proxy's, if there is one), ``client`` the
    resolved client address. ``headers`` are those that proxies set, by name in lower case; ``now``
    is the server's clock in seconds since 1970.
    """

    host: str
    origin: str = ""
    scheme: str = "http"
    http_version: str = "1.1"
    peer: str = ""
    client: str = ""
    port: int = 0
    """The peer's port as the server sees it: the prober's own if there is no proxy."""
    is_peer_trusted: bool = False
    headers: dict[str, str] = field(default_factory=dict)
    now: float = 0.0
    ping_interval_s: float = 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamTiming:
    """Send and arrival times of pieces that the server sends at intervals.

    Both are in ms since their own origin; only differences are meaningful.
    """

    sent_ms: tuple[int, ...] = ()
    came_ms: tuple[int, ...] = ()
    reply: MeasuredReply = field(default_factory=MeasuredReply)
    encoding: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Silence:
    """An idle WebSocket: requested and measured duration in seconds, and the close code."""

    asked_s: float
    lasted_s: float
    is_cut: bool
    code: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """All measurements. ``asked`` is the URL that was probed, without a path."""

    prober: Prober
    asked: str
    origin: str = ""
    """Origin of the page that runs the probe, or that it simulates."""
    ready: MeasuredReply = field(default_factory=MeasuredReply)
    memory_mb: float | None = None
    upgrades: tuple[Upgrade, ...] = ()
    answer: AnswerTiming | None = None
    seen: Seen | None = None
    socket_seen: Seen | None = None
    post: MeasuredReply | None = None
    """Response to a POST request with an ``Origin`` header."""
    stream: StreamTiming | None = None
    socket_stream: StreamTiming | None = None
    large: MeasuredReply | None = None
    """Response to a request with a large body."""
    silence: Silence | None = None
    skew_s: float | None = None
    """Server's clock minus the prober's, in seconds."""
    trips_ms: tuple[float, ...] = ()
    """Round-trip times on a WebSocket, or of HTTP requests if none could be opened."""
    http: str = ""
    """Protocol between the prober and the first hop: ``h2``, ``http/1.1``."""
    local_port: int = 0
    """The prober's local port for the request in ``seen``; 0 if unknown."""

    def upgrade_of(self, path: str) -> Upgrade | None:
        """Return the attempt for a path, None if there was none."""
        return next((one for one in self.upgrades if one.path == path), None)
