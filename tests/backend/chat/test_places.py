"""Simultaneous answers of a user: a slot is acquired before any await, and none leaks."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest

from wireside.auth.limiter import MemoryLimiter
from wireside.auth.quotas import QuotaLimits, UserQuotas
from wireside.chat.asking import NEW
from wireside.chat.conversation import Conversation, ConversationTurn
from wireside.chat.core import ChatCore
from wireside.chat.dependencies import ChatDependencies, ChatRules
from wireside.chat.service import ChatService
from wireside.chat.streams import Ask
from wireside.errors import (
    Overloaded,
    ProviderUnavailable,
    RateLimited,
    StoreError,
    TooMany,
    UnknownModel,
    WiresideError,
)
from wireside.identity import Caller
from wireside.messages import Finished, Message, Options
from wireside.providers.scripted import ScriptedProvider, Step

ADA = Caller(user_id="ada-id", name="ada", role="user", credential="session 1")
QUESTION = Ask(messages=(Message.of_text("user", "Hi"),))


class Slow(UserQuotas):
    """A limiter as slow as a remote Redis: other tasks run meanwhile."""

    async def record_message(self, caller: Caller) -> None:
        await asyncio.sleep(0.002)
        await super().record_message(caller)


@pytest.fixture
def most() -> int:
    return 2


@pytest.fixture
def quotas(most: int) -> UserQuotas:
    return Slow(MemoryLimiter(time.monotonic), QuotaLimits(streams=most))


@pytest.fixture
async def chat(parts: ChatDependencies, quotas: UserQuotas) -> ChatService:
    return ChatService(ChatCore(replace(parts, quotas=quotas), ChatRules()), ADA)


async def left(chat: ChatService) -> int | None:
    return (await chat.allowance()).streams_left


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.001)


async def told_of(asked: Iterable[Awaitable[object]]) -> list[str]:
    """Return the outcome of each: "begun", or the code of its error."""
    results = await asyncio.gather(*asked, return_exceptions=True)
    return sorted(getattr(result, "code", "begun") for result in results)


def ask_new(chat: ChatService) -> Awaitable[tuple[Conversation, ConversationTurn]]:
    return chat.ask_in_conversation(NEW, "Hi", key=None, options=Options())


@pytest.mark.parametrize("ask", [ask_new, lambda chat: chat.start_stream(QUESTION)])
async def test_eight_that_come_together_find_two_places(
    chat: ChatService, provider: ScriptedProvider, ask: Callable[[ChatService], Awaitable[object]]
) -> None:
    assert await told_of([ask(chat) for _ in range(8)]) == ["begun"] * 2 + ["too_many"] * 6
    for call in (await provider.call(0), await provider.call(1)):
        call.say("Hello")
    assert await left(chat) == 0
    with pytest.raises(TooMany, match="limit of 2 concurrent"):
        await ask(chat)
    provider.calls[0].finish()
    async with asyncio.timeout(10):
        while await left(chat) == 0:
            await asyncio.sleep(0.001)
    assert await told_of([ask(chat), ask(chat)]) == ["begun", "too_many"]


async def test_others_have_places_of_their_own(chat: ChatService) -> None:
    grace = chat.for_caller(replace(ADA, user_id="grace-id"))
    asked = [ask_new(who) for who in (chat, grace) for _ in range(3)]
    assert await told_of(asked) == ["begun"] * 4 + ["too_many"] * 2


async def test_a_key_may_have_fewer_than_its_user(chat: ChatService) -> None:
    with_key = chat.for_caller(replace(ADA, credential="key 7", streams=1))
    assert await told_of([ask_new(with_key) for _ in range(3)]) == ["begun"] + ["too_many"] * 2
    assert (await left(with_key), await left(chat)) == (0, 1)
    assert await told_of([ask_new(chat) for _ in range(2)]) == ["begun", "too_many"]


async def test_the_same_request_twice_takes_one_place(chat: ChatService) -> None:
    ask = replace(QUESTION, key="k")
    first, second = await asyncio.gather(chat.start_stream(ask), chat.start_stream(ask))
    assert first is second
    assert await left(chat) == 1
    await chat.start_stream(QUESTION)
    assert await chat.start_stream(ask) is first  # also when there is no free slot


class TestInAConversation:
    """Turns of one conversation are answered one after another, in the slot of the first one."""

    @pytest.fixture
    def most(self) -> int:
        return 1

    @pytest.fixture
    async def conversation(self, chat: ChatService) -> Conversation:
        return chat.library.new_conversation()

    @staticmethod
    async def send(chat: ChatService, conversation: Conversation, turn_id: str) -> ConversationTurn:
        return await chat.send_question(conversation, "Hi", turn_id=turn_id, options=Options())

    @staticmethod
    async def begun(turn: ConversationTurn) -> None:
        await until(lambda: not turn.waiting)

    async def test_what_waits_takes_no_place_and_has_one_when_it_is_its_turn(
        self, chat: ChatService, conversation: Conversation, provider: ScriptedProvider
    ) -> None:
        turns = [await self.send(chat, conversation, f"t{number}") for number in range(3)]
        for number, turn in enumerate(turns):
            call = await provider.call(number)
            await self.begun(turn)
            assert len(provider.calls) == number + 1
            with pytest.raises(TooMany):
                await ask_new(chat)
            call.finish()
        await until(lambda: not conversation.live)
        assert await left(chat) == 1
        await ask_new(chat)

    async def test_nobody_gets_between_two_of_its_answers(
        self, chat: ChatService, conversation: Conversation, provider: ScriptedProvider
    ) -> None:
        for number in range(5):
            await self.send(chat, conversation, f"t{number}")
        for number in range(5):
            (await provider.call(number)).finish()
            while len(provider.calls) < min(number + 2, 5):
                with pytest.raises(TooMany):
                    chat._quotas.acquire_slot(ADA)
                await asyncio.sleep(0)
        await until(lambda: not conversation.live)
        assert await left(chat) == 1

    async def test_one_that_is_on_its_way_while_the_answer_before_it_ends(
        self, chat: ChatService, conversation: Conversation, provider: ScriptedProvider
    ) -> None:
        await self.send(chat, conversation, "t1")
        call = await provider.call(0)
        sending = asyncio.create_task(self.send(chat, conversation, "t2"))
        await until(lambda: conversation.reserved_slots)
        call.finish()
        await until(lambda: not conversation.live)
        with pytest.raises(TooMany):  # the second one has acquired the slot already
            chat._quotas.acquire_slot(ADA)
        await sending
        (await provider.call(1)).finish()
        await until(lambda: not conversation.live and not conversation.waiting)
        assert await left(chat) == 1

    async def test_what_begins_beside_a_running_answer_needs_a_place(
        self, chat: ChatService, conversation: Conversation, provider: ScriptedProvider
    ) -> None:
        first = await self.send(chat, conversation, "t1")
        call = await provider.call(0)
        call.say("half an")
        await until(lambda: first.text)
        await chat.stop_stream(first.segments[-1])
        await until(lambda: not conversation.live)
        await self.send(chat, conversation, "t2")
        await provider.call(1)
        with pytest.raises(TooMany):
            await chat.continue_answer(conversation, "t1")
        await chat.edit_turn(conversation, "t2", "another", new_turn_id="t3")  # in place of t2
        (await provider.call(2)).finish()
        await until(lambda: not conversation.live and not conversation.waiting)
        await chat.continue_answer(conversation, "t1")
        assert await left(chat) == 0
        (await provider.call(3)).finish()
        await until(lambda: not conversation.live)
        assert await left(chat) == 1

    async def test_what_is_deleted_or_taken_back_has_none(
        self, chat: ChatService, conversation: Conversation, provider: ScriptedProvider
    ) -> None:
        await self.send(chat, conversation, "t1")
        await self.send(chat, conversation, "t2")
        await chat.withdraw_turn(conversation, "t2")
        await self.send(chat, conversation, "t3")
        await chat.library.delete([conversation.id])
        await until(
            lambda: not conversation.live and not chat.core.answers.slots.held_slots(conversation)
        )
        assert await left(chat) == 1

    async def test_what_waited_when_the_server_was_ended_counts(
        self,
        chat: ChatService,
        conversation: Conversation,
        parts: ChatDependencies,
        provider: ScriptedProvider,
    ) -> None:
        await self.send(chat, conversation, "t1")
        await self.send(chat, conversation, "t2")
        await provider.call(0)
        quotas = UserQuotas(MemoryLimiter(time.monotonic), QuotaLimits(streams=1))
        runner = type(parts.runner)(
            parts.provider, parts.tasks, parts.runner._limits, parts.runner._clock, parts.saving
        )
        following = ChatService(
            ChatCore(replace(parts, runner=runner, quotas=quotas), ChatRules()), ADA
        )
        await following.core.resume_waiting()
        call = await provider.call(1)
        assert await left(following) == 0
        call.finish()
        await until(lambda: not quotas._busy)


async def test_whatever_fails_no_place_is_lost(
    chat: ChatService,
    parts: ChatDependencies,
    provider: ScriptedProvider,
    quotas: UserQuotas,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """No failure leaks a slot.

    Models, limits, the store and the runner fail and clients disconnect at every step: there are
    never more answers than slots, and all slots are free in the end.
    """
    dice = random.Random(4)
    streams: list[object] = []

    def flaky(owner: object, name: str, kinds: Sequence[type[Exception]]) -> None:
        real = getattr(owner, name)

        async def maybe(*args: object, **kwargs: object) -> object:
            await asyncio.sleep(0)
            if dice.random() < 0.15:
                raise dice.choice(kinds)
            result = await real(*args, **kwargs)
            if dice.random() < 0.1:
                raise dice.choice(kinds)
            return result

        monkeypatch.setattr(owner, name, maybe)

    flaky(parts.models, "resolve_model", [UnknownModel, ProviderUnavailable])
    flaky(quotas, "record_message", [RateLimited, RuntimeError])
    for method in ("read_turns", "set_shown_branch", "read_turn"):
        flaky(chat._store, method, [StoreError])
    flaky(parts.saving, "_commit", [StoreError])
    start = parts.runner.start_answer

    def start_or_not(*args: Any, **kwargs: Any) -> object:
        if dice.random() < 0.1:
            raise Overloaded
        streams.append(start(*args, **kwargs))
        assert parts.runner.live_count <= 2
        return streams[-1]

    monkeypatch.setattr(parts.runner, "start_answer", start_or_not)
    conversations = [chat.library.new_conversation() for _ in range(4)]

    async def do(number: int) -> None:
        conversation = dice.choice(conversations)
        turns = [turn.id for turn in conversation._turns.values()] or ["none"]
        match dice.randrange(7):
            case 0 | 1:
                await chat.send_question(
                    conversation, "Hi", turn_id=f"t{number}", options=Options()
                )
            case 2:
                await chat.retry_turn(conversation, dice.choice(turns))
            case 3:
                await chat.continue_answer(conversation, dice.choice(turns))
            case 4:
                await chat.edit_turn(
                    conversation, dice.choice(turns), "Hm", new_turn_id=f"t{number}"
                )
            case 5:
                await chat.withdraw_turn(conversation, dice.choice(turns))
            case _:
                await chat.start_stream(QUESTION)

    async def go_away_or(number: int) -> None:
        doing = asyncio.create_task(do(number))
        for _ in range(dice.randrange(40)):
            await asyncio.sleep(0)
        if dice.random() < 0.3:
            doing.cancel()
        with suppress(WiresideError, RuntimeError, asyncio.CancelledError):
            await doing

    for round_number in range(60):
        await asyncio.gather(*(go_away_or(100 * round_number + n) for n in range(6)))
        for call in provider.calls:
            if not call.is_closed:
                ends: list[Step] = [Finished("stop"), StoreError()]
                call.say(dice.choice(ends))
    async with asyncio.timeout(20):
        while quotas._busy:
            for call in provider.calls:
                call.finish()
            await asyncio.sleep(0.01)
    assert len(streams) > 20
    assert await left(chat) == 2
