"""Responses of a server that the others have removed: the store may have more of their answers."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from starlette.types import ASGIApp, Message, Scope

from tests.backend.doors.test_door import SCOPE, Client, door
from wireside.chat.core import ChatCore
from wireside.chat.dependencies import ChatDependencies, ChatRules
from wireside.chat.service import ChatService
from wireside.doors.ag_ui.app import build_door as build_ag_ui
from wireside.doors.ai_sdk.app import build_door as build_ai_sdk
from wireside.doors.door import Door
from wireside.doors.durable_streams.app import build_door as build_durable_streams
from wireside.doors.openai.app import build_door as build_openai
from wireside.errors import Fenced, ResponseAborted
from wireside.generation.runner import Runner
from wireside.messages import Options
from wireside.providers.scripted import ScriptedProvider

TEXT = "Hello world"
QUESTION = {"id": "m", "role": "user", "content": "Hi"}
SAID = {"id": "m", "role": "user", "parts": [{"type": "text", "text": "Hi"}]}

AG_UI = {"threadId": "t", "runId": "r", "messages": [QUESTION]}
AI_SDK = {"id": "c", "messages": [SAID]}
RESPONSE = {"model": "model-a", "input": "Hi"}
COMPLETION = {
    "model": "model-a",
    "messages": [{"role": "user", "content": "Hi"}],
    "metadata": {"conversation": "new"},
}


class Response(Client):
    """A response; once it has the text, or at once, the other servers remove this one."""

    def __init__(self, runner: Runner, *, until: str = TEXT) -> None:
        super().__init__()
        self.status = 0
        self.headers: dict[str, str] = {}
        self._runner = runner
        self._until = until.encode()
        self._request: list[Message] = []

    async def read(self, app: ASGIApp, path: str, body: Any = None, **fields: Any) -> None:
        """Send a request, and read the response to its end."""
        self._request = [{"type": "http.request", "body": json.dumps(body).encode()}]
        scope: Scope = {
            "type": "http",
            "method": "POST",
            "path": path,
            "path_params": {},
            "query_string": b"",
            "client": ("192.0.2.1", 5),
            "headers": [],
            **fields,
        }
        async with asyncio.timeout(20):
            await app(scope, self.receive, self.send)

    async def receive(self) -> Message:
        return self._request.pop() if self._request else await super().receive()

    async def send(self, message: Message) -> None:
        await super().send(message)
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.headers = {k.decode(): v.decode() for k, v in message["headers"]}
        if self._until in self.body:
            self._runner.abandon_stored()


@pytest.fixture
def one(parts: ChatDependencies) -> Door:
    return door(ChatService(ChatCore(parts, ChatRules())), limit=100)[0]


async def say(provider: ScriptedProvider) -> None:
    (await provider.call(0)).say(TEXT)


@pytest.mark.parametrize(
    ("build", "path", "body"),
    [
        (build_ag_ui, "/api/ag-ui", AG_UI),
        (build_ai_sdk, "/api/ai-sdk/chat", AI_SDK),
        (build_openai, "/v1/responses", {**RESPONSE, "stream": True}),
    ],
)
async def test_a_stream_that_can_be_resumed_breaks_off_without_an_end(
    one: Door, runner: Runner, provider: ScriptedProvider, build: Any, path: str, body: Any
) -> None:
    saying = asyncio.create_task(say(provider))
    response = Response(runner)
    with pytest.raises(ResponseAborted):
        await response.read(build(one), path, body)
    await saying
    assert not response.is_complete
    events = [line for line in response.body.decode().splitlines() if line.startswith("data:")]
    assert TEXT in events[-1]


async def test_a_completion_which_no_client_can_resume_ends_with_an_error(
    one: Door, runner: Runner, provider: ScriptedProvider
) -> None:
    saying = asyncio.create_task(say(provider))
    response = Response(runner)
    await response.read(build_openai(one), "/v1/chat/completions", {**COMPLETION, "stream": True})
    await saying
    assert response.is_complete
    assert str(Fenced()).encode() in response.body


@pytest.mark.parametrize(
    ("path", "body"), [("/v1/responses", RESPONSE), ("/v1/chat/completions", COMPLETION)]
)
async def test_a_whole_answer_is_refused_so_that_the_client_asks_again(
    one: Door, runner: Runner, provider: ScriptedProvider, path: str, body: Any
) -> None:
    async def remove() -> None:
        await say(provider)
        (stream,) = runner.live_streams
        await stream.new_reader().wait_for_news()
        runner.abandon_stored()

    removing = asyncio.create_task(remove())
    response = Response(runner)
    await response.read(build_openai(one), path, body)
    await removing
    assert response.status == 503
    assert json.loads(response.body)["error"]["message"] == str(Fenced())


@pytest.mark.parametrize("form", ["text", "json"])
@pytest.mark.parametrize("live", ["sse", "long-poll"])
async def test_a_durable_stream_stays_open_for_the_next_read(
    one: Door, runner: Runner, provider: ScriptedProvider, live: str, form: str
) -> None:
    chat = one.chat_of(SCOPE)
    conversation = await chat.library.open_or_create("new")
    turn = await chat.send_question(conversation, "Hi", turn_id="t", options=Options())
    (stream,) = turn.segments
    await say(provider)
    await stream.new_reader().wait_for_news()
    response = Response(runner, until=TEXT)
    query = f"offset={'now' if live == 'long-poll' else '-1'}&live={live}&format={form}"
    reading = asyncio.create_task(
        response.read(
            build_durable_streams(one),
            f"/api/streams/{stream.name}",
            method="GET",
            path_params={"stream": stream.name},
            query_string=query.encode(),
        )
    )
    if live == "long-poll":  # nothing new is there
        while not any(stream.reader_lags()) and not stream._bell.listeners:
            await asyncio.sleep(0.001)
        runner.abandon_stored()
    await reading
    assert response.is_complete
    assert b"streamClosed" not in response.body
    assert "stream-closed" not in response.headers
    assert "stream-up-to-date" not in response.headers
    if live == "sse":
        assert TEXT.encode() in response.body
    else:
        assert response.status == 204
