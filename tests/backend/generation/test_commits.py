"""Group commit: clients see only what the store has, unless the store fails."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence

import pytest
from structlog.testing import capture_logs

from tests.hand_clock import HandClock
from wireside.errors import Conflict, Fenced, InternalError, NotStorable, Overloaded, StoreError
from wireside.generation.commits import CommitTimes, GroupCommit
from wireside.generation.log import TextPiece
from wireside.generation.runner import Stream
from wireside.messages import End, TextDelta
from wireside.ports.observer import NullObserver
from wireside.records import Tail, TurnWithdrawn, Write, WriteResult

QUICK = CommitTimes(retry_s=0.01, max_retry_s=0.02)


class SlowStore:
    """Completes a write when the test says so, or fails."""

    def __init__(self) -> None:
        self.batches: list[list[Tail]] = []
        self.order: list[str] = []
        """What was written, by its name."""
        self.may_write = asyncio.Event()
        self.may_write.set()
        self.fails: Exception | None = None

    async def commit(self, writes: Sequence[Write]) -> Sequence[bool]:
        await self.may_write.wait()
        if self.fails:
            raise self.fails
        tails = [write for write in writes if isinstance(write, Tail)]
        if tails:
            self.batches.append(tails)
        for write in writes:
            self.order.append(name_of(write))
        return [name_of(write) != "refused" for write in writes]

    def text(self, stream: Stream) -> str:
        """The stored text of a stream; asserts that its tails have neither gaps nor overlaps.

        The last one, with the end, has the whole text again.
        """
        text = ""
        for tail in (t for batch in self.batches for t in batch if t.stream == stream.name):
            new = "".join(e.text for e in tail.entries if isinstance(e, TextDelta))
            if tail.end is None:
                assert tail.offset == len(text)
                text += new
            else:
                assert tail.offset == 0
                assert new.startswith(text)
                text = new
        return text

    def end(self, stream: Stream) -> End | None:
        return next(
            (t.end for b in self.batches for t in b if t.stream == stream.name and t.end), None
        )


@pytest.fixture
def store() -> SlowStore:
    return SlowStore()


@pytest.fixture
async def commits(store: SlowStore) -> AsyncIterator[GroupCommit]:
    commits = GroupCommit(store.commit, time.monotonic, times=QUICK)
    task = asyncio.create_task(commits.write_until_cancelled())
    yield commits
    task.cancel()
    await asyncio.wait([task])


def question(name: str) -> Write:
    """A queued write with a name."""
    return TurnWithdrawn(conversation_id="c", turn_id=name, branches=(), shown=0)


def name_of(write: Write) -> str:
    """The name of a queued write, or of the stream of a tail."""
    if isinstance(write, TurnWithdrawn):
        return write.turn_id
    assert isinstance(write, Tail)
    return write.stream


def say(stream: Stream, text: str) -> None:
    stream.log.append_entry(TextDelta(text))
    stream._announce()


async def read_all(stream: Stream) -> str:
    reader = stream.new_reader()
    text = ""
    while reader.end is None:
        await reader.wait_for_news()
        text += "".join(
            piece.text for piece in reader.take_pieces() if isinstance(piece, TextPiece)
        )
    return text


async def test_readers_see_what_is_stored_and_no_more(
    store: SlowStore, commits: GroupCommit
) -> None:
    stream = Stream("s", "m", commits=commits)
    store.may_write.clear()
    say(stream, "one")
    await asyncio.sleep(0)
    assert (stream.log.written, stream.log.head) == (3, 0)
    store.may_write.set()
    reader = stream.new_reader()
    await reader.wait_for_news()
    assert reader.take_pieces() == [TextPiece("one", 3)]
    assert store.text(stream) == "one"


async def test_the_end_is_told_when_it_is_stored(store: SlowStore, commits: GroupCommit) -> None:
    stream = Stream("s", "m", commits=commits)
    store.may_write.clear()
    say(stream, "all")
    stream._close_log(End("stop"))
    await asyncio.sleep(0)
    assert stream.is_live
    store.may_write.set()
    assert await read_all(stream) == "all"
    assert stream.log.end == End("stop") == store.end(stream)
    assert await commits.wait_until_all_stored(5)
    assert not commits.is_pending(stream)


async def test_an_end_during_a_commit_waits_for_the_next_one(store: SlowStore) -> None:
    permits = asyncio.Semaphore(0)

    async def commit(writes: Sequence[Write]) -> Sequence[bool]:
        await permits.acquire()
        return await store.commit(writes)

    commits = GroupCommit(commit, time.monotonic)
    task = asyncio.create_task(commits.write_until_cancelled())
    stream = Stream("s", "m", commits=commits)
    say(stream, "text")
    await asyncio.sleep(0.01)
    stream._close_log(End("stop"))
    permits.release()
    reader = stream.new_reader()
    await reader.wait_for_news()
    assert reader.take_pieces() == [TextPiece("text", 4)]
    assert (reader.end, store.end(stream)) == (None, None)
    permits.release()
    await stream.wait_ended()
    assert stream.log.end == End("stop") == store.end(stream)
    assert stream.is_saved
    task.cancel()
    await asyncio.wait([task])


async def test_what_comes_during_a_commit_is_in_the_next_one(
    store: SlowStore, commits: GroupCommit
) -> None:
    streams = [Stream(f"s{n}", "m", commits=commits) for n in range(3)]
    store.may_write.clear()
    say(streams[0], "a")
    await asyncio.sleep(0.01)
    for stream in streams:
        say(stream, "b")
        stream._close_log(End("stop"))
    store.may_write.set()
    assert [await read_all(stream) for stream in streams] == ["ab", "b", "b"]
    assert [len(batch) for batch in store.batches] == [1, 3]


async def test_a_store_that_fails_stops_no_answer(store: SlowStore, commits: GroupCommit) -> None:
    told: list[bool] = []
    commits.bell.add_listener("test", lambda: told.append(commits.is_behind))
    stream = Stream("s", "m", commits=commits)
    store.fails = StoreError()
    say(stream, "kept in ")
    stream.log.append_entry(TextDelta("memory"))
    stream._close_log(End("stop"))
    assert await read_all(stream) == "kept in memory"
    assert commits.is_behind
    assert not await commits.wait_until_all_stored(0.05)
    store.fails = None
    assert await commits.wait_until_all_stored(5)
    assert store.text(stream) == "kept in memory"
    assert store.end(stream) == End("stop")
    assert told == [True, False]


async def test_a_slow_store_delays_readers(store: SlowStore, commits: GroupCommit) -> None:
    stream = Stream("s", "m", commits=commits)
    store.may_write.clear()
    say(stream, "text")
    stream._close_log(End("stop"))
    reader = stream.new_reader()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.1):
            await reader.wait_for_news()
    assert not commits.is_behind
    assert stream.is_live
    store.may_write.set()
    assert await read_all(stream) == store.text(stream) == "text"


async def test_a_write_that_does_not_end_counts_as_failed(store: SlowStore) -> None:
    commits = GroupCommit(store.commit, time.monotonic, times=CommitTimes(stall_s=0.01))
    task = asyncio.create_task(commits.write_until_cancelled())
    stream = Stream("s", "m", commits=commits)
    store.may_write.clear()
    say(stream, "now")
    reader = stream.new_reader()
    await reader.wait_for_news()
    assert commits.is_behind
    say(stream, " and at once")
    assert (
        "".join(p.text for p in reader.take_pieces() if isinstance(p, TextPiece))
        == "now and at once"
    )
    await commits.commit_writes(question("begin"))  # accepted from memory
    other = Stream("other", "m", commits=commits)
    say(other, "later")
    store.may_write.set()
    assert await commits.wait_until_all_stored(5)
    assert store.text(stream) == "now and at once"
    assert store.text(other) == "later"
    assert store.order.index("begin") < store.order.index("other")
    assert not commits.is_behind
    task.cancel()
    await asyncio.wait([task])


async def test_queued_writes_are_performed_before_their_answers(store: SlowStore) -> None:
    """Also if they were accepted from memory while a write of tails did not end."""
    commits = GroupCommit(store.commit, time.monotonic, times=CommitTimes(stall_s=0.01))
    task = asyncio.create_task(commits.write_until_cancelled())
    first = Stream("first", "m", commits=commits)
    store.may_write.clear()
    say(first, "text")
    await first.new_reader().wait_for_news()
    names = [f"s{n}" for n in range(100)]

    for name in names:  # more than are written in one commit
        await commits.commit_writes(question(f"begin {name}"))
        say(Stream(name, "m", commits=commits), "text")
    store.may_write.set()
    assert await commits.wait_until_all_stored(20)
    for name in names:
        assert store.order.index(f"begin {name}") < store.order.index(name)
    task.cancel()
    await asyncio.wait([task])


async def test_new_questions_delay_no_answer_and_are_refused_in_time(store: SlowStore) -> None:
    async def slowly(writes: Sequence[Write]) -> Sequence[bool]:
        await asyncio.sleep(0.01 * sum(not isinstance(write, Tail) for write in writes))
        return await store.commit(writes)

    commits = GroupCommit(slowly, time.monotonic, times=CommitTimes(max_delay_s=0.5))
    task = asyncio.create_task(commits.write_until_cancelled())
    refused: list[Overloaded] = []

    async def ask(number: int) -> None:
        try:
            await commits.commit_writes(question(str(number)), refusable=True)
        except Overloaded as error:
            refused.append(error)

    questions = [asyncio.create_task(ask(n)) for n in range(2000)]
    await asyncio.sleep(0)
    stream = Stream("s", "m", commits=commits)
    say(stream, "text")
    await stream.new_reader().wait_for_news()
    assert store.text(stream) == "text"
    assert len(store.order) < 20  # of more than a hundred that were accepted
    say(stream, " and more")
    await stream.new_reader(len("text")).wait_for_news()
    assert store.text(stream) == "text and more"
    assert len(store.order) + len(refused) < len(questions)  # others still wait
    await asyncio.wait(questions)
    assert refused
    done = [int(name) for name in store.order if name != "s"]
    assert done == sorted(done)
    assert len(done) + len(refused) == 2000
    assert all(error.retry_after for error in refused)
    assert await commits.wait_until_all_stored(5)
    await commits.commit_writes(question("now"), refusable=True)
    task.cancel()
    await asyncio.wait([task])


async def test_questions_and_tails_share_a_commit(store: SlowStore, commits: GroupCommit) -> None:
    store.may_write.clear()
    first = Stream("first", "m", commits=commits)
    say(first, "text")
    await asyncio.sleep(0.01)
    say(first, " and more")
    asking = asyncio.gather(
        commits.commit_writes(question("a"), question("b")), commits.commit_writes(question("c"))
    )
    await asyncio.sleep(0)
    store.may_write.set()
    assert all(await asking)
    assert store.order == ["first", "a", "b", "c", "first"]
    assert [len(batch) for batch in store.batches] == [1, 1]
    assert store.text(first) == "text and more"


async def test_the_pause_between_commits_follows_their_duration(store: SlowStore) -> None:
    """An answer alone is not delayed. A queued write ends the pause."""
    clock = HandClock()
    commit_s = 0.0

    async def commit(writes: Sequence[Write]) -> Sequence[bool]:
        clock.now += commit_s
        return await store.commit(writes)

    commits = GroupCommit(commit, clock, times=CommitTimes(max_pause_s=60))
    task = asyncio.create_task(commits.write_until_cancelled())
    stream = Stream("s", "m", commits=commits)
    for _ in range(5):
        say(stream, "token ")
        assert await commits.wait_until_all_stored(5)
    assert len(store.batches) == 5
    commit_s = 40.0
    say(stream, "last ")
    assert await commits.wait_until_all_stored(5)
    say(stream, "word")
    assert not await commits.wait_until_all_stored(0.05)
    assert await commits.commit_writes(question("a"))
    assert await commits.wait_until_all_stored(5)
    assert len(store.batches) == 7
    assert store.text(stream) == 5 * "token " + "last word"
    task.cancel()
    await asyncio.wait([task])


async def test_tails_share_a_commit_however_fast_the_store_is(store: SlowStore) -> None:
    """On a fast disk, each token of many answers would else be a commit of its own."""
    commits = GroupCommit(store.commit, HandClock(), times=CommitTimes(min_pause_s=0.2))
    task = asyncio.create_task(commits.write_until_cancelled())
    streams = [Stream(f"s{number}", "m", commits=commits) for number in range(3)]
    for stream in streams:
        say(stream, "first")
    assert await commits.wait_until_all_stored(5)
    for stream in streams:
        say(stream, "token")
        await asyncio.sleep(0.001)
    assert await commits.wait_until_all_stored(5)
    assert [len(batch) for batch in store.batches] == [3, 3]
    task.cancel()
    await asyncio.wait([task])


async def test_a_write_that_stalls_after_many_quick_ones_is_noticed(store: SlowStore) -> None:
    commits = GroupCommit(store.commit, time.monotonic, times=CommitTimes(stall_s=0.05))
    task = asyncio.create_task(commits.write_until_cancelled())
    stream = Stream("s", "m", commits=commits)
    for _ in range(10):
        say(stream, "token ")
        assert await commits.wait_until_all_stored(5)
        await asyncio.sleep(0.01)
    assert not commits.is_behind
    store.may_write.clear()
    say(stream, "last")
    async with asyncio.timeout(10):
        await stream.new_reader(10 * len("token ")).wait_for_news()
    assert commits.is_behind
    store.may_write.set()
    task.cancel()
    await asyncio.wait([task])


async def test_tails_that_become_due_during_a_commit_are_written_after_it(
    store: SlowStore, commits: GroupCommit
) -> None:
    stream = Stream("s", "m", commits=commits)
    store.may_write.clear()
    say(stream, "one, ")
    await asyncio.sleep(0.05)
    store.may_write.set()  # the next tails are due after a pause
    await stream.new_reader().wait_for_news()
    store.may_write.clear()
    asking = asyncio.create_task(commits.commit_writes(question("q")))
    await asyncio.sleep(0)
    await asyncio.sleep(0)  # the commit of the question is in progress
    say(stream, "two")
    await asyncio.sleep(0.1)
    store.may_write.set()
    await asking
    async with asyncio.timeout(10):
        await stream.new_reader(len("one, ")).wait_for_news()
    assert store.text(stream) == "one, two"


async def test_after_finish_nothing_is_written(store: SlowStore, commits: GroupCommit) -> None:
    stream = Stream("s", "m", commits=commits)
    store.fails = StoreError()
    say(stream, "text")
    assert not await commits.finish_writing(0.01, write_s=30)
    store.fails = None
    assert not await commits.wait_until_all_stored(0.1)
    assert store.batches == []


async def test_finish_waits_for_a_write_in_progress(store: SlowStore, commits: GroupCommit) -> None:
    stream = Stream("s", "m", commits=commits)
    store.may_write.clear()
    say(stream, "text")
    asyncio.get_running_loop().call_later(0.1, store.may_write.set)
    assert await commits.finish_writing(0.01, write_s=30)
    assert store.text(stream) == "text"


async def test_what_is_not_saved_in_the_end_is_logged(
    store: SlowStore, commits: GroupCommit
) -> None:
    streams = [Stream(name, "m", commits=commits) for name in "ab"]
    store.fails = StoreError()
    for stream in streams:
        say(stream, "text")

    asked = asyncio.create_task(commits.commit_writes(question("waits")))
    with capture_logs() as logs:
        assert not await commits.finish_writing(0.05, write_s=0.05)
    store.fails = None
    asked.cancel()
    assert logs[-1] == {
        "event": "not_saved",
        "log_level": "error",
        "answers": 2,
        "writes": 1,
        "write_in_progress": False,
    }


async def test_a_write_that_does_not_end_is_logged_as_uncertain(
    store: SlowStore, commits: GroupCommit
) -> None:
    store.may_write.clear()
    say(Stream("s", "m", commits=commits), "text")
    with capture_logs() as logs:
        assert not await commits.finish_writing(0.05, write_s=0.05)
    assert logs[-1]["write_in_progress"]
    store.may_write.set()


async def test_a_fault_of_ours_leaves_no_reader_waiting(
    store: SlowStore, commits: GroupCommit
) -> None:
    stream = Stream("s", "m", commits=commits)
    store.fails = RuntimeError("a fault")
    say(stream, "text")
    reader = stream.new_reader()
    await reader.wait_for_news()
    store.fails = None
    assert await commits.wait_until_all_stored(5)
    assert store.text(stream) == "text"


async def test_writes_wait_in_order_before_what_depends_on_them(
    store: SlowStore, commits: GroupCommit
) -> None:
    store.fails = StoreError()
    assert await commits.commit_writes(question("turn"))
    assert await commits.commit_writes(question("refused"))  # it is not known yet
    assert await commits.commit_writes(question("stream"))
    stream = Stream("s", "m", commits=commits)
    say(stream, "text")
    assert store.order == []
    store.fails = None
    assert await commits.wait_until_all_stored(5)
    assert store.order == ["turn", "refused", "stream", "s"]
    assert store.text(stream) == "text"
    assert await commits.commit_writes(question("now"))
    assert not await commits.commit_writes(question("refused"))
    assert not await commits.commit_writes(question("refused"), question("after"))


async def test_a_conflict_refuses_the_writes_of_its_caller_alone() -> None:
    async def commit(writes: Sequence[Write]) -> Sequence[WriteResult]:
        return [None if name_of(write) == "late" else True for write in writes]

    commits = GroupCommit(commit, time.monotonic)
    writing = asyncio.create_task(commits.write_until_cancelled())
    outcomes = await asyncio.gather(
        commits.commit_writes(question("one")),
        commits.commit_writes(question("late"), question("after")),
        commits.commit_writes(question("two")),
        return_exceptions=True,
    )
    writing.cancel()
    assert (outcomes[0], type(outcomes[1]), outcomes[2]) == (True, Conflict, True)


async def test_a_fault_of_one_write_refuses_no_other(store: SlowStore) -> None:
    async def commit(writes: Sequence[Write]) -> Sequence[bool]:
        if any(name_of(write) == "faulty" for write in writes):
            raise RuntimeError("a fault")
        return await store.commit(writes)

    commits = GroupCommit(commit, time.monotonic)
    task = asyncio.create_task(commits.write_until_cancelled())
    stream = Stream("s", "m", commits=commits)
    say(stream, "text")
    names = ["one", "faulty", "two"]
    results = await asyncio.gather(
        *(commits.commit_writes(question(name)) for name in names), return_exceptions=True
    )
    assert (results[0], results[2]) == (True, True)
    assert isinstance(results[1], RuntimeError)
    assert await commits.wait_until_all_stored(5)
    assert [name for name in store.order if name != "s"] == ["one", "two"]
    assert store.text(stream) == "text"
    assert not commits.is_behind
    task.cancel()
    await asyncio.wait([task])


async def begin_faulty(
    store: SlowStore, fault: Exception
) -> tuple[GroupCommit, asyncio.Task[None]]:
    """A group commit of a store that never takes the text "faulty"."""

    async def commit(writes: Sequence[Write]) -> Sequence[bool]:
        tails = [write for write in writes if isinstance(write, Tail)]
        if any(entry == TextDelta("faulty") for tail in tails for entry in tail.entries):
            raise fault
        return await store.commit(writes)

    commits = GroupCommit(commit, time.monotonic, times=QUICK)
    return commits, asyncio.create_task(commits.write_until_cancelled())


FAULTS = [NotStorable(), OverflowError("too large")]


@pytest.mark.parametrize("fault", FAULTS, ids=["refused by the store", "raised before"])
async def test_a_tail_that_can_not_be_stored_ends_its_answer_alone(
    store: SlowStore, fault: Exception
) -> None:
    commits, task = await begin_faulty(store, fault)
    streams = [Stream(f"s{number}", "m", commits=commits) for number in range(7)]
    bad = streams[3]
    say(bad, "stored, ")
    await commits.wait_until_stream_stored(bad)
    with capture_logs() as logs:
        for stream in streams:
            say(stream, "faulty" if stream is bad else "text")
        assert await commits.commit_writes(question("asked"))
        assert await read_all(bad) == "stored, "
    assert [(entry["event"], entry["stream"]) for entry in logs] == [("answer_not_storable", "s3")]
    assert bad.log.end is not None
    assert isinstance(bad.log.end.error, InternalError)
    assert store.end(bad) == bad.log.end
    assert bad.is_saved
    for stream in streams:
        if stream is not bad:
            say(stream, " and more")
            stream._close_log(End("stop"))
            assert await read_all(stream) == store.text(stream) == "text and more"
    assert not commits.is_behind
    assert await commits.wait_until_all_stored(5)
    task.cancel()
    await asyncio.wait([task])


async def test_an_end_that_can_not_be_stored_is_another_one(store: SlowStore) -> None:
    commits, task = await begin_faulty(store, NotStorable())
    stream = Stream("s", "m", commits=commits)
    stream.log.append_entry(TextDelta("faulty"))
    stream._close_log(End("stop"))
    assert await read_all(stream) == ""
    assert stream.log.end is not None
    assert stream.log.end.error is not None
    assert store.end(stream) == stream.log.end
    assert await commits.wait_until_all_stored(5)
    task.cancel()
    await asyncio.wait([task])


async def test_what_was_shown_from_memory_and_can_not_be_stored_is_not_saved(
    store: SlowStore,
) -> None:
    commits, task = await begin_faulty(store, StoreError())
    stream = Stream("s", "m", commits=commits)
    say(stream, "faulty")
    await stream.new_reader().wait_for_news()
    assert commits.is_behind
    task.cancel()
    await asyncio.wait([task])
    commits._commit = _refuse_entries
    task = asyncio.create_task(commits.write_until_cancelled())
    assert await read_all(stream) == "faulty"
    assert await commits.wait_until_all_stored(5)
    assert not commits.is_behind
    assert not stream.is_saved
    task.cancel()
    await asyncio.wait([task])


async def _refuse_entries(writes: Sequence[Write]) -> Sequence[bool]:
    if any(isinstance(write, Tail) and write.entries for write in writes):
        raise NotStorable
    return [True for _ in writes]


async def test_a_faulty_answer_stops_its_model(store: SlowStore) -> None:
    commits, task = await begin_faulty(store, NotStorable())
    is_closed = asyncio.Event()

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            is_closed.set()

    stream = Stream("s", "m", commits=commits)
    stream._attach_task(asyncio.create_task(work()))
    await asyncio.sleep(0)
    say(stream, "faulty")
    async with asyncio.timeout(5):
        await is_closed.wait()
        await stream.wait_ended()
    assert await commits.wait_until_all_stored(5)
    task.cancel()
    await asyncio.wait([task])


class Noting(NullObserver):
    """Notes what a watcher receives."""

    def __init__(self) -> None:
        self.commits: list[tuple[int, int]] = []
        self.failures = 0

    def committed(self, seconds: float, streams: int, length: int) -> None:
        assert seconds >= 0
        self.commits.append((streams, length))

    def commit_failed(self) -> None:
        self.failures += 1


async def test_who_looks_on_is_told_what_was_kept_and_what_waits(store: SlowStore) -> None:
    noted = Noting()
    commits = GroupCommit(store.commit, time.monotonic, noted, times=QUICK)
    task = asyncio.create_task(commits.write_until_cancelled())
    streams = [Stream(name, "m", commits=commits) for name in "ab"]
    store.fails = StoreError()
    for stream in streams:
        say(stream, "12345")
    while not noted.failures:
        await asyncio.sleep(0)
    backlog = commits.backlog
    assert (backlog.streams, backlog.length) == (2, 10)
    await asyncio.sleep(0.02)
    assert commits.backlog.behind_s > 0
    store.fails = None
    for stream in streams:
        await commits.wait_until_stream_stored(stream)
    assert noted.commits == [(2, 10)]
    assert commits.backlog.streams == commits.backlog.length == 0
    while commits.is_behind:
        await asyncio.sleep(0)
    assert commits.backlog.behind_s == 0
    task.cancel()
    await asyncio.wait([task])


# ---- one of several servers ----------------------------------------------------------------------


@pytest.fixture
async def strict(store: SlowStore) -> AsyncIterator[GroupCommit]:
    times = CommitTimes(retry_s=0.01, max_retry_s=0.02, stall_s=0.05)
    commits = GroupCommit(
        store.commit,
        time.monotonic,
        times=times,
        is_strict=True,
        on_fenced=lambda: store.order.append("fenced"),
    )
    task = asyncio.create_task(commits.write_until_cancelled())
    yield commits
    task.cancel()
    await asyncio.wait([task])


@pytest.mark.parametrize("fails", [True, False], ids=["fails", "does not end"])
async def test_a_strict_one_shows_nothing_that_is_not_committed(
    store: SlowStore, strict: GroupCommit, fails: bool
) -> None:
    stream = Stream("s", "m", commits=strict)
    store.fails = StoreError() if fails else None
    if not fails:
        store.may_write.clear()
    say(stream, "held")
    asked = asyncio.create_task(strict.commit_writes(question("asked")))
    async with asyncio.timeout(20):
        while not strict.is_behind:
            await asyncio.sleep(0.01)
    say(stream, " back")
    stream._close_log(End("stop"))
    with pytest.raises(Overloaded) as refused:
        await strict.commit_writes(question("late"), refusable=True)
    assert refused.value.retryable
    await asyncio.sleep(0.1)  # several attempts
    assert (stream.log.head, stream.log.end, asked.done()) == (0, None, False)
    store.fails = None
    store.may_write.set()
    assert await read_all(stream) == store.text(stream) == "held back"
    assert await asked
    assert await strict.wait_until_all_stored(20)
    assert not strict.is_behind


async def test_a_fenced_one_gives_up_what_waits(store: SlowStore, strict: GroupCommit) -> None:
    stream = Stream("s", "m", commits=strict)
    say(stream, "kept")
    await stream.new_reader().wait_for_news()
    store.may_write.clear()
    store.fails = Fenced()
    say(stream, " lost")
    asked = asyncio.create_task(strict.commit_writes(question("asked")))
    await asyncio.sleep(0)
    store.may_write.set()
    with pytest.raises(Fenced):
        await asked
    assert store.order.count("fenced") == 1
    assert (stream.log.head, strict.backlog.streams, strict.is_behind) == (4, 0, False)
    stream.abandon()
    assert await read_all(stream) == "kept"
    store.fails = None  # it has joined again, and writes for new answers only
    assert await strict.commit_writes(question("new"))
    assert store.text(stream) == "kept"


async def test_a_commit_that_ends_after_the_removal_shows_nothing(
    store: SlowStore, strict: GroupCommit
) -> None:
    """Whether it was refused or not: the answer has ended here, and goes on from the store."""
    stream = Stream("s", "m", commits=strict)
    store.may_write.clear()
    say(stream, "text")
    asked = asyncio.create_task(strict.commit_writes(question("asked")))
    await asyncio.sleep(0.01)
    strict.abandon_writes()
    stream.abandon()
    store.may_write.set()
    with pytest.raises(Fenced):
        await asked
    assert await strict.commit_writes(question("new"))
    assert (stream.log.head, stream.log.end) == (0, End("interrupted"))
    assert await strict.wait_until_all_stored(20)


async def test_a_fault_at_the_fence_does_not_end_the_writer(
    store: SlowStore, strict: GroupCommit
) -> None:
    def fail() -> None:
        raise RuntimeError

    strict._on_fenced = fail
    store.fails = Fenced()
    with pytest.raises(Fenced):
        await strict.commit_writes(question("asked"))
    store.fails = None
    async with asyncio.timeout(20):
        assert await strict.commit_writes(question("new"))


async def test_a_fence_while_a_fault_is_isolated_leaves_later_writes_alone(
    store: SlowStore,
) -> None:
    """The halves of a batch that was given up must not take the place of what is queued now."""
    is_isolating, may_go_on = asyncio.Event(), asyncio.Event()
    commits_of: list[list[str]] = []

    async def commit(writes: Sequence[Write]) -> Sequence[bool]:
        commits_of.append([name_of(write) for write in writes])
        if "faulty" in commits_of[-1]:
            raise RuntimeError("a fault")
        if commits_of[-1] == ["one"]:
            is_isolating.set()
            await may_go_on.wait()
        return await store.commit(writes)

    commits = GroupCommit(commit, time.monotonic, is_strict=True)
    task = asyncio.create_task(commits.write_until_cancelled())
    given_up = [
        asyncio.create_task(commits.commit_writes(question(name))) for name in ("one", "faulty")
    ]
    async with asyncio.timeout(20):
        await is_isolating.wait()
        commits.abandon_writes()
        later = asyncio.create_task(commits.commit_writes(question("later")))
        await asyncio.sleep(0)
        may_go_on.set()
        for one in given_up:
            with pytest.raises(Fenced):
                await one
        assert await later
    assert commits_of[-1] == ["later"]
    assert ["faulty"] not in commits_of
    task.cancel()
    await asyncio.wait([task])
