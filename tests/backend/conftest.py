"""Fixtures: a provider that the test drives step by step, and the service around it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from pathlib import Path

import pytest

from wireside.chat.core import ChatCore
from wireside.chat.dependencies import ChatDependencies, ChatRules
from wireside.chat.service import ChatService
from wireside.errors import UnknownModel
from wireside.generation.commits import GroupCommit
from wireside.generation.runner import Runner, RunnerLimits
from wireside.generation.tasks import Tasks
from wireside.messages import Delta, Finished, ModelInfo, ModelRequest, TextDelta
from wireside.store.store import SqlStore


class Answering:
    """One call of the provider: the test says what it yields next."""

    def __init__(self, request: ModelRequest) -> None:
        self.request = request
        self.steps: asyncio.Queue[Delta | Exception] = asyncio.Queue()
        self.is_closed = False

    def say(self, *texts: str) -> None:
        for text in texts:
            self.steps.put_nowait(TextDelta(text))

    def finish(self, finished: Finished | None = None) -> None:
        self.steps.put_nowait(finished or Finished("stop"))

    def fail(self, error: Exception) -> None:
        self.steps.put_nowait(error)


class HandCranked:
    """Implements ``Provider``; it yields only what the test says."""

    def __init__(self) -> None:
        self.calls: list[Answering] = []
        self._called = asyncio.Event()
        self.closing_takes: asyncio.Event | None = None

    async def warm_up(self) -> None:
        pass

    async def models(self) -> Sequence[ModelInfo]:
        return (ModelInfo(id="model-a", name="Model A"), ModelInfo(id="model-b", name="Model B"))

    async def resolve(self, name: str | None) -> str:
        if name not in (None, "model-a", "model-b"):
            raise UnknownModel(f"There is no model {name}.")
        return name or "model-a"

    async def stream(self, request: ModelRequest) -> AsyncGenerator[Delta, None]:
        call = Answering(request)
        self.calls.append(call)
        self._called.set()
        try:
            while True:
                step = await call.steps.get()
                if isinstance(step, Exception):
                    raise step
                yield step
                if isinstance(step, Finished):
                    return
        finally:
            if self.closing_takes is not None:
                await self.closing_takes.wait()
            call.is_closed = True

    async def call(self, number: int = 0) -> Answering:
        """Wait for the call of that number, from 0."""
        while len(self.calls) <= number:
            self._called.clear()
            await self._called.wait()
        return self.calls[number]

    async def aclose(self) -> None:
        pass


class HandClock:
    """A clock that the test sets."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
async def provider() -> HandCranked:
    return HandCranked()


@pytest.fixture
async def tasks() -> AsyncIterator[Tasks]:
    owner = Tasks()
    yield owner
    await owner.aclose()


@pytest.fixture
def limits() -> RunnerLimits:
    return RunnerLimits()


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqlStore]:
    store = SqlStore(f"sqlite:///{tmp_path / 'wireside.db'}")
    await store.open()
    yield store
    await store.aclose()


@pytest.fixture
async def saving(store: SqlStore, tasks: Tasks) -> GroupCommit:
    saving = GroupCommit(store.write, time.monotonic)
    tasks.create_task(saving.run(), name="group commit")
    return saving


@pytest.fixture
async def runner(
    provider: HandCranked, tasks: Tasks, limits: RunnerLimits, clock: HandClock, saving: GroupCommit
) -> Runner:
    return Runner(provider=provider, tasks=tasks, limits=limits, clock=clock, commits=saving)


@pytest.fixture
async def parts(
    runner: Runner, provider: HandCranked, store: SqlStore, saving: GroupCommit, tasks: Tasks
) -> ChatDependencies:
    return ChatDependencies(
        runner=runner,
        models=provider,
        provider=provider,
        store=store,
        saving=saving,
        tasks=tasks,
        wall_clock=time.time,
    )


@pytest.fixture
async def chat(parts: ChatDependencies) -> ChatService:
    return ChatService(ChatCore(parts, ChatRules()))
