"""Cross-origin access: every Origin, Host, path and transport against each other.

The expected verdicts repeat "The handshake" of docs/protocol.md in a second form, with lists where
the code has parsers: each Host cell lists the origins that are its own.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

import pytest

from tests.backend.api.known_paths import guards
from wireside.api.middleware.stack import Guards
from wireside.settings.model import Settings

Serve = Callable[..., Awaitable[Any]]
Connect = Callable[..., Awaitable[Any]]


@dataclass(frozen=True)
class HostCell:
    """Host headers, the settings that accept them, and the origins that belong to them."""

    lines: tuple[str, ...]
    taken_by: frozenset[str] = frozenset()
    own: tuple[str, ...] = ()
    own_without_tls: tuple[str, ...] = ()


def host(name: str, *taken_by: str, own: str | None = None) -> HostCell:
    """Return a cell; ``own`` is the name in its plain spelling.

    The scheme may differ, because a proxy may have ended TLS. But if the Host has no port and TLS
    is known to be used, a page without TLS is another origin.
    """
    lines, takers = (f"Host: {name}",), frozenset(taken_by)
    if own is None:
        return HostCell(lines, takers)
    if own[-1].isdigit() and ":" in own:
        return HostCell(lines, takers, (f"http://{own}", f"https://{own}"))
    secure, plain = (f"https://{own}", f"https://{own}:443"), (f"http://{own}", f"http://{own}:80")
    return HostCell(lines, takers, secure, plain)


LOCAL: Final = "127.0.0.1:8080"

HOSTS: Final = (
    # the server's own names
    host(LOCAL, "loopback", "proxied", own=LOCAL),
    host("localhost:8080", "loopback", "proxied", own="localhost:8080"),
    host("localhost", "loopback", "proxied", own="localhost"),
    host("LocalHost:8080", "loopback", "proxied", own="localhost:8080"),
    host("localhost.:8080", "loopback", "proxied", own="localhost:8080"),
    host("[::1]:8080", "loopback", "proxied", own="[::1]:8080"),
    host("[0:0::1]:8080", "loopback", "proxied", own="[::1]:8080"),
    host("chat.example", "proxied", own="chat.example"),
    host("chat.example:444", "proxied", own="chat.example:444"),
    host("wire.example", "listed", own="wire.example"),
    host("wire.example:8443", "listed", own="wire.example:8443"),
    host("one.example:81", "listed", own="one.example:81"),
    # another port of a name that is trusted with one port only
    host("one.example:82"),
    # rebinding: foreign names that resolve to the server, and other spellings of addresses
    host("evil.example:8080"),
    host("127.0.0.1.nip.io:8080"),
    host("localhost.evil.example:8080"),
    host("localhost-evil:8080"),
    host("chat.example.evil.example"),
    host("evil-chat.example"),
    host("0.0.0.0:8080"),
    host("0:8080"),
    host("2130706433:8080"),
    host("127.1:8080"),
    host("192.168.1.5:8080"),
    host("[::]:8080"),
    host("xn--lcalhost-g1b:8080"),
    # no host, or no valid one
    HostCell(()),
    host(""),
    HostCell((f"Host: {LOCAL}", f"Host: {LOCAL}")),
    HostCell((f"Host: {LOCAL}", "Host: evil.example")),
    host("user@localhost:8080"),
    host("localhost:8080@evil.example"),
    host("localhost:"),
    host("localhost:99999"),
    host("localhost:8080/x"),
    host("localhost:8080, evil.example"),
    host("http://localhost:8080"),
    host("[::1"),
    host("local\u2024host"),
    # header fields that the proxy did not write
    HostCell(("Host: evil.example", "X-Forwarded-Host: chat.example", "Forwarded: host=localhost")),
)

ALLY: Final = "https://ally.example"

ORIGINS: Final = (
    (),
    ("http://127.0.0.1:8080",),
    ("https://127.0.0.1:8080",),
    ("HTTP://127.0.0.1:8080",),
    ("http://localhost:8080",),
    ("http://localhost",),
    ("http://localhost:80",),
    ("https://localhost",),
    ("http://[::1]:8080",),
    ("https://chat.example",),
    ("https://chat.example:443",),
    ("https://CHAT.example",),
    ("https://wire.example",),
    ("https://wire.example:8443",),
    ("http://one.example:81",),
    (ALLY,),
    ("https://ally.example:443",),
    ("HTTPS://Ally.Example",),
    # near misses of an allowed origin
    ("http://ally.example",),
    ("https://ally.example:8443",),
    ("https://sub.ally.example",),
    ("https://ally.example.evil.example",),
    ("https://evil-ally.example",),
    ("https://\u0430lly.example",),
    ("https://xn--lly-5cd.example",),
    # near misses of the server's own origins
    ("http://127.0.0.1",),
    ("http://127.0.0.1:8081",),
    ("http://127.0.0.1:80801",),
    ("http://chat.example:8080",),
    ("http://127.0.0.1:8080.evil.example",),
    ("http://127.0.0.1.evil.example:8080",),
    ("http://evil-127.0.0.1:8080",),
    ("http://x.localhost:8080",),
    ("http://evil.example/127.0.0.1:8080",),
    ("http://evil.example?127.0.0.1:8080",),
    ("http://evil.example#127.0.0.1:8080",),
    ("http://127.0.0.1:8080@evil.example",),
    ("http://evil.example@127.0.0.1:8080",),
    ("http://127.0.0.1:8080/",),
    ("http://127\u30020\u30020\u30021:8080",),
    ("http:127.0.0.1:8080",),
    ("//127.0.0.1:8080",),
    ("127.0.0.1:8080",),
    # origins that are no web page's
    ("http://evil.example",),
    ("null",),
    ("",),
    ("*",),
    ("file://",),
    ("ws://127.0.0.1:8080",),
    ("ftp://127.0.0.1:8080",),
    ("chrome-extension://abcdefghijklmnop",),
    ("moz-extension://127.0.0.1:8080",),
    # more than one Origin
    ("http://127.0.0.1:8080", "http://127.0.0.1:8080"),
    ("http://127.0.0.1:8080", "http://evil.example"),
    ("http://evil.example", "http://127.0.0.1:8080"),
    ("http://127.0.0.1:8080, http://evil.example",),
    ("http://127.0.0.1:8080 http://evil.example",),
)

SETTINGS: Final[dict[str, dict[str, Any]]] = {
    "loopback": {},
    "proxied": {"public_url": "https://chat.example"},
    "listed": {
        "trusted_hosts": ("wire.example", "one.example:81"),
        "allowed_origins": (ALLY,),
    },
}

PROXIED: Final = ("X-Forwarded-Proto: https", "X-Forwarded-For: 192.0.2.7")
"""What the proxy of "proxied" sends: the client uses TLS."""

PAGE_SOCKET: Final = "/_nicegui_ws/socket.io/?EIO=4&transport="


@dataclass(frozen=True)
class Transport:
    """A kind of request.

    ``reads`` is set if another page can send it anyway, without seeing the response.
    """

    method: str
    path: str
    success: int = 200
    reads: bool = False
    is_page_socket: bool = False

    @property
    def is_for_programs(self) -> bool:
        """Whether it is a WebSocket that clients other than the app's pages open."""
        return self.method == "upgrade" and not self.is_page_socket


TRANSPORTS: Final = {
    "raw socket": Transport("upgrade", "/ws/ai-chat", 101),
    "page's socket": Transport("upgrade", PAGE_SOCKET + "websocket", 101, is_page_socket=True),
    "page's socket, below a path": Transport("upgrade", "/sub" + PAGE_SOCKET + "websocket", 404),
    "any other socket": Transport("upgrade", "/other", 404),
    "polling": Transport("GET", PAGE_SOCKET + "polling", is_page_socket=True),
    "polling, sending": Transport("POST", PAGE_SOCKET + "polling&sid=1", is_page_socket=True),
    "page": Transport("GET", "/", reads=True),
    "page, absolute": Transport("GET", "http://evil.example/c/1", reads=True),
    "list": Transport("GET", "/api/conversations", reads=True),
    "head": Transport("HEAD", "/api/conversations", reads=True),
    "preflight": Transport("OPTIONS", "/api/conversations", reads=True),
    "create": Transport("POST", "/api/conversations"),
    "change": Transport("PATCH", "/api/conversations/1"),
    "delete": Transport("DELETE", "/api/conversations/1"),
    "made-up method": Transport("REPORT", "/api/conversations"),
    "no upgrade": Transport("GET", "/ws/ai-chat", 426, reads=True),
}


def expected(setting: str, cell: HostCell, origins: tuple[str, ...], transport: Transport) -> int:
    """Return the expected status: 400 for the Host, 403 for the Origin, else the path's own."""
    if setting not in cell.taken_by:
        return 400
    if transport.reads or not origins:
        return transport.success
    if len(origins) > 1:  # a WebSocket handshake is then read as invalid
        return 400 if transport.method == "upgrade" else 403
    own = set(cell.own)
    origin = origins[0].lower()
    # programs send the address that they connect to, or anything else
    if transport.is_for_programs:
        own |= set(cell.own_without_tls)
        origin = re.sub(r"^ws", "http", origin)
        origin = re.sub(r"^(https?://[^/?#]+)[/?#].*", r"\1", origin)
        if not origin:
            return transport.success
    if setting == "proxied":
        own |= {"https://chat.example", "https://chat.example:443"}
    else:
        own |= set(cell.own_without_tls)
    if setting == "listed" and not transport.is_page_socket:
        own |= {ALLY, f"{ALLY}:443"}
    return transport.success if origin in own else 403


def is_shared(setting: str, origins: tuple[str, ...], transport: Transport) -> bool:
    """Whether a page of that Origin may read the response."""
    is_ally = [origin.lower() for origin in origins] in ([ALLY], [f"{ALLY}:443"])
    return setting == "listed" and is_ally and transport.path.startswith("/api/")


def cells() -> Iterator[tuple[str, str, HostCell, tuple[str, ...]]]:
    """Yield the combinations to test.

    Every Origin with every accepted Host, at the two most exposed endpoints; at the other endpoints
    with one accepted Host. And every Host, with an Origin that is refused anyway.
    """
    for setting, transport in itertools.product(SETTINGS, TRANSPORTS):
        taken = [cell for cell in HOSTS if setting in cell.taken_by]
        if transport not in ("raw socket", "create"):
            taken = taken[-1:]
        others = [cell for cell in HOSTS if setting not in cell.taken_by]
        for cell, origins in itertools.chain(
            itertools.product(taken, ORIGINS),
            itertools.product(others, [("http://evil.example",)]),
        ):
            yield setting, transport, cell, origins


CELLS: Final = list(cells())


def test_there_are_enough_cells() -> None:
    assert len(set(CELLS)) == len(CELLS) > 5_000
    verdicts = {expected(s, h, o, TRANSPORTS[t]) for s, t, h, o in CELLS}
    assert verdicts == {101, 200, 400, 403, 404, 426}


class Knocker:
    """Sends requests to a server, on one connection as long as it stays open."""

    def __init__(self, connect: Connect, port: int) -> None:
        self._connect = connect
        self._port = port
        self._client: Any = None
        self.head = ""

    async def knock(self, lines: list[str], transport: Transport) -> int:
        """Return the status of the response."""
        client = self._client or await self._connect(self._port)
        client.writer.write("\r\n".join([*lines, "", ""]).encode())
        status: int = await client.status()
        self.head = client.head.lower()
        self._client = None
        if transport.method == "upgrade":
            client.abort()
            return status
        self._client = client
        if transport.method != "HEAD":
            length = self.head.partition("content-length: ")[2].split()[0]
            await client.reader.readexactly(int(length))
        return status


def request(transport: Transport, cell: HostCell, origins: tuple[str, ...]) -> list[str]:
    method = "GET" if transport.method == "upgrade" else transport.method
    lines = [f"{method} {transport.path} HTTP/1.1", *cell.lines]
    lines += [f"Origin: {origin}" for origin in origins]
    if transport.method == "upgrade":
        lines += [
            "Upgrade: websocket",
            "Connection: Upgrade",
            "Sec-WebSocket-Version: 13",
            "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==",
        ]
    if transport.method == "OPTIONS":
        lines += [
            "Access-Control-Request-Method: DELETE",
            "Access-Control-Request-Headers: authorization",
        ]
    if method in ("POST", "PATCH", "DELETE"):
        lines += ["Content-Type: text/plain", "Content-Length: 0"]
    return lines


def guarded(app: Any, setting: str) -> Guards:
    settings = Settings(requests_per_minute_address=10**9, **SETTINGS[setting])
    return guards(app, settings)


@pytest.mark.slow
@pytest.mark.parametrize("setting", SETTINGS)
async def test_the_matrix_has_no_wrong_verdict(
    serve: Serve, echo: Any, connect: Connect, setting: str
) -> None:
    proxies = ("127.0.0.1",) if setting == "proxied" else ()
    served = await serve(guarded(echo, setting), proxies=proxies)
    knocker = Knocker(connect, served.port)
    wrong = []
    for cell_setting, name, cell, origins in CELLS:
        if cell_setting != setting:
            continue
        transport = TRANSPORTS[name]
        lines = request(transport, cell, origins)
        lines += PROXIED if proxies else ()
        reached = len(echo.paths)
        status = await knocker.knock(lines, transport)
        should = expected(setting, cell, origins, transport)
        if name == "preflight" and is_shared(setting, origins, transport):
            should = 204
        came_through = len(echo.paths) > reached
        if status != should or came_through != (should in (101, 200)):
            wrong.append((name, cell.lines, origins, f"{status}, not {should}"))
        grants = "access-control-allow-origin" in knocker.head.lower()
        if grants != is_shared(setting, origins, transport):
            wrong.append((name, cell.lines, origins, f"it grants reading: {grants}"))
    assert wrong == []


@pytest.mark.parametrize(
    ("setting", "transport", "host_line", "origin", "status"),
    [
        ("loopback", "raw socket", "Host: 127.0.0.1:8080", None, 101),
        ("loopback", "raw socket", "Host: 127.0.0.1:8080", "http://127.0.0.1:8080", 101),
        ("loopback", "raw socket", "Host: 127.0.0.1:8080", "http://localhost:8080", 403),
        ("loopback", "raw socket", "Host: 127.0.0.1:8080", "http://evil.example", 403),
        ("loopback", "raw socket", "Host: 127.0.0.1:8080", "null", 403),
        ("loopback", "raw socket", "Host: evil.example:8080", "http://evil.example:8080", 400),
        ("loopback", "page's socket", "Host: 127.0.0.1:8080", "http://evil.example", 403),
        ("loopback", "page's socket", "Host: evil.example:8080", None, 400),
        ("loopback", "polling", "Host: 127.0.0.1:8080", "http://evil.example", 403),
        ("loopback", "create", "Host: 127.0.0.1:8080", "http://evil.example", 403),
        ("loopback", "delete", "Host: 127.0.0.1:8080", "null", 403),
        ("loopback", "page", "Host: evil.example", None, 400),
        ("proxied", "raw socket", "Host: chat.example", "https://chat.example", 101),
        ("proxied", "raw socket", "Host: chat.example", "http://chat.example", 101),
        ("proxied", "raw socket", "Host: chat.example", "wss://chat.example", 101),
        ("proxied", "page's socket", "Host: chat.example", "wss://chat.example", 403),
        ("proxied", "page's socket", "Host: chat.example", "http://chat.example", 403),
        ("proxied", "create", "Host: chat.example", "http://chat.example", 403),
        ("proxied", "create", "Host: chat.example", "wss://chat.example", 403),
        ("proxied", "raw socket", "Host: 127.0.0.1:8080", "https://chat.example", 101),
        ("listed", "raw socket", "Host: wire.example", "https://ally.example", 101),
        ("listed", "page's socket", "Host: wire.example", "https://ally.example", 403),
        ("listed", "raw socket", "Host: 127.0.0.1:8080", None, 400),
    ],
)
async def test_verdicts_spelled_out(  # one row of a table
    serve: Serve,
    echo: Any,
    connect: Connect,
    setting: str,
    transport: str,
    host_line: str,
    origin: str | None,
    status: int,
) -> None:
    proxies = ("127.0.0.1",) if setting == "proxied" else ()
    served = await serve(guarded(echo, setting), proxies=proxies)
    cell = HostCell((host_line,))
    lines = request(TRANSPORTS[transport], cell, () if origin is None else (origin,))
    lines += PROXIED if proxies else ()
    assert await Knocker(connect, served.port).knock(lines, TRANSPORTS[transport]) == status
