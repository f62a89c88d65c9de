"""The tester of chats: the same conversation by each door, cut at every frame, over a restart."""

from __future__ import annotations

import asyncio
import json
import tempfile
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from wireside import (
    Approve,
    AskFile,
    AskText,
    Chat,
    ChatTester,
    ProviderError,
    Reasoning,
    Source,
    Turn,
    UnknownModel,
    View,
)
from wireside.errors import BadMessage, InvalidAttachment, NotFound
from wireside.extension.chat import NoHandler
from wireside.parts import DataPart, FilePart
from wireside.providers.scripted import ScriptedProvider
from wireside.pytest_plugin import MakeTester
from wireside.records import Tail, Write, WriteResult
from wireside.store.store import SqlStore
from wireside.tester import NoQuestion
from wireside.transfer.formats import wireside as wireside_format


def shop() -> Chat:
    chat = Chat("Shop")

    @chat.on_message
    async def order(turn: Turn) -> AsyncIterator[Any]:
        yield f"Hello {turn.user.name}. "
        async with turn.step("look up", input=turn.text) as step:
            step.output = "one"
        if turn.text == "fail":
            raise ProviderError("The shop is closed.")
        if await turn.ask(Approve("Order?")):
            yield "Ordered."
            yield Source("Shop", url="https://shop.example")

    @chat.on_message(name="model")
    async def model(turn: Turn) -> AsyncIterator[Any]:
        async for text in turn.complete():
            yield text

    return chat


async def test_a_conversation(chat_tester: MakeTester) -> None:
    async with chat_tester(shop(), user="ada") as tester:
        reply = await tester.ask("tea")
        assert (reply.text, reply.reason) == ("Hello ada. ", "asking")
        assert reply.question is not None
        assert reply.question["prompt"] == "Order?"
        with pytest.raises(BadMessage):
            await tester.answer("yes")
        await tester.restart()
        reply = await tester.answer(True)
        assert (reply.text, reply.reason, reply.question) == ("Ordered.", "stop", None)
        kinds = [part.kind for part in reply.parts if isinstance(part, DataPart)]
        assert kinds == ["question", "source"]
        with pytest.raises(NoQuestion):
            await tester.answer(True)
        tester.new_conversation()
        assert (await tester.ask("tea")).reason == "asking"


async def test_errors(chat_tester: MakeTester) -> None:
    async with chat_tester(shop()) as tester:
        reply = await tester.ask("fail")
        assert (reply.text, reply.error) == ("Hello . ", "The shop is closed.")
        with pytest.raises(UnknownModel):
            await tester.ask("tea", model="other")


async def test_a_kill_that_would_lose_what_was_sent_is_found(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    commit = SqlStore.commit_writes

    async def forget_tails(self: SqlStore, writes: Sequence[Write]) -> Sequence[WriteResult]:
        kept = [write for write in writes if not isinstance(write, Tail)]
        return [*(await commit(self, kept) if kept else ()), *[True] * (len(writes) - len(kept))]

    monkeypatch.setattr(SqlStore, "commit_writes", forget_tails)
    async with ChatTester(shop(), door="socket", kill=True) as tester:
        with pytest.raises(AssertionError, match="a kill would lose"):
            await tester.ask("tea")


async def test_settings_of_the_environment_are_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WIRESIDE_DATABASE_URL", f"sqlite:///{tmp_path / 'real.db'}")
    monkeypatch.setenv("WIRESIDE_MAX_MESSAGE_CHARS", "1")
    monkeypatch.chdir(tmp_path)
    async with ChatTester(shop()) as tester:
        assert (await tester.ask("tea")).reason == "asking"
    assert not any(tmp_path.glob("*"))  # noqa: ASYNC240 (nothing else runs)


async def test_a_retry_keeps_an_answer_without_text() -> None:
    chat = Chat()
    numbers = iter(range(9))

    @chat.on_message
    async def answer(turn: Turn) -> AsyncIterator[Any]:
        yield Reasoning("Hm.")
        yield View("totals", {"number": next(numbers)})

    async with ChatTester(chat) as tester:
        await tester.ask("q")
        conversation, first = await tester._last_turn()
        reply = await tester.retry()
        assert "1" in str(reply.parts[-1])
        _, second = await tester._last_turn()
        assert conversation.siblings(second) == (1, 2)
        assert "0" in str(first.answer[-1])


async def test_a_chat_that_can_t_start_leaves_no_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with pytest.raises(NoHandler):
        async with ChatTester(Chat()):
            pass
    assert not any(tmp_path.glob("*"))  # noqa: ASYNC240 (nothing else runs)


async def test_the_page_shows_the_parts() -> None:
    chat = Chat()

    @chat.on_message
    async def answer(turn: Turn) -> AsyncIterator[Any]:
        yield Reasoning("Hm.")
        yield "A **bold** claim <script>"
        yield Source("Shop", url="https://shop.example")

    async with ChatTester(chat, user="ada", door="page") as tester:
        reply = await tester.ask("q")
        reasoning, text, source = reply.page_parts
        assert (reasoning["kind"], reasoning.get("text")) == ("reasoning", "Hm.")
        assert "A <strong>bold</strong> claim &lt;script&gt;" in str(text.get("html"))
        assert (source["kind"], source.get("type")) == ("data", "source")
        tester.new_conversation()
        with pytest.raises(BadMessage):
            await tester.ask(" ")
        assert (await tester.ask("again")).page_parts[0]["kind"] == "reasoning"


async def test_the_models_of_a_provider() -> None:
    provider = ScriptedProvider(["from ", "upstream"])
    async with ChatTester(shop(), provider=provider) as tester:
        assert (await tester.ask("hi", model="model")).text == "from upstream"


def asking(*questions: Approve | AskText) -> Chat:
    chat = Chat()

    @chat.on_message
    async def answer(turn: Turn) -> AsyncIterator[Any]:
        for question in questions:
            yield f"{await turn.ask(question)} "

    return chat


async def test_an_unpaired_surrogate_of_a_handler_is_replaced() -> None:
    chat = Chat()

    @chat.on_message
    async def answer(turn: Turn) -> AsyncIterator[Any]:
        yield Reasoning("r\ud800")
        yield "a\ud800b"
        yield View("note", {"text": "v\ud800"})

    async with ChatTester(chat, door="socket") as tester:
        reply = await tester.ask("Hi")
        assert (reply.text, reply.reason) == ("a\ufffdb", "stop")
        assert "\ud800" not in repr(reply.parts)
        await tester.restart()
        assert (await tester.ask("Hi")).text == "a\ufffdb"


async def test_a_surrogate_does_not_stop_what_is_stored() -> None:
    async with ChatTester(asking(AskText("Name?"))) as tester:  # as by REST; a frame refuses it
        await tester.ask("q")
        reply = await tester.answer("a\ud800b")
        assert reply.text == "a\ufffdb "
        tester.new_conversation()
        await tester.ask("other")
        await tester.restart()
        assert (await tester.answer("kept")).text == "kept "


def asking_for_table() -> Chat:
    chat = Chat()

    @chat.on_message
    async def answer(turn: Turn) -> AsyncIterator[str]:
        table = await turn.ask(AskFile("Which table?", ["text/csv", "image/*"]))
        yield f"{table.name}: {getattr(table, 'text', '')!r}. "
        other = await turn.ask(AskFile("And which other?"))
        yield f"{other.name} after {getattr(table, 'text', '')!r}"

    return chat


async def test_a_file_is_the_answer(chat_tester: MakeTester) -> None:
    async with chat_tester(asking_for_table(), user="ada") as tester:
        reply = await tester.ask("q")
        assert reply.question is not None
        assert reply.question["media_types"] == ["text/csv", "image/*"]
        text = await tester.upload("a.txt", b"plain")
        for wrong in (True, {"id": text, "name": "", "media_type": "", "size_bytes": 0}):
            with pytest.raises(BadMessage, match="the id of an upload"):
                await tester.answer(wrong)
        with pytest.raises(InvalidAttachment, match=r"wants text/csv, image/\*"):
            await tester.answer(text)
        with pytest.raises(NotFound):
            await tester.answer("unknown")
        table = await tester.upload("a.csv", b"x,y\n1,2\n")
        reply = await tester.answer(table)
        assert reply.text == "a.csv: 'x,y\\n1,2\\n'. "
        await tester.restart()  # the first answer is replayed, with its content
        reply = await tester.answer(text)
        assert reply.text == "a.txt after 'x,y\\n1,2\\n'"
        answer = reply.parts[0].data if isinstance(reply.parts[0], DataPart) else ""
        assert json.loads(answer)["answer"] == {
            "id": text,
            "name": "a.txt",
            "media_type": "text/plain",
            "size_bytes": 5,
        }


async def test_a_file_that_answers_a_question_is_kept_with_the_conversation() -> None:
    async with ChatTester(asking_for_table(), user="ada") as tester:
        await tester.ask("q")
        table = await tester.upload("a.csv", b"x,y\n")
        await tester.answer(table)
        with pytest.raises(BadMessage, match="deleted with its conversation"):
            await tester._service.files.remove_file(table)


async def test_questions_that_are_asked_at_once_are_answered_in_turn() -> None:
    chat = Chat()

    @chat.on_message
    async def answer(turn: Turn) -> str:
        async def ask(prompt: str) -> str:
            return str(await turn.ask(AskText(prompt)))

        return ",".join(await asyncio.gather(ask("a?"), ask("b?")))

    async with ChatTester(chat) as tester:
        assert (await tester.ask("q")).question is not None
        assert (await tester.answer("one")).question is not None
        assert (await tester.answer("two")).text == "one,two"


async def test_an_answer_that_goes_on_asks_anew_and_repeats_no_work() -> None:
    chat = Chat()
    charged: list[int] = []
    sent: list[bool] = []
    may_go_on = asyncio.Event()

    @chat.on_message
    async def answer(turn: Turn) -> AsyncIterator[Any]:
        await turn.once("charge", lambda: charged.append(1))
        yield "charged "
        sent.append(await turn.ask(Approve("Send?")))
        await may_go_on.wait()
        yield "sent" if sent[-1] else "not sent"

    async with ChatTester(chat) as tester:
        await tester.ask("q")
        answering = asyncio.create_task(tester.answer(True))
        while not sent:
            await asyncio.sleep(0.01)
        await tester.stop()
        await answering
        may_go_on.set()
        reply = await tester.continue_answer()
        assert reply.question is not None, "the answer to the stopped run is not used again"
        await tester.restart()
        assert (await tester.answer(False)).text == "not sent"
    assert charged == [1]
    assert sent == [True, False]


async def test_a_handler_that_no_longer_asks_says_so() -> None:
    questions: list[Approve | AskText] = [Approve("Send?")]
    chat = Chat()

    @chat.on_message
    async def answer(turn: Turn) -> AsyncIterator[Any]:
        for question in questions:
            await turn.ask(question)
        yield "rest"

    async with ChatTester(chat) as tester:
        await tester.ask("q")
        questions.clear()  # as a deploy does
        await tester.restart()
        assert "has changed" in ((await tester.answer(True)).error or "")


async def test_a_state_that_can_t_be_stored_fails_the_answer() -> None:
    @dataclass
    class State:
        text: str = ""

    chat = Chat(state=State)

    @chat.on_message
    async def answer(turn: Turn[None, State]) -> str:
        turn.state.text = "x" * 3_000_000
        return "done"

    async with ChatTester(chat) as tester:
        assert (await tester.ask("q")).error is not None


async def test_each_class_of_state_is_kept_by_itself() -> None:
    @dataclass
    class One:
        rows: int = 0

    @dataclass
    class Two:
        rows: int = 0

    chat = Chat()

    @chat.on_message(state=One)
    async def one(turn: Turn[None, One]) -> str:
        turn.state.rows += 1
        return str(turn.state.rows)

    @chat.on_message(state=Two)
    async def two(turn: Turn[None, Two]) -> str:
        turn.state.rows += 10
        return str(turn.state.rows)

    async with ChatTester(chat) as tester:
        texts = [(await tester.ask("q", model=name)).text for name in ("one", "two", "one", "two")]
    assert texts == ["1", "10", "2", "20"]


async def test_a_retry_stops_the_handler_that_waits() -> None:
    chat = Chat()
    ended: list[str] = []

    @chat.on_message
    async def answer(turn: Turn) -> AsyncIterator[Any]:
        try:
            await turn.ask(Approve("Send?"))
            yield "sent"
        finally:
            ended.append("end")

    async with ChatTester(chat) as tester:
        await tester.ask("q")
        assert not ended
        await tester.retry()
        assert ended == ["end"]


async def test_a_question_without_await_is_no_yes() -> None:
    chat = Chat()

    @chat.on_message
    async def answer(turn: Turn) -> AsyncIterator[Any]:
        if turn.ask(Approve("Send?")):
            yield "sent"

    async with ChatTester(chat) as tester:
        reply = await tester.ask("q")
    assert (reply.text, reply.error is None) == ("", False)
    turn: Turn[Any, Any] = Turn("q")
    with pytest.raises(TypeError, match="Approve"):
        turn.ask("Send?")  # type: ignore[arg-type]


async def test_numbers_that_json_lacks_are_null_on_the_wire() -> None:
    chat = Chat()

    @chat.on_message
    async def answer(turn: Turn) -> AsyncIterator[Any]:
        yield View("chart", {"x": [float("nan"), 1.5, float("inf")]})

    async with ChatTester(chat, door="socket") as tester:
        reply = await tester.ask("q")
    (part,) = (frame for frame in reply.frames if frame["type"] == "part")
    assert part["data"]["data"] == {"x": [None, 1.5, None]}


async def test_hidden_parts_are_neither_exported_nor_imported() -> None:
    data = DataPart(kind=".once", data="1", id=".once-a")
    export = {"type": "data", "kind": data.kind, "data": data.data, "id": data.id}
    assert wireside_format._read_entry(export, {}) is None
    shown = {**export, "kind": "step"}
    assert wireside_format._read_entry(shown, {}) is not None


@pytest.mark.parametrize("door", ["direct", "socket", "page"])
async def test_a_question_has_files(door: Any) -> None:
    chat = Chat()

    @chat.on_message
    async def count(turn: Turn) -> str:
        return " ".join(
            f"{one.name}: {one.text}" for one in turn.files if isinstance(one, FilePart)
        )

    async with ChatTester(chat, door=door) as tester:
        ids = [await tester.upload(f"{name}.txt", name.encode()) for name in ("a", "b")]
        assert (await tester.ask("", attachments=ids)).text == "a.txt: a b.txt: b"
        with pytest.raises(NotFound):
            await tester.ask("?", attachments=["unknown"])
