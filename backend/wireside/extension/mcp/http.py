"""Speaks MCP with a server at an address (streamable HTTP).

Only the configured address is requested. Redirects are followed within its origin only, which is
the rule of the package ``mcp``. A request that the package can't finish, because the server is
silent or closes its connection, would end the session with all its calls: it is answered here.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

import httpx2
from mcp.client.streamable_http import streamable_http_client
from mcp_types import INTERNAL_ERROR

from wireside.extension.mcp.servers import McpServer
from wireside.extension.mcp.traffic import MAX_MESSAGE_BYTES, LimitedStream, Streams, Throttle

TIMEOUT: Final = httpx2.Timeout(15.0, read=60.0)
"""Time limits of a request in seconds; a call ends earlier, by ``ToolLimits.seconds``."""

NOTIFY_S: Final = 5.0
"""Time limit of a notification in seconds: the package sends nothing else meanwhile."""

MAX_NOTIFICATION_BYTES: Final = 8 * 1024
"""Maximum size of the notifications that this side sends; a larger message is a request."""

LOST: Final = "Connection lost"
"""The beginning of the message of an error in place of a response that does not come."""


class UnreadableBody(httpx2.StreamError):
    """The body of a response is too large, or compressed."""


@asynccontextmanager
async def http_streams(server: McpServer, throttle: Throttle) -> AsyncGenerator[Streams]:
    """Yield the messages of a server, and a stream of messages for it.

    Args:
        server: a server with a ``url``.
        throttle: slows the server down.
    """

    async def limit_body(response: httpx2.Response) -> None:
        assert isinstance(response.stream, httpx2.AsyncByteStream)
        response.stream = _LimitedBody(response, response.stream, throttle)

    client = _Client(
        headers={**server.headers, "Accept-Encoding": "identity"},
        timeout=TIMEOUT,
        event_hooks={"request": [_wait_for_changes], "response": [limit_body]},
    )
    async with (
        client,
        streamable_http_client(
            server.url, http_client=client, max_sse_event_size=MAX_MESSAGE_BYTES
        ) as (incoming, outgoing),
    ):
        yield LimitedStream(incoming, throttle), outgoing


class _Client(httpx2.AsyncClient):
    """Answers a ``POST`` that a running server does not answer, so that no other call ends.

    That the server can't be reached at all is an error as usual: it ends the session, which is
    then opened again.
    """

    async def send(self, request: httpx2.Request, **options: Any) -> httpx2.Response:
        """Send a request and return its response."""
        if request.method != "POST":
            return await super().send(request, **options)
        try:
            async with asyncio.timeout(NOTIFY_S if _is_notification(request) else None):
                return await super().send(request, **options)
        except (httpx2.ConnectError, httpx2.ConnectTimeout):
            raise
        except (httpx2.TransportError, TimeoutError) as error:
            problem = {"code": INTERNAL_ERROR, "message": f"{LOST}: {type(error).__name__}"}
            # the package completes the id of the request
            body = {"jsonrpc": "2.0", "id": None, "error": problem}
            return httpx2.Response(504, json=body, request=request)


def _is_notification(request: httpx2.Request) -> bool:
    """Return whether a request has a message that is not answered."""
    return len(request.content) <= MAX_NOTIFICATION_BYTES and "id" not in json.loads(
        request.content
    )


async def _wait_for_changes(request: httpx2.Request) -> None:
    """Lift the time limit of the requests on which a server reports changes, maybe days later."""
    listens = request.headers.get("mcp-method") == "subscriptions/listen"
    if listens or request.method == "GET":
        request.extensions["timeout"] = {**request.extensions["timeout"], "read": None}


class _LimitedBody(httpx2.AsyncByteStream):
    """The body of a response, within the limits of size and speed."""

    def __init__(
        self, response: httpx2.Response, body: httpx2.AsyncByteStream, throttle: Throttle
    ) -> None:
        headers = response.headers
        self._body = body
        self._throttle = throttle
        self._is_compressed = headers.get("content-encoding", "identity").lower() != "identity"
        self._is_stream = headers.get("content-type", "").startswith("text/event-stream")

    async def __aiter__(self) -> AsyncIterator[bytes]:
        if self._is_compressed:
            raise UnreadableBody("The server sends a compressed response, which is not accepted.")
        size = 0
        async for data in self._readable_body():
            size += len(data)
            if size > MAX_MESSAGE_BYTES and not self._is_stream:  # of a stream, each event counts
                raise UnreadableBody(
                    f"The result has more than {MAX_MESSAGE_BYTES // 2**20} MB, which is too large."
                )
            await self._throttle.pay_bytes(len(data))
            yield data

    async def _readable_body(self) -> AsyncIterator[bytes]:
        try:
            async for data in self._body:
                yield data
        except httpx2.TransportError as error:  # which the package does not expect here
            raise UnreadableBody(f"{LOST}: {type(error).__name__}") from error

    async def aclose(self) -> None:
        await self._body.aclose()
