"""Whole documents and resumed events escape ``<script`` as live events do."""

from __future__ import annotations

from collections.abc import AsyncGenerator

from wireside.doors.openai.completions import whole_document
from wireside.doors.openai.responses import FoundResponse
from wireside.generation.runner import Stream
from wireside.messages import End, TextDelta
from wireside.openai_wire.encode import CompletionEncoder
from wireside.openai_wire.response_events import STEP

TEXT = "a <scr", "ipt>b"


def written() -> Stream:
    stream = Stream("s", "m", sanitize=True)
    for text in TEXT:
        stream.log.append_entry(TextDelta(text))
    stream.log.close_with(End("stop"))
    return stream


async def joined(events: AsyncGenerator[bytes, None]) -> str:
    return b"".join([data async for data in events]).decode()


async def test_a_completion_is_escaped() -> None:
    stream = written()
    encoder = CompletionEncoder(id="c", model="m", created=0, reasoning_field="reasoning_content")
    document = whole_document(encoder, stream, End("stop"))
    assert "<script" not in document["choices"][0]["message"]["content"]


async def test_a_response_is_escaped() -> None:
    stream = written()
    found = FoundResponse(stream, {"metadata": {}})
    assert "<script" not in str(found.document())
    head = stream.log.head
    for offset in (0, head):
        assert "<script" not in await joined(found.events(after=offset * STEP))
