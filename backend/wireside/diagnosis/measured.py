"""What a probe has measured between itself and the server, as values.

The shell's probe (``wireside.probe``) and the browser's (``assets/doctor.js``) fill in the same
ones. What could not be measured is left out.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, Literal

CHAT: Final = "/ws/ai-chat"
PROBE: Final = "/ws/doctor"
PAGE: Final = "/_nicegui_ws/socket.io/"

NO_SUCH_NAME: Final = "the name does not resolve"
NOTHING_LISTENS: Final = "nothing listens there"
BAD_CERTIFICATE: Final = "the certificate is not good"
"""Why no connection was made, as ``Reply.message`` says it."""

Prober = Literal["browser", "shell"]


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back for a request: its status, and what shows who has answered.

    ``status`` is 0 where nothing came. ``message`` is the sentence of a refusal of Wireside's own
    (``is_ours``), else the beginning of whatever came, or why nothing did.
    """

    status: int = 0
    is_ours: bool = False
    message: str = ""
    server: str = ""
    via: str = ""


@dataclass(frozen=True, slots=True)
class Upgrade:
    """One try to open a WebSocket.

    ``reply`` is what came instead. A browser does not tell: there it is the answer to a plain
    request for the same path.
    """

    path: str
    is_open: bool
    reply: Reply = field(default_factory=Reply)
    closed_after_ms: int | None = None
    """Set where it opened and was closed before it could be used."""
    extensions: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """A question, asked as every client asks: when its pieces came, or the error instead."""

    times_ms: tuple[int, ...] = ()
    code: str = ""
    message: str = ""


@dataclass(frozen=True, slots=True)
class Seen:
    """A request as the server has seen it.

    ``peer`` is who has connected (a proxy, if there is one), ``client`` who it is taken for.
    ``headers`` are those that proxies set, in lower case.
    """

    host: str
    origin: str = ""
    scheme: str = "http"
    http_version: str = "1.1"
    peer: str = ""
    client: str = ""
    port: int = 0
    """The peer's, as far as the server knows: the prober's own where nobody is between."""
    is_peer_trusted: bool = False
    headers: dict[str, str] = field(default_factory=dict)
    now: float = 0.0
    ping_interval_s: float = 20.0


@dataclass(frozen=True, slots=True)
class Stream:
    """Pieces that the server has sent a while apart, and when they came, both in ms since the first
    was asked for; only differences count.
    """

    sent_ms: tuple[int, ...] = ()
    came_ms: tuple[int, ...] = ()
    reply: Reply = field(default_factory=Reply)
    encoding: str = ""


@dataclass(frozen=True, slots=True)
class Silence:
    """A WebSocket on which nobody said anything."""

    asked_s: float
    lasted_s: float
    is_cut: bool
    code: int | None = None


@dataclass(frozen=True, slots=True)
class Measured:
    """All of it. ``asked`` is the server's address as the prober knows it, without a path."""

    prober: Prober
    asked: str
    origin: str = ""
    """Of the page that the prober is, or stands for."""
    ready: Reply = field(default_factory=Reply)
    memory_mb: float | None = None
    upgrades: tuple[Upgrade, ...] = ()
    answer: Answer | None = None
    seen: Seen | None = None
    socket_seen: Seen | None = None
    post: Reply | None = None
    """A request that says its Origin."""
    stream: Stream | None = None
    socket_stream: Stream | None = None
    large: Reply | None = None
    """A request with a large body."""
    silence: Silence | None = None
    skew_s: float | None = None
    """What the server's clock says beyond the prober's."""
    trips_ms: tuple[float, ...] = ()
    """On a WebSocket; of requests where none could be opened."""
    http: str = ""
    """What the prober's end speaks: ``h2``, ``http/1.1``."""
    local_port: int = 0
    """The prober's, of the request that ``seen`` is about; 0 where it does not know."""

    def upgrade(self, path: str) -> Upgrade | None:
        """Return what came of a try."""
        return next((one for one in self.upgrades if one.path == path), None)
