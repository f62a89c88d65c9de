"""Examples of the contract, built from frame values, so that they are what is sent."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from wireside.errors import NotFound, RateLimited
from wireside.messages import Message, Usage
from wireside.protocol.frames.client import (
    BatchFrame,
    CancelFrame,
    ChatFrame,
    ClientFrame,
    PingFrame,
    ResumeFrame,
)
from wireside.protocol.frames.server import (
    BatchDoneFrame,
    ChunkFrame,
    DoneFrame,
    ErrorFrame,
    PartFrame,
    PongFrame,
    ReasoningFrame,
    ResumedFrame,
    ServerFrame,
    StartFrame,
    ToolFrame,
)

_STREAM: Final = "s-Zk3vQ0m1TzGJ2mJrV5nB8w"
_CONVERSATION: Final = "c-4pYx0bHn3QyPq1fW7sK2dA"


def _encoded(*frames: ClientFrame | ServerFrame) -> list[Any]:
    return [json.loads(frame.encode()) for frame in frames]


CLIENT: Final[Mapping[str, Sequence[Any]]] = {
    "ChatLevel1": _encoded(
        ChatFrame(message="What is a WebSocket?"),
        ChatFrame(message="And in one sentence?", model="llama3.3"),
    ),
    "Chat": _encoded(
        ChatFrame(id="q1", message="What is a WebSocket?", key="6f1c2d7e"),
        ChatFrame(
            id="q2",
            message="And in Go?",
            messages=(
                Message.of_text("user", "How do I open a WebSocket in Python?"),
                Message.of_text("assistant", "With the package websockets."),
            ),
            temperature=0.2,
            max_tokens=500,
        ),
        ChatFrame(
            id="q3",
            message="",
            conversation="new",
            attachments=("u-8cVh2LQp",),
            options='{"language": "en"}',
        ),
        ChatFrame(id="q4", message="In Python, please.", conversation=_CONVERSATION, steer=True),
    ),
    "BatchLevel1": _encoded(BatchFrame(messages=("What is TCP?", "What is UDP?"))),
    "Batch": _encoded(
        BatchFrame(
            id="b1", messages=("What is TCP?", "What is UDP?"), key="b-77", offsets=(120, 0)
        ),
        BatchFrame(id="b2", messages=("What is TCP?", "What is UDP?"), parallel=2),
    ),
    "Answer": _encoded(
        ChatFrame(id="a1", message="", conversation=_CONVERSATION, part="p1", answer="true")
    ),
    "Ping": _encoded(PingFrame(), PingFrame(t=1764500000.5)),
    "CancelLevel1": _encoded(CancelFrame()),
    "Cancel": _encoded(CancelFrame(id="q1"), CancelFrame(id="b2", index=1)),
    "Resume": _encoded(ResumeFrame(id="q1", stream=_STREAM, offset=42)),
    "ClientPong": [{"type": "pong"}],
    "Heartbeat": [{"type": "heartbeat"}],
}
"""Examples of the frames of clients, by the name of the schema."""

SERVER: Final[Mapping[str, Sequence[Any]]] = {
    "ChunkLevel1": _encoded(ChunkFrame(content="A WebSocket")),
    "Chunk": _encoded(ChunkFrame(id="q1", content="A WebSocket", offset=11)),
    "Reasoning": _encoded(ReasoningFrame(id="q1", content="The user asks", offset=13)),
    "Tool": _encoded(
        ToolFrame(
            id="q1",
            offset=14,
            name="weather",
            call="call_1",
            state="done",
            arguments='{"city": "Bern"}',
            result="12 °C",
        )
    ),
    "Part": _encoded(
        PartFrame(
            id="q1",
            offset=15,
            kind="source",
            text="RFC 6455 (https://www.rfc-editor.org/rfc/rfc6455)",
            data={
                "title": "RFC 6455",
                "url": "https://www.rfc-editor.org/rfc/rfc6455",
                "text": "The WebSocket Protocol enables two-way communication",
            },
        ),
        PartFrame(id="q1", offset=16, kind="table", text="| a |", truncated=True),
    ),
    "Start": _encoded(
        StartFrame(id="q1", stream=_STREAM, model="llama3.3"),
        StartFrame(id="b1", stream=_STREAM, model="llama3.3", conversation=_CONVERSATION, index=0),
    ),
    "Resumed": _encoded(ResumedFrame(id="q1", stream=_STREAM, head=310, state="live")),
    "DoneLevel1": _encoded(DoneFrame()),
    "Done": _encoded(
        DoneFrame(id="q1", offset=310, reason="stop", usage=Usage(12, 74)),
        DoneFrame(id="b1", offset=88, reason="cancelled", usage=Usage(), index=1, saved=False),
    ),
    "BatchDone": _encoded(BatchDoneFrame(id="b2", done=1, failed=0, cancelled=1)),
    "ErrorLevel1": _encoded(ErrorFrame.of(RateLimited(retry_after=12.5), level=1)),
    "Error": _encoded(
        ErrorFrame.of(RateLimited(retry_after=12.5), level=2, id="q1"),
        ErrorFrame.of(NotFound("There is no such stream."), level=2, id="q2"),
    ),
    "Pong": _encoded(PongFrame(), PongFrame(t=1764500000.5)),
    "UnknownFrame": [{"type": "citation", "id": "q1", "offset": 17}],
}
"""Examples of the frames of the server, by the name of the schema."""

EXAMPLES: Final[Mapping[str, Sequence[Any]]] = {**CLIENT, **SERVER}
