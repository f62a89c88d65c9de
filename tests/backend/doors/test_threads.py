"""Questions of clients that name their conversations and identify their messages."""

from __future__ import annotations

import asyncio
import json
import threading
from base64 import b64encode
from typing import Any, cast

import pytest
from starlette.types import Message

from tests.backend.doors.test_door import SCOPE, door
from wireside.chat.core import ChatCore
from wireside.chat.dependencies import ChatDependencies, ChatRules
from wireside.chat.library import Library
from wireside.chat.service import ChatService
from wireside.doors.ai_sdk.chats import GRACE_S, Chats
from wireside.doors.ai_sdk.requests import parse_send
from wireside.doors.requests import read_body
from wireside.doors.threads import (
    MAX_ANSWERS,
    MAX_EARLIER_FILES,
    AskedTurn,
    ClientFile,
    ClientQuestion,
    EarlierTurn,
    LastAnswers,
    Threads,
    stop_answer,
)
from wireside.errors import BadMessage, NotFound, TooLarge
from wireside.files.service import CallerFiles, FileRules
from wireside.messages import Options
from wireside.parts import FilePart, upload_of
from wireside.providers.scripted import ScriptedProvider


@pytest.fixture
def chat(parts: ChatDependencies) -> ChatService:
    return ChatService(ChatCore(parts, ChatRules()))


def question(text: str, message_id: str = "m") -> ClientQuestion:
    return ClientQuestion(id=message_id, text=text)


async def ask(chat: ChatService, *given: Any, is_edit: bool = False, name: str = "t") -> AskedTurn:
    one, *earlier = given
    return await Threads().ask(chat, name, one, earlier=earlier, options=Options(), is_edit=is_edit)


async def test_a_message_is_asked_once(chat: ChatService, provider: ScriptedProvider) -> None:
    first = await ask(chat, question("Hi"))
    assert (await ask(chat, question("Hi"))).turn is first.turn
    other = await ask(chat, question("Hi"), name="another")
    assert other.turn is not first.turn
    for number in (0, 1):
        (await provider.call(number)).finish()


async def test_an_edit_replaces_a_message(chat: ChatService, provider: ScriptedProvider) -> None:
    first = await ask(chat, question("Hi"))
    call = await provider.call(0)
    call.say("Hello")
    call.finish()
    await first.turn.segments[0].wait_ended()
    edited = await ask(chat, question("Bye"), is_edit=True)
    assert (edited.turn.depth, edited.turn.question) == (0, "Bye")
    assert (await ask(chat, question("Bye"), is_edit=True)).turn is edited.turn
    # without a wish to edit, another text with the same id is another question
    third = await ask(chat, question("Then?"))
    assert third.turn.depth == 1
    for number in (1, 2):
        (await provider.call(number)).finish()


async def test_a_new_conversation_begins_with_the_clients_turns(
    chat: ChatService, provider: ScriptedProvider
) -> None:
    earlier = EarlierTurn(question("My colour?", "m0"), "Blue.")
    asked = await ask(chat, question("And now?"), earlier)
    assert (asked.conversation.total, asked.turn.depth) == (2, 1)
    call = await provider.call(0)
    assert [message.text for message in call.request.messages] == [
        "My colour?",
        "Blue.",
        "And now?",
    ]
    again = await ask(chat, question("And now?"), earlier)  # not imported twice
    assert again.turn is asked.turn
    call.finish()
    with pytest.raises(BadMessage):
        await ask(chat, question("Hi"), earlier, earlier, name="twice")
    with pytest.raises(NotFound):
        await Threads().answer(chat, "t", [("question-1", True)])


async def test_the_clients_turns_are_not_added_to_a_deleted_conversation(
    parts: ChatDependencies, provider: ScriptedProvider
) -> None:
    first = ChatService(ChatCore(parts, ChatRules()))
    asked = await ask(first, question("Hi"))
    (await provider.call(0)).finish()
    await asked.turn.segments[0].wait_ended()
    await parts.saving.wait_until_all_stored(5)
    await first.library.delete([asked.conversation.id])
    chat = ChatService(ChatCore(parts, ChatRules()))
    seen: list[object] = []
    chat.library.watch(seen.append)
    with pytest.raises(NotFound):
        await ask(chat, question("And now?", "m2"), EarlierTurn(question("Hi"), "Hello"))
    assert seen == []


async def test_a_retry_without_an_answers_id_that_is_sent_again_makes_one_sibling(
    chat: ChatService, provider: ScriptedProvider
) -> None:
    async def again() -> AskedTurn:
        return await Threads().ask_again(
            chat, "t", question("Hi"), earlier=(), answer_id=None, options=Options()
        )

    first = await ask(chat, question("Hi"))
    (await provider.call(0)).say("one")
    (await provider.call(0)).finish()
    await first.turn.segments[0].wait_ended()
    second = await again()
    call = await provider.call(1)
    call.say("two")
    async with asyncio.timeout(5):
        while not second.turn.has_content:
            await asyncio.sleep(0.001)
    assert (await again()).turn is second.turn
    call.finish()
    await second.turn.segments[0].wait_ended()
    third = await again()
    assert third.turn not in (first.turn, second.turn)
    (await provider.call(2)).finish()


async def test_a_long_body_is_read_in_a_thread() -> None:
    async def receive() -> Message:
        return {"type": "http.request", "body": json.dumps({"text": "x" * 200_000}).encode()}

    def read(_: dict[str, Any]) -> threading.Thread:
        return threading.current_thread()

    assert await read_body(receive, read) is not threading.current_thread()


def with_files(text: str, *contents: bytes) -> ClientQuestion:
    urls = [f"data:text/plain;base64,{b64encode(one).decode()}" for one in contents]
    files = [ClientFile(url, "text/plain", "a.txt") for url in urls]
    return ClientQuestion(id="m", text=text, files=tuple(files))


def count_kept_files(chat: ChatService, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    kept: list[str] = []
    write = CallerFiles._write_content

    async def write_and_count(self: CallerFiles, name: str, pieces: Any) -> Any:
        kept.append(name)
        return await write(self, name, pieces)

    monkeypatch.setattr(CallerFiles, "_write_content", write_and_count)
    return kept


async def test_a_blank_question_with_a_file_is_asked_once(
    chat: ChatService, provider: ScriptedProvider
) -> None:
    first = await ask(chat, with_files(" ", b"one"))
    assert (await ask(chat, with_files(" ", b"one"))).turn is first.turn
    (await provider.call(0)).finish()


async def test_other_files_make_another_question(
    chat: ChatService, provider: ScriptedProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = count_kept_files(chat, monkeypatch)
    first = await ask(chat, with_files("Read", b"one"))
    (await provider.call(0)).finish()
    await first.turn.segments[0].wait_ended()
    (part,) = (one for one in first.turn.question_parts if isinstance(one, FilePart))
    by_address = ClientQuestion(
        id="m", text="Read", files=(ClientFile(f"/api/files/{upload_of(part)}"),)
    )
    assert (await ask(chat, by_address)).turn is first.turn
    second = await ask(chat, with_files("Read", b"two"))
    assert second.turn.depth == 1
    assert (await ask(chat, with_files("Read", b"two"))).turn is second.turn
    assert (await ask(chat, with_files("Read", b"one"))).turn is first.turn
    assert len(kept) == 2
    (await provider.call(1)).finish()
    await second.turn.segments[0].wait_ended()
    same = await ask(chat, question("Read"), is_edit=True)  # an edit keeps the files
    assert same.turn is first.turn
    edited = await ask(chat, with_files("Read", b"three"), is_edit=True)
    assert (edited.turn.depth, len(kept)) == (0, 3)
    (await provider.call(2)).finish()


async def test_files_of_refused_questions_are_not_kept(
    chat: ChatService, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = count_kept_files(chat, monkeypatch)
    many = [str(number).encode() for number in range(60)]
    with pytest.raises(BadMessage, match="attachments"):
        await ask(chat, with_files("Read", *many))
    with pytest.raises(TooLarge):
        await ask(chat, with_files("x" * (chat.max_message_chars + 1), b"one"))
    with pytest.raises(BadMessage, match="files"):
        earlier = EarlierTurn(with_files("Read", *many, *many), "Read.")
        await ask(chat, question("Hi", "m2"), earlier)
    assert len(many) * 2 > MAX_EARLIER_FILES
    assert kept == []


async def test_files_of_earlier_turns_are_not_kept_by_a_server_without_files(
    chat: ChatService, provider: ScriptedProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = count_kept_files(chat, monkeypatch)
    monkeypatch.setattr(chat.core.parts.files, "rules", FileRules(per_message=0))
    without = chat.for_caller(chat.caller)
    earlier = EarlierTurn(with_files("Read", b"one"), "Read.")
    await ask(without, question("And?", "m2"), earlier)
    assert kept == []
    (await provider.call(0)).finish()


async def test_a_request_has_few_answers(chat: ChatService, provider: ScriptedProvider) -> None:
    asked = await ask(chat, question("Hi"))
    (await provider.call(0)).finish()
    await asked.turn.segments[0].wait_ended()
    answers = [(f"question-{number}", True) for number in range(MAX_ANSWERS)]
    reads = 0
    read_turns = Library.read_turns

    async def count_reads(self: Library, *given: Any) -> Any:
        nonlocal reads
        reads += 1
        return await read_turns(self, *given)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Library, "read_turns", count_reads)
        with pytest.raises(NotFound):
            await Threads().answer(chat, "t", answers)
    assert reads == 1
    with pytest.raises(BadMessage):
        await Threads().answer(chat, "t", [*answers, ("one more", True)])


async def test_a_waiting_question_is_withdrawn_by_a_stop(
    chat: ChatService, provider: ScriptedProvider
) -> None:
    running = await ask(chat, question("Hi"))
    waiting = await ask(chat, question("Then?", "m2"))
    assert waiting.turn.waiting
    await stop_answer(chat, waiting)
    assert running.conversation.total == 1
    call = await provider.call(0)
    call.say("Hello")
    await stop_answer(chat, running)
    end = running.turn.segments[0].log.end
    assert end is not None
    assert end.reason == "cancelled"


def test_the_end_of_an_answer_was_sent_or_not() -> None:
    now = 0.0

    class Turn:
        id = "turn"

    class Talk:
        id = "talk"

    asked = AskedTurn(cast("Any", Talk()), cast("Any", Turn()))
    last = LastAnswers(lambda: now)
    assert last.turn_id(asked.conversation) is None
    last.record_asked(asked)
    assert last.turn_id(asked.conversation) == "turn"
    assert not last.was_end_sent(asked.conversation)
    last.record_end_sent(asked)
    assert last.was_end_sent(asked.conversation)
    assert not last.was_end_sent(asked.conversation, grace_s=5)
    now = 5.0
    assert last.was_end_sent(asked.conversation, grace_s=5)
    last.record_asked(asked)  # the same request again
    assert last.was_end_sent(asked.conversation)
    Turn.id = "turn 2"
    last.record_asked(asked)
    assert not last.was_end_sent(asked.conversation)


async def test_an_answer_is_replayed_until_its_end_has_arrived(
    chat: ChatService, provider: ScriptedProvider
) -> None:
    now = 0.0
    one, telemetry = door(chat)
    chats = Chats(one, lambda: now)
    text = {"type": "text", "text": "Hi"}
    body = {"id": "c", "messages": [{"id": "m", "role": "user", "parts": [text]}]}
    assert await chats.resume(SCOPE, "c") is None
    asked = await chats.ask(SCOPE, parse_send(body, body))
    call = await provider.call(0)
    assert await chats.resume(SCOPE, "c") == asked
    call.say("Hello")
    call.finish()
    first = [chunk async for chunks in chats.read_chunks(SCOPE, asked) for chunk in chunks]
    assert await chats.resume(SCOPE, "c") == asked  # its end has reached no client
    again = [chunk async for chunks in chats.read_chunks(SCOPE, asked) for chunk in chunks]
    assert again == first
    chats.mark_end_sent(asked)
    assert await chats.resume(SCOPE, "c") == asked  # the connection may have broken then
    now = GRACE_S
    assert await chats.resume(SCOPE, "c") is None
    assert telemetry.door_requests[("test", "ask")] == 1
