"""A stateful test of conversations against a slow and obvious model.

The conversation must equal the model after any sequence of operations, also when it is read from
the store alone.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Awaitable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tests.examples import examples
from wireside.auth.limiter import MemoryLimiter
from wireside.auth.quotas import QuotaLimits, UserQuotas
from wireside.chat.conversation import Conversation
from wireside.chat.core import ChatCore
from wireside.chat.dependencies import ChatDependencies, ChatRules
from wireside.chat.service import ChatService
from wireside.errors import ProviderUnavailable
from wireside.files.folder import FolderContents
from wireside.files.service import FileRules, Files
from wireside.generation.commits import GroupCommit
from wireside.generation.runner import Runner, RunnerLimits
from wireside.generation.tasks import Tasks
from wireside.messages import ModelRequest, Options
from wireside.providers.catalog import Catalog
from wireside.providers.scripted import ScriptedProvider, Step
from wireside.store.store import SqlStore

T = TypeVar("T")


@dataclass
class Node:
    """A turn of the model: a plain tree of parents and children."""

    id: str
    question: str
    parent: Node | None
    answer: str = ""
    begins_branch: bool = False
    children: list[Node] = field(default_factory=list)


class AnyTalk(RuleBasedStateMachine):
    """Asks, edits, retries, switches branches, continues, deletes, undoes deletions, reopens."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.Runner()
        self.provider = ScriptedProvider(self.answer)
        self.count = 0
        self.fails = False
        self.numbers = itertools.count()
        self.nodes: list[Node] = []
        self.roots: list[Node] = []
        self.leaf: Node | None = None

    def answer(self, request: ModelRequest) -> list[Step]:
        """Answer with the numbered question, or fail if the rule says so."""
        if self.fails:
            return [ProviderUnavailable()]
        self.count += 1
        return [f"{self.count}: ", request.messages[-1].text]

    def do(self, work: Awaitable[T]) -> T:
        async def then_settle() -> T:
            result = await work
            async with asyncio.timeout(10):
                while self.conversation.live or self.conversation.waiting:
                    await asyncio.sleep(0)
                assert await self.chat.saving.wait_until_all_stored(10)
            return result

        return self.loop.run(then_settle())

    @initialize()
    def begin(self) -> None:
        async def open_all() -> None:
            self.tasks = Tasks()
            self.store = SqlStore("sqlite://")
            await self.store.open()
            self.saving = GroupCommit(self.store.commit_writes, time.monotonic)
            self.tasks.create_task(self.saving.write_until_cancelled(), name="group commit")
            self.new_service()
            self.conversation = self.chat.library.new_conversation()

        self.loop.run(open_all())

    def new_service(self) -> None:
        """A service as a new process has it: all state comes from the store."""
        runner = Runner(
            provider=self.provider,
            tasks=self.tasks,
            limits=RunnerLimits(),
            clock=time.monotonic,
            commits=self.saving,
        )
        self.quotas = UserQuotas(MemoryLimiter(time.monotonic), QuotaLimits(streams=1))
        core = ChatCore(
            ChatDependencies(
                runner=runner,
                models=Catalog(self.provider, default=None, clock=time.monotonic),
                provider=self.provider,
                store=self.store,
                saving=self.saving,
                files=Files(
                    self.store.files, FolderContents(Path("nowhere")), FileRules(), time.time
                ),
                prompts=self.store.prompts,
                folders=self.store.folders,
                comments=self.store.comments,
                presets=self.store.presets,
                tasks=self.tasks,
                wall_clock=time.time,
                quotas=self.quotas,
            ),
            ChatRules(),
        )
        self.chat = ChatService(core)

    # ---- the model ---------------------------------------------------------------------------

    def path(self) -> list[Node]:
        nodes: list[Node] = []
        node = self.leaf
        while node is not None:
            nodes.append(node)
            node = node.parent
        return nodes[::-1]

    def beside(self, node: Node) -> list[Node]:
        return node.parent.children if node.parent else self.roots

    def add(self, node: Node) -> Node:
        beside = self.beside(node)
        node.begins_branch = bool(beside)
        beside.append(node)
        self.nodes.append(node)
        self.leaf = node
        if not self.fails:
            node.answer = f"{self.count}: {node.question}"
        return node

    def end_after(self, node: Node) -> Node:
        """Return the last node of the newest branch below ``node``, or of its own branch."""
        below = [node]
        for one in below:
            below += one.children
        begun = [one for one in below if one.begins_branch]
        last = max(begun, key=self.nodes.index, default=node)
        while last.children:
            last = last.children[0]
        return last

    # ---- operations --------------------------------------------------------------------------

    @rule(question=st.sampled_from(["why", "how", "wombat"]), fails=st.booleans())
    def ask(self, question: str, fails: bool) -> None:
        name = f"t{next(self.numbers)}"
        self.fails = fails
        self.do(
            self.chat.send_question(self.conversation, question, turn_id=name, options=Options())
        )
        self.add(Node(name, question, self.leaf))
        said = [text for n in self.path()[:-1] if n.answer for text in (n.question, n.answer)]
        assert [message.text for message in self.provider.calls[-1].request.messages] == [
            *said,
            question,
        ][-40:]

    @precondition(lambda self: self.leaf)
    @rule(place=st.integers(0, 100))
    def edit(self, place: int) -> None:
        node = self.path()[place % len(self.path())]
        name = f"t{next(self.numbers)}"
        self.fails = False
        self.do(self.chat.edit_turn(self.conversation, node.id, "edited", new_turn_id=name))
        self.add(Node(name, "edited", node.parent))

    @precondition(lambda self: self.leaf)
    @rule(place=st.integers(0, 100))
    def ask_again(self, place: int) -> None:
        node = self.path()[place % len(self.path())]
        self.fails = False
        turn = self.do(self.chat.retry_turn(self.conversation, node.id))
        if node.answer:
            self.add(Node(turn.id, node.question, node.parent))
        else:
            assert turn.id == node.id
            node.answer = f"{self.count}: {node.question}"

    @precondition(lambda self: self.leaf)
    @rule(place=st.integers(0, 100), step=st.sampled_from([-1, 1]))
    def turn_over(self, place: int, step: int) -> None:
        node = self.path()[place % len(self.path())]
        self.do(self.chat.show_sibling(self.conversation, node.id, step))
        beside = self.beside(node)
        to = beside.index(node) + step
        if 0 <= to < len(beside):
            self.leaf = self.end_after(beside[to])

    @precondition(lambda self: self.nodes)
    @rule(place=st.integers(0, 100))
    def look_for(self, place: int) -> None:
        node = self.nodes[place % len(self.nodes)]
        self.do(self.chat.show_turn(self.conversation, node.id))
        if node not in self.path():
            self.leaf = self.end_after(node)

    @precondition(lambda self: self.leaf)
    @rule()
    def delete_and_undo(self) -> None:
        name = self.conversation.id
        self.do(self.chat.library.delete([name]))
        assert self.do(self.chat.library.open_conversation(name)) is None
        self.do(self.chat.library.restore([name]))

    @precondition(lambda self: self.leaf)
    @rule()
    def restart(self) -> None:
        self.new_service()
        self.do(self.chat.core.resume_waiting())
        conversation = self.do(self.chat.library.open_conversation(self.conversation.id))
        assert conversation is not None
        self.conversation = conversation

    # ---- invariants --------------------------------------------------------------------------

    @invariant()
    def it_is_what_the_model_says(self) -> None:
        if self.leaf is None:
            return
        self.loop.run(self.compare(self.chat, self.conversation))
        stored = self.loop.run(self.store.conversation(self.conversation.id))
        assert stored is not None
        self.loop.run(self.compare(self.chat, Conversation(stored)))

    @invariant()
    def no_place_is_lost(self) -> None:
        if hasattr(self, "chat"):
            assert self.loop.run(self.chat.allowance()).streams_left == 1

    async def compare(self, chat: ChatService, conversation: Conversation) -> None:
        turns = await chat.library.read_turns(conversation, 0, conversation.total - 1)
        assert [(t.id, t.question, t.text) for t in turns] == [
            (n.id, n.question, n.answer) for n in self.path()
        ]
        for turn, node in zip(turns, self.path(), strict=True):
            beside = self.beside(node)
            assert conversation.siblings(turn) == (beside.index(node), len(beside))

    def teardown(self) -> None:
        if hasattr(self, "tasks"):
            self.loop.run(self.tasks.aclose())
            self.loop.run(self.store.aclose())
        self.loop.close()


AnyTalk.TestCase.settings = settings(
    max_examples=examples(15), stateful_step_count=20, deadline=None
)
TestAnyTalk = pytest.mark.timeout(300)(AnyTalk.TestCase)
