"""Answers as tasks of the server: each ends once, can be cancelled, and is kept for the window."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence

import pytest

from tests.hand_clock import HandClock
from wireside.errors import BadOffset, Expired, NotFound, Overloaded, ProviderTimeout
from wireside.generation.commits import GroupCommit
from wireside.generation.log import TextPiece
from wireside.generation.runner import Runner, RunnerLimits
from wireside.generation.tasks import Tasks
from wireside.messages import Delta, End, Finished, Message, ModelRequest, Usage
from wireside.providers.scripted import ScriptedProvider
from wireside.records import Write

REQUEST = ModelRequest(model="m", messages=(Message.of_text("user", "?"),))


async def test_an_answer_is_written_and_read(runner: Runner, provider: ScriptedProvider) -> None:
    stream = runner.start(REQUEST)
    call = await provider.call()
    call.say("Hel", "lo")
    call.finish(Finished("length", Usage(3, 2)))
    await stream.ended()
    reader = stream.reader(1)
    assert reader.take() == [TextPiece("ello", 5)]
    assert reader.end == End("length", usage=Usage(3, 2))
    assert call.is_closed


async def test_the_start_does_not_wait_for_the_model(
    runner: Runner, provider: ScriptedProvider
) -> None:
    stream = runner.start(REQUEST)
    assert provider.calls == []
    assert runner.find(stream.name) is stream


async def test_stop_is_told_after_the_upstream_is_closed(
    runner: Runner, provider: ScriptedProvider
) -> None:
    provider.may_close.clear()
    stream = runner.start(REQUEST)
    call = await provider.call()
    call.say("kept")
    reader = stream.reader()
    await reader.wait()
    stream.stop()
    for _ in range(5):
        await asyncio.sleep(0)
    assert stream.is_live
    assert not call.is_closed
    provider.may_close.set()
    await stream.ended()
    assert call.is_closed
    assert reader.take() == [TextPiece("kept", 4)]
    assert reader.end == End("cancelled")


async def test_stop_before_the_first_step_ends_it_too(runner: Runner) -> None:
    stream = runner.start(REQUEST)
    stream.stop()
    await stream.ended()
    assert stream.log.end == End("cancelled")
    assert runner.live == 0


async def test_stopping_twice_or_late_is_no_error(
    runner: Runner, provider: ScriptedProvider
) -> None:
    stream = runner.start(REQUEST)
    (await provider.call()).finish()
    await stream.ended()
    stream.stop()
    assert stream.log.end == End("stop")


async def test_errors_of_the_provider_end_it_and_keep_the_text(
    runner: Runner, provider: ScriptedProvider
) -> None:
    stream = runner.start(REQUEST)
    call = await provider.call()
    call.say("so far")
    call.fail(ProviderTimeout())
    await stream.ended()
    assert stream.log.text() == "so far"
    assert stream.log.end is not None
    assert isinstance(stream.log.end.error, ProviderTimeout)


async def test_a_fault_of_ours_is_told_without_details_and_harms_no_other(
    runner: Runner, provider: ScriptedProvider
) -> None:
    other = runner.start(REQUEST)
    broken = runner.start(REQUEST)
    (await provider.call(1)).fail(ZeroDivisionError("secret"))
    await broken.ended()
    assert broken.log.end is not None
    error = broken.log.end.error
    assert error is not None
    assert error.code == "internal"
    assert "secret" not in str(error)
    assert other.is_live


async def test_a_provider_that_stops_without_a_word_is_no_success(
    tasks: Tasks, clock: HandClock, saving: GroupCommit
) -> None:
    class Silent(ScriptedProvider):
        async def stream(self, request: ModelRequest) -> AsyncGenerator[Delta, None]:
            return
            yield

    runner = Runner(
        provider=Silent(), tasks=tasks, limits=RunnerLimits(), clock=clock, commits=saving
    )
    stream = runner.start(REQUEST)
    await stream.ended()
    assert stream.log.end == End("interrupted")


@pytest.mark.parametrize("limits", [RunnerLimits(streams=2)])
async def test_no_more_than_the_limit_at_once(runner: Runner, provider: ScriptedProvider) -> None:
    first = runner.start(REQUEST)
    runner.start(REQUEST)
    with pytest.raises(Overloaded):
        runner.start(REQUEST)
    (await provider.call()).finish()
    await first.ended()
    await asyncio.sleep(0)
    runner.start(REQUEST)


@pytest.mark.parametrize("limits", [RunnerLimits(resume_window_s=600)])
async def test_finished_answers_stay_for_the_window(
    runner: Runner, provider: ScriptedProvider, clock: HandClock
) -> None:
    stream = runner.start(REQUEST)
    (await provider.call()).finish()
    await stream.ended()
    await asyncio.sleep(0)
    clock.now += 599
    assert runner.find(stream.name) is stream
    clock.now += 1
    with pytest.raises(Expired):
        runner.find(stream.name)
    with pytest.raises(NotFound):
        runner.find("never-was")


@pytest.mark.parametrize("limits", [RunnerLimits(resume_window_chars=10)])
async def test_the_window_is_bounded_in_characters(
    runner: Runner, provider: ScriptedProvider
) -> None:
    streams = []
    for number in range(3):
        streams.append(runner.start(REQUEST))
        call = await provider.call(number)
        call.say("12345")
        call.finish()
        await streams[-1].ended()
        await asyncio.sleep(0)
    with pytest.raises(Expired):
        runner.find(streams[0].name)
    assert runner.find(streams[1].name)
    assert runner.find(streams[2].name)


async def test_drain_waits_then_interrupts(runner: Runner, provider: ScriptedProvider) -> None:
    quick, slow = runner.start(REQUEST), runner.start(REQUEST)
    (await provider.call(0)).finish()
    call = await provider.call(1)
    call.say("kept")
    await runner.drain(0.05)
    assert quick.log.end == End("stop")
    assert slow.log.end == End("interrupted")
    assert slow.log.text() == "kept"
    assert call.is_closed
    with pytest.raises(Overloaded):
        runner.start(REQUEST)


async def test_names_are_unguessable_and_new(runner: Runner) -> None:
    names = {runner.start(REQUEST).name for _ in range(200)}
    assert len(names) == 200
    assert all(len(name) >= 22 for name in names)  # 128 bits in base64


async def test_a_reader_beyond_the_head_is_refused(runner: Runner) -> None:
    with pytest.raises(BadOffset):
        runner.start(REQUEST).reader(1)


class BusyStore:
    """Writes nothing until the test says so."""

    def __init__(self) -> None:
        self.may_write = asyncio.Event()

    async def commit(self, writes: Sequence[Write]) -> Sequence[bool]:
        await self.may_write.wait()
        return [True] * len(writes)


async def test_characters_that_are_kept_are_counted_also_where_the_store_is_late(
    provider: ScriptedProvider, tasks: Tasks, clock: HandClock
) -> None:
    store = BusyStore()
    saving = GroupCommit(store.commit, clock)
    tasks.create_task(saving.run(), name="group commit")
    runner = Runner(
        provider=provider,
        tasks=tasks,
        limits=RunnerLimits(resume_window_s=60),
        clock=clock,
        commits=saving,
    )
    stream = runner.start(REQUEST, stored_as="s")
    call = await provider.call()
    call.say("twelve chars")
    call.finish()
    while runner.live:
        await asyncio.sleep(0)
    assert runner.kept == (1, 12)
    store.may_write.set()
    await stream.ended()
    clock.now += 61
    while saving.is_pending(stream):
        await asyncio.sleep(0)
    runner.expire()
    assert runner.kept == (0, 0)


async def test_readers_that_follow_are_seen_with_what_they_have_not_taken(
    runner: Runner, provider: ScriptedProvider
) -> None:
    stream = runner.start(REQUEST)
    call = await provider.call()
    quick, slow = stream.reader(0, lambda: None), stream.reader(0, lambda: None)
    call.say("one ", "two")
    await slow.wait()
    while slow.lag < 7:
        await asyncio.sleep(0)
    quick.take()
    assert sorted(runner.lags()) == [0, 7]
    call.finish()
    await stream.ended()
    assert sorted(runner.lags()) == [0, 7]  # an answer that has ended may still be read
    slow.close()
    assert runner.lags() == [0]
    quick.close()
