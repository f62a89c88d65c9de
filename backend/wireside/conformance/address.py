"""The address of a server under test."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

PATH = "/ws/ai-chat"

_SCHEMES = {"http": False, "ws": False, "https": True, "wss": True}


class InvalidServerAddress(ValueError):
    """The address can't be used; the text is a message for the user."""


@dataclass(frozen=True, slots=True)
class Address:
    """The address of the WebSocket of a server.

    Attributes:
        is_secure: whether TLS is used.
        host: name or address; IPv6 without brackets.
        port: TCP port.
        path: path of the WebSocket, such as ``/ws/ai-chat``.
    """

    is_secure: bool
    host: str
    port: int
    path: str

    @classmethod
    def parse(cls, url: str) -> Address:
        """Return the address that a URL names, of the WebSocket, of a page or of the server.

        >>> Address.parse("127.0.0.1:8080").url
        'ws://127.0.0.1:8080/ws/ai-chat'
        >>> Address.parse("https://example.org/tools/chat/").url
        'wss://example.org/tools/chat/ws/ai-chat'

        Raises:
            BadAddress: it is not an HTTP or WebSocket URL.
        """
        parts = urlsplit(url if "://" in url else f"ws://{url}")
        try:
            port = parts.port
        except ValueError:
            port = 0
        if parts.scheme not in _SCHEMES or not parts.hostname or port == 0 or "@" in parts.netloc:
            raise InvalidServerAddress(
                f"{url} is not the URL of a server. Example: ws://127.0.0.1:8080{PATH}"
            )
        is_secure = _SCHEMES[parts.scheme]
        path = parts.path.rstrip("/")
        if not path.endswith(PATH):
            path += PATH
        return cls(is_secure, parts.hostname, port or (443 if is_secure else 80), path)

    @property
    def authority(self) -> str:
        """Host and port as in a ``Host`` field; a default port is left out."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == (443 if self.is_secure else 80) else f"{host}:{self.port}"

    @property
    def url(self) -> str:
        """URL of the WebSocket."""
        return f"{'wss' if self.is_secure else 'ws'}://{self.authority}{self.path}"

    @property
    def origin(self) -> str:
        """Origin of the server's own pages."""
        return f"{'https' if self.is_secure else 'http'}://{self.authority}"

    def rest_path(self, path: str) -> str:
        """Return the target of a path of the REST API, such as ``/api/tickets``."""
        return self.path.removesuffix(PATH) + path
