"""Handlers as models of a chat: whole answers through the chat service and a real store."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import structlog

from wireside.app import create_app
from wireside.chat.conversation import Conversation, ConversationTurn
from wireside.chat.service import ChatService
from wireside.chat.streams import Ask
from wireside.errors import AlreadyAnswered, BadMessage, NotFound, UnknownModel
from wireside.extension.chat import Chat
from wireside.extension.parts import Source
from wireside.extension.questions import Approve, AskText
from wireside.extension.turn import CannotAsk, Turn
from wireside.identity import LOCAL, Caller
from wireside.messages import Message, Options
from wireside.parts import DataPart, TextPart, ToolCallPart, is_hidden
from wireside.ports.provider import Provider
from wireside.providers.scripted import ScriptedProvider
from wireside.settings.model import Settings
from wireside.tester.empty import write_empty_database
from wireside.tester.killed import DATABASE


@asynccontextmanager
async def serving(
    chat: Chat, folder: Path, upstream: Provider | None = None
) -> AsyncIterator[ChatService]:
    """Run a chat on the store of a folder; leaving it is a restart of the process."""
    settings = Settings(data_dir=folder, title_model="off", shutdown_s=0)
    if not (folder / DATABASE).exists():
        write_empty_database(folder / DATABASE)
    application = create_app(settings, provider=upstream, chat=chat)
    async with application.app.router.lifespan_context(application.app):
        yield application.parts.chat.for_caller(LOCAL)


async def ask(
    chat: ChatService, text: str, conversation: str = "new", *, values: str = ""
) -> tuple[Conversation, ConversationTurn]:
    """Ask a question and wait for the end of its answer."""
    stream, conversation_id = await chat.answer_in(
        conversation, text, key=None, options=Options(values=values)
    )
    await stream.wait_ended()
    found = await chat.library.open_conversation(conversation_id)
    assert found is not None
    last = found.total - 1
    (turn,) = await chat.library.read_turns(found, last, last)
    return found, turn


async def reply(
    chat: ChatService, turn: ConversationTurn, conversation: Conversation, value: Any
) -> None:
    """Answer the open question of a turn and wait for the end of what follows."""
    part = turn.answer[-1]
    for part in turn.answer:
        if isinstance(part, DataPart) and part.kind == "question":
            break
    assert isinstance(part, DataPart)
    answered = await chat.answer_question(conversation, turn.id, part.id, value)
    await answered.segments[-1].wait_ended()


class TestKindsOfHandlers:
    @pytest.mark.parametrize("kind", ["async generator", "coroutine", "function", "generator"])
    async def test_each_answers(self, kind: str, tmp_path: Path) -> None:
        chat = Chat()

        async def async_generator(turn: Turn) -> AsyncIterator[Any]:
            yield "Hello "
            yield turn.text

        async def coroutine(turn: Turn) -> str:
            return f"Hello {turn.text}"

        def function(turn: Turn) -> str:
            return f"Hello {turn.text}"

        def generator(turn: Turn) -> Any:
            yield "Hello "
            turn.emit(turn.text)

        handlers = {
            "async generator": async_generator,
            "coroutine": coroutine,
            "function": function,
            "generator": generator,
        }
        chat.on_message(handlers[kind])
        async with serving(chat, tmp_path) as service:
            _, turn = await ask(service, "Ada")
            assert turn.text == "Hello Ada"
            assert turn.end is not None
            assert turn.end.reason == "stop"

    async def test_parts_are_in_order_and_steps_are_nested(self, tmp_path: Path) -> None:
        chat = Chat()

        @chat.on_message
        async def answer(turn: Turn) -> AsyncIterator[Any]:
            yield "one"
            async with turn.step("outer", input=[1]) as outer:
                async with turn.step("inner") as inner:
                    inner.output = "found"
                outer.output = {"a": 1}
            yield "two"
            yield Source("Book")

        async with serving(chat, tmp_path) as service:
            _, turn = await ask(service, "q")
        outer, inner = (part for part in turn.answer if isinstance(part, DataPart) and part.id)
        shown = [part for part in turn.answer if not is_hidden(part)]
        kinds = [part.kind if isinstance(part, DataPart) else part for part in shown]
        assert kinds == [TextPart("one"), "step", "step", TextPart("two"), "source"]
        assert f'"parent":"{outer.id}"' in inner.data
        assert '"input":"[1]","output":"{\\"a\\":1}"' in outer.data
        assert '"state":"done"' in outer.data
        assert "null" not in inner.data, "an ended step has a duration"


class TestModels:
    async def test_handlers_are_models_in_front_of_those_of_a_provider(
        self, tmp_path: Path
    ) -> None:
        chat = Chat("Analyst")

        @chat.on_message
        async def first(turn: Turn) -> str:
            """Answers questions about sums."""
            return "first"

        @chat.on_message(name="second-one", title="The second")
        async def second(turn: Turn) -> AsyncIterator[str]:
            async for text in turn.complete():
                yield text.upper()

        async with serving(chat, tmp_path, ScriptedProvider(["up", "stream"])) as service:
            listed = [(m.id, m.name, m.description) for m in await service.models()]
            assert listed[:2] == [
                ("first", "Analyst", "Answers questions about sums"),
                ("second-one", "The second", ""),
            ]
            assert listed[2][0] == "scripted"
            for model, expected in (
                (None, "first"),
                ("second-one", "UPSTREAM"),
                ("scripted", "upstream"),
            ):
                messages = (Message.of_text("user", "q"),)
                stream = await service.start_stream(
                    Ask(messages=messages, options=Options(model=model))
                )
                await stream.wait_ended()
                assert stream.log.visible_text() == expected

    async def test_two_handlers_of_one_name_are_refused(self) -> None:
        chat = Chat()

        async def answer(turn: Turn) -> str:
            return ""

        chat.on_message(answer)
        with pytest.raises(ValueError, match="name="):
            chat.on_message(answer)

    async def test_a_handler_that_takes_no_turn_is_refused(self) -> None:
        def answer() -> str:
            return ""

        with pytest.raises(TypeError, match="'answer' must take the turn"):
            Chat().on_message(answer)  # type: ignore[type-var]

    async def test_a_chat_without_handlers_says_so(self) -> None:
        with pytest.raises(ValueError, match="on_message"):
            Chat().provider()

    async def test_a_model_that_no_handler_has_is_unknown(self, tmp_path: Path) -> None:
        chat = Chat()
        chat.on_message(lambda turn: "")
        async with serving(chat, tmp_path) as service:
            messages = (Message.of_text("user", "q"),)
            with pytest.raises(UnknownModel):
                await service.start_stream(Ask(messages=messages, options=Options(model="other")))


class TestContext:
    async def test_a_turn_has_user_messages_and_options(self, tmp_path: Path) -> None:
        @dataclass
        class Chosen:
            table: str = "orders"
            limit: int = 10

        chat = Chat(options=Chosen)
        seen: list[Turn[Any, Any]] = []

        @chat.on_message
        async def answer(turn: Turn[Chosen, None]) -> str:
            seen.append(turn)
            return f"{turn.options.table} {turn.options.limit}"

        async with serving(chat, tmp_path) as service:
            ada = service.for_caller(Caller(user_id="1", name="ada", role="user"))
            conversation, turn = await ask(ada, "first", values='{"limit": 5}')
            assert turn.text == "orders 5"
            await ask(ada, "second", conversation.id)
            for values, field in (
                ('{"limit": "many"}', "options.limit"),
                ('{"limits": 5}', "options.limits"),
            ):
                with pytest.raises(BadMessage, match=field):
                    await ask(ada, "third", conversation.id, values=values)
        assert (seen[1].user.id, seen[1].user.name) == ("1", "ada")
        assert [message["content"] for message in seen[1].messages] == [
            "first",
            "orders 5",
            "second",
        ]

    async def test_the_state_follows_the_branches(self, tmp_path: Path) -> None:
        @dataclass
        class State:
            asked: list[str] = field(default_factory=list)

        chat = Chat(state=State)

        @chat.on_message
        async def answer(turn: Turn[None, State]) -> str:
            turn.state.asked.append(turn.text)
            return ",".join(turn.state.asked)

        async with serving(chat, tmp_path) as service:
            conversation, first = await ask(service, "a")
            _, second = await ask(service, "b", conversation.id)
            assert second.text == "a,b"
            edited = await service.edit_turn(conversation, second.id, "c", new_turn_id="edited")
            while not edited.segments:
                await asyncio.sleep(0.01)
            await edited.segments[0].wait_ended()
            assert edited.text == "a,c"
            assert [part for part in first.answer if not is_hidden(part)] == [TextPart("a")]
        async with serving(chat, tmp_path) as service:  # after a restart
            _, third = await ask(service, "d", conversation.id)
            assert third.text == "a,c,d"


class TestEnds:
    async def test_an_exception_is_logged_under_the_id_that_the_user_sees(
        self, tmp_path: Path
    ) -> None:
        chat = Chat()

        @chat.on_message
        async def answer(turn: Turn) -> AsyncIterator[str]:
            yield "partial"
            raise ValueError("secret")

        async with serving(chat, tmp_path) as service:
            with structlog.testing.capture_logs() as logs:
                _, turn = await ask(service, "q")
        assert turn.text == "partial"
        assert turn.end is not None
        (logged,) = (line for line in logs if line["event"] == "handler_failed")
        assert logged["id"] in str(turn.end.error)
        assert "secret" not in str(turn.end.error)

    async def test_a_stop_reaches_the_handler_and_waits_for_its_clean_up(
        self, tmp_path: Path
    ) -> None:
        chat = Chat()
        cleaned: list[str] = []

        @chat.on_message
        async def answer(turn: Turn) -> AsyncIterator[str]:
            try:
                yield "kept"
                await asyncio.Event().wait()
            finally:
                await asyncio.sleep(0)
                cleaned.append("done")

        async with serving(chat, tmp_path) as service:
            stream, _ = await service.answer_in("new", "q", key=None, options=Options())
            while not stream.log.head:
                await asyncio.sleep(0.01)
            await service.stop_stream(stream)
            assert cleaned == ["done"]
            assert stream.log.visible_text() == "kept"
            assert stream.log.end is not None
            assert stream.log.end.reason == "cancelled"

    async def test_a_stop_ends_a_generator_in_a_thread(self, tmp_path: Path) -> None:
        chat = Chat()
        ended = asyncio.Event()
        loop = asyncio.get_running_loop()

        @chat.on_message
        def answer(turn: Turn) -> Any:
            try:
                while True:
                    time.sleep(0.01)
                    yield "x"
            finally:
                loop.call_soon_threadsafe(ended.set)

        async with serving(chat, tmp_path) as service:
            stream, _ = await service.answer_in("new", "q", key=None, options=Options())
            while not stream.log.head:
                await asyncio.sleep(0.01)
            await service.stop_stream(stream)
            await asyncio.wait_for(ended.wait(), 30)

    async def test_a_handler_that_holds_the_event_loop_is_named(self, tmp_path: Path) -> None:
        chat = Chat()

        @chat.on_message
        async def slow(turn: Turn) -> AsyncIterator[str]:
            time.sleep(0.15)  # noqa: ASYNC251 (the fault)
            yield "a"

        async with serving(chat, tmp_path) as service:
            with structlog.testing.capture_logs() as logs:
                await ask(service, "q")
        blocked = [line for line in logs if line["event"] == "handler_blocks_event_loop"]
        assert blocked[0]["handler"] == "slow"
        assert blocked[0]["milliseconds"] >= 100

    async def test_a_value_that_can_t_be_shown_fails_the_answer(self, tmp_path: Path) -> None:
        chat = Chat()

        @chat.on_message
        async def answer(turn: Turn) -> AsyncIterator[Any]:
            yield object()

        async with serving(chat, tmp_path) as service:
            _, turn = await ask(service, "q")
        assert turn.end is not None
        assert turn.end.error is not None


def asking_chat(planned: list[int], ended: list[str]) -> Chat:
    """Return a chat whose handler asks twice and plans once."""
    chat = Chat()

    def plan_once() -> int:
        planned.append(1)
        return len(planned)

    @chat.on_message
    async def answer(turn: Turn) -> AsyncIterator[Any]:
        try:
            yield "Look. "
            plan = await turn.once("plan", plan_once)
            async with turn.step("check"):
                pass
            if not await turn.ask(Approve("Send?")):
                yield "Not sent."
                return
            name = await turn.ask(AskText("To?"))
            yield f"Sent to {name} by plan {plan}."
        finally:
            ended.append("end")

    return chat


class TestQuestions:
    async def test_the_turn_ends_and_goes_on_with_the_answer(self, tmp_path: Path) -> None:
        planned: list[int] = []
        async with serving(asking_chat(planned, []), tmp_path) as service:
            conversation, turn = await ask(service, "q")
            assert turn.end is not None
            assert turn.end.reason == "asking"
            assert not conversation.live, "its slot is free"
            await reply(service, turn, conversation, True)
            assert "Send?\n\n→ Yes" in [
                part.text for part in turn.answer if isinstance(part, DataPart)
            ]
            question = [part for part in turn.answer if isinstance(part, DataPart)][-1]
            answered = await service.answer_question(conversation, None, question.id, "Ada")
            await answered.segments[-1].wait_ended()
            assert turn.text.endswith("Sent to Ada by plan 1.")

    async def test_a_handler_that_waits_in_a_deleted_conversation_ends(
        self, tmp_path: Path
    ) -> None:
        planned: list[int] = []
        ended: list[str] = []
        async with serving(asking_chat(planned, ended), tmp_path) as service:
            deleted, turn = await ask(service, "q")
            kept, _ = await ask(service, "q")
            await service.library.delete([deleted.id])
            async with asyncio.timeout(10):
                while not ended:
                    await asyncio.sleep(0.01)
            assert ended == ["end"], "the other one waits"
            await service.library.restore([deleted.id])
            await reply(service, turn, deleted, True)
            assert "Send?\n\n→ Yes" in [
                part.text for part in turn.answer if isinstance(part, DataPart)
            ]
            assert planned == [1, 1], "a replay repeats nothing"
            service.library.forget_all_of(LOCAL.user_id)
            async with asyncio.timeout(10):
                while len(ended) < 3:
                    await asyncio.sleep(0.01)
            assert kept.is_deleted

    async def test_after_a_restart_the_handler_repeats_nothing(self, tmp_path: Path) -> None:
        planned: list[int] = []
        ended: list[str] = []
        async with serving(asking_chat(planned, ended), tmp_path) as service:
            conversation, turn = await ask(service, "q")
        assert ended == ["end"], "a handler that waits is stopped with its clean-up"
        for value in (True, "Ada"):
            async with serving(asking_chat(planned, []), tmp_path) as service:
                found = await service.library.open_conversation(conversation.id)
                assert found is not None
                (turn,) = await service.library.read_turns(found, 0, 0)
                question = [
                    part
                    for part in turn.answer
                    if isinstance(part, DataPart) and part.kind == "question"
                ][-1]
                answered = await service.answer_question(found, turn.id, question.id, value)
                await answered.segments[-1].wait_ended()
                kinds = [
                    part.kind if isinstance(part, DataPart) else part
                    for part in turn.answer
                    if not is_hidden(part)
                ]
        assert planned == [1]
        assert kinds == [
            TextPart("Look. "),
            "step",
            "question",
            "question",
            TextPart("Sent to Ada by plan 1."),
        ]

    async def test_the_first_answer_counts(self, tmp_path: Path) -> None:
        async with serving(asking_chat([], []), tmp_path) as service:
            conversation, turn = await ask(service, "q")
            question = [part for part in turn.answer if isinstance(part, DataPart)][-1]
            answers = [
                service.answer_question(conversation, turn.id, question.id, value)
                for value in (False, True)
            ]
            found = await asyncio.gather(*answers, return_exceptions=True)
            assert sorted(type(one).__name__ for one in found) == [
                "AlreadyAnswered",
                "ConversationTurn",
            ]
            await turn.segments[-1].wait_ended()
            assert turn.text.endswith("Not sent.")
            with pytest.raises(AlreadyAnswered):
                await service.answer_question(conversation, turn.id, question.id, True)

    async def test_what_does_not_fit_leaves_the_question_open(self, tmp_path: Path) -> None:
        async with serving(asking_chat([], []), tmp_path) as service:
            conversation, turn = await ask(service, "q")
            question = [part for part in turn.answer if isinstance(part, DataPart)][-1]
            with pytest.raises(BadMessage):
                await service.answer_question(conversation, turn.id, question.id, "yes")
            with pytest.raises(NotFound):
                await service.answer_question(conversation, turn.id, "question-other", True)
            other = service.for_caller(Caller(user_id="2", name="eve", role="user"))
            assert await other.library.open_conversation(conversation.id) is None
            await reply(service, turn, conversation, False)
            assert turn.text.endswith("Not sent.")

    async def test_a_request_outside_of_a_conversation_can_t_ask(self, tmp_path: Path) -> None:
        async with serving(asking_chat([], []), tmp_path) as service:
            messages = (Message.of_text("user", "q"),)
            stream = await service.for_caller(LOCAL).start_stream(Ask(messages=messages))
            await stream.wait_ended()
            assert stream.log.end is not None
            assert "conversation" in str(stream.log.end.error)


class TestCalledDirectly:
    async def test_a_handler_is_a_plain_function(self) -> None:
        async def answer(turn: Turn) -> AsyncIterator[Any]:
            yield f"Hello {turn.user.name}: "
            turn.emit("aside")
            if await turn.ask(Approve("Go on?")):
                yield await turn.once("n", lambda: "done")

        turn: Turn[Any, Any] = Turn("hi", user="ada")
        with pytest.raises(CannotAsk):
            _ = [part async for part in answer(turn)]
        output = turn.output
        output.answers = [True]  # type: ignore[attr-defined]
        assert [part async for part in answer(turn)] == ["Hello ada: ", "done"]

    def test_tool_calls_are_part_of_the_messages(self) -> None:
        call = ToolCallPart(call="1", name="f", state="done", arguments="{}", result="r")
        context = (
            Message.of_text("user", "a"),
            Message("assistant", (call,)),
            Message.of_text("user", "b"),
        )
        turn: Turn[Any, Any] = Turn("b", messages=context)
        roles = [message["role"] for message in turn.messages]
        assert roles == ["user", "assistant", "tool", "user"]
