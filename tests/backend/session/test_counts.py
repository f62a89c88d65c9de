"""Metrics of frames: they count the frames that the client has sent and received."""

from __future__ import annotations

import asyncio
import json
from collections import Counter

from wireside.chat.service import ChatService
from wireside.limits.windows import SlidingWindow
from wireside.messages import ReasoningDelta, ToolDelta
from wireside.protocol.connection import Connection, ConnectionLimits
from wireside.providers.scripted import ScriptedProvider
from wireside.session.counts import FrameCounts
from wireside.session.session import Session
from wireside.telemetry import Telemetry


async def test_frames_are_counted_as_they_are_on_the_wire(
    chat: ChatService, provider: ScriptedProvider
) -> None:
    counts, frames = FrameCounts(), []
    connection = Connection(ConnectionLimits(), SlidingWindow(10_000))
    session = Session(connection, chat, Telemetry(), counts)

    async def send(frame: str) -> None:
        frames.append(json.loads(frame))

    async def close(code: int, reason: str) -> None:
        pass

    def types() -> Counter[str]:
        return Counter(frame["type"] for frame in frames)

    async def until(kind: str, count: int) -> None:
        while types()[kind] < count:
            await asyncio.sleep(0.001)

    def receive(**fields: object) -> None:
        session.receive_frame(json.dumps(fields), 0.0)

    writer = asyncio.create_task(session.write_frames(send, close))
    receive(type="ping")
    receive(type="nonsense")
    receive(type="chat", id="q", message="Hi")
    call = await provider.call()
    for words in ("a", "bcd", "<scr", "ipt>", "x" * 100):
        call.say(words)
        await asyncio.sleep(0.002)
    call.say(ReasoningDelta("hm"))
    call.say(ToolDelta("c", "n", "done"))
    call.finish()
    await until("done", 1)
    stream = next(frame["stream"] for frame in frames if frame["type"] == "start")
    receive(type="resume", id="r", stream=stream, offset=3)
    await until("done", 2)
    receive(type="resume", id="r", stream="unknown", offset=0)
    await until("error", 2)
    receive(type="batch", id="b", messages=["one", "two"])
    await provider.call(1)
    receive(type="cancel", id="b")
    await until("done", 4)
    session.receive_binary()
    await writer
    session.handle_disconnect()

    sent = {kind: count for kind, count in counts.sent.items() if count}
    assert {**sent, "chunk": counts.chunk_count} == types()
    chunks = [frame["content"] for frame in frames if frame["type"] == "chunk"]
    assert counts.chunk_chars == sum(map(len, chunks))
    for bits, count in enumerate(counts.chunk_sizes):
        assert count == sum(len(text).bit_length() == bits for text in chunks)
    assert counts.received == {
        "ping": 1, "refused": 1, "chat": 1, "resume": 2, "batch": 1, "cancel": 1, "binary": 1,
    }  # fmt: skip
