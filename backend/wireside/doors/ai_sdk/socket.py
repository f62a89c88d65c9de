"""One connection of the AI SDK's ``WebSocketChatTransport``.

Each frame names a request, and each request has a task. A slow client delays its own tasks only:
each holds one batch of chunks and waits until the socket accepts it. Answers go on when the
connection ends.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import aclosing, suppress
from typing import Any, Final

import structlog
from starlette.types import Receive, Scope, Send

from wireside.api.websocket import SUBPROTOCOL
from wireside.doors.ai_sdk.chats import Chats
from wireside.doors.ai_sdk.requests import (
    MAX_ID_CHARS,
    AbortRequest,
    ResumeRequest,
    SendRequest,
    parse_frame,
)
from wireside.doors.bodies import LONG_BYTES
from wireside.doors.door import Door
from wireside.doors.json_texts import to_json
from wireside.doors.threads import AskedTurn
from wireside.errors import BadJson, BadMessage, InternalError, RateLimited, TooMany, WiresideError
from wireside.limits.windows import SlidingWindow
from wireside.offload import run_in_worker
from wireside.protocol.strict_json import parse_object
from wireside.session.departure import RESTART_CODE, RESTART_REASON

MAX_REQUESTS: Final = 32
"""Open requests of one connection."""

FRAMES_PER_MINUTE: Final = 600
"""Frames of one connection in any minute; questions are also limited by their caller."""

SUPERSEDED_S: Final = 0.3
"""Seconds for which the stop of a replay waits for another replay of the same chat.

The client aborts a replay also to begin another one, as React's StrictMode makes it.
"""

_log = structlog.get_logger(__name__)


async def serve_socket(
    door: Door, chats: Chats, scope: Scope, receive: Receive, send: Send
) -> None:
    """Serve one connection from its handshake to its end."""
    if (await receive())["type"] != "websocket.connect":
        return
    offered = scope.get("subprotocols", ())
    subprotocol = SUBPROTOCOL if SUBPROTOCOL in offered else None
    await send({"type": "websocket.accept", "subprotocol": subprotocol})
    connection = _Connection(door, chats, scope, send)
    unregister = door.departure.register_client(connection.move)
    try:
        while (message := await receive())["type"] != "websocket.disconnect":
            text, data = message.get("text"), message.get("bytes")
            await connection.receive_frame(text if text is not None else data or b"")
            del message, text, data  # else a large frame stays in memory during the wait
    finally:
        unregister()
        await connection.close()


class _Request:
    """An open request; its task reads the answer."""

    def __init__(self, chat: str, *, is_replay: bool) -> None:
        self.chat = chat
        self.is_replay = is_replay
        self.asked: AskedTurn | None = None
        self.has_stop_task = False
        self.is_stopped = False
        self.task: asyncio.Task[None]


class _Connection:
    def __init__(self, door: Door, chats: Chats, scope: Scope, send: Send) -> None:
        self._door = door
        self._chats = chats
        self._scope = scope
        self._send = send
        self._open: dict[str, _Request] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._frames = SlidingWindow(FRAMES_PER_MINUTE)
        self._is_moving = False

    def move(self) -> None:
        """Close the connection with 1012 once no request is open: the client reconnects."""
        self._is_moving = True
        self._close_if_moving()

    def _close_if_moving(self) -> None:
        if self._is_moving and not self._open:
            self._run(self._send_close())

    async def _send_close(self) -> None:
        with suppress(OSError, RuntimeError):  # already closed
            await self._send(
                {"type": "websocket.close", "code": RESTART_CODE, "reason": RESTART_REASON}
            )

    async def receive_frame(self, frame: str | bytes) -> None:
        """Handle a frame of the client; an invalid one gets an error."""
        request_id = ""
        try:
            self._count_frame()
            fields = await _parse_frame(frame)
            found = fields.get("requestId")
            if not isinstance(found, str) or not 0 < len(found) <= MAX_ID_CHARS:
                raise BadMessage(f"requestId: expected 1 to {MAX_ID_CHARS} characters.")
            request_id = found
            self._handle(request_id, parse_frame(fields))
        except WiresideError as error:
            await self._send_error(request_id, error)

    def _count_frame(self) -> None:
        now = time.monotonic()
        if not self._frames.count_if_allowed(now):
            raise RateLimited(retry_after=round(self._frames.retry_after(now), 1))

    async def close(self) -> None:
        """End all tasks; the answers go on."""
        self._is_moving = False
        for task in tuple(self._tasks):
            task.cancel()
        if self._tasks:
            await asyncio.wait(tuple(self._tasks))

    def _handle(self, request_id: str, frame: SendRequest | ResumeRequest | AbortRequest) -> None:
        if isinstance(frame, AbortRequest):
            request = self._open.get(request_id)
            if request is not None and not request.has_stop_task:
                request.has_stop_task = True
                self._run(self._stop(request))
            return
        if request_id in self._open:
            raise BadMessage("requestId: an open request has it already.")
        if len(self._open) >= MAX_REQUESTS:
            raise TooMany
        request = _Request(frame.chat, is_replay=isinstance(frame, ResumeRequest))
        self._open[request_id] = request
        request.task = self._run(self._serve(request_id, request, frame))

    def _run(self, work: Any) -> asyncio.Task[None]:
        task: asyncio.Task[None] = asyncio.create_task(work, name="ai sdk request")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _serve(
        self, request_id: str, request: _Request, frame: SendRequest | ResumeRequest
    ) -> None:
        try:
            if isinstance(frame, SendRequest):
                request.asked = await self._chats.ask(self._scope, frame)
            else:
                request.asked = await self._chats.resume(self._scope, frame.chat)
            del frame  # it may contain files
            if request.asked is None:
                return await self._send_frame("no-active", request_id)
            if request.is_stopped:
                await self._chats.stop(self._scope, request.asked)
            await self._send_frame("start", request_id)
            await self._send_chunks(request_id, request.asked)
        except OSError:
            pass  # the peer is gone; the receiving task gets a disconnect as well
        except WiresideError as error:
            await self._send_error(request_id, error)
        except Exception:
            _log.exception("request_failed", door=self._door.name)
            await self._send_error(request_id, InternalError())
        finally:
            self._open.pop(request_id, None)
            self._close_if_moving()

    async def _send_chunks(self, request_id: str, asked: AskedTurn) -> None:
        head = f'{{"type":"chunk","requestId":{to_json(request_id)},"sequence":'
        sequence = 0
        async with aclosing(self._chats.read_chunks(self._scope, asked)) as batches:
            async for chunks in batches:
                for chunk in chunks:
                    await self._send_text(f'{head}{sequence},"chunk":{chunk}}}')
                    sequence += 1
        await self._send_frame("end", request_id)
        self._chats.mark_end_sent(asked)

    async def _stop(self, request: _Request) -> None:
        if request.is_replay:
            await asyncio.sleep(SUPERSEDED_S)
            others = (one for one in self._open.values() if one is not request)
            if any(one.is_replay and one.chat == request.chat for one in others):
                request.task.cancel()
                return
        request.is_stopped = True
        if request.asked is not None:
            try:
                await self._chats.stop(self._scope, request.asked)
            except WiresideError as error:  # the client has forgotten the request
                self._door.count_error(error.code)

    async def _send_error(self, request_id: str, error: WiresideError) -> None:
        self._door.count_error(error.code)
        with suppress(OSError):  # the peer is gone
            await self._send_frame("error", request_id, errorText=str(error))

    async def _send_frame(self, frame_type: str, request_id: str, **fields: str) -> None:
        await self._send_text(to_json({"type": frame_type, "requestId": request_id, **fields}))

    async def _send_text(self, text: str) -> None:
        try:
            await self._send({"type": "websocket.send", "text": text})
        except RuntimeError as error:  # how some servers report a closed connection
            raise ConnectionResetError("The connection is closed.") from error


async def _parse_frame(frame: str | bytes) -> dict[str, Any]:
    text = _text_of(frame)
    if len(text) > LONG_BYTES:
        return await run_in_worker(parse_object, text)
    return parse_object(text)


def _text_of(frame: str | bytes) -> str:
    if isinstance(frame, str):
        return frame
    try:
        return frame.decode()
    except UnicodeDecodeError as error:
        raise BadJson("The frame is not UTF-8.") from error
