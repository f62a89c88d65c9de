"""The endpoints for AI SDK clients: a WebSocket and SSE over HTTP."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Final

from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from wireside.api.errors import headers_of, status_of
from wireside.doors.ai_sdk.chats import Chats
from wireside.doors.ai_sdk.requests import parse_send
from wireside.doors.ai_sdk.socket import serve_socket
from wireside.doors.door import Door
from wireside.doors.requests import read_body
from wireside.doors.sse import EventStream
from wireside.doors.threads import AskedTurn
from wireside.errors import NotFound, WiresideError

_HEADERS: Final = {"x-vercel-ai-ui-message-stream": "v1"}
_DONE: Final = b"data: [DONE]\n\n"


def build_door(door: Door) -> ASGIApp:
    """Return the endpoints of the door as one application."""
    return AiSdkDoor(door)


class AiSdkDoor:
    """``/ws/ai-sdk``, ``/api/ai-sdk/chat`` and ``/api/ai-sdk/chat/{conversation_id}/stream``."""

    def __init__(self, door: Door) -> None:
        self._door = door
        self._chats = Chats(door, time.monotonic)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request or connection."""
        if scope["type"] == "websocket":
            return await serve_socket(self._door, self._chats, scope, receive, send)
        try:
            response = await self._respond(scope, receive)
        except WiresideError as error:
            self._door.count_error(error.code)
            response = error_response(error)
        await response(scope, receive, send)

    async def _respond(self, scope: Scope, receive: Receive) -> Response | EventStream:
        name = scope["path_params"].get("conversation_id")
        if name is None:
            request = await read_body(receive, lambda body: parse_send(body, body))
            return self._events(scope, await self._chats.ask(scope, request))
        asked = await self._chats.resume(scope, name)
        if scope["method"] == "GET":
            return Response(status_code=204) if asked is None else self._events(scope, asked)
        if asked is None:
            raise NotFound("No answer runs in this chat.")
        await self._chats.stop(scope, asked)
        return Response(status_code=204)

    def _events(self, scope: Scope, asked: AskedTurn) -> EventStream:
        return EventStream(self._read_events(scope, asked), headers=_HEADERS)

    async def _read_events(self, scope: Scope, asked: AskedTurn) -> AsyncGenerator[bytes, None]:
        async with aclosing(self._chats.read_chunks(scope, asked)) as batches:
            async for chunks in batches:
                yield "".join([f"data: {chunk}\n\n" for chunk in chunks]).encode()
        yield _DONE
        self._chats.mark_end_sent(asked)


def error_response(error: WiresideError) -> Response:
    """Return an error as text: the client shows the body of the response as its message."""
    status = status_of(error)
    return PlainTextResponse(str(error), status, headers_of(error, status))
