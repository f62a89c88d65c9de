"""The connection of an AI SDK client: its frames, stops and ends."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest
from starlette.types import Message
from structlog.testing import capture_logs

from tests.backend.doors.test_door import SCOPE, door
from tests.backend.doors.test_slow_readers import body
from wireside.chat.core import ChatCore
from wireside.chat.dependencies import ChatDependencies, ChatRules
from wireside.chat.service import ChatService
from wireside.doors.ai_sdk.chats import Chats
from wireside.doors.ai_sdk.socket import FRAMES_PER_MINUTE, serve_socket
from wireside.providers.scripted import ScriptedProvider


class Socket:
    """The server's side of a connection, with what a client sends and has received."""

    def __init__(self, parts: ChatDependencies) -> None:
        one, _ = door(ChatService(ChatCore(parts, ChatRules())))
        self.departure = one.departure
        self.received: asyncio.Queue[Message] = asyncio.Queue()
        self.sent: list[dict[str, Any]] = []
        self.close_code: int | None = None
        self.error: Exception | None = None
        """What sending raises."""
        self.received.put_nowait({"type": "websocket.connect"})
        chats = Chats(one, lambda: 0.0)
        scope = {**SCOPE, "type": "websocket"}
        self.serving = asyncio.create_task(
            serve_socket(one, chats, scope, self.received.get, self._send)
        )

    async def _send(self, message: Message) -> None:
        if self.error is not None:
            raise self.error
        if message["type"] == "websocket.close":
            self.close_code = message["code"]
        if message["type"] == "websocket.send":
            self.sent.append(json.loads(message["text"]))

    def say(self, **frame: Any) -> None:
        self.received.put_nowait({"type": "websocket.receive", "text": json.dumps(frame)})

    async def wait_until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(10):
            while not condition():
                await asyncio.sleep(0.001)

    async def leave(self) -> None:
        self.received.put_nowait({"type": "websocket.disconnect"})
        await self.serving


def number_of_tasks() -> int:
    return sum(task.get_name() == "ai sdk request" for task in asyncio.all_tasks())


async def test_a_request_is_stopped_by_one_task(
    parts: ChatDependencies, provider: ScriptedProvider
) -> None:
    socket = Socket(parts)
    socket.say(type="send", requestId="ask", body={}, **body("c"))
    call = await provider.call(0)
    call.say("Hello")
    socket.say(type="resume", requestId="replay", id="c")
    await socket.wait_until(lambda: {"type": "start", "requestId": "replay"} in socket.sent)
    for _ in range(100):
        socket.say(type="abort", requestId="replay")
    await socket.wait_until(socket.received.empty)
    assert number_of_tasks() <= 3  # those of the requests, and the stop
    await socket.leave()
    call.finish()


async def test_a_server_that_stops_closes_the_connection_after_its_answer(
    parts: ChatDependencies, provider: ScriptedProvider
) -> None:
    socket = Socket(parts)
    socket.say(type="send", requestId="ask", body={}, **body("c"))
    call = await provider.call(0)
    await socket.departure.move_clients(0.0)
    call.say("Hello")
    call.finish()
    await socket.wait_until(lambda: socket.close_code == 1012)
    assert socket.sent[-1] == {"type": "end", "requestId": "ask"}
    await socket.leave()


async def test_frames_are_limited(parts: ChatDependencies) -> None:
    socket = Socket(parts)
    for number in range(FRAMES_PER_MINUTE):
        socket.say(type="abort", requestId=f"r{number}")
    socket.say(type="resume", requestId="late", id="c")
    await socket.wait_until(lambda: bool(socket.sent))
    assert [frame["type"] for frame in socket.sent] == ["error"]
    await socket.leave()


@pytest.mark.parametrize("error", [OSError("gone"), RuntimeError("the connection is closed")])
@pytest.mark.parametrize("name", ["c", ""])  # an answer, and an error
async def test_a_client_that_leaves_is_no_error(
    parts: ChatDependencies, provider: ScriptedProvider, error: Exception, name: str
) -> None:
    socket = Socket(parts)
    faults: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: faults.append(context))
    with capture_logs() as logs:
        await socket.wait_until(socket.received.empty)
        socket.error = error
        asked = body(name) if name else {**body("c"), "body": {"model": "no-such-model"}}
        socket.say(**{"type": "send", "requestId": "r", "body": {}, **asked})
        if name:
            call = await provider.call(0)
            call.say("Hello")
        socket.say(type="what", requestId="s")
        await socket.wait_until(lambda: socket.received.empty() and number_of_tasks() == 0)
        await socket.leave()
    if name:
        call.finish()
    assert (logs, faults) == ([], [])
