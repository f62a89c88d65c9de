"""A client that reads slowly, or not at all, costs little memory and delays nothing else."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from starlette.types import Message

from tests.backend.doors.test_door import SCOPE, door
from wireside.chat.core import ChatCore
from wireside.chat.dependencies import ChatDependencies, ChatRules
from wireside.chat.service import ChatService
from wireside.doors.ai_sdk.chats import Chats
from wireside.doors.ai_sdk.requests import parse_send
from wireside.doors.ai_sdk.socket import serve_socket
from wireside.generation.reader import MAX_CHARS
from wireside.providers.scripted import ScriptedProvider

PIECES, PIECE = 2_000, "x" * 100


def body(name: str) -> dict[str, Any]:
    text = {"type": "text", "text": "Hi"}
    return {"id": name, "messages": [{"id": "m", "role": "user", "parts": [text]}]}


async def test_a_slow_reader_gets_fewer_and_larger_pieces(
    parts: ChatDependencies, provider: ScriptedProvider
) -> None:
    one, _ = door(ChatService(ChatCore(parts, ChatRules())))
    chats = Chats(one, lambda: 0.0)
    asked = await chats.ask(SCOPE, parse_send(body("c"), body("c")))
    call = await provider.call(0)
    batches = chats.read_chunks(SCOPE, asked)
    call.say(PIECE)
    found = [await anext(batches), await anext(batches)]
    for _ in range(PIECES - 1):
        call.say(PIECE)
    call.finish()
    await asked.turn.segments[0].wait_ended()  # nothing waits for the reader
    found += [chunks async for chunks in batches]
    assert len(found) < PIECES / 50
    deltas = [json.loads(chunk).get("delta", "") for chunks in found for chunk in chunks]
    assert "".join(deltas) == PIECE * PIECES
    assert max(map(len, deltas)) <= MAX_CHARS


async def test_a_client_that_reads_nothing_can_stop_its_answer(
    parts: ChatDependencies, provider: ScriptedProvider
) -> None:
    one, _ = door(ChatService(ChatCore(parts, ChatRules())))
    sent: list[Message] = []
    received: asyncio.Queue[Message] = asyncio.Queue()
    is_open = asyncio.Event()

    async def send(message: Message) -> None:
        sent.append(message)
        if len(sent) > 3:
            await is_open.wait()

    def say(**frame: Any) -> None:
        received.put_nowait({"type": "websocket.receive", "text": json.dumps(frame)})

    received.put_nowait({"type": "websocket.connect"})
    serving = asyncio.create_task(
        serve_socket(
            one, Chats(one, lambda: 0.0), {**SCOPE, "type": "websocket"}, received.get, send
        )
    )
    say(type="send", requestId="r", body={}, **body("c"))
    call = await provider.call(0)
    for _ in range(PIECES):
        call.say(PIECE)
    async with asyncio.timeout(5):
        while len(sent) < 4:
            await asyncio.sleep(0.001)
        say(type="abort", requestId="r")
        while not call.is_closed:
            await asyncio.sleep(0.001)
    assert len(sent) == 4  # nothing is sent to a socket that accepts nothing
    received.put_nowait({"type": "websocket.disconnect"})
    await serving
