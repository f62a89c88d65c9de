"""Several servers that change the same conversations at the same time, on a real PostgreSQL.

Each has its own conversations in memory, runner, group commit and store; they share the database.
Whatever they do, the conversations end as one order of the changes would have left them.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Collection, Coroutine
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from wireside.chat import answering
from wireside.chat.conversation import Conversation, ConversationTurn
from wireside.chat.core import ChatCore
from wireside.chat.dependencies import ChatDependencies, ChatRules, Handlers, OtherServers
from wireside.chat.library import Library
from wireside.chat.service import ChatService
from wireside.chat.streams import Ask
from wireside.chat.watchers import Answering, AskingChanged, Gone, ListChange, Listed
from wireside.errors import AlreadyAnswered, Expired, NotFound, WiresideError
from wireside.extension.questions import KIND, answered
from wireside.files.folder import FolderContents
from wireside.files.service import FileRules, Files
from wireside.generation.commits import GroupCommit
from wireside.generation.runner import Runner, RunnerLimits, Stream, new_stream_name
from wireside.generation.tasks import Tasks
from wireside.identity import Caller
from wireside.messages import (
    Delta,
    End,
    Finished,
    Message,
    ModelInfo,
    ModelRequest,
    Options,
    PartDelta,
    TextDelta,
)
from wireside.parts import DataPart
from wireside.ports.provider import Provider
from wireside.providers.catalog import Catalog
from wireside.records import Segment, TurnRecord, UserAccount
from wireside.store.store import SqlStore

ADA = Caller(user_id="", name="ada", role="user")

QUESTION = DataPart(id="q", kind=KIND, data='{"prompt": "Go on?", "type": "approve"}')

Create = Callable[..., Coroutine[Any, Any, str]]


class SlowModel(Provider):
    """Says a few words, in some milliseconds; "wait" is answered when ``may_end`` is set."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self.may_end = asyncio.Event()
        self.calls = 0

    async def models(self) -> list[ModelInfo]:
        return [ModelInfo(id="m", name="m")]

    async def stream(self, request: ModelRequest) -> AsyncGenerator[Delta, None]:
        self.calls += 1
        for number in range(3):
            await asyncio.sleep(self._random.uniform(0.001, 0.02))
            yield TextDelta(f"word{number} ")
        if request.messages[-1].text == "wait":
            await self.may_end.wait()
        if request.messages[-1].text == "ask me":
            if request.context.answer is None:
                yield PartDelta(QUESTION)
                yield Finished("asking")
                return
            yield answered(QUESTION, True)
        yield Finished("stop")


class Neighbours(OtherServers):
    """What a bus between the servers does; it loses some announcements, and reads the store."""

    def __init__(self, servers: list[Server], own: int) -> None:
        self._servers = servers
        self._own = own
        self._random = random.Random(own)
        self._followed: dict[str, Stream] = {}
        self.lost_share = 0.0

    @property
    def _others(self) -> list[Server]:
        return [one for number, one in enumerate(self._servers) if number != self._own]

    def announce_changes(self, conversation_ids: Collection[str]) -> None:
        ids = tuple(conversation_ids)
        for one in self._others:
            if self._random.random() >= self.lost_share:
                one.chat.core.start_task(one.chat.core.refresh_conversations(ids))

    def announce_folders(self, owner: str) -> None:
        """Do nothing: no folders here."""

    def announce_shared(self, keys: Collection[str]) -> None:
        """Do nothing: no lists here."""

    def announce_comments(self, conversation_id: str) -> None:
        """Do nothing: no comments here."""

    def announce_answering(self, owner: str, conversation_id: str, *, is_answering: bool) -> None:
        for one in self._others:
            if self._random.random() >= self.lost_share:
                conversations = one.chat.core.conversations
                conversations.note_answering(owner, conversation_id, is_answering=is_answering)

    def announce_stop(self, stream: str) -> None:
        if self._random.random() >= self.lost_share:
            for one in self._others:
                one.chat.core.stop_answer(stream)

    def follow_answer(self, segment: Segment, owner: str) -> Stream:
        if (known := self._followed.get(segment.stream)) is not None:
            return known
        stream = Stream(segment.stream, segment.model, owner=owner, sanitize=segment.sanitize)
        self._followed[stream.name] = stream
        own = self._servers[self._own]
        own.chat.core.start_task(self._fill(stream, own.store))
        return stream

    async def _fill(self, stream: Stream, store: SqlStore) -> None:
        while stream.is_live:
            found = await store.read_segment(stream.name)
            if found is None or (end := found[0].end) is None:
                await asyncio.sleep(0.02)
                continue
            for entry in found[0].entries:
                stream.log.append_entry(entry)
            stream._close_log(end)

    async def find_answer(self, name: str, owner: str) -> Stream:
        for one in self._others:
            with suppress(NotFound, Expired):
                return one.chat.core.parts.runner.find_stream(name, owner)
        raise NotFound


class CountedHandlers(Handlers):
    def __init__(self) -> None:
        self.stopped: list[str] = []

    def check_options(self, model: str, options: str) -> None:
        """Accept all options."""

    async def stop_waiting(self, owner: str, conversation_ids: Collection[str] | None) -> None:
        self.stopped += conversation_ids or ()


class Server:
    """One server, without its doors."""

    def __init__(self, url: str, servers: list[Server], folder: Path) -> None:
        self.number = len(servers)
        self.tasks = Tasks()
        self.store = SqlStore(url, is_shared=True)
        self.neighbours = Neighbours(servers, self.number)
        self.model = SlowModel(self.number)
        self.handlers = CountedHandlers()
        saving = GroupCommit(lambda writes: self.store.commit_writes(writes), time.monotonic)
        runner = Runner(self.model, self.tasks, RunnerLimits(), time.monotonic, saving)
        parts = ChatDependencies(
            runner=runner,
            models=Catalog(self.model, default=None, clock=time.monotonic),
            provider=self.model,
            store=self.store,
            prompts=self.store.prompts,
            folders=self.store.folders,
            comments=self.store.comments,
            presets=self.store.presets,
            saving=saving,
            files=Files(self.store.files, FolderContents(folder), FileRules(), time.time),
            tasks=self.tasks,
            wall_clock=time.time,
            handlers=self.handlers,
            is_shared=True,
            others=self.neighbours,
            accounts=self.store.accounts,
        )
        self.chat = ChatService(ChatCore(parts, ChatRules()), ADA)

    @property
    def library(self) -> Library:
        return self.chat.library

    async def open(self) -> None:
        await self.store.open_beside()
        saving = self.chat.saving
        self.tasks.create_task(saving.write_until_cancelled(), name="group commit")

    async def ask(
        self, conversation: Conversation, question: str, turn_id: str
    ) -> ConversationTurn:
        return await self.chat.send_question(
            conversation, question, turn_id=turn_id, options=Options()
        )

    async def opened(self, conversation_id: str) -> Conversation:
        conversation = await self.library.open_conversation(conversation_id)
        assert conversation is not None
        return conversation


@pytest.fixture
async def servers(
    create: Create, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[list[Server]]:
    """Three servers on one database."""
    monkeypatch.setattr(answering, "SUCCESSION_S", 0.1)
    url = await create("postgresql", is_migrated=True)
    made: list[Server] = []
    for _ in range(3):
        made.append(Server(url, made, tmp_path))
    for one in made:
        await one.open()
    yield made
    for one in made:
        await one.tasks.aclose()
    for one in made:
        await one.store.aclose()


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.01)


async def until_idle(servers: list[Server], *conversations: Conversation) -> None:
    """Wait until nothing runs or waits, and all that is open is what the store has."""
    async with asyncio.timeout(30):
        while any(one.live or one.waiting for one in conversations):
            await asyncio.sleep(0.1)
            for one in servers:
                await one.chat.core.look_for_changes()


async def all_turns(store: SqlStore, conversation_id: str) -> list[TurnRecord]:
    return list(await store.all_turns(conversation_id, after=None, limit=10_000))


async def faults_of(
    store: SqlStore, conversation_id: str, opened: Collection[Conversation]
) -> Counter[str]:
    """Count what is wrong in a conversation, and in what servers have open of it."""
    wrong: Counter[str] = Counter()
    stored = await store.conversation(conversation_id)
    assert stored is not None
    branches = {branch.id: branch for branch in stored.branches}
    depths: dict[int, list[int]] = {number: [] for number in branches}
    for turn in await all_turns(store, conversation_id):
        depths.setdefault(turn.branch, []).append(turn.depth)
        wrong["turns that wait"] += turn.is_waiting
        wrong["turns without an answer"] += not turn.segments
        wrong["turns answered twice"] += len(turn.segments) > 1
        wrong["answers that never end"] += any(one.end is None for one in turn.segments)
    for number, its_depths in depths.items():
        places = set(its_depths)
        branch = branches.get(number)
        expected = set(range(branch.first, branch.last + 1)) if branch else set()
        wrong["places taken twice"] += len(its_depths) - len(places)
        wrong["turns that nothing shows"] += len(places - expected)
        wrong["broken branches"] += places != expected
    for one in opened:
        state = (one.branches, one.shown, one.info, one.version, dict(one.live), list(one.waiting))
        wrong["open conversations unlike the store"] += state != (
            branches,
            stored.shown,
            stored.info,
            stored.version,
            {},
            [],
        )
    return +wrong


class Person:
    """Does random things in conversations of one server, and keeps what it has seen in memory."""

    def __init__(self, server: Server, conversations: list[Conversation], seed: int) -> None:
        self._chat = server.chat
        self._conversations = conversations
        self._random = random.Random(seed)
        self._name = f"{server.number}-{seed}"
        self._seen: list[ConversationTurn] = []
        self.asked: set[str] = set()
        self.withdrawn: set[str] = set()
        self.refused: Counter[str] = Counter()

    async def act(self, times: int) -> None:
        for number in range(times):
            await asyncio.sleep(self._random.uniform(0, 0.05))
            conversation = self._random.choice(self._conversations)
            try:
                await self._act_in(conversation, f"{self._name}-{number}")
            except WiresideError as error:
                self.refused[f"{type(error).__name__}: {error}"] += 1

    async def _act_in(self, conversation: Conversation, name: str) -> None:
        last = conversation.total - 1
        shown = await self._chat.library.read_turns(conversation, max(0, last - 4), last)
        self._seen = [*self._seen, *shown][-30:]
        kind = self._random.choices(
            ("ask", "edit", "retry", "withdraw", "show", "rename", "pin", "stop"),
            (45, 12, 8, 10, 10, 6, 4, 5),
        )[0]
        turn = self._random.choice(shown) if shown else None
        if kind == "ask" or turn is None:
            asked = await self._chat.send_question(
                conversation, name, turn_id=name, options=Options()
            )
            self.asked.add(asked.id)
            self._seen.append(asked)
        elif kind == "edit":
            await self._chat.edit_turn(conversation, turn.id, f"edited {name}", new_turn_id=name)
            self.asked.add(name)
        elif kind == "retry":
            await self._chat.retry_turn(conversation, turn.id)
        elif kind == "withdraw":
            if waiting := [one for one in shown if one.waiting]:
                await self._chat.withdraw_turn(conversation, waiting[-1].id)
                self.withdrawn.add(waiting[-1].id)
        elif kind == "show":
            step = self._random.choice((-1, 1))
            await self._chat.show_sibling(conversation, turn.id, step)
        elif kind == "rename":
            await self._chat.library.rename(conversation.id, f"title {name}")
        elif kind == "pin":
            await self._chat.library.pin(conversation.id, self._random.random() < 0.5)
        else:
            for live in tuple(conversation.live.values()):
                live.segments[-1].stop_answer()


@pytest.mark.slow
@pytest.mark.timeout(90)
@pytest.mark.parametrize("lost_share", [0.0, 0.7])
async def test_random_changes_leave_what_one_order_would(
    servers: list[Server], lost_share: float
) -> None:
    names = [(await servers[0].library.create(f"talk {number}")).id for number in range(3)]
    opened = {name: [await server.opened(name) for server in servers] for name in names}
    people = []
    for server in servers:
        server.neighbours.lost_share = lost_share
        own = [opened[name][server.number] for name in names]
        people += [Person(server, own, 10 * server.number + number) for number in range(2)]
    await asyncio.gather(*(person.act(8) for person in people))
    await until_idle(servers, *(one for some in opened.values() for one in some))
    for server in servers:
        await server.chat.core.look_for_changes()
    stored: set[str] = set()
    wrong: Counter[str] = Counter()
    for name in names:
        wrong += await faults_of(servers[0].store, name, opened[name])
        stored |= {turn.id for turn in await all_turns(servers[0].store, name)}
    withdrawn = {turn_id for person in people for turn_id in person.withdrawn}
    for person in people:
        wrong["accepted questions that are lost"] += len(person.asked - stored - withdrawn)
        wrong["refused for conflicts"] += sum(
            count for text, count in person.refused.items() if "same time" in text
        )
    assert +wrong == Counter()


async def test_two_first_questions_at_the_same_time_follow_each_other(
    servers: list[Server],
) -> None:
    name = (await servers[0].library.create("talk")).id
    opened = [await server.opened(name) for server in servers]
    for server in servers:
        server.neighbours.lost_share = 1.0
    turns = await asyncio.gather(
        *(
            server.ask(one, "why", f"t{server.number}")
            for server, one in zip(servers, opened, strict=True)
        )
    )
    await until_idle(servers, *opened)
    assert sorted(turn.depth for turn in turns) == [0, 1, 2]
    assert await faults_of(servers[0].store, name, opened) == Counter()


async def test_a_keyed_question_to_two_servers_at_once_is_asked_once(
    servers: list[Server],
) -> None:
    """In a new conversation, in one that exists, and in none."""
    name = (await servers[0].library.create("talk")).id
    for number, place in enumerate(("new", name) * 4):
        asked = await asyncio.gather(
            *(
                server.chat.ask_in_conversation(place, "why", key=f"k{number}", options=Options())
                for server in servers
            )
        )
        conversations, turns = zip(*asked, strict=True)
        assert len({one.id for one in conversations}) == 1
        assert len({turn.id for turn in turns}) == 1
        await until_idle(servers, *conversations)
        of_key = [
            turn
            for turn in await all_turns(servers[0].store, conversations[0].id)
            if turn.id == turns[0].id
        ]
        assert [len(turn.segments) for turn in of_key] == [1]
    calls = sum(server.model.calls for server in servers)
    for number in range(4):
        ask = Ask(messages=(Message.of_text("user", "why"),), key=f"single {number}")
        streams = await asyncio.gather(*(server.chat.start_stream(ask) for server in servers))
        assert len({stream.name for stream in streams}) == 1
        assert (await servers[number % 3].chat.start_stream(ask)).name == streams[0].name
    assert sum(server.model.calls for server in servers) <= calls + 4


async def test_the_key_of_an_answer_that_is_gone_can_be_used_again(servers: list[Server]) -> None:
    ask = Ask(messages=(Message.of_text("user", "why"),), key="k")
    first = await servers[0].chat.start_stream(ask)
    await until(lambda: not servers[0].chat.core.parts.runner.live_count)
    servers[0].chat.core.parts.runner._finished.clear()  # it has left the resume window
    second = await servers[1].chat.start_stream(ask)
    assert second.name != first.name
    assert (await servers[2].chat.start_stream(ask)).name == second.name


async def test_an_answer_elsewhere_is_shown_stopped_and_followed(servers: list[Server]) -> None:
    here, there, _ = servers
    name = (await here.library.create("talk")).id
    at_home = await here.opened(name)
    await here.ask(at_home, "wait", "t0")
    conversation = await there.opened(name)
    (turn,) = conversation.live.values()
    assert turn.segments[-1].is_elsewhere
    later = await there.ask(conversation, "why", "t1")
    assert later.waiting
    assert [*there.library.answering] == [name]
    there.neighbours.lost_share = 1.0
    stopping = asyncio.create_task(there.chat.stop_stream(turn.segments[-1]))
    async with asyncio.timeout(10):
        while not await here.store.requested_stops():
            await asyncio.sleep(0.01)
    await here.chat.core.stop_requested_answers()
    await stopping
    assert turn.end == End("cancelled")
    await until_idle(servers, conversation, at_home)
    assert later.end == End("stop")
    assert await faults_of(here.store, name, [conversation, at_home]) == Counter()


async def test_a_steering_question_ends_an_answer_elsewhere_once(servers: list[Server]) -> None:
    here, there, _ = servers
    name = (await here.library.create("talk")).id
    at_home = await here.opened(name)
    running = await here.ask(at_home, "wait", "t0")
    conversation = await there.opened(name)
    calls = sum(one.model.calls for one in servers)
    turns = await asyncio.gather(
        *(
            one.chat.send_question(talk, "now", turn_id="t1", options=Options(), steers=True)
            for one, talk in ((there, conversation), (here, at_home))
        )
    )
    assert [turn.id for turn in turns] == ["t1", "t1"]
    await until_idle(servers, conversation, at_home)
    assert running.end == End("cancelled")
    assert turns[0].end == End("stop")
    assert sum(one.model.calls for one in servers) == calls + 1
    assert await faults_of(here.store, name, [conversation, at_home]) == Counter()


async def test_a_question_waits_on_after_its_server_has_ended(servers: list[Server]) -> None:
    here, there, other = servers
    name = (await here.library.create("talk")).id
    conversation = await here.opened(name)
    for server in servers:
        server.neighbours.lost_share = 1.0
    await here.ask(conversation, "wait", "t0")
    await here.ask(conversation, "why", "t1")
    for stream in here.chat.core.parts.runner.live_streams:
        stream.stop_answer()
        here.chat.core.parts.runner._is_draining = True
        await stream.wait_ended()
    await there.chat.core.look_for_changes()
    await there.chat.core.look_for_changes()
    seen = await other.opened(name)
    await until_idle([there, other], seen)
    record = await other.store.read_turn("t1")
    assert record is not None
    assert [segment.end for segment in record.segments] == [End("stop")]


async def test_an_open_question_is_answered_once_and_elsewhere(servers: list[Server]) -> None:
    here, there, other = servers
    name = (await here.library.create("talk")).id
    conversation = await here.opened(name)
    turn = await here.ask(conversation, "ask me", "t0")
    await until(lambda: turn.end)
    outcomes = await asyncio.gather(
        there.chat.answer_question(await there.opened(name), "t0", "q", True),
        other.chat.answer_question(await other.opened(name), "t0", "q", True),
        return_exceptions=True,
    )
    assert [type(one) for one in outcomes if isinstance(one, Exception)] == [AlreadyAnswered]
    await until_idle(servers, conversation)
    record = await here.store.read_turn("t0")
    assert record is not None
    assert len(record.segments) == 2
    await until(lambda: here.handlers.stopped)  # the handler that waits here waits for nothing
    assert here.handlers.stopped == [name]
    assert len(turn.segments) == 2


async def test_a_deletion_elsewhere_closes_and_a_restoration_opens(servers: list[Server]) -> None:
    here, there, other = servers
    name = (await here.library.create("talk")).id
    conversation = await here.opened(name)
    await there.opened(name)
    lists: list[ListChange] = []
    other.library.watch(lists.append)
    turn = await here.ask(conversation, "wait", "t0")
    await there.library.delete([name])
    await until(lambda: conversation.is_deleted and turn.end)
    assert turn.end == End("cancelled")
    with pytest.raises(NotFound):
        await here.ask(conversation, "why", "t1")
    with pytest.raises(NotFound):
        await here.library.rename(name, "late")
    await until(lambda: any(isinstance(one, Gone) for one in lists))
    (info,) = await there.library.restore([name])
    await until(lambda: not conversation.is_deleted)
    await here.library.rename(name, "back")
    await until(
        lambda: [one.info.title for one in lists if isinstance(one, Listed)][-1:] == ["back"]
    )
    assert info.id == name
    await until_idle(servers, conversation)
    assert await faults_of(here.store, name, [conversation]) == Counter()


async def test_turns_keep_their_objects_when_others_move_them(servers: list[Server]) -> None:
    here, there, _ = servers
    name = (await here.library.create("talk")).id
    conversation, elsewhere = await here.opened(name), await there.opened(name)
    await here.ask(conversation, "wait", "t0")
    turns = [await here.ask(conversation, "why", f"t{number}") for number in (1, 2, 3)]
    removals = conversation.removals
    assert await there.chat.withdraw_turn(elsewhere, "t1") == "why"
    await until(lambda: conversation.removals > removals)
    assert [turn.depth for turn in turns[1:]] == [1, 2]
    assert not turns[0].waiting
    assert [*conversation.waiting] == ["t2", "t3"]
    with pytest.raises(NotFound):
        await here.chat.withdraw_turn(conversation, "t1")
    here.model.may_end.set()
    await until_idle(servers, conversation, elsewhere)
    assert all(turn.end == End("stop") for turn in turns[1:])
    assert await faults_of(here.store, name, [conversation, elsewhere]) == Counter()


async def test_names_of_programs_begin_one_conversation(servers: list[Server]) -> None:
    asked = await asyncio.gather(
        *(
            server.chat.ask_named("thread 1", "why", key=str(server.number), options=Options())
            for server in servers
        )
    )
    conversations = [conversation for conversation, _ in asked]
    await until_idle(servers, *conversations)
    name = conversations[0].id
    assert len(await all_turns(servers[0].store, name)) == 3
    assert await faults_of(servers[0].store, name, conversations) == Counter()


async def test_a_commit_whose_confirmation_is_lost_is_not_made_twice(
    servers: list[Server],
) -> None:
    here, *_ = servers
    name = (await here.library.create("talk")).id
    conversation = await here.opened(name)
    commit = here.store.commit_writes
    writes: list[Any] = []

    async def note(given: Any) -> Any:
        writes.append(tuple(given))
        return await commit(given)

    here.store.commit_writes = note  # type: ignore[method-assign,assignment]
    turn = await here.ask(conversation, "why", new_stream_name())
    await until(lambda: turn.end)
    before = await here.store.conversation(name)
    assert await commit(writes[0]) == [True, True]
    assert await here.store.conversation(name) == before
    assert await faults_of(here.store, name, [conversation]) == Counter()


async def test_lists_mark_what_other_servers_answer(servers: list[Server]) -> None:
    a, b, _ = servers
    changes: list[ListChange] = []
    unwatch = b.library.watch(changes.append)
    one = a.library.new_conversation()
    await a.ask(one, "wait", "t1")
    await until(lambda: b.library.answering == {one.id})
    assert Answering(frozenset({one.id}), ADA.user_id) in changes
    a.model.may_end.set()
    await until(lambda: not b.library.answering)
    assert Answering(frozenset(), ADA.user_id) in changes
    assert AskingChanged(ADA.user_id) in changes
    unwatch()


async def test_lists_find_by_themselves_what_other_servers_answer(servers: list[Server]) -> None:
    a, b, _ = servers
    a.neighbours.lost_share = 1.0
    changes: list[ListChange] = []
    unwatch = b.library.watch(changes.append)
    one = a.library.new_conversation()
    await a.ask(one, "wait", "t1")
    assert not b.library.answering
    await b.chat.core.look_for_changes()
    assert b.library.answering == {one.id}
    a.model.may_end.set()
    await until(lambda: not one.live)
    await a.chat.saving.wait_until_all_stored(10)
    await b.chat.core.look_for_changes()
    assert not b.library.answering
    assert changes.count(Answering(frozenset(), ADA.user_id)) == 1
    unwatch()


@pytest.mark.parametrize("lost_share", [0.0, 1.0])
async def test_sharing_begins_and_ends_at_all_servers(
    servers: list[Server], lost_share: float
) -> None:
    """By announcements, or by the look for changes that follows where they are lost."""
    here, there, _ = servers
    for name in ("ada", "grace"):
        user = UserAccount(id=name, name=name, role="user", created_at=1.0)
        await here.store.accounts.add_user(user)
    owner = Caller(user_id="ada", name="ada", role="user")
    library = here.chat.for_caller(owner).library
    for one in servers:
        one.neighbours.lost_share = lost_share
    info = await library.create("Shared")
    grace = there.chat.for_caller(Caller(user_id="grace", name="grace", role="user"))
    assert await grace.library.find_readable(info.id) is None
    held = await there.chat.for_caller(owner).library.open_conversation(info.id)
    assert held is not None  # a page of the owner shows it there
    changed: list[str | None] = []
    there.chat.watch_conversation(held, changed.append)

    await library.members.put(info.id, "user", "grace", "reply")
    if lost_share:
        await there.chat.core.look_for_changes()
    await until(lambda: grace.library.right_on(held) == "reply")
    turn = await grace.send_question(held, "Hi", turn_id="g", options=Options())
    await until_idle(servers, held)
    assert turn.text
    assert [one.asked_by for one in await all_turns(here.store, info.id)] == ["grace"]

    changed.clear()
    await library.members.remove(info.id, "user", "grace")
    if lost_share:
        await there.chat.core.look_for_changes()
    await until(lambda: grace.library.right_on(held) is None)
    assert None in changed
    with pytest.raises(NotFound):
        await grace.send_question(held, "Again", turn_id="g2", options=Options())
