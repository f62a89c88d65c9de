"""Answers read at another server: exact text and offsets, whatever the bus loses."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count

import pytest

from tests.backend.replicas.engines import until
from tests.backend.replicas.memory_bus import Hub
from wireside.errors import Expired, InternalError, NotFound, Overloaded, ProviderError, StoreError
from wireside.generation.commits import GroupCommit
from wireside.generation.runner import Runner, RunnerLimits, Stream
from wireside.generation.tasks import Tasks
from wireside.messages import (
    Delta,
    End,
    Entry,
    Finished,
    Message,
    ModelInfo,
    ModelRequest,
    PartDelta,
    ReasoningDelta,
    TextDelta,
    Timing,
    ToolDelta,
    Usage,
)
from wireside.parts import DataPart
from wireside.providers.scripted import ScriptedProvider
from wireside.records import Segment, StoredTail, Tail, Write
from wireside.replicas.peers import Peers

REQUEST = ModelRequest(model="m", messages=(Message.of_text("user", "hi"),))

A, B = "a" * 16, "b" * 16
"""Ids of servers."""

ANSWER: tuple[Delta, ...] = (
    ReasoningDelta("thinking "),
    ReasoningDelta("hard"),
    TextDelta("one "),
    TextDelta("two 🙂 \0 "),
    ToolDelta("1", "look", "running", "{}"),
    ToolDelta("1", "look", "done", "{}", "found"),
    PartDelta(DataPart(kind="note", data='{"a": 1}', id="n")),
    TextDelta("three"),
    Finished("stop", Usage(3, 14)),
)


@dataclass
class Rows:
    """The store of all servers: what was committed of each answer."""

    entries: dict[str, list[tuple[int, Entry]]] = field(default_factory=dict)
    ends: dict[str, End] = field(default_factory=dict)
    owners: dict[str, str] = field(default_factory=dict)
    members: set[str] = field(default_factory=set)
    is_away: bool = False
    reads: int = 0

    def commit(self, tails: Sequence[Write]) -> Sequence[bool]:
        for tail in tails:
            assert isinstance(tail, Tail)
            offset = tail.offset
            its_rows = self.entries.setdefault(tail.stream, [])
            if tail.offset == 0:
                its_rows.clear()
            for entry in tail.entries:
                its_rows.append((offset, entry))
                offset += len(entry.text) if isinstance(entry, TextDelta | ReasoningDelta) else 1
            if tail.end is not None:
                self.ends[tail.stream] = tail.end
        return [True] * len(tails)

    async def read_tails(self, offsets: Mapping[str, int]) -> Mapping[str, StoredTail]:
        self.reads += 1
        if self.is_away:
            raise StoreError
        await asyncio.sleep(0.001)
        return {name: self.tail(name, offset) for name, offset in offsets.items()}

    def tail(self, name: str, after: int) -> StoredTail:
        found: list[Entry] = []
        for offset, entry in self.entries.get(name, ()):
            if isinstance(entry, TextDelta | ReasoningDelta):
                if text := entry.text[max(0, after - offset) :]:
                    found.append(type(entry)(text))
            elif offset >= after:
                found.append(entry)
        return StoredTail(
            entries=tuple(found), end=self.ends.get(name), replica=self.owners.get(name)
        )

    def segment(self, name: str) -> Segment:
        tail = self.tail(name, 0)
        return Segment(
            stream=name, model="m", entries=tail.entries, end=tail.end, replica=tail.replica
        )


class TypedProvider(ScriptedProvider):
    """Answers by what a test sends, a delta or an error."""

    def __init__(self) -> None:
        super().__init__(models=(ModelInfo(id="m", name="M"),))
        self._deltas: asyncio.Queue[Delta | Exception] = asyncio.Queue()

    def send(self, delta: Delta | Exception) -> None:
        self._deltas.put_nowait(delta)

    async def stream(self, request: ModelRequest) -> AsyncGenerator[Delta, None]:
        while True:
            delta = await self._deltas.get()
            if isinstance(delta, Exception):
                raise delta
            yield delta
            if isinstance(delta, Finished):
                return


class Server:
    """A server's answers and what connects it with others."""

    def __init__(self, name: str, hub: Hub, rows: Rows) -> None:
        self.name = name
        self.rows = rows
        self.tasks = Tasks()
        self.provider = TypedProvider()

        async def commit(writes: Sequence[Write]) -> Sequence[bool]:
            await asyncio.sleep(0.002)
            return rows.commit(writes)

        saving = GroupCommit(commit, time.monotonic)
        self.tasks.create_task(saving.write_until_cancelled(), name="group commit")
        self.runner = Runner(self.provider, self.tasks, RunnerLimits(), time.monotonic, saving)

        async def is_member(server: str) -> bool:
            return server in rows.members

        self.bus = hub.new_bus()
        self.peers = Peers(
            self.bus,
            runner=self.runner,
            saving=saving,
            tasks=self.tasks,
            read_tails=rows.read_tails,
            is_member=is_member,
        )
        rows.members.add(name)
        self.peers.join(name)
        self.peers.start()

    def ask(self, stored_as: str | None = None) -> Stream:
        stream = self.runner.start_answer(REQUEST, owner="ada", stored_as=stored_as)
        if stored_as:
            self.rows.owners[stream.name] = self.name
        return stream

    def follow(self, name: str) -> Stream:
        return self.peers.follow_answer(self.rows.segment(name), "ada")


@pytest.fixture
def hub() -> Hub:
    return Hub()


@pytest.fixture
def rows() -> Rows:
    return Rows()


@pytest.fixture
async def servers(hub: Hub, rows: Rows) -> AsyncIterator[list[Server]]:
    made = [Server(A, hub, rows), Server(B, hub, rows)]
    yield made
    for server in made:
        await server.tasks.aclose()


async def test_an_answer_grows_at_another_server_as_at_its_own(servers: list[Server]) -> None:
    a, b = servers
    for delta in ANSWER[:3]:
        a.provider.send(delta)
    stream = a.ask("one")
    await until(lambda: stream.log.head > 0)
    mirror = b.follow("one")
    assert mirror.is_stored and mirror.is_live
    reader = mirror.new_reader()
    for delta in ANSWER[3:]:
        a.provider.send(delta)
        await asyncio.sleep(0.01)
    await mirror.wait_ended()
    assert mirror.log.entries == stream.log.entries
    assert mirror.log.head == stream.log.head
    assert mirror.log.end == stream.log.end == End("stop", usage=Usage(3, 14))
    assert mirror.log.end.timing == stream.log.end.timing != Timing()
    pieces = reader.take_pieces()
    assert pieces == stream.new_reader().take_pieces()
    assert b.follow("one") is mirror  # found while something holds it


async def test_an_error_ends_the_mirror_in_the_same_words(servers: list[Server]) -> None:
    a, b = servers
    a.provider.send(TextDelta("before "))
    stream = a.ask("one")
    await until(lambda: stream.log.head > 0)
    mirror = b.follow("one")
    await asyncio.sleep(0.05)
    a.provider.send(ProviderError("The model broke.", retry_after=3.0))
    await mirror.wait_ended()
    end = mirror.log.end
    assert end is not None and end.error is not None
    assert (end.error.code, str(end.error), end.error.retry_after) == (
        ProviderError.code,
        "The model broke.",
        3.0,
    )


@pytest.mark.parametrize("seed", range(3))
async def test_a_bus_that_loses_messages_costs_no_text(
    servers: list[Server], hub: Hub, seed: int
) -> None:
    a, b = servers
    dice = random.Random(seed)
    hub.loses = lambda channel, data: dice.random() < 0.4
    stream = a.ask("one")
    mirror = b.follow("one")
    for number in count():
        a.provider.send(TextDelta(f"{number} "))
        await asyncio.sleep(0.004)
        if number == 250:
            break
    a.provider.send(Finished("stop"))
    await mirror.wait_ended()
    assert mirror.log.visible_text() == stream.log.visible_text()
    assert b.peers.mirrors.gaps > 0


async def test_without_the_bus_text_arrives_within_a_second_or_so(
    servers: list[Server], hub: Hub
) -> None:
    a, b = servers
    hub.cut()
    a.provider.send(TextDelta("first "))
    stream = a.ask("one")
    await until(lambda: stream.log.head == 6)
    mirror = b.follow("one")
    await until(lambda: mirror.log.head == 6, 5)
    a.provider.send(TextDelta("second"))
    await until(lambda: mirror.log.head == 12, 5)
    hub.mend()
    await asyncio.sleep(0.02)
    reads = b.rows.reads
    a.provider.send(TextDelta(" third"))
    a.provider.send(Finished("stop"))
    await mirror.wait_ended()
    assert mirror.log.visible_text() == "first second third"
    assert b.rows.reads <= reads + 2


async def test_a_store_that_is_away_is_asked_again(servers: list[Server], hub: Hub) -> None:
    a, b = servers
    hub.cut()
    a.provider.send(TextDelta("text"))
    stream = a.ask("one")
    await until(lambda: stream.log.head == 4)
    mirror = b.follow("one")
    b.rows.is_away = True
    await until(lambda: b.rows.reads > 1)
    b.rows.is_away = False
    a.provider.send(Finished("stop"))
    await mirror.wait_ended()
    assert mirror.log.visible_text() == "text"


async def test_an_answer_that_can_not_be_read_ends_alone(
    servers: list[Server], hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    a, b = servers
    hub.cut()
    streams = [a.ask("faulty"), a.ask("one")]
    read_tails = b.rows.read_tails
    faulty = 0

    async def read(offsets: Mapping[str, int]) -> Mapping[str, StoredTail]:
        nonlocal faulty
        if "faulty" in offsets:
            faulty += 1
            raise ValueError("a piece of an unknown form")
        return await read_tails(offsets)

    monkeypatch.setattr(b.peers.mirrors, "_read_tails", read)
    mirrors = [b.follow(stream.name) for stream in streams]
    a.provider.send(Finished("stop"))
    a.provider.send(Finished("stop"))
    async with asyncio.timeout(10):
        for mirror in mirrors:
            await mirror.wait_ended()
    assert mirrors[0].log.end is not None
    assert isinstance(mirrors[0].log.end.error, InternalError)
    assert mirrors[1].log.end == End("stop")
    assert faulty == 2  # together with the other one, and alone


async def test_a_fault_does_not_end_the_following(
    servers: list[Server], hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    a, b = servers
    hub.cut()
    stream = a.ask("one")
    read_missing = b.peers.mirrors._read_missing
    faults = [RuntimeError("a fault")]

    async def read(now: float) -> None:
        if faults:
            raise faults.pop()
        await read_missing(now)

    monkeypatch.setattr(b.peers.mirrors, "_read_missing", read)
    mirror = b.follow(stream.name)
    await until(lambda: not faults)
    a.provider.send(Finished("stop"))
    async with asyncio.timeout(10):
        await mirror.wait_ended()


async def test_a_stop_at_another_server_stops_the_answer(servers: list[Server]) -> None:
    a, b = servers
    a.provider.send(TextDelta("text"))
    stream = a.ask("one")
    mirror = b.follow("one")
    await until(lambda: mirror.log.head == 4)
    mirror.stop_elsewhere = lambda one: b.peers.announce_stop(one.name)  # as the chat does
    mirror.stop_answer()
    await mirror.wait_ended()
    assert stream.log.end == mirror.log.end == End("cancelled")


async def test_another_accounts_answer_is_not_stopped(servers: list[Server]) -> None:
    a, b = servers
    stream = a.ask("one")
    b.peers.exchange.post("stop", ("one", "eve"), to=A)
    await asyncio.sleep(0.05)
    assert stream.is_live


async def test_an_answer_that_the_store_ends_is_ended(servers: list[Server], hub: Hub) -> None:
    a, b = servers
    stream = a.ask("one")
    a.provider.send(TextDelta("text"))
    await until(lambda: stream.log.head == 4)
    mirror = b.follow("one")
    hub.cut()
    b.rows.ends["one"] = End("interrupted")  # the sweep, after its owner was killed
    await mirror.wait_ended()
    assert mirror.log.visible_text() == "text"
    assert mirror.log.end == End("interrupted")


async def test_a_mirror_that_nothing_holds_is_not_followed(servers: list[Server]) -> None:
    a, b = servers
    a.ask("one")
    mirror = b.follow("one")
    await until(lambda: a.peers.feed.followed_count == 1)
    del mirror
    assert b.peers.mirrors.live_count == 0
    assert b.peers.mirrors.mirror_in_memory("one") is None


async def test_one_message_a_commit_carries_all_answers(servers: list[Server], hub: Hub) -> None:
    a, b = servers
    streams = [a.ask(f"answer {number}") for number in range(20)]
    mirrors = [b.follow(stream.name) for stream in streams]
    await until(lambda: a.peers.feed.followed_count == 20)
    await asyncio.sleep(0.05)
    before = hub.delivered
    for stream in streams:
        stream.log.append_entry(TextDelta("more"))
        stream._announce()
    await until(lambda: all(mirror.log.head == 4 for mirror in mirrors))
    assert hub.delivered - before <= 6  # delivered to each of the two servers


# ---- answers outside of conversations ------------------------------------------------------------


async def test_an_unstored_answer_is_read_from_its_server(servers: list[Server]) -> None:
    a, b = servers
    stream = a.ask()
    a.provider.send(TextDelta("one "))
    await until(lambda: stream.log.head == 4)
    mirror = await b.peers.find_answer(stream.name, "ada")
    assert not mirror.is_stored
    assert mirror.log.visible_text() == "one "
    for number in range(50):
        a.provider.send(TextDelta(f"{number} "))
        await asyncio.sleep(0.002)
    a.provider.send(Finished("stop"))
    await mirror.wait_ended()
    assert mirror.log.visible_text() == stream.log.visible_text()
    again = await b.peers.find_answer(stream.name, "ada")
    assert again is mirror


async def test_a_finished_unstored_answer_arrives_whole(servers: list[Server]) -> None:
    a, b = servers
    for delta in ANSWER:
        a.provider.send(delta)
    stream = a.ask()
    await stream.wait_ended()
    mirror = await b.peers.find_answer(stream.name, "ada")
    assert mirror.log.entries == stream.log.entries
    assert mirror.log.end == stream.log.end


async def test_unstored_answers_survive_lost_messages(servers: list[Server], hub: Hub) -> None:
    a, b = servers
    stream = a.ask()
    mirror = await b.peers.find_answer(stream.name, "ada")
    dice = random.Random(1)
    hub.loses = lambda channel, data: dice.random() < 0.3
    for number in range(40):
        a.provider.send(TextDelta(f"{number} "))
        await asyncio.sleep(0.01)
    a.provider.send(Finished("stop"))
    await stream.wait_ended()
    async with asyncio.timeout(40):
        await mirror.wait_ended()
    assert mirror.log.visible_text() == stream.log.visible_text()


async def test_a_stop_of_an_unstored_answer_is_repeated(servers: list[Server], hub: Hub) -> None:
    a, b = servers
    stream = a.ask()
    mirror = await b.peers.find_answer(stream.name, "ada")
    hub.loses = lambda channel, data: b"stop" in data
    mirror.stop_answer()
    await asyncio.sleep(0.05)
    assert stream.is_live
    hub.loses = lambda channel, data: False
    await mirror.wait_ended()
    assert stream.log.end == mirror.log.end == End("cancelled")


async def test_unknown_and_foreign_names_are_not_found(servers: list[Server]) -> None:
    a, b = servers
    stream = a.ask()
    for name, owner in ((stream.name, "eve"), (f"{A}.unknown", "ada"), ("unknown", "ada")):
        with pytest.raises(NotFound):
            await b.peers.find_answer(name, owner)
    with pytest.raises(NotFound):
        await b.peers.find_answer(f"{'g' * 16}.answer", "ada")  # no such server


@pytest.mark.parametrize(
    "name", ["x" * 80 + ".y", "a\0b.y", "\ud800.y", f"{A}.\ud800", f"{A}.a\0", f"{A}.{'x' * 65}"]
)
async def test_a_name_that_no_server_has_made_is_not_asked_for(
    servers: list[Server], hub: Hub, name: str
) -> None:
    """A client's text must not select the channel of a message."""
    before = hub.delivered
    async with asyncio.timeout(1):  # without waiting for a reply
        with pytest.raises(NotFound):
            await servers[1].peers.find_answer(name, "ada")
    assert hub.delivered == before


async def test_an_expired_answer_is_expired_elsewhere_too(servers: list[Server]) -> None:
    a, b = servers
    a.provider.send(Finished("stop"))
    stream = a.ask()
    await stream.wait_ended()
    a.runner._limits = RunnerLimits(resume_window_s=0)
    with pytest.raises(Expired):
        await b.peers.find_answer(stream.name, "ada")


async def test_a_server_that_can_not_be_reached_may_be_asked_again(
    servers: list[Server], hub: Hub
) -> None:
    a, b = servers
    stream = a.ask()
    hub.cut()
    with pytest.raises(Overloaded):
        await b.peers.find_answer(stream.name, "ada")


async def test_the_death_of_its_server_interrupts_an_unstored_answer(
    servers: list[Server], hub: Hub, rows: Rows
) -> None:
    a, b = servers
    stream = a.ask()
    a.provider.send(TextDelta("text"))
    mirror = await b.peers.find_answer(stream.name, "ada")
    await until(lambda: mirror.log.head == 4)
    hub.cut()
    rows.members.discard(A)
    await mirror.wait_ended()
    assert mirror.log.end == End("interrupted")
