"""The front middlewares over real sockets: every path and transport, and the policy of pages."""

from __future__ import annotations

import asyncio
import gzip
import itertools
import re
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tests.backend.api.known_paths import guards
from wireside.api.middleware.security_headers import SecurityHeaders
from wireside.api.middleware.stack import Guards
from wireside.api.policy import PAGE as PAGE_POLICY
from wireside.api.policy import set_policy
from wireside.settings.model import Settings

Serve = Callable[..., Awaitable[Any]]
Connect = Callable[..., Awaitable[Any]]

PAGE_SOCKET = "/_nicegui_ws/socket.io/?EIO=4&transport="


def guarded(app: ASGIApp, **settings: Any) -> Guards:
    return guards(app, Settings(**settings))


# Which Host, Origin, path and transport are accepted

HOSTS = {"127.0.0.1:8080": True, "localhost": True, "evil.example": False, "": False}
HOSTS |= {"127.0.0.1.nip.io:8080": False, "[::1]:8080": True, "chat.example": True}
ORIGINS = {
    None: "any",
    "self": "own",
    "https://chat.example": "own",
    "https://ally.example": "ally",
}
ORIGINS |= {
    "http://evil.example": "foreign",
    "null": "foreign",
    "http://chat.example:81": "foreign",
}
ORIGINS |= {"http://ally.example": "foreign", "self:1": "foreign"}
TRANSPORTS = {
    "raw socket": ("websocket", "/ws/ai-chat"),
    "page socket": ("websocket", PAGE_SOCKET + "websocket"),
    "other socket": ("websocket", "/other"),
    "polling": ("GET", PAGE_SOCKET + "polling"),
    "polling post": ("POST", PAGE_SOCKET + "polling"),
    "page": ("GET", "/"),
    "models": ("GET", "/api/models"),
    "post": ("POST", "/api/tickets"),
    "delete": ("DELETE", "/api/uploads/1"),
}


def expected(good_host: bool, origin: str, method: str, path: str) -> int:
    """Return the expected verdict, computed in another way than the code computes it."""
    if not good_host:
        return 400
    success = 404 if path == "/other" else 101 if method == "websocket" else 200
    if origin in ("any", "own"):
        return success
    if origin == "ally":
        return 403 if "_nicegui_ws" in path else success
    is_read = method == "GET" and "_nicegui_ws" not in path
    return success if is_read else 403


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_the_matrix_of_host_and_origin(
    serve: Serve, echo: Any, connect: Connect, transport: str
) -> None:
    app = guarded(
        echo, public_url="https://chat.example", allowed_origins=("https://ally.example",)
    )
    served = await serve(app)
    method, path = TRANSPORTS[transport]
    wrong = []
    for (host, good), (origin, kind) in itertools.product(HOSTS.items(), ORIGINS.items()):
        value = origin and re.sub("^self", f"http://{host}", origin)
        headers = [f"Origin: {value}"] if value is not None else []
        client = await connect(served.port)
        if method == "websocket":
            status = await client.upgrade(*headers, path=path, host=host)
        else:
            lines = [f"{method} {path} HTTP/1.1", *([f"Host: {host}"] if host else []), *headers]
            client.writer.write("\r\n".join([*lines, "", ""]).encode())
            status = await client.status()
        client.abort()
        if status != expected(good, kind, method, path):
            wrong.append((host, origin, status))
    assert wrong == []


async def test_a_refusal_says_what_to_do(serve: Serve, echo: Any, connect: Connect) -> None:
    served = await serve(guarded(echo))
    client = await connect(served.port)
    assert await client.upgrade(host="evil.example") == 400
    assert "WIRESIDE_TRUSTED_HOSTS" in await client.message()
    client = await connect(served.port)
    assert await client.upgrade("Origin: http://evil.example") == 403
    assert "WIRESIDE_ALLOWED_ORIGINS" in await client.message()
    assert "evil.example" not in client.head
    assert echo.paths == []


async def test_a_plain_get_is_told_to_upgrade(serve: Serve, echo: Any, connect: Connect) -> None:
    served = await serve(guarded(echo))
    client = await connect(served.port)
    client.writer.write(b"GET /ws/ai-chat HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    assert await client.status() == 426
    assert "upgrade: websocket" in client.head.lower()
    assert "WebSocket client" in await client.message()
    assert echo.paths == []


async def test_one_address_has_only_so_many_connections(
    serve: Serve, echo: Any, connect: Connect
) -> None:
    served = await serve(guarded(echo, connections_per_address=3))
    clients = [await connect(served.port) for _ in range(5)]
    paths = ["/ws/ai-chat", PAGE_SOCKET + "websocket", "/ws/ai-chat", "/ws/ai-chat"]
    paths.append(PAGE_SOCKET + "websocket")
    found = [await client.upgrade(path=path) for client, path in zip(clients, paths, strict=True)]
    assert found == [101, 101, 101, 429, 429]
    clients[0].abort()
    await served.until_connections(2)
    again = await connect(served.port)
    assert await again.upgrade() == 101


@pytest.mark.parametrize(
    "wrong",
    [
        {"allowed_origins": ("*",)},
        {"public_url": "chat"},
        {"trusted_hosts": ("a/b",)},
        {"frame_ancestors": ("https://a.example; script-src *",)},
        {"frame_ancestors": ("'self'",)},
    ],
)
def test_wrong_settings_stop_the_start(echo: Any, wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="WIRESIDE_"):
        guarded(echo, **wrong)


# Headers and the content security policy of pages


async def respond(
    app: ASGIApp,
    *,
    path: str = "/",
    root_path: str = "",
    host: bytes = b"localhost:8080",
    accepts: bytes = b"",
) -> list[Message]:
    """Call the app as a server would, and return what it sends."""
    sent: list[Message] = []
    scope: Scope = {
        "type": "http",
        "method": "GET",
        "scheme": "http",
        "path": root_path + path,
        "root_path": root_path,
        "query_string": b"key=canary",
        "headers": [(b"host", host), (b"accept-encoding", accepts)],
        "client": ("127.0.0.1", 1),
    }

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        sent.append(message)

    await app(scope, receive, send)
    return sent


def answering(body: list[bytes], *headers: tuple[bytes, bytes]) -> ASGIApp:
    async def app(_: Scope, __: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": list(headers)})
        for number, part in enumerate(body):
            is_last = number == len(body) - 1
            await send({"type": "http.response.body", "body": part, "more_body": not is_last})

    return app


def headers_of(sent: list[Message]) -> dict[str, str]:
    names = [name for name, _ in sent[0]["headers"]]
    assert len(names) == len(set(names))
    return {name.decode(): value.decode() for name, value in sent[0]["headers"]}


PAGE = (b"x-nicegui-content", b"page")
HTML = [b"<html><script", b">1</script><script defer src=a></script><scripted>&lt;script>"]


@pytest.mark.parametrize("is_packed", [False, True])
async def test_scripts_of_a_page_get_the_nonce_of_its_policy(is_packed: bool) -> None:
    length = (b"content-length", str(sum(map(len, HTML))).encode())
    app = guarded(answering(HTML, PAGE, length))
    accepts = b"br, gzip" if is_packed else b"br"
    first, second = [await respond(app, accepts=accepts) for _ in range(2)]
    assert ("content-encoding" in headers_of(first)) is is_packed
    policy = headers_of(first)["content-security-policy"]
    nonce = re.search(r"'nonce-([\w-]{20,})'", policy)
    assert nonce is not None
    assert len(first) == 2
    sent = first[1]["body"]
    assert headers_of(first)["content-length"] == str(len(sent))
    page = (gzip.decompress(sent) if is_packed else sent).decode()
    stamp = f' nonce="{nonce[1]}"'
    assert page == (
        f"<html><script{stamp}>1</script><script{stamp} defer src=a></script><scripted>&lt;script>"
    )
    assert nonce[1] not in headers_of(second)["content-security-policy"]


async def test_the_policy_of_a_page() -> None:
    app = guarded(answering([b""], PAGE), image_hosts=("img.example",))
    policy = headers_of(await respond(app))["content-security-policy"]
    parts = dict(part.strip().split(" ", 1) for part in policy.split(";"))
    assert parts["default-src"] == "'self'"
    assert parts["img-src"] == "'self' data: blob: https://img.example"
    assert parts["connect-src"] == "'self' ws://localhost:8080 wss://localhost:8080"
    assert parts["frame-src"] == "'none'"
    assert parts["object-src"] == parts["base-uri"] == parts["frame-ancestors"] == "'none'"
    assert parts["form-action"] == "'self'"
    assert "'unsafe-inline'" not in parts["script-src"]


async def test_nobody_may_embed_a_page_unless_a_setting_says_so() -> None:
    closed = headers_of(await respond(guarded(answering([b""], PAGE))))
    assert "frame-ancestors 'none'" in closed["content-security-policy"]
    assert closed["x-frame-options"] == "DENY"
    origins = ("https://Intranet.Example/", "http://wiki.example:8000", "https://a.example:443")
    opened = headers_of(await respond(guarded(answering([b""], PAGE), frame_ancestors=origins)))
    assert opened["content-security-policy"].endswith(
        "frame-ancestors https://intranet.example http://wiki.example:8000 https://a.example"
    )
    assert "x-frame-options" not in opened  # it can't name origins, and would contradict the policy
    file = headers_of(await respond(guarded(answering([b""]), frame_ancestors=origins)))
    assert "frame-ancestors 'none'" in file["content-security-policy"]
    assert file["x-frame-options"] == "DENY"


async def test_what_is_no_page_may_do_nothing() -> None:
    sent = await respond(
        guarded(answering([b"<script>1</script>"], (b"content-type", b"text/html")))
    )
    headers = headers_of(sent)
    assert "default-src 'none'" in headers["content-security-policy"]
    assert "sandbox" in headers["content-security-policy"]
    assert sent[1]["body"] == b"<script>1</script>"


async def test_every_response_has_the_headers_and_keeps_its_own() -> None:
    own = ((b"content-security-policy", b"default-src 'self'"), (b"Referrer-Policy", b"origin"))
    headers = headers_of(await respond(guarded(answering([b""], *own))))
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["cross-origin-opener-policy"] == "same-origin"
    assert headers["x-dns-prefetch-control"] == "off"
    assert "camera=()" in headers["permissions-policy"]
    assert headers["content-security-policy"] == "default-src 'self'"
    assert headers["Referrer-Policy"] == "origin"
    refused = headers_of(await respond(guarded(answering([b""])), host=b"evil.example"))
    assert refused["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    ("uses", "headers", "allowed"),
    [(True, [PAGE], "(self)"), (False, [PAGE], "()"), (True, [], "()")],
)
async def test_only_a_page_that_records_may_ask_for_the_microphone(
    uses: bool, headers: list[tuple[bytes, bytes]], allowed: str
) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        set_policy(scope, replace(PAGE_POLICY, uses_microphone=uses))
        await answering([b""], *headers)(scope, receive, send)

    permissions = headers_of(await respond(SecurityHeaders(app)))["permissions-policy"]
    assert f"microphone={allowed}" in permissions.split(", ")


async def test_browsers_keep_to_https_where_that_is_the_address() -> None:
    name = "strict-transport-security"
    for url in ("https://chat.example", "HTTPS://chat.example/sub"):
        app = guarded(answering([b""]), public_url=url)
        for host in (b"chat.example", b"evil.example"):  # a refusal has them, too
            assert headers_of(await respond(app, host=host))[name] == "max-age=31536000"
        page = guarded(answering([b""], PAGE), public_url=url)
        assert headers_of(await respond(page, host=b"chat.example"))[name] == "max-age=31536000"
    for plain in (None, "http://chat.example"):
        app = guarded(answering([b""]), public_url=plain)
        assert name not in headers_of(await respond(app))


async def test_a_stream_is_not_held_back() -> None:
    sent = await respond(guarded(answering([b"1", b"2", b"3"])))
    assert [message.get("body") for message in sent[1:]] == [b"1", b"2", b"3"]


async def test_the_page_socket_grants_nothing_to_other_origins() -> None:
    grants = (b"Access-Control-Allow-Origin", b"http://evil.example")
    app = guarded(answering([b""], grants, (b"x-kept", b"1")))
    headers = headers_of(await respond(app, path="/_nicegui_ws/socket.io/", root_path="/sub"))
    assert "Access-Control-Allow-Origin" not in headers
    assert headers["x-kept"] == "1"
    assert "Access-Control-Allow-Origin" in headers_of(await respond(app, path="/api/models"))


async def test_requests_are_logged_without_their_query(caplog: pytest.LogCaptureFixture) -> None:
    lines: list[str] = []

    class Recorder:
        def __getattr__(self, _: str) -> Any:
            return lambda *args, **values: lines.append(f"{args} {values}")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("wireside.api.middleware.access_log._log", Recorder())
        await respond(guarded(answering([b""])), path="/api/models")
    assert any("/api/models" in line and "200" in line for line in lines)
    assert "canary" not in "".join(lines)


async def test_websockets_keep_one_frame_of_the_middlewares(
    serve: Serve, echo: Any, connect: Connect
) -> None:
    """Ten thousand idle connections should not hold memory that they never use."""
    served = await serve(guarded(echo))
    client = await connect(served.port)
    await client.upgrade()
    (task,) = served.server.server_state.tasks
    coroutine, names = task.get_coro(), []
    while coroutine is not None and hasattr(coroutine, "cr_code"):
        if "wireside.api.middleware" in coroutine.cr_frame.f_globals["__name__"]:
            names.append(coroutine.cr_code.co_qualname)
        coroutine = coroutine.cr_await
    assert names == ["ConnectionLimit._count_connection"]
    await asyncio.sleep(0)
