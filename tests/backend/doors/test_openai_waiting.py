"""Responses whose question waits until other answers have ended."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

import pytest
from starlette.requests import ClientDisconnect
from starlette.types import Message, Receive, Scope, Send

from wireside.doors import sse
from wireside.doors.openai import endings
from wireside.doors.openai.endings import EventResponse, response_or_leave
from wireside.errors import Overloaded, WiresideError


class Answer:
    def __init__(self) -> None:
        self.is_given_up = False

    def give_up(self) -> None:
        self.is_given_up = True

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})

    async def late_events(self) -> AsyncGenerator[bytes, None]:
        yield b"data: answer\n\n"


class Connection:
    """An open connection; ``leave`` closes it."""

    def __init__(self) -> None:
        self.sent = b""
        self._left = asyncio.Event()

    def leave(self) -> None:
        self._left.set()

    async def receive(self) -> Message:
        await self._left.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        self.sent += message.get("body", b"")


def as_event(error: WiresideError) -> bytes:
    return error.code.encode()


async def after(gate: asyncio.Event, error: WiresideError | None = None) -> EventResponse:
    await gate.wait()
    if error is not None:
        raise error
    return Answer()


async def test_a_client_that_leaves_ends_the_waiting() -> None:
    connection = Connection()
    making = after(asyncio.Event())
    waiting = asyncio.create_task(response_or_leave(making, connection.receive, late_error=None))
    await asyncio.sleep(0)
    connection.leave()
    with pytest.raises(ClientDisconnect):
        await waiting


@pytest.mark.parametrize(("error", "told"), [(None, b"answer"), (Overloaded(), b"overloaded")])
async def test_a_stream_begins_while_its_question_waits(
    monkeypatch: pytest.MonkeyPatch, error: WiresideError | None, told: bytes
) -> None:
    monkeypatch.setattr(endings, "PING_S", 0.01)
    gate, connection = asyncio.Event(), Connection()
    making = after(gate, error)
    response = await response_or_leave(making, connection.receive, late_error=as_event)
    sending = asyncio.ensure_future(response({"type": "http"}, connection.receive, connection.send))
    gate.set()
    await sending
    assert told in connection.sent
    assert sse.PING not in connection.sent


async def test_an_error_before_that_is_raised() -> None:
    gate = asyncio.Event()
    gate.set()
    with pytest.raises(Overloaded):
        await response_or_leave(
            after(gate, Overloaded()), Connection().receive, late_error=as_event
        )


async def test_a_response_that_is_made_for_a_closed_connection_is_given_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(endings, "PING_S", 0.01)
    gate, connection, answer = asyncio.Event(), Connection(), Answer()

    async def made() -> EventResponse:
        await gate.wait()
        return answer

    async def broken(_: Message) -> None:
        gate.set()
        await asyncio.sleep(0.01)
        raise OSError

    response = await response_or_leave(made(), connection.receive, late_error=as_event)
    with pytest.raises(OSError):
        await response({"type": "http"}, connection.receive, broken)
    assert answer.is_given_up
