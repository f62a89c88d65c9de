"""Keepalive texts of client libraries, which are not frames of the protocol, and their replies."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Final

from wireside.protocol.frames.server import KeepaliveReply, PongFrame

Reply = PongFrame | KeepaliveReply | None

MAX_KEEPALIVE_CHARS: Final = 64

KEEPALIVE_TYPES: Final = frozenset({"heartbeat", "keepalive", "keep-alive", "keep_alive"})
"""Types of JSON frames that libraries send as keepalives, in lower case."""

_TEXTS: Final = {
    "ping": "pong",
    "PING": "PONG",
    "Ping": "Pong",
    "__ping__": "__pong__",
    '"ping"': '"pong"',
}
"""Keepalives that expect a text. The first is the default of react-use-websocket and of VueUse."""

_PONGS: Final = ("heartbeat", "Heartbeat", "HEARTBEAT", "keepalive", "keep-alive")
"""Keepalives that expect a frame."""

REPLIES: Final[dict[str, Reply]] = {
    **dict.fromkeys(("", *_TEXTS.values())),
    **{text: KeepaliveReply(text=reply) for text, reply in _TEXTS.items()},
    **dict.fromkeys((word for name in _PONGS for word in (name, f'"{name}"')), PongFrame()),
}
"""The reply that a library expects to its keepalive text; None if it expects none."""

_KEEPALIVES: Final = {reply: text for text, reply in REPLIES.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Heartbeat:
    """A keepalive that is not a frame of this protocol: the default of a client library.

    ``reply`` is one of ``REPLIES``: what to respond with, None if no response is expected.
    """

    type: ClassVar[str] = "heartbeat"
    reply: Reply = None

    def encode(self) -> str:
        """Return a keepalive text that has this reply."""
        return _KEEPALIVES[self.reply]


def heartbeat_in(text: str) -> Heartbeat | None:
    """Return the heartbeat for a keepalive text; None for anything else."""
    if len(text) > MAX_KEEPALIVE_CHARS:
        return None
    word = text.strip("\ufeff \t\r\n")
    return Heartbeat(reply=REPLIES[word]) if word in REPLIES else None
