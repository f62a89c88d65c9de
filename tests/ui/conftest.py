"""Answers that a test controls step by step, and the service around them."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from pathlib import Path

import pytest

from wireside.chat.core import ChatCore
from wireside.chat.dependencies import ChatDependencies, ChatRules
from wireside.chat.service import ChatService
from wireside.errors import WiresideError
from wireside.generation.commits import GroupCommit
from wireside.generation.log import AnswerLog
from wireside.generation.reader import Reader, Signal
from wireside.generation.runner import Runner, RunnerLimits
from wireside.generation.tasks import Tasks
from wireside.messages import (
    Delta,
    End,
    Finished,
    FinishReason,
    ModelInfo,
    ModelRequest,
    TextDelta,
)
from wireside.ports.quotas import Quotas, Unlimited
from wireside.store.store import SqlStore


class HandStream:
    """The parts of a stream that a page uses."""

    names = itertools.count()

    def __init__(self) -> None:
        self.name = f"stream-{next(self.names)}"
        self.model = "model-a"
        self.log = AnswerLog()
        self.bell = Signal()

    @property
    def is_live(self) -> bool:
        return self.log.end is None

    def reader(self, offset: int = 0, wake: Callable[[], None] | None = None) -> Reader:
        return Reader(self.log, self.bell, offset, wake)

    def say(self, text: str) -> None:
        self.log.append(TextDelta(text))
        self.bell.ring()

    def close(self, reason: FinishReason | None = "stop", error: WiresideError | None = None):
        self.log.close(End(None if error else reason, error))
        self.bell.ring()
        return self


class HandProvider:
    """Implements ``Provider`` and ``Models``: each answer is controlled by the test."""

    def __init__(self) -> None:
        self.answers: list[asyncio.Queue[Delta]] = []
        self.requests: list[ModelRequest] = []
        self.problem: WiresideError | None = None

    async def models(self) -> Sequence[ModelInfo]:
        if self.problem:
            raise self.problem
        return (ModelInfo(id="model-a", name="Model A"),)

    async def resolve(self, name: str | None) -> str:
        if self.problem:
            raise self.problem
        return name or "model-a"

    async def stream(self, request: ModelRequest) -> AsyncGenerator[Delta, None]:
        steps: asyncio.Queue[Delta] = asyncio.Queue()
        self.answers.append(steps)
        self.requests.append(request)
        while True:
            step = await steps.get()
            yield step
            if isinstance(step, Finished):
                return

    async def warm_up(self) -> None:
        pass

    async def aclose(self) -> None:
        pass


@pytest.fixture
def stream() -> HandStream:
    return HandStream()


@pytest.fixture
def new_stream() -> Callable[[], HandStream]:
    return HandStream


@pytest.fixture
async def provider() -> HandProvider:
    return HandProvider()


@pytest.fixture
def quotas() -> Quotas:
    return Unlimited()


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqlStore]:
    store = SqlStore(f"sqlite:///{tmp_path / 'wireside.db'}")
    await store.open()
    yield store
    await store.aclose()


@pytest.fixture
async def chat(
    provider: HandProvider, quotas: Quotas, store: SqlStore
) -> AsyncIterator[ChatService]:
    tasks = Tasks()
    # a test may replace `store.write`
    saving = GroupCommit(lambda tails: store.write(tails), time.monotonic)
    tasks.create_task(saving.run(), name="group commit")
    runner = Runner(
        provider=provider, tasks=tasks, limits=RunnerLimits(), clock=lambda: 0.0, commits=saving
    )
    parts = ChatDependencies(
        runner=runner,
        models=provider,
        provider=provider,
        store=store,
        saving=saving,
        tasks=tasks,
        wall_clock=time.time,
        quotas=quotas,
    )
    yield ChatService(ChatCore(parts, ChatRules()))
    await tasks.aclose()
