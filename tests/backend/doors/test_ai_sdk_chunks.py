"""Any answer is encoded to chunks that the AI SDK's client accepts."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tests.backend.doors.drawn_answers import ends, pieces_of, segments, text_of
from wireside.doors.ai_sdk.chunks import ChunkEncoder
from wireside.doors.answers import ShownPieces
from wireside.generation.log import TextPiece, ToolPiece
from wireside.messages import End, Entry, TextDelta, ToolDelta, Usage

STRINGS: dict[str, tuple[str, ...]] = {
    "text-start": ("id",),
    "text-delta": ("id", "delta"),
    "text-end": ("id",),
    "reasoning-start": ("id",),
    "reasoning-delta": ("id", "delta"),
    "reasoning-end": ("id",),
    "tool-input-available": ("toolCallId", "toolName"),
    "tool-output-available": ("toolCallId",),
    "tool-output-error": ("toolCallId", "errorText"),
    "tool-output-denied": ("toolCallId",),
    "tool-approval-request": ("toolCallId", "approvalId"),
    "tool-approval-response": ("approvalId",),
    "source-url": ("sourceId", "url", "title"),
    "source-document": ("sourceId", "mediaType", "title"),
    "file": ("url", "mediaType"),
    "start": ("messageId",),
    "finish": ("finishReason",),
    "error": ("errorText",),
    "start-step": (),
    "finish-step": (),
    "abort": (),
}
"""The chunks of the door, with their fields that must be strings (``ui-message-chunks.ts``)."""

FINISH = {"stop", "length", "content-filter", "tool-calls", "error", "interrupted", "other"}


class Client:
    """Accepts chunks as ``process-ui-message-stream.ts`` does, and collects the text."""

    def __init__(self) -> None:
        self.text = ""
        self.open: set[tuple[str, str]] = set()
        self.tools: set[str] = set()
        self.approvals: set[str] = set()

    def receive(self, line: str) -> None:
        assert "\n" not in line
        chunk: dict[str, Any] = json.loads(line)
        kind = chunk["type"]
        assert '"__proto__":' not in line
        if kind.startswith("data-"):
            assert "data" in chunk
            return
        for name in STRINGS[kind]:
            assert isinstance(chunk[name], str), (kind, name)
        part, _, what = kind.partition("-")
        if part in ("text", "reasoning"):
            key = (part, chunk["id"])
            if what == "start":
                assert key not in self.open
                self.open.add(key)
            else:
                assert key in self.open
            if what == "end":
                self.open.remove(key)
            elif kind == "text-delta":
                self.text += chunk["delta"]
        elif kind == "tool-input-available":
            assert "input" in chunk
            self.tools.add(chunk["toolCallId"])
        elif kind == "tool-approval-request":
            assert chunk["toolCallId"] in self.tools
            self.approvals.add(chunk["approvalId"])
        elif kind == "tool-approval-response":
            assert chunk["approvalId"] in self.approvals
        elif kind.startswith("tool-"):
            assert chunk["toolCallId"] in self.tools
            assert kind != "tool-output-available" or "output" in chunk
        elif kind == "finish":
            assert chunk["finishReason"] in FINISH
            assert not self.open


def encode(streams: Sequence[Sequence[Entry]], end: End, cut: int) -> list[str]:
    encoder = ChunkEncoder("m")
    chunks = encoder.start({"model": "lab"})
    for entries in streams:
        chunks += encoder.begin_segment()
        shown = ShownPieces(sanitize=False)
        for pieces in pieces_of(entries, cut):
            chunks += encoder.encode_pieces(shown.add_pieces(pieces))
        chunks += encoder.end_segment()
    return chunks + encoder.finish(end)


@given(streams=segments, end=ends, cut=st.integers(1, 50))
def test_any_answer_is_accepted(streams: list[list[Entry]], end: End, cut: int) -> None:
    client = Client()
    for chunk in encode(streams, end, cut):
        client.receive(chunk)
    assert client.text == text_of(streams)


@given(streams=segments, cut=st.integers(1, 50))
def test_a_replay_has_the_same_ids(streams: list[list[Entry]], cut: int) -> None:
    def ids(chunks: list[str]) -> list[Any]:
        found = (json.loads(chunk) for chunk in chunks)
        return [chunk for chunk in found if not chunk["type"].endswith("-delta")]

    assert ids(encode(streams, End("stop"), cut)) == ids(encode(streams, End("stop"), 1000))


def chunks_of(*deltas: ToolDelta) -> list[dict[str, Any]]:
    encoder = ChunkEncoder("m")
    encoder.begin_segment()
    return [json.loads(one) for d in deltas for one in encoder.encode_pieces([ToolPiece(d, 1)])]


def test_a_tool_call_has_its_input_once_and_its_output() -> None:
    running = ToolDelta("c", "add", "running", '{"a": 1}')
    done = ToolDelta("c", "add", "done", '{"a": 1}', "2")
    assert chunks_of(running, done) == [
        {
            "type": "tool-input-available",
            "toolCallId": "c",
            "toolName": "add",
            "input": {"a": 1},
            "dynamic": True,
            "providerExecuted": True,
        },
        {"type": "tool-output-available", "toolCallId": "c", "output": 2},
    ]


def test_a_call_that_waits_for_approval_is_finished_by_the_next_stream() -> None:
    encoder = ChunkEncoder("m")
    encoder.begin_segment()
    encoder.encode_pieces([ToolPiece(ToolDelta("c", "add", "running", "{}"), 1)])
    encoder.end_segment()
    encoder.begin_segment()
    (chunk,) = encoder.encode_pieces([ToolPiece(ToolDelta("c", "add", "done", "{}", "2"), 1)])
    assert json.loads(chunk)["toolCallId"] == "c"


def test_the_usage_is_metadata_of_the_last_chunk() -> None:
    (chunk,) = ChunkEncoder("m").finish(End("stop", usage=Usage(1, 2)))
    assert json.loads(chunk) == {
        "type": "finish",
        "finishReason": "stop",
        "messageMetadata": {"usage": {"inputTokens": 1, "outputTokens": 2}},
    }


@given(
    words=st.lists(st.sampled_from(["<script", "<s", "cript>", "<", "a"])), cut=st.integers(1, 9)
)
def test_sanitised_text_is_the_same_however_it_is_cut(words: list[str], cut: int) -> None:
    def shown(size: int) -> str:
        pieces = ShownPieces(sanitize=True)
        found = [
            piece
            for batch in pieces_of([TextDelta(w) for w in words], size)
            for piece in pieces.add_pieces(batch)
        ]
        return "".join(p.text for p in (*found, *pieces.flush()) if isinstance(p, TextPiece))

    assert shown(cut) == shown(1000)
    assert "<script" not in shown(cut)
