"""The address of a server, as users write it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self
from urllib.parse import urlsplit, urlunsplit

from wireside.protocol.handshake import is_loopback

SOCKET_PATH = "/ws/ai-chat"

_SCHEMES = {"http": "http", "https": "https", "ws": "http", "wss": "https"}


@dataclass(frozen=True, slots=True)
class ServerAddress:
    """The base URL of a server, ``http`` or ``https``, without a slash at its end."""

    base_url: str

    @classmethod
    def parse(cls, url: str) -> Self:
        """Parse the URL of a server, of its page or of its WebSocket.

        A URL without a scheme is one of ``http`` on this machine, and of ``https`` elsewhere.

        Raises:
            ValueError: it is no such URL; the text is a sentence.
        """
        text = url.strip()
        if "://" not in text:
            host = text.partition("/")[0].rpartition("@")[2]
            name = host.rpartition(":")[0] or host
            is_local = name in ("localhost", "[::1]") or name.startswith("127.")
            text = f"{'http' if is_local else 'https'}://{text}"
        try:
            parts = urlsplit(text)
            has_port = parts.port is not None or not parts.netloc.endswith(":")
        except ValueError:
            has_port = False
        if not has_port or parts.scheme not in _SCHEMES or not parts.hostname:
            raise ValueError(f"{url!r} is no address; write it as https://chat.example.com.")
        path = parts.path.rstrip("/").removesuffix(SOCKET_PATH)
        scheme = _SCHEMES[parts.scheme]
        return cls(urlunsplit((scheme, parts.netloc, path, "", "")).rstrip("/"))

    @property
    def is_loopback(self) -> bool:
        """Whether it is this machine, which no proxy can reach."""
        return is_loopback(urlsplit(self.base_url).hostname or "")

    @property
    def socket_url(self) -> str:
        """The URL of the WebSocket."""
        return f"ws{self.base_url.removeprefix('http')}{SOCKET_PATH}"
