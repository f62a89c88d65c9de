"""What a server does on a store that others share, whatever fails."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from dataclasses import replace
from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock

import pytest

from wireside.app import Application
from wireside.bootstrap.parts import Parts
from wireside.chat import core as core_module
from wireside.chat import opened
from wireside.chat.core import ChatCore
from wireside.chat.dependencies import ChatDependencies, ChatRules, NoOtherServers
from wireside.errors import StoreError
from wireside.generation.runner import Stream
from wireside.messages import End
from wireside.records import Segment


@pytest.fixture
def core(parts: ChatDependencies, monkeypatch: pytest.MonkeyPatch) -> ChatCore:
    monkeypatch.setattr(core_module, "TAKE_OVER_S", 0.01)
    monkeypatch.setattr(core_module, "LOOK_S", 0.01)
    return ChatCore(parts, ChatRules())


@pytest.mark.parametrize("work", ["take_over", "stop_requested_answers"])
async def test_a_fault_does_not_end_the_looks(
    core: ChatCore, monkeypatch: pytest.MonkeyPatch, work: str
) -> None:
    calls = asyncio.Queue[None]()

    async def fail() -> None:
        calls.put_nowait(None)
        raise RuntimeError("a fault")

    monkeypatch.setattr(core, work, fail)
    looks = {
        "take_over": core.take_over_until_cancelled(asyncio.Event()),
        "stop_requested_answers": core.look_until_cancelled(),
    }
    task = asyncio.create_task(looks.pop(work))
    for unused in looks.values():
        unused.close()
    async with asyncio.timeout(20):
        for _ in range(2):
            await calls.get()
    assert not task.done()
    task.cancel()
    await asyncio.wait([task])


class Others(NoOtherServers):
    """Servers that are sent stops, and write an answer."""

    def __init__(self) -> None:
        self.stops: list[str] = []

    def announce_stop(self, stream: str) -> None:
        self.stops.append(stream)

    def follow_answer(self, segment: Segment, owner: str) -> Stream:
        return Stream(segment.stream, segment.model, owner=owner)


async def test_a_stop_is_announced_at_once_and_stored_when_the_store_works(
    parts: ChatDependencies, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opened, "STOP_AGAIN_S", 0.01, raising=False)
    others = Others()
    core = ChatCore(replace(parts, is_shared=True, others=others), ChatRules())
    is_stored = asyncio.Event()
    failures = 0

    async def request_stop(stream: str) -> None:
        nonlocal failures
        if failures < 2:
            failures += 1
            raise StoreError
        is_stored.set()

    monkeypatch.setattr(parts.store, "request_stop", request_stop)
    stream = core.conversations.stream_of(Segment(stream="s", model="m"), "")
    stream.stop_answer()
    stream.stop_answer()  # of another page
    assert others.stops == ["s", "s"]
    async with asyncio.timeout(5):
        await is_stored.wait()


async def test_a_stop_that_can_not_be_stored_is_given_up_at_the_end(
    parts: ChatDependencies, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opened, "STOP_AGAIN_S", 0.01, raising=False)
    core = ChatCore(replace(parts, is_shared=True, others=Others()), ChatRules())

    async def request_stop(stream: str) -> None:
        raise StoreError

    monkeypatch.setattr(parts.store, "request_stop", request_stop)
    stream = core.conversations.stream_of(Segment(stream="s", model="m"), "")
    stream.stop_answer()
    await asyncio.sleep(0)
    assert core.conversations._stopping == {stream}
    stream._close_log(End("stop"))
    async with asyncio.timeout(5):
        while core.conversations._stopping:
            await asyncio.sleep(0.01)


async def test_a_server_that_may_not_take_over_answers_nothing_that_waits(
    core: ChatCore, monkeypatch: pytest.MonkeyPatch
) -> None:
    answered: list[str] = []

    async def waiting() -> list[str]:
        return ["c"]

    async def answer_waiting(conversation_ids: Collection[str]) -> None:
        answered.extend(conversation_ids)

    monkeypatch.setattr(core.parts.store, "conversations_with_waiting_turns", waiting)
    monkeypatch.setattr(core, "_answer_waiting", answer_waiting)
    core.may_take_over = lambda: False
    for _ in range(3):
        await core.look_for_changes()
    assert not answered
    core.may_take_over = lambda: True
    await core.look_for_changes()
    assert answered == ["c"]


@pytest.mark.parametrize(
    ("is_joined", "is_announced", "is_draining", "may"),
    [
        (True, False, False, True),
        (False, False, False, False),
        (True, True, False, False),  # its answers go on to their end, but it begins none
        (True, True, True, False),
    ],
)
def test_a_server_that_departs_does_not_take_over(
    is_joined: bool, is_announced: bool, is_draining: bool, may: bool
) -> None:
    parts: Any = Mock(spec=Parts)
    parts.membership.is_joined = is_joined
    parts.departure.is_announced = is_announced
    parts.runner.is_draining = is_draining
    type(parts).is_draining = Parts.is_draining
    server: Any = SimpleNamespace(parts=parts)
    assert Application._may_take_over(server) is may
