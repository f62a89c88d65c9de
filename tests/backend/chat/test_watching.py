"""Metrics and log context of questions."""

from __future__ import annotations

import asyncio

import pytest
import structlog

from wireside.chat.core import ChatCore
from wireside.chat.dependencies import ChatDependencies, ChatRules
from wireside.chat.service import Ask, ChatService
from wireside.errors import UnknownModel
from wireside.generation.runner import Runner
from wireside.messages import Message, Options
from wireside.telemetry import Telemetry


@pytest.fixture(autouse=True)
def _nothing_bound() -> None:
    structlog.contextvars.clear_contextvars()


@pytest.fixture
def telemetry() -> Telemetry:
    return Telemetry()


class Listening(Telemetry):
    """Notes the ids in the log context of each answer."""

    def __init__(self) -> None:
        super().__init__()
        self.ids: list[dict] = []

    def answer(self, *arguments):
        watch = super().answer(*arguments)

        def running() -> None:
            type(watch).running(watch)
            self.ids.append(dict(structlog.contextvars.get_contextvars()))

        watch.running = running
        return watch


@pytest.fixture
def listening() -> Listening:
    return Listening()


@pytest.fixture
def chat(parts: ChatDependencies, listening: Listening, provider, tasks, limits, clock, saving):
    runner = Runner(
        provider=provider,
        tasks=tasks,
        limits=limits,
        clock=clock,
        commits=saving,
        watcher=listening,
    )
    watched = ChatDependencies(
        runner=runner,
        models=provider,
        provider=provider,
        store=parts.store,
        saving=saving,
        tasks=tasks,
        wall_clock=parts.wall_clock,
        watcher=listening,
    )
    return ChatService(ChatCore(watched, ChatRules()))


async def test_a_turn_that_waited_is_logged_under_the_ids_of_who_asked(
    chat: ChatService, provider, listening: Listening
) -> None:
    """A queued turn is logged with the ids of the request that asked it.

    It begins when another request's answer ends, within that answer's task.
    """
    structlog.contextvars.bind_contextvars(connection="c1", user="first")
    conversation, first = await chat.ask_in("new", "one?", key=None, options=Options())
    await provider.call(0)
    structlog.contextvars.clear_contextvars()
    structlog.contextvars.bind_contextvars(request="r2", user="second")
    _, second = await chat.ask_in(conversation.id, "two?", key=None, options=Options())
    structlog.contextvars.clear_contextvars()
    for number, turn in enumerate((first, second)):
        call = await provider.call(number)
        call.say("text")
        call.finish()
        await turn.segments[0].ended()
    streams = [turn.segments[0].name for turn in (first, second)]
    assert listening.ids == [
        {"connection": "c1", "user": "first", "stream": streams[0]},
        {"request": "r2", "user": "second", "stream": streams[1]},
    ]


async def test_questions_are_counted_by_type(
    chat: ChatService, provider, listening: Listening
) -> None:
    conversation, turn = await chat.ask_in("new", "one?", key=None, options=Options())
    call = await provider.call(0)
    call.say("cut")
    while not turn.text:
        await asyncio.sleep(0.001)
    turn.segments[0].stop()
    await turn.segments[0].ended()
    await chat.continue_answer(conversation, turn.id)
    (await provider.call(1)).finish()
    await turn.segments[1].ended()
    stream = await chat.ask(Ask(messages=(Message.of_text("user", "?"),), key="k"))
    again = await chat.ask(Ask(messages=(Message.of_text("user", "?"),), key="k"))
    assert stream is again
    (await provider.call(2)).finish()
    while listening.streams.total() < 3:
        await asyncio.sleep(0)
    assert listening.questions == {"turn": 1, "again": 1, "ask": 2}
    assert listening.streams == {
        ("model-a", "cancelled"): 1,  # it has sent a word, so its model is known
        ("model-a", "stop"): 2,
    }


async def test_an_answer_that_can_t_begin_is_counted_too(
    chat: ChatService, provider, listening: Listening, monkeypatch
) -> None:
    conversation, turn = await chat.ask_in("new", "one?", key=None, options=Options())
    await provider.call(0)
    _, second = await chat.ask_in(conversation.id, "two?", key=None, options=Options())

    async def gone(_: str | None) -> str:
        raise UnknownModel

    monkeypatch.setattr(provider, "resolve", gone)
    provider.calls[0].finish()
    await turn.segments[0].ended()
    while second.waiting:
        await asyncio.sleep(0)
    await second.segments[0].ended()
    assert second.end is not None
    assert second.end.error is not None
    assert listening.stream_errors == {"unknown_model": 1}
