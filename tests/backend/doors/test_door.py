"""What all doors share."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

import pytest
from starlette.types import Message, Receive, Scope, Send

from wireside.chat.service import ChatService
from wireside.doors.answers import read_answer
from wireside.doors.door import Door
from wireside.doors.lazy import LazyDoor
from wireside.doors.sse import PING, EventStream
from wireside.errors import BadOffset, RateLimited
from wireside.generation.log import TextPiece
from wireside.generation.runner import Stream
from wireside.identity import LOCAL
from wireside.limits.windows import AddressWindows
from wireside.messages import End, TextDelta
from wireside.telemetry.counts import Telemetry

SCOPE: Scope = {"type": "http", "client": ("192.0.2.1", 5), "headers": []}


def test_an_answer_is_read_from_an_offset_to_its_end() -> None:
    async def read() -> str:
        stream = Stream("s", "m")
        stream.log.append_entry(TextDelta("Hello "))
        text = ""

        async def write() -> None:
            stream.log.append_entry(TextDelta("world"))
            stream.log.close_with(End("stop"))
            stream._bell.notify_listeners()

        writing = asyncio.create_task(write())
        async for pieces in read_answer(stream, 2):
            text += "".join(piece.text for piece in pieces if isinstance(piece, TextPiece))
        await writing
        return text

    assert asyncio.run(read()) == "llo world"


def test_an_offset_past_the_end_is_refused() -> None:
    async def read() -> None:
        async for _ in read_answer(Stream("s", "m"), 1):
            pass

    with pytest.raises(BadOffset):
        asyncio.run(read())


class Client:
    """Records a response, and disconnects when asked to."""

    def __init__(self) -> None:
        self.leave = asyncio.Event()
        self.body = b""
        self.is_complete = False

    async def receive(self) -> Message:
        await self.leave.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.body":
            self.body += message["body"]
            self.is_complete = not message.get("more_body", False)


def test_events_are_sent_until_their_end() -> None:
    async def serve() -> Client:
        async def events() -> AsyncGenerator[bytes, None]:
            yield b"data: 1\n\n"
            yield b"data: 2\n\n"

        client = Client()
        await EventStream(events())(SCOPE, client.receive, client.send)
        return client

    client = asyncio.run(serve())
    assert client.body == b"data: 1\n\ndata: 2\n\n"
    assert client.is_complete


def test_the_events_are_closed_when_the_client_disconnects() -> None:
    async def serve() -> tuple[Client, bool]:
        is_closed = False

        async def events() -> AsyncGenerator[bytes, None]:
            nonlocal is_closed
            try:
                yield b"data: 1\n\n"
                await asyncio.Event().wait()
            finally:
                is_closed = True

        client = Client()
        serving = asyncio.create_task(
            EventStream(events(), ping_s=0.001)(SCOPE, client.receive, client.send)
        )
        while PING not in client.body:  # a quiet stream sends comments
            await asyncio.sleep(0.001)
        client.leave.set()
        await serving
        return client, is_closed

    client, is_closed = asyncio.run(serve())
    assert is_closed
    assert not client.is_complete


def test_an_error_of_the_events_reaches_the_server() -> None:
    async def serve() -> None:
        async def events() -> AsyncGenerator[bytes, None]:
            yield b"data: 1\n\n"
            raise OSError("broken")

        client = Client()
        await EventStream(events())(SCOPE, client.receive, client.send)

    with pytest.raises(OSError, match="broken"):
        asyncio.run(serve())


def door(chat: Any = None, *, limit: int = 10) -> tuple[Door, Telemetry]:
    telemetry = Telemetry()
    windows = AddressWindows(limit)
    one = Door("test", chat=chat, windows=windows, counters=telemetry, clock=lambda: 5.0)
    return one, telemetry


class OpenChat(ChatService):
    """The chat of a server without authentication, as far as a door asks for its caller."""

    def __init__(self) -> None:
        self.caller = LOCAL


def test_questions_are_limited_by_the_caller_and_counted() -> None:
    one, telemetry = door(OpenChat(), limit=2)
    one.count_question(SCOPE)
    one.count_question(SCOPE)
    with pytest.raises(RateLimited) as refused:
        one.count_question(SCOPE)
    assert refused.value.retry_after == 60.0
    one.count_question({**SCOPE, "client": ("198.51.100.1", 5)})
    one.count_reading()
    assert telemetry.door_requests == {("test", "ask"): 3, ("test", "read"): 1}


def test_errors_of_answers_count_as_one_failure() -> None:
    one, telemetry = door()
    one.count_error("provider_timeout", is_of_answer=True)
    one.count_error("rate_limited")
    assert telemetry.door_errors["test"] == {"provider_timeout": 1, "rate_limited": 1}
    assert telemetry.failures == {"rate_limited": 1}  # the answer itself is counted elsewhere


built: list[Door] = []


def build_door(one: Door) -> Any:
    built.append(one)

    async def app(_: Scope, __: Receive, send: Send) -> None:
        await send({"type": "http.response.body", "body": b"hi"})

    return app


def test_a_door_is_built_on_its_first_request() -> None:
    one, _ = door()
    lazy = LazyDoor(__name__, one)
    assert built == []

    async def ask() -> bytes:
        client = Client()
        await lazy(SCOPE, client.receive, client.send)
        await lazy(SCOPE, client.receive, client.send)
        return client.body

    assert asyncio.run(ask()) == b"hihi"
    assert built == [one]
