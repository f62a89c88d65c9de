"""Validates Host, Origin and subprotocol of a request; the result is a value. No I/O.

A page of another site can send requests to a server on loopback, and with DNS rebinding even under
its own host name. So each ``Host`` must be one of the server's names, and each WebSocket and unsafe
request with an ``Origin`` must come from the server's own pages or from an allowed origin.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

SUBPROTOCOL: Final = "ai-chat"

_DEFAULT_PORTS: Final = {"http": 80, "https": 443}
_AUTHORITY: Final = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::([0-9]{1,5}))?")
_PAGE_SCHEMES: Final = {"ws": "http", "wss": "https"}
_ADDRESS: Final = re.compile(r"(wss?|https?)://([^/?#]+)(?:[/?#].*)?", re.IGNORECASE)
_ORIGIN: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://(.+)")


@dataclass(frozen=True, slots=True)
class Authority:
    """A normalised host name or address in lower case, and its port if one was given."""

    host: str
    port: int | None

    @classmethod
    def parse(cls, text: str) -> Authority | None:
        """Parse ``host`` or ``host:port``; return None for anything else."""
        match = _AUTHORITY.fullmatch(text)
        if match is None:
            return None
        host, port = match[1].lower(), match[2]
        if host.startswith("["):
            try:
                host = f"[{ipaddress.IPv6Address(host[1:-1])}]"
            except ValueError:
                return None
        if port is not None and not 0 < int(port) < 65536:
            return None
        return cls(host.removesuffix("."), None if port is None else int(port))

    def __str__(self) -> str:
        return self.host if self.port is None else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Origin:
    """Scheme, host and port of a page; the port is None for schemes without a default one."""

    scheme: str
    host: str
    port: int | None

    @classmethod
    def parse(cls, text: str) -> Origin | None:
        """Parse an origin; return None for ``null`` and for URLs with a path, a user or a list."""
        match = _ORIGIN.fullmatch(text)
        authority = Authority.parse(match[2]) if match is not None else None
        if match is None or authority is None:
            return None
        scheme = match[1].lower()
        port = authority.port or _DEFAULT_PORTS.get(scheme)
        return cls(scheme, authority.host, port)

    @classmethod
    def of_program(cls, text: str) -> Origin | None:
        """Return the page's origin that corresponds to the ``Origin`` sent by a WebSocket library.

        Libraries send the address that they connect to, ``wss://host``, also with its path.
        Browsers never do, so this admits no pages.
        """
        match = _ADDRESS.fullmatch(text)
        if match is None:
            return cls.parse(text)
        scheme = _PAGE_SCHEMES.get(match[1].lower(), match[1])
        return cls.parse(f"{scheme}://{match[2]}")

    @property
    def is_web(self) -> bool:
        """Whether it is an ordinary page's origin and not a browser extension's."""
        return self.scheme in _DEFAULT_PORTS

    def __str__(self) -> str:
        port = "" if self.port == _DEFAULT_PORTS.get(self.scheme) else f":{self.port}"
        return f"{self.scheme}://{self.host}{port}"


class AllowedOrigins:
    """Origins of other sites that can use the server, from ``WIRESIDE_ALLOWED_ORIGINS``.

    An entry is an origin (``https://app.example``); ``https://*.example.org`` for all names below
    it, at any depth; ``null`` for pages without an origin; ``file://`` for local files; or ``*``
    for all pages.

    Raises:
        ValueError: an entry is invalid; the text is a sentence.
    """

    def __init__(self, texts: Iterable[str] = ()) -> None:
        self._origins: set[Origin] = set()
        self._wildcards: set[Origin] = set()
        self._schemes: set[str] = set()
        self._has_all = False
        for text in texts:
            self._add(text)

    def has(self, text: str) -> bool:
        """Whether an ``Origin`` header matches an entry."""
        if text == "null":
            return self._has_all or "null" in self._schemes
        if text.lower().startswith("file:"):
            return self._has_all or "file" in self._schemes
        origin = Origin.parse(text)
        if origin is None:
            return False
        return self._has_all or origin in self._origins or self._is_under_wildcard(origin)

    def _add(self, text: str) -> None:
        bare = text.rstrip("/")
        if bare == "*":
            self._has_all = True
        elif bare.lower() == "null":
            self._schemes.add("null")
        elif bare.lower() == "file:":
            self._schemes.add("file")
        elif "://*." in bare:
            self._wildcards.add(_wildcard(bare))
        else:
            self._origins.add(named_origin(text, "WIRESIDE_ALLOWED_ORIGINS"))

    def _is_under_wildcard(self, origin: Origin) -> bool:
        return any(
            (origin.scheme, origin.port) == (wildcard.scheme, wildcard.port)
            and origin.host.endswith(f".{wildcard.host}")
            for wildcard in self._wildcards
        )


def _wildcard(text: str) -> Origin:
    origin = named_origin(text.replace("://*.", "://", 1), "WIRESIDE_ALLOWED_ORIGINS")
    if "." not in origin.host and origin.host != "localhost":
        raise ValueError(
            f"{text!r} in WIRESIDE_ALLOWED_ORIGINS is too wide; write it as https://*.example.com."
        )
    return origin


@dataclass(frozen=True, slots=True, kw_only=True)
class Handshake:
    """Headers of a request that show where it comes from, one item per header field."""

    hosts: Sequence[str]
    origins: Sequence[str] = ()
    is_secure: bool = False
    """Whether the client is known to use TLS (``https``, ``wss``)."""
    is_socket: bool = False
    """Whether it opens a WebSocket, for which programs send an ``Origin`` of their own choice."""
    subprotocols: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Accept:
    """Verdict: accept the request. ``subprotocol`` is the one to respond with, if any."""

    subprotocol: str | None = None


@dataclass(frozen=True, slots=True)
class Refuse:
    """Verdict: refuse the request, with an HTTP status and a sentence for the user."""

    status: int
    sentence: str


Verdict = Accept | Refuse

_NO_HOST: Final = Refuse(400, "The request must carry exactly one valid Host header.")
_FOREIGN_ORIGIN: Final = Refuse(
    403,
    "Pages of that Origin may not use this server; WIRESIDE_ALLOWED_ORIGINS lets them.",
)


class HandshakePolicy:
    """Rules of one server for Host and Origin.

    Args:
        host: name or address that the server listens on.
        trusted_hosts: names or addresses of the server, with a port if only that one is meant.
            Without any, a server on loopback accepts loopback names.
        public_url: URL of the server for browsers.
        allowed_origins: origins of other sites (``AllowedOrigins``).
        checks_host: False accepts any host name where none is trusted and there is no public URL,
            for a mounted chat, whose host application knows its names.

    Raises:
        ValueError: a value is invalid; the text is a sentence.
    """

    def __init__(
        self,
        *,
        host: str = "127.0.0.1",
        trusted_hosts: Iterable[str] = (),
        public_url: str | None = None,
        allowed_origins: Iterable[str] = (),
        checks_host: bool = True,
    ) -> None:
        self._trusted = frozenset(_trusted_host(text) for text in trusted_hosts)
        self._trusts_loopback = not self._trusted and is_loopback(host)
        self._public = None if public_url is None else _public_origin(public_url)
        self._allowed = AllowedOrigins(allowed_origins)
        self._takes_any_host = not (checks_host or self._trusted or self._public)

    def judge(self, handshake: Handshake, *, takes_allowed: bool = True) -> Verdict:
        """Check Host and Origin. Without ``takes_allowed``, other sites' pages are refused."""
        verdict = self.judge_host(handshake)
        if isinstance(verdict, Refuse):
            return verdict
        if not self._takes_origin(handshake, takes_allowed):
            return _FOREIGN_ORIGIN
        return Accept(SUBPROTOCOL if SUBPROTOCOL in handshake.subprotocols else None)

    def judge_host(self, handshake: Handshake) -> Verdict:
        """Check only the Host, which is enough for a plain GET."""
        authority = Authority.parse(handshake.hosts[0]) if len(handshake.hosts) == 1 else None
        if authority is None:
            return _NO_HOST
        return Accept() if self._takes_host(authority) else _foreign(authority)

    def lists(self, origin: str) -> bool:
        """Whether an ``Origin`` is an allowed origin of another site."""
        return self._allowed.has(origin)

    def _takes_host(self, authority: Authority) -> bool:
        if self._takes_any_host:
            return True
        if authority in self._trusted or Authority(authority.host, None) in self._trusted:
            return True
        if self._public is not None and authority.host == self._public.host:
            return True
        return self._trusts_loopback and is_loopback(authority.host)

    def _takes_origin(self, handshake: Handshake, takes_allowed: bool) -> bool:
        origins = handshake.origins
        if not origins or (handshake.is_socket and not any(origins)):
            return True  # not a browser
        if len(origins) != 1:
            return False
        if takes_allowed and self._allowed.has(origins[0]):
            return True
        parse = Origin.of_program if handshake.is_socket else Origin.parse
        origin = parse(origins[0])
        if origin is None:
            return False
        if origin == self._public:
            return True
        host = Authority.parse(handshake.hosts[0])
        if host is None:
            return False
        if handshake.is_socket and takes_allowed and _is_same_by_default(origin, host):
            return True
        return _is_same(origin, host, handshake.is_secure)


def _foreign(host: Authority) -> Refuse:
    """Return the refusal of a Host. It quotes the value, as a proxy may have changed it."""
    return Refuse(
        400,
        f"This server does not answer to the Host {host}; WIRESIDE_TRUSTED_HOSTS lists the names"
        " it has.",
    )


def is_loopback(host: str) -> bool:
    """Whether a name or address, with or without brackets, is certain to be this machine."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def is_for_others(address: str) -> bool:
    """Whether other machines can reach a server under a URL or name.

    Browsers resolve names below ``.localhost`` to this machine.
    """
    host = address.partition("//")[2] if "//" in address else address
    authority = Authority.parse(re.split(r"[/?#]", host)[0])
    name = (authority.host if authority else host).rstrip(".")
    return not (is_loopback(name) or name.endswith(".localhost"))


def _is_same(origin: Origin, host: Authority, is_secure: bool) -> bool:
    """Compare host and port; the scheme may have been changed by a proxy that terminates TLS."""
    if not origin.is_web or origin.host != host.host:
        return False
    if host.port is not None:
        return origin.port == host.port
    return origin.port == 443 or (origin.port == 80 and not is_secure)


def _is_same_by_default(origin: Origin, host: Authority) -> bool:
    """Whether both are the same host on default ports.

    Some libraries send ``http://host`` for a ``wss://`` address, and a proxy that terminates TLS
    may send either port in ``Host``.
    """
    ports = _DEFAULT_PORTS.values()
    is_default = origin.port in ports and (host.port is None or host.port in ports)
    return origin.is_web and origin.host == host.host and is_default


def _trusted_host(text: str) -> Authority:
    bare_ipv6 = f"[{text}]" if text.count(":") > 1 and not text.startswith("[") else text
    authority = Authority.parse(bare_ipv6)
    if authority is None:
        raise ValueError(f"{text!r} in WIRESIDE_TRUSTED_HOSTS is no host name or address.")
    return authority


def named_origin(text: str, setting: str) -> Origin:
    """Parse an origin from a setting. Raises ``ValueError`` with a sentence."""
    origin = Origin.parse(text.rstrip("/"))
    if origin is None:
        raise ValueError(f"{text!r} in {setting} is no origin; write it as https://example.com.")
    return origin


def _public_origin(url: str) -> Origin:
    match = re.match(r"[^/]*//[^/?#]*", url)
    origin = Origin.parse(match[0]) if match is not None else None
    if origin is None or not origin.is_web:
        raise ValueError(
            f"{url!r} in WIRESIDE_PUBLIC_URL is no address; write it as https://chat.example.com."
        )
    return origin
