"""A whole client: frames in, frames out, over the real service."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from typing import Any

import pytest

from tests.backend.files.samples import png
from wireside.auth.limiter import MemoryLimiter
from wireside.auth.quotas import QuotaLimits, UserQuotas
from wireside.chat.core import ChatCore
from wireside.chat.dependencies import ChatDependencies, ChatRules
from wireside.chat.service import ChatService
from wireside.errors import ProviderUnavailable
from wireside.generation.reader import MAX_CHARS
from wireside.identity import Caller
from wireside.limits.windows import SlidingWindow
from wireside.messages import Finished, ModelInfo, PartDelta, ReasoningDelta, ToolDelta, Usage
from wireside.parts import DataPart, FilePart, ImagePart, TextPart
from wireside.protocol.connection import Connection, ConnectionLimits
from wireside.providers.scripted import ScriptedProvider
from wireside.records import UserAccount
from wireside.session.session import MAX_WAITING_CHARS, Session
from wireside.store.store import SqlStore


class Client:
    """Sends dictionaries, collects the frames that it receives."""

    def __init__(self, chat: ChatService, limits: ConnectionLimits) -> None:
        self.session = Session(Connection(limits, SlidingWindow(10_000)), chat, self)
        self.frames: list[dict[str, Any]] = []
        self.sizes: list[int] = []
        self.closed: int | None = None
        self.errors: list[str] = []
        self._arrived = asyncio.Event()
        self.can_send = asyncio.Event()
        self.can_send.set()
        self.writer = asyncio.create_task(self.session.write_frames(self._send, self._close))

    async def _send(self, frame: str) -> None:
        await self.can_send.wait()
        self.frames.append(json.loads(frame))
        self.sizes.append(len(frame.encode()))
        self._arrived.set()

    async def _close(self, code: int, reason: str) -> None:
        self.closed = code
        self._arrived.set()

    def count_error(self, code: str, *, is_of_answer: bool = False) -> None:
        self.errors.append(code)

    def send(self, **fields: object) -> None:
        self.session.receive_frame(json.dumps(fields), now=0.0)

    async def until(self, *types: str, count: int = 1, **fields: object) -> dict[str, Any]:
        """Wait for the ``count``-th frame of these types, with these fields."""

        def found() -> list[dict[str, Any]]:
            return [
                frame
                for frame in self.frames
                if frame["type"] in types and fields.items() <= frame.items()
            ]

        while len(found()) < count:
            self._arrived.clear()
            await self._arrived.wait()
        return found()[count - 1]

    def types_of(self, kind: str) -> list[dict[str, Any]]:
        return [frame for frame in self.frames if frame["type"] == kind]

    def text(self, request_id: str | None = None) -> str:
        return "".join(
            frame["content"]
            for frame in self.frames
            if frame["type"] == "chunk" and frame.get("id") == request_id
        )

    async def leave(self) -> None:
        self.session.handle_disconnect()
        self.writer.cancel()
        await asyncio.gather(self.writer, return_exceptions=True)


Connect = Callable[..., Client]


@pytest.fixture
async def connect(chat: ChatService) -> AsyncIterator[Connect]:
    clients: list[Client] = []

    def new(**limits: int) -> Client:
        clients.append(Client(chat, ConnectionLimits(**limits)))
        return clients[-1]

    yield new
    for client in clients:
        await client.leave()


async def test_level_1_gets_the_guides_frames_and_no_other_key(
    connect: Connect, provider: ScriptedProvider
) -> None:
    client = connect()
    client.send(type="chat", message="Hi")
    call = await provider.call()
    call.say(ReasoningDelta("hm"))
    call.say(ToolDelta("c", "n", "done"))
    call.say("Hello", " there")
    call.finish(Finished("stop", Usage(1, 2)))
    await client.until("done")
    assert all(set(f) == {"type", "content"} for f in client.frames if f["type"] == "chunk")
    assert client.frames[-1] == {"type": "done"}
    assert {f["type"] for f in client.frames} == {"chunk", "done"}
    assert client.text() == "Hello there"


async def test_level_1_follow_ups_see_the_turns_before(
    connect: Connect, provider: ScriptedProvider
) -> None:
    client = connect()
    for number, question in enumerate(("one", "two")):
        client.send(type="chat", message=question)
        call = await provider.call(number)
        call.say(f"answer {question}")
        call.finish()
        await client.until("done", count=number + 1)
    context = [(m.role, m.text) for m in provider.calls[1].request.messages]
    assert context == [("user", "one"), ("assistant", "answer one"), ("user", "two")]


async def test_with_one_answer_at_once_what_waits_in_line_is_answered(
    parts: ChatDependencies, provider: ScriptedProvider
) -> None:
    """An answer's slot is released before its end is sent."""
    quotas = UserQuotas(MemoryLimiter(time.monotonic), QuotaLimits(streams=1))
    client = Client(
        ChatService(ChatCore(replace(parts, quotas=quotas), ChatRules())), ConnectionLimits()
    )
    client.send(type="chat", message="a")
    client.send(type="batch", messages=["b", "c"])
    for number in range(3):
        (await provider.call(number)).finish()
    await client.until("done", count=3)
    client.send(type="batch", id="x", messages=["d", "e", "f"])
    for number in range(3, 6):
        (await provider.call(number)).finish()
    await client.until("done", count=6)
    assert client.errors == []
    await client.leave()


async def test_level_1_batch_is_answered_in_order(
    connect: Connect, provider: ScriptedProvider
) -> None:
    client = connect()
    client.send(type="batch", messages=["a", "b", "c"])
    for number in range(3):
        call = await provider.call(number)
        assert len(provider.calls) == number + 1
        call.say(str(number))
        call.finish()
    await client.until("done", count=3)
    assert client.text() == "012"


async def test_level_1_cancel_answers_every_request_once(
    connect: Connect, provider: ScriptedProvider
) -> None:
    client = connect()
    client.send(type="batch", messages=["a", "b", "c"])
    call = await provider.call()
    call.say("part")
    await client.until("chunk")
    client.send(type="cancel")
    await client.until("done", count=3)
    assert [f["type"] for f in client.frames] == ["chunk", "done", "done", "done"]
    assert call.is_closed
    assert len(provider.calls) == 1


async def test_level_1_is_sanitised(connect: Connect, provider: ScriptedProvider) -> None:
    client = connect()
    client.send(type="chat", message="Hi")
    call = await provider.call()
    call.say("a <scr", "ipt>x</script> <s")
    call.finish()
    await client.until("done")
    assert client.text() == "a &lt;script>x</script> <s"


async def test_level_1_answer_stops_with_its_connection(
    connect: Connect, provider: ScriptedProvider
) -> None:
    client = connect()
    client.send(type="chat", message="Hi")
    call = await provider.call()
    await client.leave()
    while not call.is_closed:
        await asyncio.sleep(0)


async def test_level_2_frames(connect: Connect, provider: ScriptedProvider) -> None:
    client = connect()
    client.send(type="chat", id="q", message="Hi", model="model-b", temperature=0.5, max_tokens=9)
    call = await provider.call()
    assert (call.request.model, call.request.temperature, call.request.max_tokens) == (
        "model-b",
        0.5,
        9,
    )
    call.say(ReasoningDelta("hm"))
    call.say("a😀")
    call.say(ToolDelta("c", "n", "done", "{}", "r"))
    call.say(PartDelta(DataPart(kind=".state", data="{}")))
    call.say(PartDelta(DataPart(kind="step", data='{"a":1}', id="s1", text="a step")))
    call.say(PartDelta(ImagePart(url="data:,", name="dot")))
    call.finish(Finished("stop", Usage(1, None)))
    await client.until("done")
    start = client.frames[0]
    assert start == {"type": "start", "id": "q", "stream": start["stream"], "model": "model-b"}
    text = "".join(f["content"] for f in client.frames if f["type"] == "reasoning")
    assert text == "hm"
    tool = await client.until("tool")
    assert tool == {
        "type": "tool",
        "id": "q",
        "offset": 5,
        "name": "n",
        "call": "c",
        "state": "done",
        "arguments": "{}",
        "result": "r",
    }
    parts = [frame for frame in client.frames if frame["type"] == "part"]
    assert parts == [
        {
            "type": "part",
            "id": "q",
            "offset": 7,
            "kind": "step",
            "part": "s1",
            "text": "a step",
            "data": {"a": 1},
        },
        {
            "type": "part",
            "id": "q",
            "offset": 8,
            "kind": "image",
            "text": "[image: dot]",
            "data": {"url": "data:,", "media_type": "", "name": "dot"},
        },
    ]
    assert client.frames[-1] == {
        "type": "done",
        "id": "q",
        "offset": 8,
        "reason": "stop",
        "usage": {"input_tokens": 1, "output_tokens": None},
    }


async def test_level_2_requests_are_multiplexed(
    connect: Connect, provider: ScriptedProvider
) -> None:
    client = connect()
    client.send(type="chat", id="a", message="A")
    client.send(type="chat", id="b", message="B")
    one, two = await provider.call(0), await provider.call(1)
    two.say("second")
    two.finish()
    await client.until("done", id="b")
    one.say("first")
    one.finish()
    await client.until("done", id="a")
    assert (client.text("a"), client.text("b")) == ("first", "second")


async def test_level_2_survives_the_connection_and_resumes(
    connect: Connect, provider: ScriptedProvider
) -> None:
    client = connect()
    client.send(type="chat", id="q", message="Hi")
    call = await provider.call()
    call.say("seen ")
    seen = await client.until("chunk")
    stream = client.frames[0]["stream"]
    await client.leave()
    call.say("missed ")
    back = connect()
    back.send(type="resume", id="r", stream=stream, offset=seen["offset"])
    resumed = await back.until("resumed")
    assert resumed["state"] == "live"
    call.say("live")
    call.finish()
    await back.until("done")
    assert client.text("q") + back.text("r") == "seen missed live"
    late = connect()
    late.send(type="resume", id="x", stream=stream, offset=0)
    await late.until("done")
    assert late.frames[0]["state"] == "finished"
    assert late.text("x") == "seen missed live"


async def test_resume_is_refused_in_words(connect: Connect, provider: ScriptedProvider) -> None:
    client = connect()
    client.send(type="chat", id="q", message="Hi")
    (await provider.call()).finish()
    await client.until("done")
    stream = client.frames[0]["stream"]
    client.send(type="resume", id="a", stream=stream, offset=1)
    client.send(type="resume", id="b", stream="unknown", offset=0)
    assert (await client.until("error", id="a"))["code"] == "bad_offset"
    assert (await client.until("error", id="b"))["code"] == "not_found"
    client.send(type="resume", id="a", stream=stream, offset=0)  # the id is free again
    await client.until("done", id="a")


async def test_one_key_is_answered_once(connect: Connect, provider: ScriptedProvider) -> None:
    client = connect()
    client.send(type="chat", id="q", message="Hi", key="k1")
    call = await provider.call()
    call.say("once")
    await client.until("chunk")
    await client.leave()
    back = connect()
    back.send(type="chat", id="again", message="Hi", key="k1")
    back.send(type="chat", id="late", message="Hi", key="k1", offset=2)
    call.finish()
    await back.until("done", id="again")
    await back.until("done", id="late")
    assert (back.text("again"), back.text("late")) == ("once", "ce")
    assert len(provider.calls) == 1
    back.send(type="chat", id="other", message="Something else", key="k1")
    # with a shared key, neither client gets the answer to the other's question
    await provider.call(1)


async def test_an_offset_without_a_key_is_none(
    connect: Connect, provider: ScriptedProvider
) -> None:
    client = connect()
    client.send(type="chat", id="q", message="Hi", offset=2)
    call = await provider.call()
    call.say("all of it")
    call.finish()
    await client.until("done", id="q")  # otherwise the model would generate text that is not sent
    assert client.text("q") == "all of it"


async def test_level_2_cancel_reports_after_the_upstream_is_closed(
    connect: Connect, provider: ScriptedProvider
) -> None:
    client = connect()
    client.send(type="chat", id="q", message="Hi")
    call = await provider.call()
    call.say("part")
    await client.until("chunk")
    client.send(type="cancel", id="q")
    done = await client.until("done")
    assert (done["reason"], done["offset"]) == ("cancelled", 4)
    assert call.is_closed


async def test_errors_end_a_request_with_their_code(
    connect: Connect, provider: ScriptedProvider
) -> None:
    client = connect()
    client.send(type="chat", id="q", message="Hi")
    call = await provider.call()
    call.say("part")
    call.fail(ProviderUnavailable())
    error = await client.until("error")
    assert (error["code"], error["retryable"], client.text("q")) == (
        "provider_unavailable",
        True,
        "part",
    )
    client.send(type="chat", id="m", message="Hi", model="nope")
    assert (await client.until("error", id="m"))["code"] == "unknown_model"
    client.send(type="chat", id="c", message="Hi", conversation="nowhere")
    assert (await client.until("error", id="c"))["code"] == "not_found"
    client.send(type="chat", id="u", message="Hi", attachments=["x"])
    assert (await client.until("error", id="u"))["code"] == "not_found"
    assert client.errors == [
        "provider_unavailable",
        "unknown_model",
        "not_found",
        "not_found",
    ]


async def upload(chat: ChatService, name: str, content: bytes) -> str:
    async def pieces() -> AsyncIterator[bytes]:
        yield content

    return (await chat.files.upload_file(name, pieces())).id


class TestAttachments:
    async def test_files_are_parts_of_a_question(
        self, connect: Any, chat: ChatService, provider: Any
    ) -> None:
        client = connect()
        file_id = await upload(chat, "a.csv", b"1;2")
        part = FilePart(url=f"upload:{file_id}", media_type="text/csv", name="a.csv", size_bytes=3)
        for number, where in enumerate(({}, {"conversation": "new"})):
            client.send(
                type="chat", id=f"r{number}", message="Sum?", attachments=[file_id], **where
            )
            call = await provider.call(number)
            call.finish()
            await client.until("done", id=f"r{number}")
        (listed,) = (await chat.library.list_page()).conversations
        conversation = await chat.library.open_conversation(listed.id)
        assert conversation is not None
        (turn,) = await chat.library.read_turns(conversation, 0, 0)
        assert turn.question_parts == (TextPart("Sum?"), part)

    async def test_the_model_gets_texts_and_images(
        self, connect: Any, chat: ChatService, provider: Any
    ) -> None:
        client = connect()
        ids = [await upload(chat, "a.csv", b"1;2"), await upload(chat, "b.png", png())]
        for number, where in enumerate(({}, {"conversation": "new"})):
            client.send(type="chat", id=f"r{number}", message="?", attachments=ids, **where)
            call = await provider.call(number)
            call.say("Two.")
            call.finish()
            start = await client.until("start", id=f"r{number}")
            await client.until("done", id=f"r{number}")
            question, text, image = call.request.messages[-1].parts
            assert (question, "1;2" in text.text) == (TextPart("?"), True)
            assert image.url.startswith("data:image/png;base64,")
        client.send(type="chat", id="r2", message="Sure?", conversation=start["conversation"])
        call = await provider.call(2)
        call.finish()
        earlier = call.request.messages[0].parts
        assert "1;2" in earlier[1].text
        assert earlier[2].url.startswith("data:image/png;base64,")

    async def test_an_image_for_a_model_that_cannot_see_is_refused(
        self, connect: Any, chat: ChatService, provider: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async def models() -> list[ModelInfo]:
            return [ModelInfo(id="model-a", name="A", can_see=False)]

        monkeypatch.setattr(provider, "models", models)
        client = connect()
        ids = [await upload(chat, "b.png", png())]
        for number, where in enumerate(({}, {"conversation": "new"})):
            client.send(type="chat", id=f"r{number}", message="?", attachments=ids, **where)
            error = await client.until("error", id=f"r{number}")
            assert (error["code"], error["retryable"]) == ("invalid_attachment", False)
        assert (await chat.library.list_page()).conversations == ()

    async def test_a_file_may_be_the_whole_question(
        self, connect: Any, chat: ChatService, provider: Any
    ) -> None:
        client = connect()
        file_id = await upload(chat, "sums.csv", b"1;2")
        client.send(type="chat", id="r", message=" ", attachments=[file_id], conversation="new")
        (await provider.call()).finish()
        await client.until("done", id="r")
        (listed,) = (await chat.library.list_page()).conversations
        assert listed.title == "sums.csv"
        client.send(type="chat", id="blank", message=" ", attachments=[])
        assert (await client.until("error", id="blank"))["code"] == "bad_message"
        client.send(type="chat", message=" ", attachments=[file_id])  # level 1 has no attachments
        assert await client.until("error", message="message: is blank.")

    async def test_what_is_wrong_is_named(self, connect: Any, chat: ChatService) -> None:
        client = connect()
        refused = {
            "unknown": (["x"], "not_found", "attachments: there is no upload 'x'."),
            "many": (["x"] * 11, "bad_message", "attachments: at most 10 fit, got 11."),
            "endless": (["x"] * 101, "bad_message", "attachments: at most 100 fit, got 101."),
            "empty": ([""], "bad_message", "attachments[0]: expected 1 to 200 characters."),
        }
        for name, (ids, code, message) in refused.items():
            for where in ({}, {"conversation": "new"}):
                client.send(type="chat", id=name, message="?", attachments=ids, **where)
                error = await client.until("error", id=name)
                assert (error["code"], error["message"]) == (code, message)
        assert (await chat.library.list_page()).conversations == ()

    async def test_a_key_names_the_question_with_its_files(
        self, connect: Any, chat: ChatService, provider: Any
    ) -> None:
        client = connect()
        ids = [await upload(chat, name, b"1") for name in ("a.txt", "b.txt")]
        streams = []
        for number, file_id in enumerate((*ids, ids[0])):
            client.send(
                type="chat",
                id=str(number),
                key="k",
                message="?",
                attachments=[file_id],
                conversation="new",
            )
            if number < 2:
                (await provider.call(number)).finish()
            streams.append((await client.until("start", id=str(number)))["stream"])
            await client.until("done", id=str(number))
        assert streams[0] == streams[2] != streams[1]


class TestConversations:
    async def test_a_question_is_stored_and_followed_by_others(
        self, connect: Connect, provider: ScriptedProvider
    ) -> None:
        client = connect()
        client.send(type="chat", id="q", message="Hi", conversation="new")
        call = await provider.call()
        call.say("Hello")
        await client.until("chunk")
        start = client.frames[0]
        assert start["type"] == "start"
        other = connect()
        other.send(type="resume", id="r", stream=start["stream"], offset=2)
        call.say(" there")
        call.finish()
        await other.until("done")
        await client.until("done")
        assert (client.text("q"), other.text("r")) == ("Hello there", "llo there")
        client.send(type="chat", id="n", message="And?", conversation=start["conversation"])
        second = await provider.call(1)
        assert [m.text for m in second.request.messages] == ["Hi", "Hello there", "And?"]

    async def test_the_key_finds_the_same_conversation(
        self, connect: Connect, provider: ScriptedProvider
    ) -> None:
        client = connect()
        client.send(type="chat", id="q", message="Hi", conversation="new", key="k")
        (await provider.call()).say("once")
        await client.until("chunk")
        await client.leave()
        back = connect()
        back.send(type="chat", id="again", message="Hi", conversation="new", key="k")
        await back.until("chunk")
        for name in ("stream", "conversation"):
            assert back.frames[0][name] == client.frames[0][name]
        assert back.text("again") == "once"
        assert len(provider.calls) == 1

    async def test_a_question_waits_for_the_answer_before_it(
        self, connect: Connect, provider: ScriptedProvider
    ) -> None:
        client = connect()
        client.send(type="chat", id="a", message="one", conversation="new")
        await client.until("start", id="a")
        conversation = client.frames[0]["conversation"]
        client.send(type="chat", id="b", message="two", conversation=conversation)
        (await provider.call(0)).finish()
        (await provider.call(1)).finish()
        await client.until("done", id="b")
        assert [f["id"] for f in client.frames if f["type"] in ("start", "done")] == list("aabb")

    async def test_a_question_that_steers_ends_the_answer_before_it(
        self, connect: Connect, provider: ScriptedProvider
    ) -> None:
        client = connect()
        client.send(type="chat", id="a", message="one", conversation="new")
        (await provider.call(0)).say("So")
        await client.until("chunk", id="a")
        conversation = client.frames[0]["conversation"]
        steering = {"message": "two", "conversation": conversation, "key": "k", "steer": True}
        client.send(type="chat", id="b", **steering)
        (await provider.call(1)).say("2")
        await client.until("chunk", id="b")
        done = next(f for f in client.frames if f["type"] == "done")
        assert (done["id"], done["reason"]) == ("a", "cancelled")
        assert [m.text for m in provider.calls[1].request.messages] == ["one", "So", "two"]
        other = connect()
        other.send(type="chat", id="c", **steering)  # sent again: the same answer, which goes on
        await other.until("chunk", id="c")
        provider.calls[1].finish()
        await client.until("done", id="b")
        assert client.frames[-1]["reason"] == "stop"
        assert len(provider.calls) == 2

    async def test_what_is_to_be_sanitised_stays_so_when_it_is_resumed(
        self, connect: Connect, provider: ScriptedProvider
    ) -> None:
        client = connect()
        client.send(type="chat", id="q", message="Hi", conversation="new", sanitize=True)
        call = await provider.call()
        call.say("<script>")
        call.finish()
        await client.until("done")
        client.send(type="resume", id="r", stream=client.frames[0]["stream"], offset=0)
        await client.until("done", id="r")
        assert client.text("r") == client.text("q") == "&lt;script>"


async def test_sanitised_offsets_never_point_into_what_is_held_back(
    connect: Connect, provider: ScriptedProvider
) -> None:
    client = connect()
    client.send(type="chat", id="q", message="Hi", sanitize=True)
    call = await provider.call()
    call.say("ab<scr")
    chunk = await client.until("chunk")
    assert (chunk["content"], chunk["offset"]) == ("ab", 2)
    call.say("ipt>")
    call.finish()
    await client.until("done")
    assert client.text("q") == "ab&lt;script>"
    client.send(type="resume", id="r", stream=client.frames[0]["stream"], offset=2)
    await client.until("done", id="r")
    assert client.text("r") == "&lt;script>"


async def test_a_slow_socket_gets_fewer_larger_chunks(
    connect: Connect, provider: ScriptedProvider
) -> None:
    client = connect()
    client.send(type="chat", id="q", message="Hi")
    call = await provider.call()
    await client.until("start")
    client.can_send.clear()
    for number in range(500):
        call.say(f"{number} ")
    call.finish()
    while not call.is_closed:
        await asyncio.sleep(0)
    client.can_send.set()
    await client.until("done")
    chunks = [f for f in client.frames if f["type"] == "chunk"]
    assert client.text("q") == "".join(f"{n} " for n in range(500))
    assert len(chunks) <= 3


@pytest.mark.parametrize("filler", ["x", "😀", "\0", '"', "<script", "<s"])
@pytest.mark.parametrize("fields", [{}, {"id": "q"}, {"id": "q", "sanitize": True}])
async def test_no_frame_is_larger_than_8000_bytes(
    connect: Connect, provider: ScriptedProvider, filler: str, fields: dict[str, Any]
) -> None:
    client = connect()
    client.send(type="chat", message="Hi", **fields)
    call = await provider.call()
    text = filler * 30_000
    call.say(ReasoningDelta(filler * 5_000))
    call.say(ToolDelta("c", "n", "done", filler * 9_000, filler * 9_000))
    call.say(text)
    call.finish()
    await client.until("done")
    assert max(client.sizes) <= 8_000
    is_escaped = not fields or "sanitize" in fields
    raw = client.text(fields.get("id")).replace("&lt;", "<") if is_escaped else client.text("q")
    assert raw == text
    if not fields:
        return
    for frame in [f for f in client.frames if f["type"] == "chunk"][:4]:
        offset = frame["offset"] - 5_000 * len(filler) - 1
        seen = "".join(
            f["content"]
            for f in client.frames
            if f["type"] == "chunk" and f["offset"] <= frame["offset"]
        )
        assert seen.replace("&lt;", "<") == text[:offset]


async def test_a_part_that_fits_no_frame_comes_without_its_data(
    connect: Connect, provider: ScriptedProvider
) -> None:
    client = connect()
    client.send(type="chat", id="q", message="Hi")
    call = await provider.call()
    for size in (100, 9_000):
        data = json.dumps({"cells": "x" * size})
        call.say(PartDelta(DataPart(kind="table", data=data, id=str(size), text="a table")))
    call.finish()
    await client.until("done")
    small, large = [frame for frame in client.frames if frame["type"] == "part"]
    assert small["data"] == {"cells": "x" * 100}
    assert "truncated" not in small
    assert (large["part"], large["text"], large.get("data")) == ("9000", "a table", None)
    assert large["truncated"] is True


async def test_a_client_may_ask_for_larger_or_smaller_frames(
    connect: Connect, provider: ScriptedProvider
) -> None:
    client = connect()
    client.send(type="chat", id="q", message="Hi")
    call = await provider.call()
    call.say("字" * 20_000)
    call.finish()
    await client.until("done")
    stream = client.frames[0]["stream"]
    client.sizes.clear()
    for number, bound in enumerate((1_024, 30_000)):
        fields = {"id": f"r{number}", "stream": stream, "offset": 0}
        client.send(type="resume", **fields, max_frame_bytes=bound)
        await client.until("done", id=f"r{number}")
        assert bound * 0.8 < max(client.sizes) <= bound
        assert client.text(f"r{number}") == "字" * 20_000
        client.sizes.clear()


async def test_the_rate_limit_answers_then_closes(connect: Connect) -> None:
    client = connect()
    for _ in range(101):
        client.send(type="ping")
    await client.writer
    assert client.frames[-1] == {"type": "error", "message": "Rate limit exceeded"}
    assert len(client.frames) == 101
    assert client.closed == 1008


async def test_while_the_socket_takes_nothing_one_share_is_held_and_not_one_of_each(
    connect: Connect, provider: ScriptedProvider, chat: ChatService
) -> None:
    client = connect()
    client.send(type="chat", id="0", message="long")
    call = await provider.call()
    call.say("x" * 100_000)
    call.finish()
    await client.until("done")
    stream = client.frames[0]["stream"]
    client.can_send.clear()
    for number in range(8):
        client.send(type="resume", id=str(number), stream=stream, offset=0)
    while len(client.session._running) < 8 or any(
        running.outgoing is None for running in client.session._running.values()
    ):
        await asyncio.sleep(0)
    for _ in range(20):
        await asyncio.sleep(0)
    outgoing = [running.outgoing for running in client.session._running.values()]
    readers = [one._reader for one in outgoing if one is not None]
    assert sum(reader.offset for reader in readers) <= MAX_CHARS
    client.can_send.set()
    await client.until("done", count=9)
    assert all(client.text(str(number)).endswith("x" * 100_000) for number in range(8))


async def test_pongs_for_a_socket_that_takes_nothing_have_a_bound(connect: Connect) -> None:
    client = connect(messages_per_minute=100_000)
    client.can_send.clear()
    client.send(type="ping", id="p")
    for _ in range(5):
        await asyncio.sleep(0)
    for _ in range(1_000):
        client.send(type="ping", id="p", t="x" * 256)
        assert sum(map(len, client.session._frames)) <= MAX_WAITING_CHARS
    client.can_send.set()
    while client.closed is None:
        await asyncio.sleep(0)
    assert client.closed == 1013


async def test_a_burst_of_pings_is_answered_whole(connect: Connect) -> None:
    client = connect(messages_per_minute=100_000)
    for _ in range(1_000):
        client.send(type="ping", id="p", t="x" * 256)
    await client.until("pong", count=1_000)
    assert client.closed is None


class TestBatches:
    """A level 2 batch belongs to the server, as a single answer does."""

    async def test_each_message_has_its_start_and_its_end(
        self, connect: Connect, provider: ScriptedProvider
    ) -> None:
        client = connect()
        client.send(type="batch", id="b", messages=["a", "b"], system="s", max_tokens=5)
        for number in range(2):
            call = await provider.call(number)
            assert [m.text for m in call.request.messages] == ["s", "ab"[number]]
            assert call.request.max_tokens == 5
            call.say(f"answer {number}")
            call.finish()
        await client.until("done", count=2)
        starts = [f for f in client.frames if f["type"] == "start"]
        assert [f["index"] for f in starts] == [0, 1]
        assert len({f["stream"] for f in starts}) == 2
        assert client.text("b") == "answer 0answer 1"
        client.send(type="chat", id="b", message="Hi")  # the id is free again
        await provider.call(2)

    async def test_it_is_answered_to_its_end_when_the_connection_drops(
        self, connect: Connect, provider: ScriptedProvider
    ) -> None:
        client = connect()
        client.send(type="batch", id="b", messages=["a", "b", "c"], key="k")
        call = await provider.call(0)
        call.say("one")
        await client.until("chunk")
        stream = client.frames[0]["stream"]
        await client.leave()
        call.finish()
        for number in (1, 2):
            call = await provider.call(number)
            call.say(str(number))
            call.finish()
            while not call.is_closed:
                await asyncio.sleep(0)
        back = connect()
        back.send(type="batch", id="again", messages=["a", "b", "c"], key="k", offsets=[3])
        await back.until("done", count=3)
        assert [f["index"] for f in back.frames if f["type"] == "start"] == [0, 1, 2]
        assert back.text("again") == "12"
        assert back.frames[0]["stream"] == stream
        assert len(provider.calls) == 3

    async def test_it_is_answered_when_the_connection_drops_at_once(
        self, connect: Connect, provider: ScriptedProvider
    ) -> None:
        client = connect()
        client.send(type="batch", id="b", messages=["a", "b"])
        await client.leave()
        for number in range(2):
            (await provider.call(number)).finish()

    async def test_the_same_key_joins_a_batch_that_runs(
        self, connect: Connect, provider: ScriptedProvider
    ) -> None:
        client = connect()
        client.send(type="batch", id="b", messages=["a", "a"], key="k")
        (await provider.call(0)).finish()
        call = await provider.call(1)
        call.say("part")
        back = connect()
        back.send(type="batch", id="x", messages=["a", "a"], key="k")
        await back.until("chunk")
        call.finish()
        await back.until("done", count=2)
        await client.until("done", count=2)
        assert len(provider.calls) == 2
        streams = {f["stream"] for f in (*client.frames, *back.frames) if f["type"] == "start"}
        assert len(streams) == 2

    async def test_resumed_and_its_end_carry_the_index(
        self, connect: Connect, provider: ScriptedProvider
    ) -> None:
        client = connect()
        client.send(type="batch", id="b", messages=["a", "b"])
        (await provider.call(0)).finish()
        call = await provider.call(1)
        stream = (await client.until("start", index=1))["stream"]
        back = connect()
        back.send(type="resume", id="r", stream=stream, offset=0)
        assert (await back.until("resumed"))["index"] == 1
        call.finish()
        assert (await back.until("done"))["index"] == 1

    async def test_cancel_ends_all_of_it_for_good(
        self, connect: Connect, provider: ScriptedProvider
    ) -> None:
        client = connect()
        batch = {"type": "batch", "messages": ["a", "b", "c"], "key": "k"}
        client.send(id="b", **batch)
        call = await provider.call()
        call.say("part")
        await client.until("chunk")
        client.send(type="cancel", id="b")
        await client.until("done", count=3)
        ends = [(f["index"], f["reason"]) for f in client.frames if f["type"] == "done"]
        assert ends == [(index, "cancelled") for index in range(3)]
        assert call.is_closed
        client.send(id="again", **batch)
        await client.until("done", id="again", count=3)
        assert len(provider.calls) == 1
        assert client.text("again") == "part"

    async def test_one_message_that_fails_is_named_and_the_next_goes_on(
        self, connect: Connect, provider: ScriptedProvider
    ) -> None:
        client = connect()
        client.send(type="batch", id="b", messages=["a", "b"])
        (await provider.call(0)).fail(ProviderUnavailable())
        (await provider.call(1)).finish()
        await client.until("done", index=1)
        error = await client.until("error")
        assert (error["id"], error["index"], error["code"]) == ("b", 0, "provider_unavailable")
        client.send(type="batch", id="m", messages=["a", "b"], model="nope")
        await client.until("error", id="m", count=2)
        errors = [f for f in client.frames if f.get("id") == "m"]
        assert [(f["index"], f["code"]) for f in errors] == [
            (0, "unknown_model"),
            (1, "unknown_model"),
        ]

    async def test_in_a_conversation_each_sees_the_turns_before(
        self, connect: Connect, provider: ScriptedProvider
    ) -> None:
        client = connect()
        batch = {"type": "batch", "messages": ["a", "b"], "conversation": "new", "key": "k"}
        client.send(id="b", **batch)
        for number in range(2):
            call = await provider.call(number)
            call.say(f"answer {number}")
            call.finish()
        await client.until("done", count=2)
        assert [m.text for m in provider.calls[1].request.messages] == ["a", "answer 0", "b"]
        conversations = {f["conversation"] for f in client.frames if f["type"] == "start"}
        assert len(conversations) == 1
        back = connect()
        back.send(id="again", **batch)
        await back.until("done", count=2)
        assert back.text("again") == "answer 0answer 1"
        assert len(provider.calls) == 2

    async def test_parallel_answers_are_interleaved_and_named_by_their_index(
        self, connect: Connect, provider: ScriptedProvider
    ) -> None:
        client = connect()
        client.send(type="batch", id="b", messages=["a", "b", "c"], parallel=2)
        first, second = await provider.call(0), await provider.call(1)
        second.say(ReasoningDelta("hm"), ToolDelta("c", "n", "done"))
        second.say(PartDelta(DataPart(id="p", kind="view", data="{}", text="text")), "two")
        await client.until("chunk", index=1)
        assert len(provider.calls) == 2
        first.say("one")
        await client.until("chunk", index=0)
        second.finish()
        third = await provider.call(2)
        third.fail(ProviderUnavailable())
        await client.until("error", index=2)
        assert client.types_of("batch_done") == []
        first.finish()
        summary = await client.until("batch_done")
        assert summary == {"type": "batch_done", "id": "b", "done": 2, "failed": 1, "cancelled": 0}
        assert client.frames[-1] == summary
        assert all("index" in frame for frame in client.frames[:-1])
        kinds = [frame["type"] for frame in client.frames if frame.get("index") == 1]
        assert kinds == ["start", "reasoning", "tool", "part", "chunk", "done"]

    async def test_without_parallel_no_frame_is_new(
        self, connect: Connect, provider: ScriptedProvider
    ) -> None:
        client = connect()
        client.send(type="batch", id="b", messages=["a"])
        call = await provider.call(0)
        call.say("one")
        call.finish()
        client.send(type="ping", id="p")
        await client.until("done")
        await client.until("pong")
        assert "index" not in client.types_of("chunk")[0]
        assert client.types_of("batch_done") == []

    async def test_a_parallel_batch_goes_on_where_it_was_cut(
        self, connect: Connect, provider: ScriptedProvider
    ) -> None:
        client = connect()
        batch = {"type": "batch", "messages": ["a", "b", "c"], "key": "k", "parallel": 2}
        client.send(id="b", **batch)
        calls = [await provider.call(number) for number in range(2)]
        for number, call in enumerate(calls):
            call.say("one "[number:])
        await client.until("chunk", index=0)
        await client.until("chunk", index=1)
        await client.leave()
        calls[1].say("more")
        calls[1].finish()
        third = await provider.call(2)
        third.say("three")
        third.finish()
        back = connect()
        back.send(id="again", offsets=[4, 3], **batch | {"parallel": 3})
        calls[0].say("rest")
        calls[0].finish()
        assert (await back.until("batch_done"))["done"] == 3
        texts = [
            "".join(f["content"] for f in back.types_of("chunk") if f["index"] == index)
            for index in range(3)
        ]
        assert texts == ["rest", "more", "three"]
        assert len(provider.calls) == 3
        back.send(id="after", **batch)  # all have ended
        assert (await back.until("batch_done", id="after"))["done"] == 3
        assert len(provider.calls) == 3

    async def test_one_of_a_parallel_batch_is_cancelled_for_good(
        self, connect: Connect, provider: ScriptedProvider
    ) -> None:
        client = connect()
        batch = {"type": "batch", "messages": ["a", "b", "c", "d"], "key": "k", "parallel": 2}
        client.send(id="b", **batch)
        calls = [await provider.call(number) for number in range(2)]
        calls[1].say("part")
        await client.until("chunk", index=1)
        client.send(type="cancel", id="b", index=3)  # it has not begun
        assert (await client.until("done"))["index"] == 3
        client.send(type="cancel", id="b", index=1)
        assert (await client.until("done", index=1))["reason"] == "cancelled"
        assert calls[1].is_closed
        (await provider.call(2)).finish()
        calls[0].finish()
        summary = await client.until("batch_done")
        assert (summary["done"], summary["cancelled"]) == (2, 2)
        assert len(provider.calls) == 3
        client.send(id="again", **batch)
        summary = await client.until("batch_done", id="again")
        assert (summary["done"], summary["cancelled"]) == (2, 2)
        assert len(provider.calls) == 3

    async def test_one_of_a_batch_in_order_is_cancelled(
        self, connect: Connect, provider: ScriptedProvider
    ) -> None:
        client = connect()
        client.send(type="batch", id="b", messages=["a", "b", "c"])
        call = await provider.call(0)
        client.send(type="cancel", id="b", index=0)
        await client.until("done", index=0)
        assert call.is_closed
        client.send(type="cancel", id="b", index=2)
        (await provider.call(1)).finish()
        await client.until("done", count=3)
        reasons = {frame["index"]: frame["reason"] for frame in client.types_of("done")}
        assert reasons == {0: "cancelled", 1: "stop", 2: "cancelled"}
        assert len(provider.calls) == 2

    async def test_cancel_ends_all_of_a_parallel_batch(
        self, connect: Connect, provider: ScriptedProvider
    ) -> None:
        client = connect()
        client.send(type="batch", id="b", messages=["a", "b", "c"], parallel=2)
        calls = [await provider.call(number) for number in range(2)]
        client.send(type="cancel", id="b")
        assert (await client.until("batch_done"))["cancelled"] == 3
        assert all(call.is_closed for call in calls)
        assert len(provider.calls) == 2

    async def test_a_message_without_a_free_slot_waits_for_one_of_its_batch(
        self, parts: ChatDependencies, provider: ScriptedProvider
    ) -> None:
        quotas = UserQuotas(MemoryLimiter(time.monotonic), QuotaLimits(streams=2))
        core = ChatCore(replace(parts, quotas=quotas), ChatRules())
        client = Client(ChatService(core), ConnectionLimits())
        client.send(type="batch", id="b", messages=["a", "b", "c", "d"], parallel=4)
        for number in range(2):
            await provider.call(number)
        client.send(type="cancel", id="b", index=3)  # it waits for a slot
        await client.until("done", index=3)
        for number in range(3):
            (await provider.call(number)).finish()
        summary = await client.until("batch_done")
        assert (summary["done"], summary["failed"], summary["cancelled"]) == (3, 0, 1)
        await client.leave()

    async def test_a_message_without_a_free_slot_fails_where_others_hold_them(
        self, parts: ChatDependencies, provider: ScriptedProvider
    ) -> None:
        quotas = UserQuotas(MemoryLimiter(time.monotonic), QuotaLimits(streams=1))
        core = ChatCore(replace(parts, quotas=quotas), ChatRules())
        client = Client(ChatService(core), ConnectionLimits())
        client.send(type="chat", id="q", message="Hi")
        await provider.call(0)
        client.send(type="batch", id="b", messages=["a", "b"], parallel=2)
        assert (await client.until("batch_done"))["failed"] == 2
        assert {error["code"] for error in client.types_of("error")} == {"too_many"}
        await client.leave()

    async def test_a_level_1_batch_ends_with_its_connection(
        self, connect: Connect, provider: ScriptedProvider
    ) -> None:
        client = connect()
        client.send(type="batch", messages=["a", "b"])
        call = await provider.call()
        await client.leave()
        while not call.is_closed:
            await asyncio.sleep(0)
        assert len(provider.calls) == 1


async def test_a_level_2_chat_brings_its_context(
    connect: Connect, provider: ScriptedProvider
) -> None:
    client = connect()
    turns = [
        {"role": "user", "content": "One?"},
        {"role": "assistant", "content": "1"},
    ]
    client.send(type="chat", id="q", message="Two?", messages=turns, system="s", key="k")
    call = await provider.call()
    context = [(m.role, m.text) for m in call.request.messages]
    assert context == [("system", "s"), ("user", "One?"), ("assistant", "1"), ("user", "Two?")]
    call.finish()
    await client.until("done")
    assert "conversation" not in client.frames[0]
    client.send(type="chat", id="o", message="Two?", messages=turns[:1], system="s", key="k")
    await provider.call(1)  # another context makes it another question


async def test_a_system_message_of_the_context_takes_the_servers_place(
    parts: ChatDependencies, provider: ScriptedProvider
) -> None:
    client = Client(ChatService(ChatCore(parts, ChatRules(system="server's"))), ConnectionLimits())
    own = [{"role": "system", "content": "own"}]
    client.send(type="chat", id="a", message="?", messages=own)
    client.send(type="chat", id="b", message="?")
    texts = [[m.text for m in (await provider.call(n)).request.messages] for n in range(2)]
    assert texts == [["own", "?"], ["server's", "?"]]
    await client.leave()


class TestUnexpectedFailures:
    """Any failure behind a request ends it exactly once, and the connection stays open."""

    async def test_of_a_question(
        self,
        connect: Connect,
        chat: ChatService,
        provider: ScriptedProvider,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        client = connect()

        async def fail(ask: object) -> None:
            raise KeyError("an unforeseen error")

        with monkeypatch.context() as patched:
            patched.setattr(chat, "start_stream", fail)
            client.send(type="chat", message="Hi")
            client.send(type="chat", id="q", message="Hi")
            client.send(type="batch", id="b", messages=["a", "b"])
            await client.until("error", count=4)
        level_1 = [f for f in client.frames if set(f) == {"type", "message"}]
        assert len(level_1) == 1
        ends = sorted((f["id"], f.get("index", 0), f["code"]) for f in client.frames if "id" in f)
        assert ends == [("b", 0, "internal"), ("b", 1, "internal"), ("q", 0, "internal")]
        # the id is free, and the connection still works
        client.send(type="chat", id="q", message="Hi")
        client.send(type="chat", message="Hi")
        for number in range(2):
            (await provider.call(number)).finish()
        await client.until("done", count=2)

    async def test_of_a_resume(
        self, connect: Connect, chat: ChatService, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        client = connect()

        async def fail(name: str) -> None:
            raise OSError("disk")

        monkeypatch.setattr(chat, "find_stream", fail)
        for _ in range(2):
            client.send(type="resume", id="r", stream="s", offset=0)
            error = await client.until("error")
            assert (error["id"], error["code"]) == ("r", "internal")
            client.frames.clear()

    async def test_of_frames_that_cannot_be_made(
        self, connect: Connect, provider: ScriptedProvider
    ) -> None:
        client = connect()
        client.send(type="chat", id="q", message="Hi")
        client.send(type="chat", id="other", message="Hi")
        (await provider.call(0)).say("\ud800")  # half a surrogate pair, which JSON can't encode
        assert (await client.until("error", id="q"))["code"] == "internal"
        call = await provider.call(1)
        call.say("all well")
        call.finish()
        await client.until("done", id="other")

    async def test_of_a_stored_question(
        self,
        connect: Connect,
        chat: ChatService,
        provider: ScriptedProvider,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        client = connect()

        async def fail(*_: object) -> None:
            raise ZeroDivisionError

        with monkeypatch.context() as patched:
            patched.setattr(chat.core.answers, "_context_for", fail)
            client.send(type="chat", id="q", message="Hi", conversation="new")
            assert (await client.until("error", id="q"))["code"] == "internal"

    async def test_a_question_whose_conversation_is_deleted_ends(
        self, connect: Connect, chat: ChatService, provider: ScriptedProvider
    ) -> None:
        client = connect()
        client.send(type="chat", id="a", message="one", conversation="new")
        await provider.call()
        conversation = (await client.until("start"))["conversation"]
        client.send(type="chat", id="b", message="two", conversation=conversation)
        while not (
            (opened := await chat.library.open_conversation(conversation)) and opened.waiting
        ):
            await asyncio.sleep(0)
        await chat.library.delete([conversation])
        assert (await client.until("error", id="b"))["code"] == "not_found"
        assert (await client.until("done", id="a"))["reason"] == "cancelled"


async def test_a_member_resumes_an_answer_until_sharing_ends(
    chat: ChatService, provider: ScriptedProvider, store: SqlStore
) -> None:
    ada, grace = (Caller(user_id=f"u-{name}", name=name, role="user") for name in ("ada", "grace"))
    for one in (ada, grace):
        await store.accounts.add_user(
            UserAccount(id=one.user_id, name=one.name, role="user", created_at=1.0)
        )
    members = chat.for_caller(ada).library.members
    owner = Client(chat.for_caller(ada), ConnectionLimits())
    owner.send(type="chat", id="1", message="Hi", conversation="new")
    start = await owner.until("start")
    call = await provider.call(0)
    call.say("shared ")
    conversation, stream = start["conversation"], start["stream"]

    member = Client(chat.for_caller(grace), ConnectionLimits())
    member.send(type="resume", id="no", stream=stream, offset=0)
    assert (await member.until("error", id="no"))["code"] == "not_found"
    member.send(type="chat", id="ask", message="Me?", conversation=conversation)
    assert (await member.until("error", id="ask"))["code"] == "not_found"

    await members.put(conversation, "user", "grace", "read")
    member.send(type="resume", id="2", stream=stream, offset=0)
    assert (await member.until("chunk", id="2"))["content"] == "shared "
    member.send(type="stop", id="2")  # a reader stops nothing
    member.send(type="chat", id="ask2", message="Me?", conversation=conversation)
    assert (await member.until("error", id="ask2"))["code"] == "unauthorized"
    call.say("more ")
    await member.until("chunk", id="2", count=2)

    await members.put(conversation, "user", "grace", "reply")
    member.send(type="chat", id="3", message="Me?", conversation=conversation)
    call.say("still ")
    await member.until("chunk", id="2", count=3)
    await members.remove(conversation, "user", grace.user_id)
    assert (await member.until("error", id="2"))["code"] == "not_found"
    call.say("secret")
    call.finish()
    assert (await owner.until("done", id="1"))["reason"] == "stop"
    assert "secret" in owner.text("1")
    # the question that was asked before is answered, in the owner's conversation
    second = await provider.call(1)
    second.say("private")
    second.finish()
    assert (await member.until("error", id="3"))["code"] == "not_found"
    assert "secret" not in member.text("2")
    assert member.text("3") == ""
    for client in (owner, member):
        await client.leave()
