"""The path below which browsers reach the application."""

from __future__ import annotations

from typing import Any

import pytest
from starlette.types import Receive, Scope, Send

from wireside.api.middleware.root_path import RootPath, route_path
from wireside.limits.networks import TrustedNetworks
from wireside.root_path import parse_root_path

PROXY, STRANGER = "127.0.0.1", "192.0.2.1"


class Seen:
    """An application that records its scope."""

    def __init__(self) -> None:
        self.scope: Scope = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.scope = scope


async def served(
    path: str, *, setting: str = "", server: str = "", prefix: str = "", peer: str = PROXY
) -> tuple[str, str]:
    """Return root path and route path as the application sees them."""
    app = Seen()
    headers = [(b"x-forwarded-prefix", one.encode()) for one in prefix.split()]
    scope = {
        "type": "http",
        "path": path,
        "raw_path": path.encode(),
        "root_path": server,
        "headers": [(b"host", b"example.org"), *headers],
        "client": (peer, 1),
    }
    middleware = RootPath(
        app, root_path=setting, trusted_proxies=TrustedNetworks.parse_list([PROXY])
    )

    async def send(message: Any) -> None:
        raise AssertionError(message)

    await middleware(scope, lambda: None, send)  # type: ignore[arg-type, return-value]
    assert app.scope["path"] == app.scope["root_path"] + route_path(app.scope)
    assert app.scope["raw_path"].decode() == app.scope["path"]
    assert [name for name, _ in app.scope["headers"]] == [b"host"], "NiceGUI believes anyone's"
    return app.scope["root_path"], route_path(app.scope)


async def test_a_proxy_may_remove_the_root_path_or_pass_it_on() -> None:
    for path in ("/api/me", "/tools/chat/api/me"):
        assert await served(path, setting="/tools/chat") == ("/tools/chat", "/api/me")
    assert await served("/tools/chatty", setting="/tools/chat") == ("/tools/chat", "/tools/chatty")


async def test_the_root_path_of_the_server_takes_precedence() -> None:
    assert await served("/x/a", setting="/y", server="/x") == ("/x", "/a")


async def test_a_trusted_proxy_names_what_it_removed() -> None:
    assert await served("/a", prefix="/tools/chat") == ("/tools/chat", "/a")
    assert await served("/a", prefix="/tools/chat/") == ("/tools/chat", "/a")
    assert await served("/chat/a", server="/chat", prefix="/tools") == ("/tools/chat", "/a")
    # both say the same: the prefix is not doubled
    assert await served("/a", setting="/tools", prefix="/tools") == ("/tools", "/a")
    assert await served("/tools/chat/a", server="/tools/chat", prefix="/tools") == (
        "/tools/chat",
        "/a",
    )


@pytest.mark.parametrize(
    "prefix", ["//evil.example", "/a/../b", '/"onload="', "/a /b", "evil", "https://evil", "/é"]
)
async def test_a_prefix_that_is_no_plain_path_is_ignored(prefix: str) -> None:
    assert await served("/a", prefix=prefix) == ("", "/a")


async def test_the_prefix_of_a_stranger_is_ignored() -> None:
    assert await served("/a", prefix="/tools", peer=STRANGER) == ("", "/a")


async def test_the_root_path_itself_leads_to_its_page() -> None:
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    app = RootPath(Seen(), root_path="/tools/chat", trusted_proxies=TrustedNetworks())
    scope = {"type": "http", "path": "/tools/chat", "query_string": b"a=1", "headers": []}
    await app(scope, lambda: None, send)  # type: ignore[arg-type, return-value]
    assert sent[0]["status"] == 307
    assert dict(sent[0]["headers"])[b"location"] == b"/tools/chat/?a=1"


def test_a_root_path_is_written_with_or_without_a_slash_at_its_end() -> None:
    assert [parse_root_path(text) for text in ("", "/", "/a", "/a/b/")] == ["", "", "/a", "/a/b"]
    for text in ("a", "//a", "/a//b", "/a?b", "/./a", "/.."):
        with pytest.raises(ValueError, match="write it as /tools/chat"):
            parse_root_path(text)
