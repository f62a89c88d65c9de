"""Group commit: clients see only what the store has, unless the store fails."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence

import pytest

from wireside.errors import BadMessage, StoreError
from wireside.generation import commits as commits_module
from wireside.generation.commits import GroupCommit
from wireside.generation.log import TextPiece
from wireside.generation.runner import Stream
from wireside.messages import End, TextDelta
from wireside.ports.observer import NullObserver
from wireside.records import Tail


class SlowStore:
    """Completes a write when the test says so, or fails."""

    def __init__(self) -> None:
        self.batches: list[list[Tail]] = []
        self.may_write = asyncio.Event()
        self.may_write.set()
        self.fails: Exception | None = None

    async def write(self, tails: Sequence[Tail]) -> None:
        await self.may_write.wait()
        if self.fails:
            raise self.fails
        self.batches.append(list(tails))

    def text(self, stream: Stream) -> str:
        """The stored text of a stream; asserts that its tails have neither gaps nor overlaps."""
        text = ""
        for tail in (t for batch in self.batches for t in batch if t.stream == stream.name):
            assert tail.offset == len(text)
            text += "".join(e.text for e in tail.entries if isinstance(e, TextDelta))
        return text

    def end(self, stream: Stream) -> End | None:
        return next(
            (t.end for b in self.batches for t in b if t.stream == stream.name and t.end), None
        )


@pytest.fixture
def store() -> SlowStore:
    return SlowStore()


@pytest.fixture
async def commits(store: SlowStore, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[GroupCommit]:
    monkeypatch.setattr(commits_module, "LOOK_AGAIN_S", (0.01, 0.02))
    commits = GroupCommit(store.write, time.monotonic)
    task = asyncio.create_task(commits.run())
    yield commits
    task.cancel()
    await asyncio.wait([task])


def say(stream: Stream, text: str) -> None:
    stream.log.append(TextDelta(text))
    stream._told()


async def read_all(stream: Stream) -> str:
    reader = stream.reader()
    text = ""
    while reader.end is None:
        await reader.wait()
        text += "".join(piece.text for piece in reader.take() if isinstance(piece, TextPiece))
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
    reader = stream.reader()
    await reader.wait()
    assert reader.take() == [TextPiece("one", 3)]
    assert store.text(stream) == "one"


async def test_the_end_is_told_when_it_is_stored(store: SlowStore, commits: GroupCommit) -> None:
    stream = Stream("s", "m", commits=commits)
    store.may_write.clear()
    say(stream, "all")
    stream._close(End("stop"))
    await asyncio.sleep(0)
    assert stream.is_live
    store.may_write.set()
    assert await read_all(stream) == "all"
    assert stream.log.end == End("stop") == store.end(stream)
    assert await commits.flush(5)
    assert not commits.is_pending(stream)


async def test_what_comes_during_a_commit_is_in_the_next_one(
    store: SlowStore, commits: GroupCommit
) -> None:
    streams = [Stream(f"s{n}", "m", commits=commits) for n in range(3)]
    store.may_write.clear()
    say(streams[0], "a")
    await asyncio.sleep(0.01)
    for stream in streams:
        say(stream, "b")
        stream._close(End("stop"))
    store.may_write.set()
    assert [await read_all(stream) for stream in streams] == ["ab", "b", "b"]
    assert [len(batch) for batch in store.batches] == [1, 3]


async def test_a_store_that_fails_stops_no_answer(store: SlowStore, commits: GroupCommit) -> None:
    told: list[bool] = []
    commits.bell.listen("test", lambda: told.append(commits.is_behind))
    stream = Stream("s", "m", commits=commits)
    store.fails = StoreError()
    say(stream, "kept in ")
    stream.log.append(TextDelta("memory"))
    stream._close(End("stop"))
    assert await read_all(stream) == "kept in memory"
    assert commits.is_behind
    assert not await commits.flush(0.05)
    store.fails = None
    assert await commits.flush(5)
    assert store.text(stream) == "kept in memory"
    assert store.end(stream) == End("stop")
    assert told == [True, False]


async def test_a_commit_that_takes_long_holds_nobody_up(
    store: SlowStore, commits: GroupCommit, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commits_module, "PATIENCE_S", 0.01)
    stream = Stream("s", "m", commits=commits)
    store.may_write.clear()
    say(stream, "now")
    reader = stream.reader()
    await reader.wait()
    assert commits.is_behind
    say(stream, " and at once")
    assert "".join(p.text for p in reader.take() if isinstance(p, TextPiece)) == "now and at once"
    store.may_write.set()
    assert await commits.flush(5)
    assert store.text(stream) == "now and at once"
    assert not commits.is_behind


async def test_a_fault_of_ours_leaves_no_reader_waiting(
    store: SlowStore, commits: GroupCommit
) -> None:
    stream = Stream("s", "m", commits=commits)
    store.fails = RuntimeError("a fault")
    say(stream, "text")
    reader = stream.reader()
    await reader.wait()
    store.fails = None
    assert await commits.flush(5)
    assert store.text(stream) == "text"


async def test_writes_wait_in_order_before_what_depends_on_them(
    store: SlowStore, commits: GroupCommit
) -> None:
    done: list[object] = []

    def write(name: str, error: Exception | None = None):
        async def do() -> None:
            if store.fails:
                raise store.fails
            if error and name not in done:
                raise error
            done.append(name)

        return do

    store.fails = StoreError()
    await commits.keep(write("turn"))
    await commits.keep(write("refused", BadMessage()))
    await commits.keep(write("stream"))
    stream = Stream("s", "m", commits=commits)
    say(stream, "text")
    assert done == []
    store.fails = None
    assert await commits.flush(5)
    assert done == ["turn", "stream"]
    assert store.text(stream) == "text"
    await commits.keep(write("now"))
    assert done[-1] == "now"
    with pytest.raises(BadMessage):
        await commits.keep(write("refused", BadMessage()))


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


async def test_who_looks_on_is_told_what_was_kept_and_what_waits(
    store: SlowStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commits_module, "LOOK_AGAIN_S", (0.01, 0.02))
    noted = Noting()
    commits = GroupCommit(store.write, time.monotonic, noted)
    task = asyncio.create_task(commits.run())
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
        await commits.saved(stream)
    assert noted.commits == [(2, 10)]
    assert commits.backlog.streams == commits.backlog.length == 0
    while commits.is_behind:
        await asyncio.sleep(0)
    assert commits.backlog.behind_s == 0
    task.cancel()
    await asyncio.wait([task])
