"""Metrics and log context of questions."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
import structlog

from tests.hand_clock import HandClock
from wireside.chat.core import ChatCore
from wireside.chat.dependencies import ChatDependencies, ChatRules
from wireside.chat.service import ChatService
from wireside.chat.streams import Ask
from wireside.errors import UnknownModel
from wireside.generation.commits import GroupCommit
from wireside.generation.runner import Runner, RunnerLimits
from wireside.generation.tasks import Tasks
from wireside.messages import Message, ModelRequest, Options
from wireside.providers.catalog import Catalog
from wireside.providers.scripted import ScriptedProvider
from wireside.telemetry import Telemetry
from wireside.telemetry.counts import AnswerMetrics


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
        self.ids: list[dict[str, Any]] = []

    def record_answer(self, stream: str, model: str, request: ModelRequest | None) -> AnswerMetrics:
        note = self.ids.append

        class Noting(AnswerMetrics):
            def task_started(self) -> None:
                super().task_started()
                note(structlog.contextvars.get_contextvars())

        return Noting(self, stream, model, self._clock, trace=None)


@pytest.fixture
def listening() -> Listening:
    return Listening()


@pytest.fixture
def chat(
    parts: ChatDependencies,
    listening: Listening,
    provider: ScriptedProvider,
    tasks: Tasks,
    limits: RunnerLimits,
    clock: HandClock,
    saving: GroupCommit,
) -> ChatService:
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
        models=parts.models,
        provider=provider,
        store=parts.store,
        saving=saving,
        files=parts.files,
        prompts=parts.prompts,
        folders=parts.folders,
        comments=parts.comments,
        presets=parts.presets,
        tasks=tasks,
        wall_clock=parts.wall_clock,
        watcher=listening,
    )
    return ChatService(ChatCore(watched, ChatRules()))


async def test_a_turn_that_waited_is_logged_under_the_ids_of_who_asked(
    chat: ChatService, provider: ScriptedProvider, listening: Listening
) -> None:
    """A queued turn is logged with the ids of the request that asked it.

    It begins when another request's answer ends, within that answer's task.
    """
    structlog.contextvars.bind_contextvars(connection="c1", user="first")
    conversation, first = await chat.ask_in_conversation("new", "one?", key=None, options=Options())
    await provider.call(0)
    structlog.contextvars.clear_contextvars()
    structlog.contextvars.bind_contextvars(request="r2", user="second")
    _, second = await chat.ask_in_conversation(conversation.id, "two?", key=None, options=Options())
    structlog.contextvars.clear_contextvars()
    for number, turn in enumerate((first, second)):
        call = await provider.call(number)
        call.say("text")
        call.finish()
        await turn.segments[0].wait_ended()
    streams = [turn.segments[0].name for turn in (first, second)]
    assert listening.ids == [
        {"connection": "c1", "user": "first", "stream": streams[0]},
        {"request": "r2", "user": "second", "stream": streams[1]},
    ]


async def test_questions_are_counted_by_type(
    chat: ChatService, provider: ScriptedProvider, listening: Listening
) -> None:
    conversation, turn = await chat.ask_in_conversation("new", "one?", key=None, options=Options())
    call = await provider.call(0)
    call.say("cut")
    while not turn.text:
        await asyncio.sleep(0.001)
    turn.segments[0].stop_answer()
    await turn.segments[0].wait_ended()
    await chat.continue_answer(conversation, turn.id)
    (await provider.call(1)).finish()
    await turn.segments[1].wait_ended()
    stream = await chat.start_stream(Ask(messages=(Message.of_text("user", "?"),), key="k"))
    again = await chat.start_stream(Ask(messages=(Message.of_text("user", "?"),), key="k"))
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
    chat: ChatService,
    provider: ScriptedProvider,
    models: Catalog,
    listening: Listening,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    conversation, turn = await chat.ask_in_conversation("new", "one?", key=None, options=Options())
    await provider.call(0)
    _, second = await chat.ask_in_conversation(conversation.id, "two?", key=None, options=Options())

    async def gone(_: str | None) -> str:
        raise UnknownModel

    monkeypatch.setattr(models, "resolve_model", gone)
    provider.calls[0].finish()
    await turn.segments[0].wait_ended()
    while second.waiting:
        await asyncio.sleep(0)
    await second.segments[0].wait_ended()
    assert second.end is not None
    assert second.end.error is not None
    assert listening.stream_errors == {"unknown_model": 1}
