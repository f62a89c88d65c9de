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
from wireside.messages import Delta, End, Finished, Message, ModelRequest, Timing, Usage
from wireside.providers.scripted import ScriptedProvider
from wireside.records import Write

REQUEST = ModelRequest(model="m", messages=(Message.of_text("user", "?"),))


async def test_an_answer_is_written_and_read(runner: Runner, provider: ScriptedProvider) -> None:
    stream = runner.start_answer(REQUEST)
    call = await provider.call()
    call.say("Hel", "lo")
    call.finish(Finished("length", Usage(3, 2)))
    await stream.wait_ended()
    reader = stream.new_reader(1)
    assert reader.take_pieces() == [TextPiece("ello", 5)]
    assert reader.end == End("length", usage=Usage(3, 2))
    assert call.is_closed


async def test_an_answer_is_timed_from_its_question_on(
    runner: Runner, provider: ScriptedProvider, clock: HandClock
) -> None:
    stream = runner.start_answer(REQUEST)
    call = await provider.call()
    reader = stream.new_reader()
    clock.now += 2
    call.say("Hel")
    await reader.wait_for_news()
    clock.now += 5
    call.finish(Finished("stop"))
    await stream.wait_ended()
    assert stream.log.end is not None
    assert stream.log.end.timing == Timing(first_s=2.0, reasoning_s=None, total_s=7.0)


async def test_the_start_does_not_wait_for_the_model(
    runner: Runner, provider: ScriptedProvider
) -> None:
    stream = runner.start_answer(REQUEST)
    assert provider.calls == []
    assert runner.find_stream(stream.name) is stream


async def test_stop_is_told_after_the_upstream_is_closed(
    runner: Runner, provider: ScriptedProvider
) -> None:
    provider.may_close.clear()
    stream = runner.start_answer(REQUEST)
    call = await provider.call()
    call.say("kept")
    reader = stream.new_reader()
    await reader.wait_for_news()
    stream.stop_answer()
    for _ in range(5):
        await asyncio.sleep(0)
    assert stream.is_live
    assert not call.is_closed
    provider.may_close.set()
    await stream.wait_ended()
    assert call.is_closed
    assert reader.take_pieces() == [TextPiece("kept", 4)]
    assert reader.end == End("cancelled")


async def test_stop_before_the_first_step_ends_it_too(runner: Runner) -> None:
    stream = runner.start_answer(REQUEST)
    stream.stop_answer()
    await stream.wait_ended()
    assert stream.log.end == End("cancelled")
    assert runner.live_count == 0


async def test_stopping_twice_or_late_is_no_error(
    runner: Runner, provider: ScriptedProvider
) -> None:
    stream = runner.start_answer(REQUEST)
    (await provider.call()).finish()
    await stream.wait_ended()
    stream.stop_answer()
    assert stream.log.end == End("stop")


async def test_errors_of_the_provider_end_it_and_keep_the_text(
    runner: Runner, provider: ScriptedProvider
) -> None:
    stream = runner.start_answer(REQUEST)
    call = await provider.call()
    call.say("so far")
    call.fail(ProviderTimeout())
    await stream.wait_ended()
    assert stream.log.visible_text() == "so far"
    assert stream.log.end is not None
    assert isinstance(stream.log.end.error, ProviderTimeout)


async def test_a_fault_of_ours_is_told_without_details_and_harms_no_other(
    runner: Runner, provider: ScriptedProvider
) -> None:
    other = runner.start_answer(REQUEST)
    broken = runner.start_answer(REQUEST)
    (await provider.call(1)).fail(ZeroDivisionError("secret"))
    await broken.wait_ended()
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
    stream = runner.start_answer(REQUEST)
    await stream.wait_ended()
    assert stream.log.end == End("interrupted")


@pytest.mark.parametrize("limits", [RunnerLimits(streams=2)])
async def test_no_more_than_the_limit_at_once(runner: Runner, provider: ScriptedProvider) -> None:
    first = runner.start_answer(REQUEST)
    runner.start_answer(REQUEST)
    with pytest.raises(Overloaded):
        runner.start_answer(REQUEST)
    (await provider.call()).finish()
    await first.wait_ended()
    await asyncio.sleep(0)
    runner.start_answer(REQUEST)


@pytest.mark.parametrize("limits", [RunnerLimits(resume_window_s=600)])
async def test_finished_answers_stay_for_the_window(
    runner: Runner, provider: ScriptedProvider, clock: HandClock
) -> None:
    stream = runner.start_answer(REQUEST)
    (await provider.call()).finish()
    await stream.wait_ended()
    await asyncio.sleep(0)
    clock.now += 599
    assert runner.find_stream(stream.name) is stream
    clock.now += 1
    with pytest.raises(Expired):
        runner.find_stream(stream.name)
    with pytest.raises(NotFound):
        runner.find_stream("never-was")


@pytest.mark.parametrize("limits", [RunnerLimits(resume_window_chars=10)])
async def test_the_window_is_bounded_in_characters(
    runner: Runner, provider: ScriptedProvider
) -> None:
    streams = []
    for number in range(3):
        streams.append(runner.start_answer(REQUEST))
        call = await provider.call(number)
        call.say("12345")
        call.finish()
        await streams[-1].wait_ended()
        await asyncio.sleep(0)
    with pytest.raises(Expired):
        runner.find_stream(streams[0].name)
    assert runner.find_stream(streams[1].name)
    assert runner.find_stream(streams[2].name)


async def test_drain_waits_then_interrupts(runner: Runner, provider: ScriptedProvider) -> None:
    quick, slow = runner.start_answer(REQUEST), runner.start_answer(REQUEST)
    (await provider.call(0)).finish()
    call = await provider.call(1)
    call.say("kept")
    await runner.drain(0.05)
    assert quick.log.end == End("stop")
    assert slow.log.end == End("interrupted")
    assert slow.log.visible_text() == "kept"
    assert call.is_closed
    with pytest.raises(Overloaded):
        runner.start_answer(REQUEST)


async def test_names_are_unguessable_and_new(runner: Runner) -> None:
    names = {runner.start_answer(REQUEST).name for _ in range(200)}
    assert len(names) == 200
    assert all(len(name) >= 22 for name in names)  # 128 bits in base64


async def test_a_reader_beyond_the_head_is_refused(runner: Runner) -> None:
    with pytest.raises(BadOffset):
        runner.start_answer(REQUEST).new_reader(1)


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
    tasks.create_task(saving.write_until_cancelled(), name="group commit")
    runner = Runner(
        provider=provider,
        tasks=tasks,
        limits=RunnerLimits(resume_window_s=60),
        clock=clock,
        commits=saving,
    )
    stream = runner.start_answer(REQUEST, stored_as="s")
    call = await provider.call()
    call.say("twelve chars")
    call.finish()
    while runner.live_count:
        await asyncio.sleep(0)
    assert runner.kept_size == (1, 12)
    store.may_write.set()
    await stream.wait_ended()
    clock.now += 61
    while saving.is_pending(stream):
        await asyncio.sleep(0)
    runner.release_expired()
    assert runner.kept_size == (0, 0)


async def test_readers_that_follow_are_seen_with_what_they_have_not_taken(
    runner: Runner, provider: ScriptedProvider
) -> None:
    stream = runner.start_answer(REQUEST)
    call = await provider.call()
    quick, slow = stream.new_reader(0, lambda: None), stream.new_reader(0, lambda: None)
    call.say("one ", "two")
    await slow.wait_for_news()
    while slow.lag < 7:
        await asyncio.sleep(0)
    quick.take_pieces()
    assert sorted(runner.reader_lags()) == [0, 7]
    call.finish()
    await stream.wait_ended()
    assert sorted(runner.reader_lags()) == [0, 7]  # an answer that has ended may still be read
    slow.stop_reading()
    assert runner.reader_lags() == [0]
    quick.stop_reading()


async def test_abandoned_answers_end_at_what_is_stored(
    provider: ScriptedProvider, tasks: Tasks, clock: HandClock
) -> None:
    """The store has more of them, maybe: they are not found in memory any more."""
    store = BusyStore()
    saving = GroupCommit(store.commit, clock, is_strict=True)
    tasks.create_task(saving.write_until_cancelled(), name="group commit")
    runner = Runner(
        provider=provider, tasks=tasks, limits=RunnerLimits(), clock=clock, commits=saving
    )
    growing, ended = (runner.start_answer(REQUEST, stored_as=name) for name in ("growing", "ended"))
    unstored = runner.start_answer(REQUEST)
    calls = [await provider.call(number) for number in range(3)]
    for call in calls:
        call.say("text")
    calls[1].finish()
    while len(runner.live_streams) > 2:
        await asyncio.sleep(0)
    saving.abandon_writes()
    runner.abandon_stored()
    for stream in (growing, ended):
        assert (stream.log.head, stream.log.end) == (0, End("interrupted"))
        assert runner.stream_in_memory(stream.name) is None
    while not calls[0].is_closed:  # the model is not asked for the rest
        await asyncio.sleep(0)
    calls[2].finish()
    while runner.live_count:
        await asyncio.sleep(0)
    assert unstored.log.end is not None
    assert runner.stream_in_memory(unstored.name) is unstored
    assert runner.kept_size == (1, 4)


async def test_a_prepared_answer_is_found_before_it_starts(
    runner: Runner, provider: ScriptedProvider
) -> None:
    stream = runner.prepare_answer(REQUEST, owner="ada")
    assert runner.find_stream(stream.name, "ada") is stream
    assert (runner.live_count, provider.calls) == (0, [])
    runner.start_prepared(stream, REQUEST)
    (await provider.call()).finish()
    await stream.wait_ended()
    assert stream.log.end == End("stop")
    assert runner.find_stream(stream.name, "ada") is stream


async def test_a_prepared_answer_that_cannot_start_is_discarded(runner: Runner) -> None:
    stream, other = (runner.prepare_answer(REQUEST) for _ in range(2))
    runner.discard_prepared(other)
    await runner.drain(0.0)
    with pytest.raises(Overloaded):
        runner.start_prepared(stream, REQUEST)
    for one in (stream, other):
        assert one.log.end == End("interrupted")
        with pytest.raises(NotFound):
            runner.find_stream(one.name)
